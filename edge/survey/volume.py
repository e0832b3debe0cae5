"""How much water was sampled in a stretch of time, and how many organisms a cubic metre of it held."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from bundle.errors import BadConfig
from edge.bins import SECOND_NS
from edge.setting import about, check_ranges
from edge.survey.captures import COUNTED, DROPPED, captures
from edge.survey.conditions import Conditions
from edge.survey.ratio import widened
from edge.survey.sampledtime import SampledTime
from edge.track.track import Floats, Instants

if TYPE_CHECKING:
    from edge.estimates.estimate import Estimate

MOST_UNKNOWN = 0.1  # of a stretch's time: with the speed of more unknown, so is the volume
GAP_SECONDS = 60.0
LITRES = 1000  # in a cubic metre
_ALWAYS = 1 << 62  # ns: until the year 2116; sums with a gap stay inside 64 bits
WAYS = ("litres_per_image", "litres_per_second", "aperture_square_metres")


@dataclass(frozen=True)
class Volume:
    """The table [volume] of survey.toml: one of three ways to tell the litres, and how certain they are."""

    litres_per_image: float | None = field(
        default=None, metadata=about("litres", "What one image shows; for whole frames, not for cut-outs.", 1e-9, 1e6)
    )
    litres_per_second: float | None = field(
        default=None, metadata=about("litres/s", "What is pumped, or flows, through the field of view.", 1e-9, 1e6)
    )
    aperture_square_metres: float | None = field(
        default=None,
        metadata=about("m²", "The area that is towed through the water: field height times depth of field.", 1e-9, 1e3),
    )
    speed_metres_per_second: float | None = field(
        default=None,
        metadata=about("m/s", "Of the tow. Without it: from the logs under [environment].", 1e-3, 50),
    )
    relative_sd: float = field(
        default=0.0, metadata=about("share", "The volume's standard deviation as a share of it.", 0, 1)
    )
    max_gap_seconds: float = field(
        default=GAP_SECONDS, metadata=about("seconds", "A longer time without an image was not sampled.", 0.001, 86400)
    )
    image_rules: tuple[str, ...] = field(
        default=(),
        metadata=about("list", "Names of [[quality.image]] rules: what they set aside was sampled all the same."),
    )

    def __post_init__(self) -> None:
        check_ranges(self)
        given = [way for way in WAYS if getattr(self, way) is not None]
        if len(given) != 1:
            raise BadConfig(f"give exactly one of {', '.join(WAYS)}; found {' and '.join(given) or 'none'}")
        if self.speed_metres_per_second is not None and self.aperture_square_metres is None:
            raise BadConfig("speed_metres_per_second means nothing without aperture_square_metres; take it out")

    @property
    def needs_speed(self) -> bool:
        """Whether the speed of the tow has to come from the logs."""
        return self.aperture_square_metres is not None and self.speed_metres_per_second is None


@dataclass(frozen=True)
class Sampled:
    """What was really sampled in a stretch of time."""

    seconds: float
    litres: float | None  # None: the volume is not known
    relative_sd: float  # of the litres


@dataclass(frozen=True)
class Concentration:
    """Individuals per cubic metre, with the 95 % interval. None: no interval is known."""

    value: float
    low: float | None
    high: float | None
    corrected: bool  # whether the classifier's known errors are taken out; else it is the raised count's

    def per_litre(self) -> Concentration:
        """The same in individuals per litre."""
        low, high = (None if bound is None else bound / LITRES for bound in (self.low, self.high))
        return Concentration(self.value / LITRES, low, high, self.corrected)


def sampled(
    connection: sqlite3.Connection,
    stretches: Sequence[tuple[int, int]],
    volume: Volume | None,
    conditions: Conditions | None = None,
) -> tuple[Sampled, ...]:
    """What was sampled in each stretch [start_ns, end_ns), UTC ns; in any order, and they may overlap.

    conditions: where the speed of the tow comes from, if [volume] does not give it. Where it is unknown for at most
    MOST_UNKNOWN of a stretch's sampled time, the mean speed of the rest stands in; else the volume is not known. Without
    `volume` there are seconds only, with gaps longer than GAP_SECONDS taken out. Raises BadConfig where the speed
    can come from nowhere.
    """
    if volume is not None and volume.needs_speed:
        _require_speed(conditions)
    if not stretches:
        return ()
    gap_ns = round((volume.max_gap_seconds if volume else GAP_SECONDS) * SECOND_NS)
    edges = np.array(stretches, np.int64)  # (M, 2)
    # Three gaps beyond the stretches: a run that begins or ends there shows how far it reaches into them.
    begin = max(int(edges[:, 0].min()), -_ALWAYS) - 3 * gap_ns
    end = min(int(edges[:, 1].max()), _ALWAYS) + 3 * gap_ns
    times, states = captures(connection, begin, end, volume.image_rules if volume else ())
    time = SampledTime(times, states, gap_ns, begin, end)
    seconds = time.within(edges, time.steps)
    litres = _litres(volume, conditions, time, edges, seconds)
    relative_sd = volume.relative_sd if volume else 0.0
    return tuple(
        Sampled(float(each), None if np.isnan(known) else float(known), relative_sd)
        for each, known in zip(seconds, litres, strict=True)
    )


def concentration(estimate: Estimate, sampled: Sampled) -> Concentration | None:
    """Individuals per cubic metre: the corrected count, or else the raised one, over the volume.

    None where neither is known, the volume is not known, or none was sampled. The estimate's interval must not hold the
    volume's error already (`estimate(..., relative_volume_sd=0)`): it comes in here.
    """
    if not sampled.litres:
        return None
    corrected = estimate.corrected is not None
    number = estimate.corrected if corrected else estimate.raised
    low, high = (estimate.low, estimate.high) if corrected else (estimate.raw_low, estimate.raw_high)
    if number is None:
        return None
    wide_low, wide_high = widened(number, low, high, sampled.relative_sd)
    cubic_metres = sampled.litres / LITRES

    def per(count: float) -> float:
        return count / cubic_metres

    bounds = [None if bound is None else per(bound) for bound in (wide_low, wide_high)]
    return Concentration(per(number), bounds[0], bounds[1], corrected)


def _litres(
    volume: Volume | None, conditions: Conditions | None, time: SampledTime, edges: Instants, seconds: Floats
) -> Floats:
    """(M,) litres; NaN where not known."""
    if volume is None:
        return np.full(len(edges), np.nan)
    if volume.litres_per_image is not None:
        return time.images(edges, (COUNTED, DROPPED)).astype(np.float64) * volume.litres_per_image
    if volume.litres_per_second is not None:
        return seconds * volume.litres_per_second
    assert volume.aperture_square_metres is not None
    per_metre = volume.aperture_square_metres * LITRES
    if volume.speed_metres_per_second is not None:
        return seconds * volume.speed_metres_per_second * per_metre
    assert conditions is not None
    speed = conditions.metres_per_second(time.middles)
    known = ~np.isnan(speed)
    metres = time.within(edges, np.where(known, speed, 0.0) * time.steps)
    known_seconds = time.within(edges, np.where(known, time.steps, 0.0))
    enough = (known_seconds > 0) & (known_seconds >= (1 - MOST_UNKNOWN) * seconds)
    litres: Floats = metres * (seconds / np.where(enough, known_seconds, 1.0)) * per_metre
    return np.where(enough | (seconds == 0), litres, np.nan)


def _require_speed(conditions: Conditions | None) -> None:
    if conditions is None or not (conditions.tracks or any(name.startswith("speed_") for name in conditions.units)):
        raise BadConfig(
            "[volume] has an aperture, but no speed is known; give speed_metres_per_second, or under [environment] a file "
            "with positions or with a speed whose unit stands in its heading, such as speed [kn]"
        )
