"""Rules that set images and stretches aside: what is measured, what is refused, and whom the rules take."""

import dataclasses
from itertools import pairwise
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as some

from bundle.errors import BadConfig, BadImage
from bundle.measures import Measures, measure
from bundle.preprocess import decode
from bundle.settings import read_settings
from edge.quality.aside import Stretch, judge_image, judge_windows, stretches, window_starts
from edge.quality.quality import OWN_REASONS, ImageRule, QualitySettings, TrackRule, WindowRule
from edge.track.track import Circle, TrackSettings

from .images import FORMATS, KINDS, image_bytes, kind_of, png_header_of, render

SECOND = 1_000_000_000
PLAIN = Measures(
    width=100, height=80, sharpness=500.0, dark_share=0.1, bright_share=0.1, ink_share=0.4, mean_grey=120.0
)


def blurred(image: np.ndarray, pixels: float) -> np.ndarray:
    return cv2.GaussianBlur(image, (0, 0), pixels)


# What is measured


@pytest.mark.parametrize("shape", [(1, 1), (1, 7), (7, 1), (80, 100), (3000, 700), (2, 1_100_000)])
def test_the_measures_are_those_of_their_definitions_at_any_shape(shape):
    grey = np.random.default_rng(7).integers(0, 256, shape, dtype=np.uint8)
    ring = np.concatenate((grey[0], grey[-1], grey[:, 0], grey[:, -1]))
    median = int(np.sort(ring)[(len(ring) - 1) // 2])
    expected = Measures(
        width=shape[1],
        height=shape[0],
        sharpness=pytest.approx(cv2.Laplacian(grey, cv2.CV_64F).var(), rel=1e-9, abs=1e-6),
        dark_share=pytest.approx((grey <= 2).mean()),
        bright_share=pytest.approx((grey >= 253).mean()),
        ink_share=pytest.approx((np.abs(grey.astype(int) - median) >= 26).mean()),
        mean_grey=pytest.approx(grey.mean()),
    )
    assert measure(grey) == expected


@pytest.mark.parametrize("background", [0, 25, 26, 229, 230, 255])
def test_ink_is_counted_in_both_directions_up_to_the_ends_of_the_grey_scale(background):
    grey = np.full((18, 258), background, np.uint8)
    grey[1, 1:257] = np.arange(256)  # inside, so that the border stays as it is
    ink = sum(abs(level - background) >= 26 for level in range(256))
    assert measure(grey).ink_share == pytest.approx(ink / grey.size)


def test_the_sharpest_possible_frame_does_not_overflow():
    checkerboard = (np.indices((3000, 3000)).sum(axis=0) % 2 * 255).astype(np.uint8)
    assert measure(checkerboard).sharpness == pytest.approx(1020.0**2)


@pytest.mark.parametrize("kind", KINDS)
def test_the_same_image_in_every_lossless_format_has_the_same_measures(kind):
    expected = measure(render(kind))
    for suffix in FORMATS:
        found = measure(decode(image_bytes(kind, suffix=suffix)))
        if suffix == ".jpg":
            assert (found.width, found.height) == (expected.width, expected.height)
            assert found.ink_share == pytest.approx(expected.ink_share, abs=0.05)
        else:
            assert found == expected


@pytest.mark.parametrize("kind", KINDS)
def test_more_blur_is_always_less_sharpness(kind):
    sharpness = [measure(render(kind)).sharpness]
    sharpness += [measure(blurred(render(kind), pixels)).sharpness for pixels in (0.5, 1, 2, 4)]
    assert sharpness == sorted(sharpness, reverse=True)
    assert sharpness[0] > 4 * sharpness[2]


def test_noise_alone_has_the_sharpness_that_the_documentation_gives():
    noise = np.random.default_rng(1).normal(128, 3, (500, 500)).round().astype(np.uint8)
    assert measure(noise).sharpness == pytest.approx(20 * (3**2 + 1 / 12), rel=0.05)  # 1/12: the rounding's own


def test_an_image_and_its_negative_have_the_same_sharpness_and_ink():
    for number in range(9):
        image = render(kind_of(number), seed=number)
        here, there = measure(image), measure(255 - image)
        assert there.sharpness == pytest.approx(here.sharpness)
        assert there.ink_share == pytest.approx(here.ink_share, abs=0.02)  # the median of an even ring is the lower
        assert (there.dark_share, there.bright_share) == (here.bright_share, here.dark_share)


# Rules on one image


RULES = (
    ImageRule("too small", min_long_side_pixels=50),
    ImageRule("nothing in it", min_ink_share=0.02),
    ImageRule("saturated", max_bright_share=0.2, max_dark_share=0.2),
    ImageRule("blurred", min_sharpness=300),
)


def judged(image: np.ndarray) -> str | None:
    return judge_image(RULES, measure(image), image.nbytes)


@pytest.mark.parametrize("kind", ["chain", "jelly"])
def test_good_images_stay_and_their_blurred_empty_and_saturated_kin_are_set_aside(kind):
    good = render(kind)
    empty = np.clip(np.random.default_rng(1).normal(230, 3, good.shape), 0, 255).astype(np.uint8)
    overexposed = np.minimum(good.astype(int) + 60, 255).astype(np.uint8)
    underexposed = np.maximum(good.astype(int) - 100, 0).astype(np.uint8)
    assert [judged(image) for image in (good, blurred(good, 2), empty, overexposed, underexposed)] == [
        None,
        "blurred",
        "nothing in it",
        "saturated",
        "saturated",
    ]


def test_the_first_rule_that_acts_gives_the_name():
    small_and_blurred = blurred(render("sphere"), 3)
    assert judged(small_and_blurred) == "too small"
    assert judge_image(RULES[::-1], measure(small_and_blurred), 100) == "blurred"


def test_no_rules_set_nothing_aside():
    assert judge_image((), PLAIN, 0) is None


# Of each bound: the value of PLAIN, which is inside, and one beyond it.
BOUNDS = {
    "min_long_side_pixels": (100, 101),
    "max_long_side_pixels": (100, 99),
    "min_short_side_pixels": (80, 81),
    "min_sharpness": (500.0, 500.1),
    "min_ink_share": (0.4, 0.41),
    "max_ink_share": (0.4, 0.39),
    "max_bright_share": (0.1, 0.09),
    "max_dark_share": (0.1, 0.09),
    "min_mean_grey": (120.0, 120.1),
    "max_mean_grey": (120.0, 119.9),
    "min_bytes": (5000, 5001),
    "max_bytes": (5000, 4999),
}


def test_every_bound_of_a_rule_is_in_the_table_of_this_test():
    assert {"name", *BOUNDS} == {bound.name for bound in dataclasses.fields(ImageRule)}


@pytest.mark.parametrize("bound", BOUNDS)
def test_a_value_at_a_bound_stays_and_one_beyond_is_set_aside(bound):
    inside, beyond = BOUNDS[bound]
    assert judge_image([ImageRule("rule", **{bound: inside})], PLAIN, 5000) is None
    assert judge_image([ImageRule("rule", **{bound: beyond})], PLAIN, 5000) == "rule"


# Rules on windows of time

BUBBLES = WindowRule("bubbles", labels=("bubble",), max_share=0.5, window_seconds=60, min_images=4)


def test_a_window_goes_when_the_share_is_above_the_most_and_stays_when_it_is_equal():
    verdicts = [(0, "bubble", 2), (59 * SECOND, "copepod", 2), (60 * SECOND, "bubble", 3), (61 * SECOND, "copepod", 2)]
    assert judge_windows(BUBBLES, verdicts) == {60 * SECOND}


def test_a_window_of_too_few_images_stays():
    assert judge_windows(BUBBLES, [(0, "bubble", 3)]) == set()
    assert judge_windows(BUBBLES, [(0, "bubble", 4)]) == {0}


def test_a_window_begins_at_a_whole_multiple_and_holds_its_start_but_not_its_end():
    assert judge_windows(BUBBLES, [(120 * SECOND, "bubble", 4)]) == {120 * SECOND}
    assert judge_windows(BUBBLES, [(120 * SECOND - 1, "bubble", 4)]) == {60 * SECOND}
    assert judge_windows(BUBBLES, [(-1, "bubble", 4)]) == {-60 * SECOND}


def test_a_share_of_exactly_the_bound_stays_whatever_binary_fractions_make_of_it():
    for tenths in range(1, 10):
        rule = WindowRule("r", labels=("bubble",), max_share=float(f"0.{tenths}"), min_images=1)
        for times in (1, 3, 7, 1000):
            verdicts = [(0, "bubble", tenths * times), (0, "copepod", (10 - tenths) * times)]
            assert judge_windows(rule, verdicts) == set()
            assert judge_windows(rule, [*verdicts, (0, "bubble", 1)]) == {0}


def test_several_labels_add_up_and_unclassified_is_one_like_the_others():
    rule = dataclasses.replace(BUBBLES, labels=("bubble", "unclassified"))
    assert judge_windows(rule, [(0, "bubble", 2), (0, "unclassified", 2), (0, "copepod", 3)]) == {0}
    assert judge_windows(BUBBLES, [(0, "bubble", 2), (0, "unclassified", 2), (0, "copepod", 3)]) == set()


VERDICTS = some.lists(
    some.tuples(
        some.integers(-300 * SECOND, 300 * SECOND), some.sampled_from(["bubble", "copepod"]), some.integers(1, 9)
    )
)


@given(VERDICTS, some.randoms(use_true_random=False))
def test_the_order_of_the_verdicts_does_not_matter(verdicts, chance):
    mixed = verdicts.copy()
    chance.shuffle(mixed)
    assert judge_windows(BUBBLES, mixed) == judge_windows(BUBBLES, verdicts)


@given(VERDICTS)
def test_single_verdicts_and_their_sums_by_window_and_label_are_judged_alike(verdicts):
    sums: dict[tuple[int, str], int] = {}
    for capture_ns, label, images in verdicts:
        key = (int(window_starts(BUBBLES, np.array([capture_ns]))[0]), label)
        sums[key] = sums.get(key, 0) + images
    singles = [(at, label, 1) for at, label, images in verdicts for _ in range(images)]
    grouped = judge_windows(BUBBLES, [(at, label, images) for (at, label), images in sums.items()])
    assert grouped == judge_windows(BUBBLES, singles) == judge_windows(BUBBLES, verdicts)


@given(VERDICTS)
def test_each_window_is_judged_by_itself(verdicts):
    """So of a ledger that grew only the windows touched need judging."""
    starts = {int(start) for start in window_starts(BUBBLES, np.array([at for at, _, _ in verdicts], np.int64))}
    apart: set[int] = set()
    for start in starts:
        apart |= judge_windows(BUBBLES, [v for v in verdicts if start <= v[0] < start + 60 * SECOND])
    assert apart == judge_windows(BUBBLES, verdicts)


# What was set aside, for a report


def test_neighbours_of_one_rule_are_a_stretch_and_a_kept_image_another_rule_or_a_pause_end_it():
    judged = [(0, None), (1, "a"), (2, "a"), (3, None), (4, "a"), (5, "b"), (6, "b"), (6 + 301 * SECOND, "b")]
    assert list(stretches(judged, max_gap_seconds=300)) == [
        Stretch("a", 1, 2, 2),
        Stretch("a", 4, 4, 1),
        Stretch("b", 5, 6, 2),
        Stretch("b", 6 + 301 * SECOND, 6 + 301 * SECOND, 1),
    ]


def test_nothing_set_aside_is_no_stretch():
    assert list(stretches([])) == list(stretches([(0, None), (1, None)])) == []


@given(some.lists(some.tuples(some.integers(0, 10**13), some.sampled_from([None, "a", "b"]))))
def test_every_image_set_aside_is_in_exactly_one_stretch(mixed):
    judged = sorted(mixed, key=lambda row: row[0])
    found = list(stretches(judged))
    for rule in ("a", "b"):
        assert sum(part.images for part in found if part.rule == rule) == sum(name == rule for _, name in judged)
    assert all(part.start_ns <= part.end_ns for part in found)
    assert all(one.end_ns <= next_one.start_ns for one, next_one in pairwise(found))


# The settings

EVERYTHING = """
[[image]]
name = "too small"
min_long_side_pixels = 20

[[image]]
name = "blurred"
min_sharpness = 120
max_bytes = 1_000_000

[[window]]
name = "bubbles"
labels = ["air bubble", "bubble cloud"]
window_seconds = 30
max_share = 0.4
min_images = 20

[track]
file = "../bridge/track.csv"
max_gap_seconds = 600

[[track_rule]]
name = "in port"
min_speed_knots = 1.5
circles = [
    {latitude = 54.33, longitude = 10.15, radius_km = 5},
    {latitude = 60.39, longitude = 5.32, radius_km = 8.5},
]

[[track_rule]]
name = "no position"
without_position = true
"""


def settings(tmp_path: Path, text: str) -> QualitySettings:
    file = tmp_path / "quality.toml"
    file.write_text(text)
    return read_settings(file, QualitySettings)


def test_all_kinds_of_rules_are_read_from_toml(tmp_path):
    found = settings(tmp_path, EVERYTHING)
    assert found == QualitySettings(
        image=(
            ImageRule("too small", min_long_side_pixels=20),
            ImageRule("blurred", min_sharpness=120.0, max_bytes=1_000_000),
        ),
        window=(WindowRule("bubbles", ("air bubble", "bubble cloud"), 0.4, 30.0, 20),),
        track=TrackSettings(Path("../bridge/track.csv"), 600.0),
        track_rule=(
            TrackRule("in port", circles=(Circle(54.33, 10.15, 5.0), Circle(60.39, 5.32, 8.5)), min_speed_knots=1.5),
            TrackRule("no position", without_position=True),
        ),
    )
    assert found.names == ("too small", "blurred", "bubbles", "in port", "no position")


def test_an_empty_table_sets_nothing_aside(tmp_path):
    assert settings(tmp_path, "") == QualitySettings()
    assert QualitySettings().names == ()


def test_the_tracks_path_starts_at_the_folder_of_the_config(tmp_path):
    found = settings(tmp_path, EVERYTHING).from_folder(Path("/etc/planktow"))
    assert found.track == TrackSettings(Path("/etc/planktow/../bridge/track.csv"), 600.0)
    absolute = QualitySettings(track=TrackSettings(Path("/data/track.csv")))
    assert absolute.from_folder(Path("/etc")) == absolute
    assert QualitySettings().from_folder(Path("/etc")) == QualitySettings()


IMAGE = '[[image]]\nname = "a"\n'
WINDOW = '[[window]]\nname = "a"\n'
TRACK = '[track]\nfile = "t.csv"\n[[track_rule]]\nname = "a"\n'


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (IMAGE, "image[0]: the rule 'a' has no bound; give one of min_long_side_pixels, max_long_side_pixels"),
        ("[[image]]\nmin_bytes = 1", "image[0]: missing key 'name'"),
        (IMAGE + "min_sharp = 1", "unknown key 'min_sharp'; did you mean 'min_sharpness'?"),
        (IMAGE + "min_ink_share = 2", "min_ink_share must be from 0 to 1 share, found 2"),
        (IMAGE + "min_sharpness = nan", "min_sharpness must be from 0 to 1.0404e+06 grey levels squared, found nan"),
        (IMAGE + "max_bytes = -1", "max_bytes must be from 0 to"),
        (IMAGE + "min_mean_grey = 9\nmax_mean_grey = 8", "min_mean_grey 9 is above max_mean_grey 8"),
        (IMAGE + "min_long_side_pixels = 9\nmax_long_side_pixels = 8", "the rule 'a' sets every image aside"),
        ('[[image]]\nname = ""\nmin_bytes = 1', "name '' cannot stand in tables"),
        ('[[image]]\nname = "=1+2"\nmin_bytes = 1', "name '=1+2' cannot stand in tables"),
        ('[[image]]\nname = "a\\nb"\nmin_bytes = 1', "name 'a\\nb' cannot stand in tables"),
        ('[[image]]\nname = "[red]"\nmin_bytes = 1', "name '[red]' cannot stand in tables"),
        (f'[[image]]\nname = "{"a" * 41}"\nmin_bytes = 1', "cannot stand in tables"),
        (
            '[[image]]\nname = "Too Large"\nmin_bytes = 1',
            "name 'Too Large' is a reason that the accounts give themselves",
        ),
        (IMAGE + "min_bytes = 1\n" + IMAGE.replace('"a"', '"A"') + "min_bytes = 2", "two rules are named 'A'"),
        (WINDOW + "max_share = 0.5", "window[0]: missing key 'labels'"),
        (WINDOW + "labels = []\nmax_share = 0.5", "the rule 'a' has no labels"),
        (WINDOW + 'labels = ["b"]', "missing key 'max_share'"),
        (WINDOW + 'labels = ["b"]\nmax_share = 1.5', "max_share must be from 0 to 1 share, found 1.5"),
        (WINDOW + 'labels = ["b"]\nmax_share = 0.5\nwindow_seconds = 0.5', "window_seconds must be from 1 to"),
        (WINDOW + 'labels = ["b"]\nmax_share = 0.5\nmin_images = 0', "min_images must be from 1 to"),
        (TRACK, "the rule 'a' has no condition; give without_position, circles or min_speed_knots"),
        (TRACK + "circles = [{latitude = 1, longitude = 2}]", "circles[0]: missing key 'radius_km'"),
        (
            TRACK + "circles = [{latitude = 91, longitude = 2, radius_km = 1}]",
            "latitude must be from -90 to 90 degrees",
        ),
        (TRACK + "min_speed_knots = inf", "min_speed_knots must be from 0 to 100 knots, found inf"),
        ("[track]\nmax_gap_seconds = 9", "track: missing key 'file'"),
        ('[track]\nfile = "t"\nmax_gap_seconds = 0', "max_gap_seconds must be from 1 to 86400 seconds"),
        ('[[track_rule]]\nname = "p"\nwithout_position = true', "the rule 'p' needs a track; add [quality.track]"),
    ],
)
def test_a_rule_that_cannot_be_meant_is_refused_in_one_line(tmp_path, text, message):
    with pytest.raises(BadConfig) as refused:
        settings(tmp_path, text)
    assert message in str(refused.value)
    assert str(refused.value).startswith(f"{tmp_path / 'quality.toml'}: ")
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize("data", [b"", b"GIF89a", png_header_of(30_000, 30_000), image_bytes("jelly")[:500]])
def test_no_rule_can_have_the_name_of_a_reason_that_decoding_gives(data):
    with pytest.raises(BadImage) as bad:
        decode(data)
    assert bad.value.reason in OWN_REASONS


def test_a_rule_on_a_label_that_the_bundle_does_not_have_is_refused_with_the_nearest_one():
    rules = QualitySettings(window=(BUBBLES,))
    rules.check_labels(["bubble", "copepod"])
    with pytest.raises(
        BadConfig, match="the rule 'bubbles' names 'bubble', no label of the bundle; did you mean 'bubbles'"
    ):
        rules.check_labels(["bubbles", "copepod"])
    with pytest.raises(BadConfig, match=r"take one of its labels\.txt"):
        rules.check_labels(["x"])


def test_every_setting_says_its_unit_and_what_it_is_in_lines_that_fit():
    for table in (QualitySettings, ImageRule, WindowRule, TrackRule, TrackSettings, Circle):
        for setting in dataclasses.fields(table):
            assert setting.metadata["unit"], setting
            assert all(0 < len(line) <= 115 for line in setting.metadata["text"].splitlines()), setting
