"""Whether a user may read and write where the daemon must: tried as that user, since modes, groups, ACLs and mounts add up.

Another user is tried in a process of its own; only root can. That process loads nothing but Python: whether the user can
run Planktow at all is part of the question.
"""

from __future__ import annotations

import json
import os
import pwd
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from bundle.errors import BadConfig
from edge.check.finding import Finding, fail, ok

GROUP = "permissions"
Need = Literal["list", "read", "write"]  # the names in a folder; a file's bytes; make files in a folder

# Stands alone: it is run by the other user's own Python.
TRY = """
import json, os, sys
answers = []
for path, need in json.loads(sys.argv[1]):
    try:
        if need == "list":
            with os.scandir(path) as names:
                next(names, None)
            answer = os.access(path, os.X_OK, effective_ids=True) or "Permission denied"
        elif need == "read":
            with open(path, "rb") as file:
                file.read(1)
            answer = True
        else:
            writable = os.access(path, os.W_OK | os.X_OK, effective_ids=True)
            answer = writable or "read-only, or not this user's"
    except OSError as error:
        answer = error.strerror
    answers.append(answer)
print(json.dumps(answers))
"""


@dataclass(frozen=True)
class Wish:
    """A path and what the daemon must be able to do there. `must`: it cannot start otherwise."""

    path: Path
    need: Need
    what: str  # "the watched folder"


def judge_access(wish: Wish, answer: bool | str, user: str) -> Finding:
    """One line for a wish and what came of it: True, or why not."""
    verbs = {"list": "list", "read": "read", "write": "write to"}
    if answer is True:
        return ok(GROUP, f"{user} can {verbs[wish.need]} {wish.path} ({wish.what})")
    remedy = {
        "list": f"allow it: chmod o+rx {wish.path} and the folders above, or make {user} a member of its group",
        "read": f"allow it: chmod o+r {wish.path}, o+x on the folders above",
        "write": f"give it to the service: chown {user} {wish.path}; or mount its disk writable",
    }
    return fail(GROUP, f"{user} cannot {verbs[wish.need]} {wish.path}, {wish.what} ({answer})", remedy[wish.need])


def check_access(wishes: Sequence[Wish], user: str | None, python: str = sys.executable) -> list[Finding]:
    """All wishes, tried as `user`, or as the one who runs this. Raises BadConfig for a user there is not.

    python: what the service runs.
    """
    existing = [wish for wish in wishes if wish.path.exists()]  # what is missing is told by others
    words = [python, "-I", "-c", TRY, json.dumps([(str(wish.path), wish.need) for wish in existing])]
    name = user or pwd.getpwuid(os.geteuid()).pw_name
    try:
        if user is None or user == pwd.getpwuid(os.geteuid()).pw_name:
            done = subprocess.run(words, capture_output=True, text=True, cwd="/")
        else:
            entry = pwd.getpwnam(user)
            groups = os.getgrouplist(user, entry.pw_gid)
            done = subprocess.run(
                words,
                capture_output=True,
                text=True,
                cwd="/",
                user=entry.pw_uid,
                group=entry.pw_gid,
                extra_groups=groups,
            )
    except KeyError:
        raise BadConfig(f"--user {user}: no such user here; make it with: systemd-sysusers") from None
    except PermissionError as error:
        if os.geteuid() != 0:
            raise BadConfig(f"--user {user}: only root may look as another user; run it with sudo") from None
        return [_cannot_run(name, python, str(error))]
    if done.returncode != 0:
        return [_cannot_run(name, python, (done.stderr.strip().splitlines() or ["it ended"])[-1])]
    answers = json.loads(done.stdout)
    return [judge_access(wish, answer, name) for wish, answer in zip(existing, answers, strict=True)]


def _cannot_run(user: str, python: str, why: str) -> Finding:
    return fail(
        GROUP,
        f"{user} cannot run {python} ({why})",
        "install Planktow, and the Python it uses, where others may go: python3 -m venv /opt/planktow",
    )
