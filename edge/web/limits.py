"""How often one address may ask: a bucket of tokens for each kind of request, refilled steadily (a token bucket)."""

from __future__ import annotations

import ipaddress
import time
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal

Kind = Literal["light", "page", "heavy", "write", "failure"]
ADDRESSES_MOST = 10_000  # remembered of each kind; those that asked longest ago are forgotten first


@dataclass(frozen=True)
class Rate:
    """At most `burst` at once, and `per_second` over time."""

    burst: float
    per_second: float


# A page with a gallery asks for a hundred pictures at once; a person who labels with the keyboard writes twice a second.
RATES: Mapping[Kind, Rate] = {
    "light": Rate(600, 60),  # pictures, files of the page, event streams
    "page": Rate(60, 5),
    "heavy": Rate(20, 0.5),  # reports and exports
    "write": Rate(60, 4),
    "failure": Rate(5, 0.05),  # wrong tokens: one in twenty seconds
}


class Limits:
    """The buckets of all addresses. For one thread."""

    def __init__(self, rates: Mapping[Kind, Rate] = RATES, seconds: Callable[[], float] = time.monotonic) -> None:
        """seconds: a steady clock."""
        self._rates, self._seconds = rates, seconds
        self._buckets: dict[Kind, OrderedDict[str, tuple[float, float]]] = {kind: OrderedDict() for kind in rates}

    def wait_seconds(self, kind: Kind, address: str) -> float:
        """0 where this address may ask; else after how long it may."""
        left, _ = self._left(kind, address)
        return 0.0 if left >= 1 else (1 - left) / self._rates[kind].per_second

    def take(self, kind: Kind, address: str) -> None:
        """It has asked."""
        left, now = self._left(kind, address)
        bucket = self._buckets[kind]
        bucket[_network(address)] = max(0.0, left - 1), now
        bucket.move_to_end(_network(address))
        while len(bucket) > ADDRESSES_MOST:
            bucket.popitem(last=False)

    def _left(self, kind: Kind, address: str) -> tuple[float, float]:
        rate, now = self._rates[kind], self._seconds()
        left, then = self._buckets[kind].get(_network(address), (rate.burst, now))
        return min(rate.burst, left + (now - then) * rate.per_second), now


def _network(address: str) -> str:
    """Of IPv6 the half that a host does not choose by itself."""
    if ":" not in address:
        return address
    try:
        return str(ipaddress.ip_network((address.partition("%")[0], 64), strict=False))
    except ValueError:
        return address
