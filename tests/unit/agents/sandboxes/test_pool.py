"""A pool whose driver cannot: nobody waits for ever, neither for a sandbox nor for the pool's end."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from penstock.agents.sandboxes import pool as pools
from penstock.agents.sandboxes.driver import CannotCreate, SandboxSpec
from penstock.agents.sandboxes.pool import Pool

PATIENCE = 15.0
TEMPLATE = SandboxSpec(id="pool", workspace="pool")


class Waiting:
    """A sandbox that waits."""

    def fits(self, spec: SandboxSpec) -> bool:
        return True

    async def destroy(self, *, workspace: bool = True) -> None:
        pass


class Failing:
    """A driver whose first attempts fail so."""

    def __init__(self, *failures: Exception) -> None:
        self.failures = list(failures)
        self.made = 0
        self.twice = asyncio.Event()

    async def warm(self, template: SandboxSpec) -> Any:
        if self.failures:
            raise self.failures.pop(0)
        self.made += 1
        if self.made == 2:
            self.twice.set()
        return Waiting()


class Deaf:
    """A driver that answers a cancelled attempt with an error of its own, as when remains cannot be removed."""

    def __init__(self) -> None:
        self.trying = asyncio.Event()

    async def warm(self, template: SandboxSpec) -> Any:
        self.trying.set()
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            raise CannotCreate("the engine refused") from None


@pytest.mark.parametrize("failure", [CannotCreate("no engine"), RuntimeError("can't start new thread")])
def test_whoever_waits_for_a_full_pool_is_told_why_it_is_not(failure: Exception) -> None:
    async def test() -> None:
        pool = Pool(Failing(failure), TEMPLATE, 1)  # type: ignore[arg-type]
        pool.start()
        with pytest.raises(type(failure), match=str(failure)):
            await pool.full()
        await pool.close()

    asyncio.run(asyncio.wait_for(test(), PATIENCE))


def test_it_goes_on_after_a_failure_of_any_kind(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pools, "PAUSE", 0)

    async def test() -> None:
        driver = Failing(KeyError("State"), CannotCreate("no engine"))
        pool = Pool(driver, TEMPLATE, 2)  # type: ignore[arg-type]
        pool.start()
        await driver.twice.wait()
        await pool.full()
        await pool.close()
        assert pool.ready == 0

    asyncio.run(asyncio.wait_for(test(), PATIENCE))


def test_it_ends_though_a_driver_swallows_being_cancelled() -> None:
    async def test() -> None:
        driver = Deaf()
        pool = Pool(driver, TEMPLATE, 1)  # type: ignore[arg-type]
        pool.start()
        await driver.trying.wait()
        await pool.close()

    asyncio.run(asyncio.wait_for(test(), PATIENCE))


def test_nobody_waits_for_a_pool_that_has_ended() -> None:
    async def test() -> None:
        driver = Deaf()
        pool = Pool(driver, TEMPLATE, 1)  # type: ignore[arg-type]
        pool.start()
        waiting = asyncio.ensure_future(pool.full())
        await driver.trying.wait()
        await pool.close()
        with pytest.raises(CannotCreate):
            await waiting
        with pytest.raises(CannotCreate):
            await pool.full()

    asyncio.run(asyncio.wait_for(test(), PATIENCE))
