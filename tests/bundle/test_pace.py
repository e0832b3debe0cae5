"""Long steps say how they go, short ones do not."""

from bundle.pace import paced


def test_a_line_comes_every_ten_seconds_with_what_is_left():
    said: list[str] = []
    clock = iter([0.0, *(4.0 * step for step in range(2000))]).__next__
    assert list(paced(range(2000), 2000, "images", said.append, clock)) == list(range(2000))
    assert said[:2] == ["3 of 2,000 images, 2 h 13 min left", "6 of 2,000 images, 2 h 13 min left"]
    assert len(said) == 666


def test_a_short_step_is_silent():
    said: list[str] = []
    assert list(paced("abc", 3, "images", said.append)) == ["a", "b", "c"]
    assert said == []
