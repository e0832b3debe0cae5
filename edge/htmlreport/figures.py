"""The page's plots, in the order of its questions: when, what, where, how sure."""

from __future__ import annotations

from bundle.labels import UNCLASSIFIED
from edge.htmlreport import palette
from edge.htmlreport.accumulation import accumulation
from edge.htmlreport.composition import Column, legend, stacked_shares
from edge.htmlreport.histogram import bars, histogram
from edge.htmlreport.markup import Child, Markup, element, joined
from edge.htmlreport.overtime import Level, over_time
from edge.htmlreport.parts import figure, section
from edge.htmlreport.places import Places
from edge.htmlreport.profile import profile
from edge.htmlreport.source import Source, best
from edge.htmlreport.spell import plural
from edge.htmlreport.trackmap import track_map

OVER_TIME = 9  # labels that get a plot of their own
WHERE = 5
_PARTS = 8  # of the composition; the rest is one


def when(source: Source) -> Markup | None:
    """The most frequent labels over time, one plot each."""
    span = source.span_ns()
    if span is None or not source.ranked:
        return None
    kind = (
        "Corrected counts of each bin"
        if source.corrected
        else "Raw counts of each bin, raised where images were dropped"
    )
    plots = []
    for label in source.ranked[:OVER_TIME]:
        levels = []
        for bin_, estimates in source.bins():
            value, low, high = best(estimates[label]) if label in estimates else (None, None, None)
            if value is not None:
                levels.append(Level(bin_.start_ns, bin_.end_ns, value, low, high))
        name = source.reported.name(label)
        plots.append(figure(over_time(levels, name, *span), name))
    origin = source.origin
    width = "one bin a tow" if source.reported.by_tow else f"bins of {origin.width}"
    if origin.width != origin.asked_width:
        width += f" (bins of {origin.asked_width} were asked for, more than can be drawn)"
    return section(
        "time",
        "Over time",
        element(
            "p",
            f"{kind}, by capture time in UTC, {width}; the band is the 95 % interval. A time without a bin was not "
            "observed: that is no zero. Each plot has its own scale.",
        ),
        element("div", plots, class_="grid"),
    )


def composition(source: Source) -> Markup | None:
    """Shares of groups over time; of labels where no table gives groups."""
    span = source.span_ns()
    if span is None or not source.ranked:
        return None
    group = {label: source.group(label) or source.reported.name(label) for label in source.ranked}
    sums: dict[str, float] = {}
    for label in source.ranked:
        sums[group[label]] = sums.get(group[label], 0.0) + _value(source, label)
    ordered = sorted(sums, key=lambda name: -sums[name])
    names, rest = ordered[:_PARTS], ordered[_PARTS:]
    colours = [palette.colour(number) for number in range(len(names))]
    place = {name: number for number, name in enumerate(names)}
    if rest:
        names, colours = [*names, f"{len(rest)} others"], [*colours, palette.OTHERS]
    columns = []
    for bin_, estimates in source.bins():
        values = [0.0] * len(names)
        for label, estimate in estimates.items():
            if label in group:
                values[place.get(group[label], len(names) - 1)] += max(best(estimate)[0] or 0.0, 0.0)
        columns.append(Column(bin_.start_ns, bin_.end_ns, tuple(values)))
    drawn = stacked_shares(columns, names, colours, *span)
    kind = "corrected" if source.corrected else "raw"
    what = "groups" if any(source.group(label) for label in source.ranked) else "labels"
    return section(
        "composition",
        "Composition",
        figure(
            drawn,
            f"Shares of {what} over time",
            f"Of the {kind} counts of all labels in each bin; unclassified images are left out.",
            wide=True,
        ),
        legend(names, colours),
    )


def where(source: Source) -> Markup | None:
    """By depth and along the track, where a survey tells of them."""
    places = source.places
    if places is None or not source.ranked:
        return None
    deep, tracked = places.has("depth"), places.has("latitude", "longitude")
    if not deep and not tracked:
        words = "The survey gives neither a depth nor a position for the time in which images were counted."
        return section("where", "Where", element("p", words))
    return section(
        "where",
        "Where",
        element("p", _where_words(places)),
        element("h3", "By depth") if deep else None,
        element("div", (figure(profile(places.by_depth(name), _named(source, name), places.unit), _named(source, name))
                        for name in places.names), class_="grid") if deep else None,
        element("h3", "Along the track") if tracked else None,
        element("div", (figure(track_map(places.along_track(name), _named(source, name), places.unit), _named(source, name))
                        for name in places.names), class_="grid") if tracked else None,
    )  # fmt: skip


def _where_words(places: Places) -> str:
    seconds = places.width_ns // 1_000_000_000
    words = f"Raw counts of stretches of {seconds} s, placed by their middle, over "
    words += "the volume sampled in them" if places.per_m3 else "the time sampled in them, since no volume is known"
    return (
        f"{words}; neither raised for dropped images nor corrected. Lines on the bars: 95 % intervals of counting alone. "
        "The area of a circle is in proportion to its value. Each plot has its own scale; × is a depth that was not sampled."
    )


def _named(source: Source, name: str) -> str:
    return "All images counted" if name == "all images" else source.reported.name(name)


def certainty(source: Source) -> Markup | None:
    """Votes, scores, and whether more images would show more labels."""
    if not source.total:
        return None
    facts = source.facts
    rows = sorted(facts.votes.items(), key=lambda item: (-item[0][0] / max(item[0][1], 1), -item[0][1], -item[0][0]))
    votes = [(f"{votes} of {asked}" if asked else plural(votes, "vote"), images) for (votes, asked), images in rows]
    scores = histogram(facts.scores.tolist(), facts.open_scores.tolist(), "score", UNCLASSIFIED)
    totals = [images for label, images in source.reported.counts.totals.items() if label != UNCLASSIFIED]
    open_ = source.reported.counts.totals.get(UNCLASSIFIED, 0)
    found = [after for _, after in facts.found]
    score_words: list[Child] = ["Mean score of the winning class over the members asked"]
    score_words += [f"; grey: {plural(open_, 'unclassified image')}"] if open_ else []
    return section(
        "certainty",
        "How sure, and how complete",
        element(
            "div",
            figure(bars(votes, "Votes for the winning class"), "Votes for the winning class",
                   "Votes of members asked: once the rest can change nothing, they are not asked."),
            figure(scores, "Scores", joined(score_words, ".")),
            figure(accumulation(found, totals, open_), "Labels found against images counted",
                   "Line: as they came. Dashes: expected of as many images in random order (Hurlbert 1971). Where the dashes"
                   " still rise, more sampling would find more labels."),
            class_="grid",
        ),
    )  # fmt: skip


def _value(source: Source, label: str) -> float:
    return max(best(source.reported.estimates.totals[label])[0] or 0.0, 0.0)
