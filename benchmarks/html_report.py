"""What report.html costs: time and memory of `planktow-edge report --format html` on ledgers of growing size.

    python -m benchmarks.html_report [--images 100000] [--bin 1h] [--base DIR]

A ledger of 20 days with the labels of planktonset-121 is filled in bulk, for each size by powers of ten up to --images.
The images that the page shows as samples are written as files of 60 to 300 pixels, and a survey gives a flow, and position
and depth once a minute. Each report is made by a process of its own, as a person would: time from its start to its end,
and the most memory it had. "bare" is without --images and --survey.

The demand (issue 7): 100,000 images in under 20 s and 500 MiB.
"""

from __future__ import annotations

import argparse
import hashlib
import math
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import cv2
import numpy as np
from rich.table import Table

from benchmarks.filled_ledger import DAYS, FIRST_DAY_NS, camera_files, fill_ledger
from benchmarks.table import facts as machine_facts
from benchmarks.table import show
from bundle.command import refusals, say
from bundle.folder import Bundle, open_bundle
from edge.bins import SECOND_NS
from edge.counts import read_counts
from edge.htmlreport.facts import read_facts
from edge.htmlreport.write import SAMPLES, SPARE
from edge.ledger.ledgerfile import open_ledger_readonly
from edge.shipped import DEFAULT, shipped_bundle

LEAST = 1000  # images of the smallest ledger


@dataclass(frozen=True)
class Cost:
    """Of one report."""

    seconds: float
    peak_mib: float
    page_mib: float


def make_samples(ledger: Path, folder: Path) -> None:
    """Writes the files of all images that a page may show, and has the ledger know their content."""
    random = np.random.default_rng(0)
    with closing(open_ledger_readonly(ledger)) as connection:
        chosen = read_facts(connection, read_counts(connection), SAMPLES * SPARE).chosen
    images = {image for labels in chosen.values() for those in labels.values() for image in those}
    with closing(sqlite3.connect(ledger)) as connection, connection:
        for image in sorted(images):
            (path,) = connection.execute("SELECT path FROM sighting WHERE image_id = ?", (image,)).fetchone()
            height, width = random.integers(60, 300, 2).tolist()
            picture = random.integers(200, 256, (height, width), dtype=np.uint8)
            cv2.ellipse(picture, (width // 2, height // 2), (width // 3, height // 3), 0, 0, 360, 60, -1)
            data = cv2.imencode(".png", picture)[1].tobytes()
            file = folder / path
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(data)
            connection.execute("UPDATE image SET sha256 = ? WHERE id = ?", (hashlib.sha256(data).digest(), image))


def make_survey(folder: Path) -> Path:
    """A survey with a flow, and a log with position and depth once a minute."""
    with (folder / "ctd.csv").open("w") as log:
        log.write("time,latitude,longitude,depth\n")
        for minute in range(DAYS * 24 * 60):
            when = datetime.fromtimestamp(FIRST_DAY_NS // SECOND_NS + 60 * minute, UTC)
            north, east, depth = 54 + minute / 20_000, 7 + minute / 10_000, 40 + 35 * math.sin(minute / 15)
            log.write(f"{when:%Y-%m-%dT%H:%M:%SZ},{north:.5f},{east:.5f},{depth:.2f}\n")
    survey = folder / "survey.toml"
    survey.write_text('[volume]\nlitres_per_second = 5.0\nrelative_sd = 0.1\n\n[environment]\nfiles = ["ctd.csv"]\n')
    return survey


# The peak that Linux keeps of a program, not of the process: that one begins as a copy of this benchmark.
_CHILD = """
import re, sys
from pathlib import Path
from edge.cli import app
app(sys.argv[1:], standalone_mode=False)
print(re.search(r"VmHWM:\\s+(\\d+) kB", Path("/proc/self/status").read_text())[1])
"""


def report(ledger: Path, out: Path, options: Sequence[str]) -> Cost:
    """Runs the command once in a process of its own; raises RuntimeError where it fails."""
    command = [sys.executable, "-c", _CHILD, "report", "--ledger", str(ledger), "--format", "html", "--out", str(out)]
    began = time.perf_counter()
    done = subprocess.run([*command, *options], capture_output=True, text=True)
    seconds = time.perf_counter() - began
    if done.returncode:
        raise RuntimeError(f"the report failed: {done.stderr}")
    return Cost(seconds, int(done.stdout) / 1024, out.stat().st_size / 2**20)


def measure(bundle: Bundle, images: int, width: str, base: Path | None) -> Iterator[tuple[str, Cost]]:
    """The reports of one ledger, by name; nothing is left behind."""
    with tempfile.TemporaryDirectory(prefix="planktow-bench-", dir=base) as temporary:
        folder = Path(temporary)
        ledger, pictures = folder / "ledger.sqlite", folder / "images"
        fill_ledger(ledger, bundle, camera_files(images))
        make_samples(ledger, pictures)
        bare = ["--bin", width]
        full = [*bare, "--images", str(pictures), "--survey", str(make_survey(folder))]
        for name, options in (("bare", bare), ("with images and survey", full)):
            yield name, report(ledger, folder / "report.html", options)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=int, default=100_000)
    parser.add_argument("--bin", default="1h")
    parser.add_argument("--base", type=Path)
    asked = parser.parse_args()
    bundle = open_bundle(shipped_bundle(DEFAULT))
    table = Table("images", "report", "seconds", "peak MiB", "page MiB", title=f"report.html, bins of {asked.bin}")
    size = min(LEAST, asked.images)
    while True:
        say(f"a ledger of {size} images")
        for name, cost in measure(bundle, size, asked.bin, asked.base):
            table.add_row(str(size), name, f"{cost.seconds:.1f}", f"{cost.peak_mib:.0f}", f"{cost.page_mib:.1f}")
        if size == asked.images:
            break
        size = min(10 * size, asked.images)
    show(table)
    print(machine_facts(bundle, f"{DAYS} days"))


if __name__ == "__main__":
    with refusals("benchmarks.html_report"):
        main()
