"""Looks every few seconds which bundle stands at a path, and has another one opened and verified, beside the counting.

Another one is another folder: where a symlink has come to lead, or what was renamed to the path. A folder that is changed in
place is refused: between two of its files it would be neither the old bundle nor the new one.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from bundle.errors import BadBundle, PlanktowError
from bundle.folder import Bundle
from bundle.manifest import MANIFEST
from edge.swap.opening import Opening

LOOK_SECONDS = 2.0
_TRY_AGAIN_SECONDS = 60.0  # a bundle that was refused, though nothing in its folder has changed
_LONG_SECONDS = 60.0  # an opening that takes longer is told of
_FILES = 1000  # of a folder are looked at; a bundle has a dozen


@dataclass(frozen=True)
class Standing:
    """The folder that a path leads to."""

    folder: str  # without symlinks
    device: int
    number: int  # of the folder on its device: another one under the same name has another

    @property
    def manifest(self) -> Path:
        """Of the bundle that the folder holds."""
        return Path(self.folder, MANIFEST)


def look(path: Path) -> Standing | None:
    """Where the path leads; None: nowhere, or to no folder."""
    folder = os.path.realpath(path)
    try:
        status = os.stat(folder + "/")  # noqa: PTH116
    except OSError:
        return None
    return Standing(folder, status.st_dev, status.st_ino)


class Lookout:
    """One thread. `turn` gives each new bundle once; its taker says `refuse` if it cannot be had after all.

    what: its part, in messages. path: None where there is to be no bundle, as a second one may be taken away.
    check: raises PlanktowError for a bundle that opens and does not fit here.
    problem    what a person should know, one line, or None
    """

    def __init__(
        self,
        what: str,
        path: Path | None,
        standing: Standing | None,
        digest: str | None,
        check: Callable[[Bundle], None],
        steady: Callable[[], float],
    ) -> None:
        """standing, digest: of the bundle that was opened; looked at before the opening."""
        self.problem: str | None = None
        self._what, self._path, self._check, self._steady = what, path, check, steady
        self._taken = self._before = (standing, digest)
        self._manifest = _stamp(standing)
        self._asked = False
        self._next = steady() + LOOK_SECONDS
        self._opening: Opening | None = None
        self._opened: Standing | None = None  # what is being opened
        self._began = 0.0
        self._refused: tuple[Standing, object] | None = None  # and what its files looked like
        self._again_at = 0.0

    @property
    def busy(self) -> bool:
        """Whether the answer to `ask` is still to come."""
        return self._asked or self._opening is not None

    def ask(self, path: Path | None) -> None:
        """Looks at once, and opens what stands at `path` whatever it is."""
        self._close_opening()
        self._path, self._asked, self._next = path, True, 0.0

    def refuse(self, why: str) -> None:
        """The bundle that `turn` gave cannot be had; the one before stays."""
        standing = self._taken[0]
        self._taken = self._before
        self._refuse(standing, why)

    def turn(self) -> Bundle | None:
        """A bundle other than the one before, verified whole, if one is there now. Returns within milliseconds."""
        now = self._steady()
        if self._opening is not None:
            return self._ready(now)
        if now < self._next:
            return None
        self._next = now + LOOK_SECONDS
        asked, self._asked = self._asked, False
        if self._path is None:
            self.problem, self._taken = None, (None, None)
            return None
        standing = look(self._path)
        if standing is None:
            self.problem = f"{self._path}: no such folder any more; the {self._what} that was opened stays"
        elif standing != self._taken[0] or asked or (self._refused and self._refused[0] == standing):
            self._open(standing, asked, now)
        else:
            self._look_inside(standing)
        return None

    def close(self) -> None:
        """Gives up what is being opened."""
        self._close_opening()

    def _open(self, standing: Standing, asked: bool, now: float) -> None:
        if not asked and self._refused == (standing, _files(standing)) and now < self._again_at:
            return
        self._opening, self._opened, self._began = Opening(Path(standing.folder)), standing, now

    def _ready(self, now: float) -> Bundle | None:
        assert self._opening is not None
        standing, found = self._opened, self._opening.poll()
        if found is None:
            if now - self._began > _LONG_SECONDS:
                self.problem = f"{self._path}: the {self._what} is being opened for more than a minute; check its disk"
            return None
        self._close_opening()
        if isinstance(found, BadBundle):
            self._refuse(standing, str(found))
        elif found.digest == self._taken[1]:
            self._taken, self._manifest = (standing, found.digest), _stamp(standing)
            self.problem = self._refused = None
        elif standing == self._taken[0]:
            self._refuse(standing, self._in_place(found.path))
        else:
            try:
                self._check(found)
            except PlanktowError as error:
                self._refuse(standing, str(error))
            else:
                self._before, self._taken = self._taken, (standing, found.digest)
                self._manifest = _stamp(standing)
                self.problem = self._refused = None
                return found
        return None

    def _refuse(self, standing: Standing | None, why: str) -> None:
        self.problem = f"the new {self._what} is refused, the one before stays: {why}"
        if standing is not None:
            self._refused = (standing, _files(standing))
        self._again_at = self._steady() + _TRY_AGAIN_SECONDS

    def _look_inside(self, standing: Standing) -> None:
        """The folder is the one that was opened: its manifest must be, too."""
        stamp = _stamp(standing)
        if stamp == self._manifest and self.problem is None:
            return
        self._manifest = stamp
        try:
            digest = hashlib.sha256(standing.manifest.read_bytes()).hexdigest()
        except OSError as error:
            self.problem = (
                f"{standing.manifest}: cannot be read ({error.strerror}); the {self._what} that was opened stays"
            )
            return
        self.problem = self._refused = None
        if digest != self._taken[1]:
            self.problem = f"the new {self._what} is refused, the one before stays: {self._in_place(standing.folder)}"

    def _in_place(self, folder: Path | str) -> str:
        return (
            f"{folder} was changed in place; put the new one into a folder of its own and turn the symlink, or edge.toml,"
            " to it"
        )

    def _close_opening(self) -> None:
        if self._opening is not None:
            with closing(self._opening):
                self._opening = None


def _stamp(standing: Standing | None) -> tuple[int, int, int] | None:
    """Another one whenever the manifest may be another."""
    if standing is None:
        return None
    try:
        status = standing.manifest.stat()
    except OSError:
        return None
    return status.st_ino, status.st_size, status.st_ctime_ns


def _files(standing: Standing) -> object:
    """Another value whenever a file in the folder may be another; no file is read."""
    found = []
    for folder, _, names in os.walk(standing.folder):
        for name in names:
            try:
                status = os.lstat(os.path.join(folder, name))  # noqa: PTH118
            except OSError:
                continue
            found.append((folder, name, status.st_ino, status.st_size, status.st_ctime_ns))
            if len(found) > _FILES:
                return sorted(found)
    return sorted(found)
