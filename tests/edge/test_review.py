"""Quality control on real ledgers: whatever comes in whatever order, each image ends as all rules on all images say."""

import itertools
import json
import tempfile
from collections import Counter
from collections.abc import Iterable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from hashlib import sha256
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as some

from bundle.folder import Bundle
from bundle.measures import Measures
from edge.bins import utc_text
from edge.capture.capture import Capture
from edge.daemon.outcome import Again, Counted
from edge.intake.files import Found
from edge.ledger.ledger import open_ledger
from edge.quality.aside import judge_image, judge_track
from edge.quality.quality import ImageRule, QualitySettings, TrackRule, WindowRule
from edge.quality.review import Review
from edge.track.track import Circle, TrackSettings
from edge.track.trackfile import read_track

from .filled import MEASURES, SECOND, TEN, other_bundle

CHAIN, SPHERE, JELLY = 0, 1, 2  # labels of the tiny bundle
HOUR_NS = 3600 * SECOND
LONG_SECONDS = 1000.0  # by then all that is done now and then has its turn
SMALL = ImageRule("too small", min_long_side_pixels=30)
BUBBLES = WindowRule("bubbles", ("sphere",), max_share=0.5, window_seconds=60, min_images=4)
PORT = Circle(50.0, 8.0, 5.0)


@dataclass(frozen=True)
class Shot:
    """An image as a test wants it."""

    seconds: float  # after ten o'clock
    label: int = CHAIN
    side: int = 50  # pixels
    other: bool = False  # by the second bundle, whose labels stand in another order

    @property
    def ns(self) -> int:
        return TEN + round(self.seconds * SECOND)


class Deck:
    """A ledger and its quality control, which can be stopped and started with other rules."""

    def __init__(self, path: Path, tiny: Bundle, rules: QualitySettings, count_sightings: bool = False) -> None:
        self._number, self._tick = itertools.count(), 0.0
        self._bundles = tiny, other_bundle(tiny, ("jelly", "sphere", "chain"))
        self.now = 100.0
        self.ledger = open_ledger(path, count_sightings)
        self.restart(rules)

    def __enter__(self) -> "Deck":
        return self

    def __exit__(self, *_: object) -> None:
        self.ledger.close()

    def restart(self, rules: QualitySettings | None = None) -> None:
        """As after a kill: nothing that was in memory stays."""
        self.rules = rules if rules is not None else self.rules
        self.review = Review(self.ledger, self.rules, self._steady)

    def take(self, shots: Iterable[Shot]) -> None:
        """Counts images in one batch, as the daemon does."""
        shots = list(shots)
        for other in (False, True):
            outcomes = []
            for shot in (each for each in shots if each.other is other):
                label = (JELLY, SPHERE, CHAIN)[shot.label] if other else shot.label
                name = f"{next(self._number)}.png"
                capture, measures = Capture(shot.ns, "mtime"), replace(MEASURES, width=shot.side, height=shot.side)
                aside = self.review.judge(measures, capture, 100)
                content = sha256(name.encode()).digest()
                outcomes.append(
                    Counted(Found(name, 100, shot.ns), content, capture, measures, label, 3, 0.9, aside=aside)
                )
            self.ledger.record(outcomes, self.ledger.bundle_id(self._bundles[other], now_ns=TEN), now_ns=TEN)

    def steps(self, number: int) -> None:
        """At most so many steps of judging, each in a turn of its own: then the process may die."""
        self.now += LONG_SECONDS
        self._tick = 0.3
        for _ in range(number):
            self.review.turn(budget_seconds=0.5)
        self._tick = 0.0

    def settle(self) -> None:
        """All that is left to do."""
        self.now += LONG_SECONDS
        self.review.turn(budget_seconds=0.5)  # the clock stands still meanwhile

    def _steady(self) -> float:
        self.now += self._tick
        return self.now

    def asides(self) -> list[str | None]:
        """Of each image with a verdict, in the order of taking."""
        return [
            aside
            for (aside,) in self.ledger.connection.execute(
                "SELECT aside FROM image JOIN verdict ON image_id = image.id ORDER BY image.id"
            )
        ]

    def check_accounts(self) -> None:
        """The accounts that triggers keep are those that counting anew finds, also by hour and label."""
        connection = self.ledger.connection
        assert connection.execute("SELECT * FROM accounting").fetchall() == (
            connection.execute("SELECT * FROM audit").fetchall()
        )
        kept = connection.execute(
            "SELECT hour_ns, bundle_id, label, images FROM hourly WHERE images <> 0 ORDER BY 1, 2, 3"
        ).fetchall()
        hours = Counter(
            (ns // HOUR_NS * HOUR_NS, bundle_id, label)
            for ns, bundle_id, label in connection.execute(
                "SELECT capture_ns, bundle_id, label FROM image JOIN verdict ON image_id = image.id WHERE aside IS NULL"
            )
        )
        assert kept == sorted((*key, images) for key, images in hours.items())


def expected(deck: Deck) -> list[str | None]:
    """What all rules say of all rows, computed anew without a shortcut."""
    rules, connection = deck.rules, deck.ledger.connection
    labels = {number: json.loads(text) for number, text in connection.execute("SELECT id, labels FROM bundle")}
    rows = connection.execute(
        "SELECT capture_ns, bytes, bundle_id, label, width, height, sharpness, dark_share, bright_share, ink_share,"
        " mean_grey FROM image JOIN verdict ON image_id = image.id ORDER BY image.id"
    ).fetchall()
    windows: dict[tuple[str, int], list[str]] = {}
    for rule in rules.window:
        for ns, _, bundle_id, label, *_ in rows:
            name = "unclassified" if label < 0 else labels[bundle_id][label]
            windows.setdefault((rule.name, ns // rule.window_ns), []).append(name)
    track = read_track(rules.track.file) if rules.track and rules.track.file.exists() else None
    asides = []
    for ns, size, _, _, *measures in rows:
        names = [judge_image(rules.image, Measures(*measures), size)]
        for rule in rules.window:
            names_there = windows[rule.name, ns // rule.window_ns]
            share = sum(name in rule.labels for name in names_there) / len(names_there)
            names.append(rule.name if len(names_there) >= rule.min_images and share > rule.max_share else None)
        for rule in rules.track_rule if track is not None else ():
            aside = judge_track(rule, track, rules.track.max_gap_seconds, np.array([ns], np.int64))[0]
            names.append(rule.name if aside else None)
        asides.append(next((name for name in names if name), None))
    return asides


def track_line(seconds: float, latitude: float = 50.0, longitude: float = 8.0) -> str:
    return f"{utc_text(TEN + round(seconds * SECOND))},{latitude},{longitude}\n"


HEAD = "time,latitude,longitude\n"


@pytest.fixture
def new_deck(tmp_path, tiny):
    """Gives a new folder, and what makes a deck in it with rules."""

    def make():
        folder = Path(tempfile.mkdtemp(dir=tmp_path))
        return folder, lambda rules: Deck(folder / "ledger.sqlite", tiny, rules)

    return make


@pytest.fixture
def deck_with(tmp_path, tiny):
    """Makes a deck with rules."""
    with ExitStack() as stack:

        def make(**rules: object) -> Deck:
            count_sightings = bool(rules.pop("count_sightings", False))
            deck = Deck(tmp_path / "ledger.sqlite", tiny, QualitySettings(**rules), count_sightings)
            stack.enter_context(deck)
            return deck

        yield make


# Rules on single images


def test_an_image_that_a_rule_names_is_set_aside_when_it_is_counted(deck_with):
    deck = deck_with(image=(SMALL,))
    deck.take([Shot(0, side=29), Shot(1, side=30)])
    assert deck.asides() == ["too small", None]
    deck.check_accounts()


def test_rules_that_are_added_changed_and_taken_out_judge_all_images_anew(deck_with):
    deck = deck_with()
    deck.take(Shot(second / 10, side=20 + second % 20) for second in range(2500))
    deck.settle()
    assert set(deck.asides()) == {None}
    for rules in (
        QualitySettings(image=(SMALL,)),
        QualitySettings(image=(ImageRule("too small", min_long_side_pixels=25),)),
        QualitySettings(image=(ImageRule("tiny", min_long_side_pixels=25), ImageRule("large", max_bytes=99))),
        QualitySettings(),
    ):
        deck.restart(rules)
        for _ in range(6):  # slices of 500
            deck.steps(1)
            deck.check_accounts()
        assert deck.asides() == expected(deck)


@pytest.mark.parametrize("steps", range(1, 8))
def test_a_sweep_that_is_killed_half_way_ends_the_same(deck_with, steps):
    deck = deck_with()
    deck.take(Shot(second / 10, side=20 + second % 20) for second in range(2500))
    deck.restart(QualitySettings(image=(SMALL,)))
    deck.steps(steps)
    deck.restart()
    deck.settle()
    assert deck.asides() == expected(deck)
    deck.check_accounts()


def test_going_back_to_the_old_rules_in_the_middle_of_a_sweep_takes_all_back(deck_with):
    deck = deck_with()
    deck.take(Shot(second / 10, side=20 + second % 20) for second in range(2500))
    deck.settle()
    deck.restart(QualitySettings(image=(SMALL,)))
    deck.take([Shot(1, side=20)])
    deck.steps(2)
    assert 0 < sum(aside is not None for aside in deck.asides()) < 1250
    deck.restart(QualitySettings())
    deck.settle()
    assert set(deck.asides()) == {None}
    deck.check_accounts()


def test_unchanged_rules_read_no_image_anew_at_the_next_start(deck_with):
    deck = deck_with(image=(SMALL,), window=(BUBBLES,))
    deck.settle()
    deck.take([Shot(0, side=20), Shot(1)])
    deck.settle()
    deck.restart()
    read: list[str] = []
    deck.ledger.connection.set_trace_callback(read.append)
    deck.settle()
    deck.ledger.connection.set_trace_callback(None)
    assert [text for text in read if "image_id > 2 " not in text] == []  # only whether there are newer ones


def test_an_image_that_was_never_measured_is_left_by_image_rules(deck_with):
    """As a ledger of the first version has them."""
    deck = deck_with()
    deck.take([Shot(0, side=20), Shot(1, side=20)])
    deck.ledger.connection.execute("UPDATE image SET sharpness = NULL WHERE id = 1")
    deck.restart(QualitySettings(image=(SMALL,)))
    deck.settle()
    assert deck.asides() == [None, "too small"]


def test_captures_at_the_ends_of_time_are_judged(deck_with):
    deck = deck_with()
    deck.take([Shot(0, side=20), Shot(1, side=20)])
    ends = [(-(2**63) + HOUR_NS, 1), (2**63 - 1, 2)]
    deck.ledger.connection.executemany("UPDATE image SET capture_ns = ? WHERE id = ?", ends)
    bubbles = replace(BUBBLES, labels=("chain",), min_images=1)
    deck.restart(QualitySettings(window=(bubbles,)))
    deck.settle()
    assert deck.asides() == ["bubbles", "bubbles"]
    deck.restart(QualitySettings(image=(SMALL,), window=(bubbles,)))
    deck.settle()
    assert deck.asides() == ["too small", "too small"]
    deck.check_accounts()


# Rules on windows


def test_bubbles_set_their_window_aside_whole_and_no_other(deck_with):
    deck = deck_with(window=(BUBBLES,))
    deck.take([*(Shot(second, SPHERE) for second in range(3)), Shot(59.9), Shot(60, SPHERE), Shot(-0.1, SPHERE)])
    deck.settle()
    assert deck.asides() == ["bubbles"] * 4 + [None] * 2
    deck.check_accounts()


def test_later_images_dilute_the_bubbles_and_the_window_comes_back(deck_with):
    deck = deck_with(window=(BUBBLES,))
    deck.take(Shot(second, SPHERE) for second in range(5))
    deck.settle()
    assert deck.asides() == ["bubbles"] * 5
    deck.take(Shot(second) for second in range(5))
    assert deck.asides() == ["bubbles"] * 10  # at once, before anything is counted anew
    deck.settle()
    assert deck.asides() == [None] * 10  # half is not too large a share
    deck.take([Shot(8, SPHERE)])
    deck.settle()
    assert deck.asides() == ["bubbles"] * 11
    deck.check_accounts()


def test_images_whose_window_was_not_judged_before_a_kill_are_judged_after_it(deck_with):
    deck = deck_with(window=(BUBBLES,))
    deck.settle()
    deck.take(Shot(second, SPHERE) for second in range(5))
    deck.restart()
    deck.settle()
    assert deck.asides() == ["bubbles"] * 5


def test_the_same_content_seen_again_is_judged_by_its_own_time(deck_with):
    deck = deck_with(window=(BUBBLES,), count_sightings=True)
    deck.take(Shot(second, SPHERE) for second in range(4))
    deck.settle()
    for seconds in ((30, 600), (31, 601)):  # the second time both windows are known
        again = [
            Again(Found(f"{second}.png", 100, TEN), sha256(b"0.png").digest(), Capture(Shot(second).ns, "mtime"))
            for second in seconds
        ]
        deck.ledger.record(again, bundle_id=1, now_ns=TEN)
        deck.settle()
    assert deck.asides() == ["bubbles"] * 5 + [None, "bubbles", None]
    deck.check_accounts()


def test_rules_of_different_widths_each_judge_by_themselves(deck_with):
    deck = deck_with(
        window=(
            BUBBLES,
            WindowRule("much jelly", ("jelly",), max_share=0.2, window_seconds=600, min_images=1),
            WindowRule("undecided", ("unclassified",), max_share=0.0, window_seconds=1, min_images=1),
        )
    )
    deck.take(Shot(second, (SPHERE, SPHERE, SPHERE, JELLY)[second % 4]) for second in range(60))
    deck.take([Shot(100.5, -1), Shot(100.9), Shot(101), Shot(700, -1)])
    deck.settle()
    assert deck.asides() == expected(deck)
    assert set(deck.asides()) == {"bubbles", "much jelly", "undecided"}


def test_a_label_is_known_by_its_name_whatever_number_a_bundle_gives_it(deck_with):
    rule = WindowRule("much jelly", ("jelly",), max_share=0.5, min_images=4)
    deck = deck_with(window=(rule,))
    deck.take([Shot(0, JELLY), Shot(1, JELLY, other=True), Shot(2, JELLY, other=True), Shot(3, CHAIN, other=True)])
    deck.take([Shot(60, CHAIN), Shot(61, CHAIN, other=True), Shot(62, CHAIN), Shot(63, JELLY, other=True)])
    deck.settle()
    assert deck.asides() == ["much jelly"] * 4 + [None] * 4


@pytest.mark.parametrize("spread_seconds", [0.0, 0.005])
def test_a_window_larger_than_any_slice_is_judged_whole(deck_with, spread_seconds):
    deck = deck_with(window=(BUBBLES,))
    deck.take(Shot(number * spread_seconds, SPHERE) for number in range(9000))
    deck.steps(3)
    deck.restart()
    deck.steps(8)
    deck.take(Shot(1 + number * spread_seconds) for number in range(10))
    deck.settle()
    assert deck.asides() == ["bubbles"] * 9010
    deck.restart(QualitySettings())
    deck.settle()
    assert deck.asides() == [None] * 9010
    deck.check_accounts()


def test_more_windows_than_are_kept_in_memory_are_judged(deck_with):
    rules = tuple(WindowRule(f"rule {width}", ("sphere",), 0.5, window_seconds=width, min_images=1) for width in (1, 2))
    deck = deck_with(window=rules)
    deck.take(Shot(number, (SPHERE, CHAIN, CHAIN)[number % 3]) for number in range(15_000))
    deck.settle()
    assert deck.asides() == expected(deck)
    deck.take(Shot(number, SPHERE) for number in range(0, 15_000, 7))
    deck.settle()
    assert deck.asides() == expected(deck)


# Rules on where the ship was


def track_rules(file: Path, max_gap_seconds: float = 300.0, rules: Sequence[TrackRule] = ()) -> QualitySettings:
    default = (
        TrackRule("port", circles=(PORT,)),
        TrackRule("no position", without_position=True),
        TrackRule("slow", min_speed_knots=2.0),
    )
    return QualitySettings(track=TrackSettings(file, max_gap_seconds), track_rule=tuple(rules) or default)


def test_images_are_judged_by_port_speed_and_missing_positions(deck_with, tmp_path):
    file = tmp_path / "track.csv"
    lines = [track_line(second) for second in range(0, 600, 60)]  # in port
    lines += [track_line(second, 50.0 + second / 3600) for second in range(600, 1200, 60)]  # 60 knots north
    lines += [track_line(second, 51.0) for second in range(1200, 1800, 60)]  # at rest
    file.write_text(HEAD + "".join(lines))
    deck = deck_with()
    deck.take(Shot(second) for second in range(-600, 2400, 30))
    deck.restart(track_rules(file))
    deck.settle()
    assert deck.asides() == expected(deck)
    assert set(deck.asides()) == {"port", "no position", "slow", None}
    assert deck.review.problem is None
    deck.check_accounts()


def test_two_images_of_one_second_are_judged_each_at_its_instant(deck_with, tmp_path):
    file = tmp_path / "track.csv"
    file.write_text(HEAD + track_line(0) + track_line(20, 51.0))  # over the circle's edge after 0.9 s
    deck = deck_with(**vars(track_rules(file, rules=(TrackRule("port", circles=(PORT,)),))))
    deck.settle()
    deck.take([Shot(0.1), Shot(0.99), Shot(0.2)])
    deck.settle()
    assert deck.asides() == ["port", None, "port"] == expected(deck)


def test_a_long_track_is_read_over_many_turns_and_judges_nothing_before_its_end(deck_with, tmp_path):
    file = tmp_path / "track.csv"
    long = [track_line(second, 50 + second / 36000) for second in range(3600)]
    deck = deck_with(**vars(track_rules(file)))
    deck.take(Shot(second) for second in range(0, 3600, 60))
    deck.settle()
    file.write_text(HEAD + "".join(long))
    deck.steps(3)  # each reads a thousand lines of the track
    assert set(deck.asides()) == {None}
    assert deck.review.problem == f"{file}: the track is long and still being read; its rules wait for its end"
    deck.steps(2)  # the rest, one turn after the other
    assert deck.review.problem is None
    deck.settle()
    before = deck.asides()
    assert before == expected(deck)
    assert set(before) == {"port", None}
    file.write_text(HEAD + "".join(long).replace(",8.0", ",9.0"))  # never in port
    deck.steps(3)
    assert deck.asides() == before, "the track that was read before holds until the new one is read"
    deck.settle()
    assert deck.asides() == expected(deck)
    assert set(deck.asides()) == {None}


def test_a_track_that_comes_late_and_grows_sets_images_aside_and_brings_them_back(deck_with, tmp_path):
    file = tmp_path / "track.csv"
    deck = deck_with(**vars(track_rules(file)))
    deck.take(Shot(second) for second in range(0, 3600, 60))
    deck.settle()
    assert set(deck.asides()) == {None}  # what is not known sets nothing aside
    assert deck.review.problem == f"{file}: no such track; the rules on where the ship was wait for it"
    file.write_text(HEAD + "".join(track_line(second, 50 + second / 3600) for second in range(0, 1200, 60)))
    deck.settle()
    assert deck.review.problem is None
    assert deck.asides() == expected(deck)
    assert deck.asides()[-1] == "no position"
    with file.open("a") as log:
        log.write("".join(track_line(second, 50 + second / 3600) for second in range(1200, 3700, 60)))
    deck.settle()
    assert deck.asides() == expected(deck)
    assert deck.asides()[-1] is None
    deck.check_accounts()


@pytest.mark.parametrize("max_gap_seconds", [10.0, 300.0])
def test_a_track_that_grows_by_single_fixes_changes_as_much_as_one_read_at_once(deck_with, tmp_path, max_gap_seconds):
    file = tmp_path / "track.csv"
    file.write_text(HEAD)
    deck = deck_with(**vars(track_rules(file, max_gap_seconds)))
    deck.take(Shot(second) for second in range(0, 400, 5))
    for second in range(0, 400, 8):
        with file.open("a") as log:  # it casts off, stops, goes on
            log.write(track_line(second, 50.0 + (0 if 150 < second < 250 else second) / 1800))
        deck.settle()
        assert deck.asides() == expected(deck), f"after the fix of second {second}"


def test_a_track_that_grew_between_two_starts_judges_what_it_changed(deck_with, tmp_path):
    file = tmp_path / "track.csv"
    file.write_text(HEAD + "".join(track_line(second) for second in range(0, 1200, 60)))
    deck = deck_with(**vars(track_rules(file)))
    deck.take(Shot(second) for second in range(0, 3600, 60))
    deck.settle()
    with file.open("a") as log:
        log.write("".join(track_line(second, 51 + second / 3600) for second in range(1200, 3700, 60)))
    deck.restart()
    deck.settle()
    assert deck.asides() == expected(deck)
    assert deck.asides()[0] == "port"
    assert deck.asides()[-1] is None


@pytest.mark.parametrize("running", [True, False], ids=["while it runs", "between two starts"])
def test_a_corrected_track_judges_all_images_anew(deck_with, tmp_path, running):
    file = tmp_path / "track.csv"
    file.write_text(HEAD + "".join(track_line(second) for second in range(0, 3600, 60)))
    deck = deck_with(**vars(track_rules(file)))
    deck.take(Shot(second) for second in range(0, 3600, 60))
    deck.settle()
    assert set(deck.asides()) == {"port"}
    file.write_text(HEAD + "".join(track_line(second, 60 + second / 3600) for second in range(0, 3600, 60)))
    if not running:
        deck.restart()
    deck.settle()
    assert set(deck.asides()) == {None}


def test_a_log_that_is_begun_anew_leaves_what_was_judged_by_the_old_one(deck_with, tmp_path):
    file = tmp_path / "track.csv"
    file.write_text(HEAD + "".join(track_line(second) for second in range(0, 600, 60)))
    deck = deck_with(**vars(track_rules(file)))
    deck.take([Shot(60), Shot(3600)])
    deck.settle()
    assert deck.asides() == ["port", "no position"]
    file.write_text(HEAD + "".join(track_line(second, 60 + second / 3600) for second in range(3000, 4200, 60)))
    for _ in range(2):
        deck.settle()
        assert deck.asides() == ["port", None]
        deck.restart()


@pytest.mark.parametrize("fault", ["broken", "gone"])
@pytest.mark.parametrize("restarted", [False, True], ids=["running", "restarted"])
def test_a_track_that_cannot_be_read_is_told_and_changes_nothing_that_was_judged(deck_with, tmp_path, fault, restarted):
    file = tmp_path / "track.csv"
    whole = HEAD + "".join(track_line(second) for second in range(0, 600, 60))
    file.write_text(whole)
    deck = deck_with(**vars(track_rules(file)))
    deck.take(Shot(second) for second in range(0, 600, 60))
    deck.settle()
    assert set(deck.asides()) == {"port"}
    if fault == "gone":
        file.unlink()
    else:
        file.write_text(whole + "2026-11-25T10:30:00Z,north,8\n")
    if restarted:
        deck.restart()
    deck.take([Shot(30)])
    deck.settle()
    assert deck.asides() == ["port"] * 10 + [None if restarted else "port"]
    assert deck.review.problem is not None
    assert str(file) in deck.review.problem
    assert "\n" not in deck.review.problem
    file.write_text(whole)
    deck.settle()
    assert deck.asides() == ["port"] * 11  # also the one that came when nothing was known
    assert deck.review.problem is None
    deck.check_accounts()


def test_other_rules_without_the_track_keep_what_it_judged_until_it_is_back(deck_with, tmp_path):
    file = tmp_path / "track.csv"
    whole = HEAD + "".join(track_line(second) for second in range(0, 600, 60))
    file.write_text(whole)
    deck = deck_with(**vars(track_rules(file)))
    deck.take(Shot(second, side=20 + second % 120) for second in range(0, 600, 60))
    deck.settle()
    file.unlink()
    deck.restart(
        replace(deck.rules, image=(SMALL,), track_rule=(TrackRule("port", circles=(replace(PORT, latitude=0),)),))
    )
    deck.settle()
    assert deck.asides() == ["too small", "port"] * 5
    file.write_text(whole)
    deck.settle()
    assert deck.asides() == ["too small", None] * 5 == expected(deck)


# All of it at once

shots = some.builds(
    Shot,
    seconds=some.integers(0, 900).map(lambda half: half / 2),
    label=some.sampled_from((CHAIN, SPHERE, SPHERE, JELLY, -1)),
    side=some.sampled_from((20, 50, 90)),
    other=some.booleans(),
)
image_rules = some.lists(some.sampled_from((SMALL, ImageRule("big", max_long_side_pixels=60))), unique=True, max_size=2)
window_rules = some.lists(
    some.builds(
        WindowRule,
        name=some.sampled_from(("bubbles", "foam", "jelly")),
        labels=some.sampled_from((("sphere",), ("jelly", "unclassified"))),
        max_share=some.sampled_from((0.0, 0.3, 0.6)),
        window_seconds=some.sampled_from((1.0, 7.5, 60.0, 3600.0)),
        min_images=some.integers(1, 4),
    ),
    unique_by=lambda rule: rule.name,
    max_size=3,
)
circles = some.lists(
    some.sampled_from(
        (
            TrackRule("port", circles=(PORT,)),
            TrackRule("no position", without_position=True),
            TrackRule("slow", min_speed_knots=5.0),
        )
    ),
    unique=True,
    max_size=3,
)


class Log:
    """A track that only grows."""

    def __init__(self, file: Path) -> None:
        self._file, self._seconds = file, 0.0

    def add(self, pause_seconds: float, latitude: float) -> None:
        if not self._file.exists():
            self._file.write_text(HEAD)
        self._seconds += pause_seconds
        with self._file.open("a") as log:
            log.write(track_line(self._seconds, latitude))


@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
@given(data=some.data())
def test_whatever_happened_in_whatever_order_each_image_ends_as_a_plain_computation_says(new_deck, data):
    folder, deck_with_rules = new_deck()
    file = folder / "track.csv"
    log = Log(file)

    def grow() -> None:
        pauses = some.sampled_from((5, 20, 20, 90))
        for pause, north in data.draw(some.lists(some.tuples(pauses, some.integers(0, 3)), min_size=1, max_size=8)):
            log.add(pause, 50 + north / 30)

    def rules() -> QualitySettings:
        gap = data.draw(some.sampled_from((3.0, 40.0)), label="gap")
        return QualitySettings(
            tuple(data.draw(image_rules)),
            tuple(data.draw(window_rules)),
            TrackSettings(file, gap),
            tuple(data.draw(circles)),
        )

    with deck_with_rules(rules()) as deck:
        for _ in range(data.draw(some.integers(1, 12), label="events")):
            match data.draw(some.sampled_from(("take", "take", "grow", "rules", "restart", "steps", "settle"))):
                case "take":
                    deck.take(data.draw(some.lists(shots, min_size=1, max_size=30)))
                case "grow":
                    grow()
                case "rules":
                    deck.restart(rules())
                case "restart":
                    deck.restart()
                case "steps":
                    deck.steps(data.draw(some.integers(1, 3)))
                case "settle":
                    deck.settle()
            deck.check_accounts()
        deck.settle()
        assert deck.asides() == expected(deck)
        deck.check_accounts()
