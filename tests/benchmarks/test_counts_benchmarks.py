"""The benchmarks of counts run, tiny and on made-up images, without PlanktonSet."""

import json
from dataclasses import replace

import numpy as np
import pytest

from benchmarks import abstention
from benchmarks.counts_error import bray_curtis, by_table, judge, main, ours, plain_acc, raw, rounds_of, table
from benchmarks.heldout import KINDS, Held, prevalence, read_held, tows
from bundle.errors import BadData
from bundle.training import image_key
from bundle.whole import sha256_hex

RECALL = 0.8


def made_up(seed, images=200, classes=5) -> Held:
    """Right in 8 of 10; of the others half are unclassified and half taken for the next class."""
    random = np.random.default_rng(seed)
    truth = random.integers(0, classes, images)
    luck = random.random(images)
    verdict = np.where(luck < RECALL, truth, np.where(luck < 0.9, classes, (truth + 1) % classes))
    return Held(classes, truth, verdict)


@pytest.fixture
def recorded(tmp_path):
    """A folder with the two records of a bundle and a folder of files by class."""
    random = np.random.default_rng(0)
    labels, split, verdicts = ["ant", "bee", "cat"], {"train": []}, {}
    for part in ("validation", "test"):
        split[part], verdicts[part] = [], []
        for number in range(60):
            label = number % 3
            data = f"{part} {number}".encode()
            file = tmp_path / "images" / labels[label] / f"{part}-{number}.jpg"
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(data)
            split[part].append(image_key(sha256_hex(data)))
            verdicts[part].append(label if random.random() < RECALL else -1)
    bundle = tmp_path / "made-up"
    bundle.mkdir()
    (bundle / "training.json").write_text(json.dumps({"split": split}))
    ballots = [[max(verdict, 0) for verdict in verdicts["validation"]], [0] * 60]
    record = {"labels": labels, "verdicts": verdicts, "ballots": ballots}
    (bundle / "validation.json").write_text(json.dumps(record))
    return bundle, tmp_path / "images"


def test_the_verdicts_are_read_with_the_true_classes_and_a_content_in_two_classes_is_left_out(recorded):
    bundle, images = recorded
    held = read_held(bundle, images, "test")
    assert held.confusion().sum(axis=1).tolist() == [20, 20, 20]
    assert set(held.verdict[held.verdict != held.truth].tolist()) == {3}
    (images / "bee" / "twin.jpg").write_bytes((images / "ant" / "test-0.jpg").read_bytes())
    assert read_held(bundle, images, "test").confusion().sum(axis=1).tolist() == [19, 20, 20]


def test_without_the_images_the_benchmark_says_what_to_give(recorded, tmp_path):
    with pytest.raises(BadData, match="give the data set that the members were trained on"):
        read_held(recorded[0], tmp_path / "nowhere", "test")


@pytest.mark.parametrize("kind", KINDS)
def test_every_composition_sums_to_one_over_the_classes_that_have_images(kind):
    shares = prevalence(kind, np.array([5, 0, 90, 2]), np.random.default_rng(0))
    assert shares.sum() == pytest.approx(1)
    assert shares[1] == 0


def test_tows_are_of_every_composition_and_size_and_hold_as_many_verdicts_as_organisms():
    simulated = list(tows(made_up(1), 2, np.random.default_rng(0), sizes=(50, 300)))
    assert len(simulated) == 2 * 2 * len(KINDS)
    assert all(tow.verdicts.sum() == tow.present.sum() for tow in simulated)


def test_the_table_compares_raw_and_corrected_in_cross_fitting_and_on_test():
    methods = {"raw": raw, "plain ACC": plain_acc, "by table": by_table, "corrected": ours}
    for test in (None, made_up(2)):
        rounds = rounds_of(made_up(1), test, 2, np.random.default_rng(0), sizes=(50, 300))
        judged = judge(rounds, methods, seed=0)
        assert {len(error) for error in judged.errors.values()} == {24}
        assert judged.hit.mean() > 0.8
        assert table(judged, "made up").row_count == 1 + len(KINDS) + 2


def test_the_error_of_counts_is_zero_for_equal_and_one_for_disjoint_ones():
    found = bray_curtis(np.array([[1.0, 2], [3, 0], [0, 0]]), np.array([[1.0, 2], [0, 5], [0, 0]]))
    assert found.tolist() == [0, 1, 0]


def test_the_commands_print_their_tables(recorded, capsys):
    bundle, images = recorded
    where = ["--bundle", str(bundle), "--images", str(images), "--tows", "1"]
    main([*where, "--verdicts-only"])
    assert "corrected - raw" in capsys.readouterr().out
    abstention.main(where)
    assert "min_votes 2" in capsys.readouterr().out


def test_corrected_counts_are_judged_with_the_scores_of_the_images_drawn():
    test = made_up(2)
    sure = np.eye(5, dtype=np.float32)[test.truth] * 0.98 + 0.004
    (round_,) = rounds_of(
        made_up(1), replace(test, scores=sure), 2, np.random.default_rng(0), sizes=(300,), temperature=1.0
    )
    by_verdicts, by_scores = (bray_curtis(method(round_), round_.present).mean() for method in (by_table, ours))
    assert by_scores < 0.5 * by_verdicts
    without = replace(round_, held=test)
    assert np.array_equal(ours(without), by_table(without))
