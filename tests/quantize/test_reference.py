"""`planktow-quantize reference` on a real bundle of three tiny members and files."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from bundle.errors import BadData
from bundle.folder import open_bundle
from bundle.measures import measure
from bundle.reference import BALLOTS, MEASURES, REFERENCE, read_reference, write_reference
from bundle.taxa import COLUMNS
from quantize.reference import look, make_reference
from quantize.taxa import with_taxa

from .splitbundle import LABELS, TINY, Made, drawn, make


@pytest.fixture
def made(tmp_path) -> Made:
    return make(tmp_path, validation=12)


def quietly(made: Made, data: Path | None = None):
    return make_reference(made.bundle, data or made.data, lambda _line: None)


def test_it_is_of_the_validation_images_and_of_no_others(made):
    found = quietly(made)
    assert found.digest == open_bundle(made.bundle).digest
    assert found.labels == LABELS
    assert found.images.tolist() == [12, 12, 13, 0]


def test_measures_are_those_that_the_daemon_takes(made):
    found = quietly(made)
    for name in MEASURES:
        histogram = found.measures[name]
        for row, label in enumerate(LABELS):
            measured = getattr(measure(drawn(label, 3)), name)
            place = int(histogram.bins(np.array([measured], np.float64))[0])
            assert histogram.counts[row, place] > 0, (name, label)


def test_votes_are_kept_as_they_are_with_all_members_asked_and_with_as_many_as_it_takes(made):
    found = quietly(made)
    images = {ballots: found.voted[ballots]["votes"].counts.sum(axis=0)[1:-1].tolist() for ballots in BALLOTS}
    # The member that is of another mind about one image is the last: where two agree, it is not asked.
    assert images == {"enough": [37], "all": [1, 36]}


def test_the_verdicts_are_those_of_the_bundle_however_many_members_are_asked(made):
    bundle = open_bundle(made.bundle)
    greys = [bundle.decode(file.read_bytes()) for file in sorted(made.data.glob("*/*.png"))]
    verdicts, seen = look(bundle, iter(greys))
    ensemble = bundle.load()
    for greys_alone, verdict in zip(greys, verdicts, strict=True):
        alone = bundle.classify(ensemble, [bundle.prepare_grey(greys_alone)], all_ballots=True)
        assert int(alone.label[0]) == verdict
    assert seen.shape == (len(greys), 4 + len(MEASURES))


def test_of_no_images_nothing_is_seen(made):
    verdicts, seen = look(open_bundle(made.bundle), iter(()))
    assert (verdicts.shape, seen.shape) == ((0,), (0, 4 + len(MEASURES)))


def test_a_missing_image_is_said_and_a_bundle_without_a_split_too(made):
    next(made.data.glob("chain/3.png")).unlink()
    with pytest.raises(BadData, match="1 of the 37 validation images are not there"):
        quietly(made)
    with pytest.raises(BadData, match=r"training\.json: schema_version"):
        make_reference(TINY, made.data, lambda _line: None)


def test_the_command_writes_it_into_the_folder_and_leaves_the_digest_as_it_is(made):
    digest = open_bundle(made.bundle).digest
    command = [str(Path(sys.executable).with_name("planktow-quantize")), "reference", str(made.bundle)]
    done = subprocess.run([*command, "--data", str(made.data)], capture_output=True, text=True, check=True)
    assert done.stdout == f"wrote {made.bundle / REFERENCE}: 37 validation images, of the bundle {digest[:12]}\n"
    assert open_bundle(made.bundle).digest == digest
    assert read_reference(made.bundle).images.sum() == 37
    first = (made.bundle / REFERENCE).read_bytes()
    subprocess.run([*command, "--data", str(made.data)], capture_output=True, check=True)
    assert (made.bundle / REFERENCE).read_bytes() == first
    assert json.loads(first)["part"] == "validation"
    nowhere = made.data / "none" / "r.json"
    refused = subprocess.run(
        [*command, "--data", str(made.data), "--out", str(nowhere)], capture_output=True, text=True, check=False
    )
    assert (refused.returncode, refused.stdout) == (2, "")
    assert f"planktow-quantize: {nowhere}: cannot be written" in refused.stderr


def test_a_bundle_made_anew_with_taxa_takes_the_reference_along(made, tmp_path):
    write_reference(made.bundle / REFERENCE, quietly(made), "tiny-3")
    rows = [",".join(COLUMNS), *(f"{label},{label},things,,,no" for label in LABELS)]
    (tmp_path / "taxa.csv").write_text("\n".join(rows) + "\n")
    new = with_taxa(made.bundle, tmp_path / "taxa.csv", tmp_path / "new")
    assert new.digest != open_bundle(made.bundle).digest
    assert read_reference(tmp_path / "new").digest == new.digest
    assert read_reference(tmp_path / "new").images.tolist() == [12, 12, 13, 0]
