"""Whatever the settings and the images, the rules told anew, one image against all."""

import tempfile
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

import edge.retention.stock
from edge.retention.clearing import Cleared
from edge.retention.forecast import sums
from edge.retention.keepers import Keepers
from edge.retention.retention import GB, RetentionSettings

from ..stocked import DAY, HOUR, LABELS, NOW, Stock
from .planning import BARE, clear, plan, planned

IMAGES = st.lists(
    st.fixed_dictionaries(
        {
            "state": st.sampled_from(["counted", "counted", "counted", "rejected", "aside", "shard"]),
            "age": st.integers(0, 200).map(lambda quarters: quarters * HOUR // 4),
            "label": st.integers(-1, len(LABELS) - 1),
            "votes": st.integers(1, 3),
            "score": st.sampled_from([0.1, 0.5, 0.9]),
            "classified": st.integers(1, 5),
            "names": st.integers(1, 3),
        }
    ),
    max_size=25,
)
SETTINGS = st.builds(
    RetentionSettings,
    enabled=st.just(True),
    max_age_days=st.sampled_from([0.01, 0.3, 1.0, 9.0]),
    min_free_gb=st.sampled_from([0.0, 4000 / GB]),
    max_total_gb=st.sampled_from([0.0, 1.0 / GB, 9000 / GB]),
    only_exported=st.booleans(),
    only_backed_up=st.booleans(),
    keep_rare=st.integers(0, 4),
    keep_votes_up_to=st.integers(0, 3),
    keep_best_per_hour=st.integers(0, 2),
    rejected=st.sampled_from(["keep", "delete"]),
)


@hypothesis_settings(deadline=None, max_examples=60)
@given(IMAGES, SETTINGS, st.integers(0, 6), st.integers(0, 6))
def test_whatever_the_settings_only_what_no_rule_keeps_goes_and_the_plan_is_what_is_done(
    images, settings, exported, backed_up
):
    with tempfile.TemporaryDirectory() as base, closing(Stock(Path(base))) as stock:
        stock.sighting("waits.png")
        stock.sighting("unreadable.png", reason="unreadable")
        stock.sighting("dropped.png", dropped="newest")
        stock.note("exported_ns", exported)
        stock.note("backup_ns", backed_up)
        made = {}  # number -> (image, paths)
        for number, image in enumerate(images):
            paths = [f"{number}/{name}.png" for name in range(image["names"])]
            if image["state"] == "rejected":
                paths = paths[:1]
                image_id = stock.rejected(paths[0], image["age"])
            else:
                if image["state"] == "shard":
                    paths[0] = f"{number}.tar/in.png"
                told = {name: image[name] for name in ("age", "label", "votes", "score", "classified")}
                aside = "blurred" if image["state"] == "aside" else None
                image_id = stock.counted(*paths, **told, aside=aside)
            made[image_id] = (image, paths)
        before, free = stock.lying(), 1000
        going, _ = planned(stock, settings, free)
        predicted, _ = sums(plan(stock, settings, free))
        cleared = clear(stock, settings, free)
        gone = before - stock.lying()
        assert gone == set(going) == stock.gone()
        assert cleared == Cleared(deleted=len(gone), freed_bytes=predicted.bytes.total())

        may = {
            image_id: image
            for image_id, (image, _) in made.items()
            if may_go(image_id, image, made, settings, exported, backed_up)
        }
        allowed = {path for image_id in may for path in made[image_id][1]}
        assert gone <= allowed
        old = {path for image_id in may if too_old(may[image_id], images, settings) for path in made[image_id][1]}
        assert old <= gone
        # All names of an image or none; and no image stays that is older than one that went for its space.
        oldest_first = sorted(may, key=lambda image_id: (-may[image_id]["age"], image_id))
        went = [set(made[image_id][1]) <= gone for image_id in oldest_first]
        assert went == sorted(went, reverse=True)
        assert sum(went) == sum(bool(set(made[image_id][1]) & gone) for image_id in oldest_first)


def too_old(image, images, settings) -> bool:
    newest = min(each["age"] for each in images)
    return bool(settings.max_age_days) and image["age"] - newest > settings.max_age_days * DAY


def may_go(image_id, image, made, settings, exported, backed_up) -> bool:
    """The rules told anew, one image against all."""
    if image["state"] == "rejected":
        return settings.rejected == "delete" and not (settings.only_backed_up and NOW - image["age"] >= backed_up)
    if image["state"] != "counted":
        return False
    same = [number for number, (each, _) in made.items() if counts_as(each, image["label"])]
    if len([n for n in same if made[n][0]["state"] != "aside"]) <= settings.keep_rare:
        return False
    if image["votes"] < 3 and image["votes"] <= settings.keep_votes_up_to:
        return False
    if settings.only_exported and image["classified"] >= exported:
        return False
    if settings.only_backed_up and image["classified"] >= backed_up:
        return False
    hour = (NOW - image["age"]) // HOUR
    here = [n for n in same if made[n][0]["state"] != "aside" and (NOW - made[n][0]["age"]) // HOUR == hour]
    here.sort(key=lambda number: (-made[number][0]["age"], number))
    best = sorted(here, key=lambda number: (-made[number][0]["score"], number))
    return image_id not in here[: settings.keep_best_per_hour] + best[: settings.keep_best_per_hour]


def counts_as(image, label: int) -> bool:
    return image["state"] != "rejected" and image["label"] == label


@hypothesis_settings(deadline=None)
@given(st.lists(st.tuples(st.sampled_from("ab"), st.sampled_from([0.1, 0.2, 0.3]))), st.integers(0, 3))
def test_the_kept_are_the_first_and_the_best_of_each_label(added, each):
    keepers = Keepers(each)
    for number, (label, score) in enumerate(added):
        keepers.add(number, label, score)
    kept = set()
    for wanted in "ab":
        mine = [(number, score) for number, (label, score) in enumerate(added) if label == wanted]
        kept.update(number for number, _ in mine[:each])
        kept.update(number for number, _ in sorted(mine, key=lambda item: (-item[1], item[0]))[:each])
    assert keepers.kept() == kept


def test_many_images_of_one_moment_and_many_files_of_one_image_are_all_seen(stock):
    count = 2 * edge.retention.stock.SLICE_IMAGES + 1
    for number in range(count):
        stock.counted(f"{number}.png", age=9 * DAY, written=False)
    stock.counted(*(f"blank-{number}.png" for number in range(edge.retention.stock.FILES_AT_ONCE)), written=False)
    assert len(planned(stock, BARE)[0]) == count + edge.retention.stock.FILES_AT_ONCE


@pytest.mark.parametrize("capture_ns", [HOUR - 2**63, 2**63 - 1])
def test_capture_times_at_the_ends_of_what_can_be_written_end_no_run(stock, capture_ns):
    image_id = stock.counted("odd.png")
    stock.connection.execute("UPDATE image SET capture_ns = ? WHERE id = ?", (capture_ns, image_id))
    going, _ = planned(stock, replace(BARE, max_age_days=0, min_free_gb=1, keep_best_per_hour=1, keep_rare=0))
    assert going == {}  # each is the first of its label and hour
    assert set(planned(stock, replace(BARE, min_free_gb=1))[0]) == {"odd.png", "new.png"}
