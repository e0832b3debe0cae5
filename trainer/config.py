"""A training run: one TOML file, read once into frozen dataclasses that refuse to be wrong."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from bundle.errors import BadConfig
from bundle.preprocess import InputSpec, check_side
from bundle.settings import read_settings


@dataclass(frozen=True)
class Shares:
    """How the images are divided; the rest is for training."""

    validation: float = 0.1  # share of images, 0..1
    test: float = 0.1  # share of images, 0..1
    released: float = 0.0  # share of the validation images that train after all, for a last run when all is decided

    def __post_init__(self) -> None:
        if not 0 <= self.released <= 0.95:
            raise BadConfig(
                f"released must be from 0 to 0.95, found {self.released}; some images must tell how it went"
            )
        for name in ("validation", "test"):
            if not 0.01 <= getattr(self, name) <= 0.5:
                raise BadConfig(f"{name} must be from 0.01 to 0.5, found {getattr(self, name)}")
        if self.validation + self.test > 0.8:
            raise BadConfig("validation and test together leave less than a fifth for training; make them smaller")


@dataclass(frozen=True)
class Augmentation:
    """One random affine warp per image and epoch, then blur, intensity and noise. Ranges are symmetric; 0 or 1 turns one off."""

    rotation_degrees: float = 180.0  # plus or minus; 180 is the full circle
    zoom: float = 1.25  # factor, from 1/zoom to zoom
    stretch: float = 1.2  # factor between the axes, from 1/stretch to stretch
    shear_degrees: float = 10.0
    shift: float = 0.06  # share of the side
    mirror: bool = True
    blur_chance: float = 0.1  # share of images
    blur_sigma: float = 1.0  # pixels at most
    intensity: float = 1.0  # factor of the ink, from 1/intensity to intensity
    noise_chance: float = 0.0  # share of images
    noise_sigma: float = 4.0  # grey levels at most

    def __post_init__(self) -> None:
        if min(self.zoom, self.stretch, self.intensity) < 1:
            raise BadConfig("zoom, stretch and intensity are factors of at least 1 (1 turns them off)")
        for name in ("rotation_degrees", "shear_degrees", "shift", "blur_sigma", "noise_sigma"):
            if getattr(self, name) < 0:
                raise BadConfig(f"{name} must not be negative")
        for name in ("blur_chance", "noise_chance"):
            if not 0 <= getattr(self, name) <= 1:
                raise BadConfig(f"{name} must be from 0 to 1")
        if self.shear_degrees > 45:
            raise BadConfig("shear_degrees above 45 leaves nothing to recognise")


@dataclass(frozen=True)
class Network:
    """What is trained. `docs/training.md` says which architecture to take when."""

    architecture: str  # simple_cnn, residual_cnn, efficientnet_lite0 to 4, or a class of keras.applications
    widths: tuple[int, ...] = (32, 64, 128, 256)  # channels of each stage; our own networks only
    blocks: tuple[int, ...] = (1, 2, 2, 2)  # residual blocks of each stage; simple_cnn has one convolution a stage
    weights: str | None = None  # of a known backbone: "imagenet" (Keras downloads them) or a local file; None: random
    feature_units: int = 32  # width of the layer that takes the image features; 0 leaves them out
    dropout: float = 0.2  # before the last layer

    def __post_init__(self) -> None:
        if len(self.widths) != len(self.blocks) or not self.widths or min(self.widths + self.blocks) < 1:
            raise BadConfig("widths and blocks must be equally long lists of positive numbers")
        if self.feature_units < 0:
            raise BadConfig("feature_units must not be negative (0 leaves the features out)")
        if not 0 <= self.dropout < 1:
            raise BadConfig("dropout must be from 0 to below 1")


@dataclass(frozen=True)
class Imbalance:
    """What is done for the rare classes: weights in the loss, more frequent drawing, or a margin in the logits."""

    class_weights: Literal["none", "inverse", "effective"] = "none"
    power: float = 1.0  # of "inverse": a class of n images weighs n^-power
    beta: float = 0.999  # of "effective": (1 - beta) / (1 - beta^n) (Cui et al. 2019)
    balanced_sampling: float = 0.0  # a class of n images is drawn in proportion to n^(1 - this)
    logit_adjustment: float = 0.0  # tau of Menon et al. 2021: the loss sees logits + tau log(share of the class)

    def __post_init__(self) -> None:
        for key in ("power", "balanced_sampling"):
            if not 0 <= getattr(self, key) <= 1:
                raise BadConfig(f"{key} must be from 0 to 1")
        if not 0 <= self.beta < 1:
            raise BadConfig("beta must be from 0 to below 1")
        if not 0 <= self.logit_adjustment <= 2:
            raise BadConfig("logit_adjustment must be from 0 to 2")


@dataclass(frozen=True)
class Teacher:
    """An ensemble whose soft vote on the training images is mixed into the labels (distillation: Hinton et al. 2015)."""

    members: tuple[
        str, ...
    ]  # bundles, or .keras files inside the folders of finished runs, which say how each sees an image
    views: int = 8  # of each image: the plain one and so many less one augmented; their scores are averaged
    share: float = 0.7  # of the teacher in the label, 0..1; the rest is the true class

    def __post_init__(self) -> None:
        if not self.members:
            raise BadConfig("a teacher needs at least one .keras file or bundle in members")
        if self.views < 1:
            raise BadConfig("views must be at least 1")
        if not 0 < self.share <= 1:
            raise BadConfig("share must be above 0 and at most 1")


@dataclass(frozen=True)
class MemberRun:
    """One member: its network and how it is trained. `docs/training.md` says what each setting is for."""

    name: str
    epochs: int
    seed: int
    network: Network
    side: int = 64  # S, pixels: it sees an image as S x S
    batch: int = 128  # images
    learning_rate: float = 0.1  # the peak, after a warm-up and before a cosine decay to 0
    warmup_epochs: float = 1.0
    weight_decay: float = 0.005  # decoupled: a step takes learning_rate * weight_decay of each kernel
    label_smoothing: float = 0.1
    average: float = 0.0  # momentum of a moving average over the weights, such as 0.998; 0: none
    head_epochs: float = 0.0  # so long only the layers after the backbone learn
    backbone_rate: float = 1.0  # the backbone learns at this share of the learning rate afterwards
    stop_after: int = 0  # epochs without a better validation loss after which the member is finished; 0: never
    start_from: str | None = None  # a .keras or .tflite file of the same architecture whose weights are the beginning
    precision: Literal["float32", "mixed_bfloat16", "mixed_float16"] = "float32"
    imbalance: Imbalance = field(default_factory=Imbalance)
    augmentation: Augmentation = field(default_factory=Augmentation)
    teacher: Teacher | None = None

    def __post_init__(self) -> None:
        if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]*", self.name):
            raise BadConfig(f"name '{self.name}' becomes a file name: use letters, digits, '.', '_' and '-'")
        check_side(self.side)
        for key in ("epochs", "batch"):
            if getattr(self, key) < 1:
                raise BadConfig(f"{key} must be at least 1")
        for key in ("label_smoothing", "backbone_rate"):
            if not 0 <= getattr(self, key) <= 1:
                raise BadConfig(f"{key} must be from 0 to 1")
        if not 0 <= self.average < 1:
            raise BadConfig("average must be from 0 to below 1")
        if self.learning_rate <= 0:
            raise BadConfig("learning_rate must be positive")
        for key in ("warmup_epochs", "weight_decay", "head_epochs", "stop_after"):
            if getattr(self, key) < 0:
                raise BadConfig(f"{key} must not be negative")


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
