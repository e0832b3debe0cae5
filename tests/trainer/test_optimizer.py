"""The optimizer on real variables: who moves, how fast, and who decays."""

import keras
import numpy as np
import pytest

from trainer.config import MemberRun, Network
from trainer.network.architectures import build
from trainer.optimizer import optimizer_for

FEATURES = np.random.default_rng(0).normal(3.0, 2.0, (50, 8)).astype(np.float32)
STEPS = 10


def moved(member: MemberRun, steps: int, gradient: float = 1.0) -> dict[str, float]:
    """How far a convolution's kernel, a norm's scale and the last layer's kernel went in the last of `steps` steps."""
    model = build(member.network, 16, 3, FEATURES, "a")
    optimizer = optimizer_for(member, STEPS)
    names = {"stem_conv/kernel": "backbone", "stem_norm/gamma": "norm", "logits/kernel": "head"}
    before: dict[str, np.ndarray] = {}
    for _ in range(steps):
        before = {v.path: keras.ops.convert_to_numpy(v).copy() for v in model.trainable_variables}
        optimizer.apply(
            [keras.ops.full(v.shape, gradient) for v in model.trainable_variables], model.trainable_variables
        )
    after = {v.path: keras.ops.convert_to_numpy(v) for v in model.trainable_variables}
    return {name: float(np.abs(after[path] - before[path]).max()) for path, name in names.items()}


def member(**settings: float) -> MemberRun:
    return MemberRun("a", 10, 1, Network("residual_cnn", (4,), (1,)), **{"weight_decay": 0.0, **settings})


def test_for_the_first_epochs_only_the_head_learns():
    first = moved(member(head_epochs=0.5, backbone_rate=0.1), steps=5)
    assert first["backbone"] == first["norm"] == 0
    assert first["head"] > 0
    assert moved(member(head_epochs=0.5, backbone_rate=0.1), steps=6)["backbone"] > 0


def test_the_backbone_learns_at_its_share_of_the_rate():
    whole, tenth = moved(member(), steps=1), moved(member(backbone_rate=0.1), steps=1)
    assert tenth["head"] == pytest.approx(whole["head"])
    assert tenth["backbone"] == pytest.approx(whole["backbone"] / 10, rel=1e-4)


def test_only_kernels_decay():
    still = moved(member(weight_decay=0.5), steps=3, gradient=0.0)
    assert still["norm"] == 0
    assert still["backbone"] > 0
    assert still["head"] > 0


def test_the_rate_rises_through_the_warm_up_and_falls_to_nothing():
    rate = optimizer_for(member(learning_rate=0.2, warmup_epochs=1.0), STEPS)._learning_rate
    rates = [float(rate(step)) for step in range(101)]
    assert rates[0] == pytest.approx(0.002)
    assert max(rates) == rates[10] == pytest.approx(0.2)
    assert rates[100] == pytest.approx(0.0, abs=1e-9)
    assert rates[10:] == sorted(rates[10:], reverse=True)
