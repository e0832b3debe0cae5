"""Which labels a person is offered first for an image that the classifier called so."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
from numpy.typing import NDArray

from bundle.labels import UNCLASSIFIED

MOST = 9  # as many as there are number keys


def suggestions(
    verdict: str,
    labels: Sequence[str],
    confusion: NDArray[np.int64] | None,
    used: Iterable[str] = (),
    most: int = MOST,
) -> list[str]:
    """Labels other than the verdict: those that it turned out to be in validation, the most frequent first; then those that
    its own images were taken for; then those in use.

    confusion: (C, C+1) images, row = true class, column = verdict, last column = unclassified; None: no validation.
    used: labels that people gave lately, which fill up the rest.
    """
    found: list[str] = []
    if confusion is not None and (verdict == UNCLASSIFIED or verdict in labels):
        column = len(labels) if verdict == UNCLASSIFIED else labels.index(verdict)
        rows = [confusion[:, column]]
        if verdict != UNCLASSIFIED:
            rows.append(confusion[column, :-1])
        found = [labels[at] for seen in rows for at in np.argsort(-seen, kind="stable").tolist() if seen[at]]
    found += used
    return [label for label in dict.fromkeys(found) if label not in (verdict, UNCLASSIFIED)][:most]
