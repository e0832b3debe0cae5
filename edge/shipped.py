"""The bundles that ship with Planktow lie beside its source, or beside the environment that it is installed in.

They are not in the wheel: docs/operations.md has them copied to PREFIX/bundles.
"""

from __future__ import annotations

import sys
from pathlib import Path

from bundle.errors import BadConfig

DEFAULT = "planktonset-121"
DEMO = "flowcam-6"


def shipped_bundle(name: str) -> Path:
    """The folder of a bundle that ships. Raises BadConfig when neither a checkout nor the environment holds it."""
    places = [base / "bundles" / name for base in (Path(__file__).resolve().parents[1], Path(sys.prefix))]
    for path in places:
        if (path / "manifest.json").is_file():
            return path
    raise BadConfig(
        f"the bundle '{name}' that ships with the source is not at {' or '.join(map(str, places))}; "
        "name one with --bundle DIR"
    )
