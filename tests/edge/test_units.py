"""The units: what systemd says of them, what follows from the settings, and that uninstalling takes away only our own."""

import dataclasses
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

import pytest

from bundle.errors import BadConfig
from edge.config import EdgeConfig, format_config
from edge.daemon.rejects import RejectSettings
from edge.units.unitfiles import MANIFEST, changes, install, removals, templates, uninstall
from edge.units.units import SERVICES, UNITS, Units, Wanted, make_units, mount_unit

from .filled import fill

UNITS_HERE = Path(__file__).parents[2] / "systemd"
MOST_EXPOSED = 2.0
ANALYZE = shutil.which("systemd-analyze")
needs_systemd = pytest.mark.skipif(ANALYZE is None, reason="systemd-analyze is not installed")

STATE = Path("/var/lib/planktow/bow")
USUAL = EdgeConfig(Path("/srv/capture"), Path("/opt/bundles/one"), STATE / "ledger.sqlite", STATE / "counts")


def wanted(config: EdgeConfig = USUAL, **other: object) -> Wanted:
    return dataclasses.replace(
        Wanted(Path("/opt/planktow/bin/planktow-edge"), "bow", Path("/etc/planktow/bow.toml"), config), **other
    )


def drop_in(units: Units, service: str) -> list[str]:
    """The lines of an instance's drop-in without its comments; nothing where it has none."""
    text = units.own.get(UNITS / f"planktow-{service}@bow.service.d/planktow-settings.conf", "")
    return [line for line in str(text).splitlines() if not line.startswith("#")]


def put(units: Units, root: Path) -> None:
    install(root, "bow", units, changes(root, "bow", units))


def files(root: Path) -> dict[str, bytes]:
    return {str(file.relative_to(root)): file.read_bytes() for file in sorted(root.rglob("*")) if file.is_file()}


# What systemd says


@needs_systemd
def test_systemd_accepts_every_unit_with_all_its_drop_ins(tmp_path):
    """Through the files that install-units writes, with a command that exists and every kind of drop-in in use."""
    config = dataclasses.replace(
        USUAL,
        watch=Path("/home/cam era/capture"),
        ledger=Path("/data/led%ger/ledger.sqlite"),
        rejects=RejectSettings("move", "/srv/rejects"),
    )
    systemd = int(re.match(r"systemd (\d+)", subprocess.check_output([ANALYZE, "--version"], text=True))[1])
    put(
        make_units(
            templates(),
            wanted(
                config,
                command=Path(sys.executable),
                backups=Path("/media/usb stick"),
                mounts=("/srv/my-disk",),
                group="dialout",
                systemd=systemd,
            ),
        ),
        tmp_path,
    )
    folder = tmp_path / UNITS
    instances = []
    for template in folder.glob("*@.*"):
        if template.is_file():
            shutil.copy(template, folder / template.name.replace("@", "@bow"))
            instances.append(str(folder / template.name.replace("@", "@bow")))
    assert len(instances) == 7
    command = [ANALYZE, "verify", "--man=no", "--recursive-errors=no", *instances]
    verified = subprocess.run(
        command, capture_output=True, text=True, env={**os.environ, "SYSTEMD_UNIT_PATH": f"{folder}:"}
    )
    assert (verified.returncode, verified.stdout, verified.stderr) == (0, "", "")


@needs_systemd
@pytest.mark.parametrize("service", SERVICES)
def test_no_unit_is_more_exposed_than_we_promise(service, tmp_path):
    unit = tmp_path / f"planktow-{service}@.service"
    unit.write_bytes((UNITS_HERE / unit.name).read_bytes())
    command = [ANALYZE, "security", "--offline=true", f"--threshold={int(10 * MOST_EXPOSED)}", str(unit)]
    judged = subprocess.run(command, capture_output=True, text=True)
    exposure = re.search(r"exposure level for .*: ([0-9.]+)", judged.stdout)
    assert judged.returncode == 0, judged.stdout + judged.stderr
    assert float(exposure[1]) <= MOST_EXPOSED


@pytest.mark.skipif(shutil.which("systemd-sysusers") is None, reason="systemd-sysusers is not installed")
def test_sysusers_makes_the_user_and_tmpfiles_its_folders_below_a_root(tmp_path):
    if os.geteuid() != 0:
        pytest.skip("only root may give folders to another user")
    put(make_units(templates(), wanted(dataclasses.replace(USUAL, out=Path("/srv/counts")))), tmp_path)
    (tmp_path / "srv").mkdir()
    subprocess.run(["systemd-sysusers", f"--root={tmp_path}"], check=True, capture_output=True)
    assert "planktow:" in (tmp_path / "etc/passwd").read_text()
    assert "/usr/sbin/nologin" in (tmp_path / "etc/passwd").read_text()
    subprocess.run(["systemd-tmpfiles", "--create", f"--root={tmp_path}"], check=True, capture_output=True)
    user = int(re.search(r"^planktow:[^:]*:(\d+)", (tmp_path / "etc/passwd").read_text(), re.MULTILINE)[1])
    for folder, owner in (("etc/planktow", 0), ("var/lib/planktow", user), ("srv/counts", user)):
        assert (tmp_path / folder).stat().st_uid == owner, folder


# What is in them


def test_every_unit_starts_a_command_that_we_have():
    from typer.main import get_command

    from edge.cli import app

    known = set(get_command(app).commands)
    for service in SERVICES:
        text = (UNITS_HERE / f"planktow-{service}@.service").read_text()
        (command,) = re.findall(r"^ExecStart=/opt/planktow/bin/planktow-edge (\S+)", text, re.MULTILINE)
        assert command in known, f"planktow-{service}@.service starts planktow-edge {command}"


def test_counting_goes_before_the_page_and_the_page_before_reports_and_copies():
    weights = {}
    for service in SERVICES:
        text = (UNITS_HERE / f"planktow-{service}@.service").read_text()
        weights[service] = int(re.search(r"^CPUWeight=(\d+)$", text, re.MULTILINE)[1])
        assert re.search(r"^MemoryMax=\d", text, re.MULTILINE), service
        assert "User=planktow\nGroup=planktow\nStateDirectory=planktow/%i\n" in text
    assert weights["edge"] > weights["page"] > weights["report"] == weights["backup"]


def test_with_the_usual_folders_nothing_is_opened():
    units = make_units(templates(), wanted())
    assert dict(units.own) == {}
    assert not any("backoff" in str(path) for path in units.shared)


def test_what_the_settings_name_elsewhere_is_opened_to_the_daemon_and_the_ledger_to_those_who_need_it():
    config = dataclasses.replace(
        USUAL,
        ledger=Path("/data/bow/ledger.sqlite"),
        out=Path("/srv/counts"),
        rejects=RejectSettings("move", "/srv/rejects"),
    )
    units = make_units(templates(), wanted(config))
    assert drop_in(units, "edge") == [
        "[Unit]",
        "RequiresMountsFor=/data/bow",
        "[Service]",
        "ReadWritePaths=-/data/bow",
        "ReadWritePaths=-/srv/counts",
        "ReadWritePaths=-/srv/rejects",
        "ReadWritePaths=-/srv/capture",
    ]
    for service in ("page", "alerts", "report", "backup"):
        assert drop_in(units, service) == [
            "[Unit]",
            "RequiresMountsFor=/data/bow",
            "[Service]",
            "ReadWritePaths=-/data/bow",
        ]


def test_a_capture_folder_in_a_home_on_a_disk_of_its_own_that_a_group_may_read():
    config = dataclasses.replace(USUAL, watch=Path("/home/cam/images"))
    units = make_units(templates(), wanted(config, mounts=("/home/cam",), group="cam"))
    for service in ("edge", "page"):
        assert drop_in(units, service) == [
            "[Unit]",
            "Wants=home-cam.mount",
            "After=home-cam.mount",
            "[Service]",
            "ProtectHome=read-only",
            "SupplementaryGroups=cam",
        ]


def test_a_python_that_lies_in_a_home_can_be_seen():
    units = make_units(templates(), wanted(python=Path("/root/.local/share/uv/python")))
    for service in SERVICES:
        assert drop_in(units, service) == ["[Service]", "ProtectHome=read-only"]


def test_copies_go_to_the_disk_that_is_named():
    units = make_units(templates(), wanted(backups=Path("/media/100 % safe")))
    assert drop_in(units, "backup") == [
        "[Service]",
        'Environment="PLANKTOW_BACKUP_FOLDER=/media/100 %% safe"',
        'ReadWritePaths=-"/media/100 %% safe"',
    ]
    assert drop_in(units, "edge") == []


def test_pauses_grow_only_where_systemd_can():
    def growing(systemd: int | None) -> list[str]:
        paths = make_units(templates(), wanted(systemd=systemd)).shared
        return sorted(path.parent.name for path in paths if path.name == "planktow-backoff.conf")

    assert growing(None) == growing(253) == []
    assert growing(254) == [f"planktow-{service}@.service.d" for service in ("alerts", "edge", "page")]


def test_settings_elsewhere_are_linked_to_where_the_units_look():
    units = make_units(templates(), wanted(file=Path("/srv/planktow/edge.toml")))
    assert units.own[PurePosixPath("etc/planktow/bow.toml")] == Path("/srv/planktow/edge.toml")


def test_folders_that_no_service_sees_are_refused():
    with pytest.raises(BadConfig, match=r"^/tmp/x: a service sees a /tmp of its own"):
        make_units(templates(), wanted(dataclasses.replace(USUAL, watch=Path("/tmp/x"))))


@pytest.mark.parametrize("name", ["", "a b", "../x", "-a", "*", "a@b", "x" * 65])
def test_a_name_that_would_lead_astray_is_refused(name):
    with pytest.raises(BadConfig, match="not a name for an instance"):
        wanted(instance=name)


def test_a_path_with_a_line_break_is_refused():
    with pytest.raises(BadConfig, match="no unit file can hold this path"):
        make_units(templates(), wanted(dataclasses.replace(USUAL, out=Path("/srv/a\nExecStart=/bin/evil"))))


@pytest.mark.parametrize("point", ["/", "/mnt/nas", "/srv/my-disk/α b", "/.hidden/x", "/a.b_c:d"])
def test_mount_points_are_escaped_as_systemd_does(point):
    escape = shutil.which("systemd-escape")
    if escape is None:
        pytest.skip("systemd-escape is not installed")
    told = subprocess.run([escape, "--path", "--suffix=mount", point], capture_output=True, text=True, check=True)
    assert mount_unit(point) == told.stdout.strip()


# Onto a host and off it


def test_installing_twice_changes_nothing_and_uninstalling_leaves_what_was_there(tmp_path):
    (tmp_path / "etc/planktow").mkdir(parents=True)
    (tmp_path / "etc/planktow/bow.toml").write_text("watch = '/srv'\n")
    (tmp_path / "var/lib/planktow/bow").mkdir(parents=True)
    (tmp_path / "var/lib/planktow/bow/ledger.sqlite").write_bytes(b"precious")
    before = files(tmp_path)
    units = make_units(templates(), wanted(dataclasses.replace(USUAL, out=Path("/srv/counts")), systemd=256))
    put(units, tmp_path)
    assert set(files(tmp_path)) - set(before) == {*map(str, units.shared), *map(str, units.own), str(MANIFEST)}
    assert changes(tmp_path, "bow", units) == []
    put(units, tmp_path)
    todo, changed = removals(tmp_path, "bow")
    assert changed == []
    uninstall(tmp_path, "bow", todo)
    assert files(tmp_path) == before
    assert not list((tmp_path / UNITS).iterdir()), "no empty drop-in folder stays"


def test_what_the_cameras_share_goes_with_the_last_of_them(tmp_path):
    for name in ("bow", "stern"):
        units = make_units(templates(), wanted(instance=name, file=Path("/srv/settings.toml")))
        install(tmp_path, name, units, changes(tmp_path, name, units))
    todo, _ = removals(tmp_path, "bow")
    assert [str(change.path) for change in todo] == ["etc/planktow/bow.toml"]
    uninstall(tmp_path, "bow", todo)
    assert (tmp_path / UNITS / "planktow-edge@.service").exists()
    todo, _ = removals(tmp_path, "stern")
    uninstall(tmp_path, "stern", todo)
    assert files(tmp_path) == {}


def test_a_unit_that_was_changed_by_hand_is_neither_replaced_nor_removed(tmp_path):
    units = make_units(templates(), wanted())
    put(units, tmp_path)
    unit = tmp_path / UNITS / "planktow-edge@.service"
    unit.write_text(unit.read_text() + "# mine\n")
    with pytest.raises(
        BadConfig, match=r"^/etc/systemd/system/planktow-edge@.service: is not as install-units left it"
    ):
        changes(tmp_path, "bow", units)
    (change,) = changes(tmp_path, "bow", units, force=True)
    assert [line for line in str(change).splitlines() if line[0] in "+-"][2:] == ["-# mine"]
    todo, changed = removals(tmp_path, "bow")
    assert changed == ["etc/systemd/system/planktow-edge@.service"]
    uninstall(tmp_path, "bow", todo)
    assert list(files(tmp_path)) == ["etc/systemd/system/planktow-edge@.service"]


def test_a_drop_in_that_the_settings_ask_for_no_more_goes_when_installed_again(tmp_path):
    put(make_units(templates(), wanted(dataclasses.replace(USUAL, out=Path("/srv/counts")))), tmp_path)
    usual = make_units(templates(), wanted())
    todo = changes(tmp_path, "bow", usual)
    assert [(change.kind, change.path.name) for change in todo] == [
        ("remove", "planktow-settings.conf"),
        ("remove", "planktow-bow.conf"),
    ]
    put(usual, tmp_path)
    assert changes(tmp_path, "bow", usual) == []
    assert set(files(tmp_path)) == {*map(str, usual.shared), str(MANIFEST)}


def test_a_settings_link_that_was_there_before_stays_when_we_go(tmp_path):
    units = make_units(templates(), wanted(file=Path("/srv/edge.toml")))
    (tmp_path / "etc/planktow").mkdir(parents=True)
    (tmp_path / "etc/planktow/bow.toml").symlink_to("/srv/edge.toml")
    put(units, tmp_path)
    uninstall(tmp_path, None, removals(tmp_path, None)[0])
    assert (tmp_path / "etc/planktow/bow.toml").is_symlink()


# The commands


def edge(*words: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-m", "edge", *map(str, words)], capture_output=True, text=True, timeout=60)


@pytest.fixture
def settings() -> Iterator[Path]:
    """In a folder that services see: pytest's own lies below /tmp."""
    shared = Path("/dev/shm")
    if not os.access(shared, os.W_OK):
        pytest.skip("no folder outside /tmp to put settings into")
    with tempfile.TemporaryDirectory(dir=shared) as folder:
        file = Path(folder) / "bow.toml"
        file.write_text(format_config(USUAL))
        yield file


def test_a_dry_run_shows_what_would_be_written_and_writes_nothing(tmp_path, settings):
    shown = edge("install-units", "--config", settings, "--prefix", "/opt/x", "--root", tmp_path, "--dry-run")
    assert (shown.returncode, shown.stderr) == (0, "")
    assert "+ExecStart=/opt/x/bin/planktow-edge run --config /etc/planktow/%i.toml\n" in shown.stdout
    assert f"+++ /etc/planktow/bow.toml -> {settings}\n" in shown.stdout
    assert files(tmp_path) == {}


def test_the_commands_install_and_uninstall(tmp_path, settings):
    words = ("install-units", "--config", settings, "--instance", "stern", "--prefix", "/opt/x", "--root", tmp_path)
    first, second = edge(*words), edge(*words)
    assert (first.returncode, second.returncode) == (0, 0), first.stderr
    assert "written: /etc/systemd/system/planktow-edge@.service\n" in first.stdout
    assert second.stdout == "nothing to change: the units stand as they should\n"
    assert (
        "note: /opt/x/bin/planktow-edge: not there yet; install planktow before the units are started" in first.stderr
    )
    assert (tmp_path / "etc/planktow/stern.toml").readlink() == settings
    neither = edge("uninstall-units", "--root", tmp_path)
    assert (neither.returncode, neither.stderr) == (2, "planktow-edge: give --instance NAME, or --all\n")
    gone = edge("uninstall-units", "--all", "--root", tmp_path)
    assert gone.returncode == 0
    assert files(tmp_path) == {}
    assert settings.exists()
    again = edge("uninstall-units", "--all", "--root", tmp_path)
    assert (again.returncode, "install-units has written nothing here" in again.stderr) == (2, True)


def test_where_it_may_not_write_it_says_what_to_do(settings):
    """Below /proc not even root makes folders."""
    refused = edge("install-units", "--config", settings, "--prefix", "/opt/x", "--root", "/proc")
    assert refused.returncode == 2
    assert refused.stderr.startswith("planktow-edge: /proc/etc")
    assert "cannot be written" in refused.stderr
    assert "run it with sudo, look first with --dry-run, or write elsewhere with --root DIR" in refused.stderr


def test_the_copy_that_the_backup_unit_makes_goes_where_it_is_told(tmp_path, tiny):
    fill(tmp_path / "ledger.sqlite", tiny, [("10:00:00", 0)])
    (tmp_path / "bow.toml").write_text('ledger = "ledger.sqlite"\n[backup]\nfolder = "daily"\nkeep = 2\n')
    elsewhere = edge("backup", "--config", tmp_path / "bow.toml", "--folder", tmp_path / "usb")
    usual = edge("backup", "--config", tmp_path / "bow.toml")
    assert Path(elsewhere.stdout.strip()).parent == tmp_path / "usb"
    assert Path(usual.stdout.strip()).parent == tmp_path / "daily"
    neither = edge("backup")
    assert (neither.returncode, neither.stderr) == (2, "planktow-edge: give --config FILE, or --ledger FILE\n")
