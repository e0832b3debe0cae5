"""The situation as Prometheus metrics: names with base units, of what the ledger keeps sums of. For the extra [web].

`images_total` and its like are counters by their nature. They fall when a rule of quality control, or a person's label,
takes images out of a count: Prometheus takes that for a restart, as it should.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from threading import Lock

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, InfoMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector, CollectorRegistry

from edge.alerts.memory import how_rules_stand
from edge.situation import Situation, Standing

LEAST_SECONDS = 1.0  # the ledger is read no more often, however many ask

More = Callable[[Situation], Iterable[Metric]]  # metrics of other parts, such as alerts


def families(situation: Situation, more: Sequence[More] = ()) -> Iterator[Metric]:
    """All metrics of one moment. What is not known is left out: an absent metric is no zero."""
    yield GaugeMetricFamily(
        "planktow_ledger_readable", "1 when the ledger could be read just now.", situation.ledger is not None
    )
    if situation.ledger is not None:
        yield from _of_ledger(situation.ledger)
    yield GaugeMetricFamily(
        "planktow_daemon_up",
        "1 when `planktow-edge run` says that it runs, and said so within the last minute.",
        situation.daemon_up(),
    )
    if situation.daemon is not None:
        yield GaugeMetricFamily(
            "planktow_daemon_last_sign_timestamp_seconds",
            "When the daemon last wrote status.json, seconds since 1970.",
            situation.daemon.now_ns / 1e9,
        )
        yield GaugeMetricFamily(
            "planktow_daemon_problem", "1 when status.json names a problem.", situation.daemon.problem is not None
        )
        yield GaugeMetricFamily(
            "planktow_images_per_second",
            "Images counted a second, as the daemon last measured it.",
            situation.daemon.images_per_second if situation.daemon_up() else 0.0,
        )
    free = GaugeMetricFamily(
        "planktow_disk_free_bytes", "Free on the disk of a folder: watch, ledger or out.", labels=["folder"]
    )
    for folder, left in situation.free_bytes.items():
        free.add_metric([folder], left)
    yield free
    yield GaugeMetricFamily(
        "planktow_ledger_bytes", "Size of the ledger with its write-ahead log.", situation.ledger_bytes
    )
    for each in more:
        yield from each(situation)


def of_alerts(ledger: Path) -> More:
    """How the rules of `planktow-edge alerts` on this ledger stand, drift among them; nothing where none are watched."""

    def stand(_situation: Situation) -> Iterator[Metric]:
        known = how_rules_stand(ledger)
        if known is None:
            return
        raised = GaugeMetricFamily(
            "planktow_alert_raised", "1 while a rule of [alerts] holds.", labels=["rule", "severity"]
        )
        for name, state in known.rules.items():
            raised.add_metric([name, state.severity], state.raised)
        yield raised
        yield GaugeMetricFamily(
            "planktow_alerts_last_look_timestamp_seconds",
            "When `planktow-edge alerts` last wrote down how its rules stand, seconds since 1970.",
            known.looked_ns / 1e9,
        )

    return stand


def _of_ledger(standing: Standing) -> Iterator[Metric]:
    counts = standing.counts
    accounts = counts.accounting
    images = CounterMetricFamily(
        "planktow_images", "Images decided on: counted, rejected or dropped.", labels=["state"]
    )
    for state in ("counted", "rejected", "dropped"):
        images.add_metric([state], getattr(accounts, state))
    yield images
    yield GaugeMetricFamily("planktow_images_waiting", "Images found and not decided on.", accounts.waiting)
    yield CounterMetricFamily(
        "planktow_duplicate_files", "Files whose content had been seen before.", accounts.duplicates
    )
    by_label = CounterMetricFamily("planktow_counted_images", "Images counted, by label.", labels=["label"])
    for label, number in counts.totals.items():
        by_label.add_metric([label], number)
    yield by_label
    rejects = CounterMetricFamily("planktow_rejected_images", "Images rejected, by reason.", labels=["reason"])
    for reason, number in counts.rejects.items():
        rejects.add_metric([reason], number)
    yield rejects
    yield GaugeMetricFamily(
        "planktow_accounting_ok",
        "1 when seen = counted + rejected + waiting + dropped; 0 is a fault of Planktow's.",
        accounts.adds_up,
    )
    if standing.newest_file_ns is not None:
        yield GaugeMetricFamily(
            "planktow_last_image_timestamp_seconds",
            "When the newest image file was found, seconds since 1970.",
            standing.newest_file_ns / 1e9,
        )
    if standing.oldest_waiting_ns is not None:
        yield GaugeMetricFamily(
            "planktow_oldest_waiting_timestamp_seconds",
            "When the image that has waited longest was found, seconds since 1970. Absent when none waits.",
            standing.oldest_waiting_ns / 1e9,
        )
    if standing.bundle is not None:
        name, digest = standing.bundle
        yield InfoMetricFamily(
            "planktow_bundle", "The classifier that came last.", value={"name": name, "digest": digest}
        )


class SituationCollector(Collector):
    """Collects from one reading of the situation for all who ask within a second."""

    def __init__(
        self, read: Callable[[], Situation], more: Sequence[More] = (), steady: Callable[[], float] = time.monotonic
    ) -> None:
        self._read, self._more, self._steady = read, more, steady
        self._lock = Lock()
        self._families: list[Metric] = []
        self._at = float("-inf")

    def collect(self) -> Iterable[Metric]:
        with self._lock:  # who asks meanwhile waits for this reading instead of making one
            if self._steady() - self._at >= LEAST_SECONDS:
                self._families = list(families(self._read(), self._more))
                self._at = self._steady()
            return self._families

    def describe(self) -> Iterable[Metric]:
        """Nothing is read at registration."""
        return ()


def registry_of(collector: Collector) -> CollectorRegistry:
    """A registry of this collector alone, none of the process."""
    registry = CollectorRegistry(auto_describe=False)
    registry.register(collector)
    return registry
