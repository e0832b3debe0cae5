"""The page of one label: its numbers, its images, its trend, and what the classifier mistakes it for."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from urllib.parse import quote, urlencode

from starlette.requests import Request
from starlette.responses import Response

from bundle.labels import UNCLASSIFIED
from bundle.taxa import Taxon
from edge.bins import width_text
from edge.htmlreport.markup import Child, Markup, element, joined
from edge.htmlreport.overtime import Level, over_time
from edge.htmlreport.parts import facts, note
from edge.htmlreport.spell import about, images, instant, interval, plural, share, whole
from edge.reported import Reported
from edge.web.asked import Asked
from edge.web.confused import Confused
from edge.web.controls import width_words
from edge.web.gallery import EACH, Gallery, Specimen
from edge.web.layout import page
from edge.web.lines import lines, title_of
from edge.web.overtime import best
from edge.web.reading import Read
from edge.web.refusal import notes

_FEW = 10  # validation images: with fewer, docs/counts.md says not to lean on a corrected count


def specimen_page(
    request: Request,
    asked: Asked,
    found: Read,
    label: str,
    gallery: Gallery,
    mistakes: Confused | None,
    watch: Path | None,
) -> Response:
    """Everything of it."""
    reported = found.reported
    return page(
        request,
        title_of(reported, label, "label"),
        element(
            "p",
            element("a", "All species", href="/species" + asked.query(names=(), by=None), data_key="u"),
            class_="up",
        ),
        notes(found),
        element("div", _numbers(reported, label), class_="panel"),
        element("h2", "Images"),
        _images(gallery, label, watch),
        element("h2", "Trend"),
        _trend(asked, found, label),
        element("h2", "Where it is confused"),
        _confusion(reported, label, mistakes),
        styles=("charts.css",),
    )


def _numbers(reported: Reported, label: str) -> Markup:
    its = reported.estimates.totals[label]
    whole_of = sum(reported.counts.totals.values())
    pairs: list[tuple[Child, Child]] = [
        ("Raw count", f"{whole(its.raw)} ({share(its.raw, whole_of)} of all images counted)")
    ]
    if people := reported.counts.verified.get(label):
        pairs.append(("Given or confirmed by people", f"{whole(people)} of these"))
    if its.raised is not None and its.raised != its.raw:
        pairs.append(("Raised for images left out", images(its.raised)))
    pairs.append(("95 % interval of counting", interval(its.raw_low, its.raw_high, images)))
    if its.corrected is not None and label != UNCLASSIFIED:
        pairs.append(("Corrected count", f"{images(its.corrected)} (95 %: {interval(its.low, its.high, images)})"))
    dense = reported.per_m3(label)
    if dense is not None:
        pairs.append(("Per m³", f"{about(dense.value)} (95 %: {interval(dense.low, dense.high)})"))
    return facts(pairs + _names(label, reported.taxa.get(label)))


def _names(label: str, taxon: Taxon | None) -> list[tuple[Child, Child]]:
    pairs: list[tuple[Child, Child]] = [("Label of the classifier", element("code", label))]
    if taxon is None:
        return pairs
    pairs.append(("Group", taxon.group))
    if taxon.aphia_id is not None:
        pairs.append(("In WoRMS", joined("AphiaID ", element("code", str(taxon.aphia_id)))))
    if taxon.ecotaxa is not None:
        pairs.append(("In EcoTaxa", taxon.ecotaxa))
    if taxon.living is not None:
        pairs.append(("Living", "yes" if taxon.living else "no"))
    return pairs


def _images(gallery: Gallery, label: str, watch: Path | None) -> Child:
    if watch is None:
        return note("The folder of images is not known to this page: start it with --watch DIR, or --config FILE.")
    if not gallery.considered and not gallery.by_people:
        return element("p", "None is in the folder of images now.", class_="quiet")
    few = gallery.everything and gallery.considered <= EACH
    ways = [("All, the latest first" if few else "Latest", gallery.latest)]
    if not few:
        ways += [("Most certain", gallery.most), ("Least certain", gallery.least)]
    look = None
    if label != UNCLASSIFIED:
        look = element("p", element("a", "Label its uncertain images", href=f"/look?{urlencode({'species': label})}",
                                    class_="button"))  # fmt: skip
    if gallery.by_people:
        ways.append(("Given or confirmed by people", gallery.by_people))
    chosen = "all" if gallery.everything else "the newest"
    words = (
        f"From {chosen} {plural(gallery.considered, 'image')} of this label that "
        f"{'is' if gallery.considered == 1 else 'are'} in the folder. Certain: whom most of the members asked agree on, then the "
        "higher score. Small images are drawn as they are, large ones reduced, so that sizes do not compare."
    )
    return [
        element("p", words, class_="quiet"),
        *(
            joined(
                element("h3", way), element("ul", (element("li", _image(each, label)) for each in its), class_="shots")
            )
            for way, its in ways
            if its
        ),
        look,
    ]


def _image(each: Specimen, label: str) -> Markup:
    votes = f"{each.votes} of {each.asked} votes" if each.asked else plural(each.votes, "vote")
    told = f"{votes}, score {each.score:.2f}"
    return element(
        "a",
        element("img", src=f"/thumb/{each.image}", alt=f"{label}, {instant(each.capture_ns)}: {told}", loading="lazy"),
        element("span", told),
        element("span", instant(each.capture_ns), class_="quiet"),
        href=f"/image/{each.image}",
    )


def _trend(asked: Asked, found: Read, label: str) -> Child:
    bins = found.reported.counts.bins
    drawn = lines(found.reported, "label", (label,))
    if not bins or not drawn:
        return element("p", "It was not found in this stretch of time.", class_="quiet")
    levels = []
    for point in drawn[0].points:
        value, low, high = best(point, "images")
        if value is not None:
            levels.append(Level(point.start_ns, point.end_ns, value, low, high))
    kind = "Corrected" if found.reported.note is None else "Raw"
    words = (
        f"{kind} counts in bins of {width_words(width_text(found.plan.width_ns))}, UTC; the band is the 95 % interval."
    )
    return [
        element("p", words, class_="quiet"),
        element("div", over_time(levels, label, bins[0].start_ns, bins[-1].end_ns), class_="drawing alone"),
        element(
            "p",
            element(
                "a", "Zoom, other bins, per m³", href="/time" + asked.query(by="label", names=(label,)), class_="button"
            ),
        ),
    ]


def _confusion(reported: Reported, label: str, mistakes: Confused | None) -> Child:
    if label == UNCLASSIFIED:
        return element(
            "p", "Images whose members did not agree enough: each was an organism of some class.", class_="quiet"
        )
    if mistakes is None:
        return note("No validation of the classifier is at hand, so that nothing is known of its mistakes.")
    body: list[Child] = [element("p", _recognised(mistakes))]
    if mistakes.images < _FEW:
        words = "none" if not mistakes.images else f"only {mistakes.images}"
        body.append(
            note(
                f"Of this class the validation has {words}: too few to tell its mistakes; do not lean on its corrected count."
            )
        )
    columns = [
        _others(reported, "Its images are taken for", mistakes.taken_for, mistakes.images),
        _others(reported, "Images with this label truly are", mistakes.truly, mistakes.verdicts),
    ]
    return [*body, element("div", columns, class_="plots")]


def _recognised(mistakes: Confused) -> str:
    words = (
        f"In validation, {whole(mistakes.right)} of {plural(mistakes.images, 'image')} of this class were recognised"
    )
    if mistakes.images:
        words += f" ({share(mistakes.right, mistakes.images)})"
    words += f", and {whole(mistakes.right)} of {plural(mistakes.verdicts, 'image')} with this label were right"
    if mistakes.verdicts:
        words += f" ({share(mistakes.right, mistakes.verdicts)})"
    return words + ". These images trained none of the members; they stay ashore, only their numbers are in the bundle."


def _others(reported: Reported, title: str, others: Sequence[tuple[str, int]], all_: int) -> Markup:
    if not others:
        return element("section", element("h3", title), element("p", "nothing else in validation", class_="quiet"))
    rows = (
        element(
            "li",
            element("a", title_of(reported, label, "label"), href=f"/species/{quote(label, safe='')}")
            if label != UNCLASSIFIED
            else "left unclassified",
            element("meter", f"{number}", min=0, max=all_, value=number, aria_label=f"{number} of {all_}"),
            element("span", f"{number} of {all_}"),
        )
        for label, number in others
    )
    return element("section", element("h3", title), element("ul", rows, class_="others"))
