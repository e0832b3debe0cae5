from collections import Counter
from pathlib import Path

import cv2
import numpy as np
import pytest

from bundle.errors import BadData
from bundle.preprocess import FEATURES, InputSpec, prepare
from bundle.training import image_key
from bundle.whole import sha256_hex
from quantize.images import Found, draw_representative, find_images, load_images, require_images, require_varied

SPEC, SIDES = InputSpec(), (16, 24)


def picture(folder: Path, name: str, grey: int) -> str:
    """Writes a grey PNG and returns its key."""
    data = cv2.imencode(".png", np.full((9, 12), grey, np.uint8))[1].tobytes()
    (folder / name).parent.mkdir(parents=True, exist_ok=True)
    (folder / name).write_bytes(data)
    return image_key(sha256_hex(data))


def many(counts: dict[int, int]) -> dict[str, Found]:
    """Images that are nowhere: `counts` of each class index."""
    return {
        image_key(sha256_hex(f"{label} {number}".encode())): Found(Path("nowhere"), label)
        for label, count in counts.items()
        for number in range(count)
    }


def test_images_are_found_by_content_below_the_folder_of_their_label(tmp_path):
    first, deep = picture(tmp_path, "a/1.png", 10), picture(tmp_path, "b/tow 3/2.PNG", 20)
    picture(tmp_path, "not a label/3.png", 30)
    (tmp_path / "a" / "notes.txt").write_text("no image")
    assert find_images(tmp_path, ("a", "b", "c")) == {
        first: Found(tmp_path / "a/1.png", 0),
        deep: Found(tmp_path / "b/tow 3/2.PNG", 1),
    }


def test_content_under_two_labels_is_left_out_and_a_duplicate_under_one_counts_once(tmp_path):
    picture(tmp_path, "a/1.png", 10)
    picture(tmp_path, "b/1.png", 10)
    twice = picture(tmp_path, "b/2.png", 20)
    picture(tmp_path, "b/3.png", 20)
    assert find_images(tmp_path, ("a", "b")) == {twice: Found(tmp_path / "b/2.png", 1)}


def test_a_missing_data_folder_is_refused(tmp_path):
    with pytest.raises(BadData) as refused:
        find_images(tmp_path / "none", ("a", "b"))
    assert str(refused.value) == (
        f"{tmp_path / 'none'}: not a folder; give the data set that the members were trained on"
    )


def test_a_folder_without_images_of_the_labels_is_refused(tmp_path):
    picture(tmp_path, "other/1.png", 10)
    with pytest.raises(BadData, match=r"no images in sub-folders named for the labels \(a, b, …\)"):
        find_images(tmp_path, ("a", "b"))


def test_missing_images_are_counted_and_one_is_named(tmp_path):
    there = picture(tmp_path, "a/1.png", 10)
    found = find_images(tmp_path, ("a", "b"))
    require_images(found, [there], "test", tmp_path)
    with pytest.raises(BadData) as refused:
        require_images(found, [there, "1" * 16, "2" * 16], "validation", tmp_path)
    assert str(refused.value) == (
        f"{tmp_path}: 2 of the 3 validation images are not there, for example the one whose sha-256 begins with {'1' * 16}; give "
        "the data set that the members were trained on"
    )


def test_images_are_loaded_in_the_order_asked_for_and_as_the_camera_host_prepares_them(tmp_path):
    dark, light = picture(tmp_path, "b/1.png", 10), picture(tmp_path, "a/2.png", 200)
    loaded = load_images(find_images(tmp_path, ("a", "b")), [dark, light], SPEC, SIDES)
    expected = [prepare((tmp_path / name).read_bytes(), SPEC, SIDES) for name in ("b/1.png", "a/2.png")]
    assert loaded.classes.tolist() == [1, 0]
    assert set(loaded.inputs.pixels) == set(SIDES)
    for side in SIDES:
        np.testing.assert_array_equal(loaded.inputs.pixels[side], [image.pixels[side] for image in expected])
    np.testing.assert_array_equal(loaded.inputs.features, [image.features for image in expected])


def test_no_images_are_arrays_of_length_zero(tmp_path):
    picture(tmp_path, "a/1.png", 10)
    loaded = load_images(find_images(tmp_path, ("a", "b")), [], SPEC, SIDES)
    assert len(loaded) == 0
    assert loaded.inputs.pixels[24].shape == (0, 24, 24)
    assert loaded.inputs.features.shape == (0, len(FEATURES))


def test_an_image_that_can_no_longer_be_read_is_refused_by_name(tmp_path):
    data = b"no image at all"
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "1.png").write_bytes(data)
    found = find_images(tmp_path, ("a", "b"))
    with pytest.raises(BadData, match=r"a/1\.png: .*; the members were trained when it could be read"):
        load_images(found, [image_key(sha256_hex(data))], SPEC, SIDES)


def test_the_representative_images_show_every_class_first_and_then_keep_the_proportions():
    found = many({0: 100, 1: 20, 2: 1})
    drawn = draw_representative(found, list(found), 25, seed=1)
    assert len(set(drawn)) == 25
    assert Counter(found[sha256].label for sha256 in drawn) == {0: 20, 1: 4, 2: 1}


def test_the_draw_depends_on_the_seed_and_not_on_the_order_of_the_hashes():
    found = many({0: 50, 1: 50})
    hashes = list(found)
    drawn = draw_representative(found, hashes, 20, seed=1)
    assert drawn == draw_representative(found, hashes[::-1], 20, seed=1)
    assert set(drawn) != set(draw_representative(found, hashes, 20, seed=2))


def test_no_more_images_are_drawn_than_there_are():
    found = many({0: 3, 1: 2})
    assert set(draw_representative(found, list(found) * 2, 1000, seed=1)) == set(found)


def test_pixels_in_a_file_are_the_same_and_do_not_stand_in_memory(tmp_path):
    hashes = [picture(tmp_path, f"a/{grey}.png", grey) for grey in (10, 20, 30)]
    found = find_images(tmp_path, ("a", "b"))
    stored = load_images(found, hashes, SPEC, SIDES, lambda side: tmp_path / f"{side}.npy")
    in_memory = load_images(found, hashes, SPEC, SIDES)
    for side in SIDES:
        assert isinstance(stored.inputs.pixels[side], np.memmap)
        np.testing.assert_array_equal(np.load(tmp_path / f"{side}.npy"), in_memory.inputs.pixels[side])
    assert len(stored.part(slice(1, None))) == 2


def test_representative_images_of_one_class_are_refused(tmp_path):
    alike = [picture(tmp_path, f"a/{grey}.png", grey) for grey in (10, 20)]
    other = picture(tmp_path, "b/1.png", 30)
    found = find_images(tmp_path, ("a", "b"))
    require_varied(load_images(found, [*alike, other], SPEC, SIDES), tmp_path)
    with pytest.raises(BadData) as refused:
        require_varied(load_images(found, alike, SPEC, SIDES), tmp_path)
    assert str(refused.value).startswith(f"{tmp_path}: the 2 representative images are of 1 class; raise")
