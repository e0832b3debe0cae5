"""How long models take for an image: medians of interleaved runs, through the very code that the camera host runs."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from statistics import median

import numpy as np

from bundle.ensemble import MemberModel
from bundle.machine import usable_cores
from bundle.pace import Say, spelled
from bundle.preprocess import Inputs
from quantize.comparison import Latency

BATCHES = (1, 2, 4, 8, 16, 32)
ROUNDS = 9
LONGEST_RUN = 1.0  # seconds of one batch; int16x8 has no fast kernels, and a batch of 32 would take 2 s and say nothing
VISIT = 0.05  # seconds of runs, at least one, that a setting is given each time its turn comes
MOST_RUNS = 20  # a turn

Clock = Callable[[], float]
Samples = dict[tuple[int, int], list[float]]  # (threads, batch): seconds of each run


def measure_latencies(
    models: Mapping[str, bytes],
    images: Inputs,
    say: Say,
    bound_seconds: float = 300.0,
    cores: int | None = None,
    clock: Clock = time.perf_counter,
) -> dict[str, tuple[Latency, ...]]:
    """The latencies of each named .tflite model with one thread and with `cores` threads, in batches of BATCHES images.

    images: M >= 1, at every model's side; they are repeated where M is less than a batch. In each round
    every model has its turn in every setting, so that whatever slows the machine for a while slows all alike, and the
    order turns round from one round to the next. No round begins that would probably go beyond `bound_seconds`; the
    first is always finished. A model is loaded for its turn only, so memory does not grow with their number. A batch that
    would take a model longer than LONGEST_RUN is left out. Raises BadBundle for a model that cannot be loaded.
    """
    threads = sorted({1, cores or usable_cores()})
    shown = images.at(np.arange(max(BATCHES)) % len(images))
    names = list(models)
    samples: dict[str, Samples] = {name: {} for name in names}
    say(f"timing {len(names)} models with {_spelled(threads)}, for at most {spelled(bound_seconds)}")
    began = clock()
    rounds = 0
    for rounds in range(1, ROUNDS + 1):
        round_began = clock()
        for name in names if rounds % 2 else names[::-1]:
            _take_turn(models[name], name, threads, shown, samples[name], clock)
        now = clock()
        if rounds == 1:
            say(f"  a round takes {spelled(now - round_began)}")
        if now + (now - round_began) > began + bound_seconds:
            break
    say(f"  {rounds} of at most {ROUNDS} rounds in {spelled(clock() - began)}")
    return {name: _latencies(of) for name, of in samples.items()}


def _take_turn(
    model: bytes,
    name: str,
    threads: Sequence[int],
    images: Inputs,
    samples: Samples,
    clock: Clock,
) -> None:
    """Adds the runs of one turn to `samples`. The first decides, by its fastest run, which batches suit the model."""
    for count in threads:
        member = MemberModel(model, name, count)
        known = [batch for threads_of, batch in samples if threads_of == count]
        for batch in known or BATCHES:
            if not known and batch > 1 and batch * min(samples[count, 1]) > LONGEST_RUN:
                break
            runs = _runs(member, images.at(slice(batch)), clock)
            samples.setdefault((count, batch), []).extend(runs)


def _runs(member: MemberModel, batch: Inputs, clock: Clock) -> Iterator[float]:
    """Seconds of each run, after one that is not counted: a new batch size makes the interpreter plan anew."""
    pixels, features = batch.pixels[member.side], batch.features
    member.scores(pixels, features)
    spent, runs = 0.0, 0
    while runs == 0 or (spent < VISIT and runs < MOST_RUNS):
        began = clock()
        member.scores(pixels, features)
        seconds = clock() - began
        spent, runs = spent + seconds, runs + 1
        yield seconds


def _spelled(threads: Sequence[int]) -> str:
    return "1 thread" if len(threads) == 1 else f"1 and {threads[1]} threads"


def _latencies(samples: Samples) -> tuple[Latency, ...]:
    return tuple(
        Latency(threads, batch, round(1000 * median(seconds) / batch, 4))
        for (threads, batch), seconds in sorted(samples.items())
    )
