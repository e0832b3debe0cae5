"""The files that the page is made of: read into memory by the names they have here, so that no request names a file."""

from __future__ import annotations

import gzip
from dataclasses import dataclass
from functools import cache
from hashlib import sha256
from importlib.util import find_spec
from pathlib import Path

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

_STATIC = Path(__file__).parent / "static"
_TYPES = {".css": "text/css; charset=utf-8", ".js": "text/javascript; charset=utf-8", ".svg": "image/svg+xml"}
PLOTLY = "plotly.min.js"
_YEAR_SECONDS = 31_536_000


@dataclass(frozen=True, eq=False)
class Asset:
    """One file as it is sent."""

    plain: bytes
    packed: bytes  # gzip
    kind: str
    version: str  # of the content


def address(name: str) -> str:
    """Where a browser finds the file `name` of static/; it changes with the content, so that it may be kept for long."""
    return f"/static/{name}?v={_version(name)}"


def routes(_place: object) -> list[Route]:
    return [Route("/static/{name}", _send)]


async def _send(request: Request) -> Response:
    name = request.path_params["name"]
    if name not in _files():
        return PlainTextResponse("no such file\n", status_code=404)
    asset = await run_in_threadpool(_asset, name)  # Plotly's 5 MB take a while the first time
    kept = (
        f"public, max-age={_YEAR_SECONDS}, immutable" if request.query_params.get("v") == asset.version else "no-cache"
    )
    headers = {"Cache-Control": kept, "ETag": f'"{asset.version}"', "Vary": "Accept-Encoding"}
    if request.headers.get("if-none-match") == headers["ETag"]:
        return Response(status_code=304, headers=headers)
    if "gzip" in request.headers.get("accept-encoding", ""):
        return Response(asset.packed, media_type=asset.kind, headers={**headers, "Content-Encoding": "gzip"})
    return Response(asset.plain, media_type=asset.kind, headers=headers)


@cache
def _files() -> dict[str, Path]:
    """Every file there is, by name."""
    found = {file.name: file for file in sorted(_STATIC.iterdir()) if file.suffix in _TYPES}
    plotly = find_spec("plotly")  # found, not loaded: the import alone takes longer than a page
    if plotly is not None and plotly.origin is not None:
        file = Path(plotly.origin).parent / "package_data" / PLOTLY
        if file.is_file():
            found[PLOTLY] = file
    return found


@cache
def _version(name: str) -> str:
    """Raises KeyError where there is no such file: a page that asks for it is wrong."""
    return sha256(_files()[name].read_bytes()).hexdigest()[:16]


@cache
def _asset(name: str) -> Asset:
    data = _files()[name].read_bytes()
    return Asset(data, gzip.compress(data, 6, mtime=0), _TYPES[_files()[name].suffix], _version(name))
