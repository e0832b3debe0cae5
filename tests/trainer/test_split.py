"""The division of the images is decided by their content alone."""

import hashlib
from collections import Counter

import pytest

from bundle.errors import BadConfig
from trainer.config import Shares
from trainer.data.split import Part, split


def hashes(count: int, salt: str = "") -> list[str]:
    return [hashlib.sha256(f"{salt}{number}".encode()).hexdigest() for number in range(count)]


def fall(hashes: list[str], labels: list[int], shares: Shares) -> list[Part]:
    return split(hashes, labels, shares, [""] * len(hashes))


def test_the_shares_come_out_within_the_chance_of_a_hash():
    parts = Counter(fall(hashes(5000), [0] * 5000, Shares(0.1, 0.2)))
    assert abs(parts["validation"] - 500) < 80  # four standard deviations: 85
    assert abs(parts["test"] - 1000) < 110
    assert sum(parts.values()) == 5000


def test_no_image_changes_its_part_when_others_are_added():
    few, many = hashes(300), hashes(2000)
    before = fall(few, [number % 3 for number in range(300)], Shares())
    after = fall(many, [number % 3 for number in range(2000)], Shares())
    assert after[:300] == before


def test_the_order_of_the_images_does_not_matter():
    names, labels = hashes(200), [number % 4 for number in range(200)]
    forward = dict(zip(names, fall(names, labels, Shares()), strict=True))
    backward = dict(zip(names[::-1], fall(names[::-1], labels[::-1], Shares()), strict=True))
    assert forward == backward


@pytest.mark.parametrize("size", [3, 4, 5, 8])
def test_a_class_of_three_or_more_is_in_all_three_parts(size: int):
    for salt in "abcdefghij":
        parts = fall(hashes(size, salt), [7] * size, Shares())
        assert set(parts) == {"train", "validation", "test"}


def test_a_class_of_two_is_all_for_training():
    assert fall(hashes(2), [0, 0], Shares()) == ["train", "train"]


def test_released_validation_images_train_and_all_else_stays_as_it_was():
    names, labels = hashes(4000), [number % 40 for number in range(4000)]
    before = fall(names, labels, Shares())
    for share in (0.5, 0.9):
        after = fall(names, labels, Shares(released=share))
        moved = [image for image in range(4000) if before[image] != after[image]]
        assert {(before[image], after[image]) for image in moved} == {("validation", "train")}
        assert abs(after.count("validation") - before.count("validation") * (1 - share)) < 60
        stayed = [image for image in range(4000) if after[image] == "validation"]
        assert max(names[image] for image in stayed) < min(names[image] for image in moved)


def test_one_validation_image_stays_however_few_there_are():
    parts = fall(hashes(5), [0] * 5, Shares(released=0.95))
    assert Counter(parts) == {"train": 3, "validation": 1, "test": 1}


def test_shares_that_leave_nothing_to_train_on_are_refused():
    with pytest.raises(BadConfig, match="less than a fifth for training"):
        Shares(0.45, 0.45)
    with pytest.raises(BadConfig, match=r"test must be from 0\.01 to 0\.5, found 0\.0"):
        Shares(0.1, 0.0)
    with pytest.raises(BadConfig, match=r"released must be from 0 to 0\.95, found 1\.0"):
        Shares(released=1.0)


def test_a_copy_trains_where_its_origin_trains_and_is_unused_where_that_judges():
    names, labels = hashes(400), [number % 4 for number in range(400)]
    before = fall(names, labels, Shares(0.2, 0.2))
    copies = hashes(1200, "copy")  # three of each, and an original more
    after = split([*names, "00" * 32, *copies], [*labels, 0, *labels * 3], Shares(0.2, 0.2), [""] * 401 + names * 3)
    assert after[:400] == before
    assert after[400] == "test"
    assert after[401:] == [part if part == "train" else "unused" for part in before] * 3


def test_copies_do_not_make_a_small_class_one_that_can_be_split():
    originals, copies = hashes(2), hashes(50, "copy")
    parts = split([*originals, *copies], [0] * 52, Shares(), ["", "", *[originals[0]] * 50])
    assert set(parts) == {"train"}


def test_a_copy_whose_origin_is_elsewhere_or_in_another_class_is_unused():
    originals, copies = hashes(2), hashes(3, "copy")
    parts = split([*originals, *copies], [0, 1, 0, 1, 0], Shares(), ["", "", "ab" * 32, originals[0], originals[0]])
    assert parts == ["train", "train", "unused", "unused", "train"]
