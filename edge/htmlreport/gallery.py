"""Sample images of each label: what the numbers were made from."""

from __future__ import annotations

from edge.htmlreport.collage import ALL, Collage, Sample, Shown
from edge.htmlreport.markup import Markup, element
from edge.htmlreport.parts import section
from edge.htmlreport.source import Source
from edge.htmlreport.spell import instant, plural


def gallery(source: Source) -> Markup | None:
    """One block a label, the most frequent first."""
    if not source.total:
        return None
    if source.collage is None:
        words = (
            "No folder of images was given; with --images DIR (the watched folder) samples of each label stand here."
        )
        return section("images", "Sample images", element("p", words))
    few = [shown for shown in source.collage.labels if ALL in shown.ways]
    many = [shown for shown in source.collage.labels if ALL not in shown.ways]
    return section(
        "images",
        "Sample images",
        element("p", _words(source.collage)),
        element("div", (_block(source, shown) for shown in many), class_="labels"),
        element("div", (_block(source, shown) for shown in few), class_="labels few"),
    )


def _words(collage: Collage) -> str:
    words = (
        "Random: drawn with a fixed seed. Most and least certain: by the members that agree, then by score. Small images are"
        " drawn as they are, large ones reduced, so that sizes do not compare. Point at an image for its file, time, votes"
        " and score."
    )
    if collage.missing:
        words += (
            f" {plural(collage.missing, 'chosen image was', 'chosen images were')} no longer in the folder as counted "
            "(retention deletes, and names are reused); others stand in their place where there were any."
        )
    if collage.left_out:
        words += f" There was no room for the images of {plural(len(collage.left_out), 'rare label')}."
    return words


def _block(source: Source, shown: Shown) -> Markup:
    name = source.reported.name(shown.label)
    number = source.reported.counts.totals.get(shown.label, 0)
    ways = [
        element(
            "div",
            element("h4", way[:1].upper() + way[1:]) if way != ALL else None,
            element("ul", (element("li", _image(name, way, sample)) for sample in samples)),
        )
        for way, samples in shown.ways.items()
        if samples
    ]
    none = element("p", "None of the images looked for is in the folder any more.", class_="quiet")
    return element(
        "article",
        element("h3", name, " ", element("span", plural(number, "image"), class_="quiet")),
        element("div", ways, class_="ways") if ways else none,
    )


def _image(name: str, way: str, sample: Sample) -> Markup:
    votes = f"{sample.votes} of {sample.asked} votes" if sample.asked else plural(sample.votes, "vote")
    told = f"{votes}, score {sample.score:.2f}"
    return element(
        "img",
        src=sample.uri,
        width=sample.width,
        height=sample.height,
        alt=f"{name}, {way}: {told}" if way != ALL else f"{name}: {told}",
        title=f"{sample.path}\n{instant(sample.capture_ns)}\n{told}",
    )
