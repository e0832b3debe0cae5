"""Automatic mixed precision: which convolutions stay in float32 where int8 throughout costs too much.

In float32, not in float16 or int16: an interpreter expands float16 weights to float32 before it computes, and the int16
kernels of LiteRT are the reference ones, 80 times slower than int8 (docs/decisions/0006-gates-and-mixed-precision.md).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence, Set
from dataclasses import dataclass
from typing import Generic, TypeVar

import numpy as np
from numpy.typing import NDArray

from bundle.ensemble import MemberModel
from bundle.graph import convolutions, operators, trunk

RANKING_IMAGES = 128  # each costs one run of the graph for every convolution

T = TypeVar("T")


@dataclass(frozen=True)
class Attempt(Generic[T]):
    """What came of leaving some convolutions in float32."""

    in_float: tuple[str, ...]  # their output tensors, the most harmful first
    result: T
    passed: bool


def search(
    attempt: Callable[[Set[str]], tuple[T, bool]], ranked: Callable[[], Sequence[str]], limit: int
) -> Attempt[T]:
    """The first attempt that passes with none, 1, 2, 4 … of the most harmful convolutions in float32; else the last.

    ranked: the convolutions, the most harmful first; asked for only where int8 throughout fails. limit: the most that may
    stay in float32.
    """
    result, passed = attempt(frozenset())
    tried = Attempt((), result, passed)
    if passed or limit == 0:
        return tried
    order = ranked()[:limit]
    count = 1
    while not tried.passed and len(tried.in_float) < len(order):
        chosen = tuple(order[:count])
        tried = Attempt(chosen, *attempt(frozenset(chosen)))
        count *= 2
    return tried


def rank_layers(
    calibrated: bytes,
    quantised_without: Callable[[Set[str]], bytes],
    pixels: NDArray[np.uint8],
    features: NDArray[np.float32],
) -> list[str]:
    """The output tensors of all convolutions, the one that harms the scores most first.

    Each is made integer alone, all others staying in float32, and the harm is how far the scores then move: the mean over
    images of half the sum of |difference|, which is the share of the score mass that changed its class. calibrated: the
    graph in float32. quantised_without: the model with all tensors of the trunk in integers but those given. pixels
    (M, S, S), features (M, F): of which RANKING_IMAGES are looked at.
    """
    chosen = np.unique(np.linspace(0, len(pixels) - 1, RANKING_IMAGES).astype(int))
    images = np.asarray(pixels[chosen]), np.asarray(features[chosen])
    graph = operators(calibrated)
    inside = trunk(graph)
    names = [operator.outputs[0].name for operator in convolutions(graph)]
    wanted = MemberModel(calibrated, "the calibrated graph").scores(*images)
    harm = {}
    for name in names:
        alone = MemberModel(quantised_without(inside - {name}), name).scores(*images)
        harm[name] = float(np.abs(alone - wanted).sum(axis=1).mean() / 2)
    return sorted(names, key=lambda name: -harm[name])
