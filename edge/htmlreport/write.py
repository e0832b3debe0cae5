"""From the ledger to report.html: reads what the page needs, and has it written."""

from __future__ import annotations

import platform
import sqlite3
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from edge.bins import width_text
from edge.counts import one_moment
from edge.htmlreport.collage import Collage, make_collage
from edge.htmlreport.facts import Facts, aside_by_rule, read_facts
from edge.htmlreport.figures import WHERE
from edge.htmlreport.page import page_html
from edge.htmlreport.places import Places, read_places
from edge.htmlreport.source import Origin, Source
from edge.htmlreport.towed import Towed, count_tows
from edge.reported import Reported, read_reported, span_ns
from edge.survey.surveyfile import Survey

SAMPLES = 4  # images of a label in each way
SPARE = 4  # so many times more are chosen: retention may have deleted some
BINS_MOST = 750  # that a plot can show
_WIDER_SECONDS = (60, 300, 600, 1800, 3600, 10_800, 21_600, 43_200, 86_400, 604_800, 2_592_000, 31_622_400)
_PROGRAMS = {
    "Planktow": "planktow",
    "LiteRT": "ai-edge-litert",
    "TFLite runtime": "tflite-runtime",
    "NumPy": "numpy",
    "OpenCV": "opencv-python-headless",
}


def drawable_width_ns(width_ns: int, span_ns: int) -> int:
    """The width asked for, or the next wider one of which no more than BINS_MOST fill the span."""
    if span_ns <= width_ns * BINS_MOST:
        return width_ns
    wider = (seconds * 1_000_000_000 for seconds in _WIDER_SECONDS)
    return next((width for width in wider if width > width_ns and span_ns <= width * BINS_MOST), 31_622_400 * 10**9)


def html_report(
    connection: sqlite3.Connection,
    ledger: Path,
    width_ns: int,
    from_ns: int | None,
    to_ns: int | None,
    now_ns: int,
    *,
    classifier: str | None = None,
    bundle: Path | None = None,
    survey: Survey | None = None,
    survey_file: Path | None = None,
    images: Path | None = None,
    by_tow: bool = False,
    seed: int = 0,
) -> str:
    """The page, of one moment of the ledger; arguments as of `read_reported`.

    ledger, survey_file: only their names stand in the page. images: the watched folder, for the sample images; None: none.
    now_ns: when the report is written, UTC. Raises BadConfig, BadBundle.
    """
    with one_moment(connection):
        span = span_ns(connection, from_ns, to_ns)
        drawn_ns = drawable_width_ns(width_ns, span[1] - span[0] if span else 0)
        reported = read_reported(
            connection,
            drawn_ns,
            from_ns,
            to_ns,
            classifier=classifier,
            bundle=bundle,
            survey=survey,
            by_tow=by_tow,
        )
        counts = reported.counts
        facts = read_facts(connection, counts, SAMPLES * SPARE, seed)
        source = Source(
            reported,
            facts,
            _places(connection, reported, facts, survey),
            None if images is None else _collage(connection, reported, facts, images),
            aside_by_rule(connection),
            Origin(
                ledger.name,
                survey_file.name if survey_file else None,
                now_ns,
                versions(),
                "tow" if by_tow else width_text(width_ns),
                "tow" if by_tow else width_text(drawn_ns),
                seed,
            ),
        )
        towed = [] if survey is None else _tows(connection, reported, facts, survey)
    return page_html(source, towed)


def versions() -> dict[str, str]:
    """Of the programs that make the numbers, as installed here."""
    found = {}
    for name, package in _PROGRAMS.items():
        try:
            found[name] = version(package)
        except PackageNotFoundError:
            continue
    return {**found, "SQLite": sqlite3.sqlite_version, "Python": platform.python_version()}


def _places(connection: sqlite3.Connection, reported: Reported, facts: Facts, survey: Survey | None) -> Places | None:
    conditions = reported.conditions
    if survey is None or conditions is None or facts.first_ns is None or facts.last_ns is None:
        return None
    return read_places(
        connection,
        reported.counts,
        facts.labels,
        reported.ranked[:WHERE],
        (facts.first_ns, facts.last_ns),
        conditions,
        lambda stretches: survey.sampled(connection, stretches, conditions),
    )


def _tows(connection: sqlite3.Connection, reported: Reported, facts: Facts, survey: Survey) -> list[Towed]:
    return count_tows(
        connection,
        reported.counts,
        facts.labels,
        reported.tows,
        lambda stretches: survey.sampled(connection, stretches, reported.conditions),
    )


def _collage(connection: sqlite3.Connection, reported: Reported, facts: Facts, images: Path) -> Collage:
    labels = [*reported.ranked, facts.labels[-1]]
    return make_collage(
        connection, images, [label for label in labels if reported.counts.totals.get(label)], facts.chosen, SAMPLES
    )
