"""The listener: whoever waits is taken, however many there are and whatever becomes of the others."""

import asyncio
import errno
import logging
import os
import socket
import struct
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest
import uvloop

from penstock.gateway.http import listener
from penstock.gateway.http.listener import A_TURN, Listener


class Crowd(asyncio.Protocol):
    """All clients that were taken. Each says a byte, which comes back."""

    def __init__(self, taken: list["Crowd"]) -> None:
        taken.append(self)

    def connection_made(self, transport: Any) -> None:
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        self.transport.write(data)


class Place:
    """A socket that listens, and who has come to it."""

    def __init__(self, listening: socket.socket) -> None:
        self.socket = listening
        self.taken: list[Crowd] = []
        self.clients: list[socket.socket] = []

    def come(self, count: int) -> None:
        for _ in range(count):
            client = socket.create_connection(self.socket.getsockname())
            client.setblocking(False)
            self.clients.append(client)

    def listen(self) -> Listener:
        return Listener(asyncio.get_running_loop(), self.socket, lambda: Crowd(self.taken))

    async def heard(self) -> None:
        """Every client is answered."""
        loop = asyncio.get_running_loop()
        for client in self.clients:
            client.send(b"x")
            assert await loop.sock_recv(client, 1) == b"x"


@asynccontextmanager
async def place() -> AsyncIterator[Place]:
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen(1024)
        listening.setblocking(False)
        found = Place(listening)
        try:
            yield found
        finally:
            for client in found.clients:
                client.close()
            for each in found.taken:
                each.transport.abort()
            await asyncio.sleep(0.01)  # so that transports let go of their sockets


@pytest.fixture(params=["asyncio", "uvloop"])
def run(request: pytest.FixtureRequest) -> Callable[[Callable[[], Awaitable[None]]], None]:
    def run(scenario: Callable[[], Awaitable[None]]) -> None:
        make = uvloop.new_event_loop if request.param == "uvloop" else asyncio.new_event_loop
        with asyncio.Runner(loop_factory=make) as runner:
            runner.run(asyncio.wait_for(scenario(), 20))

    return run


Run = Callable[[Callable[[], Awaitable[None]]], None]


def test_all_who_wait_are_taken_at_once(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """However long a turn of the loop takes, a crowd needs one, and not one each."""
    turns: list[int] = []
    accept = Listener._accept

    def watched(self: Listener) -> None:
        turns.append(len(self._opening))
        accept(self)

    monkeypatch.setattr(Listener, "_accept", watched)

    async def scenario() -> None:
        async with place() as here:
            here.come(A_TURN // 2)
            listener = here.listen()
            await here.heard()
            assert (len(here.taken), len(turns)) == (A_TURN // 2, 1)
            here.come(A_TURN * 2)
            await here.heard()
            assert len(here.taken) == A_TURN // 2 + A_TURN * 2
            assert len(turns) <= 4
            listener.close()

    run(scenario)


def test_one_that_has_gone_keeps_nobody_from_being_taken(run: Run) -> None:
    async def scenario() -> None:
        async with place() as here:
            here.come(3)
            gone = here.clients.pop(1)
            gone.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            gone.close()  # with a reset
            listener = here.listen()
            await here.heard()
            listener.close()

    run(scenario)


class NoRoom(socket.socket):
    """Cannot accept until told so."""

    errors: list[int]

    def accept(self) -> tuple[socket.socket, object]:
        if self.errors:
            number = self.errors.pop()
            raise OSError(number, os.strerror(number))
        return super().accept()


@pytest.mark.parametrize("number", [errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM])
def test_without_room_they_wait_and_are_taken_later(
    run: Run, number: int, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(listener, "REST", 0.01)

    async def scenario() -> None:
        async with place() as here:
            here.socket = NoRoom(fileno=os.dup(here.socket.fileno()))
            here.socket.setblocking(False)
            here.socket.errors = [number, number]
            here.come(2)
            listening = here.listen()
            await here.heard()
            listening.close()
            here.socket.close()

    with caplog.at_level(logging.ERROR):
        run(scenario)
    assert [os.strerror(number) in record.message for record in caplog.records] == [True, True]


def test_an_error_of_one_connection_is_not_the_next_ones(run: Run) -> None:
    async def scenario() -> None:
        async with place() as here:
            here.socket = NoRoom(fileno=os.dup(here.socket.fileno()))
            here.socket.setblocking(False)
            here.socket.errors = [errno.ECONNABORTED, errno.EPROTO]
            here.come(2)
            listening = here.listen()
            await here.heard()
            listening.close()
            here.socket.close()

    run(scenario)


@pytest.mark.parametrize("resting", [False, True])
def test_who_comes_after_the_end_waits_for_the_next_listener(run: Run, resting: bool) -> None:
    async def scenario() -> None:
        async with place() as here:
            listening = here.listen()
            if resting:
                listening._rest(OSError(errno.EMFILE, "no"))
            listening.close()
            here.come(2)
            await asyncio.sleep(0.05)
            assert here.taken == []
            again = here.listen()
            await here.heard()
            again.close()

    run(scenario)
