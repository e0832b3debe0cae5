"""Counts as a Darwin Core Archive for OBIS and GBIF: an event for each tow or bin, an occurrence for each label looked for
in it (absent ones too), and what was measured: volume, counts raw and corrected with their intervals, concentrations.

After the recommendations for plankton imaging (Martin-Cabrera et al. 2022, Best practices and recommendations for
plankton imaging data management, doi:10.25607/OBP-1742).
"""

from __future__ import annotations

import io
import re
import zipfile
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO
from urllib.parse import quote

from bundle.labels import UNCLASSIFIED
from bundle.taxa import Taxon
from bundle.whole import json_bytes
from edge.bins import utc_text
from edge.export.description import Description
from edge.export.dwcterms import EVENT, MEASUREMENT, OCCURRENCE, Table, meta_xml
from edge.export.eml import Extent, eml_xml
from edge.export.outfile import Exported, check_out, whole_file
from edge.export.provenance import Provenance
from edge.export.source import Source
from edge.export.stretches import Stretch, Stretches, read_bins, read_tows
from edge.survey.volume import concentration

_P01, _P06 = "http://vocab.nerc.ac.uk/collection/P01/current/", "http://vocab.nerc.ac.uk/collection/P06/current/"
_VOLUME = ("Volume sampled of the water body", f"{_P01}VOLWBSMP/")
_COUNT = ("Count (in assayed sample) of biological entity specified elsewhere", f"{_P01}OCOUNT01/")
_ABUNDANCE = (
    "Abundance of biological entity specified elsewhere per unit volume of the water body",
    f"{_P01}SDBIOL01/",
)
_ONES, _CUBIC_METRES = ("Dimensionless", f"{_P06}UUUU/"), ("Cubic metres", f"{_P06}MCUB/")
_PER_CUBIC_METRE = ("Number per cubic metre", f"{_P06}UPMM/")
_SECONDS = ("Seconds", f"{_P06}UTBB/")
_NOT_MEASURED = ("latitude", "longitude", "depth")  # conditions that the event itself holds
_RAISED = "raised for images left out under overload; interval of the sampling alone, no error of the classifier"
_VERIFIED = "ValidatedByHuman"  # of all its images
_CORRECTED = "the classifier's known errors taken out"


def export_dwca(source: Source, out: Path, width_ns: int, described: Description) -> Exported:
    """Writes `out`. Events are the survey's tows; without tows, bins of `width_ns`. Raises BadConfig."""
    check_out(out)
    found = read_tows(source, width_ns) if source.tows else read_bins(source, width_ns)
    provenance = source.provenance(found.accounting)
    archive = _Archive(source, provenance, _plain(described.title))
    with whole_file(out) as partial, zipfile.ZipFile(partial, "w", zipfile.ZIP_DEFLATED) as zipped:
        zipped.writestr("meta.xml", meta_xml(EVENT, (OCCURRENCE, MEASUREMENT)))
        zipped.writestr("eml.xml", _eml(found, provenance, described))
        zipped.writestr("planktow.json", json_bytes(provenance.table()))
        for table, rows in (
            (EVENT, archive.events(found.every)),
            (OCCURRENCE, archive.occurrences(found.every)),
            (MEASUREMENT, archive.measurements(found.every)),
        ):
            with zipped.open(table.file, "w", force_zip64=True) as file:
                _write(file, table, rows)
    notes = [found.note] if found.note else []
    if "latitude" not in source.conditions.names:
        notes.append("OBIS and GBIF ask for the position of each event; give a track with --survey")
    if not described.creators:
        notes.append("OBIS and GBIF ask for the creator of the data set; give --creator NAME")
    unknown = sum(not source.taxa.get(bundle.digest) for bundle in source.bundles)
    if unknown:
        notes.append(
            "the bundle's names of taxa are not at hand, so that scientificName is the label as it is; give --bundle DIR"
        )
    return Exported((out,), len(found.every), "events", tuple(notes))


@dataclass(frozen=True, eq=False)
class _Archive:
    source: Source
    provenance: Provenance
    prefix: str  # of every id: tells this data set from others

    def events(self, stretches: Sequence[Stretch]) -> Iterator[Sequence[str]]:
        """A row for each, in the order of EVENT."""
        for each in stretches:
            volume, around = each.sampled.litres, each.around
            position = "latitude" in around.values and "longitude" in around.values
            yield (
                self._event(each),
                self._event(each),
                "Sample",
                f"{utc_text(each.start_ns)}/{utc_text(each.end_ns)}",
                f"towed camera; images classified by {self.provenance.software}",
                "" if volume is None else _number(volume / 1000),
                "" if volume is None else "cubic metre",
                f"{_number(each.sampled.seconds)} s of imaging",
                _number(around.values["latitude"]) if position else "",
                _number(around.values["longitude"]) if position else "",
                "EPSG:4326" if position else "",
                _number(around.shallowest),
                _number(around.deepest),
                (f"tow {each.name}; " if each.name else "") + "eventDate is [start, end)",
            )

    def occurrences(self, stretches: Sequence[Stretch]) -> Iterator[Sequence[str]]:
        """A row for each organism looked for in each event, in the order of OCCURRENCE; none found is `absent`."""
        for each in stretches:
            classifiers = "; ".join(f"{bundle.name} sha256:{bundle.digest}" for bundle in each.bundles)
            for label, taxon in self._organisms(each):
                raw = each.estimates[label].raw
                yield (
                    self._event(each),
                    self._event(each),
                    self._occurrence(each, label),
                    "MachineObservation",
                    "present" if raw else "absent",
                    str(raw),
                    str(raw),
                    "individuals",
                    _scientific_name(taxon),
                    f"urn:lsid:marinespecies.org:taxname:{taxon.aphia_id}" if taxon.aphia_id else "",
                    taxon.display_name,
                    label,
                    f"{self.provenance.software} (machine)",
                    _VERIFIED if raw and each.verified.get(label) == raw else "PredictedByMachine",
                    f"{self.provenance.software}; {classifiers}",
                    taxon.group,
                )

    def measurements(self, stretches: Sequence[Stretch]) -> Iterator[Sequence[str]]:
        """In the order of MEASUREMENT: of each event, then of each of its occurrences."""
        for each in stretches:
            for number, measured in enumerate((*self._of_event(each), *self._of_occurrences(each)), start=1):
                yield self._event(each), self._event(each), f"{self._event(each)}:m{number}", *measured

    def _of_event(self, each: Stretch) -> Iterator[tuple[str, ...]]:
        sampled = each.sampled
        yield "", "Time that was sampled", "", _number(sampled.seconds), *_SECONDS, "", "", ""
        if sampled.litres is not None:
            cubic_metres = sampled.litres / 1000
            accuracy = f"standard deviation {_number(cubic_metres * sampled.relative_sd)}"
            yield "", *_VOLUME, _number(cubic_metres), *_CUBIC_METRES, accuracy, "", ""
        if each.dropped:
            yield "", "Images left out under overload", "", str(each.dropped), *_ONES, "", "", ""
        for name, value in each.around.values.items():
            if name not in _NOT_MEASURED:
                unit = self.source.conditions.units.get(name, "")
                yield "", name, "", _number(value), unit, "", "", "mean over the event, from the ship's log", ""
        organisms = {label for label, _ in self._organisms(each)}
        for label, estimate in each.estimates.items():
            if label not in organisms:
                what = "Images that the members did not agree on" if label == UNCLASSIFIED else f"Images of {label}"
                yield "", what, "", str(estimate.raw), *_ONES, "", "", "not an organism, so not an occurrence"

    def _of_occurrences(self, each: Stretch) -> Iterator[tuple[str, ...]]:
        for label, _ in self._organisms(each):
            estimate, identity = each.estimates[label], self._occurrence(each, label)
            yield identity, *_COUNT, str(estimate.raw), *_ONES, "", "raw: images with this verdict", ""
            if verified := each.verified.get(label):
                yield identity, *_COUNT, str(verified), *_ONES, "", "of these: label given or confirmed by a person", ""
            for method, value, low, high in (
                (_RAISED, estimate.raised, estimate.raw_low, estimate.raw_high),
                (_CORRECTED, estimate.corrected, estimate.low, estimate.high),
            ):
                if value is not None:
                    yield identity, *_COUNT, _number(value), *_ONES, _interval(low, high), method, ""
            density = concentration(estimate, each.sampled)
            if density is not None:
                accuracy = _interval(density.low, density.high)
                method = _RAISED if estimate.corrected is None else _CORRECTED
                yield identity, *_ABUNDANCE, _number(density.value), *_PER_CUBIC_METRE, accuracy, method, ""

    def _organisms(self, each: Stretch) -> Iterator[tuple[str, Taxon]]:
        for label in each.estimates:
            if label != UNCLASSIFIED:
                taxon = self.source.any_taxon(each.bundles, label)
                if taxon.living is not False:
                    yield label, taxon

    def _event(self, each: Stretch) -> str:
        start = re.sub(r"[-:]", "", utc_text(each.start_ns))
        return f"{self.prefix}:{_plain(each.name) if each.name else ''}{'-' if each.name else ''}{start}"

    def _occurrence(self, each: Stretch, label: str) -> str:
        return f"{self._event(each)}:{_NOT_PLAIN.sub(lambda odd: quote(odd[0], safe=''), label)}"


def _scientific_name(taxon: Taxon) -> str:
    """That of EcoTaxa's category, which for `pluteus<Echinoidea` is Echinoidea; where there is none, what people call it."""
    parts = (taxon.ecotaxa or "").split("<")
    return next((part for part in parts if part[:1].isupper()), taxon.display_name)


def _interval(low: float | None, high: float | None) -> str:
    return "" if low is None or high is None else f"95 % interval {_number(low)} to {_number(high)}"


def _eml(found: Stretches, provenance: Provenance, described: Description) -> str:
    every = found.every
    places = [each.around.values for each in every if {"latitude", "longitude"} <= each.around.values.keys()]
    latitudes, longitudes = [here["latitude"] for here in places], [here["longitude"] for here in places]
    day = utc_text(provenance.exported_ns)[:10]
    extent = Extent(
        utc_text(min(each.start_ns for each in every))[:10] if every else day,
        utc_text(max(each.end_ns for each in every))[:10] if every else day,
        *((min(longitudes), max(longitudes), min(latitudes), max(latitudes)) if places else ()),
    )
    about = provenance.sentence + (f" {found.note}" if found.note else "")
    return eml_xml(described.title, described.creators, described.licence, day, about, extent)


def _write(file: IO[bytes], table: Table, rows: Iterable[Sequence[str]]) -> None:
    with io.TextIOWrapper(file, "utf-8", newline="\n") as text:
        text.write("\t".join(table.head) + "\n")
        for row in rows:
            text.write("\t".join(_SPACES.sub(" ", cell) for cell in row) + "\n")


_SPACES = re.compile(r"[\x00-\x1f\x7f-\x9f]+")  # a tab or a line's end would part cells: nothing is quoted


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.7g}"


def _plain(name: str) -> str:
    """For ids: letters of any script, digits, and - and _ for everything else."""
    return re.sub(f"{_NOT_PLAIN.pattern}+", "_", name).strip("_") or "x"


_NOT_PLAIN = re.compile(r"[^\w-]")  # in the id of an occurrence as %XX: two labels never have the same
