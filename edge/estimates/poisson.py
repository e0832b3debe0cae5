"""The exact interval of a Poisson count, by quantiles of the gamma distribution computed here: the host has no SciPy."""

from __future__ import annotations

import math
from functools import lru_cache
from statistics import NormalDist

LARGE = 2000.0  # shape from which on Wilson and Hilferty (1931) err by less than 1e-5 of the quantile


def garwood(count: float, coverage: float = 0.95) -> tuple[float, float]:
    """The interval of a Poisson mean of which `count` were observed (Garwood 1936).

    Quantiles of the gamma distribution with the shapes `count` and `count` + 1: the chi-square form, halved. `count` may be
    fractional, as effective counts are. (0, 3.69) for none. Raises ValueError for a negative count.
    """
    if not count >= 0 or math.isinf(count):
        raise ValueError(f"a count is a number from 0, not {count}")
    tail = (1 - coverage) / 2
    return (gamma_quantile(count, tail) if count > 0 else 0.0), gamma_quantile(count + 1, 1 - tail)


def weighted(counts: list[float], weights: list[float], coverage: float = 0.95) -> tuple[float, float]:
    """The interval of sum w_i m_i where count_i are Poisson of mean m_i: an effective count by its first two moments
    (Fay & Feuer 1997, Statistics in Medicine 16, 791-801). For equal weights it is w times Garwood's."""
    total = sum(w * n for w, n in zip(weights, counts, strict=True))
    squares = sum(w * w * n for w, n in zip(weights, counts, strict=True))
    heaviest = max(weights, default=1.0)
    if total <= 0:
        return 0.0, heaviest * garwood(0, coverage)[1]
    low = garwood(total * total / squares, coverage)[0] * squares / total
    upper_total, upper_squares = total + heaviest, squares + heaviest * heaviest
    shape = upper_total * upper_total / upper_squares
    return low, gamma_quantile(shape, (1 + coverage) / 2) * upper_squares / upper_total


@lru_cache(maxsize=65536)
def gamma_quantile(shape: float, probability: float) -> float:
    """x such that a gamma variable of this shape (> 0) and scale 1 lies below it with `probability` (in (0, 1)).

    Wilson and Hilferty's cube root, made exact by Newton's method on the incomplete gamma function (its series,
    Abramowitz & Stegun 1964, 6.5.29), within a bracket.
    """
    z = NormalDist().inv_cdf(probability)
    guess = shape * max(1 - 1 / (9 * shape) + z / (3 * math.sqrt(shape)), 0.0) ** 3
    if shape >= LARGE:
        return guess
    if guess <= 0 or shape < 1:  # far in the lower tail only the series' first term counts
        guess = math.exp((math.log(probability) + math.lgamma(shape + 1)) / shape)
        if guess < 1e-30:
            return guess
    low, high, x = 0.0, math.inf, max(guess, 1e-300)
    for _ in range(200):
        below, density = _gamma_below(shape, x)
        low, high = (x, high) if below < probability else (low, x)
        step = x - (below - probability) / density if density > 0 else math.nan
        if not low < step < high:
            step = 2 * x + 1 if math.isinf(high) else (low + high) / 2
        if abs(step - x) <= 1e-12 * x:
            return step
        x = step
    return x


def _gamma_below(shape: float, x: float) -> tuple[float, float]:
    """Probability below x and density at x."""
    log_density = (shape - 1) * math.log(x) - x - math.lgamma(shape)
    term, total, k = 1 / shape, 1 / shape, shape
    while term > total * 1e-16:
        k += 1
        term *= x / k
        total += term
    density = math.exp(log_density) if log_density > -745 else 0.0
    return min(density * x * total, 1.0), density
