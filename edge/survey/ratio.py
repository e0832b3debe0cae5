"""The interval of a number that is divided by something uncertain."""

from __future__ import annotations

import math

Z = 1.959963984540054  # of the normal distribution: 95 % lie within so many standard deviations


def widened(
    number: float, low: float | None, high: float | None, relative_sd: float
) -> tuple[float | None, float | None]:
    """The 95 % interval of a number, widened for a divisor with this relative standard deviation.

    Both errors are independent; on the log scale the distances of a bound from the number add up by their squares, with
    the divisor log-normal: its log has the variance ln(1 + cv²). That is the confidence interval of a ratio by the MOVER
    (Donner and Zou 2012, Statistical Methods in Medical Research 21: 347) taken on logs. A number of zero has no log: its
    upper bound U solves E[exp(-u V)] = exp(-U) over a gamma divisor V of mean 1, which gives u = (exp(cv² U) - 1) / cv².
    """
    if relative_sd == 0:
        return low, high
    spread = Z * math.sqrt(math.log1p(relative_sd**2))
    if number <= 0:
        return low, None if high is None else math.expm1(relative_sd**2 * high) / relative_sd**2
    if low is not None:
        low = number * math.exp(-math.hypot(math.log(number / low), spread)) if 0 < low < number else min(low, number)
    if high is not None:
        high = number * math.exp(math.hypot(math.log(max(high, number) / number), spread))
    return low, high
