"""A session's row and its log, for whoever attends to it: read anew each time, and written with the time of writing."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Sequence
from datetime import datetime

from msgspec import Struct

from penstock.agents.errors import Conflict, NotFound
from penstock.agents.events import Draft, TurnEnd, UserMessage
from penstock.agents.log import Source
from penstock.agents.store.base import AgentStore, Appended
from penstock.agents.types import Session

_PAGE = 500


class Past(Struct, frozen=True):
    """What the turns that have ended leave to the next one.

    `answered` is the number of the last message that a turn has answered, `resume` the conversation to go on with, and
    `ends` are the numbers of the events that ended turns, oldest first.
    """

    answered: int = 0
    resume: str = ""
    ends: tuple[int, ...] = ()

    def after(self, end: TurnEnd, numbers: Sequence[int]) -> Past:
        """The same after one more turn, whose end is under these numbers in the log."""
        return Past(max(self.answered, end.message), end.resume or self.resume, (*self.ends, *numbers))


class SessionLog:
    """The row and the log of the session `id`."""

    def __init__(self, id: str, store: AgentStore, clock: Callable[[], datetime]) -> None:
        self.id = id
        self._store = store
        self._clock = clock

    async def row(self) -> Session:
        """The session as it is now. Raises NotFound."""
        found = await asyncio.to_thread(self._store.session, self.id)
        if found is None:
            raise NotFound("there is no such session")
        return found

    async def append(self, drafts: Sequence[Draft], source: Source | None = None) -> Appended:
        """Write these, all or none; they are durable when this returns. Raises what `AgentStore.append` does."""
        return await asyncio.wrap_future(self._store.append_soon(self.id, drafts, at=self._clock(), source=source))

    async def say(self, *drafts: Draft) -> None:
        """Write these; a session that is over takes nothing."""
        with contextlib.suppress(Conflict, NotFound):
            await self.append(drafts)

    async def past(self) -> Past:
        """What the log says of the turns that have ended."""
        return await asyncio.to_thread(self._past)

    def _past(self) -> Past:
        past, after = Past(), 0
        while page := self._store.events(self.id, after, _PAGE, ("turn_end",)):
            for stored in page:
                end = stored.event.data
                if isinstance(end, TurnEnd):
                    past = past.after(end, [stored.number])
            after = page[-1].number
        return past

    async def artifacts(self) -> set[tuple[str, str]]:
        """Name and digest of each artifact that was handed out."""
        return await asyncio.to_thread(self._artifacts)

    def _artifacts(self) -> set[tuple[str, str]]:
        found, after = set[tuple[str, str]](), 0
        while page := self._store.events(self.id, after, _PAGE, ("artifact",)):
            found |= {(each.event.data.name, each.event.data.sha256) for each in page}  # type: ignore[union-attr]
            after = page[-1].number
        return found

    async def messages(self, after: int) -> list[tuple[int, UserMessage]]:
        """The messages after this number, with their own."""
        return await asyncio.to_thread(self._messages, after)

    def _messages(self, after: int) -> list[tuple[int, UserMessage]]:
        found: list[tuple[int, UserMessage]] = []
        while page := self._store.events(self.id, found[-1][0] if found else after, _PAGE, ("user_message",)):
            for stored in page:
                data = stored.event.data
                if isinstance(data, UserMessage):
                    found.append((stored.number, data))
        return found
