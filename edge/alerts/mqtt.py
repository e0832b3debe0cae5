"""The MQTT broker that is told of each event, and how each rule stands.

PREFIX/status       retained: online, or offline (also by the broker itself, as the last will, when we are gone)
PREFIX/alert/NAME   retained: how the rule stands, JSON {"name", "state": "raised" or "clear", "severity", "since", "text"}
PREFIX/event        each event, JSON as the command is told it; not retained

All with QoS 1. The connection is kept by paho's own thread, which tries again after 1, 2, 4 … 60 s, for ever. Here it is
only looked at: nothing waits for the broker.
"""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bundle.errors import BadConfig
from edge.alerts.settings import MqttSettings, Rule
from edge.alerts.state import Event, RuleState, State, told_table
from edge.bins import utc_text

if TYPE_CHECKING:
    from paho.mqtt.client import Client, MQTTMessageInfo

log = logging.getLogger(__name__)

QOS = 1
IN_FLIGHT = 20  # events handed to paho and not acknowledged; the rest waits with us, and so outlives a restart


class Mqtt:
    """For a loop of one thread. Raises BadConfig where paho-mqtt is missing, or a file that the settings name.

    presence: whether PREFIX/status tells of us; not for a command that comes and goes beside the service.
    """

    name = "mqtt"

    def __init__(self, settings: MqttSettings, presence: bool) -> None:
        self._settings, self._presence = settings, presence
        self._sent: dict[str, MQTTMessageInfo] = {}  # event id -> on its way
        self._wanted: dict[str, bytes] = {}  # topic -> what is to be retained there
        self._retained: dict[str, tuple[bytes, MQTTMessageInfo]] = {}  # what was published on this connection
        self._sessions = 0  # connections so far; raised by paho's thread
        self._session = 0  # the one that `_retained` is of
        self._problem: str | None = None
        self._client = self._connect()

    @property
    def problem(self) -> str | None:
        """Why there is no connection, while there is none."""
        return self._problem

    @property
    def busy(self) -> bool:
        """Whether something is on its way that the broker has not acknowledged."""
        return bool(self._sent) or any(not info.is_published() for _, info in self._retained.values())

    def stand(self, rules: Sequence[Rule], state: State, before: Iterable[str] = ()) -> None:
        """What is to be retained of the rules; the topic of one that there was `before`, and is no more, is emptied."""
        topics = {f"{self._settings.prefix}/alert/{rule.topic}": standing(rule, state) for rule in rules}
        gone = {f"{self._settings.prefix}/alert/{name.replace(' ', '-')}": b"" for name in before}
        self._wanted = {**dict.fromkeys(self._wanted, b""), **gone, **topics}

    def turn(self, waiting: Sequence[Event], _now: float) -> tuple[str, ...]:
        """Call it as often as you like; returns the ids of the events that the broker has acknowledged."""
        done = tuple(id_ for id_, info in self._sent.items() if info.is_published())
        for id_ in done:
            del self._sent[id_]
        if not self._client.is_connected():
            return done
        if self._session != self._sessions:  # a broker that was restarted may have forgotten what it retained
            self._session, self._retained = self._sessions, {}
        for topic, content in self._wanted.items():
            if topic not in self._retained or self._retained[topic][0] != content:
                self._retained[topic] = content, self._client.publish(topic, content, QOS, retain=True)
        for event in waiting:
            if len(self._sent) >= IN_FLIGHT:
                break
            if event.id not in self._sent and event.id not in done:
                content = json.dumps(told_table(event), ensure_ascii=False).encode()
                self._sent[event.id] = self._client.publish(f"{self._settings.prefix}/event", content, QOS)
        return done

    def close(self, patience_seconds: float = 3.0) -> None:
        """Says that we go, waits a little for the broker to have heard it, and ends the connection."""
        if self._presence and self._client.is_connected():
            farewell = self._client.publish(f"{self._settings.prefix}/status", b"offline", QOS, retain=True)
            deadline = time.monotonic() + patience_seconds
            while not farewell.is_published() and self._client.is_connected() and time.monotonic() < deadline:
                time.sleep(0.05)
        self._client.disconnect()
        self._client.loop_stop()

    def _connect(self) -> Client:
        paho = _paho()
        settings = self._settings
        client: Client = paho.Client(paho.CallbackAPIVersion.VERSION2, client_id="", clean_session=True)
        if settings.user is not None:
            client.username_pw_set(settings.user, _password(settings.password_file))
        if settings.tls:
            try:
                client.tls_set(ca_certs=None if settings.ca_file is None else str(settings.ca_file))
            except (OSError, ValueError) as error:
                raise BadConfig(f"{settings.ca_file}: no certificates ({error}); give a PEM file as ca_file") from None
        if self._presence:
            client.will_set(f"{settings.prefix}/status", b"offline", QOS, retain=True)
        client.reconnect_delay_set(1, 60)
        client.on_connect = self._connected
        client.on_disconnect = self._disconnected
        client.on_connect_fail = self._unreachable
        client.connect_async(settings.host, settings.port, settings.keepalive_seconds)
        self._problem = f"the broker {settings.host} was not reached yet"
        client.loop_start()
        return client

    # --- in paho's thread

    def _connected(self, client: Client, _data: Any, _flags: Any, reason: Any, _properties: Any) -> None:
        if reason.is_failure:
            self._say(f"the broker {self._settings.host} refuses us: {reason}")
            return
        if self._presence:
            client.publish(f"{self._settings.prefix}/status", b"online", QOS, retain=True)
        self._sessions += 1
        self._problem = None
        log.info("connected to the broker %s", self._settings.host)

    def _disconnected(self, _client: Client, _data: Any, _flags: Any, reason: Any, _properties: Any) -> None:
        if reason.is_failure and not (self._problem or "").startswith(f"the broker {self._settings.host} refuses"):
            self._say(f"the connection to the broker {self._settings.host} is lost: {reason}")

    def _unreachable(self, _client: Client, _data: Any) -> None:
        or_what = ", or its certificate is not vouched for" if self._settings.tls else ""
        self._say(f"the broker {self._settings.host}:{self._settings.port} cannot be reached{or_what}")

    def _say(self, problem: str) -> None:
        if problem != self._problem:
            log.warning("%s; it is tried again", problem)
        self._problem = problem


def standing(rule: Rule, state: State) -> bytes:
    """What is retained of a rule. It changes only when the rule begins to hold or ceases to."""
    its = state.rules.get(rule.name, RuleState())
    since = None if its.raised_ns is None else utc_text(its.raised_ns)
    table = {
        "name": rule.name,
        "state": "raised" if its.raised else "clear",
        "severity": rule.severity,
        "since": since,
        "text": its.text,
    }
    return json.dumps(table, ensure_ascii=False).encode()


def _paho() -> Any:
    try:
        import paho.mqtt.client
    except ImportError as error:
        raise BadConfig(
            f"[alerts.mqtt] needs the library paho-mqtt, which cannot be loaded ({error}); "
            "run: pip install 'planktow[mqtt]'"
        ) from None
    return paho.mqtt.client


def _password(file: Path | None) -> str | None:
    if file is None:
        return None
    try:
        lines = file.read_text("utf-8").splitlines()
    except (OSError, ValueError) as error:
        raise BadConfig(f"{file}: no password can be read ({error}); write it in the file's first line") from None
    return lines[0] if lines else ""
