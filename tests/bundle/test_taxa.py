"""What a bundle says of its labels."""

from pathlib import Path

import pytest

from bundle.errors import BadBundle
from bundle.folder import open_bundle
from bundle.manifest import MANIFEST
from bundle.taxa import COLUMNS, Taxon, parse_taxa, read_taxa
from tests.bundle import wrong

SHIPPED = sorted((Path(__file__).parents[2] / "bundles").iterdir())
LABELS = ("cal", "blob")
HEADER = ",".join(COLUMNS)
GOOD = f"{HEADER}\nblob,Blob,unknown,,,\ncal,Calanoid,copepods,1100,Calanoida,yes\n"


def parsed(text):
    return parse_taxa(text.encode(), LABELS, "taxa.csv")


def test_taxa_stand_in_the_order_of_the_labels_whatever_the_order_of_the_rows():
    assert list(parsed(GOOD).values()) == [
        Taxon("cal", "Calanoid", "copepods", 1100, "Calanoida", True),
        Taxon("blob", "Blob", "unknown", None, None, None),
    ]


def test_a_quoted_comma_and_a_byte_order_mark_are_read():
    taxa = parsed("\ufeff" + GOOD.replace("Calanoid,", '"Calanoid, any",'))
    assert taxa["cal"].display_name == "Calanoid, any"


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("", "the first line must be label,display_name"),
        ("label,name\n", "the first line must be label,display_name"),
        (GOOD.replace("blob,Blob", "blub,Blob"), "row 2: 'blub' is no label of the bundle"),
        (GOOD + "blob,Blob,unknown,,,\n", "row 4: the label 'blob' stands twice"),
        (f"{HEADER}\nblob,Blob,unknown,,,\n", "no row for the label 'cal'"),
        (GOOD.replace("1100", "-1"), "row 3: aphia_id is '-1'"),
        (GOOD.replace("1100", "0"), "row 3: aphia_id is '0'"),
        (GOOD.replace("1100", "1100.0"), "row 3: aphia_id is '1100.0'"),
        (GOOD.replace("yes", "true"), "row 3: living is 'true'"),
        (GOOD.replace("unknown", ""), "row 2: 'blob' needs a display_name and a group"),
        (GOOD.replace("unknown", "unknown "), "row 2: group is 'unknown '"),
        (GOOD.replace(",,,\n", ",,\n"), "row 2: 5 columns, there must be 6"),
        (
            GOOD.replace("unknown,,", "unknown,1100,"),
            "AphiaID 1100 stands in two groups, 'unknown' ('blob') and 'copepods'",
        ),
        (GOOD.replace("Blob", '"Blob'), "not UTF-8 CSV"),
    ],
)
def test_what_is_wrong_is_named_with_its_row(text, fault):
    with pytest.raises(BadBundle, match=r"taxa\.csv") as refused:
        parsed(text)
    assert fault in str(refused.value)


def test_a_bundle_without_the_record_has_no_taxa():
    assert read_taxa(wrong.TINY) == {}


def test_a_damaged_taxa_file_is_refused_by_its_hash(tmp_path):
    (flowcam,) = (path for path in SHIPPED if path.name == "flowcam-6")
    for name in (MANIFEST, "labels.txt", "taxa.csv"):
        (tmp_path / name).write_bytes((flowcam / name).read_bytes())
    assert read_taxa(tmp_path)["Tripos"].aphia_id == 494057
    (tmp_path / "taxa.csv").write_bytes((flowcam / "taxa.csv").read_bytes().replace(b"494057", b"494058"))
    with pytest.raises(BadBundle, match=r"taxa.csv: damaged, its sha-256 is not the manifest's"):
        read_taxa(tmp_path)
    (tmp_path / "taxa.csv").unlink()
    with pytest.raises(BadBundle, match=r"taxa.csv: missing"):
        read_taxa(tmp_path)


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.name)
def test_every_shipped_bundle_says_of_each_label_once_what_it_is(path):
    taxa = read_taxa(path)
    assert tuple(taxa) == open_bundle(path).labels
    for taxon in taxa.values():
        assert taxon.aphia_id is None or taxon.aphia_id > 0
        assert taxon.living is not False or taxon.aphia_id is None  # what never lived is in no register of species
        assert (taxon.living is None) == (taxon.group == "unknown")
        assert (taxon.living is False) == (taxon.group in ("detritus", "artefacts"))


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.name)
def test_one_aphia_id_stands_in_one_group_of_a_shipped_bundle_and_one_display_name_for_one_label(path):
    taxa = read_taxa(path).values()
    groups = {taxon.aphia_id: {other.group for other in taxa if other.aphia_id == taxon.aphia_id} for taxon in taxa}
    groups.pop(None, None)
    assert all(len(several) == 1 for several in groups.values())
    assert len({taxon.display_name for taxon in taxa}) == len(taxa)


def test_the_two_bundles_of_the_same_labels_say_the_same_of_them():
    one, other = (read_taxa(path) for path in SHIPPED if path.name.startswith("planktonset-121"))
    assert one == other
