"""One terminal of a session: a program, what it shows, and those who look at it and type.

It lives for as long as its program, whoever looks; the program ends with its sandbox. Its size is that of the viewer
who came, or changed it, last.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import Awaitable, Callable, Iterator
from typing import Literal

from penstock.agents.sandboxes.driver import Process
from penstock.agents.terminals.filter import TerminalFilter
from penstock.agents.terminals.window import Window

Program = Literal["agent", "shell"]
"""The agent's own face, as its harness starts it for a person, or a shell."""
MOST_ROWS, MOST_COLUMNS = 1000, 1000
PATIENCE = 10.0
"""Seconds that a program may leave what is typed unread."""
_ANSWERED, _MOST_ANSWER = 0.5, 1024
_NUDGE = 0.05
_log = logging.getLogger(__name__)

OnEnd = Callable[["Terminal"], Awaitable[None]]


class Stuck(Exception):
    """The program does not read what is typed."""


class Terminal:
    """A program on a terminal.

    Args:
        program: which one it is.
        process: it, started with a terminal of this `size` (rows, columns).
        on_end: called once it has ended (`status`).
    """

    def __init__(self, program: Program, process: Process, size: tuple[int, int], on_end: OnEnd) -> None:
        self.program: Program = program
        self.window = Window()
        self.status: int | None = None
        self.viewers = 0
        self.shown_at = time.monotonic()
        self._process = process
        self._filter = TerminalFilter()
        self._on_end = on_end
        self._size = (0, 0)
        self._drawn = False
        self._typing = asyncio.Lock()
        self._sized(size)
        self._copying = asyncio.ensure_future(self._copy())

    @property
    def ended(self) -> bool:
        """Whether its program has ended."""
        return self.status is not None

    async def type(self, data: bytes) -> None:
        """Type something. Nothing happens when the program has ended. Raises Stuck."""
        async with self._typing:
            try:
                with contextlib.suppress(BrokenPipeError):
                    await asyncio.wait_for(self._process.write(data), PATIENCE)
            except TimeoutError:
                raise Stuck from None

    def resize(self, rows: int, columns: int) -> None:
        """Its window has another size."""
        self._sized((rows, columns))
        with contextlib.suppress(OSError):
            self._process.resize(*self._size)

    async def repaint(self, rows: int, columns: int) -> None:
        """A viewer of this size came: have the program draw all of it. (Programs do so when the size changes; for the
        first viewer it draws anyway.)
        """
        if self._drawn and (rows, columns) == self._size:
            self.resize(rows, max(columns - 1, 1))
            await asyncio.sleep(_NUDGE)
        self._drawn = True
        self.resize(rows, columns)

    @contextlib.contextmanager
    def viewed(self) -> Iterator[Window]:
        """Look at it for a while."""
        self.viewers += 1
        try:
            yield self.window
        finally:
            self.viewers -= 1

    async def let_go(self) -> None:
        """The server ends: so do the viewers' windows. (The program is hung up when the server's end is closed.)"""
        self._copying.cancel()
        await asyncio.wait([self._copying])
        self.window.end()

    async def _copy(self) -> None:
        try:
            while data := await self._process.read():
                self.shown_at = time.monotonic()
                self.window.show(self._filter.feed(data))
                await self._answer(self._filter.answers()[:_MOST_ANSWER])
        except Exception:
            _log.exception("a terminal failed")
            await self._process.kill()
        self.status = (await self._process.wait()).status
        self.window.end()
        await self._on_end(self)

    async def _answer(self, answer: bytes) -> None:
        """Answer what the program asked its terminal; whoever does not read the answer did not need it."""
        if answer and not self._typing.locked():
            with contextlib.suppress(BrokenPipeError, TimeoutError):
                await asyncio.wait_for(self._process.write(answer), _ANSWERED)

    def _sized(self, size: tuple[int, int]) -> None:
        self._size = max(min(size[0], MOST_ROWS), 1), max(min(size[1], MOST_COLUMNS), 1)
        self._filter.cursor.resize(*self._size)
