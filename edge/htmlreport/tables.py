"""The counts as tables: each label under its group, and each tow."""

from __future__ import annotations

from collections.abc import Sequence

from bundle.labels import UNCLASSIFIED
from edge.htmlreport.markup import Child, Markup, element, joined
from edge.htmlreport.parts import figure, row, section, table
from edge.htmlreport.ranking import Ranked, ranking
from edge.htmlreport.source import Source
from edge.htmlreport.spell import about, images, instant, interval, plural, share, whole
from edge.htmlreport.towed import Towed

_RANKED = 15  # labels in the plot
NO_GROUP = "other labels"


def totals(source: Source) -> Markup:
    """Plot and table of what was found, and the list of what was not."""
    if not source.total:
        return section("totals", "Totals", element("p", "No image has been counted."))
    return section("totals", "Totals", _explained(source), _plot(source), _table(source), _absent(source))


def _explained(source: Source) -> Markup:
    words = "Raw is the number of verdicts, with the 95 % interval of counting (Poisson). "
    if source.raised:
        words += "Raised makes up for the images that were left out; the interval is of the raised count. "
    if source.corrected:
        words += (
            "Corrected has the classifier's known errors taken out, with a 95 % interval that also holds what is uncertain"
            " of those errors. Report the corrected count with its interval; the raw one shows what it was made from. An upper"
            " end near the number of all images says that the validation had too few images of that label to exclude anything."
        )
    else:
        words += "It has the classifier's errors in it: a rare label may be made of the mistakes in a common one."
    if verified := sum(source.reported.counts.verified.values()):
        words += (
            f" Of {plural(verified, 'image')} people gave or confirmed the label, and theirs is counted; "
            "corrections are made of the others alone."
        )
    return element("p", words)


def _plot(source: Source) -> Markup:
    estimates = source.reported.estimates.totals
    shown = source.ranked[:_RANKED]
    ranked = []
    for label in shown:
        each = estimates[label]
        ranked.append(
            Ranked(
                source.reported.name(label),
                each.raised or each.raw,
                each.raw_low,
                each.raw_high,
                each.corrected,
                each.low,
                each.high,
            )
        )
    caption = (
        ("Rings: raised counts; " if source.raised else "Rings: raw counts; ")
        + ("dots: corrected counts; " if source.corrected else "")
        + "lines: 95 % intervals."
    )
    title = "The most frequent labels" if len(source.ranked) > _RANKED else "Labels found"
    return figure(ranking(ranked), title, caption, wide=True)


def _table(source: Source) -> Markup:
    per_m3 = any(source.reported.per_m3(label) for label in source.ranked)
    heads: list[Child] = ["label", "raw", *(["raised"] if source.raised else []), "95 %"]
    heads += ["corrected", "95 %"] if source.corrected else []
    heads += ["share of raw"]
    heads += ["per m³", "95 %"] if per_m3 else []
    groups: dict[str, list[str]] = {}
    for label in source.ranked:
        groups.setdefault(source.group(label) or NO_GROUP, []).append(label)
    counts = source.reported.counts.totals
    bodies = []
    for group, labels in sorted(groups.items(), key=lambda item: -sum(counts[label] for label in item[1])):
        title = None
        if len(groups) > 1:
            its = sum(counts[label] for label in labels)
            title = row(group[:1].upper() + group[1:], *_group_cells(source, labels, its, per_m3), class_="group")
        bodies.append(element("tbody", title, (_row(source, label, per_m3) for label in labels)))
    if counts.get(UNCLASSIFIED):
        bodies.append(element("tbody", _row(source, UNCLASSIFIED, per_m3), class_="last"))
    caption = f"All {len(source.ranked)} labels found, the most frequent first" + (
        " in each group" if len(groups) > 1 else ""
    )
    return table(caption, heads, bodies, name="Totals")


def _group_cells(source: Source, labels: Sequence[str], raw: int, per_m3: bool) -> list[Child]:
    """Sums; without intervals, which do not add up."""
    estimates = [source.reported.estimates.totals[label] for label in labels]
    cells: list[Child] = [whole(raw)]
    cells += [images(sum(each.raised or 0.0 for each in estimates)), ""] if source.raised else [""]
    cells += [images(sum(each.corrected or 0.0 for each in estimates)), ""] if source.corrected else []
    cells += [share(raw, source.total)]
    if per_m3:
        dense = [source.reported.per_m3(label) for label in labels]
        cells += [about(sum(each.value for each in dense if each)), ""]
    return cells


def _row(source: Source, label: str, per_m3: bool) -> Markup:
    reported = source.reported
    each, name = reported.estimates.totals[label], reported.name(label)
    cells: list[Child] = [whole(each.raw), *([images(each.raised)] if source.raised else [])]
    cells += [interval(each.raw_low, each.raw_high, images)]
    if source.corrected:
        cells += [images(each.corrected), interval(each.low, each.high, images)]
    cells += [share(each.raw, source.total)]
    if per_m3:
        dense = reported.per_m3(label)
        cells += [about(dense.value), interval(dense.low, dense.high)] if dense else ["–", "–"]
    return row(joined(name, element("code", label) if name != label else None), *cells)


def _absent(source: Source) -> Markup | None:
    if not source.absent:
        return None
    names = ", ".join(source.reported.name(label) for label in source.absent)
    return element("p", element("strong", f"Looked for and not found, {len(source.absent)}: "), names, class_="quiet")


def tows(source: Source, towed: Sequence[Towed]) -> Markup | None:
    """Each deployment."""
    if not towed:
        return None
    litres = any(each.sampled.litres is not None for each in towed)
    rows = (
        row(
            each.tow.name,
            instant(each.tow.start_ns),
            instant(each.tow.end_ns),
            whole(each.images),
            about(each.sampled.seconds / 60),
            *([about(None if each.sampled.litres is None else each.sampled.litres / 1000)] if litres else []),
            source.reported.name(each.most) if each.most else "–",
        )
        for each in towed
    )
    heads = ["tow", "from", "to", "images counted", "minutes sampled", *(["m³"] if litres else []), "most frequent"]
    return section("tows", "Tows", table(None, heads, element("tbody", rows), name="Tows"))
