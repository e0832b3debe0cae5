"""`planktow-edge report`: its three formats asserted whole, and what it refuses."""

import csv
import io
import json
from collections import Counter
from contextlib import closing

import pytest
from typer.testing import CliRunner

from bundle.vote import NO_LABEL
from edge.cli import app
from edge.counts import read_counts
from edge.ledger import open_ledger
from edge.ledgerfile import open_ledger_readonly
from edge.report import report_csv

from .filled import fill, other_bundle
from .images import image_bytes, kind_of


@pytest.fixture
def ledger(tmp_path, tiny):
    """Seven files over two hours, none at 11, with two classifiers at the end."""
    path = tmp_path / "ledger.sqlite"
    fill(
        path,
        tiny,
        counted=[("10:00:00", 0), ("10:59:59", 2), ("12:00:00", 2)],
        rejected=["truncated"],
        waiting=1,
        duplicates=2,
    )
    fill(path, other_bundle(tiny, ("jelly", "worm")), counted=[("12:30:00", 0), ("12:40:00", NO_LABEL)])
    return path


def report(*arguments):
    return CliRunner().invoke(app, ["report", *map(str, arguments)], prog_name="planktow-edge")


def test_the_csv_is_tidy_and_says_where_every_image_went(ledger, tiny):
    done = report("--ledger", ledger, "--format", "csv")
    first, second = f"tiny-3 {tiny.digest[:12]}", "other cdcdcdcdcdcd"
    assert done.exit_code == 0
    assert (
        done.stdout
        == f"""\
# accounting: seen 7 = counted 5 + rejected 1 + waiting 1 + dropped 0; duplicates 2
# rejects: {{"truncated": 1}}
# bundle: tiny-3 {tiny.digest} counted 3
# bundle: other {"cd" * 32} counted 2
# total: {{"chain": 1, "sphere": 0, "jelly": 3, "worm": 0, "unclassified": 1}}
bin_start,bin_end,label,count,bundles,dropped,raised_count,raised_sd
2026-11-25T10:00:00Z,2026-11-25T11:00:00Z,chain,1,{first},0,1,0
2026-11-25T10:00:00Z,2026-11-25T11:00:00Z,sphere,0,{first},0,0,0
2026-11-25T10:00:00Z,2026-11-25T11:00:00Z,jelly,1,{first},0,1,0
2026-11-25T10:00:00Z,2026-11-25T11:00:00Z,unclassified,0,{first},0,0,0
2026-11-25T12:00:00Z,2026-11-25T13:00:00Z,chain,0,{first} + {second},0,0,0
2026-11-25T12:00:00Z,2026-11-25T13:00:00Z,sphere,0,{first} + {second},0,0,0
2026-11-25T12:00:00Z,2026-11-25T13:00:00Z,jelly,2,{first} + {second},0,2,0
2026-11-25T12:00:00Z,2026-11-25T13:00:00Z,worm,0,{first} + {second},0,0,0
2026-11-25T12:00:00Z,2026-11-25T13:00:00Z,unclassified,1,{first} + {second},0,1,0
"""
    )


def test_the_csv_raises_the_counts_of_a_bin_in_which_images_were_dropped(tmp_path, tiny):
    path = tmp_path / "ledger.sqlite"
    fill(
        path,
        tiny,
        counted=[("10:00:00", 0), ("10:10:00", 0), ("10:20:00", 2), ("11:00:00", 1)],
        dropped=["10:30:00", "10:40:00", "10:50:00", "11:30:00", "13:00:00"],
    )
    text = report("--ledger", path, "--format", "csv").stdout
    rows = list(csv.DictReader(line for line in text.splitlines() if not line.startswith("#")))
    # The worked example: 3 of 6 classified, 2 chains: 2 x 6/3 = 4, sd 6 sqrt(1/2 x 2/3 x 1/3 / 2) = sqrt 2; the one
    # classified of the second hour leaves the error unknown, and of the third hour nothing is known.
    assert [(row["bin_start"][11:13], row["label"], row["count"], row["dropped"]) for row in rows] == [
        ("10", "chain", "2", "3"),
        ("10", "sphere", "0", "3"),
        ("10", "jelly", "1", "3"),
        ("10", "unclassified", "0", "3"),
        ("11", "chain", "0", "1"),
        ("11", "sphere", "1", "1"),
        ("11", "jelly", "0", "1"),
        ("11", "unclassified", "0", "1"),
        ("13", "", "", "1"),
    ]
    assert [(row["raised_count"], row["raised_sd"]) for row in rows] == [
        ("4", "1.414"),
        ("0", "0"),
        ("2", "1.414"),
        ("0", "0"),
        ("0", ""),
        ("2", ""),
        ("0", ""),
        ("0", ""),
        ("", ""),
    ]
    assert text.startswith("# accounting: seen 9 = counted 4 + rejected 0 + waiting 0 + dropped 5; duplicates 0\n")


def test_the_json_and_the_table_tell_the_dropped_images_of_each_bin(tmp_path, tiny):
    path = tmp_path / "ledger.sqlite"
    fill(path, tiny, counted=[("10:00:00", 0), ("10:10:00", 2)], dropped=["10:30:00", "13:00:00"])
    told = json.loads(report("--ledger", path, "--format", "json").stdout)
    assert [(each["start"], each["dropped"], each["raising_factor"]) for each in told["bins"]] == [
        ("2026-11-25T10:00:00Z", 1, 1.5),
        ("2026-11-25T13:00:00Z", 1, None),
    ]
    assert told["bins"][1]["counts"] == {}, "no observation is not a zero"
    shown = [line.split() for line in report("--ledger", path).stdout.splitlines() if line.strip()]
    at = shown.index(["from", "chain", "jelly", "all", "dropped"])
    assert shown[at + 2 : at + 4] == [["2026-11-25", "10:00", "1", "1", "2", "1"], ["2026-11-25", "13:00", "0", "1"]]
    assert ["seen", "4", "=", "counted", "2", "+", "rejected", "0", "+", "waiting", "0", "+", "dropped", "2"] in shown


def test_a_label_with_a_comma_or_the_comment_sign_survives_in_the_csv(tmp_path, tiny):
    path = tmp_path / "ledger.sqlite"
    labels = ("copepod #2", 'a "quoted", label', "plain")
    fill(path, other_bundle(tiny, labels), counted=[("10:00:00", 0), ("10:00:01", 1)])
    with closing(open_ledger_readonly(path)) as connection:
        text = report_csv(read_counts(connection, 3600 * 10**9))
    body = [line for line in text.splitlines() if not line.startswith("#")]
    rows = list(csv.DictReader(io.StringIO("\n".join(body))))
    assert {row["label"]: row["count"] for row in rows} == {
        **dict.fromkeys(labels, "1"),
        "plain": "0",
        "unclassified": "0",
    }
    # A reader that takes # for a comment spares what stands in quotes.
    assert all('"copepod #2"' in line for line in body if "#2" in line)


@pytest.mark.parametrize("width", ["1s", "7m", "1h", "1d", "366d"])
def test_the_rows_add_up_to_the_totals_whatever_the_width(ledger, width):
    text = report("--ledger", ledger, "--format", "csv", "--bin", width).stdout
    head = dict(line[2:].split(": ", 1) for line in text.splitlines() if line.startswith("#"))
    sums: Counter[str] = Counter()
    for row in csv.DictReader(line for line in text.splitlines() if not line.startswith("#")):
        sums[row["label"]] += int(row["count"])
    assert {label: sums[label] for label in json.loads(head["total"])} == json.loads(head["total"])


def test_a_daemon_at_work_does_not_disturb_a_report(ship):
    ship.start()
    for number in range(30):
        (ship.watch / f"{number}.png").write_bytes(image_bytes(kind_of(number), number))
        told = json.loads(report("--ledger", ship.ledger, "--format", "json").stdout)
        accounting = told["accounting"]
        parts = ("counted", "rejected", "waiting", "dropped")
        assert accounting["seen"] == sum(accounting[part] for part in parts)
        assert sum(told["totals"].values()) == accounting["counted"]
        assert sum(sum(each["counts"].values()) for each in told["bins"]) == accounting["counted"]
    ship.await_accounting(counted=30)
    assert ship.stop() == 0
    told = json.loads(report("--ledger", ship.ledger, "--format", "json").stdout)
    assert told["totals"] == {"chain": 10, "sphere": 10, "jelly": 10, "unclassified": 0}


def test_the_json_holds_the_same_and_each_bundle_s_share(ledger, tiny):
    done = report("--ledger", ledger, "--format", "json", "--bin", "1d")
    assert done.exit_code == 0
    assert json.loads(done.stdout) == {
        "accounting": {"seen": 7, "counted": 5, "rejected": 1, "waiting": 1, "dropped": 0, "duplicates": 2},
        "rejects": {"truncated": 1},
        "from": None,
        "to": None,
        "totals": {"chain": 1, "sphere": 0, "jelly": 3, "worm": 0, "unclassified": 1},
        "bundles": [
            {
                "name": "tiny-3",
                "digest": tiny.digest,
                "counted": 3,
                "totals": {"chain": 1, "sphere": 0, "jelly": 2, "unclassified": 0},
            },
            {
                "name": "other",
                "digest": "cd" * 32,
                "counted": 2,
                "totals": {"jelly": 1, "worm": 0, "unclassified": 1},
            },
        ],
        "bins": [
            {
                "start": "2026-11-25T00:00:00Z",
                "end": "2026-11-26T00:00:00Z",
                "bundles": [tiny.digest, "cd" * 32],
                "counts": {"chain": 1, "sphere": 0, "jelly": 3, "worm": 0, "unclassified": 1},
                "dropped": 0,
                "raising_factor": 1.0,
            }
        ],
    }


def test_the_table_shows_what_was_found_most_frequent_first(ledger, tiny):
    done = report("--ledger", ledger)
    assert done.exit_code == 0
    assert (
        done.stdout
        == f"""\
In total

  label          count   share
 ──────────────────────────────
  jelly              3   60.0%
  chain              1   20.0%
  unclassified       1   20.0%

labels not found: 2
By capture time, UTC, bins of 1h

  from               jelly   chain   unclassified   all
 ───────────────────────────────────────────────────────
  2026-11-25 10:00       1       1              0     2
  2026-11-25 12:00       2       0              1     3

seen 7 = counted 5 + rejected 1 + waiting 1 + dropped 0
rejected: truncated 1
duplicates, counted once: 2
counted by tiny-3: 3  (digest {tiny.digest[:12]}…)
counted by other: 2  (digest cdcdcdcdcdcd…)
"""
    )


def test_a_stretch_of_time_has_its_own_counts_beside_the_accounts_of_the_whole_ledger(ledger, tiny):
    stretch = ("--from", "2026-11-25T10:30", "--to", "2026-11-25T14:35:00+02:00")
    done = report("--ledger", ledger, *stretch)
    assert (done.exit_code, done.stderr) == (0, "")
    words = "captured from 2026-11-25T10:30:00Z and before 2026-11-25T12:35:00Z"
    assert (
        done.stdout
        == f"""\
Images {words}

In total

  label   count    share
 ────────────────────────
  jelly       3   100.0%

labels not found: 3
By capture time, UTC, bins of 1h

  from               jelly   all
 ────────────────────────────────
  2026-11-25 10:00       1     1
  2026-11-25 12:00       2     2

in the whole ledger:
seen 7 = counted 5 + rejected 1 + waiting 1 + dropped 0
rejected: truncated 1
duplicates, counted once: 2
counted in that time by tiny-3: 2  (digest {tiny.digest[:12]}…)
counted in that time by other: 1  (digest cdcdcdcdcdcd…)
"""
    )
    lines = report("--ledger", ledger, *stretch, "--format", "csv", "--bin", "1d").stdout.splitlines()
    assert lines[:6] == [
        "# accounting: seen 7 = counted 5 + rejected 1 + waiting 1 + dropped 0; duplicates 2",
        '# rejects: {"truncated": 1}',
        f"# stretch: {words}; accounting and rejects are of the whole ledger",
        f"# bundle: tiny-3 {tiny.digest} counted 2",
        f"# bundle: other {'cd' * 32} counted 1",
        '# total: {"chain": 0, "sphere": 0, "jelly": 3, "worm": 0, "unclassified": 0}',
    ]
    assert [line.split(",")[2:4] for line in lines[7:]] == [
        ["chain", "0"],
        ["sphere", "0"],
        ["jelly", "3"],
        ["worm", "0"],
        ["unclassified", "0"],
    ]
    told = json.loads(report("--ledger", ledger, *stretch, "--format", "json").stdout)
    assert (told["from"], told["to"]) == ("2026-11-25T10:30:00Z", "2026-11-25T12:35:00Z")
    assert (told["totals"]["jelly"], told["accounting"]["counted"]) == (3, 5)


def test_a_stretch_may_be_open_at_one_end_and_a_day_begins_at_midnight(ledger):
    def told(*stretch):
        told = json.loads(report("--ledger", ledger, "--format", "json", *stretch).stdout)
        return told["from"], told["to"], sum(told["totals"].values())

    assert told("--from", "2026-11-25T12:30") == ("2026-11-25T12:30:00Z", None, 2)
    assert told("--to", "2026-11-25T12:30") == (None, "2026-11-25T12:30:00Z", 3)
    assert told("--from", "2026-11-25", "--to", "2026-11-26")[2] == 5
    assert told("--to", "2026-11-25")[2] == 0
    assert told("--from", "0001-01-01", "--to", "9999-12-31")[2] == 5  # further than SQLite's times reach


def test_a_stretch_without_counts_is_told_apart_from_a_ledger_without(ledger):
    lines = report("--ledger", ledger, "--to", "2026-11-25").stdout.splitlines()
    assert lines[:5] == [
        "Images captured before 2026-11-25T00:00:00Z",
        "",
        "None of them has been counted.",
        "in the whole ledger:",
        "seen 7 = counted 5 + rejected 1 + waiting 1 + dropped 0",
    ]


@pytest.mark.parametrize(
    ("stretch", "refusal"),
    [
        (
            ("--from", "2026-11-26", "--to", "2026-11-25"),
            "--from 2026-11-26 is not before --to 2026-11-25; give a later --to",
        ),
        (
            ("--from", "2026-11-25", "--to", "2026-11-25T00:00Z"),
            "--from 2026-11-25 is not before --to 2026-11-25T00:00Z; give a later --to",
        ),
        (
            ("--to", "noon"),
            "'noon' is not a time; examples: 2026-11-23, 2026-11-23T12:30, 2026-11-23T12:30:05Z",
        ),
    ],
)
def test_a_stretch_that_cannot_be_meant_is_refused_before_the_ledger_is_looked_for(tmp_path, stretch, refusal):
    done = report("--ledger", tmp_path / "none", *stretch)
    assert (done.exit_code, done.stdout) == (2, "")
    assert done.stderr == f"planktow-edge: {refusal}\n"


def test_bins_of_less_than_a_minute_show_their_seconds(ledger):
    lines = report("--ledger", ledger, "--bin", "30s").stdout.splitlines()
    assert [line.split()[1] for line in lines if line.startswith("  2026")] == [
        "10:00:00",
        "10:59:30",
        "12:00:00",
        "12:30:00",
        "12:40:00",
    ]


def test_a_table_with_many_long_labels_stays_within_100_columns(tmp_path, tiny):
    path = tmp_path / "ledger.sqlite"
    labels = tuple(f"siphonophore_calycophoran_sphaeronectes_{number:03d}" for number in range(121))
    fill(path, other_bundle(tiny, labels), counted=[("10:00:00", number) for number in range(121)])
    lines = report("--ledger", path).stdout.splitlines()
    assert max(map(len, lines)) <= 100
    assert any("120 others" in line for line in lines)
    assert any(
        line.split()[:2] == ["2026-11-25", "10:00"] and line.split()[-3:] == ["1", "120", "121"] for line in lines
    )


def test_an_empty_ledger_says_that_nothing_was_counted(tmp_path):
    path = tmp_path / "ledger.sqlite"
    with open_ledger(path):
        pass
    assert (
        report("--ledger", path).stdout
        == """\
Nothing has been counted yet.
seen 0 = counted 0 + rejected 0 + waiting 0 + dropped 0
duplicates, counted once: 0
"""
    )
    assert (
        report("--ledger", path, "--format", "csv").stdout
        == """\
# accounting: seen 0 = counted 0 + rejected 0 + waiting 0 + dropped 0; duplicates 0
# rejects: {}
# total: {}
bin_start,bin_end,label,count,bundles,dropped,raised_count,raised_sd
"""
    )
    assert json.loads(report("--ledger", path, "--format", "json").stdout)["bins"] == []


@pytest.mark.parametrize("form", ["csv", "json", "table"])
def test_out_takes_what_would_have_been_printed(ledger, tmp_path, form):
    out = tmp_path / "report"
    printed = report("--ledger", ledger, "--format", form).stdout
    done = report("--ledger", ledger, "--format", form, "--out", out)
    assert (done.exit_code, done.stdout, out.read_text()) == (0, "", printed)


def test_out_in_a_missing_folder_is_refused_in_one_line(ledger, tmp_path):
    out = tmp_path / "missing" / "report.csv"
    done = report("--ledger", ledger, "--out", out)
    assert (done.exit_code, done.stdout) == (2, "")
    assert done.stderr == f"planktow-edge: {out}: cannot be written (No such file or directory); check the folder\n"
    assert not out.parent.exists()


def test_a_missing_ledger_is_refused_and_not_made(tmp_path):
    path = tmp_path / "ledger.sqlite"
    done = report("--ledger", path)
    assert done.exit_code == 2
    assert done.stderr == f"planktow-edge: {path}: no such ledger; give the file that `planktow-edge run` writes\n"
    assert list(tmp_path.iterdir()) == []


def test_a_file_that_is_no_ledger_is_refused_and_left_alone(tmp_path):
    path = tmp_path / "notes.txt"
    path.write_text("station 7\n" * 100)
    done = report("--ledger", path)
    assert done.exit_code == 2
    assert done.stderr == (
        f"planktow-edge: {path}: no ledger, or damaged (file is not a database); give another file, "
        f"or run: planktow-edge repair --ledger {path}\n"
    )
    assert path.read_text() == "station 7\n" * 100


def test_a_bad_width_is_refused_before_the_ledger_is_looked_for(tmp_path):
    done = report("--ledger", tmp_path / "none", "--bin", "hourly")
    assert done.exit_code == 2
    assert done.stderr == (
        "planktow-edge: 'hourly' is not a bin width: a whole number and a unit (s, m, h or d), from 1s to 366d; "
        "examples: 30s, 10m, 1h, 1d\n"
    )


def test_an_unknown_format_is_refused(ledger):
    done = report("--ledger", ledger, "--format", "xlsx")
    assert done.exit_code == 2
    assert "'xlsx'" in done.stderr


def test_a_report_does_not_change_the_ledger(ledger):
    before = ledger.read_bytes()
    report("--ledger", ledger)
    assert ledger.read_bytes() == before
