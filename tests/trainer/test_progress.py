"""What a person reads while a member trains, and when it ends early."""

import math

import pytest

from bundle.pace import spelled
from trainer.progress import Progress, no_longer_falls


class Model:
    stop_training = False


def progress(stop_after: int = 0, epochs: int = 3) -> tuple[Progress, list[str], Model]:
    said: list[str] = []
    clock = iter(float(second) for second in range(1000))
    made = Progress("a", epochs, 10, 32, stop_after, [], said.append, lambda: next(clock))
    model = Model()
    made.set_model(model)
    return made, said, model


def epoch(made: Progress, number: int, val_loss: float) -> None:
    made.on_epoch_begin(number)
    made.on_test_begin()
    made.on_epoch_end(number, {"loss": 1.25, "accuracy": 0.5, "val_loss": val_loss, "val_accuracy": 0.25})


def test_a_line_an_epoch_says_how_good_how_fast_and_how_long_still():
    made, said, _ = progress()
    epoch(made, 0, 1.0)
    assert said == ["a  epoch 1/3  loss 1.250  train 50.0%  validation 25.0%  320 images/s  4 s left"]
    assert made.history == [{"epoch": 1, "loss": 1.25, "accuracy": 0.5, "val_loss": 1.0, "val_accuracy": 0.25}]


def test_a_loss_that_is_no_number_stops_with_its_epoch_and_step():
    made, _, model = progress()
    epoch(made, 0, 1.0)
    made.on_epoch_begin(1)
    made.on_train_batch_end(3, {"loss": 1.0})
    assert not model.stop_training
    made.on_train_batch_end(4, {"loss": math.nan})
    made.on_train_batch_end(5, {"loss": math.nan})
    assert model.stop_training
    assert made.diverged_at == (2, 5)


def test_training_ends_when_the_validation_loss_no_longer_falls():
    made, said, model = progress(stop_after=2, epochs=10)
    for number, loss in enumerate([0.9, 0.7, 0.8]):
        epoch(made, number, loss)
        assert not model.stop_training
    epoch(made, 3, 0.75)
    assert model.stop_training
    assert said[-1] == "a: the validation loss has not fallen for 2 epochs; finished early"


def test_without_patience_it_never_ends_early():
    history = [{"val_loss": float(loss)} for loss in range(20)]
    assert not no_longer_falls(history, 0)
    assert no_longer_falls(history, 5)
    assert not no_longer_falls([], 5)


@pytest.mark.parametrize(("seconds", "text"), [(45, "45 s"), (720, "12 min"), (11100, "3 h 05 min")])
def test_durations_are_spelled_as_a_person_says_them(seconds: float, text: str):
    assert spelled(seconds) == text
