"""The channel on real sockets: asks, tells, order, lost connections, and what is not a message."""

from __future__ import annotations

import asyncio
import os
import socket
import struct
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import msgspec
import pytest

from penstock.control import channel as module
from penstock.control.channel import AWAY, LATE, LOST, Channel, ChannelServer, Connection, Handler, Handlers, Reply
from penstock.gateway.lease_words import Units


class Ends:
    """A keeper's and a worker's end, and what became of them."""

    def __init__(self, folder: Path, keeper: Handlers, worker: Handlers | None = None) -> None:
        self.path = str(folder / "channel")
        self.listener = socket.socket(socket.AF_UNIX)
        self.listener.bind(self.path)
        self.listener.listen()
        self.keeper = keeper
        self.events: list[str] = []
        self.server = self.make_server()
        self.channel = Channel(
            self.path, worker or {}, lambda: self.events.append("connected"), lambda why: self.events.append(why)
        )

    def make_server(self) -> ChannelServer:
        return ChannelServer(self.keeper, lambda one: None, lambda one, why: self.events.append(f"keeper: {why}"))

    async def open(self) -> Ends:
        await self.server.start(self.listener)
        self.channel.start()
        await until(lambda: self.channel.open)
        return self

    async def kill_keeper(self) -> None:
        """As a killed process: its connections are closed, and the listening socket stays."""
        assert self.server._server is not None
        self.server._server.close()
        for one in list(self.server.connections):
            one.end("killed")
        await until(lambda: not self.channel.open)

    async def close(self) -> None:
        await self.channel.aclose()
        await self.server.aclose()
        self.listener.close()
        await asyncio.sleep(0)

    async def ask(self, kind: str, payload: Any, seconds: float = 5.0, **more: Any) -> Any:
        """The answer, or the reason as a string in a list."""
        future: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        self.channel.ask(kind, payload, future.set_result, lambda why: future.set_result([why]), seconds, **more)
        assert not future.done(), "nothing is called before it returns"
        return await future


async def until(true: Callable[[], bool]) -> None:
    async with asyncio.timeout(20):
        while not true():  # noqa: ASYNC110  there are many things to wait for, and no event for each
            await asyncio.sleep(0.002)


@pytest.fixture
def folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A folder whose path is short enough for a Unix socket."""
    before = Path.cwd()
    os.chdir(tmp_path_factory.mktemp("c"))
    yield Path()
    os.chdir(before)


def echo(connection: Connection, payload: Any, reply: Reply) -> None:
    reply.answer(payload)


def never(connection: Connection, payload: Any, reply: Reply) -> None:
    """Answers nothing."""


def in_a_loop(test: Callable[[], Any]) -> None:
    asyncio.run(test())


def test_both_ends_ask_and_tell_with_typed_payloads(folder: Path) -> None:
    async def run() -> None:
        told: list[Any] = []
        worker = {"double": Handler(lambda one, units, reply: reply.answer(units.units * 2), Units)}
        keeper = {"echo": Handler(echo), "tell": Handler(lambda one, payload, reply: told.append(payload), Units)}
        ends = await Ends(folder, keeper, worker).open()
        ends.channel.tell("tell", Units("a", 1.0, 2))
        assert await ends.ask("echo", {"any": ["thing", 1, None]}) == {"any": ["thing", 1, None]}
        assert told == [Units("a", 1.0, 2)]
        assert await ends.ask("echo", Units("a", 1.0, 2), type=Units) == Units("a", 1.0, 2)
        (connection,) = ends.server.connections
        answer: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        connection.ask("double", Units("a", 1.0, 21), answer.set_result, lambda why: None, 5.0)
        assert await answer == 42
        if connection.pid is not None:
            assert connection.pid == os.getpid()
        await ends.close()

    in_a_loop(run)


def test_messages_keep_their_order_and_those_of_one_turn_leave_at_once(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def run() -> None:
        heard: list[int] = []
        ends = await Ends(folder, {"n": Handler(lambda one, number, reply: heard.append(number), int)}).open()
        flushes = []
        flush = Connection._flush

        def counted(connection: Connection) -> None:
            flushes.append(1)
            flush(connection)

        monkeypatch.setattr(Connection, "_flush", counted)
        for number in range(5000):
            ends.channel.tell("n", number)
        await until(lambda: len(heard) == 5000)
        assert heard == list(range(5000))
        assert len(flushes) == 1
        await ends.close()

    in_a_loop(run)


def test_an_answer_that_does_not_come_fails_in_time_and_a_failure_has_its_reason(folder: Path) -> None:
    async def run() -> None:
        kinds = {"never": Handler(never), "no": Handler(lambda one, payload, reply: reply.fail("no such key"))}
        ends = await Ends(folder, kinds).open()
        assert await ends.ask("never", None, seconds=0.05) == [LATE]
        assert await ends.ask("no", None) == ["no such key"]
        await ends.close()

    in_a_loop(run)


def test_asks_under_way_fail_when_the_keeper_dies_and_the_worker_is_back_with_the_next(folder: Path) -> None:
    async def run() -> None:
        ends = await Ends(folder, {"never": Handler(never), "echo": Handler(echo)}).open()
        asked = asyncio.create_task(ends.ask("never", None))
        await asyncio.sleep(0.02)
        await ends.kill_keeper()
        assert await asked == [LOST]
        assert await ends.ask("echo", 1) == [AWAY]
        ends.server = ends.make_server()
        await ends.server.start(ends.listener)
        await until(lambda: ends.channel.open)
        assert await ends.ask("echo", 1) == 1
        assert [one for one in ends.events if not one.startswith("keeper")][0::2] == ["connected", "connected"]
        await ends.close()

    in_a_loop(run)


def test_a_question_that_may_be_asked_twice_is_asked_of_the_next_keeper(folder: Path) -> None:
    async def run() -> None:
        ends = await Ends(folder, {"q": Handler(never)}).open()
        asked = asyncio.create_task(ends.ask("q", 7, again=True))
        await asyncio.sleep(0.02)
        await ends.kill_keeper()
        waits = asyncio.create_task(ends.ask("q", 8, again=True))
        assert await ends.ask("q", 9, seconds=0.1, again=True) == [LATE]  # it waits where the next keeper will look
        ends.keeper = {"q": Handler(echo)}
        ends.server = ends.make_server()
        await ends.server.start(ends.listener)
        assert (await asked, await waits) == (7, 8)
        await ends.close()

    in_a_loop(run)


@pytest.mark.parametrize(
    "sent",
    [
        struct.pack(">I", module.MOST_BYTES + 1),
        struct.pack(">I", 3) + b"\xc1\xc1\xc1",
        struct.pack(">I", 1) + b"\x90",
        *[
            struct.pack(">I", len(frame)) + frame
            for frame in map(msgspec.msgpack.encode, ([0, 0, "unknown", None], [0, 0, "n", "text"], [9, 0, "n", 1]))
        ],
        *[
            struct.pack(">I", len(frame)) + frame
            for frame in map(msgspec.msgpack.encode, ([0, 0, "fails", None], [1, "x", "n", 1], {"what": 0}))
        ],
    ],
    ids=["too-long", "no-msgpack", "no-frame", "unknown-kind", "wrong-type", "what", "handler-fails", "number", "map"],
)
def test_what_is_not_a_message_ends_its_connection_and_no_other(folder: Path, sent: bytes) -> None:
    async def run() -> None:
        def fails(connection: Connection, payload: Any, reply: Reply) -> None:
            raise RuntimeError("a handler's own fault")

        handlers = {"n": Handler(never, int), "fails": Handler(fails), "echo": Handler(echo)}
        ends = await Ends(folder, handlers).open()
        reader, writer = await asyncio.open_unix_connection(ends.path)
        writer.write(sent)
        if sent[4:5] == b"\x94" and sent[5] == 9:  # an answer to nothing is ignored, so say something besides
            writer.write(struct.pack(">I", 1) + b"\x90")
        with suppress(ConnectionResetError):
            assert await reader.read() == b""
        writer.close()
        assert await ends.ask("echo", 1) == 1
        await ends.close()

    in_a_loop(run)


def test_frames_may_be_cut_anywhere(folder: Path) -> None:
    async def run() -> None:
        heard: list[int] = []
        ends = await Ends(folder, {"n": Handler(lambda one, number, reply: heard.append(number), int)}).open()
        _, writer = await asyncio.open_unix_connection(ends.path)
        frames = b""
        for number in range(20):
            frame = msgspec.msgpack.encode([0, 0, "n", number])
            frames += struct.pack(">I", len(frame)) + frame
        for index in range(len(frames)):
            writer.write(frames[index : index + 1])
            await asyncio.sleep(0)
        await until(lambda: len(heard) == 20)
        assert heard == list(range(20))
        writer.close()
        await ends.close()

    in_a_loop(run)


def test_who_does_not_read_is_cut_off_before_memory_is_full(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MOST_BACKLOG", 1_000_000)

    async def run() -> None:
        ends = await Ends(folder, {}).open()
        deaf = socket.socket(socket.AF_UNIX)
        deaf.connect(ends.path)
        await until(lambda: len(ends.server.connections) == 2)
        for _ in range(100):
            for connection in list(ends.server.connections):
                if connection.open:
                    connection.tell("x", b"0" * 100_000)
            await asyncio.sleep(0)
        await until(lambda: "keeper: the other end does not read" in ends.events)
        deaf.close()
        await ends.close()

    in_a_loop(run)


def test_without_any_keeper_a_question_fails_and_one_that_can_wait_waits(folder: Path) -> None:
    async def run() -> None:
        ends = Ends(folder, {"echo": Handler(echo)})
        ends.listener.close()
        os.unlink(ends.path)  # noqa: PTH108  of a test's own folder
        ends.channel.start()
        assert await ends.ask("echo", 1) == [AWAY]
        assert await ends.ask("echo", 1, seconds=0.05, again=True) == [AWAY]
        waits = asyncio.create_task(ends.ask("echo", 1, seconds=60.0, again=True))
        await asyncio.sleep(0.02)
        await ends.channel.aclose()
        assert await waits == [LOST], "closing leaves nobody waiting"

    in_a_loop(run)


def test_a_message_that_is_too_long_is_refused_where_it_is_made(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MOST_BYTES", 1000)

    async def run() -> None:
        ends = await Ends(folder, {"echo": Handler(echo)}).open()
        with pytest.raises(ValueError, match="too long"):
            ends.channel.tell("echo", b"0" * 1000)
        assert await ends.ask("echo", 1) == 1
        await ends.close()

    in_a_loop(run)
