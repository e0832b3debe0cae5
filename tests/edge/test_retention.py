"""Retention on real folders and ledgers: what may go goes, oldest first, and nothing else ever does."""

import logging
import os
import subprocess
import sys
import tempfile
from contextlib import closing
from dataclasses import replace
from hashlib import sha256
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

import edge.retention.stock
from bundle.errors import BadConfig
from bundle.settings import settings_from
from edge.corrections.history import add_labels, take_back
from edge.corrections.humanlabel import HumanLabel
from edge.corrections.labelsfile import labels_file
from edge.retention.clearing import Cleared, Retention, carry_out
from edge.retention.forecast import forecast, forecast_table, sums
from edge.retention.keepers import Keepers
from edge.retention.retention import GB, Plan, RetentionSettings
from edge.retention.stock import CountedBytes
from edge.screen import to_text

from .stocked import DAY, HOUR, LABELS, NOW, SECOND, Stock

ROOT = Path(__file__).parents[2]
BARE = RetentionSettings(
    enabled=True, max_age_days=5, only_backed_up=False, keep_rare=0, keep_votes_up_to=0, keep_best_per_hour=0
)


@pytest.fixture
def stock(tmp_path):
    with closing(Stock(tmp_path)) as made:
        made.counted("new.png", age=0, label=2)  # ages count from the newest image
        yield made


def clear(stock: Stock, settings: RetentionSettings, free_bytes: int = 0) -> Cleared:
    """One run, from the beginning, to its end."""
    cleared = Cleared()
    for _ in carry_out(plan(stock, settings, free_bytes), stock.root, stock.record_gone, lambda: NOW, cleared):
        pass
    return cleared


def plan(stock: Stock, settings: RetentionSettings, free_bytes: int = 0) -> Plan:
    counted = CountedBytes()
    for _ in counted.update(stock.connection):
        pass
    return Plan(stock.connection, settings, NOW, free_bytes, counted.bytes)


def planned(stock: Stock, settings: RetentionSettings, free_bytes: int = 0) -> tuple[dict[str, str], dict[str, str]]:
    """(path -> why it goes, path -> why it stays)"""
    going, kept = {}, {}
    for part in plan(stock, settings, free_bytes):
        going.update({file.path: each.reason for each in part.going for file in each.files})
        kept.update({file.path: each.why for each in part.kept for file in each.files})
    return going, kept


# What goes


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


# What stays


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


def test_nothing_goes_while_the_labels_cannot_be_read(stock):
    stock.counted("old.png")
    labels_file(stock.file).write_bytes(b"not a database at all" * 100)
    times = Times()
    retention = retention_of(stock, times, BARE)
    assert retention.turn() == Cleared()
    assert "retention: nothing may go: " in str(retention.problem)
    assert str(labels_file(stock.file)) in str(retention.problem)
    assert "old.png" in stock.lying()
    labels_file(stock.file).unlink()
    times.seconds += BARE.every_minutes * 60
    assert retention.turn() == Cleared(deleted=1, freed_bytes=1000)
    assert retention.problem is None


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


# Deleting


@pytest.mark.parametrize("change", ["grown", "touched", "a link", "a folder"])
def test_a_file_that_is_not_the_one_the_ledger_knows_is_left_alone(stock, tmp_path, change):
    stock.counted("a.png")
    file = stock.root / "a.png"
    if change == "grown":
        status = file.stat()
        file.write_bytes(b"another, longer" * 100)
        os.utime(file, ns=(status.st_atime_ns, status.st_mtime_ns))
    elif change == "touched":
        os.utime(file)
    else:
        file.rename(tmp_path / "a.png")
        file.symlink_to(tmp_path / "a.png") if change == "a link" else file.mkdir()
    assert clear(stock, BARE) == Cleared(changed=1)
    assert os.path.lexists(file)
    assert (tmp_path / "a.png").exists() == (change in ("a link", "a folder"))
    assert stock.gone() == set()


def test_no_link_to_a_folder_leads_out_of_the_watched_one(stock, tmp_path):
    stock.counted("tow/a.png")
    (stock.root / "tow").rename(tmp_path / "archive")
    (stock.root / "tow").symlink_to(tmp_path / "archive")
    assert clear(stock, BARE) == Cleared(changed=1)
    assert (tmp_path / "archive/a.png").exists()


def test_a_path_that_climbs_deletes_nothing(stock, tmp_path):
    stock.counted("sub/../../precious.png", written=True)
    assert (tmp_path / "precious.png").exists()
    assert clear(stock, BARE) == Cleared(changed=1)
    assert (tmp_path / "precious.png").exists()


def test_a_file_that_is_absent_is_recorded_as_gone_and_not_looked_for_again(stock):
    stock.counted("tow/a.png", written=False)
    assert clear(stock, BARE) == Cleared(absent=1)
    assert stock.gone() == {"tow/a.png"}
    assert clear(stock, BARE) == Cleared()


def test_an_empty_folder_may_be_a_disk_not_mounted_and_nothing_is_recorded(stock):
    stock.counted("a.png", written=False)
    (stock.root / "new.png").unlink()
    with pytest.raises(FileNotFoundError, match="not mounted"):
        clear(stock, BARE)
    assert stock.gone() == set()


def test_a_name_that_is_not_utf_8_is_deleted_from_the_ledgers_text(stock):
    stock.counted(r"dr\xf8bak.png")
    (stock.root / r"dr\xf8bak.png").rename(stock.root / os.fsdecode(b"dr\xf8bak.png"))
    assert clear(stock, BARE) == Cleared(deleted=1, freed_bytes=1000)
    assert stock.lying() == {"new.png"}


def test_what_could_not_go_leaves_its_room_to_the_next_oldest(stock):
    stock.counted("1.png", age=9 * DAY)
    os.utime(stock.root / "1.png")
    # In the next slice: within one, the plan cannot know.
    for number in range(2, edge.retention.stock.SLICE_IMAGES + 3):
        stock.counted(f"{number}.png", age=9 * DAY - number, written=number > edge.retention.stock.SLICE_IMAGES)
    wanted = replace(BARE, max_age_days=0, min_free_gb=edge.retention.stock.SLICE_IMAGES * 1000 / GB)
    cleared = clear(stock, wanted)
    assert (cleared.changed, cleared.absent) == (1, edge.retention.stock.SLICE_IMAGES - 1)
    clear(stock, wanted)
    assert (stock.root / "1.png").exists()
    assert not (stock.root / f"{edge.retention.stock.SLICE_IMAGES + 1}.png").exists()


DYING = """
import shutil, sys
from contextlib import closing
from pathlib import Path
from tests.edge.dying import die_at_every_line
from tests.edge.stocked import DAY, Stock
from tests.edge.test_retention import BARE, clear

base, filled = Path(sys.argv[1], "ship"), Path(sys.argv[1], "filled")
filled.mkdir()
with closing(Stock(filled)) as stock:
    stock.counted("new.png", age=0)
    stock.counted("stays.png", age=DAY)
    stock.counted("t/a.png", "b.png")
    stock.counted("c.png")

def prepare():
    shutil.rmtree(base, ignore_errors=True)
    shutil.copytree(filled, base)

def work():
    with closing(Stock(base)) as stock:
        clear(stock, BARE)

def check():
    with closing(Stock(base)) as stock:
        going = {"t/a.png", "b.png", "c.png"}
        assert stock.gone() <= going - stock.lying(), "recorded as gone, and there"
        clear(stock, BARE)
        assert stock.lying() == {"new.png", "stays.png"}, stock.lying()
        assert stock.gone() == going, stock.gone()
        assert stock.connection.execute("SELECT counted FROM accounting").fetchall() == [(4,)]

print(die_at_every_line(prepare, work, check))
"""


def test_a_kill_at_any_line_is_made_good_by_the_next_run(tmp_path):
    command = [sys.executable, "-c", DYING, tmp_path]
    ended = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stderr
    assert int(ended.stdout) > 100


# In the daemon


class Times:
    """Both clocks: they stand still until told."""

    def __init__(self) -> None:
        self.wall_ns, self.seconds = NOW, 0.0


def retention_of(stock: Stock, times: Times, settings: RetentionSettings) -> Retention:
    return Retention(
        settings, stock.root, stock.connection, stock.record_gone, lambda: times.wall_ns, lambda: times.seconds
    )


def test_a_turn_ends_when_its_time_is_spent_and_the_next_goes_on(stock):
    for number in range(100):
        stock.counted(f"{number}.png", age=9 * DAY)
    ticking = iter(range(10**9))
    retention = Retention(
        BARE, stock.root, stock.connection, stock.record_gone, lambda: NOW, lambda: float(next(ticking))
    )
    turns = 1
    while retention.turn(budget_seconds=0) is None:
        turns += 1
    assert turns > 5
    assert stock.lying() == {"new.png"}


def test_it_looks_again_after_every_minutes_and_not_before(stock):
    times = Times()
    retention = retention_of(stock, times, replace(BARE, every_minutes=10))
    assert retention.turn() == Cleared()
    stock.counted("late.png", age=6 * DAY)
    times.seconds += 599
    assert retention.turn() is None
    times.seconds += 1
    times.wall_ns += DAY  # on this day it goes over all images again
    assert retention.turn() == Cleared(deleted=1, freed_bytes=1000)


def test_what_a_run_kept_for_want_of_a_backup_goes_in_the_run_after_the_backup(stock):
    times = Times()
    retention = retention_of(stock, times, replace(BARE, only_backed_up=True, every_minutes=1))
    stock.note("backup_ns", 150)
    for path, age, classified in (("a.png", 9, 200), ("b.png", 8, 100), ("c.png", 7, 100)):
        stock.counted(path, age=age * DAY, classified=classified)
    assert retention.turn() == Cleared(deleted=2, freed_bytes=2000)
    times.seconds += 60
    assert retention.turn() == Cleared()
    stock.note("backup_ns", 201)
    times.seconds += 60
    assert retention.turn() == Cleared(deleted=1, freed_bytes=1000)
    assert stock.lying() == {"new.png"}


def test_images_that_come_to_an_hour_already_gone_over_are_seen_in_the_next_run(stock):
    times = Times()
    full = replace(BARE, max_age_days=0, max_total_gb=1 / GB, every_minutes=1)
    retention = retention_of(stock, times, full)
    assert retention.turn() == Cleared(deleted=1, freed_bytes=1000)
    (stock.root / "other.txt").touch()
    stock.counted("newer.png", age=-SECOND)
    times.seconds += 60
    assert retention.turn() == Cleared(deleted=1, freed_bytes=1000)


def test_without_any_backup_it_says_that_nothing_may_go(stock, caplog):
    stock.counted("a.png")
    retention = retention_of(stock, Times(), replace(BARE, only_backed_up=True))
    assert retention.turn() == Cleared()
    assert retention.problem == (
        "retention: nothing may go, there is no backup of the ledger yet; make one, or change edge.toml"
    )
    assert caplog.messages == [retention.problem]


def test_it_says_when_more_should_go_than_may_and_when_that_is_over(stock):
    times = Times()
    stock.counted("few.png", votes=1)
    settings = replace(BARE, max_age_days=0, max_total_gb=0.5 / GB, keep_votes_up_to=2, every_minutes=1)
    retention = retention_of(stock, times, settings)
    retention.turn()
    assert "all that is left must stay" in retention.problem
    stock.connection.execute("UPDATE verdict SET votes = 3")
    times.wall_ns += DAY
    times.seconds += 60
    assert retention.turn() == Cleared(deleted=1, freed_bytes=1000)
    assert retention.problem is None


def test_a_folder_that_went_away_ends_the_run_and_a_later_one_does_it(stock, tmp_path, caplog):
    caplog.set_level(logging.CRITICAL)
    times = Times()
    stock.counted("a.png")
    retention = retention_of(stock, times, replace(BARE, every_minutes=1))
    stock.root.rename(tmp_path / "away")
    assert retention.turn() == Cleared()
    assert "No such file or directory" in retention.problem
    (tmp_path / "away").rename(stock.root)
    times.seconds += 60
    assert retention.turn() == Cleared(deleted=1, freed_bytes=1000)
    assert retention.problem is None


def test_a_file_that_may_not_be_deleted_stays_and_is_named(stock):
    stock.counted("held/a.png")
    stock.counted("b.png")
    if os.geteuid() != 0:
        (stock.root / "held").chmod(0o500)
    elif subprocess.run(["chattr", "+i", stock.root / "held/a.png"], capture_output=True, check=False).returncode:
        pytest.skip("no file can be made immutable here")
    try:
        retention = retention_of(stock, Times(), BARE)
        cleared = retention.turn()
        assert (cleared.deleted, cleared.refused) == (1, 1)
        assert "1 files cannot be deleted, the first held/a.png: " in retention.problem
        assert stock.gone() == {"b.png"}
    finally:
        if os.geteuid() == 0:
            subprocess.run(["chattr", "-i", stock.root / "held/a.png"], check=True)
        else:
            (stock.root / "held").chmod(0o700)


def test_what_was_deleted_when_the_daemon_stops_is_recorded(stock):
    for number in range(100):
        stock.counted(f"{number}.png", age=9 * DAY)
    ticking = iter(range(10**9))
    retention = Retention(
        BARE, stock.root, stock.connection, stock.record_gone, lambda: NOW, lambda: float(next(ticking))
    )
    while len(stock.lying()) > 60:
        assert retention.turn(budget_seconds=0) is None
    retention.close()
    assert stock.gone() == {f"{number}.png" for number in range(100)} - stock.lying()
    assert len(stock.lying()) > 1


# Whatever the settings

IMAGES = st.lists(
    st.fixed_dictionaries(
        {
            "state": st.sampled_from(["counted", "counted", "counted", "rejected", "aside", "shard"]),
            "age": st.integers(0, 200).map(lambda quarters: quarters * HOUR // 4),
            "label": st.integers(-1, len(LABELS) - 1),
            "votes": st.integers(1, 3),
            "score": st.sampled_from([0.1, 0.5, 0.9]),
            "classified": st.integers(1, 5),
            "names": st.integers(1, 3),
        }
    ),
    max_size=25,
)
SETTINGS = st.builds(
    RetentionSettings,
    enabled=st.just(True),
    max_age_days=st.sampled_from([0.01, 0.3, 1.0, 9.0]),
    min_free_gb=st.sampled_from([0.0, 4000 / GB]),
    max_total_gb=st.sampled_from([0.0, 1.0 / GB, 9000 / GB]),
    only_exported=st.booleans(),
    only_backed_up=st.booleans(),
    keep_rare=st.integers(0, 4),
    keep_votes_up_to=st.integers(0, 3),
    keep_best_per_hour=st.integers(0, 2),
    rejected=st.sampled_from(["keep", "delete"]),
)


@hypothesis_settings(deadline=None, max_examples=60)
@given(IMAGES, SETTINGS, st.integers(0, 6), st.integers(0, 6))
def test_whatever_the_settings_only_what_no_rule_keeps_goes_and_the_plan_is_what_is_done(
    images, settings, exported, backed_up
):
    with tempfile.TemporaryDirectory() as base, closing(Stock(Path(base))) as stock:
        stock.sighting("waits.png")
        stock.sighting("unreadable.png", reason="unreadable")
        stock.sighting("dropped.png", dropped="newest")
        stock.note("exported_ns", exported)
        stock.note("backup_ns", backed_up)
        made = {}  # number -> (image, paths)
        for number, image in enumerate(images):
            paths = [f"{number}/{name}.png" for name in range(image["names"])]
            if image["state"] == "rejected":
                paths = paths[:1]
                image_id = stock.rejected(paths[0], image["age"])
            else:
                if image["state"] == "shard":
                    paths[0] = f"{number}.tar/in.png"
                told = {name: image[name] for name in ("age", "label", "votes", "score", "classified")}
                aside = "blurred" if image["state"] == "aside" else None
                image_id = stock.counted(*paths, **told, aside=aside)
            made[image_id] = (image, paths)
        before, free = stock.lying(), 1000
        going, _ = planned(stock, settings, free)
        predicted, _ = sums(plan(stock, settings, free))
        cleared = clear(stock, settings, free)
        gone = before - stock.lying()
        assert gone == set(going) == stock.gone()
        assert cleared == Cleared(deleted=len(gone), freed_bytes=predicted.bytes.total())

        may = {
            image_id: image
            for image_id, (image, _) in made.items()
            if may_go(image_id, image, made, settings, exported, backed_up)
        }
        allowed = {path for image_id in may for path in made[image_id][1]}
        assert gone <= allowed
        old = {path for image_id in may if too_old(may[image_id], images, settings) for path in made[image_id][1]}
        assert old <= gone
        # All names of an image or none; and no image stays that is older than one that went for its space.
        oldest_first = sorted(may, key=lambda image_id: (-may[image_id]["age"], image_id))
        went = [set(made[image_id][1]) <= gone for image_id in oldest_first]
        assert went == sorted(went, reverse=True)
        assert sum(went) == sum(bool(set(made[image_id][1]) & gone) for image_id in oldest_first)


def too_old(image, images, settings) -> bool:
    newest = min(each["age"] for each in images)
    return bool(settings.max_age_days) and image["age"] - newest > settings.max_age_days * DAY


def may_go(image_id, image, made, settings, exported, backed_up) -> bool:
    """The rules told anew, one image against all."""
    if image["state"] == "rejected":
        return settings.rejected == "delete" and not (settings.only_backed_up and NOW - image["age"] >= backed_up)
    if image["state"] != "counted":
        return False
    same = [number for number, (each, _) in made.items() if counts_as(each, image["label"])]
    if len([n for n in same if made[n][0]["state"] != "aside"]) <= settings.keep_rare:
        return False
    if image["votes"] < 3 and image["votes"] <= settings.keep_votes_up_to:
        return False
    if settings.only_exported and image["classified"] >= exported:
        return False
    if settings.only_backed_up and image["classified"] >= backed_up:
        return False
    hour = (NOW - image["age"]) // HOUR
    here = [n for n in same if made[n][0]["state"] != "aside" and (NOW - made[n][0]["age"]) // HOUR == hour]
    here.sort(key=lambda number: (-made[number][0]["age"], number))
    best = sorted(here, key=lambda number: (-made[number][0]["score"], number))
    return image_id not in here[: settings.keep_best_per_hour] + best[: settings.keep_best_per_hour]


def counts_as(image, label: int) -> bool:
    return image["state"] != "rejected" and image["label"] == label


@hypothesis_settings(deadline=None)
@given(st.lists(st.tuples(st.sampled_from("ab"), st.sampled_from([0.1, 0.2, 0.3]))), st.integers(0, 3))
def test_the_kept_are_the_first_and_the_best_of_each_label(added, each):
    keepers = Keepers(each)
    for number, (label, score) in enumerate(added):
        keepers.add(number, label, score)
    kept = set()
    for wanted in "ab":
        mine = [(number, score) for number, (label, score) in enumerate(added) if label == wanted]
        kept.update(number for number, _ in mine[:each])
        kept.update(number for number, _ in sorted(mine, key=lambda item: (-item[1], item[0]))[:each])
    assert keepers.kept() == kept


def test_many_images_of_one_moment_and_many_files_of_one_image_are_all_seen(stock):
    count = 2 * edge.retention.stock.SLICE_IMAGES + 1
    for number in range(count):
        stock.counted(f"{number}.png", age=9 * DAY, written=False)
    stock.counted(*(f"blank-{number}.png" for number in range(edge.retention.stock.FILES_AT_ONCE)), written=False)
    assert len(planned(stock, BARE)[0]) == count + edge.retention.stock.FILES_AT_ONCE


@pytest.mark.parametrize("capture_ns", [HOUR - 2**63, 2**63 - 1])
def test_capture_times_at_the_ends_of_what_can_be_written_end_no_run(stock, capture_ns):
    image_id = stock.counted("odd.png")
    stock.connection.execute("UPDATE image SET capture_ns = ? WHERE id = ?", (capture_ns, image_id))
    going, _ = planned(stock, replace(BARE, max_age_days=0, min_free_gb=1, keep_best_per_hour=1, keep_rare=0))
    assert going == {}  # each is the first of its label and hour
    assert set(planned(stock, replace(BARE, min_free_gb=1))[0]) == {"odd.png", "new.png"}


# For people


def test_the_dry_run_tells_what_would_go_and_what_stays_and_touches_nothing(stock):
    stock.counted("old.png", "copy.png", size=2_000_000)
    stock.counted("few.png", label=1, votes=1, size=3_000_000)
    settings = replace(BARE, keep_votes_up_to=1, min_free_gb=1)
    before = stock.lying()
    text = to_text(forecast_table(forecast(stock.connection, settings, NOW, free_bytes=900_000_000)))
    assert stock.lying() == before
    assert [" ".join(line.split()) for line in text.splitlines() if line and "─" not in line] == [
        "Would be deleted",
        "because of images files GB",
        "age 1 2 0.004",
        "free space 1 1 0.000",
        "in all 2 3 0.004",
        "Of these",
        "label images files GB",
        "copepod 1 2 0.004",
        "krill 1 1 0.000",
        "Would stay, though as old",
        "because images files GB",
        "few votes 1 1 0.003",
        "Of these",
        "label images files GB",
        "jelly 1 1 0.003",
        "0.10 GB more should go, but nothing else may.",
        "No file was deleted. Files changed or removed by hand since are not known here.",
    ]


def test_the_dry_run_says_when_nothing_would_go(stock):
    text = to_text(forecast_table(forecast(stock.connection, BARE, NOW, free_bytes=0)))
    assert text.startswith("No file would go: no image is old enough, and there is room.\n")


# Settings


def test_retention_that_is_on_and_asks_for_nothing_is_refused():
    with pytest.raises(BadConfig, match=r"retention: enabled, but .* are all 0; set one of them"):
        settings_from({"enabled": True}, RetentionSettings, "edge.toml: retention")
    assert settings_from({}, RetentionSettings, "x").enabled is False


def test_a_setting_out_of_its_range_is_refused():
    with pytest.raises(BadConfig, match="max_age_days must be from 0 to 36500 days"):
        RetentionSettings(max_age_days=-1)
