"""`planktow-edge install-units` and `uninstall-units`: the units of one camera onto a host, and off it."""

from __future__ import annotations

import grp
import os
import re
import shutil
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

import typer

from bundle.command import typed
from bundle.errors import BadConfig

Root = Annotated[Path, typer.Option(metavar="DIR", help="Write below this folder, for an image of a system.")]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Show what would change, as a diff; change nothing.")]


def install_units(
    config: Annotated[Path, typer.Option(metavar="FILE", help="The edge.toml of the daemon, as `init` writes it.")],
    instance: Annotated[
        str | None, typer.Option(metavar="NAME", help="One for each camera.", show_default="the name of FILE")
    ] = None,
    prefix: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="Where planktow is installed.", show_default="where this command is"),
    ] = None,
    backups: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR",
            help="Where planktow-backup puts its copies: another disk.",
            show_default="/var/backups/planktow/NAME",
        ),
    ] = None,
    root: Root = Path("/"),
    dry_run: DryRun = False,
    force: Annotated[bool, typer.Option("--force", help="Replace units that were changed by hand.")] = False,
) -> None:
    """Writes the systemd units of a camera: counting, page, alerts, daily summary and copy. Run it again after a change.

    What the settings name outside /var/lib/planktow/NAME is opened to the units that need it, and to no other. Nothing is
    started: what to type next is printed. uninstall-units takes all of it away again, and no data.
    """
    from edge.config import read_config
    from edge.units.unitfiles import changes, install, templates
    from edge.units.units import Wanted, make_units

    file = Path(os.path.abspath(config))  # noqa: PTH100 - as it is called: a link may be meant to be followed later
    settings = read_config(file)
    name = instance or file.stem
    command = _command(prefix)
    wanted = Wanted(
        command,
        name,
        file,
        settings,
        None if backups is None else Path(os.path.abspath(backups)),  # noqa: PTH100
        tuple(dict.fromkeys(point for path in (settings.watch, settings.bundle) if (point := _mount(path)) != "/")),
        _group(settings.watch),
        _systemd_version(),
        Path(os.path.realpath(command.with_name("python"))),
    )
    units = make_units(templates(), wanted)
    todo = changes(root, name, units, force)
    for change in todo:
        print(change if dry_run else f"{'removed' if change.kind == 'remove' else 'written'}: /{change.path}")
    if not todo:
        print("nothing to change: the units stand as they should")
    if dry_run:
        return
    install(root, name, units, todo)
    for line in _doubts(wanted.command, settings.watch):
        print(f"note: {line}", file=sys.stderr)
    if todo and root == Path("/"):
        print(
            f"""
next, as root:
  systemd-sysusers && systemd-tmpfiles --create && systemctl daemon-reload
  {typed("planktow-edge")} check --config {config} --user planktow
  systemctl enable --now planktow-edge@{name} planktow-backup@{name}.timer planktow-report@{name}.timer
  systemctl enable --now planktow-page@{name}         # the live page, http://localhost:8765
  systemctl enable --now planktow-alerts@{name}       # where [alerts] has rules"""
        )


def uninstall_units(
    instance: Annotated[str | None, typer.Option(metavar="NAME", help="The camera whose units go.")] = None,
    everything: Annotated[bool, typer.Option("--all", help="Those of all cameras.")] = False,
    root: Root = Path("/"),
    dry_run: DryRun = False,
) -> None:
    """Removes what install-units wrote, except files that somebody changed since. Ledgers, images and settings stay.

    Stop the units first: systemctl disable --now 'planktow-*@NAME.*'
    """
    from edge.units.unitfiles import removals, uninstall

    if (instance is None) != everything:
        raise BadConfig("give --instance NAME, or --all")
    todo, changed = removals(root, instance)
    for change in todo:
        print(change if dry_run else f"removed: /{change.path}")
    for path in changed:
        print(f"kept, since it was changed by hand: /{path}")
    if not dry_run:
        uninstall(root, instance, todo)
        print("next, as root: systemctl daemon-reload   (data, settings and the user planktow are still there)")


def _command(prefix: Path | None) -> Path:
    """planktow-edge, by its whole path."""
    folder = Path(sys.executable).parent if prefix is None else Path(os.path.abspath(prefix)) / "bin"  # noqa: PTH100
    command = folder / "planktow-edge"
    if prefix is None and not command.exists():
        raise BadConfig(f"{command}: not there; say where planktow is installed with --prefix /opt/planktow")
    return command


def _mount(path: Path) -> str:
    """The mount point that the path lies on."""
    here = Path(os.path.realpath(path))
    return next(str(each) for each in (here, *here.parents) if os.path.ismount(each))


def _group(watch: Path) -> str | None:
    """The group that may read the folder, where not everybody may."""
    try:
        status = watch.stat()
        if status.st_mode & 0o005 == 0o005 or status.st_mode & 0o050 != 0o050 or status.st_gid == 0:
            return None
        return grp.getgrgid(status.st_gid).gr_name
    except (OSError, KeyError):
        return None


def _systemd_version() -> int | None:
    systemctl = shutil.which("systemctl")
    if systemctl is None:
        return None
    said = subprocess.run([systemctl, "--version"], capture_output=True, text=True).stdout
    found = re.match(r"systemd (\d+)", said)
    return int(found[1]) if found else None


def _doubts(command: Path, watch: Path) -> Iterator[str]:
    """What will keep the service from starting, as far as can be seen from here."""
    if not command.exists():
        yield f"{command}: not there yet; install planktow before the units are started"
    for path in (command, Path(os.path.realpath(command.with_name("python")))):
        closed = [folder for folder in path.parents if folder.exists() and not folder.stat().st_mode & stat.S_IXOTH]
        if closed:
            yield f"{path}: the user planktow cannot get there ({closed[-1]} is closed to others); install it elsewhere"
    if not watch.exists():
        yield f"{watch}: not there now; the daemon starts when it is"
