"""The table [time] of edge.toml: where the capture time of an image is looked for."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import date
from typing import Literal

from bundle.errors import BadConfig
from bundle.timetag import SECOND_NS
from edge.capture.namepattern import NamePattern
from edge.setting import about, check_ranges

Source = Literal["name", "tag", "csv", "mtime"]
DAY_NS = 86_400 * SECOND_NS


@dataclass(frozen=True)
class TimeSettings:
    """The table [time] of edge.toml. Raises BadConfig for what cannot be meant."""

    sources: tuple[Source, ...] = field(
        default=("name", "tag", "csv", "mtime"),
        metadata=about(
            "list",
            "Where an image's capture time is looked for; the first that has one wins. name: the file's name, by\n"
            "name_pattern. tag: EXIF of JPEG, TIFF and PNG. csv: the table `csv`. mtime: the file's own time; it must\n"
            "be there, as the last.",
        ),
    )
    name_pattern: str = field(
        default="",
        metadata=about(
            "text",
            "How a file's name tells the time, in strptime codes: %Y %y %m %b %d %j (day of the year) %H %M %S,\n"
            "%f (fraction of a second, as many digits as there are; %3f: three), %s (seconds since 1970, ten digits;\n"
            "%s%f: ms, µs or ns), %z (zone), %% (a percent sign). * is any text, ? any letter. With a / folders count\n"
            'too; the suffix may be left out. "cam*_%Y%m%d_%H%M%S.%f" reads cam7_20240312_101112.345.png. "": off.',
        ),
    )
    csv: str = field(
        default="",
        metadata=about(
            "file",
            "A table of names and times that the camera's program writes, with the columns `file` and `time` (ISO).\n"
            'A bare name is looked for beside each image; a path with a / starts at the watched folder. "": off.',
        ),
    )
    utc_offset_hours: float = field(
        default=0.0,
        metadata=about(
            "hours",
            "How far the camera's clock is ahead of UTC, for times without a zone (Central European winter time: 1).\n"
            "It is fixed: let the camera keep no summer time, or one hour of the year comes twice.",
            least=-14,
            most=14,
        ),
    )
    earliest: str = field(
        default="2000-01-01",
        metadata=about(
            "date, UTC",
            "A time before this is none, and the next source is asked: a camera without a battery says 1970 or 1980.",
        ),
    )

    def __post_init__(self) -> None:
        check_ranges(self)
        if self.sources[-1:] != ("mtime",):
            raise BadConfig(
                "sources must end with 'mtime', the one time that every file has: an image that nothing else dates "
                "still has to stand somewhere; add 'mtime' as the last"
            )
        if len(set(self.sources)) < len(self.sources):
            raise BadConfig(f"sources names one twice: {', '.join(self.sources)}; leave one of the two out")
        for source, setting in (("name", "name_pattern"), ("csv", "csv")):
            if getattr(self, setting) and source not in self.sources:
                raise BadConfig(f"{setting} is set and sources has no '{source}'; add it, or set {setting} = \"\"")
        if "\0" in self.csv or self.csv.endswith("/"):
            raise BadConfig(f"csv must be the name of a file, found {self.csv!r}")
        _ = self.earliest_ns  # refuses what is no day
        if self.name_pattern:
            NamePattern(self.name_pattern)

    @property
    def ahead_ns(self) -> int:
        """How far the camera's clock is ahead of UTC."""
        return round(self.utc_offset_hours * 3600) * SECOND_NS

    @property
    def earliest_ns(self) -> int:
        """UTC ns: the first moment that can be a capture time. Raises BadConfig."""
        try:
            return (date.fromisoformat(self.earliest) - date(1970, 1, 1)).days * DAY_NS
        except ValueError:
            raise BadConfig(f"earliest must be a day such as 2000-01-01, found {self.earliest!r}") from None
