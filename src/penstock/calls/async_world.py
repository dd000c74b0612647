"""The world for coroutines: the same loop as world.py, over the same generator.

Files, programs and name look-ups are done in a thread, so that the loop goes on.
"""

from __future__ import annotations

import asyncio
import contextlib
import inspect
from collections.abc import Awaitable, Callable, Generator
from typing import Any, TypeVar

from penstock.calls import world
from penstock.calls.transport import AsyncTransport, StreamBroken
from penstock.exchange import Broken, Close, Event, ReadOn, Send, Sleep, Step
from penstock.providers.auth.commands import (
    Call,
    CallResult,
    Fetch,
    FileContent,
    Join,
    Joined,
    Outcome,
    ReadFile,
    RunProgram,
)
from penstock.resolve import Addresses, FetchedMedia, FetchPinned, LookUp, NotFetched

T = TypeVar("T")


class AsyncWorld:
    """Does things from a coroutine. Files and programs are read in a thread, so that the loop goes on."""

    def __init__(self, transport: AsyncTransport, direct: AsyncTransport) -> None:
        self._transport = transport
        self._direct = direct
        self._table: dict[type, Callable[[Any], Awaitable[Event]]] = {
            Send: transport.send,
            Sleep: self._sleep,
            Close: self._close,
            ReadOn: self._read_on,
            Fetch: self._fetch,
            ReadFile: self._read_file,
            RunProgram: self._run_program,
            Call: self._call,
            Join: self._join,
            LookUp: self._look_up,
            FetchPinned: self._fetch_pinned,
        }

    async def drive(self, run: Generator[Step, Event, T]) -> T:
        """Do what `run` asks for until it ends; its value, or what it raises."""
        event: Event = None
        try:
            while True:
                step = run.send(event)
                event = await self._table[type(step)](step)
        except StopIteration as done:
            value: T = done.value
            return value
        finally:
            run.close()

    async def do(self, step: Step) -> Event:
        """Do one step, for who drives an exchange otherwise."""
        return await self._table[type(step)](step)

    async def _sleep(self, command: Sleep) -> None:
        await self.sleep(command.seconds)

    async def _close(self, command: Close) -> None:
        await command.stream.aclose()

    async def _read_on(self, command: ReadOn) -> bytes | Broken:
        try:
            piece: bytes = await anext(aiter(command.stream), b"")
        except StreamBroken as cut:
            return cut.broken
        return piece

    async def sleep(self, seconds: float) -> None:
        """Wait, and let others work."""
        await asyncio.sleep(seconds)

    async def _fetch(self, command: Fetch) -> Outcome:
        transport = self._direct if command.direct else self._transport
        return world.as_outcome(await transport.send(world.as_send(command)), command)

    async def _read_file(self, command: ReadFile) -> FileContent:
        return await asyncio.to_thread(world.read_file, command)

    async def _run_program(self, command: RunProgram) -> Outcome:
        return await asyncio.to_thread(world.run_program, command)

    async def _call(self, command: Call) -> CallResult:
        value = command.function()
        return CallResult(await value if inspect.isawaitable(value) else value)

    async def _join(self, command: Join) -> Joined:
        """Wait for a credential that another task or thread obtains. Who stops waiting does not stop it."""
        loop, over = asyncio.get_running_loop(), asyncio.Event()

        def wake() -> None:
            with contextlib.suppress(RuntimeError):  # the loop was closed meanwhile
                loop.call_soon_threadsafe(over.set)

        command.flight.then(wake)
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(over.wait(), command.timeout)
        return Joined(command.flight.over)

    async def _look_up(self, command: LookUp) -> Addresses:
        return await asyncio.to_thread(world.look_up, command)

    async def _fetch_pinned(self, command: FetchPinned) -> FetchedMedia | NotFetched:
        return await asyncio.to_thread(world.fetch_pinned, command)
