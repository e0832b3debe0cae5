import pytest
from hypothesis import given
from hypothesis import strategies as st

from bundle.errors import BadBundle
from bundle.labels import UNCLASSIFIED, format_labels, parse_labels


def test_the_line_number_is_the_class_index():
    assert parse_labels(b"copepod\nchain diatom\nM\xc3\xbcll\n", "labels.txt") == ("copepod", "chain diatom", "Müll")


def test_the_last_line_may_lack_its_end():
    assert parse_labels(b"a\nb", "labels.txt") == ("a", "b")


@pytest.mark.parametrize(
    ("data", "text"),
    [
        (b"", "1 label(s), but a classifier needs at least two"),
        (b"copepod\n", "1 label(s), but a classifier needs at least two"),
        (b"a\n\nb\n", "line 2 is not a label: '' (empty, padded or not printable)"),
        (b"a\nb\n\n", "line 3 is not a label: '' (empty, padded or not printable)"),
        (b"a\n b\n", "line 2 is not a label: ' b' (empty, padded or not printable)"),
        (b"a\r\nb\r\n", "line 1 is not a label: 'a\\r' (empty, padded or not printable)"),
        (b"a\nb\tc\n", "line 2 is not a label: 'b\\tc' (empty, padded or not printable)"),
        (b"\xef\xbb\xbfa\nb\n", "line 1 is not a label: '\\ufeffa' (empty, padded or not printable)"),
        (b"a\nunclassified\n", "line 2: 'unclassified' is the verdict of an open vote, name the class otherwise"),
        (b"a\nb\na\n", "line 3: the label 'a' stands twice"),
        (b"a\n\xff\n", "not UTF-8 text; make the bundle anew"),
    ],
)
def test_a_file_that_could_be_misread_is_refused(data, text):
    with pytest.raises(BadBundle) as caught:
        parse_labels(data, "labels.txt")
    assert str(caught.value) == f"labels.txt: {text}"


@given(st.lists(st.text(max_size=12), max_size=5).map(tuple))
def test_labels_come_back_as_they_were_written_or_are_not_written(labels):
    try:
        data = format_labels(labels)
    except BadBundle:
        clean = all(label and label.isprintable() and label == label.strip() for label in labels)
        assert not clean or len(set(labels)) < len(labels) or len(labels) < 2 or UNCLASSIFIED in labels
    else:
        assert parse_labels(data, "labels.txt") == labels
