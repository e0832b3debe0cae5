"""The ledger as a report: counts per label in each time bin and in total, and where every image went.

csv     one row per bin and label: bin_start,bin_end,label,count,bundles,dropped,raised_count,raised_sd. Times are UTC,
        ISO 8601, [start, end). `dropped` images of the bin were left out under overload; `raised_count` is the count
        times images offered / images classified, `raised_sd` its standard deviation from that draw (edge/raising.py).
        Lines that begin with # stand at the head and hold the accounting, the stretch of time if one was asked for, the
        bundles and the totals. Read it with
        pandas.read_csv(file, comment="#", parse_dates=["bin_start", "bin_end"]), or in R with
        read.csv(file, comment.char = "#").
        A bin has a row for every label of the classifiers at work in it, zeros included: looked for and not found.
        A bin in which nothing was classified has no rows: no observation is not a zero. Where images were dropped in
        it, it has one row, without a label and a count.
json    the same as nested objects, with the totals of each bundle beside the sum.
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
from collections.abc import Callable
from dataclasses import asdict
from typing import Any

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from bundle.labels import UNCLASSIFIED
from bundle.whole import json_bytes
from edge.bins import SECOND_NS, utc_text, width_text
from edge.counts import Bin, Counts
from edge.screen import table, to_text

LABEL_COLUMNS = (
    66  # of a screen's 100, for the labels of the table by time; those that do not fit are joined as `others`
)


def report_csv(counts: Counts) -> str:
    """The tidy long format that the head of this file describes."""
    text = io.StringIO()
    accounting = counts.accounting
    text.write(f"# accounting: {accounting}; duplicates {accounting.duplicates}\n")
    text.write(f"# rejects: {_json_line(dict(counts.rejects))}\n")
    if stretch := stretch_text(counts):
        text.write(f"# stretch: {stretch}; accounting and rejects are of the whole ledger\n")
    for bundle, share in counts.by_bundle:
        text.write(f"# bundle: {bundle.name} {bundle.digest} counted {sum(share.values())}\n")
    text.write(f"# total: {_json_line(dict(counts.totals))}\n")
    # A reader told that # begins a comment would cut a label that holds one, unless it is quoted.
    quote_all = any("#" in label for label in counts.totals)
    writer = csv.writer(text, lineterminator="\n", quoting=csv.QUOTE_NONNUMERIC if quote_all else csv.QUOTE_MINIMAL)
    writer.writerow(("bin_start", "bin_end", "label", "count", "bundles", "dropped", "raised_count", "raised_sd"))
    for each in counts.bins:
        start, end, bundles, raising = utc_text(each.start_ns), utc_text(each.end_ns), _bundle_names(each), each.raising
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
            )
            for label, count in each.counts.items()
        )
        if not each.counts:
            writer.writerow((start, end, "", "", bundles, each.dropped, "", ""))
    return text.getvalue()


def report_json(counts: Counts) -> str:
    """One JSON object; counts of bins and bundles hold their zeros."""
    table: dict[str, Any] = {
        "accounting": asdict(counts.accounting),
        "rejects": dict(counts.rejects),
        "from": None if counts.from_ns is None else utc_text(counts.from_ns),
        "to": None if counts.to_ns is None else utc_text(counts.to_ns),
        "totals": dict(counts.totals),
        "bundles": [
            {"name": bundle.name, "digest": bundle.digest, "counted": sum(share.values()), "totals": dict(share)}
            for bundle, share in counts.by_bundle
        ],
        "bins": [
            {
                "start": utc_text(each.start_ns),
                "end": utc_text(each.end_ns),
                "bundles": [bundle.digest for bundle in each.bundles],
                "counts": dict(each.counts),
                "dropped": each.dropped,
                "raising_factor": each.raising.factor,
            }
            for each in counts.bins
        ],
    }
    return json_bytes(table).decode()


def report_table(counts: Counts) -> RenderableType:
    """For the screen: what was found, most frequent first."""
    found = {label: count for label, count in counts.totals.items() if count}
    ranked = sorted(found, key=lambda label: -found[label])
    stretch = stretch_text(counts)
    parts: list[RenderableType] = [Text(f"Images {stretch}\n")] if stretch else []
    if not found:
        parts.append(Text("None of them has been counted." if stretch else "Nothing has been counted yet."))
    else:
        parts += [_totals(counts, ranked), _bins(counts, ranked)]
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
    for bundle, share in counts.by_bundle:
        when = " in that time" if stretch else ""
        lines.append(f"counted{when} by {bundle.name}: {sum(share.values())}  (digest {bundle.digest[:12]}…)")
    return Text("\n".join(lines))


def stretch_text(counts: Counts) -> str:
    """The stretch of time that was asked for; nothing where it is all."""
    since = "" if counts.from_ns is None else f" from {utc_text(counts.from_ns)}"
    until = "" if counts.to_ns is None else f" before {utc_text(counts.to_ns)}"
    return f"captured{since}{' and' if since and until else ''}{until}" if since or until else ""


FORMATS: dict[str, Callable[[Counts], str]] = {
    "csv": report_csv,
    "json": report_json,
    "table": lambda counts: to_text(report_table(counts)),
}


def _totals(counts: Counts, ranked: list[str]) -> Table:
    rows = table("In total")
    rows.add_column("label", overflow="fold")
    rows.add_column("count", justify="right")
    rows.add_column("share", justify="right")
    whole = sum(counts.totals.values())
    for label in ranked:
        rows.add_row(label, str(counts.totals[label]), f"{counts.totals[label] / whole:.1%}")
    absent = sum(1 for label, images in counts.totals.items() if not images and label != UNCLASSIFIED)
    rows.caption = f"labels not found: {absent}" if absent else None
    return rows


def _bins(counts: Counts, ranked: list[str]) -> Table:
    shown = _that_fit(ranked)
    rest = ranked[len(shown) :]
    width_ns = counts.bins[0].end_ns - counts.bins[0].start_ns
    rows = table(f"By capture time, UTC, bins of {width_text(width_ns)}")
    rows.add_column("from", no_wrap=True)
    for label in shown:
        rows.add_column(label, justify="right", overflow="fold")
    if rest:
        rows.add_column(f"{len(rest)} others", justify="right", no_wrap=True)
    rows.add_column("all", justify="right", no_wrap=True)
    drops = any(each.dropped for each in counts.bins)
    if drops:
        rows.add_column("dropped", justify="right", no_wrap=True)
    for each in counts.bins:
        row = [str(each.counts.get(label, "")) for label in shown]
        row += [str(sum(each.counts.get(label, 0) for label in rest))] if rest else []
        start = utc_text(each.start_ns).replace("T", " ").removesuffix("Z")
        row += [str(sum(each.counts.values()))] + ([str(each.dropped)] if drops else [])
        rows.add_row(start if width_ns % (60 * SECOND_NS) else start.removesuffix(":00"), *row)
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


def _rounded(value: float | None) -> str:
    """Three digits behind the point; a whole number as one, and nothing for None."""
    return "" if value is None else f"{value:.3f}".rstrip("0").rstrip(".")


def _json_line(value: object) -> str:
    return json.dumps(value, ensure_ascii=False)
