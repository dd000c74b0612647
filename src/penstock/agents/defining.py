"""Defining: agents and environments in the store, version by version, and who may see and change them."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Mapping
from datetime import datetime
from typing import Any, cast

import msgspec

from penstock.agents import access, ids
from penstock.agents.errors import Invalid
from penstock.agents.store.base import AgentStore, Definition, Kind, Once, Spec
from penstock.agents.types import Page, Principal, Versioned


class Defining:
    """Agents and environments. `harnesses`: the names that agents may have; None: any."""

    def __init__(
        self, store: AgentStore, harnesses: Collection[str] | None, clock: Callable[[], datetime], random: ids.Random
    ) -> None:
        self._store = store
        self._harnesses = harnesses
        self._clock = clock
        self._random = random

    async def make(self, principal: Principal, kind: Kind, spec: Spec, once: Once | None = None) -> Definition:
        """A new agent or environment."""
        access.require(principal, f"{kind}s:write")
        self._check_spec(spec)
        now = self._clock()
        id_ = ids.mint(ids.AGENT if kind == "agent" else ids.ENVIRONMENT, now, self._random)
        made = cast(Definition, Versioned[Any](id_, principal.owner, 1, spec, now, now, principal.token))
        return await asyncio.to_thread(self._store.add_definition, kind, made, once)

    async def definition(self, principal: Principal, kind: Kind, id_: str, version: int | None = None) -> Definition:
        """One version; None: the newest."""
        access.require(principal, f"{kind}s:read")
        found = await asyncio.to_thread(self._store.definition, kind, id_, version)
        access.owned(principal, found, kind)
        assert found is not None
        return found

    async def definitions(
        self, principal: Principal, kind: Kind, *, name: str | None, archived: bool, cursor: str | None, limit: int
    ) -> Page[Definition]:
        """A page of the caller's."""
        access.require(principal, f"{kind}s:read")
        return await asyncio.to_thread(
            lambda: self._store.definitions(
                kind, principal.owner, name=name, archived=archived, cursor=cursor, limit=limit
            )
        )

    async def versions(
        self, principal: Principal, kind: Kind, id_: str, *, before: int | None, limit: int
    ) -> Page[Definition]:
        """Its versions, newest first; the cursor is a version's number."""
        await self.definition(principal, kind, id_)
        found = await asyncio.to_thread(lambda: self._store.versions(kind, id_, before=before, limit=limit + 1))
        return Page(found[:limit], str(found[limit - 1].version) if len(found) > limit else None)

    async def change(
        self, principal: Principal, kind: Kind, id_: str, changes: Mapping[str, Any], expected: int | None,
        once: Once | None = None,
    ) -> Definition:  # fmt: skip
        """A new version, in which these fields are different."""
        access.require(principal, f"{kind}s:write")
        access.owned(principal, await asyncio.to_thread(self._store.definition, kind, id_, None), kind)

        def changed(spec: Spec) -> Spec:
            made = msgspec.structs.replace(spec, **changes)
            self._check_spec(made)
            return made

        return await asyncio.to_thread(
            lambda: self._store.change_definition(
                kind, id_, changed, expected=expected, at=self._clock(), by=principal.token, once=once
            )
        )

    async def archive(self, principal: Principal, kind: Kind, id_: str, once: Once | None = None) -> Definition:
        """Let no new session use it."""
        access.require(principal, f"{kind}s:write")
        access.owned(principal, await asyncio.to_thread(self._store.definition, kind, id_, None), kind)
        return await asyncio.to_thread(lambda: self._store.archive_definition(kind, id_, at=self._clock(), once=once))

    async def pinned(self, principal: Principal, kind: Kind, id_: str, version: int | None) -> Definition:
        """Raises Invalid: for whoever starts a session, a thing that is not there is a wrong field."""
        found = await asyncio.to_thread(self._store.definition, kind, id_, None)
        if found is None or found.owner != principal.owner:
            raise Invalid(f"there is no such {kind}", param=kind)
        if found.archived_at is not None:
            raise Invalid(f"this {kind} is archived", fix="use another", param=kind)
        if version is not None:
            found = await asyncio.to_thread(self._store.definition, kind, id_, version)
            if found is None:
                raise Invalid(f"this {kind} has no version {version}", param=f"{kind}_version")
        return found

    def _check_spec(self, spec: Spec) -> None:
        harness = getattr(spec, "harness", None)
        if harness is not None and self._harnesses is not None and harness not in self._harnesses:
            known = ", ".join(sorted(self._harnesses))
            raise Invalid(f"there is no harness {harness!r}", fix=f"use one of {known}", param="harness")


__all__ = ["Defining"]
