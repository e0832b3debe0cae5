"""A real bundle of three tiny members, the images it was validated on as files, and what becomes of both."""

import dataclasses
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bundle.errors import BadBundle, BadConfig, BadData
from bundle.folder import open_bundle, write_bundle
from bundle.manifest import HashedFile
from bundle.preprocess import FEATURES, InputSpec
from bundle.scores import confusion
from bundle.training import image_key
from bundle.whole import json_bytes, sha256_hex
from quantize.verification import Changed
from quantize.verified import print_verification
from quantize.verify import verify
from tests.bundle.rendered import file_of, organism
from tests.bundle.test_tflite_runtime import home  # noqa: F401 (a fixture)

ROOT = Path(__file__).parents[2]
TINY = ROOT / "tests" / "data" / "tiny-3"
LABELS = ("chain", "sphere", "jelly")
PARTS = ("validation", "test")
NO_TENSORFLOW = ("tensorflow", "keras", "matplotlib", "jinja2", "ai_edge_litert.schema_py_generated")


@dataclass(frozen=True)
class Made:
    """A bundle and the images it was validated on: 60 of each label, 40 for validation and 20 for the test."""

    bundle: Path
    data: Path
    files: dict[str, Path]  # by sha-256
    training: dict[str, Any]
    validation: dict[str, Any]


@pytest.fixture(scope="module")
def made(tmp_path_factory) -> Made:
    """All verdicts are foreseen (tests/data/make_tiny_bundle.py): a jelly in four is a small one, a `sphere` to the members."""
    root = tmp_path_factory.mktemp("made")
    split: dict[str, list[str]] = {"train": ["0" * 64], "validation": [], "test": []}
    verdicts: dict[str, list[int]] = {"validation": [], "test": []}
    truth = []
    files = {}
    for label, name in enumerate(LABELS):
        (root / "data" / name).mkdir(parents=True)
        for number in range(60):
            verdict = 1 if name == "jelly" and number % 4 == 0 else label
            data = file_of(".png", picture(LABELS[verdict], number, ink=40 + label))
            path = root / "data" / name / f"{number}.png"
            path.write_bytes(data)
            part = "test" if number % 3 == 0 else "validation"
            split[part].append(image_key(sha256_hex(data)))
            verdicts[part].append(verdict)
            truth += [label] if part == "validation" else []
            files[image_key(sha256_hex(data))] = path
    training = {
        "schema_version": 3,
        "created": "2026-11-23T12:00:00Z",
        "name": "tiny",
        "labels": list(LABELS),
        "input": dataclasses.asdict(InputSpec()),
        "features": list(FEATURES),
        "data": {"digest": "0" * 64, "images": len(files)},
        "split": split,
        "members": [],
    }
    counts = confusion(np.array(truth), np.array(verdicts["validation"]), len(LABELS)).tolist()
    validation = {"schema_version": 2, "labels": list(LABELS), "verdicts": verdicts, "confusion": counts, "name": "x"}
    bundle = written(root / "bundle", training, validation)
    return Made(bundle, root / "data", files, training, validation)


def picture(verdict: str, number: int, ink: int) -> np.ndarray:
    """An image that all three members take for `verdict`; no two numbers give the same."""
    size = 70 + number if verdict == "jelly" else 15 + number % 10
    height = 8 if verdict == "chain" else size
    width = 80 + number if verdict == "chain" else size - number // 10 % 3
    image = organism(height, width, ink=ink)
    image[0, 0] = number  # the content, and so the identity; one pixel of ink weighs nothing
    return image


def written(out: Path, training: Any, validation: Any) -> Path:
    """tiny-3 with other records; None leaves one out."""
    tiny = open_bundle(TINY)
    records = {"training.json": training, "validation.json": validation}
    records = {name: record for name, record in records.items() if record is not None}
    contents = {name: data for name, data in tiny.contents.items() if not name.endswith(".json")}
    contents |= {name: record if isinstance(record, bytes) else json_bytes(record) for name, record in records.items()}
    hashed = tuple(HashedFile(name, sha256_hex(contents[name])) for name in records)
    write_bundle(out, dataclasses.replace(tiny.manifest, records=hashed), contents)
    return out


@pytest.fixture
def remade(made, tmp_path) -> Callable[..., Path]:
    """The bundle with keys of validation.json replaced, or of training.json."""

    def remade(training: dict[str, Any] | None = None, **changes: Any) -> Path:
        return written(tmp_path / "remade", made.training | (training or {}), made.validation | changes)

    return remade


def quietly(bundle: Path, data: Path, images: int | None = None, threads: int | None = 2):
    return verify(bundle, data, images, threads, say=lambda _: None)


def test_a_bundle_passes_on_the_images_and_the_runtime_it_was_made_with(made):
    found = quietly(made.bundle, made.data)
    assert found.passed
    assert found.faults == ()
    assert [(part.part, part.images, part.changed, part.identical) for part in found.parts] == [
        ("validation", 120, 0, 1.0),
        ("test", 60, 0, 1.0),
    ]
    assert [part.accuracy for part in found.parts] == [part.recorded_accuracy for part in found.parts]
    assert found.parts[0].accuracy == 110 / 120  # a jelly in four of 40 is small
    assert found.parts[1].accuracy == 55 / 60
    assert (found.bundle, found.digest) == (made.bundle, open_bundle(made.bundle).digest)
    assert (found.name, found.runtime, found.threads) == ("tiny-3", "ai-edge-litert", 2)


def test_every_member_has_the_same_bits_with_any_threads_and_batch_on_all_images_and_no_ties(made):
    members = quietly(made.bundle, made.data).members
    assert [(m.member, m.images, m.differing, m.largest, m.ties) for m in members] == [
        (f"members/{number:02d}-tiny.tflite", 180, 0, 0.0, 0) for number in (1, 2, 3)
    ]


def test_verdicts_other_than_recorded_fail_and_the_images_are_named(made, remade):
    verdicts = {part: list(made.validation["verdicts"][part]) for part in PARTS}
    for place in (3, 50, 119):
        assert verdicts["validation"][place] != 0 or place == 3
        verdicts["validation"][place] = -1 if place == 3 else 0
    found = quietly(remade(verdicts=verdicts), made.data)
    validation, test = found.parts
    assert not found.passed
    assert found.faults == (
        "validation: 3 of 120 verdicts are not those recorded; at least 99% must be, found 97.50%",
        "validation: the accuracy is 91.67%, recorded are 89.17%; they may differ by 1 points",
    )
    paths = [made.files[made.training["split"]["validation"][place]] for place in (3, 50, 119)]
    assert validation.examples == (
        Changed(paths[0], "unclassified", "chain"),
        Changed(paths[1], "chain", "sphere"),
        Changed(paths[2], "chain", "jelly"),
    )
    assert (test.changed, test.examples) == (0, ())


def test_one_verdict_may_differ_however_few_the_images_are(made, remade):
    verdicts = made.validation["verdicts"] | {"test": [1, *made.validation["verdicts"]["test"][1:]]}
    found = quietly(remade(verdicts=verdicts), made.data)
    assert found.parts[1].changed == 1
    assert found.passed


def test_no_more_than_five_changed_images_are_named(made, remade):
    verdicts = made.validation["verdicts"] | {"test": [2] * 20 + made.validation["verdicts"]["test"][20:]}
    part = quietly(remade(verdicts=verdicts), made.data).parts[1]
    assert (part.changed, len(part.examples)) == (20, 5)


def test_a_run_without_a_test_part_is_verified_by_its_validation_part(made, remade):
    bundle = remade(
        training={"split": made.training["split"] | {"test": []}},
        verdicts=made.validation["verdicts"] | {"test": None},
    )
    found = quietly(bundle, made.data)
    assert [part.part for part in found.parts] == ["validation"]
    assert found.passed


def test_fewer_images_can_be_asked_for_and_are_taken_from_all_over(made, remade):
    verdicts = {part: [2] * len(made.validation["verdicts"][part]) for part in PARTS}  # right for a jelly alone
    found = quietly(remade(verdicts=verdicts), made.data, images=12)
    assert [(part.images, part.recorded_accuracy) for part in found.parts] == [(12, 4 / 12), (12, 4 / 12)]
    assert {member.images for member in found.members} == {24}


def test_what_cannot_be_meant_is_refused(made):
    with pytest.raises(BadConfig, match="images must be at least 1, found 0"):
        quietly(made.bundle, made.data, images=0)
    with pytest.raises(BadConfig, match="threads must be at least 1, found 0"):
        quietly(made.bundle, made.data, threads=0)


def test_a_missing_image_is_refused(made, tmp_path):
    shutil.copytree(made.data, tmp_path / "data")
    gone = made.training["split"]["test"][7]
    (tmp_path / "data" / made.files[gone].relative_to(made.data)).unlink()
    with pytest.raises(BadData) as refused:
        quietly(made.bundle, tmp_path / "data")
    assert str(refused.value).startswith(
        f"{tmp_path / 'data'}: 1 of the 60 test images are not there, for example the one whose sha-256 begins with {gone}; "
    )


def test_an_image_under_another_label_than_when_the_bundle_was_made_is_refused(made, tmp_path):
    shutil.copytree(made.data, tmp_path / "data")
    (tmp_path / "data/chain/1.png").rename(tmp_path / "data/jelly/moved.png")
    with pytest.raises(BadData) as refused:
        quietly(made.bundle, tmp_path / "data")
    assert str(refused.value) == (
        f"{tmp_path / 'data/chain'}: holds 39 of the validation images, but 40 when the bundle was made; give the data set as "
        "it was then"
    )


def test_a_folder_of_other_labels_is_refused(made, tmp_path):
    (tmp_path / "diatoms").mkdir()
    shutil.copy(made.data / "chain/1.png", tmp_path / "diatoms")
    with pytest.raises(BadData, match=r"no images in sub-folders named for the labels \(chain, sphere, …\)"):
        quietly(made.bundle, tmp_path)


def test_a_bundle_with_one_flipped_byte_is_refused(made, tmp_path):
    shutil.copytree(made.bundle, tmp_path / "bundle")
    file = tmp_path / "bundle" / "members" / "02-tiny.tflite"
    data = bytearray(file.read_bytes())
    data[len(data) // 2] ^= 1
    file.write_bytes(data)
    with pytest.raises(BadBundle) as refused:
        quietly(tmp_path / "bundle", made.data)
    assert str(refused.value) == f"{file}: damaged, its sha-256 is not the manifest's; copy the bundle anew"


def test_a_bundle_without_a_record_to_compare_with_is_refused(made, tmp_path):
    with pytest.raises(BadBundle, match=r"holds no training\.json, so nobody knows .* make the bundle with planktow"):
        quietly(written(tmp_path / "a", None, made.validation), made.data)
    with pytest.raises(BadBundle, match=r"holds no validation\.json, so there are no verdicts .* make the bundle with"):
        quietly(written(tmp_path / "b", made.training, None), made.data)


@pytest.mark.parametrize(
    ("validation", "message"),
    [
        (b"{", "not valid JSON"),
        ([], "schema_version is None, this version of Planktow verifies 2"),
        ({"schema_version": 1}, "schema_version is 1, this version of Planktow verifies 2"),
        ({"schema_version": 2}, "missing key 'labels'"),
    ],
)
def test_a_validation_record_of_another_kind_is_refused(made, tmp_path, validation, message):
    with pytest.raises(BadBundle) as refused:
        quietly(written(tmp_path / "bundle", made.training, validation), made.data)
    assert str(refused.value).startswith(f"{tmp_path / 'bundle/validation.json'}: {message}")
    assert str(refused.value).endswith("; quantise the bundle anew")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"labels": ["sphere", "chain", "jelly"]}, "its labels are not those of the bundle"),
        (
            {"verdicts": {"validation": [0] * 119, "test": [0] * 60}},
            "it has 119 validation verdicts, but training.json has 120",
        ),
        (
            {"verdicts": {"validation": [0] * 120, "test": None}},
            "it has 0 test verdicts, but training.json has 60 test images",
        ),
        (
            {"verdicts": {"validation": [0] * 119 + [3], "test": [0] * 60}},
            "3 among its validation verdicts is no class of 3",
        ),
        ({"verdicts": {"validation": [0] * 120, "test": [-2] * 60}}, "-2 among its test verdicts is no class of 3"),
        ({"verdicts": {"validation": [0.5] * 120, "test": [0] * 60}}, "expected a whole number, found 0.5"),
        ({"verdicts": [0]}, "verdicts: expected a table"),
        ({"confusion": [[40, 0, 0], [0, 40, 0], [0, 0, 40]]}, "its confusion counts are not 3 rows of 4"),
        ({"confusion": [[40, 0, 0, 0]] * 2 + [[0] * 4]}, "its confusion counts are of 80 images, not of 120"),
    ],
)
def test_a_validation_record_that_does_not_fit_the_bundle_is_refused(made, remade, changes, message):
    with pytest.raises(BadBundle) as refused:
        quietly(remade(**changes), made.data)
    assert "/remade/validation.json: " in str(refused.value)
    assert message in str(refused.value)
    assert str(refused.value).endswith("; quantise the bundle anew")
    assert "\n" not in str(refused.value)


def test_a_training_record_of_another_classifier_is_refused(made, remade):
    with pytest.raises(BadBundle, match=r"training\.json: its labels are not those of the bundle"):
        quietly(remade(training={"labels": ["a", "b", "c"]}), made.data)


def test_a_person_sees_what_was_compared_and_that_it_failed(made, remade, capsys):
    verdicts = made.validation["verdicts"] | {"test": [2] * 20 + made.validation["verdicts"]["test"][20:]}
    bundle = remade(verdicts=verdicts)
    lines: list[str] = []
    print_verification(verify(bundle, made.data, None, 2, lines.append))
    assert lines == [
        f"'tiny-3' is whole; looking for the images it was validated on in {made.data}",
        "classifying 120 validation images with ai-edge-litert",
        "classifying 60 test images with ai-edge-litert",
        "comparing the members' scores with 1 and 2 threads, one by one and in batches of 32",
    ]
    shown = capsys.readouterr().out
    assert f"{made.data / 'chain/0.png'}: was jelly, is chain\n" in shown
    assert "… and 15 more of the test images\n" in shown
    assert "02-tiny" in shown
    assert "fault   test: 20 of 60 verdicts are not those recorded; at least 99% must be, found 66.67%\n" in shown
    assert f"bundle  {bundle}\n" in shown
    assert shown.endswith("failed: do not count with this bundle on this host\n")


def test_a_person_sees_that_it_passed(made, capsys):
    print_verification(quietly(made.bundle, made.data))
    assert capsys.readouterr().out.endswith("passed\n")


PROGRAM = """
import json, sys
from pathlib import Path
for name in {hidden!r}:
    sys.modules[name] = None  # importing it raises
from quantize.verified import print_verification
from quantize.verify import verify
found = verify(Path(sys.argv[1]), Path(sys.argv[2]), None, 2, say=lambda _: None)
print_verification(found)
print(json.dumps([found.runtime, found.passed, [part.identical for part in found.parts]]))
"""


def verified_by(python: Path | str, made: Made, hidden: tuple[str, ...]) -> list[Any]:
    command = [python, "-c", PROGRAM.format(hidden=hidden), made.bundle, made.data]
    ran = subprocess.run(
        command, capture_output=True, text=True, check=False, cwd=ROOT, env=os.environ | {"PYTHONPATH": str(ROOT)}
    )
    assert ran.returncode == 0, ran.stderr
    return json.loads(ran.stdout.splitlines()[-1])


def test_a_host_with_neither_tensorflow_nor_what_reports_are_made_with_can_verify(made):
    assert verified_by(sys.executable, made, NO_TENSORFLOW) == ["ai-edge-litert", True, [1.0, 1.0]]


@pytest.mark.timeout(900)  # the environment may have to be made
def test_a_host_with_only_tflite_runtime_can_verify(made, home):  # noqa: F811
    assert verified_by(home / "bin" / "python", made, ()) == ["tflite-runtime", True, [1.0, 1.0]]
