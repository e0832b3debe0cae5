"""What was sampled, and how many organisms a cubic metre held."""

import math
import sqlite3
from dataclasses import replace

import numpy as np
import pytest

from bundle.errors import BadConfig
from edge.estimates.estimate import Estimate
from edge.survey.conditions import read_conditions
from edge.survey.ratio import widened
from edge.survey.sampledtime import SampledTime
from edge.survey.volume import Concentration, Sampled, Volume, concentration, sampled
from tests.edge.filled import SECOND, TEN, at, fill

DAY = 86400 * SECOND
HOUR = [(at("10:00:00"), at("11:00:00"))]


RAW = Estimate(raw=50, raised=50.0, raw_low=37.0, raw_high=66.0, corrected=None, low=None, high=None)
CORRECTED = replace(RAW, corrected=40.0, low=20.0, high=70.0)


@pytest.fixture
def ledger(tmp_path, tiny):
    """A function that fills a ledger with images at these clock times and opens it."""
    opened = []

    def make(counted=(), **others):
        fill(tmp_path / "l.sqlite", tiny, [(clock, 0) for clock in counted], **others)
        opened.append(sqlite3.connect(tmp_path / "l.sqlite"))
        return opened[-1]

    yield make
    for connection in opened:
        connection.close()


def every(seconds, first, last):
    """Clock times from first to last, both inside."""
    start, stop = ((at(clock) - TEN) // SECOND for clock in (first, last))
    for moment in range(start, stop + 1, seconds):
        yield f"{10 + moment // 3600:02}:{moment // 60 % 60:02}:{moment % 60:02}"


FLOW = Volume(litres_per_second=2.0)


def test_time_between_images_is_sampled_and_a_mean_step_at_each_end_of_a_run(ledger):
    connection = ledger(every(10, "10:00:10", "10:09:50"))
    (all_of_it,) = sampled(connection, HOUR, FLOW)
    assert all_of_it == Sampled(600.0, 1200.0, 0.0)


def test_a_stretch_inside_a_run_is_sampled_whole_and_stretches_add_up_to_the_whole(ledger):
    connection = ledger(every(7, "10:00:00", "10:30:01"))
    assert sampled(connection, [(at("10:10:00"), at("10:11:00"))], FLOW)[0].seconds == pytest.approx(60)
    bins = [(TEN + n * 60 * SECOND, TEN + (n + 1) * 60 * SECOND) for n in range(-1, 61)]
    parts = sampled(connection, bins, FLOW)
    (whole,) = sampled(connection, [(TEN - 60 * SECOND, at("11:01:00"))], FLOW)
    assert sum(part.seconds for part in parts) == pytest.approx(whole.seconds)
    assert whole.seconds == pytest.approx(1799 + 14)


def test_a_pause_longer_than_the_gap_is_not_sampled_and_one_as_long_is(ledger):
    before, after = every(10, "10:01:00", "10:05:00"), every(20, "10:06:01", "10:09:01")
    connection = ledger([*before, *after])
    assert sampled(connection, HOUR, FLOW)[0].seconds == pytest.approx(10 + 240 + 10 + 20 + 180 + 20)
    longer = Volume(litres_per_second=2.0, max_gap_seconds=61)
    mean_step = 481 / 34
    assert sampled(connection, HOUR, longer)[0].seconds == pytest.approx(481 + 2 * mean_step)


def test_two_runs_never_reach_over_the_middle_of_the_gap_between_them(ledger):
    connection = ledger(["10:01:00", "10:02:00", "10:03:01", "10:04:01"])
    assert sampled(connection, HOUR, FLOW)[0].seconds == pytest.approx(60 + 181 + 60)
    first, second = [(at("10:02:00"), at("10:02:30")), (at("10:02:31"), at("10:03:01"))]
    assert [part.seconds for part in sampled(connection, [first, second], FLOW)] == pytest.approx([30, 30])


def test_of_organisms_that_come_at_random_the_sampled_time_is_on_average_that_of_the_camera():
    random, seconds, organisms = np.random.default_rng(5), [], []
    for _ in range(3000):
        times = np.sort(random.integers(0, 200 * SECOND, random.poisson(12)))
        if len(times) > 1:
            time = SampledTime(times, np.zeros(len(times), np.int8), 1000 * SECOND, -DAY, DAY)
            seconds.append(time.within(np.array([[-DAY, DAY]]), time.steps)[0])
            organisms.append(len(times))
    assert np.mean(seconds) == pytest.approx(200, rel=0.01)
    assert np.sum(organisms) / np.sum(seconds) == pytest.approx(12 / 200, rel=0.02)


def test_an_image_alone_tells_of_no_time_and_no_image_of_none(ledger):
    connection = ledger(["10:00:00", "10:30:00"])
    assert sampled(connection, [*HOUR, (0, 1)], FLOW) == (Sampled(0.0, 0.0, 0.0), Sampled(0.0, 0.0, 0.0))
    assert sampled(connection, [], FLOW) == ()


def test_the_time_between_two_images_set_aside_is_taken_out_unless_the_rule_is_for_single_images(ledger):
    clocks = list(every(10, "10:00:00", "10:10:00"))
    aside = [(clock, 0, "in port") for clock in clocks[20:40]]
    connection = ledger(clocks[:20] + clocks[40:], aside=aside)
    assert sampled(connection, HOUR, FLOW)[0].seconds == pytest.approx(610 - 190)
    kept = Volume(litres_per_second=2.0, image_rules=("in port",))
    assert sampled(connection, HOUR, kept)[0].seconds == pytest.approx(610)


def test_dropped_images_show_that_the_camera_ran_since_counts_are_raised_for_them(ledger):
    clocks = list(every(50, "10:00:00", "10:50:00"))
    connection = ledger(clocks[::3], dropped=[clock for n, clock in enumerate(clocks) if n % 3])
    assert sampled(connection, HOUR, FLOW)[0].seconds == pytest.approx(3050)


def test_litres_of_each_image_count_those_that_were_offered_and_not_set_aside(ledger):
    connection = ledger(
        ["10:00:00", "10:20:00"], dropped=["10:30:00"], aside=[("10:40:00", 0, "blurred")], rejected=["corrupt"]
    )
    per_image = Volume(litres_per_image=0.5, relative_sd=0.1)
    assert sampled(connection, HOUR, per_image) == (Sampled(0.0, 1.5, 0.1),)


def test_an_aperture_is_towed_at_the_speed_given_or_at_that_of_the_logs(ledger, tmp_path):
    connection = ledger(every(10, "10:00:00", "10:20:00"))
    given = Volume(aperture_square_metres=0.01, speed_metres_per_second=2.5)
    assert sampled(connection, HOUR, given)[0].litres == pytest.approx(1210 * 2.5 * 10)
    log = tmp_path / "log.csv"
    log.write_text("time,speed [kn]\n2026-11-25T09:59:00Z,4\n2026-11-25T10:25:00Z,4\n")
    logged = Volume(aperture_square_metres=0.01)
    conditions = read_conditions([log], 3600)
    assert sampled(connection, HOUR, logged, conditions)[0].litres == pytest.approx(1210 * 4 * 1852 / 3600 * 10)


def test_a_speed_over_ground_comes_from_the_positions_where_none_was_logged(ledger, tmp_path):
    connection = ledger(every(10, "10:00:00", "10:20:00"))
    track = tmp_path / "track.csv"
    rows = [
        f"2026-11-25T10:{minute:02}:00Z,{minute / 60 * 3 / 60},179.9" for minute in range(30)
    ]  # 3 knots to the north
    track.write_text("\n".join(["time,latitude,longitude", *rows]) + "\n")
    conditions = read_conditions([track], 300)
    litres = sampled(connection, HOUR, Volume(aperture_square_metres=0.01), conditions)[0].litres
    assert litres == pytest.approx(1210 * 3 * 1852 / 3600 * 10, rel=0.003)


def test_the_volume_is_not_known_where_the_speed_is_unknown_for_more_than_a_tenth(ledger, tmp_path):
    connection = ledger(every(10, "10:00:00", "10:20:00"))
    log = tmp_path / "log.csv"
    log.write_text("time,speed [m/s]\n2026-11-25T10:00:00Z,2\n2026-11-25T10:18:30Z,2\n")
    conditions = read_conditions([log], 1111)
    volume = Volume(aperture_square_metres=0.01)
    few, many, none = [(at(first), at("10:19:00")) for first in ("10:00:00", "10:17:00", "10:18:00")]
    log.write_text("time,speed [m/s]\n2026-11-25T10:00:00Z,2\n2026-11-25T10:08:00Z,2\n")
    short = read_conditions([log], 500)  # known until 10:16:20
    known, unknown, later = sampled(
        connection,
        [(TEN, at("10:17:00")), (at("10:15:00"), at("10:17:00")), (at("10:18:00"), at("10:19:00"))],
        volume,
        short,
    )
    assert known.litres == pytest.approx(1030 * 2 * 10, rel=0.01)
    assert (unknown.litres, later.litres) == (None, None)
    assert later.seconds == pytest.approx(60)
    assert all(each.litres is not None for each in sampled(connection, [few, many, none], volume, conditions))


def test_without_a_volume_there_are_seconds_and_no_litres(ledger):
    connection = ledger(every(10, "10:00:00", "10:01:00"))
    assert sampled(connection, HOUR, None) == (Sampled(70.0, None, 0.0),)


@pytest.mark.parametrize(
    ("settings", "fault"),
    [
        ({}, "give exactly one of litres_per_image, litres_per_second, aperture_square_metres; found none"),
        ({"litres_per_image": 1.0, "litres_per_second": 1.0}, "found litres_per_image and litres_per_second"),
        ({"litres_per_second": -1.0}, "litres_per_second must be from 1e-09 to 1e"),
        ({"litres_per_second": 0.0}, "litres_per_second must be from"),
        ({"litres_per_second": math.nan}, "litres_per_second must be from"),
        ({"litres_per_second": 1.0, "speed_metres_per_second": 1.0}, "means nothing without aperture_square_metres"),
        ({"aperture_square_metres": 1.0, "speed_metres_per_second": -2.0}, "speed_metres_per_second must be from"),
        ({"litres_per_second": 1.0, "relative_sd": 1.5}, "relative_sd must be from 0 to 1"),
    ],
)
def test_a_volume_that_cannot_be_is_refused(settings, fault):
    with pytest.raises(BadConfig) as refused:
        Volume(**settings)
    assert fault in str(refused.value)


def test_an_aperture_without_any_speed_is_refused(ledger, tmp_path):
    log = tmp_path / "log.csv"
    log.write_text("time,speed\n2026-11-25T10:00:00Z,2\n")  # of no unit: knots, or metres per second?
    for conditions in (None, read_conditions([log], 300)):
        with pytest.raises(BadConfig, match="no speed is known; give speed_metres_per_second"):
            sampled(ledger(), HOUR, Volume(aperture_square_metres=0.01), conditions)


def test_a_concentration_is_the_corrected_count_over_the_volume_and_else_the_raised_one():
    water = Sampled(100.0, 500.0, 0.0)
    assert concentration(RAW, water) == Concentration(100.0, 74.0, 132.0, False)
    assert concentration(CORRECTED, water) == Concentration(80.0, 40.0, 140.0, True)
    assert concentration(CORRECTED, water).per_litre() == Concentration(0.08, 0.04, 0.14, True)
    bare = replace(RAW, raw_low=None, raw_high=None)
    assert concentration(bare, water) == Concentration(100.0, None, None, False)


@pytest.mark.parametrize("water", [Sampled(0.0, 0.0, 0.1), Sampled(60.0, None, 0.1)])
def test_no_water_or_an_unknown_volume_gives_no_concentration(water):
    assert concentration(RAW, water) is None
    assert concentration(replace(RAW, raised=None), Sampled(60.0, 100.0, 0.1)) is None


def test_an_uncertain_volume_widens_the_interval_to_both_sides_and_more_the_more_uncertain():
    bounds = [widened(50.0, 37.0, 66.0, share) for share in (0.0, 0.1, 0.3)]
    lows, highs = zip(*bounds, strict=True)
    assert lows[0] == 37.0 > lows[1] > lows[2] > 0
    assert highs[0] == 66.0 < highs[1] < highs[2]
    assert widened(50.0, 0.0, 66.0, 0.1)[0] == 0.0
    assert widened(50.0, None, None, 0.1) == (None, None)


def test_of_none_found_the_upper_bound_grows_by_what_a_gamma_volume_asks_for():
    low, high = widened(0.0, 0.0, 3.689, 0.3)
    assert low == 0.0
    volumes = np.random.default_rng(1).gamma(1 / 0.09, 0.09, 400_000)
    assert np.exp(-high * volumes).mean() == pytest.approx(math.exp(-3.689), rel=0.02)


def test_the_interval_of_a_concentration_covers_the_truth_as_often_as_it_says():
    garwood = list(_garwood(61))  # 95 % bounds of a Poisson mean (Garwood 1936, Biometrika 28: 437)
    random = np.random.default_rng(3)
    for mean, share in ((10, 0.1), (30, 0.2)):
        counts = random.poisson(mean, 4000).clip(0, 60)
        volumes = np.exp(random.normal(0, math.sqrt(math.log1p(share**2)), 4000))  # measured over true
        covered = 0
        for count, volume in zip(counts.tolist(), volumes.tolist(), strict=True):
            low, high = widened(count, *garwood[count], share)
            covered += low / volume <= mean <= high / volume
        assert 0.94 < covered / 4000 < 0.985


def _garwood(most):
    """By bisection on the Poisson distribution: no SciPy here."""

    def at_most(count, mean):
        return sum(math.exp(k * math.log(mean) - mean - math.lgamma(k + 1)) for k in range(count + 1))

    def solve(holds, low, high):
        for _ in range(60):
            middle = (low + high) / 2
            low, high = (middle, high) if holds(middle) else (low, middle)
        return low

    for count in range(most):
        below = solve(lambda mean, count=count: 1 - at_most(count - 1, mean) < 0.025, 1e-9, 200) if count else 0.0
        yield below, solve(lambda mean, count=count: at_most(count, mean) > 0.025, 1e-9, 200)
