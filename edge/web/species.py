"""Species: all labels with their counts and trends, and a page for each."""

from __future__ import annotations

from urllib.parse import quote

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from bundle.errors import BadBundle, BadConfig
from bundle.labels import UNCLASSIFIED
from edge.bins import width_text
from edge.corrections.history import labels_beside
from edge.corrections.looked import read_looked
from edge.counts import one_moment
from edge.estimates.validated import Validated, read_validated
from edge.htmlreport.markup import Child, Markup, element, joined
from edge.htmlreport.spell import about, images, interval, plural, whole
from edge.reported import Reported
from edge.web.asked import Asked, read_asked
from edge.web.confused import confused
from edge.web.controls import width_words
from edge.web.gallery import Gallery, choose
from edge.web.layout import page
from edge.web.lines import group_of, lines, title_of
from edge.web.place import Place
from edge.web.reading import Read, kept_of, read
from edge.web.refusal import busy, notes, or_refused, refused
from edge.web.sparkline import sparkline
from edge.web.specimen import specimen_page
from edge.web.tables import held
from edge.web.turns import Busy


def routes(place: Place) -> list[Route]:
    async def every(request: Request) -> Response:
        asked = read_asked(request.query_params.multi_items())
        return species_page(request, asked, await read(request, place, asked))

    async def one(request: Request) -> Response:
        label = request.path_params["label"]
        try:
            asked = read_asked(request.query_params.multi_items())
            found = await read(request, place, asked)
            if label not in found.reported.counts.totals:
                raise HTTPException(404, "No classifier of this ledger has such a label.")
            key = ("gallery", label, asked.classifier, asked.from_ns, asked.to_ns)
            gallery = await kept_of(request).get(key, lambda: _gallery(place, found, label))
        except (BadConfig, BadBundle) as fault:
            return refused(request, place, label, fault, "/species")
        except Busy as fault:
            return busy(request, label, fault)
        validated = _validated(found.reported)
        return specimen_page(
            request,
            asked,
            found,
            label,
            gallery,
            None if validated is None else confused(validated, label),
            place.watch,
        )

    return [Route("/species", or_refused(every, place, "Species", "/species")), Route("/species/{label:path}", one)]


def address(label: str, asked: Asked | None = None) -> str:
    """The page of a label, whatever letters it has."""
    return f"/species/{quote(label, safe='')}" + ("" if asked is None else asked.query(names=(), by=None))


def _gallery(place: Place, found: Read, label: str) -> Gallery:
    with place.reader() as connection, one_moment(connection):
        bundles = [bundle for bundle, _ in found.reported.counts.by_bundle]
        looked = read_looked(connection, labels_beside(connection))
        return choose(connection, bundles, label, found.plan.from_ns, found.plan.to_ns, looked)


def _validated(reported: Reported) -> Validated | None:
    """What the validation says; nothing where it cannot be read: the counts say why."""
    try:
        return None if reported.bundle is None else read_validated(reported.bundle)
    except BadBundle:
        return None


def species_page(request: Request, asked: Asked, found: Read) -> Response:
    """Those that were found, by group; then those that were looked for and not found."""
    reported = found.reported
    body: list[Child] = [notes(found)]
    if not reported.counts.totals:
        body.append(element("p", "No classifier has worked on this ledger yet."))
        return page(request, "Species", *body, styles=("charts.css",))
    names = [*reported.ranked, *([UNCLASSIFIED] if reported.counts.totals.get(UNCLASSIFIED) else [])]
    if names:
        body += [_explained(found), _table(asked, found, names)]
    else:
        body.append(element("p", "No image was counted in this stretch of time."))
    absent = [label for label, number in reported.counts.totals.items() if not number and label != UNCLASSIFIED]
    if absent:
        links = (
            element("li", element("a", title_of(reported, label, "label"), href=address(label, asked)))
            for label in absent
        )
        body += [
            element("h2", f"Looked for and not found ({len(absent)})"),
            element("ul", links, class_="absent"),
        ]
    return page(request, "Species", *body, styles=("charts.css",), scripts=("species.js",))


def _explained(found: Read) -> Markup:
    words = (
        f"{plural(len(found.reported.ranked), 'label')} found in {plural(sum(found.reported.counts.totals.values()), 'image')}. "
        f"Trend: raw counts in bins of {width_words(width_text(found.plan.width_ns))}, each on its own scale; a gap was not "
        "observed."
    )
    find = element(
        "p",
        element("label", "Find ", for_="find"),
        element("input", type="search", id="find", autocomplete="off", data_key="f", data_help="Find a species"),
        hidden=True,
    )
    return joined(element("p", words, class_="quiet"), find)


def _table(asked: Asked, found: Read, names: list[str]) -> Markup:
    reported = found.reported
    corrected = reported.note is None
    per_m3 = any(reported.per_m3(label) for label in names)
    heads = ["raw", *(["corrected"] if corrected else []), "95 %", *(["per m³", "95 %"] if per_m3 else [])]
    head = element(
        "tr",
        element("th", "species", scope="col"),
        (element("th", words, scope="col", class_="number") for words in heads),
        element("th", "trend", scope="col", class_="trend"),
        element("th", "group", scope="col"),
    )
    rows = (_row(asked, found, label, corrected, per_m3) for label in names)
    return held(head, rows, "Species", "species")


def _row(asked: Asked, found: Read, label: str, corrected: bool, per_m3: bool) -> Markup:
    reported = found.reported
    its, dense = reported.estimates.totals[label], reported.per_m3(label)
    numbers: list[Child] = [whole(its.raw)]
    if corrected:
        numbers += [images(its.corrected), interval(its.low, its.high, images)]
    else:
        numbers += [interval(its.raw_low, its.raw_high, images)]
    if per_m3:
        numbers += [about(dense.value), interval(dense.low, dense.high)] if dense else ["–", "–"]
    group = group_of(reported, label) if label in reported.taxa else ""
    return element(
        "tr",
        element("th", element("a", title_of(reported, label, "label"), href=address(label, asked)), scope="row"),
        (element("td", number, class_="number") for number in numbers),
        element("td", _trend(found, label), class_="trend"),
        element("td", group),
    )


def _trend(found: Read, label: str) -> Markup | None:
    bins = found.reported.counts.bins
    drawn = lines(found.reported, "label", (label,))
    if not bins or not drawn:
        return None
    values = [(point.start_ns, point.end_ns, float(point.estimate.raw)) for point in drawn[0].points]
    most = max((value for _, _, value in values), default=0.0)
    said = f"from {whole(int(min(value for _, _, value in values)))} to {whole(int(most))} a bin" if values else "none"
    return sparkline(values, bins[0].start_ns, bins[-1].end_ns, said)
