"""When the sea was really sampled: the time between images, and how much of it falls in a stretch.

Time was sampled between two images that follow each other without a gap: there the camera ran. Images dropped under
overload, and damaged ones, show that it ran; the counts are raised for the dropped ones (`edge.raising`), so their time
stays. Where quality control set two neighbours aside, the time between them is taken out, as are the images.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from edge.bins import SECOND_NS
from edge.survey.captures import ASIDE
from edge.track.track import Floats, Instants


class SampledTime:
    """The seconds sampled between each two of K knots: the images, and the ends of each run of them without a gap.

    The camera ran before the first image of a run and after the last, but for how long, nobody wrote down. Organisms come
    at random, so a run is taken to reach one mean step beyond them, and not beyond half the gap: of n points that fall at
    random in a stretch of length W, the first and the last are on average W (n - 1) / (n + 1) apart (Goodman 1952,
    Journal of the American Statistical Association 47: 622, of the range of a sample).
    """

    def __init__(self, times: Instants, states: NDArray[np.int8], gap_ns: int, begin_ns: int, end_ns: int) -> None:
        """times, states: as `captures` gives them, of all that was captured in [begin_ns, end_ns)."""
        self._times, self._states = times, states
        runs = np.concatenate([[0], np.cumsum(np.diff(times) > gap_ns)]) if len(times) else np.zeros(0, np.int64)
        begins, reach_back, ends, reach_on = _reach(times, runs, begin_ns + gap_ns, end_ns - gap_ns)
        knots = np.concatenate([times, times[begins] - reach_back, times[ends] + reach_on])
        order = np.argsort(knots, kind="stable")
        image = np.concatenate([np.arange(len(times)), begins, ends])[order]  # the one that each knot goes with
        self._knots: Instants = knots[order]
        steps = np.diff(self._knots)
        aside = states[image] == ASIDE
        sampled = (runs[image][1:] == runs[image][:-1]) & ~(aside[1:] & aside[:-1])
        self.steps: Floats = np.where(sampled, steps / SECOND_NS, 0.0)  # (K - 1,)
        self.middles: Instants = self._knots[:-1] + steps // 2  # (K - 1,) UTC ns

    def within(self, edges: Instants, amounts: Floats) -> Floats:
        """(M,): how much of the amounts, one for each step and even within it, falls in each stretch (M, 2)."""
        if not len(amounts):
            return np.zeros(len(edges))
        total = np.concatenate([[0.0], np.cumsum(amounts)])
        base = self._knots[0]
        # From the first knot on: as float64 the nanoseconds of a year are exact to 4 of them, those since 1970 to 256.
        at = (self._knots - base).astype(np.float64)
        part: Floats = np.interp((edges - base).astype(np.float64), at, total)
        return np.maximum(part[:, 1] - part[:, 0], 0.0)

    def images(self, edges: Instants, states: Sequence[int]) -> NDArray[np.int64]:
        """(M,): how many images of these states each stretch holds."""
        times = self._times[np.isin(self._states, states)]
        place = np.searchsorted(times, edges)
        images: NDArray[np.int64] = place[:, 1] - place[:, 0]
        return images


def _reach(
    times: Instants, runs: NDArray[np.int64], from_ns: int, to_ns: int
) -> tuple[NDArray[np.intp], Instants, NDArray[np.intp], Instants]:
    """Which images begin a run, how far it reaches back (ns), which end one, and how far on.

    An image alone has no step. The first run may have begun before what was looked at if it does not begin after `from_ns`,
    and so the last may go on.
    """
    _, firsts, sizes = np.unique(runs, return_index=True, return_counts=True)
    lasts = firsts + sizes - 1
    several = sizes > 1
    mean = (times[lasts] - times[firsts]) // np.maximum(sizes - 1, 1)
    halves = (times[firsts[1:]] - times[lasts[:-1]] - 1) // 2  # of the gaps between
    back, on = mean.copy(), mean.copy()
    back[1:], on[:-1] = np.minimum(mean[1:], halves), np.minimum(mean[:-1], halves)
    begun, ended = several.copy(), several.copy()
    if len(times):
        begun[0] &= times[0] > from_ns
        ended[-1] &= times[-1] < to_ns
    return firsts[begun], back[begun], lasts[ended], on[ended]
