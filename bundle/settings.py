"""One TOML file, read once, into one frozen dataclass that refuses to be wrong."""

from __future__ import annotations

import dataclasses
import difflib
import tomllib
import types
import typing
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeVar

from bundle.errors import BadBundle, BadConfig

T = TypeVar("T")


def read_settings(path: Path, into: type[T]) -> T:
    """Reads the TOML file `path` into the dataclass `into`; tables become nested dataclasses.

    Raises BadConfig, with the file's name, for a file that is missing or not TOML, an unknown key (with the nearest
    known one), a missing key, a value of a wrong type, or a value that the dataclass itself refuses.
    """
    try:
        text = path.read_bytes().decode()
    except FileNotFoundError:
        raise BadConfig(f"{path}: no such configuration file; check the path") from None
    except (OSError, UnicodeDecodeError) as error:
        raise BadConfig(f"{path}: cannot be read ({error}); it must be a readable UTF-8 text file") from None
    try:
        table = tomllib.loads(text)
    except (ValueError, RecursionError) as error:  # TOMLDecodeError is one; so is a number of 5,000 digits
        raise BadConfig(f"{path}: not valid TOML: {error}") from None
    return settings_from(table, into, str(path))


def settings_from(table: Mapping[str, Any], into: type[T], where: str) -> T:
    """Builds the dataclass `into` from a parsed table; `where` begins each error message."""
    assert dataclasses.is_dataclass(into)
    hints = typing.get_type_hints(into)
    fields = {field.name: field for field in dataclasses.fields(into)}
    for key in table:
        if key not in fields:
            near = difflib.get_close_matches(key, fields, n=1, cutoff=0.5)
            remedy = f"did you mean '{near[0]}'?" if near else f"known keys: {', '.join(fields)}"
            raise BadConfig(f"{where}: unknown key {key!r}; {remedy}")
    values = {}
    for name, field in fields.items():
        if name in table:
            values[name] = _converted(table[name], hints[name], f"{where}: {name}")
        elif field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING:
            raise BadConfig(f"{where}: missing key '{name}' ({_spelled(hints[name])}); add it")
    try:
        return into(**values)
    except (BadConfig, BadBundle) as error:  # BadBundle: a part of the manifest may stand in a configuration too
        raise BadConfig(f"{where}: {error}") from None


def _converted(value: Any, hint: Any, where: str) -> Any:
    """`value` as the type `hint` wants it, or BadConfig: no guessing beyond int -> float, str -> Path, list -> tuple."""
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if origin in (types.UnionType, typing.Union):
        inner = next(argument for argument in arguments if argument is not type(None))
        return _converted(value, inner, where)
    if origin is typing.Literal:
        if value in arguments and type(value) in {type(argument) for argument in arguments}:
            return value
    elif origin is tuple:
        if isinstance(value, list):
            return tuple(_converted(item, arguments[0], f"{where}[{index}]") for index, item in enumerate(value))
    elif dataclasses.is_dataclass(hint) and isinstance(hint, type):
        if isinstance(value, dict):
            return settings_from(value, hint, where)
    elif hint is float and type(value) is int and abs(value) < 2**1023:
        return float(value)
    elif hint is Path and isinstance(value, str):
        return Path(value)
    elif type(value) is hint:
        return value
    raise BadConfig(f"{where}: expected {_spelled(hint)}, found {value!r}")


def _spelled(hint: Any) -> str:
    """A type as a person who writes TOML would say it."""
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if origin in (types.UnionType, typing.Union):
        return _spelled(next(argument for argument in arguments if argument is not type(None)))
    if origin is typing.Literal:
        return "one of " + ", ".join(repr(argument) for argument in arguments)
    if origin is tuple:
        return f"a list, each item {_spelled(arguments[0])}"
    if dataclasses.is_dataclass(hint):
        return "a table"
    names = {
        int: "a whole number",
        float: "a number",
        str: "a text in quotes",
        bool: "true or false",
        Path: "a path in quotes",
    }
    return names.get(hint, str(hint))
