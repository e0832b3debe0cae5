"""What suits a host: measured in real processes, kept, and used by the daemon only where it still holds."""

import dataclasses
import json
import logging
import os
import subprocess
import sys
from pathlib import Path

import pytest

from bundle.folder import Bundle, open_bundle
from bundle.machine import read_machine, usable_cores
from bundle.pace import silent
from bundle.whole import json_bytes
from edge.config import EdgeConfig, format_config
from edge.daemon.tuning import Tuned, read_tuned, tune, tuning_table, write_tuned
from edge.screen import to_text

from .conftest import Ship, until
from .images import TINY_BUNDLE, image_bytes
from .test_pool import children


@pytest.fixture(scope="module")
def tiny() -> Bundle:
    return open_bundle(TINY_BUNDLE)


def here(bundle: Bundle, **changes: object) -> Tuned:
    machine = read_machine()
    found = Tuned(machine.processor, machine.cores, machine.runtime, bundle.digest, 1, (2, 0, 1))
    return dataclasses.replace(found, **changes)


def test_every_number_of_workers_is_tried_and_the_members_are_ordered_by_their_ballots_and_their_cost_here(tiny):
    ballots = [[1, 2, 0, 0], [0, 1, 2, 0], [0, 1, 2, 0]]  # the last two agree always; the last costs a little more
    told = dataclasses.replace(tiny, contents={**tiny.contents, "validation.json": json_bytes({"ballots": ballots})})
    tuned, trials, order = tune(told, silent, seconds=0.05)
    assert [trial.workers for trial in trials] == list(range(1, usable_cores() + 1))
    assert all(len(trial.milliseconds) == 3 and min(trial.milliseconds) > 0 for trial in trials)
    assert order is not None
    assert (set(tuned.order[:2]), order.asked) == ({1, 2}, (1.0, 1.0, 0.0))
    assert tuned.workers in range(1, usable_cores() + 1)
    text = to_text(tuning_table(told, trials, tuned, order))
    assert "01-tiny (0%)" in text
    assert f"{trials[0].images_per_second:.0f}" in text


def test_without_ballots_the_order_of_the_bundle_stays(tiny):
    tuned, trials, order = tune(tiny, silent, seconds=0.01)
    assert (tuned.order, order) == (tiny.manifest.order, None)
    assert "no ballots" in to_text(tuning_table(tiny, trials, tuned, order))


def test_what_was_found_comes_back_for_the_same_host_and_bundle_and_for_no_other(tmp_path, tiny):
    ledger = tmp_path / "ledger.sqlite"
    assert read_tuned(ledger, tiny) is None
    write_tuned(ledger, here(tiny))
    assert read_tuned(ledger, tiny) == here(tiny)
    assert read_tuned(ledger, dataclasses.replace(tiny, digest="0" * 64)) is None
    for change in ({"processor": "another"}, {"cores": 1000}, {"runtime": "older"}, {"workers": 0}, {"order": (0, 1)}):
        write_tuned(ledger, here(tiny, **change))
        assert read_tuned(ledger, tiny) is None, change


@pytest.mark.parametrize("data", [b"", b"{}", b"[1]", b'{"processor": 1}', b"\xff", b"{" * 100_000])
def test_a_file_that_cannot_be_used_is_passed_by_with_a_line(tmp_path, tiny, caplog, data: bytes):
    file = tmp_path / "ledger.sqlite.tuned.json"
    file.write_bytes(data)
    with caplog.at_level(logging.WARNING):
        assert read_tuned(tmp_path / "ledger.sqlite", tiny) is None
    assert f"{file}: cannot be used (" in caplog.text
    assert "run: planktow-edge tune" in caplog.text


def test_the_command_writes_what_the_daemon_then_uses(ship: Ship, tiny):
    ship.config.write_text(format_config(EdgeConfig(ship.watch, TINY_BUNDLE, ship.ledger, ship.out)))
    command = [sys.executable, "-m", "edge", "tune", "--config", str(ship.config)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    file = Path(f"{ship.ledger}.tuned.json")
    assert f"{file} written; the daemon uses it from its next start on" in done.stdout
    found = json.loads(file.read_bytes())
    assert (found["bundle"], found["cores"]) == (tiny.digest, len(os.sched_getaffinity(0)))

    write_tuned(ship.ledger, here(tiny, workers=3))
    ship.start(workers=0)
    (ship.watch / "a.png").write_bytes(image_bytes("jelly"))
    ship.await_accounting(counted=1)
    until(lambda: len(children(ship.process.pid)) == 3)
    assert ship.stop() == 0
