"""Puts units on a host, and takes away again what it put there and nothing else: a manifest says what that is.

Data (ledgers, images, settings) is never touched. A file that somebody changed is neither replaced nor removed.
"""

from __future__ import annotations

import difflib
import hashlib
import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any, Literal

from bundle.errors import BadConfig
from bundle.whole import json_bytes, write_whole
from edge.units.units import CONFIGS, Units

MANIFEST = CONFIGS / "units.json"
_SHARED = "*"  # in the manifest, beside the instances: no instance has such a name


@dataclass(frozen=True)
class Change:
    """What is to be done with one file; `before` and `after` are its texts, None where it is not there."""

    path: PurePosixPath  # below the root
    kind: Literal["write", "remove"]
    before: str | None
    after: str | None
    link: Path | None = None  # write: a symbolic link to it

    def __str__(self) -> str:
        """As a person sees it before it is done."""
        if self.link is not None:
            return f"+++ /{self.path} -> {self.link}\n"
        before, after = ((text or "").splitlines(keepends=True) for text in (self.before, self.after))
        names = ["/dev/null" if text is None else f"/{self.path}" for text in (self.before, self.after)]
        return "".join(difflib.unified_diff(before, after, names[0], names[1]))


def templates() -> dict[str, str]:
    """The files of systemd/ by name: beside this package in a checkout, inside it in an installed wheel."""
    here = Path(__file__).parents[1]
    folder = next((each for each in (here / "systemd", here.parent / "systemd") if each.is_dir()), None)
    if folder is None:
        raise BadConfig("this installation lacks the unit files; install planktow anew")
    return {file.name: file.read_text() for file in sorted(folder.iterdir()) if file.is_file()}


def changes(root: Path, instance: str, units: Units, force: bool = False) -> list[Change]:
    """What is to be written so that the units stand under `root`; nothing where they do.

    Raises BadConfig for a file that was changed by hand, unless `force`.
    """
    manifest = _read_manifest(root)
    ours = {path: digest for files in manifest.values() for path, digest in files.items()}
    wanted: dict[PurePosixPath, str | Path] = {**units.shared, **units.own}
    found = []
    for path, content in sorted(wanted.items()):
        there = _look(root / path)
        if there == _Thing.of(content):
            continue
        if there is not None and ours.get(str(path)) != there.digest and not force:
            raise BadConfig(
                f"/{path}: is not as install-units left it; put your changes into a drop-in of its own and remove this"
                " file, or replace it with --force"
            )
        before = None if there is None else there.text
        if isinstance(content, Path):
            found.append(Change(path, "write", before, None, content))
        else:
            found.append(Change(path, "write", before, content))
    # What an earlier version wrote, or earlier settings asked for, and these do not.
    kept = {str(path) for path in wanted}
    old = [path for name in (_SHARED, instance) for path in manifest.get(name, {}) if path not in kept]
    return found + _removals(root, manifest, old)[0]


def install(root: Path, instance: str, units: Units, todo: list[Change]) -> None:
    """Does it, and keeps in the manifest what is ours: what it wrote, not what lay there already. Twice is once."""
    manifest = _read_manifest(root)
    new = {str(change.path) for change in todo if change.before is None and change.kind == "write"}
    replaced = {str(change.path) for change in todo if change.before is not None and change.kind == "write"}
    parts: dict[str, Mapping[PurePosixPath, str | Path]] = {_SHARED: units.shared, instance: units.own}
    with _refused_by(root):
        # New files are ours before they are there: if this is cut short, uninstall-units knows them.
        for ours in (new, new | replaced):
            for name, contents in parts.items():
                digests = {str(path): _Thing.of(content).digest for path, content in contents.items()}
                before = manifest.get(name, {})
                manifest[name] = {path: digests[path] for path in digests if path in ours} | {
                    path: digest for path, digest in before.items() if path in digests and path not in ours
                }
            if ours is new:
                _write_manifest(root, manifest)
                _do(root, todo)
        _write_manifest(root, manifest)


def removals(root: Path, instance: str | None) -> tuple[list[Change], list[str]]:
    """What goes with this instance, or with all (None); and the files of ours that stay, since somebody changed them.

    What the instances share goes with the last of them. Raises BadConfig where nothing was installed.
    """
    manifest = _read_manifest(root)
    names = [instance] if instance is not None else [name for name in manifest if name != _SHARED]
    if instance is not None and instance not in manifest:
        known = ", ".join(name for name in manifest if name != _SHARED) or "none"
        raise BadConfig(f"{instance}: no such instance was installed here (installed: {known})")
    if not manifest:
        raise BadConfig(f"{root / MANIFEST}: not there; install-units has written nothing here")
    if all(name in names for name in manifest if name != _SHARED):
        names.append(_SHARED)
    return _removals(root, manifest, [path for name in names for path in manifest.get(name, {})])


def uninstall(root: Path, instance: str | None, todo: list[Change]) -> None:
    """Does it; folders that are empty then and that only drop-ins lie in go too."""
    with _refused_by(root):
        _do(root, todo)
        manifest = _read_manifest(root)
        left = {name: files for name, files in manifest.items() if instance is not None and name != instance}
        if set(left) <= {_SHARED}:
            (root / MANIFEST).unlink(missing_ok=True)
        else:
            _write_manifest(root, left)


@dataclass(frozen=True)
class _Thing:
    """What lies at a path: a text, or a link to somewhere."""

    text: str
    digest: str

    @staticmethod
    def of(content: str | Path) -> _Thing:
        text = f"-> {content}" if isinstance(content, Path) else content
        return _Thing(text, hashlib.sha256(text.encode("utf-8", "surrogateescape")).hexdigest())


def _look(file: Path) -> _Thing | None:
    try:
        if file.is_symlink():
            return _Thing.of(file.readlink())
        return _Thing.of(file.read_bytes().decode("utf-8", "surrogateescape"))
    except FileNotFoundError:
        return None
    except OSError as error:
        raise BadConfig(f"{file}: cannot be read ({error.strerror}); run it with sudo") from None


def _removals(
    root: Path, manifest: Mapping[str, Mapping[str, str]], paths: list[str]
) -> tuple[list[Change], list[str]]:
    ours = {path: digest for files in manifest.values() for path, digest in files.items()}
    todo, changed = [], []
    for path in sorted(paths):
        there = _look(root / path)
        if there is not None and there.digest == ours[path]:
            todo.append(Change(PurePosixPath(path), "remove", there.text, None))
        elif there is not None:
            changed.append(path)
    return todo, changed


def _do(root: Path, todo: list[Change]) -> None:
    for change in todo:
        file = root / change.path
        if change.kind == "remove":
            file.unlink(missing_ok=True)
            if file.parent.name.endswith(".d") and file.parent.name.startswith("planktow-"):
                _remove_if_empty(file.parent)
        else:
            file.parent.mkdir(parents=True, exist_ok=True)
            if change.link is not None:
                file.unlink(missing_ok=True)
                file.symlink_to(change.link)
            else:
                file.unlink(missing_ok=True) if file.is_symlink() else None
                write_whole(file, (change.after or "").encode("utf-8", "surrogateescape"))
                file.chmod(0o644)


def _remove_if_empty(folder: Path) -> None:
    if not any(folder.iterdir()):
        folder.rmdir()


def _read_manifest(root: Path) -> dict[str, dict[str, str]]:
    file = root / MANIFEST
    try:
        table: Any = json.loads(file.read_bytes())
        return {str(name): {str(path): str(digest) for path, digest in files.items()} for name, files in table.items()}
    except FileNotFoundError:
        return {}
    except (OSError, ValueError, AttributeError) as error:
        raise BadConfig(f"{file}: cannot be used ({error}); move it away, and see what it named") from None


def _write_manifest(root: Path, manifest: Mapping[str, Mapping[str, str]]) -> None:
    (root / MANIFEST).parent.mkdir(parents=True, exist_ok=True)
    write_whole(root / MANIFEST, json_bytes(manifest))
    (root / MANIFEST).chmod(0o644)


@contextmanager
def _refused_by(root: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise BadConfig(
            f"{error.filename or root}: cannot be written ({error.strerror}); run it with sudo, look first with --dry-run,"
            " or write elsewhere with --root DIR"
        ) from None
