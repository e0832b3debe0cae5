"""What a teacher says of the training images, and which teachers are refused."""

import dataclasses
import json
from pathlib import Path

import keras
import numpy as np
import pytest

from bundle.errors import BadConfig
from bundle.folder import Bundle, open_bundle, write_bundle
from bundle.labels import format_labels
from bundle.manifest import HashedFile
from bundle.preprocess import FEATURES, Inputs, InputSpec
from bundle.training import image_key
from bundle.whole import sha256_hex
from trainer.config import Augmentation, Network, Teacher
from trainer.data.augment import augment
from trainer.data.dataset import load_dataset
from trainer.network.architectures import build
from trainer.teacher import VIEW_SEED, Load, soft_labels

TINY_BUNDLE = Path(__file__).parents[1] / "data" / "tiny-3"
NETWORK = Network("simple_cnn", (4,), (1,))


@pytest.fixture
def load(shapes: Path) -> Load:
    return lambda spec, side: load_dataset(shapes, spec, side, shapes.parent / "cache", print)


def teach(
    folder: Path, load: Load, hashes: list[str], side: int = 16, labels: tuple[str, ...] = ()
) -> tuple[str, keras.Model]:
    """A member with random weights in the folder of a run that trained on `hashes`."""
    dataset = load(InputSpec(), side)
    keras.utils.set_random_seed(side)
    model = build(NETWORK, side, len(dataset.labels), dataset.features, "t")
    (folder / "members").mkdir(parents=True)
    model.save(folder / "members" / "01-t.keras")
    record = {
        "schema_version": 3,
        "created": "2026-01-01T00:00:00Z",
        "name": "teacher",
        "input": dataclasses.asdict(InputSpec()),
        "features": FEATURES,
        "data": {"digest": dataset.digest, "images": len(dataset.hashes)},
        "labels": labels or dataset.labels,
        "split": {"train": list(map(image_key, hashes)), "validation": [], "test": []},
        "members": [{"file": "members/01-t.keras", "sha256": "0" * 64, "architecture": "simple_cnn", "side": side}],
    }
    (folder / "training.json").write_text(json.dumps(record))
    return str(folder / "members" / "01-t.keras"), model


def teaching_bundle(folder: Path, load: Load, hashes: list[str]) -> Bundle:
    """The tiny bundle, under the labels of our data, with the record of a training on `hashes`."""
    tiny = open_bundle(TINY_BUNDLE)
    run = folder.parent / "of-the-bundle"
    teach(run, load, hashes)
    labels, record = format_labels(load(tiny.manifest.input, 16).labels), (run / "training.json").read_bytes()
    manifest = dataclasses.replace(
        tiny.manifest,
        labels=dataclasses.replace(tiny.manifest.labels, sha256=sha256_hex(labels)),
        records=(HashedFile("training.json", sha256_hex(record)),),
    )
    kept = {member.file: tiny.contents[member.file] for member in manifest.members}
    return write_bundle(folder, manifest, {**kept, "labels.txt": labels, "training.json": record})


def ask(teacher: Teacher, load: Load, hashes: list[str], cache: Path) -> np.ndarray:
    return soft_labels(teacher, load, hashes, Augmentation(), cache, print)


def test_it_is_the_mean_over_members_and_views_each_seeing_the_image_at_its_own_side(load: Load, tmp_path: Path):
    hashes = list(load(InputSpec(), 16).hashes[10:40])
    files, expected = [], []
    for side in (16, 24):
        file, model = teach(tmp_path / f"run-{side}", load, hashes, side)
        files.append(file)
        seen = load(InputSpec(), side)
        pixels, features = seen.pixels[10:40], seen.features[10:40]
        turned = augment(pixels, InputSpec(), Augmentation(), np.random.default_rng((VIEW_SEED, 1)))
        for view in (pixels, turned):
            expected.append(model.predict({"pixels": view[..., None], "features": features}, verbose=0))
    taught = ask(Teacher(tuple(files), views=2), load, hashes, tmp_path / "kept")
    np.testing.assert_allclose(taught, np.mean(expected, axis=0), rtol=1e-5)
    np.testing.assert_allclose(taught.sum(axis=1), 1, rtol=1e-5)


def test_a_bundle_teaches_with_each_of_its_members(load: Load, tmp_path: Path):
    bundle = teaching_bundle(tmp_path / "tiny", load, [])
    spec = bundle.manifest.input
    seen = {side: load(spec, side) for side in bundle.manifest.sides}
    hashes = list(seen[16].hashes[10:40])
    taught = ask(Teacher((str(bundle.path),), views=2), load, hashes, tmp_path / "kept")
    plain = {side: each.pixels[10:40] for side, each in seen.items()}
    turned = {
        side: augment(pixels, spec, Augmentation(), np.random.default_rng((VIEW_SEED, 1)))
        for side, pixels in plain.items()
    }
    features = seen[16].features[10:40]
    expected = [bundle.load().scores(Inputs(view, features)).mean(axis=0) for view in (plain, turned)]
    np.testing.assert_allclose(taught, np.mean(expected, axis=0), rtol=1e-5)


def test_a_bundle_that_saw_an_image_outside_our_training_part_is_refused(load: Load, tmp_path: Path):
    hashes = list(load(InputSpec(), 16).hashes)
    bundle = teaching_bundle(tmp_path / "tiny", load, hashes)
    with pytest.raises(BadConfig, match=r"tiny: this teacher was trained on 5 images that this run does not"):
        ask(Teacher((str(bundle.path),)), load, hashes[5:], tmp_path / "kept")


def test_a_folder_that_is_no_bundle_is_refused(load: Load, tmp_path: Path):
    with pytest.raises(BadConfig, match=r"a teacher must be a bundle or lie in the folder of a finished run"):
        ask(Teacher((str(tmp_path),)), load, ["0" * 64], tmp_path / "kept")


def test_it_is_asked_once_and_again_when_the_views_change(
    load: Load, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    hashes = list(load(InputSpec(), 16).hashes)
    file, _ = teach(tmp_path / "run", load, hashes)
    first = ask(Teacher((file,), views=2), load, hashes, tmp_path / "kept")
    capsys.readouterr()
    np.testing.assert_array_equal(ask(Teacher((file,), views=2), load, hashes, tmp_path / "kept"), first)
    assert "looks at" not in capsys.readouterr().out
    assert (ask(Teacher((file,), views=3), load, hashes, tmp_path / "kept") != first).any()


def test_a_teacher_that_saw_an_image_outside_our_training_part_is_refused(load: Load, tmp_path: Path):
    hashes = list(load(InputSpec(), 16).hashes)
    file, _ = teach(tmp_path / "run", load, hashes)
    with pytest.raises(BadConfig, match=r"01-t\.keras: this teacher was trained on 5 images that this run does not"):
        ask(Teacher((file,)), load, hashes[5:], tmp_path / "kept")


def test_a_teacher_of_other_classes_is_refused(load: Load, tmp_path: Path):
    hashes = list(load(InputSpec(), 16).hashes)
    file, _ = teach(tmp_path / "run", load, hashes, labels=("rod", "ring", "disc"))
    with pytest.raises(BadConfig, match=r"this teacher knows other classes than the data set"):
        ask(Teacher((file,)), load, hashes, tmp_path / "kept")


def test_a_teacher_that_is_not_there_is_refused(load: Load, tmp_path: Path):
    with pytest.raises(BadConfig, match=r"nowhere\.keras: the teacher names a member that is not there"):
        ask(Teacher((str(tmp_path / "nowhere.keras"),)), load, ["0" * 64], tmp_path / "kept")


def test_a_teacher_that_its_run_does_not_name_is_refused(load: Load, tmp_path: Path):
    hashes = list(load(InputSpec(), 16).hashes)
    file, _ = teach(tmp_path / "run", load, hashes)
    other = Path(file).with_name("02-u.keras")
    other.write_bytes(Path(file).read_bytes())
    with pytest.raises(BadConfig, match=r"02-u\.keras: .*training\.json does not name this member; let its training"):
        ask(Teacher((str(other),)), load, hashes, tmp_path / "kept")


def test_a_teacher_outside_a_finished_run_is_refused(load: Load, tmp_path: Path):
    (tmp_path / "stray.keras").write_bytes(b"")
    with pytest.raises(
        BadConfig,
        match=r"stray\.keras: a teacher must be a bundle or lie in the folder of a finished run: .*training\.json",
    ):
        ask(Teacher((str(tmp_path / "stray.keras"),)), load, ["0" * 64], tmp_path / "kept")
