import numpy as np
import pytest

from bundle.errors import BadData
from quantize.config import Gates, Settings
from quantize.gates import Finding, ensemble_findings, member_findings, record_finding, require_passed

LABELS = ("a", "b", "c")


def indices(*counts: tuple[int, int]) -> np.ndarray:
    """(M,) class indices: (class, how many) in turn."""
    return np.concatenate([np.full(count, label) for label, count in counts]).astype(np.int32)


TRUTH = indices((0, 100), (1, 50), (2, 10))


def found(truth: np.ndarray, keras: np.ndarray, tflite: np.ndarray, gates: Gates = Gates()) -> dict[str, Finding]:
    findings = member_findings("01-a", "test", truth, keras, tflite, LABELS, gates)
    return {finding.gate: finding for finding in findings}


def finding(found: float, limit: float, images: int = 1000, changed: int = 0) -> Finding:
    return Finding("top-1 drop", "validation", "01-a", None, images, 0.8, 0.8 - found, found, limit, changed)


def test_a_member_that_is_its_original_passes_everything():
    findings = found(TRUTH, TRUTH, TRUTH)
    assert {gate: (each.found, each.passed) for gate, each in findings.items()} == {
        "top-1 drop": (0.0, True),
        "disagreement": (0.0, True),
        "recall drop": (0.0, True),
    }


def test_the_figures_are_of_keras_before_and_of_tflite_after():
    keras = TRUTH.copy()
    keras[0] = 1  # wrong before, right after
    tflite = TRUTH.copy()
    tflite[100:108] = 0  # eight of the 50 of class b
    findings = found(TRUTH, keras, tflite)
    drop, apart, recall = findings["top-1 drop"], findings["disagreement"], findings["recall drop"]
    assert (drop.before, drop.after, drop.found) == (159 / 160, 152 / 160, 7 / 160)
    assert (apart.before, apart.after, apart.found) == (1.0, 151 / 160, 9 / 160)
    assert (recall.label, recall.images, recall.before, recall.after, recall.found) == ("b", 50, 1.0, 0.84, 0.16)
    assert drop.changed == 9
    assert [each.passed for each in (drop, apart, recall)] == [False, False, False]


def test_a_class_with_too_few_images_is_not_held_against_a_member():
    tflite = TRUTH.copy()
    tflite[-10:] = 0  # all of class c
    assert found(TRUTH, TRUTH, tflite)["recall drop"].label in ("a", "b")
    assert found(TRUTH, TRUTH, tflite, Gates(class_images=10))["recall drop"].label == "c"
    assert "recall drop" not in found(TRUTH, TRUTH, tflite, Gates(class_images=101))


def test_every_class_that_fell_too_far_is_found_and_of_the_others_the_worst():
    tflite = TRUTH.copy()
    tflite[:20], tflite[100:115], tflite[-1] = 1, 0, 0
    findings = member_findings("01-a", "test", TRUTH, TRUTH, tflite, LABELS, Gates(class_images=10))
    recalls = [(each.label, each.found, each.passed) for each in findings if each.gate == "recall drop"]
    assert recalls == [("b", 0.3, False), ("a", 0.2, False)]


def test_the_count_error_rises_where_errors_no_longer_cancel():
    keras, tflite = TRUTH.copy(), TRUTH.copy()
    keras[:5], keras[100:105] = 1, 0  # five each way: the counts are right
    tflite[:5] = 1
    findings = {each.gate: each for each in ensemble_findings("test", TRUTH, keras, tflite, LABELS, Gates())}
    assert findings["vote drop"].found == pytest.approx(-5 / 160)
    assert (findings["count error rise"].before, findings["count error rise"].after) == (0.0, 5 / 160)
    assert not findings["count error rise"].passed


def test_an_unclassified_image_is_wrong_and_missing_from_the_counts():
    tflite = TRUTH.copy()
    tflite[:2] = -1
    findings = {each.gate: each for each in ensemble_findings("test", TRUTH, TRUTH, tflite, LABELS, Gates())}
    assert (findings["vote drop"].found, findings["vote drop"].changed) == (pytest.approx(2 / 160), 2)
    assert findings["count error rise"].after == pytest.approx(2 / 318, abs=1e-6)


@pytest.mark.parametrize(
    ("each", "passed"),
    [
        (finding(0.01, 0.01), True),  # at the limit
        (finding(0.010003, 0.01), False),
        (finding(-0.3, 0.01), True),  # better than before
        (finding(0.05, 0.01, images=20), True),  # one image of twenty
        (finding(0.333333, 0.01, images=3), True),  # one of three, rounded
        (finding(0.1, 0.01, images=20), False),  # two of twenty
        (finding(0.1, 0.01, images=20, changed=2), True),  # two lost and none won, which chance alone does often
        (finding(5 / 234, 0.01, images=234, changed=5), False),  # five lost and none won
        (finding(5 / 234, 0.01, images=234, changed=7), True),  # six lost and one won
        (finding(25 / 2380, 0.01, images=2380, changed=60), False),
    ],
)
def test_a_gate_holds_at_its_limit_and_one_image_and_what_chance_does_are_always_allowed(each, passed):
    assert each.passed is passed


def test_a_record_that_keras_no_longer_reaches_is_found_in_both_directions():
    assert record_finding("01-a", 1000, 0.74, 0.735, Gates()).passed
    assert not record_finding("01-a", 1000, 0.74, 0.01, Gates()).passed
    assert not record_finding("01-a", 1000, 0.01, 0.74, Gates()).passed


def test_a_refusal_names_subject_class_figures_limit_and_remedy_the_worst_first():
    failed = [
        finding(0.02, 0.01),
        Finding("recall drop", "test", "02-b", "copepod", 54, 0.9, 0.6, 0.3, 0.1),
        finding(0.001, 0.01),
    ]
    with pytest.raises(BadData) as refused:
        require_passed(failed, Settings())
    assert str(refused.value) == (
        "no bundle was written. 02-b, class copepod: recall drop of 30.00 points on 54 test images (90.00 -> 60.00 %), the limit "
        "is 10; 01-a: top-1 drop of 2.00 points on 1000 validation images (80.00 -> 78.00 %), the limit is 1. Give more "
        "representative_images (now 1000), another scheme for the member, or leave it out, or raise gates.max_recall_drop, "
        "gates.max_accuracy_drop"
    )


def test_of_many_failures_five_are_told_and_the_rest_counted():
    with pytest.raises(BadData, match=r"the limit is 1; and 2 more\. Give"):
        require_passed([finding(0.02, 0.01)] * 7, Settings())


def test_where_nothing_failed_nothing_is_raised():
    require_passed([finding(0.0, 0.01)], Settings())
