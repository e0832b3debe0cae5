import subprocess
import sys
from pathlib import Path

import pytest

PROGRAM = """
from bundle.command import command_group
from bundle.errors import BadBundle, BadConfig, BadImage
app = command_group("Tries refusals.")

@app.command()
def refuse(what: str) -> None:
    print("begun")
    if what == "crash":
        raise ZeroDivisionError("ours")
    if what != "nothing":
        raise {"bundle": BadBundle("b: damaged"), "config": BadConfig("c: wrong"), "image": BadImage("empty", "i: empty")}[what]

@app.command()
def other() -> None: ...

app(prog_name="planktow-try")
"""


def run(*arguments):
    return subprocess.run([sys.executable, "-c", PROGRAM, *arguments], capture_output=True, text=True, check=False)


@pytest.mark.parametrize(("what", "line"), [("bundle", "b: damaged"), ("config", "c: wrong"), ("image", "i: empty")])
def test_a_refusal_is_one_line_on_stderr_and_exit_code_2(what, line):
    ran = run("refuse", what)
    assert (ran.returncode, ran.stdout, ran.stderr) == (2, "begun\n", f"planktow-try: {line}\n")


def test_a_command_that_goes_well_says_nothing_on_stderr():
    ran = run("refuse", "nothing")
    assert (ran.returncode, ran.stdout, ran.stderr) == (0, "begun\n", "")


def test_a_fault_of_ours_is_a_traceback_and_not_exit_code_2():
    ran = run("refuse", "crash")
    assert ran.returncode == 1
    assert ran.stderr.endswith("ZeroDivisionError: ours\n")
    assert "Traceback" in ran.stderr


def test_a_wrong_option_has_the_same_exit_code_as_a_refusal():
    ran = run("refuse", "--nonsense")
    assert ran.returncode == 2
    assert "Traceback" not in ran.stderr


def test_a_group_of_one_command_stays_a_group():
    program = PROGRAM.replace("@app.command()\ndef other() -> None: ...\n", "")
    ran = subprocess.run(
        [sys.executable, "-c", program, "refuse", "bundle"], capture_output=True, text=True, check=False
    )
    assert (ran.returncode, ran.stdout, ran.stderr) == (2, "begun\n", "planktow-try: b: damaged\n")


def test_a_hint_names_the_command_by_its_path_only_where_the_shell_would_not_find_it(tmp_path):
    here, other = tmp_path / "planktow-edge", tmp_path / "planktow-quantize"
    for script in (here, other):
        script.write_text(f"#!{sys.executable}\nfrom bundle.command import typed\nprint(typed('planktow-quantize'))\n")
        script.chmod(0o755)

    def said(path: str) -> str:
        environment = {"PATH": path, "PYTHONPATH": str(Path(__file__).parents[2])}
        return subprocess.run([here], capture_output=True, text=True, check=True, env=environment).stdout.strip()

    assert said("/nowhere") == str(other)
    assert said(str(tmp_path)) == "planktow-quantize"
    other.unlink()
    assert said("/nowhere") == "planktow-quantize"


@pytest.mark.parametrize(
    ("arguments", "out"),
    [(["nothing"], "begun\n"), (["refuse", "nothing"], "begun\n"), (["--", "nothing"], "begun\n"), (["other"], "")],
)
def test_the_usual_command_is_meant_where_none_is_named(arguments, out):
    program = PROGRAM.replace('"Tries refusals."', '"Tries refusals.", usual="refuse"')
    ran = subprocess.run([sys.executable, "-c", program, *arguments], capture_output=True, text=True, check=False)
    assert (ran.returncode, ran.stdout, ran.stderr) == (0, out, "")


def test_the_help_of_a_group_with_a_usual_command_lists_all_of_them():
    program = PROGRAM.replace('"Tries refusals."', '"Tries refusals.", usual="refuse"')
    ran = subprocess.run([sys.executable, "-c", program, "--help"], capture_output=True, text=True, check=False)
    assert "refuse" in ran.stdout
    assert "other" in ran.stdout
