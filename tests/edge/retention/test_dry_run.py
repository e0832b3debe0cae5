"""What people are told before anything goes, and what settings are refused."""

from dataclasses import replace

import pytest

from bundle.errors import BadConfig
from bundle.settings import settings_from
from edge.retention.forecast import forecast, forecast_table
from edge.retention.retention import RetentionSettings
from edge.screen import to_text

from ..stocked import NOW
from .planning import BARE


def test_the_dry_run_tells_what_would_go_and_what_stays_and_touches_nothing(stock):
    stock.counted("old.png", "copy.png", size=2_000_000)
    stock.counted("few.png", label=1, votes=1, size=3_000_000)
    settings = replace(BARE, keep_votes_up_to=1, min_free_gb=1)
    before = stock.lying()
    text = to_text(forecast_table(forecast(stock.connection, settings, NOW, free_bytes=900_000_000)))
    assert stock.lying() == before
    assert [" ".join(line.split()) for line in text.splitlines() if line and "─" not in line] == [
        "Would be deleted",
        "because of images files GB",
        "age 1 2 0.004",
        "free space 1 1 0.000",
        "in all 2 3 0.004",
        "Of these",
        "label images files GB",
        "copepod 1 2 0.004",
        "krill 1 1 0.000",
        "Would stay, though as old",
        "because images files GB",
        "few votes 1 1 0.003",
        "Of these",
        "label images files GB",
        "jelly 1 1 0.003",
        "0.10 GB more should go, but nothing else may.",
        "No file was deleted. Files changed or removed by hand since are not known here.",
    ]


def test_the_dry_run_says_when_nothing_would_go(stock):
    text = to_text(forecast_table(forecast(stock.connection, BARE, NOW, free_bytes=0)))
    assert text.startswith("No file would go: no image is old enough, and there is room.\n")


def test_retention_that_is_on_and_asks_for_nothing_is_refused():
    with pytest.raises(BadConfig, match=r"retention: enabled, but .* are all 0; set one of them"):
        settings_from({"enabled": True}, RetentionSettings, "edge.toml: retention")
    assert settings_from({}, RetentionSettings, "x").enabled is False


def test_a_setting_out_of_its_range_is_refused():
    with pytest.raises(BadConfig, match="max_age_days must be from 0 to 36500 days"):
        RetentionSettings(max_age_days=-1)
