"""The watcher on real folders and real inotify: what came before it, what comes while it watches, what comes back."""

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from bundle.errors import BadConfig
from edge.intake.files import Found
from edge.intake.watch import Sight, Watcher

from .conftest import until

NEVER = 86400.0  # rescan_seconds where a test is about notifications


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "capture"
    folder.mkdir()
    return folder


@pytest.fixture
def watcher(folder: Path) -> Iterator[Watcher]:
    """A watcher that has done its first scan and will not rescan: what it sees now are notifications."""
    with Watcher(folder, True, NEVER) as watching:
        until(lambda: watching.poll(0.01) == [] and watching.passes == 1)
        yield watching


def see(watcher: Watcher, *paths: str, before: list[Sight] | None = None, closed: bool = False) -> list[Sight]:
    """Polls until each of `paths` has been seen (being `closed`); returns all sights on the way, after those `before`."""
    sights = before or []

    def seen() -> bool:
        sights.extend(watcher.poll(0.05))
        return {sight.found.path for sight in sights if sight.closed or not closed} >= set(paths)

    until(seen, f"{paths} seen")
    return sights


def paths(sights: list[Sight]) -> set[str]:
    return {sight.found.path for sight in sights}


def closed(sights: list[Sight]) -> set[str]:
    return {sight.found.path for sight in sights if sight.closed}


def put(file: Path, data: bytes = b"data") -> Path:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(data)
    return file


# Notifications


def test_a_file_written_in_place_is_seen_when_it_is_closed(watcher, folder):
    with (folder / "a.png").open("wb") as file:
        file.write(b"first half")
        file.flush()
        assert closed(see(watcher, "a.png")) == set()
        file.write(b" and second")
    until(lambda: Sight(Found("a.png", 21, (folder / "a.png").stat().st_mtime_ns), True) in watcher.poll(0.05))


def test_a_file_renamed_inside_is_seen_as_complete(watcher, folder):
    put(folder / "a.png.part")
    (folder / "a.png.part").rename(folder / "a.png")
    sights = see(watcher, "a.png")
    assert (paths(sights), closed(sights)) == ({"a.png"}, {"a.png"})


def test_a_file_moved_in_from_outside_is_seen(watcher, folder, tmp_path):
    put(tmp_path / "outside.png").rename(folder / "a.png")
    assert paths(see(watcher, "a.png")) == {"a.png"}


def test_a_hard_link_is_seen(watcher, folder, tmp_path):
    (folder / "a.png").hardlink_to(put(tmp_path / "outside.png"))
    assert paths(see(watcher, "a.png")) == {"a.png"}


def test_images_in_folders_created_just_now_are_seen(watcher, folder):
    names = [f"day {day}/tow {tow}/{number}.png" for day in range(3) for tow in range(3) for number in range(5)]
    for name in names:
        put(folder / name)
    assert paths(see(watcher, *names)) == set(names)


def test_a_whole_folder_moved_in_is_seen(watcher, folder, tmp_path):
    put(tmp_path / "tow" / "a.png")
    put(tmp_path / "tow" / "deep" / "b.png")
    (tmp_path / "tow").rename(folder / "tow")
    see(watcher, "tow/a.png", "tow/deep/b.png")
    put(folder / "tow" / "deep" / "c.png")
    see(watcher, "tow/deep/c.png", closed=True)


def test_other_and_hidden_files_are_not_seen(watcher, folder):
    for name in ("notes.txt", ".hidden.png", ".cache/a.png", "b.png.part", "c.png~"):
        put(folder / name)
    put(folder / "last.png")
    assert paths(see(watcher, "last.png")) == {"last.png"}


def test_reading_a_file_is_no_news(watcher, folder):
    put(folder / "a.png")
    see(watcher, "a.png")
    until(lambda: watcher.poll(0.05) == [])
    (folder / "a.png").read_bytes()
    put(folder / "last.png")
    assert paths(see(watcher, "last.png")) == {"last.png"}


def test_a_file_gone_again_before_we_looked_is_no_sight(watcher, folder):
    put(folder / "a.png").unlink()
    put(folder / "last.png")
    assert paths(see(watcher, "last.png")) == {"last.png"}


def test_without_recursion_only_the_folder_itself_is_watched(folder):
    put(folder / "deep" / "old.png")
    with Watcher(folder, False, NEVER) as watcher:
        until(lambda: watcher.poll(0.01) == [] and watcher.passes == 1)
        put(folder / "deep" / "a.png")
        put(folder / "b.png")
        assert paths(see(watcher, "b.png")) == {"b.png"}


def test_a_name_that_is_not_utf8_is_seen(watcher, folder):
    name = os.fsdecode(b"caf\xe9.png")
    put(folder / name)
    assert paths(see(watcher, name)) == {name}


# Scans


def test_the_backlog_is_found_and_counts_as_one_pass(folder):
    names = {f"{number // 100}/{number}.png" for number in range(2500)}  # more than one slice
    for name in names:
        put(folder / name)
    with Watcher(folder, True, NEVER) as watcher:
        sights = see(watcher, *names)
        until(lambda: watcher.poll(0.01) == [])
        assert (paths(sights), closed(sights), watcher.passes) == (names, set(), 1)


def test_a_file_that_comes_during_the_backlog_scan_is_not_missed(folder):
    for number in range(1500):
        put(folder / f"{number}.png")
    with Watcher(folder, True, NEVER) as watcher:
        first = watcher.poll(0)
        assert watcher.passes == 0
        put(folder / "late.png")
        see(watcher, "late.png", *(f"{number}.png" for number in range(1500)), before=first)


def test_an_empty_folder_is_fine(folder):
    with Watcher(folder, True, NEVER) as watcher:
        until(lambda: watcher.passes == 1 or watcher.poll(0.01) is None)
        assert (watcher.poll(0.01), watcher.problem) == ([], None)


def test_what_notifications_missed_is_found_by_the_rescan(folder):
    with Watcher(folder, True, 0.1) as watcher:
        watcher._observer.unschedule_all()  # as a network mount: nobody is told
        put(folder / "a.png")
        assert closed(see(watcher, "a.png")) == set()
        passes = watcher.passes
        see(watcher, "a.png")
        assert watcher.passes > passes


def test_the_folder_is_walked_at_once_when_asked_also_from_the_middle_of_a_walk(folder):
    for number in range(2500):
        put(folder / f"{number}.png")
    with Watcher(folder, True, NEVER) as watcher:
        assert len(paths(watcher.poll(0.01))) >= 1000
        watcher.rescan()
        everything = {f"{number}.png" for number in range(2500)}
        see(watcher, *everything)
        until(lambda: watcher.poll(0.01) == [] and watcher.passes == 1)
        watcher.rescan()
        see(watcher, *everything)
        assert watcher.passes == 2


def test_archives_are_seen_as_images_are(watcher, folder):
    put(folder / "tow.tar")
    put(folder / "tow.tar.gz")
    assert paths(see(watcher, "tow.tar", closed=True)) == {"tow.tar"}


def test_a_local_disk_is_rescanned_as_told_whatever_is_told_for_mounts_that_are_silent(folder):
    with Watcher(folder, True, NEVER, poll_seconds=0.01) as watcher:
        until(lambda: watcher.poll(0.01) == [] and watcher.passes == 1)
        for number in range(3):  # each is seen, so that polls went by, and none was a walk
            put(folder / f"{number}.png")
            see(watcher, f"{number}.png")
        assert watcher.passes == 1


# Folders that are not there


def test_a_missing_folder_is_refused(tmp_path):
    with pytest.raises(BadConfig) as refused, Watcher(tmp_path / "none", True, NEVER):
        pass
    assert str(refused.value) == f"{tmp_path / 'none'}: no such folder to watch; create it, or mount its disk"


def test_a_file_instead_of_a_folder_is_refused(tmp_path):
    with pytest.raises(BadConfig) as refused, Watcher(put(tmp_path / "file"), True, NEVER):
        pass
    assert str(refused.value) == f"{tmp_path / 'file'}: not a folder; give the folder that the camera writes to"


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_an_unreadable_folder_is_refused(folder):
    folder.chmod(0)
    try:
        with pytest.raises(BadConfig) as refused, Watcher(folder, True, NEVER):
            pass
    finally:
        folder.chmod(0o755)
    assert str(refused.value) == f"{folder}: cannot be listed (Permission denied); allow this user to read it"


def gone(watcher: Watcher) -> bool:
    watcher.poll(0.05)
    return watcher.problem is not None


@pytest.mark.parametrize("away", ["removed", "renamed", "replaced by a file"])
def test_a_folder_that_vanishes_is_said_once_and_watched_again_when_it_is_back(watcher, folder, caplog, away):
    caplog.set_level("INFO")
    put(folder / "a.png")
    see(watcher, "a.png")
    if away == "removed":
        shutil.rmtree(folder)
    else:
        folder.rename(folder.with_name("elsewhere"))
    if away == "replaced by a file":
        folder.write_bytes(b"")
    until(lambda: gone(watcher))
    for _ in range(3):
        watcher._next_root_check = 0.0
        assert watcher.poll(0.01) == []
    problem = f"the watched folder {folder} is gone; counting goes on when it is back"
    assert (watcher.problem, watcher.attached) == (problem, False)
    if away == "replaced by a file":
        folder.unlink()
    put(folder / "while away.png")
    see(watcher, "while away.png")
    assert (watcher.problem, watcher.attached) == (None, True)
    put(folder / "after.png")
    see(watcher, "after.png", closed=True)
    assert [record.getMessage() for record in caplog.records if record.name == "edge.intake.watch"] == [
        problem,
        f"the watched folder {folder} is back",
    ]


def test_a_folder_replaced_by_another_is_watched_anew(watcher, folder, tmp_path):
    """As when a disk is mounted over the folder, or a camera begins by making its folder again."""
    put(tmp_path / "new" / "there already.png")
    folder.rename(tmp_path / "old")
    (tmp_path / "new").rename(folder)
    see(watcher, "there already.png")
    put(folder / "a.png")
    see(watcher, "a.png", closed=True)


def test_without_inotify_the_rescan_finds_everything_and_the_problem_is_told(folder, monkeypatch, caplog):
    import edge.intake.watch

    def none_left(*_args: object, **_options: object) -> None:
        raise OSError(28, "inotify watch limit reached")

    monkeypatch.setattr(edge.intake.watch, "InotifyObserver", none_left)
    with Watcher(folder, True, 0.1) as watcher:
        assert watcher.problem == (
            f"no notifications for {folder} (inotify watch limit reached); it is rescanned every 0.1 s instead; "
            "raise fs.inotify.max_user_watches and start again"
        )
        put(folder / "a.png")
        assert paths(see(watcher, "a.png")) == {"a.png"}
    assert [record.getMessage() for record in caplog.records] == [watcher.problem]


# Renames


def test_a_rename_inside_is_told_with_both_names_once(watcher, folder):
    put(folder / "a.png").rename(folder / "b.png")
    see(watcher, "b.png", closed=True)
    assert watcher.take_moves() == [("a.png", "b.png")]
    assert watcher.take_moves() == []


def test_what_comes_from_outside_is_no_rename(watcher, folder):
    put(folder.parent / "outside.png").rename(folder / "a.png")
    see(watcher, "a.png")
    assert watcher.take_moves() == []


def test_a_renamed_folder_is_told_with_both_names(watcher, folder):
    put(folder / "one" / "a.png")
    see(watcher, "one/a.png")
    (folder / "one").rename(folder / "two")
    see(watcher, "two/a.png")
    assert ("one/", "two/") in watcher.take_moves()
