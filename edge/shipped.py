"""The bundles that ship with Planktow lie beside its source: found in a checkout, not in an installed wheel."""

from __future__ import annotations

from pathlib import Path

from bundle.errors import BadConfig

DEFAULT = "planktonset-121"
DEMO = "flowcam-6"


def shipped_bundle(name: str) -> Path:
    """The folder of a bundle that ships. Raises BadConfig when this is not a checkout that holds it."""
    path = Path(__file__).resolve().parents[1] / "bundles" / name
    if not (path / "manifest.json").is_file():
        raise BadConfig(f"the bundle '{name}' that ships with the source is not at {path}; name one with --bundle DIR")
    return path
