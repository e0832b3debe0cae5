"""An enlarged data set: the originals untouched, the copies of training images only, whole or not at all."""

import json
import resource
import subprocess
import sys
from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from bundle.errors import BadConfig, BadData
from bundle.preprocess import InputSpec
from bundle.whole import sha256_hex
from trainer.config import Augmentation, MemberRun, Network, Run, Shares
from trainer.data.classfolders import class_files
from trainer.data.dataset import Dataset, read_dataset
from trainer.data.enlarge import Recipe, enlarge
from trainer.data.origin import origin_of
from trainer.data.split import split_dataset
from trainer.devices import Devices
from trainer.train import train_run

SHARES = Shares(0.2, 0.2)
RECIPE = Recipe(per_class=30, seed=0, input=InputSpec(), shares=SHARES, augmentation=Augmentation())


def made(data: Path, recipe: Recipe = RECIPE, name: str = "enlarged") -> Path:
    out = data.parent / name
    enlarge(data, out, recipe, lambda _: None)
    return out


def read(folder: Path) -> Dataset:
    return read_dataset(folder, class_files(folder), RECIPE.input, 16, None, lambda _: None)


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def parts(dataset: Dataset, shares: Shares = SHARES) -> dict[str, str]:
    return dict(zip(dataset.hashes, split_dataset(dataset, shares), strict=True))


def test_the_originals_are_there_byte_for_byte_and_each_class_is_filled_up(shapes: Path):
    for surplus in range(12):  # a class that has more than is asked for
        (shapes / "rod" / f"more{surplus}.png").write_bytes((shapes / "disc" / f"{surplus}.png").read_bytes() + b"\0")
    (shapes / "ring" / "deep").mkdir()
    (shapes / "ring" / "0.png").rename(shapes / "ring" / "deep" / "0.png")
    before, after = contents(shapes), contents(made(shapes))
    assert {name: after[name] for name in before} == before
    assert after.keys() - before.keys() - {"augmented.json"} == {name for name in after if "/aug-" in name}
    assert Counter(name.split("/")[0] for name in after if "/" in name) == {"disc": 30, "ring": 30, "rod": 32}


def test_no_copy_is_ever_in_test_or_validation_and_every_original_stays_where_it_was(shapes: Path):
    before, enlarged = parts(read(shapes)), read(made(shapes))
    after = parts(enlarged)
    copies = [image for image, origin in enumerate(enlarged.origins) if origin]
    assert len(copies) == 30
    assert {after[enlarged.hashes[image]] for image in copies} == {"train"}
    assert {before[enlarged.origins[image]] for image in copies} == {"train"}
    assert {sha256: after[sha256] for sha256 in before} == before


def test_under_other_shares_the_copies_of_images_that_now_judge_are_unused(shapes: Path):
    enlarged, wider = read(made(shapes)), Shares(0.3, 0.4)
    after = parts(enlarged, wider)
    fates = Counter()
    for sha256, origin in zip(enlarged.hashes, enlarged.origins, strict=True):
        if origin:
            assert after[sha256] == ("train" if after[origin] == "train" else "unused")
            fates[after[sha256]] += 1
    assert fates["unused"] > 5
    assert fates["train"] > 5


def test_copies_keep_their_origin_when_they_are_renamed_and_moved_into_another_data_set(shapes: Path):
    out = made(shapes)
    for number, path in enumerate(sorted(out.glob("disc/aug-*"))):
        path.rename(shapes / "disc" / f"harmless{number}.png")
    merged = read(shapes)
    assert sum(map(bool, merged.origins)) == 10
    assert {parts(merged)[sha256] for sha256, origin in zip(merged.hashes, merged.origins, strict=True) if origin} == {
        "train"
    }


def test_the_copies_are_spread_evenly_over_the_training_images(shapes: Path):
    enlarged = read(made(shapes, replace(RECIPE, per_class=100)))
    for label in range(3):
        times = Counter(
            origin for origin, of in zip(enlarged.origins, enlarged.classes, strict=True) if origin and of == label
        )
        assert sum(times.values()) == 80
        assert max(times.values()) - min(times.values()) <= 1
    assert len(np.unique(enlarged.pixels, axis=0)) == len(enlarged.hashes)


def test_the_same_recipe_makes_the_same_bytes_and_a_greater_number_only_adds(shapes: Path):
    once = contents(made(shapes))
    assert contents(made(shapes, name="again")) == once
    more = contents(made(shapes, replace(RECIPE, per_class=40), "more"))
    assert {name: more[name] for name in once if name != "augmented.json"} == {
        name: data for name, data in once.items() if name != "augmented.json"
    }
    other = contents(made(shapes, replace(RECIPE, seed=1), "other"))
    assert all(other[name] != data for name, data in once.items() if "/aug-" in name)


def test_a_second_run_does_nothing_and_one_with_other_settings_is_refused(shapes: Path):
    out = made(shapes)
    times = {path: path.stat().st_mtime_ns for path in out.rglob("*")}
    said: list[str] = []
    enlarge(shapes, out, RECIPE, said.append)
    assert said[-1] == f"{out}: made before from the same images in the same way, left as it is"
    with pytest.raises(BadData, match=r"enlarged: was made from other images or with other settings \(augmented.json"):
        enlarge(shapes, out, replace(RECIPE, seed=1), said.append)
    (shapes / "disc" / "copy.png").write_bytes(next(out.glob("disc/aug-*")).read_bytes())
    with pytest.raises(BadData, match=r"shapes: has augmented copies already; give the data set that they were made"):
        enlarge(shapes, out, RECIPE, said.append)
    assert {path: path.stat().st_mtime_ns for path in out.rglob("*")} == times


def test_a_folder_of_something_else_or_within_the_data_is_left_alone(shapes: Path, tmp_path: Path):
    (tmp_path / "mine").mkdir()
    with pytest.raises(BadData, match=r"mine: exists already and was not made by planktow-trainer augment"):
        enlarge(shapes, tmp_path / "mine", RECIPE, print)
    for out in (shapes / "inside", shapes, tmp_path):
        with pytest.raises(BadData, match=r"lies in the data set, or the data set in it; give a folder beside it"):
            enlarge(shapes, out, RECIPE, print)
    with pytest.raises(BadConfig, match="--per-class must be at least 1, found 0"):
        replace(RECIPE, per_class=0)
    assert not (shapes / "inside").exists()


def test_duplicates_conflicts_and_unreadable_files_are_copied_and_neither_counted_nor_augmented(shapes: Path):
    doubled, torn = (shapes / "disc" / "0.png").read_bytes(), (shapes / "disc" / "1.png").read_bytes()[:90]
    (shapes / "disc" / "again.png").write_bytes(doubled)
    (shapes / "disc" / "torn.png").write_bytes(torn)
    disputed = (shapes / "rod" / "3.png").read_bytes()
    (shapes / "ring" / "disputed.png").write_bytes(disputed)
    out = made(shapes)
    enlarged = read(out)
    assert (out / "disc" / "again.png").read_bytes() == doubled
    assert (out / "disc" / "torn.png").read_bytes() == torn
    assert np.bincount(enlarged.classes).tolist() == [30, 30, 30]
    assert sha256_hex(disputed) not in enlarged.origins
    assert enlarged.findings == replace(read(shapes).findings, files=63 + 31)


def test_a_full_disk_is_one_line_and_leaves_nothing(shapes: Path):
    command = [sys.executable, "-m", "trainer.cli", "augment", str(shapes), "--per-class", "30", "--out"]
    ended = subprocess.run(
        [*command, str(shapes.parent / "out")],
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (300, 300)),  # bytes of a file
        capture_output=True,
        text=True,
        check=False,
    )
    assert ended.returncode == 2
    assert ended.stdout == ""
    assert ended.stderr.splitlines()[-1].endswith(
        f"{shapes.parent / 'out'}: cannot be written (File too large); free some space there or give another --out"
    )
    assert "Traceback" not in ended.stderr
    assert sorted(path.name for path in shapes.parent.iterdir()) == ["shapes"]


def test_the_command_writes_what_the_recipe_says(shapes: Path, tmp_path: Path):
    (tmp_path / "run.toml").write_text(
        'name = "x"\n[split]\ntest = 0.3\n[[members]]\nname = "a"\nepochs = 1\nseed = 1\n'
        '[members.network]\narchitecture = "simple_cnn"\n[members.augmentation]\nnoise_chance = 1.0\n'
    )
    command = [sys.executable, "-m", "trainer.cli", "augment", str(shapes), "--per-class", "22", "--seed", "7"]
    ended = subprocess.run(
        [*command, "--run", str(tmp_path / "run.toml"), "--out", str(tmp_path / "out")],
        capture_output=True,
        text=True,
        check=True,
    )
    assert ended.stdout == ""
    assert "writing 60 files as they are and 6 augmented copies" in ended.stderr
    recipe = json.loads((tmp_path / "out" / "augmented.json").read_bytes())["recipe"]
    assert (recipe["per_class"], recipe["seed"], recipe["shares"]["test"]) == (22, 7, 0.3)
    assert recipe["augmentation"]["noise_chance"] == 1.0
    assert all(origin_of(path.read_bytes()) for path in (tmp_path / "out").rglob("aug-*"))


def test_a_run_on_an_enlarged_folder_trains_on_copies_and_judges_by_none(shapes: Path, tmp_path: Path):
    folder = made(shapes)
    wider = Shares(0.3, 0.3)  # so that some copies lose their place: their originals now judge
    member = MemberRun("a", 1, 1, Network("simple_cnn", (4,), (1,)), side=16, batch=8)
    said: list[str] = []
    record = train_run(
        Run("x", (member,), InputSpec(), wider),
        lambda spec, side: read_dataset(folder, class_files(folder), spec, side, None, lambda _: None),
        tmp_path / "out",
        said.append,
        lambda: "2026-01-01T00:00:00Z",
        Devices(),
    )
    dataset = read(folder)
    copies = {key for key, origin in zip(dataset.keys, dataset.origins, strict=True) if origin}
    assert copies & set(record.split["train"])
    assert not copies & {*record.split["validation"], *record.split["test"]}
    unused = len(copies - set(record.split["train"]))
    assert unused > 0
    assert f"{unused} augmented copies unused, whose originals do not train" in said[0]
