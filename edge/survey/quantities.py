"""What the columns of instruments measure: the names that reports and archives use, and the unit of each."""

from __future__ import annotations

import re

# Names in the manner of CF (Climate and Forecast conventions), short where an archive's writer has its own long ones.
UNITS = {
    "latitude": "degrees_north",
    "longitude": "degrees_east",
    "depth": "m",
    "pressure": "dbar",
    "temperature": "degree_Celsius",
    "salinity": "1",  # practical salinity has no unit
    "heading": "degree",
    "course": "degree",
    "speed_over_ground": "m s-1",
    "speed_through_water": "m s-1",
}
_SPELLED = {
    "depth": "depth dep depsm depth_water ctd_depth tow_depth instrument_depth",
    "pressure": "pressure press pres prdm prsm sea_water_pressure",
    "temperature": "temperature temp t090c tv290c t190c water_temperature sea_water_temperature sst",
    "salinity": "salinity sal sal00 sal11 psal practical_salinity sea_water_practical_salinity sea_water_salinity",
    "heading": "heading hdg",
    "course": "course cog course_over_ground",
    "speed_over_ground": "speed_over_ground sog speed",
    "speed_through_water": "speed_through_water stw speed_over_water",
    "chlorophyll": "chlorophyll chl chla chl_a chlorophyll_a",
    "oxygen": "oxygen o2 dissolved_oxygen doxy",
}
_NAMES = {spelling: name for name, spellings in _SPELLED.items() for spelling in spellings.split()}
# Of a speed, by the unit's spelling: m/s in one of it.
_KNOT = 1852 / 3600
_SPEED_UNITS = {
    "m/s": 1.0,
    "m s-1": 1.0,
    "ms-1": 1.0,
    "mps": 1.0,
    "kn": _KNOT,
    "kt": _KNOT,
    "kts": _KNOT,
    "km/h": 1 / 3.6,
}
_SPEED_UNITS |= {"knot": _KNOT, "knots": _KNOT}
_SPEEDS = ("speed_over_ground", "speed_through_water")
_BRACKETS = re.compile(r"^(.*?)\s*[(\[]([^)\]]*)[)\]]?.*$")
_SUFFIX = re.compile(r"^(.+?)_(m|dbar|db|c|deg_c|degc|psu|kn|kt|kts|knots|mps|m_s)$")


def quantity(heading: str) -> tuple[str, str | None, float]:
    """Name, unit and the factor for the values of a column with this heading, such as 'Temperature [°C]' or depth_m.

    A name that is not known stands in small letters with underscores. A speed is brought to m s-1 where its unit is known;
    without one nobody knows whether it is in knots, and it has no unit.
    """
    found = _BRACKETS.match(heading.strip())
    plain, unit = (found[1], found[2].strip()) if found else (heading.strip(), "")
    name = re.sub(r"[^a-z0-9]+", "_", plain.lower()).strip("_")
    if name not in _NAMES and not unit and (ending := _SUFFIX.match(name)) and ending[1] in _NAMES:
        name, unit = ending[1], ending[2].replace("m_s", "m/s")
    name = _NAMES.get(name, name)
    if name in _SPEEDS:
        factor = _SPEED_UNITS.get(unit.lower())
        return (name, None, 1.0) if factor is None else (name, UNITS[name], factor)
    return name, UNITS.get(name, unit or None), 1.0


def is_known(name: str) -> bool:
    """Whether we know what the quantity of this name is; of others we only pass on the numbers."""
    return name in UNITS or name in _SPELLED
