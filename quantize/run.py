"""The whole way from a training run to a bundle and its report. Effects are wired here, decided elsewhere."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from bundle.errors import BadBundle
from bundle.folder import Bundle, write_bundle
from bundle.order import cheapest_order
from bundle.pace import Say, spelled
from bundle.training import Record
from bundle.writing import writing_to
from quantize.compare import compare
from quantize.config import Settings
from quantize.gates import Finding, Part, ensemble_findings, require_passed
from quantize.images import Labelled, draw_representative, find_images, load_images, require_images, require_varied
from quantize.measured import HeldOutImages, Measured, measure_member
from quantize.pack import Made, pack
from quantize.record import read_record
from quantize.score import ballots, vote
from quantize.validation import HeldOut, Shipped, record_bytes, validation_record
from quantize.worker import HELD_OUT, REPRESENTATIVE, pixels_file, write_images


@dataclass(frozen=True)
class Result:
    """A bundle that is on disk, and what it was measured by."""

    bundle: Bundle
    members: tuple[Made, ...]
    findings: tuple[Finding, ...]
    validation: dict[str, Any]  # the contents of validation.json
    report: Path  # the page


def quantize(
    members: Path, data: Path, out: Path, settings: Settings, name: str | None, say: Say, report: Path | None = None
) -> Result:
    """Makes the bundle folder `out` of the trainer's output folder `members` and the data set folder `data`.

    The report goes to the folder `report`; without it, beside the bundle as OUT-report. Raises BadData, BadConfig or
    BadBundle and writes nothing where the members, the images, the disk or the figures will not do.
    """
    report = report or out.with_name(f"{out.name}-report")
    _require_new(out, report)
    record, training = read_record(members)
    settings.require_members([member.stem for member in record.members])
    with _scratch(out) as scratch:
        representative, held_out = _images(record, data, settings, scratch, say)
        measured = [
            _member(members, number, record, held_out, settings, scratch, say)
            for number in range(1, len(record.members) + 1)
        ]
        validation, test = (_part(measured, held_out, which) for which in ("validation", "test"))
        findings = [finding for member in measured for finding in member.findings]
        findings += _ensemble_findings(validation, test, record, settings)
        require_passed(findings, settings)
        made = tuple(member.made(held_out) for member in measured)
        name = name or record.name
        shipped = [Shipped(member.file, member.scheme, member.in_float) for member in made]
        order = cheapest_order(
            np.stack([ballots(scores) for scores in validation.tflite]),
            [member.multiply_adds for member in made],
            settings.vote.min_votes,
        )
        table = validation_record(
            record, settings, len(representative), name, shipped, validation, test, findings, order
        )
        bundle = write_bundle(
            out, *pack(record, settings.vote, order.members, name, made, training, record_bytes(table))
        )
        say(f"the bundle is written: {bundle.path}")
        figures = compare(bundle, measured, held_out, len(representative), findings, say)
    from quantize.report.write import PAGE, write_report  # Matplotlib takes a second, which a refusal need not wait for

    with writing_to(report):
        write_report(report, figures)
    return Result(bundle, made, tuple(findings), table, report / PAGE)


def _require_new(out: Path, report: Path) -> None:
    if out.exists():
        raise BadBundle(f"{out}: exists already; a bundle is never changed in place, give another folder")
    if report.exists():
        raise BadBundle(f"{report}: exists already; remove the old report, or give another folder with --report")


@contextmanager
def _scratch(out: Path) -> Iterator[Path]:
    """A folder beside the bundle, gone afterwards: what it holds can be larger than a memory-backed /tmp."""
    with writing_to(out.parent):
        out.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=f".{out.name}.", dir=out.parent) as scratch:
            yield Path(scratch)


def _images(
    record: Record, folder: Path, settings: Settings, scratch: Path, say: Say
) -> tuple[Labelled, HeldOutImages]:
    """The representative images, and those that are held out; their pixels are files in `scratch`."""
    say(f"looking for the images of '{record.name}' in {folder}")
    found = find_images(folder, record.labels, say)
    for part in ("train", "validation", "test"):
        require_images(found, getattr(record.split, part), part, folder)
    drawn = draw_representative(found, record.split.train, settings.representative_images, settings.seed)
    sets, sides = [], {member.side for member in record.members}
    for which, keys in ((REPRESENTATIVE, drawn), (HELD_OUT, [*record.split.validation, *record.split.test])):
        images = load_images(found, keys, record.input, sides, partial(pixels_file, scratch, which), say)
        write_images(scratch, which, images)
        sets.append(images)
    representative, held_out = sets[0], HeldOutImages(sets[1], len(record.split.validation))
    require_varied(representative, folder)
    say(
        f"{len(representative)} training images of {len(np.unique(representative.classes))} of {len(record.labels)} classes "
        f"set the ranges; {len(held_out.validation)} validation images decide, {len(held_out.test)} test images are held "
        "against the same gates"
    )
    return representative, held_out


def _member(
    folder: Path, number: int, record: Record, held_out: HeldOutImages, settings: Settings, scratch: Path, say: Say
) -> Measured:
    """The member with this number, from 1, if its gates hold."""
    began, trained = time.monotonic(), record.members[number - 1]
    say(f"member {number} of {len(record.members)}: {trained.stem} to {settings.scheme_of(trained.stem)}")
    measured = measure_member(folder / trained.file, trained, record.labels, held_out, settings, scratch, say)
    checks = measured.made(held_out).checks
    say(
        f"  {len(measured.converted.models[measured.scheme]) / 1000:.0f} kB, validation accuracy "
        f"{checks.keras_accuracy:.4f} -> {checks.tflite_accuracy:.4f}, agreement {checks.agreement:.4f}, "
        f"{spelled(time.monotonic() - began)}"
    )
    require_passed(measured.findings, settings)
    return measured


def _part(members: list[Measured], held_out: HeldOutImages, which: Part) -> HeldOut:
    where = slice(held_out.border) if which == "validation" else slice(held_out.border, None)
    return HeldOut(
        held_out.all.classes[where], [each.keras[where] for each in members], [each.shipped[where] for each in members]
    )


def _ensemble_findings(validation: HeldOut, test: HeldOut, record: Record, settings: Settings) -> list[Finding]:
    parts: list[tuple[Part, HeldOut]] = [("validation", validation), ("test", test)]
    return [
        finding
        for part, held_out in parts
        if len(held_out.truth)
        for finding in ensemble_findings(
            part,
            held_out.truth,
            vote(held_out.keras, settings.vote).label,
            vote(held_out.tflite, settings.vote).label,
            record.labels,
            settings.gates,
        )
    ]
