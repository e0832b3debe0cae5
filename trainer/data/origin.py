"""Where an augmented image comes from, written into the image file itself.

Not in its name and not in a list beside it: those are lost when folders are merged, renamed or copied in part, and then
a warped copy of a test image could train. A PNG text chunk moves with the content, and the content's hash vouches for it.
"""

from __future__ import annotations

import zlib

_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_AFTER_HEADER = len(_SIGNATURE) + 25  # IHDR is first and always 25 bytes long (PNG 1.2, 11.2.2)
_KEYWORD = b"Planktow-Augmented\0"


def mark(png: bytes, origin: str, number: int) -> bytes:
    """The PNG file with a note that it is the augmented copy `number` of the image whose sha-256 is `origin`."""
    text = b"tEXt" + _KEYWORD + f"{origin} {number}".encode()
    chunk = (len(text) - 4).to_bytes(4, "big") + text + zlib.crc32(text).to_bytes(4, "big")
    return png[:_AFTER_HEADER] + chunk + png[_AFTER_HEADER:]


def origin_of(data: bytes) -> str:
    """The sha-256 of the image that this file is an augmented copy of; empty for any other file."""
    if not data.startswith(_SIGNATURE):
        return ""
    at = len(_SIGNATURE)
    while at + 8 <= len(data):
        length = int.from_bytes(data[at : at + 4], "big")
        text = data[at + 8 : at + 8 + length]
        if data[at + 4 : at + 8] == b"tEXt" and text.startswith(_KEYWORD):
            return text[len(_KEYWORD) :].decode("latin-1").split(" ")[0]
        at += length + 12
    return ""
