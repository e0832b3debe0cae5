"""A record as a person reads it."""

import json
import subprocess
import sys
from pathlib import Path

from typer.testing import CliRunner

from trainer.cli import app

BUNDLE = Path(__file__).parents[2] / "bundles" / "planktonset-121"
MEMBER = {
    "file": "members/01-a.keras",
    "sha256": "0" * 64,
    "architecture": "residual_cnn",
    "side": 32,
    "settings": {"name": "a", "seed": 1, "network": {"widths": [4, 8], "weights": None}, "mirror": True},
}
RECORD = {
    "schema_version": 3,
    "created": "2026-05-01T13:05:00Z",
    "name": "small",
    "labels": ["disc", "ring"],
    "input": {"pad": "white"},
    "features": [],
    "data": {"digest": "ab" * 32, "images": 9, "conflicts": [f"disc/{n}.png" for n in range(12)]},
    "split": {"train": ["0"], "validation": [], "test": []},
    "members": [
        MEMBER,
        {**MEMBER, "file": "members/02-b.keras", "settings": {"seed": 2, "network": {"widths": [4, 8]}}},
    ],
}


def show(path: Path) -> str:
    result = CliRunner().invoke(app, ["show", str(path)])
    assert result.exit_code == 0, result.output
    return result.stdout


def test_the_record_of_the_bundle_that_ships():
    text = show(BUNDLE)
    record = json.loads((BUNDLE / "training.json").read_text())
    assert text == show(BUNDLE / "training.json")
    assert record["data"]["digest"] in text
    assert "24263 images of 121 classes, 7 to 1583 of each" in text
    assert "21580 train, 234 validation, 2449 test" in text
    assert "left out: chaetognath_other/271.jpg has the content of chaetognath_non_sagitta/14864.jpg" in text
    assert "augmentation.rotation_degrees 180.0" in text
    assert "keras 3.15.1" in text
    for number, member in enumerate(record["members"], start=1):
        last = member["history"][-1]
        assert f"  {number:02d}  epoch {len(member['history'])}, accuracy {last['accuracy']}, " in text
        (line,) = [line for line in text.splitlines() if f" {Path(member['file']).stem} " in line]
        figures = [member["validation"]["accuracy"]]
        figures += [member["test"][key] for key in ("accuracy", "balanced_accuracy", "macro_f1")]
        assert [float(word) for word in line.split() if "." in word] == [round(100 * figure, 1) for figure in figures]


def test_nested_settings_are_compared_and_what_is_not_there_is_not_printed(tmp_path: Path):
    (tmp_path / "training.json").write_text(json.dumps(RECORD))
    lines = show(tmp_path).splitlines()
    assert "  seed             1 (01)   2 (02)" in lines
    assert "  network.weights  none (01)   - (02)" in lines
    assert "  mirror           true (01)   - (02)" in lines
    assert "settings of all: network.widths [4 8]" in lines
    assert "          and 2 more" in lines
    assert not any("last epochs" in line or "versions" in line or "hard vote" in line for line in lines)


def test_a_record_that_is_none_is_refused_in_one_line(tmp_path: Path):
    for text, words in (
        ("[]", "schema_version is None, this version of Planktow reads 3"),
        (json.dumps({**RECORD, "labels": ["disc"]}), "1 label(s), but a classifier needs at least two"),
        (json.dumps({**RECORD, "members": [{"file": "../x.keras"}]}), "members[0]: missing key 'sha256'"),
        (json.dumps({**RECORD, "split": None}), "split: expected a table, found None"),
    ):
        (tmp_path / "training.json").write_text(text)
        result = CliRunner().invoke(app, ["show", str(tmp_path)])
        assert result.exit_code == 2
        assert words in result.stderr
        assert f"{tmp_path / 'training.json'}: " in result.stderr


def test_showing_a_record_never_waits_for_keras():
    code = (
        "import sys; from trainer.cli import app; app(sys.argv[1:], standalone_mode=False); print(sorted(sys.modules))"
    )
    shown = subprocess.run(
        [sys.executable, "-c", code, "show", str(BUNDLE)], capture_output=True, text=True, check=True
    )
    modules = shown.stdout.splitlines()[-1]
    assert "'trainer.judge.show'" in modules
    assert "'keras'" not in modules
    assert "'tensorflow'" not in modules
    assert "'matplotlib'" not in modules
