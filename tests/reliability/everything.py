"""All that tries to break the daemon, one program after the other, at the lengths of the issue; a table at the end.

    python -m tests.reliability.everything [--seed S] [--hours H] [--only NAME ...]

With --hours 1 that is 100 kills, 300 power cuts, 10,000 hostile images, 200,000 files at once and an hour's soak: some two
hours on two cores. Other hours scale the soak; 0 leaves it out. Exit code 1: one of them found a fault.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import time


def programs(hours: float) -> dict[str, list[str]]:
    """Each program's arguments beside the seed."""
    wanted = {
        "kill_nine": ["--images", "6000", "--kills", "100"],
        "power_cut": ["--images", "300", "--cuts", "300"],
        "full_disk": [],
        "mutated": ["--images", "10000"],
        "folder": [],
        "clock": [],
        "flood": ["--images", "200000"],
        "swap_under_fire": ["--images", "6000", "--seconds", "180", "--kills", "20"],
    }
    if hours:
        wanted["soak"] = ["--minutes", str(60 * hours), "--kills", str(round(6 * hours))]
    return wanted


def main() -> int:
    """The program; see the head of this file."""
    parser = argparse.ArgumentParser(description="everything that tries to break the daemon")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--hours", type=float, default=1.0)
    parser.add_argument("--only", nargs="+", choices=programs(1), help="these alone")
    options = parser.parse_args()
    ended = []
    for name, arguments in programs(options.hours).items():
        if options.only and name not in options.only:
            continue
        print(f"\n{name} {' '.join(arguments)}", flush=True)
        began = time.monotonic()
        code = subprocess.call(
            [sys.executable, "-m", f"tests.reliability.{name}", *arguments, "--seed", str(options.seed)]
        )
        ended.append((name, code, time.monotonic() - began))
    print(f"\n{'program':15} {'seed':>5} {'seconds':>8}  outcome")
    for name, code, seconds in ended:
        print(f"{name:15} {options.seed:5} {seconds:8.0f}  {'passed' if code == 0 else f'FAILED (exit code {code})'}")
    return 1 if any(code for _, code, _ in ended) else 0


if __name__ == "__main__":
    sys.exit(main())
