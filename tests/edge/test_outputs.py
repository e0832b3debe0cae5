"""counts.csv and status.json: what other programs aboard find while the daemon runs."""

import json
import threading
from dataclasses import replace

import pytest

from bundle.vote import NO_LABEL
from edge.daemon.outputs import DaemonStatus, publish
from edge.ledger.ledger import open_ledger

from .filled import SECOND, TEN, fill, other_bundle

STATUS = DaemonStatus(
    state="running",
    pid=77,
    started_ns=TEN,
    now_ns=TEN + 90 * SECOND + 500_000_000,
    watch="/camera",
    bundle_name="tiny-3",
    bundle_digest="ab" * 32,
    images_per_second=12.3456,
    last_image_ns=TEN + 60 * SECOND,
    problem=None,
)


@pytest.fixture
def ledger(tmp_path, tiny):
    path = tmp_path / "ledger.sqlite"
    fill(
        path,
        tiny,
        counted=[("10:00:00", 2), ("10:00:01", 2), ("10:00:02", NO_LABEL)],
        rejected=["truncated"],
        waiting=2,
        duplicates=1,
    )
    return path


def test_both_files_hold_the_whole_state(ledger, tmp_path, tiny):
    out = tmp_path / "counts"
    publish(out, ledger, STATUS)
    assert (out / "counts.csv").read_text() == "label,count\nchain,0\nsphere,0\njelly,2\nunclassified,1\n"
    assert json.loads((out / "status.json").read_text()) == {
        "state": "running",
        "problem": None,
        "pid": 77,
        "started": "2026-11-25T10:00:00Z",
        "now": "2026-11-25T10:01:30.500Z",
        "watch": "/camera",
        "bundle_name": "tiny-3",
        "bundle_digest": "ab" * 32,
        "images_per_second": 12.35,
        "last_image": "2026-11-25T10:01:00Z",
        "accounting": {"seen": 6, "counted": 3, "rejected": 1, "waiting": 2, "dropped": 0, "duplicates": 1},
        "rejects": {"truncated": 1},
        "bundles": [{"name": "tiny-3", "digest": tiny.digest, "counted": 3}],
    }
    assert sorted(file.name for file in out.iterdir()) == ["counts.csv", "status.json"]


def test_they_follow_the_ledger_and_counts_of_two_bundles_add_up(ledger, tmp_path, tiny):
    out = tmp_path / "counts"
    publish(out, ledger, STATUS)
    fill(ledger, other_bundle(tiny, ("jelly", "worm")), counted=[("11:00:00", 0), ("11:00:01", 1)])
    publish(out, ledger, replace(STATUS, state="stopped", problem="the folder is gone", last_image_ns=None))
    assert (out / "counts.csv").read_text() == "label,count\nchain,0\nsphere,0\njelly,3\nworm,1\nunclassified,1\n"
    status = json.loads((out / "status.json").read_text())
    assert (status["state"], status["problem"], status["last_image"]) == ("stopped", "the folder is gone", None)
    assert [(each["name"], each["counted"]) for each in status["bundles"]] == [("tiny-3", 3), ("other", 2)]


def test_a_daemon_that_has_counted_nothing_yet_publishes_zeros(tmp_path, tiny):
    path = tmp_path / "ledger.sqlite"
    with open_ledger(path) as writer:
        writer.bundle_id(tiny, TEN)
    publish(tmp_path, path, STATUS)
    assert (tmp_path / "counts.csv").read_text() == "label,count\nchain,0\nsphere,0\njelly,0\nunclassified,0\n"
    assert json.loads((tmp_path / "status.json").read_text())["accounting"]["seen"] == 0


def test_a_label_with_a_comma_stays_one_field(tmp_path, tiny):
    path = tmp_path / "ledger.sqlite"
    fill(path, other_bundle(tiny, ("worm, long", "ærø")), counted=[("10:00:00", 0)])
    publish(tmp_path, path, STATUS)
    assert (tmp_path / "counts.csv").read_text(encoding="utf-8") == (
        'label,count\n"worm, long",1\nærø,0\nunclassified,0\n'
    )


def test_a_reader_never_finds_a_part_of_a_file(ledger, tmp_path):
    out = tmp_path / "counts"
    publish(out, ledger, STATUS)
    done = threading.Event()
    found: set[str] = set()

    def read() -> None:
        while not done.is_set():
            found.add((out / "counts.csv").read_text())
            found.add(json.loads((out / "status.json").read_text())["state"])

    reader = threading.Thread(target=read)
    reader.start()
    try:
        for number in range(50):
            publish(out, ledger, replace(STATUS, state=("running", "stopped")[number % 2]))
    finally:
        done.set()
        reader.join()
    whole = "label,count\nchain,0\nsphere,0\njelly,2\nunclassified,1\n"
    assert whole in found
    assert found <= {whole, "running", "stopped"}


def test_what_cannot_be_written_is_an_error_for_the_daemon_and_leaves_the_file_in_the_way(ledger, tmp_path):
    out = tmp_path / "counts"
    out.write_text("not a folder")
    with pytest.raises(OSError, match="counts"):
        publish(out, ledger, STATUS)
    assert out.read_text() == "not a folder"
