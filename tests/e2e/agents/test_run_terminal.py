"""`penstock run HARNESS` at a terminal and without a prompt: the agent's own face, until its program ends."""

from __future__ import annotations

import os
import pty
import re
import select
import sys
import termios
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.gateway import environment_for
from tests.support.sandboxes import need_sandboxes, sandbox_folder

PATIENCE = 60.0
RUN = """
import argparse, sys
from penstock.cli import run, run_agent
from tests.support.session_world import HARNESSES
parser = argparse.ArgumentParser()
run.add_arguments(parser)
arguments = parser.parse_args(["loop", "--model", "demo", *sys.argv[1:]])
arguments.harness = "script"  # whose face is a shell
sys.exit(run_agent.run(arguments, HARNESSES))
"""


@pytest.fixture
def state() -> Iterator[Path]:
    need_sandboxes()
    with sandbox_folder() as folder:
        folder.mkdir(mode=0o711)
        yield folder


class Person:
    """Somebody who has typed it, at a terminal of 33 rows and 77 columns."""

    def __init__(self, state: Path, *words: str) -> None:
        self.seen = b""
        self.process, self.screen = pty.fork()
        if not self.process:
            environment = {**environment_for(), "PENSTOCK_STATE_DIR": str(state), "TERM": "xterm"}
            os.execve(sys.executable, [sys.executable, "-c", RUN, *words], environment)
        termios.tcsetwinsize(self.screen, (33, 77))

    def sees(self, pattern: str) -> None:
        until = time.monotonic() + PATIENCE
        while not (found := re.search(pattern.encode(), self.seen)):
            assert time.monotonic() < until, self.seen[-2000:]
            if select.select([self.screen], [], [], 0.2)[0]:
                self.seen += os.read(self.screen, 65536)
        self.seen = self.seen[found.end() :]

    def types(self, text: str) -> None:
        os.write(self.screen, text.encode())

    def ended(self) -> int:
        while select.select([self.screen], [], [], PATIENCE)[0]:
            try:
                self.seen += os.read(self.screen, 65536)
            except OSError:  # nobody has the other end any more
                break
        return os.waitstatus_to_exitcode(os.waitpid(self.process, 0)[1])


def test_a_person_works_with_it_and_its_end_is_the_end(state: Path, tmp_path: Path) -> None:
    (tmp_path / "given").write_text("given\n")
    person = Person(state, "--workspace", str(tmp_path))
    person.sees(r"\$ ")
    person.types("stty size; cat given; echo new > made; printf '\\033]52;c;eA==\\007'\n")
    person.sees("33 77\r\ngiven")
    person.types("exit 4\n")
    assert person.ended() == 1, person.seen
    assert (tmp_path / "made").read_text() == "new\n" and b"\x1b]52" not in person.seen


def test_who_has_no_terminal_is_asked_for_words(state: Path) -> None:
    import subprocess

    environment = {**environment_for(), "PENSTOCK_STATE_DIR": str(state)}
    done = subprocess.run([sys.executable, "-c", RUN], env=environment, input="", capture_output=True, text=True)
    assert done.returncode == 1 and "say what it shall do" in done.stderr
