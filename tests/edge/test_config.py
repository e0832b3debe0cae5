"""edge.toml: one frozen value, or one line that says what to do."""

import contextlib
import dataclasses
import itertools
import tomllib
import types
import typing
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from bundle.errors import BadConfig
from bundle.settings import settings_from
from edge.cli import app
from edge.config import EdgeConfig, config_from, format_config, read_config
from edge.quality.quality import ImageRule, QualitySettings, TrackRule, WindowRule
from edge.track.track import Circle, TrackSettings


def written(tmp_path: Path, text: str) -> Path:
    file = tmp_path / "edge.toml"
    file.write_text(text)
    return file


def test_what_init_writes_reads_back_as_the_defaults(tmp_path):
    file = tmp_path / "edge.toml"
    assert CliRunner().invoke(app, ["init", str(file)]).exit_code == 0
    assert tomllib.loads(file.read_text()) == as_toml(EdgeConfig())
    assert settings_from(tomllib.loads(file.read_text()), EdgeConfig, "edge.toml") == EdgeConfig()


def as_toml(value: Any) -> Any:
    """What a TOML file says of a value: nothing of what is None, and of tables of which there are none."""
    if not dataclasses.is_dataclass(value):
        plain = list(value) if isinstance(value, tuple) else value
        return str(plain) if isinstance(plain, Path) else plain
    table = {}
    for setting in dataclasses.fields(value):
        item = getattr(value, setting.name)
        if tables_of(type(value), setting.name) and isinstance(item, tuple):
            if item:
                table[setting.name] = [as_toml(each) for each in item]
        elif item is not None:
            table[setting.name] = as_toml(item)
    return table


@pytest.mark.parametrize("full", [False, True])
def test_a_config_written_explains_every_setting_and_its_unit_in_its_own_table(tmp_path, full):
    config = all_changed(EdgeConfig(), tmp_path) if full else EdgeConfig()
    table, explained, before = (), set(), ["", ""]
    for line in format_config(config).splitlines():
        assert len(line) <= (120 if not full else 1000)  # the paths of a test are long
        if line.startswith("["):
            table = tuple(line.strip("[]").split("."))
            assert before[-1].startswith("# "), line
            explained.add(table)
        elif line and not line.startswith("#"):
            name = line.split(" = ")[0]
            settings = type_of(table)
            unit = {setting.name: setting.metadata["unit"] for setting in dataclasses.fields(settings)}[name]
            assert before[-1] == f"# Unit: {unit}.", line
            assert before[-2].startswith("# "), line
            explained.add((*table, name))
        before.append(line)
    wanted = set(leaves(EdgeConfig)) if full else {place for place, _ in values_of(config)}
    assert {place for place in explained if not dataclasses.is_dataclass(type_of(place))} == wanted


def test_init_refuses_to_overwrite(tmp_path):
    file = written(tmp_path, "mine")
    result = CliRunner().invoke(app, ["init", str(file)], prog_name="planktow-edge")
    assert result.exit_code == 2
    assert result.stderr == f"planktow-edge: {file}: exists already; give another name, or move it away first\n"
    assert file.read_text() == "mine"


def test_init_says_when_it_cannot_write(tmp_path):
    result = CliRunner().invoke(app, ["init", str(tmp_path / "missing" / "edge.toml")])
    assert result.exit_code == 2
    assert "cannot be written (No such file or directory)" in result.stderr


# Any config. Which tables and settings there are is asked of the dataclasses: new ones are covered by themselves.

TEXT = ' "quoted" \\ [x] # – é\x7f\t\n'
# Where a text or a list has a grammar of its own.
SPECIAL: dict[tuple[str, ...], tuple[object, ...]] = {
    ("time", "sources"): (("csv", "name", "mtime"),),
    ("time", "name_pattern"): ('cam"1"_%Y%m%d_%H%M%S.%f',),
    ("time", "earliest"): ("2010-05-31",),
}


def type_of(place: tuple[str, ...]) -> Any:
    """The type of the setting at `place`; of a list of tables that of one table."""
    hint: Any = EdgeConfig
    for name in place:
        hint = tables_of(hint, name) or typing.get_type_hints(hint)[name]
    return hint


def tables_of(settings: type, name: str) -> type | None:
    """The dataclass of a setting that is a table, perhaps none, or any number of them; None: it is a plain value."""
    hint = typing.get_type_hints(settings)[name]
    return next((item for item in (hint, *typing.get_args(hint)) if dataclasses.is_dataclass(item)), None)


def leaves(settings: type, above: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    """The places of all plain settings there can be."""
    for setting in dataclasses.fields(settings):
        table, place = tables_of(settings, setting.name), (*above, setting.name)
        yield from leaves(table, place) if table else [place]


def values_of(settings: Any, above: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], object]]:
    """All plain settings that a config has, each with its value."""
    for setting in dataclasses.fields(settings):
        value, place = getattr(settings, setting.name), (*above, setting.name)
        if tables_of(type(settings), setting.name):
            for each in value if isinstance(value, tuple) else (value,):
                yield from values_of(each, place) if each is not None else ()
        elif value is not None:
            yield place, value


def plain_values(setting: dataclasses.Field, hint: Any, place: tuple[str, ...], folder: Path) -> Iterator[object]:
    """Values of a plain setting, most of which differ from its default and lie in its range."""
    yield from SPECIAL.get(place, ())
    arguments = [item for item in typing.get_args(hint) if item is not type(None)]
    if typing.get_origin(hint) in (types.UnionType, typing.Union):
        yield from plain_values(setting, arguments[0], place, folder)
    elif typing.get_origin(hint) is typing.Literal:
        yield from arguments
    elif typing.get_origin(hint) is tuple:
        yield tuple(plain_values(setting, arguments[0], place, folder))
    elif hint is bool:
        yield from (True, False)
    elif hint in (int, float):
        least, most = setting.metadata["least"], setting.metadata["most"]
        least = -10.0 if least is None else least
        span = 1000 if most is None else most - least
        yield from (hint(least + span * share) for share in (0.25, 0.3, 0.5, 0.75, 0.003, 0, 1))
    else:
        number = next(NUMBERS)
        yield hint(str(folder / f"{number}{TEXT}"))  # absolute: that is how read_config gives all folders back
        yield hint(f"plain {number}")


NUMBERS = itertools.count()


def tries(settings: Any, setting: dataclasses.Field, place: tuple[str, ...], folder: Path) -> Iterator[object]:
    """Values to try for a setting in place of its own; of tables, whole ones with all in them changed."""
    hint, table = typing.get_type_hints(type(settings))[setting.name], tables_of(type(settings), setting.name)
    if table is None:
        yield from plain_values(setting, hint, place, folder)
    elif hint is table:
        yield all_changed(getattr(settings, setting.name), folder, place)
    elif typing.get_origin(hint) is tuple:
        yield tuple(all_changed(made(table, place, folder), folder, place) for _ in range(2))
    else:
        yield all_changed(made(table, place, folder), folder, place)


def made(table: type, place: tuple[str, ...], folder: Path) -> Any:
    """A table with what must be in it, and one more setting where it wants any."""
    needed: dict[str, object] = {}
    more: dict[str, object] = {}
    for setting in dataclasses.fields(table):
        hint = typing.get_type_hints(table)[setting.name]
        wanted = setting.default is dataclasses.MISSING and setting.default_factory is dataclasses.MISSING
        if wanted or tables_of(table, setting.name) is None:
            *_, last = plain_values(setting, hint, (*place, setting.name), folder)
            (needed if wanted else more)[setting.name] = last
    for name in (None, *more):
        with contextlib.suppress(BadConfig):
            return table(**needed, **({name: more[name]} if name else {}))
    raise AssertionError(f"no way found to make {'.'.join(place)}: {needed}")


def all_changed(settings: Any, folder: Path, place: tuple[str, ...] = ()) -> Any:
    """The same with each setting, in each table in it too, at another value, as far as the values allow one another."""
    before, changed, gone_by = settings, set(), -1
    while len(changed) > gone_by:  # one setting may need another first
        gone_by = len(changed)
        for setting in dataclasses.fields(settings):
            if setting.name in changed:
                continue
            for value in tries(settings, setting, (*place, setting.name), folder):
                with contextlib.suppress(BadConfig):
                    other = dataclasses.replace(settings, **{setting.name: value})
                    if getattr(other, setting.name) != getattr(before, setting.name):
                        settings = other
                        changed.add(setting.name)
                        break
    return settings


def test_any_config_reads_back_as_itself(tmp_path):
    full = all_changed(EdgeConfig(), tmp_path)
    default = dict(values_of(EdgeConfig()))
    changed = {place for place, value in values_of(full) if default.get(place) != value}
    assert changed == set(leaves(EdgeConfig)), (
        "each setting of each table at another value; perhaps one wants a SPECIAL"
    )
    assert read_config(written(tmp_path, format_config(full))) == full


def test_each_table_alone_reads_back_as_itself(tmp_path):
    paths = {name: tmp_path / name for name in ("watch", "bundle", "ledger", "out")}
    plain = read_config(written(tmp_path, format_config(EdgeConfig(**paths))))
    full = all_changed(EdgeConfig(), tmp_path)
    for table in dataclasses.fields(EdgeConfig):
        config = dataclasses.replace(plain, **{table.name: getattr(full, table.name)})
        assert read_config(written(tmp_path, format_config(config))) == config


def test_lists_of_tables_keep_their_order_and_what_stands_in_each(tmp_path):
    rules = (
        ImageRule("b", min_bytes=1),
        ImageRule("a", max_bytes=10**15),
        ImageRule("c", min_long_side_pixels=3, min_sharpness=0.5),
    )
    ports = (Circle(53.5, 8.6, 5.0), Circle(-53.0, 170.0, 1.5))
    quality = QualitySettings(
        image=rules,
        window=(WindowRule("bubbles", ("bubble", "hash # sign"), 0.5),),
        track=TrackSettings(tmp_path / "track.csv"),
        track_rule=(TrackRule("in port", circles=ports), TrackRule("drift", min_speed_knots=0.5)),
    )
    config = dataclasses.replace(read_config(written(tmp_path, "")), quality=quality)
    assert read_config(written(tmp_path, format_config(config))) == config


def test_a_rule_added_by_hand_below_what_init_writes_is_read(tmp_path):
    text = format_config(EdgeConfig()) + '\n[[quality.image]]\nname = "small"\nmin_short_side_pixels = 10\n'
    assert read_config(written(tmp_path, text)).quality.image == (ImageRule("small", min_short_side_pixels=10),)
    quality = QualitySettings(
        track=TrackSettings(tmp_path / "t.csv"), track_rule=(TrackRule("no fix", without_position=True),)
    )
    text = format_config(EdgeConfig(quality=quality))
    text += "\n[[quality.track_rule.circles]]\nlatitude = 1\nlongitude = 2\nradius_km = 3\n"
    (rule,) = read_config(written(tmp_path, text)).quality.track_rule
    assert rule.circles == (Circle(1.0, 2.0, 3.0),)


def test_relative_paths_start_at_the_folder_of_the_config(tmp_path, monkeypatch):
    (tmp_path / "etc").mkdir()
    file = written(tmp_path / "etc", 'watch = "in"\nbundle = "../b"\nledger = "/var/l.sqlite"\n')
    monkeypatch.chdir(tmp_path)
    config = read_config(Path("etc/edge.toml"))
    assert config == read_config(file)
    assert (config.watch, config.bundle) == (tmp_path / "etc" / "in", tmp_path / "etc" / "../b")
    assert (config.ledger, config.out) == (Path("/var/l.sqlite"), tmp_path / "etc" / "counts")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("setle_seconds = 2", "unknown key 'setle_seconds'; did you mean 'settle_seconds'?"),
        ("zzz = 2", "unknown key 'zzz'; known keys: watch, bundle, ledger, out, recursive, settle_seconds"),
        ('settle_seconds = "2"', "settle_seconds: expected a number, found '2'"),
        ("batch_images = 1.5", "batch_images: expected a whole number, found 1.5"),
        ("recursive = 1", "recursive: expected true or false, found 1"),
        ("watch = 3", "watch: expected a path in quotes, found 3"),
        ("settle_seconds = 0", "settle_seconds must be from 0.01 to 3600 seconds, found 0"),
        ("settle_seconds = nan", "settle_seconds must be from 0.01 to 3600 seconds, found nan"),
        ("rescan_seconds = inf", "rescan_seconds must be from 0.1 to 86400 seconds, found inf"),
        ("batch_images = 0", "batch_images must be from 1 to 1024 images, found 0"),
        ("max_image_bytes = 0", "max_image_bytes must be at least 1 bytes, found 0"),
        ("workers = -1", "workers must be from 0 to 256 processes, found -1"),
        ("watch = ", "not valid TOML"),
        ("[overlod]", "unknown key 'overlod'; did you mean 'overload'?"),
        ("overload = 3", "overload: expected a table, found 3"),
        (
            "[overload]\npolicy = 'drop'",
            "overload: policy: expected one of 'keep', 'oldest', 'newest', 'sample', found",
        ),
        ("[overload]\nmax_image = 5", "overload: unknown key 'max_image'; did you mean 'max_images'?"),
        ("[backup]\nkeep = 0", "backup: keep must be from 1 to 10000 backups, found 0"),
        ("[quality.image]\nname = 'a'", "quality: image: expected a list, each item a table"),
        ("[[quality.image]]\nname = 'a'\n[[quality.image]]\nmin_bytes = 1", "quality: image[0]: the rule 'a' has no"),
        ("[[quality.image]]\nmin_bytes = 1", "quality: image[0]: missing key 'name' (a text in quotes); add it"),
        (
            "[time]\nsources = ['clock']",
            "time: sources[0]: expected one of 'name', 'tag', 'csv', 'mtime', found 'clock'",
        ),
    ],
)
def test_a_setting_that_cannot_be_meant_is_refused_in_one_line(tmp_path, text, message):
    file = written(tmp_path, text)
    with pytest.raises(BadConfig) as refused:
        read_config(file)
    assert str(refused.value).startswith(f"{file}: ")
    assert message in str(refused.value)
    assert "\n" not in str(refused.value)


def test_a_missing_config_is_named(tmp_path):
    with pytest.raises(BadConfig, match=r"none\.toml: no such configuration file; check the path"):
        read_config(tmp_path / "none.toml")


def test_options_alone_are_a_config_with_the_counts_beside_the_ledger():
    config = config_from(None, Path("w"), Path("b"), Path("data/l.sqlite"), None)
    assert config == EdgeConfig(
        watch=Path("w"), bundle=Path("b"), ledger=Path("data/l.sqlite"), out=Path("data/counts")
    )


def test_an_option_replaces_the_setting_of_the_file(tmp_path):
    file = written(tmp_path, "batch_images = 4\n")
    config = config_from(file, Path("w"), None, None, Path("o"))
    assert config == dataclasses.replace(read_config(file), watch=Path("w"), out=Path("o"))
    assert config.batch_images == 4


def test_without_a_file_the_missing_options_are_named():
    with pytest.raises(BadConfig) as refused:
        config_from(None, Path("w"), None, None, None)
    assert str(refused.value) == (
        "--bundle, --ledger missing; give --config FILE, or --watch DIR, --bundle DIR and --ledger FILE"
    )
