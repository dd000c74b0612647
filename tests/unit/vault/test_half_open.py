"""A peer that says its end over plain TCP: it may still listen, or be gone for ever."""

import asyncio
import socket
from collections.abc import Awaitable, Callable

import pytest

from penstock.vault import stream
from penstock.vault.stream import Stream


@pytest.fixture(autouse=True)
def _soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stream, "LEFT_SECONDS", 0.05)


def joined(test: Callable[[Stream, socket.socket, asyncio.Event], Awaitable[None]]) -> None:
    async def whole() -> None:
        gone = asyncio.Event()
        ours, theirs = socket.socketpair()
        with theirs:
            _, protocol = await asyncio.get_running_loop().create_connection(lambda: Stream(gone.set), sock=ours)
            try:
                await test(protocol, theirs, gone)
            finally:
                protocol.cut()

    asyncio.run(whole())


def test_who_says_its_end_and_hears_nothing_is_gone() -> None:
    async def test(ours: Stream, theirs: socket.socket, gone: asyncio.Event) -> None:
        theirs.shutdown(socket.SHUT_WR)
        assert await ours.read() == b""
        await asyncio.wait_for(gone.wait(), 10)

    joined(test)


def test_who_says_its_end_and_listens_gets_all_of_its_answer() -> None:
    async def test(ours: Stream, theirs: socket.socket, gone: asyncio.Event) -> None:
        theirs.shutdown(socket.SHUT_WR)
        for _ in range(8):  # longer than the patience for silence
            await ours.write(b"x")
            await asyncio.sleep(0.02)
        assert not gone.is_set()
        ours.end()
        await asyncio.wait_for(gone.wait(), 10)
        assert theirs.recv(100) == b"x" * 8

    joined(test)
