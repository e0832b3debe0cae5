"""What rules see: of real ledgers, of status.json, of the disks."""

import json
from contextlib import closing
from dataclasses import replace

import numpy as np
import pytest

from bundle.errors import BadConfig
from bundle.folder import open_bundle
from bundle.vote import NO_LABEL
from edge.alerts.memory import Memory
from edge.alerts.readings import MINUTE_NS, Sample, Seen, read_rule, sampled
from edge.alerts.recent import labels_and_groups, recent_counts
from edge.alerts.settings import (
    AccountingRule,
    AlertSettings,
    BacklogRule,
    DaemonRule,
    DiskRule,
    DriftRule,
    HookSettings,
    MqttSettings,
    ProblemRule,
    RejectsRule,
    SilenceRule,
    SpeciesRule,
)
from edge.alerts.watch import drifts, look
from edge.config import EdgeConfig
from edge.counts import Accounting
from edge.daemon.outputs import publish
from edge.daemonsign import DaemonSign
from edge.ledger.ledgerfile import open_ledger_readonly
from edge.shipped import DEFAULT, shipped_bundle
from edge.situation import Situation, read_situation

from ..drifting import count_images, drawn, mixed, with_reference
from ..filled import SECOND, TEN, at, fill
from ..test_outputs import STATUS

NOW = at("12:00:00")


def recent(path, *minutes, now_ns=NOW):
    with closing(open_ledger_readonly(path)) as connection:
        return recent_counts(connection, minutes, now_ns)


@pytest.fixture
def ledger(tmp_path, tiny):
    """Its newest image was taken at 09:59:50; all were classified at 10:00:00, as `fill` has it."""
    path = tmp_path / "ledger.sqlite"
    clocks = ["07:10:00", "07:59:59", "08:00:00", "09:30:00", "09:55:00", "09:59:50"]
    fill(path, tiny, counted=[(clock, number % 3) for number, clock in enumerate(clocks)], rejected=["truncated"])
    return path


def test_recent_counts_are_those_of_the_capture_times_up_to_the_newest_image(ledger):
    found = recent(ledger, 1, 5, 30, 120, 600, now_ns=TEN)
    totals = {minutes: sum(each.values()) for minutes, each in found.items()}
    assert totals == {1: 1, 5: 2, 30: 3, 120: 5, 600: 6}
    assert found[5] == {"chain": 0, "sphere": 1, "jelly": 1, "unclassified": 0}


def test_a_stretch_without_an_image_classified_in_it_is_empty_by_the_hosts_clock(ledger):
    found = recent(ledger, 5, 600, now_ns=TEN + 10 * MINUTE_NS)
    assert found[5] == {}
    assert sum(found[600].values()) == 6


def test_one_image_of_the_far_future_does_not_hide_the_others_and_a_camera_ahead_of_us_is_believed(tmp_path, tiny):
    path = tmp_path / "ledger.sqlite"
    fill(path, tiny, counted=[("10:00:00", 0), ("10:00:01", 0), ("23:00:00", 1)])
    assert sum(recent(path, 5, now_ns=at("10:00:30"))[5].values()) == 2
    assert recent(path, 5, now_ns=at("09:00:00"))[5]["sphere"] == 1


def test_an_empty_ledger_has_counted_nothing_of_late(tmp_path, tiny):
    fill(tmp_path / "ledger.sqlite", tiny)
    assert recent(tmp_path / "ledger.sqlite", 5) == {5: {}}


def see(path, rule, now_ns=NOW, groups=None, samples=(), **changed):
    situation = read_situation(path, None, path.parent / "counts", now_ns)
    stretches = {rule.minutes: recent(path, rule.minutes, now_ns=TEN)[rule.minutes]} if hasattr(rule, "labels") else {}
    return read_rule(rule, Seen(replace(situation, **changed), stretches, groups or {}, samples))


def test_species_by_number_by_share_and_by_group(ledger):
    rule = SpeciesRule(name="a", labels=("jelly",), images=2, minutes=600, min_images=1)
    assert see(ledger, rule) == see(ledger, rule, groups={"other": frozenset({"chain"})})
    assert see(ledger, rule).pressure == 1.0
    assert see(ledger, rule).text == "jelly: 2 images within 600 min"
    shared = replace(rule, images=None, share=0.5)
    assert see(ledger, shared).pressure == pytest.approx(2 / 6 / 0.5)
    assert see(ledger, shared).text == "jelly: 2 images within 600 min, 33.3% of 6"
    assert see(ledger, replace(shared, min_images=7)).pressure == 0
    grouped = replace(rule, labels=("gelatinous",))
    assert see(ledger, grouped).pressure == 0
    assert see(ledger, grouped, groups={"gelatinous": frozenset({"jelly", "sphere"})}).value == 4


def test_unclassified_images_are_part_of_the_whole(tmp_path, tiny):
    path = tmp_path / "ledger.sqlite"
    fill(path, tiny, counted=[("10:00:00", 0), ("10:00:00", NO_LABEL)])
    assert see(path, SpeciesRule(name="a", labels=("chain",), share=0.5, min_images=1)).pressure == 1.0


def test_silence_is_since_the_newest_file_was_found(ledger):
    reading = see(ledger, SilenceRule(name="a", minutes=60))
    assert reading.pressure == 2.0
    assert reading.text == "no new image for 120.0 min, since the last image"


def test_where_there_never_was_an_image_silence_is_since_the_daemon_began(tmp_path, tiny):
    path = tmp_path / "ledger.sqlite"
    fill(path, tiny)
    assert see(path, SilenceRule(name="a", minutes=60)).pressure is None
    daemon = DaemonSign("running", NOW, NOW - 30 * MINUTE_NS)
    assert see(path, SilenceRule(name="a", minutes=60), daemon=daemon).pressure == 0.5


def test_backlog_by_number_and_by_the_longest_wait(tmp_path, tiny):
    path = tmp_path / "ledger.sqlite"
    fill(path, tiny, waiting=3)
    assert see(path, BacklogRule(name="a", images=6)).pressure == 0.5
    assert see(path, BacklogRule(name="a", minutes=60)).pressure == 2.0
    assert see(path, BacklogRule(name="a", images=6, minutes=60)).text == "3 images wait, the oldest for 120.0 min"


def test_of_a_disk_the_free_room_is_asked(ledger):
    free = {"watch": 20e9, "ledger": 5e9}
    assert see(ledger, DiskRule(name="a", free_gb=10), free_bytes=free).pressure == 2.0
    assert see(ledger, DiskRule(name="a", free_gb=10, folder="watch"), free_bytes=free).pressure == 0.5
    assert see(ledger, DiskRule(name="a", free_gb=10, folder="out"), free_bytes=free).pressure is None
    assert see(ledger, DiskRule(name="a", free_gb=1), free_bytes={"watch": 0}).pressure > 1


def test_the_share_of_rejects_is_of_what_was_decided_since(ledger):
    rule = RejectsRule(name="a", share=0.25, minutes=10, min_images=4)
    before = [Sample(NOW - 90 * MINUTE_NS, 0, 0), Sample(NOW - 10 * MINUTE_NS, 3, 0), Sample(NOW - MINUTE_NS, 6, 1)]
    assert see(ledger, rule, samples=before).text == "1 of 4 images rejected within 10 min"
    assert see(ledger, rule, samples=before).pressure == 1.0
    assert see(ledger, replace(rule, min_images=5), samples=before).pressure == 0.0
    assert see(ledger, rule).pressure is None


def test_samples_are_kept_a_minute_apart_for_as_long_as_they_are_wanted(ledger):
    samples: tuple[Sample, ...] = ()
    for seconds in range(0, 1200, 10):
        samples = sampled(samples, read_situation(ledger, None, None, TEN + seconds * SECOND), 5)
    assert [(each.ns - TEN) // SECOND for each in samples] == [840, 900, 960, 1020, 1080, 1140]
    back = sampled(samples, read_situation(ledger, None, None, TEN), 5)
    assert [each.ns for each in back] == [TEN]


def test_accounts_that_do_not_add_up(ledger):
    rule = AccountingRule(name="a")
    assert see(ledger, rule).pressure == 0
    situation = read_situation(ledger, None, None, NOW)
    counts = replace(situation.ledger.counts, accounting=Accounting(7, 5, 1, 0, 0, 0))
    reading = see(ledger, rule, ledger=replace(situation.ledger, counts=counts))
    assert reading.pressure == 1
    assert reading.text == "the accounts do not add up: seen 7 = counted 5 + rejected 1 + waiting 0 + dropped 0"


def test_the_daemon_by_its_sign_of_life(ledger):
    rule = DaemonRule(name="a", seconds=60)
    assert see(ledger, rule).pressure == float("inf")
    publish(ledger.parent / "counts", ledger, STATUS)
    now_ns = STATUS.now_ns + 30 * SECOND
    assert see(ledger, rule, now_ns=now_ns).pressure == 0.5
    publish(ledger.parent / "counts", ledger, replace(STATUS, state="stopped"))
    assert see(ledger, rule, now_ns=now_ns + 60 * SECOND).text == "the daemon was stopped 90 s ago"
    (ledger.parent / "counts" / "status.json").write_text("{")
    assert see(ledger, rule).pressure == float("inf")


def test_a_problem_of_the_daemons_in_its_own_words(ledger):
    rule = ProblemRule(name="a")
    assert see(ledger, rule).pressure is None
    publish(ledger.parent / "counts", ledger, STATUS)
    assert see(ledger, rule).pressure == 0
    publish(ledger.parent / "counts", ledger, replace(STATUS, problem="the disk is\nfull"))
    assert see(ledger, rule).text == "the disk is?full"


def test_a_ledger_that_cannot_be_read_is_a_problem_and_leaves_the_other_rules_as_they_were(tmp_path):
    ledger = tmp_path / "ledger.sqlite"
    ledger.write_text("not one")
    seen = Seen(read_situation(ledger, None, None, NOW))
    assert read_rule(ProblemRule(name="a"), seen).pressure == 1
    assert str(ledger) in read_rule(ProblemRule(name="a"), seen).text
    for rule in (
        SpeciesRule(name="a", labels=("x",), images=1),
        SilenceRule(name="a", minutes=1),
        BacklogRule(name="a", images=1),
        RejectsRule(name="a", share=0.1),
        AccountingRule(name="a"),
    ):
        assert read_rule(rule, seen).pressure is None


def test_a_look_at_a_ship_that_has_nothing_yet_fails_nowhere(tmp_path):
    rules = AlertSettings(species=(SpeciesRule(name="a", labels=("x",), images=1),), problem=(ProblemRule(name="b"),))
    config = EdgeConfig(ledger=tmp_path / "none.sqlite", watch=tmp_path, out=tmp_path / "out", alerts=rules)
    seen = look(config, {}, Memory(), NOW, drifts(config, NOW))
    assert seen.situation.ledger is None
    assert "no such ledger" in seen.situation.fault


@pytest.mark.parametrize(("light", "raised"), [(1.0, False), (0.6, True)])
def test_a_lamp_that_fades_is_drift_and_a_usual_day_is_not(tmp_path, light, raised):
    bundle = with_reference(tmp_path / "bundle", mixed(600))
    ledger = tmp_path / "ledger.sqlite"
    images = drawn(mixed(300), seed=7)
    count_images(ledger, open_bundle(bundle), images, alter=lambda grey: np.rint(grey * light).astype(np.uint8))
    rule = DriftRule(name="a", minutes=60)
    alerts = AlertSettings(drift=(rule, DriftRule(name="b", minutes=0.5)))
    config = EdgeConfig(bundle=bundle, ledger=ledger, watch=tmp_path, out=tmp_path / "out", alerts=alerts)
    now_ns = TEN + 301 * SECOND
    found = drifts(config, now_ns)
    reading = read_rule(rule, Seen(read_situation(ledger, None, None, now_ns), drifts=found))
    assert (reading.pressure >= 1) == raised
    assert ("images look other than in validation" in reading.text) == raised
    few = read_rule(alerts.drift[1], Seen(read_situation(ledger, None, None, now_ns), drifts=found))
    assert few.pressure is None
    # Hours after the last image there is nothing to say, nor without a reference.
    assert drifts(config, now_ns + 2 * 3600 * SECOND) == {}
    (bundle / "reference.json").unlink()
    assert drifts(config, now_ns) == {}
    assert read_rule(rule, Seen(read_situation(ledger, None, None, now_ns))).pressure is None


def test_labels_and_groups_come_with_the_bundle():
    labels, groups = labels_and_groups(shipped_bundle(DEFAULT))
    assert len(labels) == 122
    assert len(groups) > 5
    assert set().union(*groups.values()) == set(labels[:-1])


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: SpeciesRule(name="a", labels=("x",)), "the rule 'a' has no threshold; give images or share"),
        (lambda: SpeciesRule(name="a", labels=(), images=1), "the rule 'a' has no labels"),
        (lambda: BacklogRule(name="a"), "give images or minutes"),
        (lambda: ProblemRule(name="a/b"), "name 'a/b' cannot be an alert's"),
        (lambda: ProblemRule(name="a", clear=2), "clear must be from 0.01 to 1"),
        (lambda: HookSettings(()), "command is empty"),
        (lambda: MqttSettings(host=""), "host is empty"),
        (lambda: MqttSettings(host="h", prefix="a/#"), "cannot begin a topic"),
        (lambda: MqttSettings(host="h", ca_file="x"), "would not be encrypted"),
        (lambda: MqttSettings(host="h", password_file="x"), "needs a user"),
        (
            lambda: AlertSettings(problem=(ProblemRule(name="a b"),), daemon=(DaemonRule(name="A-b"),)),
            "two alerts are named 'a b'",
        ),
        (
            lambda: AlertSettings(species=(SpeciesRule(name="a", labels=("jely",), images=1),)).check_labels(
                ["jelly"], []
            ),
            "did you mean 'jelly'?",
        ),
        (lambda: AlertSettings().rule("x"), "no alert is named 'x'; there are: none"),
    ],
)
def test_what_cannot_be_meant_is_refused_in_one_line(make, message):
    with pytest.raises(BadConfig) as refused:
        make()
    assert message in str(refused.value)
    assert "\n" not in str(refused.value)


def test_a_clock_set_back_makes_no_negative_times(ledger):
    publish(ledger.parent / "counts", ledger, STATUS)
    early = at("08:00:00")
    assert see(ledger, SilenceRule(name="a", minutes=1), now_ns=early).pressure == 0
    assert see(ledger, DaemonRule(name="a"), now_ns=early).pressure == 0
    assert Situation(early, daemon=DaemonSign("running", NOW)).daemon_up()
    assert json.loads((ledger.parent / "counts" / "status.json").read_text())["state"] == "running"
