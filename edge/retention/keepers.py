"""The first and the best-scored images of each label in an hour: what a collection keeps of it when the rest goes."""

from __future__ import annotations

from heapq import heappush, heappushpop


class Keepers:
    """Of the images added, in the order of their capture times, the `each` first and the `each` best of every label.

    Memory: 2 * `each` images a label, however many are added.
    """

    def __init__(self, each: int) -> None:
        self._each = each
        self._first: dict[str, list[int]] = {}
        self._best: dict[str, list[tuple[float, int]]] = {}  # a heap; score and minus image: the earlier of equals wins

    def add(self, image_id: int, label: str, score: float) -> None:
        first = self._first.setdefault(label, [])
        if len(first) < self._each:
            first.append(image_id)
        best = self._best.setdefault(label, [])
        if len(best) < self._each:
            heappush(best, (score, -image_id))
        elif best and (score, -image_id) > best[0]:
            heappushpop(best, (score, -image_id))

    def kept(self) -> frozenset[int]:
        """The images to keep."""
        first = {image_id for images in self._first.values() for image_id in images}
        return frozenset(first.union(-negative for best in self._best.values() for _, negative in best))
