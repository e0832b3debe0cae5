"""What may go goes, oldest first, and nothing else ever does."""

from dataclasses import replace
from hashlib import sha256

import pytest

from edge.corrections.history import add_labels, take_back
from edge.corrections.humanlabel import HumanLabel
from edge.corrections.labelsfile import labels_file
from edge.retention.clearing import Cleared
from edge.retention.retention import GB, Plan
from edge.retention.stock import CountedBytes

from ..stocked import DAY, HOUR, NOW, SECOND
from .planning import BARE, clear, planned


def test_files_of_old_images_go_under_all_their_names_and_newer_ones_stay(stock):
    stock.counted("old.png", "t/copy.png", age=6 * DAY)
    stock.counted("newer.png", age=4 * DAY)
    assert planned(stock, BARE) == ({"old.png": "age", "t/copy.png": "age"}, {})
    assert clear(stock, BARE) == Cleared(deleted=2, freed_bytes=2000)
    assert stock.lying() == {"new.png", "newer.png"}
    assert stock.gone() == {"old.png", "t/copy.png"}
    assert (stock.root / "t").is_dir()


def test_the_oldest_go_first_and_no_more_than_the_space_wanted(stock):
    for number in (3, 1, 2, 4):
        stock.counted(f"{number}.png", age=(9 - number) * DAY)
    by_space = replace(BARE, max_age_days=0, min_free_gb=2500 / GB)
    assert planned(stock, by_space, free_bytes=1000)[0] == {"1.png": "free space", "2.png": "free space"}
    by_total = replace(BARE, max_age_days=0, max_total_gb=3500 / GB)
    assert planned(stock, by_total)[0] == {"1.png": "total size", "2.png": "total size"}
    assert planned(stock, replace(by_space, max_age_days=6.5), free_bytes=1000)[0] == {"1.png": "age", "2.png": "age"}
    assert planned(stock, by_space, free_bytes=2500)[0] == {}


def test_the_files_of_all_names_of_an_image_count_as_room(stock):
    stock.counted("a.png", "b.png", "c.png", age=9 * DAY)
    stock.counted("next.png", age=8 * DAY)
    going, _ = planned(stock, replace(BARE, max_age_days=0, min_free_gb=3000 / GB))
    assert set(going) == {"a.png", "b.png", "c.png"}


def test_age_counts_from_the_newest_image_whatever_the_clock_says(stock):
    stock.counted("old.png", age=4 * DAY)
    years_ahead = Plan(stock.connection, BARE, NOW + 3650 * DAY, 0, 0)
    assert [part.going for part in years_ahead if part.going] == []


def test_the_counted_bytes_follow_what_comes_and_what_goes(stock):
    total, anew = CountedBytes(), CountedBytes()
    stock.sighting("waits.png")
    stock.counted("a.png", size=500)
    list(total.update(stock.connection))
    assert total.bytes == 1500
    stock.connection.execute("DELETE FROM sighting WHERE path = 'waits.png'")
    stock.counted("b.png", "c.png", size=70)
    stock.counted("x.tar/d.png", size=9, written=False)
    stock.counted("blurred.png", size=9, aside="blurred")
    stock.rejected("bad.png", size=9)
    list(total.update(stock.connection))
    list(anew.update(stock.connection))
    assert (total.bytes, anew.bytes) == (1640, 1640)


def test_what_is_not_counted_never_goes(stock):
    stock.sighting("waits.png")
    stock.sighting("unreadable.png", reason="unreadable")
    stock.sighting("dropped.png", dropped="newest")
    stock.counted("blurred.png", aside="blurred")
    stock.rejected("bad.png")
    everything = stock.lying()
    clear(stock, BARE)
    clear(stock, replace(BARE, min_free_gb=1, max_total_gb=1e-9))
    assert stock.lying() == everything - {"new.png"}  # by the space wanted
    assert planned(stock, BARE) == ({}, {"bad.png": "rejected"})


def test_rejected_files_go_only_where_the_operator_lets_them_and_their_sighting_is_backed_up(stock):
    stock.rejected("bad.png")
    delete = replace(BARE, rejected="delete")
    assert planned(stock, delete)[0] == {"bad.png": "age"}
    stock.note("backup_ns", NOW - 10 * DAY)
    assert planned(stock, replace(delete, only_backed_up=True))[1] == {"bad.png": "not yet backed up"}
    stock.note("backup_ns", NOW - 10 * DAY + 1)
    assert planned(stock, replace(delete, only_backed_up=True))[0] == {"bad.png": "age"}


@pytest.mark.parametrize(
    ("option", "name", "why"),
    [("only_exported", "exported", "not yet exported"), ("only_backed_up", "backup", "not yet backed up")],
)
def test_only_what_was_classified_before_the_last_export_or_backup_goes(stock, option, name, why):
    only = replace(BARE, **{option: True})
    early = stock.counted("early.png", classified=100)
    stock.counted("late.png", classified=200)
    assert planned(stock, only) == ({}, {"early.png": why, "late.png": why})
    stock.note(f"{name}_ns", 200)
    assert planned(stock, only) == ({"early.png": "age"}, {"late.png": why})
    stock.note(f"{name}_ns", 201)
    assert planned(stock, only)[1] == {}
    stock.note(f"{name}_image", early)  # a clock that was set back
    assert planned(stock, only) == ({"early.png": "age"}, {"late.png": why})


def test_the_rare_the_uncertain_and_the_first_and_best_of_label_and_hour_stay(stock):
    for number in range(6):
        age = 6 * DAY - number * SECOND
        stock.counted(f"c{number}.png", age=age, score=(0.5, 0.6, 0.9, 0.9, 0.2, 0.1)[number])
    stock.counted("other hour.png", age=6 * DAY + HOUR, score=0.1)
    stock.counted("few.png", age=6 * DAY, votes=1)
    stock.counted("rare.png", age=6 * DAY, label=1)
    keep = replace(BARE, keep_rare=1, keep_votes_up_to=1, keep_best_per_hour=1)
    assert planned(stock, keep) == (
        {"c1.png": "age", "c3.png": "age", "c4.png": "age", "c5.png": "age"},
        {
            "rare.png": "rare",
            "few.png": "few votes",
            "c0.png": "first or best of its hour",
            "c2.png": "first or best of its hour",
            "other hour.png": "first or best of its hour",
        },
    )


def test_what_a_person_has_labelled_stays_until_the_label_is_taken_back(stock):
    said = [
        HumanLabel(sha256(name.encode()).digest(), "jelly", "Ada", "copepod", "ab", NOW)
        for name in ("kept.png", "taken back.png")
    ]
    for name in ("kept.png", "taken back.png", "nobody.png"):
        stock.counted(name)
    numbers = add_labels(labels_file(stock.file), said)
    assert planned(stock, BARE)[1] == {
        "kept.png": "labelled by a person",
        "taken back.png": "labelled by a person",
    }
    take_back(labels_file(stock.file), numbers[1], "Ada", NOW + 1)
    assert clear(stock, BARE).deleted == 2
    assert stock.lying() == {"new.png", "kept.png"}
    assert clear(stock, replace(BARE, keep_labelled=False)).deleted == 1


def test_a_label_of_two_bundles_is_rare_only_if_both_together_have_few(stock):
    stock.counted("a.png", label=1)
    b = stock.counted("b.png", label=1)
    stock.connection.execute("INSERT INTO bundle VALUES (2, 'cd', 'two', ?, 0)", ('["jelly", "krill"]',))
    stock.connection.execute("UPDATE verdict SET bundle_id = 2, label = 0 WHERE image_id = ?", (b,))
    assert planned(stock, replace(BARE, keep_rare=1))[0] == {"a.png": "age", "b.png": "age"}
    assert planned(stock, replace(BARE, keep_rare=2))[0] == {}


def test_members_of_shards_and_images_that_are_also_in_one_stay(stock):
    stock.counted("a.tar/1.png", written=False)
    stock.counted("b.zip/2.png", "loose.png", written=False)
    assert planned(stock, BARE)[0] == {}
    assert set(planned(stock, BARE)[1].values()) == {"in a shard"}
    clear(stock, BARE)
    assert stock.gone() == set()
