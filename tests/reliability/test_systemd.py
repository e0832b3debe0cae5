"""The units under a real systemd: killed, hung, starved of memory and stopped, they lose nothing and count nothing twice.

One systemd for all of it (systemd_box.py), with the user, the folders and the units that our own commands make. In each
test images arrive while something happens; in the end every image is counted once, which the ledger's own recount says.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
import pytest

from ..edge.images import TINY_BUNDLE, image_bytes, kind_of
from .ship import ACCOUNTS, until
from .systemd_box import Box, booted, why_not

UNIT = "planktow-edge@bow"
DROP_IN = f"/etc/systemd/system/{UNIT}.service.d/zz-test.conf"
SETTINGS = "/etc/planktow/bow.toml"
LEDGER = "/var/lib/planktow/bow/ledger.sqlite"
PREFIX = Path(sys.executable).parents[1]
PYTHON = PREFIX / "bin/python"

# Inside, as the user of the units: accounts as kept, as recounted, and how many contents have a verdict.
ASK = """
import json, sqlite3, sys
from contextlib import closing
with closing(sqlite3.connect(f"file:{sys.argv[1]}?mode=ro", uri=True)) as ledger:
    ledger.execute("BEGIN")
    kept, again = (ledger.execute(f"SELECT {sys.argv[2]} FROM {table}").fetchone() for table in ("accounting", "audit"))
    contents = ledger.execute("SELECT COUNT(DISTINCT sha256) FROM verdict JOIN image ON id = image_id").fetchone()
print(json.dumps([kept, again, contents]))
"""

pytestmark = pytest.mark.timeout(600)


class Aboard:
    """The box with one camera, its folder and its ledger, seen from outside."""

    def __init__(self, box: Box) -> None:
        self.box, self.images, self.rejected = box, 0, 0
        self.watch = box.root / "srv/capture"

    def shoot(self, count: int) -> None:
        """So many new images."""
        for number in range(self.images, self.images + count):
            partial = self.watch / f".{number:05d}.png"
            partial.write_bytes(image_bytes(kind_of(number), number))
            partial.rename(self.watch / f"{number:05d}.png")
        self.images += count

    def asked(self) -> tuple[dict[str, int], dict[str, int], int]:
        """Accounts as kept and as recounted, and contents with a verdict."""
        done = self.box.try_to("runuser", "-u", "planktow", "--", PYTHON, "-c", ASK, LEDGER, ", ".join(ACCOUNTS))
        if done.returncode:  # the ledger is being made
            return {}, {}, 0
        kept, again, (contents,) = json.loads(done.stdout)
        return dict(zip(ACCOUNTS, kept, strict=True)), dict(zip(ACCOUNTS, again, strict=True)), contents

    def await_all_counted(self, rejected: int = 0) -> None:
        """Each image once, by the accounts, by a recount of the ledger, and by the contents of the files; nothing else."""
        self.rejected += rejected

        def done() -> bool:
            kept, _, _ = self.asked()
            return kept.get("counted") == self.images and (kept["waiting"], kept["rejected"]) == (0, self.rejected)

        try:
            until(done, f"{self.images} images counted", 90, every=0.5)
        except TimeoutError as error:
            raise AssertionError(f"{error}: {self.asked()}\n{self.box.said(UNIT)}") from None
        kept, again, contents = self.asked()
        assert kept == again
        assert contents == self.images == len(list(self.watch.glob("[0-9]*.png")))
        assert (kept["seen"], kept["duplicates"]) == (self.images + self.rejected, 0)

    def main_pid(self) -> int:
        return int(self.box.shown(UNIT, "MainPID"))

    def workers(self) -> list[int]:
        """Those that classify; a backup may run beside them."""
        main = self.main_pid()
        children = self.box.run("cat", f"/proc/{main}/task/{main}/children").split()
        return [
            int(child) for child in children if "edge.daemon.worker" in self.box.run("cat", f"/proc/{child}/cmdline")
        ]

    def restarts(self) -> int:
        return int(self.box.shown(UNIT, "NRestarts"))

    def start_with(self, *lines: str) -> None:
        """(Re)starts the unit with these lines for its [Service]."""
        self.box.write(DROP_IN, "\n".join(["[Service]", "RestartSec=200ms", *lines, ""]))
        self.box.run("systemctl", "daemon-reload")
        self.box.run("systemctl", "restart", UNIT)
        self.box.run("systemctl", "reset-failed")


def giant_png() -> bytes:
    """A small file of 7,900 x 7,900 pixels, just below what the bundle takes: 62 MB when decoded, and more when measured."""
    return cv2.imencode(".png", np.full((7_900, 7_900), 200, np.uint8))[1].tobytes()


@pytest.fixture(scope="module")
def aboard(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Aboard]:
    if (missing := why_not()) is not None:
        pytest.skip(missing)
    with booted(tmp_path_factory.mktemp("box")) as box:
        # The environment of the tests lies where a developer has it; only inside is the way there opened to others.
        for place in (Path(sys.executable).resolve(), PREFIX, TINY_BUNDLE.resolve()):
            box.run("chmod", "o+x", *place.parents[:-1])
        settings = {
            "watch": "/srv/capture",
            "bundle": str(TINY_BUNDLE.resolve()),
            "ledger": LEDGER,
            "out": "/var/lib/planktow/bow/counts",
        }
        quick = "settle_seconds = 0.3\nrescan_seconds = 1.0\npublish_seconds = 0.2\nworkers = 1\n"
        box.run("mkdir", "/srv/capture")
        paths = "".join(f"{name} = {json.dumps(value)}\n" for name, value in settings.items())
        box.write(SETTINGS, f'{quick}{paths}[[alerts.silence]]\nname = "no images"\nminutes = 60\n')
        box.run(PREFIX / "bin/planktow-edge", "install-units", "--config", SETTINGS, "--prefix", PREFIX)
        box.run("systemd-sysusers")
        box.run("systemd-tmpfiles", "--create")
        box.run("systemctl", "daemon-reload")
        yield Aboard(box)


def test_it_starts_as_its_own_user_in_its_sandbox_says_ready_and_counts(aboard):
    aboard.start_with()
    assert aboard.box.shown(UNIT, "ActiveState") == "active", "Type=notify: it said READY"
    assert aboard.box.run("stat", "--format", "%U", LEDGER).strip() == "planktow"
    status = aboard.box.run("cat", f"/proc/{aboard.main_pid()}/status")
    assert "Seccomp:\t2" in status
    assert "NoNewPrivs:\t1" in status
    assert "CapBnd:\t0000000000000000" in status
    aboard.shoot(50)
    aboard.await_all_counted()
    until(lambda: "50 images counted" in aboard.box.shown(UNIT, "StatusText"), "a status of 50", 30, every=0.2)


def test_killed_it_is_started_again_and_goes_on(aboard):
    aboard.start_with()
    aboard.shoot(100)
    before = aboard.main_pid()
    aboard.box.run("kill", "-KILL", before)
    aboard.shoot(100)
    until(lambda: aboard.main_pid() not in (0, before), "another process", 30, every=0.2)
    aboard.await_all_counted()
    assert aboard.restarts() >= 1


def test_a_killed_worker_is_replaced_without_a_restart(aboard):
    aboard.start_with()
    aboard.shoot(20)
    aboard.await_all_counted()
    (worker,) = aboard.workers()
    aboard.box.run("kill", "-KILL", worker)
    aboard.shoot(100)
    aboard.await_all_counted()
    assert worker not in aboard.workers()
    assert aboard.restarts() == 0


def test_a_loop_that_hangs_is_ended_by_the_watchdog_and_started_again(aboard):
    aboard.start_with("WatchdogSec=3")
    before = aboard.main_pid()
    aboard.box.run("kill", "-STOP", before)
    aboard.shoot(60)
    until(lambda: aboard.restarts() >= 1, "a restart", 60, every=0.3)
    assert "Watchdog timeout" in aboard.box.said(UNIT)
    aboard.await_all_counted()


def test_a_pipeline_that_does_nothing_while_its_loop_turns_is_restarted_and_an_idle_one_is_not(aboard):
    """The same daemon with a shorter patience. Its worker stands still, which the pool would notice after two minutes."""
    code = (
        "import os; from pathlib import Path; from edge.config import read_config; from edge.daemon.daemon import run;"
        " from edge.daemon.notify import log_to_stderr, notifier_from; log_to_stderr();"
        f" run(read_config(Path('{SETTINGS}')), lambda: False, notifier_from(os.environ, os.getpid()), stuck_seconds=2.0)"
    )
    aboard.start_with("WatchdogSec=3", "ExecStart=", f'ExecStart={PYTHON} -c "{code}"')
    aboard.shoot(10)
    aboard.await_all_counted()
    idle = aboard.main_pid()
    later = aboard.box.run("sh", "-c", "sleep 8; systemctl show -p MainPID --value " + UNIT)
    assert int(later) == idle, "idle for longer than patience and watchdog together"
    (worker,) = aboard.workers()
    aboard.box.run("kill", "-STOP", worker)
    aboard.shoot(40)
    until(lambda: aboard.restarts() >= 1, "a restart", 60, every=0.3)
    said = aboard.box.said(UNIT)
    assert "nothing was done for" in said
    assert "files are in the workers' hands" in said
    aboard.await_all_counted()


def test_with_too_little_memory_it_dies_and_comes_back_and_with_enough_everything_is_counted_once(aboard):
    aboard.start_with("OOMPolicy=stop", "MemoryHigh=infinity", "MemoryMax=48M")
    aboard.shoot(100)
    until(lambda: aboard.restarts() >= 2, "the kernel ends it twice", 60, every=0.3)
    aboard.start_with()
    aboard.shoot(20)
    aboard.await_all_counted()


def test_an_image_too_large_for_the_memory_ends_the_worker_and_not_the_daemon(aboard):
    """As the unit has it, OOMPolicy=continue: the kernel ends the largest process, which is the worker that decodes it.

    Three times, then the image is rejected, with its reason; all others count.
    """
    aboard.start_with("OOMPolicy=continue", "MemoryHigh=infinity", "MemoryMax=110M")
    before = aboard.main_pid()
    aboard.shoot(20)
    (aboard.watch / "giant.png").write_bytes(giant_png())
    aboard.shoot(20)
    try:
        aboard.await_all_counted(rejected=1)
        assert "the process that classifies died with giant.png in hand; it is replaced" in aboard.box.said(UNIT)
        assert aboard.main_pid() == before
    finally:
        (aboard.watch / "giant.png").unlink()


def test_check_says_as_the_service_user_what_the_service_would_find(aboard):
    aboard.start_with()
    words = (PREFIX / "bin/planktow-edge", "check", "--config", SETTINGS, "--user", "planktow", "--no-speed")
    told = aboard.box.run(*words)
    assert "planktow can write to /var/lib/planktow/bow (the ledger's folder)" in told
    assert "a daemon has it open" in told
    aboard.box.run("chmod", "0700", "/srv/capture")
    closed = aboard.box.try_to(*words)
    aboard.box.run("chmod", "0755", "/srv/capture")
    assert closed.returncode == 1
    assert "planktow cannot list /srv/capture, the watched folder (Permission denied)" in closed.stdout


def test_a_reload_is_heard_and_counting_goes_on_in_the_same_process(aboard):
    aboard.start_with()
    before = aboard.main_pid()
    aboard.shoot(20)
    aboard.box.run("systemctl", "reload", UNIT)
    aboard.shoot(20)
    until(lambda: aboard.box.shown(UNIT, "ActiveState") == "active", "READY again", 60, every=0.3)
    aboard.await_all_counted()
    assert (aboard.main_pid(), aboard.restarts()) == (before, 0)


def test_the_page_the_alerts_the_summary_and_the_copy_run_beside_it_and_all_stop_well(aboard):
    aboard.start_with()
    aboard.shoot(10)
    aboard.await_all_counted()
    box = aboard.box
    box.run("systemctl", "start", "planktow-backup@bow")
    copies = box.run("ls", "/var/backups/planktow/bow").split()
    assert [name for name in copies if name.startswith("ledger-00001-")]
    box.write("/etc/planktow/bow.page.env", "PLANKTOW_PAGE_OPTIONS=--host 127.0.0.1 --port 8799\n")
    box.run("systemctl", "start", "planktow-page@bow")
    page = box.run("curl", "--silent", "--show-error", "--fail", "http://127.0.0.1:8799/")
    assert "<html" in page
    box.run("systemctl", "start", "planktow-alerts@bow")
    box.run("systemctl", "start", "planktow-report@bow")
    summaries = box.run("ls", "/var/lib/planktow/bow/summaries").split()
    assert [Path(name).suffix for name in sorted(summaries)] == [".html", ".txt"]
    for timer in ("report", "backup"):
        box.run("systemctl", "enable", "--now", f"planktow-{timer}@bow.timer")
        assert box.shown(f"planktow-{timer}@bow.timer", "NextElapseUSecRealtime")
        box.run("systemctl", "disable", "--now", f"planktow-{timer}@bow.timer")
    box.run("systemctl", "stop", "planktow-page@bow", "planktow-alerts@bow", UNIT)
    for unit in (UNIT, "planktow-page@bow", "planktow-alerts@bow"):
        assert box.shown(unit, "Result") == "success", unit


def test_uninstalling_takes_the_units_and_leaves_the_ledger(aboard):
    box = aboard.box
    box.run("systemctl", "stop", UNIT)
    box.run("rm", DROP_IN)
    box.run(PREFIX / "bin/planktow-edge", "uninstall-units", "--instance", "bow")
    box.run("systemctl", "daemon-reload")
    assert box.shown(UNIT, "LoadState") == "not-found"
    assert aboard.asked()[0]["counted"] == aboard.images
    assert box.run("cat", SETTINGS)
