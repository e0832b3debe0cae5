"""A process that is killed (`kill -9`) at every line of our code in turn: what it leaves must be good at each of them."""

import os
import signal
import sys
import warnings
from collections.abc import Callable
from pathlib import Path

EDGE = str(Path(__file__).parents[2] / "edge") + os.sep


def die_at_every_line(prepare: Callable[[], None], work: Callable[[], object], check: Callable[[], None]) -> int:
    """Runs `work` in a child that is killed at the first line of edge/, anew with the second, … until it gets through.

    Before each: `prepare()`; after each: `check()`. Returns how often it was killed.
    """
    number = 0
    while True:
        number += 1
        prepare()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)  # Python 3.12: of threads of NumPy, which we do not use
            child = os.fork()
        if child == 0:
            try:
                _die_at(number)
                work()
            finally:
                os._exit(0)
        _, status = os.waitpid(child, 0)
        check()
        if not os.WIFSIGNALED(status):
            assert os.waitstatus_to_exitcode(status) == 0
            return number - 1
        assert os.WTERMSIG(status) == signal.SIGKILL


def _die_at(number: int) -> None:
    left = number

    def trace(frame, event, _argument):
        nonlocal left
        if not frame.f_code.co_filename.startswith(EDGE):
            return None
        if event == "line":
            left -= 1
            if left == 0:
                os.kill(os.getpid(), signal.SIGKILL)
        return trace

    sys.settrace(trace)
