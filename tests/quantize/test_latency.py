from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from bundle.errors import BadBundle
from bundle.preprocess import FEATURES, Inputs
from quantize.latency import BATCHES, ROUNDS, measure_latencies

TINY = Path(__file__).parents[1] / "data" / "tiny-3" / "members"
MODELS = {name: (TINY / f"{name}.tflite").read_bytes() for name in ("01-tiny", "02-tiny", "03-tiny")}


class Clock:
    """Moves on by `step` seconds each time it is read, and by a little more from one reading to the next."""

    def __init__(self, step: float, growth: float = 1.0) -> None:
        self.now, self.step, self.growth = 0.0, step, growth

    def __call__(self) -> float:
        self.now += self.step
        self.step *= self.growth
        return self.now


def measured(clock, cores=2, models=MODELS, images=3, bound_seconds=1e9):
    said: list[str] = []
    pixels = {side: np.full((images, side, side), 200, np.uint8) for side in (16, 24)}
    inputs = Inputs(pixels, np.zeros((images, len(FEATURES)), np.float32))
    return measure_latencies(models, inputs, said.append, bound_seconds, cores, clock), said


def settings_of(latencies):
    return [(each.threads, each.batch) for each in latencies]


def test_each_model_is_timed_with_one_and_with_all_threads_in_every_batch_per_image():
    found, _ = measured(Clock(0.001))
    assert list(found) == list(MODELS)
    for latencies in found.values():
        assert settings_of(latencies) == [(threads, batch) for threads in (1, 2) for batch in BATCHES]
        assert [each.milliseconds for each in latencies] == pytest.approx(
            [1 / batch for batch in BATCHES] * 2, abs=1e-4
        )


def test_with_one_core_there_is_nothing_to_compare_threads_with():
    found, said = measured(Clock(0.001), cores=1)
    assert settings_of(found["01-tiny"]) == [(1, batch) for batch in BATCHES]
    assert said[0].startswith("timing 3 models with 1 thread,")


def test_batches_that_would_take_a_slow_model_more_than_a_second_are_left_out():
    found, _ = measured(Clock(0.2))  # seconds that every run takes by this clock
    assert settings_of(found["01-tiny"]) == [(1, 1), (1, 2), (1, 4), (2, 1), (2, 2), (2, 4)]


def test_one_image_is_timed_however_long_it_takes():
    found, _ = measured(Clock(5.0))
    assert [(each.threads, each.batch, each.milliseconds) for each in found["02-tiny"]] == [(1, 1, 5e3), (2, 1, 5e3)]


def test_a_machine_that_becomes_slower_and_slower_slows_all_models_alike():
    """By this clock the last run takes thirty times as long as the first; one model after the other would show that."""
    found, _ = measured(Clock(0.001, growth=10 ** (1 / 26000)))
    medians = [next(each.milliseconds for each in latencies if each.batch == 32) for latencies in found.values()]
    assert max(medians) < 1.1 * min(medians)


def test_no_round_begins_that_would_go_beyond_the_bound_and_the_first_is_finished():
    found, said = measured(Clock(0.001), bound_seconds=0.0)
    assert settings_of(found["03-tiny"]) == [(threads, batch) for threads in (1, 2) for batch in BATCHES]
    assert said[-1].startswith(f"  1 of at most {ROUNDS} rounds")
    _, said = measured(Clock(0.001))
    assert said[-1].startswith(f"  {ROUNDS} of at most {ROUNDS} rounds")


def test_a_model_that_cannot_be_loaded_is_named():
    with pytest.raises(BadBundle, match=r"^03-ruined: "):
        measured(Clock(0.001), models={"03-ruined": b"no model"})
