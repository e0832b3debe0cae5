"""The shadow at work, in a worker: a second bundle classifies what the first one counts, and takes no part in it.

Nothing that it does may cost a counted image: it sees an image after the first bundle has prepared it, and one that fails is
left out, with a line for a person.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from bundle.folder import Bundle
from bundle.preprocess import Pixels, Prepared
from edge.daemon.outcome import Counted, Outcome, Shadowed

if TYPE_CHECKING:
    from edge.daemon.classify import Taken


@dataclass(frozen=True)
class ShadowTask:
    """What a worker is told of the second bundle."""

    bundle: Bundle  # the very bytes that the daemon verified
    share: float  # 0..1 of the images


class Shadow:
    """The second bundle, ready to run. `on`: whether it sees the batch in hand. Raises BadBundle where it cannot be loaded."""

    def __init__(self, task: ShadowTask, counting: Bundle, all_ballots: bool) -> None:
        self.on = True
        self.problem: str | None = None
        self._bundle, self._share, self._all_ballots = task.bundle, task.share, all_ballots
        self._ensemble = task.bundle.load()
        mine, its = task.bundle.manifest, counting.manifest
        like_its = replace(mine.input, max_image_pixels=its.input.max_image_pixels) == its.input
        self._alike = like_its and set(mine.sides) <= set(its.sides)

    def prepare(self, sha256: bytes, grey: Pixels, prepared: Prepared) -> Prepared | None:
        """How this bundle wants the image; `prepared` is how the first one does. None: it does not see it."""
        if not self.on or self.problem or not chosen(sha256, self._share):
            return None
        if grey.size > self._bundle.manifest.input.max_image_pixels:  # as the one that counts it would have refused it
            return None
        return prepared if self._alike else self._bundle.prepare_grey(grey)

    def beside(self, taken: Sequence[Taken], outcomes: Sequence[Outcome]) -> list[Outcome]:
        """The outcomes of a batch, those that this bundle sees with its verdict beside the one that counts."""
        places = [place for place, item in enumerate(taken) if getattr(item, "for_shadow", None) is not None]
        found = list(outcomes)
        if not places:
            return found
        batch: list[Prepared] = [taken[place].for_shadow for place in places]  # type: ignore[union-attr,misc]
        try:
            votes = self._bundle.classify(self._ensemble, batch, self._all_ballots)
        except (ValueError, RuntimeError) as error:  # it ran when it was opened
            why = " ".join(str(error).split())
            self.problem = f"{self._bundle.path}: the shadow fails and is left out, counting goes on ({why})"
            return found
        columns = (votes.label, votes.votes, votes.score, votes.asked)
        rows = zip(*(column.tolist() for column in columns), strict=True)
        for place, row in zip(places, rows, strict=True):
            outcome = found[place]
            assert isinstance(outcome, Counted)
            found[place] = replace(outcome, shadow=Shadowed(self._bundle.digest, *row))
        return found


def chosen(sha256: bytes, share: float) -> bool:
    """Whether the shadow sees an image: the same answer for the same content, and for any larger share."""
    return int.from_bytes(sha256[:8]) < share * 2**64
