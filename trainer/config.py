"""A training run: one TOML file, read once into frozen dataclasses that refuse to be wrong."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from bundle.errors import BadConfig
from bundle.preprocess import InputSpec
from bundle.settings import read_settings


@dataclass(frozen=True)
class Shares:
    """How the images are divided; the rest is for training."""

    validation: float = 0.1  # share of images, 0..1
    test: float = 0.1  # share of images, 0..1

    def __post_init__(self) -> None:
        for name in ("validation", "test"):
            if not 0.01 <= getattr(self, name) <= 0.5:
                raise BadConfig(f"{name} must be from 0.01 to 0.5, found {getattr(self, name)}")
        if self.validation + self.test > 0.8:
            raise BadConfig("validation and test together leave less than a fifth for training; make them smaller")


@dataclass(frozen=True)
class Augmentation:
    """One random affine warp per image and epoch, and now and then a blur. Ranges are symmetric; 0 or 1 turns one off."""

    rotation_degrees: float = 180.0  # plus or minus; 180 is the full circle
    zoom: float = 1.25  # factor, from 1/zoom to zoom
    stretch: float = 1.2  # factor between the axes, from 1/stretch to stretch
    shear_degrees: float = 10.0
    shift: float = 0.06  # share of the side
    mirror: bool = True
    blur_chance: float = 0.1  # share of images
    blur_sigma: float = 1.0  # pixels at most

    def __post_init__(self) -> None:
        if self.zoom < 1 or self.stretch < 1:
            raise BadConfig("zoom and stretch are factors of at least 1 (1 turns them off)")
        for name in ("rotation_degrees", "shear_degrees", "shift", "blur_chance", "blur_sigma"):
            if getattr(self, name) < 0:
                raise BadConfig(f"{name} must not be negative")
        if self.shear_degrees > 45:
            raise BadConfig("shear_degrees above 45 leaves nothing to recognise")


@dataclass(frozen=True)
class MemberRun:
    """One member: its network and how it is trained. `docs/training.md` says what each setting is for."""

    name: str
    architecture: Literal["simple_cnn", "residual_cnn"]
    epochs: int
    seed: int
    widths: tuple[int, ...] = (32, 64, 128, 256)  # channels of each stage
    blocks: tuple[int, ...] = (1, 2, 2, 2)  # residual blocks of each stage; simple_cnn has one convolution a stage
    feature_units: int = 32  # width of the layer that takes the image features
    dropout: float = 0.2
    batch: int = 128  # images
    learning_rate: float = 0.1  # the peak, after a warm-up and before a cosine decay to 0
    warmup_epochs: float = 1.0
    weight_decay: float = 0.005  # decoupled: a step takes learning_rate * weight_decay of each kernel
    label_smoothing: float = 0.1
    class_weight_power: float = 0.0  # weights ~ (images of the class) ^ -power: 0 none, 1 inverse frequency
    start_from: str | None = None  # a .keras file of the same architecture whose weights are the beginning
    precision: Literal["float32", "mixed_bfloat16", "mixed_float16"] = "float32"
    augmentation: Augmentation = field(default_factory=Augmentation)

    def __post_init__(self) -> None:
        if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]*", self.name):
            raise BadConfig(f"name '{self.name}' becomes a file name: use letters, digits, '.', '_' and '-'")
        if len(self.widths) != len(self.blocks) or not self.widths or min(self.widths + self.blocks) < 1:
            raise BadConfig("widths and blocks must be equally long lists of positive numbers")
        for key in ("epochs", "batch", "feature_units"):
            if getattr(self, key) < 1:
                raise BadConfig(f"{key} must be at least 1")
        for key in ("dropout", "label_smoothing", "class_weight_power"):
            if not 0 <= getattr(self, key) <= 1:
                raise BadConfig(f"{key} must be from 0 to 1")
        if self.learning_rate <= 0 or self.warmup_epochs < 0 or self.weight_decay < 0:
            raise BadConfig("learning_rate must be positive, warmup_epochs and weight_decay not negative")


@dataclass(frozen=True)
class Run:
    """A whole run: the data's division, the input that all members share, and the members."""

    name: str
    members: tuple[MemberRun, ...]
    input: InputSpec = field(default_factory=InputSpec)
    split: Shares = field(default_factory=Shares)

    def __post_init__(self) -> None:
        names = [member.name for member in self.members]
        if not names:
            raise BadConfig("a run needs at least one [[members]] table")
        if len(set(names)) != len(names):
            raise BadConfig("two members have the same name; give each its own")


def read_run(path: Path) -> Run:
    """The run in the TOML file `path`. Raises BadConfig."""
    return read_settings(path, Run)
