"""A figure as a PNG file, without pyplot: nothing of it is global, and no display is asked for."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from pathlib import Path

import matplotlib
from matplotlib.figure import Figure

from bundle.whole import write_whole_with

DOTS_PER_INCH = 150
INK = ("#1b4965", "#62b6cb", "#d1495b")  # told apart by lightness too
# A label is text, whatever a dollar sign in it would mean to Matplotlib.
STYLE = {"text.parse_math": False, "axes.spines.top": False, "axes.spines.right": False, "font.size": 9}


def write_picture(path: Path, draw: Callable[[], Figure]) -> None:
    """Draws in our style and writes the PNG whole. Raises OSError."""
    with matplotlib.rc_context(STYLE), warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Glyph .* missing from")  # a script that the font lacks: boxes will do
        figure = draw()
        write_whole_with(path, lambda file: figure.savefig(file, format="png", dpi=DOTS_PER_INCH))
