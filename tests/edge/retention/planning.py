"""A run of retention from its beginning to its end, and what it plans to do."""

from edge.retention.clearing import Cleared, carry_out
from edge.retention.retention import Plan, RetentionSettings
from edge.retention.stock import CountedBytes

from ..stocked import NOW, Stock

BARE = RetentionSettings(
    enabled=True, max_age_days=5, only_backed_up=False, keep_rare=0, keep_votes_up_to=0, keep_best_per_hour=0
)


def clear(stock: Stock, settings: RetentionSettings, free_bytes: int = 0) -> Cleared:
    """One run, from the beginning, to its end."""
    cleared = Cleared()
    for _ in carry_out(plan(stock, settings, free_bytes), stock.root, stock.record_gone, lambda: NOW, cleared):
        pass
    return cleared


def plan(stock: Stock, settings: RetentionSettings, free_bytes: int = 0) -> Plan:
    counted = CountedBytes()
    for _ in counted.update(stock.connection):
        pass
    return Plan(stock.connection, settings, NOW, free_bytes, counted.bytes)


def planned(stock: Stock, settings: RetentionSettings, free_bytes: int = 0) -> tuple[dict[str, str], dict[str, str]]:
    """(path -> why it goes, path -> why it stays)"""
    going, kept = {}, {}
    for part in plan(stock, settings, free_bytes):
        going.update({file.path: each.reason for each in part.going for file in each.files})
        kept.update({file.path: each.why for each in part.kept for file in each.files})
    return going, kept
