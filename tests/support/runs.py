"""`penstock run` and `penstock secrets` as their user calls them, each test with a state folder of its own."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from tests.support.fresh import clean_environment
from tests.support.sandboxes import sandbox_folder

SECONDS = 60.0


class Machine:
    """A state folder, and the commands that use it."""

    def __init__(self, state: Path) -> None:
        self.state = state
        self.environment = clean_environment() | {"PENSTOCK_STATE_DIR": str(state)}

    def command(self, *words: str) -> list[str]:
        return [sys.executable, "-m", "penstock", *words]

    def call(self, *words: str, data: bytes = b"", **more: str) -> subprocess.CompletedProcess[bytes]:
        return subprocess.run(
            self.command(*words),
            input=data,
            capture_output=True,
            env=self.environment | more,
            timeout=SECONDS,
            check=False,
        )

    def run(self, *words: str, data: bytes = b"") -> subprocess.CompletedProcess[bytes]:
        """`penstock run command`, options before `--` included in the words."""
        return self.call("run", "command", *words, data=data)

    def start(self, *words: str) -> subprocess.Popen[bytes]:
        """The same, not waited for."""
        return subprocess.Popen(
            self.command("run", "command", *words),
            env=self.environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )

    def secret(self, name: str, value: str, *bindings: str, env: str = "", **options: str | Path) -> None:
        """Keep a secret; options as `upstream_ca=PATH`."""
        words = ["secrets", "set", name]
        for binding in bindings:
            words += ["--binding", binding]
        if env:
            words += ["--env", env]
        for option, text in options.items():
            words += [f"--{option.replace('_', '-')}", str(text)]
        done = self.call(*words, data=value.encode())
        assert done.returncode == 0, done.stderr.decode()

    def remains(self) -> list[str]:
        """What runs have left: folders, and processes that know of them."""
        runs = [path.name for path in (self.state / "runs").glob("*") if path.name != "lock"]
        return runs + processes_with(self.state)


def processes_with(state: Path) -> list[str]:
    """The command lines that name a state folder: vaults. Sandboxes name none: their folders tell of them."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit() and int(entry.name) != os.getpid():
            try:
                line = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode("utf-8", "replace")
            except OSError:
                continue
            if str(state) in line:
                found.append(line)
    return found


@contextmanager
def machine(variables: Mapping[str, str] | None = None) -> Iterator[Machine]:
    with sandbox_folder() as state:
        made = Machine(state)
        made.environment |= variables or {}
        yield made
