"""Further bundles for the tests, made from tests/data/tiny-3: the same members under another name and with other labels.

And what a ledger must look like when one took the other's place.
"""

import json
import os
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path

from bundle.folder import Bundle, open_bundle, write_bundle
from bundle.labels import format_labels
from bundle.whole import sha256_hex

from .conftest import Ship
from .images import KINDS, TINY_BUNDLE, image_bytes, kind_of

GERMAN = ("Kette", "Kugel", "Qualle")  # for chain, sphere, jelly
MIXED = ("jelly", "sphere", "chain")  # the same names, given to other classes: chains are called jelly and the reverse
BOTH = {"tiny-3": KINDS, "second": GERMAN}


def second_bundle(path: Path, name: str = "second", labels: tuple[str, ...] = GERMAN, **given: object) -> Bundle:
    """Written to the new folder `path`. `given`: other settings of the manifest's input."""
    tiny = open_bundle(TINY_BUNDLE)
    data = format_labels(labels)
    manifest = replace(
        tiny.manifest,
        name=name,
        labels=replace(tiny.manifest.labels, sha256=sha256_hex(data), count=len(labels)),
        input=replace(tiny.manifest.input, **given),
    )
    return write_bundle(path, manifest, {**tiny.contents, "labels.txt": data})


def name_in(labels: tuple[str, ...], kind: str) -> str:
    """What a bundle with these labels calls a kind of image."""
    return labels[KINDS.index(kind)]


def turn(link: Path, to: Path) -> None:
    """Has the symlink lead elsewhere, in one step as `ln -sfn` and `mv -T` do it."""
    fresh = link.with_name(f"{link.name}.new")
    fresh.symlink_to(to)
    os.replace(fresh, link)  # noqa: PTH105 - Path.replace follows nothing either, but this says what it is


def damage(bundle: Path) -> Path:
    """One byte of a member flipped; returns the file."""
    member = bundle / "members" / "02-tiny.tflite"
    data = bytearray(member.read_bytes())
    data[len(data) // 2] ^= 1
    member.write_bytes(data)
    return member


def put(ship: Ship, numbers: range) -> None:
    """One image a number."""
    for number in numbers:
        (ship.watch / f"{number:04d}.png").write_bytes(image_bytes(kind_of(number), number))


def by_bundle(ship: Ship) -> dict[str, int]:
    """Verdicts of each bundle, by its name."""
    query = "SELECT name, COUNT(*) FROM verdict JOIN bundle ON bundle.id = bundle_id GROUP BY name ORDER BY name"
    return dict(ship.rows(query))


def tells(ship: Ship, name: str) -> Callable[[], bool]:
    """Whether status.json tells that the bundle of this name counts."""
    return lambda: ship.status().get("bundle_name") == name


def assert_whole(ship: Ship, images: int, labels: Mapping[str, tuple[str, ...]]) -> None:
    """Every image of `put` counted once, named as the bundle that its verdict stands under names it; the accounts are true."""
    ship.await_accounting(counted=images)
    rows = ship.rows(
        "SELECT path, label, bundle.name, bundle.labels FROM sighting JOIN verdict USING (image_id)"
        " JOIN bundle ON bundle.id = bundle_id"
    )
    found = {path: (bundle, json.loads(names)[label]) for path, label, bundle, names in rows}
    assert len(rows) == len(found) == images
    kinds = {path: kind_of(int(path[:4])) for path in found}
    assert found == {path: (name, name_in(labels[name], kinds[path])) for path, (name, _) in found.items()}
    columns = "seen, counted, rejected, waiting, dropped, duplicates"
    assert ship.rows(f"SELECT {columns} FROM audit") == ship.rows(f"SELECT {columns} FROM accounting")
