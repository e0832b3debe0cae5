"""The judges alone: what is said of which state, and what a person is told to do."""

from pathlib import Path

import pytest

from edge.check.access import Wish, judge_access
from edge.check.classifier import judge_runtime
from edge.check.clock import ClockState, judge_clock
from edge.check.disk import Disk, judge_disk, judge_ledger_mount, judge_watch_mount
from edge.check.finding import Finding, exit_code, fail, lines, ok, table, warn, worst
from edge.check.inflow import Inflow, inflow_from
from edge.check.machine import MIB, Watches, judge_memory, judge_temperature, judge_watches
from edge.check.speed import Speed, judge_speed
from edge.sensors import HostMemory

NOW = 1_795_600_800 * 10**9  # 2026-11-25T10:00:00Z
HOUR = 3600 * 10**9


def levels(findings: list[Finding]) -> list[str]:
    return [finding.level for finding in findings]


# The report


def test_the_exit_code_is_1_for_a_fault_and_with_strict_for_a_warning():
    well, doubtful, bad = (
        [ok("a", "x")],
        [ok("a", "x"), warn("a", "y", "z")],
        [warn("a", "y", "z"), fail("a", "y", "z")],
    )
    assert [exit_code(each, strict=False) for each in (well, doubtful, bad)] == [0, 0, 1]
    assert [exit_code(each, strict=True) for each in (well, doubtful, bad)] == [0, 1, 1]
    assert [worst(each) for each in (well, doubtful, bad)] == ["ok", "warn", "fail"]


def test_what_is_not_ok_says_what_to_do():
    with pytest.raises(ValueError, match="wants something"):
        Finding("disk", "fail", "full")
    with pytest.raises(ValueError, match="wants nothing done"):
        Finding("disk", "ok", "empty", "fill it")
    assert lines([ok("disk", "empty"), fail("clock", "stopped", "wind it")]) == (
        "ok    disk        empty\nFAIL  clock       stopped\n                  do: wind it\n\n"
        "1 to mend, 0 to look at, 1 well\n"
    )
    assert table([warn("clock", "late", "set it")], strict=True) == {
        "level": "warn",
        "exit_code": 1,
        "findings": [{"group": "clock", "level": "warn", "said": "late", "do": "set it"}],
    }


# The clock


def test_a_good_clock():
    assert levels(judge_clock(ClockState(NOW, True, NOW, 0, NOW - HOUR))) == ["ok", "ok", "ok"]


@pytest.mark.parametrize(
    ("state", "said"),
    [
        (ClockState(HOUR, True, HOUR, 0), "it says 1970-01-01T01:00:00Z"),
        (ClockState(NOW, True, NOW, 0, NOW + 48 * HOUR), "the newest image was taken 2026-11-27T10:00:00Z"),
        (ClockState(NOW, False, NOW, 0), "it is not synchronised"),
        (ClockState(NOW, True, None, 0), "there is no hardware clock"),
        (ClockState(NOW, True, NOW - HOUR, 0), "the hardware clock says 2026-11-25T09:00:00Z"),
    ],
)
def test_each_fault_of_a_clock_is_one_warning(state, said):
    (warning,) = [finding for finding in judge_clock(state) if finding.level != "ok"]
    assert warning.level == "warn"
    assert said in warning.said


def test_a_time_zone_is_noted_and_no_fault():
    zone = judge_clock(ClockState(NOW, True, NOW, 19_800))[-1]
    assert (zone.level, "UTC+5.5" in zone.said) == ("ok", True)


# Disks


def disk(free_gb: float, *uses: str, files: int | None = 10**6) -> Disk:
    return Disk(uses or ("images",), Path("/srv"), int(free_gb * 1e9), files)


def test_the_forecast_is_of_all_that_lies_on_the_disk():
    inflow = Inflow(images_per_second=10.0, bytes_per_hour=1e9)
    assert judge_disk(disk(48.2), inflow) == ok("disk", "48.2 GB free for images on /srv: 48 hours at the recent rate")
    assert judge_disk(disk(12.2), inflow).level == "warn"
    assert judge_disk(disk(12.2, "ledger"), inflow).said.endswith(": 476 hours at the recent rate")
    assert judge_disk(disk(12.2, "out"), inflow).level == "ok"
    assert judge_disk(disk(9e4), inflow).said.endswith("enough for more than a year at the recent rate")
    assert judge_disk(disk(12.2), None) == ok("disk", "12.2 GB free for images on /srv")


def test_a_full_disk_is_a_fault_in_bytes_and_in_files():
    assert judge_disk(disk(0.1), None).level == "fail"
    assert judge_disk(disk(100.0, files=9), None).level == "fail"
    assert judge_disk(disk(100.0, files=None), None).level == "ok", "a file system that does not count its files"


def test_a_ledger_over_a_network_is_refused_and_one_in_memory_is_doubtful():
    assert judge_ledger_mount("nfs4", Path("/mnt"), network=True).level == "fail"
    assert judge_ledger_mount("tmpfs", Path("/run"), network=False).level == "warn"
    assert judge_ledger_mount("ext4", Path("/srv"), network=False).level == "ok"
    assert "walked every 5 s" in judge_watch_mount("cifs", True, 5.0).said


def test_the_rate_is_that_of_enough_images_over_enough_time():
    assert inflow_from(361, 36.0, 361_000) == Inflow(10.0, 36e6)
    assert inflow_from(19, 3600.0, 1e6) is None
    assert inflow_from(1000, 5.0, 1e6) is None


# The machine


def test_memory_is_for_the_workers_and_the_largest_image():
    assert judge_memory(HostMemory(3000 * MIB, 4000 * MIB), 4).level == "ok"
    assert judge_memory(HostMemory(500 * MIB, 4000 * MIB), 4).level == "warn"
    short = judge_memory(HostMemory(900 * MIB, 1000 * MIB), 8)
    assert (short.level, short.do) == ("fail", "set workers in edge.toml to 3 or fewer")
    assert judge_memory(None, 4).level == "ok"


def test_heat_is_told_before_it_slows_the_processor_down():
    assert [judge_temperature(degrees).level for degrees in (None, 45.0, 72.0, 85.0)] == ["ok", "ok", "warn", "warn"]


def test_too_few_watches_say_how_many_to_allow():
    assert levels(judge_watches(Watches(65536, 128, 16384, 10))) == ["ok"]
    (few,) = judge_watches(Watches(100, 128, 16384, 200))
    assert (
        few.do == "echo fs.inotify.max_user_watches=1600 | sudo tee /etc/sysctl.d/planktow.conf && sudo sysctl --system"
    )
    assert levels(judge_watches(Watches(None, None, None, 1))) == ["warn"]


# Runtime, speed, permissions


def test_a_runtime_without_its_fast_kernels_is_told():
    assert judge_runtime("r 1", 0, "INFO: Created TensorFlow Lite XNNPACK delegate for CPU.\n").level == "ok"
    assert judge_runtime("r 1", 0, "").level == "warn"
    assert judge_runtime("r 1", -4, "x\nIllegal instruction").said == "r 1 cannot run here (Illegal instruction)"


def test_speed_is_held_against_what_comes_in():
    speed = Speed(300, 3.0, own=True)
    assert judge_speed(speed, 2, None).level == "ok"
    assert [judge_speed(speed, 2, Inflow(rate, 0)).level for rate in (100, 180, 300)] == ["ok", "warn", "fail"]
    assert judge_speed(speed, 2, Inflow(300, 0), busy=True).level == "warn", "the daemon counted meanwhile"


def test_a_wish_that_is_not_granted_says_how_to_grant_it():
    wish = Wish(Path("/srv/x"), "list", "the watched folder")
    assert judge_access(wish, True, "planktow").level == "ok"
    denied = judge_access(wish, "Permission denied", "planktow")
    assert denied.said == "planktow cannot list /srv/x, the watched folder (Permission denied)"
    assert denied.do.startswith("allow it: chmod o+rx /srv/x")
