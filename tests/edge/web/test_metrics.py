"""Metrics: in both text formats as Prometheus' own parsers read them, from sums alone, and as the dashboard asks for them."""

import json
import os
import re
import sys
import threading
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest
from typer.testing import CliRunner

pytest.importorskip("starlette")
pytest.importorskip("prometheus_client")

from prometheus_client.exposition import generate_latest
from prometheus_client.metrics_core import GaugeMetricFamily
from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse_openmetrics
from prometheus_client.parser import text_string_to_metric_families as parse_text
from starlette.testclient import TestClient

from edge.alerts.memory import Memory, memory_file, save
from edge.alerts.state import RuleState, State
from edge.cli import app
from edge.config import EdgeConfig, format_config
from edge.daemon.outputs import publish
from edge.ledger.ledgerfile import open_ledger_readonly
from edge.metrics import SituationCollector, families, registry_of
from edge.situation import Situation, read_situation, read_standing
from edge.web.app import create_app
from edge.web.place import Place

from ..filled import SECOND, TEN, fill, other_bundle
from ..test_outputs import STATUS

DASHBOARD = Path(__file__).parents[3] / "docs" / "grafana" / "planktow.json"
ADDRESS = "http://127.0.0.1:8765"


@pytest.fixture
def ship(tmp_path, tiny):
    """A ledger with some of everything, and the status of a daemon at work on it."""
    ledger = tmp_path / "ledger.sqlite"
    counted = [("10:00:00", 0), ("10:00:01", 2), ("10:00:02", 2)]
    fill(
        ledger,
        tiny,
        counted=counted,
        rejected=["truncated"],
        waiting=2,
        duplicates=1,
        aside=[("10:00:00", 0, "blurred")],
    )
    publish(tmp_path / "out", ledger, STATUS)
    rules = {"drift": RuleState(raised_ns=5, text="strange", severity="critical"), "silence": RuleState()}
    save(memory_file(ledger), Memory(State(rules)))
    os.utime(memory_file(ledger), ns=(STATUS.now_ns, STATUS.now_ns))
    return Place(ledger, tmp_path, tmp_path / "out", now_ns=lambda: STATUS.now_ns + 10 * SECOND)


def asked(place: Place, accept: str = "") -> tuple[str, str]:
    with TestClient(create_app(place), base_url=ADDRESS) as prometheus:
        answer = prometheus.get("/metrics", headers={"Accept": accept})
    assert answer.status_code == 200
    return answer.headers["content-type"], answer.text


def samples(text: str, parse=parse_text) -> dict[tuple[str, tuple[tuple[str, str], ...]], float]:
    return {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in parse(text)
        for sample in family.samples
    }


def test_where_nobody_watches_there_are_no_alerts(ship):
    memory_file(ship.ledger).unlink()
    assert not [name for name, _ in samples(asked(ship)[1]) if "alert" in name]


def test_every_number_is_the_ledgers(ship, tiny):
    found = samples(asked(ship)[1])
    free = {key: value for key, value in found.items() if key[0] == "planktow_disk_free_bytes"}
    assert {key[1][0][1] for key in free} == {"watch", "ledger", "out"}
    assert all(value > 0 for value in free.values())
    size = found.pop(("planktow_ledger_bytes", ()))
    assert size >= ship.ledger.stat().st_size
    assert {key: value for key, value in found.items() if key not in free} == {
        ("planktow_ledger_readable", ()): 1,
        ("planktow_images_total", (("state", "counted"),)): 3,
        ("planktow_images_total", (("state", "rejected"),)): 2,
        ("planktow_images_total", (("state", "dropped"),)): 0,
        ("planktow_images_waiting", ()): 2,
        ("planktow_duplicate_files_total", ()): 1,
        ("planktow_counted_images_total", (("label", "chain"),)): 1,
        ("planktow_counted_images_total", (("label", "sphere"),)): 0,
        ("planktow_counted_images_total", (("label", "jelly"),)): 2,
        ("planktow_counted_images_total", (("label", "unclassified"),)): 0,
        ("planktow_rejected_images_total", (("reason", "blurred"),)): 1,
        ("planktow_rejected_images_total", (("reason", "truncated"),)): 1,
        ("planktow_accounting_ok", ()): 1,
        ("planktow_last_image_timestamp_seconds", ()): TEN / 1e9,
        ("planktow_oldest_waiting_timestamp_seconds", ()): TEN / 1e9,
        ("planktow_bundle_info", (("digest", tiny.digest), ("name", "tiny-3"))): 1,
        ("planktow_alert_raised", (("rule", "drift"), ("severity", "critical"))): 1,
        ("planktow_alert_raised", (("rule", "silence"), ("severity", "warning"))): 0,
        ("planktow_alerts_last_look_timestamp_seconds", ()): STATUS.now_ns / 1e9,
        ("planktow_daemon_up", ()): 1,
        ("planktow_daemon_last_sign_timestamp_seconds", ()): STATUS.now_ns / 1e9,
        ("planktow_daemon_problem", ()): 0,
        ("planktow_images_per_second", ()): 12.35,
    }


def test_who_asks_for_openmetrics_gets_it_and_its_strict_parser_reads_the_same(ship):
    kind, text = asked(ship, "application/openmetrics-text; version=1.0.0; charset=utf-8")
    assert kind.startswith("application/openmetrics-text; version=1.0.0")
    plain = asked(ship)
    assert plain[0].startswith("text/plain; version=0.0.4")
    still = {key: value for key, value in samples(plain[1]).items() if "bytes" not in key[0]}
    assert {key: value for key, value in samples(text, parse_openmetrics).items() if "bytes" not in key[0]} == still


def test_a_daemon_that_is_silent_is_down_and_counts_nothing(ship):
    late = replace(ship, now_ns=lambda: STATUS.now_ns + 61 * SECOND)
    found = samples(asked(late)[1])
    assert (found["planktow_daemon_up", ()], found["planktow_images_per_second", ()]) == (0, 0)


def test_a_ledger_that_cannot_be_read_is_a_metric_and_no_error(tmp_path):
    found = samples(asked(Place(tmp_path / "none.sqlite"))[1])
    assert found["planktow_ledger_readable", ()] == 0
    assert {name for name, _ in found} == {
        "planktow_ledger_readable",
        "planktow_daemon_up",
        "planktow_disk_free_bytes",
        "planktow_ledger_bytes",
    }


def test_labels_and_reasons_of_strangers_cannot_break_the_format(tmp_path, tiny):
    ledger = tmp_path / "ledger.sqlite"
    names = ('a"b', "back\\slash", "new\nline", "ærø {x=1}")
    fill(ledger, other_bundle(tiny, names), counted=[("10:00:00", 1)], rejected=['odd "reason"\n'])
    for accept, parse in (("", parse_text), ("application/openmetrics-text", parse_openmetrics)):
        found = samples(asked(Place(ledger), accept)[1], parse)
        assert {dict(labels)["label"] for name, labels in found if name == "planktow_counted_images_total"} == {
            *names,
            "unclassified",
        }


def test_however_many_ask_the_ledger_is_read_once_a_second():
    seconds, reads = 0.0, []

    def read() -> Situation:
        reads.append(seconds)
        return Situation(TEN)

    registry = registry_of(SituationCollector(read, steady=lambda: seconds))
    assert reads == []
    askers = [threading.Thread(target=generate_latest, args=(registry,)) for _ in range(20)]
    for asker in askers:
        asker.start()
    for asker in askers:
        asker.join()
    assert reads == [0.0]
    seconds = 0.99
    generate_latest(registry)
    seconds = 1.0
    generate_latest(registry)
    assert reads == [0.0, 1.0]


def test_other_parts_can_add_their_own():
    drifted = families(Situation(TEN), [lambda _: [GaugeMetricFamily("planktow_drift", "How far.", 0.5)]])
    assert [family.name for family in drifted][-1] == "planktow_drift"


def test_no_table_of_single_images_is_walked(ship):
    """At ten million images a walk takes seconds: each statement must be a search, or of a table of sums."""
    asked_for: list[str] = []
    with closing(open_ledger_readonly(ship.ledger)) as connection:
        connection.set_trace_callback(asked_for.append)
        read_standing(connection)
        connection.set_trace_callback(None)
        for statement in asked_for:
            if statement.startswith("SELECT"):
                for *_, plan in connection.execute(f"EXPLAIN QUERY PLAN {statement}"):
                    if plan.startswith("SCAN"):
                        once = "LIMIT 1" in statement and "TEMP B-TREE" not in plan
                        assert once or not re.match(r"SCAN (image|sighting|verdict)\b", plan), (statement, plan)
    assert len(asked_for) > 4


def test_the_textfile_is_whole_and_what_the_page_says(ship, tmp_path):
    config = tmp_path / "edge.toml"
    config.write_text(format_config(EdgeConfig(tmp_path, tmp_path, ship.ledger, ship.out)))
    file = tmp_path / "planktow.prom"
    done = CliRunner().invoke(app, ["metrics", "--config", str(config), "--textfile", str(file)])
    assert (done.exit_code, done.output) == (0, "")
    assert not list(tmp_path.glob(".*partial"))
    found, page = samples(file.read_text()), samples(asked(ship)[1])
    assert found.keys() == page.keys()
    assert found["planktow_counted_images_total", (("label", "jelly"),)] == 2
    assert CliRunner().invoke(app, ["metrics", "--config", str(config)]).stdout.startswith("# HELP planktow_")


@pytest.mark.parametrize(
    ("name", "message"), [("planktow.txt", "reads only files that end in .prom"), ("none/p.prom", "cannot be written")]
)
def test_a_textfile_that_cannot_be_is_refused(ship, tmp_path, name, message):
    config = tmp_path / "edge.toml"
    config.write_text(format_config(EdgeConfig(ledger=ship.ledger)))
    done = CliRunner().invoke(app, ["metrics", "--config", str(config), "--textfile", str(tmp_path / name)])
    assert done.exit_code == 2
    assert message in done.stderr


def dashboard():
    return json.loads(DASHBOARD.read_text())


def test_the_dashboard_asks_only_for_metrics_and_labels_that_there_are(ship):
    found = samples(asked(ship)[1])
    names = {name for name, _ in found}
    labels = {label for _, each in found for label, _ in each} | {"instance", "job"}
    panels = dashboard()["panels"]
    asks = [target["expr"] for panel in panels for target in panel["targets"]]
    asks += [each["definition"] for each in dashboard()["templating"]["list"] if "definition" in each]
    assert len(asks) > 10
    used = set()
    for ask in asks:
        assert set(re.findall(r"planktow_\w+", ask)) <= names, ask
        used |= set(re.findall(r"planktow_\w+", ask))
        in_braces = re.findall(r"(\w+)\s*=~?\s*\"", " ".join(re.findall(r"\{([^}]*)\}", ask)))
        by = [each.strip() for group in re.findall(r"by \(([^)]*)\)", ask) for each in group.split(",")]
        assert set(in_braces) | set(by) <= labels, ask
    assert used == names, "each metric has a place on the dashboard"


def test_the_panels_have_their_own_numbers_and_places():
    panels = dashboard()["panels"]
    assert len({panel["id"] for panel in panels}) == len(panels)
    covered: set[tuple[int, int]] = set()
    for panel in panels:
        place = panel["gridPos"]
        assert 0 <= place["x"] < place["x"] + place["w"] <= 24
        cells = {
            (x, y)
            for x in range(place["x"], place["x"] + place["w"])
            for y in range(place["y"], place["y"] + place["h"])
        }
        assert not cells & covered, panel["title"]
        covered |= cells


def test_the_document_lists_every_metric(ship):
    document = (Path(__file__).parents[3] / "docs" / "monitoring.md").read_text()
    listed = set(re.findall(r"^\| `(planktow_\w+)", document, re.MULTILINE))
    assert listed == {name for name, _ in samples(asked(ship)[1])}


def test_the_situation_does_not_wait_for_a_writer(ship):
    from edge.ledger.ledger import open_ledger

    with open_ledger(ship.ledger) as writer:
        writer.connection.execute("BEGIN IMMEDIATE")
        assert read_situation(ship.ledger, None, None, TEN).ledger is not None
        writer.connection.execute("ROLLBACK")


def test_without_the_library_one_line_says_what_to_install(ship, tmp_path, monkeypatch):
    config = tmp_path / "edge.toml"
    config.write_text(format_config(EdgeConfig(ledger=ship.ledger)))
    monkeypatch.setitem(sys.modules, "prometheus_client.exposition", None)
    done = CliRunner().invoke(app, ["metrics", "--config", str(config)])
    assert done.exit_code == 2
    assert done.stderr.endswith("run: pip install 'planktow[web]'\n")


def test_a_hundred_who_ask_at_once_are_all_answered(ship):
    answers: list[int] = []
    with TestClient(create_app(ship), base_url=ADDRESS) as prometheus:

        def ask() -> None:
            answers.append(prometheus.get("/metrics").status_code)

        askers = [threading.Thread(target=ask) for _ in range(100)]
        for asker in askers:
            asker.start()
        for asker in askers:
            asker.join()
    assert answers == [200] * 100
