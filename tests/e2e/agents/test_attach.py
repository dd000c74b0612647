"""`penstock attach` in terminals of our own, at a real server: what people see, type and leave behind."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import re
import select
import struct
import subprocess
import sys
import termios
import time
from collections import deque
from collections.abc import Iterator
from typing import Any

import pytest
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import connect

from tests.e2e.gateway import KEY, environment_for, serving
from tests.support.fresh import clean_environment
from tests.support.killed_sessions import AgentsProcess
from tests.support.sandboxes import need_sandboxes, sandbox_folder

PATIENCE = 30.0
DETACH = b"\x1d"


@pytest.fixture(scope="module")
def server() -> Iterator[AgentsProcess]:
    need_sandboxes()
    gateway = serving({**environment_for(), "PENSTOCK_MASTER_KEY": KEY}, "--workers", "1")
    with gateway as running, sandbox_folder() as folder:
        folder.mkdir(mode=0o711)
        made = AgentsProcess(folder, running.url, KEY, environment_for())
        made.start()
        try:
            yield made
        finally:
            made.stop()


@pytest.fixture
def session(server: AgentsProcess) -> Iterator[str]:
    """A session that is up, of an agent whose own face is a shell without prompts."""
    face = {"name": "face", "harness": "command", "model": "demo", "options": {"command": ["sh", "-s"]}}
    agent = server.call("POST", "/v1/agents", face)["id"]
    place = server.call("POST", "/v1/environments", {"name": "no way out"})["id"]
    made: str = server.call("POST", "/v1/sessions", {"agent": agent, "environment": place})["id"]
    state_is(server, made, "idle")
    yield made
    server.call("POST", f"/v1/sessions/{made}/terminate")


def state_is(server: AgentsProcess, session: str, *states: str) -> None:
    until = time.monotonic() + PATIENCE
    while (row := server.call("GET", f"/v1/sessions/{session}"))["state"] not in states:
        assert time.monotonic() < until, row
        time.sleep(0.05)


class Person:
    """Somebody at a terminal of so many rows and columns, who has typed `penstock attach`."""

    def __init__(self, server: AgentsProcess, *words: str, rows: int = 30, columns: int = 90) -> None:
        self.seen = b""
        self.screen, inner = os.openpty()
        self._before = termios.tcgetattr(inner)
        self._inner = inner
        self.resize(rows, columns)
        self.process = subprocess.Popen(
            [sys.executable, "-m", "penstock", "attach", "--state-dir", str(server.state), *words],
            env=clean_environment(), stdin=inner, stdout=inner, stderr=inner, start_new_session=True,
            preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0),
        )  # fmt: skip

    def resize(self, rows: int, columns: int) -> None:
        fcntl.ioctl(self.screen, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))

    def types(self, text: str | bytes) -> None:
        os.write(self.screen, text.encode() if isinstance(text, str) else text)

    def sees(self, pattern: str) -> re.Match[bytes]:
        """Wait until this has been shown; what came before is not looked at again."""
        until = time.monotonic() + PATIENCE
        while (found := re.search(pattern.encode(), self.seen)) is None:
            assert time.monotonic() < until, (pattern, self.seen[-2000:])
            self._look(0.2)
        self.seen = self.seen[found.end() :]
        return found

    def _look(self, seconds: float) -> None:
        if select.select([self.screen], [], [], seconds)[0]:
            with contextlib.suppress(OSError):
                self.seen += os.read(self.screen, 65536)

    def leaves(self, key: bytes = DETACH) -> bytes:
        """Detach; what was shown since."""
        self.types(key)
        return self.ended(0)

    def ended(self, status: int) -> bytes:
        until = time.monotonic() + PATIENCE
        while self.process.poll() is None:
            assert time.monotonic() < until, self.seen[-2000:]
            self._look(0.05)
        self._look(0.1)
        assert self.process.returncode == status, self.seen[-2000:]
        assert termios.tcgetattr(self._inner) == self._before, "the terminal is as it was"
        os.close(self.screen)
        os.close(self._inner)
        return self.seen


def test_a_person_types_leaves_and_comes_back(server: AgentsProcess, session: str) -> None:
    person = Person(server, session)
    person.types("stty size; HERE=still\n")
    person.sees("30 90")
    person.resize(41, 120)
    person.types("sleep 0.3; stty size\n")
    person.sees("41 120")
    shown = person.leaves()
    assert b"\x1b[?1049l" in shown and b"detached" in shown
    again = Person(server, session, rows=20, columns=70)
    again.sees("41 120")  # what was there when we left
    again.types("echo it is $HERE there; stty size\n")
    again.sees("it is still there")
    again.sees("20 70")
    again.types("exit 3\n")
    again.ended(3)
    events = [event["data"] for event in server.events(session) if event["data"]["kind"] == "terminal"]
    assert [(each["program"], each["change"], each.get("status")) for each in events] == [
        ("agent", "opened", None), ("agent", "ended", 3)
    ]  # fmt: skip
    assert events[0]["by"].startswith("tok_")


def test_several_look_at_the_same_and_one_only_watches(server: AgentsProcess, session: str) -> None:
    one = Person(server, session)
    one.types("echo first\n")
    one.sees(r"(?<!echo )first")
    two = Person(server, session)
    two.sees(r"(?<!echo )first")
    watcher = Person(server, session, "--watch")
    watcher.sees(r"(?<!echo )first")
    watcher.types("echo not this\n")
    two.types("echo from two\n")
    for person in (one, two, watcher):
        person.sees(r"(?<!echo )from two")
    one.leaves()
    two.types("echo goes on\n")
    two.sees(r"(?<!echo )goes on")
    watcher.sees(r"(?<!echo )goes on")
    assert b"\nnot this" not in two.seen + watcher.seen
    two.types("exit\n")
    two.ended(0)
    watcher.ended(0)


def test_what_commands_a_terminal_does_not_come_through(server: AgentsProcess, session: str) -> None:
    person = Person(server, session, "--shell", "--detach-key", "ctrl-\\")
    hostile = r"\033]52;c;aGVsbG8=\007\033]0;title\007\033[>1u\033[?2h\033P\$qm\007\033[21t"
    person.types(f"printf 'be''gin {hostile} en''d\\n'\n")
    found = person.sees("begin ([^\n]*) end\r?\n")
    assert found[1].strip() == b""
    person.types(r"printf '\033[6n'; IFS= read -r -s -d R answer; echo got ${answer#?}" + "\n")
    person.sees(r"(?<!echo )got \[\d+;\d+")  # a program that asks is answered, by nobody's terminal
    person.leaves(b"\x1c")


def test_a_turn_and_the_agents_own_terminal_wait_for_each_other(server: AgentsProcess, session: str) -> None:
    path = f"/v1/sessions/{session}"
    server.call("POST", f"{path}/messages", {"text": "sleep 3; echo turn"})
    state_is(server, session, "running")
    refused = Person(server, session)
    assert b"the agent is in a turn" in refused.ended(1)
    shell = Person(server, session, "--shell")
    shell.types("echo shell$((1+1))\n")
    shell.sees("shell2")
    shell.types("exit\n")
    shell.ended(0)
    state_is(server, session, "idle")
    person = Person(server, session)
    person.types("echo open\n")
    person.sees(r"(?<!echo )open")
    server.call("POST", f"{path}/messages", {"text": "echo after the terminal"})
    person.types("echo still$((1+1))\n")
    person.sees("still2")
    assert server.call("GET", path)["state"] == "idle"
    person.types("exit\n")
    person.ended(0)
    until = time.monotonic() + PATIENCE
    while not any(event["data"].get("text") == "after the terminal\n" for event in server.events(session)):
        assert time.monotonic() < until, server.events(session)[-5:]
        time.sleep(0.05)


def test_a_suspended_session_ends_its_terminals_and_says_how_to_go_on(server: AgentsProcess, session: str) -> None:
    person = Person(server, session)
    person.types("echo open\n")
    person.sees(r"(?<!echo )open")
    server.call("POST", f"/v1/sessions/{session}/suspend")
    person.ended(129 if person.process.poll() == 129 else 137)
    refused = Person(server, session)
    assert f"penstock sessions resume {session}".encode() in refused.ended(1)


def attached(server: AgentsProcess, session: str, query: str, token: str) -> Any:
    address = f"ws{server.found.url.removeprefix('http')}/v1/sessions/{session}/terminal?{query}"
    return connect(address, additional_headers={"authorization": f"Bearer {token}"}, proxy=None)


def token_with(server: AgentsProcess, *scopes: str) -> dict[str, Any]:
    made: dict[str, Any] = server.call("POST", "/v1/tokens", {"name": "t", "scopes": list(scopes)})
    return made


@pytest.mark.parametrize(
    ("query", "scopes", "status"),
    [
        ("program=shell", ["sessions:read"], 403),
        ("program=shell&watch=true", ["sessions:read"], 409),  # nobody has opened it
        ("program=emacs", ["sessions:read", "sessions:write"], 400),
        ("rows=0", ["sessions:read", "sessions:write"], 400),
        ("colums=3", ["sessions:read", "sessions:write"], 400),
        ("", ["agents:read"], 403),
    ],
)  # fmt: skip
def test_who_may_not_is_told(server: AgentsProcess, session: str, query: str, scopes: list[str], status: int) -> None:
    with pytest.raises(InvalidStatus) as refused:
        attached(server, session, query, token_with(server, *scopes)["secret"])
    assert refused.value.response.status_code == status
    assert json.loads(refused.value.response.body or b"")["error"]["message"]


def test_a_viewer_whose_token_is_revoked_is_cut_off(server: AgentsProcess, session: str) -> None:
    token = token_with(server, "sessions:read", "sessions:write")
    with attached(server, session, "program=shell", token["secret"]) as viewer:
        viewer.send(b"echo in\n")
        server.call("DELETE", f"/v1/tokens/{token['token']['id']}")
        with pytest.raises(ConnectionClosed, match="this token does not stand any more"):
            deque(viewer)


def test_it_needs_a_terminal(server: AgentsProcess, session: str) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "penstock", "attach", "--state-dir", str(server.state), session],
        env=clean_environment(), stdin=subprocess.DEVNULL, capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 1 and "this needs a terminal" in done.stderr
