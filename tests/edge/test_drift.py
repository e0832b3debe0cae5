"""Drift: images of real ledgers against the tiny bundle's reference, all measured and classified for real."""

import csv
import io
import json
from contextlib import closing

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as some
from typer.testing import CliRunner

from bundle.folder import open_bundle
from bundle.reference import BALLOTS, MEASURES, REFERENCE, VOTED, Reference, histogram, read_reference
from edge.cli import app
from edge.drift.drifts import read_drifts
from edge.drift.judge import FACTOR, TOLERANCE, judge, limit
from edge.drift.read import DAY_NS, tally_bins
from edge.drift.tally import Seen, Tally
from edge.drift.words import sentence
from edge.ledger.ledger import open_ledger
from edge.ledger.ledgerfile import open_ledger_readonly

from .drifting import DAY, SECOND, count_images, drawn, mixed, with_reference
from .filled import TEN, fill, other_bundle

MANY = 300  # images


@pytest.fixture(scope="module")
def validated(tmp_path_factory):
    """The tiny bundle, validated on 300 images of each kind."""
    return with_reference(tmp_path_factory.mktemp("bundle") / "tiny-3", mixed(3 * MANY))


@pytest.fixture
def ledger(tmp_path):
    return tmp_path / "ledger.sqlite"


def drifts(ledger, validated, **asked):
    with closing(open_ledger_readonly(ledger)) as connection:
        return read_drifts(connection, DAY_NS, bundle=validated, **asked)


def only(ledger, validated):
    (row,) = drifts(ledger, validated).rows
    return row.drift


def invoke(*arguments):
    return CliRunner().invoke(app, ["drift", *map(str, arguments)])


def blurred(grey):
    return cv2.GaussianBlur(grey, (0, 0), 1.5)


def darker(grey):
    return np.rint(grey * 0.7).astype(np.uint8)


def test_a_day_like_validation_is_no_warning(ledger, validated):
    count_images(ledger, open_bundle(validated), drawn(mixed(MANY), seed=2))
    drift = only(ledger, validated)
    assert (drift.state, drift.images, drift.compared, drift.beyond) == ("as validated", MANY, MANY, ())
    assert drift.worth == pytest.approx(3 * MANY)
    assert drift.species < 0.01
    assert [each.name for each in drift.shifts] == [*VOTED, *MEASURES]


def test_other_species_alone_are_told_and_are_no_warning(ledger, validated):
    """They are larger and darker, and yet each looks as it did."""
    count_images(ledger, open_bundle(validated), drawn(["jelly"] * MANY, seed=2))
    drift = only(ledger, validated)
    assert (drift.state, drift.beyond) == ("other species", ())
    assert drift.species == pytest.approx(2 / 3)
    assert drift.worth == pytest.approx(MANY)


@pytest.mark.parametrize(
    ("alter", "seen", "lower"), [(blurred, "sharpness", True), (darker, "mean_grey", True)], ids=["blurred", "darker"]
)
@pytest.mark.parametrize("kinds", [mixed(MANY), ["jelly"] * MANY], ids=["all species", "one species"])
def test_other_looks_are_a_warning_that_names_what_differs(ledger, validated, kinds, alter, seen, lower):
    count_images(ledger, open_bundle(validated), drawn(kinds, seed=2), alter=alter)
    drift = only(ledger, validated)
    assert drift.state == "other looks"
    assert (seen, lower) in [(each.name, each.lower) for each in drift.beyond]
    found = next(each for each in drift.beyond if each.name == seen)
    assert found.distance > 0.9
    assert found.divergence > 0.9
    assert found.distance == pytest.approx(found.below - found.expected_below)


def test_few_images_are_too_few_to_say(ledger, validated):
    count_images(ledger, open_bundle(validated), drawn(mixed(40), seed=2), alter=blurred)
    drift = only(ledger, validated)
    assert (drift.state, drift.images) == ("too few", 40)
    assert "too few to say" in sentence(drift)


def test_images_of_labels_that_validation_never_gave_are_too_few_to_say_whatever_they_look_like(ledger, tmp_path):
    without = with_reference(tmp_path / "without", ["chain", "sphere"] * MANY)
    count_images(ledger, open_bundle(without), drawn(["jelly"] * MANY + ["chain"] * 100, seed=2))
    drift = only(ledger, without)
    assert (drift.state, drift.images, drift.compared) == ("too few", MANY + 100, 100)


def test_what_the_counts_leave_out_is_not_looked_at(ledger, validated):
    bundle = open_bundle(validated)
    count_images(ledger, bundle, drawn(mixed(MANY), seed=2))
    count_images(ledger, bundle, drawn(mixed(MANY), seed=3), alter=darker, aside="dark")
    drift = only(ledger, validated)
    assert (drift.state, drift.images) == ("as validated", MANY)


@pytest.mark.parametrize("all_ballots", [True, False])
def test_votes_are_compared_with_those_of_as_many_members_asked(ledger, validated, all_ballots):
    count_images(ledger, open_bundle(validated), drawn(mixed(MANY), seed=2), all_ballots=all_ballots)
    (row,) = drifts(ledger, validated).rows
    assert row.ballots == ("all" if all_ballots else "enough")
    assert row.drift.state == "as validated"


def test_days_and_the_bounds_asked_for_are_kept_to_the_nanosecond(ledger, validated):
    bundle = open_bundle(validated)
    midnight = TEN // DAY * DAY
    for day in range(3):
        count_images(ledger, bundle, drawn(mixed(60), seed=day), midnight + day * DAY, step_ns=DAY // 60)
    rows = drifts(ledger, validated).rows
    assert [(row.start_ns, row.end_ns, row.drift.images) for row in rows] == [
        (midnight + day * DAY, midnight + (day + 1) * DAY, 60) for day in range(3)
    ]
    first = midnight + DAY // 60
    cut = drifts(ledger, validated, from_ns=first, to_ns=midnight + DAY + 1).rows
    assert [row.drift.images for row in cut] == [59, 1]
    assert not drifts(ledger, validated, from_ns=first + 1, to_ns=first + 2).rows
    reference = read_reference(validated)
    with closing(open_ledger_readonly(ledger)) as connection:
        week = tally_bins(connection, reference, 1, 7 * DAY)
        minutes = tally_bins(connection, reference, 1, 24 * 60 * SECOND)
    assert sum(int(each.tally.labels.sum()) for each in week) == 180
    assert [int(each.tally.labels.sum()) for each in minutes] == [1] * 180
    whole = sum(each.tally.histogram("sharpness") for each in minutes)
    assert whole.tolist() == sum(each.tally.histogram("sharpness") for each in week).tolist()


def test_tows_are_told_by_name_and_one_without_an_image_is_not(ledger, validated, tmp_path):
    count_images(ledger, open_bundle(validated), drawn(mixed(MANY), seed=2))
    (tmp_path / "tows.csv").write_text(
        "name,start,end\n"
        "one,2026-11-25T10:00:00Z,2026-11-25T10:02:00Z\ntwo,2026-11-25T10:02:00Z,2026-11-25T11:00:00Z\n"
        "dry,2026-11-26T10:02:00Z,2026-11-26T11:00:00Z\n"
    )
    (tmp_path / "survey.toml").write_text(f'[tows]\nfile = "{tmp_path / "tows.csv"}"\n')
    arguments = ["--ledger", ledger, "--bundle", validated, "--bin", "tow", "--survey", tmp_path / "survey.toml"]
    told = invoke(*arguments, "--format", "json")
    assert told.exit_code == 0, told.output
    assert [(each["tow"], each["images"]) for each in json.loads(told.stdout)["stretches"]] == [
        ("one", 120),
        ("two", 180),
    ]
    assert "tows need tows" in invoke("--ledger", ledger, "--bundle", validated, "--bin", "tow").stderr


def test_a_bundle_without_a_reference_is_a_clear_message_and_no_error(ledger, tiny):
    fill(ledger, tiny, counted=[("10:00:00", 0)])
    told = invoke("--ledger", ledger, "--bundle", tiny.path)
    assert told.exit_code == 0
    assert "holds no reference.json" in " ".join(told.stdout.split())
    assert "planktow-quantize reference" in " ".join(told.stdout.split())
    unknown = invoke("--ledger", ledger)
    assert unknown.exit_code == 0
    assert "the bundle is not at hand; give its folder with --bundle" in " ".join(unknown.stdout.split())


def test_a_bundle_that_counted_nothing_here_is_refused_in_one_line(ledger, tiny, validated):
    fill(ledger, other_bundle(tiny, ("a", "b")), counted=[("10:00:00", 0)])
    told = invoke("--ledger", ledger, "--bundle", validated)
    assert (told.exit_code, told.stdout) == (2, "")
    assert "it has counted nothing in this ledger; give one of other cdcdcdcdcdcd" in told.stderr


def test_a_damaged_reference_is_refused_in_one_line(ledger, tmp_path):
    damaged = with_reference(tmp_path / "damaged", mixed(30))
    count_images(ledger, open_bundle(damaged), drawn(mixed(6)))
    (damaged / REFERENCE).write_bytes((damaged / REFERENCE).read_bytes()[:-40])
    told = invoke("--ledger", ledger, "--bundle", damaged)
    assert (told.exit_code, told.stdout) == (2, "")
    assert f"{damaged / REFERENCE}: damaged" in told.stderr
    assert "\n" not in told.stderr.strip()


def test_an_empty_ledger_says_so(ledger, validated):
    with open_ledger(ledger):
        pass
    told = invoke("--ledger", ledger, "--bundle", validated)
    assert (told.exit_code, told.stdout) == (0, "Nothing has been counted in that time.\n")


def test_the_command_warns_in_words_and_by_its_exit_code(ledger, validated):
    bundle = open_bundle(validated)
    count_images(ledger, bundle, drawn(mixed(MANY), seed=2))
    count_images(ledger, bundle, drawn(mixed(MANY), seed=3), TEN + DAY, alter=blurred)
    told = invoke("--ledger", ledger, "--bundle", validated)
    words = " ".join(told.stdout.split())
    assert told.exit_code == 1
    assert "2026-11-25 300 as in validation" in words
    assert "2026-11-26 300 WARNING: other looks sharpness lower (" in words
    assert "- sharpness lower: blurred: focus" in words
    quiet = invoke("--ledger", ledger, "--bundle", validated, "--to", "2026-11-26")
    assert quiet.exit_code == 0
    assert "WARNING" not in quiet.stdout


def test_csv_and_json_have_every_number(ledger, validated, tmp_path):
    count_images(ledger, open_bundle(validated), drawn(mixed(MANY), seed=2), alter=darker)
    drift = only(ledger, validated)
    out = tmp_path / "drift.csv"
    assert invoke("--ledger", ledger, "--bundle", validated, "--format", "csv", "--out", out).exit_code == 1
    rows = list(csv.DictReader(io.StringIO(out.read_text())))
    assert [(row["seen"], float(row["distance"])) for row in rows] == [
        (each.name, round(each.distance, 4)) for each in drift.shifts
    ]
    assert {(row["bin_start"], row["images"], row["state"]) for row in rows} == {
        ("2026-11-25T00:00:00Z", str(MANY), "other looks")
    }
    told = json.loads(invoke("--ledger", ledger, "--bundle", validated, "--format", "json").stdout)
    (one,) = told["stretches"]
    assert told["notes"] == []
    assert one["bundle"]["digest"] == open_bundle(validated).digest
    assert {name: each["beyond"] for name, each in one["seen"].items()} == {
        each.name: each.beyond for each in drift.shifts
    }


def made_up(random: np.random.Generator, images: int, labels: int) -> tuple[Reference, Seen]:
    """A reference of images that differ by label, and the same images as the ledger would tell of them."""
    label = random.integers(0, labels, images)
    numbers = random.normal(size=(images, len(MEASURES) + len(VOTED))) + label[:, None]
    columns = [histogram(column, label, labels) for column in numbers.T]
    voted = dict(zip(VOTED, columns, strict=False))
    measures = dict(zip(MEASURES, columns[len(VOTED) :], strict=True))
    reference = Reference("ab", tuple(map(str, range(labels))), (0, 1), measures, dict.fromkeys(BALLOTS, voted))
    ones = np.ones(images, np.int64)
    return reference, Seen(ones, label, ones, numbers[:, 0], numbers[:, 1], numbers[:, len(VOTED) :])


@given(some.integers(0, 2**32), some.lists(some.integers(0, 5), min_size=3, max_size=3).filter(any))
def test_whatever_the_composition_the_very_images_of_the_reference_are_at_no_distance(seed, times):
    """Each label's images come so often: the same species for species, in other proportions."""
    reference, seen = made_up(np.random.default_rng(seed), 60, 3)
    tally = Tally(reference)
    for label, often in enumerate(times):
        for _ in range(often):
            tally.add(seen.only(seen.label == label))
    drift = judge(tally)
    if drift.compared:
        assert max(each.distance for each in drift.shifts) < 1e-9
        assert drift.worth <= 60 + 1e-6
        assert drift.state != "other looks"


def test_the_limit_falls_with_images_on_both_sides_to_the_tolerance():
    assert limit(100, 100) == pytest.approx(TOLERANCE + FACTOR * 0.02**0.5)
    assert limit(10**9, 10**9) == pytest.approx(TOLERANCE, abs=1e-3)
    assert limit(0, 10) == limit(10, 0) == 1.0


def test_nothing_tallied_is_too_few_to_say():
    reference, _ = made_up(np.random.default_rng(1), 60, 3)
    assert judge(Tally(reference)).state == "too few"
