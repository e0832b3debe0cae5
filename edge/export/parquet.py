"""One row for each counted image in Apache Parquet: everything the ledger knows of it, for analysis in R, pandas or DuckDB."""

from __future__ import annotations

import json
from collections.abc import Mapping
from itertools import islice
from pathlib import Path
from typing import Any

from edge.counts import one_moment
from edge.export.library import library
from edge.export.lognames import log_names
from edge.export.outfile import Exported, check_out, whole_file
from edge.export.rows import MEASURES, ImageRow
from edge.export.source import Source

_GROUP = 16_384  # rows of a row group, held at a time


def export_parquet(source: Source, out: Path) -> Exported:
    """Writes `out`. Raises BadConfig."""
    pa, pq = library("pyarrow", "parquet"), library("pyarrow.parquet", "parquet")
    check_out(out)
    rows = 0
    with one_moment(source.connection), whole_file(out) as partial:
        schema = _schema(pa, source)
        with pq.ParquetWriter(str(partial), schema, compression="zstd") as writer:
            images, logged = source.rows(), _logged(source)
            while group := list(islice(images, _GROUP)):
                writer.write_batch(
                    pa.RecordBatch.from_pylist([_record(source, row, logged) for row in group], schema=schema)
                )
                rows += len(group)
    return Exported((out,), rows, "images")


_OWN = frozenset(MEASURES) | {
    *("path", "sha256", "copy", "bytes", "capture_time", "time_source", "deployment", "label", "classified", "votes"),
    *("asked", "score", "classified_time", "bundle_name", "bundle_digest", "display_name", "group", "aphia_id"),
    *("machine_label", "labelled_by", "labelled_time"),
}


def _logged(source: Source) -> dict[str, str]:
    return log_names(source.conditions.names, _OWN)


def _schema(pa: Any, source: Source) -> Any:
    word, instant = pa.dictionary(pa.int32(), pa.string()), pa.timestamp("ns", tz="UTC")

    def measured(name: str, unit: str) -> Any:
        return pa.field(name, pa.int32() if unit == "pixels" else pa.float64(), metadata={"unit": unit})

    fields = [
        pa.field("path", pa.string()),
        pa.field("sha256", pa.string(), nullable=False),
        pa.field("copy", pa.int32(), nullable=False),
        pa.field("bytes", pa.int64(), nullable=False),
        pa.field("capture_time", instant, nullable=False),
        pa.field("time_source", word, nullable=False),
        pa.field("deployment", word, nullable=False),
        pa.field("label", word, nullable=False),
        pa.field("classified", pa.bool_(), nullable=False),
        pa.field("votes", pa.int32(), nullable=False),
        pa.field("asked", pa.int32()),
        pa.field("score", pa.float64(), nullable=False),
        pa.field("classified_time", instant, nullable=False),
        pa.field("bundle_name", word, nullable=False),
        pa.field("bundle_digest", word, nullable=False),
        pa.field("display_name", word),
        pa.field("group", word),
        pa.field("aphia_id", pa.int64()),
        pa.field("machine_label", word, nullable=False),
        pa.field("labelled_by", word),
        pa.field("labelled_time", instant),
        *(measured(name, unit) for name, unit in MEASURES.items()),
        *(
            pa.field(column, pa.float64(), metadata={"unit": source.conditions.units.get(name, "")})
            for name, column in _logged(source).items()
        ),
    ]
    provenance = source.provenance()
    return pa.schema(fields, {"planktow": json.dumps(provenance.table()), "description": provenance.sentence})


def _record(source: Source, row: ImageRow, logged: Mapping[str, str]) -> dict[str, Any]:
    taxon = source.taxon(row.bundle, row.label)
    return {
        "path": row.path,
        "sha256": row.sha256,
        "copy": row.copy,
        "bytes": row.size,
        "capture_time": row.capture_ns,
        "time_source": row.time_source,
        "deployment": row.tow,
        "label": row.label,
        "classified": row.classified,
        "votes": row.votes,
        "asked": row.asked,
        "score": row.score,
        "classified_time": row.classified_ns,
        "bundle_name": row.bundle.name,
        "bundle_digest": row.bundle.digest,
        "display_name": taxon.display_name,
        "group": taxon.group,
        "aphia_id": taxon.aphia_id,
        "machine_label": row.machine_label,
        "labelled_by": row.person,
        "labelled_time": row.labelled_ns,
        **row.measures,
        **{logged[name]: value for name, value in row.conditions.items()},
    }
