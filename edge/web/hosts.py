"""Under which names this page may be asked for.

A web site somewhere can have its own name resolve to this host (DNS rebinding), and a browser aboard would then let its
scripts read the page as if it were theirs. Such a request bears that name as its Host: only names that are ours pass. An
address in numbers cannot be such a name.
"""

from __future__ import annotations

import ipaddress
import re
import socket
from collections.abc import Iterable

_HOST = re.compile(r"(\[[0-9A-Fa-f:.%]+\]|[A-Za-z0-9._-]+)(?::[0-9]{1,5})?")


def own_names(told: Iterable[str] = ()) -> frozenset[str]:
    """localhost, the name of this host, the same with .local (mDNS), and those `told`."""
    name = socket.gethostname().lower().rstrip(".")
    return frozenset(
        {"localhost", name, f"{name.partition('.')[0]}.local", *(each.lower().rstrip(".") for each in told)}
    )


def host_passes(host: str, names: frozenset[str]) -> bool:
    """Whether a request with this Host header is answered."""
    found = _HOST.fullmatch(host)
    if found is None:
        return False
    name = found[1].lower().rstrip(".")
    return name in names or _is_address(name)


def _is_address(name: str) -> bool:
    try:
        if name.startswith("["):
            ipaddress.IPv6Address(name[1:-1])
        else:
            ipaddress.IPv4Address(name)
    except ValueError:
        return False
    return True


def origin_passes(origin: str | None, fetch_site: str | None, host: str, with_cookies: bool) -> bool:
    """Whether a request that may change something comes from a page of ours.

    origin, fetch_site: the headers Origin and Sec-Fetch-Site; a browser sends one of them at least with every POST. What
    sends neither is no browser, and bears no cookies that somebody else could make use of.
    """
    if fetch_site is not None and fetch_site != "same-origin":
        return False
    if origin is not None:
        return origin in (f"http://{host}", f"https://{host}")
    return fetch_site is not None or not with_cookies
