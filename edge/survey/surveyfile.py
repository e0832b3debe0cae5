"""survey.toml: what a report needs to know of the survey, and the images cannot tell."""

from __future__ import annotations

import dataclasses
import glob
import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from bundle.errors import BadConfig
from bundle.settings import read_settings
from edge.setting import about, check_ranges
from edge.survey.conditions import Conditions, read_conditions
from edge.survey.tows import Tow, TowSettings, tows
from edge.survey.volume import Sampled, Volume, sampled


@dataclass(frozen=True)
class EnvironmentSettings:
    """The table [environment] of survey.toml."""

    files: tuple[str, ...] = field(
        metadata=about(
            "list",
            "CSV files with a column for the time, and NMEA 0183 logs; * and ? stand for any letters. Of several that\n"
            "have a quantity, the first that knows an instant holds.",
        )
    )
    max_gap_seconds: float = field(
        default=300.0,
        metadata=about(
            "seconds", "How far in time the nearest reading may be, and two with a line between.", 0.001, 86400
        ),
    )
    columns: tuple[str, ...] = field(
        default=(),
        metadata=about("list", "Names for columns, where we do not know theirs: 'depth=Sonde 2 [m]'."),
    )

    def __post_init__(self) -> None:
        check_ranges(self)
        if not self.files:
            raise BadConfig("files is empty; name a file, or take the table out")
        for entry in self.columns:
            name, equals, heading = (part.strip() for part in entry.partition("="))
            if not equals or not name.isidentifier() or not heading:
                raise BadConfig(f"columns: {entry!r} is not NAME=HEADING, such as 'depth=Sonde 2 [m]'")

    @property
    def renamed(self) -> dict[str, str]:
        """The name wanted by the heading of the column."""
        pairs = (entry.partition("=") for entry in self.columns)
        return {heading.strip(): name.strip() for name, _, heading in pairs}


@dataclass(frozen=True)
class Survey:
    """The whole file; each table may be missing."""

    volume: Volume | None = field(default=None, metadata=about("table", "How much water was sampled."))
    environment: EnvironmentSettings | None = field(
        default=None, metadata=about("table", "Position, depth, temperature … from logs.")
    )
    tows: TowSettings | None = field(default=None, metadata=about("table", "What was one deployment."))

    def conditions(self) -> Conditions:
        """Read anew at each call: what came in late is found. Without [environment] there are no names. Raises BadConfig."""
        if self.environment is None:
            return Conditions()
        files = [path for file in self.environment.files for path in _matching(file)]
        return read_conditions(files, self.environment.max_gap_seconds, self.environment.renamed)

    def deployments(self, connection: sqlite3.Connection) -> tuple[Tow, ...]:
        """The tows in the order of time; none where the file says nothing of them. Raises BadConfig."""
        return () if self.tows is None else tows(connection, self.tows)

    def sampled(
        self,
        connection: sqlite3.Connection,
        stretches: Sequence[tuple[int, int]],
        conditions: Conditions | None = None,
    ) -> tuple[Sampled, ...]:
        """What was sampled in each stretch [start_ns, end_ns), UTC ns: see `edge.volume.sampled`. Raises BadConfig.

        conditions: those that were read already; None reads them where the speed is to come from them.
        """
        volume = self.volume
        if conditions is None and volume is not None and volume.needs_speed:
            conditions = self.conditions()
        return sampled(connection, stretches, volume, conditions)


def read_survey(file: Path) -> Survey:
    """Reads survey.toml; files that it names are relative to its folder. Raises BadConfig."""
    survey = read_settings(file, Survey)
    base = file.resolve().parent
    environment = survey.environment
    if environment is not None:
        environment = dataclasses.replace(environment, files=tuple(str(base / name) for name in environment.files))
    return dataclasses.replace(
        survey, environment=environment, tows=survey.tows.from_folder(base) if survey.tows is not None else None
    )


def _matching(file: str) -> list[Path]:
    """The files that a name with * and ? stands for, in the order of their names; a bracket is only a bracket."""
    if Path(file).exists() or not any(letter in file for letter in "*?"):
        return [Path(file)]
    found = sorted(glob.glob(file.replace("[", "[[]")))  # noqa: PTH207
    if not found:
        raise BadConfig(f"{file}: no file has such a name; check files under [environment]")
    return [Path(path) for path in found]
