"""The benchmark of report.html runs, with small numbers."""

from benchmarks.html_report import measure
from bundle.folder import open_bundle
from edge.shipped import DEFAULT, shipped_bundle


def test_it_makes_both_reports_the_full_one_with_pictures_and_leaves_nothing_behind(tmp_path):
    costs = dict(measure(open_bundle(shipped_bundle(DEFAULT)), 300, "1d", tmp_path))
    assert list(costs) == ["bare", "with images and survey"]
    assert costs["with images and survey"].page_mib > costs["bare"].page_mib + 0.2
    assert list(tmp_path.iterdir()) == []
