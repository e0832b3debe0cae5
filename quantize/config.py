"""How members are quantised and when the result is refused: one TOML file, read once; without one, the defaults here."""

from __future__ import annotations

import dataclasses
import difflib
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from bundle.errors import BadConfig
from bundle.manifest import Scheme, VoteRule
from bundle.settings import read_settings


@dataclass(frozen=True)
class MemberScheme:
    """A member that is quantised otherwise than the rest."""

    name: str  # as the run's file has it, without .keras: "01-residual-a"
    scheme: Scheme


@dataclass(frozen=True)
class Gates:
    """What quantising may cost, held against the validation images and then against the test images. Shares, 0..1.

    All are of the quantised model against its Keras original on the same images. One image is always allowed.
    """

    max_accuracy_drop: float = 0.01  # of a member's top-1 accuracy
    max_disagreement: float = 0.05  # images on which a member and its original name different classes
    max_recall_drop: float = 0.1  # of a member's recall of any class with at least class_images images in the part
    class_images: int = 30
    max_vote_drop: float = 0.005  # of the ensemble's top-1 accuracy by the bundle's vote rule
    max_count_error_rise: float = 0.01  # of the ensemble's count error (Bray-Curtis between true and predicted counts)
    max_record_difference: float = (
        0.01  # Keras here against Keras in training.json: are labels and weights those trained?
    )

    def __post_init__(self) -> None:
        for limit in dataclasses.fields(self):
            if limit.name != "class_images" and not 0 <= getattr(self, limit.name) <= 1:
                raise BadConfig(f"{limit.name} is a share and must be from 0 to 1, found {getattr(self, limit.name)}")
        if self.class_images < 1:
            raise BadConfig(f"class_images must be at least 1, found {self.class_images}")


@dataclass(frozen=True)
class Settings:
    """The contents of quantize.toml; every key may be left out."""

    scheme: Scheme = "int8"  # of every member that `members` does not name
    members: tuple[MemberScheme, ...] = ()
    representative_images: int = 1000  # training images whose activations set the integer ranges
    seed: int = 1  # which training images those are
    max_layers_in_float: int = 8  # convolutions that int8 may leave in float32 until the gates hold; 0: never any
    compare: tuple[Scheme, ...] = ("int8", "dynamic", "float16", "float32")  # also made and measured, for the report
    gates: Gates = field(default_factory=Gates)
    vote: VoteRule = field(default_factory=VoteRule)  # goes into the bundle

    def __post_init__(self) -> None:
        if self.representative_images < 1:
            raise BadConfig(f"representative_images must be at least 1, found {self.representative_images}")
        if self.max_layers_in_float < 0:
            raise BadConfig(f"max_layers_in_float must be 0 or more, found {self.max_layers_in_float}")
        if self.vote.min_votes < 1:
            raise BadConfig(f"vote.min_votes must be at least 1, found {self.vote.min_votes}")
        names = [member.name for member in self.members]
        for name in names:
            if names.count(name) > 1:
                raise BadConfig(f"members: '{name}' has two schemes; leave one")

    def scheme_of(self, member: str) -> Scheme:
        """The scheme of the member with this name."""
        return next((each.scheme for each in self.members if each.name == member), self.scheme)

    def require_members(self, names: Sequence[str]) -> None:
        """Raises BadConfig unless the run has all members that the settings name, and enough to vote."""
        for member in self.members:
            if member.name not in names:
                near = difflib.get_close_matches(member.name, names, n=1, cutoff=0.4)
                remedy = f"did you mean '{near[0]}'?" if near else f"it has {', '.join(names)}"
                raise BadConfig(f"members: the run has no member '{member.name}'; {remedy}")
        if self.vote.min_votes > len(names):
            raise BadConfig(
                f"vote.min_votes is {self.vote.min_votes}, but the run has {len(names)} members; set it from 1 to that"
            )


def read_config(path: Path | None, scheme: Scheme | None = None) -> Settings:
    """The settings in the TOML file `path`, or the defaults. Raises BadConfig.

    `scheme`, where given, is that of every member, whatever the file says.
    """
    settings = read_settings(path, Settings) if path else Settings()
    return dataclasses.replace(settings, scheme=scheme, members=()) if scheme else settings
