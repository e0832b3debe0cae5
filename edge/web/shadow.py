"""/shadow: how a second bundle would have counted the same images, and the images about which the two disagree."""

from __future__ import annotations

from dataclasses import dataclass, replace
from urllib.parse import urlencode

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from bundle.errors import BadConfig
from edge.bins import SECOND_NS
from edge.counts import one_moment
from edge.htmlreport.markup import Child, Markup, element
from edge.htmlreport.parts import note, row, table
from edge.htmlreport.spell import instant, label_text, share, whole
from edge.shadow.shadow import Comparison, Differing, newest_shadowed_ns, read_comparisons, read_differing
from edge.web.asked import Asked, local_text, read_asked
from edge.web.layout import page
from edge.web.place import Place
from edge.web.reading import kept_of
from edge.web.refusal import busy, refused
from edge.web.turns import Busy

_DAY_NS = 86_400 * SECOND_NS
_PAIRS_MOST = 30
_IMAGES_MOST = 60


@dataclass(frozen=True)
class Wanted:
    """What a reader asks for: a stretch of time, one of several shadows, one pair of labels."""

    asked: Asked
    shadow: str | None = None  # its digest
    counted: str | None = None
    other: str | None = None  # the label that the shadow gave

    def query(self, **changes: str | None) -> str:
        """The same as the query of an address."""
        changed = replace(self, **changes)  # type: ignore[arg-type]
        time = self.asked.query()
        given = [("shadow", changed.shadow), ("counted", changed.counted), ("other", changed.other)]
        told = urlencode([(name, value) for name, value in given if value is not None])
        return "&".join(filter(None, (time or "?", told))).replace("?&", "?")


@dataclass(frozen=True)
class Found:
    """What stands in the ledger."""

    from_ns: int | None
    to_ns: int | None
    comparisons: tuple[Comparison, ...]
    chosen: Comparison | None
    images: tuple[Differing, ...]


def routes(place: Place) -> list[Route]:
    async def shown(request: Request) -> Response:
        try:
            wanted = read_wanted(request)
            found = await kept_of(request).get(("shadow", wanted), lambda: read_found(place, wanted))
        except BadConfig as fault:
            return refused(request, place, "Shadow", fault, "/shadow")
        except Busy as fault:
            return busy(request, "Shadow", fault)
        return shadow_page(request, wanted, found)

    return [Route("/shadow", shown)]


def read_wanted(request: Request) -> Wanted:
    """Raises BadConfig."""
    query = request.query_params
    asked = read_asked((name, value) for name, value in query.multi_items() if name in ("from", "to"))
    return Wanted(asked, query.get("shadow") or None, query.get("counted") or None, query.get("other") or None)


def read_found(place: Place, wanted: Wanted) -> Found:
    """Where no stretch is asked for, the day up to the last image that a shadow saw. Raises BadConfig."""
    from_ns, to_ns = wanted.asked.from_ns, wanted.asked.to_ns
    with place.reader() as connection, one_moment(connection):
        if from_ns is None and to_ns is None and (newest := newest_shadowed_ns(connection)) is not None:
            from_ns = newest - _DAY_NS
        comparisons = read_comparisons(connection, from_ns, to_ns)
        chosen = next((each for each in comparisons if wanted.shadow in (None, each.shadow.digest)), None)
        images: list[Differing] = []
        if chosen is not None:

            def is_wanted(counted: str, other: str) -> bool:
                return counted != other and wanted.counted in (None, counted) and wanted.other in (None, other)

            images = read_differing(connection, chosen.shadow.id, from_ns, to_ns, is_wanted, _IMAGES_MOST)
    return Found(from_ns, to_ns, comparisons, chosen, tuple(images))


def shadow_page(request: Request, wanted: Wanted, found: Found) -> Response:
    """Agreement, counts side by side, the pairs, and the images."""
    body: list[Child] = [_stretch(wanted, found)]
    if found.chosen is None:
        body.append(
            note(
                "No image was seen by a second bundle in this time. Name one under [shadow] in edge.toml: it then classifies the "
                "same images and counts none."
            )
        )
        return page(request, "Shadow", *body, styles=("shadow.css",))
    body += [_choice(wanted, found), _summary(found.chosen), _counts(found.chosen), _pairs(wanted, found.chosen)]
    body.append(_images(wanted, found))
    return page(request, "Shadow", *body, styles=("shadow.css",))


def _stretch(wanted: Wanted, found: Found) -> Markup:
    """Captured from, to (UTC)."""
    fields = (("from", "Captured from (UTC)", found.from_ns), ("to", "to", found.to_ns))
    return element(
        "form",
        (
            element(
                "label",
                words,
                " ",
                element("input", type="datetime-local", name=name, value=local_text(at), step=1),
            )
            for name, words, at in fields
        ),
        element("input", type="hidden", name="shadow", value=wanted.shadow) if wanted.shadow else None,
        element("button", "Show", type="submit"),
        action="/shadow",
        method="get",
        class_="stretch",
    )


def _choice(wanted: Wanted, found: Found) -> Markup | None:
    """Where several shadowed in this time, one is shown."""
    if len(found.comparisons) < 2 or found.chosen is None:
        return None
    links = (
        element(
            "li",
            element(
                "a",
                str(each.shadow),
                href="/shadow" + wanted.query(shadow=each.shadow.digest, counted=None, other=None),
                aria_current="true" if each is found.chosen else None,
            ),
        )
        for each in found.comparisons
    )
    return element("nav", element("ul", links), aria_label="Bundles that shadowed", class_="choice")


def _summary(chosen: Comparison) -> Markup:
    names = ", ".join(map(str, chosen.counting))
    return element(
        "p",
        f"{names} counted; {chosen.shadow} looked on and counted nothing. It saw {whole(chosen.images)} of "
        f"{whole(chosen.counted)} images counted ({share(chosen.images, chosen.counted)}). They agree on ",
        element("strong", share(chosen.agreed, chosen.images)),
        ".",
    )


def _counts(chosen: Comparison) -> Markup:
    rows = [
        row(
            label_text(each.label),
            whole(each.counted),
            whole(each.shadow),
            _signed(each.difference),
            "–" if each.agreement is None else share(each.agreement, 1),
        )
        for each in sorted(chosen.labels, key=lambda each: -max(each.counted, each.shadow))
        if each.counted or each.shadow
    ]
    caption = (
        "Of the images that both saw, none set aside. Raw counts. Agreement: of the images that either gave the label, the share "
        "that both gave it."
    )
    heads = ("label", "counted", "by the shadow", "difference", "agreement")
    return element("section", element("h2", "What it would have counted"),
                   table(caption, heads, element("tbody", rows), name="Counts side by side"))  # fmt: skip


def _pairs(wanted: Wanted, chosen: Comparison) -> Markup:
    if not chosen.pairs:
        return element("p", "They gave every image the same label.")
    rows = [
        row(
            element(
                "a",
                f"{label_text(pair.counted)} → {label_text(pair.shadow)}",
                href="/shadow" + wanted.query(counted=pair.counted, other=pair.shadow) + "#images",
                rel="nofollow",
            ),
            whole(pair.images),
            share(pair.images, chosen.images),
        )
        for pair in chosen.pairs[:_PAIRS_MOST]
    ]
    rest = chosen.pairs[_PAIRS_MOST:]
    more = f"And {len(rest)} more pairs, {whole(sum(pair.images for pair in rest))} images." if rest else None
    heads = ("counted as → the shadow says", "images", "of those both saw")
    return element("section", element("h2", "Where they disagree"),
                   table("The most frequent first; a link shows the images.", heads, element("tbody", rows),
                         name="Pairs of labels"),
                   element("p", more, class_="quiet") if more else None)  # fmt: skip


def _images(wanted: Wanted, found: Found) -> Markup:
    pair = wanted.counted is not None or wanted.other is not None
    title = (
        f"{label_text(wanted.counted or 'any')} → {label_text(wanted.other or 'any')}" if pair else "The latest of them"
    )
    every = element("p", element("a", "All pairs", href="/shadow" + wanted.query(counted=None, other=None) + "#images"))
    if not found.images:
        shown: Child = element("p", "None among the latest images.", class_="quiet")
    else:
        shown = element("ul", map(_image, found.images), class_="differing")
    return element("section", element("h2", title), every if pair else None, shown, id="images")


def _image(each: Differing) -> Markup:
    counted, other = label_text(each.counted), label_text(each.shadow)
    words = f"counted as {counted}, the shadow says {other}"
    return element(
        "li",
        element(
            "a",
            element("img", src=f"/thumb/{each.image_id}", alt=f"Image {each.image_id}: {words}", loading="lazy"),
            href=f"/image/{each.image_id}",
        ),
        element("p", element("strong", counted), f" {each.counted_score:.2f}"),
        element("p", "→ ", element("strong", other), f" {each.shadow_score:.2f}"),
        element("p", instant(each.capture_ns), class_="quiet"),
    )


def _signed(number: int) -> str:
    return f"+{whole(number)}" if number > 0 else whole(number).replace("-", "−")
