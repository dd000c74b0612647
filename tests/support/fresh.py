"""Run Python in a process of its own: to see what an import loads, or to run an example as a reader would.

`watched` reports what happened besides the program's own output. The child has no provider keys and no home of ours,
so that no test passes because of what lies on a developer's machine.
"""

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

_KEPT = ("PATH", "SYSTEMROOT", "LANG", "LC_ALL", "TMPDIR", "VIRTUAL_ENV")

_WATCH = """
import json, sys
events = []
def watch(name, arguments):
    if name.startswith("socket.") or name in ("subprocess.Popen", "os.system", "os.exec"):
        events.append([name, repr(arguments)])
sys.addaudithook(watch)
before = set(sys.modules)
exec(compile({program!r}, "<program>", "exec"), {{"__name__": "__main__"}})
print(json.dumps({{"modules": sorted(set(sys.modules) - before), "events": events}}))
"""


@dataclass(frozen=True)
class Report:
    """What a program did: the modules that it loaded, and its audit events of network and processes."""

    modules: frozenset[str]
    events: tuple[str, ...]


def clean_environment(home: Path | str = "/nonexistent") -> dict[str, str]:
    """The environment of a machine that knows nothing of us."""
    return {**{name: os.environ[name] for name in _KEPT if name in os.environ}, "HOME": str(home)}


def watched(program: str) -> Report:
    """Run a program in a fresh interpreter and report what it loaded and reached for; it must succeed."""
    command = [sys.executable, "-I", "-c", _WATCH.format(program=program)]
    done = subprocess.run(command, env=clean_environment(), capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    report = json.loads(done.stdout.splitlines()[-1])
    return Report(frozenset(report["modules"]), tuple(" ".join(event) for event in report["events"]))
