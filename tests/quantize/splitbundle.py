"""The tiny bundle with a training.json that says which of the drawn images beside it are of which part; and bundles of some
of its members, with all records that planktow-quantize writes."""

import dataclasses
import json
from collections.abc import Sequence
from pathlib import Path, PurePosixPath

from bundle.folder import open_bundle, write_bundle
from bundle.manifest import HashedFile, VoteRule
from bundle.pace import silent
from bundle.preprocess import FEATURES, InputSpec
from bundle.training import image_key
from bundle.whole import json_bytes, sha256_hex
from quantize.judging import cheapest, judge
from quantize.recorded import FILE
from quantize.validation import judged
from quantize.verify import split_of
from tests.bundle.rendered import file_of, organism

TINY = Path(__file__).parents[1] / "data" / "tiny-3"
LABELS = ("chain", "sphere", "jelly")
SIZES = {"chain": (8, 80), "sphere": (20, 22), "jelly": (70, 72)}  # all three members agree
KERAS = {"images": 13, "accuracy": 0.25, "balanced_accuracy": 0.5, "macro_f1": 0.5}  # said of every member's original
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


def make(folder: Path, validation: int, test: int = 0, released: int = 0) -> Made:
    """So many images of each label, one more `jelly` for validation on which the members differ, and 3 of each for training.

    released: so many of the validation images have been learnt, too.
    """
    split = {"train": [], "validation": [], "test": []}
    for label in LABELS:
        (folder / "data" / label).mkdir(parents=True)
        parts = ["validation"] * validation + ["test"] * test + ["train"] * 3
        for number, part in enumerate(parts):
            split[part].append(
                _written(folder / "data" / label / f"{number}.png", file_of(".png", drawn(label, number)))
            )
    split["validation"].append(_written(folder / "data" / "jelly" / "between.png", file_of(".png", organism(*BETWEEN))))
    split["train"] += split["validation"][:released]
    del split["validation"][:released]
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


def of_members(drawn: Made, out: Path, places: Sequence[int], spec: InputSpec | None = None) -> Path:
    """A bundle of these of the three members, with the records that planktow-quantize writes."""
    tiny = open_bundle(drawn.bundle)
    training = json.loads(tiny.contents["training.json"])
    split, manifest = split_of(tiny), tiny.manifest
    members = tuple(manifest.members[place] for place in places)
    stems = [PurePosixPath(member.file).stem for member in members]
    models = {member.file: tiny.contents[member.file] for member in members}
    validation, test = judge(models, tiny.labels, split, manifest.input, drawn.data, out, silent)
    order = cheapest(members, validation, VoteRule())
    record = judged([member.file for member in members], tiny.labels, VoteRule(), validation, test, order)
    for part in ("validation", "test"):
        for each in record[part]["members"]:
            each |= {"keras": KERAS, "agreement": 0.5}
    record |= {
        "schema_version": 2,
        "name": out.name,
        "labels": list(tiny.labels),
        "members": [{"file": member.file, "scheme": member.scheme, "in_float": [out.name]} for member in members],
        "gates": [{"gate": "top-1 drop", "subject": subject, "of": out.name} for subject in (*stems, "ensemble")],
    }
    training["members"] = [
        {"file": f"members/{stem}.keras", "sha256": "0" * 64, "architecture": "tiny", "side": side, "seed": place}
        for stem, place, side in zip(stems, places, (member.side for member in members), strict=True)
    ]
    contents = {"labels.txt": tiny.contents["labels.txt"]} | models
    contents |= {"training.json": json_bytes(training), FILE: json_bytes(record), "notes.txt": out.name.encode()}
    records = tuple(HashedFile(name, sha256_hex(contents[name])) for name in ("training.json", FILE, "notes.txt"))
    changed = {"members": members, "order": order.members, "records": records, "vote": VoteRule()}
    write_bundle(out, dataclasses.replace(manifest, **changed, input=spec or manifest.input), contents)
    return out


def _written(path: Path, data: bytes) -> str:
    path.write_bytes(data)
    return image_key(sha256_hex(data))
