"""Deleting, on real folders: only the files that the ledger knows, and through a kill at any line."""

import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

import edge.retention.stock
from edge.retention.clearing import Cleared
from edge.retention.retention import GB

from ..stocked import DAY
from .planning import BARE, clear

ROOT = Path(__file__).parents[3]


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
from tests.edge.retention.planning import BARE, clear

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
