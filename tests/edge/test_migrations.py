"""The schema's history: an old ledger brought up with all that is in it, and accounts that no change can make untrue."""

import hashlib
import io
import sqlite3
from collections.abc import Iterable, Iterator
from contextlib import closing

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from bundle.measures import Measures
from edge.capture.capture import Capture
from edge.counts import read_counts
from edge.daemon.outcome import Again, Counted, Outcome, Rejected, Unread
from edge.intake.files import Found
from edge.intake.overload import Policy, drop, take_up
from edge.ledger.ledger import Ledger, open_ledger
from edge.ledger.ledgerfile import open_ledger_readonly
from edge.ledger.migrations import MIGRATIONS, m001_first_tables, m002_the_sea, migrate, schema_version

HOUR = 3_600_000_000_000  # ns
NOON = 1_790_000_000_000_000_000 // HOUR * HOUR


def sha(content: str) -> bytes:
    return hashlib.sha256(content.encode()).digest()


def connect(path: object = ":memory:") -> sqlite3.Connection:
    connection = sqlite3.connect(path, isolation_level=None)
    connection.execute("PRAGMA foreign_keys = ON")
    return connection


@pytest.fixture
def connection() -> Iterator[sqlite3.Connection]:
    with closing(connect()) as opened:
        yield opened


def dump(connection: sqlite3.Connection) -> list[str]:
    """All there is: tables, rows, indices, triggers, views."""
    return list(connection.iterdump())


def row(connection: sqlite3.Connection, query: str) -> tuple:
    (only,) = connection.execute(query).fetchall()
    return only


# The steps


def test_migrations_are_recorded_and_not_run_twice(connection):
    ran = []

    def m001_one(connection: sqlite3.Connection) -> None:
        ran.append(1)
        connection.execute("CREATE TABLE one (a)")

    def m002_two(connection: sqlite3.Connection) -> None:
        ran.append(2)
        connection.execute("ALTER TABLE one ADD COLUMN b")

    migrate(connection, (m001_one,))
    migrate(connection, (m001_one, m002_two))
    migrate(connection, (m001_one, m002_two))
    assert connection.execute("SELECT version, name FROM migration").fetchall() == [(1, "m001_one"), (2, "m002_two")]
    assert ran == [1, 2]


def test_a_migration_that_fails_leaves_neither_its_work_nor_its_record(connection):
    def m001_one(connection: sqlite3.Connection) -> None:
        connection.execute("CREATE TABLE one (a)")

    def m002_breaks(connection: sqlite3.Connection) -> None:
        connection.execute("CREATE TABLE two (a)")
        raise RuntimeError("power cut")

    with pytest.raises(RuntimeError, match="power cut"):
        migrate(connection, (m001_one, m002_breaks))
    tables = connection.execute("SELECT name FROM sqlite_schema WHERE type = 'table' ORDER BY name").fetchall()
    assert tables == [("migration",), ("one",)]
    assert connection.execute("SELECT version FROM migration").fetchall() == [(1,)]


# An old ledger


def old_ledger(connection: sqlite3.Connection) -> None:
    """As the first version wrote it: two bundles, duplicates, rejects, files unread, vanished and waiting."""
    migrate(connection, (m001_first_tables,))
    many = connection.executemany
    many("INSERT INTO bundle VALUES (?, ?, ?, ?, ?)", [(1, "aa", "old", '["a", "b"]', 1), (2, "bb", "new", '["b"]', 2)])
    captures = (NOON, NOON + HOUR - 1, NOON + HOUR, 0, -1, -HOUR, NOON)
    many(
        "INSERT INTO image VALUES (?, ?, ?, ?, ?, ?, NULL, NULL)",
        [(number, sha(str(number)), 100 + number, 8, 9, ns) for number, ns in enumerate(captures, start=1)],
    )
    many(
        "INSERT INTO image VALUES (?, ?, 5, NULL, NULL, ?, ?, ?)",
        [
            (8, sha("8"), NOON, "truncated", "ends early"),
            (9, sha(""), NOON, "empty", "no bytes"),
            (10, sha("10"), 7, "truncated", "ends early too"),
        ],
    )
    many(
        "INSERT INTO verdict VALUES (?, ?, ?, ?, ?, ?)",
        [
            *((1, 1, 0, 3, 0.9, 11), (2, 1, 0, 3, 0.8, 12), (3, 1, 0, 2, 0.7, 13), (4, 1, 1, 3, 0.6, 14)),
            *((5, 2, 0, 3, 0.5, 15), (6, 2, -1, 1, 0.4, 16), (7, 2, 0, 3, 0.3, 17)),
        ],
    )
    sightings = [(f"{number}.png", 100 + number, number, 1000, number, None, None) for number in range(1, 11)]
    sightings += [
        ("copy of 1.png", 101, 21, 1001, 1, None, None),
        ("copy of 9.png", 0, 22, 1002, 9, None, None),
        ("giant.png", 10**12, 23, 1003, None, "too large", "10^12 bytes"),
        ("gone.png", 5, 24, 1004, None, "vanished", "the file was gone"),
        (r"caf\xe9.png", 6, 25, 1005, None, None, None),
        ("late.png", 7, 26, 1006, None, None, None),
    ]
    many(
        "INSERT INTO sighting (path, size, mtime_ns, found_ns, image_id, reason, detail) VALUES (?, ?, ?, ?, ?, ?, ?)",
        sightings,
    )


def test_an_old_ledger_comes_up_with_every_row_and_its_accounting(connection):
    old_ledger(connection)
    kept = {
        "bundle": "*",
        "verdict": "image_id, bundle_id, label, votes, score, classified_ns",
        "image": "id, sha256, bytes, width, height, capture_ns, reason, detail",
        "sighting": "id, path, size, mtime_ns, found_ns, image_id, reason, detail",
        "accounting": "seen, counted, rejected, waiting, duplicates",
    }
    before = {table: connection.execute(f"SELECT {columns} FROM {table}").fetchall() for table, columns in kept.items()}
    assert before["accounting"] == [(14, 7, 5, 2, 2)], "the first version's own words"
    migrate(connection)
    after = {table: connection.execute(f"SELECT {columns} FROM {table}").fetchall() for table, columns in kept.items()}
    assert after == before
    added = "copy, time_source, sharpness, dark_share, bright_share, ink_share, mean_grey, aside"
    assert row(connection, f"SELECT DISTINCT {added} FROM image") == (0, "mtime", *[None] * 6)
    assert row(connection, "SELECT DISTINCT dropped, capture_ns, gone_ns FROM sighting") == (None, None, None)
    assert row(connection, "SELECT * FROM accounting") == (14, 7, 5, 2, 0, 2)
    assert row(connection, "SELECT * FROM audit") == (14, 7, 5, 2, 0, 2)
    for table in ("errand", "shard", "note"):
        assert connection.execute(f"SELECT * FROM {table}").fetchall() == []


def test_an_old_ledger_comes_up_with_its_totals_hours_and_reasons(connection):
    old_ledger(connection)
    migrate(connection)
    assert connection.execute("SELECT * FROM total").fetchall() == [
        *((1, 0, 2, 1), (1, 0, 3, 2), (1, 1, 3, 1)),
        *((2, -1, 1, 1), (2, 0, 3, 2)),
    ]
    assert connection.execute("SELECT * FROM hourly").fetchall() == [
        (-HOUR, 2, -1, 1, 1),
        (-HOUR, 2, 0, 3, 1),
        (0, 1, 1, 3, 1),
        (NOON, 1, 0, 3, 2),
        (NOON, 2, 0, 3, 1),
        (NOON + HOUR, 1, 0, 2, 1),
    ]
    assert dict(connection.execute("SELECT * FROM refusal")) == {
        "empty": 1,
        "too large": 1,
        "truncated": 2,
        "vanished": 1,
    }


def test_the_foreign_keys_of_an_old_ledger_are_whole_and_enforced_after_it_came_up(connection):
    old_ledger(connection)
    migrate(connection)
    assert connection.execute("PRAGMA foreign_key_check").fetchall() == []
    assert row(connection, "PRAGMA integrity_check") == ("ok",)
    parents = {
        table: [key[2:5] for key in connection.execute(f"PRAGMA foreign_key_list({table})")]
        for table in ("sighting", "verdict", "errand")
    }
    assert parents == {
        "sighting": [("image", "image_id", "id")],
        "verdict": [("bundle", "bundle_id", "id"), ("image", "image_id", "id")],
        "errand": [("sighting", "sighting_id", "id")],
    }
    assert row(connection, "PRAGMA foreign_keys") == (1,)
    with pytest.raises(sqlite3.IntegrityError, match="FOREIGN KEY"):
        connection.execute("DELETE FROM image WHERE id = 1")
    with pytest.raises(sqlite3.IntegrityError, match="FOREIGN KEY"):
        connection.execute("UPDATE sighting SET image_id = 99 WHERE id = 1")


def test_an_empty_old_ledger_comes_up_empty(connection):
    migrate(connection, (m001_first_tables,))
    migrate(connection)
    assert row(connection, "SELECT * FROM accounting") == (0, 0, 0, 0, 0, 0)
    assert row(connection, "SELECT * FROM audit") == (0, 0, 0, 0, 0, 0)


def test_a_new_ledger_and_one_that_came_up_have_the_same_schema(connection):
    migrate(connection, (m001_first_tables,))
    migrate(connection)
    schema = "SELECT type, name, tbl_name, sql FROM sqlite_schema ORDER BY type, name"
    with closing(connect()) as new:
        migrate(new)
        assert new.execute(schema).fetchall() == connection.execute(schema).fetchall()


def test_a_step_that_fails_at_any_statement_leaves_the_old_ledger_and_the_next_start_brings_it_up(connection):
    old_ledger(connection)
    before = dump(connection)
    fails_at, done = 0, False
    while not done:
        fails_at += 1
        failing = Failing(connection, fails_at)

        def m002_fails(_connection: sqlite3.Connection, failing: Failing = failing) -> None:
            m002_the_sea(failing)  # type: ignore[arg-type]
            raise sqlite3.OperationalError("disk full after the last statement")

        with pytest.raises(sqlite3.OperationalError, match="disk full") as failed:
            migrate(connection, (m001_first_tables, m002_fails))
        assert dump(connection) == before
        assert row(connection, "PRAGMA foreign_keys") == (1,)
        assert schema_version(connection) == 1
        done = "after the last" in str(failed.value)
    assert fails_at > 20, "the statements of m002"
    migrate(connection)
    assert row(connection, "SELECT * FROM accounting") == (14, 7, 5, 2, 0, 2)


class Failing:
    """A connection whose n-th statement finds the disk full."""

    def __init__(self, connection: sqlite3.Connection, fails_at: int) -> None:
        self._connection, self._left = connection, fails_at

    def execute(self, statement: str) -> sqlite3.Cursor:
        self._left -= 1
        if self._left == 0:
            raise sqlite3.OperationalError("disk full")
        return self._connection.execute(statement)


def test_an_old_ledger_file_comes_up_when_its_writer_opens_it_and_counting_goes_on(tmp_path, tiny):
    path = tmp_path / "ledger.sqlite"
    with closing(connect(path)) as connection:
        connection.execute("PRAGMA journal_mode = WAL")
        old_ledger(connection)
    with open_ledger(path) as ledger:
        assert schema_version(ledger.connection) == len(MIGRATIONS)
        done, late = Found("1.png", 101, 1), Found("late.png", 7, 26)
        back = Found("gone.png", 5, 24)
        assert ledger.note([done, late, back], NOON) == [late, back]
        assert [found.path for _, found in ledger.waiting(10)] == ["gone.png", r"caf\xe9.png", "late.png"]
        assert ledger.knows(sha("1"))
        bundle_id = ledger.bundle_id(tiny, NOON)
        assert bundle_id == 3
        new = Counted(late, sha("late"), Capture(NOON, "mtime"), MEASURES, 1, 3, 0.5)
        assert ledger.record([new], bundle_id, NOON) == [new]
        check(ledger.connection)
    with closing(open_ledger_readonly(path)) as reader:
        counts = read_counts(reader, HOUR)
    assert counts.accounting.adds_up
    assert counts.totals == {"a": 3, "b": 3, "chain": 0, "sphere": 1, "jelly": 0, "unclassified": 1}
    assert sum(sum(each.counts.values()) for each in counts.bins) == counts.accounting.counted == 8


# The accounts, whatever is done

MEASURES = Measures(8, 9, sharpness=1.0, dark_share=0.0, bright_share=0.0, ink_share=0.5, mean_grey=99.0)
PATHS = ("a.png", "b.png", "d/a.png", "d/b.png", "d/e/c.png", "x.tar", "x.tar/1.png")
TIMES = (-HOUR - 1, -1, 0, HOUR - 1, HOUR, NOON, NOON + HOUR)
RULES = (None, "blurred", "in port")

founds = st.builds(Found, st.sampled_from(PATHS), st.integers(0, 2), st.sampled_from((5, 6, NOON)))
captures = st.builds(Capture, st.sampled_from(TIMES), st.sampled_from(("mtime", "name")))
labels, votes = st.integers(-1, 2), st.integers(1, 3)
REASONS = {"C": "truncated", "D": "empty", "E": "not an image"}


def content_of(found: Found) -> str:
    """The content of a file as it was found is always the same, and other files have it too; A and B are images."""
    return "ABCDE"[(len(found.path) + 3 * found.size + found.mtime_ns) % 5]


def decided(
    found: Found, capture: Capture, again: bool, unread: str | None, label: int, number: int, aside: str | None
) -> Outcome:
    content = content_of(found)
    if unread:
        return Unread(found, unread, "why")
    if again:
        return Again(found, sha(content), capture)
    if content in REASONS:
        return Rejected(found, sha(content), capture, REASONS[content], "why")
    return Counted(found, sha(content), capture, MEASURES, label, number, 0.5, aside)


outcomes = st.builds(
    decided,
    founds,
    captures,
    again=st.booleans(),
    unread=st.sampled_from((None, None, None, "unreadable", "too large", "crashed")),
    label=labels,
    number=votes,
    aside=st.sampled_from(RULES),
)


def check(connection: sqlite3.Connection) -> None:
    """All sums that are kept are what counting the rows anew gives."""
    account = row(connection, "SELECT * FROM accounting")
    assert account == row(connection, "SELECT * FROM audit")
    seen, counted, rejected, waiting, dropped, _duplicates = account
    assert seen == counted + rejected + waiting + dropped
    assert min(account) >= 0
    total, hourly, reasons = (
        {tuple(key): images for *key, images in connection.execute(f"SELECT * FROM {table}")}
        for table in ("total", "hourly", "refusal")
    )
    assert min((*total.values(), *hourly.values(), *reasons.values(), 0)) >= 0
    verdicts = connection.execute(
        "SELECT capture_ns, bundle_id, label, votes FROM verdict JOIN image ON image.id = image_id WHERE aside IS NULL"
    ).fetchall()
    assert {key: images for key, images in total.items() if images} == tally(each[1:] for each in verdicts)
    hours = tally((each[0] // HOUR * HOUR, *each[1:]) for each in verdicts)
    assert {key: images for key, images in hourly.items() if images} == hours
    whys = connection.execute(
        "SELECT COALESCE(reason, aside) AS why FROM image WHERE why IS NOT NULL"
        " UNION ALL SELECT reason FROM sighting WHERE reason IS NOT NULL"
    )
    assert {key: images for key, images in reasons.items() if images} == tally(whys)


def tally(keys: Iterable[tuple]) -> dict[tuple, int]:
    sums: dict[tuple, int] = {}
    for key in keys:
        sums[tuple(key)] = sums.get(tuple(key), 0) + 1
    return sums


class Accounts(RuleBasedStateMachine):
    """A ledger that came up from the first version, or began anew, and all that can be done to it, in any order."""

    @initialize(old=st.booleans())
    def begin(self, old: bool) -> None:
        self.connection, self.now = connect(), NOON
        if old:
            old_ledger(self.connection)
        migrate(self.connection)
        if not old:
            bundles = [(1, "aa", "old", '["a"]', 1), (2, "bb", "new", '["b"]', 2)]
            self.connection.executemany("INSERT INTO bundle VALUES (?, ?, ?, ?, ?)", bundles)
        self.ledgers = {
            (each, errands): Ledger(self.connection, io.BytesIO(), count_sightings=each, errands=errands)
            for each in (False, True)
            for errands in (False, True)
        }

    def teardown(self) -> None:
        if hasattr(self, "connection"):
            self.connection.close()

    def tick(self) -> int:
        self.now += 1
        return self.now

    @property
    def ledger(self) -> Ledger:
        return self.ledgers[False, False]

    @rule(found=st.lists(founds, min_size=1, max_size=4))
    def note(self, found: list[Found]) -> None:
        self.ledger.note(found, self.tick())

    @rule(
        batch=st.lists(outcomes, min_size=1, max_size=4),
        bundle=st.sampled_from((1, 2)),
        each=st.booleans(),
        errands=st.booleans(),
    )
    def record(self, batch: list[Outcome], bundle: int, each: bool, errands: bool) -> None:
        ledger = self.ledgers[each, errands]
        ledger.record(batch, bundle, self.tick())
        for outcome in batch:
            if isinstance(outcome, Counted | Rejected):
                superseded = isinstance(outcome, Rejected) and outcome.reason in ("truncated", "empty")
                assert superseded or ledger.knows(outcome.sha256)

    @rule(batch=st.lists(outcomes, max_size=3))
    def record_half_of_a_batch(self, batch: list[Outcome]) -> None:
        before = dump(self.connection)
        bad = Counted(Found("z", 1, 1), sha("Z"), Capture(0, "mtime"), MEASURES, "bad", 1, 0.5)  # type: ignore[arg-type]
        with pytest.raises(sqlite3.IntegrityError):
            self.ledger.record([*batch, bad], 1, self.tick())
        assert dump(self.connection) == before

    @rule(old=st.sampled_from((*PATHS, "d/", "d/e/")), new=st.sampled_from(("a.png", "f/g.png", "c.png")))
    def rename(self, old: str, new: str) -> None:
        self.ledger.rename([(old, "f/" if old.endswith("/") else new)])

    @rule(paths=st.lists(st.sampled_from((*PATHS, "f/a.png")), min_size=1, max_size=3))
    def vanish(self, paths: list[str]) -> None:
        rejected = "SELECT rejected FROM accounting"
        before, (counted,) = row(self.connection, rejected), row(self.connection, "SELECT counted FROM accounting")
        lost = self.ledger.vanish(paths)
        assert row(self.connection, rejected) == (before[0] + lost,)
        assert row(self.connection, "SELECT counted FROM accounting") == (counted,)

    @rule(policy=st.sampled_from(("oldest", "newest", "sample")), count=st.integers(1, 3), ns=st.sampled_from(TIMES))
    def leave_out(self, policy: Policy, count: int, ns: int) -> None:
        waiting = self.ledger.waiting_count()
        out = drop(self.connection, policy, count, lambda found: found.mtime_ns + ns, b"salt")
        assert len(out) == min(count, waiting)
        assert self.ledger.waiting_count() == waiting - len(out)

    @rule(limit=st.integers(1, 3), first=st.sampled_from((None, *TIMES)), end=st.sampled_from((None, *TIMES)))
    def take_up(self, limit: int, first: int | None, end: int | None) -> None:
        waiting = self.ledger.waiting_count()
        taken = take_up(self.connection, limit, first, end)
        assert taken <= limit
        assert self.ledger.waiting_count() == waiting + taken

    @rule(remainder=st.integers(0, 2), name=st.sampled_from(RULES))
    def set_aside_or_back(self, remainder: int, name: str | None) -> None:
        self.connection.execute(
            "UPDATE image SET aside = ? WHERE id % 3 = ? AND id IN (SELECT image_id FROM verdict)", (name, remainder)
        )

    @rule(remainder=st.integers(0, 2), ns=st.sampled_from(TIMES))
    def date_anew(self, remainder: int, ns: int) -> None:
        self.connection.execute("UPDATE image SET capture_ns = ? WHERE id % 3 = ?", (ns, remainder))

    @rule(remainder=st.integers(0, 2), name=st.sampled_from(RULES), ns=st.sampled_from(TIMES))
    def set_aside_and_date_at_once(self, remainder: int, name: str | None, ns: int) -> None:
        self.connection.execute(
            "UPDATE image SET aside = ?, capture_ns = ? WHERE id % 3 = ? AND reason IS NULL", (name, ns, remainder)
        )

    @rule(remainder=st.integers(0, 2), bundle=st.sampled_from((1, 2)), label=labels, number=votes)
    def decide_anew(self, remainder: int, bundle: int, label: int, number: int) -> None:
        self.connection.execute(
            "UPDATE verdict SET bundle_id = ?, label = ?, votes = ? WHERE image_id % 3 = ?",
            (bundle, label, number, remainder),
        )

    @rule(remainder=st.integers(0, 4))
    def delete_images(self, remainder: int) -> None:
        for table, key in (("verdict", "image_id"), ("sighting", "image_id"), ("image", "id")):
            self.connection.execute(f"DELETE FROM {table} WHERE {key} % 5 = ?", (remainder,))

    @rule(size=st.integers(0, 2))
    def list_shard(self, size: int) -> None:
        self.ledger.shard_listed(Found("x.tar", size, 5), 1, self.tick())

    @rule()
    def run_errands(self) -> None:
        errands = self.ledger.errands(2)
        assert all(reason for _, _, reason, _, _ in errands)
        self.ledger.errands_done([number for number, *_ in errands])

    @invariant()
    def the_accounts_are_true(self) -> None:
        if not hasattr(self, "connection"):
            return
        check(self.connection)
        assert self.connection.execute("PRAGMA foreign_key_check").fetchall() == []

    @invariant()
    def each_sighting_and_each_image_is_in_one_state(self) -> None:
        if not hasattr(self, "connection"):
            return
        states = "(image_id IS NOT NULL) + (reason IS NOT NULL) + (dropped IS NOT NULL)"
        assert self.connection.execute(f"SELECT * FROM sighting WHERE {states} > 1").fetchall() == []
        unsure = "(id IN (SELECT image_id FROM verdict)) + (reason IS NOT NULL) <> 1"
        assert self.connection.execute(f"SELECT * FROM image WHERE {unsure}").fetchall() == []


Accounts.TestCase.settings = settings(
    max_examples=100, stateful_step_count=30, deadline=None, suppress_health_check=list(HealthCheck)
)
TestAccounts = Accounts.TestCase


# Old ledgers of any content

rows_of_images = st.lists(
    st.tuples(
        st.sampled_from(TIMES),
        st.sampled_from((None, "truncated", "empty")),
        *(st.sampled_from((1, 2)), labels, votes, st.integers(0, 3)),
    ),
    max_size=12,
)
rows_without_image = st.lists(st.sampled_from((None, "vanished", "unreadable", "too large")), max_size=8)


@given(rows_of_images, rows_without_image)
@settings(max_examples=100, deadline=None)
def test_whatever_an_old_ledger_holds_it_comes_up_with_its_sums_right(images, others):
    with closing(connect()) as connection:
        migrate(connection, (m001_first_tables,))
        bundles = [(1, "aa", "old", "[]", 1), (2, "bb", "new", "[]", 2)]
        connection.executemany("INSERT INTO bundle VALUES (?, ?, ?, ?, ?)", bundles)
        sight = "INSERT INTO sighting (path, size, mtime_ns, found_ns, image_id, reason) VALUES (?, 1, 1, 1, ?, ?)"
        for number, (ns, reason, bundle, label, number_of_votes, copies) in enumerate(images, start=1):
            image = (number, sha(str(number)), ns, reason)
            connection.execute("INSERT INTO image VALUES (?, ?, 1, NULL, NULL, ?, ?, NULL)", image)
            if reason is None:
                verdict = (number, bundle, label, number_of_votes)
                connection.execute("INSERT INTO verdict VALUES (?, ?, ?, ?, 0.5, 1)", verdict)
            connection.executemany(sight, [(f"{number}-{copy}.png", number, None) for copy in range(copies + 1)])
        connection.executemany(sight, [(f"other-{number}.png", None, reason) for number, reason in enumerate(others)])
        columns = "SELECT seen, counted, rejected, waiting, duplicates FROM accounting"
        before = row(connection, columns)
        migrate(connection)
        assert row(connection, columns) == before
        check(connection)
