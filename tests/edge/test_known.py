"""edge.intake.known against Python's own set."""

import tracemalloc

from hypothesis import given
from hypothesis import strategies as st

from edge.intake.files import Found
from edge.intake.known import Known

# Few files, so that they come again and again, before and after they were sorted in.
FILES = [Found(f"{number}.png", 100, 1_000_000 + number) for number in range(12)]


@given(added=st.lists(st.sampled_from(FILES), max_size=60), merge=st.integers(1, 8))
def test_it_behaves_as_a_set_does_wherever_the_border_of_the_merge_falls(added, merge):
    known, model = Known(merge), set()
    for found in added:
        known.add(found)
        model.add(found)
        assert known.unknown(FILES) == [file for file in FILES if file not in model]


def test_a_file_of_another_size_or_mtime_is_another_file():
    known = Known(merge=1)
    known.add(Found("a.png", 10, 5))
    others = [Found("a.png", 11, 5), Found("a.png", 10, 6), Found("b.png", 10, 5)]
    assert known.unknown([*others, Found("a.png", 10, 5)]) == others


def test_twenty_thousand_files_take_some_ten_bytes_each():
    tracemalloc.start()
    try:
        known = Known(merge=1000)
        for number in range(20_000):
            known.add(Found(f"{number}.png", 100, number))
        held, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert known.unknown([Found(f"{number}.png", 100, number) for number in range(20_001)]) == [
        Found("20000.png", 100, 20_000)
    ]
    assert held < 12 * 20_000 + 200_000
