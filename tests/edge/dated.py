"""What the tests of capture times share: instants, tagged images, and clocks that a test turns."""

import math
import struct
from datetime import datetime
from pathlib import Path

from edge.capture.capture import Capture, CaptureTimes
from edge.capture.timesettings import TimeSettings
from edge.intake.files import Found

from .images import image_bytes

SECOND, HOUR, DAY = 10**9, 3600 * 10**9, 86_400 * 10**9
MS = 10**6


def utc(text: str) -> int:
    """ISO time -> ns, by the standard library and not by the code under test; µs at best."""
    passed = datetime.fromisoformat(f"{text}+00:00") - datetime.fromisoformat("1970-01-01T00:00:00+00:00")
    return (passed.days * 86_400 + passed.seconds) * SECOND + passed.microseconds * 1000


NOW = utc("2024-03-12T13:00:00")
NOON = utc("2024-03-12T12:00:00")
MTIME = utc("2024-03-12T12:59:00")
PLAIN = image_bytes("sphere", suffix=".jpg")


def tagged(when: str, zone: str = "") -> bytes:
    """A JPEG with an EXIF DateTimeOriginal of 19 letters and, if given, an OffsetTimeOriginal of six."""
    texts = [(36867, when.encode() + b"\0")] + ([(36881, zone.encode() + b"\0")] if zone else [])
    start = 26 + 2 + 12 * len(texts) + 4
    entries = body = b""
    for tag, text in texts:
        entries += struct.pack("<HHII", tag, 2, len(text), start + len(body))
        body += text
    block = b"II*\0" + struct.pack("<IHHHIII", 8, 1, 34665, 4, 1, 26, 0)
    payload = b"Exif\0\0" + block + struct.pack("<H", len(texts)) + entries + bytes(4) + body
    return PLAIN[:2] + b"\xff\xe1" + struct.pack(">H", len(payload) + 2) + payload + PLAIN[2:]


class Clocks:
    """The host's two clocks, which a test turns."""

    def __init__(self) -> None:
        self.wall, self.seconds = NOW, 0.0


class Times(CaptureTimes):
    """Capture times of a watched folder, with clocks to turn."""

    def __init__(self, watch: Path = Path("/nowhere"), patience_seconds: float = math.inf, **given: object) -> None:
        self.clocks = Clocks()
        super().__init__(
            TimeSettings(**given), watch, lambda: self.clocks.wall, lambda: self.clocks.seconds, patience_seconds
        )

    def on(self, path: str, data: bytes = PLAIN, mtime: int = MTIME) -> Capture:
        return self.of(Found(path, len(data), mtime), data)


def by_name(pattern: str, path: str, **given: object) -> int | None:
    capture = Times(name_pattern=pattern, **given).on(path)
    return capture.ns if capture.source == "name" else None


FALLEN_BACK = Capture(MTIME, "mtime")
