"""Feed: following logs as they grow, for any number of readers, without a thread or a queue for each.

A reader holds one number, the last event that it has. It reads what follows out of the store, in pages, and when there
is nothing more it sleeps until somebody has written; so nothing can be lost or doubled between "what there was" and
"what comes", a slow reader costs no memory, and a reader that comes back after a restart is like any other.

Writers of this process wake readers through the store's listener. Those of other processes are noticed by looking at
the store every half second.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import AsyncGenerator, Mapping
from concurrent.futures import ThreadPoolExecutor

from penstock.agents.errors import Unavailable
from penstock.agents.machine import State
from penstock.agents.store.base import AgentStore, Stored

PAGE = 200
LOOK = 0.5
"""Seconds between two looks for what other processes have written."""
_THREADS = 4
_log = logging.getLogger(__name__)


class _Reader:
    """Somebody who waits for more than `seen`."""

    __slots__ = ("awake", "seen", "session")

    def __init__(self, session: str, seen: int) -> None:
        self.session = session
        self.seen = seen
        self.awake = asyncio.Event()


class Feed:
    """The logs of one store, for the tasks of one event loop. `close` ends all readers."""

    def __init__(self, store: AgentStore) -> None:
        self._store = store
        self._readers: dict[str, set[_Reader]] = {}
        self._threads = ThreadPoolExecutor(_THREADS, thread_name_prefix="agents-feed")
        self._loop: asyncio.AbstractEventLoop | None = None
        self._looking: asyncio.Task[None] | None = None
        self._closed = False

    async def follow(self, session: str, after: int, *, heartbeat: float = 15.0) -> AsyncGenerator[list[Stored]]:
        """The events after this number, page for page, as they come; an empty page after `heartbeat` seconds of
        silence.

        Ends when the session is over and all was handed out, or with `close`. Raises Unavailable once closed.
        """
        if self._closed:
            raise Unavailable("the server is ending", fix="come again in a moment")
        reader = _Reader(session, after)
        self._enter(reader)
        try:
            while not self._closed:
                reader.awake.clear()
                page = await self._in_thread(self._page, reader)
                if page:
                    reader.seen = page[-1].number
                    yield page
                elif await self._in_thread(self._is_over, reader):
                    return
                elif not await _woken(reader.awake, heartbeat):
                    yield []
        finally:
            self._leave(reader)

    async def close(self) -> None:
        """End all readers."""
        self._closed = True
        self._store.listen(None)
        if self._looking is not None:
            self._looking.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._looking
        self._wake(None)
        self._threads.shutdown(wait=False)

    # -- reading ------------------------------------------------------------------------------------------------------

    async def _in_thread(self, function, reader: _Reader):  # type: ignore[no-untyped-def]
        return await asyncio.get_running_loop().run_in_executor(self._threads, function, reader)

    def _page(self, reader: _Reader) -> list[Stored]:
        return self._store.events(reader.session, reader.seen, PAGE)

    def _is_over(self, reader: _Reader) -> bool:
        """Over, and nothing came while we looked."""
        session = self._store.session(reader.session)
        return session is None or (session.state is State.TERMINATED and session.last_event <= reader.seen)

    # -- waking -------------------------------------------------------------------------------------------------------

    def _enter(self, reader: _Reader) -> None:
        if self._looking is None:
            self._loop = loop = asyncio.get_running_loop()
            self._store.listen(lambda grown: _call_soon(loop, self._wake, grown))
            self._looking = loop.create_task(self._look())
        self._readers.setdefault(reader.session, set()).add(reader)

    def _leave(self, reader: _Reader) -> None:
        readers = self._readers[reader.session]
        readers.discard(reader)
        if not readers:
            del self._readers[reader.session]

    def _wake(self, grown: Mapping[str, int] | None) -> None:
        """Wake who waits for these; None: everybody."""
        for session in list(self._readers) if grown is None else grown:
            for reader in self._readers.get(session, ()):
                reader.awake.set()

    async def _look(self) -> None:
        """Notice what other processes write, for as long as anybody reads."""
        loop, generation = asyncio.get_running_loop(), -1
        while True:
            await asyncio.sleep(LOOK)
            if not self._readers:
                continue
            try:
                generation = await loop.run_in_executor(self._threads, self._looked, generation, list(self._readers))
            except Exception:
                _log.exception("the agents' store does not say what was written; it is asked again")

    def _looked(self, before: int, sessions: list[str]) -> int:
        """The store's generation now, after waking who is behind."""
        generation = self._store.generation()
        if generation != before:
            grown = self._store.last_events(sessions)
            assert self._loop is not None
            _call_soon(self._loop, self._wake_behind, grown)
        return generation

    def _wake_behind(self, grown: Mapping[str, int]) -> None:
        self._wake({name: last for name, last in grown.items() if self._is_behind(name, last)})

    def _is_behind(self, session: str, last: int) -> bool:
        return any(reader.seen < last for reader in self._readers.get(session, ()))


def _call_soon(loop: asyncio.AbstractEventLoop, function, *arguments) -> None:  # type: ignore[no-untyped-def]
    with contextlib.suppress(RuntimeError):  # the loop has ended, and with it all readers
        loop.call_soon_threadsafe(function, *arguments)


async def _woken(awake: asyncio.Event, within: float) -> bool:
    try:
        await asyncio.wait_for(awake.wait(), within)
    except TimeoutError:
        return False
    return True
