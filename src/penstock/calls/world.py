"""The world: who does what an exchange asks for. A short loop over its generator, blocking; async_world.py has the
other.

Everything that the SDK does to the outside is in the two tables below: requests, waiting, reading credential files,
asking token services, running a credential program, calling the user's own token function.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Generator
from pathlib import Path
from typing import Any, TypeVar

from penstock.calls.transport import StreamBroken, Transport
from penstock.exchange import Broken, Clock, Close, Event, HTTPRequest, ReadOn, Reply, Send, Sleep, Step, Timeouts
from penstock.providers.auth.commands import (
    Call,
    CallResult,
    Fetch,
    Fetched,
    FileContent,
    Join,
    Joined,
    Outcome,
    ProgramOutput,
    ReadFile,
    RunProgram,
    Unreachable,
)
from penstock.resolve import Addresses, FetchedMedia, FetchPinned, LookUp, NotFetched

T = TypeVar("T")

SYSTEM_CLOCK = Clock(monotonic=time.monotonic, unix=time.time)
"""The real clocks."""


def as_send(command: Fetch) -> Send:
    """A token request as a Send. Connecting may take nearly all of its time: when that is over, it shall be known
    whether somebody was there.
    """
    seconds = command.timeout
    timeouts = Timeouts(connect=0.9 * seconds, first_token=seconds, between_tokens=seconds, total=seconds)
    request = HTTPRequest(command.method, command.url, tuple(command.headers.items()), command.body)
    return Send(request, False, timeouts, seconds)


def as_outcome(event: Reply | Broken, command: Fetch) -> Fetched | Unreachable:
    """Its answer as an outcome."""
    if isinstance(event, Broken):
        if event.kind == "timeout":
            what = "no answer" if event.sent else "no connection"
            return Unreachable(f"{what} within {command.timeout:.3g} s", event.sent)
        return Unreachable(event.message, event.sent)
    return Fetched(event.status, event.headers, event.body)


def read_file(command: ReadFile) -> FileContent:
    """The content of a credential file."""
    try:
        return FileContent(Path(command.path).read_bytes())
    except OSError:
        return FileContent(None)


def run_program(command: RunProgram) -> Outcome:
    """A `credential_process` of the user's own AWS profile: the arguments are theirs, and no shell reads them."""
    import subprocess

    try:
        done = subprocess.run(  # noqa: S603  # the user's own program, and no shell
            command.arguments, stdin=subprocess.DEVNULL, capture_output=True, timeout=command.timeout, check=False
        )
    except subprocess.TimeoutExpired:  # which would tell the arguments
        return Unreachable(f"it did not end within {command.timeout:g} s")
    except (OSError, ValueError, subprocess.SubprocessError) as error:
        return Unreachable(str(error))
    return ProgramOutput(done.returncode, done.stdout, done.stderr)


def join(command: Join) -> Joined:
    """Wait for a credential that another thread obtains. One that this very thread obtains, in an event loop that it
    keeps from running now, would never come.
    """
    flight, over = command.flight, threading.Event()
    if flight.thread != threading.get_ident():
        flight.then(over.set)
        over.wait(command.timeout)
    return Joined(flight.over)


def _addresses(found: list[Any]) -> Addresses:
    """What getaddrinfo says, each address once, in its order."""
    return Addresses(tuple(dict.fromkeys(str(entry[4][0]) for entry in found)))


def fetch_pinned(command: FetchPinned) -> FetchedMedia | NotFetched:
    """The media behind an address that was checked."""
    from penstock.calls import pinned  # it needs httpx, and few calls need it

    return pinned.fetch_pinned(command)


def look_up(command: LookUp) -> Addresses:
    """All addresses of a host."""
    import socket

    try:
        return _addresses(socket.getaddrinfo(command.host, command.port, type=socket.SOCK_STREAM))
    except (OSError, UnicodeError):  # no such name, or one that cannot be a name
        return Addresses(())


class World:
    """Does things, blocking. `direct` is a transport without a proxy, for metadata services."""

    def __init__(self, transport: Transport, direct: Transport) -> None:
        self._transport = transport
        self._direct = direct
        self._table: dict[type, Callable[[Any], Event]] = {
            Send: transport.send,
            Sleep: self._sleep,
            Close: self._close,
            ReadOn: self._read_on,
            Fetch: self._fetch,
            ReadFile: read_file,
            RunProgram: run_program,
            Call: self._call,
            Join: join,
            LookUp: look_up,
            FetchPinned: fetch_pinned,
        }

    def drive(self, run: Generator[Step, Event, T]) -> T:
        """Do what `run` asks for until it ends; its value, or what it raises."""
        event: Event = None
        try:
            while True:
                step = run.send(event)
                event = self._table[type(step)](step)
        except StopIteration as done:
            value: T = done.value
            return value
        finally:
            run.close()

    def _sleep(self, command: Sleep) -> None:
        time.sleep(command.seconds)

    def _close(self, command: Close) -> None:
        command.stream.close()

    def _read_on(self, command: ReadOn) -> bytes | Broken:
        try:
            piece: bytes = next(iter(command.stream), b"")
        except StreamBroken as cut:
            return cut.broken
        return piece

    def _fetch(self, command: Fetch) -> Outcome:
        transport = self._direct if command.direct else self._transport
        return as_outcome(transport.send(as_send(command)), command)

    def _call(self, command: Call) -> CallResult:
        value = command.function()
        if hasattr(value, "__await__"):
            raise TypeError("this token function is a coroutine: use the async call, or give a plain function")
        return CallResult(value)
