"""`planktow-edge labels`: what people said, listed, exported to train on, and taken in from elsewhere."""

import csv
import sqlite3
from contextlib import closing
from hashlib import sha256
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from typer.testing import CliRunner

from bundle.folder import Bundle
from edge.cli import app
from edge.corrections.classfolder import class_folders
from edge.corrections.history import add_labels, read_labels
from edge.corrections.humanlabel import HumanLabel
from edge.corrections.labelsfile import labels_file
from trainer.data.classfolders import class_files, name_faults

from ..export.cruise import Cruise, sail
from ..filled import fill

IN_TAR = "tow1/shard.tar/a/in-tar.png"


@pytest.fixture
def cruise(tmp_path: Path, tiny: Bundle) -> Cruise:
    return sail(tmp_path, tiny, images_each=2)


def run(*arguments: object):
    return CliRunner().invoke(app, ["labels", *map(str, arguments)])


def content(cruise: Cruise, path: str) -> bytes:
    return sha256((cruise.watch / path).read_bytes()).digest()


def label(cruise: Cruise, path: str, name: str) -> None:
    said = HumanLabel(content(cruise, path), name, "Ada", "chain", "ab" * 32, 1_795_600_800_250_000_000)
    add_labels(labels_file(cruise.ledger), [said])


def table(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


# Export


def test_labelled_images_become_class_folders_byte_for_byte(cruise, tmp_path):
    label(cruise, "tow1/0.png", "jelly")
    label(cruise, "tow1/deep.tif", "Clione: limacina?")
    label(cruise, "tow2/0.jpg", "unclassified")
    done = run("export", "--ledger", cruise.ledger, "--images", cruise.watch, "--out", tmp_path / "new")
    assert done.exit_code == 0, done.output
    first, second = content(cruise, "tow1/0.png").hex(), content(cruise, "tow1/deep.tif").hex()
    files = {
        str(file.relative_to(tmp_path / "new")): file.read_bytes()
        for file in (tmp_path / "new").rglob("*")
        if file.is_file() and file.name != "labels.csv"
    }
    assert files == {
        f"jelly/{first}.png": (cruise.watch / "tow1/0.png").read_bytes(),
        f"Clione_ limacina_/{second}.tif": (cruise.watch / "tow1/deep.tif").read_bytes(),
    }
    assert table(tmp_path / "new/labels.csv")[0] == {
        "sha256": first,
        "file": f"jelly/{first}.png",
        "label": "jelly",
        "machine_label": "chain",
        "person": "Ada",
        "time": "2026-11-25T10:00:00.250Z",
        "path": "tow1/0.png",
    }
    assert "'Clione: limacina?' is the folder Clione_ limacina_" in done.output
    assert "1 images of which people could not tell" in done.output
    assert set(class_files(tmp_path / "new")) == {"jelly", "Clione_ limacina_"}, "as the trainer reads them"


def test_a_member_of_an_archive_is_exported_too(cruise, tmp_path):
    done = run(
        "import", given_csv(tmp_path, f"path,label\n{IN_TAR},worm\n"), "--ledger", cruise.ledger, "--person", "Ada"
    )
    if done.exit_code:  # whatever name the archive's member has in the ledger
        pytest.fail(done.output)
    run("export", "--ledger", cruise.ledger, "--images", cruise.watch, "--out", tmp_path / "new")
    (file,) = (tmp_path / "new/worm").iterdir()
    assert sha256(file.read_bytes()).hexdigest() == file.stem


def test_images_that_are_gone_are_told_and_none_at_all_leaves_no_folder(cruise, tmp_path):
    label(cruise, "tow1/0.png", "jelly")
    label(cruise, "tow1/1.png", "jelly")
    gone = content(cruise, "tow1/1.png").hex()
    (cruise.watch / "tow1/1.png").write_bytes(b"other content")
    done = run("export", "--ledger", cruise.ledger, "--images", cruise.watch, "--out", tmp_path / "new")
    assert "1 labelled images are not in the folder" in done.output
    assert [row["file"] for row in table(tmp_path / "new/labels.csv") if row["sha256"] == gone] == [""]
    (cruise.watch / "tow1/0.png").unlink()
    (cruise.watch / "tow1/again.png").unlink()  # a copy of the same content
    refused = run("export", "--ledger", cruise.ledger, "--images", cruise.watch, "--out", tmp_path / "none")
    assert refused.exit_code == 2
    assert "not one of the 2 labelled images" in refused.stderr
    assert [file.name for file in tmp_path.iterdir() if "none" in file.name] == []


def test_an_export_over_a_folder_that_is_there_is_refused(cruise, tmp_path):
    label(cruise, "tow1/0.png", "jelly")
    (tmp_path / "there").mkdir()
    refused = run("export", "--ledger", cruise.ledger, "--images", cruise.watch, "--out", tmp_path / "there")
    assert (refused.exit_code, list((tmp_path / "there").iterdir())) == (2, [])
    assert "exists already" in refused.stderr


def test_without_labels_there_is_nothing_to_export(cruise, tmp_path):
    refused = run("export", "--ledger", cruise.ledger, "--images", cruise.watch, "--out", tmp_path / "new")
    assert refused.exit_code == 2
    assert "nobody has labelled an image" in refused.stderr
    assert "nobody has labelled an image yet" in run("list", "--ledger", cruise.ledger).output


@given(st.sets(st.text(min_size=1, max_size=100), max_size=8))
def test_every_label_is_a_folder_that_the_trainer_takes(labels):
    folders = class_folders(labels)
    assert folders.keys() == labels
    assert len(set(folders.values())) == len(labels)
    assert name_faults(Path("x"), folders.values()) == []
    assert all(len(name.encode()) < 200 and not name.startswith(".") for name in folders.values())


def test_labels_that_one_disk_would_confuse_have_folders_of_their_own():
    labels = ["Copepod", "copepod", "con", "con.x", ".hidden", "end.", "a/b", "a:b", "unclassified"]
    assert name_faults(Path("x"), class_folders(labels).values()) == []
    assert class_folders(["krill", "CON"]) == {"krill": "krill", "CON": "_CON"}


# Import


def given_csv(folder: Path, text: str, encoding: str = "utf-8") -> Path:
    file = folder / "given.csv"
    file.write_text(text, encoding=encoding)
    return file


def test_labels_are_taken_in_by_content_or_by_path_and_twice_is_once(cruise, tmp_path):
    first = content(cruise, "tow1/0.png").hex()
    file = given_csv(
        tmp_path, f"sha256;path;label;person\n{first.upper()};;jelly;Ada\n;tow2/0.jpg; my  worm ;\n", "utf-8-sig"
    )
    done = run("import", file, "--ledger", cruise.ledger, "--person", "Grace")
    assert done.exit_code == 0, done.output
    assert "2 labels taken in, 0 stood there already" in done.output
    assert "no classifier of this ledger has the label 'my worm' (1 images)" in done.output
    kept = {each.sha256: (each.label, each.person, each.machine_label) for each in read_labels(cruise.ledger).values()}
    assert kept == {
        content(cruise, "tow1/0.png"): ("jelly", "Ada", "chain"),
        content(cruise, "tow2/0.jpg"): ("my worm", "Grace", "sphere"),
    }
    again = run("import", file, "--ledger", cruise.ledger, "--person", "Grace")
    assert "0 labels taken in, 2 stood there already" in again.output


def test_what_one_host_lists_another_takes_in(cruise, tmp_path, tiny):
    label(cruise, "tow1/0.png", "jelly")
    label(cruise, "tow2/0.jpg", "sphere")
    run("list", "--ledger", cruise.ledger, "--format", "csv", "--out", tmp_path / "all.csv")
    (tmp_path / "other").mkdir()
    other = sail(tmp_path / "other", tiny, images_each=2)
    done = run("import", tmp_path / "all.csv", "--ledger", other.ledger)
    assert done.exit_code == 0, done.output
    theirs, ours = read_labels(other.ledger), read_labels(cruise.ledger)
    assert {key: (each.label, each.person, each.labelled_ns) for key, each in theirs.items()} == {
        key: (each.label, each.person, each.labelled_ns) for key, each in ours.items()
    }


def test_the_faults_of_all_rows_are_told_and_nothing_is_taken_in(cruise, tmp_path):
    file = given_csv(
        tmp_path,
        "path,sha256,label,person\n"
        "tow1/0.png,,jelly,Ada\n"
        "tow1/nothing.png,,jelly,Ada\n"
        f",{'ab' * 32},jelly,Ada\n"
        ",xyz,jelly,Ada\n"
        ",,jelly,Ada\n"
        "tow1/1.png,,,Ada\n"
        "tow1/1.png,,jelly,\n"
        "tow1/0.png,,sphere,Ada\n",
    )
    refused = run("import", file, "--ledger", cruise.ledger)
    assert refused.exit_code == 2
    for words in (
        "row 3: the ledger does not have the image tow1/nothing.png",
        f"row 4: the ledger does not have the image {'ab' * 32}",
        "row 5: 'xyz' is no sha-256",
        "row 6: neither a sha256 nor a path",
        "row 7: no label was given",
        "row 8: no name was given",
        "row 9: says 'sphere' of the image of which row 2 says 'jelly'",
    ):
        assert words in refused.stderr
    assert not labels_file(cruise.ledger).exists()
    passed = run("import", given_csv(tmp_path, f"sha256,label\n{'ab' * 32},jelly\n"), "--ledger", cruise.ledger,
                 "--person", "Ada", "--skip-unknown")  # fmt: skip
    assert "0 labels taken in" in passed.output


def test_a_name_that_two_images_bore_is_refused(tmp_path, tiny):
    ledger = tmp_path / "x.sqlite"
    fill(ledger, tiny, [("10:00:00", 0)])
    with closing(sqlite3.connect(ledger, isolation_level=None)) as connection:
        connection.execute(
            "INSERT INTO image (sha256, bytes, capture_ns, time_source) VALUES (?, 1, 0, 'mtime')", (bytes(32),)
        )
        connection.execute(
            "INSERT INTO sighting (path, size, mtime_ns, found_ns, image_id) SELECT path, 7, 7, 7, 2 FROM sighting"
        )
        (path,) = connection.execute("SELECT DISTINCT path FROM sighting").fetchone()
    refused = run("import", given_csv(tmp_path, f"path,label\n{path},jelly\n"), "--ledger", ledger, "--person", "Ada")
    assert refused.exit_code == 2
    assert f"2 images bore the name {path}; give their sha256" in refused.stderr


def test_a_rejected_image_takes_no_label(tmp_path, tiny):
    ledger = tmp_path / "x.sqlite"
    fill(ledger, tiny, rejected=["corrupt"])
    name = f"{tiny.digest[:4]}-bad-0.png"
    refused = run("import", given_csv(tmp_path, f"path,label\n{name},jelly\n"), "--ledger", ledger, "--person", "Ada")
    assert "was rejected (corrupt) and is not counted" in refused.stderr


@pytest.mark.parametrize("text", ["", "a,b\n1,2\n", "label\njelly\n", 'path,label\n"x,jelly\n'])
def test_a_file_that_is_no_table_of_labels_is_refused(cruise, tmp_path, text):
    refused = run("import", given_csv(tmp_path, text), "--ledger", cruise.ledger)
    assert refused.exit_code == 2
    assert "given.csv" in refused.stderr


def test_the_list_says_how_often_the_machine_was_right(cruise):
    label(cruise, "tow1/0.png", "chain")
    label(cruise, "tow1/1.png", "worm")
    text = run("list", "--ledger", cruise.ledger).output
    assert [line.split() for line in text.splitlines() if line.split()[:1] in (["chain"], ["worm"])] == [
        ["chain", "1", "1", "0"],
        ["worm", "1", "0", "1"],
    ]
    assert "2 images; by Ada 2" in text
