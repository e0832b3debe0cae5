"""What a check found: one line, how bad it is, and what to do."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

Level = Literal["ok", "warn", "fail"]
_MARKS: dict[Level, str] = {"ok": "ok  ", "warn": "WARN", "fail": "FAIL"}


@dataclass(frozen=True)
class Finding:
    """One line of the report. `do`: what a person should do; only where it is not ok."""

    group: str  # what was looked at: "bundle", "disk"
    level: Level
    said: str
    do: str | None = None

    def __post_init__(self) -> None:
        if (self.level == "ok") != (self.do is None):
            raise ValueError(f"{self.said}: what is ok wants nothing done, and what is not wants something")


def ok(group: str, said: str) -> Finding:
    return Finding(group, "ok", said)


def warn(group: str, said: str, do: str) -> Finding:
    return Finding(group, "warn", said, do)


def fail(group: str, said: str, do: str) -> Finding:
    return Finding(group, "fail", said, do)


def fault(group: str, error: Exception, otherwise: str) -> Finding:
    """What an error of ours says, with the remedy behind its last semicolon; `otherwise` where it names none."""
    said, _, remedy = str(error).rpartition("; ")
    return fail(group, said or str(error), remedy if said else otherwise)


def worst(findings: Iterable[Finding]) -> Level:
    """The level of the whole."""
    levels = {finding.level for finding in findings}
    return "fail" if "fail" in levels else "warn" if "warn" in levels else "ok"


def exit_code(findings: Iterable[Finding], strict: bool) -> int:
    """0 where the host may count. strict: a warning is as bad as a fault."""
    level = worst(findings)
    return 1 if level == "fail" or (strict and level == "warn") else 0


def lines(findings: Sequence[Finding]) -> str:
    """For a person."""
    text = []
    for finding in findings:
        text.append(f"{_MARKS[finding.level]}  {finding.group:<11} {finding.said}\n")
        if finding.do is not None:
            text.append(f"{'':18}do: {finding.do}\n")
    faults, warnings = (sum(finding.level == level for finding in findings) for level in ("fail", "warn"))
    return "".join(text) + f"\n{faults} to mend, {warnings} to look at, {len(findings) - faults - warnings} well\n"


def table(findings: Sequence[Finding], strict: bool) -> dict[str, Any]:
    """For a program: what `--json` prints."""
    return {
        "level": worst(findings),
        "exit_code": exit_code(findings, strict),
        "findings": [asdict(finding) for finding in findings],
    }
