"""The description of a data set in Ecological Metadata Language 2.2.0, as GBIF and OBIS ask for: the least that is valid."""

from __future__ import annotations

from dataclasses import dataclass
from uuid import NAMESPACE_URL, uuid5
from xml.sax.saxutils import escape, quoteattr


@dataclass(frozen=True)
class Extent:
    """Where and when."""

    first_day: str  # YYYY-MM-DD, UTC
    last_day: str
    west: float | None = None  # degrees; None: no position is known
    east: float | None = None
    south: float | None = None
    north: float | None = None


def eml_xml(title: str, creators: tuple[str, ...], licence: str | None, day: str, about: str, extent: Extent) -> str:
    """day: of publication, YYYY-MM-DD. about: what was done, and by which software."""
    people = creators or ("Unknown: name the creator with --creator",)
    creator = "\n".join(f"    <creator>{_person(name)}</creator>" for name in people)
    rights = f"\n    <intellectualRights><para>{escape(licence)}</para></intellectualRights>" if licence else ""
    number = uuid5(NAMESPACE_URL, f"planktow {title} {about}")
    return f"""<?xml version="1.0" encoding="UTF-8"?>
<eml:eml xmlns:eml="https://eml.ecoinformatics.org/eml-2.2.0" xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance"
    xsi:schemaLocation="https://eml.ecoinformatics.org/eml-2.2.0 https://rs.gbif.org/schema/eml-gbif-profile/1.3/eml.xsd"
    packageId={quoteattr(str(number))} system="planktow" scope="system" xml:lang="en">
  <dataset>
    <title xml:lang="en">{escape(title)}</title>
{creator}
    <metadataProvider>{_person(people[0])}</metadataProvider>
    <pubDate>{day}</pubDate>
    <language>en</language>
    <abstract><para>{escape(about)}</para></abstract>{rights}
    <coverage>{_place(extent)}
      <temporalCoverage>
        <rangeOfDates>
          <beginDate><calendarDate>{extent.first_day}</calendarDate></beginDate>
          <endDate><calendarDate>{extent.last_day}</calendarDate></endDate>
        </rangeOfDates>
      </temporalCoverage>
    </coverage>
    <contact>{_person(people[0])}</contact>
    <methods>
      <methodStep><description><para>{escape(about)}</para></description></methodStep>
    </methods>
  </dataset>
</eml:eml>
"""


def _person(name: str) -> str:
    return f"<individualName><surName>{escape(name)}</surName></individualName>"


def _place(extent: Extent) -> str:
    if extent.west is None:
        return ""
    return f"""
      <geographicCoverage>
        <geographicDescription>Where the camera was, by the ship's log</geographicDescription>
        <boundingCoordinates>
          <westBoundingCoordinate>{extent.west:.5f}</westBoundingCoordinate>
          <eastBoundingCoordinate>{extent.east:.5f}</eastBoundingCoordinate>
          <northBoundingCoordinate>{extent.north:.5f}</northBoundingCoordinate>
          <southBoundingCoordinate>{extent.south:.5f}</southBoundingCoordinate>
        </boundingCoordinates>
      </geographicCoverage>"""
