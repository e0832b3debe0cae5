"""A cruise with all that the pages over time can show: two tows, water, a track, names of taxa, and known errors."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

from bundle.folder import Bundle, write_bundle
from bundle.manifest import HashedFile
from bundle.whole import sha256_hex
from edge.bins import utc_text
from edge.corrections.history import add_labels
from edge.corrections.humanlabel import HumanLabel
from edge.corrections.labelsfile import labels_file
from edge.web.place import Place

from ..export.cruise import sail
from ..filled import SECOND, TEN

TAXA = """label,display_name,group,aphia_id,ecotaxa,living
chain,Diatom chains,diatoms,148899,Bacillariophyta<Diatomea,yes
sphere,Bubble,things,,,no
jelly,Jellyfish,things,135220,ephyra<Scyphozoa,yes
"""
CONFUSION = [[80, 10, 10, 0], [0, 100, 0, 0], [20, 0, 76, 4]]  # a fifth of the jellies are taken for chains
IMAGES = 28  # 12 chains, 12 spheres, and four others; one every ten minutes from 10:00
SURVEY = """
[volume]
litres_per_second = 2.0
max_gap_seconds = 900
[environment]
files = ["track.csv"]
max_gap_seconds = 900
[tows]
folders = true
"""


def named_bundle(base: Path, tiny: Bundle, confusion: list[list[int]]) -> Bundle:
    """The tiny bundle with taxa and validation, in base/named."""
    records = {
        "taxa.csv": TAXA.encode(),
        "validation.json": json.dumps({"labels": list(tiny.labels), "confusion": confusion}).encode(),
    }
    others = [record for record in tiny.manifest.records if record.file not in records]
    hashed = [HashedFile(name, sha256_hex(data)) for name, data in records.items()]
    manifest = replace(tiny.manifest, name="named", records=(*others, *hashed))
    return write_bundle(base / "named", manifest, {**tiny.contents, **records})


def sailed(base: Path, tiny: Bundle, confusion: list[list[int]] = CONFUSION) -> Place:
    """The place, with its survey.toml beside the ledger."""
    bundle = named_bundle(base, tiny, confusion)
    cruise = sail(base, bundle, images_each=12)
    (base / "survey.toml").write_text(SURVEY)
    rows = [
        f"{utc_text(TEN + number * 300 * SECOND)},{54 + number / 100:.4f},{8 + number / 200:.4f},{5 + number % 7 * 5}"
        for number in range(60)
    ]
    (base / "track.csv").write_text("time,latitude,longitude,depth\n" + "\n".join(rows) + "\n")
    now_ns = TEN + 6 * 3600 * SECOND
    return Place(
        cruise.ledger, watch=cruise.watch, bundle=base / "named", survey=base / "survey.toml", now_ns=lambda: now_ns
    )


def relabel(place: Place, image: int, label: str) -> None:
    """A person says that this image of the ledger is of that label."""
    with place.reader() as connection:
        (sha256,) = connection.execute("SELECT sha256 FROM image WHERE id = ?", (image,)).fetchone()
    add_labels(labels_file(place.ledger), [HumanLabel(sha256, label, "A. Sailor", "chain", "ab" * 32, place.now_ns())])
