"""Labels in backups and in repair: copied beside the ledger, kept by content, mended when they are damaged."""

from pathlib import Path

import pytest

from bundle.folder import Bundle
from edge.corrections.history import add_labels, read_labels
from edge.corrections.humanlabel import HumanLabel
from edge.corrections.labelsfile import labels_file
from edge.ledger.backup import back_up, backups_of
from edge.ledger.ledgercopy import BackupFailed
from edge.ledger.repair import repair

from ..filled import fill

HOUR = 3600 * 10**9
NOON = 1_795_600_800 * 10**9


def said(number: int) -> HumanLabel:
    return HumanLabel(bytes([number]) * 32, "copepod", "Ada", None, None, number)


@pytest.fixture
def ledger(tmp_path: Path, tiny: Bundle) -> Path:
    fill(tmp_path / "tow.sqlite", tiny, [("10:00:00", 0)])
    return tmp_path / "tow.sqlite"


def names(folder: Path) -> list[str]:
    return sorted(file.name for file in folder.iterdir() if not file.name.startswith("."))


def test_a_backup_can_be_read_as_a_ledger_with_its_labels(ledger, tmp_path):
    add_labels(labels_file(ledger), [said(1)])
    path = back_up(ledger, tmp_path / "backups", 7, NOON)
    assert names(tmp_path / "backups") == [f"{path.stem}.labels.sqlite", path.name]
    add_labels(labels_file(ledger), [said(2)])
    assert read_labels(path) == {said(1).sha256: said(1)}


def test_labels_give_way_with_their_ledger_but_the_last_of_them_stay(ledger, tmp_path):
    folder = tmp_path / "backups"
    add_labels(labels_file(ledger), [said(1)])
    for hour in range(3):
        back_up(ledger, folder, 2, NOON + hour * HOUR)
    kept = [backup.path for backup in backups_of(ledger, folder)]
    assert names(folder) == sorted(name for path in kept for name in (path.name, labels_file(path).name))
    labels_file(ledger).unlink()
    for hour in range(3, 6):
        back_up(ledger, folder, 2, NOON + hour * HOUR)
    assert [name for name in names(folder) if "labels" in name] == [labels_file(path).name for path in kept]
    assert len(backups_of(ledger, folder)) == 2


def test_damaged_labels_do_not_stop_the_backup_of_the_ledger_and_are_told(ledger, tmp_path):
    folder = tmp_path / "backups"
    labels_file(ledger).write_bytes(b"no database" * 1000)
    with pytest.raises(BackupFailed, match=r"without what people said: .*damaged.*planktow-edge repair"):
        back_up(ledger, folder, 1, NOON)
    with pytest.raises(BackupFailed):
        back_up(ledger, folder, 1, NOON + HOUR)
    assert len(names(folder)) == 1, "and older ones give way all the same"


def test_what_a_killed_backup_left_is_cleared_away(ledger, tmp_path):
    folder = tmp_path / "backups"
    path = back_up(ledger, folder, 7, NOON)
    (folder / f"{path.stem}.labels.sqlite.partial").write_bytes(b"half")
    (folder / "other.labels.sqlite.partial").write_bytes(b"not ours")
    back_up(ledger, folder, 7, NOON + HOUR)
    assert [name for name in names(folder) if "partial" in name] == ["other.labels.sqlite.partial"]


def test_repair_leaves_sound_labels_alone(ledger, tmp_path):
    add_labels(labels_file(ledger), [said(1)])
    back_up(ledger, tmp_path / "backups", 7, NOON)
    add_labels(labels_file(ledger), [said(2)])
    data = bytearray(ledger.read_bytes())
    data[4096:] = bytes(len(data) - 4096)
    ledger.write_bytes(data)
    done = repair(ledger, tmp_path / "backups", NOON + HOUR)
    assert done.restored is not None
    assert done.labels == ()
    assert set(read_labels(ledger)) == {said(1).sha256, said(2).sha256}


def test_repair_puts_the_newest_sound_copy_in_the_place_of_damaged_labels(ledger, tmp_path):
    folder = tmp_path / "backups"
    add_labels(labels_file(ledger), [said(1)])
    first = back_up(ledger, folder, 7, NOON)
    add_labels(labels_file(ledger), [said(2)])
    second = back_up(ledger, folder, 7, NOON + HOUR)
    labels_file(second).write_bytes(b"damaged too")
    labels_file(ledger).write_bytes(b"x" * 5000)
    done = repair(ledger, folder, NOON + 2 * HOUR)
    assert done.faults == ()
    assert read_labels(ledger) == {said(1).sha256: said(1)}
    aside = f"{labels_file(ledger).name}.damaged-20261125T120000Z"
    assert (tmp_path / aside).read_bytes() == b"x" * 5000
    assert done.lines[1:] == [
        f"{labels_file(ledger)}: cannot be read (file is not a database); it is damaged: run `planktow-edge repair`, which"
        " puts the newest backup in its place",
        f"the damaged labels are kept as {aside}*",
        f"restored {labels_file(first)}: labels given since are missing",
    ]
    assert repair(ledger, folder, NOON + 3 * HOUR).labels == ()


def test_lost_labels_come_back_with_a_lost_ledger(ledger, tmp_path):
    add_labels(labels_file(ledger), [said(1)])
    back_up(ledger, tmp_path / "backups", 7, NOON)
    for file in [ledger, labels_file(ledger)]:
        file.unlink()
    repair(ledger, tmp_path / "backups", NOON + HOUR)
    assert read_labels(ledger) == {said(1).sha256: said(1)}


def test_damaged_labels_without_a_copy_are_put_aside_and_new_ones_begun(ledger, tmp_path):
    labels_file(ledger).write_bytes(b"x" * 5000)
    done = repair(ledger, tmp_path / "backups", NOON)
    assert done.labels[-1] == "no sound copy of the labels: what people said is only in the damaged file"
    assert not labels_file(ledger).exists()
    add_labels(labels_file(ledger), [said(3)])
    assert read_labels(ledger) == {said(3).sha256: said(3)}
