"""Counts raised for images that were offered and not classified.

Of N images offered in a bin, n were classified. Where the n are a simple random sample (the policy `sample`), the
estimate of a label's number among all N, and its variance, are those of a proportion sampled without replacement
(Cochran 1977, Sampling Techniques, 3rd edition, sections 3.2 and 3.3). Under `oldest` and `newest` the images left out
are not drawn by chance: the raised count is then right only as far as the sea did not change in between.
"""

from __future__ import annotations

import math
from dataclasses import dataclass


@dataclass(frozen=True)
class Raising:
    """One bin: `classified` images of known verdict, `dropped` ones of unknown."""

    classified: int
    dropped: int

    @property
    def factor(self) -> float | None:
        """Images offered / images classified, at least 1; None where nothing was classified and something dropped."""
        if self.dropped == 0:
            return 1.0
        return (self.classified + self.dropped) / self.classified if self.classified else None

    def estimate(self, count: int) -> float | None:
        """How many images of a label there were among all offered, of which `count` were found."""
        return None if self.factor is None else count * self.factor

    def standard_deviation(self, count: int) -> float | None:
        """Of `estimate`, from the chance of the draw alone; None where fewer than two were classified and some dropped.

        N sqrt((1 - n / N) p (1 - p) / (n - 1)) with p = count / n.
        """
        if self.dropped == 0:
            return 0.0
        n, offered = self.classified, self.classified + self.dropped
        if n < 2:
            return None
        p = count / n
        return offered * math.sqrt((1 - n / offered) * p * (1 - p) / (n - 1))
