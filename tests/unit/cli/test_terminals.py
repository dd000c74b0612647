"""The commands where their streams are not what one hopes for: closed, full, a pipe that nobody reads, a terminal."""

from __future__ import annotations

import os
import pty
import select
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Callable

import pytest

from penstock.testing.providers import Reply, SimulatedProviders
from tests.e2e.gateway import NOWHERE, environment_for
from tests.support.fresh import clean_environment

PENSTOCK = f"{shlex.quote(sys.executable)} -m penstock"


def shell(command: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """A line as a shell runs it; PENSTOCK is the program. Its output ends with the statuses of all programs in it."""
    script = f"{command.replace('PENSTOCK', PENSTOCK)}; echo status ${{PIPESTATUS[@]}} >&2"
    return subprocess.run(
        ["bash", "-c", script],
        env=clean_environment() | {"OLLAMA_HOST": NOWHERE} | environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
    )


@pytest.mark.parametrize("command", ["models --limit 0", "models --limit 0 --json", "doctor", "chat demo hello"])
@pytest.mark.parametrize("reader", ["head -1", "head -c 1", "true"])
def test_a_reader_that_has_enough_is_no_error(command: str, reader: str) -> None:
    done = shell(f"PENSTOCK {command} | {reader}")
    assert done.stderr.splitlines()[-1] == "status 0 0"
    assert "Error" not in done.stderr and "Exception" not in done.stderr


@pytest.mark.parametrize("command", ["models", "doctor", "chat demo hello"])
def test_a_disk_that_is_full_is_told(command: str) -> None:
    done = shell(f"PENSTOCK {command} > /dev/full")
    assert done.stderr.splitlines()[-1] == "status 1"
    assert f"penstock {command.split()[0]}: [Errno 28]" in done.stderr
    assert "Traceback" not in done.stderr and "Exception" not in done.stderr


@pytest.mark.parametrize(
    ("command", "status"),
    [
        ("models >&-", 0),
        ("doctor >&-", 0),
        ("chat demo hello >&-", 0),
        ("chat demo <&-", 1),
        ("chat no-such-model hello 2>&-", 1),
    ],
)
def test_a_stream_that_is_closed_is_no_reason_to_break(command: str, status: int) -> None:
    done = shell(f"PENSTOCK {command}")
    assert done.stderr.splitlines()[-1] == f"status {status}"
    assert "Traceback" not in done.stderr


def test_a_terminal_without_the_letters_shows_them_somehow() -> None:
    done = shell("PENSTOCK chat demo h\u00e9llo", PYTHONIOENCODING="ascii")
    assert done.stdout.endswith("You said: h\\xe9llo\n")


class Terminal:
    """A program in a terminal of its own: `shown` is all that it printed there."""

    def __init__(self, *arguments: str, **environment: str) -> None:
        self.shown = b""
        self.pid, self._screen = pty.fork()
        if self.pid == 0:
            try:
                os.execve(sys.executable, [sys.executable, "-m", "penstock", *arguments], environment)
            finally:
                os._exit(127)

    def type(self, keys: bytes) -> None:
        os.write(self._screen, keys)

    def wait(self, holds: Callable[[bytes], bool]) -> None:
        """Read until what was shown holds."""
        end = time.monotonic() + 60
        while not holds(self.shown):
            assert time.monotonic() < end, self.shown
            if select.select([self._screen], [], [], 0.1)[0]:
                self.shown += os.read(self._screen, 65536)

    def end(self) -> int:
        """Its exit status, once it is over."""
        while True:
            try:
                if select.select([self._screen], [], [], 0.1)[0]:
                    self.shown += os.read(self._screen, 65536)
            except OSError:  # the terminal is gone with the program
                break
        status = os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])
        os.close(self._screen)
        return status


def test_ctrl_c_stops_an_answer_and_the_conversation_goes_on() -> None:
    with SimulatedProviders() as provider:
        provider.script(Reply.text("word " * 500, pieces=500).delivered(between=0.05), Reply.text("fine"))
        terminal = Terminal("chat", "openai/gpt-4o", **environment_for(provider), TERM="dumb")
        terminal.wait(lambda shown: shown.endswith(b"> "))
        terminal.type(b"Count\n")
        terminal.wait(lambda shown: b"word word" in shown)
        terminal.type(b"\x03")
        terminal.wait(lambda shown: b"stopped\r\n> " in shown)
        assert provider.wait_until(lambda each: each.last.outcome == "client left")
        terminal.type(b"Hello\n")
        terminal.wait(lambda shown: b"fine\r\n> " in shown)
        terminal.type(b"\x04")
        assert terminal.end() == 0
        assert [message["content"] for message in provider.last.json["messages"]] == ["Hello"]


def test_ctrl_c_ends_a_single_question() -> None:
    with SimulatedProviders() as provider:
        provider.script(Reply.text("word " * 500, pieces=500).delivered(between=0.05))
        terminal = Terminal("chat", "openai/gpt-4o", "Count", **environment_for(provider), TERM="dumb")
        terminal.wait(lambda shown: b"word" in shown)
        terminal.type(b"\x03")
        assert terminal.end() == 128 + signal.SIGINT
    assert b"Traceback" not in terminal.shown


def test_a_model_cannot_command_the_terminal() -> None:
    """OSC 52 would write the clipboard, a carriage return and CSI would paint over what was said."""
    with SimulatedProviders() as provider:
        provider.script(Reply.text("a\x1b]52;c;aGFjaw==\x07b\x1b[31mc\x9b2Jd\re\tf"))
        terminal = Terminal("chat", "openai/gpt-4o", "Hello", **environment_for(provider), TERM="dumb")
        assert terminal.end() == 0
    assert b"a]52;c;aGFjaw==b[31mc2Jde\tf\r\n" in terminal.shown
    assert b"\x1b" not in terminal.shown and b"\x07" not in terminal.shown


def test_what_a_model_says_goes_into_a_pipe_as_it_is() -> None:
    assert shell("PENSTOCK chat demo $'\\x1b[31mred'").stdout.endswith("You said: \x1b[31mred\n")
