"""The wheelhouse, built for real by pip from wheels made here: no test asks a package index.

With the real packages, in a clean root file system, it is tried by clean_root.py.
"""

import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.version import Version

from bundle.errors import BadBundle, BadConfig

from ..edge.images import TINY_BUNDLE
from .clean_root import mebibytes
from .wheelhouse import ROOT, build, commands, install_text, read_bundle, sums, typed_lines
from .wheels import Target, Wheel, explained, missing, read_wheel

PACKAGES = ("bundle", "edge", "quantize", "trainer")
ARM = Target("aarch64", "3.11")
BINARY = "cp311-cp311-manylinux_2_27_aarch64"


# Which wheels


def test_every_tag_of_the_host_is_named_newest_first_for_pip_takes_each_as_it_stands():
    tags = ARM.platforms
    assert tags[0] == "manylinux_2_28_aarch64"
    assert tags[-3:] == ("manylinux_2_17_aarch64", "manylinux2014_aarch64", "linux_aarch64")
    assert len(tags) == len(set(tags)) == 14
    assert ARM.options[:5] == ["--only-binary=:all:", "--implementation", "cp", "--python-version", "3.11"]
    assert ARM.options[5:] == [word for tag in tags for word in ("--platform", tag)]


@pytest.mark.parametrize(
    ("arch", "python", "told"),
    [
        (
            "armv7l",
            "3.11",
            "armv7l: the package index has no NumPy, OpenCV or LiteRT wheels for 32-bit ARM; use a 64-bit",
        ),
        ("riscv64", "3.11", "riscv64: not an architecture that LiteRT has wheels for; aarch64 or x86_64"),
        ("aarch64", "3.10", "Python 3.10: Planktow runs on 3.11, 3.12, 3.13"),
    ],
)
def test_a_host_that_cannot_be_served_is_refused_before_anything_is_fetched(arch, python, told):
    with pytest.raises(BadConfig) as refused:
        Target(arch, python)
    assert str(refused.value).startswith(told)


def wheel(name: str, version: str, *requires: str) -> Wheel:
    return Wheel(name, Version(version), tuple(map(Requirement, requires)))


def test_conditions_are_read_for_the_host_and_not_for_the_machine_that_fetches():
    own = wheel("a", "1", 'old; python_version < "3.12"', 'arm; platform_machine == "aarch64"', 'win; os_name == "nt"')
    roots = [Requirement("a")]
    for target, names in (
        (ARM, {"old", "arm"}),
        (Target("x86_64", "3.13"), set()),
        (Target("aarch64", "3.13"), {"arm"}),
    ):
        assert {each.name for each in missing(roots, [own], target.environment)} == names


def test_what_extras_and_their_requirements_ask_for_is_missed_until_it_is_there():
    own = wheel("a", "1", "base>=2", 'page[fast]>=1; extra == "web"', 'never; extra == "dev"')
    page = wheel("Page", "1.5", 'speed; extra == "fast"', 'slow; extra == "slow"', "a")
    roots = [Requirement("a[web]")]
    assert sorted(map(str, missing(roots, [own, wheel("base", "1.9")], ARM.environment))) == [
        "base>=2",
        'page[fast]>=1; extra == "web"',
    ]
    held = [own, wheel("base", "2.0"), page]
    assert [str(each) for each in missing(roots, held, ARM.environment)] == ['speed; extra == "fast"']
    assert missing(roots, [*held, wheel("speed", "0.1")], ARM.environment) == []


def test_what_pip_could_not_do_is_told_in_one_line():
    none = (
        "ERROR: Could not find a version that satisfies the requirement ai-edge-litert<3,>=2.3 (from planktow) "
        "(from versions: 1.3.0, 1.4.0)\nERROR: No matching distribution found for ai-edge-litert<3,>=2.3 (from planktow)\n"
    )
    assert explained(none, ARM) == (
        "no wheel of ai-edge-litert<3,>=2.3 for CPython 3.11 on aarch64; there are wheels of 1.3.0, 1.4.0"
    )
    assert (
        explained(none.replace("1.3.0, 1.4.0", "none"), ARM)
        == "no wheel of ai-edge-litert<3,>=2.3 for CPython 3.11 on aarch64"
    )
    offline = "WARNING: Retrying (Retry(total=0)) after connection broken by 'NewConnectionError'\n" + none
    assert explained(offline, ARM).startswith("the package index cannot be reached")
    conflict = (
        "Collecting a\n\nThe conflict is caused by:\n    a 1 depends on numpy<3 and >=1.26\n"
        '    a[old] 1 depends on numpy<2; extra == "old"\n\nTo fix this you could try to:\nERROR: ResolutionImpossible\n'
    )
    assert explained(conflict, ARM) == (
        "no wheels for CPython 3.11 on aarch64 that suit all of these: "
        "a 1 depends on numpy<3 and >=1.26; a[old] 1 depends on numpy<2"
    )
    assert explained("ERROR: one\nERROR: ResolutionImpossible: see there\n", ARM) == (
        "pip failed for CPython 3.11 on aarch64: ERROR: ResolutionImpossible: see there"
    )
    assert explained("", ARM) == "pip failed for CPython 3.11 on aarch64: it said nothing"


# The folder


def test_install_txt_holds_the_commands_as_they_are_typed():
    typed = commands("pip-26.3-py3-none-any.whl", ARM, ["web", "mqtt"])
    assert typed == (
        "sha256sum --check --quiet SHA256SUMS",
        "python3.11 -m venv --without-pip /opt/planktow",
        "/opt/planktow/bin/python pip-26.3-py3-none-any.whl/pip install --no-index --find-links . pip 'planktow[web,mqtt]'",
        "cp -r bundles /opt/planktow/",
    )
    assert typed_lines(install_text(typed, ARM, ["planktonset-121"])) == list(typed)


def sums_hold(folder: Path) -> bool:
    """By the program that is typed aboard."""
    typed = ["sha256sum", "--check", "--quiet", "SHA256SUMS"]
    return subprocess.run(typed, cwd=folder, capture_output=True).returncode == 0


def test_a_changed_byte_is_found_by_sha256sum(tmp_path):
    (tmp_path / "bundles").mkdir()
    (tmp_path / "bundles" / "labels.txt").write_text("jelly\n")
    (tmp_path / "a.whl").write_bytes(b"wheel")
    (tmp_path / "SHA256SUMS").write_text(sums(tmp_path))
    assert sums_hold(tmp_path)
    assert sums(tmp_path) == (tmp_path / "SHA256SUMS").read_text()
    (tmp_path / "bundles" / "labels.txt").write_text("jelly!")
    assert not sums_hold(tmp_path)


def stub(folder: Path, name: str, version: str, *requires: str, tag: str = "py3-none-any") -> None:
    """A wheel with nothing in it but what it asks for."""
    stem = f"{name.replace('-', '_')}-{version}"
    head = f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n"
    with zipfile.ZipFile(folder / f"{stem}-{tag}.whl", "w") as archive:
        archive.writestr(f"{stem}.dist-info/METADATA", head + "".join(f"Requires-Dist: {each}\n" for each in requires))
        archive.writestr(f"{stem}.dist-info/WHEEL", f"Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: {tag}\n")
        archive.writestr(f"{stem}.dist-info/RECORD", "")


@pytest.fixture
def index(tmp_path, monkeypatch) -> Path:
    """A folder of wheels that pip looks into, and into nothing else."""
    folder = tmp_path / "index"
    folder.mkdir()
    stub(folder, "pip", "26.3")
    stub(folder, "litert", "2.3.0", 'backport; python_version < "3.12"', tag=BINARY)
    stub(folder, "litert", "2.4.0", tag=BINARY.replace("aarch64", "x86_64"))
    stub(folder, "backport", "1.0")
    stub(folder, "only-there", "1.0")
    monkeypatch.setenv("PIP_CONFIG_FILE", "/dev/null")
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(folder))
    return folder


def planktow(folder: Path, *requires: str) -> Path:
    """A wheel of that name, as `build` has it from the source."""
    stub(folder, "planktow", "0.1.0", *requires)
    return folder / "planktow-0.1.0-py3-none-any.whl"


def names(folder: Path) -> list[str]:
    return sorted(file.name for file in folder.glob("*.whl"))


@pytest.mark.usefixtures("index")
def test_a_wheelhouse_holds_what_the_host_needs_whatever_the_machine_that_made_it(tmp_path):
    own = planktow(tmp_path, "litert>=2.3,<3", 'only-there; platform_machine == "aarch64"')
    out = tmp_path / "house"
    wheels = build(own, ARM, [], [TINY_BUNDLE], out)
    assert names(out) == [
        "backport-1.0-py3-none-any.whl",
        f"litert-2.3.0-{BINARY}.whl",
        "only_there-1.0-py3-none-any.whl",
        "pip-26.3-py3-none-any.whl",
        "planktow-0.1.0-py3-none-any.whl",
    ]
    assert [file.name for file in wheels] == names(out)
    assert sums_hold(out)
    bundle = out / "bundles" / TINY_BUNDLE.name
    assert {
        str(file.relative_to(bundle)): file.read_bytes() for file in bundle.rglob("*") if file.is_file()
    } == read_bundle(TINY_BUNDLE)
    assert "CPython 3.11 on aarch64, glibc 2.28 or newer" in (out / "INSTALL.txt").read_text()
    with pytest.raises(BadConfig, match="exists already; remove it, or give another folder: make wheelhouse OUT=DIR"):
        build(own, ARM, [], [TINY_BUNDLE], out)


@pytest.mark.usefixtures("index")
def test_a_wheel_that_is_not_made_for_the_host_is_named_and_nothing_is_left(tmp_path):
    own = planktow(tmp_path, "litert>=2.4,<3")
    with pytest.raises(
        BadConfig, match=r"no wheel of litert<3,>=2.4 for CPython 3.11 on aarch64; there are wheels of 2.3.0"
    ):
        build(own, ARM, [], [TINY_BUNDLE], tmp_path / "house")
    assert sorted(each.name for each in tmp_path.iterdir()) == ["index", own.name]


@pytest.mark.usefixtures("index")
def test_an_extra_that_is_none_and_a_damaged_bundle_are_refused_and_nothing_is_left(tmp_path):
    own = planktow(tmp_path, 'litert; extra == "web"', 'backport; extra == "mqtt"')
    with pytest.raises(BadConfig, match="no extra named wbe; there are mqtt, web"):
        build(own, ARM, ["wbe", "web"], [TINY_BUNDLE], tmp_path / "house")
    damaged = tmp_path / "damaged"
    (damaged / "members").mkdir(parents=True)
    for name, data in read_bundle(TINY_BUNDLE).items():
        (damaged / name).write_bytes(data)
    (damaged / "labels.txt").write_text("jelly\n")
    with pytest.raises(BadBundle, match=r"labels.txt: damaged"):
        build(own, ARM, ["web"], [damaged], tmp_path / "house")
    assert sorted(each.name for each in tmp_path.iterdir()) == ["damaged", "index", own.name]


def test_a_folder_on_the_disk_weighs_each_file_once(tmp_path):
    (tmp_path / "one").write_bytes(bytes(2**20))
    (tmp_path / "two").hardlink_to(tmp_path / "one")
    assert 1 <= mebibytes(tmp_path) < 1.1


# Planktow's own wheel


@pytest.fixture(scope="module")
def unpacked(tmp_path_factory) -> Path:
    """Planktow's wheel as pip would build it here, unpacked as pip would install it."""
    pytest.importorskip("hatchling", reason="building the wheel without network needs hatchling")
    folder = tmp_path_factory.mktemp("wheel")
    typed = [
        "wheel",
        "--quiet",
        "--no-deps",
        "--no-build-isolation",
        "--no-index",
        "--wheel-dir",
        str(folder),
        str(ROOT),
    ]
    done = subprocess.run([sys.executable, "-m", "pip", *typed], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    (own,) = folder.glob("*.whl")
    assert read_wheel(own).name == "planktow"
    with zipfile.ZipFile(own) as archive:
        archive.extractall(folder / "site")
    return folder / "site"


def test_the_wheel_has_every_file_of_the_packages_and_the_units(unpacked):
    held = {str(file.relative_to(unpacked)) for file in unpacked.rglob("*") if file.is_file()}
    files = {file.relative_to(ROOT) for package in PACKAGES for file in (ROOT / package).rglob("*") if file.is_file()}
    sources = {str(file) for file in files if not any(part.startswith((".", "__pycache__")) for part in file.parts)}
    units = {f"edge/systemd/{file.name}" for file in (ROOT / "systemd").iterdir() if file.is_file()}
    assert {name for name in sources | units if name not in held} == set()
    assert {"edge/htmlreport/style.css", "edge/web/static/style.css", "edge/web/static/page.js"} <= held
    assert not [name for name in held if name.startswith(("bundles/", "tests/", "benchmarks/"))]


def test_without_a_checkout_the_demo_says_where_it_looked_for_its_bundle_and_what_to_do(unpacked, tmp_path):
    call = f"import sys; sys.path.insert(0, {str(unpacked)!r}); sys.prefix = {str(tmp_path)!r}; from edge.cli import app; app()"

    def demo() -> subprocess.CompletedProcess[str]:
        return subprocess.run([sys.executable, "-P", "-c", call, "demo"], capture_output=True, text=True)

    done = demo()
    assert done.returncode != 0
    assert done.stderr.splitlines()[-1].endswith(
        f"the bundle 'flowcam-6' that ships with the source is not at {unpacked}/bundles/flowcam-6 or "
        f"{tmp_path}/bundles/flowcam-6; name one with --bundle DIR"
    )
    # Beside the environment, where INSTALL.txt has the bundles copied, it is found: and here, refused for what it is.
    (tmp_path / "bundles" / "flowcam-6").mkdir(parents=True)
    (tmp_path / "bundles" / "flowcam-6" / "manifest.json").write_text("{}")
    assert f"{tmp_path}/bundles/flowcam-6/manifest.json" in demo().stderr


def test_a_bundles_reference_for_drift_goes_aboard_with_it():
    files = read_bundle(ROOT / "bundles" / "planktonset-121")
    assert {"manifest.json", "labels.txt", "taxa.csv", "reference.json"} <= set(files)
