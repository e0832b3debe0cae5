"""A small MQTT 3.1.1 broker on a real socket, which a test can stop and start: CONNECT, PUBLISH (QoS 0, 1), last will, PING.

It retains what is published with the retain flag, keeps all messages in the order they came, and serves publishers only.
tests/edge/alerts/test_mqtt.py holds it against mosquitto, where that is installed.
"""

import contextlib
import socket
import struct
import threading
from dataclasses import dataclass, field


@dataclass
class Broker:
    """Listens on 127.0.0.1 from `start` on; what it heard outlives `stop`."""

    user: tuple[str, str] | None = None
    port: int = 0
    acknowledges: bool = True  # a broker that hangs takes messages and never says so
    messages: list[tuple[str, bytes]] = field(default_factory=list)
    retained: dict[str, bytes] = field(default_factory=dict)
    connections: int = 0

    def start(self) -> None:
        self._listener = socket.create_server(("127.0.0.1", self.port))
        self.port = self._listener.getsockname()[1]
        self._open: set[socket.socket] = set()
        self._threads = [threading.Thread(target=self._accept, args=(self._listener,))]
        self._threads[0].start()

    def stop(self) -> None:
        """As a broker that dies: every connection is cut, no will is told."""
        listener, self._listener = self._listener, None
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        for each in list(self._open):
            with contextlib.suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)
        for thread in self._threads:
            thread.join(20)

    def on(self, topic: str) -> list[bytes]:
        return [content for name, content in self.messages if name == topic]

    def _accept(self, listener: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while True:
                connection, _ = listener.accept()
                self._open.add(connection)
                thread = threading.Thread(target=self._serve, args=(connection,))
                self._threads.append(thread)
                thread.start()

    def _serve(self, connection: socket.socket) -> None:
        will: tuple[str, bytes, bool] | None = None
        alive = self._listener
        try:
            with connection, connection.makefile("rb") as stream:
                while packet := _packet(stream):
                    kind, flags, body = packet
                    if kind == 1:
                        will, user = _connect(body)
                        refused = self.user is not None and user != self.user
                        connection.sendall(bytes((0x20, 2, 0, 5 if refused else 0)))
                        if refused:
                            will = None
                            return
                        self.connections += 1
                    elif kind == 3:
                        topic, rest = _text(body)
                        qos = flags >> 1 & 3
                        number, content = (rest[:2], rest[2:]) if qos else (b"", rest)
                        self._take(topic.decode(), content, bool(flags & 1))
                        if qos and self.acknowledges:
                            connection.sendall(b"\x40\x02" + number)
                    elif kind == 12:
                        connection.sendall(b"\xd0\x00")
                    elif kind == 14:
                        will = None
                        return
        except OSError:
            pass
        finally:
            self._open.discard(connection)
            if will is not None and alive is self._listener:
                self._take(*will)

    def _take(self, topic: str, content: bytes, retain: bool) -> None:
        self.messages.append((topic, content))
        if retain and content:
            self.retained[topic] = content
        elif retain:
            self.retained.pop(topic, None)


def _packet(stream):
    head = stream.read(1)
    if not head:
        return None
    length, shift = 0, 0
    while True:
        (byte,) = stream.read(1) or b"\0"
        length |= (byte & 127) << shift
        shift += 7
        if byte < 128:
            break
    return head[0] >> 4, head[0] & 15, stream.read(length)


def _text(body: bytes) -> tuple[bytes, bytes]:
    (length,) = struct.unpack_from(">H", body)
    return body[2 : 2 + length], body[2 + length :]


def _connect(body: bytes):
    name, rest = _text(body)
    assert (name, rest[0]) == (b"MQTT", 4)
    flags = rest[1]
    _, rest = _text(rest[4:])  # the client's name
    will = user = password = None
    if flags & 4:
        topic, rest = _text(rest)
        content, rest = _text(rest)
        will = topic.decode(), content, bool(flags & 32)
    if flags & 128:
        user, rest = _text(rest)
    if flags & 64:
        password, rest = _text(rest)
    return will, None if user is None else (user.decode(), (password or b"").decode())
