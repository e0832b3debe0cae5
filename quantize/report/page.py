"""report.html: one file that a scientist can open, mail and print without a network."""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from importlib.resources import files

from jinja2 import Environment, StrictUndefined

from quantize.comparison import ClassRecall, Report
from quantize.front import all_cores, front, one_core
from quantize.gates import Finding
from quantize.report import spell
from quantize.report.plots import FEW_IMAGES

TEMPLATE = "page.html.jinja"
LOST = 15  # classes in the table


def page_html(report: Report, plots: Mapping[str, bytes]) -> str:
    """The page; `plots` are PNG files by name, which it holds."""
    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    environment.filters |= {
        name: getattr(spell, name) for name in ("percent", "points", "significant", "size", "count", "ensemble")
    }
    return environment.from_string(files(__package__).joinpath(TEMPLATE).read_text("utf-8")).render(
        report=report,
        plots={name: f"data:image/png;base64,{base64.b64encode(data).decode()}" for name, data in plots.items()},
        verdict=verdict(report),
        gain=gain(report),
        one_front=front(report.choices, one_core),
        all_front=front(report.choices, all_cores),
        findings=failed_first(report.findings),
        lost=most_lost(report.classes),
        few_images=FEW_IMAGES,
    )


def verdict(report: Report) -> str:
    """The gates and the loss, in one sentence."""
    count, failed = len(report.findings), len(report.failed)
    gates = (
        f"All {count} gates hold" if not failed else f"{failed} of {count} gates {'fails' if failed == 1 else 'fail'}"
    )
    change = report.shipped.accuracy - report.keras.accuracy
    of_keras = f"{spell.percent(report.keras.accuracy)} of the Keras originals"
    spelled = spell.points(change).lstrip("−+")
    if float(spelled) == 0:
        compared = f"as good as the {of_keras}"
    else:
        compared = f"{spelled} points {'below' if change < 0 else 'above'} the {of_keras}"
    return (
        f"{gates}: the quantised ensemble is right on {spell.percent(report.shipped.accuracy)} of "
        f"{spell.count(report.validation_images)} validation images, {compared}."
    )


def gain(report: Report) -> str | None:
    """What the loss has bought, against the same members in float32; None where that was not measured."""
    bundle = report.bundle
    if bundle is None or bundle.scheme == "float32":
        return None
    plain = next((each for each in report.choices if each.scheme == "float32" and each.members == bundle.members), None)
    if plain is None:
        return None
    return (
        f"In float32 it would be {plain.size_bytes / bundle.size_bytes:.1f} times as large ({spell.size(plain.size_bytes)} "
        f"instead of {spell.size(bundle.size_bytes)}) and take {plain.milliseconds_one / bundle.milliseconds_one:.1f} times "
        f"as long on one core ({spell.significant(plain.milliseconds_one)} instead of "
        f"{spell.significant(bundle.milliseconds_one)} ms an image), "
        f"{plain.milliseconds_all / bundle.milliseconds_all:.1f} times on all."
    )


def failed_first(findings: Sequence[Finding]) -> list[Finding]:
    """The gates in the order they matter to a reader: those that fail, by how much, then the others as they came."""
    return sorted(
        findings, key=lambda finding: (finding.passed, 0.0 if finding.passed else finding.limit - finding.found)
    )


def most_lost(classes: Sequence[ClassRecall]) -> list[ClassRecall]:
    """The classes that lost most recall, of those with enough images to say so."""
    lost = [each for each in classes if each.change < 0 and each.images >= FEW_IMAGES]
    return sorted(lost, key=lambda each: each.change)[:LOST]
