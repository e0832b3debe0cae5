"""How members are quantised and when the result is refused: one TOML file, read once; without one, the defaults here."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from bundle.errors import BadConfig
from bundle.manifest import VoteRule
from bundle.settings import read_settings

Scheme = Literal["int8", "float32"]


@dataclass(frozen=True)
class Settings:
    """The contents of quantize.toml; every key may be left out."""

    scheme: Scheme = "int8"  # int8: integer convolutions, float head; float32: as trained, the baseline
    representative_images: int = 1000  # training images whose activations set the int8 ranges
    seed: int = 1  # which training images those are
    max_accuracy_drop: float = (
        0.01  # share of validation images, 0..1, that a member may lose against its Keras original
    )
    min_agreement: float = 0.95  # share of validation images, 0..1, on which the two must name the same class
    vote: VoteRule = field(default_factory=VoteRule)  # goes into the bundle

    def __post_init__(self) -> None:
        if self.representative_images < 1:
            raise BadConfig(f"representative_images must be at least 1, found {self.representative_images}")
        for name in ("max_accuracy_drop", "min_agreement"):
            if not 0 <= getattr(self, name) <= 1:
                raise BadConfig(f"{name} is a share and must be from 0 to 1, found {getattr(self, name)}")
        if self.vote.min_votes < 1:
            raise BadConfig(f"vote.min_votes must be at least 1, found {self.vote.min_votes}")


def read_config(path: Path | None, scheme: Scheme | None = None) -> Settings:
    """The settings in the TOML file `path`, or the defaults; `scheme`, where given, takes precedence. Raises BadConfig."""
    settings = read_settings(path, Settings) if path else Settings()
    return dataclasses.replace(settings, scheme=scheme) if scheme else settings
