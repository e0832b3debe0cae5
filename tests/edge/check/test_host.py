"""The whole check on real set-ups, good and bad: folders, bundles and ledgers as they are found aboard."""

import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from bundle.errors import BadConfig
from edge.check.access import Wish, check_access
from edge.check.finding import Finding
from edge.check.host import check_host
from edge.config import EdgeConfig, format_config
from edge.corrections.history import add_labels
from edge.corrections.humanlabel import HumanLabel
from edge.corrections.labelsfile import labels_file
from edge.ledger.ledger import open_ledger
from edge.ledger.ledgerfile import lock_ledger

from ..filled import fill
from ..images import TINY_BUNDLE, image_bytes, kind_of

CANNOT_BE_READ_ONLY = os.geteuid() == 0


class Host:
    """A set-up that is well, to be broken."""

    def __init__(self, base: Path) -> None:
        self.base, self.file = base, base / "edge.toml"
        self.config = EdgeConfig(base / "capture", base / "bundle", base / "ledger.sqlite", base / "counts", workers=1)
        shutil.copytree(TINY_BUNDLE, self.config.bundle)
        self.config.watch.mkdir()
        self.write()

    def write(self, **changed: object) -> None:
        self.config = replace(self.config, **changed)
        self.file.write_text(format_config(self.config))

    def findings(self, speed: bool = False) -> list[Finding]:
        return list(check_host(self.file, None, speed))

    def faults(self) -> list[tuple[str, str]]:
        return [(finding.group, finding.said) for finding in self.findings() if finding.level == "fail"]

    def run(self, *words: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "edge", "check", "--config", str(self.file), *words]
        return subprocess.run(command, capture_output=True, text=True, timeout=120)


@pytest.fixture
def host(tmp_path: Path) -> Host:
    return Host(tmp_path)


def test_a_good_host_has_no_fault_and_every_group_is_looked_at(host):
    for number in range(60):
        (host.config.watch / f"{number}.png").write_bytes(image_bytes(kind_of(number), number))
    findings = host.findings(speed=True)
    assert [finding for finding in findings if finding.level == "fail"] == []
    assert {finding.group for finding in findings} == {
        *("settings", "bundle", "runtime", "permissions", "ledger", "backup", "disk", "watch", "inotify"),
        *("clock", "memory", "temperature", "speed"),
    }
    (speed,) = [finding.said for finding in findings if "images/s" in finding.said]
    assert "60 images of the watched folder" in speed


def test_with_an_empty_folder_the_speed_is_measured_on_made_up_images(host):
    assert any("300 made-up images" in finding.said for finding in host.findings(speed=True))


def test_checking_changes_nothing(host):
    before = sorted(host.base.rglob("*"))
    host.findings()
    assert sorted(host.base.rglob("*")) == before


def test_a_missing_folder_is_a_fault(host):
    host.config.watch.rmdir()
    assert host.faults() == [("watch", f"{host.config.watch}: no such folder")]


def test_a_missing_folder_for_the_ledger_is_a_fault(host):
    host.write(ledger=host.base / "disk/ledger.sqlite")
    assert ("ledger", f"{host.base / 'disk'}: no such folder for the ledger") in host.faults()


def test_labels_of_people_are_told_of_and_damaged_ones_are_a_fault(host):
    file = labels_file(host.config.ledger)
    assert "labels" not in {finding.group for finding in host.findings()}
    add_labels(file, [HumanLabel(bytes(32), "jelly", "Ada", None, None, 1)])
    assert f"{file}: people have labelled 1 images" in {finding.said for finding in host.findings()}
    file.write_bytes(b"torn" * 1000)
    (group, said), *others = host.faults()
    assert (group, others) == ("labels", [])
    assert said.startswith(f"{file}: cannot be read")


def test_settings_with_a_mistake_are_the_only_finding(host):
    host.file.write_text("wach = 'x'\n")
    (finding,) = host.findings()
    assert (finding.group, finding.level) == ("settings", "fail")
    assert finding.said.endswith("unknown key 'wach'")
    assert finding.do == "did you mean 'watch'?"


def test_a_damaged_bundle_is_named_file_by_file(host):
    member = next((host.config.bundle / "members").iterdir())
    data = bytearray(member.read_bytes())
    data[len(data) // 2] ^= 1
    member.write_bytes(data)
    assert host.faults() == [("bundle", f"{member}: damaged, its sha-256 is not the manifest's")]


def test_rules_for_labels_that_the_bundle_does_not_have_are_a_fault(host):
    host.file.write_text(
        host.file.read_text() + '[[quality.window]]\nname = "a"\nlabels = ["kraken"]\nmax_share = 0.5\n'
    )
    (fault,) = host.faults()
    assert "kraken" in fault[1]


def test_a_ledger_that_is_sound_is_told_so_also_while_a_daemon_has_it(host, tiny):
    fill(host.config.ledger, tiny, [("10:00:00", 0)], waiting=2)
    said = [finding.said for finding in host.findings() if finding.group == "ledger"]
    assert said == [f"{host.config.ledger} is sound; 2 files wait", "no daemon has it open"]
    with closing(lock_ledger(host.config.ledger)):
        assert [f.said for f in host.findings() if f.group == "ledger"][1] == "a daemon has it open"


def torn(ledger: Path) -> None:
    with ledger.open("r+b") as file:
        file.truncate(ledger.stat().st_size // 2)


def overwritten(ledger: Path) -> None:
    with ledger.open("r+b") as file:
        file.seek(4096)
        file.write(b"\xff" * (ledger.stat().st_size - 4096))


def foreign(ledger: Path) -> None:
    ledger.write_bytes(b"not a database, but long enough to be read as one" * 100)


@pytest.mark.parametrize("harm", [torn, overwritten, foreign])
def test_a_damaged_ledger_is_a_fault_that_says_how_to_repair_it(host, tiny, harm: Callable[[Path], None]):
    fill(host.config.ledger, tiny, [("10:00:00", 0)] * 50)
    harm(host.config.ledger)
    (fault,) = [finding for finding in host.findings() if finding.level == "fail"]
    assert fault.group == "ledger"
    assert "planktow-edge repair" in fault.do


def test_a_ledger_of_a_newer_planktow_is_a_fault(host):
    with open_ledger(host.config.ledger) as ledger:
        ledger.connection.execute("INSERT INTO migration (name, applied_ns) VALUES ('m999_later', 0)")
    ((group, said),) = host.faults()
    assert (group, "made by a newer Planktow" in said) == ("ledger", True)


def test_a_repair_that_was_cut_short_is_a_fault(host):
    host.config.ledger.with_name("ledger.sqlite.repair").write_text("x")
    assert host.faults() == [("ledger", f"{host.config.ledger}: a repair was cut short")]


def test_a_reject_folder_inside_the_watched_one_is_a_fault(host):
    inside = host.config.watch / "rejects"
    inside.mkdir()
    host.write(rejects=replace(host.config.rejects, files="move", folder=str(inside)))
    assert [group for group, _ in host.faults()] == ["rejects"]


@pytest.mark.skipif(CANNOT_BE_READ_ONLY, reason="root may write everywhere; tried below as another user")
def test_a_ledger_folder_that_cannot_be_written_is_a_fault(host):
    folder = host.base / "state"
    folder.mkdir(mode=0o555)
    host.write(ledger=folder / "ledger.sqlite")
    assert ("permissions", "list") not in host.faults()
    assert any(str(folder) in said for group, said in host.faults() if group == "permissions")


@pytest.mark.skipif(not CANNOT_BE_READ_ONLY, reason="only root may look as another user")
def test_permissions_are_those_of_the_service_user():
    """As root all is open; as `nobody`, run by the system's own Python, what is closed is found, with what to do."""
    python = "/usr/bin/python3"
    if not Path(python).exists():
        pytest.skip("there is no Python that every user may run")
    with tempfile.TemporaryDirectory() as folder:  # not pytest's own folder, whose parents are closed to others
        base = Path(folder)
        base.chmod(0o755)
        (base / "closed").mkdir(mode=0o700)
        (base / "readable").mkdir(mode=0o755)
        wishes = [
            Wish(base / "closed", "list", "the watched folder"),
            Wish(base / "readable", "list", "the watched folder"),
            Wish(base / "readable", "write", "the ledger's folder"),
            Wish(base / "missing", "write", "told by others"),
        ]
        assert [finding.level for finding in check_access(wishes, None)] == ["ok", "ok", "ok"]
        theirs = check_access(wishes, "nobody", python)
        assert [finding.level for finding in theirs] == ["fail", "ok", "fail"]
        assert theirs[0].said.endswith("the watched folder (Permission denied)")
        assert "chown nobody" in theirs[2].do
        closed = base / "closed/python"
        shutil.copy("/bin/true", closed)
        (cannot,) = check_access(wishes, "nobody", str(closed))
        assert (cannot.level, f"nobody cannot run {closed}" in cannot.said) == ("fail", True)


def test_a_user_that_there_is_not_is_refused():
    with pytest.raises(BadConfig, match="--user kraken: no such user here"):
        check_access([], "kraken")


def test_the_command_prints_lines_or_json_and_its_exit_code_is_for_scripts(host):
    good = host.run("--no-speed")
    assert (good.returncode, good.stderr) == (0, "")
    assert "ok    bundle      tiny-3 (" in good.stdout
    told = host.run("--no-speed", "--json")
    assert json.loads(told.stdout)["exit_code"] == told.returncode == 0
    host.config.watch.rmdir()
    bad = host.run("--no-speed", "--json")
    assert json.loads(bad.stdout)["level"] == "fail"
    assert bad.returncode == 1
    wrong = host.run("--user", "kraken", "--no-speed")
    assert (wrong.returncode, wrong.stderr.count("\n")) == (2, 1)


def test_strict_takes_a_warning_for_a_fault(host):
    host.write(backup=replace(host.config.backup, folder=""))  # one warning there is then for certain
    assert host.run("--no-speed").returncode == 0
    assert host.run("--no-speed", "--strict").returncode == 1
