"""The extra `tflite-runtime`, in an environment of its own: does it install, and does it count the same plankton?

The environment, .venv-tflite-runtime in the checkout, is made once (half a minute, 430 MB on disk) and made
anew when pyproject.toml changes. PLANKTOW_IMAGES=FOLDER adds real images to the rendered ones.
"""

import hashlib
import json
import os
import random
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import numpy as np
import pytest
from packaging.requirements import Requirement

from bundle.errors import BadBundle
from bundle.folder import open_bundle
from tests.bundle.rendered import every_format, file_of, organism, pattern

ROOT = Path(__file__).parents[2]
HOME = ROOT / ".venv-tflite-runtime"
TINY = ROOT / "tests" / "data" / "tiny-3"
AGREEMENT = 0.99  # least share of equal verdicts that we accept
# Of int8 members on rendered images, which are like nothing they have seen, so that more of them lie near a border.
AGREEMENT_ON_THE_STRANGE = 0.93

pytestmark = pytest.mark.timeout(900)  # the first run downloads


@pytest.fixture(scope="module")
def home():
    """The environment: what `pip install 'planktow[tflite-runtime]'` gives, less LiteRT.

    Beside it, in folders of their own: LiteRT, numpy 2, and `bare`, numpy and OpenCV alone.
    """
    python = sys.executable if sys.version_info[:2] == (3, 11) else shutil.which("python3.11")
    if python is None:
        pytest.skip(
            "tflite-runtime 2.14, its last version, has no wheel for CPython 3.12 and later; no python3.11 here"
        )
    stamp = HOME / "stamp"
    wanted = hashlib.sha256((ROOT / "pyproject.toml").read_bytes() + Path(__file__).read_bytes()).hexdigest()
    if not stamp.exists() or stamp.read_text() != wanted:
        shutil.rmtree(HOME, ignore_errors=True)
        subprocess.run([python, "-m", "venv", HOME], check=True)
        pip("install", f"{ROOT}[tflite-runtime]")
        # On x86 and 64-bit ARM the base install brings LiteRT, and it goes first. A host without it has no other package.
        version = installed_version("ai-edge-litert")
        if version:
            pip("uninstall", "--yes", "ai-edge-litert")
            pip("install", "--no-deps", "--target", str(HOME / "litert"), f"ai-edge-litert=={version}")
        pip("uninstall", "--yes", "planktow")  # run from the checkout instead, as it is now
        pip("install", "--no-deps", "--target", str(HOME / "numpy2"), "numpy>=2,<3")
        packages = next((HOME / "lib").glob("python*/site-packages"))
        for name in ("numpy", "numpy.libs", "cv2", "opencv_python_headless.libs"):
            shutil.copytree(packages / name, HOME / "bare" / name, copy_function=os.link)
        stamp.write_text(wanted)
    return HOME


def pip(*arguments):
    command = [HOME / "bin" / "python", "-m", "pip", "--disable-pip-version-check", *arguments]
    ran = subprocess.run(command, capture_output=True, text=True, check=False)
    if ran.returncode:
        if re.search(
            r"NewConnectionError|ConnectTimeout|NameResolution|name resolution|unreachable|ProxyError", ran.stderr
        ):
            pytest.skip("no network, so no environment with tflite-runtime")
        pytest.fail(f"pip {' '.join(arguments)}: {ran.stderr}")


def installed_version(package):
    program = "import importlib.metadata, sys; print(importlib.metadata.version(sys.argv[1]))"
    ran = subprocess.run([HOME / "bin" / "python", "-c", program, package], capture_output=True, text=True, check=False)
    return ran.stdout.strip()


def ran_on(python, images, bundles, *, before=()):
    """The process that asked `verdicts` of an interpreter, with the folders `before` ahead of its own packages."""
    path = os.pathsep.join(map(str, [*before, ROOT]))
    command = [python, "-m", "tests.bundle.verdicts", images, *bundles]
    environment = os.environ | {"PYTHONPATH": path}
    return subprocess.run(command, capture_output=True, text=True, check=False, cwd=ROOT, env=environment)


def verdicts_on(python, images, bundles, *, before=()):
    ran = ran_on(python, images, bundles, before=before)
    assert ran.returncode == 0, ran.stderr
    return json.loads(ran.stdout)


@pytest.fixture(scope="module")
def rendered(tmp_path_factory):
    """A folder of 200 images of every aspect and size, in every format, in 16 bits, colour and JPEG."""
    folder = tmp_path_factory.mktemp("rendered")
    chance = random.Random(2)
    for number in range(200):
        image = (organism if number % 2 else pattern)(chance.randint(2, 160), chance.randint(2, 160))
        (folder / f"{number:03}.png").write_bytes(file_of(".png", image))
    for name, data in every_format(pattern(41, 57)).items():
        (folder / f"format-{name}").write_bytes(data)
    (folder / "format-16.png").write_bytes(file_of(".png", pattern(33, 70).astype(np.uint16) * 199))
    (folder / "format-16.tiff").write_bytes(file_of(".tiff", pattern(33, 70).astype(np.uint16) * 199))
    (folder / "format-colour.png").write_bytes(
        file_of(".png", np.dstack([pattern(30, 30), organism(30, 30), pattern(30, 30).T]))
    )
    (folder / "format-colour.jpg").write_bytes(
        file_of(".jpg", np.dstack([pattern(30, 30), organism(30, 30), pattern(30, 30).T]))
    )
    return folder


def shipped():
    """The bundles that ship and open; a damaged one is another test's business."""
    found = []
    for manifest in sorted((ROOT / "bundles").glob("*/manifest.json")):
        try:
            found.append(open_bundle(manifest.parent).path)
        except BadBundle:
            continue
    return found


def agreement_of(here, there):
    """Share of equal verdicts, share of equal ballots, greatest difference of a score."""
    verdicts, ballots = (np.equal(here[what], there[what]) for what in ("verdicts", "ballots"))
    return verdicts.mean(), ballots.mean(), np.abs(np.subtract(here["scores"], there["scores"])).max()


def test_the_same_bundle_gives_the_same_verdicts_on_both_runtimes(home, rendered, capsys):
    bundles = [TINY, *shipped()]
    folders = [rendered, *([Path(os.environ["PLANKTOW_IMAGES"])] if os.environ.get("PLANKTOW_IMAGES") else [])]
    for folder in folders:
        litert, tflite = verdicts_on(sys.executable, folder, bundles), verdicts_on(home / "bin/python", folder, bundles)
        assert (litert["runtime"], tflite["runtime"]) == ("ai-edge-litert", "tflite-runtime")
        assert (int(tflite["numpy"][0]), tflite["opencv"][:4]) == (1, "4.11")
        for path in bundles:
            here, there = litert["bundles"][path.name], tflite["bundles"][path.name]
            assert here["prepared"] == there["prepared"] > 0
            verdicts, ballots, difference = agreement_of(here, there)
            with capsys.disabled():
                print(
                    f"\n{path.name} on {here['prepared']} {'rendered' if folder == rendered else 'real'} images: LiteRT and "
                    f"tflite-runtime agree in {verdicts:.2%} of verdicts, {ballots:.2%} of ballots; scores differ by at most "
                    f"{difference:.4f}"
                )
            assert verdicts >= (AGREEMENT_ON_THE_STRANGE if folder == rendered and path != TINY else AGREEMENT)


def test_preprocessing_has_the_same_bits_with_the_older_numpy_and_opencv(home, rendered):
    ours, older = verdicts_on(sys.executable, rendered, [TINY]), verdicts_on(home / "bin/python", rendered, [TINY])
    assert ours["opencv"] != older["opencv"]
    ours, older = ours["bundles"]["tiny-3"], older["bundles"]["tiny-3"]
    assert ours["prepared"] == older["prepared"] == len(list(rendered.iterdir()))
    assert ours["pixels"] == older["pixels"]
    assert ours["features"] == older["features"]


def test_where_both_runtimes_are_installed_litert_goes_first_and_works_with_numpy_1(home, rendered):
    if not (home / "litert").exists():
        pytest.skip("no LiteRT for this machine")
    both = verdicts_on(home / "bin/python", rendered, [TINY], before=[home / "litert"])
    assert (both["runtime"], both["numpy"][0]) == ("ai-edge-litert", "1")
    assert both["bundles"] == verdicts_on(sys.executable, rendered, [TINY])["bundles"]


def test_tflite_runtime_with_numpy_2_is_refused_in_one_line_that_says_what_to_install(home, rendered):
    ran = ran_on(home / "bin/python", rendered, [TINY], before=[home / "numpy2"])
    assert ran.returncode == 1
    assert ran.stdout == ""
    assert re.fullmatch(
        r"tflite-runtime does not work with numpy 2\.\S+; run: pip install 'planktow\[tflite-runtime\]', which brings numpy "
        r"below 2 and OpenCV below 4\.12\n",
        ran.stderr,
    )


def test_without_any_runtime_one_line_says_what_to_install(home, rendered):
    # An interpreter that sees numpy, OpenCV and the checkout alone.
    python = os.path.realpath(home / "bin" / "python")
    program = f"import runpy, sys; sys.path[:0] = {[str(home / 'bare'), str(ROOT)]!r}; sys.argv[1:] = sys.argv[2:]\n"
    program += "runpy.run_module('tests.bundle.verdicts', run_name='__main__')"
    command = [python, "-I", "-S", "-c", program, "--", rendered, TINY]
    ran = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (ran.returncode, ran.stdout) == (1, "")
    assert ran.stderr == (
        "neither ai-edge-litert nor tflite-runtime is installed; run: pip install planktow, or on 32-bit ARM with Python 3.11: "
        "pip install 'planktow[tflite-runtime]'\n"
    )


@pytest.mark.parametrize(
    ("machine", "runtimes"),
    [
        ("armv7l", {"tflite-runtime"}),
        ("aarch64", {"tflite-runtime", "ai-edge-litert"}),
        ("x86_64", {"tflite-runtime", "ai-edge-litert"}),
    ],
)
def test_the_extra_asks_for_no_package_that_its_machine_has_not(machine, runtimes):
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    asked = map(Requirement, project["dependencies"] + project["optional-dependencies"]["tflite-runtime"])
    host = {"platform_machine": machine, "python_version": "3.11", "python_full_version": "3.11.2", "extra": ""}
    found = {each.name for each in asked if each.marker is None or each.marker.evaluate(host)}
    assert found & {"tflite-runtime", "ai-edge-litert"} == runtimes
    assert not found & {"tensorflow", "tensorflow-cpu", "keras"}
