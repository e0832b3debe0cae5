import numpy as np
import pytest

from bundle.errors import BadData
from bundle.manifest import Checks
from quantize.check import compare, require_faithful
from quantize.config import Settings

SETTINGS = Settings(max_accuracy_drop=0.01, min_agreement=0.95)


def scores(*classes: int) -> np.ndarray:
    return np.eye(3, dtype=np.float32)[list(classes)]


def test_accuracy_and_agreement_are_shares_of_the_images():
    truth = np.array([0, 1, 2, 2], np.int32)
    assert compare(truth, scores(0, 1, 2, 0), scores(0, 1, 1, 1)) == Checks(
        images=4, keras_accuracy=0.75, tflite_accuracy=0.5, agreement=0.5
    )


@pytest.mark.parametrize(
    "checks",
    [
        Checks(1000, 0.8, 0.79, 0.95),  # at both limits
        Checks(1000, 0.8, 0.85, 1.0),  # better than the original
        Checks(20, 0.75, 0.7, 0.95),  # one image of twenty
        Checks(3, 0.666667, 0.333333, 0.666667),  # one image of three, rounded
    ],
)
def test_a_member_within_the_limits_or_one_image_apart_passes(checks):
    require_faithful("members/01-a.keras", checks, SETTINGS)


def test_a_lost_accuracy_is_refused_with_member_figure_limit_and_remedy():
    with pytest.raises(BadData) as refused:
        require_faithful("members/01-a.keras", Checks(1000, 0.8, 0.789, 0.99), SETTINGS)
    assert str(refused.value) == (
        "members/01-a.keras: int8 has an accuracy of 0.7890 on 1000 validation images, 0.0110 below Keras (0.8000); the limit "
        "is 0.01; give more representative_images (now 1000), leave the member out, or raise max_accuracy_drop"
    )


def test_a_low_agreement_is_refused_even_where_the_accuracy_is_kept():
    with pytest.raises(BadData) as refused:
        require_faithful("members/01-a.keras", Checks(1000, 0.8, 0.8, 0.949), SETTINGS)
    assert str(refused.value) == (
        "members/01-a.keras: int8 and Keras name the same class for 0.9490 of 1000 validation images; the limit is 0.95; give "
        "more representative_images (now 1000), leave the member out, or lower min_agreement"
    )


def test_two_images_of_twenty_are_too_many():
    with pytest.raises(BadData, match="max_accuracy_drop"):
        require_faithful("members/01-a.keras", Checks(20, 0.75, 0.65, 0.9), SETTINGS)
