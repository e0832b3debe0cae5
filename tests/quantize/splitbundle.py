"""The tiny bundle with a training.json that says which of the drawn images beside it are of which part."""

import dataclasses
from pathlib import Path

from bundle.folder import open_bundle, write_bundle
from bundle.manifest import HashedFile
from bundle.preprocess import FEATURES, InputSpec
from bundle.training import image_key
from bundle.whole import json_bytes, sha256_hex
from tests.bundle.rendered import file_of, organism

TINY = Path(__file__).parents[1] / "data" / "tiny-3"
LABELS = ("chain", "sphere", "jelly")
SIZES = {"chain": (8, 80), "sphere": (20, 22), "jelly": (70, 72)}  # all three members agree
BETWEEN = (20, 45)  # the third member alone says chain, the others jelly


@dataclasses.dataclass(frozen=True)
class Made:
    bundle: Path
    data: Path


def drawn(label: str, number: int):
    """An image of the label; another number is another content, one pixel apart."""
    image = organism(*SIZES[label])
    image[0, 0] = number
    return image


def make(folder: Path, validation: int, test: int = 0) -> Made:
    """So many images of each label, one more `jelly` for validation on which the members differ, and 3 of each for training."""
    split = {"train": [], "validation": [], "test": []}
    for label in LABELS:
        (folder / "data" / label).mkdir(parents=True)
        parts = ["validation"] * validation + ["test"] * test + ["train"] * 3
        for number, part in enumerate(parts):
            split[part].append(
                _written(folder / "data" / label / f"{number}.png", file_of(".png", drawn(label, number)))
            )
    split["validation"].append(_written(folder / "data" / "jelly" / "between.png", file_of(".png", organism(*BETWEEN))))
    training = {
        "schema_version": 3,
        "created": "2026-11-23T12:00:00Z",
        "name": "tiny",
        "labels": list(LABELS),
        "input": dataclasses.asdict(InputSpec()),
        "features": list(FEATURES),
        "data": {"digest": "0" * 64, "images": sum(map(len, split.values()))},
        "split": split,
        "members": [],
    }
    tiny = open_bundle(TINY)
    contents = {name: data for name, data in tiny.contents.items() if not name.endswith(".json")}
    contents["training.json"] = json_bytes(training)
    records = (HashedFile("training.json", sha256_hex(contents["training.json"])),)
    write_bundle(folder / "bundle", dataclasses.replace(tiny.manifest, records=records), contents)
    return Made(folder / "bundle", folder / "data")


def _written(path: Path, data: bytes) -> str:
    path.write_bytes(data)
    return image_key(sha256_hex(data))
