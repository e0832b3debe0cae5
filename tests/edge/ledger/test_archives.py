"""Archives, known once all their members are."""

from edge.daemon.outcome import Unread

from .given import NOW, accounting, file

SHARD = file("tow/one.tar", 1000, 5)


def test_an_archive_is_known_once_all_its_members_stand_as_sightings(ledger, rows):
    assert not ledger.knows_shard(SHARD)
    ledger.note([file("tow/one.tar/1.png"), file("tow/one.tar/2.png")], NOW)
    assert not ledger.knows_shard(SHARD)
    ledger.shard_listed(SHARD, 2, NOW)
    assert ledger.knows_shard(SHARD)
    assert rows("SELECT * FROM shard") == [("tow/one.tar", 1000, 5, 2, NOW)]
    assert accounting(rows) == (2, 0, 0, 2, 0), "an archive is no image"


def test_an_archive_that_grew_is_another_one_and_the_listing_of_the_last_stands(ledger, rows):
    ledger.shard_listed(SHARD, 2, NOW)
    grown = file("tow/one.tar", 2000, 6)
    assert not ledger.knows_shard(grown)
    ledger.shard_listed(grown, 4, NOW + 1)
    assert ledger.knows_shard(grown)
    assert not ledger.knows_shard(SHARD)
    assert rows("SELECT * FROM shard") == [("tow/one.tar", 2000, 6, 4, NOW + 1)]


def test_an_archive_that_cannot_be_walked_is_rejected_and_known_until_it_is_whole(ledger, rows):
    ledger.record([Unread(SHARD, "truncated", "the tar file ends early")], 1, NOW)
    assert ledger.knows_shard(SHARD)
    assert accounting(rows) == (1, 0, 1, 0, 0)
    whole = file("tow/one.tar", 2000, 6)
    assert not ledger.knows_shard(whole)
    ledger.note([file("tow/one.tar/1.png")], NOW)
    ledger.shard_listed(whole, 1, NOW)
    assert accounting(rows) == (1, 0, 0, 1, 0), "its fault is forgotten, its member waits"
