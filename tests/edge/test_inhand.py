"""The files in hand, on disk, and the worker that dies of one of them."""

import os
import resource
from hashlib import sha256
from pathlib import Path

import pytest

from edge.intake.inhand import TRIES, InHand

from .conftest import Ship
from .images import image_bytes, kind_of

# A decoder, or a classifier, that dies of one content as one in C does, without a word: for every Python process.
DYING = """
import hashlib, os, signal, sys
import cv2
from ai_edge_litert.interpreter import Interpreter

poison, where = os.environ["POISON"].split()
swallowed = False
decode, invoke = cv2.imdecode, Interpreter.invoke


def decode_or_die(data, flags):
    global swallowed
    swallowed = swallowed or hashlib.sha256(data.tobytes()).hexdigest() == poison
    if swallowed and where == "decoder":
        os.kill(os.getpid(), signal.SIGSEGV)
    return decode(data, flags)


def invoke_or_die(self):
    if swallowed and where == "classifier":
        os.kill(os.getpid(), signal.SIGSEGV)
    return invoke(self)


cv2.imdecode, Interpreter.invoke = decode_or_die, invoke_or_die
"""


def die_with(ledger: Path, paths: list[str]) -> tuple[dict[str, int], set[str]]:
    """A process that dies while these are in hand; the suspects and culprits that it had found."""
    dying = InHand(ledger)
    found = dict(dying.suspects), set(dying.culprits)
    dying.take([paths] if paths else [])  # and no more: what a death leaves is what is in the file
    dying.__exit__(RuntimeError, RuntimeError(), None)
    return found


def test_what_was_in_hand_is_suspect_after_a_death_and_not_after_a_good_end(tmp_path):
    ledger = tmp_path / "ledger.sqlite"
    die_with(ledger, ["a.png", "b\n.png", os.fsdecode(b"\xe9.png")])
    with InHand(ledger) as after:
        assert after.suspects == {"a.png": 0, "b\n.png": 0, os.fsdecode(b"\xe9.png"): 0}
        for path in list(after.suspects):
            after.take([[path]])
            after.clear(path)
    with InHand(ledger) as later:
        assert (later.suspects, later.culprits) == ({}, set())


def test_a_file_that_was_alone_in_hand_at_every_death_is_the_culprit(tmp_path):
    ledger = tmp_path / "ledger.sqlite"
    for deaths in range(TRIES):
        assert die_with(ledger, ["a.png"]) == ({"a.png": deaths} if deaths else {}, set())
    # A death before the culprit's end is in the ledger does not acquit it.
    assert die_with(ledger, ["b.png", "c.png"]) == ({}, {"a.png"})
    with InHand(ledger) as later:
        assert (later.suspects, later.culprits) == ({"b.png": 0, "c.png": 0}, {"a.png"})
        later.clear("a.png")
        later.clear("b.png")
        later.clear("c.png")
    with InHand(ledger) as last:
        assert (last.suspects, last.culprits) == ({}, set())


@pytest.mark.parametrize(
    "left", [b'[2, "a.png"]\n[0, "b.pn', b"\0" * 50, b"[1, 2]\n{}\nnull\n[]\n", b'[2, "a.png"]\n\xff\xfe']
)
def test_a_note_torn_in_the_writing_is_no_reason_not_to_start(tmp_path, left: bytes):
    (tmp_path / "ledger.sqlite.inhand").write_bytes(left)
    with InHand(tmp_path / "ledger.sqlite") as after:
        assert after.suspects == ({"a.png": 2} if b"a.png" in left else {})


def test_where_it_cannot_be_written_nothing_is_in_hand_and_nothing_stops(tmp_path):
    """A file may not grow here: an OSError of the real call, as a full disk gives it."""
    ledger = tmp_path / "ledger.sqlite"
    in_hand = InHand(ledger)
    in_hand.take([["earlier.png"]])
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, hard))
    try:
        in_hand.take([["a.png"]])
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert ledger.with_name("ledger.sqlite.inhand").read_bytes() == b"", "nor is an earlier file accused"
    assert die_with(ledger, []) == ({}, set())
    in_hand.__exit__(None, None, None)


@pytest.mark.parametrize("where", ["decoder", "classifier"])
def test_a_file_that_a_worker_dies_of_is_found_out_and_all_others_count(ship: Ship, tmp_path, monkeypatch, where: str):
    images = 24
    for number in range(images):
        (ship.watch / f"{number:02d}.png").write_bytes(image_bytes(kind_of(number), number))
    poison = sha256(image_bytes(kind_of(13), 13)).hexdigest()
    (tmp_path / "sitecustomize.py").write_text(DYING)  # Python runs it when it starts
    monkeypatch.setenv("PYTHONPATH", str(tmp_path), prepend=os.pathsep)
    monkeypatch.setenv("POISON", f"{poison} {where}")
    ship.start(settle_seconds=0.1, workers=2)
    ship.await_accounting(counted=images - 1, rejected=1)
    assert ship.rejects() == {"13.png": "crashed"}
    assert ship.stop() == 0
    deaths = ship.said().count("ERROR the process that classifies died with")
    assert deaths in (TRIES, TRIES + 1), "once in its batch, if it had others beside it, then alone"
    assert ship.said().count("died with 13.png in hand") >= TRIES
    assert ship.ledger.with_name("ledger.sqlite.inhand").read_text() == ""
