"""Which files may go when the disk must not fill: decided from ledger and labels alone, oldest capture time first.

Nothing here touches a file. A file goes only if the image is counted (or rejected, where the operator lets those go) and
no rule keeps it; what waits, could not be read, was dropped or is set aside by a rule never comes up.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

from bundle.errors import BadConfig
from edge.bins import bin_start
from edge.corrections.history import labels_beside
from edge.retention.keepers import Keepers
from edge.retention.stock import (
    BEGINNING,
    File,
    Image,
    Labels,
    Place,
    files_of,
    images_after,
    in_shard,
    newest_capture_ns,
    next_capture_ns,
    read_labels,
    read_notes,
)
from edge.setting import about, check_ranges

DAY_NS, HOUR_NS = 86_400 * 1_000_000_000, 3_600 * 1_000_000_000
GB = 1_000_000_000  # bytes
_LAST = 2**63 - 1  # of what SQLite can number

AGE, FREE, TOTAL = "age", "free space", "total size"  # why a file goes
LABELLED, RARE, UNCERTAIN, FIRST_OR_BEST, SHARD, REJECTED = (
    "labelled by a person",
    "rare",
    "few votes",
    "first or best of its hour",
    "in a shard",
    "rejected",
)
NOT_EXPORTED, NOT_BACKED_UP = "not yet exported", "not yet backed up"
LATER = (NOT_EXPORTED, NOT_BACKED_UP)  # kept only for now


@dataclass(frozen=True)
class RetentionSettings:
    """The table [retention] of edge.toml. Raises BadConfig for what cannot be meant."""

    enabled: bool = field(
        default=False,
        metadata=about(
            "true or false",
            "Whether files of counted images are deleted at all. See first what would go:\n"
            "planktow-edge retention --dry-run",
        ),
    )
    max_age_days: float = field(
        default=0.0,
        metadata=about(
            "days; 0: off",
            "Files of images taken longer ago may go. Counted from the newest image's capture time, so that neither a\n"
            "clock that jumps ahead nor a camera that stands still empties the folder.",
            least=0,
            most=36500,
        ),
    )
    min_free_gb: float = field(
        default=0.0,
        metadata=about(
            "GB; 0: off", "While the watched folder's disk has less free, the oldest files may go.", least=0, most=1e9
        ),
    )
    max_total_gb: float = field(
        default=0.0,
        metadata=about(
            "GB; 0: off",
            "While the counted files in the watched folder take more, the oldest may go. Shards are not in this sum.",
            least=0,
            most=1e9,
        ),
    )
    only_exported: bool = field(
        default=False, metadata=about("true or false", "Only files whose verdicts have been exported may go.")
    )
    only_backed_up: bool = field(
        default=True,
        metadata=about(
            "true or false",
            "Only files whose verdicts are in a good backup of the ledger may go: a ledger that is lost then never\n"
            "takes the only trace of an image with it.",
        ),
    )
    keep_labelled: bool = field(
        default=True,
        metadata=about(
            "true or false",
            "Files of images that a person has labelled stay: a better classifier is trained on them\n"
            "(planktow-edge labels export).",
        ),
    )
    keep_rare: int = field(
        default=100,
        metadata=about(
            "images; 0: off", "Every file of a label with at most so many images in the ledger stays.", least=0
        ),
    )
    keep_votes_up_to: int = field(
        default=1,
        metadata=about(
            "votes; 0: off",
            "Files of uncertain images, with at most so many votes and a member that voted otherwise, stay.",
            least=0,
        ),
    )
    keep_best_per_hour: int = field(
        default=1,
        metadata=about(
            "images; 0: off",
            "Of each label and hour of capture time (UTC), so many of the first images and so many of those with the\n"
            "highest score stay.",
            least=0,
            most=1000,
        ),
    )
    rejected: Literal["keep", "delete"] = field(
        default="keep",
        metadata=about('"keep" or "delete"', "Whether files rejected for their content may go as counted ones do."),
    )
    every_minutes: float = field(
        default=10.0, metadata=about("minutes", "How often it is looked whether files must go.", least=0.01, most=10080)
    )

    def __post_init__(self) -> None:
        check_ranges(self)
        if self.enabled and not (self.max_age_days or self.min_free_gb or self.max_total_gb):
            raise BadConfig("enabled, but max_age_days, min_free_gb and max_total_gb are all 0; set one of them")


@dataclass(frozen=True)
class Horizon:
    """What has been exported or backed up: all that was classified before this moment."""

    before_ns: int  # UTC ns
    last_image: int | None = None  # and up to this image, where that is known: a wrong clock cannot fool a number

    def holds(self, image: Image, decided_ns: int) -> bool:
        return decided_ns < self.before_ns and (self.last_image is None or image.id <= self.last_image)


NOTHING_YET = Horizon(-(2**63))


@dataclass(frozen=True)
class Rules:
    """What is kept, in numbers that hold for one run."""

    labelled: frozenset[bytes] = frozenset()  # sha-256 of images
    rare: frozenset[str] = frozenset()  # labels
    keep_votes_up_to: int = 0
    delete_rejected: bool = False
    exported: Horizon | None = None  # None: it does not matter
    backed_up: Horizon | None = None


@dataclass(frozen=True)
class Going:
    """An image that goes with these files, and why."""

    image: Image
    files: tuple[File, ...]
    reason: str


@dataclass(frozen=True)
class Kept:
    """An image that would have had to go, and why its files stay."""

    image: Image
    files: tuple[File, ...]
    why: str


@dataclass(frozen=True)
class Slice:
    """A part of a plan: of some milliseconds of reading, possibly empty."""

    going: tuple[Going, ...] = ()
    kept: tuple[Kept, ...] = ()


def why_kept(image: Image, files: Sequence[File], rules: Rules, best: frozenset[int]) -> str | None:
    """Why the image's files stay, or None. A reason that may pass comes last: it is given where no other holds."""
    if image.sha256 in rules.labelled:
        return LABELLED
    if image.label is None:
        if not rules.delete_rejected:
            return REJECTED
    elif image.label in rules.rare:
        return RARE
    elif image.disputed and image.votes <= rules.keep_votes_up_to:
        return UNCERTAIN
    elif image.id in best:
        return FIRST_OR_BEST
    if any(in_shard(file.path) for file in files):
        return SHARD
    # A rejected image is in no export, and stands in a backup as a file that was seen.
    if image.label is not None and rules.exported is not None and not rules.exported.holds(image, image.classified_ns):
        return NOT_EXPORTED
    decided_ns = image.classified_ns if image.label is not None else max((file.found_ns for file in files), default=0)
    if rules.backed_up is not None and not rules.backed_up.holds(image, decided_ns):
        return NOT_BACKED_UP
    return None


def rules_of(settings: RetentionSettings, labels: Labels, notes: Mapping[str, int], labelled: Iterable[bytes]) -> Rules:
    """The rules of this moment. labelled: sha-256 of what people have labelled."""
    return Rules(
        frozenset(labelled) if settings.keep_labelled else frozenset(),
        frozenset(label for label, images in labels.images.items() if images <= settings.keep_rare),
        settings.keep_votes_up_to,
        settings.rejected == "delete",
        _horizon(notes, "exported") if settings.only_exported else None,
        _horizon(notes, "backup") if settings.only_backed_up else None,
    )


def _horizon(notes: Mapping[str, int], name: str) -> Horizon:
    before_ns = notes.get(f"{name}_ns")
    return NOTHING_YET if before_ns is None else Horizon(before_ns, notes.get(f"{name}_image"))


class Plan:
    """What goes, slice by slice; iterate once. Raises BadConfig where the labels beside the ledger cannot be read.

    reached      the place up to which it has decided; set it before iterating to go on from there
    held_up      the first place that may go later (exported, backed up), or None
    """

    def __init__(
        self,
        connection: sqlite3.Connection,
        settings: RetentionSettings,
        now_ns: int,
        free_bytes: int,
        counted_bytes: int,
    ) -> None:
        self.reached: Place = BEGINNING
        self.held_up: Place | None = None
        self._connection, self._labels = connection, read_labels(connection)
        self._each = settings.keep_best_per_hour
        self.rules = rules_of(settings, self._labels, read_notes(connection), labels_beside(connection))
        self._older_than_ns = -(2**63)
        newest_ns = newest_capture_ns(connection)
        if settings.max_age_days and newest_ns is not None:
            self._older_than_ns = min(now_ns, newest_ns) - int(settings.max_age_days * DAY_NS)
        self._free_wanted = max(0, int(settings.min_free_gb * GB) - free_bytes)
        self._total_wanted = max(0, counted_bytes - int(settings.max_total_gb * GB)) if settings.max_total_gb else 0

    def __iter__(self) -> Iterator[Slice]:
        while (next_ns := next_capture_ns(self._connection, self.reached)) is not None and self._reason(next_ns):
            began_ns = bin_start(next_ns, HOUR_NS)
            last_ns = min(began_ns + HOUR_NS - 1, _LAST)
            keepers = Keepers(self._each)
            if self._each:
                # The whole hour, from its beginning: what stands before the place where we go on may be the best.
                for images in self._walk((max(began_ns, -_LAST) - 1, _LAST), last_ns):
                    for image in images:
                        if image.label is not None:
                            keepers.add(image.id, image.label, image.score)
                    yield Slice()
            best = keepers.kept()
            for images in self._walk(self.reached, last_ns):
                yield from self._decide(images, best)
                if images and self.reached < images[-1].place:  # enough
                    return
            self.reached = (last_ns, _LAST)

    @property
    def missing_bytes(self) -> int:
        """How much more than was found should go, for free space or total size."""
        return max(0, self._free_wanted, self._total_wanted)

    def put_back(self, going: Going, file: File) -> None:
        """This file did not go after all: the room it takes is still wanted."""
        self._take(going.image, -file.size)

    def _walk(self, after: Place, last_ns: int) -> Iterator[list[Image]]:
        place: Place | None = after
        while place is not None:
            images, place = images_after(self._connection, self._labels, place, last_ns)
            yield images

    def _decide(self, images: list[Image], best: frozenset[int]) -> Iterator[Slice]:
        going: list[Going] = []
        kept: list[Kept] = []
        found = files_of(self._connection, images)
        for image in images:
            reason = self._reason(image.capture_ns)
            if reason is None:
                break
            files = tuple(found[image.id])
            why = why_kept(image, files, self.rules, best)
            if why is None:
                going.append(Going(image, files, reason))
                self._take(image, sum(file.size for file in files))
            else:
                kept.append(Kept(image, files, why))
                if why in LATER and self.held_up is None:
                    self.held_up = image.place
            self.reached = image.place
        yield Slice(tuple(going), tuple(kept))

    def _reason(self, capture_ns: int) -> str | None:
        if capture_ns < self._older_than_ns:
            return AGE
        if self._free_wanted > 0:
            return FREE
        return TOTAL if self._total_wanted > 0 else None

    def _take(self, image: Image, size: int) -> None:
        self._free_wanted -= size
        if image.label is not None:
            self._total_wanted -= size
