"""`planktow-edge report --format html`: what stands in the page, and what never does."""

import re
from contextlib import closing
from html.parser import HTMLParser
from itertools import combinations
from math import comb

import numpy as np
import pytest
from typer.testing import CliRunner

from bundle.vote import NO_LABEL
from edge.cli import app
from edge.counts import read_counts
from edge.htmlreport.accumulation import accumulation, expected_labels
from edge.htmlreport.choice import Choice
from edge.htmlreport.facts import read_facts
from edge.htmlreport.markup import Markup, element
from edge.htmlreport.overtime import Level, over_time
from edge.htmlreport.places import STRETCHES_MOST, stretch_width_ns
from edge.htmlreport.profile import Band, profile
from edge.htmlreport.scale import count_ticks, ticks, time_ticks
from edge.htmlreport.spell import about, images, share
from edge.htmlreport.trackmap import Stop, track_map
from edge.htmlreport.write import BINS_MOST, drawable_width_ns, html_report
from edge.ledger.ledger import open_ledger
from edge.ledger.ledgerfile import open_ledger_readonly

from .filled import TEN, fill, other_bundle
from .images import KINDS, image_bytes

HOUR_NS = 3600 * 10**9
VOID = {"meta", "br", "img"}


class Page(HTMLParser):
    """The page's text by element, its attributes, and whether every element is closed where it must be."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.attributes: list[tuple[str, str, str]] = []
        self.rows: list[list[str]] = []
        self.words: list[str] = []
        self.feed(text)
        self.close()
        assert self.open == [], "all elements are closed"

    def handle_starttag(self, tag, attrs):
        self.attributes += [(tag, name, value or "") for name, value in attrs]
        if tag not in VOID:
            self.open.append(tag)
        if tag == "tr":
            self.rows.append([])
        if tag in ("td", "th"):
            self.rows[-1].append("")

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if "style" not in self.open:
            self.words.append(data)
        if any(tag in ("td", "th") for tag in self.open):
            self.rows[-1][-1] += data

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.words).split())

    def values(self, tag: str, name: str) -> list[str]:
        return [value for its, key, value in self.attributes if (its, key) == (tag, name)]


def made(ledger, *options):
    """The page as the command prints it."""
    done = CliRunner().invoke(app, ["report", "--ledger", str(ledger), "--format", "html", *map(str, options)])
    assert done.exit_code == 0, done.stderr
    return done.stdout


@pytest.fixture
def ledger(tmp_path, tiny):
    path = tmp_path / "ledger.sqlite"
    fill(
        path,
        tiny,
        counted=[("10:00:00", 0), ("10:59:59", 2), ("12:00:00", 2), ("12:10:00", NO_LABEL)],
        rejected=["truncated"],
        aside=[("10:30:00", 2, "in port")],
        dropped=["12:20:00"],
        duplicates=2,
    )
    return path


@pytest.fixture
def watched(tmp_path, tiny):
    """A ledger of twelve images counted by the real daemon's own writer, and their files."""
    from hashlib import sha256

    from edge.capture.capture import Capture
    from edge.daemon.outcome import Counted
    from edge.intake.files import Found

    from .filled import MEASURES

    folder, path = tmp_path / "watch", tmp_path / "watched.sqlite"
    folder.mkdir()
    with open_ledger(path) as ledger:
        outcomes = []
        for number in range(12):
            label = 2 if number == 11 else number % 2  # six chains, five spheres, one jelly
            data = image_bytes(KINDS[label], number)
            (folder / f"{number}.png").write_bytes(data)
            found = Found(f"{number}.png", len(data), TEN + number * 10**9)
            digest, capture = sha256(data).digest(), Capture(TEN + number * 10**9, "mtime")
            outcomes.append(Counted(found, digest, capture, MEASURES, label, 3, 0.05 * number))
        ledger.record(outcomes, ledger.bundle_id(tiny, TEN), TEN)
    return path, folder


def test_the_page_needs_nothing_from_outside(watched):
    ledger, folder = watched
    page = Page(made(ledger, "--images", folder))
    for name in ("src", "href", "srcset", "xlink:href", "data", "action", "poster"):
        for tag, key, value in page.attributes:
            assert key != name or value.startswith(("#", "data:image/jpeg;base64,")), (tag, value)
    text = made(ledger, "--images", folder)
    assert "http:" not in text
    assert "https:" not in text
    assert "<script" not in text
    assert "url(" not in text
    assert "@import" not in text


def test_no_path_of_the_host_stands_in_the_page(watched, tmp_path):
    ledger, folder = watched
    assert str(tmp_path) not in made(ledger, "--images", folder)


def test_the_numbers_are_those_of_the_counts(ledger):
    page = Page(made(ledger))
    with closing(open_ledger_readonly(ledger)) as connection:
        counts = read_counts(connection)
    rows = {row[0]: row for row in page.rows}
    for label, number in counts.totals.items():
        if number:
            assert rows[label][1] == str(number)
        else:
            assert label not in rows, "what was not found stands in a list"
    for part in ("counted", "rejected", "waiting", "dropped"):
        assert rows[part][1] == str(getattr(counts.accounting, part))
    for reason, number in counts.rejects.items():
        assert rows[reason][1] == str(number)
    assert "7 seen = 4 counted + 2 rejected + 0 waiting + 1 dropped" in page.text
    assert "Looked for and not found, 1: sphere" in page.text
    assert "2 duplicates" in page.text


def test_labels_and_names_that_look_like_markup_are_text(tmp_path, tiny):
    path = tmp_path / "a<b>&c.sqlite"
    labels = ("<script>alert(1)</script>", 'say "this" & that', "it's</svg>")
    fill(
        path,
        other_bundle(tiny, labels),
        counted=[("10:00:00", 0), ("10:00:01", 1), ("10:00:02", 2)],
        rejected=["<i>torn</i>"],
        aside=[("10:30:00", 2, "<u>rule</u>")],
    )
    text = made(path)
    page = Page(text)
    assert "<script" not in text
    for label in labels:
        assert any(row[0] == label for row in page.rows), label
    assert "<i>torn</i>" in page.text
    assert "<u>rule</u>" in page.text
    assert "from the ledger a<b>&c.sqlite" in page.text


def test_an_empty_ledger_has_a_page_that_says_so(tmp_path):
    path = tmp_path / "ledger.sqlite"
    with open_ledger(path):
        pass
    page = Page(made(path))
    assert "Nothing has been counted yet." in page.text
    assert "0 seen = 0 counted + 0 rejected + 0 waiting + 0 dropped" in page.text


def test_a_stretch_without_images_has_one_too(ledger):
    page = Page(made(ledger, "--to", "2026-11-25"))
    assert "Nothing has been counted in that time." in page.text
    assert "captured before 2026-11-25T00:00:00Z" in page.text


def test_a_bundle_that_is_not_at_hand_leaves_raw_counts_and_a_note(ledger, tiny):
    page = Page(made(ledger))
    assert (
        f"There is no corrected count: the bundle tiny-3 {tiny.digest[:12]} that counted is not at hand; give its folder "
        "with --bundle." in page.text
    )
    assert not any("corrected" in row for row in page.rows)
    assert tiny.digest in page.text


def test_verdicts_of_several_classifiers_are_told_together_or_apart(ledger, tiny):
    fill(ledger, other_bundle(tiny, ("jelly", "worm")), counted=[("12:30:00", 0)])
    both, one = Page(made(ledger)), Page(made(ledger, "--classifier", "cdcd"))
    assert "2 classifiers gave these verdicts" in both.text
    assert {row[0]: row[1] for row in both.rows if row[0] == "jelly"} == {"jelly": "3"}
    assert {row[0]: row[1] for row in one.rows if row[0] == "jelly"} == {"jelly": "1"}


def test_every_plot_and_picture_has_words_instead_of_it(watched):
    ledger, folder = watched
    page = Page(made(ledger, "--images", folder))
    svgs = [value for tag, key, value in page.attributes if tag == "svg" and key == "role"]
    assert svgs == ["img"] * len(svgs)
    assert svgs
    assert len(page.values("svg", "aria-label")) == len(svgs)
    assert len([words for words in page.values("img", "alt") if words]) == len(page.values("img", "src"))


def test_samples_are_shown_once_each_the_certain_and_the_uncertain_ones_in_order(watched):
    ledger, folder = watched
    page = Page(made(ledger, "--images", folder))
    assert len(page.values("img", "src")) == 12
    assert len(set(page.values("img", "src"))) == 12
    chains = [words for words in page.values("img", "alt") if words.startswith("chain, most certain")]
    assert [float(words.rsplit(" ", 1)[1]) for words in chains] == [0.5, 0.4, 0.3, 0.2]
    chains = [words for words in page.values("img", "alt") if words.startswith("chain, least certain")]
    assert [float(words.rsplit(" ", 1)[1]) for words in chains] == [0.0, 0.1]
    rare = [words for words in page.values("img", "alt") if words.startswith("jelly")]
    assert len(rare) == 1
    assert rare[0].startswith("jelly: 3 votes"), "of a label with few images all are shown, without a way"


def test_images_that_are_gone_or_were_replaced_are_not_shown_and_said(watched):
    ledger, folder = watched
    (folder / "0.png").unlink()
    (folder / "3.png").write_bytes(image_bytes("jelly", 99))
    page = Page(made(ledger, "--images", folder))
    assert len(page.values("img", "src")) == 10
    assert "2 chosen images were no longer in the folder as counted" in page.text
    for file in folder.iterdir():
        file.unlink()
    assert "None of the images looked for is in the folder any more." in Page(made(ledger, "--images", folder)).text


def test_a_folder_of_images_that_is_not_there_is_refused(ledger, tmp_path):
    done = CliRunner().invoke(
        app, ["report", "--ledger", str(ledger), "--format", "html", "--images", str(tmp_path / "none")]
    )
    assert done.exit_code == 2
    assert "no such folder of images" in done.stderr


def test_the_same_ledger_and_moment_make_the_same_page(watched):
    ledger, folder = watched

    def page():
        with closing(open_ledger_readonly(ledger)) as connection:
            return html_report(connection, ledger, HOUR_NS, None, None, TEN, images=folder)

    assert page() == page()


def test_a_survey_shows_depth_track_water_and_tows(watched, tmp_path):
    ledger, _ = watched
    (tmp_path / "log.csv").write_text(
        "time,latitude,longitude,depth\n"
        + "".join(f"2026-11-25T10:00:{at:02d}Z,54.{at:02d},179.9{at:02d},{at}\n" for at in (0, 4, 2, *range(6, 40, 2)))
    )
    (tmp_path / "tows.csv").write_text("name,start,end\n<north>,2026-11-25T09:00Z,2026-11-25T11:00Z\n")
    survey = tmp_path / "survey.toml"
    survey.write_text(
        "[volume]\nlitres_per_image = 2.0\n[environment]\nfiles = ['log.csv']\n[tows]\nfile = 'tows.csv'\n"
    )
    page = Page(made(ledger, "--survey", survey))
    told = page.values("svg", "aria-label")
    assert any(re.match(r"All images counted by depth from \d+ to \d+ m", words) for words in told)
    assert any(words.startswith("All images counted along the track") for words in told)
    assert "0.024 m³" in page.text, "twelve images of two litres"
    assert next(row for row in page.rows if row[0] == "<north>")[3::2] == ["12", "0.024"]
    assert "log.csv: the times go back 1 times" in page.text
    assert str(tmp_path) not in page.text
    by_tow = Page(made(ledger, "--survey", survey, "--bin", "tow"))
    assert "one bin a tow" in by_tow.text


def test_what_the_facts_hold_is_what_a_slow_count_finds(ledger):
    with closing(open_ledger_readonly(ledger)) as connection:
        facts = read_facts(connection, read_counts(connection), each=2)
    assert facts.images == 4
    assert facts.labels == ("chain", "sphere", "jelly", "unclassified")
    assert facts.found == (("chain", 1), ("jelly", 2))
    assert facts.votes == {(3, 0): 4}
    assert (facts.scores.sum(), facts.open_scores.sum()) == (3, 1)
    assert (facts.first_ns, facts.last_ns) == (TEN, TEN + 130 * 60 * 10**9)
    assert {label: len(images) for label, images in facts.chosen["random"].items()} == {
        "chain": 1,
        "jelly": 2,
        "unclassified": 1,
    }


def test_a_choice_keeps_the_lowest_keys_however_they_come():
    random = np.random.default_rng(1)
    label, key = random.integers(0, 4, 300), random.integers(0, 40, 300).astype(float)
    choice = Choice(5)
    for part in np.array_split(np.arange(300), 7):
        choice.add(label[part], key[part], part)
    for each in range(4):
        mine = [int(at) for at in np.flatnonzero(label == each)]
        assert choice.chosen()[each] == tuple(sorted(mine, key=lambda at: key[at])[:5])


def test_the_expected_number_of_labels_is_the_mean_over_all_draws():
    totals = (3, 2, 1)
    images_ = [label for label, number in enumerate(totals) for _ in range(number)]
    for drawn in range(7):
        mean = sum(len(set(draw)) for draw in combinations(images_, drawn)) / comb(6, drawn)
        assert expected_labels(totals, drawn) == pytest.approx(mean)
        without = sum(len(set(draw) - {0}) for draw in combinations(images_, drawn)) / comb(6, drawn)
        assert expected_labels(totals[1:], drawn, unlabelled=totals[0]) == pytest.approx(without)


def test_bins_and_stretches_stay_few_whatever_the_span():
    minute, year = 60 * 10**9, 366 * 86400 * 10**9
    assert drawable_width_ns(minute, 100 * minute) == minute
    for span in (10**9, HOUR_NS, 20 * 24 * HOUR_NS, year, 40 * year):
        for width in (10**9, minute, HOUR_NS):
            assert span / drawable_width_ns(width, span) <= BINS_MOST
        assert span / stretch_width_ns(span) <= STRETCHES_MOST


def test_plain_strings_become_text_and_markup_stays():
    made_ = element("p", "a<b", Markup("<b>&amp;</b>"), None, ["&"], class_='"x"', hidden=False)
    assert made_ == '<p class="&quot;x&quot;">a&lt;b<b>&amp;</b>&amp;</p>'


@pytest.mark.parametrize(("low", "high"), [(0, 1), (0, 7), (-3.2, 18.9), (0, 12345), (0.001, 0.0042), (5, 5)])
def test_ticks_are_round_and_within(low, high):
    found = ticks(low, high)
    assert 1 <= len(found) <= 7
    assert all(low <= tick <= high for tick in found)


def test_ticks_of_counts_are_whole_and_those_of_time_are_at_round_instants():
    assert count_ticks(0) == [0, 1]
    assert count_ticks(3) == [0, 1, 2, 3]
    assert [words for _, words in time_ticks(TEN, TEN + 20 * HOUR_NS, 5)] == ["12:00", "18:00", "Nov 26", "06:00"]


def test_numbers_are_spelled_for_people():
    assert [about(value) for value in (None, 0, 0.012345, 3.14159, 12345.6)] == [
        "–",
        "0",
        "0.0123",
        "3.14",
        "12\u202f346",
    ]
    assert [images(value) for value in (None, 0.04, 9.96, 1234.5)] == ["–", "0", "10", "1\u202f234"]
    assert [share(*pair) for pair in ((0, 0), (0, 10), (1, 10_000), (1, 3))] == [
        "–",
        "0.0\u202f%",
        "<0.1\u202f%",
        "33.3\u202f%",
    ]


def test_plots_of_nothing_of_one_and_across_the_antimeridian_can_be_drawn():
    drawn = [
        over_time([], "copepod", TEN, TEN + HOUR_NS),
        over_time([Level(TEN, TEN + HOUR_NS, 0.0, 0.0, 3.7)], "copepod", TEN, TEN + HOUR_NS),
        accumulation([], []),
        accumulation([1], [1]),
        profile([Band(0, 10, None)], "copepod", "per m³"),
        profile([Band(0, 10, 1.0, 0.1, 90.0), Band(10, 20, 0.0)], "copepod", "per m³"),
        track_map([Stop(0.0, 179.99, 1.0), Stop(0.01, 180.01, None)], "copepod", "per m³"),
        track_map([Stop(54.0, 7.0, 0.0)], "copepod", "per m³"),
    ]
    for svg in drawn:
        assert Page(svg).values("svg", "role") == ["img"]
        assert "nan" not in svg
        assert "inf" not in svg
    assert "179.99°W" in drawn[6]
