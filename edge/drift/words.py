"""What a drift means, in plain words for the screen and the page."""

from __future__ import annotations

from edge.drift.judge import Drift, Shift

STATES = {
    "too few": "too few to say",
    "as validated": "as in validation",
    "other species": "other species, usual looks",
    "other looks": "WARNING: other looks",
}
NAMES = {
    "votes": "votes",
    "score": "score",
    "width": "width",
    "height": "height",
    "sharpness": "sharpness",
    "dark_share": "black share",
    "bright_share": "white share",
    "ink_share": "ink share",
    "mean_grey": "mean grey",
}
# What is thought of first: where the values lie lower than they should, and where higher.
_CAUSES = {
    "votes": ("the members agree less: poorer images, or species they do not know", "the members agree more"),
    "score": ("the classifier is less sure: poorer images, or species it does not know", "the classifier is surer"),
    "width": (
        "narrower images: scale, or how organisms are cut out",
        "wider images: scale, or how organisms are cut out",
    ),
    "height": (
        "lower images: scale, or how organisms are cut out",
        "higher images: scale, or how organisms are cut out",
    ),
    "sharpness": (
        "blurred: focus, dirt or growth on the window, a tow too fast for the exposure, compression",
        "sharper: noise (gain), or another scale",
    ),
    "dark_share": ("less black: exposure, lamp", "more black: a lamp out, under-exposure, something before the lens"),
    "bright_share": (
        "the background is no longer white: lamp, exposure, turbid water",
        "over-exposed, or a whiter background than before",
    ),
    "ink_share": (
        "organisms fill less of the image: contrast, or how they are cut out",
        "specks, noise, dirt, or closer cut",
    ),
    "mean_grey": ("darker: lamp, exposure, turbid water", "brighter: lamp, exposure"),
}


def cause(shift: Shift) -> str:
    """What to think of first."""
    return _CAUSES[shift.name][0 if shift.lower else 1]


def differs(drift: Drift, most: int = 9) -> str:
    """What warns, in one line, the farthest first: sharpness lower (0.43), score lower (0.22)."""
    told = [
        f"{NAMES[each.name]} {'lower' if each.lower else 'higher'} ({each.distance:.2f})"
        for each in drift.beyond[:most]
    ]
    rest = len(drift.beyond) - most
    return ", ".join(told) + (f" and {rest} more" if rest > 0 else "")


def sentence(drift: Drift) -> str:
    """The state in a whole sentence."""
    if drift.state == "too few":
        return (
            f"{drift.compared} of {drift.images} images can be compared, with validation images worth {drift.worth:.0f}: too "
            "few to say."
        )
    if drift.state == "other looks":
        return f"Of the same verdicts, images look other than in validation: {differs(drift)}. The limit is {drift.limit:.2f}."
    if drift.state == "other species":
        return (
            f"The species differ from validation's ({drift.species:.2f}), and each looks as it did there: no fault of camera or "
            "classifier is seen."
        )
    return "Verdict for verdict, the images look as those that the classifier was validated on."
