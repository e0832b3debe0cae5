"""The state of things in short lines, each with a mark: what the first page shows of health, and /healthz judges by."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from edge.alerts.memory import RulesStanding
from edge.bins import SECOND_NS
from edge.htmlreport.spell import plural, whole
from edge.web.host import Disk, Host
from edge.web.moment import Moment
from edge.web.wording import size, span, when

Mark = Literal["good", "warn", "bad", "plain"]
MARKS = {"good": "✓", "warn": "!", "bad": "✗", "plain": "·"}  # beside the colour: the red theme has one colour

DISK_WARN, DISK_BAD = 0.10, 0.03  # shares that are free
MEMORY_WARN, MEMORY_BAD = 0.10, 0.04
HOT_WARN, HOT_BAD = 75.0, 85.0  # degrees: where small boards slow down, and where they stop
_SEVERITY: dict[str, Mark] = {"critical": "bad", "warning": "warn", "info": "plain"}


@dataclass(frozen=True)
class Line:
    """One fact. `bad` is a fault that a person must see to."""

    name: str
    what: str
    mark: Mark


def daemon_line(moment: Moment) -> Line:
    """Whether images are being counted."""
    daemon, now_ns = moment.daemon, moment.now_ns
    if daemon.sign is None:
        return Line("Counting", "nothing is known of the daemon: its status.json is not there", "warn")
    said = when(daemon.sign.now_ns, now_ns)
    if daemon.state == "stopped":
        return Line("Counting", f"not running: it was stopped at {said}", "bad")
    if daemon.state == "silent":
        ago = span((now_ns - daemon.sign.now_ns) / SECOND_NS)
        return Line("Counting", f"not running: not heard of for {ago}, since {said}", "bad")
    if daemon.problem is not None:
        return Line("Counting", f"running, with a problem: {daemon.problem}", "bad")
    return Line("Counting", "running", "good")


def lines(moment: Moment) -> list[Line]:
    """All of them, in the order in which they are shown."""
    found = [daemon_line(moment)]
    if moment.counted is None:
        found.append(Line("Ledger", f"cannot be read: {moment.fault}", "bad"))
    else:
        accounting = moment.counted.accounting
        adds_up = accounting.adds_up
        words = (
            f"{whole(accounting.seen)} seen, every one accounted for" if adds_up else f"does not add up: {accounting}"
        )
        found.append(Line("Accounting", words, "good" if adds_up else "bad"))
        if accounting.rejected:
            reasons = ", ".join(f"{whole(images)} {why}" for why, images in list(moment.counted.rejects.items())[:3])
            found.append(Line("Rejected", f"{plural(accounting.rejected, 'image')}: {reasons}", "plain"))
        if accounting.dropped:
            found.append(Line("Left out", f"{plural(accounting.dropped, 'image')}, by the policy for overload", "warn"))
    if moment.alerts is not None:
        found += alert_lines(moment.alerts, moment.now_ns)
    last = last_image_ns(moment)
    if last is None:
        found.append(Line("Last image", "none yet", "plain"))
    else:
        ago = span(max(0, moment.now_ns - last) / SECOND_NS)
        found.append(Line("Last image", f"{ago} ago, {when(last, moment.now_ns)}", "plain"))
    return found + host_lines(moment.host)


def alert_lines(alerts: RulesStanding, now_ns: int) -> list[Line]:
    """The rules that hold; and whether anybody looks at them any more."""
    found = [
        Line(f"Alert: {name}", f"{state.text}, since {when(state.raised_ns or 0, now_ns)}", _SEVERITY[state.severity])
        for name, state in alerts.raised
    ]
    if now_ns > alerts.due_ns:
        found.append(Line("Alerts", f"nobody has looked at the rules since {when(alerts.looked_ns, now_ns)}", "warn"))
    elif not found:
        found.append(Line("Alerts", f"none of {plural(len(alerts.rules), 'rule')} holds", "good"))
    return found


def last_image_ns(moment: Moment) -> int | None:
    """When the last image was counted, UTC ns."""
    newest = moment.counted.latest[0][0].counted_ns if moment.counted and moment.counted.latest else None
    told = moment.daemon.sign.last_image_ns if moment.daemon.sign else None
    return newest if told is None else told if newest is None else max(newest, told)


def host_lines(host: Host) -> list[Line]:
    """Disks, memory, temperature and load."""
    found = [_disk_line(disk) for disk in host.disks]
    if host.memory is not None:
        share = host.memory.available / host.memory.total
        words = f"{size(host.memory.available)} of {size(host.memory.total)} free"
        found.append(Line("Memory", words, _falling(share, MEMORY_WARN, MEMORY_BAD)))
    if host.celsius is not None:
        found.append(Line("Temperature", f"{host.celsius:.0f}\u202f°C", _falling(-host.celsius, -HOT_WARN, -HOT_BAD)))
    if host.load is not None:
        found.append(Line("Load", f"{host.load:.1f} on {plural(host.cores, 'core')}", "plain"))
    return found


def _disk_line(disk: Disk) -> Line:
    words = f"{size(disk.free)} of {size(disk.size)} free"
    return Line(f"Disk ({disk.what})", words, _falling(disk.free_share, DISK_WARN, DISK_BAD))


def _falling(value: float, warn: float, bad: float) -> Mark:
    return "bad" if value < bad else "warn" if value < warn else "good"
