"""What the pages over time, of species and of tows read from the ledger: one report, made once for all who ask alike."""

from __future__ import annotations

import re
import sqlite3
from dataclasses import dataclass
from pathlib import Path

from starlette.requests import Request

from bundle.errors import BadBundle, BadConfig
from bundle.vouched import read_manifest
from edge.counts import LedgerBundle, chosen_bundle, one_moment, read_bundles
from edge.reported import Reported, read_reported
from edge.survey.surveyfile import Survey, read_survey
from edge.web.asked import Asked
from edge.web.place import Place
from edge.web.stretch import Plan, plan
from edge.web.turns import Kept, Turns

_FOLDERS = re.compile(r"(?<![\w.:])/(?:[^/\s:]+/)+")


@dataclass(frozen=True, eq=False)
class Read:
    """One report, and how it came about."""

    plan: Plan
    reported: Reported
    classifiers: tuple[LedgerBundle, ...]  # of the whole ledger that gave a verdict
    survey: Survey | None
    survey_fault: str | None  # why the survey is left out: the counts are true all the same


def kept_of(request: Request) -> Kept:
    """The answers that all readers of this application share, computed in one thread."""
    state = request.app.state
    if not hasattr(state, "kept"):
        state.kept = Kept(Turns("over-time"))
    kept = state.kept
    assert isinstance(kept, Kept)
    return kept


async def read(request: Request, place: Place, asked: Asked, by_tow: bool = False) -> Read:
    """Whatever names and units are asked for, it is the same report. Raises BadConfig, BadBundle, Busy."""
    key = ("report", asked.width_ns, asked.from_ns, asked.to_ns, asked.classifier, by_tow)
    return await kept_of(request).get(key, lambda: read_now(place, asked, by_tow))


def read_now(place: Place, asked: Asked, by_tow: bool = False) -> Read:
    """Raises BadConfig, BadBundle."""
    survey, fault = survey_of(place)
    if by_tow and survey is None:
        raise BadConfig(fault or "no survey.toml was given: the page knows of no tows")
    with place.reader() as connection, one_moment(connection):
        try:
            return _read(connection, place, asked, survey, fault, by_tow)
        except BadConfig as refused:
            # A track that is being written, a log that is gone: counts need neither.
            if survey is None or by_tow or not _is_of_survey(connection, survey):
                raise
            return _read(
                connection, place, asked, None, f"The survey is left out: {without_folders(place, refused)}", False
            )


def _read(
    connection: sqlite3.Connection, place: Place, asked: Asked, survey: Survey | None, fault: str | None, by_tow: bool
) -> Read:
    made = plan(connection, asked, every_image=survey is not None)
    reported = read_reported(
        connection,
        made.width_ns,
        made.from_ns,
        made.to_ns,
        classifier=asked.classifier,
        bundle=folder_of(connection, place, asked.classifier),
        survey=survey,
        by_tow=by_tow,
    )
    return Read(made, reported, working(connection), survey, fault)


def survey_of(place: Place) -> tuple[Survey | None, str | None]:
    """The survey file as it is now, or why there is none."""
    if place.survey is None:
        return None, None
    try:
        return read_survey(place.survey), None
    except BadConfig as fault:
        return None, f"The survey is left out: {without_folders(place, fault)}"


def folder_of(connection: sqlite3.Connection, place: Place, classifier: str | None = None) -> Path | None:
    """The bundle that the page was given, if it is the one whose verdicts are meant; a shipped one is found by its digest."""
    if place.bundle is None:
        return None
    every = working(connection)
    try:
        chosen = every if classifier is None else (chosen_bundle(every, classifier),)
        _, digest = read_manifest(place.bundle)
    except (BadConfig, BadBundle):
        return None
    return place.bundle if [each.digest for each in chosen] == [digest] else None


def working(connection: sqlite3.Connection) -> tuple[LedgerBundle, ...]:
    """Every classifier that gave a verdict."""
    at_work = {id_ for (id_,) in connection.execute("SELECT DISTINCT bundle_id FROM total WHERE images > 0")}
    return tuple(each for each in read_bundles(connection) if each.id in at_work)


def without_folders(place: Place, fault: Exception) -> str:
    """What is wrong, without where the files of this host lie."""
    told = str(fault)
    for path in (place.ledger, place.watch, place.bundle, place.survey):
        if path is not None:
            for parent in (path.resolve().parent, path.parent):
                if len(parent.parts) > 1:
                    told = told.replace(f"{parent}/", "")
    return _FOLDERS.sub("", told)  # logs may lie anywhere


def _is_of_survey(connection: sqlite3.Connection, survey: Survey) -> bool:
    """Whether it is the survey that cannot be read now."""
    try:
        conditions = survey.conditions()
        survey.deployments(connection)
        survey.sampled(connection, [(0, 1)], conditions)
    except BadConfig:
        return True
    return False
