"""A small cruise: real images in a watched folder, in archives too, with the ledger that the tiny bundle's verdicts make."""

import tarfile
import zipfile
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

from bundle.folder import Bundle
from bundle.measures import measure
from edge.capture.capture import Capture
from edge.daemon.outcome import Again, Counted
from edge.intake.files import Found, look
from edge.ledger.ledger import open_ledger
from edge.shards.shards import members

from ..filled import SECOND, TEN
from ..images import image_bytes

ODD = 'tow2/odd "name",\u00e9\u4e2d \u2019.png'


@dataclass
class Cruise:
    watch: Path
    ledger: Path


def sail(base: Path, bundle: Bundle, images_each: int = 3) -> Cruise:
    """Two tows with files, a tar and a zip, one image every ten minutes from 10:00 UTC; one file twice; a TIFF."""
    cruise = Cruise(base / "watch", base / "cruise.sqlite")
    (cruise.watch / "tow2").mkdir(parents=True)
    (cruise.watch / "tow1").mkdir()
    (cruise.watch / ODD).write_bytes(image_bytes("jelly", 99))
    (cruise.watch / "tow1/deep.tif").write_bytes(image_bytes("chain", 98, ".tif"))
    for number in range(images_each):
        (cruise.watch / f"tow1/{number}.png").write_bytes(image_bytes("chain", number))
        (cruise.watch / f"tow2/{number}.jpg").write_bytes(image_bytes("sphere", number, ".jpg"))
    with tarfile.open(cruise.watch / "tow1/shard.tar", "w") as tar:
        source = base / "in-tar.png"
        source.write_bytes(image_bytes("jelly", 50))
        tar.add(source, "a/in-tar.png")
    with zipfile.ZipFile(cruise.watch / "tow2/shard.zip", "w") as zipped:
        zipped.writestr("in-zip.png", image_bytes("jelly", 51))
    found = [look(cruise.watch, str(file.relative_to(cruise.watch))) for file in sorted(cruise.watch.rglob("*.*"))]
    every: list[tuple[Found, bytes]] = []
    for file in filter(None, found):
        if file.path.endswith((".tar", ".zip")):
            every += [(member, _inside(cruise.watch, member)) for member in members(cruise.watch, file)]
        else:
            every.append((file, (cruise.watch / file.path).read_bytes()))
    record(cruise.ledger, bundle, every)
    copy = cruise.watch / "tow1/again.png"
    copy.write_bytes(image_bytes("chain", 0))
    with open_ledger(cruise.ledger) as ledger:
        again = Again(look(cruise.watch, "tow1/again.png"), sha256(copy.read_bytes()).digest(), Capture(TEN, "mtime"))
        ledger.record([again], ledger.bundle_id(bundle, TEN), TEN)
    return cruise


def record(ledger_file: Path, bundle: Bundle, every: list[tuple[Found, bytes]], start: int = TEN) -> None:
    """Classifies each for real and records it, ten minutes apart."""
    ensemble = bundle.load()
    votes = bundle.classify(ensemble, [bundle.prepare(data) for _, data in every], all_ballots=True)
    with open_ledger(ledger_file) as ledger:
        outcomes = [
            Counted(
                found,
                sha256(data).digest(),
                Capture(start + number * 600 * SECOND + 250_000_001, "mtime"),
                measure(bundle.decode(data)),
                int(votes.label[number]),
                int(votes.votes[number]),
                float(votes.score[number]),
                asked=3,
            )
            for number, (found, data) in enumerate(every)
        ]
        ledger.record(outcomes, ledger.bundle_id(bundle, TEN), now_ns=start)


def _inside(root: Path, member: Found) -> bytes:
    from edge.shards.shards import Shards

    with Shards(root) as shards:
        data = shards.read(member, 1 << 20)
    assert data is not None
    return data
