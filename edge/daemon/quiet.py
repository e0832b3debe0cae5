"""Silence for the C libraries of a process: thousands of damaged images must not flood the journal."""

from __future__ import annotations

import faulthandler
import os
import sys


def hush_libraries() -> None:
    """What libpng, libtiff and their like write to descriptor 2 goes nowhere from now on; what Python writes still comes.

    libpng says a line or two of each damaged file, and OpenCV gives no way to tell it not to (its own log level is for
    its own words). That the file was rejected, and why, stands in the ledger. Once for the process: to turn the
    descriptor to and fro around each image would cost each image. The stack of a crash comes too.
    """
    words = os.fdopen(os.dup(2), "w", buffering=1, encoding="utf-8", errors="backslashreplace")
    nowhere = os.open(os.devnull, os.O_WRONLY | os.O_CLOEXEC)
    sys.stderr.flush()
    os.dup2(nowhere, 2)
    os.close(nowhere)
    sys.stderr = words
    faulthandler.enable(words)
