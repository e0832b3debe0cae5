"""The plot of class sizes, drawn for real: what it says, and that nothing is cut off."""

from pathlib import Path

import cv2
import numpy as np
import pytest
from matplotlib.figure import Figure

from trainer.data.classcounts import draw_class_counts, write_class_counts


def texts(figure: Figure) -> list[str]:
    (axes,) = figure.axes
    return [label.get_text() for label in axes.get_yticklabels()]


def test_the_largest_class_stands_on_top_with_its_number():
    figure = draw_class_counts("data", ["few", "many", "none"], [(3, 1, 1), (1000, 200, 100), (0, 0, 0)])
    assert texts(figure) == ["many", "few", "none"]
    (axes,) = figure.axes
    assert axes.get_ylim()[0] > axes.get_ylim()[1]  # the first row is the upper one
    assert [note.get_text() for note in axes.texts] == ["1,300", "5", "0"]
    assert [bar.get_width() for bar in axes.patches] == [1000, 3, 0, 200, 1, 0, 100, 1, 0]


def test_counts_of_one_kind_need_no_legend():
    figure = draw_class_counts("data", ["a", "b"], [3, 4])
    (axes,) = figure.axes
    assert axes.get_legend() is None
    assert len(axes.patches) == 2


@pytest.mark.parametrize("classes", [2, 45])
def test_long_names_are_whole_and_apart(tmp_path: Path, classes: int):
    labels = [f"siphonophore_calycophoran_rocketship_adult_${number}_" for number in range(classes)]
    path = tmp_path / "class-counts.png"
    write_class_counts(path, "data", labels, [(classes - number, 1, 1) for number in range(classes)])
    picture = cv2.imread(str(path), cv2.IMREAD_GRAYSCALE)
    assert (picture[:, 0] == 255).all()  # nothing reaches the border, so nothing is cut off
    assert (picture[:, -1] == 255).all()
    names = picture[:, : picture.shape[1] // 4] < 128
    lines = np.flatnonzero(np.diff(names.any(axis=1).astype(int)) == 1)
    assert len(lines) == classes  # white between one name and the next


def test_a_script_that_the_font_lacks_is_no_failure(tmp_path: Path):
    write_class_counts(tmp_path / "counts.png", "data", ["动物", "植物"], [1, 2])
    assert (tmp_path / "counts.png").exists()
