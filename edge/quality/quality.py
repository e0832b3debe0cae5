"""Quality control by configuration: the rules of edge.toml's table [quality] that set images or stretches aside.

What is set aside keeps its verdict: in the accounts it stands under rejected, with the rule's name as its reason, and it
comes back when the rule is taken out. `edge.quality.aside` applies the rules.
"""

from __future__ import annotations

import dataclasses
import difflib
import re
from collections.abc import Collection
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from bundle.errors import BadConfig
from bundle.preprocess import INK_STEP
from edge.setting import about, check_ranges
from edge.track.track import Circle, TrackSettings

# What the accounts give as reasons themselves; a rule of such a name could not be told from them.
OWN_REASONS = (
    "truncated",
    "empty",
    "not an image",
    "corrupt",
    "too large",
    "unsupported",
    "vanished",
    "unreadable",
    "crashed",
    "encrypted",
)

_SIDE = {"least": 1, "most": 100_000}
_SHARE = {"least": 0, "most": 1}
_GREY = {"least": 0, "most": 255}
_SHARPNESS = {"least": 0, "most": 1_040_400}  # a checkerboard of black and white: the Laplacian is ±4 x 255
_NAME_TEXT = "The reason that tables show: a letter or digit first, then also blanks and .,-_/+%()<>=, 40 at most."


def _bound(unit: str, text: str, least: float, most: float) -> Any:
    return field(default=None, metadata=about(unit, text, least, most))


@dataclass(frozen=True)
class ImageRule:
    """Sets an image aside that lies outside any of its bounds; a value equal to a bound is inside. [[quality.image]]"""

    name: str = field(metadata=about("text", _NAME_TEXT))
    min_long_side_pixels: int | None = _bound("pixels", "The longer side of the image as stored.", **_SIDE)
    max_long_side_pixels: int | None = _bound("pixels", "The longer side of the image as stored.", **_SIDE)
    min_short_side_pixels: int | None = _bound("pixels", "The shorter side of the image as stored.", **_SIDE)
    min_sharpness: float | None = _bound(
        "grey levels squared",
        "The variance of the Laplacian: lower is more blurred. It depends on the camera; look at yours first.",
        **_SHARPNESS,
    )
    min_ink_share: float | None = _bound(
        "share", f"Pixels that differ from the border's median by {INK_STEP} grey levels or more.", **_SHARE
    )
    max_ink_share: float | None = _bound(
        "share", f"Pixels that differ from the border's median by {INK_STEP} grey levels or more.", **_SHARE
    )
    max_bright_share: float | None = _bound("share", "Pixels of grey 253 to 255: saturated.", **_SHARE)
    max_dark_share: float | None = _bound("share", "Pixels of grey 0 to 2: black.", **_SHARE)
    min_mean_grey: float | None = _bound("grey levels", "The mean of all pixels.", **_GREY)
    max_mean_grey: float | None = _bound("grey levels", "The mean of all pixels.", **_GREY)
    min_bytes: int | None = _bound("bytes", "The file's length.", least=0, most=2**53)
    max_bytes: int | None = _bound("bytes", "The file's length.", least=0, most=2**53)

    def __post_init__(self) -> None:
        _check_name(self.name)
        check_ranges(self)
        bounds = [bound.name for bound in dataclasses.fields(self) if bound.name != "name"]
        if all(getattr(self, bound) is None for bound in bounds):
            raise BadConfig(f"the rule '{self.name}' has no bound; give one of {', '.join(bounds)}")
        for what in ("long_side_pixels", "ink_share", "mean_grey", "bytes"):
            low, high = getattr(self, f"min_{what}"), getattr(self, f"max_{what}")
            if low is not None and high is not None and low > high:
                raise BadConfig(
                    f"the rule '{self.name}' sets every image aside: min_{what} {low:g} is above max_{what} {high:g}; "
                    "an image outside the bounds is set aside, so exchange them, or make two rules"
                )


@dataclass(frozen=True)
class WindowRule:
    """Sets whole windows of capture time aside in which some labels have too large a share. [[quality.window]]"""

    name: str = field(metadata=about("text", _NAME_TEXT))
    labels: tuple[str, ...] = field(metadata=about("list", "Labels of the bundle, such as those of air bubbles."))
    max_share: float = field(
        metadata=about("share", "Of the verdicts in a window, those for the labels: above it, all go.", **_SHARE)
    )
    window_seconds: float = field(
        default=60.0,
        metadata=about("seconds", "The windows' length; they begin at whole multiples of it in UTC.", 1, 366 * 86400),
    )
    min_images: int = field(
        default=10, metadata=about("images", "A window with fewer verdicts is left alone.", 1, 1_000_000_000)
    )

    def __post_init__(self) -> None:
        _check_name(self.name)
        check_ranges(self)
        if not self.labels:
            raise BadConfig(f"the rule '{self.name}' has no labels; name those that it is to count")

    @property
    def window_ns(self) -> int:
        return round(self.window_seconds * 1_000_000_000)


@dataclass(frozen=True)
class TrackRule:
    """Sets images aside by where the ship was, if any of the conditions is met. [[quality.track_rule]]"""

    name: str = field(metadata=about("text", _NAME_TEXT))
    without_position: bool = field(
        default=False, metadata=about("true or false", "Images for which the track has no position.")
    )
    circles: tuple[Circle, ...] = field(
        default=(), metadata=about("list", "Images taken inside one of these circles, such as ports.")
    )
    min_speed_knots: float | None = _bound(
        "knots", "Images taken while the ship was slower than this, over ground.", least=0, most=100
    )

    def __post_init__(self) -> None:
        _check_name(self.name)
        check_ranges(self)
        if not self.without_position and not self.circles and self.min_speed_knots is None:
            raise BadConfig(
                f"the rule '{self.name}' has no condition; give without_position, circles or min_speed_knots"
            )


@dataclass(frozen=True)
class QualitySettings:
    """The table [quality] of edge.toml. Of several rules that set one image aside, the first gives the reason:
    the image rules in their order, then the window rules, then the track rules."""

    image: tuple[ImageRule, ...] = field(default=(), metadata=about("tables", "Rules on single images."))
    window: tuple[WindowRule, ...] = field(default=(), metadata=about("tables", "Rules on windows of time."))
    track: TrackSettings | None = field(default=None, metadata=about("table", "Where the ship was."))
    track_rule: tuple[TrackRule, ...] = field(default=(), metadata=about("tables", "Rules on where the ship was."))

    def __post_init__(self) -> None:
        seen: set[str] = set()
        for name in self.names:
            if name.casefold() in seen:
                raise BadConfig(f"two rules are named '{name}'; the name is the reason in the accounts, give another")
            seen.add(name.casefold())
        if self.track_rule and self.track is None:
            raise BadConfig(
                f"the rule '{self.track_rule[0].name}' needs a track; add [quality.track] with file = \"track.csv\""
            )

    @property
    def names(self) -> tuple[str, ...]:
        """Of all rules, in the order in which they give the reason."""
        rules: tuple[ImageRule | WindowRule | TrackRule, ...] = (*self.image, *self.window, *self.track_rule)
        return tuple(rule.name for rule in rules)

    def from_folder(self, base: Path) -> QualitySettings:
        """The same, the track's path relative to the folder of edge.toml."""
        if self.track is None:
            return self
        return dataclasses.replace(self, track=dataclasses.replace(self.track, file=base / self.track.file))

    def check_labels(self, labels: Collection[str]) -> None:
        """Raises BadConfig for a window rule on a label that the bundle does not have: it would never act."""
        for rule in self.window:
            for label in rule.labels:
                if label not in labels:
                    near = difflib.get_close_matches(label, labels, n=1)
                    remedy = f"did you mean '{near[0]}'?" if near else "take one of its labels.txt"
                    raise BadConfig(
                        f"quality: the rule '{rule.name}' names '{label}', no label of the bundle; {remedy}"
                    )


def _check_name(name: str) -> None:
    """Fit for tables, CSV files (a leading = or + is a formula to some programs) and a terminal."""
    if not _NAME.fullmatch(name) or name != name.strip():
        raise BadConfig(f"name {name!r} cannot stand in tables; begin with a letter or digit, see: {_NAME_TEXT}")
    if name.casefold() in OWN_REASONS:
        raise BadConfig(f"name '{name}' is a reason that the accounts give themselves; take another")


_NAME = re.compile(r"[^\W_][\w .,/+%()<>=-]{0,39}")
