"""The systemd units of one camera, as they must stand on a host: made from the templates in systemd/ and the settings.

Pure: text in, text out. What the settings name outside the state directory is opened to the units here, in drop-ins of the
instance, so that the templates stay the same for all cameras.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from bundle.errors import BadConfig
from edge.config import EdgeConfig

SERVICES = ("edge", "page", "alerts", "report", "backup")
COMMAND = "/opt/planktow/bin/planktow-edge"  # in the templates
UNITS, CONFIGS = PurePosixPath("etc/systemd/system"), PurePosixPath("etc/planktow")
BACKOFF_SINCE = 254  # systemd that knows RestartSteps=

_LASTING = ("edge", "page", "alerts")
_HOMES = ("/home", "/root", "/run/user")
_OWN = ("/tmp", "/var/tmp")  # each service sees folders of its own in their place
_SHARED = {
    "planktow.sysusers.conf": PurePosixPath("etc/sysusers.d/planktow.conf"),
    "planktow.tmpfiles.conf": PurePosixPath("etc/tmpfiles.d/planktow.conf"),
}


@dataclass(frozen=True)
class Wanted:
    """What units are to be made for. All paths are absolute."""

    command: Path  # planktow-edge
    instance: str
    file: Path  # the settings
    config: EdgeConfig
    backups: Path | None = None  # where the second copies of the ledger go; None: as the template says
    mounts: tuple[str, ...] = ()  # mount points of folders that may come and go
    group: str | None = None  # whose members may read the watched folder, where not everybody may
    systemd: int | None = None  # its version; None: not known
    python: Path | None = None  # the interpreter that the command's environment was made with

    def __post_init__(self) -> None:
        if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}", self.instance):
            raise BadConfig(
                f"{self.instance!r}: not a name for an instance; take letters, digits, - and _, as in --instance bow"
            )


@dataclass(frozen=True)
class Units:
    """Texts by path below the root; a value that is a path is a symbolic link to it."""

    shared: Mapping[PurePosixPath, str]
    own: Mapping[PurePosixPath, str | Path]


def make_units(templates: Mapping[str, str], wanted: Wanted) -> Units:
    """The files of one instance, and those that all instances share. `templates` are the files of systemd/, by name.

    Raises BadConfig for folders that no service can see.
    """
    config = wanted.config
    seen = (wanted.file, config.watch, config.bundle, config.ledger, config.out, *_written(config))
    for path in seen:
        if _below(path, _OWN):
            raise BadConfig(f"{path}: a service sees a /tmp of its own, not this one; take another folder for it")
    shared = {UNITS / name: _placed(text, wanted.command) for name, text in templates.items() if "@." in name}
    shared |= {path: templates[name] for name, path in _SHARED.items()}
    if wanted.systemd is not None and wanted.systemd >= BACKOFF_SINCE:
        backoff = templates["planktow-backoff.conf"]
        shared |= {UNITS / f"planktow-{service}@.service.d/planktow-backoff.conf": backoff for service in _LASTING}
    own: dict[PurePosixPath, str | Path] = {}
    for service in SERVICES:
        if lines := list(_drop_in(service, wanted)):
            folder = UNITS / f"planktow-{service}@{wanted.instance}.service.d"
            own[folder / "planktow-settings.conf"] = "\n".join([_head(wanted), *lines]) + "\n"
    made = [path for path in (config.out,) if not _below(path, [str(_state(wanted))])]
    if made:
        lines = [f"d {_in_tmpfiles(path)} 0755 planktow planktow -" for path in made]
        own[PurePosixPath(f"etc/tmpfiles.d/planktow-{wanted.instance}.conf")] = (
            "\n".join([_head(wanted), *lines]) + "\n"
        )
    if wanted.file != Path("/", CONFIGS, f"{wanted.instance}.toml"):
        own[CONFIGS / f"{wanted.instance}.toml"] = wanted.file
    return Units(shared, own)


def _drop_in(service: str, wanted: Wanted) -> Iterator[str]:
    config = wanted.config
    ledger = config.ledger.parent
    needed = () if _below(ledger, [str(_state(wanted))]) else (ledger,)
    read = {"edge": (config.watch, config.bundle), "page": (config.watch, config.bundle)}.get(service, ())
    mounts = wanted.mounts if read else ()
    if needed or mounts:
        yield "[Unit]"
    if needed:
        yield "# Never begin another ledger on the system's disk while the ledger's own is not mounted."
        yield from (f"RequiresMountsFor={_quoted(path)}" for path in needed)
    if mounts:
        yield "# Not RequiresMountsFor: when this disk goes, the daemon waits for it, and would otherwise be stopped for good."
        units = " ".join(mount_unit(point) for point in mounts)
        yield from (f"Wants={units}", f"After={units}")
    body = list(_service_lines(service, wanted, needed))
    if body:
        yield "[Service]"
        yield from body


def _service_lines(service: str, wanted: Wanted, needed: Iterable[Path]) -> Iterator[str]:
    config = wanted.config
    written = list(needed)
    if service == "edge":
        written += [path for path in (config.out, *_written(config)) if not _below(path, [str(_state(wanted))])]
    if service == "backup" and wanted.backups is not None:
        yield f"Environment={_quoted(f'PLANKTOW_BACKUP_FOLDER={wanted.backups}')}"
        written.append(wanted.backups)
    # The dash: one that is not there now, a disk that is not plugged in, is no reason not to count.
    yield from (f"ReadWritePaths=-{_quoted(path)}" for path in dict.fromkeys(written))
    paths = (wanted.command, wanted.python or wanted.command, wanted.file, config.watch, config.bundle, *written)
    if any(_below(path, _HOMES) for path in paths):
        yield "ProtectHome=read-only"
    if wanted.group is not None and service in ("edge", "page"):
        yield f"SupplementaryGroups={wanted.group}"


def _written(config: EdgeConfig) -> list[Path]:
    """Folders that the daemon writes to because of what its settings ask for, beside those of the ledger and `out`."""
    paths = []
    if config.rejects.files != "stay":
        paths.append(config.rejects_folder)
    if config.rejects.files == "move" or config.retention.enabled:
        paths.append(config.watch)
    if (backups := config.backup.folder_for(config.ledger)) is not None and not _below(backups, [config.ledger.parent]):
        paths.append(backups)
    return paths


def mount_unit(point: str) -> str:
    """The name of a mount point's unit, escaped as systemd.unit(5) says."""
    path = point.strip("/")
    if not path:
        return "-.mount"
    escaped = "".join(
        "-"
        if letter == "/"
        else letter
        if re.fullmatch(r"[A-Za-z0-9:_.]", letter) and not (letter == "." and at == 0)
        else "".join(f"\\x{byte:02x}" for byte in letter.encode("utf-8", "surrogateescape"))
        for at, letter in enumerate(path)
    )
    return f"{escaped}.mount"


def _placed(text: str, command: Path) -> str:
    return text.replace(COMMAND, _quoted(command))


def _head(wanted: Wanted) -> str:
    return f"# Written by `planktow-edge install-units` from {wanted.file}; after a change there, run it again."


def _state(wanted: Wanted) -> Path:
    return Path("/var/lib/planktow", wanted.instance)


def _below(path: Path, folders: Iterable[str | Path]) -> bool:
    return any(path.is_relative_to(folder) for folder in folders)


def _quoted(path: Path | str) -> str:
    """As a word of a unit file. Raises BadConfig for a path that no unit file can hold."""
    text = str(path)
    if not text.isprintable():
        raise BadConfig(f"{text!r}: no unit file can hold this path; take one without line breaks and odd bytes")
    text = text.replace("%", "%%")
    return text if re.fullmatch(r"[^\s\"'\\;$]+", text) else '"' + re.sub(r'(["\\])', r"\\\1", text) + '"'


def _in_tmpfiles(path: Path) -> str:
    return _quoted(path)
