"""What there is to download: the reports and exports of the command line, with the options that make sense on a page."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from importlib.util import find_spec
from typing import Literal

from bundle.errors import BadConfig
from edge.web.asked import Asked, read_asked

TOW = "tow"  # as a width: the bins are the survey's tows
_TEXT_MOST = 200  # letters of a title and of the like

Needs = Literal["bins", "tows", "samples", "description", "images"]


@dataclass(frozen=True)
class Offer:
    """One file that is made when it is asked for."""

    name: str  # the last part of its address
    title: str
    words: str
    suffix: str  # of the file
    media: str
    needs: tuple[Needs, ...] = ()  # which options change it
    library: str | None = None  # that is not in the base install

    @property
    def missing(self) -> bool:
        """Whether its library is not installed."""
        return self.library is not None and find_spec(self.library) is None


REPORTS = (
    Offer("report.html", "Report to read", "One page that needs no network: plots, tables, sample images, provenance. Looks good"
          " printed.", ".html", "text/html", ("bins", "tows", "samples")),
    Offer("report.csv", "Counts as CSV", "A row for each bin and label, with intervals; for R and pandas (comment lines begin"
          " with #).", ".csv", "text/csv", ("bins", "tows")),
    Offer("report.json", "Counts as JSON", "The same as nested objects, for programs.", ".json", "application/json",
          ("bins", "tows")),
    Offer("report.txt", "Counts as text", "The tables of the terminal.", ".txt", "text/plain", ("bins", "tows")),
)  # fmt: skip
EXPORTS = (
    Offer("ecotaxa.zip", "EcoTaxa", "Images with their predicted labels, for its import page. Images that are no longer in the"
          " folder are left out. More than 500 MiB come in parts, in one zip.", ".zip", "application/zip", ("images",)),
    Offer("dwca.zip", "Darwin Core Archive", "For OBIS and GBIF: events, occurrences, measurements.", ".dwca.zip",
          "application/zip", ("bins", "description")),
    Offer("counts.nc", "NetCDF", "Counts in bins by the CF conventions, with position and depth.", ".nc",
          "application/x-netcdf", ("bins",), "netCDF4"),
    Offer("ifdo.json", "iFDO", "Every image with its label as an image FAIR digital object. Its header asks for what only you"
          " know: the command's --field fills that in.", ".ifdo.json", "application/json", ("description",)),
    Offer("images.parquet", "Parquet", "A row for each image: verdict, score, measures, position, depth. For large tables.",
          ".parquet", "application/vnd.apache.parquet", (), "pyarrow"),
)  # fmt: skip
LABELS = (
    Offer("labelled.zip", "Labelled images", "What people labelled on the page Look: a folder for each class, byte for byte, to"
          " train on with planktow-trainer.", ".zip", "application/zip", ("images",)),
    Offer("labels.csv", "Labels as CSV", "A row for each image that people labelled: what they said, who and when, and what the"
          " machine had said.", ".csv", "text/csv"),
)  # fmt: skip
OFFERS = {offer.name: offer for offer in (*REPORTS, *EXPORTS, *LABELS)}


@dataclass(frozen=True)
class Options:
    """What is wanted of a file."""

    asked: Asked = field(default_factory=Asked)
    by_tow: bool = False
    samples: bool = False
    title: str | None = None
    creators: tuple[str, ...] = ()
    licence: str | None = None


def read_options(pairs: Iterable[tuple[str, str]]) -> Options:
    """From the query's pairs. Raises BadConfig."""
    told = [(name, value.strip()) for name, value in pairs]
    given = {name: value for name, value in told if value}
    by_tow = given.get("bin") == TOW
    asked = read_asked((name, value) for name, value in told if name != "bin" or value != TOW)
    for name in ("title", "creator", "license"):
        value = given.get(name, "")
        if len(value) > _TEXT_MOST or not (value.isprintable() or not value):
            raise BadConfig(
                f"the {name} is longer than {_TEXT_MOST} letters, or cannot be printed; write it on one line"
            )
    creators = tuple(name.strip() for name in given.get("creator", "").split(";") if name.strip())
    return Options(asked, by_tow, "samples" in given, given.get("title"), creators, given.get("license"))
