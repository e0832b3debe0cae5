"""The report's two main tables as Markdown, for the documentation."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from quantize.comparison import Choice, Report, Variant
from quantize.front import front, one_core
from quantize.report import spell

PER_SCHEME = ("member", "scheme", "size", "right", "agreement", "ms, alone", "ms, best batch", "ms, all cores")
FRONT = ("members", "scheme", "right", "count error", "size", "ms", "images/s", "images/s, all cores")
LEFT = {"member", "members", "scheme"}


def table_markdown(report: Report) -> str:
    """Every member in every scheme, then the accuracy-latency front on one core; what ships is bold."""
    variants = (_row(_variant_cells(variant), variant.chosen) for variant in report.variants)
    choices = (_row(_choice_cells(choice, report), choice.chosen) for choice in front(report.choices, one_core))
    return f"{_table(PER_SCHEME, variants)}\n{_table(FRONT, choices)}"


def _variant_cells(variant: Variant) -> list[str]:
    return [
        variant.member,
        variant.scheme,
        spell.size(variant.size_bytes),
        spell.percent(variant.scores.accuracy),
        spell.percent(variant.agreement),
        spell.significant(variant.one_core.single),
        spell.significant(variant.one_core.best),
        spell.significant(variant.all_cores.best),
    ]


def _choice_cells(choice: Choice, report: Report) -> list[str]:
    return [
        " + ".join(spell.ensemble(choice.members, report.members)),
        choice.scheme,
        spell.percent(choice.accuracy),
        spell.percent(choice.count_error),
        spell.size(choice.size_bytes),
        spell.significant(choice.milliseconds_one),
        spell.significant(1000 / choice.milliseconds_one),
        spell.significant(1000 / choice.milliseconds_all),
    ]


def _table(headings: Sequence[str], rows: Iterable[str]) -> str:
    rule = "|".join("---" if heading in LEFT else "---:" for heading in headings)
    return "\n".join([_row(headings), f"|{rule}|", *rows]) + "\n"


def _row(cells: Sequence[str], bold: bool = False) -> str:
    escaped = [cell.replace("|", "\\|") for cell in cells]
    return f"| {' | '.join(f'**{cell}**' if bold else cell for cell in escaped)} |"
