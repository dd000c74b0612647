"""Planning: plans in the store, and who may see and change them. What a change comes to is said in ../plans.py.

A plan belongs to a session, its supervisor's, and is seen by whoever sees that. It is changed by its owner, and by the
session's own agent; a worker tells its supervisor, which then says that the step is done.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import aclosing
from datetime import datetime
from typing import Any, Protocol

from penstock.agents import access, ids, plans
from penstock.agents.errors import Invalid, NotFound
from penstock.agents.plans import Change, Plan, PlanChanged, StepUpdate
from penstock.agents.requests import NewPlan, NewSteps, PlanUpdate
from penstock.agents.store.base import AgentStore, Once, Stored
from penstock.agents.types import Page, Principal, Session

KIND = "plan"


class Logs(Protocol):
    """What this needs of the service."""

    async def events(
        self, principal: Principal, id_: str, *, after: int, limit: int, kinds: Sequence[str] | None
    ) -> list[Stored]: ...

    async def follow(
        self, principal: Principal, id_: str, after: int, *, heartbeat: float = 15.0
    ) -> AsyncGenerator[list[Stored]]: ...

    async def artifact(self, principal: Principal, id_: str, artifact: str) -> tuple[Session, Any]: ...


class Planning:
    """Plans. `logs`: the service."""

    def __init__(self, store: AgentStore, logs: Logs, clock: Callable[[], datetime], random: ids.Random) -> None:
        self._store = store
        self._logs = logs
        self._clock = clock
        self._random = random

    async def make(self, principal: Principal, wanted: NewPlan, once: Once | None = None) -> Plan:
        """A new plan of a session."""
        access.require(principal, "sessions:write", "workers:write")
        try:
            session = access.planning(principal, await asyncio.to_thread(self._store.session, wanted.session))
        except NotFound:
            raise Invalid("there is no such session", param="session") from None
        now = self._clock()
        plan = Plan(
            id=ids.mint(ids.PLAN, now, self._random),
            owner=session.owner,
            session=session.id,
            created_at=now,
            updated_at=now,
            created_by=principal.token,
        )
        change = plans.begun(plan, wanted.title, wanted.steps)
        return await asyncio.to_thread(lambda: self._store.add_plan(plan, change, at=now, once=once))

    async def plan(self, principal: Principal, id_: str) -> Plan:
        """One plan."""
        access.require(principal, "sessions:read")
        return await self._seen(principal, id_)

    async def _seen(self, principal: Principal, id_: str) -> Plan:
        found = await asyncio.to_thread(self._store.plan, id_)
        session = None if found is None else await asyncio.to_thread(self._store.session, found.session)
        if found is None or session is None or not access.sees(principal, session):
            raise NotFound("there is no such plan")
        return found

    async def plans(self, principal: Principal, *, session: str | None, cursor: str | None, limit: int) -> Page[Plan]:
        """A page of the owner's; for an agent, of its own session's."""
        access.require(principal, "sessions:read")
        if principal.session is not None and session not in (None, principal.session):
            return Page([])
        which = principal.session or session
        return await asyncio.to_thread(
            lambda: self._store.plans(owner=principal.owner, session=which, cursor=cursor, limit=limit)
        )

    async def update(self, principal: Principal, id_: str, wanted: PlanUpdate, once: Once | None = None) -> Plan:
        """Another title, or another order of its steps."""
        if wanted.title is not None and wanted.order is not None:
            raise Invalid("a title or an order, one at a time", fix="send two requests", param="order")

        def change(plan: Plan) -> PlanChanged | None:
            plans.check_version(plan, wanted.version)
            if wanted.order is not None:
                return plans.reordered(plan, wanted.order)
            return None if wanted.title is None else plans.retitled(plan, wanted.title)

        return await self._change(principal, id_, change, once)

    async def add(self, principal: Principal, id_: str, wanted: NewSteps, once: Once | None = None) -> Plan:
        """More steps."""

        def change(plan: Plan) -> PlanChanged:
            plans.check_version(plan, wanted.version)
            return plans.added(plan, wanted.steps, wanted.before)

        return await self._change(principal, id_, change, once)

    async def update_step(
        self, principal: Principal, id_: str, step: str, wanted: StepUpdate, once: Once | None = None
    ) -> Plan:
        """What somebody says of a step."""
        plan = await self._writable(principal, id_)
        worker = wanted.session if isinstance(wanted.session, str) else None
        if worker is not None:
            await self._check_worker(plan, worker)
        if isinstance(wanted.artifact, str) and wanted.artifact:
            await self._check_artifact(principal, worker or plan.step(step).session or plan.session, wanted.artifact)
        return await self._changed(plan.id, lambda plan: plans.updated(plan, step, wanted), once)

    async def _check_worker(self, plan: Plan, worker: str) -> None:
        found = await asyncio.to_thread(self._store.session, worker)
        if found is None or found.owner != plan.owner or found.parent != plan.session:
            fix = "start one, and say its id"
            raise Invalid("the plan's session has no such worker", fix=fix, param="session")

    async def _check_artifact(self, principal: Principal, session: str, artifact: str) -> None:
        try:
            await self._logs.artifact(principal, session, artifact)
        except NotFound:
            raise Invalid("whoever does this step has no such artifact", param="artifact") from None

    async def _change(self, principal: Principal, id_: str, change: Change, once: Once | None) -> Plan:
        plan = await self._writable(principal, id_)
        return await self._changed(plan.id, change, once)

    async def _changed(self, id_: str, change: Change, once: Once | None) -> Plan:
        return await asyncio.to_thread(lambda: self._store.change_plan(id_, change, at=self._clock(), once=once))

    async def _writable(self, principal: Principal, id_: str) -> Plan:
        access.require(principal, "sessions:write", "workers:write")
        plan = await self._seen(principal, id_)
        access.planning(principal, await asyncio.to_thread(self._store.session, plan.session))
        return plan

    # -- watching -----------------------------------------------------------------------------------------------------

    async def events(self, principal: Principal, id_: str, *, after: int, limit: int) -> list[Stored]:
        """Its changes after this number of its session's log."""
        plan = await self.plan(principal, id_)
        found: list[Stored] = []
        while len(found) < limit:
            page = await self._logs.events(principal, plan.session, after=after, limit=500, kinds=(KIND,))
            found += _of(page, plan.id)
            if len(page) < 500:
                break
            after = page[-1].number
        return found[:limit]

    async def follow(
        self, principal: Principal, id_: str, after: int, *, heartbeat: float = 15.0
    ) -> AsyncGenerator[list[Stored]]:
        """Its changes after this number of its session's log, as they come; empty pages say that all is well."""
        plan = await self.plan(principal, id_)
        pages = await self._logs.follow(principal, plan.session, after, heartbeat=heartbeat)
        return _followed(pages, plan.id)


async def _followed(pages: AsyncGenerator[list[Stored]], plan: str) -> AsyncGenerator[list[Stored]]:
    async with aclosing(pages):
        async for page in pages:
            found = _of(page, plan)
            if found or not page:
                yield found


def _of(page: Sequence[Stored], plan: str) -> list[Stored]:
    """Of these events, those of this plan."""
    return [each for each in page if each.kind == KIND and _plan_of(each) == plan]


def _plan_of(stored: Stored) -> str:
    data = stored.event.data
    assert isinstance(data, PlanChanged)
    return data.plan


__all__ = ["Planning"]
