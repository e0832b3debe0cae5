"""Which images the rules of quality control set aside, from what the ledger keeps of them. Pure: settings and numbers.

Every rule judges by itself, on all verdicts, also those that another rule sets aside: so the order of rules and of
arrival changes nothing but the reason that is shown, and a rule taken out takes nothing else with it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from bundle.measures import Measures
from edge.bins import SECOND_NS
from edge.quality.quality import ImageRule, TrackRule, WindowRule
from edge.track.track import Instants, Track, distance_km

_CHUNK = 1 << 16  # images that a track judges at once: 20 MB of intermediate arrays, whatever their number


def judge_image(rules: Sequence[ImageRule], measures: Measures, image_bytes: int) -> str | None:
    """The name of the first rule that sets the image aside; None: it stays."""
    for rule in rules:
        if _outside(rule, measures, image_bytes):
            return rule.name
    return None


def _outside(rule: ImageRule, measures: Measures, image_bytes: int) -> bool:
    long_side, short_side = max(measures.width, measures.height), min(measures.width, measures.height)
    return (
        _below(long_side, rule.min_long_side_pixels)
        or _above(long_side, rule.max_long_side_pixels)
        or _below(short_side, rule.min_short_side_pixels)
        or _below(measures.sharpness, rule.min_sharpness)
        or _below(measures.ink_share, rule.min_ink_share)
        or _above(measures.ink_share, rule.max_ink_share)
        or _above(measures.bright_share, rule.max_bright_share)
        or _above(measures.dark_share, rule.max_dark_share)
        or _below(measures.mean_grey, rule.min_mean_grey)
        or _above(measures.mean_grey, rule.max_mean_grey)
        or _below(image_bytes, rule.min_bytes)
        or _above(image_bytes, rule.max_bytes)
    )


def _below(value: float, bound: float | None) -> bool:
    return bound is not None and value < bound


def _above(value: float, bound: float | None) -> bool:
    return bound is not None and value > bound


def window_starts(rule: WindowRule, capture_ns: Instants) -> Instants:
    """(M,) UTC ns: the start of the window [start, start + width) that holds each instant."""
    return capture_ns // rule.window_ns * rule.window_ns


def judge_windows(rule: WindowRule, verdicts: Iterable[tuple[int, str, int]]) -> set[int]:
    """The starts, in UTC ns, of the windows that the rule sets aside whole.

    verdicts: capture time in UTC ns, label, number of images; in any order, and an instant and label may come often. So
    they can be single images, or the sums of a GROUP BY on window and label; of a ledger that grew, the windows touched
    are enough. `unclassified` is a label like the others.
    """
    width_ns, labels = rule.window_ns, frozenset(rule.labels)
    images: dict[int, int] = {}
    hits: dict[int, int] = {}
    for capture_ns, label, number in verdicts:
        start = capture_ns // width_ns * width_ns
        images[start] = images.get(start, 0) + number
        if label in labels:
            hits[start] = hits.get(start, 0) + number
    return {
        start
        for start, number in hits.items()
        if images[start] >= rule.min_images and number / images[start] > rule.max_share
    }


def judge_track(rule: TrackRule, track: Track, max_gap_seconds: float, capture_ns: Instants) -> NDArray[np.bool_]:
    """(M,) whether the rule sets aside an image taken at each instant, in UTC ns.

    An image without a position is in no circle and has no speed: only `without_position` sets it aside.
    """
    aside = np.zeros(len(capture_ns), np.bool_)
    for begin in range(0, len(capture_ns), _CHUNK):
        instants = capture_ns[begin : begin + _CHUNK]
        part = aside[begin : begin + _CHUNK]
        if rule.without_position or rule.circles:
            ship = track.at(instants, max_gap_seconds)
            if rule.without_position:
                part |= np.isnan(ship.latitude)
            for circle in rule.circles:
                away = distance_km(ship.latitude, ship.longitude, circle.latitude, circle.longitude)
                part |= away <= circle.radius_km  # false for NaN
        if rule.min_speed_knots is not None:
            part |= track.speed_knots(instants, max_gap_seconds) < rule.min_speed_knots
    return aside


@dataclass(frozen=True)
class Stretch:
    """Images set aside by one rule, one after another in time, with none between that another or no rule judged."""

    rule: str
    start_ns: int  # UTC, the first image's capture time
    end_ns: int  # UTC, the last one's
    images: int


def stretches(judged: Iterable[tuple[int, str | None]], max_gap_seconds: float = 300.0) -> Iterator[Stretch]:
    """What was set aside, joined for a report, in order of time; lazily, so that a whole ledger fits.

    judged: capture time in UTC ns, and the rule's name or None for an image that stays; in order of time. A pause
    without images longer than `max_gap_seconds` ends a stretch: nothing is known of it.
    """
    gap_ns = round(max_gap_seconds * SECOND_NS)
    rule: str | None = None
    start_ns = end_ns = images = 0
    for capture_ns, name in judged:
        if rule is not None and name == rule and capture_ns - end_ns <= gap_ns:
            end_ns, images = capture_ns, images + 1
            continue
        if rule is not None:
            yield Stretch(rule, start_ns, end_ns, images)
        rule, start_ns, end_ns, images = name, capture_ns, capture_ns, 1
    if rule is not None:
        yield Stretch(rule, start_ns, end_ns, images)
