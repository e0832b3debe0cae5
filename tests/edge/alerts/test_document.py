"""docs/monitoring.md: its examples work as they stand."""

import dataclasses
import os
import re
import subprocess
from pathlib import Path

from edge.alerts.hook import variables
from edge.alerts.recent import labels_and_groups
from edge.alerts.settings import AlertSettings, Rule
from edge.alerts.state import Event, told_table
from edge.config import read_config
from edge.shipped import DEFAULT, shipped_bundle

DOCUMENT = (Path(__file__).parents[3] / "docs" / "monitoring.md").read_text("utf-8")
EVENT = Event("disk-raised-1", "raised", "disk", "critical", "18 GB free; `x` $(x)", 1_795_600_800 * 10**9, 18.2)


def blocks(kind: str) -> list[str]:
    return re.findall(rf"^```{kind}\n(.*?)^```", DOCUMENT, re.MULTILINE | re.DOTALL)


def test_the_examples_of_edge_toml_are_read_and_name_what_the_bundle_has(tmp_path):
    for number, text in enumerate(blocks("toml")):
        file = tmp_path / f"{number}.toml"
        file.write_text(text)
        alerts = read_config(file).alerts
        alerts.check_labels(*labels_and_groups(shipped_bundle(DEFAULT)))
        assert alerts.rules or alerts.mqtt.password_file == tmp_path / "mqtt-password"


def test_the_example_has_a_rule_of_each_kind_and_the_table_too():
    kinds = {field.name for field in dataclasses.fields(AlertSettings) if str(field.type).startswith("tuple")}
    assert set(re.findall(r"^\[\[alerts\.(\w+)\]\]", DOCUMENT, re.MULTILINE)) == kinds
    assert set(re.findall(r"^\| `\[\[alerts\.(\w+)\]\]`", DOCUMENT, re.MULTILINE)) == kinds


def test_the_defaults_are_the_codes():
    for setting in dataclasses.fields(Rule):
        if setting.name != "name":
            default = str(setting.default).lower().removesuffix(".0")
            assert re.search(rf"^\| `{setting.name}` \| `?{re.escape(default)}`? \|", DOCUMENT, re.MULTILINE), (
                setting.name
            )


def test_the_command_of_the_example_writes_its_line_and_its_mail(tmp_path):
    (script,) = [block for block in blocks("sh") if block.startswith("#!")]
    file = tmp_path / "planktow-tell"
    file.write_text(script)
    for name in ("logger", "sendmail"):
        program = tmp_path / name
        program.write_text(f'#!/bin/sh\necho "$@" > {tmp_path}/{name}.args\ncat > {tmp_path}/{name}.in\n')
        program.chmod(0o755)
    environment = {**os.environ, **variables(EVENT), "PATH": f"{tmp_path}:{os.environ['PATH']}"}
    subprocess.run(["sh", str(file)], env=environment, check=True, stdin=subprocess.DEVNULL)
    assert (tmp_path / "logger.args").read_text() == (
        "-t planktow-alert -p user.warning raised disk: 18 GB free; `x` $(x)\n"
    )
    assert (tmp_path / "sendmail.in").read_text() == (
        "To: bridge@ship.example\nSubject: Planktow: disk raised\n\n18 GB free; `x` $(x)\n2026-11-25T10:00:00Z, value 18.2\n"
    )


def test_the_json_of_the_example_has_the_fields_that_are_told():
    (block,) = blocks("json")
    assert re.findall(r'"(\w+)":', block) == list(told_table(EVENT))
