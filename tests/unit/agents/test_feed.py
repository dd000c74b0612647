"""The feed: everything after a number, once, in order, whoever writes; and readers that have gone leave nothing."""

import asyncio
import threading
from collections.abc import Callable, Coroutine, Iterator
from contextlib import aclosing
from pathlib import Path
from typing import Any

import pytest

from penstock.agents import feed as under_test
from penstock.agents.errors import Unavailable
from penstock.agents.events import Move, Text
from penstock.agents.feed import Feed
from penstock.agents.machine import Cause, Reason
from penstock.agents.store.base import AgentStore
from penstock.agents.store.sqlite import open_sqlite
from penstock.agents.types import Session
from tests.support.agents import NOON, new_session

Scene = Callable[[Feed], Coroutine[Any, Any, None]]


@pytest.fixture
def store(tmp_path: Path) -> Iterator[AgentStore]:
    made = open_sqlite(tmp_path / "agents.db")
    yield made
    made.close()


@pytest.fixture
def session(store: AgentStore) -> Session:
    return store.add_session(new_session())


def play(store: AgentStore, scene: Scene) -> None:
    async def whole() -> None:
        feed = Feed(store)
        try:
            await asyncio.wait_for(scene(feed), 30)
        finally:
            await feed.close()

    asyncio.run(whole())


async def numbers(feed: Feed, session: Session, count: int, after: int = 0) -> list[int]:
    found: list[int] = []
    async with aclosing(feed.follow(session.id, after)) as pages:
        async for page in pages:
            found += [each.number for each in page]
            if len(found) >= count:
                break
    return found


def append(store: AgentStore, session: Session, count: int = 1) -> None:
    for number in range(count):
        store.append(session.id, [Text(str(number))], at=NOON)


def test_what_is_written_here_wakes_at_once(
    store: AgentStore, session: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(under_test, "LOOK", 1000.0)

    async def scene(feed: Feed) -> None:
        readers = [asyncio.create_task(numbers(feed, session, 51)) for _ in range(5)]
        await asyncio.to_thread(append, store, session, 50)
        assert await asyncio.gather(*readers) == [list(range(1, 52))] * 5
        assert feed._readers == {}

    play(store, scene)


def test_what_another_process_writes_is_noticed(
    tmp_path: Path, store: AgentStore, session: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(under_test, "LOOK", 0.02)
    other = open_sqlite(tmp_path / "agents.db")  # it has no listener here: as far as the feed knows, another process

    async def scene(feed: Feed) -> None:
        reader = asyncio.create_task(numbers(feed, session, 11))
        await asyncio.to_thread(append, other, session, 10)
        assert await reader == list(range(1, 12))

    play(store, scene)
    other.close()


def test_a_look_that_fails_is_not_the_last(
    tmp_path: Path, store: AgentStore, session: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(under_test, "LOOK", 0.01)
    other, generation, failures = open_sqlite(tmp_path / "agents.db"), store.generation, [OSError("disk")] * 3

    failed = threading.Event()

    def sometimes() -> int:
        if failures:
            raise failures.pop()
        failed.set()
        return generation()

    monkeypatch.setattr(store, "generation", sometimes)

    async def scene(feed: Feed) -> None:
        reader = asyncio.create_task(numbers(feed, session, 2))
        assert await asyncio.to_thread(failed.wait, 20)
        await asyncio.to_thread(append, other, session)
        assert await reader == [1, 2]

    play(store, scene)
    other.close()


def test_a_long_log_comes_in_pages(store: AgentStore, session: Session) -> None:
    append(store, session, under_test.PAGE * 2)

    async def scene(feed: Feed) -> None:
        assert await numbers(feed, session, under_test.PAGE * 2 - 9, after=10) == list(
            range(11, under_test.PAGE * 2 + 2)
        )

    play(store, scene)


def test_silence_is_told(store: AgentStore, session: Session) -> None:
    async def scene(feed: Feed) -> None:
        async with aclosing(feed.follow(session.id, 1, heartbeat=0.01)) as pages:
            assert await anext(pages) == []
            assert await anext(pages) == []

    play(store, scene)


def test_it_ends_when_the_session_is_over(store: AgentStore, session: Session) -> None:
    store.append(session.id, [Text("last"), Move(Cause.TERMINATE, Reason.USER)], at=NOON)

    async def scene(feed: Feed) -> None:
        assert [each.number for page in [page async for page in feed.follow(session.id, 0)] for each in page] == [
            1,
            2,
            3,
        ]
        assert [page async for page in feed.follow("ses_nowhere", 0)] == []

    play(store, scene)


def test_closing_ends_all_readers(store: AgentStore, session: Session) -> None:
    async def scene(feed: Feed) -> None:
        readers = [asyncio.create_task(numbers(feed, session, 100)) for _ in range(3)]
        await asyncio.sleep(0.05)
        await feed.close()
        assert await asyncio.gather(*readers) == [[1]] * 3
        with pytest.raises(Unavailable):
            await numbers(feed, session, 1)

    play(store, scene)
