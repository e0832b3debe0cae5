"""What people see: tables of a known width, in any locale, and progress only where somebody watches."""

import json
import os
import pty
import re
import select
import subprocess
import sys

import pytest
from rich.text import Text

from bundle.scores import score
from edge.counts import Accounting, Counts, LedgerBundle
from edge.demo.camera import Drop
from edge.demo.check import Found
from edge.demo.flowcam import Specimen, unpack
from edge.demo.tables import ROWS, Moment, live_line, live_table, mishap_table, taxa_table
from edge.screen import table, to_text

from .filled import fill, other_bundle
from .images import TINY_BUNDLE, image_bytes, kind_of


def in_terminal(*arguments: object, columns: int = 100) -> tuple[int, str]:
    """Runs `planktow-edge` with a terminal of that width; returns exit code and all that it was sent, escapes included."""
    here, there = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-m", "edge", *map(str, arguments)],
        stdin=there,
        stdout=there,
        stderr=there,
        env={**os.environ, "COLUMNS": str(columns), "LINES": "40", "TERM": "xterm-256color"},
    )
    os.close(there)
    sent = b""
    try:
        while process.poll() is None or select.select([here], [], [], 0)[0]:
            if select.select([here], [], [], 0.05)[0]:
                try:
                    sent += os.read(here, 65536)
                except OSError:  # the other end is closed
                    break
        return process.wait(60), sent.decode()
    finally:
        os.close(here)
        if process.poll() is None:
            process.kill()
            process.wait()


def without_escapes(sent: str) -> str:
    return re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", sent).replace("\r\n", "\n")


# Tables as text


def test_a_table_has_its_title_on_one_line_though_its_columns_are_narrow():
    rows = table("A title that is longer than the table")
    rows.add_column("n")
    rows.add_row("1")
    assert to_text(rows).splitlines()[0] == "A title that is longer than the table"


def test_text_has_no_trailing_blanks_and_no_escapes():
    text = to_text(Text("one   \ntwo", style="bold red"))
    assert text == "one\ntwo\n"


def test_a_label_that_looks_like_markup_is_printed_as_it_is():
    rows = table("Labels")
    rows.add_column("label")
    rows.add_row("[red]alga[/red]")
    assert "[red]alga[/red]" in to_text(rows)


# Terminals


def test_the_live_table_lives_in_a_terminal_and_is_gone_at_the_end(tmp_path):
    images = tuple(Specimen(f"{n}.jpg", image_bytes(kind_of(n), n, ".jpg"), kind_of(n)) for n in range(6))
    unpack(images, tmp_path / "images")
    code, sent = in_terminal(
        *("demo", "--images", tmp_path / "images", "--bundle", TINY_BUNDLE),
        *("--folder", tmp_path / "demo", "--seconds", 1),
    )
    plain = without_escapes(sent)
    assert code == 0, plain
    assert plain.count("Counting") > 2  # drawn again and again
    assert "█" in plain
    assert re.search(r"camera 9 of 9 files   seen \d+ = counted \d+ \+ rejected \d+ \+ waiting \d+ \+ dropped 0", plain)
    assert "\x1b[2K" in sent  # and wiped away
    assert plain.rstrip().endswith("Every image was counted exactly once; the torn and the foreign file were rejected.")


def test_progress_is_shown_in_a_terminal_and_leaves_only_the_table(tmp_path):
    for number in range(50):
        (tmp_path / f"{number}.png").write_bytes(image_bytes("jelly", number))
    code, sent = in_terminal("classify", tmp_path, "--bundle", TINY_BUNDLE)
    plain = without_escapes(sent)
    assert code == 0
    assert "Classifying" in plain
    assert "files 50 = classified 50 + rejected 0\n" in plain


def test_a_report_fits_a_terminal_of_100_columns(tmp_path, tiny):
    path = tmp_path / "ledger.sqlite"
    labels = tuple(f"echinoderm_larva_pluteus_brittlestar_{number}" for number in range(9))
    fill(path, other_bundle(tiny, labels), counted=[("10:00:00", number) for number in range(9)])
    code, sent = in_terminal("report", "--ledger", path)
    assert code == 0
    assert max(map(len, without_escapes(sent).splitlines())) <= 100


@pytest.mark.parametrize("encoding", ["ascii", "latin-1"])
def test_a_terminal_without_utf_8_gets_question_marks_and_programs_get_utf_8(tmp_path, tiny, encoding):
    path = tmp_path / "ledger.sqlite"
    fill(path, other_bundle(tiny, ("Łódź", "worm")), counted=[("10:00:00", 0)])
    command = [sys.executable, "-m", "edge", "report", "--ledger", str(path), "--format"]
    old = {**os.environ, "PYTHONIOENCODING": encoding}
    shown = subprocess.run([*command, "table"], capture_output=True, check=True, env=old).stdout.decode(encoding)
    assert "seen 1 = counted 1 + rejected 0 + waiting 0 + dropped 0" in shown
    told = subprocess.run([*command, "json"], capture_output=True, check=True, env=old).stdout
    assert json.loads(told)["totals"] == {"Łódź": 1, "worm": 0, "unclassified": 0}


# The demo's tables

BUNDLE = LedgerBundle(1, "zoo", "aa" * 32, ("chain", "jelly"))
DROPS = (
    Drop("image", "1.jpg", (b"one",), "chain"),
    Drop("image", "2.jpg", (b"two",), "jelly"),
    Drop("again", "copy-of-1.jpg", (b"one",), "chain"),
    Drop("halves", "3.jpg", (b"thr", b"ee"), "jelly"),
    Drop("torn", "torn-2.jpg", (b"tw",)),
    Drop("foreign", "haul-notes.jpg", (b"notes",)),
)
FOUND = {
    DROPS[0].sha256: Found("chain", None, None),
    DROPS[1].sha256: Found("chain", None, None),
    DROPS[3].sha256: Found("jelly", None, None),
    DROPS[4].sha256: Found(None, "truncated", "ends early"),
}


def moment(totals: dict[str, int], dropped: int = 5) -> Moment:
    counted = sum(totals.values())
    counts = Counts(Accounting(counted + 2, counted, 1, 1, 0, 0), {"empty": 1}, totals, ((BUNDLE, totals),), ())
    return Moment(counts, dropped, 12, seconds=2.0)


def test_a_moment_in_one_line():
    assert live_line(moment({"chain": 3, "jelly": 6})) == (
        "  2.0 s   camera 5 of 12 files   seen 11 = counted 9 + rejected 1 + waiting 1 + dropped 0   4.5 images/s"
    )


def test_before_anything_is_counted_there_is_a_moment_too():
    text = to_text(live_table(Moment(Counts(Accounting(0, 0, 0, 0, 0, 0), {}, {}, (), ()), 0, 12, seconds=0.0)))
    assert " ".join(text.splitlines()[-2:]) == (  # one word too long for 100 columns
        "  0.0 s   camera 0 of 12 files   seen 0 = counted 0 + rejected 0 + waiting 0 + dropped 0   0.0 images/s"
    )


def test_the_bars_are_as_long_as_the_counts_say_and_zeros_have_none():
    lines = to_text(live_table(moment({"chain": 3, "jelly": 6, "worm": 0}))).splitlines()
    assert [line.split() for line in lines[4:6]] == [["jelly", "6", "█" * 30], ["chain", "3", "█" * 15]]
    assert "worm" not in "\n".join(lines)


def test_a_live_table_of_many_labels_fits_a_small_terminal():
    text = to_text(live_table(moment({f"label {number}": number for number in range(1, 122)})))
    assert len(text.splitlines()) < 24
    assert f"{121 - ROWS} more labels" in text


def test_the_counts_stand_beside_what_was_shown():
    pairs = [("chain", "chain"), ("jelly", "chain"), ("jelly", "jelly")]
    lines = to_text(taxa_table(DROPS, FOUND, score(pairs))).splitlines()
    assert lines[2].split() == ["taxon", "shown", "counted", "of", "these", "right"]
    assert [line.split() for line in lines[4:6]] == [["chain", "1", "2", "1"], ["jelly", "2", "1", "1"]]


def test_without_a_truth_there_are_only_the_counts():
    lines = to_text(taxa_table(DROPS, FOUND, None)).splitlines()
    assert [line.split() for line in lines[2:6] if "─" not in line] == [
        ["taxon", "counted"],
        ["chain", "2"],
        ["jelly", "1"],
    ]


def test_each_mishap_has_its_outcome_and_a_missing_one_is_told():
    lines = to_text(mishap_table(DROPS, FOUND)).splitlines()[4:]
    assert [re.split(r"\s{2,}", line.strip()) for line in lines if line] == [
        ["copy-of-1.jpg", "an image seen before", "counted once"],
        ["3.jpg", "written in two halves", "counted once"],
        ["torn-2.jpg", "torn for good", "rejected, truncated: ends early"],
        ["haul-notes.jpg", "not an image", "missing"],
    ]
