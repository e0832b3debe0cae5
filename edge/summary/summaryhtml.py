"""The daily summary as one small HTML page that needs nothing from outside."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from edge.alerts.state import Event
from edge.bins import utc_text
from edge.counts import HOUR_NS, at_work
from edge.htmlreport import markup
from edge.htmlreport.flowbar import accounting_bar
from edge.htmlreport.markup import Markup, element
from edge.htmlreport.overtime import Level, over_time
from edge.htmlreport.parts import facts, figure, note, row, section, table
from edge.htmlreport.spell import images, interval, plural, share, whole
from edge.summary.summary import DAY_NS, Summary
from edge.summary.summarytext import change_text, daemon_text, disk_text, drift_text, gap_text

_STYLE = Path(markup.__file__).with_name("style.css")
_LABELS = 40
_MOST = 200  # rows of any other list


def summary_html(summary: Summary) -> str:
    """The whole page."""
    policy = "default-src 'none'; img-src data:; style-src 'unsafe-inline'"
    title = f"Plankton counts of {utc_text(summary.day_ns)[:10]}"
    head = element(
        "head",
        Markup('<meta charset="utf-8">'),
        Markup(f'<meta http-equiv="Content-Security-Policy" content="{policy}">'),
        Markup('<meta name="viewport" content="width=device-width, initial-scale=1">'),
        element("title", title),
        element("style", Markup(_STYLE.read_text("utf-8"))),
    )
    body = element(
        "body",
        element(
            "header", element("p", "Planktow", class_="mark"), element("h1", title), _when(summary), _cards(summary)
        ),
        element("main", _counts(summary), _changes(summary), _host(summary)),
    )
    return f"<!DOCTYPE html>\n{element('html', head, body, lang='en')}\n"


def _when(summary: Summary) -> Markup:
    over = summary.written_ns >= summary.day_ns + DAY_NS
    words = "" if over else " The day was not over."
    return element(
        "p",
        f"Images captured on that day in UTC; written {utc_text(summary.written_ns)} from {summary.ledger}.{words}",
        class_="when",
    )


def _cards(summary: Summary) -> Markup:
    before = sum(summary.before.totals.values())
    missing = sum(end - start for start, end in summary.gaps) / 60e9
    cards = [
        ("Counted", whole(summary.counted), f"images; the day before {whole(before)}"),
        ("Labels found", whole(len(summary.reported.ranked)), f"unclassified {share(summary.unclassified, summary.counted)}"),
        ("Not counted", whole(sum(summary.rejects.values())), f"rejected; {whole(sum(summary.aside.values()))} set aside, "
         f"{whole(summary.dropped)} dropped"),
        ("Without images", f"{missing:.0f} min", f"in {plural(len(summary.gaps), 'gap')} of ten minutes or more"),
        ("Alerts", whole(len(summary.alerts)), "told on that day"),
    ]  # fmt: skip
    return element(
        "dl",
        (
            element("div", element("dt", name), element("dd", element("strong", number), " ", element("span", words)))
            for name, number, words in cards
        ),
        class_="cards",
    )


def _counts(summary: Summary) -> Markup:
    reported = summary.reported
    if not reported.ranked:
        return section("counts", "Counts", element("p", "Nothing was counted on this day."))
    levels = [
        Level(summary.day_ns + hour * HOUR_NS, summary.day_ns + (hour + 1) * HOUR_NS, float(number), None, None)
        for hour, number in enumerate(summary.hourly)
        if number
    ]
    drawn = over_time(levels, "All images counted", summary.day_ns, summary.day_ns + DAY_NS)
    rows = []
    for label in reported.ranked[:_LABELS]:
        each = reported.estimates.totals[label]
        rows.append(
            row(
                reported.name(label),
                whole(each.raw),
                interval(each.raw_low, each.raw_high, images),
                images(each.corrected),
                interval(each.low, each.high, images),
                whole(summary.before.totals.get(label, 0)),
            )
        )
    left = len(reported.ranked) - _LABELS
    return section(
        "counts",
        "Counts",
        element(
            "div",
            figure(drawn, "Images counted an hour", "By capture time; an hour without a step had none."),
            class_="grid",
        ),
        note(reported.note) if reported.note else None,
        table(
            f"The most frequent labels; {left} others are left out" if left > 0 else "All labels found",
            ("label", "raw", "95 %", "corrected", "95 %", "raw, the day before"),
            element("tbody", rows),
            name="Counts",
        ),
    )


def _changes(summary: Summary) -> Markup | None:
    if not summary.changes:
        return None
    words = "Labels whose share of all images is another than the day before by half or more, and by more than chance."
    return section(
        "changes",
        "Changes",
        element("p", words),
        _list(change_text(each, summary.reported.name(each.label)) for each in summary.changes),
    )


def _host(summary: Summary) -> Markup:
    counts = summary.reported.counts
    working = [f"{bundle.name} {bundle.digest}" for bundle in at_work(counts)]
    votes = ", ".join(f"{number} votes {share(its, summary.counted)}" for number, its in summary.votes.items())
    alerts = (element("tr", (element("td", words) for words in _told(each))) for each in summary.alerts[:_MOST])
    return section(
        "host",
        "The camera host",
        element("p", element("strong", f"In the whole ledger: {counts.accounting}")),
        None if counts.accounting.adds_up else note("These numbers do not add up: a fault of Planktow's, please report it."),
        element("div", accounting_bar(counts.accounting), class_="bar"),
        facts(
            [
                ("Daemon", daemon_text(summary)),
                ("Disks", disk_text(summary)),
                ("Classifier", ", ".join(working) or "none at work"),
                ("Votes for the winner", votes or "–"),
                *(("Drift", drift_text(each)) for each in summary.drifts),
                ("Rejected", ", ".join(f"{name}: {number}" for name, number in summary.rejects.items()) or "none"),
                ("Set aside by rules", ", ".join(f"{name}: {number}" for name, number in summary.aside.items()) or "none"),
                ("Gaps without images", ", ".join(gap_text(*gap) for gap in summary.gaps) or "none"),
            ]
        ),
        element("h3", "Alerts"),
        table(None, ("time", "", "alert", "severity", ""), element("tbody", alerts), numbers_from=9, name="Alerts")
        if summary.alerts
        else element("p", "None was told."),
    )  # fmt: skip


def _told(event: Event) -> tuple[str, ...]:
    return utc_text(event.time_ns)[11:16], event.what, event.rule, event.severity, event.text


def _list(items: Iterable[str]) -> Markup:
    return element("ul", (element("li", item) for item in items))
