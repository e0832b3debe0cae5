import subprocess
import sys

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
