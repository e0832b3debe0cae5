"""/look: a person looks at uncertain images, one after another, and confirms or corrects what the classifier said.

What is said goes into the file of labels beside the ledger (edge/corrections); the ledger itself is only read.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from urllib.parse import quote, unquote

import numpy as np
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from bundle.errors import BadConfig, PlanktowError
from edge.corrections.history import Labels, add_labels, last_of, latest, take_back
from edge.corrections.humanlabel import HumanLabel, checked_label, checked_person
from edge.corrections.labelsfile import labels_file, reading
from edge.counts import LedgerBundle, one_moment, read_bundles
from edge.web.form import read_form
from edge.web.layout import page
from edge.web.looking import Queue, Seen, Wanted, number_of, read_queue, read_seen, wanted_of
from edge.web.lookpage import look_content, question_content
from edge.web.lookparts import Look, Undoable
from edge.web.looktaxa import Classifiers
from edge.web.place import Place
from edge.web.refusal import busy, refused
from edge.web.security import may_write, writers_only, writing_possible
from edge.web.turns import Busy, Kept, Turns

PERSON_COOKIE = "planktow_person"
WAITING_MOST = 32
FRESH_SECONDS = 5.0
_YEAR_SECONDS = 31_536_000
_DAY_NS = 86_400 * 1_000_000_000
_TITLE = "Look at images"


def routes(place: Place) -> list[Route]:
    looks = _Looks(place)
    return [
        Route("/look", looks.show),
        Route("/look/label", writers_only(looks.label), methods=["POST"]),
        Route("/look/undo", writers_only(looks.undo), methods=["POST"]),
        Route("/look/name", writers_only(looks.name), methods=["POST"]),
    ]


@dataclass(frozen=True)
class _Known:
    """What one request is answered from, read in one go."""

    queue: Queue
    seen: Seen | None
    bundle: LedgerBundle | None  # that gave the verdict, or the last one where there is no image
    before: int | None
    following: int | None
    left: int
    labels: Labels
    undoable: Undoable | None


class _Looks:
    """The handlers, and what they share."""

    def __init__(self, place: Place) -> None:
        self._place = place
        self._file = labels_file(place.ledger)
        self._turns = Turns("look", WAITING_MOST)
        self._queues = Kept(self._turns, FRESH_SECONDS)
        self._classifiers = Classifiers(place.bundle)

    async def show(self, request: Request) -> Response:
        """GET /look."""
        try:
            wanted = wanted_of(request.query_params)
            image_id, person = number_of(request.query_params, "image"), _person_or_none(request.cookies)
            queue = await self._queues.get(wanted, partial(self._queue, wanted))
            known = await asyncio.wrap_future(self._turns.begin(lambda: self._known(queue, wanted, image_id, person)))
            look = self._look(request, wanted, known, person)
        except Busy as fault:
            return busy(request, _TITLE, fault)
        except PlanktowError as fault:
            return refused(request, self._place, _TITLE, fault, "/look")
        return page(request, _TITLE, *look_content(look), scripts=("look.js",), styles=("look.css",))

    async def label(self, request: Request) -> Response:
        """POST /look/label: image, sha256, label; new=1 for one that nobody has given before; next; the choice."""
        fields = await read_form(request)
        try:
            wanted = wanted_of(fields)
            person = _person(request)
            label = checked_label(fields.get("label", ""))
            image_id, following = number_of(fields, "image"), number_of(fields, "next")
            seen = None if image_id is None else await run_in_threadpool(self._seen, image_id)
            if seen is None or seen.sha256.hex() != fields.get("sha256", ""):
                raise BadConfig("this image is not in the ledger as it was shown; load the page anew")
            known = await run_in_threadpool(self._names, seen)
            if label not in known and fields.get("new") != "1":
                back = f"/look?{wanted.query(image=image_id)}"
                content = question_content(seen, label, known, wanted, following, back)
                return page(request, "A new label?", *content, styles=("look.css",))
            said = HumanLabel(seen.sha256, label, person, seen.verdict, seen.bundle.digest, self._place.now_ns())
            await run_in_threadpool(add_labels, self._file, [said])
        except PlanktowError as fault:
            return refused(request, self._place, "Not labelled", fault, "/look")
        return _to(wanted, following)

    async def undo(self, request: Request) -> Response:
        """POST /look/undo: said, the number of the row to take back; the choice."""
        fields = await read_form(request)
        try:
            wanted, number, person = wanted_of(fields), number_of(fields, "said"), _person(request)
            image_id = number_of(fields, "image")
            taken = None
            if number is not None and self._file.exists():
                taken = await run_in_threadpool(take_back, self._file, number, person, self._place.now_ns())
            if taken is None:
                raise BadConfig("there is nothing to take back: it was taken back, or something else was said since")
        except PlanktowError as fault:
            return refused(request, self._place, "Not taken back", fault, "/look")
        return _to(wanted, image_id)

    async def name(self, request: Request) -> Response:
        """POST /look/name: who looks; an empty name asks again."""
        fields = await read_form(request)
        try:
            answer = _to(wanted_of(fields), number_of(fields, "image"))
            if not fields.get("person", "").strip():
                answer.delete_cookie(PERSON_COOKIE, samesite="strict", httponly=True)
                return answer
            person = checked_person(fields["person"])
        except PlanktowError as fault:
            return refused(request, self._place, "Who looks?", fault, "/look")
        answer.set_cookie(PERSON_COOKIE, quote(person), max_age=_YEAR_SECONDS, samesite="strict", httponly=True)
        return answer

    # --- in threads

    def _queue(self, wanted: Wanted) -> Queue:
        with self._place.reader() as connection, one_moment(connection):
            return read_queue(connection, wanted, read_bundles(connection))

    def _known(self, queue: Queue, wanted: Wanted, image_id: int | None, person: str | None) -> _Known:
        labels, undoable = self._labels(person)
        with self._place.reader() as connection, one_moment(connection):
            open_ = queue.open(labels)
            shown, before, following = queue.around(image_id, np.ones_like(open_) if wanted.seen else open_)
            bundles = read_bundles(connection)
            seen = None if shown is None else read_seen(connection, shown, bundles)
            bundle = seen.bundle if seen else bundles[-1] if bundles else None
            return _Known(queue, seen, bundle, before, following, int(open_.sum()), labels, undoable)

    def _labels(self, person: str | None) -> tuple[Labels, Undoable | None]:
        """What holds, and what this person said last today."""
        if not self._file.exists():
            return {}, None
        with reading(self._file) as connection:
            labels = latest(connection)
            last = None if person is None else last_of(connection, person, self._midnight_ns())
        if last is None:
            return labels, None
        number, said = last
        with self._place.reader() as connection:
            found = connection.execute(
                "SELECT id FROM image WHERE sha256 = ? ORDER BY copy LIMIT 1", (said.sha256,)
            ).fetchone()
        return labels, None if found is None else Undoable(number, int(found[0]), said.label or "")

    def _midnight_ns(self) -> int:
        return self._place.now_ns() // _DAY_NS * _DAY_NS

    def _seen(self, image_id: int) -> Seen | None:
        with self._place.reader() as connection, one_moment(connection):
            return read_seen(connection, image_id, read_bundles(connection))

    def _names(self, seen: Seen) -> list[str]:
        labels, _ = self._labels(None)
        return self._classifiers.names(seen.bundle, labels)

    # --- the page

    def _look(self, request: Request, wanted: Wanted, known: _Known, person: str | None) -> Look:
        seen, labels, midnight_ns = known.seen, known.labels, self._midnight_ns()
        today = [each for each in labels.values() if each.labelled_ns >= midnight_ns]
        return Look(
            wanted=wanted,
            queue=known.queue,
            seen=seen,
            human=None if seen is None else labels.get(seen.sha256),
            taxa={} if known.bundle is None else self._classifiers.taxa(known.bundle),
            suggested=() if seen is None else self._classifiers.suggested(seen, labels),
            names=() if known.bundle is None else self._classifiers.names(known.bundle, labels),
            before=known.before,
            following=known.following,
            left=known.left,
            today=len(today),
            own=sum(each.person == person for each in today),
            person=person,
            writer=may_write(request),
            writing=writing_possible(request),
            undoable=known.undoable,
        )


def _person_or_none(cookies: Mapping[str, str]) -> str | None:
    try:
        return checked_person(unquote(cookies.get(PERSON_COOKIE, ""), errors="strict"))
    except (BadConfig, UnicodeDecodeError):
        return None


def _person(request: Request) -> str:
    person = _person_or_none(request.cookies)
    if person is None:
        raise BadConfig("who looks? Give your name first: it is kept beside each label")
    return person


def _to(wanted: Wanted, image_id: int | None) -> RedirectResponse:
    query = wanted.query(image=image_id)
    return RedirectResponse(f"/look?{query}" if query else "/look", status_code=303)
