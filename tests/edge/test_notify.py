"""What systemd hears, on a real datagram socket."""

import logging
import os
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from edge.daemon.notify import LogFormat, Notifier, notifier_from

from .conftest import until


@pytest.fixture
def manager(tmp_path: Path) -> Iterator[socket.socket]:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listening:
        listening.bind(str(tmp_path / "notify"))
        listening.setblocking(False)
        yield listening


def heard(manager: socket.socket) -> list[bytes]:
    messages = []
    while True:
        try:
            messages.append(manager.recv(65536))
        except BlockingIOError:
            return messages


def test_fields_become_one_datagram(manager):
    Notifier(manager.getsockname()).send(READY="1", STATUS="watching /data – now")
    assert heard(manager) == ["READY=1\nSTATUS=watching /data – now".encode()]


def test_an_abstract_socket_is_reached():
    name = f"planktow-test-{os.getpid()}"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listening:
        listening.bind(f"\0{name}")
        Notifier(f"@{name}").send(READY="1")
        assert listening.recv(100) == b"READY=1"


def test_without_systemd_nothing_is_sent():
    notifier = notifier_from({}, 1)
    notifier.send(READY="1")
    notifier.alive(0.0)


def test_a_manager_that_is_gone_does_not_stop_us(tmp_path):
    Notifier(str(tmp_path / "nobody"), watchdog_seconds=1.0).alive(0.0)


def test_a_manager_that_does_not_listen_holds_nobody_up(manager):
    notifier = Notifier(manager.getsockname())
    sent = 0
    while True:  # until its queue is full
        notifier.send(patience_seconds=0.01, STATUS=str(sent))
        sent += 1
        if sent > 5000:
            pytest.skip("this kernel queues datagrams without end")
        if not fits(manager):
            break
    notifier.send(patience_seconds=0.01, STATUS="one too many")
    assert b"STATUS=one too many" not in heard(manager)
    notifier.send(STATUS="again")
    assert heard(manager) == [b"STATUS=again"]


def fits(manager: socket.socket) -> bool:
    """Whether one more datagram would be taken at once; it takes that place itself."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as datagram:
        datagram.setblocking(False)
        try:
            datagram.sendto(b"filler", manager.getsockname())
        except BlockingIOError:
            return False
        return True


def test_a_name_that_is_not_text_can_be_told(manager):
    Notifier(manager.getsockname()).send(STATUS=os.fsdecode(b"caf\xe9.png"))
    assert heard(manager) == [rb"STATUS=caf\udce9.png"]


def test_the_watchdog_is_pinged_four_times_in_its_interval_however_often_we_say_we_live(manager):
    notifier = Notifier(manager.getsockname(), watchdog_seconds=8.0)
    for tenth in range(80):
        notifier.alive(tenth / 10)
    assert heard(manager) == [b"WATCHDOG=1"] * 4


def test_without_a_watchdog_nobody_is_pinged(manager):
    notifier = notifier_from({"NOTIFY_SOCKET": manager.getsockname()}, 7)
    notifier.alive(0.0)
    assert heard(manager) == []


@pytest.mark.parametrize(
    ("environment", "pings"),
    [
        ({"WATCHDOG_USEC": "2000000"}, 1),
        ({"WATCHDOG_USEC": "2000000", "WATCHDOG_PID": "7"}, 1),
        ({"WATCHDOG_USEC": "2000000", "WATCHDOG_PID": "8"}, 0),  # meant for another process
        ({"WATCHDOG_USEC": "0"}, 0),
        ({"WATCHDOG_USEC": "soon"}, 0),
    ],
)
def test_the_environment_says_whether_the_watchdog_waits_for_us(manager, environment, pings):
    notifier_from({"NOTIFY_SOCKET": manager.getsockname(), **environment}, 7).alive(0.0)
    assert heard(manager) == [b"WATCHDOG=1"] * pings


def record(level: int, text: str) -> logging.LogRecord:
    return logging.LogRecord("edge", level, __file__, 1, text, None, None)


def test_the_journal_gets_the_level_in_its_own_form_on_each_line():
    journal = LogFormat(journal=True)
    assert journal.format(record(logging.INFO, "one")) == "<6>one"
    assert journal.format(record(logging.WARNING, "one")) == "<4>one"
    assert journal.format(record(logging.ERROR, "one\ntwo")) == "<3>one\n<3>two"
    assert journal.format(record(logging.DEBUG, "one")) == "<7>one"


def test_a_person_gets_the_time_and_the_level():
    assert LogFormat(journal=False).format(record(logging.INFO, "one")).endswith(" INFO one")


def test_the_daemon_says_ready_then_alive_then_stopping(ship, monkeypatch):
    monkeypatch.setenv("WATCHDOG_USEC", "400000")
    ship.start()
    until(lambda: ship.heard("WATCHDOG=1"))
    assert ship.stop() == 0
    assert ship.heard("STOPPING=1")
    lines = ship.notified
    assert lines.index("READY=1") < lines.index("WATCHDOG=1") < lines.index("STOPPING=1")
    assert f"STATUS=watching {ship.watch}" in lines


def test_a_daemon_that_cannot_start_never_says_ready(ship):
    ship.start(bundle=ship.watch, ready=False)
    assert ship.exit_code() == 2
    assert not ship.heard("READY=1")
