"""The demo: the real daemon, a played camera, a live table, and a check that every image was counted exactly once."""

from __future__ import annotations

import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.text import Text

from bundle.command import typed
from bundle.errors import BadData
from bundle.folder import Bundle
from bundle.scores import Scores, score
from edge.counts import Accounting, Counts
from edge.demo.camera import Drop, Expected, expect, plan, play
from edge.demo.check import Found, fault_of, faults, read_found
from edge.demo.daemon import Stage, check_alive, running, stop
from edge.demo.specimens import Showing
from edge.demo.tables import Moment, live_line, live_table, mishap_table, taxa_table
from edge.ledger.ledgerfile import open_ledger_readonly
from edge.oneoff import Target, classify
from edge.report import accounting_lines
from edge.screen import show

LOOK_SECONDS = 0.25  # between two looks at the ledger
LINE_SECONDS = 2.0  # between two lines where there is no terminal
SPEED_IMAGES = 500  # so many that loading the members hardly counts
FINISH_SECONDS = 30.0  # for the daemon to be done once the camera is


@dataclass(frozen=True)
class Done:
    """When the daemon has dealt with all that the camera wrote. It may have made too much of it: `faults` tells."""

    decided: int  # images counted or rejected
    duplicates: int

    def reached(self, accounting: Accounting) -> bool:
        """Whether so many are in the ledger and none waits."""
        decided = accounting.counted + accounting.rejected
        return decided >= self.decided and accounting.duplicates >= self.duplicates and accounting.waiting == 0


def run_demo(bundle: Bundle, showing: Showing, folder: Path | None, seconds: float) -> list[str]:
    """Plays the demo, prints it, and returns the faults: an empty list when every image is accounted for.

    Raises BadData without specimens, DaemonDied, BadConfig.
    """
    if not showing.specimens:
        raise BadData("no images to show; give a folder with some: --images DIR")
    stage = Stage(folder or Path(tempfile.mkdtemp(prefix="planktow-demo-")))
    stage.prepare(bundle.path)
    drops = plan(showing.specimens)
    expected = expect(drops, lambda data: fault_of(bundle, data))
    _say(f"{showing.remark}.")
    _say(f"The camera writes {len(drops)} files in about {seconds:.0f} s to {stage.capture}")
    with running(stage) as process:
        took = _watch(stage, drops, expected, seconds, lambda: check_alive(process, stage))
        status = stop(process)
    counts = stage.counts()
    with closing(open_ledger_readonly(stage.ledger)) as connection:
        found = read_found(connection)
    wrong = faults(expected, found, counts.accounting, drops)
    if status != 0:
        wrong.append(f"the daemon ended with status {status} on SIGTERM; it must be 0 (its log: {stage.log})")
    show(_summary(bundle, showing, stage, drops, found, counts, took))
    return wrong


def _watch(stage: Stage, drops: Sequence[Drop], expected: Expected, seconds: float, check: Callable[[], None]) -> float:
    """Plays the camera and shows the counts until all drops are decided on, or time is up; returns the seconds it took."""
    halt = threading.Event()
    dropped: list[Drop] = []
    done = Done(len(expected.counted) + len(expected.rejected), expected.duplicates)

    def film() -> None:
        for drop in play(drops, stage.capture, seconds, halt):
            dropped.append(drop)  # one by one: the display counts them as they come

    with ThreadPoolExecutor(1, "camera") as pool, _display() as display:
        camera = pool.submit(film)
        try:
            return _look(stage, dropped, camera, len(drops), done, display, check)
        finally:
            halt.set()


def _look(
    stage: Stage,
    dropped: Sequence[Drop],
    camera: Future[None],
    drops: int,
    done: Done,
    display: Callable[[Moment], None],
    check: Callable[[], None],
) -> float:
    began, camera_ended = time.monotonic(), None
    while True:
        check()
        counts, now = stage.counts(), time.monotonic()
        display(Moment(counts, len(dropped), drops, now - began))
        accounting = counts.accounting
        if camera.done():
            camera.result()  # what went wrong in the camera's thread is raised here
            camera_ended = camera_ended or now
            if done.reached(accounting) or now - camera_ended > FINISH_SECONDS:
                return now - began
        time.sleep(LOOK_SECONDS)


@contextmanager
def _display() -> Iterator[Callable[[Moment], None]]:
    """A table that renews itself on a terminal; a line now and then elsewhere."""
    if sys.stdout.isatty():
        with Live(console=Console(markup=False, highlight=False), auto_refresh=False, transient=True) as live:
            yield lambda moment: live.update(live_table(moment), refresh=True)
        return
    next_line = 0.0

    def line(moment: Moment) -> None:
        nonlocal next_line
        if moment.seconds >= next_line:
            next_line = moment.seconds + LINE_SECONDS
            _say(live_line(moment))

    yield line


def _summary(
    bundle: Bundle,
    showing: Showing,
    stage: Stage,
    drops: Sequence[Drop],
    found: dict[str, Found],
    counts: Counts,
    took: float,
) -> RenderableType:
    scores = _scores(drops, found)
    lines = []
    if scores:
        caveat = "" if showing.held_out else "; it may have been trained on them"
        low, high = scores.accuracy_interval
        lines.append(
            f"accuracy {scores.accuracy:.1%}: {scores.right} right of {scores.images} images with a known taxon "
            f"(95 % interval {low:.0%} to {high:.0%}){caveat}"
        )
    else:
        lines.append("accuracy: not known, for the folders do not name labels of the bundle")
    lines.append(
        f"images per second: {counts.accounting.counted / took:.1f} as the camera played; "
        f"at full speed this machine classifies {_full_speed(bundle, stage, drops):.0f}"
    )
    files = (
        f"\nThe files are kept in {stage.folder}\n"
        f"  capture/ images   edge.toml settings   ledger.sqlite verdicts   counts/ live files   daemon.log\n"
        f"  {typed('planktow-edge')} report --ledger {stage.ledger} --bin 10s"
    )
    return Group(
        taxa_table(drops, found, scores),
        mishap_table(drops, found),
        Text("\n".join(lines)),
        accounting_lines(counts),
        Text(files),
    )


def _scores(drops: Sequence[Drop], found: dict[str, Found]) -> Scores | None:
    truth = {drop.sha256: drop.taxon for drop in drops if drop.taxon}
    verdicts = ((taxon, found[sha256].label) for sha256, taxon in truth.items() if sha256 in found)
    pairs = [(taxon, label) for taxon, label in verdicts if label]
    return score(pairs) if pairs else None


def _full_speed(bundle: Bundle, stage: Stage, drops: Sequence[Drop]) -> float:
    """Images per second from file to verdict, in this process, with no camera to wait for."""
    targets = [Target(stage.capture / drop.name) for drop in drops if drop.kind in ("image", "halves")]
    targets *= -(-SPEED_IMAGES // len(targets))
    began = time.monotonic()
    sum(1 for _ in classify(bundle, targets))
    return len(targets) / (time.monotonic() - began)


def _say(line: str) -> None:
    print(line, flush=True)
