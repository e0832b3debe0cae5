"""The Parquet file, read back with pyarrow: every column of the ledger as it was."""

import json
from contextlib import closing

import pytest

from edge.export.rows import _ROWS
from edge.ledger.ledgerfile import open_ledger_readonly

from ..filled import SECOND, fill, other_bundle

pq = pytest.importorskip("pyarrow.parquet")


def test_every_image_comes_back_as_the_ledger_has_it(cruise, export, tmp_path):
    done = export("parquet", "--ledger", cruise.ledger, "--out", tmp_path / "p.parquet")
    assert (done.exit_code, done.stderr) == (0, "")
    table = pq.read_table(tmp_path / "p.parquet")
    columns = ["sha256", "copy", "bytes", "width", "height", "capture_time", "time_source", "sharpness", "dark_share"]
    columns += ["bright_share", "ink_share", "mean_grey", "votes", "asked", "score", "classified_time"]
    with closing(open_ledger_readonly(cruise.ledger)) as connection:
        wanted = connection.execute(
            "SELECT lower(hex(sha256)), copy, bytes, width, height, capture_ns, time_source, sharpness, dark_share,"
            " bright_share, ink_share, mean_grey, votes, asked, score, classified_ns"
            " FROM image JOIN verdict ON image_id = image.id ORDER BY capture_ns"
        ).fetchall()
    plain = {
        name: table[name].cast("int64") if name.endswith("_time") else table[name] for name in columns
    }  # to the nanosecond
    assert list(zip(*(column.to_pylist() for column in plain.values()), strict=True)) == wanted
    assert table.schema.field("capture_time").type.tz == "UTC"
    assert set(table["deployment"].to_pylist()) == {"tow1", "tow2"}
    assert set(table["bundle_digest"].to_pylist()) == {
        json.loads(table.schema.metadata[b"planktow"])["bundles"][0]["digest"]
    }


def test_several_classifiers_stand_side_by_side_and_one_can_be_chosen(tmp_path, tiny, export):
    path = tmp_path / "ledger.sqlite"
    fill(path, tiny, counted=[("10:00:00", 0), ("10:10:00", 2)], aside=[("10:20:00", 1, "blurred")])
    fill(path, other_bundle(tiny, ("jelly\t;#\"'", "worm")), counted=[("10:15:00", 0)])
    export("parquet", "--ledger", path, "--out", tmp_path / "p.parquet")
    table = pq.read_table(tmp_path / "p.parquet", columns=["label", "bundle_name"]).to_pylist()
    assert [tuple(row.values()) for row in table] == [
        ("chain", "tiny-3"),
        ("jelly", "tiny-3"),
        ("jelly\t;#\"'", "other"),
    ], "in the order of capture time; what was set aside is not counted"
    export("parquet", "--ledger", path, "--out", tmp_path / "q.parquet", "--classifier", "cdcd", bundle=None)
    assert pq.read_table(tmp_path / "q.parquet")["bundle_name"].to_pylist() == ["other"]


def test_a_stretch_of_time_cuts_the_rows(cruise, export, tmp_path):
    given = ["--from", "2026-11-25T10:10", "--to", "2026-11-25T10:30"]
    out = tmp_path / "p.parquet"
    export("parquet", "--ledger", cruise.ledger, "--out", out, *given)
    minutes = [at // (60 * SECOND) % 60 for at in pq.read_table(out)["capture_time"].cast("int64").to_pylist()]
    assert minutes == [10, 20]


def test_rows_come_in_the_order_of_an_index_so_that_millions_take_no_more_memory_than_thousands(cruise):
    with closing(open_ledger_readonly(cruise.ledger)) as connection:
        query = f"EXPLAIN QUERY PLAN {_ROWS} AND bundle_id IN (1) ORDER BY image.capture_ns, image.id"
        steps = [step for _, parent, _, step in connection.execute(query) if parent == 0]
    assert steps[0] == "SCAN image USING INDEX image_capture"
    assert not [step for step in steps if step.startswith("USE TEMP B-TREE")]
