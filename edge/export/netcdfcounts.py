"""The variables of a NetCDF file that hold the counts, and what is known of each bin."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge.estimates.estimate import Estimate
from edge.export.source import Source
from edge.export.stretches import Stretch, Stretches
from edge.survey.volume import concentration

PLACES = ("latitude", "longitude", "depth")  # of the conditions: the coordinates
_DROPPED, _NO_CORRECTED, _NO_VOLUME, _NO_POSITION = 1, 2, 4, 8  # bits of the variable `flags`
_MEANINGS = "images_left_out_under_overload corrected_count_not_known volume_not_known position_not_known"
_SLAB = 1024  # bins written at a time


def write_bins(file: Any, found: Stretches) -> None:
    """Of each bin: images, time and volume sampled, and flags."""
    every = found.every

    def write(name: str, kind: str, values: Sequence[float] | NDArray[np.int8], long_name: str, **more: Any) -> None:
        variable(file, name, kind, ("time",), long_name=long_name, **more)[:] = values

    summed = {"cell_methods": "time: sum"}
    classified = [sum(estimate.raw for estimate in each.estimates.values()) for each in every]
    volumes = [math.nan if each.sampled.litres is None else each.sampled.litres / 1000 for each in every]
    write("images_classified", "i4", classified, "images classified", units="1", **summed)
    write(
        "images_dropped", "i4", [each.dropped for each in every], "images left out under overload", units="1", **summed
    )
    write("sampled_time", "f8", [each.sampled.seconds for each in every], "time that was sampled", units="s", **summed)
    write("sampled_volume", "f8", volumes, "volume of water that was imaged", fill=math.nan, units="m3", **summed)
    relative = [each.sampled.relative_sd for each in every]
    write("sampled_volume_relative_sd", "f8", relative, "standard deviation of the volume / volume", units="1")
    masks = np.array([_DROPPED, _NO_CORRECTED, _NO_VOLUME, _NO_POSITION], np.int8)
    flags = np.array([_flags(each) for each in every], np.int8)
    write("flags", "i1", flags, "what is not as it should be", flag_masks=masks, flag_meanings=_MEANINGS)


def _flags(each: Stretch) -> int:
    unknown = all(estimate.corrected is None for estimate in each.estimates.values())
    placed = {"latitude", "longitude"} <= each.around.values.keys()
    return (
        (_DROPPED if each.dropped else 0)
        | (_NO_CORRECTED if unknown else 0)
        | (_NO_VOLUME if each.sampled.litres is None else 0)
        | (0 if placed else _NO_POSITION)
    )


_ENDS = "end of the 95 % interval of"
_NO_ERRORS = "from the sampling alone, no error of the classifier"
# Of each label and bin: name, attribute of the estimate, long name, and what goes with it.
_COUNTS = (
    ("raw_count", "raw", "images with this verdict; missing where the label was not looked for", ""),
    ("raised_count", "raised", "raw count raised for images left out under overload", "raw_low raw_high"),
    ("raw_low", "raw_low", f"lower {_ENDS} raised_count: {_NO_ERRORS}", ""),
    ("raw_high", "raw_high", f"upper {_ENDS} raised_count: {_NO_ERRORS}", ""),
    (
        "corrected_count",
        "corrected",
        "count with the known errors of the classifier taken out",
        "corrected_low corrected_high",
    ),
    ("corrected_low", "low", f"lower {_ENDS} corrected_count", ""),
    ("corrected_high", "high", f"upper {_ENDS} corrected_count", ""),
)
_CONCENTRATIONS = (
    (
        "concentration",
        "value",
        "individuals per cubic metre, from the corrected count where it is known, else from the raised one",
        "concentration_low concentration_high",
    ),
    ("concentration_low", "low", f"lower {_ENDS} concentration", ""),
    ("concentration_high", "high", f"upper {_ENDS} concentration", ""),
)


def write_counts(file: Any, source: Source, found: Stretches) -> None:
    """Of each label and bin: counts raw, raised and corrected, and concentrations, with their intervals."""
    places = " ".join(name for name in PLACES if name in source.conditions.names)
    coordinates = f"{places} label taxon_name taxon_lsid taxon_group".strip()

    def write(name: str, value: _Value, **more: str) -> None:
        kind, fill = ("i4", -1) if name == "raw_count" else ("f8", math.nan)
        made = variable(file, name, kind, ("taxon", "time"), fill=fill, coordinates=coordinates, **more)
        for at in range(0, len(found.every), _SLAB):
            made[:, at : at + _SLAB] = _slab(found.every[at : at + _SLAB], found.labels, value, fill)

    for name, part, long_name, beside in _COUNTS:
        more = f"{beside} flags images_dropped sampled_volume".strip()
        write(
            name, _of_estimate(part), long_name=long_name, units="1", cell_methods="time: sum", ancillary_variables=more
        )
    if any(each.verified for each in found.every):
        _write_verified(file, found, coordinates)
    if any(each.sampled.litres is not None for each in found.every):
        for name, part, long_name, beside in _CONCENTRATIONS:
            standard = {"standard_name": "number_concentration_of_biological_taxon_in_sea_water"} if beside else {}
            more = f"{beside} flags".strip()
            write(name, _of_concentration(part), long_name=long_name, units="m-3", ancillary_variables=more, **standard)


def _write_verified(file: Any, found: Stretches, coordinates: str) -> None:
    verified = np.full((len(found.labels), len(found.every)), -1, np.int32)
    row = {label: number for number, label in enumerate(found.labels)}
    for column, each in enumerate(found.every):
        for label in each.estimates:
            verified[row[label], column] = each.verified.get(label, 0)
    words = "of raw_count: images whose label a person gave or confirmed"
    more = {"long_name": words, "units": "1", "cell_methods": "time: sum", "coordinates": coordinates}
    variable(file, "verified_count", "i4", ("taxon", "time"), fill=-1, **more)[:] = verified


_Value = Callable[[Stretch, Estimate], float | None]


def _of_estimate(part: str) -> _Value:
    return lambda _, estimate: getattr(estimate, part)


def _of_concentration(part: str) -> _Value:
    return lambda each, estimate: getattr(concentration(estimate, each.sampled), part, None)


def _slab(
    stretches: Sequence[Stretch],
    labels: Sequence[str],
    value: _Value,
    fill: float,
) -> NDArray[np.float64]:
    """(labels, bins): the values of some bins."""
    slab = np.full((len(labels), len(stretches)), fill)
    row = {label: number for number, label in enumerate(labels)}
    for column, each in enumerate(stretches):
        for label, estimate in each.estimates.items():
            known = value(each, estimate)
            slab[row[label], column] = fill if known is None else known
    return slab


def variable(
    file: Any, name: str, kind: Any, dimensions: tuple[str, ...], fill: float | None = None, **attributes: Any
) -> Any:
    """A new variable of the file, compressed unless it holds text; assign its values to it."""
    compression = None if kind is str else "zlib"
    made = file.createVariable(name, kind, dimensions, compression=compression, fill_value=fill)
    made.setncatts(attributes)
    return made
