"""The ledger as a report: counts per label in each time bin and in total, and where every image went.

csv     one row per bin and label: bin_start,bin_end,label,count,bundles,dropped,raised_count,raised_sd,raw_low,raw_high,
        corrected,corrected_low,corrected_high,per_m3,per_m3_low,per_m3_high,tow. Times are UTC, ISO 8601, [start, end).
        `dropped` images of the bin were left out under overload; `raised_count` is the count times images offered /
        images classified, `raised_sd` its standard deviation from that draw (edge/raising.py); `raw_low` and `raw_high`
        are the 95 % interval of the raised count, from counting and that draw. `corrected` has the classifier's known
        errors taken out, with its 95 % interval (edge/estimates/estimate.py); `per_m3` is individuals per cubic metre of the
        corrected count, or else of the raised one, where --survey tells of the volume; `tow` the deployments in the bin.
        A cell is empty where it is not known.
        Lines that begin with # stand at the head and hold the accounting, the stretch of time if one was asked for, the
        bundles, why there is no corrected count if so, and the totals: raw, and corrected as [count, low, high]. Read it
        with pandas.read_csv(file, comment="#", parse_dates=["bin_start", "bin_end"]), or in R with
        read.csv(file, comment.char = "#").
        Where people have given or confirmed labels (docs/corrections.md), theirs are in the counts, a line of the head says of
        how many images, and a last column `verified` of how many of the row's.
        A bin has a row for every label of the classifiers at work in it, zeros included: looked for and not found.
        A bin in which nothing was classified has no rows: no observation is not a zero. Where images were dropped in
        it, it has one row, without a label and a count.
json    the same as nested objects, with the totals of each bundle beside the sum. `estimates` has for each label those of
        the csv's columns from raised_count on that are known, and the same per litre.
table   for the screen: labels that were found, totals first.

Where a stretch of time was asked for, counts, totals and bins are of the images captured in it, and a bin that reaches
over its ends holds what lies inside. Accounting and rejects are of the whole ledger: a file that was never read has no
capture time.

Labels of the same name add up over bundles; `bundles` names those whose verdicts are in the count (name and the first
twelve digits of the digest, joined by " + ").
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable, Mapping
from dataclasses import asdict
from functools import partial
from typing import Any

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from bundle.labels import UNCLASSIFIED
from bundle.whole import json_bytes
from edge.bins import SECOND_NS, utc_text, width_text
from edge.counts import Bin, Counts
from edge.estimates.estimate import Estimate
from edge.reported import Reported
from edge.screen import table, to_text
from edge.survey.volume import Concentration, Sampled

COLUMNS = (
    *("bin_start", "bin_end", "label", "count", "bundles", "dropped", "raised_count", "raised_sd"),
    *("raw_low", "raw_high", "corrected", "corrected_low", "corrected_high"),
    *("per_m3", "per_m3_low", "per_m3_high", "tow"),
)
VERIFIED = "verified"
LABEL_COLUMNS = (
    66  # of a screen's 100, for the labels of the table by time; those that do not fit are joined as `others`
)


def report_csv(reported: Reported) -> str:
    """The tidy long format that the head of this file describes."""
    counts = reported.counts
    text = io.StringIO()
    accounting = counts.accounting
    text.write(f"# accounting: {accounting}; duplicates {accounting.duplicates}\n")
    text.write(f"# rejects: {_json_line(dict(counts.rejects))}\n")
    if stretch := stretch_text(counts):
        text.write(f"# stretch: {stretch}; accounting and rejects are of the whole ledger\n")
    for bundle, share in counts.by_bundle:
        text.write(f"# bundle: {bundle.name} {bundle.digest} counted {sum(share.values())}\n")
    text.write(f"# total: {_json_line(dict(counts.totals))}\n")
    if counts.verified:
        text.write(f"# verified by people: {_json_line(dict(counts.verified))}\n")
    for note in (*([reported.note] if reported.note else []), *reported.survey_notes):
        text.write(f"# note: {' '.join(note.split())}\n")
    if corrected := _corrected_totals(reported):
        text.write(f"# corrected total: {_json_line(corrected)}\n")
    # A reader told that # begins a comment would cut a label that holds one, unless it is quoted.
    quote_all = any("#" in words for words in (*counts.totals, *reported.tow_names))
    writer = csv.writer(text, lineterminator="\n", quoting=csv.QUOTE_NONNUMERIC if quote_all else csv.QUOTE_MINIMAL)
    columns = (*COLUMNS, VERIFIED) if counts.verified else COLUMNS
    writer.writerow(columns)
    for number, each in enumerate(counts.bins):
        start, end, bundles, raising = utc_text(each.start_ns), utc_text(each.end_ns), _bundle_names(each), each.raising
        tow = reported.tow_names[number] if reported.tow_names else ""
        estimates = reported.estimates.bins[number]
        writer.writerows(
            (
                start,
                end,
                label,
                count,
                bundles,
                each.dropped,
                _rounded(raising.estimate(count)),
                _rounded(raising.standard_deviation(count)),
                *_estimated(estimates[label], reported.per_m3_in(number, label)),
                tow,
                *([each.verified.get(label, 0)] if counts.verified else []),
            )
            for label, count in each.counts.items()
        )
        if not each.counts:
            row = (start, end, "", "", bundles, each.dropped, *[""] * (len(COLUMNS) - 7), tow)
            writer.writerow((*row, *[""] * (len(columns) - len(COLUMNS))))
    return text.getvalue()


def report_json(reported: Reported) -> str:
    """One JSON object; counts of bins and bundles hold their zeros."""
    counts, bins = reported.counts, reported.estimates.bins
    told: dict[str, Any] = {
        "accounting": asdict(counts.accounting),
        "rejects": dict(counts.rejects),
        "from": None if counts.from_ns is None else utc_text(counts.from_ns),
        "to": None if counts.to_ns is None else utc_text(counts.to_ns),
        "totals": dict(counts.totals),
        **({"verified": dict(counts.verified)} if counts.verified else {}),
        "note": reported.note,
        "survey_notes": list(reported.survey_notes),
        "estimates": _estimates_json(reported.estimates.totals, reported.per_m3),
        "sampled": _sampled_json(reported.sampled),
        "bundles": [
            {"name": bundle.name, "digest": bundle.digest, "counted": sum(share.values()), "totals": dict(share)}
            for bundle, share in counts.by_bundle
        ],
        "tows": [
            {"name": tow.name, "start": utc_text(tow.start_ns), "end": utc_text(tow.end_ns)} for tow in reported.tows
        ],
        "bins": [
            {
                "start": utc_text(each.start_ns),
                "end": utc_text(each.end_ns),
                "bundles": [bundle.digest for bundle in each.bundles],
                "counts": dict(each.counts),
                **({"verified": dict(each.verified)} if counts.verified else {}),
                "dropped": each.dropped,
                "raising_factor": each.raising.factor,
                "estimates": _estimates_json(bins[number], partial(reported.per_m3_in, number)),
                "sampled": _sampled_json(reported.sampled_bins[number] if reported.sampled_bins else None),
                "tow": reported.tow_names[number] if reported.tow_names else None,
            }
            for number, each in enumerate(counts.bins)
        ],
    }
    return json_bytes(told).decode()


def report_table(reported: Reported) -> RenderableType:
    """For the screen: what was found, most frequent first."""
    counts = reported.counts
    found = {label: count for label, count in counts.totals.items() if count}
    ranked = sorted(found, key=lambda label: -found[label])
    stretch = stretch_text(counts)
    parts: list[RenderableType] = [Text(f"Images {stretch}\n")] if stretch else []
    if not found:
        parts.append(Text("None of them has been counted." if stretch else "Nothing has been counted yet."))
    else:
        parts.append(_totals(reported, ranked))
        parts += [Text(f"{note}\n") for note in (reported.note, *reported.survey_notes) if note]
        if counts.bins:  # no image may lie in a tow
            parts.append(_bins(reported, ranked))
    return Group(*parts, accounting_lines(counts))


def accounting_lines(counts: Counts) -> Text:
    """Where every image went, the rejects by reason, and which classifiers counted."""
    accounting = counts.accounting
    stretch = stretch_text(counts)
    lines = ["in the whole ledger:"] if stretch else []
    lines.append(str(accounting))
    if counts.rejects:
        lines.append("rejected: " + ", ".join(f"{reason} {images}" for reason, images in counts.rejects.items()))
    lines.append(f"duplicates, counted once: {accounting.duplicates}")
    if counts.verified:
        lines.append(f"labels given or confirmed by people: {sum(counts.verified.values())} of the counted")
    for bundle, share in counts.by_bundle:
        when = " in that time" if stretch else ""
        lines.append(f"counted{when} by {bundle.name}: {sum(share.values())}  (digest {bundle.digest[:12]}…)")
    return Text("\n".join(lines))


def stretch_text(counts: Counts) -> str:
    """The stretch of time that was asked for; nothing where it is all."""
    since = "" if counts.from_ns is None else f" from {utc_text(counts.from_ns)}"
    until = "" if counts.to_ns is None else f" before {utc_text(counts.to_ns)}"
    return f"captured{since}{' and' if since and until else ''}{until}" if since or until else ""


FORMATS: dict[str, Callable[[Reported], str]] = {
    "csv": report_csv,
    "json": report_json,
    "table": lambda reported: to_text(report_table(reported)),
}


def _totals(reported: Reported, ranked: list[str]) -> Table:
    counts, estimates = reported.counts, reported.estimates.totals
    corrected = any(each.corrected is not None for each in estimates.values())
    dense = {label: known for label in ranked if (known := reported.per_m3(label)) is not None}
    rows = table("In total")
    rows.add_column("label", overflow="fold", min_width=16)
    heads = ["count", "share", *(["corrected"] if corrected else []), "95 %", *(["per m³", "95 %"] if dense else [])]
    for head in heads:
        rows.add_column(head, justify="right", no_wrap=True)
    whole = sum(counts.totals.values())
    for label in ranked:
        each = estimates[label]
        cells = [str(counts.totals[label]), f"{counts.totals[label] / whole:.1%}"]
        cells += (
            [_short(each.corrected), _interval(each.low, each.high)]
            if corrected
            else [_interval(each.raw_low, each.raw_high)]
        )
        if dense:
            its = dense.get(label)
            cells += [_short(its.value), _interval(its.low, its.high)] if its else ["", ""]
        rows.add_row(label, *cells)
    absent = sum(1 for label, images in counts.totals.items() if not images and label != UNCLASSIFIED)
    rows.caption = f"labels not found: {absent}" if absent else None
    return rows


def _bins(reported: Reported, ranked: list[str]) -> Table:
    counts = reported.counts
    shown = _that_fit(ranked)
    rest = ranked[len(shown) :]
    if reported.by_tow:
        heads, rows = list(reported.tow_names), table("By tow")
    else:
        width_ns = counts.bins[0].end_ns - counts.bins[0].start_ns
        starts = [utc_text(each.start_ns).replace("T", " ").removesuffix("Z") for each in counts.bins]
        heads = starts if width_ns % (60 * SECOND_NS) else [start.removesuffix(":00") for start in starts]
        rows = table(f"By capture time, UTC, bins of {width_text(width_ns)}")
    rows.add_column("tow" if reported.by_tow else "from", no_wrap=True)
    for label in shown:
        rows.add_column(label, justify="right", overflow="fold")
    if rest:
        rows.add_column(f"{len(rest)} others", justify="right", no_wrap=True)
    rows.add_column("all", justify="right", no_wrap=True)
    drops = any(each.dropped for each in counts.bins)
    if drops:
        rows.add_column("dropped", justify="right", no_wrap=True)
    for head, each in zip(heads, counts.bins, strict=True):
        row = [str(each.counts.get(label, "")) for label in shown]
        row += [str(sum(each.counts.get(label, 0) for label in rest))] if rest else []
        row += [str(sum(each.counts.values()))] + ([str(each.dropped)] if drops else [])
        rows.add_row(head, *row)
    return rows


def _that_fit(ranked: list[str]) -> list[str]:
    """As many of the most frequent labels as fit side by side, at least one."""
    used = 0
    shown: list[str] = []
    for label in ranked:
        used += len(label) + 3
        if shown and used > LABEL_COLUMNS:
            break
        shown.append(label)
    return shown


def _bundle_names(each: Bin) -> str:
    return " + ".join(str(bundle) for bundle in each.bundles)


def _estimated(each: Estimate, dense: Concentration | None) -> tuple[str, ...]:
    """The cells from raw_low to per_m3_high."""
    density = (None, None, None) if dense is None else (dense.value, dense.low, dense.high)
    counted = (each.raw_low, each.raw_high, each.corrected, each.low, each.high)
    return (*map(_rounded, counted), *map(_significant, density))


def _estimates_json(
    estimates: Mapping[str, Estimate], per_m3: Callable[[str], Concentration | None]
) -> dict[str, dict[str, float]]:
    """By label; what is not known is left out: hundreds of bins of a hundred labels make a long file."""
    told = {}
    for label, each in estimates.items():
        dense = per_m3(label)
        litre = None if dense is None else dense.per_litre()
        values = {
            "raised": each.raised,
            "raw_low": each.raw_low,
            "raw_high": each.raw_high,
            "corrected": each.corrected,
            "corrected_low": each.low,
            "corrected_high": each.high,
            "per_m3": None if dense is None else dense.value,
            "per_m3_low": None if dense is None else dense.low,
            "per_m3_high": None if dense is None else dense.high,
            "per_litre": None if litre is None else litre.value,
            "per_litre_low": None if litre is None else litre.low,
            "per_litre_high": None if litre is None else litre.high,
        }
        told[label] = {name: float(f"{value:.6g}") for name, value in values.items() if value is not None}
    return told


def _sampled_json(sampled: Sampled | None) -> dict[str, float | None] | None:
    return None if sampled is None else asdict(sampled)


def _corrected_totals(reported: Reported) -> dict[str, list[float | None]]:
    return {
        label: [None if value is None else round(value, 3) for value in (each.corrected, each.low, each.high)]
        for label, each in reported.estimates.totals.items()
        if each.corrected is not None
    }


def _rounded(value: float | None) -> str:
    """Three digits behind the point; a whole number as one, and nothing for None."""
    return "" if value is None else f"{value:.3f}".rstrip("0").rstrip(".")


def _significant(value: float | None) -> str:
    """Six digits that count: a concentration may be far below one."""
    return "" if value is None else f"{value:.6g}"


def _short(value: float | None) -> str:
    """For people: three digits that count, and no exponent."""
    if value is None:
        return ""
    if 0 < value < 0.001:
        return "<0.001"
    return f"{value:.0f}" if value >= 100 else f"{value:.3g}"


def _interval(low: float | None, high: float | None) -> str:
    return "" if low is None or high is None else f"{_short(low)}–{_short(high)}"


def _json_line(value: object) -> str:
    return json.dumps(value, ensure_ascii=False)
