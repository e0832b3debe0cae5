"""Counts of verdicts with the classifier's known errors taken out.

The model: an image of true class c gets verdict j with probability M[c, j], the same at sea as in validation, so that the
counts of verdicts y (C classes and `unclassified`) are a mixture of M's rows, y ~ sum_c n_c M[c, .]. The n that makes y
likeliest is found by expectation maximisation (Shepp & Vardi 1982; Richardson 1972, Lucy 1974; in physics D'Agostini
1995, Nucl. Instr. Meth. A 362, 487). Each step shares every verdict among the true classes by n_c M[c, j], so n is never
negative and always sums to y: the shares stay on the simplex, where the inverse of M (adjusted classify-and-count, Forman
2008) leaves it.

What keeps it stable with many classes and few images is said where it is done: rows of M are smoothed (`RowPrior`), the
answer is the mean over many M that validation allows (`Draws`), it starts at the raw composition and stops early
(D'Agostini's regularisation), and it is drawn towards the raw counts as long as validation has few images per class, or the
sea looks like validation (`trust`). The numbers were tuned on planktonset-121's validation images by cross-fitting
(benchmarks/counts_error.py).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Draws = NDArray[np.float32]  # (R, C, C+1) matrices M; each row sums to 1

STEPS = 20  # of expectation maximisation
TRUST_IMAGES = (
    5.0  # validation images per class at which unfolded and raw weigh the same, in a large set far from validation
)
TRUST_SET = 100.0  # images of a set that needs twice as many
SHIFT = 0.7  # distance from validation from which on no more are needed


@dataclass(frozen=True)
class RowPrior:
    """How a row of M is drawn: Dirichlet(`weight` x the row's validation counts + `images` x a pattern).

    weight      below 1 for overdispersion: images at sea differ from validation by more than chance.
    images      what the pattern counts for, in validation images.
    by_support  the pattern's recall is that of classes with about as many validation images, else that of all together.
    """

    weight: float
    images: float
    by_support: bool


POINT = RowPrior(weight=0.5, images=1.5, by_support=False)


def row_pattern(confusion: NDArray[np.integer], by_support: bool) -> Floats:
    """(C, C+1): what to expect of a class that has no validation image; each row sums to 1.

    Recall on the diagonal. The errors go where the errors of all classes go, mixed with where the verdicts of this class
    wrongly came from: confusion is often mutual. Equivariant: a permutation of the classes permutes rows and columns.
    """
    counts = np.asarray(confusion, np.float64)
    classes = len(counts)
    diagonal = np.arange(classes)
    images, hits = counts.sum(axis=1), counts[diagonal, diagonal]
    whole = images.sum()
    overall = (hits.sum() + 1) / (whole + 2)
    recall = np.full(classes, overall)
    if by_support:
        size = np.log(images + 0.5)
        near = np.exp(-0.5 * ((size[:, None] - size[None, :]) / 0.7) ** 2)  # a factor of two in images is one deviation
        recall = (near @ hits + overall) / (near @ images + 1)
    errors = counts.copy()
    errors[diagonal, diagonal] = 0
    pooled = errors.sum(axis=0) + np.append((images + 1) / (whole + classes), 0.5)
    back = errors[:, :classes].T  # (C, C): row c: of which classes the wrong verdicts c were
    wrong = back.sum(axis=1)
    mutual = (wrong / (wrong + 1))[:, None]
    pattern: Floats = (1 - mutual) * (pooled / pooled.sum())
    pattern[:, :classes] += mutual * back / np.maximum(wrong, 1)[:, None]
    pattern[diagonal, diagonal] = 0
    pattern *= ((1 - recall) / pattern.sum(axis=1))[:, None]
    pattern[diagonal, diagonal] = recall
    return pattern


def row_posterior(confusion: NDArray[np.integer], prior: RowPrior) -> Floats:
    """(C, C+1) parameters of the Dirichlet distribution of each row of M."""
    return prior.weight * np.asarray(confusion, np.float64) + prior.images * row_pattern(confusion, prior.by_support)


def draw_matrices(parameters: Floats, draws: int, random: np.random.Generator) -> Draws:
    """(R, C, C+1): R matrices, each row from its Dirichlet distribution."""
    matrices = random.standard_gamma(np.broadcast_to(parameters, (draws, *parameters.shape)))
    matrices += 1e-12
    matrices /= matrices.sum(axis=2, keepdims=True)
    return matrices.astype(np.float32)


def unfold(
    verdicts: NDArray[np.floating],
    matrices: NDArray[np.floating],
    start: NDArray[np.floating],
    steps: int = STEPS,
    prior: NDArray[np.floating] | float = 0.0,
) -> NDArray[np.floating]:
    """(..., T, C) images per true class: expectation maximisation from `start`, all sets and all matrices at once.

    verdicts (..., T, C+1) counts of T sets of images; matrices (..., C, C+1); start (..., T, C) shares, above 0; prior
    (..., T, C) or a number: images added to each class at each step (maximum a posteriori under a Dirichlet prior), and
    taken off the answer, which sums to its verdicts.
    """
    tiny = np.float32(1e-30)
    one = verdicts.shape[-2] == 1 and matrices.ndim == 3
    shares = start
    allotted = shares
    for _ in range(steps):
        expected = np.maximum(_said(shares, matrices, one), tiny)
        allotted = shares * _shared(verdicts / expected, matrices, one)
        whole = np.maximum((allotted + prior).sum(axis=-1, keepdims=True), tiny)
        shares = (allotted + prior) / whole
    return allotted


def sets_at_once(classes: int) -> int:
    """How many sets of images to unfold together: products so small that the linear algebra library leaves them to one thread.

    Threads that wait for one another at each of thousands of products are the likely cause of a report that once took 26 s
    instead of 2 on two busy cores; OpenBLAS begins to use them at some 262,144 multiplications.
    """
    return max(2, 250_000 // (classes * (classes + 1)))


def _said(shares: NDArray[np.floating], matrices: NDArray[np.floating], one: bool) -> NDArray[np.floating]:
    """(..., T, C+1) share of each verdict. For one set a matrix, products by vectors, which the library would thread."""
    if one:
        said: NDArray[np.floating] = np.einsum(
            "rtc,rcj->rtj", np.broadcast_to(shares, (len(matrices), *shares.shape[-2:])), matrices
        )
        return said
    return shares @ matrices


def _shared(ratios: NDArray[np.floating], matrices: NDArray[np.floating], one: bool) -> NDArray[np.floating]:
    """(..., T, C) what the verdicts give to each class."""
    if one:
        given: NDArray[np.floating] = np.einsum(
            "rtj,rcj->rtc", np.broadcast_to(ratios, (len(matrices), *ratios.shape[-2:])), matrices
        )
        return given
    return ratios @ np.swapaxes(matrices, -1, -2)


def trust(verdicts: NDArray[np.floating], confusion: NDArray[np.integer]) -> Floats:
    """(T, 1) from 0 to 1: the weight of the unfolded counts against the raw ones, v / (v + 5 max(1, 0.7 / s)^2 (1 + 100 / n)).

    v: validation images per class; n: images of the set; s: total variation distance, 0 to 1, of the set's verdicts (T, C+1)
    and validation's. With few images per class, or in the set, unfolding costs more than it mends. And where the sea is
    composed as validation was, raw counts are nearly right as they are: what a class loses, it wins from others. With much
    validation the weight goes to 1 everywhere.
    """
    said = np.asarray(verdicts, np.float64)
    images = said.sum(axis=1, keepdims=True)
    whole = float(np.asarray(confusion).sum())
    if not whole:
        return np.zeros_like(images)
    usual = np.asarray(confusion, np.float64).sum(axis=0) / whole
    distance = 0.5 * np.abs(said / np.maximum(images, 1e-300) - usual).sum(axis=1, keepdims=True)
    like = np.maximum(1.0, (SHIFT / np.maximum(distance, 1e-6)) ** 2)
    needed = TRUST_IMAGES * like * (1 + TRUST_SET / np.maximum(images, 1e-300))
    per_class = whole / len(confusion)
    found: Floats = per_class / (per_class + needed)
    return found


def corrected(
    verdicts: NDArray[np.floating], confusion: NDArray[np.integer], matrices: Draws, base: Floats | None = None
) -> Floats:
    """(T, C) corrected counts of T sets of images, each summing to all verdicts of the set, `unclassified` included.

    verdicts (T, C+1) counts; matrices as `draw_matrices(row_posterior(confusion, POINT), ...)`. base (C,): shares towards
    which small sets are drawn, equal ones where None; they count for 12 images, at most a twentieth of the set (half of
    it where `base` says what the whole stretch was like).
    """
    y = np.asarray(verdicts, np.float64)
    images = y.sum(axis=1, keepdims=True)
    classes = y.shape[1] - 1
    shares = np.full(classes, 1 / classes) if base is None else base
    pseudo = np.minimum(12.0, images * (0.05 if base is None else 0.5)) * (shares + 1e-9)
    raw = y[:, :classes]
    start = raw + pseudo + 1e-12
    start = start / start.sum(axis=1, keepdims=True)
    unfolded = unfold(y.astype(np.float32), matrices, start.astype(np.float32), prior=pseudo.astype(np.float32)).mean(
        axis=0, dtype=np.float64
    )
    named = raw.sum(axis=1, keepdims=True)
    unfolded = _summing_to(unfolded, images)
    # Where nothing has a label, there is no raw composition to draw towards.
    plain = np.where(named > 0, raw / np.maximum(named, 1e-300) * images, unfolded)
    weight = trust(y, confusion)
    return weight * unfolded + (1 - weight) * plain


def _summing_to(counts: Floats, images: Floats) -> Floats:
    whole = counts.sum(axis=1, keepdims=True)
    return np.where(whole > 0, counts / np.where(whole > 0, whole, 1) * images, 0.0)
