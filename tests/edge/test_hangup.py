"""SIGHUP reads the settings anew, unless the terminal went with it: real processes, with and without a terminal."""

import fcntl
import os
import pty
import signal
import subprocess
import sys
import termios
from collections.abc import Callable

PROGRAM = """
import sys, time
from edge.daemon.hangup import Hangup

stops = []
hangup = Hangup(lambda: stops.append(1))
print("ready", flush=True)
while True:
    if stops:
        sys.exit(3)
    if hangup.asked():
        again = hangup.asked()  # before a word is said: what is said brings the next signal
        print("asked twice" if again else "asked", flush=True)
    time.sleep(0.01)
"""


def begin(prepare: Callable[[], None]) -> subprocess.Popen[str]:
    process = subprocess.Popen(
        [sys.executable, "-c", PROGRAM],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
        preexec_fn=prepare,
    )
    assert process.stdout.readline() == "ready\n"
    return process


def end(process: subprocess.Popen[str]) -> None:
    process.kill()
    process.wait()
    process.stdout.close()


def test_without_a_terminal_a_sighup_asks_for_the_settings():
    process = begin(lambda: None)
    for _ in range(3):
        process.send_signal(signal.SIGHUP)
        assert process.stdout.readline() == "asked\n"
    end(process)


def test_in_a_terminal_a_sighup_asks_too_and_a_closed_window_stops():
    ours, theirs = pty.openpty()
    process = begin(lambda: fcntl.ioctl(theirs, termios.TIOCSCTTY, 0))
    os.close(theirs)
    process.send_signal(signal.SIGHUP)
    assert process.stdout.readline() == "asked\n"
    os.close(ours)  # the kernel sends SIGHUP
    assert process.wait(60) == 3
    process.stdout.close()


def test_one_started_with_nohup_outlives_its_terminal():
    def prepare() -> None:
        fcntl.ioctl(theirs, termios.TIOCSCTTY, 0)
        signal.signal(signal.SIGHUP, signal.SIG_IGN)

    ours, theirs = pty.openpty()
    process = begin(prepare)
    os.close(theirs)
    os.close(ours)
    assert process.stdout.readline() == "asked\n"
    assert process.poll() is None
    end(process)
