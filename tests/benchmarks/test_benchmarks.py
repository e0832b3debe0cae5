"""The benchmarks run, with small numbers; and the ledgers that they fill in bulk are what the daemon would have written."""

import sqlite3
from contextlib import closing
from dataclasses import astuple

import pytest

from benchmarks.filled_ledger import FIRST_DAY_NS, camera_files, fill_ledger, schema_of
from benchmarks.ledger import BATCH, batches, measure, sizes
from benchmarks.restart import AMONG, prepared, restart
from bundle.folder import open_bundle
from edge.counts import read_counts
from edge.intake.files import Found
from edge.ledger.ledger import open_ledger
from edge.ledger.ledgerfile import open_ledger_readonly

from ..edge.images import TINY_BUNDLE

ACCOUNTS = ("account", "refusal", "total", "hourly")


@pytest.fixture(scope="module")
def bundle():
    return open_bundle(TINY_BUNDLE)


def test_a_ledger_filled_in_bulk_has_the_schema_and_the_accounts_that_rows_one_by_one_would_have_given_it(
    tmp_path, bundle
):
    bulk, single = tmp_path / "bulk.sqlite", tmp_path / "single.sqlite"
    fill_ledger(bulk, bundle, camera_files(1000))
    with open_ledger(single) as ledger:
        ledger.bundle_id(bundle, FIRST_DAY_NS)
        ledger.connection.execute("ATTACH ? AS bulk", (str(bulk),))
        for table in ("image", "sighting", "verdict"):  # the triggers keep the accounts
            ledger.connection.execute(f"INSERT INTO {table} SELECT * FROM bulk.{table}")
    with closing(sqlite3.connect(bulk)) as one, closing(sqlite3.connect(single)) as other:
        assert schema_of(one) == schema_of(other)
        for table in ACCOUNTS:
            query = f"SELECT * FROM {table} ORDER BY 1, 2"
            assert sorted(one.execute(query)) == sorted(other.execute(query)), table
        assert one.execute("SELECT * FROM accounting").fetchall() == [(1000, 980, 20, 0, 0, 0)]
        assert one.execute("SELECT COUNT(*) FROM total").fetchone()[0] > 4  # labels and votes of several kinds
        assert one.execute("PRAGMA journal_mode").fetchone() == ("wal",)


def test_a_file_of_a_filled_ledger_is_known_and_another_is_new(tmp_path, bundle):
    files = list(camera_files(10))
    fill_ledger(tmp_path / "ledger.sqlite", bundle, files)
    new = Found("new.png", 100, FIRST_DAY_NS)
    with open_ledger(tmp_path / "ledger.sqlite") as ledger:
        assert ledger.note([*files, new], FIRST_DAY_NS) == [new]


def test_the_sizes_are_powers_of_ten_up_to_the_one_asked_for():
    assert sizes(10_000_000) == [10_000, 100_000, 1_000_000, 10_000_000]
    assert sizes(25_000) == [10_000, 25_000]
    assert sizes(500) == [500]


def test_the_ledger_benchmark_commits_its_batches_and_leaves_nothing_behind(tmp_path, bundle):
    measured = measure(2000, bundle, 3, tmp_path)
    assert measured.images == 2000
    commits = [*astuple(measured.alone), *astuple(measured.beside)]
    assert all(middle > 0 and most > 0 for middle, most in commits)
    assert all(value > 0 for value in astuple(measured.readings))
    assert list(tmp_path.iterdir()) == []


def test_the_batches_of_the_ledger_benchmark_are_all_new_content_under_new_names(bundle):
    outcomes = [outcome for batch in batches(3, len(bundle.labels)) for outcome in batch]
    assert len({outcome.sha256 for outcome in outcomes}) == 3 * BATCH
    assert len({outcome.found.path for outcome in outcomes}) == 3 * BATCH


@pytest.mark.parametrize(("flat", "kill", "rounds"), [(False, False, 2), (True, True, 1)])
def test_the_restart_benchmark_finds_the_new_files_among_the_known_ones_round_after_round(tmp_path, flat, kill, rounds):
    with prepared(tmp_path / "ship", 1500, flat, TINY_BUNDLE) as ship:
        found = [restart(ship, number, kill, quiet_seconds=0.01) for number in range(rounds)]
        with closing(open_ledger_readonly(ship.ledger)) as connection:
            accounting = read_counts(connection).accounting
    for each in found:
        assert each.ready > 0  # as seen from outside: the first image may be counted a moment before we see it
        assert each.first > 0
        assert each.latest > 0
        assert each.walked > 0
        assert each.peak_mib >= each.resident_mib > 0
    known = 1500 - 2 * 15  # one in 100 was rejected, one set aside
    assert accounting.counted > known + rounds * AMONG
    assert (accounting.waiting, accounting.duplicates) == (0, 0)
    assert accounting.adds_up
