"""The classifier: every file of the bundle by its hash, its members loaded, and what runs them."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from importlib.metadata import version
from pathlib import Path

from bundle.ensemble import RUNTIME
from bundle.errors import PlanktowError
from bundle.folder import Bundle, open_bundle
from edge.check.finding import Finding, fail, fault, ok, warn

GROUP = "bundle"

# In a process of its own: what the runtime says of itself comes from C++, once, on stderr.
_GREET = """
import sys
try:
    from ai_edge_litert.interpreter import Interpreter
except ModuleNotFoundError:
    from tflite_runtime.interpreter import Interpreter
Interpreter(model_path=sys.argv[1]).allocate_tensors()
"""


def check_bundle(folder: Path, what: str = "counts") -> tuple[list[Finding], Bundle | None]:
    """Opens it, which compares all hashes, and loads its members. what: what it is for."""
    try:
        bundle = open_bundle(folder)
    except PlanktowError as error:
        return [fault(GROUP, error, "copy the bundle anew")], None
    name = f"{bundle.manifest.name} ({bundle.digest[:12]})"
    found = [
        ok(
            GROUP,
            f"{name} {what}: {len(bundle.labels)} labels, {len(bundle.manifest.members)} members, all hashes right",
        )
    ]
    try:
        bundle.load()
    except PlanktowError as error:
        return [*found, fail(GROUP, str(error), "copy the bundle anew, or install the runtime it was made for")], None
    return found, bundle


def check_runtime(bundle: Bundle) -> Finding:
    """Which runtime, and whether its fast kernels are in use."""
    name = f"{RUNTIME} {version(RUNTIME)}"
    member = bundle.manifest.members[0].file
    with tempfile.NamedTemporaryFile(suffix=".tflite") as model:
        model.write(bundle.contents[member])
        model.flush()
        done = subprocess.run([sys.executable, "-c", _GREET, model.name], capture_output=True, text=True)
    return judge_runtime(name, done.returncode, done.stderr)


def judge_runtime(name: str, code: int, stderr: str) -> Finding:
    """From what it said while it loaded a member."""
    if code != 0:
        last = (stderr.strip().splitlines() or [f"exit code {code}"])[-1]
        return fail("runtime", f"{name} cannot run here ({last})", "install planktow anew for this machine")
    if "XNNPACK" not in stderr:
        do = "where there is a wheel, install ai-edge-litert instead; else count with a bundle of one member"
        return warn("runtime", f"{name} runs without XNNPACK: several times slower", do)
    return ok("runtime", f"{name} with XNNPACK")
