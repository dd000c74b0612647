"""`python -m bench.agents.events`: how long an append takes until it is durable, for many sessions at once.

Each session is a task that appends one event of 200 characters and waits until it is on the disk. `at once`: all
sessions in the same instant, twenty times, 100 ms apart; `spread`: each in its own time, as agents do; `as fast as it
goes`: each anew as soon as the last is done, which measures the queue. The target (issue 4) is 20 ms at p99 with 200.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import platform
import random
import tempfile
import time
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from pathlib import Path

from penstock.agents import ids
from penstock.agents.events import Text
from penstock.agents.log import Source
from penstock.agents.store.base import AgentStore
from penstock.agents.store.sqlite import open_sqlite
from penstock.agents.types import Pin, Session

WORDS = Text("x" * 200, "part-1", True)
ROUNDS = 20
INTERVAL = 0.1


def new_session(store: AgentStore) -> Session:
    now, pin = datetime.now(UTC), Pin("none", 1)
    made = Session(id=ids.mint(ids.SESSION, now, os.urandom), owner="bench", agent=pin, environment=pin, created_at=now, updated_at=now)  # fmt: skip  # noqa: E501
    return store.add_session(made)


class Load:
    """Sessions that append, and how long each append took (seconds)."""

    def __init__(self, store: AgentStore, count: int) -> None:
        self._store = store
        self._sessions = [new_session(store) for _ in range(count)]
        self._said = dict.fromkeys((session.id for session in self._sessions), 0)
        self.took: list[float] = []

    async def append(self, session: Session) -> None:
        self._said[session.id] += 1
        source = Source("bench", self._said[session.id])
        begun = time.perf_counter()
        future = self._store.append_soon(session.id, [WORDS], at=datetime.now(UTC), source=source)
        await asyncio.wrap_future(future)
        self.took.append(time.perf_counter() - begun)

    async def run(self, way: Callable[[Session], Awaitable[None]]) -> float:
        """All sessions in this way; returns how long it took."""
        self.took.clear()
        begun = time.perf_counter()
        await asyncio.gather(*(way(session) for session in self._sessions))
        return time.perf_counter() - begun

    async def at_once(self, session: Session) -> None:
        begun = asyncio.get_running_loop().time()
        for number in range(ROUNDS):
            await asyncio.sleep(max(begun + number * INTERVAL - asyncio.get_running_loop().time(), 0))
            await self.append(session)

    async def spread(self, session: Session) -> None:
        for _ in range(ROUNDS):
            await asyncio.sleep(random.random() * 2 * INTERVAL)
            await self.append(session)

    async def as_fast_as_it_goes(self, session: Session) -> None:
        for _ in range(ROUNDS):
            await self.append(session)


def line(name: str, took: list[float], whole: float) -> str:
    """One row of the table, in milliseconds."""
    ordered = sorted(took)
    p50, p99 = (ordered[int(len(ordered) * share)] * 1e3 for share in (0.5, 0.99))
    return f"{name:<20}{len(took):>9}{len(took) / whole:>12.0f}{p50:>9.1f}{p99:>9.1f}{ordered[-1] * 1e3:>9.1f}"


async def measure(folder: Path, sessions: int) -> None:
    """Print the table."""
    store = open_sqlite(folder / "agents.db")
    load = Load(store, sessions)
    await load.run(load.spread)  # warm
    print(f"{sessions} sessions, {platform.system()}, Python {platform.python_version()}")
    print(f"{'':<20}{'appends':>9}{'a second':>12}{'p50 ms':>9}{'p99 ms':>9}{'most ms':>9}")
    for name, way in (
        ("spread", load.spread),
        ("at once", load.at_once),
        ("as fast as it goes", load.as_fast_as_it_goes),
    ):
        whole = await load.run(way)
        print(line(name, load.took, whole), flush=True)
    store.close()


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="python -m bench.agents.events", description=__doc__)
    parser.add_argument("--sessions", type=int, default=200)
    parser.add_argument(
        "--folder", type=Path, default=None, help="on the disk to be measured (default: a temporary one)"
    )
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=arguments.folder) as folder:
        asyncio.run(measure(Path(folder), arguments.sessions))


if __name__ == "__main__":
    main()
