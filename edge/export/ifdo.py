"""An iFDO (image FAIR Digital Object, Schoening et al. 2022): the image set and each of its images with its predicted label.

Version 2.2.1 of the standard (ifdo-schema.org). As JSON, or as YAML where the file's name ends so. Written image by image.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from itertools import chain
from pathlib import Path
from typing import IO, Any
from uuid import NAMESPACE_URL, UUID, uuid5

from bundle.errors import BadConfig
from bundle.labels import UNCLASSIFIED
from edge.counts import one_moment
from edge.export.description import Description
from edge.export.library import library
from edge.export.outfile import Exported, check_out, whole_file
from edge.export.provenance import Provenance
from edge.export.rows import ImageRow
from edge.export.source import Source

VERSION = "v2.2.1"
_SCHEMA = f"https://www.ifdo-schema.org/schemas/{VERSION}/ifdo.json"
_SPACE = uuid5(NAMESPACE_URL, "planktow")
_NAMED = (
    "image-context",
    "image-project",
    "image-event",
    "image-platform",
    "image-sensor",
    "image-pi",
    "image-license",
)
_LISTED = ("image-creators",)  # as those, but several
# What the standard asks of every image set, and the ledger cannot know.
ASKED_FOR = (
    "image-set-handle",
    "image-coordinate-uncertainty-meters",
    *_NAMED,
    *_LISTED,
    "image-copyright",
)
_NUMBERS = ("image-coordinate-uncertainty-meters",)


def export_ifdo(source: Source, out: Path, described: Description) -> Exported:
    """Writes `out`. Raises BadConfig."""
    yaml = library("yaml", "ifdo as YAML") if out.suffix.lower() in (".yaml", ".yml") else None
    check_out(out)
    with one_moment(source.connection), whole_file(out) as partial, partial.open("w", encoding="utf-8") as file:
        images = source.rows()
        first = next(images)
        header = _header(source, first, described)
        items = ((_key(row), _item(source, row)) for row in chain([first], images))
        rows = (_write_json if yaml is None else _yaml_writer(yaml))(file, header, items)
    lacking = [name for name in ASKED_FOR if not header.get(name)]
    notes = []
    if lacking:
        notes.append("iFDO also asks for: " + ", ".join(lacking) + "; give each with --field NAME=VALUE")
    if "latitude" not in source.conditions.names:
        notes.append("iFDO also asks for the position of each image; give a track with --survey")
    return Exported((out,), rows, "images", tuple(notes))


_Items = Iterator[tuple[str, dict[str, Any]]]


def _write_json(file: IO[str], header: Mapping[str, Any], items: _Items) -> int:
    """One line an image."""
    rows = 0
    file.write('{"$schema": ' + json.dumps(_SCHEMA) + ',\n"image-set-header": ')
    json.dump(header, file, ensure_ascii=False, indent=1)
    file.write(',\n"image-set-items": {')
    for name, item in items:
        file.write((",\n" if rows else "\n") + json.dumps(name, ensure_ascii=False) + ": ")
        file.write(json.dumps(item, ensure_ascii=False, allow_nan=False))
        rows += 1
    file.write("\n}}\n")
    return rows


def _yaml_writer(yaml: Any) -> Callable[[IO[str], Mapping[str, Any], _Items], int]:
    dumper = getattr(yaml, "CSafeDumper", yaml.SafeDumper)

    def text(value: object) -> str:
        dumped: str = yaml.dump(value, Dumper=dumper, allow_unicode=True, sort_keys=False, width=10_000)
        return dumped

    def write(file: IO[str], header: Mapping[str, Any], items: _Items) -> int:
        rows = 0
        file.write(text({"$schema": _SCHEMA, "image-set-header": dict(header)}))
        file.write("image-set-items:\n")
        for name, item in items:
            file.write("".join(f"  {line}\n" for line in text({name: item}).splitlines()))
            rows += 1
        return rows

    return write


def _header(source: Source, first: ImageRow, described: Description) -> dict[str, Any]:
    provenance = source.provenance()
    labels: dict[str, dict[str, str]] = {}
    for bundle in source.bundles:
        for label in bundle.labels:
            taxon = source.taxon(bundle, label)
            known = [taxon.group, f"urn:lsid:marinespecies.org:taxname:{taxon.aphia_id}" if taxon.aphia_id else ""]
            labels.setdefault(label, {"id": label, "name": taxon.display_name, "info": "; ".join(filter(None, known))})
    said = [each for each in source.labels.values() if each.label not in (None, UNCLASSIFIED)]
    for label in sorted({each.label or "" for each in said} - labels.keys()):
        labels[label] = {"id": label, "name": label, "info": "given by a person"}
    people = sorted({each.person for each in said})
    header: dict[str, Any] = {
        "image-set-name": described.title,
        "image-set-uuid": str(_set_uuid(provenance, first)),
        "image-set-handle": "",
        "image-set-ifdo-version": VERSION,
        **_where_and_when(first),  # of the set the standard asks for one of its images
        "image-coordinate-reference-system": "EPSG:4326",
        "image-abstract": provenance.sentence,
        "image-acquisition": "photo",
        "image-curation-protocol": f"{provenance.software}; {provenance.classifiers}; {provenance.accounts}",
        "image-annotation-labels": list(labels.values()),
        "image-annotation-creators": [
            {"id": bundle.digest, "name": f"{provenance.software}, classifier {bundle.name} (machine)"}
            for bundle in source.bundles
        ]
        + [{"id": _person(name), "name": name} for name in people],
    }
    if described.creators:
        header["image-creators"] = [{"name": name} for name in described.creators]
    if described.licence:
        header["image-license"] = {"name": described.licence}
    for name, value in described.fields.items():
        header[name] = _as_asked(name, value)
    return header


def _as_asked(name: str, value: str) -> Any:
    if name in _NAMED:
        return {"name": value}
    if name in _LISTED:
        return [{"name": each.strip()} for each in value.split(";")]
    if name not in _NUMBERS:
        return value
    try:
        return float(value)
    except ValueError:
        raise BadConfig(f"--field {name}={value}: not a number; example: {name}=20") from None


def _item(source: Source, row: ImageRow) -> dict[str, Any]:
    grey = row.measures.get("mean_grey")
    item: dict[str, Any] = {
        **_where_and_when(row),
        "image-uuid": str(uuid5(_SPACE, row.identity)),
        "image-hash-sha256": row.sha256,
    }
    if source.tows:
        item["image-event"] = {"name": row.tow}
    if grey is not None:
        item["image-average-color"] = [round(grey)]
    if row.classified:
        verdict: dict[str, Any] = {
            "label": row.label,
            "annotator": row.bundle.digest,
            "created-at": _instant(row.classified_ns),
            "confidence": min(1.0, max(0.0, row.score)),
        }
        if row.person is not None and row.labelled_ns is not None:
            verdict = {"label": row.label, "annotator": _person(row.person), "created-at": _instant(row.labelled_ns)}
        item["image-annotations"] = [{"shape": "whole-image", "coordinates": [], "labels": [verdict]}]
    return item


def _person(name: str) -> str:
    """The identity of an annotator: people have no digest."""
    return f"person:{name}"


def _where_and_when(row: ImageRow) -> dict[str, Any]:
    around, told = row.conditions, dict[str, Any]()
    told["image-datetime"] = _instant(row.capture_ns)
    if "latitude" in around and "longitude" in around:
        told["image-latitude"], told["image-longitude"] = around["latitude"], around["longitude"]
    if "depth" in around:
        told["image-altitude-meters"] = -around["depth"]  # positive above the surface
    return told


def _key(row: ImageRow) -> str:
    """The file's path; where its name was used again, or each copy counts, with the content beside it: keys are unlike."""
    if row.path is None:
        return row.identity
    return f"{row.path}#{row.identity[:12]}{row.identity[64:]}" if row.reused or row.copy else row.path


def _set_uuid(provenance: Provenance, first: ImageRow) -> UUID:
    """The same export has the same number, another ledger or stretch of time another."""
    digests = ",".join(bundle.digest for bundle in provenance.bundles)
    return uuid5(_SPACE, f"{digests} {first.identity} {provenance.from_ns} {provenance.to_ns}")


_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def _instant(ns: int) -> str:
    """As iFDO writes it: UTC, to the microsecond."""
    return (_EPOCH + timedelta(microseconds=ns // 1000)).strftime("%Y-%m-%d %H:%M:%S.%f")
