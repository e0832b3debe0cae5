"""`GET /metrics`: for Prometheus, in its text format or as OpenMetrics, whichever it asks for."""

from __future__ import annotations

from anyio import CapacityLimiter, to_thread
from prometheus_client.exposition import choose_encoder
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from edge.metrics import SituationCollector, of_alerts, registry_of
from edge.situation import read_situation
from edge.web.place import Place


def routes(place: Place) -> list[Route]:
    """The one route."""
    registry = registry_of(
        SituationCollector(
            lambda: read_situation(place.ledger, place.watch, place.out, place.now_ns()), [of_alerts(place.ledger)]
        )
    )

    one_thread = CapacityLimiter(1)  # however many ask, and however long the ledger takes, the page keeps its threads

    async def metrics(request: Request) -> Response:
        encode, content_type = choose_encoder(request.headers.get("accept", ""))
        content = await to_thread.run_sync(encode, registry, limiter=one_thread)
        return Response(content, headers={"Content-Type": content_type, "Cache-Control": "no-store"})

    return [Route("/metrics", metrics)]
