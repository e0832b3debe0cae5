"""All that the first page and the page on health show: one look at the ledger, the daemon, the alerts and the host."""

from __future__ import annotations

import sqlite3
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from bundle.errors import BadBundle, BadConfig
from bundle.labels import UNCLASSIFIED
from bundle.taxa import read_taxa
from edge.alerts.memory import RulesStanding, how_rules_stand
from edge.bins import SECOND_NS
from edge.counts import Accounting, LedgerBundle, one_moment, read_accounting, read_bundles
from edge.estimates.validated import bundle_of
from edge.htmlreport.spell import label_text
from edge.web.backlog import Backlog, Queue
from edge.web.daemonstate import DaemonState, read_daemon_state
from edge.web.host import Host, read_host
from edge.web.place import Place
from edge.web.reading import without_folders
from edge.web.recent import SLOT_NS, Kind, Latest, Recent, read_latest

LATEST_MOST = 16  # images
_AROUND_EVERY_NS = 5 * SECOND_NS


@dataclass(frozen=True)
class Counted:
    """What stands in the ledger at one moment."""

    accounting: Accounting
    rejects: Mapping[str, int]  # reason -> images, the most frequent first
    images_per_second: float  # counted in the last five to ten seconds
    per_slot: tuple[int, ...]  # images counted in each slot of the last minutes, the newest last
    species: tuple[tuple[str, int], ...]  # name, images of the last minutes; the most frequent first
    unclassified: int  # of the last minutes
    latest: tuple[tuple[Latest, str], ...]  # with the name of its label, the newest first
    backlog: Backlog


@dataclass(frozen=True)
class Moment:
    """One look. `counted` is None where the ledger cannot be read, and `fault` says why."""

    now_ns: int  # UTC ns
    daemon: DaemonState
    host: Host
    counted: Counted | None
    fault: str | None = None
    alerts: RulesStanding | None = None


class Lookout:
    """Looks at one place again and again; each look reads only what is new. For one thread at a time."""

    def __init__(self, place: Place) -> None:
        self._place = place
        self._recent, self._queue = Recent(), Queue()
        self._bundles: dict[int, LedgerBundle] = {}
        self._names: dict[int, dict[str, str]] = {}  # bundle id -> label -> what people call it
        self._host: Host | None = None
        self._alerts: RulesStanding | None = None
        self._around_ns = 0

    def look(self) -> Moment:
        """The state of all. Raises nothing that a ledger, a file or a disk can bring about."""
        now_ns = self._place.now_ns()
        settings = self._place.config
        publish_seconds = 5.0 if settings is None else settings.publish_seconds
        daemon = read_daemon_state(self._place.out, now_ns, publish_seconds)
        if daemon.sign is not None and daemon.sign.problem is not None:
            told = without_folders(self._place, BadConfig(daemon.sign.problem))
            daemon = replace(daemon, sign=replace(daemon.sign, problem=told))
        host = self._look_around(now_ns)
        counted, fault = None, None
        try:
            with self._place.reader() as connection, one_moment(connection):
                counted = self._count(connection, now_ns)
        except (BadConfig, sqlite3.Error) as error:
            fault = without_folders(self._place, error)
        return Moment(now_ns, daemon, host, counted, fault, self._alerts)

    def _count(self, connection: sqlite3.Connection, now_ns: int) -> Counted:
        self._recent.look(connection, now_ns)
        latest = read_latest(connection, LATEST_MOST)
        used = {kind[0] for kind in self._recent.totals} | {each.bundle_id for each in latest}
        if not used <= self._bundles.keys():
            self._bundles = {each.id: each for each in read_bundles(connection)}
        per_slot = self._recent.per_slot(now_ns)
        rate = (per_slot[-2] + per_slot[-1]) / ((SLOT_NS + now_ns % SLOT_NS) / SECOND_NS)
        accounting = read_accounting(connection)
        rejects = connection.execute(
            "SELECT reason, images FROM refusal WHERE images > 0 ORDER BY images DESC, reason"
        ).fetchall()
        species = Counter[str]()
        for kind, images in self._recent.totals.items():
            species[self._name(kind)] += images
        unclassified = species.pop(UNCLASSIFIED, 0)
        return Counted(
            accounting,
            dict(rejects),
            rate,
            tuple(per_slot),
            tuple(species.most_common()),
            unclassified,
            tuple((each, self._name((each.bundle_id, each.label))) for each in latest),
            self._queue.foresee(now_ns, accounting.waiting, rate),
        )

    def _name(self, kind: Kind) -> str:
        """What people call the label; of one that no bundle at hand names, the label itself."""
        bundle = self._bundles.get(kind[0])
        if bundle is None:
            return f"class {kind[1]}"
        label = bundle.label_name(kind[1])
        if label == UNCLASSIFIED:
            return label
        if bundle.id not in self._names:
            self._names[bundle.id] = _names_of(bundle, self._place.bundle)
        return self._names[bundle.id].get(label) or label_text(label)

    def _look_around(self, now_ns: int) -> Host:
        """At what does not change from second to second: the host, and how the alerts stand."""
        if self._host is None or not 0 <= now_ns - self._around_ns < _AROUND_EVERY_NS:
            folders = [("ledger", self._place.ledger.parent)]
            if self._place.watch is not None:
                folders.insert(0, ("images", self._place.watch))
            settings = self._place.config
            every_seconds = 3600.0 if settings is None else settings.alerts.every_seconds  # the rarest there is
            self._host, self._around_ns = read_host(folders), now_ns
            self._alerts = how_rules_stand(self._place.ledger, every_seconds)
        return self._host


def _names_of(bundle: LedgerBundle, given: Path | None) -> dict[str, str]:
    """The names that the bundle's table of taxa has, where the bundle is at hand."""
    for folder in (given, None):
        try:
            found = bundle_of(bundle.digest, folder)
            if found is not None:
                return {label: taxon.display_name for label, taxon in read_taxa(found).items()}
        except (BadConfig, BadBundle):  # another bundle, or one that is being replaced
            continue
    return {}
