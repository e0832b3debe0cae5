"""Bundles are swapped every second or two while images arrive and the daemon is killed: no image is lost or counted twice.

    python -m tests.reliability.swap_under_fire [--images N] [--from FOLDER] [--bundle DIR] [--seconds 60]
        [--kills 10] [--seed 0]

Two bundles of the same members, the second one with its labels in another order, take turns at a symlink, in one step each
time; now and then the symlink leads to a damaged bundle, or nowhere, or a SIGHUP comes in between. A third one shadows all.
Then the two take turns once more, each with images that were kept back, so that both have counted however slow the machine
is. At the end each content has one verdict, named as the bundle that it stands under names what both know it to be; the
verdicts of both bundles are there; the accounts and a recount agree. Prints the figures; exit code 1 where one thing is not
as it must be.
"""

from __future__ import annotations

import contextlib
import json
import os
import random
import signal
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from bundle.folder import Bundle, open_bundle, write_bundle
from bundle.labels import format_labels
from bundle.whole import sha256_hex

from .ship import Image, Ship, drop_all, options, rendered, taken_from, tell, until


def relabelled(bundle: Bundle, path: Path, name: str) -> Bundle:
    """The same members in a new folder, whose labels stand in the opposite order."""
    data = format_labels(bundle.labels[::-1])
    manifest = replace(bundle.manifest, name=name, labels=replace(bundle.manifest.labels, sha256=sha256_hex(data)))
    return write_bundle(path, manifest, {**bundle.contents, "labels.txt": data})


def damaged(bundle: Bundle, path: Path) -> Path:
    """A bundle one byte of which is wrong."""
    relabelled(bundle, path, "damaged")
    member = path / bundle.manifest.members[0].file
    data = bytearray(member.read_bytes())
    data[len(data) // 2] ^= 1
    member.write_bytes(data)
    return path


class Turner(threading.Thread):
    """Has the symlink lead to another bundle every second or two, until it is told to stop."""

    def __init__(
        self, link: Path, good: Sequence[Path], bad: Sequence[Path], ship: Ship, chance: random.Random
    ) -> None:
        super().__init__(daemon=True)
        self.turns, self.hangups, self.enough = 0, 0, threading.Event()
        self._link, self._good, self._bad, self._ship, self._chance = link, good, bad, ship, chance

    def run(self) -> None:
        while not self.enough.wait(self._chance.uniform(0.2, 3.0)):
            self.turn(self._chance.choice(self._bad) if self._chance.random() < 0.2 else self.next_good())
            if self._chance.random() < 0.5 and not self._ship.ended() and self._ship.process is not None:
                with contextlib.suppress(ProcessLookupError):
                    self._ship.process.send_signal(signal.SIGHUP)
                self.hangups += 1

    def next_good(self) -> Path:
        self.turns += 1
        return self._good[self.turns % len(self._good)]

    def turn(self, to: Path) -> None:
        fresh = self._link.with_name("turned")
        fresh.symlink_to(to)
        os.replace(fresh, self._link)  # noqa: PTH105 - what rename(2) does: one step


def play(images: Sequence[Image], base: Path, bundle: Path, seconds: float, kills: int, seed: int) -> list[str]:
    """One run in the folder `base`; returns what is wrong, line by line: nothing, one hopes."""
    chance = random.Random(seed)
    base.mkdir(exist_ok=True)
    first = open_bundle(bundle.resolve())
    second = relabelled(first, base / "second", "second")
    shadow = relabelled(first, base / "third", "third")
    bad = [damaged(first, base / "damaged"), base / "nowhere"]
    link = base / "current"
    link.symlink_to(first.path)
    with Ship(base / "ship", link) as ship:
        # The path itself, not where it leads to now; and a shadow that never pauses, so that it must have seen every image.
        text = ship.config.read_text().replace(json.dumps(str(link.resolve())), json.dumps(str(link)))
        ship.config.write_text(f"{text}\n[shadow]\nbundle = {json.dumps(str(shadow.path))}\nmax_waiting = 1000000\n")
        turner = Turner(link, (first.path, second.path), bad, ship, random.Random(seed + 1))
        kept_back = [images[: len(images) // 20], images[len(images) // 20 : len(images) // 10]]
        shot = images[len(images) // 10 :]
        camera = threading.Thread(target=in_time, args=(ship.watch, shot, seconds, random.Random(seed)))
        ship.start()
        camera.start()
        turner.start()
        began = time.monotonic()
        try:
            for at in sorted(chance.uniform(1, seconds) for _ in range(kills)):
                time.sleep(max(0.0, began + at - time.monotonic()))
                ship.kill()
                while ship.ended():  # a start that finds a bad bundle at the path is refused, as it must be
                    turner.turn(turner.next_good())
                    ship.start(ready=False)
                    until(
                        lambda: ship.ended() or ship.status().get("pid") == ship.process.pid,
                        "the daemon starts or ends",
                    )
        finally:
            camera.join()
            turner.enough.set()
            turner.join()
        decided = len(shot)
        ship.await_decided(decided)
        now = ship.status()["bundle_digest"]
        for last, portion in zip(sorted((first, second), key=lambda each: each.digest == now), kept_back, strict=True):
            turner.turn(last.path)
            until(
                lambda last=last: ship.status().get("bundle_digest") == last.digest, "the turn is taken up", every=0.1
            )
            drop_all(ship.watch, portion, chance)
            decided += len(portion)
            ship.await_decided(decided)
        until(lambda: ship.status().get("problem") is None, "no problem is left", 60, 0.1)
        if code := ship.stop():
            return [f"the daemon ended with {code}"]
        wrong = ship.faults() + mislabelled(ship, {first.digest: first, second.digest: second})
        shares = Counter(
            dict(ship.rows("SELECT name, COUNT(*) FROM verdict JOIN bundle ON id = bundle_id GROUP BY name"))
        )
        ((shadowed, agreed),) = ship.rows(
            "SELECT COUNT(*), TOTAL(seen.label = verdict.label) FROM shadow_verdict AS seen JOIN verdict USING (image_id)"
        )
        said = ship.log.read_text()
        begun, ended = said.count("is taken up by one worker"), said.count("counts from now on")
    counted = ", ".join(f"{count} by {name}" for name, count in sorted(shares.items()))
    print(
        f"{turner.turns} turns and {turner.hangups} SIGHUPs in {seconds:g} s, {kills} kills; {begun} swaps begun, {ended} ended;"
        f" counted {counted}; {shadowed} shadowed",
        flush=True,
    )
    if len(shares) < 2 or not begun or not ended:
        wrong.append("nothing was swapped while counting went on")
    if not shadowed == agreed == shares.total():  # the same members: the same class index, whatever the labels
        wrong.append(f"{shares.total()} verdicts, {shadowed} shadowed, {agreed:.0f} of them alike")
    return wrong


def in_time(watch: Path, images: Sequence[Image], seconds: float, chance: random.Random) -> None:
    """The camera: all images, in portions, within so many seconds."""
    portion = max(1, len(images) // max(1, round(seconds)))
    began = time.monotonic()
    for number, at in enumerate(range(0, len(images), portion)):
        drop_all(watch, images[at : at + portion], chance)
        time.sleep(max(0.0, began + number + 1 - time.monotonic()))


def mislabelled(ship: Ship, bundles: dict[str, Bundle]) -> list[str]:
    """Verdicts whose class index is not what the members say of the content, or under a bundle that was never there."""
    any_bundle = next(iter(bundles.values()))
    ensemble = any_bundle.load()
    wrong = []
    query = (
        "SELECT path, digest, label FROM sighting JOIN verdict USING (image_id) JOIN bundle ON bundle.id = bundle_id"
    )
    for path, digest, label in ship.rows(query):
        if digest not in bundles:
            wrong.append(f"{path}: a verdict of {digest[:12]}, which was never at the path")
            continue
        found = any_bundle.classify(ensemble, [any_bundle.prepare((ship.watch / path).read_bytes())])
        if int(found.label[0]) != label:
            wrong.append(f"{path}: class {label} under {digest[:12]}, the members say {int(found.label[0])}")
    return wrong[:10]


def main() -> int:
    """The program; see the head of this file."""
    parser = options("bundles swapped under kill -9 change no count", 3000)
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--kills", type=int, default=10)
    chosen = parser.parse_args()
    images = taken_from(chosen.folder, chosen.images) if chosen.folder else rendered(chosen.images)
    print(f"{len(images)} files, seed {chosen.seed}", flush=True)
    with tempfile.TemporaryDirectory() as base:
        wrong = play(images, Path(base), chosen.bundle, chosen.seconds, chosen.kills, chosen.seed)
    return tell(wrong, "each image counted once, under the bundle that made its verdict")


if __name__ == "__main__":
    sys.exit(main())
