"""Counts in time bins as CF-1.11 NetCDF-4 (cfconventions.org): dimensions taxon and time."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from bundle.errors import BadConfig
from edge.bins import SECOND_NS, utc_text
from edge.export.library import library
from edge.export.lognames import log_names
from edge.export.netcdfcounts import PLACES, variable, write_bins, write_counts
from edge.export.outfile import Exported, check_out, whole_file
from edge.export.provenance import Provenance
from edge.export.source import Source
from edge.export.stretches import Stretch, Stretches, read_bins
from edge.survey.quantities import UNITS

_STANDARD = {  # CF's standard names of what the logs measure
    "latitude": "latitude",
    "longitude": "longitude",
    "depth": "depth",
    "pressure": "sea_water_pressure",
    "temperature": "sea_water_temperature",
    "salinity": "sea_water_practical_salinity",
    "heading": "platform_orientation",
    "course": "platform_course",
    "speed_over_ground": "platform_speed_wrt_ground",
    "speed_through_water": "platform_speed_wrt_sea_water",
}


def export_netcdf(source: Source, out: Path, width_ns: int, title: str) -> Exported:
    """Writes `out`: one step of time for each bin in which images were classified or left out. Raises BadConfig."""
    netcdf4 = library("netCDF4", "netcdf")
    check_out(out)
    found = read_bins(source, width_ns)
    provenance = source.provenance(found.accounting)
    with (
        whole_file(out) as partial,
        _disk_errors(out),
        netcdf4.Dataset(str(partial), "w", format="NETCDF4") as file,
    ):
        _describe(file, found, provenance, title)
        _write_axes(file, source, found)
        write_bins(file, found)
        write_counts(file, source, found)
        _write_conditions(file, source, found.every)
    return Exported((out,), len(found.every), "bins", (found.note,) if found.note else ())


@contextmanager
def _disk_errors(out: Path) -> Iterator[None]:
    """HDF5 has no errno: a full disk is a RuntimeError."""
    try:
        yield
    except RuntimeError as error:
        if "HDF error" not in str(error):
            raise
        raise BadConfig(f"{out}: cannot be written ({error}); check the disk and the folder") from None


def _describe(file: Any, found: Stretches, provenance: Provenance, title: str) -> None:
    file.setncatts(
        {
            "Conventions": "CF-1.11",
            "title": title,
            "source": f"towed camera; images classified by {provenance.classifiers}",
            "history": f"{utc_text(provenance.exported_ns)} written from the ledger {provenance.ledger} by {provenance.software}",
            "comment": provenance.sentence + (f" {found.note}" if found.note else ""),
            "planktow_version": provenance.software,
            "planktow_bundles": provenance.classifiers,
            "planktow_accounting": provenance.accounts,
        }
    )


def _write_axes(file: Any, source: Source, found: Stretches) -> None:
    file.createDimension("time", len(found.every))
    file.createDimension("taxon", len(found.labels))
    file.createDimension("bounds", 2)
    start = np.array([each.start_ns for each in found.every], np.float64) / SECOND_NS
    end = np.array([each.end_ns for each in found.every], np.float64) / SECOND_NS
    since = "seconds since 1970-01-01 00:00:00"
    time = variable(
        file,
        "time",
        "f8",
        ("time",),
        standard_name="time",
        units=since,
        calendar="standard",
        units_metadata="leap_seconds: none",  # as computers count: days of 86,400 s
        axis="T",
        bounds="time_bounds",
    )
    time[:] = (start + end) / 2
    variable(file, "time_bounds", "f8", ("time", "bounds"))[:] = np.stack((start, end), axis=1)
    taxa = [_taxon(source, label) for label in found.labels]
    for name, values, attributes in (
        ("label", found.labels, {"long_name": "label of the classifier"}),
        (
            "taxon_name",
            [taxon.display_name for taxon in taxa],
            {"standard_name": "biological_taxon_name", "long_name": "name of the taxon or group"},
        ),
        (
            "taxon_lsid",
            [f"urn:lsid:marinespecies.org:taxname:{taxon.aphia_id}" if taxon.aphia_id else "" for taxon in taxa],
            {"standard_name": "biological_taxon_lsid", "long_name": "WoRMS identifier; empty: none is certain"},
        ),
        ("taxon_group", [taxon.group for taxon in taxa], {"long_name": "group of labels"}),
    ):
        variable(file, name, str, ("taxon",), None, **attributes)[:] = np.array(values, dtype=object)


def _taxon(source: Source, label: str) -> Any:
    holders = [bundle for bundle in source.bundles if label in bundle.labels]
    return source.any_taxon(holders, label) if holders else source.taxon(source.bundles[0], label)


def _write_conditions(file: Any, source: Source, stretches: Sequence[Stretch]) -> None:
    """Behind all other variables, since their names are free."""
    units = source.conditions.units
    places = {name: name for name in source.conditions.names if name in PLACES}
    others = log_names([name for name in source.conditions.names if name not in PLACES], set(file.variables))
    for name, column in {**places, **others}.items():
        how = "time: point (at the middle of the bin)" if name in ("latitude", "longitude") else "time: mean"
        attributes = {"long_name": f"{name}, from the ship's log", "cell_methods": how}
        if units.get(name) == UNITS.get(name, ""):
            attributes |= {"units": UNITS[name], "standard_name": _STANDARD[name]}
        elif name in units:
            attributes["units_as_logged"] = units[name]  # in any spelling: not for CF's `units`
        if name == "temperature":
            attributes["units_metadata"] = "temperature: on_scale"
        if name == "depth":
            attributes["positive"] = "down"
        values = [each.around.values.get(name, math.nan) for each in stretches]
        variable(file, column, "f8", ("time",), fill=math.nan, **attributes)[:] = values
