from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import pytest

from bundle.errors import BadConfig
from bundle.preprocess import InputSpec
from bundle.settings import read_settings


@dataclass(frozen=True)
class Camera:
    name: str
    pixels_per_mm: float = 10.0


@dataclass(frozen=True)
class Settings:
    folder: Path
    settle_seconds: float = 2.0
    batch: int = 16
    rescan: bool = True
    rule: Literal["hard", "soft"] = "hard"
    note: str | None = None
    suffixes: tuple[str, ...] = (".jpg",)
    camera: Camera = field(default_factory=lambda: Camera("none"))
    cameras: tuple[Camera, ...] = ()
    input: InputSpec = field(default_factory=InputSpec)

    def __post_init__(self) -> None:
        if self.batch < 1:
            raise BadConfig(f"batch must be at least 1, found {self.batch}")


@pytest.fixture
def read(tmp_path):
    path = tmp_path / "edge.toml"

    def read(text):
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return read_settings(path, Settings)

    read.path = path
    return read


def test_a_file_becomes_values_of_the_stated_types(read):
    text = """
        folder = "captures"
        settle_seconds = 3
        batch = 4
        rescan = false
        rule = "soft"
        note = "towed"
        suffixes = [".png", ".tif"]
        camera = {name = "ISIIS", pixels_per_mm = 15.5}
        cameras = [{name = "a"}, {name = "b"}]
        [input]
        pad = "border"
    """
    found = read(text)
    cameras = (Camera("a"), Camera("b"))
    isiis = Camera("ISIIS", 15.5)
    expected = Settings(
        Path("captures"), 3.0, 4, False, "soft", "towed", (".png", ".tif"), isiis, cameras, InputSpec(pad="border")
    )
    assert found == expected
    assert type(found.settle_seconds) is float


def test_what_is_not_said_has_its_default(read):
    assert read('folder = "captures"') == Settings(Path("captures"))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "missing key 'folder' (a path in quotes); add it"),
        ('folder = "a"\nsettle_second = 1', "unknown key 'settle_second'; did you mean 'settle_seconds'?"),
        ('folder = "a"\n"zz\\nyy" = 1', "unknown key 'zz\\nyy'; known keys: folder, settle_seconds, batch, rescan, rule, "
         "note, suffixes, camera, cameras, input"),
        ("folder = 1", "folder: expected a path in quotes, found 1"),
        ('folder = "a"\nbatch = "4"', "batch: expected a whole number, found '4'"),
        ('folder = "a"\nbatch = 4.0', "batch: expected a whole number, found 4.0"),
        ('folder = "a"\nbatch = true', "batch: expected a whole number, found True"),
        ('folder = "a"\nsettle_seconds = true', "settle_seconds: expected a number, found True"),
        ('folder = "a"\nrescan = 1', "rescan: expected true or false, found 1"),
        ('folder = "a"\nrule = "Hard"', "rule: expected one of 'hard', 'soft', found 'Hard'"),
        ('folder = "a"\nnote = 3', "note: expected a text in quotes, found 3"),
        ('folder = "a"\nsuffixes = ".jpg"', "suffixes: expected a list, each item a text in quotes, found '.jpg'"),
        ('folder = "a"\nsuffixes = [".jpg", 1]', "suffixes[1]: expected a text in quotes, found 1"),
        ('folder = "a"\ncamera = "ISIIS"', "camera: expected a table, found 'ISIIS'"),
        ('folder = "a"\ncamera = {}', "camera: missing key 'name' (a text in quotes); add it"),
        ('folder = "a"\ncameras = [{name = "b"}, {nam = "c"}]', "cameras[1]: unknown key 'nam'; did you mean 'name'?"),
        ('folder = "a"\nbatch = 0', "batch must be at least 1, found 0"),
        ('folder = "a"\n[input]\nmax_image_pixels = 0', "input: input max_image_pixels must be positive, found 0"),
    ],
)  # fmt: skip
def test_a_file_that_cannot_be_meant_is_refused_with_its_name_and_the_place(read, text, message):
    with pytest.raises(BadConfig) as caught:
        read(text)
    assert str(caught.value) == f"{read.path}: {message}"


@pytest.mark.parametrize(
    "text",
    ["folder = ", "folder = 'a'\nfolder = 'b'", "batch = " + "1" * 5000, "suffixes = " + "[" * 100_000],
    ids=["no value", "twice", "endless number", "endless nesting"],
)
def test_what_is_not_toml_is_refused_and_nothing_worse(read, text):
    with pytest.raises(BadConfig) as caught:
        read(text)
    assert str(caught.value).startswith(f"{read.path}: not valid TOML: ")
    assert "\n" not in str(caught.value)


def test_a_number_too_large_for_a_float_is_refused(read):
    with pytest.raises(BadConfig, match="settle_seconds: expected a number, found 1000"):
        read('folder = "a"\nsettle_seconds = 1' + "0" * 400)


def test_a_missing_file_a_folder_and_a_file_of_other_bytes_are_refused(read, tmp_path):
    with pytest.raises(BadConfig) as missing:
        read_settings(tmp_path / "none.toml", Settings)
    assert str(missing.value) == f"{tmp_path / 'none.toml'}: no such configuration file; check the path"
    with pytest.raises(BadConfig, match=r"cannot be read .* it must be a readable UTF-8 text file"):
        read_settings(tmp_path, Settings)
    with pytest.raises(BadConfig, match=r"cannot be read .* it must be a readable UTF-8 text file"):
        read(b"folder = '\xff'")
