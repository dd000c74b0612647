"""The control socket of a real vault under callers who err: it answers, goes on, and keeps no socket of theirs."""

from __future__ import annotations

import array
import json
import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from penstock.vault import wire
from penstock.vault.api import SessionSpec, open_secrets
from tests.support.waiting import until


class Caller:
    """A vault process, and the other end of its control socket, without a client between."""

    def __init__(self, folder: Path) -> None:
        with open_secrets(folder):
            pass
        self.control, theirs = wire.pair()
        self.control.setblocking(True)
        self.control.settimeout(15)
        command = [
            sys.executable,
            "-m",
            "penstock.vault",
            "--state-dir",
            str(folder),
            "--control",
            str(theirs.fileno()),
        ]
        self.process = subprocess.Popen(command, pass_fds=[theirs.fileno()], stderr=subprocess.PIPE)
        theirs.close()
        self.number = 0

    def send(self, data: bytes, *sockets: socket.socket | int) -> None:
        """A packet, whatever is in it."""
        numbers = array.array("i", [each if isinstance(each, int) else each.fileno() for each in sockets])
        rights = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, numbers.tobytes())] if sockets else []
        self.control.sendmsg([data], rights)

    def answer(self) -> dict[str, Any]:
        """The next answer; events are passed over."""
        while True:
            packet = json.loads(self.control.recv(wire.MAX_MESSAGE))
            if packet["answer"] is not None:
                return dict(packet["answer"])

    def call(
        self, name: str, *sockets: socket.socket | int, kinds: tuple[str, ...] = (), **arguments: Any
    ) -> dict[str, Any]:
        """A well-formed call and its answer."""
        self.number += 1
        self.send(
            msgspec.json.encode({"number": self.number, "name": name, "arguments": arguments, "kinds": kinds}), *sockets
        )
        return self.answer()

    def descriptors(self) -> int:
        """How many file descriptors the vault has open."""
        return len(list(Path(f"/proc/{self.process.pid}/fd").iterdir()))


@pytest.fixture(scope="module")
def caller(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Caller]:
    caller = Caller(tmp_path_factory.mktemp("vault"))
    assert caller.call("ping")["result"] == "pong"
    yield caller
    caller.control.close()
    assert caller.process.wait(15) == 0, "it ends when its peer closes"
    assert caller.process.stderr is not None
    with caller.process.stderr as errors:
        assert errors.read() == b""


def spec(id: str, **more: Any) -> dict[str, Any]:
    return dict(msgspec.to_builtins(SessionSpec(id=id, **more)))


@pytest.mark.parametrize(
    "data",
    [b"no JSON", b"{}", b"\xff\xfe", b"[]", b'{"number": 7}', b'{"number": "x", "name": "ping"}',
     b'{"number": 7, "name": "ping", "more": 1}', b'{"number": 7, "name": "ping", "kinds": ["camel"]}', b"[" * 100_000],
    ids=range(9),
)  # fmt: skip
def test_what_is_no_call_is_answered(caller: Caller, data: bytes) -> None:
    listener = socket.create_server(("127.0.0.1", 0))
    before = caller.descriptors()
    with listener:
        caller.send(data, listener)
        assert caller.answer()["code"] == "bad_call"
    assert caller.call("ping")["result"] == "pong"
    assert caller.descriptors() == before


@pytest.mark.parametrize(
    ("name", "arguments", "code"),
    [
        ("nothing", {}, "bad_call"),
        ("__class__", {}, "bad_call"),
        ("open", {}, "bad_call"),
        ("open", {"spec": {"id": 5}}, "bad_call"),
        ("open", {"spec": {"id": "x", "unknown": 1}}, "bad_call"),
        ("open", {"spec": spec("x", secrets=("NOBODY",))}, "no_such_secret"),
        ("open", {"spec": spec("x", rules=("GET what",))}, "bad_rule"),
        ("open", {"spec": spec("x", captures=("what",))}, "bad_rule"),
        ("close", {"session": "nobody"}, "no_session"),
        ("close", {"session": ["a", "list"]}, "bad_call"),
        ("freeze", {"session": "nobody", "reason": ""}, "no_session"),
        ("freeze", {}, "bad_call"),
        ("allow", {"session": "nobody", "rule": "* https://example.com:443/*"}, "no_session"),
        ("decide", {"session": "nobody", "proposal": "", "allowed": True}, "no_session"),
    ],
)
def test_wrong_calls_are_refused_with_a_word(caller: Caller, name: str, arguments: dict[str, Any], code: str) -> None:
    answer = caller.call(name, **arguments)
    assert answer["code"] == code and answer["reason"], answer
    assert caller.call("sessions")["result"] == []


def test_listeners_that_are_none_are_refused_and_closed(caller: Caller) -> None:
    plain = socket.socket()
    datagram = socket.socket(type=socket.SOCK_DGRAM)
    listening = socket.create_server(("127.0.0.1", 0))
    file = os.open("/dev/null", os.O_RDONLY)
    before = caller.descriptors()
    for kinds, sockets in (
        (("proxy",), (plain,)),
        (("proxy",), (datagram,)),
        (("dns",), (listening,)),
        (("proxy", "dns"), (listening,)),
        ((), (listening,)),
        (("proxy",), (file,)),
        (("proxy", "proxy"), (listening, plain)),
    ):
        answer = caller.call("open", *sockets, kinds=kinds, spec=spec("bad"))
        assert answer["code"] == "bad_listener", (kinds, answer)
    assert caller.call("open", listening, kinds=("proxy",), spec=spec("good"))["code"] == ""
    assert caller.call("open", listening, kinds=("proxy",), spec=spec("good"))["code"] == "session_exists"
    assert caller.call("listen", plain, kinds=("proxy",), session="good")["code"] == "bad_listener"
    assert caller.call("close", session="good")["code"] == ""
    until(lambda: caller.descriptors() == before)
    for each in (plain, datagram, listening):
        each.close()
    os.close(file)


def test_a_message_that_is_too_long_is_answered(caller: Caller) -> None:
    before = caller.descriptors()
    caller.send(b" " * (wire.MAX_MESSAGE + 1))
    assert caller.answer()["code"] == "bad_call"
    answer = caller.call(
        "open", spec=spec("long", rules=tuple(f"* https://host{n}.example.org:443/*" for n in range(2800)))
    )
    assert answer["code"] in ("", "too_long"), answer["code"]
    if answer["code"] == "":
        caller.call("close", session="long")
    assert caller.call("ping")["result"] == "pong" and caller.descriptors() == before


def test_who_does_not_read_its_answers_gets_them_later(caller: Caller) -> None:
    caller.control.setblocking(False)
    sent = 0
    try:
        while sent < 20_000:
            caller.send(b'{"number": %d, "name": "ping"}' % (1_000_000 + sent))
            sent += 1
    except BlockingIOError:
        pass
    caller.control.settimeout(15)
    assert [caller.answer()["number"] for _ in range(sent)] == [1_000_000 + each for each in range(sent)]
    assert caller.call("ping")["result"] == "pong"


def test_a_slow_call_holds_up_no_other(caller: Caller, tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    folder = Path(caller.process.args[4] if isinstance(caller.process.args, list) else "")
    with open_secrets(folder) as secrets:
        secrets.set("SLOW", None, bindings=["* https://example.com/* header:authorization"], source=f"exec:cat {pipe}")
    caller.number += 1
    caller.send(
        msgspec.json.encode({"number": 77, "name": "open", "arguments": {"spec": spec("slow", secrets=("SLOW",))}})
    )
    assert caller.call("ping")["result"] == "pong"
    with pipe.open("wb") as writing:
        writing.write(b"fake-secret-0123456789")
    assert caller.answer() | {"result": None} == {"number": 77, "result": None, "code": "", "reason": "", "fix": ""}
    caller.call("close", session="slow")
