"""What other programs aboard read while the daemon runs: counts.csv and status.json, rewritten whole every few seconds.

counts.csv    label,count   the totals of the ledger, one line a label, zeros included, `unclassified` last
status.json   what the daemon is doing, where every image went, and the rejects by reason

Each file is replaced in one step, so a reader finds the old one or the new one, never a part.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping
from contextlib import closing
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from bundle.errors import BadConfig
from bundle.whole import json_bytes, write_whole
from edge.bins import utc_text
from edge.counts import Counts, read_counts
from edge.ledger.ledgerfile import open_ledger_readonly

COUNTS_FILE = "counts.csv"
STATUS_FILE = "status.json"


@dataclass(frozen=True)
class DaemonStatus:
    """What only the daemon knows of itself; times in UTC ns."""

    state: str
    pid: int
    started_ns: int
    now_ns: int
    watch: str
    bundle_name: str
    bundle_digest: str
    images_per_second: float
    last_image_ns: int | None
    problem: str | None


def publish(out: Path, ledger: Path, status: DaemonStatus) -> None:
    """Rewrites counts.csv and status.json in the folder `out`, from the ledger as it stands. Raises OSError.

    `out` is made when it is missing.
    """
    with closing(open_ledger_readonly(ledger)) as connection:
        try:
            counts = read_counts(connection)
        except BadConfig as fault:  # people's labels cannot be read, which must not stop what others read
            counts = read_counts(connection, labels={})
            status = replace(status, problem="; ".join(filter(None, (status.problem, str(fault)))))
    out.mkdir(parents=True, exist_ok=True)
    write_whole(out / COUNTS_FILE, counts_csv(counts.totals))
    write_whole(out / STATUS_FILE, json_bytes(status_table(status, counts)))


def counts_csv(totals: Mapping[str, int]) -> bytes:
    """The bytes of counts.csv."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(("label", "count"))
    writer.writerows(totals.items())
    return text.getvalue().encode()


def status_table(status: DaemonStatus, counts: Counts) -> dict[str, Any]:
    """The content of status.json."""
    last = status.last_image_ns
    return {
        "state": status.state,
        "problem": status.problem,
        "pid": status.pid,
        "started": utc_text(status.started_ns),
        "now": utc_text(status.now_ns),
        "watch": status.watch,
        "bundle_name": status.bundle_name,
        "bundle_digest": status.bundle_digest,
        "images_per_second": round(status.images_per_second, 2),
        "last_image": None if last is None else utc_text(last),
        "accounting": asdict(counts.accounting),
        "rejects": dict(counts.rejects),
        "bundles": [
            {"name": bundle.name, "digest": bundle.digest, "counted": sum(share.values())}
            for bundle, share in counts.by_bundle
        ],
    }
