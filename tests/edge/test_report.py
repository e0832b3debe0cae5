"""`planktow-edge report`: its three formats asserted whole, and what it refuses."""

import csv
import io
import json
from collections import Counter
from contextlib import closing
from dataclasses import replace

import pytest
from typer.testing import CliRunner

from bundle.folder import write_bundle
from bundle.vote import NO_LABEL
from bundle.whole import sha256_hex
from edge.cli import app
from edge.ledger.ledger import open_ledger
from edge.ledger.ledgerfile import open_ledger_readonly
from edge.report import report_csv
from edge.reported import read_reported

from .filled import fill, other_bundle
from .images import TINY_BUNDLE, image_bytes, kind_of

SEVERAL = "There is no corrected count: 2 classifiers gave these verdicts. Choose one with --classifier."
GARWOOD = {0: (0.0, 3.68888), 1: (0.0253178, 5.57164), 2: (0.242209, 7.22469), 3: (0.618672, 8.76727)}  # 95 %, 1936


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


@pytest.fixture
def validated(tmp_path, tiny):
    """A ledger of thirty images in two hours, and the folder of the bundle that counted them, with validation data."""
    confusion = [[90, 5, 5, 0], [10, 80, 10, 0], [0, 10, 90, 0]]
    record = json.dumps({"labels": tiny.labels, "confusion": confusion}).encode()
    records = tuple(
        replace(each, sha256=sha256_hex(record)) if each.file == "validation.json" else each
        for each in tiny.manifest.records
    )
    contents = {**tiny.contents, "validation.json": record}
    bundle = write_bundle(tmp_path / "bundle", replace(tiny.manifest, records=records), contents)
    path = tmp_path / "ledger.sqlite"
    fill(path, bundle, counted=[(f"{10 + number % 2}:00:{number:02d}", number % 3) for number in range(30)])
    return path, bundle.path


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
# note: {SEVERAL}
bin_start,bin_end,label,count,bundles,dropped,raised_count,raised_sd,raw_low,raw_high,corrected,corrected_low,corrected_high,per_m3,per_m3_low,per_m3_high,tow
2026-11-25T10:00:00Z,2026-11-25T11:00:00Z,chain,1,{first},0,1,0,0.025,5.572,,,,,,,
2026-11-25T10:00:00Z,2026-11-25T11:00:00Z,sphere,0,{first},0,0,0,0,3.689,,,,,,,
2026-11-25T10:00:00Z,2026-11-25T11:00:00Z,jelly,1,{first},0,1,0,0.025,5.572,,,,,,,
2026-11-25T10:00:00Z,2026-11-25T11:00:00Z,unclassified,0,{first},0,0,0,0,3.689,,,,,,,
2026-11-25T12:00:00Z,2026-11-25T13:00:00Z,chain,0,{first} + {second},0,0,0,0,3.689,,,,,,,
2026-11-25T12:00:00Z,2026-11-25T13:00:00Z,sphere,0,{first} + {second},0,0,0,0,3.689,,,,,,,
2026-11-25T12:00:00Z,2026-11-25T13:00:00Z,jelly,2,{first} + {second},0,2,0,0.242,7.225,,,,,,,
2026-11-25T12:00:00Z,2026-11-25T13:00:00Z,worm,0,{first} + {second},0,0,0,0,3.689,,,,,,,
2026-11-25T12:00:00Z,2026-11-25T13:00:00Z,unclassified,1,{first} + {second},0,1,0,0.025,5.572,,,,,,,
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
        text = report_csv(read_reported(connection, 3600 * 10**9))
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
    found = {"chain": 1, "sphere": 0, "jelly": 3, "worm": 0, "unclassified": 1}
    plain = {
        label: {"raised": count, "raw_low": GARWOOD[count][0], "raw_high": GARWOOD[count][1]}
        for label, count in found.items()
    }
    assert json.loads(done.stdout) == {
        "accounting": {"seen": 7, "counted": 5, "rejected": 1, "waiting": 1, "dropped": 0, "duplicates": 2},
        "rejects": {"truncated": 1},
        "from": None,
        "to": None,
        "totals": {"chain": 1, "sphere": 0, "jelly": 3, "worm": 0, "unclassified": 1},
        "note": SEVERAL,
        "survey_notes": [],
        "estimates": plain,
        "sampled": None,
        "tows": [],
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
                "estimates": plain,
                "sampled": None,
                "tow": None,
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

  label              count   share          95 %
 ────────────────────────────────────────────────
  jelly                  3   60.0%    0.619–8.77
  chain                  1   20.0%   0.0253–5.57
  unclassified           1   20.0%   0.0253–5.57

labels not found: 2
{SEVERAL}

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

  label              count    share         95 %
 ────────────────────────────────────────────────
  jelly                  3   100.0%   0.619–8.77

labels not found: 3
{SEVERAL}

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
    assert [line.split(",")[2:4] for line in lines[8:]] == [
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
bin_start,bin_end,label,count,bundles,dropped,raised_count,raised_sd,raw_low,raw_high,corrected,corrected_low,corrected_high,per_m3,per_m3_low,per_m3_high,tow
"""
    )
    assert json.loads(report("--ledger", path, "--format", "json").stdout)["bins"] == []


def test_the_verdicts_of_one_of_several_classifiers_are_told_alone(ledger):
    told = json.loads(report("--ledger", ledger, "--format", "json", "--classifier", "cdcd").stdout)
    assert told["totals"] == {"jelly": 1, "worm": 0, "unclassified": 1}
    assert told["note"] == (
        "There is no corrected count: the bundle other cdcdcdcdcdcd that counted is not at hand; give its folder with "
        "--bundle."
    )


def test_a_bundle_for_verdicts_of_several_is_refused(ledger, tiny):
    done = report("--ledger", ledger, "--bundle", TINY_BUNDLE)
    assert (done.exit_code, done.stdout) == (2, "")
    assert done.stderr == (
        f"planktow-edge: 2 classifiers gave these verdicts (tiny-3 {tiny.digest[:12]}, other cdcdcdcdcdcd), and --bundle "
        "is of one; choose that one with --classifier\n"
    )


def test_a_bundle_with_validation_gives_corrected_counts_in_every_format(validated):
    ledger, bundle = validated
    told = json.loads(report("--ledger", ledger, "--bundle", bundle, "--format", "json").stdout)
    assert told["note"] is None
    chain = told["estimates"]["chain"]
    assert chain["corrected_low"] <= chain["corrected"] <= chain["corrected_high"]
    assert sum(each["corrected"] for each in told["estimates"].values()) == pytest.approx(30, rel=1e-4), (
        "all are something"
    )
    text = report("--ledger", ledger, "--bundle", bundle, "--format", "csv").stdout
    head = dict(line[2:].split(": ", 1) for line in text.splitlines() if line.startswith("#"))
    assert json.loads(head["corrected total"])["chain"] == pytest.approx(
        [chain["corrected"], chain["corrected_low"], chain["corrected_high"]], abs=1e-3
    )
    for row in csv.DictReader(line for line in text.splitlines() if not line.startswith("#")):
        assert float(row["corrected_low"]) <= float(row["corrected"]) <= float(row["corrected_high"])
        assert (row["per_m3"], row["tow"]) == ("", "")
    assert "corrected" in report("--ledger", ledger, "--bundle", bundle).stdout


def test_a_survey_gives_concentrations_and_tows(validated, tmp_path):
    ledger, bundle = validated
    survey = tmp_path / "survey.toml"
    survey.write_text("[volume]\nlitres_per_image = 2.0\n\n[tows]\nfile = 'tows.csv'\n")
    (tmp_path / "tows.csv").write_text("name,start,end\nnorth,2026-11-25T09:00Z,2026-11-25T11:00Z\n")
    given = ("--ledger", ledger, "--bundle", bundle, "--survey", survey)
    told = json.loads(report(*given, "--format", "json").stdout)
    chain = told["estimates"]["chain"]
    assert told["sampled"]["litres"] == 60, "30 images"
    assert chain["per_m3"] == pytest.approx(chain["corrected"] / 0.06, rel=1e-5)
    for end in ("", "_low", "_high"):
        assert chain[f"per_litre{end}"] == pytest.approx(chain[f"per_m3{end}"] / 1000, rel=1e-5)
    assert [each["name"] for each in told["tows"]] == ["north"]
    text = report(*given, "--format", "csv").stdout
    rows = list(csv.DictReader(line for line in text.splitlines() if not line.startswith("#")))
    assert {(row["bin_start"][11:13], row["tow"]) for row in rows} == {("10", "north"), ("11", "")}
    assert all(row["per_m3"] for row in rows)
    assert "per m³" in report(*given).stdout


def test_the_bins_may_be_tows_and_the_totals_are_of_all_the_same(validated, tmp_path):
    ledger, bundle = validated
    survey = tmp_path / "survey.toml"
    survey.write_text("[volume]\nlitres_per_image = 2.0\n\n[tows]\nfile = 'tows.csv'\n")
    (tmp_path / "tows.csv").write_text(
        "name,start,end\nnone,2026-11-25T08:00Z,2026-11-25T09:00Z\n"
        "a # b,2026-11-25T10:00:00Z,2026-11-25T10:00:10Z\nsouth,2026-11-25T10:00:10Z,2026-11-25T10:30Z\n"
    )
    given = ("--ledger", ledger, "--bundle", bundle, "--survey", survey, "--bin", "tow")
    told = json.loads(report(*given, "--format", "json").stdout)
    # Every second image is of ten o'clock: 0, 2 … 8 in the first tow, 10, 12 … 28 in the second, the others in none.
    assert [(each["tow"], sum(each["counts"].values()), each["sampled"]["litres"]) for each in told["bins"]] == [
        ("a # b", 5, 10),
        ("south", 10, 20),
    ]
    assert sum(told["totals"].values()) == 30
    assert sum(each["raised"] for each in told["estimates"].values()) == 30
    rows = list(
        csv.DictReader(
            line for line in report(*given, "--format", "csv").stdout.splitlines() if not line.startswith("#")
        )
    )
    assert [(row["tow"], row["label"], row["count"]) for row in rows if row["label"] == "chain"] == [
        ("a # b", "chain", "2"),
        ("south", "chain", "3"),
    ]
    shown = [line.split() for line in report(*given).stdout.splitlines()]
    assert ["By", "tow"] in shown
    assert "south" in {line[0] for line in shown if line}


def test_bins_of_tows_without_tows_are_refused(ledger):
    done = report("--ledger", ledger, "--bin", "tow")
    assert done.exit_code == 2
    assert done.stderr == "planktow-edge: bins of tows need tows; give a --survey with a table [tows]\n"


def test_samples_are_for_the_page_alone(ledger, tmp_path):
    done = report("--ledger", ledger, "--images", tmp_path)
    assert (done.exit_code, done.stderr) == (2, "planktow-edge: --images is for --format html; leave it out\n")


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
