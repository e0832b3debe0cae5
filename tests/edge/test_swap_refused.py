"""A new bundle that cannot be had: said in one line, and the one before counts on until it can."""

import shutil
import signal
from pathlib import Path

import pytest

from bundle.folder import Bundle
from edge.quality.quality import ImageRule, QualitySettings, WindowRule

from .conftest import until
from .images import TINY_BUNDLE
from .second import BOTH, MIXED, assert_whole, damage, put, second_bundle, tells, turn


@pytest.fixture
def first(tmp_path: Path) -> Path:
    """The symlink that the daemon is told of; it leads to tiny-3."""
    link = tmp_path / "current"
    link.symlink_to(TINY_BUNDLE)
    return link


@pytest.fixture
def second(tmp_path: Path) -> Bundle:
    return second_bundle(tmp_path / "second")


def test_a_damaged_bundle_is_refused_in_one_line_and_taken_up_when_it_is_whole(ship, first, second):
    whole = second.path.with_name("whole")
    shutil.copytree(second.path, whole)
    member = damage(second.path)
    ship.start(bundle=first)
    put(ship, range(10))
    turn(first, second.path)
    problem = (
        f"the new bundle is refused, the one before stays: {member}: damaged, its sha-256 is not the manifest's; "
        "copy the bundle anew"
    )
    until(lambda: ship.status().get("problem") == problem)
    put(ship, range(10, 30))
    assert_whole(ship, 30, BOTH)
    assert ship.status()["bundle_name"] == "tiny-3"
    assert ship.said().count(problem) == 1
    shutil.copyfile(whole / "members" / member.name, member)
    until(tells(ship, "second"))
    until(lambda: ship.status()["problem"] is None)
    put(ship, range(30, 40))
    assert_whole(ship, 40, BOTH)


def test_a_bundle_changed_in_place_is_refused_and_the_open_one_counts_on(ship, second, tmp_path):
    other = second_bundle(tmp_path / "other", "other", MIXED)
    ship.start(bundle=second.path)
    for name in ("labels.txt", "manifest.json"):
        shutil.copyfile(other.path / name, second.path / name)
    refused = f"the new bundle is refused, the one before stays: {second.path} was changed in place"
    until(lambda: (ship.status().get("problem") or "").startswith(refused))
    ship.process.send_signal(signal.SIGHUP)
    ship.notified.clear()
    until(lambda: ship.heard("READY=1"))
    until(lambda: (ship.status().get("problem") or "").startswith(refused))
    put(ship, range(6))
    assert_whole(ship, 6, BOTH)


def test_a_symlink_that_leads_nowhere_is_a_problem_until_it_leads_back(ship, first):
    ship.start(bundle=first)
    turn(first, first.with_name("none"))
    problem = f"{first}: no such folder any more; the bundle that was opened stays"
    until(lambda: ship.status().get("problem") == problem)
    put(ship, range(6))
    ship.await_accounting(counted=6)
    turn(first, TINY_BUNDLE)
    until(lambda: ship.status()["problem"] is None)


def test_settings_that_cannot_be_read_at_a_sighup_are_a_problem_and_those_before_hold(ship, second):
    ship.start()
    text = ship.config.read_text()
    ship.config.write_text("wach = 1\n")
    ship.process.send_signal(signal.SIGHUP)
    until(lambda: "unknown key 'wach'; did you mean 'watch'?" in (ship.status().get("problem") or ""))
    put(ship, range(6))
    ship.await_accounting(counted=6)
    ship.config.write_text(text.replace(str(TINY_BUNDLE), str(second.path)))
    ship.process.send_signal(signal.SIGHUP)
    until(tells(ship, "second"))
    until(lambda: ship.status()["problem"] is None)


def test_a_bundle_without_a_label_that_a_rule_of_quality_control_names_is_refused(ship, first, second):
    rule = WindowRule("too many chains", labels=("chain",), max_share=0.9)
    ship.start(bundle=first, quality=QualitySettings(window=(rule,), image=(ImageRule("tiny", min_bytes=1),)))
    turn(first, second.path)
    until(lambda: "names 'chain', no label of the bundle" in (ship.status().get("problem") or ""))
    assert ship.status()["bundle_name"] == "tiny-3"
