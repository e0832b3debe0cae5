"""Corrected counts where scores were kept, and where people have said what some images are."""

from dataclasses import replace

import numpy as np
import pytest

from edge.counts import Accounting, Counts, LedgerBundle, add_up, count_verdicts
from edge.estimates.estimate import estimate
from edge.estimates.quantify import calibrated, emq, scores_weight
from edge.estimates.scored import Scored, blended
from edge.estimates.validated import Validated

HOUR = 3600 * 10**9
LABELS = ("copepod", "jelly", "krill")
ONE = LedgerBundle(1, "one", "ab" * 32, LABELS)
CONFUSION = np.array([[160, 40, 0, 0], [40, 160, 0, 0], [10, 10, 180, 0]])
VALIDATED = Validated(LABELS, CONFUSION, temperature=1.0)


def counted(rows, dropped=()) -> Counts:
    """rows: hour, class or -1, images."""
    by_bundle, bins = count_verdicts([(h * HOUR, 1, label, n) for h, label, n in rows], (ONE,), HOUR, dropped)
    totals = add_up(share for _, share in by_bundle)
    seen = sum(totals.values())
    return Counts(Accounting(seen, seen, 0, 0, 0, 0), {}, totals, by_bundle, bins)


def simulated(shares, images: int, seed: int = 1) -> tuple[list[int], Scored]:
    """True numbers of each class, and what a well calibrated classifier says: scores are Bayes' own for even classes."""
    random = np.random.default_rng(seed)
    truth = random.choice(3, images, p=shares)
    signal = np.eye(3)[truth] * 1.2 + random.standard_normal((images, 3)) * 1.0
    likelihood = np.exp(1.2 * signal)  # of a normal variable with mean 1.2 in the true place, up to a factor
    scores = (likelihood / likelihood.sum(axis=1, keepdims=True)).astype(np.float32)
    return np.bincount(truth, minlength=3).tolist(), Scored(scores, scores.argmax(axis=1).astype(np.int64))


def test_scores_find_a_rare_class_that_verdicts_drown():
    truth, scored = simulated([0.96, 0.03, 0.01], 5000)
    said = np.bincount(scored.verdicts, minlength=3)
    assert said[1] > 3 * truth[1]  # what was meant by drowning
    counts = counted([(0, label, int(said[label])) for label in range(3)])
    plain = estimate(counts, VALIDATED)
    better = estimate(counts, VALIDATED, scored=lambda _bin: scored)

    def error(found):
        return sum(
            abs(found.totals[label].corrected - images) for label, images in zip(LABELS, truth, strict=True)
        ) / sum(truth)

    assert error(better) < 0.5 * error(plain)
    for each in (better, plain):
        assert sum(found.corrected for found in each.totals.values()) == pytest.approx(5000)
        for found in (*each.totals.values(), *each.bins[0].values()):
            assert 0 <= found.low <= found.corrected <= found.high


def test_a_sample_of_the_images_tells_nearly_what_all_of_them_tell():
    _, scored = simulated([0.9, 0.08, 0.02], 8000)
    sample = Scored(scored.scores[::8], scored.verdicts[::8])
    verdicts = np.array([*np.bincount(scored.verdicts, minlength=3), 0.0])
    centre = verdicts[:3]
    whole, part = (blended(verdicts, centre, each, VALIDATED, None) for each in (scored, sample))
    assert whole.sum() == pytest.approx(8000)
    assert part.sum() == pytest.approx(8000)
    assert np.abs(whole - part).max() < 0.02 * 8000


@pytest.mark.parametrize("scored", [None, Scored(np.zeros((0, 3), np.float32), np.zeros(0, np.int64))])
def test_without_scores_the_confusion_table_alone_corrects(scored):
    counts = counted([(0, 0, 40), (0, 1, 20)])
    assert estimate(counts, VALIDATED, scored=lambda _bin: scored) == estimate(counts, VALIDATED)
    assert estimate(counts, replace(VALIDATED, temperature=None), scored=lambda _bin: scored) == estimate(
        counts, VALIDATED
    )


def test_scores_weigh_less_the_more_classes_there_are_and_the_fewer_images_told_of_them():
    even, one = np.full(121, 1 / 121), np.array([0.9] + [0.1 / 120] * 120)
    assert scores_weight(one, 2000, 2000) > 0.9 > 0.1 > scores_weight(even, 2000, 2000)
    assert scores_weight(one, 20, 2000) < 0.2
    assert scores_weight(one, 2000, 5) < 0.2
    assert scores_weight(np.zeros(3), 2000, 100) == 0


def test_weights_are_images_and_added_images_draw_without_being_counted():
    scores = np.array([[0.8, 0.2], [0.3, 0.7]])
    weighted = emq(scores, np.ones(2), weights=np.array([3.0, 1.0]))
    assert weighted == pytest.approx(emq(scores[[0, 0, 0, 1]], np.ones(2)))
    drawn = emq(scores, np.ones(2), towards=np.array([0.0, 1000.0]))
    assert drawn == pytest.approx(calibrated(scores * [0, 1], 1.0).mean(axis=0), abs=0.01)
    for bad in ({"weights": np.ones(3)}, {"towards": -np.ones(2)}, {"weights": np.array([np.nan, 1])}):
        with pytest.raises(ValueError, match="weights"):
            emq(scores, np.ones(2), **bad)


def test_a_temperature_below_one_makes_scores_surer():
    assert calibrated(np.array([[0.6, 0.4]]), 0.5)[0] == pytest.approx([0.36 / 0.52, 0.16 / 0.52])


# --- people


def verified(counts: Counts, said: dict[str, int]) -> Counts:
    """These of the images counted were labelled by people; the labels that the classifier lacks come on top."""
    more = {label: images for label, images in said.items() if label not in counts.totals}
    (first, *rest) = counts.bins
    totals = {**counts.totals, **more}
    bins = (replace(first, counts={**first.counts, **more}, verified=said), *rest)
    return replace(counts, totals=totals, bins=bins, verified=said)


def test_what_people_said_is_known_and_the_rest_is_corrected_as_if_it_were_all():
    machine = counted([(0, 0, 400), (0, 1, 100)])
    both = verified(counted([(0, 0, 400), (0, 1, 130)]), {"jelly": 30})
    alone, found = estimate(machine, VALIDATED), estimate(both, VALIDATED)
    for label in LABELS:
        known = 30 if label == "jelly" else 0
        assert found.totals[label].corrected == pytest.approx(alone.totals[label].corrected + known)
        assert found.bins[0][label].corrected == pytest.approx(alone.bins[0][label].corrected + known)
    jelly = found.totals["jelly"]
    assert jelly.low <= jelly.corrected <= jelly.high
    assert jelly.raw == 130


def test_where_people_looked_at_all_images_only_chance_is_left():
    counts = verified(counted([(0, 0, 400), (0, 1, 100)]), {"copepod": 400, "jelly": 100})
    found = estimate(counts, VALIDATED).totals
    assert found["copepod"].corrected == pytest.approx(400)
    assert (found["copepod"].low, found["copepod"].high) == pytest.approx((361.8, 441.2), abs=5)
    assert found["krill"].corrected == pytest.approx(0, abs=1e-6)


def test_a_label_that_only_people_gave_is_counted_with_its_own_chance():
    counts = verified(counted([(0, 0, 400), (0, 1, 100)]), {"comb jelly": 9})
    found = estimate(counts, VALIDATED)
    assert found.totals["comb jelly"].corrected == 9
    assert found.totals["comb jelly"].low == pytest.approx(4.1, abs=0.1)
    assert sum(each.corrected for each in found.totals.values()) == pytest.approx(509)


def test_an_image_that_no_person_could_tell_stays_the_classifiers():
    counts = verified(counted([(0, 0, 400), (0, -1, 5)]), {"unclassified": 5})
    found = estimate(counts, VALIDATED)
    assert found.totals == estimate(counted([(0, 0, 400), (0, -1, 5)]), VALIDATED).totals
    assert found.totals["unclassified"].corrected == 0
