"""MQTT through a real socket: to a small broker of our own, and to mosquitto where it is installed."""

import gc
import json
import shutil
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from bundle.errors import BadConfig
from edge.alerts.mqtt import Mqtt
from edge.alerts.settings import MqttSettings, ProblemRule
from edge.alerts.state import Event, RuleState, State

from ..conftest import until
from .broker import Broker

pytest.importorskip("paho.mqtt.client")

RULE = ProblemRule(name="a problem", severity="critical")
EVENTS = [
    Event(f"e{number}", "raised", "a problem", "critical", "æ full", 1_795_600_800 * 10**9) for number in range(50)
]


class Mosquitto:
    """The real broker, with mosquitto_sub as its ears."""

    def __init__(self, folder, user=None, tls=False):
        self._folder, self._user, self._tls, self._ears = folder, user, tls, []
        with socket.create_server(("127.0.0.1", 0)) as free:
            self.port = free.getsockname()[1]

    def start(self):
        lines = [f"listener {self.port} 127.0.0.1", f"allow_anonymous {'false' if self._user else 'true'}"]
        if self._user:
            subprocess.run(
                ["mosquitto_passwd", "-b", "-c", str(self._folder / "users"), *self._user],
                check=True,
                capture_output=True,
            )
            (self._folder / "users").chmod(0o644)
            lines.append(f"password_file {self._folder / 'users'}")
        if self._tls:
            lines += [f"certfile {self._folder / 'cert.pem'}", f"keyfile {self._folder / 'key.pem'}"]
        (self._folder / "mosquitto.conf").write_text("\n".join([*lines, "user root", ""]))
        self._log = (self._folder / "mosquitto.log").open("ab")
        self._process = subprocess.Popen(
            ["mosquitto", "-c", str(self._folder / "mosquitto.conf")], stdout=self._log, stderr=self._log
        )
        until(lambda: _listens(self.port), "mosquitto")

    def stop(self):
        self._process.send_signal(signal.SIGKILL)
        self._process.wait()
        self._log.close()

    @property
    def retained(self):
        """What a newcomer is told at once."""
        tls = ["--cafile", str(self._folder / "cert.pem"), "--insecure"] if self._tls else []
        user = ["-u", self._user[0], "-P", self._user[1]] if self._user else []
        heard = subprocess.run(
            ["mosquitto_sub", "-h", "127.0.0.1", "-p", str(self.port), "-t", "#", "-v", "-W", "1", *user, *tls],
            capture_output=True,
            check=False,
        )
        pairs = (line.partition(b" ") for line in heard.stdout.splitlines())
        return {topic.decode(): content for topic, _, content in pairs}


def _listens(port):
    try:
        socket.create_connection(("127.0.0.1", port), 1).close()
    except OSError:
        return False
    return True


needs_mosquitto = pytest.mark.skipif(
    shutil.which("mosquitto") is None or shutil.which("mosquitto_sub") is None, reason="mosquitto is not installed"
)


@pytest.fixture(params=["ours", pytest.param("mosquitto", marks=needs_mosquitto)])
def broker(request, tmp_path):
    made = Broker() if request.param == "ours" else Mosquitto(tmp_path)
    made.start()
    yield made
    made.stop()


def teller(broker, presence=True, **given):
    return Mqtt(MqttSettings(host="127.0.0.1", port=broker.port, **given), presence)


def told(way, events, seconds=60.0):
    """Tells the events; the ids in the order in which they were done."""
    waiting, done = list(events), []
    deadline = time.monotonic() + seconds
    while waiting:
        assert time.monotonic() < deadline, way.problem
        new = way.turn(waiting, 0.0)
        done += new
        waiting = [each for each in waiting if each.id not in new]
        time.sleep(0.02)
    return done


def test_state_status_and_farewell_are_retained(broker):
    way = teller(broker)
    way.stand([RULE], State({"a problem": RuleState(raised_ns=EVENTS[0].time_ns, text="æ full")}), ["an old rule"])
    assert told(way, EVENTS[:1]) == ["e0"]
    until(lambda: not way.busy)
    until(lambda: broker.retained.get("planktow/status") == b"online")
    state = {
        "name": "a problem",
        "state": "raised",
        "severity": "critical",
        "since": "2026-11-25T10:00:00Z",
        "text": "æ full",
    }
    assert json.loads(broker.retained["planktow/alert/a-problem"]) == state
    way.stand([RULE], State({"a problem": RuleState(text="æ full")}))
    way.turn((), 0.0)
    until(lambda: json.loads(broker.retained["planktow/alert/a-problem"])["state"] == "clear")
    way.close()
    until(lambda: broker.retained.get("planktow/status") == b"offline")
    assert set(broker.retained) == {"planktow/status", "planktow/alert/a-problem"}


def test_each_event_is_acknowledged_once_and_in_order_through_a_broker_that_goes_and_comes_back(broker):
    way = teller(broker)
    way.stand([RULE], State())
    assert told(way, EVENTS[:10]) == [event.id for event in EVENTS[:10]]
    until(lambda: not way.busy)
    broker.stop()
    until(lambda: way.problem is not None, "the loss is noticed")
    assert way.turn(EVENTS[10:], 0.0) == ()
    broker.start()
    assert sorted(told(way, EVENTS[10:])) == sorted(event.id for event in EVENTS[10:])
    assert way.problem is None
    until(lambda: "planktow/alert/a-problem" in broker.retained, "a broker that forgot is told again")
    way.close()


def test_events_handed_to_a_broker_that_never_acknowledges_are_not_done_until_another_does():
    broker = Broker(acknowledges=False)
    broker.start()
    way = teller(broker)
    until(lambda: way.turn(EVENTS[:3], 0.0) == () and len(broker.on("planktow/event")) == 3)
    assert way.turn(EVENTS[:3], 0.0) == ()
    broker.stop()
    broker.acknowledges = True
    broker.start()
    assert sorted(told(way, EVENTS[:3])) == ["e0", "e1", "e2"]
    assert {json.loads(each)["id"] for each in broker.on("planktow/event")} == {"e0", "e1", "e2"}
    way.close()
    broker.stop()


def test_a_broker_that_is_not_there_at_first_holds_nobody_up():
    broker = Broker()
    broker.start()
    broker.stop()
    way = teller(broker)
    until(lambda: "cannot be reached" in (way.problem or ""))
    assert way.turn(EVENTS, 0.0) == ()
    broker.start()
    assert sorted(told(way, EVENTS)) == sorted(event.id for event in EVENTS)
    way.close()
    broker.stop()


def test_the_wrong_password_is_a_problem_that_is_said_and_the_right_one_is_read_from_its_file(tmp_path):
    broker = Broker(user=("ship", "sea"))
    broker.start()
    (tmp_path / "wrong").write_text("lake\n")
    (tmp_path / "right").write_text("sea\nmore\n")
    way = teller(broker, user="ship", password_file=tmp_path / "wrong")
    until(lambda: "refuses us" in (way.problem or ""))
    way.close()
    way = teller(broker, user="ship", password_file=tmp_path / "right")
    assert told(way, EVENTS[:1]) == ["e0"]
    way.close()
    broker.stop()


def test_a_command_that_comes_and_goes_says_nothing_of_presence():
    broker = Broker()
    broker.start()
    way = teller(broker, presence=False)
    told(way, EVENTS[:1])
    way.close()
    assert broker.retained == {}
    broker.stop()


# paho leaves sockets to the garbage collector when its handshake fails, and the pair that wakes its thread.
@pytest.mark.filterwarnings("ignore:Exception ignored in. <s:pytest.PytestUnraisableExceptionWarning")
@needs_mosquitto
def test_mosquitto_with_tls_and_a_password(tmp_path):
    if shutil.which("openssl") is None:
        pytest.skip("openssl is not installed")
    names = ["-subj", "/CN=127.0.0.1", "-addext", "subjectAltName=IP:127.0.0.1"]
    keys = ["-keyout", str(tmp_path / "key.pem"), "-out", str(tmp_path / "cert.pem")]
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", *names, *keys],
        check=True,
        capture_output=True,
    )
    broker = Mosquitto(tmp_path, ("ship", "sea"), tls=True)
    broker.start()
    (tmp_path / "password").write_text("sea\n")
    given = {"tls": True, "user": "ship", "password_file": tmp_path / "password"}
    try:
        stranger = teller(broker, **given)  # the system's certificates do not vouch for this one
        until(lambda: "its certificate is not vouched for" in (stranger.problem or ""))
        assert stranger.turn(EVENTS, 0.0) == ()
        stranger.close()
        gc.collect()
        way = teller(broker, ca_file=tmp_path / "cert.pem", **given)
        assert told(way, EVENTS[:2]) == ["e0", "e1"]
        way.close()
    finally:
        broker.stop()


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"user": "u", "password_file": Path("none")}, "none: no password can be read"),
        ({"tls": True, "ca_file": Path("none")}, "none: no certificates"),
    ],
)
def test_a_file_that_is_missing_is_refused_at_the_start(given, message):
    with pytest.raises(BadConfig, match=message):
        Mqtt(MqttSettings(host="127.0.0.1", **given), True)


def test_without_the_library_one_line_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "paho.mqtt.client", None)
    with pytest.raises(BadConfig, match=r"needs the library paho-mqtt.*pip install 'planktow\[mqtt\]'"):
        Mqtt(MqttSettings(host="127.0.0.1"), True)
