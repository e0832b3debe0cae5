"""A bundle made anew with a taxa.csv: `planktow-quantize taxa`."""

import subprocess
import sys
from pathlib import Path

import pytest

from bundle.errors import BadBundle, BadData
from bundle.folder import open_bundle
from bundle.taxa import COLUMNS, read_taxa
from quantize.taxa import with_taxa

TINY = Path(__file__).parents[1] / "data" / "tiny-3"
COMMAND = [str(Path(sys.executable).with_name("planktow-quantize")), "taxa"]


def table(path: Path, *, name: str = "The {}") -> Path:
    labels = open_bundle(TINY).labels
    rows = [f"{label},{name.format(label)},things,,,no" for label in labels]
    path.write_text("\n".join([",".join(COLUMNS), *rows]) + "\n")
    return path


def test_the_new_bundle_has_the_taxa_and_all_that_the_old_one_had(tmp_path):
    old = open_bundle(TINY)
    new = with_taxa(TINY, table(tmp_path / "t.csv"), tmp_path / "out")
    assert {label: taxon.display_name for label, taxon in read_taxa(tmp_path / "out").items()} == {
        label: f"The {label}" for label in old.labels
    }
    assert {name: new.contents[name] for name in old.contents} == dict(old.contents)
    assert new.digest != old.digest
    assert (new.manifest.members, new.manifest.vote, new.manifest.order) == (
        old.manifest.members,
        old.manifest.vote,
        old.manifest.order,
    )
    assert open_bundle(TINY).digest == old.digest


def test_a_second_table_takes_the_place_of_the_first_and_the_same_one_gives_the_same_digest(tmp_path):
    first = with_taxa(TINY, table(tmp_path / "t.csv"), tmp_path / "1")
    second = with_taxa(tmp_path / "1", table(tmp_path / "u.csv", name="A {}"), tmp_path / "2")
    assert [record.file for record in second.manifest.records] == [record.file for record in first.manifest.records]
    assert with_taxa(tmp_path / "2", tmp_path / "t.csv", tmp_path / "3").digest == first.digest


def test_a_table_of_other_labels_leaves_no_bundle(tmp_path):
    (tmp_path / "t.csv").write_text(",".join(COLUMNS) + "\nkraken,Kraken,monsters,,,\n")
    with pytest.raises(BadBundle, match="'kraken' is no label of the bundle"):
        with_taxa(TINY, tmp_path / "t.csv", tmp_path / "out")
    with pytest.raises(BadData, match="cannot be read"):
        with_taxa(TINY, tmp_path / "none.csv", tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_the_command_says_the_digest_and_refuses_in_one_line_what_exists(tmp_path):
    arguments = [str(TINY), str(table(tmp_path / "t.csv")), "--out", str(tmp_path / "out")]
    done = subprocess.run([*COMMAND, *arguments], capture_output=True, text=True, check=True)
    assert open_bundle(tmp_path / "out").digest[:12] in done.stdout
    again = subprocess.run([*COMMAND, *arguments], capture_output=True, text=True, check=False)
    assert (again.returncode, again.stdout) == (2, "")
    assert again.stderr.startswith("planktow-quantize: ")
    assert "exists already" in again.stderr
