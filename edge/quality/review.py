"""Quality control on the ledger: sets images aside as the rules say, and takes them back when the rules, the images of a
window, or the track say otherwise. In small steps; what is not done when the process ends is done by the next.

Notes in the ledger say how far all is judged. They are written when nothing is left to do, so that a kill at any moment
has a part of the work done again, and none left out.
"""

from __future__ import annotations

import hashlib
import json
import logging
import zlib
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bundle.labels import UNCLASSIFIED
from bundle.measures import Measures
from edge.capture.capture import Capture
from edge.ledger.ledger import Ledger
from edge.ledger.migrations import transaction
from edge.quality.aside import judge_image, judge_track, judge_windows
from edge.quality.quality import QualitySettings, WindowRule
from edge.track.track import SPEED_SECONDS, BadTrack, Track, TrackSettings
from edge.track.trackfile import Signature, TrackReader, signature

log = logging.getLogger(__name__)

_SLICE = 500  # images judged in one step: 6 ms, and up to 20 ms where all of them change
_COUNT_SLICE = 4000  # images of a window counted in one step: 10 ms
_COUNTS = 100  # windows counted in one step
_TALLIES = 20_000  # windows whose counts are kept in memory: 6 MB
_ARRIVALS_SECONDS = 2.0  # how often the windows of new images are judged: each time one may change sides
_TRACK_SECONDS = 5.0  # how often the track is asked whether it changed
_TRACK_LINES = 500  # read in one step: 5 ms
_READ_SECONDS = 0.05  # of each turn for a long track, at most: a million lines take 10 s, once
_TRACK_SHARE = 50  # or so many times as long as reading it took: a log of months takes a second
_FIRST_NS, _LAST_NS = -(2**63), 2**63 - 1  # the ends of SQLite's time

# Notes: the rules by which all images are judged; the last image whose windows are; how far in time the track's rules
# are, and the checksum of the track up to there.
_RULES, _SEEN, _TRACK_END, _TRACK_SUM = "rules", "rules_seen", "rules_track_ns", "rules_track_sum"
_UNFINISHED = 0  # in place of _RULES: some images are judged by other rules than the rest

Window = tuple[int, int]  # which of the window rules, and the window's start, UTC ns
Place = tuple[int, int]  # in the order of time: capture time, UTC ns, and number of an image; what follows it is meant


@dataclass(slots=True)
class _Tally:
    """The verdicts in a window: those of the ledger up to image `until`, to which later ones are added as they come."""

    until: int
    counted: Place | None  # the last one counted; None: all are
    images: int = 0
    hits: int = 0  # those for the rule's labels
    aside: bool | None = None  # how all images of the window were last judged; None: not known


class Review:
    """One thread. `problem`: what a person should know of the track, one line, or None."""

    def __init__(self, ledger: Ledger, settings: QualitySettings, steady: Callable[[], float]) -> None:
        self.problem: str | None = None
        self._ledger, self._settings, self._steady = ledger, settings, steady
        self._tallies: dict[Window, _Tally] = {}
        self._hits: dict[tuple[int, int], tuple[bool, ...]] = {}  # bundle and label -> for which window rules it counts
        self._due: dict[Window, None] = {}  # windows that got images
        self._spans: list[tuple[Place, int]] = []  # behind a place up to an instant: to be judged anew image by image
        self._sweep: Place | None = None  # all images behind it are to be judged anew
        self._track: Track | None = None
        self._track_names = frozenset(rule.name for rule in settings.track_rule)
        self._reader = TrackReader(settings.track.file) if settings.track else None
        self._signature: Signature | None = None
        self._second: tuple[int, str | None] | None = None  # the last one judged by the track, UTC
        self._look_at = self._arrivals_at = 0.0
        self._arriving = False  # images have come that are not in the tallies yet
        self._fingerprint = _fingerprint(settings)
        self._seen = ledger.read_note(_SEEN) or 0
        self._noted = self._seen  # what the ledger says of it
        before = ledger.read_note(_RULES)
        if (_fingerprint(QualitySettings()) if before is None else before) != self._fingerprint:
            # Now, before an image is counted by the new rules: who goes back to the old ones must start anew too.
            self._note({_RULES: _UNFINISHED})
            self._sweep = _FIRST_NS, -1
            self._seen = self._value("SELECT COALESCE(MAX(image_id), 0) FROM verdict")
            log.info("the rules of quality control changed: all images are judged anew, while counting goes on")

    def judge(self, measures: Measures, capture: Capture, image_bytes: int) -> str | None:
        """The rule that sets a new image aside, as far as can be told now; `turn` corrects it."""
        aside = judge_image(self._settings.image, measures, image_bytes) or self._by_window(capture.ns)
        if aside is None and self._track is not None:
            second = capture.ns // 1_000_000_000  # a single instant costs what a thousand do, 0.1 ms
            if self._second is None or self._second[0] != second:
                self._second = second, self._by_track([capture.ns], [None])[0]
            aside = self._second[1]
        return aside

    def touch(self, captures_ns: Iterable[int]) -> None:
        """Nothing: `turn` finds new images by their numbers, also those of a process that was killed."""

    def turn(self, budget_seconds: float) -> None:
        """Goes on judging for about so long, if there is something to judge."""
        now = self._steady()
        if (
            self._reader is not None
            and now >= self._look_at
            and self._read_track(now + max(budget_seconds, _READ_SECONDS))
        ):
            self._look_at = now + max(_TRACK_SECONDS, _TRACK_SHARE * (self._steady() - now))
        if now >= self._arrivals_at and (self._settings.window or self._settings.track_rule):
            self._arrivals_at, self._arriving = now + _ARRIVALS_SECONDS, True
        until = now + budget_seconds
        while self._work_left and self._steady() < until:
            self._step()
        if self._seen != self._noted and not self._work_left:
            self._note({_SEEN: self._seen})

    @property
    def _work_left(self) -> bool:
        return bool(self._spans or self._due or self._arriving or self._sweep is not None)

    def _step(self) -> None:
        if self._spans:
            place, last_ns = self._spans.pop()
            if (rest := self._judge_slice(place, last_ns)) is not None:
                self._spans.append((rest, last_ns))
        elif self._due:
            self._judge_window(next(iter(self._due)))
        elif self._arriving:
            self._take_arrivals()
        elif self._sweep is not None:
            self._sweep = self._judge_slice(self._sweep, _LAST_NS)
            if self._sweep is None:
                judged = {_RULES: self._fingerprint, _SEEN: self._seen}
                if self._track is not None:
                    end = int(self._track.fix_ns[-1])
                    judged |= {_TRACK_END: end, _TRACK_SUM: _checksum(self._track, end)}
                elif self._track_names:
                    judged |= {_TRACK_END: _FIRST_NS}
                self._note(judged)

    # --- windows

    def _take_arrivals(self) -> None:
        """The next new images, into the tallies of their windows; with the little that is known, they are judged too."""
        rows = self._ledger.connection.execute(_ARRIVED, (self._seen, _SLICE)).fetchall()
        if rows and self._track is None and self._track_names:
            self._note({_TRACK_END: _FIRST_NS})  # once there is a track, it is to judge these too, whenever captured
        widths = [rule.window_ns for rule in self._settings.window]
        for row in rows:
            ns, hits = row[1], self._hits_of(row[4], row[5])
            for number, width_ns in enumerate(widths):
                window = number, ns // width_ns * width_ns
                self._due[window] = None
                if tally := self._tallies.get(window):
                    tally.images += 1
                    tally.hits += hits[number]
        self._judge_rows(rows)
        self._seen = rows[-1][0] if rows else self._seen
        self._arriving = len(rows) == _SLICE

    def _judge_window(self, window: Window) -> None:
        tally = self._tally(window)
        if tally.counted is not None:
            return
        del self._due[window]
        aside = self._share_too_large(window, tally)
        if tally.aside is not aside:
            tally.aside = aside
            number, start_ns = window
            width_ns = self._settings.window[number].window_ns
            self._spans.append(((max(start_ns, _FIRST_NS), -1), min(start_ns + width_ns - 1, _LAST_NS)))

    def _tally(self, window: Window) -> _Tally:
        """What is known of the window; where it is not all counted yet, a step was done."""
        number, start_ns = window
        tally = self._tallies.get(window)
        if tally is None:
            # Those of one slice must fit, or it would never be judged.
            most = max(_TALLIES, 2 * _SLICE * len(self._settings.window))
            while len(self._tallies) >= most:
                del self._tallies[next(iter(self._tallies))]
            tally = self._tallies[window] = _Tally(self._seen, (max(start_ns, _FIRST_NS), -1))
        if tally.counted is not None:
            last_ns = min(start_ns + self._settings.window[number].window_ns - 1, _LAST_NS)
            rows = self._ledger.connection.execute(_VERDICTS, (*tally.counted, last_ns, tally.until, _COUNT_SLICE))
            part = rows.fetchall()
            tally.images += len(part)
            tally.hits += sum(self._hits_of(bundle_id, label)[number] for _, _, bundle_id, label in part)
            tally.counted = (part[-1][0], part[-1][1]) if len(part) == _COUNT_SLICE else None
        return tally

    def _share_too_large(self, window: Window, tally: _Tally) -> bool:
        number, start_ns = window
        rule: WindowRule = self._settings.window[number]
        others = tally.images - tally.hits
        return bool(judge_windows(rule, ((start_ns, rule.labels[0], tally.hits), (start_ns, "", others))))

    def _hits_of(self, bundle_id: int, label: int) -> tuple[bool, ...]:
        """For which window rules the verdict counts: by its name, since bundles number their labels differently."""
        hits = self._hits.get((bundle_id, label))
        if hits is None:
            (labels,) = self._ledger.connection.execute(
                "SELECT labels FROM bundle WHERE id = ?", (bundle_id,)
            ).fetchone()
            name = UNCLASSIFIED if label < 0 else json.loads(labels)[label]
            hits = self._hits[bundle_id, label] = tuple(name in rule.labels for rule in self._settings.window)
        return hits

    # --- images

    def _judge_slice(self, place: Place, last_ns: int) -> Place | None:
        """Judges the first images behind `place` captured up to `last_ns`. Returns from where to go on; None: all done."""
        rows = self._ledger.connection.execute(_IMAGES, (*place, last_ns, _SLICE)).fetchall()
        counts = 0
        for number, rule in enumerate(self._settings.window):
            for start_ns in dict.fromkeys(row[1] // rule.window_ns * rule.window_ns for row in rows):
                tally = self._tallies.pop((number, start_ns), None)
                if tally is not None:
                    self._tallies[number, start_ns] = tally  # as the last to give way
                if tally is None or tally.counted is not None:
                    counts += 1
                    if counts > _COUNTS or self._tally((number, start_ns)).counted is not None:
                        return place
        self._judge_rows(rows)
        return (rows[-1][1], rows[-1][0]) if len(rows) == _SLICE else None

    def _judge_rows(self, rows: Sequence[tuple[Any, ...]]) -> None:
        """Judges images, rows as _COLUMNS has them, and writes what changed."""
        rules = self._settings.image
        by_track = self._by_track([row[1] for row in rows], [row[3] for row in rows])
        changed = []
        for row, track_name in zip(rows, by_track, strict=True):
            image_id, ns, image_bytes, before, _bundle, _label, *numbers = row
            aside = None
            if rules and None not in numbers:  # a ledger of the first version measured nothing
                aside = judge_image(rules, Measures(*numbers), image_bytes)
            if aside is None:
                aside = self._by_window(ns) or track_name
            if aside != before:
                changed.append((aside, image_id))
        if changed:
            with transaction(self._ledger.connection):
                self._ledger.connection.executemany("UPDATE image SET aside = ? WHERE id = ?", changed)

    def _by_window(self, ns: int) -> str | None:
        for number, rule in enumerate(self._settings.window):
            window = number, ns // rule.window_ns * rule.window_ns
            tally = self._tallies.get(window)
            if tally is not None and tally.counted is None:
                aside = self._share_too_large(window, tally) if tally.aside is None else tally.aside
                if aside:
                    return rule.name
        return None

    # --- the track

    def _by_track(self, captures_ns: Sequence[int], before: Sequence[str | None]) -> list[str | None]:
        """The first track rule that sets each instant aside. Without a track: that which did so `before`."""
        settings = self._settings.track
        if self._track is None or settings is None:
            return [name if name in self._track_names else None for name in before]
        names: list[str | None] = [None] * len(captures_ns)
        instants: NDArray[np.int64] = np.array(captures_ns, np.int64)
        for rule in reversed(self._settings.track_rule):
            for at in np.flatnonzero(judge_track(rule, self._track, settings.max_gap_seconds, instants)).tolist():
                names[at] = rule.name
        return names

    def _read_track(self, until: float) -> bool:
        """Takes up what is new in the track; False where it is so long that the rest is left for the next turn."""
        settings = self._settings.track
        assert settings is not None
        assert self._reader is not None
        now = signature(settings.file)
        if now is None:
            self.problem = f"{settings.file}: no such track; the rules on where the ship was wait for it"
            return True
        if now == self._signature:
            return True
        try:
            while (track := self._reader.read_on(_TRACK_LINES)) is None:
                if self._steady() >= until:
                    self.problem = (
                        f"{settings.file}: the track is long and still being read; its rules wait for its end"
                    )
                    return False
        except BadTrack as error:
            self.problem, self._signature = str(error), now
            return True
        self.problem, self._signature = None, now
        if self._track is None:
            end, checksum = self._ledger.read_note(_TRACK_END), self._ledger.read_note(_TRACK_SUM)
        else:
            end = int(self._track.fix_ns[-1])
            checksum = _checksum(self._track, end)
        self._track, self._second = track, None
        begin = _changed_from(track, settings, end, checksum)
        if begin == _FIRST_NS:
            self._note({_TRACK_END: _FIRST_NS})
        self._sweep = min(self._sweep or (_LAST_NS, -1), (begin, -1))
        return True

    # --- notes

    def _note(self, values: dict[str, int]) -> None:
        """All of them or none."""
        with transaction(self._ledger.connection):
            self._ledger.connection.executemany("INSERT OR REPLACE INTO note VALUES (?, ?)", list(values.items()))
        self._noted = values.get(_SEEN, self._noted)

    def _value(self, query: str) -> int:
        return int(self._ledger.connection.execute(query).fetchone()[0])


def _changed_from(track: Track, settings: TrackSettings, end: int | None, checksum: int | None) -> int:
    """UTC ns: images captured before then are judged alike by this track, and by the one up to `end` with its checksum.

    A log that was begun anew (rotated) says nothing of the time before it: what was judged then stays.
    """
    if end is None or end == _FIRST_NS:
        return _FIRST_NS
    # A fix changes the positions up to a gap before it, and the speed half of SPEED_SECONDS before those.
    reach_ns = round((settings.max_gap_seconds + SPEED_SECONDS) * 1e9)
    if _checksum(track, end) == checksum:
        return end - reach_ns
    begin = int(track.fix_ns[0])
    return begin - reach_ns if begin > end else _FIRST_NS


def _checksum(track: Track, end_ns: int) -> int:
    """Of the fixes up to `end_ns`; 20 ms for a month of one a second."""
    fixes = int(np.searchsorted(track.fix_ns, end_ns, side="right"))
    checksum = fixes
    for column in (track.fix_ns, track.latitude, track.longitude):
        checksum = zlib.crc32(np.ascontiguousarray(column[:fixes]).data, checksum)
    return checksum


_COLUMNS = (
    "image.id, capture_ns, bytes, aside, bundle_id, label,"
    " width, height, sharpness, dark_share, bright_share, ink_share, mean_grey"
)
_IMAGES = (
    f"SELECT {_COLUMNS} FROM image CROSS JOIN verdict ON verdict.image_id = image.id"
    " WHERE (capture_ns, image.id) > (?, ?) AND capture_ns <= ? ORDER BY capture_ns, image.id LIMIT ?"
)
_ARRIVED = f"SELECT {_COLUMNS} FROM verdict CROSS JOIN image ON image.id = image_id WHERE image_id > ? ORDER BY image_id LIMIT ?"
_VERDICTS = (
    "SELECT capture_ns, image.id, bundle_id, label FROM image CROSS JOIN verdict ON verdict.image_id = image.id"
    " WHERE (capture_ns, image.id) > (?, ?) AND capture_ns <= ? AND image.id <= ?"
    " ORDER BY capture_ns, image.id LIMIT ?"
)


def _fingerprint(settings: Any) -> int:
    """A number that changes with the rules, and fits SQLite's 64 bits; never _UNFINISHED."""
    digest = hashlib.sha256(json.dumps(repr(settings)).encode()).digest()
    return (int.from_bytes(digest[:8]) >> 2) + 1
