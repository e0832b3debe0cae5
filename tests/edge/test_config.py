"""edge.toml: one frozen value, or one line that says what to do."""

import dataclasses
import tomllib
from pathlib import Path

import pytest
from typer.testing import CliRunner

from bundle.errors import BadConfig
from edge.cli import app
from edge.config import EdgeConfig, config_from, format_config, read_config


def written(tmp_path: Path, text: str) -> Path:
    file = tmp_path / "edge.toml"
    file.write_text(text)
    return file


def test_what_init_writes_reads_back_as_the_defaults(tmp_path):
    file = tmp_path / "edge.toml"
    assert CliRunner().invoke(app, ["init", str(file)]).exit_code == 0
    table = tomllib.loads(file.read_text())
    defaults = {
        name: str(value) if isinstance(value, Path) else value
        for name, value in dataclasses.asdict(EdgeConfig()).items()
    }
    assert table == defaults


def test_what_init_writes_explains_every_setting_and_its_unit():
    lines = format_config(EdgeConfig()).splitlines()
    for setting in dataclasses.fields(EdgeConfig):
        at = next(number for number, line in enumerate(lines) if line.startswith(f"{setting.name} = "))
        assert lines[at - 1] == f"# Unit: {setting.metadata['unit']}."
        assert lines[at - 2].startswith("# ")
    assert all(len(line) <= 120 for line in lines)


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


def test_any_config_reads_back_as_itself(tmp_path):
    config = EdgeConfig(
        watch=tmp_path / 'a "quoted" \\ folder – é',
        bundle=tmp_path / "b",
        ledger=tmp_path / "l",
        out=tmp_path / "o",
        recursive=False,
        settle_seconds=0.25,
        rescan_seconds=7.0,
        publish_seconds=1.5,
        batch_images=3,
        max_image_bytes=1000,
        threads=2,
    )
    assert read_config(written(tmp_path, format_config(config))) == config


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
        ("threads = -1", "threads must be from 0 to 256 threads, found -1"),
        ("watch = ", "not valid TOML"),
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
