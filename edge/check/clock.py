"""The clock: images without a time of their own get the host's, and a clock without a battery starts at nonsense."""

from __future__ import annotations

import ctypes
import time
from dataclasses import dataclass
from pathlib import Path

from edge.bins import utc_text
from edge.check.finding import Finding, ok, warn

GROUP = "clock"
_NS = 1_000_000_000
_BUILT_NS = 1_767_225_600 * _NS  # 2026-01-01: no host that runs this lived earlier
_FAR_NS = 4_102_444_800 * _NS  # 2100-01-01
_DAY_SECONDS = 86_400
_TIME_ERROR = 5  # adjtimex(2): the clock is not synchronised
_APART_SECONDS = 60.0


@dataclass(frozen=True)
class ClockState:
    """What a host says of its clock; None: it does not say."""

    now_ns: int  # UTC ns
    synchronised: bool | None
    battery_ns: int | None  # the hardware clock, UTC ns; None: there is none
    zone_seconds: int  # local time minus UTC
    newest_image_ns: int | None = None  # capture time of the newest image in the ledger


def judge_clock(state: ClockState) -> list[Finding]:
    """Its findings."""
    now = utc_text(state.now_ns)
    found = []
    if not _BUILT_NS < state.now_ns < _FAR_NS:
        found.append(
            warn(GROUP, f"it says {now}", "set it: timedatectl set-time, or chrony with the ship's GPS or NTP")
        )
    elif state.newest_image_ns is not None and state.newest_image_ns > state.now_ns + _DAY_SECONDS * _NS:
        ahead = utc_text(state.newest_image_ns)
        do = "see which is wrong: this clock (timedatectl), or the camera's (sources and utc_offset_hours in [time])"
        found.append(warn(GROUP, f"it says {now}, and the newest image was taken {ahead}", do))
    else:
        found.append(ok(GROUP, f"it says {now}"))
    if state.synchronised:
        found.append(ok(GROUP, "it is synchronised"))
    elif state.synchronised is None:
        found.append(ok(GROUP, "this system does not say whether it is synchronised"))
    else:
        do = (
            "point chrony or systemd-timesyncd at the ship's NTP server or GPS; until then times drift by seconds a day"
        )
        found.append(warn(GROUP, "it is not synchronised", do))
    if state.battery_ns is None:
        do = "fit one (a Raspberry Pi 5 wants only its battery), or start counting after the clock was set"
        found.append(warn(GROUP, "there is no hardware clock: after a power cut the time is wrong until it is set", do))
    elif abs(state.battery_ns - state.now_ns) > _APART_SECONDS * _NS:
        do = "set it: hwclock --systohc; if it is wrong again after a day without power, change its battery"
        found.append(warn(GROUP, f"the hardware clock says {utc_text(state.battery_ns)}", do))
    else:
        found.append(ok(GROUP, "the hardware clock agrees"))
    if state.zone_seconds:
        said = f"the host's time zone is UTC{state.zone_seconds / 3600:+g}; Planktow counts and reports in UTC all the same"
        found.append(ok(GROUP, said))
    return found


def read_clock(newest_image_ns: int | None = None, rtc: Path = Path("/sys/class/rtc")) -> ClockState:
    """This host's."""
    return ClockState(time.time_ns(), _synchronised(), _battery_ns(rtc), time.localtime().tm_gmtoff, newest_image_ns)


def _synchronised() -> bool | None:
    """What adjtimex(2) says, which any of chrony, ntpd and systemd-timesyncd tells."""
    try:
        state = ctypes.CDLL(None, use_errno=True).adjtimex(ctypes.create_string_buffer(1024))  # modes = 0: only ask
    except (OSError, AttributeError):
        return None
    return None if state < 0 else bool(state != _TIME_ERROR)


def _battery_ns(rtc: Path) -> int | None:
    for clock in sorted(rtc.glob("rtc*")):
        try:
            return int((clock / "since_epoch").read_text()) * _NS
        except (OSError, ValueError):
            continue
    return None
