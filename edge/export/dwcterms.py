"""The columns of a Darwin Core Archive's three tables, each a term with its address, and the meta.xml that says so.

Terms: dwc.tdwg.org/list and, for the extended measurements, rs.gbif.org/extension/obis/extended_measurement_or_fact.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from xml.sax.saxutils import quoteattr

DWC, OBIS = "http://rs.tdwg.org/dwc/terms/", "http://rs.iobis.org/obis/terms/"


@dataclass(frozen=True)
class Table:
    """A file of the archive; the first column is the id of the event, and has no term of its own."""

    file: str
    row_type: str
    terms: tuple[str, ...]  # addresses, in the order of the columns behind the id

    @property
    def head(self) -> tuple[str, ...]:
        """The names of the columns."""
        return ("id", *(term.rpartition("/")[2] for term in self.terms))


def _dwc(*names: str) -> tuple[str, ...]:
    return tuple(DWC + name for name in names)


EVENT = Table(
    "event.txt",
    f"{DWC}Event",
    _dwc(
        "eventID",
        "eventType",
        "eventDate",
        "samplingProtocol",
        "sampleSizeValue",
        "sampleSizeUnit",
        "samplingEffort",
        "decimalLatitude",
        "decimalLongitude",
        "geodeticDatum",
        "minimumDepthInMeters",
        "maximumDepthInMeters",
        "eventRemarks",
    ),
)
OCCURRENCE = Table(
    "occurrence.txt",
    f"{DWC}Occurrence",
    _dwc(
        "eventID",
        "occurrenceID",
        "basisOfRecord",
        "occurrenceStatus",
        "individualCount",
        "organismQuantity",
        "organismQuantityType",
        "scientificName",
        "scientificNameID",
        "vernacularName",
        "verbatimIdentification",
        "identifiedBy",
        "identificationVerificationStatus",
        "identificationReferences",
        "taxonRemarks",
    ),
)
MEASUREMENT = Table(
    "extendedmeasurementorfact.txt",
    f"{OBIS}ExtendedMeasurementOrFact",
    (
        *_dwc("eventID", "measurementID"),
        *_dwc("occurrenceID", "measurementType"),
        f"{OBIS}measurementTypeID",
        f"{DWC}measurementValue",
        f"{DWC}measurementUnit",
        f"{OBIS}measurementUnitID",
        *_dwc("measurementAccuracy", "measurementMethod", "measurementRemarks"),
    ),
)


def meta_xml(core: Table, extensions: Sequence[Table]) -> str:
    """The archive's description of itself (Darwin Core text guide, dwc.tdwg.org/text)."""
    parts = ['<archive xmlns="http://rs.tdwg.org/dwc/text/" metadata="eml.xml">']
    for kind, identity, table in (("core", "id", core), *(("extension", "coreid", each) for each in extensions)):
        parts += [
            f'  <{kind} encoding="UTF-8" fieldsTerminatedBy="\\t" linesTerminatedBy="\\n" fieldsEnclosedBy=""'
            f' ignoreHeaderLines="1" rowType={quoteattr(table.row_type)}>',
            f"    <files><location>{table.file}</location></files>",
            f'    <{identity} index="0"/>',
            *(f'    <field index="{at}" term={quoteattr(term)}/>' for at, term in enumerate(table.terms, start=1)),
            f"  </{kind}>",
        ]
    return '<?xml version="1.0" encoding="UTF-8"?>\n' + "\n".join([*parts, "</archive>"]) + "\n"
