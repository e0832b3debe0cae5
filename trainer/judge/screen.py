"""The tables that evaluate and select end with: what a person decides by, in 80 columns."""

from __future__ import annotations

from itertools import combinations

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from bundle.calibration import COLDEST, HOTTEST
from trainer.judge.evaluate import Evaluated
from trainer.judge.evaluation import Evaluation, Judged
from trainer.judge.select import Selection
from trainer.judge.subsets import MOST_SUBSETS

CHOICE = "chosen on validation"
FOLDED = ("member", CHOICE)  # columns that may take more than a line
MOST_PAIRS = 10  # pairs of members whose disagreement is printed; the record has all


def print_evaluation(evaluated: Evaluated) -> None:
    """Prints the judges, the ensemble sizes and the weakest classes to standard output."""
    found, part = evaluated.evaluation, evaluated.part
    console = Console(soft_wrap=True, highlight=False)
    console.print(
        f"{escape(evaluated.run.facts.name)}: {len(part.images)} {part.name} images of {len(found.classes)} classes"
    )
    judges = _table("", "top-1", "95 % interval", "balanced", "macro-F1")
    belief = _table("", "log loss", "ECE", "at T", "log loss", "ECE")
    for judged in (*found.members, found.hard, found.soft):
        judges.add_row(*_judge_row(judged))
        belief.add_row(*_belief_row(judged))
    console.print(judges)
    console.print("How far scores can be believed: as given, and at the temperature T that was fitted on validation")
    console.print(belief)
    if any(
        judged.temperature is not None and _at_the_end(judged.temperature) for judged in (*found.members, found.soft)
    ):
        console.print(
            f"A T of {COLDEST:g} or {HOTTEST:g} is the end of the search: too few or too easy images to fit one."
        )
    if part.name == "validation":
        console.print("T was fitted, and subsets were chosen, on these very images: the test part is the honest one.")
    if len(found.members) > 1:
        _print_sizes(console, found)
    _print_weakest(console, found)


def print_selection(selection: Selection) -> None:
    """Prints how the members were chosen, and how alike they are, to standard output."""
    console = Console(soft_wrap=True, highlight=False)
    console.print(
        f"{len(selection.steps)} of {len(selection.pool)} members, chosen by their hard vote on "
        f"{selection.validation_images} validation images"
    )
    steps = _table("", "member", "alone", "hard vote", "gain", "log loss, soft")
    for number, step in enumerate(selection.steps, start=1):
        steps.add_row(
            f"{number}",
            escape(selection.pool[step.member].name),
            _percent(selection.alone[step.member]),
            _percent(step.accuracy),
            "" if step.gain is None else f"{100 * step.gain:+.1f}",
            f"{step.log_loss:.3f}",
        )
    console.print(steps)
    chosen = [step.member for step in selection.steps]
    pairs = sorted(combinations(chosen, 2), key=lambda pair: selection.disagreement[pair])
    for one, other in pairs[:MOST_PAIRS]:
        console.print(
            f"{_percent(selection.disagreement[one, other])} of the images: {escape(selection.pool[one].name)} and "
            f"{escape(selection.pool[other].name)} disagree"
        )
    if len(pairs) > MOST_PAIRS:
        console.print(f"and {len(pairs) - MOST_PAIRS} pairs that disagree more often")
    if selection.hard_vote_test is not None:
        test = selection.hard_vote_test
        console.print(
            f"hard vote on {test.images} test images, looked at after the choice: {_percent(test.accuracy)} "
            f"(balanced {_percent(test.balanced_accuracy)}, macro-F1 {_percent(test.macro_f1)})"
        )


def _print_sizes(console: Console, found: Evaluation) -> None:
    names = [member.name for member in found.members]
    sizes = _table("members", "mean: hard", "soft", "best: hard", "soft", CHOICE)
    for size in found.sizes:
        sizes.add_row(
            f"{size.size}",
            _percent(size.mean_hard),
            _percent(size.mean_soft),
            _percent(size.best_hard),
            _percent(size.best_soft),
            escape(" ".join(names[member].partition("-")[0] for member in size.best)),
        )
    console.print(sizes)
    drawn = [size for size in found.sizes if size.tried < size.of]
    if drawn:
        sizes_drawn = ", ".join(f"{size.of} of {size.size}" for size in drawn)
        console.print(
            f"There are so many ensembles ({sizes_drawn}) that {MOST_SUBSETS} of a size were drawn and tried."
        )


def _print_weakest(console: Console, found: Evaluation) -> None:
    """The classes that lose most images: where better data or another member would pay first."""
    losses = sorted(found.classes, key=lambda each: each.score.right - each.score.images)[:5]
    weak = _table("most images lost", "lost", "of", "mostly called")
    weak.columns[-1].justify = "left"
    for each in losses:
        if each.confused_with is not None:
            lost = each.score.images - each.score.right
            weak.add_row(
                escape(each.label),
                f"{lost}",
                f"{each.score.images}",
                f"{escape(each.confused_with)} ({each.confused_images})",
            )
    if weak.rows:
        console.print(weak)


def _judge_row(judged: Judged) -> list[str]:
    low, high = judged.interval
    return [
        escape(judged.name),
        _percent(judged.summary.accuracy),
        f"{100 * low:.1f} to {100 * high:.1f}",
        _percent(judged.summary.balanced_accuracy),
        _percent(judged.summary.macro_f1),
    ]


def _belief_row(judged: Judged) -> list[str]:
    given, tempered = judged.as_given, judged.tempered
    row = [
        escape(judged.name),
        "" if given.log_loss is None else f"{given.log_loss:.3f}",
        f"{given.calibration_error:.3f}",
    ]
    if tempered is not None:
        row += [f"{judged.temperature:.2f}", f"{tempered.log_loss:.3f}", f"{tempered.calibration_error:.3f}"]
    return row


def _at_the_end(temperature: float) -> bool:
    return not COLDEST * 1.01 < temperature < HOTTEST / 1.01


def _table(first: str, *headings: str) -> Table:
    table = Table(box=SIMPLE_HEAD, padding=(0, 1, 0, 0), pad_edge=False)
    table.add_column(first, overflow="fold")
    for heading in headings:
        table.add_column(heading, justify="right", no_wrap=heading not in FOLDED, overflow="fold")
    return table


def _percent(share: float) -> str:
    return f"{100 * share:.1f} %"
