"""A bundle anew that prepares its images in another way: the same members, judged anew on the images held out.

Needs no Keras and none of its originals: those are often gone when a better preparation is found.
"""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

from bundle.errors import BadBundle
from bundle.folder import Bundle, open_bundle, write_bundle
from bundle.manifest import HashedFile
from bundle.order import Order
from bundle.pace import Say
from bundle.preprocess import InputSpec
from bundle.whole import sha256_hex
from quantize.judging import cheapest, judge
from quantize.recorded import FILE, read_recorded
from quantize.score import ballots, share
from quantize.validation import HeldOut, judged, record_bytes
from quantize.verify import split_of


def rejudge(bundle: Path, data: Path, out: Path, spec: InputSpec, say: Say) -> Bundle:
    """Writes the bundle folder `out`, which must not exist: `bundle` with its images prepared as `spec` says.

    data: the data set its members were trained on. Raises BadBundle and BadData; `out` is then not there.
    """
    if out.exists():
        raise BadBundle(f"{out}: exists already; a bundle is never changed in place, give another folder")
    opened = open_bundle(bundle)
    manifest, labels = opened.manifest, opened.labels
    split = split_of(opened)
    read_recorded(opened, split)
    models = {member.file: opened.contents[member.file] for member in manifest.members}
    validation, test = judge(models, labels, split, spec, data, out, say)
    order = cheapest(manifest.members, validation, manifest.vote)
    record = record_bytes(_record(opened, spec, validation, test, order))
    members = tuple(
        dataclasses.replace(
            member, checks=dataclasses.replace(member.checks, tflite_accuracy=share(ballots(each) == validation.truth))
        )
        for member, each in zip(manifest.members, validation.tflite, strict=True)
    )
    records = tuple(HashedFile(FILE, sha256_hex(record)) if each.file == FILE else each for each in manifest.records)
    anew = dataclasses.replace(manifest, input=spec, members=members, order=order.members, records=records)
    return write_bundle(out, anew, {**opened.contents, FILE: record})


def accuracies(bundle: Bundle) -> dict[str, float]:
    """Of the hard vote by part, as the bundle's record has it, 0 to 1."""
    record: dict[str, Any] = json.loads(bundle.contents[FILE])
    return {part: record[part]["hard"]["tflite"]["accuracy"] for part in ("validation", "test") if record[part]}


def _record(opened: Bundle, spec: InputSpec, validation: HeldOut, test: HeldOut, order: Order) -> dict[str, Any]:
    """validation.json as it was, with all that is of the TFLite members measured anew."""
    before: dict[str, Any] = json.loads(opened.contents[FILE])
    manifest = opened.manifest
    files = [member.file for member in manifest.members]
    now = judged(files, opened.labels, manifest.vote, validation, test, order)
    for part in ("validation", "test"):
        if now[part] is not None and before.get(part) is not None:
            now[part] = _over(before[part], now[part])
    changed = {"prepared_anew": {"background": spec.background}}
    before.pop("inherited", None)  # judged anew, its calibration is of its own verdicts
    return {key: now.get(key, value) for key, value in before.items()} | now | changed


def _over(before: Any, now: Any) -> Any:
    """`now`, with what only `before` has; lists of members are gone through one by one."""
    if isinstance(before, dict) and isinstance(now, dict):
        return {key: _over(value, now[key]) if key in now else value for key, value in before.items()} | {
            key: value for key, value in now.items() if key not in before
        }
    if isinstance(before, list) and isinstance(now, list) and len(before) == len(now):
        return [_over(*pair) for pair in zip(before, now, strict=True)]
    return now
