"""Quality control in the real daemon: what a rule sets aside is told by the rule's name, and comes back without it."""

import os
import subprocess
import sys
from pathlib import Path

import cv2
import pytest

from bundle.errors import BadConfig
from edge.bins import utc_text
from edge.config import EdgeConfig, format_config, read_config
from edge.quality.quality import ImageRule, QualitySettings, TrackRule, WindowRule
from edge.track.track import Circle, TrackSettings

from .conftest import Ship, until
from .images import image_bytes, kind_of, render

TEN = 1_795_600_800  # 2026-11-25T10:00:00Z, in seconds
SMALL = ImageRule("too small", min_long_side_pixels=40)  # the spheres are 24 pixels long
BLURRED = ImageRule("blurred", min_sharpness=100.0)


def drop(ship: Ship, name: str, data: bytes, seconds: float = 0) -> None:
    """An image captured so many seconds after ten."""
    hidden = ship.watch / f".{name}"
    hidden.write_bytes(data)
    os.utime(hidden, ns=(int((TEN + seconds) * 1e9),) * 2)
    hidden.rename(ship.watch / name)


def blurred_jelly(seed: int) -> bytes:
    written, data = cv2.imencode(".png", cv2.GaussianBlur(render("jelly", seed), (0, 0), 4))
    assert written
    return data.tobytes()


def report(ship: Ship, *options: str) -> str:
    done = subprocess.run(
        [sys.executable, "-m", "edge", "report", "--ledger", str(ship.ledger), *options],
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout


def asides(ship: Ship) -> dict[str, str | None]:
    return dict(ship.rows("SELECT path, aside FROM sighting JOIN image ON image.id = image_id ORDER BY path"))


def audited(ship: Ship) -> bool:
    """Whether the accounts are what counting anew finds."""
    return ship.rows("SELECT * FROM accounting") == ship.rows("SELECT * FROM audit")


def test_small_and_blurred_images_are_rejected_by_name_keep_their_verdicts_and_come_back_without_the_rule(ship):
    rules = QualitySettings(image=(SMALL, BLURRED))
    ship.start(quality=rules)
    for number in range(9):
        drop(ship, f"{number}.png", image_bytes(kind_of(number), number))
    for number in range(2):
        drop(ship, f"blurred {number}.png", blurred_jelly(number))
    ship.await_accounting(counted=6, rejected=5)
    until(lambda: ship.status().get("rejects") == {"too small": 3, "blurred": 2}, "status.json")
    assert ship.status()["accounting"]["counted"] == 6
    assert ship.status()["problem"] is None
    said = report(ship)
    assert "rejected: too small 3, blurred 2" in said
    assert "sphere" not in said
    assert '# rejects: {"too small": 3, "blurred": 2}' in report(ship, "--format", "csv")
    assert len(ship.verdicts()) == 11
    assert ship.stop() == 0

    ship.start(quality=QualitySettings(image=(BLURRED,)))
    ship.await_accounting(counted=9, rejected=2)
    assert audited(ship)
    assert ship.stop() == 0

    ship.start()
    ship.await_accounting(counted=11)
    until(lambda: ship.status().get("rejects") == {}, "status.json")
    assert ship.verdicts()["1.png"] == "sphere"
    assert audited(ship)
    assert ship.stop() == 0

    ship.start(quality=rules)
    ship.await_accounting(counted=6, rejected=5)
    assert audited(ship)


def test_a_window_of_bubbles_is_set_aside_across_a_kill_and_comes_back_when_it_is_diluted(ship):
    rules = QualitySettings(window=(WindowRule("bubbles", ("sphere",), max_share=0.5, min_images=4),))
    ship.start(quality=rules)
    for number in range(6):
        drop(ship, f"bubble {number}.png", image_bytes("sphere", number), seconds=number)
    drop(ship, "other minute.png", image_bytes("sphere", 99), seconds=60)
    until(lambda: len(ship.verdicts()) == 7, "all have verdicts")
    ship.kill()  # perhaps before the window was judged
    ship.start(quality=rules)
    ship.await_accounting(counted=1, rejected=6)
    assert asides(ship) == {f"bubble {number}.png": "bubbles" for number in range(6)} | {"other minute.png": None}
    for number in range(6):
        drop(ship, f"chain {number}.png", image_bytes("chain", number), seconds=30)
    ship.await_accounting(counted=13)
    assert audited(ship)


def test_images_taken_in_port_are_counted_again_when_the_track_shows_that_the_ship_was_at_sea(ship, tmp_path):
    file = tmp_path / "track.csv"
    rules = QualitySettings(
        track=TrackSettings(Path("track.csv")), track_rule=(TrackRule("in port", circles=(Circle(54.0, 10.0, 3.0),)),)
    )
    ship.start(quality=rules)
    until(lambda: str(ship.status().get("problem")).startswith(str(file)), "the missing track is told")
    for number in range(4):
        drop(ship, f"{number}.png", image_bytes(kind_of(number), number), seconds=600 * number)
    ship.await_accounting(counted=4)
    head = "time,latitude,longitude\n"
    lines = [f"{utc_text(int((TEN + second) * 1e9))},54.0,10.0\n" for second in range(0, 1801, 60)]
    file.write_text(head + "".join(lines))
    ship.await_accounting(counted=0, rejected=4)
    until(lambda: ship.status().get("problem") is None, "the track is there")
    assert ship.status()["rejects"] == {"in port": 4}
    left = [line.replace("54.0", "55.0") if at > 15 else line for at, line in enumerate(lines)]
    file.write_text(head + "".join(left))
    ship.await_accounting(counted=2, rejected=2)
    file.write_text(head + "".join(left) + "no line of a track\n")
    until(lambda: "line 33" in str(ship.status().get("problem")), "the broken line is told")
    assert ship.accounting()["rejected"] == 2
    assert audited(ship)


def test_the_settings_file_holds_the_rules_it_was_made_from(tmp_path):
    rules = QualitySettings(
        image=(SMALL, BLURRED),
        window=(WindowRule("bubbles", ("sphere",), max_share=0.5),),
        track=TrackSettings(tmp_path / "track.csv"),
        track_rule=(TrackRule("port", circles=(Circle(54.0, 10.0, 3.0), Circle(0.0, 0.0, 1.0))),),
    )
    config = EdgeConfig(
        tmp_path / "watch", tmp_path / "bundle", tmp_path / "ledger.sqlite", tmp_path / "out", quality=rules
    )
    file = tmp_path / "edge.toml"
    file.write_text(format_config(config))
    assert read_config(file).quality == rules


def test_a_rule_on_a_label_that_the_bundle_lacks_is_refused_at_the_start(ship):
    ship.start(ready=False, quality=QualitySettings(window=(WindowRule("bubbles", ("spheres",), max_share=0.5),)))
    assert ship.exit_code() == 2
    assert (
        ship.said()
        .splitlines()[-1]
        .endswith("quality: the rule 'bubbles' names 'spheres', no label of the bundle; did you mean 'sphere'?")
    )
    assert not ship.ledger.exists()


def test_a_rule_without_a_bound_is_refused_with_the_files_name(tmp_path):
    file = tmp_path / "edge.toml"
    file.write_text('[[quality.image]]\nname = "odd"\n')
    with pytest.raises(BadConfig, match=r"edge\.toml.*the rule 'odd' has no bound; give one of min_long_side_pixels"):
        read_config(file)


def test_counting_goes_on_while_all_images_are_judged_anew(ship):
    for number in range(30):
        drop(ship, f"{number}.png", image_bytes(kind_of(number), number))
    ship.start()
    ship.await_accounting(counted=30)
    ship.kill()
    ship.start(quality=QualitySettings(image=(SMALL,)))
    for number in range(30, 60):
        drop(ship, f"{number}.png", image_bytes(kind_of(number), number))
    ship.await_accounting(counted=40, rejected=20)
    assert audited(ship)
