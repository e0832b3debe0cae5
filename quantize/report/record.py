"""report.json: what the page shows, for programs. Its keys are those of `quantize.comparison`, from the top:

    schema_version        1
    name, digest          of the bundle
    measured              UTC, ISO 8601
    machine               {processor, architecture, cores, system, runtime}: where the latencies were measured
    validation_images, test_images, representative_images
    keras, shipped        {images, accuracy, balanced_accuracy, macro_f1}: vote of the originals and of what ships, on the
                          validation images
    keras_test, shipped_test   the same on the test images; null where there are none
    variants              [{member, architecture, scheme, chosen, size_bytes, in_float, agreement, scores {as keras},
                          latencies [{threads, batch, milliseconds}]}]: one member in one scheme, validation images;
                          in_float: convolutions left in float32; milliseconds are per image
    refused               [{member, scheme, reason}]: schemes that could not be made
    choices               [{members, scheme, chosen, size_bytes, accuracy, balanced_accuracy, count_error,
                          milliseconds_one, milliseconds_all, front_one, front_all}]: some of the members in one scheme,
                          voting, validation images; milliseconds per image with one thread and with all cores; front_*:
                          no other choice is at least as accurate and as fast and better in one
    classes               [{label, images, keras, shipped}]: recall by vote on all held-out images
    findings              [{gate, part, subject, label, images, before, after, found, limit, changed, passed}]: the gates;
                          label is null but for gates of one class

Shares are from 0 to 1. Numbers are rounded to a millionth.
"""

from __future__ import annotations

import dataclasses
from typing import Any

from bundle.whole import json_bytes
from quantize.comparison import Report
from quantize.front import all_cores, front, one_core

SCHEMA_VERSION = 1


def report_record(report: Report) -> dict[str, Any]:
    """The contents of report.json."""
    fronts = {"front_one": front(report.choices, one_core), "front_all": front(report.choices, all_cores)}
    record = {"schema_version": SCHEMA_VERSION, **dataclasses.asdict(report)}
    record["choices"] = [
        dataclasses.asdict(choice) | {key: choice in found for key, found in fronts.items()}
        for choice in report.choices
    ]
    record["findings"] = [dataclasses.asdict(finding) | {"passed": finding.passed} for finding in report.findings]
    rounded: dict[str, Any] = _rounded(record)
    return rounded


def report_bytes(report: Report) -> bytes:
    """report.json as a file."""
    return json_bytes(report_record(report))


def _rounded(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _rounded(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_rounded(item) for item in value]
    return round(value, 6) if isinstance(value, float) else value
