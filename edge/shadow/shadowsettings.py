"""The table [shadow] of edge.toml: a second classifier that sees the same images, and counts nothing."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path

from edge.setting import about, check_ranges


@dataclass(frozen=True)
class ShadowSettings:
    """Raises BadConfig for a number outside its range."""

    bundle: str = field(
        default="",
        metadata=about(
            "folder, or empty",
            "A second bundle that classifies the same images beside the one that counts. Its verdicts are kept apart and\n"
            "are in no count; `planktow-edge shadow` compares them. Empty: none.",
        ),
    )
    share: float = field(
        default=1.0,
        metadata=about(
            "share",
            "Of all images, those that it sees, chosen by their content. Each costs its own inference: a slow host may\n"
            "want 0.1.",
            least=0,
            most=1,
        ),
    )
    max_waiting: int = field(
        default=1000,
        metadata=about(
            "images",
            "It pauses while more images wait than this, or than half of what [overload] lets wait.",
            least=1,
            most=10**9,
        ),
    )

    def __post_init__(self) -> None:
        check_ranges(self)

    @property
    def folder(self) -> Path | None:
        """The second bundle, if there is one."""
        return Path(self.bundle) if self.bundle else None

    def from_folder(self, base: Path) -> ShadowSettings:
        """The same, with a relative path taken from `base`."""
        return replace(self, bundle=str(base / self.bundle)) if self.bundle else self
