"""Files of a bundle folder, one at a time: their bytes as the manifest vouches for them, and no model is loaded."""

from __future__ import annotations

from pathlib import Path

from bundle.errors import BadBundle
from bundle.manifest import MANIFEST, HashedFile, Manifest, parse_manifest
from bundle.whole import sha256_hex


def read_manifest(bundle: Path) -> tuple[Manifest, str]:
    """The manifest of the bundle folder `bundle`, and the bundle's digest. Raises BadBundle."""
    data = _read(bundle / MANIFEST)
    return parse_manifest(data, str(bundle / MANIFEST)), sha256_hex(data)


def read_vouched(bundle: Path, entry: HashedFile) -> bytes:
    """The bytes of a file that the manifest names. Raises BadBundle where they are others."""
    content = _read(bundle / entry.file)
    if sha256_hex(content) != entry.sha256:
        raise BadBundle(f"{bundle / entry.file}: damaged, its sha-256 is not the manifest's; copy the bundle anew")
    return content


def _read(file: Path) -> bytes:
    try:
        return file.read_bytes()
    except FileNotFoundError:
        raise BadBundle(f"{file}: missing; copy the bundle anew") from None
    except OSError as error:
        raise BadBundle(f"{file}: cannot be read ({error.strerror}); check its permissions") from None
