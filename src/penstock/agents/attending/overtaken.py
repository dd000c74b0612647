"""Doing something for as long as the session's row still asks for it; what the row overtakes is given up."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Sequence
from typing import TypeVar

from penstock.agents.attending.session_log import SessionLog
from penstock.agents.machine import State

T = TypeVar("T")


class Overtaken(Exception):
    """The row says something else now: what was under way is not wanted any more."""


async def while_in(log: SessionLog, news: asyncio.Event, states: Sequence[State], work: Awaitable[T]) -> T:
    """Do something for as long as the session is in one of these states, which is looked at whenever there is news.
    Raises Overtaken.
    """
    task = asyncio.ensure_future(work)
    try:
        while not task.done():
            waiting = asyncio.ensure_future(news.wait())
            await asyncio.wait([task, waiting], return_when=asyncio.FIRST_COMPLETED)
            waiting.cancel()
            if not task.done():
                news.clear()
                if (await log.row()).state not in states:
                    raise Overtaken
        return await task
    finally:
        if not task.done():
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
