"""Over time, by depth and along the track: what is shown, what is refused, and that readers share one computation."""

import asyncio
import re
import threading
from dataclasses import replace
from urllib.parse import parse_qsl

import pytest
from starlette.testclient import TestClient

from bundle.errors import BadConfig
from edge.bins import parse_instant
from edge.counts import HOUR_NS
from edge.estimates.estimate import Estimate
from edge.estimates.poisson import garwood
from edge.web.app import create_app
from edge.web.asked import NAMES_MOST, Asked, read_asked
from edge.web.lines import joined_estimate
from edge.web.place import Place
from edge.web.reading import read_now
from edge.web.stretch import BINS_MOST, BINS_USUAL, Most, bins_within, plan, shifted, usual_width
from edge.web.turns import Busy, Kept, Turns

from ..filled import TEN, fill
from .reading_page import Read
from .sailed import IMAGES, sailed

MINUTE_NS = 60 * 10**9


@pytest.fixture
def aboard(tmp_path, tiny) -> Place:
    return sailed(tmp_path, tiny)


def opened(place: Place) -> TestClient:
    return TestClient(create_app(place), base_url="http://127.0.0.1:8765")


def shown(place: Place, address: str, status: int = 200) -> Read:
    answer = opened(place).get(address)
    assert answer.status_code == status, answer.text
    return Read(answer.text)


def lines(place: Place, query: str = "") -> dict[str, dict]:
    answer = opened(place).get("/time.json" + query)
    assert answer.status_code == 200, answer.text
    return {line["name"]: line for line in answer.json()["lines"]}


def test_the_address_is_the_state_of_the_page():
    query = (
        "bin=10m&from=2026-11-25T10%3A00&to=2026-11-25T12%3A00&by=label&unit=per_m3&of=chain&of=jelly&classifier=ab12"
    )
    asked = read_asked(parse_qsl(query))
    assert asked == Asked(
        10 * MINUTE_NS,
        parse_instant("2026-11-25T10:00"),
        parse_instant("2026-11-25T12:00"),
        "label",
        ("chain", "jelly"),
        "per_m3",
        "ab12",
    )
    assert read_asked(parse_qsl(asked.query().removeprefix("?"))) == asked
    assert read_asked([]).query() == ""


@pytest.mark.parametrize(
    ("query", "said"),
    [
        ("bin=30s", "from a minute"),
        ("bin=2d", "to a day"),
        ("bin=wide", "is not a bin width"),
        ("from=yesterday", "is not a time"),
        ("from=2026-11-26&to=2026-11-25", "is not before"),
        ("by=sex", "label or group"),
        ("unit=kg", "images or per_m3"),
        ("&".join(f"of=x{number}" for number in range(NAMES_MOST + 1)), "at most 12"),
    ],
)
def test_what_makes_no_sense_is_refused_with_what_would(aboard, query, said):
    assert said in shown(aboard, f"/time?{query}", 400).text
    answer = opened(aboard).get(f"/time.json?{query}")
    assert answer.status_code == 400
    assert said in answer.json()["fault"]


def test_every_bin_stands_in_the_table_and_in_the_json(aboard):
    page = shown(aboard, "/time?bin=1h&by=label&of=chain")
    its = lines(aboard, "?bin=1h&by=label&of=chain")
    assert list(its) == ["chain"]
    chain = its["chain"]
    assert chain["start"][0] == "2026-11-25T10:00:00Z"
    assert sum(chain["raw"]) == 13  # twelve, and a deep TIFF
    assert all(
        low <= value <= high for low, value, high in zip(chain["low"], chain["value"], chain["high"], strict=True)
    )
    rows = [row for row in page.rows if row[0].startswith("2026-11-25")]
    assert [row[0][-5:] for row in rows] == [start[11:16] for start in chain["start"]]
    assert [float(row[1]) for row in rows] == chain["raw"]


def test_groups_stand_where_the_bundle_has_them_and_add_their_labels_up(aboard):
    its = lines(aboard, "?bin=1h")
    assert list(its) == ["things", "diatoms"], "the most frequent first"
    single = lines(aboard, "?bin=1h&by=label&of=sphere&of=jelly")
    # No image in a bin is of both groups' labels only: raw counts add up bin by bin where both labels have the bin.
    assert its["things"]["raw"] == [
        sum(both) for both in zip(single["sphere"]["raw"], single["jelly"]["raw"], strict=True)
    ]
    assert its["things"]["value"] == pytest.approx(
        [sum(both) for both in zip(single["sphere"]["value"], single["jelly"]["value"], strict=True)], rel=1e-4
    )


def test_the_interval_of_a_group_reaches_less_far_up_than_its_ends_added():
    parts = {"a": Estimate(10, 10, 4.8, 18.4, 12, 6, 30), "b": Estimate(20, 20, 12.2, 30.9, 16, 8, 40)}
    rest = {"c": Estimate(170, 170, 145, 198, 172, 120, 200)}
    joined = joined_estimate(parts | rest, ("a", "b"))
    assert (joined.raw, joined.raised, joined.corrected) == (30, 30, 28)
    assert (joined.raw_low, joined.raw_high) == pytest.approx(garwood(30))
    assert (joined.low, joined.high) == pytest.approx((6 + 8, 28 + 30))
    assert joined_estimate(parts, ("a",)) is parts["a"]
    none = joined_estimate({name: replace(each, corrected=None) for name, each in parts.items()}, ("a", "b"))
    assert (none.raw, none.corrected, none.low, none.high) == (30, None, None, None)


def test_concentrations_come_with_the_survey(aboard):
    per_m3 = lines(aboard, "?bin=1h&by=label&of=chain&unit=per_m3")["chain"]
    counts = lines(aboard, "?bin=1h&by=label&of=chain")["chain"]
    # 2 litres a second, 3600 s: 7.2 m³ in an hour that was sampled whole.
    assert per_m3["value"][1] == pytest.approx(counts["value"][1] / 7.2, rel=0.02)
    assert "Corrected individuals per m³" in shown(aboard, "/time?unit=per_m3").text


def test_the_choice_of_species_stays_in_the_page(aboard):
    page = shown(aboard, "/time?by=label&of=jelly")
    assert page.checked == ["jelly"]
    assert page.chosen["by"] == "label"
    assert "of=jelly" in page.links["Tows compared"]
    assert "of=jelly" in page.links["Nearer"]


def test_boxes_of_groups_are_not_taken_for_species(aboard):
    page = shown(aboard, "/time?by=label&was=group&of=things&of=diatoms")
    assert page.checked == ["chain", "sphere", "jelly"]
    assert "Not found" not in page.text
    assert shown(aboard, "/time?by=label&was=label&of=jelly").checked == ["jelly"]


def test_a_name_that_was_not_found_is_said(aboard):
    assert "Not found in this stretch: mermaid." in shown(aboard, "/time?by=label&of=mermaid").text


def test_a_stretch_holds_only_what_was_captured_in_it(aboard):
    query = "?by=label&of=chain&of=sphere&of=jelly&from=2026-11-25T11:00&to=2026-11-25T12:00"
    assert sum(sum(line["raw"]) for line in lines(aboard, query).values()) == 6
    assert "No image was counted in this stretch" in shown(aboard, "/time?from=2027-01-01").text


def test_a_ledger_without_validation_gives_raw_counts_and_says_why(place):
    told = opened(place).get("/time.json?by=label").json()
    assert "no validation" in told["note"] or "no corrected count" in told["note"]
    assert [(line["name"], sum(line["value"]), line["corrected"]) for line in told["lines"]] == [
        ("chain", 3, False),
        ("sphere", 3, False),
        ("jelly", 3, False),
    ]
    assert told["note"] in shown(place, "/time").text


def test_an_empty_ledger_and_none_at_all_are_pages_all_the_same(tmp_path, tiny):
    fill(tmp_path / "empty.sqlite", tiny)
    assert "No image was counted" in shown(Place(tmp_path / "empty.sqlite"), "/time").text
    page = shown(Place(tmp_path / "none.sqlite"), "/time", 400)
    assert "none.sqlite: no such ledger" in page.text
    assert str(tmp_path) not in page.html, "no folder of the host"


def test_a_survey_that_cannot_be_read_costs_the_concentrations_and_not_the_counts(aboard, tmp_path):
    (tmp_path / "track.csv").unlink()
    page = shown(aboard, "/time")
    assert "The survey is left out" in page.text
    assert str(tmp_path) not in page.html
    assert sum(sum(line["raw"]) for line in lines(aboard).values()) == IMAGES
    (tmp_path / "survey.toml").write_text("[environment]\nfiles = ['/var/deep/none.csv']\n")
    assert "left out: none.csv: cannot be read" in shown(aboard, "/time").text
    (tmp_path / "survey.toml").write_text("[volume]\nlitres_per_second = -1\n")
    assert "The survey is left out" in shown(aboard, "/time").text


def test_by_depth_and_along_the_track(aboard):
    page = shown(aboard, "/time/places?by=label&of=chain&of=jelly")
    for words in ("By depth", "Along the track", "All images counted", "per m³"):
        assert words in page.text
    assert page.html.count("<svg") == 6, "three by depth, three along the track"
    assert re.search(r"Diatom chains by depth from \d+ to \d+ m: most from", page.html)
    assert page.rows[0][0] == "depth, m"


def test_without_a_survey_the_page_of_places_says_what_it_needs(place):
    assert "No survey.toml was given" in shown(place, "/time/places").text


def test_bins_are_as_narrow_as_fit_and_an_hour_where_images_are_many():
    span = (TEN, TEN + 5 * HOUR_NS)
    assert usual_width(span, 1000) == 10 * MINUTE_NS
    assert bins_within(span, usual_width(span, 1000)) <= BINS_USUAL
    assert usual_width(span, 10**6) == HOUR_NS
    assert usual_width(None, 0) == MINUTE_NS
    assert usual_width((TEN, TEN + 365 * 24 * HOUR_NS), 10**6) == 24 * HOUR_NS, "the widest, though it has more bins"


def test_too_many_bins_and_too_many_images_are_refused_with_a_way_out(aboard):
    with aboard.reader() as connection:
        with pytest.raises(BadConfig, match=r"271 bins of 1m .*choose wider bins or a shorter stretch"):
            plan(connection, Asked(width_ns=MINUTE_NS))
        with pytest.raises(BadConfig, match=r"28 images .*more than 20 are not looked at"):
            plan(connection, Asked(width_ns=10 * MINUTE_NS), most=Most(images=20))
        assert plan(connection, Asked(width_ns=HOUR_NS), most=Most(images=20)).images == 28, "from the table of hours"
        newest = plan(connection, Asked(), every_image=True, most=Most(images=20))
        assert newest.shortened
        assert newest.images <= 20
    assert BINS_MOST < 271
    assert "271 bins" in shown(aboard, "/time?bin=1m", 400).text


def test_earlier_later_nearer_and_farther_keep_whole_bins_and_end_where_the_ledger_does(aboard):
    begin, end, minutes = TEN, TEN + 280 * MINUTE_NS, MINUTE_NS
    asked = Asked(width_ns=10 * minutes, from_ns=begin + 60 * minutes, to_ns=begin + 120 * minutes)
    with aboard.reader() as connection:
        made, everything = plan(connection, asked), plan(connection, Asked(width_ns=10 * minutes))
        empty = plan(connection, replace(asked, from_ns=end + 60 * minutes, to_ns=end + 120 * minutes))

    def ends(by: float, scale: float, made=made) -> tuple[int, int] | None:
        moved = shifted(asked, made, by, scale)
        return None if moved is None else ((moved.from_ns - begin) // minutes, (moved.to_ns - begin) // minutes)

    assert ends(0.0, 2.0) == (30, 150)
    assert ends(0.0, 0.5) == (75, 105)
    assert ends(-0.5, 1.0) == (30, 90)
    assert ends(0.5, 1.0) == (90, 150)
    assert [ends(*way, everything) for way in ((0.0, 2.0), (-0.5, 1.0), (0.5, 1.0))] == [None] * 3
    assert ends(0.0, 0.5, everything) == (70, 210)
    assert (ends(0.5, 1.0, empty), ends(-0.5, 1.0, empty)) == (None, (310, 370)), "the way back from where nothing is"


def test_the_bundle_that_the_page_was_given_is_used_only_for_its_own_verdicts(aboard, tiny, tmp_path):
    assert read_now(aboard, Asked()).reported.bundle == tmp_path / "named"
    other = replace(aboard, bundle=tiny.path)
    assert read_now(other, Asked()).reported.bundle is None


def test_readers_who_ask_alike_share_one_computation():
    made, go = [], threading.Event()

    def slow() -> int:
        go.wait(30)
        made.append(1)
        return 7

    async def ask_often() -> list[int]:
        kept = Kept(Turns("test"))
        asks = [asyncio.ensure_future(kept.get("key", slow)) for _ in range(100)]
        await asyncio.sleep(0)
        go.set()
        return [*await asyncio.gather(*asks), await kept.get("key", slow)]

    assert asyncio.run(ask_often()) == [7] * 101, "and it is kept for a while"
    assert made == [1]


def test_an_answer_grows_old_and_a_fault_is_not_kept():
    clock, made = [0.0], []

    def make() -> int:
        made.append(1)
        if len(made) == 1:
            raise BadConfig("not yet")
        return len(made)

    kept = Kept(Turns("test"), fresh=10, seconds=lambda: clock[0])

    def asked_at(seconds: float) -> int:
        clock[0] = seconds
        return asyncio.run(kept.get("key", make))

    with pytest.raises(BadConfig, match="not yet"):
        asked_at(0)
    assert [asked_at(seconds) for seconds in (0, 9.9, 10.1)] == [2, 2, 3]


def test_too_many_who_wait_are_told_when_to_come_again():
    turns, go = Turns("test", waiting=1), threading.Event()
    running = [turns.begin(lambda: go.wait(30)) for _ in range(2)]
    with pytest.raises(Busy) as busy:
        turns.begin(lambda: None)
    assert busy.value.seconds >= 1
    go.set()
    assert [each.result(30) for each in running] == [True, True]
    assert turns.begin(lambda: 5).result(30) == 5


def test_a_page_that_would_have_to_wait_too_long_says_when_to_come_again(aboard):
    app, go = create_app(aboard), threading.Event()
    turns = Turns("test", waiting=0)
    app.state.kept = Kept(turns)
    running = turns.begin(lambda: go.wait(30))
    client = TestClient(app, base_url="http://127.0.0.1:8765")
    for address in ("/time", "/time/places", "/time/tows", "/species", "/species/chain"):
        answer = client.get(address)
        assert (answer.status_code, int(answer.headers["retry-after"]) >= 1) == (503, True), address
        assert "the counting goes first" in Read(answer.text).text
    assert "the counting goes first" in client.get("/time.json").json()["fault"]
    go.set()
    assert running.result(30)
    assert client.get("/time").status_code == 200
