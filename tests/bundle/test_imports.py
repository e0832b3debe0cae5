"""Which package loads which, asked of fresh interpreters: the star of the design, and no TensorFlow aboard."""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
STAGES = {"edge", "trainer", "quantize"}


def loaded_by(*modules):
    """The top-level packages that are loaded after importing `modules`."""
    program = f"import {', '.join(modules)}, sys; print(*sorted({{name.partition('.')[0] for name in sys.modules}}))"
    ran = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, cwd=ROOT)
    return set(ran.stdout.split())


def modules_of(package):
    """Every module of the package but those one runs."""
    paths = sorted((ROOT / package).rglob("*.py"))
    names = [".".join(path.relative_to(ROOT).with_suffix("").parts) for path in paths if path.name != "__main__.py"]
    return [name.removesuffix(".__init__") for name in names]


def test_every_module_of_bundle_and_edge_loads_no_tensorflow_and_no_other_stage():
    loaded = loaded_by(*modules_of("bundle"), *modules_of("edge"))
    assert {"bundle", "edge", "ai_edge_litert"} <= loaded
    assert loaded & {"tensorflow", "keras", "tensorboard", "trainer", "quantize", "tflite_runtime"} == set()


def test_bundle_loads_none_of_the_stages():
    assert loaded_by(*modules_of("bundle")) & (STAGES | {"tensorflow", "keras"}) == set()


@pytest.mark.parametrize("stage", sorted(STAGES))
def test_a_command_loads_its_own_stage_only(stage):
    if not (ROOT / stage / "cli.py").exists():
        pytest.skip(f"{stage} has no command yet")
    assert loaded_by(f"{stage}.cli") & STAGES == {stage}
