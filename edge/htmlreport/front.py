"""The head of the page: what and when, the numbers to take home, and where every image went."""

from __future__ import annotations

from bundle.labels import UNCLASSIFIED
from edge.bins import utc_text
from edge.htmlreport.flowbar import COLOURS, accounting_bar
from edge.htmlreport.markup import Markup, element, joined
from edge.htmlreport.parts import note, row, section, table
from edge.htmlreport.source import Source
from edge.htmlreport.spell import about, instant, plural, share, whole
from edge.report import stretch_text


def head(source: Source) -> Markup:
    """Title, stretch of time and the headline numbers."""
    counts, facts = source.reported.counts, source.facts
    if facts.first_ns is None or facts.last_ns is None:
        when = "Nothing has been counted" + (" in that time." if stretch_text(counts) else " yet.")
    else:
        when = f"Images captured from {instant(facts.first_ns)} to {instant(facts.last_ns)}"
    asked = stretch_text(counts)
    return element(
        "header",
        element("p", "Planktow", class_="mark"),
        element("h1", "Plankton counts"),
        element("p", when, class_="when"),
        element("p", f"Asked for: images {asked}.", class_="when") if asked else None,
        element("p", f"Written {utc_text(source.origin.written_ns)} from the ledger {source.origin.ledger}.", class_="when"),
        element("dl", (_card(*each) for each in _headline(source)), class_="cards"),
        note(source.reported.note) if source.reported.note else None,
    )  # fmt: skip


def _card(name: str, number: str, words: str) -> Markup:
    long = "long" if len(number) > 12 else None
    return element(
        "div", element("dt", name), element("dd", element("strong", number, class_=long), " ", element("span", words))
    )


def _headline(source: Source) -> list[tuple[str, str, str]]:
    counts, total = source.reported.counts, source.total
    open_ = counts.totals.get(UNCLASSIFIED, 0)
    looked_for = len(source.ranked) + len(source.absent)
    cards = [
        ("Counted", whole(total), "image" if total == 1 else "images"),
        ("Labels found", whole(len(source.ranked)), f"of {whole(looked_for)} looked for"),
        ("Unclassified", share(open_, total), plural(open_, "image") + " with too few votes"),
    ]
    if source.ranked:
        first = source.ranked[0]
        cards.append(("Most frequent", source.reported.name(first), f"{share(counts.totals[first], total)} of all"))
    sampled = source.reported.sampled
    if sampled is not None:
        cards.append(("Sampled for", f"{about(sampled.seconds / 3600)} h", "without gaps and what was set aside"))
        if sampled.litres is not None:
            certain = f"± {share(sampled.relative_sd, 1)}" if sampled.relative_sd else "taken as exact"
            cards.append(("Water sampled", f"{about(sampled.litres / 1000)} m³", certain))
    return cards


def accounting(source: Source) -> Markup:
    """seen = counted + rejected + waiting + dropped."""
    counts = source.reported.counts
    accounts = counts.accounting
    meanings = {
        "counted": "have a verdict and are in the counts",
        "rejected": "could not be read, or were set aside by quality control",
        "waiting": "not looked at yet",
        "dropped": "left out under overload; the raised counts allow for them",
    }
    rows = (
        row(
            joined(element("span", class_="swatch", style=f"background:{COLOURS[name]}", aria_hidden="true"), name),
            whole(getattr(accounts, name)),
            share(getattr(accounts, name), accounts.seen),
            element("span", meaning, class_="quiet"),
        )
        for name, meaning in meanings.items()
    )
    rejects = (row(reason, whole(images), share(images, accounts.seen)) for reason, images in counts.rejects.items())
    heads = ("reason", "images", "of seen")
    sentence = (
        f"{whole(accounts.seen)} seen = {whole(accounts.counted)} counted + {whole(accounts.rejected)} rejected"
        f" + {whole(accounts.waiting)} waiting + {whole(accounts.dropped)} dropped"
    )
    return section(
        "accounting",
        "Where every image went",
        element("p", element("strong", sentence)),
        None if accounts.adds_up else note("These numbers do not add up. That is a fault of Planktow: please report it."),
        element("div", accounting_bar(accounts), class_="bar"),
        element(
            "div",
            element("div", table(None, ("", "images", "of seen", ""), element("tbody", rows), name="Accounts")),
            element("div", table("Rejected, by reason", heads, element("tbody", rejects), name="Rejects"))
            if counts.rejects
            else element("p", "Nothing was rejected."),
            class_="pair",
        ),
        element(
            "p",
            f"{plural(accounts.duplicates, 'duplicate')}: files whose content had been seen before count once. "
            + ("Accounts and rejects are of the whole ledger, whatever stretch of time was asked for: a file that was never"
               " read has no capture time." if stretch_text(counts) else ""),
            class_="quiet",
        ),
    )  # fmt: skip
