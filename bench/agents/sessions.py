"""`python -m bench sessions [N]`: N sessions (200) of the `loop` agent with the demo model, on this machine.

all end            how many of them answered, and how long all of them took
event append       from handing events in until they are durable, as the runner does it meanwhile
resume             from the API's answer to `resume` until the session takes messages
"""

from __future__ import annotations

import asyncio
import os
import statistics
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from penstock.agents.events import TurnEnd
from penstock.agents.harnesses.registry import HARNESSES
from penstock.agents.keys import GatewayKeys
from penstock.agents.machine import State
from penstock.agents.owners import LOCAL
from penstock.agents.platform import Places, Platform, opened
from penstock.agents.requests import NewSession
from penstock.agents.types import AgentSpec, EnvironmentSpec, Principal, Session
from penstock.cli.own_gateway import gateway
from penstock.cli.run_agent import SCOPES

ME = Principal(LOCAL, SCOPES)
RESUMED = 20
PARENT = Path("/var/lib") if os.geteuid() == 0 else None
"""As root sandboxes' users must be able to enter it."""


async def measured(count: int) -> None:
    """Measure and print."""
    with tempfile.TemporaryDirectory(prefix="penstock-bench-", dir=PARENT, ignore_cleanup_errors=True) as folder:
        state = Path(folder)
        await asyncio.to_thread(state.chmod, 0o711)
        async with gateway(state / "gateway") as found:
            places = Places(state / "sessions.db", state / "vault", state / "sandboxes")
            async with opened(places, HARNESSES, GatewayKeys(found.url, found.key)) as platform:
                await _measure(platform, count)


async def _measure(platform: Platform, count: int) -> None:
    service = platform.service
    agent = await service.define(ME, "agent", AgentSpec(name="loop", harness="loop", model="demo"))
    environment = await service.define(ME, "environment", EnvironmentSpec(name="none"))
    appends = _timed_appends(platform.store)
    began = time.perf_counter()
    wanted = NewSession(agent.id, environment.id, message="hello")
    sessions = [await service.start(ME, wanted) for _ in range(count)]
    outcomes = await asyncio.gather(*(_outcome(platform, session) for session in sessions))
    took = time.perf_counter() - began
    print(f"{'sessions that answered':34} {outcomes.count('completed')} of {count} in {took:.1f} s")
    _row("event append, until durable", appends)
    _row("resume, until ready", [await _resumed(platform, session) for session in sessions[:RESUMED]])
    for session in sessions:
        await service.terminate(ME, session.id)
    await platform.runner.settled()
    print(f"{'sandboxes left':34} {len(await platform.driver.living())}")


def _timed_appends(store: Any) -> list[float]:
    """Have every append measured until whoever handed it in hears of it, in the event loop."""
    found: list[float] = []
    plain, loop = store.append_soon, asyncio.get_running_loop()

    def timed(*arguments: Any, **named: Any) -> Any:
        began = time.perf_counter()

        def heard() -> None:
            found.append(time.perf_counter() - began)

        future = plain(*arguments, **named)
        future.add_done_callback(lambda done: loop.call_soon_threadsafe(heard))
        return future

    store.append_soon = timed
    return found


async def _outcome(platform: Platform, session: Session) -> str:
    async for page in await platform.service.follow(ME, session.id, 0):
        for stored in page:
            data = stored.event.data
            if isinstance(data, TurnEnd):
                return data.outcome
    return "over"


async def _resumed(platform: Platform, session: Session) -> float:
    await _until(platform, session, State.IDLE)
    await platform.service.suspend(ME, session.id)
    while (await platform.service.session(ME, session.id)).sandbox is not None:  # noqa: ASYNC110  # as clients look
        await asyncio.sleep(0.01)
    began = time.perf_counter()
    await platform.service.resume(ME, session.id)
    await _until(platform, session, State.IDLE)
    return time.perf_counter() - began


async def _until(platform: Platform, session: Session, state: State) -> None:
    while (await platform.service.session(ME, session.id)).state is not state:  # noqa: ASYNC110
        await asyncio.sleep(0.005)


def _row(name: str, seconds: list[float]) -> None:
    cuts = statistics.quantiles(seconds, n=100) if len(seconds) > 1 else [*seconds] * 99
    print(f"{name:34} p50 {cuts[49] * 1000:7.1f} ms   p99 {cuts[98] * 1000:7.1f} ms   ({len(seconds)})")


def main() -> None:
    """`python -m bench sessions [N]`."""
    asyncio.run(measured(int(sys.argv[1]) if len(sys.argv) > 1 else 200))


if __name__ == "__main__":
    main()
