"""Members chosen from finished runs, written as a run that can be quantised."""

import json
import shutil
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from bundle.whole import sha256_hex
from trainer.cli import app

from .conftest import write_shapes
from .finishedrun import write_run


def select(pool: list[Path], data: Path, out: Path, size: int, *more: str) -> Result:
    arguments = [*map(str, pool), "--data", str(data), "--out", str(out), "--size", str(size), *more]
    return CliRunner().invoke(app, ["select", *arguments])


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_shapes(tmp_path_factory.mktemp("data") / "shapes", per_class=30)


@pytest.fixture(scope="module")
def pool(tmp_path_factory: pytest.TempPathFactory, data: Path) -> list[Path]:
    folder = tmp_path_factory.mktemp("pool")
    return [
        write_run(folder / "first", data, [("poor", 2.0), ("good", 0.0)]),
        write_run(folder / "second", data, [("fair", 0.4)]),
    ]


def test_the_chosen_members_are_a_run_that_quantize_reads(pool: list[Path], data: Path, tmp_path: Path):
    from quantize.record import read_record

    out = tmp_path / "chosen"
    result = select(pool, data, out, 2, "--name", "picked")
    assert result.exit_code == 0, result.output
    record, _ = read_record(out)  # verifies every hash
    assert record.name == "picked"
    assert [member.file for member in record.members] == ["members/01-good.keras", "members/02-fair.keras"]
    assert sorted(path.name for path in (out / "members").iterdir()) == [
        "01-good.json",
        "01-good.keras",
        "02-fair.json",
        "02-fair.keras",
    ]
    table = json.loads((out / "training.json").read_text())
    first = json.loads((pool[0] / "training.json").read_text())
    assert table["split"] == first["split"]
    assert table["members"][0] == {**first["members"][1], "file": "members/01-good.keras"}
    assert json.loads((out / "members" / "01-good.json").read_text()) == table["members"][0]
    assert table["hard_vote_test"]["images"] == 24
    trace = table["selection"]
    assert [step["from"] for step in trace["steps"]] == ["first/02-good", "second/01-fair"]
    assert trace["steps"][0]["gain"] is None
    assert [each["name"] for each in trace["pool"]] == ["first/01-poor", "first/02-good", "second/01-fair"]
    assert [trace["pool"][row]["disagreement"][row] for row in range(3)] == [0, 0, 0]
    assert trace["pool"][2]["record_sha256"] == sha256_hex((pool[1] / "training.json").read_bytes())
    for words in ("2 of 3 members", "first/02-good", "disagree", "looked at after the choice"):
        assert words in result.stdout
    assert f"planktow-quantize {out} --data {data} --out bundles/picked" in result.stderr


def test_a_file_that_stands_in_two_runs_is_in_the_pool_once(pool: list[Path], data: Path, tmp_path: Path):
    twin = shutil.copytree(pool[0], tmp_path / "twin")
    result = select([pool[0], twin], data, tmp_path / "chosen", 3)
    assert result.exit_code == 2
    assert "twin/02-good is the very file first/02-good" in result.stderr
    assert "have 2 different members" in result.stderr
    assert not (tmp_path / "chosen").exists()


@pytest.mark.parametrize(
    ("what", "change"),
    [
        ("labels", lambda table: table.update(labels=["disc", "ring", "rods"])),
        ("input", lambda table: table["input"].update(pad="border")),
        ("data (digest)", lambda table: table["data"].update(digest="0" * 64)),
        ("split", lambda table: table["split"]["train"].pop()),
    ],
)
def test_runs_that_cannot_vote_together_are_refused(pool: list[Path], data: Path, tmp_path: Path, what: str, change):
    other = shutil.copytree(pool[1], tmp_path / "other")
    table = json.loads((other / "training.json").read_text())
    change(table)
    (other / "training.json").write_text(json.dumps(table))
    result = select([pool[0], other], data, tmp_path / "chosen", 2)
    assert result.exit_code == 2
    assert f"{other / 'training.json'}: has other {what} than {pool[0] / 'training.json'}" in result.stderr
    assert not (tmp_path / "chosen").exists()


def test_members_trained_on_other_features_are_refused(pool: list[Path], data: Path, tmp_path: Path):
    other = shutil.copytree(pool[1], tmp_path / "other")
    table = json.loads((other / "training.json").read_text())
    (other / "training.json").write_text(json.dumps({**table, "features": ["hue"]}))
    result = select([other], data, tmp_path / "chosen", 1)
    assert result.exit_code == 2
    assert "were trained on the features hue" in result.stderr


def test_a_selection_is_never_written_over_anything(pool: list[Path], data: Path, tmp_path: Path):
    (tmp_path / "chosen").mkdir()
    result = select(pool, data, tmp_path / "chosen", 2)
    assert result.exit_code == 2
    assert f"{tmp_path / 'chosen'}: exists already" in result.stderr
    assert list((tmp_path / "chosen").iterdir()) == []


def test_a_full_disk_leaves_nothing(pool: list[Path], data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):

    def no_space(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", no_space)
    result = select([pool[1]], data, tmp_path / "chosen", 1)
    assert isinstance(result.exception, OSError)
    assert list(tmp_path.iterdir()) == []
