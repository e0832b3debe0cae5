"""What a form or a script sends: read whole, within a limit, from the URL-encoded body of a POST."""

from __future__ import annotations

from urllib.parse import parse_qsl

from starlette.exceptions import HTTPException
from starlette.requests import Request

MOST_BYTES = 64 * 1024
_MOST_FIELDS = 1000


async def read_form(request: Request) -> dict[str, str]:
    """The fields of an application/x-www-form-urlencoded body; of one that comes twice, the last.

    Raises HTTPException: 413 where it is too large, 415 or 400 where it is something else.
    """
    if request.headers.get("content-type", "").partition(";")[0].strip() != "application/x-www-form-urlencoded":
        raise HTTPException(415, "send application/x-www-form-urlencoded")
    body = b""
    async for part in request.stream():
        body += part
        if len(body) > MOST_BYTES:
            raise HTTPException(413, f"send at most {MOST_BYTES} bytes")
    try:
        pairs = parse_qsl(body.decode("ascii"), keep_blank_values=True, max_num_fields=_MOST_FIELDS, errors="strict")
    except ValueError:
        raise HTTPException(400, "not a form") from None
    return dict(pairs)
