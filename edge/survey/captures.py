"""When the camera took images, as far as the ledger knows: the moments that say when the sea was really sampled."""

from __future__ import annotations

import sqlite3
from collections.abc import Collection

import numpy as np
from numpy.typing import NDArray

from edge.track.track import Instants

COUNTED, ASIDE, DROPPED, REJECTED = 0, 1, 2, 3

_MOMENTS = """
    SELECT capture_ns, CASE WHEN reason IS NOT NULL THEN 3 WHEN aside IS NOT NULL {kept} THEN 1 ELSE 0 END
        FROM image WHERE capture_ns >= :from_ns AND capture_ns < :to_ns
    UNION ALL SELECT capture_ns, 2 FROM sighting
        WHERE dropped IS NOT NULL AND capture_ns >= :from_ns AND capture_ns < :to_ns
"""


def captures(
    connection: sqlite3.Connection, from_ns: int, to_ns: int, kept: Collection[str] = ()
) -> tuple[Instants, NDArray[np.int8]]:
    """Capture times in [from_ns, to_ns), (K,) UTC ns in order, and what became of each image, (K,).

    COUNTED, ASIDE (quality control), DROPPED (overload) or REJECTED (damaged: the camera ran all the same). What the rules
    named in `kept` set aside is given as COUNTED. 9 bytes an image.
    """
    names = {f"kept{number}": rule for number, rule in enumerate(kept)}
    listed = ", ".join(f":{name}" for name in names)
    query = _MOMENTS.format(kept=f"AND aside NOT IN ({listed})" if names else "")
    rows = connection.execute(query, {"from_ns": from_ns, "to_ns": to_ns, **names})
    pairs = np.fromiter(rows, dtype=np.dtype((np.int64, 2)))
    order = np.argsort(pairs[:, 0], kind="stable")
    return pairs[order, 0], pairs[order, 1].astype(np.int8)
