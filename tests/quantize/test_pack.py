from pathlib import Path

from bundle.folder import open_bundle, write_bundle
from bundle.manifest import Checks, Manifest, Quantisation, VoteRule
from bundle.preprocess import FEATURES, InputSpec
from bundle.training import Data, Record, Split, TrainedMember
from bundle.whole import sha256_hex
from quantize.pack import Made, pack

TINY = Path(__file__).parents[1] / "data" / "tiny-3" / "members"
RECORD = Record(
    schema_version=2,
    created="2026-11-23T12:00:00Z",
    name="run",
    labels=("chain", "sphere", "jelly"),
    input=InputSpec(),
    features=FEATURES,
    data=Data("0" * 64, 3),
    split=Split(("0",), ("1",), ("2",)),
    members=(),
)
CHECKS = Checks(images=10, keras_accuracy=0.9, tflite_accuracy=0.8, agreement=0.7)
VOTE = VoteRule("soft", "mean_score", 2)


def made(stem: str) -> Made:
    trained = TrainedMember(f"members/{stem}.keras", "0" * 64, "tiny", 16)
    return Made(trained, "float32", (TINY / f"{stem}.tflite").read_bytes(), (), CHECKS)


def packed(*stems: str) -> tuple[Manifest, dict[str, bytes]]:
    manifest, contents = pack(RECORD, VOTE, (1, 0), "name", [made(stem) for stem in stems], b"{}\n", b'{"a": 1}\n')
    return manifest, dict(contents)


def test_a_packed_bundle_can_be_written_and_opened(tmp_path):
    manifest, contents = packed("01-tiny", "02-tiny")
    written = write_bundle(tmp_path / "out", manifest, contents)
    assert open_bundle(tmp_path / "out").digest == written.digest
    assert written.manifest == manifest


def test_the_manifest_vouches_for_every_file_and_for_nothing_else():
    manifest, contents = packed("01-tiny", "02-tiny")
    assert {entry.file: entry.sha256 for entry in manifest.hashed_files()} == {
        file: sha256_hex(data) for file, data in contents.items()
    }
    assert contents["labels.txt"] == b"chain\nsphere\njelly\n"
    assert contents["training.json"] == b"{}\n"
    assert contents["validation.json"] == b'{"a": 1}\n'


def test_the_manifest_says_of_a_member_what_its_file_says():
    manifest, _ = packed("01-tiny", "02-tiny")
    member = manifest.members[0]
    assert (member.file, member.architecture, member.scheme) == ("members/01-tiny.tflite", "tiny", "float32")
    assert member.pixels == Quantisation("uint8", 0.0, 0)
    assert member.output == Quantisation("float32", 0.0, 0)
    assert member.multiply_adds == 9 * 3  # a dense layer of ink and eight features
    assert member.checks == CHECKS
    assert manifest.order == (1, 0)


def test_the_bundle_is_as_old_as_its_training_and_votes_as_the_settings_say():
    manifest, _ = packed("01-tiny", "02-tiny")
    assert (manifest.name, manifest.created) == ("name", "2026-11-23T12:00:00Z")
    assert manifest.vote == VoteRule("soft", "mean_score", 2)
