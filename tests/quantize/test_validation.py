import dataclasses
import json

import numpy as np
import pytest

from bundle.manifest import VoteRule
from bundle.order import Order
from bundle.preprocess import FEATURES, InputSpec
from bundle.training import Data, Record, Split
from quantize.config import Gates, Settings
from quantize.gates import Finding
from quantize.validation import HeldOut, Shipped, record_bytes, validation_record

RECORD = Record(
    schema_version=2,
    created="2026-11-23T12:00:00Z",
    name="run",
    labels=("a", "b", "c"),
    input=InputSpec(),
    features=FEATURES,
    data=Data("0" * 64, 3),
    split=Split(("0",), ("1",), ("2",)),
    members=(),
)
FILES = ("members/01.tflite", "members/02.tflite")


def sure(*rows: tuple[int, ...]) -> np.ndarray:
    """(N, M, 3) scores: 0.8 for the class that the member names, 0.1 for the others."""
    return (np.eye(3, dtype=np.float32)[np.array(rows)] * 0.7 + 0.1).astype(np.float32)


# Of four images the two .tflite members agree on three; on the last each goes its own way.
VALIDATION = HeldOut(
    truth=np.array([0, 0, 1, 2], np.int32),
    keras=sure((0, 0, 1, 2), (0, 1, 1, 2)),
    tflite=sure((0, 1, 1, 2), (0, 1, 1, 0)),
)
EMPTY = HeldOut(np.empty(0, np.int32), np.empty((2, 0, 3), np.float32), np.empty((2, 0, 3), np.float32))


SHIPPED = [Shipped("members/01.tflite", "int8", ("stem",)), Shipped("members/02.tflite", "int8", ())]
ORDER = Order((1, 0), (1.0, 0.75), 350.0)
FINDING = Finding("vote drop", "validation", "ensemble", None, 4, 1.0, 0.5, 0.5, 0.005)


def record(settings: Settings, test: HeldOut = EMPTY) -> dict:
    return validation_record(RECORD, settings, 52, "bundle's name", SHIPPED, VALIDATION, test, [FINDING], ORDER)


def test_the_head_says_what_was_done():
    made = record(Settings(vote=VoteRule(min_votes=2)))
    assert {key: made[key] for key in ("schema_version", "name", "created", "labels", "vote", "quantised")} == {
        "schema_version": 2,
        "name": "bundle's name",
        "created": "2026-11-23T12:00:00Z",
        "labels": ["a", "b", "c"],
        "vote": {"rule": "hard", "tie": "mean_score", "min_votes": 2},
        "quantised": {
            "scheme": "int8",
            "members": (),
            "representative_images": 52,
            "seed": 1,
            "max_layers_in_float": 8,
            "gates": dataclasses.asdict(Gates()),
        },
    }


def test_the_confusion_counts_are_of_the_tflite_members_by_the_bundles_own_vote():
    assert record(Settings(vote=VoteRule(min_votes=2)))["confusion"] == [[1, 1, 0, 0], [0, 1, 0, 0], [0, 0, 0, 1]]
    assert record(Settings())["confusion"] == [[1, 1, 0, 0], [0, 1, 0, 0], [1, 0, 0, 0]]  # a tie goes to class 0


def test_a_class_says_nothing_of_what_has_no_image_or_no_verdict():
    made = validation_record(
        dataclasses.replace(RECORD, labels=("a", "b", "c", "d")),
        Settings(),
        52,
        "x",
        SHIPPED[:1],
        HeldOut(np.array([0, 1], np.int32), *[np.eye(4, dtype=np.float32)[None, [0, 2]]] * 2),
        HeldOut(np.empty(0, np.int32), *[np.empty((1, 0, 4), np.float32)] * 2),
        [],
        Order((0,), (1.0,), 100.0),
    )
    assert made["classes"] == [
        {"label": "a", "support": 1, "recall": 1.0, "precision": 1.0, "f1": 1.0},
        {"label": "b", "support": 1, "recall": 0.0, "precision": None, "f1": 0.0},
        {"label": "c", "support": 0, "recall": None, "precision": 0.0, "f1": 0.0},
        {"label": "d", "support": 0, "recall": None, "precision": None, "f1": None},
    ]


def test_the_classes_follow_from_the_confusion_counts():
    made = record(Settings(vote=VoteRule(min_votes=2)))
    assert made["classes"] == [
        {"label": "a", "support": 2, "recall": 0.5, "precision": 1.0, "f1": 0.666667},
        {"label": "b", "support": 1, "recall": 1.0, "precision": 0.5, "f1": 0.666667},
        {"label": "c", "support": 1, "recall": 0.0, "precision": None, "f1": 0.0},
    ]


def test_members_and_votes_are_scored_as_keras_and_as_tflite():
    part = record(Settings())["validation"]
    assert part["images"] == 4
    assert [(m["file"], m["keras"]["accuracy"], m["tflite"]["accuracy"], m["agreement"]) for m in part["members"]] == [
        ("members/01.tflite", 1.0, 0.75, 0.75),
        ("members/02.tflite", 0.75, 0.5, 0.75),
    ]
    assert part["hard"]["keras"]["accuracy"] == 1.0
    assert part["hard"]["tflite"] == part["soft"]["tflite"]
    assert part["hard"]["tflite"] == {
        "images": 4,
        "accuracy": 0.5,
        "balanced_accuracy": 0.5,
        "macro_f1": pytest.approx(7 / 18, abs=1e-6),
        "count_error": 0.25,  # of a, b, c there are 2, 1, 1 and 2, 2, 0 are counted
    }


def test_the_test_split_is_reported_in_the_same_way_or_is_null():
    assert record(Settings())["test"] is None
    made = record(Settings(), test=VALIDATION)
    assert made["test"] == made["validation"]


def test_verdicts_by_score_and_by_votes_count_every_image_once():
    made = record(Settings(vote=VoteRule(min_votes=2)))
    assert made["by_votes"] == [
        {"votes": 1, "images": 1, "accuracy": 0.0},
        {"votes": 2, "images": 3, "accuracy": 0.666667},
    ]
    assert made["by_score"] == [
        {"from": 0.4, "to": 0.5, "images": 1, "mean_score": 0.45, "accuracy": 0.0},
        {"from": 0.8, "to": 0.9, "images": 3, "mean_score": 0.8, "accuracy": 0.666667},
    ]


def test_a_score_of_one_falls_into_the_last_bin():
    certain = HeldOut(np.array([0], np.int32), *[np.array([[[1, 0, 0]]], np.float32)] * 2)
    made = validation_record(RECORD, Settings(), 1, "x", SHIPPED[:1], certain, EMPTY, [], Order((0,), (1.0,), 100.0))
    assert made["by_score"] == [{"from": 0.9, "to": 1.0, "images": 1, "mean_score": 1.0, "accuracy": 1.0}]


def test_the_record_says_how_each_member_ships_and_which_gates_were_held_against_it():
    made = record(Settings())
    assert made["members"] == [
        {"file": "members/01.tflite", "scheme": "int8", "in_float": ("stem",)},
        {"file": "members/02.tflite", "scheme": "int8", "in_float": ()},
    ]
    assert made["gates"] == [
        {
            "gate": "vote drop",
            "part": "validation",
            "subject": "ensemble",
            "label": None,
            "images": 4,
            "before": 1.0,
            "after": 0.5,
            "found": 0.5,
            "limit": 0.005,
            "changed": 0,
            "passed": False,
        }
    ]


def test_the_verdicts_stand_in_the_order_of_the_images_with_min_votes():
    made = record(Settings(vote=VoteRule(min_votes=2)), test=VALIDATION)
    assert made["verdicts"] == {"validation": [0, 1, 1, -1], "test": [0, 1, 1, -1]}
    assert record(Settings())["verdicts"]["test"] is None


def test_a_temperature_takes_away_the_confidence_that_the_verdicts_do_not_deserve():
    made = record(Settings())["calibration"]
    assert made["images"] == 4
    assert [entry["file"] for entry in made["members"]] == list(FILES)
    for entry in (made["ensemble"], *made["members"]):
        assert entry["temperature"] > 1  # sure of 0.8, and right in a half to three quarters
        assert entry["log_loss_calibrated"] < entry["log_loss"]
    assert made["members"][0]["log_loss"] == pytest.approx(-(3 * np.log(0.8) + np.log(0.1)) / 4, abs=1e-6)


def test_the_file_has_one_line_for_each_row_of_a_table_and_reads_back_the_same():
    made = record(Settings(vote=VoteRule(min_votes=2)), test=VALIDATION)
    data = record_bytes(made)
    assert json.loads(data) == json.loads(json.dumps(made))
    lines = [line.strip().rstrip(",") for line in data.decode().splitlines()]
    assert [line for line in lines if line.startswith("[1")] == ["[1, 1, 0, 0]"]
    assert '{"label": "b", "support": 1, "recall": 1.0, "precision": 0.5, "f1": 0.666667}' in lines
    assert data.endswith(b"}\n")


@pytest.mark.parametrize("value", [{}, {"a": []}, {"a": {"b": [1, "ü"]}, "c": [[], [{}]]}])
def test_any_record_reads_back_the_same(value):
    assert json.loads(record_bytes(value)) == value


def test_the_ballots_and_the_order_found_from_them_are_told():
    made = record(Settings())
    assert made["ballots"] == [[0, 1, 1, 2], [0, 1, 1, 0]]
    assert made["turns"] == {"order": [1, 0], "asked": [1.0, 0.75], "multiply_adds": 350}
