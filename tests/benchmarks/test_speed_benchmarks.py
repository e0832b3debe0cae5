"""The benchmarks of speed run, with small numbers and the tiny bundle; what they measure is what they say."""

import json
import os
import sqlite3
from contextlib import closing
from dataclasses import fields
from itertools import islice
from pathlib import Path
from random import Random

import pytest

from benchmarks import latency, scaling, throughput
from benchmarks.bare import BATCH, Bare, faster_way
from benchmarks.camera import images_from, write_images
from benchmarks.flood import WARM, Flood, flood_afresh, new_ship, under_way
from benchmarks.kerasmodels import KerasModels, keras_files
from benchmarks.latency import Waits, pauses_of
from benchmarks.naive import NaiveLoop
from benchmarks.scaling import core_counts, first_members
from benchmarks.stages import ALL_MEMBERS, STAGES, Stages
from bundle.errors import BadConfig
from bundle.folder import open_bundle
from edge.config import EdgeConfig, read_config
from edge.intake.files import scan
from tests.reliability.ship import tree, until

from ..edge.images import TINY_BUNDLE, image_bytes, kind_of

TINY = ["--bundle", str(TINY_BUNDLE)]


@pytest.fixture(scope="module")
def bundle():
    return open_bundle(TINY_BUNDLE)


@pytest.fixture(scope="module")
def prepared(bundle):
    return [bundle.prepare(image_bytes(kind_of(number), number)) for number in range(2 * BATCH + 5)]


@pytest.fixture
def photos(tmp_path):
    """A folder of seven files, two of them the same."""
    folder = tmp_path / "photos"
    folder.mkdir()
    for number in range(6):
        (folder / f"{number}.jpg").write_bytes(image_bytes(kind_of(number), number, ".jpg"))
    (folder / "again.jpg").write_bytes((folder / "3.jpg").read_bytes())
    return folder


def test_a_camera_brings_each_content_once_and_then_the_same_pixels_as_other_bytes(photos, bundle):
    images = list(islice(images_from(photos), 15))
    assert len({data for _, data in images}) == len({name for name, _ in images}) == 15
    pixels = [bundle.decode(data).tobytes() for _, data in images]
    assert len(set(pixels)) == 6
    assert pixels[6:12] == pixels[:6]
    assert images == list(islice(images_from(photos), 15))


def test_without_a_folder_a_camera_brings_rendered_images_each_of_its_own():
    assert len({data for _, data in islice(images_from(None), 50)}) == 50


def test_a_flood_counts_every_image_and_leaves_the_folder_as_it_was(tmp_path):
    folder = tmp_path / "flood"
    assert write_images(folder, islice(images_from(None), 40)) == 40
    ship = new_ship(tmp_path / "ship", TINY_BUNDLE)
    found = flood_afresh(ship, folder, 40)
    assert found.images == 40
    assert found.seconds > 0
    assert ship.accounting() == {
        **dict.fromkeys(("rejected", "waiting", "dropped", "duplicates"), 0),
        **dict.fromkeys(("seen", "counted"), 40 + WARM),
    }
    assert len(list(folder.rglob("*.png"))) == 40


def test_the_daemon_that_is_measured_has_the_default_settings_save_backups(tmp_path):
    config = read_config(new_ship(tmp_path / "ship", TINY_BUNDLE).config)
    changed = {"watch", "bundle", "ledger", "out", "quality", "rejects", "backup"}  # paths, or with a path in them
    for each in fields(EdgeConfig):
        if each.name not in changed:
            assert getattr(config, each.name) == getattr(EdgeConfig(), each.name), each.name


def test_the_daemon_keeps_to_the_cores_it_is_given_and_we_keep_ours(tmp_path):
    ours = os.sched_getaffinity(0)
    ship = new_ship(tmp_path / "ship", TINY_BUNDLE)
    with under_way(ship, cores=1):
        family = tree(ship.process.pid)
        assert [os.sched_getaffinity(process) for process in family] == [{min(ours)}] * 2  # itself and one worker
        assert os.sched_getaffinity(0) == ours


def test_no_process_is_left_where_a_measurement_fails(tmp_path):
    ship = new_ship(tmp_path / "ship", TINY_BUNDLE)
    family: list[int] = []

    def fail():
        with under_way(ship, cores=1):
            family.extend(tree(ship.process.pid))
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    assert len(family) == 2
    until(lambda: not any(map(_runs, family)), "the daemon and its worker are gone")


def _runs(process):
    try:
        state = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return False
    return state not in "ZX"


@pytest.mark.parametrize("how", ["threads", "processes"])
def test_bare_inference_runs_whole_batches_side_by_side(bundle, prepared, how):
    with Bare(bundle, prepared, 2, how) as bare:
        assert bare.images == 2 * BATCH
        assert bare.rate(all_ballots=True) > 0
        assert bare.rate(all_ballots=False) > 0


def test_the_faster_way_is_one_of_the_two(bundle, prepared):
    assert faster_way(bundle, prepared, 1) in ("threads", "processes")


def test_the_naive_loop_counts_as_the_bundle_does_and_cleans_up(tmp_path, bundle):
    files = [tmp_path / f"{number}.png" for number in range(6)]
    for number, file in enumerate(files):
        file.write_bytes(image_bytes(kind_of(number), number))
    kept = tmp_path / "kept.sqlite"
    loop = NaiveLoop(bundle)
    with closing(sqlite3.connect(kept)) as connection:
        connection.execute("CREATE TABLE verdict (file TEXT, label INTEGER, votes INTEGER)")
        for file in files:
            loop.count(file, connection)
        labels = [bundle.labels[label] for (label,) in connection.execute("SELECT label FROM verdict ORDER BY rowid")]
    assert labels == [kind_of(number) for number in range(6)]
    assert loop.rate(files, tmp_path / "verdicts.sqlite") > 0
    assert not (tmp_path / "verdicts.sqlite").exists()


def test_the_stages_are_each_timed_and_their_ledger_is_deleted(tmp_path, bundle):
    write_images(tmp_path / "photos", islice(images_from(None), 70))  # one batch and some
    files = list(scan(tmp_path / "photos", recursive=True))
    taken = Stages(bundle, tmp_path / "photos").microseconds(files, tmp_path / "ledger.sqlite")
    assert list(taken) == [*STAGES, ALL_MEMBERS]
    assert all(value > 0 for value in taken.values())
    assert [path.name for path in tmp_path.iterdir()] == ["photos"]


def test_where_time_goes_adds_up_to_all_cores_for_as_long_as_the_flood_took():
    measured = throughput.Measured()
    stages = {**dict.fromkeys(STAGES, 10.0), ALL_MEMBERS: 99.0}
    measured.add_stages(stages, Flood(images=1000, seconds=0.5, processor_seconds=0.75), cores=2)
    assert measured.stages["the rest"] == [750.0 - 10.0 * len(STAGES)]
    assert measured.stages["idle"] == [250.0]
    assert sum(values[0] for name, values in measured.stages.items() if name != ALL_MEMBERS) == 1000.0


def test_a_ratio_is_the_median_within_the_rounds_and_not_that_of_medians():
    measured = throughput.Measured({"one": [10.0, 40.0, 90.0], "other": [10.0, 10.0, 30.0]})
    assert measured.ratio("one", "other") == 3.0


def test_keras_models_are_found_by_the_names_of_the_bundle_s_members(tmp_path, bundle):
    (tmp_path / "members").mkdir()
    names = [Path(member.file).stem for member in bundle.manifest.members]
    for name in names[1:]:
        (tmp_path / "members" / f"{name}.keras").touch()
    with pytest.raises(BadConfig, match=f"{names[0]}.keras"):
        keras_files(tmp_path, bundle.manifest)
    (tmp_path / f"{names[0]}.keras").touch()
    assert [file.stem for file in keras_files(tmp_path, bundle.manifest)] == names


def test_keras_models_predict_in_a_process_of_their_own(tmp_path, prepared):
    import keras

    pixels = keras.Input((24, 24, 1), dtype="uint8", name="pixels")
    features = keras.Input((len(prepared[0].features),), name="features")
    flat = keras.layers.Flatten()(keras.layers.Rescaling(1 / 255)(pixels))
    scores = keras.layers.Dense(3, "softmax")(keras.layers.Concatenate()([flat, features]))
    keras.Model({"pixels": pixels, "features": features}, scores).save(tmp_path / "one.keras")
    with KerasModels([tmp_path / "one.keras"], prepared) as models:
        assert models.rate() > 0


def test_the_throughput_benchmark_measures_all_and_leaves_nothing_behind(tmp_path, capsys, photos):
    said = tmp_path / "values.json"
    folder = tmp_path / "scratch"
    folder.mkdir()
    throughput.main(
        [*TINY, "--images", str(photos), "--count", "40", "--rounds", "2", "--base", str(folder), "--json", str(said)]
    )
    found = json.loads(said.read_bytes())["images_a_second"]
    names = (throughput.DAEMON, throughput.DAEMON_ALL, throughput.BARE, throughput.BARE_ALL, throughput.NAIVE)
    assert {name: len(rates) for name, rates in found.items()} == dict.fromkeys(names, 2)
    assert all(rate > 0 for rates in found.values() for rate in rates)
    shown = capsys.readouterr()
    assert all(name in shown.out for name in (*names, *STAGES, "the rest", "idle", str(photos)))
    assert "keras.Model.predict was not measured" in shown.err
    assert list(folder.iterdir()) == []


def test_lone_images_come_at_no_fixed_beat_and_others_at_their_rate():
    lone = pauses_of(None, 15.0, Random(0))
    assert len(lone) == 10
    assert all(1 <= pause <= 2 for pause in lone)
    assert len(set(lone)) == 10
    assert pauses_of(100, 0.5, Random(0)) == [0.01] * 50
    assert len(pauses_of(1, 0.1, Random(0))) == 2


def test_the_rate_at_which_images_came_leaves_out_the_time_between_rounds():
    waits = Waits()
    for begin in (0, 10**12):
        arrived = {"a": begin, "b": begin + 10**9, "c": begin + 2 * 10**9}
        waits.add(arrived, {path: ns + 5 * 10**6 for path, ns in arrived.items()})
    assert waits.seconds == [0.005] * 6
    assert waits.came == 1.0


@pytest.mark.parametrize("in_place", [False, True])
def test_the_latency_benchmark_sees_each_image_committed_after_it_came(tmp_path, capsys, in_place):
    said = tmp_path / "values.json"
    quick = ["--seconds", "0.2", "--rounds", "1", "--flood", "30", "--base", str(tmp_path), "--json", str(said)]
    latency.main([*TINY, *quick, *(["--in-place", "--load", "50"] if in_place else [])])
    waits = json.loads(said.read_bytes())["seconds"]
    *rates, load = waits
    assert rates == ["lone", "1", "10", "100", "500"]
    assert [len(waits[name]) for name in rates] == [2, 2, 2, 20, 100]
    assert load.startswith("50, as asked for") if in_place else ", 80% of" in load
    assert all(wait > 0 for found in waits.values() for wait in found)
    assert ("closed in place" if in_place else "renamed in") in capsys.readouterr().out
    assert [path.name for path in tmp_path.iterdir()] == ["values.json"]


def test_a_flood_too_short_for_the_clock_of_processor_time_has_no_ratio(capsys):
    floods = {scaling.Line("cores", f"{cores}"): [Flood(30, 0.1, 0.0)] for cores in (1, 2)}
    scaling.print_table(floods, 1, "none")
    assert capsys.readouterr().out.count("nan") == 2


def test_the_first_members_of_a_bundle_are_those_that_are_asked_first(tmp_path, bundle):
    part = first_members(bundle, 2, tmp_path / "two")
    wanted = [bundle.manifest.members[index].file for index in bundle.manifest.order[:2]]
    assert [member.file for member in part.manifest.members] == wanted
    assert part.manifest.order == (0, 1)


def test_cores_are_counted_by_powers_of_two_up_to_all():
    assert [core_counts(cores) for cores in (1, 2, 6, 8)] == [[1], [1, 2], [1, 2, 4, 6], [1, 2, 4, 8]]


def test_the_scaling_benchmark_measures_each_line_in_each_round(tmp_path, capsys):
    said = tmp_path / "values.json"
    quick = ["--count", "30", "--rounds", "2", "--known", "1500", "--base", str(tmp_path), "--json", str(said)]
    scaling.main([*TINY, *quick])
    floods = json.loads(said.read_bytes())["floods"]
    cores = core_counts(len(os.sched_getaffinity(0)))
    members = [f"members, all asked: {count}" for count in (1, 2, 3)]
    known = ["known files: 1,000", "known files: 1,500"]
    assert list(floods) == [*(f"cores: {count}" for count in cores), *members, *known]
    assert all(flood["images"] == 30 and flood["seconds"] > 0 for found in floods.values() for flood in found)
    assert {len(found) for found in floods.values()} == {2}
    assert "known files" in capsys.readouterr().out
    assert [path.name for path in tmp_path.iterdir()] == ["values.json"]
