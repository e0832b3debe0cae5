"""The alert command: real processes that end well, fail, hang and leave others behind."""

import json
import os
import sys
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from edge.alerts.hook import Hook
from edge.alerts.settings import HookSettings
from edge.alerts.state import Event

from ..conftest import until

EVENT = Event(
    "full-raised-1",
    "raised",
    "full",
    "critical",
    "the disk; $(is) 'æ' full",
    1_795_600_800 * 10**9,
    1.5,
    1_795_600_700 * 10**9,
)


def hook(*command: object, **given: object) -> Hook:
    return Hook(HookSettings(tuple(map(str, command)), **given))


def python(code: str, *arguments: object) -> tuple[object, ...]:
    return (sys.executable, "-c", code, *arguments)


def ended(way: Hook, waiting=(EVENT,), now: float = 0.0) -> tuple[str, ...]:
    """Starts what is first in line and waits for its end, as the clock stands; what is then done with."""
    done = way.turn(waiting, now)
    while way.busy and not done:
        done = way.turn(waiting, now)
    return done


def alive(file: Path) -> bool:
    """Whether the process that wrote its number there still runs."""
    try:
        os.kill(int(file.read_text()), 0)
    except ProcessLookupError:
        return False
    return "Z" not in Path(f"/proc/{int(file.read_text())}/stat").read_text().split()[2]


def test_the_event_comes_as_json_and_in_variables_and_no_shell_sees_it(tmp_path):
    code = (
        "import json, os, sys; told = {k: v for k, v in os.environ.items() if k.startswith('PLANKTOW_')}\n"
        "json.dump([json.load(sys.stdin), told, sys.argv[2:]], open(sys.argv[1], 'w'))"
    )
    with closing(hook(*python(code, tmp_path / "told", "$HOME; touch x"))) as way:
        assert ended(way) == ("full-raised-1",)
        assert way.problem is None
    table, variables, arguments = json.loads((tmp_path / "told").read_text())
    assert table == {
        "id": "full-raised-1",
        "what": "raised",
        "rule": "full",
        "severity": "critical",
        "text": "the disk; $(is) 'æ' full",
        "value": 1.5,
        "time": "2026-11-25T10:00:00Z",
        "since": "2026-11-25T09:58:20Z",
    }
    assert arguments == ["$HOME; touch x"]
    assert variables == {
        "PLANKTOW_ID": "full-raised-1",
        "PLANKTOW_WHAT": "raised",
        "PLANKTOW_RULE": "full",
        "PLANKTOW_SEVERITY": "critical",
        "PLANKTOW_TEXT": "the disk; $(is) 'æ' full",
        "PLANKTOW_VALUE": "1.5",
        "PLANKTOW_TIME": "2026-11-25T10:00:00Z",
    }


def test_one_that_fails_is_tried_again_later_and_later_and_at_last_given_up():
    with closing(hook(*python("import sys; print('no network', file=sys.stderr); sys.exit(3)"), tries=3)) as way:
        assert ended(way, now=0.0) == ()
        assert way.problem == f"the alert command {sys.executable} ended with code 3: no network"
        assert ended(way, now=4.9) == ()
        assert not way.busy
        assert ended(way, now=5.0) == ()
        assert ended(way, now=14.9) == ()
        assert ended(way, now=15.0) == ("full-raised-1",)


def test_one_that_works_again_is_no_problem_any_more(tmp_path):
    with closing(hook(*python("import sys, os; sys.exit(not os.path.exists(sys.argv[1]))", tmp_path / "net"))) as way:
        ended(way)
        assert way.problem is not None
        (tmp_path / "net").touch()
        assert ended(way, now=100.0) == ("full-raised-1",)
        assert way.problem is None


def test_events_are_told_one_after_another(tmp_path):
    events = [replace(EVENT, id=f"e{number}") for number in range(4)]
    code = "import os, sys; open(sys.argv[1], 'a').write(os.environ['PLANKTOW_ID'] + ' ')"
    done: list[str] = []
    with closing(hook(*python(code, tmp_path / "told"))) as way:
        while len(done) < 4:
            done += way.turn([event for event in events if event.id not in done], 0.0)
    assert done == ["e0", "e1", "e2", "e3"]
    assert (tmp_path / "told").read_text() == "e0 e1 e2 e3 "


HANGS = (
    "import os, subprocess, sys, time, signal\n"
    "signal.signal(signal.SIGTERM, signal.SIG_IGN)\n"
    "other = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(600)'])\n"
    "open(sys.argv[1] + '.new', 'w').write(str(other.pid)); os.rename(sys.argv[1] + '.new', sys.argv[1])\n"
)


def test_one_that_hangs_is_killed_with_all_that_it_started(tmp_path):
    other = tmp_path / "other"
    with closing(hook(*python(HANGS + "time.sleep(600)", other), timeout_seconds=10)) as way:
        assert way.turn((EVENT,), 0.0) == ()
        until(other.exists)
        assert way.turn((EVENT,), 9.9) == ()
        assert alive(other)
        assert way.turn((EVENT,), 10.0) == ()
        assert way.problem == f"the alert command {sys.executable} did not end within 10 s and was killed"
        until(lambda: not alive(other))


def test_what_one_leaves_behind_ends_with_it(tmp_path):
    other = tmp_path / "other"
    with closing(hook(*python(HANGS, other))) as way:
        assert ended(way) == ("full-raised-1",)
        until(lambda: not alive(other))


def test_one_that_runs_when_we_stop_is_ended(tmp_path):
    other = tmp_path / "other"
    with closing(hook(*python(HANGS + "time.sleep(600)", other))) as way:
        way.turn((EVENT,), 0.0)
        until(other.exists)
    until(lambda: not alive(other))


def test_one_that_reads_nothing_and_says_much_holds_nobody_up():
    talk = "import sys; sys.stdout.write('x' * 3_000_000); sys.exit(1)"
    with closing(hook(*python(talk))) as way:
        assert ended(way, [replace(EVENT, text="x" * 60_000)]) == ()
        assert len(way.problem) < 500


@pytest.mark.parametrize("text", ["a\0b", "\udcff", "two\nlines"])
def test_any_text_can_be_told(tmp_path, text):
    if "\udcff" in text:
        text = text.encode("utf-8", "replace").decode()
    with closing(
        hook(*python("import os, sys; open(sys.argv[1], 'w').write(os.environ['PLANKTOW_TEXT'])", tmp_path / "t"))
    ) as way:
        assert ended(way, [replace(EVENT, text=text)]) == ("full-raised-1",)
    assert (tmp_path / "t").read_text().isprintable()


def test_a_command_that_is_not_there_is_a_problem(tmp_path):
    with closing(hook(tmp_path / "none")) as way:
        assert ended(way) == ()
        assert "none cannot be run" in way.problem
