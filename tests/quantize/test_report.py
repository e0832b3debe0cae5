from __future__ import annotations

import dataclasses
import json
from html.parser import HTMLParser

import cv2
import pytest

from bundle.scores import Summary
from quantize.comparison import ClassRecall, Latency, Pace, Refused
from quantize.report import spell
from quantize.report.markdown import table_markdown
from quantize.report.page import gain, most_lost, page_html, verdict
from quantize.report.plots import CLASSES, FRONT, VARIANTS, draw_front, draw_plots, most_changed
from quantize.report.record import report_bytes, report_record
from quantize.report.write import write_report

from .reported import MEMBERS, SCHEMES, awkward, choice, finding, report, variant


class Page(HTMLParser):
    """The text of each table row, all text, and everything that a browser would fetch or run."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.rows: list[list[str]] = []
        self.text, self.tags, self.references, self.in_cell = "", set(), [], False
        self.feed(html)

    def handle_starttag(self, tag, attrs):
        self.tags.add(tag)
        self.references += [value for name, value in attrs if name in ("src", "href", "srcset", "action", "style")]
        assert not [name for name, _ in attrs if name.startswith("on")]
        if tag == "tr":
            self.rows.append([])
        if tag in ("td", "th"):
            self.rows[-1].append("")
            self.in_cell = True

    def handle_endtag(self, tag):
        self.in_cell = self.in_cell and tag not in ("td", "th")

    def handle_data(self, data):
        self.text += data
        if self.in_cell:
            self.rows[-1][-1] += data

    def row(self, *cells):
        """Whether a row begins with these cells."""
        cleaned = [[" ".join(cell.split()) for cell in row] for row in self.rows]
        return any(row[: len(cells)] == list(cells) for row in cleaned)


PLOTS = dict.fromkeys((FRONT, VARIANTS, CLASSES), b"a picture")


def page_of(told):
    return Page(page_html(told, PLOTS))


def test_the_page_needs_nothing_from_outside_itself():
    html = page_html(report(), PLOTS)
    page = Page(html)
    assert len(page.references) == 3
    assert all(reference.startswith("data:image/png;base64,") for reference in page.references)
    assert not page.tags & {"script", "link", "iframe", "object", "base"}
    assert "http" not in html
    assert "url(" not in html
    assert "@import" not in html


def test_every_member_in_every_scheme_is_in_a_row_and_what_ships_says_so():
    page = page_of(report())
    for member in MEMBERS:
        assert page.row(f"{member} (ships)", "int8")
        for scheme in SCHEMES.keys() - {"int8"}:
            assert page.row(member, scheme)


def test_the_front_gives_images_per_second():
    page = page_of(report())
    assert page.row("6", "all 3 (ships)", "int8", "74.6 %", "56.6 %", "8.9 %", "9.0 MB", "3.7", "270", "490")
    assert page.row("4", "01-residual-a + 02-residual-b", "int8")


def test_a_name_from_outside_is_text_and_not_markup():
    page = page_of(awkward())
    assert page.row('<b>&"', "50", "90.0 %", "60.0 %", "−30.0")
    assert 'a <b>&" name: what quantising cost' in page.text
    assert "b" not in page.tags


def test_a_failed_gate_a_refused_scheme_and_layers_in_float_are_told():
    page = page_of(awkward())
    assert "1 of 2 gates fails: the quantised ensemble is right on 74.6 %" in page.text
    row = next(row for row in page.rows if row[-1] == "FAILS")
    assert row == ["recall drop", MEMBERS[0], '<b>&"', "50 validation", "70.8 %", "70.6 %", "+30.00", "10", "FAILS"]
    assert (
        f"{MEMBERS[1]} could not be made as int16x8: the operator GELU of layer <act> has no integer kernel"
        in page.text
    )
    assert f"{MEMBERS[0]} as int8 keeps in float32: stem/conv2d, a/<b>" in page.text
    assert "What ships is not on the front" in page.text


def test_a_report_of_one_scheme_without_test_images_is_a_page_too(tmp_path):
    bare = report(
        variants=(variant(MEMBERS[0], "int8", chosen=True, latencies=(Latency(1, 1, 2.0),)),),
        choices=(choice(MEMBERS[:1], "int8", chosen=True),),
        classes=(ClassRecall("copepod", 40, 0.5, 0.5),),
        findings=(),
        test_images=0,
        keras_test=None,
        shipped_test=None,
        machine=dataclasses.replace(report().machine, cores=1),
    )
    write_report(tmp_path / "bare", bare)
    assert not (tmp_path / "bare" / CLASSES).exists()  # no class has changed
    assert page_of(dataclasses.replace(bare, choices=(), classes=())).row(MEMBERS[0], "residual_cnn", "int8")


def test_the_verdict_says_what_was_lost():
    told = report()
    better = dataclasses.replace(told.keras, accuracy=0.7492)
    assert verdict(told) == (
        "All 9 gates hold: the quantised ensemble is right on 74.6 % of 2,380 validation images, 0.1 points below the "
        "74.7 % of the Keras originals."
    )
    assert "0.2 points above the 74.7 %" in verdict(dataclasses.replace(told, shipped=better))
    assert "as good as the 74.7 %" in verdict(dataclasses.replace(told, shipped=told.keras))
    failed = (finding(found=0.5), finding(found=0.5), finding())
    assert verdict(dataclasses.replace(told, findings=failed)).startswith("2 of 3 gates fail: ")


def test_the_gain_is_told_against_the_same_members_in_float32():
    told = report()
    assert gain(told) == (
        "In float32 it would be 3.9 times as large (35.2 MB instead of 9.0 MB) and take 2.5 times as long on one core "
        "(9.4 instead of 3.7 ms an image), 2.5 times on all."
    )
    others = tuple(each for each in told.choices if each.scheme != "float32")
    assert gain(dataclasses.replace(told, choices=others)) is None
    assert gain(dataclasses.replace(told, choices=())) is None


def test_the_record_is_the_report_with_what_follows_from_it():
    told = awkward()
    record = json.loads(report_bytes(told))
    assert record == report_record(told)
    assert record["schema_version"] == 1
    assert [each["passed"] for each in record["findings"]] == [True, False]
    assert record["variants"][0]["in_float"] == ["stem/conv2d", "a/<b>"]
    assert record["variants"][0]["latencies"][0] == {"threads": 1, "batch": 1, "milliseconds": 1.62}
    assert [(each["scheme"], each["front_one"]) for each in record["choices"] if each["chosen"]] == [
        ("as shipped", False)
    ]
    assert Summary(**record["keras"]) == told.keras
    assert Refused(**record["refused"][0]) == told.refused[0]
    assert record.keys() == {"schema_version"} | {field.name for field in dataclasses.fields(told)}


@pytest.mark.parametrize("told", [report(), awkward()], ids=["plain", "awkward"])
def test_the_folder_holds_page_record_and_plots_and_is_never_overwritten(told, tmp_path):
    folder = tmp_path / "report"
    write_report(folder, told)
    assert {path.name for path in folder.iterdir()} == {"report.html", "report.json", FRONT, VARIANTS, CLASSES}
    for plot in (FRONT, VARIANTS, CLASSES):
        picture = cv2.imread(str(folder / plot))
        assert picture.shape[1] == 1200
        assert 0.01 < (picture < 250).mean() < 0.5  # something is drawn on white paper
    before = (folder / "report.json").read_bytes()
    with pytest.raises(OSError, match=r"not empty|exists"):
        write_report(folder, dataclasses.replace(told, name="another", variants=(), choices=(), classes=()))
    assert (folder / "report.json").read_bytes() == before
    assert [path.name for path in tmp_path.iterdir()] == ["report"]


def test_a_plot_with_nothing_to_show_is_left_out():
    assert draw_plots(report(variants=(), choices=(), classes=(ClassRecall("same", 99, 0.5, 0.5),))) == {}


def test_a_choice_far_below_the_front_does_not_flatten_the_plot():
    good = (choice(MEMBERS[:1], "int8", chosen=True), choice(MEMBERS, "float32"))
    ruined = choice(MEMBERS[:1], "dynamic", accuracy=0.2)
    without, with_it = (draw_front(report(choices=some)).axes[0] for some in (good, (*good, ruined)))
    assert with_it.get_ylim() == without.get_ylim()
    assert with_it.get_title(loc="right") == "not shown: 1 below 68 %"


def test_classes_with_few_images_are_not_ranked():
    few, lost, worse, gained = (
        ClassRecall("few", 9, 1.0, 0.0),
        ClassRecall("lost", 10, 0.9, 0.8),
        ClassRecall("worse", 99, 0.9, 0.7),
        ClassRecall("gained", 99, 0.5, 0.9),
    )
    same = ClassRecall("same", 99, 0.5, 0.5)
    assert most_lost([few, lost, worse, gained, same]) == [worse, lost]
    assert most_changed([few, gained, lost, worse, same]) == [worse, lost, gained]


def test_the_pace_is_that_of_an_image_alone_and_of_the_best_batch():
    told = variant(MEMBERS[0], "int8")
    assert (told.one_core, told.all_cores) == (Pace(1.62, 1.21, 8), Pace(1.05, 0.66, 16))
    with pytest.raises(ValueError, match="01-residual-a as int8: no latency"):
        variant(MEMBERS[0], "int8", latencies=(Latency(2, 1, 1.0),))


def test_the_tables_for_the_documentation_are_markdown():
    lines = table_markdown(awkward()).splitlines()
    assert lines[0] == "| member | scheme | size | right | agreement | ms, alone | ms, best batch | ms, all cores |"
    assert lines[1] == "|---|---|---:|---:|---:|---:|---:|---:|"
    assert lines[3] == "| 01-residual-a | float32 | 11.7 MB | 71.5 % | 100.0 % | 4.0 | 3.0 | 1.7 |"
    assert lines[-1] == "| 01-residual-a + 02-residual-b | float32 | 73.1 % | 9.4 % | 23.5 MB | 6.2 | 160 | 300 |"
    assert "| **all 3** | **int8** |" in table_markdown(report())


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (3.14, "3.1"),
        (0.0123, "0.012"),
        (70.3, "70"),
        (143, "140"),
        (1296, "1,300"),
        (0.999, "1.0"),
        (9.96, "10"),
        (0, "0"),
    ],
)
def test_a_time_has_two_significant_digits(value, text):
    assert spell.significant(value) == text


def test_shares_changes_and_sizes_are_spelled_for_people():
    assert spell.percent(0.73249) == "73.2 %"
    assert [spell.points(change) for change in (-0.0041, 0.012, 0.0004, -0.0004)] == ["−0.4", "+1.2", "0.0", "0.0"]
    assert [spell.size(number) for number in (35_272, 999_499, 999_500, 2_996_776)] == [
        "35 kB",
        "999 kB",
        "1.0 MB",
        "3.0 MB",
    ]


def test_an_ensemble_is_named_in_few_words():
    four = ("a", "b", "c", "d")
    named = [spell.ensemble(some, four) for some in (four, four[1:], four[:2], four[:1])]
    assert named == [["all 4"], ["all but a"], ["a", "b"], ["a"]]
    assert spell.ensemble(("a", "b"), ("a", "b")) == ["a", "b"]
