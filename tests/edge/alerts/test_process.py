"""`planktow-edge alerts` as a process: told once, over restarts and kills; and what its other options show."""

import json
import os
import signal
import socket
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from typer.testing import CliRunner

from edge.alerts.journal import Journal, journal_file, read_events
from edge.alerts.memory import MOST_UNTOLD, Memory, load, memory_file, save
from edge.alerts.settings import (
    AccountingRule,
    AlertSettings,
    BacklogRule,
    DaemonRule,
    HookSettings,
    MqttSettings,
    ProblemRule,
    SpeciesRule,
)
from edge.alerts.state import Event
from edge.alerts.watch import Alerts
from edge.cli import app
from edge.config import EdgeConfig, format_config, read_config
from edge.ledger.ledger import open_ledger
from edge.shipped import DEFAULT, shipped_bundle

from ..conftest import until
from ..filled import TEN, fill
from ..images import TINY_BUNDLE
from .broker import Broker

TELLS = (
    "import os, sys; file = open(sys.argv[1], 'a')\n"
    "file.write(os.environ['PLANKTOW_WHAT'] + ' ' + os.environ['PLANKTOW_RULE'] + '\\n')\n"
)
BACKLOG = BacklogRule(name="backlog", images=3)


class Bridge:
    """One ledger, its edge.toml, and the alerts on it."""

    def __init__(self, folder: Path, tiny) -> None:
        self.folder, self.tiny, self.ledger = folder, tiny, folder / "ledger.sqlite"
        self.config, self.told_file, self.log = folder / "edge.toml", folder / "told", folder / "log"
        self.process: subprocess.Popen[bytes] | None = None
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.bind(str(folder / "notify"))
        self._socket.setblocking(False)
        self.notified: list[str] = []
        fill(self.ledger, tiny, counted=[("10:00:00", 0)])

    def settle(self, code: str = TELLS, **given) -> None:
        given = {
            "backlog": (BACKLOG,),
            "hook": HookSettings((sys.executable, "-c", code, str(self.told_file))),
            **given,
        }
        alerts = AlertSettings(**{"every_seconds": 0.2, **given})
        (self.folder / "images").mkdir(exist_ok=True)
        self.config.write_text(
            format_config(
                EdgeConfig(self.folder / "images", TINY_BUNDLE, self.ledger, self.folder / "out", alerts=alerts)
            )
        )

    def command(self) -> list[str]:
        return [sys.executable, "-m", "edge", "alerts", "--config", str(self.config)]

    def run(self, *options: str):
        """A command that ends by itself, in this process."""
        return CliRunner().invoke(app, ["alerts", "--config", str(self.config), *options])

    def start(self) -> None:
        self.notified.clear()
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                self.command(),
                stderr=log,
                env={**os.environ, "NOTIFY_SOCKET": str(self.folder / "notify"), "WATCHDOG_USEC": "2000000"},
            )
        until(lambda: self.heard("READY=1") or self.process.poll() is not None, "ready")
        assert self.process.poll() is None, self.log.read_text()

    def stop(self, with_signal: int = signal.SIGTERM) -> int:
        process, self.process = self.process, None
        process.send_signal(with_signal)
        return process.wait(60)

    def heard(self, line: str) -> bool:
        while True:
            try:
                self.notified += self._socket.recv(65536).decode().splitlines()
            except BlockingIOError:
                return any(sent.startswith(line) for sent in self.notified)

    def wait(self, images: int) -> None:
        """From now on so many images wait."""
        with open_ledger(self.ledger) as ledger:
            ledger.connection.execute("DELETE FROM sighting WHERE image_id IS NULL")
        fill(self.ledger, self.tiny, waiting=images)

    @property
    def told(self) -> list[str]:
        return self.told_file.read_text().splitlines() if self.told_file.exists() else []

    def close(self) -> None:
        if self.process is not None and self.process.poll() is None:
            self.stop(signal.SIGKILL)
        self._socket.close()


@pytest.fixture
def bridge(tmp_path, tiny):
    made = Bridge(tmp_path, tiny)
    yield made
    made.close()


def test_it_tells_what_happens_and_a_restart_neither_repeats_nor_forgets(bridge):
    bridge.settle()
    bridge.start()
    until(lambda: bridge.heard("WATCHDOG=1"))
    assert bridge.told == []
    bridge.wait(3)
    until(lambda: bridge.told == ["raised backlog"])
    until(lambda: bridge.heard("STATUS=1 rules, raised: backlog"))
    assert bridge.stop() == 0
    assert bridge.heard("STOPPING=1")
    bridge.start()
    until(lambda: bridge.heard("STATUS=1 rules, raised: backlog"))
    assert bridge.stop(signal.SIGKILL) == -signal.SIGKILL
    bridge.wait(0)
    bridge.start()
    until(lambda: bridge.told == ["raised backlog", "cleared backlog"])
    assert bridge.stop() == 0
    events = read_events(journal_file(bridge.ledger), 0, 2**63)
    assert [(event.what, event.text) for event in events] == [
        ("raised", "3 images wait, the oldest for " + events[0].text.split()[-2] + " min"),
        ("cleared", "0 images wait, the oldest for 0.0 min"),
    ]


def test_an_event_that_could_not_be_told_before_a_kill_is_told_after_it(bridge):
    bridge.settle("import time; time.sleep(600)")
    bridge.wait(3)
    bridge.start()
    until(lambda: load(memory_file(bridge.ledger)).untold.get("hook"))
    bridge.stop(signal.SIGKILL)
    bridge.settle()
    bridge.wait(3)
    bridge.start()
    until(lambda: bridge.told == ["raised backlog"])
    until(lambda: not load(memory_file(bridge.ledger)).untold["hook"])
    assert bridge.stop() == 0


def test_a_command_that_hangs_delays_neither_the_broker_nor_the_stop(bridge):
    broker = Broker()
    broker.start()
    mqtt = MqttSettings(host="127.0.0.1", port=broker.port)
    bridge.settle("import time; time.sleep(600)", mqtt=mqtt)
    bridge.wait(3)
    bridge.start()
    until(lambda: broker.on("planktow/event"))
    assert json.loads(broker.on("planktow/event")[0])["what"] == "raised"
    until(lambda: json.loads(broker.retained["planktow/alert/backlog"])["state"] == "raised")
    assert bridge.stop() == 0
    assert broker.retained["planktow/status"] == b"offline"
    assert "1 tellings left for the next start" in bridge.log.read_text()
    bridge.start()
    until(lambda: broker.retained["planktow/status"] == b"online")
    bridge.stop(signal.SIGKILL)
    until(lambda: broker.retained["planktow/status"] == b"offline", "the last will")
    broker.stop()


def test_only_one_watches_a_ledger(bridge):
    bridge.settle()
    bridge.start()
    second = subprocess.run(bridge.command(), capture_output=True, text=True, timeout=120, check=False)
    assert second.returncode == 2
    assert second.stderr.endswith(f"{bridge.ledger}: another `planktow-edge alerts` watches it; stop that one first\n")


def test_once_looks_and_tells_and_ends(bridge):
    bridge.settle()
    bridge.wait(3)
    first, second = bridge.run("--once"), bridge.run("--once")
    assert (first.exit_code, first.stdout) == (0, "1 events\n"), first.stderr
    assert (second.exit_code, second.stdout) == (0, "0 events\n")
    assert bridge.told == ["raised backlog"]


def test_a_dry_run_shows_what_each_rule_sees_and_remembers_nothing(bridge):
    species = SpeciesRule(name="chains", labels=("chain",), images=100, for_seconds=60)
    bridge.settle(species=(species,), daemon=(DaemonRule(name="daemon", for_seconds=30),))
    bridge.wait(2)
    before = sorted(bridge.folder.glob("*.alerts*"))
    shown = bridge.run("--dry-run")
    assert shown.exit_code == 0, shown.stderr
    lines = [line.split() for line in shown.stdout.splitlines()]
    assert ["chains", "clear", "0%", "chain:", "0", "images", "within", "10", "min"] in lines
    assert any(line[:3] == ["backlog", "clear", "67%"] for line in lines)
    assert any(line[:3] == ["daemon", "would", "be"] for line in lines)
    assert sorted(bridge.folder.glob("*.alerts*")) == before == []


def test_a_test_event_is_told_each_way_and_a_failure_is_said(bridge):
    bridge.settle()
    done = bridge.run("--test", "backlog")
    assert (done.exit_code, done.stdout) == (0, "hook: told\n")
    assert bridge.told == ["test backlog"]
    bridge.settle("raise SystemExit('no modem')")
    done = bridge.run("--test", "backlog")
    assert (done.exit_code, done.stdout) == (
        1,
        f"hook: the alert command {sys.executable} ended with code 1: no modem\n",
    )
    unknown = bridge.run("--test", "baklog")
    assert (unknown.exit_code, "no alert is named 'baklog'; there are: 'backlog'" in unknown.stderr) == (2, True)


def test_what_makes_no_sense_is_refused_at_the_start(bridge):
    bridge.settle(backlog=())
    assert "no rules in [alerts]" in bridge.run("--once").stderr
    bridge.settle(species=(SpeciesRule(name="x", labels=("jely",), images=1),))
    assert "the rule 'x' names 'jely', no label or group; did you mean 'jelly'?" in bridge.run("--once").stderr
    bridge.settle(hook=None)
    assert "nobody is to be told" in bridge.run("--test", "backlog").stderr
    assert "give only one of" in bridge.run("--once", "--dry-run").stderr


def test_without_a_ledger_that_is_the_problem_that_is_told(bridge):
    bridge.settle(backlog=(), problem=(ProblemRule(name="problem"),), accounting=(AccountingRule(name="accounts"),))
    bridge.ledger.unlink()
    assert bridge.run("--once").stdout == "1 events\n"
    assert bridge.told == ["raised problem"]


def test_a_damaged_memory_is_set_aside_and_said(bridge, caplog):
    bridge.settle()
    bridge.wait(3)
    memory_file(bridge.ledger).write_text('{"version": 1, "rules": []}')
    done = bridge.run("--once")
    assert done.stdout == "1 events\n"
    assert "alerts begin anew" in caplog.text
    assert memory_file(bridge.ledger).with_suffix(".json.damaged").exists()


def test_a_memory_of_the_future_is_refused(bridge):
    bridge.settle()
    memory_file(bridge.ledger).write_text('{"version": 2}')
    assert "written by a newer Planktow" in bridge.run("--once").stderr


def event(number: int) -> Event:
    return Event(f"e{number}", "raised", "backlog", "warning", "æ", number)


def test_too_many_untold_events_give_way_the_oldest_first(tmp_path):
    memory, lost = Memory().with_events([event(number) for number in range(MOST_UNTOLD + 2)], ["hook", "mqtt"])
    assert lost == 4
    assert [each.id for each in memory.untold["hook"]][:2] == ["e2", "e3"]
    memory, lost = memory.with_events([event(-1)], ["mqtt"])
    assert (lost, list(memory.untold)) == (1, ["mqtt"])
    memory = memory.without("mqtt", ["e4", "e5"])
    save(tmp_path / "m", memory)
    assert load(tmp_path / "m") == memory


def test_a_torn_line_of_the_journal_costs_only_itself(tmp_path):
    file = tmp_path / "j"
    journal = Journal(file)
    assert journal.turn([event(1), event(2)], 0.0) == ("e1", "e2")
    with file.open("ab") as torn:
        torn.write(b'{"id": "e3", "wh')
    assert journal.turn([event(4)], 0.0) == ("e4",)
    assert journal.turn([event(4)], 0.0) == ("e4",)  # a kill in between: told again, and shown once
    assert [each.id for each in read_events(file, 0, TEN)] == ["e1", "e2", "e4"]
    assert [each.id for each in read_events(file, 2, 4)] == ["e2"]
    assert read_events(tmp_path / "none", 0, TEN) == []
    blocked = Journal(tmp_path / "none" / "j")
    assert blocked.turn([event(1)], 0.0) == ()
    assert "cannot be written" in blocked.problem


def test_groups_follow_a_bundle_that_is_put_in_the_place_of_another(bridge, caplog):
    link = bridge.folder / "bundle"
    link.symlink_to(TINY_BUNDLE)
    bridge.settle(hook=None, species=(SpeciesRule(name="x", labels=("jelly",), images=1),))
    alerts = Alerts(replace(read_config(bridge.config), bundle=link), [])
    alerts.look()
    fresh = bridge.folder / "fresh"
    fresh.symlink_to(shipped_bundle(DEFAULT))
    fresh.replace(link)
    alerts.look()
    assert "the rule 'x' names 'jelly', no label or group" in caplog.text
