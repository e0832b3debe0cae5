"""`python bound.py COMMAND ...`: goes on as COMMAND, a process that file permissions bind even if root starts it.

It gives up the two capabilities that make permissions nothing to root. To become another user instead would not do: that
one may not even reach the interpreter, where it lies in root's home.
"""

import ctypes
import os
import sys

_PR_CAPBSET_DROP, _CAP_DAC_OVERRIDE, _CAP_DAC_READ_SEARCH = 24, 1, 2  # <linux/prctl.h>, <linux/capability.h>


def bound(command: list[str]) -> list[str]:
    """The command that runs `command` so, where that needs anything."""
    return command if os.geteuid() else [sys.executable, __file__, *command]


def become_bound(command: list[str]) -> None:
    library = ctypes.CDLL(None, use_errno=True)
    for capability in (_CAP_DAC_OVERRIDE, _CAP_DAC_READ_SEARCH):
        if library.prctl(_PR_CAPBSET_DROP, capability, 0, 0, 0):
            raise OSError(ctypes.get_errno(), "a capability cannot be dropped")
    os.execv(command[0], command)


if __name__ == "__main__":
    become_bound(sys.argv[1:])
