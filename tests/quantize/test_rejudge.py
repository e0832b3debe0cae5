"""`planktow-quantize rejudge` on a real bundle of three tiny members, whose images were taken in too little light."""

import dataclasses
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner

from bundle.errors import BadBundle, BadData
from bundle.folder import open_bundle, write_bundle
from bundle.manifest import HashedFile
from bundle.pace import silent
from bundle.preprocess import InputSpec
from bundle.training import image_key
from bundle.whole import json_bytes, sha256_hex
from quantize.cli import app
from quantize.recorded import FILE, read_recorded
from quantize.rejudge import rejudge
from quantize.verify import split_of, verify
from tests.bundle.rendered import file_of, organism
from tests.quantize.splitbundle import LABELS, SIZES, TINY

WHITE = InputSpec(background="white")
KERAS = {"images": 12, "accuracy": 0.5, "balanced_accuracy": 0.5, "macro_f1": 0.5}


@pytest.fixture
def dim(tmp_path) -> tuple[Path, Path]:
    """Bundle and data set: 4 images of each label for validation and 2 for test, at three fifths of the light."""
    split: dict[str, list[str]] = {"train": ["0" * 64], "validation": [], "test": []}
    truth: dict[str, list[int]] = {"validation": [], "test": []}
    for label, name in enumerate(LABELS):
        (tmp_path / "data" / name).mkdir(parents=True)
        for number in range(6):
            image = np.rint(organism(*SIZES[name]) * 0.6).astype(np.uint8)
            image[0, 0] = number
            data = file_of(".png", image)
            (tmp_path / "data" / name / f"{number}.png").write_bytes(data)
            part = "test" if number > 3 else "validation"
            split[part].append(image_key(sha256_hex(data)))
            truth[part].append(label)
    tiny = open_bundle(TINY)
    training = {
        "schema_version": 3,
        "created": "2026-11-23T12:00:00Z",
        "name": "tiny",
        "labels": list(LABELS),
        "input": dataclasses.asdict(InputSpec()),
        "features": list(tiny.manifest.features),
        "data": {"digest": "0" * 64, "images": 18},
        "split": split,
        "members": [],
    }
    files = [member.file for member in tiny.manifest.members]
    # As if nothing had been right: what is measured anew must replace it, and what is of Keras must stay.
    wrong = [(label + 1) % 3 for label in truth["validation"]]
    part = {
        "images": 12,
        "members": [
            {"file": file, "keras": KERAS, "tflite": KERAS | {"accuracy": 0}, "agreement": 0.5} for file in files
        ],
        "hard": {"keras": KERAS | {"count_error": 0.5}, "tflite": KERAS | {"accuracy": 0.0, "count_error": 1.0}},
        "soft": {"keras": KERAS | {"count_error": 0.5}, "tflite": KERAS | {"accuracy": 0.0, "count_error": 1.0}},
    }
    counts = [[0] * 4 for _ in LABELS]
    for label, said in zip(truth["validation"], wrong, strict=True):
        counts[label][said] += 1
    validation = {
        "schema_version": 2,
        "name": "tiny",
        "labels": list(LABELS),
        "gates": [{"gate": "of before"}],
        "validation": part,
        "test": None,
        "confusion": counts,
        "verdicts": {"validation": wrong, "test": [(label + 1) % 3 for label in truth["test"]]},
    }
    contents = {name: data for name, data in tiny.contents.items() if not name.endswith(".json")}
    records: dict[str, Any] = {"training.json": training, FILE: validation}
    contents |= {name: json_bytes(record) for name, record in records.items()}
    hashed = tuple(HashedFile(name, sha256_hex(contents[name])) for name in records)
    write_bundle(tmp_path / "before", dataclasses.replace(tiny.manifest, records=hashed), contents)
    return tmp_path / "before", tmp_path / "data"


def test_the_members_are_the_same_and_all_that_is_theirs_is_measured_anew(dim, tmp_path):
    bundle, data = dim
    written = rejudge(bundle, data, tmp_path / "after", WHITE, silent)
    before, after = open_bundle(bundle), open_bundle(tmp_path / "after")
    assert written.digest == after.digest != before.digest
    assert after.manifest.input == WHITE
    for member in before.manifest.members:
        assert after.contents[member.file] == before.contents[member.file]
    recorded = read_recorded(after, split_of(after))
    assert recorded.verdicts.validation == (0,) * 4 + (1,) * 4 + (2,) * 4
    assert recorded.verdicts.test == (0, 0, 1, 1, 2, 2)
    assert np.array(recorded.confusion).tolist() == [[4, 0, 0, 0], [0, 4, 0, 0], [0, 0, 4, 0]]
    record = json.loads(after.contents[FILE])
    assert record["prepared_anew"] == {"background": "white"}
    assert record["gates"] == [{"gate": "of before"}]
    assert record["validation"]["hard"]["keras"]["accuracy"] == 0.5
    assert record["validation"]["hard"]["tflite"]["accuracy"] == 1
    assert [each["agreement"] for each in record["validation"]["members"]] == [0.5] * 3
    assert [each["tflite"]["accuracy"] for each in record["validation"]["members"]] == [1] * 3
    assert {"calibration", "turns", "ballots", "classes"} <= set(record)
    assert [member.checks.tflite_accuracy for member in after.manifest.members] == [1] * 3
    assert verify(tmp_path / "after", data, None, 1, silent).passed


def test_a_bundle_is_not_changed_in_place_and_not_made_of_too_few_images(dim, tmp_path):
    bundle, data = dim
    with pytest.raises(BadBundle, match="exists already"):
        rejudge(bundle, data, bundle, WHITE, silent)
    next((data / "jelly").glob("*.png")).unlink()
    with pytest.raises(BadData, match="images are not there"):
        rejudge(bundle, data, tmp_path / "after", WHITE, silent)
    assert not (tmp_path / "after").exists()


def test_the_command_says_what_the_vote_was_worth_before_and_is_now(dim, tmp_path):
    bundle, data = dim
    ran = CliRunner().invoke(app, ["rejudge", str(bundle), "--data", str(data), "--out", str(tmp_path / "after")])
    assert ran.exit_code == 0, ran.output
    assert "validation: hard vote 0.00% before, 100.00% now" in ran.output
    assert open_bundle(tmp_path / "after").manifest.input.background == "white"
