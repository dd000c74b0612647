"""The outbox: all that is written goes out, in its order, when the loop turns or earlier; and nothing after an end."""

import asyncio
import socket
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from penstock.gateway.outbox import LARGE, TOGETHER, Outbox, Outgoing
from tests.support.wire import Wire


class Closed(Wire):
    """As uvloop's transports are when they are closed."""

    def write(self, data: bytes) -> None:
        raise RuntimeError("unable to perform operation on <TCPTransport closed=True>; the handler is closed")

    def writelines(self, pieces: Any) -> None:
        self.write(b"".join(pieces))


def run(scenario: Callable[[Outbox], Awaitable[None]]) -> None:
    async def whole() -> None:
        await asyncio.wait_for(scenario(Outbox(asyncio.get_running_loop())), 20)

    asyncio.run(whole())


def test_what_is_written_waits_until_the_loop_turns() -> None:
    async def scenario(outbox: Outbox) -> None:
        wires = [Wire(), Wire()]
        for number, wire in enumerate(wires):
            Outgoing(wire, outbox).write(b"%d" % number)
        assert [wire.written for wire in wires] == [b"", b""]
        await asyncio.sleep(0)
        assert [wire.written for wire in wires] == [b"0", b"1"]

    run(scenario)


def test_many_do_not_wait_for_the_turn() -> None:
    async def scenario(outbox: Outbox) -> None:
        wires = [Wire() for _ in range(TOGETHER + 1)]
        for wire in wires:
            Outgoing(wire, outbox).write(b"a")
        assert [wire.written for wire in wires] == [b"a"] * TOGETHER + [b""]
        await asyncio.sleep(0)
        assert wires[-1].written == b"a"

    run(scenario)


def test_much_does_not_wait_for_the_turn() -> None:
    async def scenario(outbox: Outbox) -> None:
        wire = Wire()
        outgoing = Outgoing(wire, outbox)
        outgoing.write(b"a" * LARGE)
        assert wire.written == b""
        assert outgoing.get_write_buffer_size() == LARGE
        outgoing.write(b"b")
        assert wire.written == b"a" * LARGE + b"b"
        assert outgoing.get_write_buffer_size() == 0

    run(scenario)


@given(st.lists(st.one_of(st.binary(min_size=1, max_size=3), st.sampled_from(["lines", "turn", "large"])), max_size=20))
def test_nothing_is_lost_and_nothing_overtakes(steps: list[bytes | str]) -> None:
    async def scenario(outbox: Outbox) -> None:
        wire, expected = Wire(), b""
        outgoing = Outgoing(wire, outbox)
        for number, step in enumerate(steps):
            if step == "turn":
                await asyncio.sleep(0)
                assert wire.written == expected
                continue
            if step == "lines":
                pieces = (b"<%d" % number, b">")
                outgoing.writelines(pieces)
                expected += b"".join(pieces)
            else:
                piece = b"%d" % number * LARGE if step == "large" else step
                assert isinstance(piece, bytes)
                outgoing.write(piece)
                expected += piece
        outgoing.close()
        assert (wire.written, wire.closed) == (expected, True)

    run(scenario)


def test_an_abort_drops_what_waits() -> None:
    async def scenario(outbox: Outbox) -> None:
        wire = Wire()
        outgoing = Outgoing(wire, outbox)
        outgoing.write(b"a")
        outgoing.abort()
        await asyncio.sleep(0)
        assert (wire.written, wire.closed, outgoing.get_write_buffer_size()) == (b"", True, 0)

    run(scenario)


@pytest.mark.parametrize("pieces", [1, 2])
def test_one_that_is_closed_keeps_nothing_from_the_others(pieces: int) -> None:
    async def scenario(outbox: Outbox) -> None:
        closed, wire = Outgoing(Closed(), outbox), Wire()
        for _ in range(pieces):
            closed.write(b"a")
        Outgoing(wire, outbox).write(b"b")
        await asyncio.sleep(0)
        assert wire.written == b"b"

    run(scenario)


class Broken(Wire):
    """Has a fault of its own."""

    def write(self, data: bytes) -> None:
        raise ValueError("a fault")


def test_a_fault_of_one_is_told_and_ends_that_one_alone() -> None:
    async def scenario(outbox: Outbox) -> None:
        told: list[dict[str, Any]] = []
        asyncio.get_running_loop().set_exception_handler(lambda loop, context: told.append(context))
        broken, wire = Broken(), Wire()
        Outgoing(broken, outbox).write(b"a")
        Outgoing(wire, outbox).write(b"b")
        await asyncio.sleep(0)
        assert (wire.written, wire.closed, broken.closed) == (b"b", False, True)
        assert [str(each["exception"]) for each in told] == ["a fault"]

    run(scenario)


def test_a_real_socket_gets_all_of_it_before_its_end() -> None:
    """A half-closed one too: `write_eof` sends what waits."""

    async def scenario(outbox: Outbox) -> None:
        ours, theirs = socket.socketpair()
        reader, writer = await asyncio.open_connection(sock=theirs)
        transport, _ = await asyncio.get_running_loop().create_connection(asyncio.Protocol, sock=ours)
        outgoing = Outgoing(transport, outbox)
        outgoing.write(b"a" * 10)
        outgoing.write(b"b" * LARGE * 20)
        outgoing.write(b"c" * 10)
        outgoing.write_eof()
        assert await reader.read() == b"a" * 10 + b"b" * LARGE * 20 + b"c" * 10
        outgoing.close()
        writer.close()

    run(scenario)
