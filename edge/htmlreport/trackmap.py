"""How much there was along the ship's track: circles whose area is the value, on a plain grid of degrees."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from edge.htmlreport.markup import Markup, element
from edge.htmlreport.palette import AXIS, GRID
from edge.htmlreport.scale import Scale, ticks
from edge.htmlreport.spell import about
from edge.htmlreport.svg import Frame, drawing, line, path, text

_RADIUS = 11.0  # pixels, of the largest value


@dataclass(frozen=True)
class Stop:
    """A stretch of the track by its middle, in degrees, longitude without a jump; `value` None: nothing was sampled."""

    latitude: float
    longitude: float
    value: float | None


def track_map(stops: Sequence[Stop], name: str, unit: str) -> Markup:
    """Degrees east are drawn shorter by the cosine of the middle latitude, as they are."""
    frame = Frame(400, 290, left=48, right=14, top=14, bottom=30)
    middle = (min(stop.latitude for stop in stops) + max(stop.latitude for stop in stops)) / 2
    squeeze = max(math.cos(math.radians(middle)), 0.05)
    east, north = _scales(frame, stops, squeeze)
    parts: list[Markup] = []
    west_end, east_end = sorted((east.low, east.high))
    for value in ticks(west_end, east_end, 4):
        x = east(value)
        parts.append(line(x, frame.top, x, frame.y_end, GRID))
        parts.append(text(x, frame.y_end + 16, _degrees(value, "E", "W"), "middle", fill=AXIS))
    for value in ticks(north.low, north.high, 4):
        y = north(value)
        parts.append(line(frame.left, y, frame.x_end, y, GRID))
        parts.append(text(frame.left - 5, y + 4, _degrees(value, "N", "S"), "end", fill=AXIS))
    parts.append(path([(east(stop.longitude), north(stop.latitude)) for stop in stops], "#9aa5af", 1))
    largest = max((stop.value or 0.0 for stop in stops), default=0.0)
    for stop in sorted(stops, key=lambda stop: -(stop.value or 0.0)):
        x, y = east(stop.longitude), north(stop.latitude)
        if not stop.value:
            parts.append(element("circle", cx=x, cy=y, r=1.5, fill="#9aa5af"))
            continue
        radius = max(_RADIUS * math.sqrt(stop.value / largest), 1.5)
        told = f"{_degrees(stop.latitude, 'N', 'S')} {_degrees(stop.longitude, 'E', 'W')}: {about(stop.value)} {unit}"
        parts.append(element("circle", element("title", told), cx=x, cy=y, r=radius, class_="stop"))
    said = f"{name} along the track in {len(stops)} stretches, at most {about(largest)} {unit}"
    return drawing(frame, said, parts)


def _scales(frame: Frame, stops: Sequence[Stop], squeeze: float) -> tuple[Scale, Scale]:
    """The same length a mile in both directions, with the track in the middle."""
    lats, lons = [stop.latitude for stop in stops], [stop.longitude for stop in stops]
    wide, high = frame.x_end - frame.left - 2 * _RADIUS, frame.y_end - frame.top - 2 * _RADIUS
    per_pixel = max((max(lons) - min(lons)) * squeeze / wide, (max(lats) - min(lats)) / high, 1e-5)
    half_east = per_pixel * (wide / 2 + _RADIUS) / squeeze
    half_north = per_pixel * (high / 2 + _RADIUS)
    lat, lon = (max(lats) + min(lats)) / 2, (max(lons) + min(lons)) / 2
    return frame.across(lon - half_east, lon + half_east), frame.up(lat - half_north, lat + half_north)


def _degrees(value: float, positive: str, negative: str) -> str:
    turned = (value + 180) % 360 - 180 if positive == "E" else value
    return f"{abs(turned):.4f}".rstrip("0").rstrip(".") + f"°{positive if turned >= 0 else negative}"
