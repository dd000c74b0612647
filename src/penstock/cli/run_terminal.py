"""`penstock run HARNESS` without a prompt, at a terminal: the agent's own face in it, for as long as its program runs.

What the program shows goes through the same filter as with `penstock attach`.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import sys
from collections.abc import Callable

from penstock.agents.events import SessionEvent
from penstock.agents.machine import State
from penstock.agents.platform import Platform
from penstock.agents.terminals.filter import RESTORE
from penstock.agents.terminals.terminal import Terminal
from penstock.agents.types import Principal, Session
from penstock.cli.terminal import raw, read, signals_to


def has_terminal() -> bool:
    """Whether a person sits at both ends."""
    return sys.stdin.isatty() and sys.stdout.isatty()


async def at_terminal(
    platform: Platform, principal: Principal, session: Session, tell: Callable[[SessionEvent], None]
) -> int | None:
    """Stay with the agent's program until it ends; its exit status. None: the session was over before it began. What
    happens until then is told.

    Raises:
        AgentsError: the program has no face, or cannot be started.
    """
    service = platform.service
    async for page in await service.follow(principal, session.id, 0):
        for stored in page:
            tell(stored.event)
        row = await service.session(principal, session.id)
        if row.state is State.TERMINATED:
            return None
        if row.state is State.IDLE:
            break
    terminal = await service.terminal(principal, session.id, "agent", _size())
    with raw(sys.stdin.fileno()), signals_to(lambda number: terminal.resize(*_size()), (signal.SIGWINCH,)):
        try:
            await _joined(terminal)
        finally:
            _show(RESTORE)
    return terminal.status


async def _joined(terminal: Terminal) -> None:
    typing = asyncio.ensure_future(_typed(terminal))
    try:
        with terminal.viewed() as window:
            async for piece in window.follow():
                await asyncio.to_thread(_show, piece)
    finally:
        typing.cancel()
        await asyncio.gather(typing, return_exceptions=True)


async def _typed(terminal: Terminal) -> None:
    with contextlib.suppress(OSError):  # our terminal is gone
        while data := await read(sys.stdin.fileno()):
            await terminal.type(data)


def _show(data: bytes) -> None:
    sys.stdout.buffer.write(data)
    sys.stdout.buffer.flush()


def _size() -> tuple[int, int]:
    columns, rows = os.get_terminal_size(sys.stdout.fileno())
    return max(rows, 1), max(columns, 1)
