"""The first page and the one on health: what they say of real ledgers and of a daemon that runs, stops or falls silent."""

import json
import os
import re
from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from sqlite3 import connect

import pytest
from starlette.testclient import TestClient

from edge.alerts.memory import Memory, memory_file, save
from edge.alerts.state import RuleState, State
from edge.bins import utc_text
from edge.sensors import HostMemory
from edge.web.app import create_app
from edge.web.host import Disk, Host, read_host
from edge.web.moment import Lookout
from edge.web.now import sections
from edge.web.place import Place
from edge.web.wording import clock, rate, size, span, when

from ..images import image_bytes
from .aboard import ADDRESS, NOW_NS, SECOND, count, write


def says(place: Place, state: str = "running", ago: float = 1, problem: str | None = None) -> None:
    """The daemon's status.json, as written so many seconds ago."""
    told = {
        "state": state, "problem": problem, "now": utc_text(NOW_NS - round(ago * SECOND)),
        "started": utc_text(NOW_NS - 7200 * SECOND), "last_image": utc_text(NOW_NS - 3 * SECOND),
        "images_per_second": 0.5, "bundle_name": "tiny-3", "bundle_digest": "ab" * 32,
    }  # fmt: skip
    place.out.mkdir(exist_ok=True)
    (place.out / "status.json").write_text(json.dumps(told))


@pytest.fixture
def seen(place: Place) -> Callable[[str], str]:
    """The text of a page, without its markup."""

    def look(address: str = "/", **changes: object) -> str:
        with TestClient(create_app(replace(place, **changes)), base_url=ADDRESS) as browser:
            main = re.search("<main.*</main>", browser.get(address).text, re.DOTALL)
        assert main is not None
        return re.sub(r"\s+", " ", re.sub("<[^>]*>", " ", main[0]))

    return look


def test_the_counts_stand_there_without_javascript(place: Place, seen: Callable) -> None:
    says(place)
    text = seen()
    assert "Counting 10:00:00 UTC" in text
    assert "Counted in all 9 and 1 rejected" in text
    for kind in ("chain", "sphere", "jelly"):
        assert re.search(rf"{kind} 3 33\.3", text), text
    assert "9 images, as the classifier says" in text
    assert "chain 3 of 3 votes" in text or "chain 2 of 2 votes" in text


def test_the_latest_images_link_to_themselves(client: TestClient) -> None:
    text = client.get("/").text
    assert re.findall(r'<img src="/thumb/(\d+)"', text) == [str(number) for number in range(9, 0, -1)]
    assert '<a href="/image/9">' in text


@pytest.mark.parametrize(
    ("state", "ago", "problem", "head", "healthy"),
    [
        ("running", 1, None, "✓ Counting 10:00:00", True),
        ("running", 19, None, "✓ Counting 10:00:00", True),
        ("running", 600, None, "✗ Not counting not running: not heard of for 10 min, since 09:50:00 UTC", False),
        ("stopped", 60, None, "✗ Not counting not running: it was stopped at 09:59:00 UTC", False),
        ("stopped", 90_000, None, "stopped at 2026-11-24 09:00:00 UTC", False),
        (
            "running",
            1,
            "the disk is full",
            "✗ Counting, with a problem running, with a problem: the disk is full",
            False,
        ),
    ],
)
def test_whether_it_counts_stands_above_all(place, client, seen, state, ago, problem, head, healthy) -> None:
    says(place, state, ago, problem)
    assert head in seen()
    answer = client.get("/healthz")
    assert (answer.status_code, answer.json()["healthy"]) == ((200, True) if healthy else (503, False))


@pytest.mark.parametrize("content", [None, "", "{", "[]", '{"now": 1}', '{"now": "x", "state": "running"}', "null"])
def test_a_daemon_of_which_nothing_is_known_is_said_to_be(place, client, seen, content) -> None:
    if content is not None:
        place.out.mkdir()
        (place.out / "status.json").write_text(content)
    assert "Counting is not known of" in seen()
    assert client.get("/healthz").status_code == 503


def test_an_empty_ledger_is_shown(tmp_path: Path) -> None:
    watch = tmp_path / "w"
    watch.mkdir()
    count(tmp_path / "l.sqlite", watch, [], NOW_NS)
    with TestClient(create_app(Place(tmp_path / "l.sqlite")), base_url=ADDRESS) as browser:
        assert "No image yet" in browser.get("/").text
        assert browser.get("/health").status_code == 200


def test_accounts_that_do_not_add_up_are_a_fault(place: Place, client: TestClient, seen: Callable) -> None:
    says(place)
    with closing(connect(place.ledger)) as writer, writer:
        writer.execute("UPDATE account SET seen = seen + 1")
    assert "does not add up" in seen()
    assert client.get("/healthz").json()["faults"] == [
        "Accounting: does not add up: seen 11 = counted 9 + rejected 1 + waiting 0 + dropped 0"
    ]


def remember(place: Place, rules: dict[str, RuleState], minutes_ago: float) -> None:
    """What `planktow-edge alerts` leaves, as written so many minutes ago."""
    save(memory_file(place.ledger), Memory(State(rules)))
    written_ns = NOW_NS - round(minutes_ago * 60 * SECOND)
    os.utime(memory_file(place.ledger), ns=(written_ns, written_ns))


def test_alerts_that_hold_stand_on_the_page_and_a_critical_one_is_a_fault(place, seen) -> None:
    says(place)
    assert "Alert" not in seen("/health")
    remember(place, {"blooms": RuleState(), "quiet": RuleState(since_ns=NOW_NS)}, 2)
    assert "✓ Alerts none of 2 rules holds" in seen("/health")
    raised_ns = NOW_NS - 600 * SECOND
    blooms = RuleState(raised_ns=raised_ns, text="12 jelly in 10 minutes")
    disk = RuleState(raised_ns=raised_ns - SECOND, text="the disk is full", severity="critical")
    remember(place, {"blooms": blooms, "disk": disk}, 2)
    text = seen("/health")
    assert "✗ Alert: disk the disk is full, since 09:49:59 UTC" in text
    assert "! Alert: blooms 12 jelly in 10 minutes, since 09:50:00 UTC" in text
    assert text.index("Alert: disk") < text.index("Alert: blooms")
    with TestClient(create_app(place), base_url=ADDRESS) as fresh:
        answer = fresh.get("/healthz")
    assert (answer.status_code, answer.json()["faults"]) == (503, ["Alert: disk: the disk is full, since 09:49:59 UTC"])


def test_alerts_that_nobody_looks_at_any_more_are_said_to_be(place, seen) -> None:
    says(place)
    remember(place, {"blooms": RuleState()}, 200)
    assert "! Alerts nobody has looked at the rules since 06:40:00 UTC" in seen("/health")
    memory_file(place.ledger).write_text("{")
    assert "Alert" not in seen("/health")
    assert memory_file(place.ledger).read_text() == "{", "the page only reads"


def test_a_new_image_is_in_the_next_look(place: Place) -> None:
    lookout = Lookout(place)
    lookout.look()
    write(place.watch, "new.png", image_bytes("jelly", seed=99), NOW_NS)
    count(place.ledger, place.watch, ["new.png"], NOW_NS)
    moment = lookout.look()
    assert moment.counted is not None
    assert moment.counted.latest[0][0].image_id == 11
    assert dict(moment.counted.species) == {"chain": 3, "sphere": 3, "jelly": 4}


def test_only_what_changed_is_another_section(place: Place) -> None:
    lookout = Lookout(place)
    before = sections(lookout.look())
    after = sections(replace(lookout.look(), now_ns=NOW_NS + SECOND))
    assert {name for name in before if before[name] != after[name]} <= {"state", "tiles", "lines"}


def test_the_host_is_read_as_linux_tells_it(tmp_path: Path) -> None:
    zone = tmp_path / "sys/class/thermal/thermal_zone0"
    zone.mkdir(parents=True)
    (zone / "temp").write_text("61500\n")
    hwmon = tmp_path / "sys/class/hwmon/hwmon1"
    hwmon.mkdir(parents=True)
    (hwmon / "temp1_input").write_text("-273000\n")  # a sensor that is not there
    (tmp_path / "proc").mkdir()
    (tmp_path / "proc/meminfo").write_text("MemTotal:  4000 kB\nMemFree: 1 kB\nMemAvailable:   1000 kB\n")
    host = read_host([("images", tmp_path), ("ledger", zone)], tmp_path)
    assert (host.celsius, host.memory) == (61.5, HostMemory(1_024_000, 4_096_000))
    assert [disk.what for disk in host.disks] == ["images and ledger"], "one file system stands once"
    bare = read_host([("images", tmp_path / "gone")], tmp_path / "nowhere")
    assert (bare.disks, bare.celsius, bare.memory) == ((), None, None)


def test_a_full_disk_and_a_hot_board_are_faults() -> None:
    from edge.web.healthlines import host_lines

    host = Host((Disk("images", 2, 100),), HostMemory(5, 100), 90.0, 1.0, 4)
    marks = {line.name: line.mark for line in host_lines(host)}
    assert marks == {"Disk (images)": "bad", "Memory": "warn", "Temperature": "bad", "Load": "plain"}


def test_durations_sizes_and_times_in_words() -> None:
    assert [span(seconds) for seconds in (0, 59.4, 61, 3600, 12_000, 190_000)] == [
        "0\u202fs", "59\u202fs", "1\u202fmin", "1\u202fh", "3\u202fh 20\u202fmin", "2\u202fd 4\u202fh"
    ]  # fmt: skip
    assert [rate(value) for value in (0, 0.01, 0.5, 9.96, 1234.4)] == ["0", "<0.1", "0.5", "10", "1\u202f234"]
    assert [size(value) for value in (417 * 10**9, 3_200_000_000, 120_000_000, 5_000)] == [
        "417\u202fGB", "3.2\u202fGB", "120\u202fMB", "5\u202fkB"
    ]  # fmt: skip
    assert clock(NOW_NS + 5) == "10:00:00 UTC"
    assert when(NOW_NS - 86_400 * SECOND, NOW_NS) == "2026-11-24 10:00:00 UTC"
