"""All checks of one host, in the order in which a person would mend what they find."""

from __future__ import annotations

import os
import time
from collections.abc import Generator, Iterator
from pathlib import Path

from bundle.errors import BadConfig
from bundle.folder import Bundle
from bundle.labels import UNCLASSIFIED
from bundle.machine import usable_cores
from edge.check.access import Wish, check_access
from edge.check.classifier import check_bundle, check_runtime
from edge.check.clock import judge_clock, read_clock
from edge.check.disk import check_mounts, judge_disk, read_disks
from edge.check.finding import Finding, fail, fault, ok, warn
from edge.check.ledgerstate import Known, check_backups, check_labels, check_the_ledger
from edge.check.machine import (
    judge_memory,
    judge_temperature,
    judge_watches,
    read_watches,
)
from edge.check.speed import judge_speed, measure_speed, sample
from edge.config import EdgeConfig, read_config
from edge.daemon.rejects import check_reject_folder
from edge.daemon.tuning import read_tuned
from edge.sensors import read_celsius, read_memory

_BUSY = 0.8  # of the cores


def check_host(file: Path, user: str | None, speed: bool) -> Iterator[Finding]:
    """Yields the findings as they are made. user: whom the service runs as; None: the one who runs this.

    Where the settings cannot be read, that is the only one.
    """
    try:
        config = read_config(file)
    except BadConfig as error:
        yield fault("settings", error, "mend the file; planktow-edge init writes a fresh one")
        return
    yield ok("settings", f"{file} is well-formed")
    bundle = yield from _classifier(config)
    yield from _folders(file, config, user)
    ledger, known = check_the_ledger(config.ledger)
    yield from ledger
    yield from check_labels(config.ledger)
    yield check_backups(config.ledger, config.backup, time.time_ns())
    for disk in read_disks({"images": config.watch, "ledger": config.ledger.parent, "out": config.out}):
        yield judge_disk(disk, known.inflow)
    if config.watch.is_dir() and config.ledger.parent.is_dir():
        yield from check_mounts(config.watch, config.ledger, config.poll_seconds)
    yield from judge_watches(read_watches(config.watch, config.recursive))
    yield from judge_clock(read_clock(known.newest_image_ns))
    yield from _machine(config, bundle, known, speed)


def _classifier(config: EdgeConfig) -> Generator[Finding, None, Bundle | None]:
    found, bundle = check_bundle(config.bundle)
    yield from found
    if config.shadow.folder is not None:
        yield from check_bundle(config.shadow.folder, "shadows")[0]
    if bundle is None:
        return None
    try:
        config.quality.check_labels([*bundle.labels, UNCLASSIFIED])
    except BadConfig as error:
        yield fail(
            "settings", str(error), "mend [quality] in the settings, or count with the bundle that it was written for"
        )
    yield check_runtime(bundle)
    return bundle


def _folders(file: Path, config: EdgeConfig, user: str | None) -> Iterator[Finding]:
    watch = config.watch
    if not watch.is_dir():
        do = "create it, or mount its disk; correct watch in the settings if it is another"
        yield fail("watch", f"{watch}: {'not a folder' if watch.exists() else 'no such folder'}", do)
    try:
        check_reject_folder(config.rejects, config.rejects_folder, watch)
    except BadConfig as error:
        yield fault("rejects", error, "correct [rejects] in the settings")
    wishes = [
        Wish(file, "read", "the settings"),
        Wish(watch, "list", "the watched folder"),
        Wish(config.bundle / "manifest.json", "read", "the bundle"),
        Wish(config.ledger.parent, "write", "the ledger's folder"),
        Wish(config.ledger, "read", "the ledger"),
        Wish(config.out if config.out.exists() else config.out.parent, "write", "where counts.csv goes"),
    ]
    if config.rejects.files != "stay":
        wishes.append(Wish(config.rejects_folder, "write", "the folder for rejected files"))
    if config.rejects.files == "move" or config.retention.enabled:
        wishes.append(Wish(watch, "write", "the watched folder, which files are taken from"))
    backups = config.backup.folder_for(config.ledger)
    if backups is not None and backups.exists():
        wishes.append(Wish(backups, "write", "the folder for backups"))
    yield from check_access(wishes, user)


def _machine(config: EdgeConfig, bundle: Bundle | None, known: Known, speed: bool) -> Iterator[Finding]:
    tuned = None if bundle is None else read_tuned(config.ledger, bundle)
    workers = config.workers or (tuned.workers if tuned else usable_cores())
    yield judge_memory(read_memory(), workers)
    yield judge_temperature(read_celsius())
    load = os.getloadavg()[0] / usable_cores()  # before we add to it
    if bundle is None or not speed:
        return
    images, own = sample(config.watch)
    yield judge_speed(measure_speed(bundle, images, own), min(workers, usable_cores()), known.inflow, load > _BUSY)
    if load > _BUSY:
        do = "stop what else runs, and the daemon, and check again: the speed was measured beside it"
        yield warn("speed", f"the machine was busy: {load:.0%} of its cores in the last minute", do)
