"""/health: all that is known of the daemon, the ledger and the host; /healthz: the same for a program."""

from __future__ import annotations

from dataclasses import asdict

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from edge.bins import utc_text
from edge.htmlreport.markup import Child, Markup, element
from edge.htmlreport.parts import facts
from edge.htmlreport.spell import whole
from edge.web.healthlines import last_image_ns, lines
from edge.web.layout import page
from edge.web.live import live_of
from edge.web.moment import Counted, Moment
from edge.web.now import REFRESH_SECONDS, health_list
from edge.web.place import Place
from edge.web.wording import rate, when

_MORE = (
    ("/drift", "Does the sea still look like the training set?"),
    ("/shadow", "A second classifier beside the one that counts"),
    ("/healthz", "This page for a program (JSON)"),
    ("/metrics", "Numbers for Prometheus"),
)


def routes(_place: Place) -> list[Route]:
    return [Route("/health", _page), Route("/healthz", _healthz)]


async def _page(request: Request) -> Response:
    moment = await live_of(request).moment()
    return page(
        request,
        "Health",
        element("div", health_list(lines(moment)), class_="panel"),
        _accounts(moment.counted) if moment.counted else None,
        element("section", element("h2", "Daemon"), facts(_daemon(moment)), class_="panel"),
        element(
            "section",
            element("h2", "More"),
            element(
                "ul", (element("li", element("a", words, href=address)) for address, words in _MORE), class_="plain"
            ),
            class_="panel",
        ),
        scripts=("refresh.js",),
        styles=("now.css",),
        refresh_seconds=REFRESH_SECONDS,
    )


def _accounts(counted: Counted) -> Markup:
    accounting = counted.accounting
    rows: list[tuple[Child, Child]] = [
        ("Seen", whole(accounting.seen)),
        ("= counted", whole(accounting.counted)),
        ("+ rejected", whole(accounting.rejected)),
        ("+ waiting", whole(accounting.waiting)),
        ("+ left out", whole(accounting.dropped)),
        ("Duplicates", f"{whole(accounting.duplicates)} files whose content was seen before"),
        *((f"Rejected: {reason}", whole(images)) for reason, images in counted.rejects.items()),
    ]
    return element("section", element("h2", "Every image accounted for"), facts(rows), class_="panel")


def _daemon(moment: Moment) -> list[tuple[Child, Child]]:
    sign = moment.daemon.sign
    if sign is None:
        return [("State", moment.daemon.state)]
    return [
        ("State", moment.daemon.state),
        ("Heard of", when(sign.now_ns, moment.now_ns)),
        ("Running since", "–" if sign.started_ns is None else when(sign.started_ns, moment.now_ns)),
        ("Images per second", rate(sign.images_per_second)),
        ("Classifier", f"{sign.bundle_name} {sign.bundle_digest[:12]}"),
        ("Problem", sign.problem or "none told"),
    ]


async def _healthz(request: Request) -> Response:
    """200 where nothing is bad, else 503, with what is."""
    moment = await live_of(request).moment()
    faults = [f"{line.name}: {line.what}" for line in lines(moment) if line.mark == "bad"]
    if moment.daemon.state == "unknown":
        faults.append("Counting: nothing is known of the daemon")
    counted, host = moment.counted, moment.host
    last = last_image_ns(moment)
    told = {
        "healthy": not faults,
        "faults": faults,
        "now": utc_text(moment.now_ns),
        "daemon": moment.daemon.state,
        "problem": moment.daemon.problem,
        "last_image": None if last is None else utc_text(last),
        "images_per_second": None if counted is None else round(counted.images_per_second, 2),
        "accounting": None if counted is None else asdict(counted.accounting),
        "disks": [{"of": disk.what, "free_bytes": disk.free, "size_bytes": disk.size} for disk in host.disks],
        "memory_free_bytes": host.memory.available if host.memory else None,
        "temperature_celsius": host.celsius,
    }
    return JSONResponse(told, 503 if faults else 200, headers={"Cache-Control": "no-store"})
