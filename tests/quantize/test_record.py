import pytest

from bundle.errors import BadData
from bundle.preprocess import FEATURES, InputSpec
from bundle.scores import Summary
from bundle.training import Data, Record, Split, TrainedMember
from quantize.record import read_record


def test_a_record_is_read_with_the_bytes_it_came_from(tiny_run):
    record, data = read_record(tiny_run.folder)
    stated = tiny_run.record
    assert data == (tiny_run.folder / "training.json").read_bytes()
    assert record == Record(
        schema_version=3,
        created="2026-11-23T12:00:00Z",
        name="tiny",
        labels=("disc", "ring", "rod"),
        input=InputSpec(),
        features=FEATURES,
        data=Data("0" * 64, stated["data"]["images"]),
        split=Split(**{part: tuple(hashes) for part, hashes in stated["split"].items()}),
        members=tuple(
            TrainedMember(
                *(member[key] for key in ("file", "sha256", "architecture", "side")), Summary(**member["validation"])
            )
            for member in stated["members"]
        ),
    )


def test_a_member_is_named_by_its_file_without_folder_and_suffix():
    assert TrainedMember("members/01-residual.a.keras", "0" * 64, "x", 32).stem == "01-residual.a"


def test_a_folder_without_a_record_is_refused(tmp_path):
    with pytest.raises(BadData, match=r"training\.json: cannot be read \(No such file or directory\); give the folder"):
        read_record(tmp_path)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "not valid JSON"),
        ("[]", "schema_version is None, this version of Planktow reads 3"),
        ('{"schema_version": 1}', "schema_version is 1, this version of Planktow reads 3"),
        ('{"schema_version": 3}', "missing key 'created'"),
    ],
)
def test_a_file_that_is_no_record_is_refused(tmp_path, text, message):
    (tmp_path / "training.json").write_text(text)
    with pytest.raises(BadData) as refused:
        read_record(tmp_path)
    assert str(refused.value).startswith(f"{tmp_path / 'training.json'}: ")
    assert message in str(refused.value)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"labels": ["disc", "disc"]}, "the label 'disc' stands twice"),
        ({"labels": "disc"}, "labels: expected a list, each item a text in quotes"),
        ({"features": ["log_width"]}, "the members were trained on the features log_width, this version computes"),
        ({"input": {"pad": "black"}}, "input: pad: expected one of 'white', 'border', found 'black'"),
        (
            {"members": [{"file": "members/a.keras", "sha256": "0" * 64, "architecture": "x", "side": 4}]},
            "members[0]: side must be from 8 to 1024 pixels, found 4",
        ),
        ({"members": []}, "names no members; let planktow-trainer finish at least one"),
        ({"members": ["01"]}, r"members[0]: expected a table, found '01'"),
        ({"split": {"train": [], "validation": ["a"], "test": []}}, "the train split is empty"),
        ({"split": {"train": ["a"], "validation": [], "test": []}}, "the validation split is empty"),
        ({"split": {"train": ["a"], "validation": ["b"]}}, "split: missing key 'test'"),
        (
            {"members": [{"file": "../other.keras", "sha256": "0" * 64, "architecture": "x", "side": 32}]},
            "'../other.keras' is not a path inside the bundle",
        ),
    ],
)
def test_a_record_that_cannot_be_used_is_refused(copy_of_run, changes, message):
    run = copy_of_run(**changes)
    with pytest.raises(BadData) as refused:
        read_record(run.folder)
    assert str(refused.value).startswith(str(run.folder / "training.json"))
    assert message in str(refused.value)


def test_an_empty_test_split_is_allowed(copy_of_run, tiny_run):
    run = copy_of_run(split=tiny_run.record["split"] | {"test": []})
    assert read_record(run.folder)[0].split.test == ()


def test_a_member_with_one_flipped_bit_is_refused(copy_of_run):
    run = copy_of_run()
    file = run.folder / "members/02-simple.keras"
    data = bytearray(file.read_bytes())
    data[len(data) // 2] ^= 1
    file.write_bytes(data)
    with pytest.raises(BadData, match=r"02-simple\.keras: its sha-256 is not the one in training\.json"):
        read_record(run.folder)


def test_a_missing_member_is_refused(copy_of_run):
    run = copy_of_run()
    (run.folder / "members/01-residual.keras").unlink()
    with pytest.raises(BadData, match=r"01-residual\.keras: cannot be read .* give the whole folder"):
        read_record(run.folder)
