"""The report's folder, whole or absent."""

from __future__ import annotations

from pathlib import Path

from bundle.whole import whole_folder
from quantize.comparison import Report
from quantize.report.page import page_html
from quantize.report.plots import draw_plots
from quantize.report.record import report_bytes

PAGE, RECORD = "report.html", "report.json"


def write_report(folder: Path, report: Report) -> None:
    """Writes report.html, report.json and the plots as PNG files to `folder`, which must not exist. Raises OSError.

    The page holds its plots itself: it can be mailed alone. The PNG files are for a talk or a paper.
    """
    plots = draw_plots(report)
    files = {PAGE: page_html(report, plots).encode(), RECORD: report_bytes(report), **plots}
    with whole_folder(folder) as partial:
        for name, data in files.items():
            (partial / name).write_bytes(data)
