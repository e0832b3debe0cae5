"""A second bundle on the same images: its verdicts stand apart, count nothing, and tell where it disagrees."""

import csv
import io
import json
import signal
import subprocess
import sys
from contextlib import closing
from dataclasses import replace
from hashlib import sha256
from pathlib import Path

import numpy as np
import pytest

from bundle.folder import Bundle
from bundle.preprocess import Prepared
from edge.capture.capture import Capture
from edge.config import format_config, read_config
from edge.counts import LedgerBundle
from edge.daemon.classify import Ready, decide
from edge.daemon.outcome import Again, Counted, Shadowed
from edge.intake.files import Found
from edge.ledger.ledger import open_ledger
from edge.ledger.ledgerfile import open_ledger_readonly
from edge.shadow.shadow import Compared, Pair, compare, read_comparisons, read_differing
from edge.shadow.shadowing import Shadow, ShadowTask, chosen
from edge.shadow.shadowsettings import ShadowSettings

from .conftest import Ship, until
from .filled import MEASURES, SECOND, TEN
from .images import KINDS, TINY_BUNDLE, kind_of, render
from .second import GERMAN, MIXED, damage, name_in, put, second_bundle, turn

FIRST = LedgerBundle(1, "first", "aa" * 32, ("chain", "sphere", "jelly"))
OTHER = LedgerBundle(7, "other", "bb" * 32, ("sphere", "copepod", "chain"))


@pytest.fixture
def second(tmp_path: Path) -> Bundle:
    return second_bundle(tmp_path / "second", labels=MIXED)


# Comparing


def test_labels_are_compared_by_name_with_would_be_counts_and_the_most_frequent_pairs_first():
    rows = [("chain", "chain", 50), ("chain", "copepod", 7), ("jelly", "copepod", 9), ("unclassified", "sphere", 2)]
    rows += [("sphere", "sphere", 30), ("unclassified", "unclassified", 1), ("chain", "copepod", 1)]
    found = compare(OTHER, [FIRST], rows, counted=200)
    assert (found.images, found.agreed, found.counted) == (100, 81, 200)
    assert (found.agreement, found.seen_share) == (0.81, 0.5)
    assert found.labels == (
        Compared("chain", 58, 50, 50),
        Compared("sphere", 30, 32, 30),
        Compared("jelly", 9, 0, 0),
        Compared("copepod", 0, 17, 0),
        Compared("unclassified", 3, 1, 1),
    )
    assert found.pairs == (Pair("jelly", "copepod", 9), Pair("chain", "copepod", 8), Pair("unclassified", "sphere", 2))
    assert [each.difference for each in found.labels] == [-8, 2, -9, 17, -2]
    assert sum(each.difference for each in found.labels) == 0
    assert found.labels[1].agreement == 30 / 32
    assert compare(OTHER, [FIRST], []).agreement is None


def test_a_share_is_chosen_by_content_and_a_larger_one_holds_a_smaller_one():
    contents = [sha256(str(number).encode()).digest() for number in range(4000)]
    tenth, half = ({content for content in contents if chosen(content, share)} for share in (0.1, 0.5))
    assert tenth < half
    assert abs(len(tenth) - 400) < 100
    assert abs(len(half) - 2000) < 200
    assert all(chosen(content, 1.0) for content in [*contents, b"\xff" * 32])
    assert not any(chosen(content, 0.0) for content in [*contents, b"\x00" * 32])


# In a worker


def ready(bundle: Bundle, shadow: Shadow, kind: str) -> Ready:
    grey, content = render(kind), sha256(kind.encode()).digest()
    prepared = bundle.prepare_grey(grey)
    its = shadow.prepare(content, grey, prepared)
    return Ready(Found(kind, 1, 1), content, Capture(TEN, "mtime"), MEASURES, prepared, its)


def test_a_shadow_with_the_same_input_settings_takes_the_same_pixels_and_another_its_own(tiny, second, tmp_path):
    bordered = second_bundle(tmp_path / "bordered", pad="border")
    grey = render("chain")
    prepared = tiny.prepare_grey(grey)
    assert Shadow(ShadowTask(second, 1.0), tiny, False).prepare(b"\0" * 32, grey, prepared) is prepared
    own = Shadow(ShadowTask(bordered, 1.0), tiny, False).prepare(b"\0" * 32, grey, prepared)
    for side, pixels in bordered.prepare_grey(grey).pixels.items():
        assert np.array_equal(own.pixels[side], pixels)
        assert not np.array_equal(own.pixels[side], prepared.pixels[side])


def test_an_image_too_large_for_the_shadow_is_not_seen_by_it(tiny, tmp_path):
    small = second_bundle(tmp_path / "small", max_image_pixels=10)
    shadow = Shadow(ShadowTask(small, 1.0), tiny, False)
    assert shadow.prepare(b"\0" * 32, render("chain"), tiny.prepare_grey(render("chain"))) is None


def test_a_shadow_that_fails_is_left_out_and_every_image_keeps_its_verdict(tiny, second):
    shadow = Shadow(ShadowTask(second, 1.0), tiny, False)
    taken = [ready(tiny, shadow, kind) for kind in KINDS]
    wrong = Prepared(dict.fromkeys(tiny.manifest.sides, np.zeros((3, 3), np.uint8)), taken[0].prepared.features, 3, 3)
    taken = [replace(item, for_shadow=wrong) for item in taken]
    outcomes = decide(tiny, tiny.load(), taken)
    assert shadow.beside(taken, outcomes) == outcomes
    assert "the shadow fails and is left out, counting goes on" in shadow.problem
    assert shadow.prepare(b"\0" * 32, render("chain"), taken[0].prepared) is None, "it is not asked again"


# In the ledger


def test_a_copy_that_counts_again_keeps_the_shadow_of_the_first(tiny, second, tmp_path):
    content, seen = sha256(b"x").digest(), Shadowed(second.digest, 2, 3, 0.5, 3)
    with open_ledger(tmp_path / "l.sqlite", count_sightings=True) as ledger:
        number = ledger.bundle_id(tiny, TEN)
        ledger.shadow_bundle(second, TEN)
        capture = Capture(TEN, "mtime")
        first = Counted(Found("a", 1, 1), content, capture, MEASURES, 0, 3, 0.9, shadow=seen)
        ledger.record([first, Again(Found("b", 1, 1), content, capture)], number, TEN)
        rows = ledger.connection.execute("SELECT * FROM shadow_verdict").fetchall()
    assert rows == [(1, 1, 2, 3, 0.5, 3), (2, 1, 2, 3, 0.5, 3)]


def test_only_images_that_count_and_lie_in_the_stretch_are_compared(tiny, second, tmp_path):
    def image(number: int, label: int, its: int | None, aside: str | None = None) -> Counted:
        found, seen = Found(str(number), 1, 1), None if its is None else Shadowed(second.digest, its, 3, 0.25)
        capture = Capture(TEN + number * SECOND, "mtime")
        content = sha256(str(number).encode()).digest()
        return Counted(found, content, capture, MEASURES, label, 3, 0.9, aside, shadow=seen)

    with open_ledger(tmp_path / "l.sqlite") as ledger:
        ledger.shadow_bundle(second, TEN)
        # chain is its label 2, jelly its label 0; -1 is unclassified in both
        images = [image(0, 0, 2), image(1, 0, 0), image(2, 2, 0), image(3, -1, -1), image(4, 0, 1, "blurred")]
        images += [image(5, 1, None), image(6, 1, 0), image(60, 1, 0)]
        ledger.record(images, ledger.bundle_id(tiny, TEN), TEN)
    with closing(open_ledger_readonly(tmp_path / "l.sqlite")) as connection:
        (found,) = read_comparisons(connection, TEN, TEN + 60 * SECOND)
        assert (found.images, found.agreed, found.counted) == (5, 3, 6)
        assert found.pairs == (Pair("chain", "jelly", 1), Pair("sphere", "jelly", 1))
        assert (found.shadow.name, [each.name for each in found.counting]) == ("second", ["tiny-3"])
        differing = read_differing(connection, found.shadow.id, TEN, TEN + 60 * SECOND)
        assert [(each.counted, each.shadow, each.shadow_score) for each in differing] == [
            ("sphere", "jelly", 0.25),
            ("chain", "jelly", 0.25),
        ]
        assert read_comparisons(connection, TEN + 61 * SECOND) == ()
        assert read_comparisons(connection)[0].images == 6


# The daemon


def shadow_rows(ship: Ship) -> dict[str, str]:
    """Path -> what the shadow calls it."""
    query = (
        "SELECT path, shadow_verdict.label, labels FROM sighting JOIN shadow_verdict USING (image_id)"
        " JOIN shadow_bundle ON shadow_bundle.id = bundle_id"
    )
    return {path: json.loads(labels)[label] for path, label, labels in ship.rows(query)}


def called(numbers: range, labels: tuple[str, ...]) -> dict[str, str]:
    return {f"{number:04d}.png": name_in(labels, kind_of(number)) for number in numbers}


def test_the_shadow_sees_every_image_and_nothing_that_counts_sees_the_shadow(ship, second):
    ship.start(shadow=ShadowSettings(bundle=str(second.path)))
    put(ship, range(30))
    ship.await_accounting(counted=30)
    until(lambda: ship.status().get("accounting", {}).get("counted") == 30)
    assert shadow_rows(ship) == called(range(30), MIXED)
    assert ship.verdicts() == called(range(30), KINDS)
    assert (ship.out / "counts.csv").read_text() == "label,count\nchain,10\nsphere,10\njelly,10\nunclassified,0\n"
    assert [(each["name"], each["counted"]) for each in ship.status()["bundles"]] == [("tiny-3", 30)]
    assert ship.rows("SELECT * FROM audit") == ship.rows("SELECT * FROM accounting")
    assert ship.stop() == 0
    told = json.loads(command("shadow", f"--ledger={ship.ledger}", "--format=json"))["shadows"]
    assert [(each["images"], each["agreed"], each["pairs"]) for each in told] == [
        (
            30,
            10,
            [
                {"counted": "chain", "shadow": "jelly", "images": 10},
                {"counted": "jelly", "shadow": "chain", "images": 10},
            ],
        )
    ]
    rows = csv.DictReader(io.StringIO(command("shadow", f"--ledger={ship.ledger}", "--format=csv").split("\n", 1)[1]))
    assert sum(int(row["images"]) for row in rows) == 30
    assert "they agree on 33.3%" in " ".join(command("shadow", f"--ledger={ship.ledger}").split())


def command(*words: str) -> str:
    ended = subprocess.run([sys.executable, "-m", "edge", *words], capture_output=True, text=True, timeout=60)
    assert (ended.returncode, ended.stderr) == (0, "")
    return ended.stdout


def test_under_a_backlog_the_shadow_pauses_and_no_image_waits_for_it(ship, second):
    put(ship, range(200))
    ship.start(shadow=ShadowSettings(bundle=str(second.path), max_waiting=1), batch_images=8)
    ship.await_accounting(counted=200)
    assert len(shadow_rows(ship)) < 100
    for number in range(200, 1000):  # one by one: the pause ends when it is looked at the backlog again
        put(ship, range(number, number + 1))
        ship.await_accounting(counted=number + 1)
        if f"{number:04d}.png" in shadow_rows(ship):
            break
    else:
        pytest.fail("it never saw an image again")


def test_a_shadow_is_turned_to_another_taken_away_and_a_bad_one_refused_without_a_stop(ship, second, tmp_path):
    link, german = tmp_path / "shadow", second_bundle(tmp_path / "german", "german", GERMAN)
    link.symlink_to(second.path)
    ship.start(shadow=ShadowSettings(bundle=str(link)))
    put(ship, range(6))
    ship.await_accounting(counted=6)
    turn(link, german.path)
    until(lambda: "bundle german" in ship.said())
    put(ship, range(6, 12))
    ship.await_accounting(counted=12)
    assert shadow_rows(ship) == called(range(6), MIXED) | called(range(6, 12), GERMAN)

    bad = second_bundle(tmp_path / "bad", "bad")
    member = damage(bad.path)
    turn(link, bad.path)
    problem = f"the new shadow is refused, the one before stays: {member}: damaged, its sha-256 is not the manifest's"
    until(lambda: (ship.status().get("problem") or "").startswith(problem))

    ship.config.write_text(format_config(replace(read_config(ship.config), shadow=ShadowSettings())))
    ship.process.send_signal(signal.SIGHUP)
    until(lambda: "no bundle shadows any more" in ship.said())
    until(lambda: ship.status()["problem"] is None)
    put(ship, range(12, 18))
    ship.await_accounting(counted=18)
    assert len(shadow_rows(ship)) == 12
    assert ship.verdicts() == called(range(18), KINDS)


def test_the_bundle_that_counts_does_not_shadow_itself(ship):
    ship.start(shadow=ShadowSettings(bundle=str(TINY_BUNDLE)))
    put(ship, range(6))
    ship.await_accounting(counted=6)
    assert shadow_rows(ship) == {}


def test_a_bad_shadow_is_refused_at_the_start_and_no_ledger_is_made(ship, second):
    member = damage(second.path)
    ship.start(ready=False, shadow=ShadowSettings(bundle=str(second.path)))
    assert ship.exit_code() == 2
    fault = f"planktow-edge: shadow: {member}: damaged, its sha-256 is not the manifest's; copy the bundle anew"
    assert fault in ship.said()
    assert not ship.ledger.exists()


def test_images_are_the_same_for_both(tiny, second):
    """The two bundles have the same members: whatever the pixels, they must give the same class index."""
    shadow = Shadow(ShadowTask(second, 1.0), tiny, False)
    taken = [ready(tiny, shadow, kind) for kind in KINDS]
    outcomes = shadow.beside(taken, decide(tiny, tiny.load(), taken))
    assert [outcome.shadow for outcome in outcomes] == [
        Shadowed(second.digest, each.label, each.votes, each.score, each.asked) for each in outcomes
    ]
