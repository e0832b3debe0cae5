"""Numbers as a person reads them. Shares are 0..1."""

from __future__ import annotations

from collections.abc import Sequence
from math import floor, log10


def percent(share: float) -> str:
    """73.2 %"""
    return f"{100 * share:.1f} %"


def points(change: float, decimals: int = 1) -> str:
    """-0.4, +1.2, 0.0: percentage points, always with the sign, which is the news."""
    spelled = f"{100 * change:+.{decimals}f}"
    return spelled.lstrip("+-") if not spelled.strip("+-0.") else spelled.replace("-", "−")


def significant(value: float) -> str:
    """3.1, 0.012, 70, 1,300: two digits that mean something."""
    if value == 0:
        return "0"
    rounded = float(f"{value:.2g}")
    return f"{rounded:,.{max(0, 1 - floor(log10(abs(rounded))))}f}"


def size(size_bytes: int) -> str:
    """35 kB, 3.0 MB (of 1,000 and 1,000,000 bytes)."""
    return f"{size_bytes / 1000:,.0f} kB" if size_bytes < 999_500 else f"{size_bytes / 1e6:,.1f} MB"


def count(number: int) -> str:
    """2,380"""
    return f"{number:,}"


def ensemble(members: Sequence[str], of: Sequence[str]) -> list[str]:
    """Some of all members, in as few words as will do: ["all 5"], ["all but 03-c"], ["01-a", "02-b"]."""
    if len(members) == len(of) > 2:
        return [f"all {len(of)}"]
    if len(members) == len(of) - 1 > 2:
        return [f"all but {next(member for member in of if member not in members)}"]
    return list(members)
