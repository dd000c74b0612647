"""Virtual keys: made, changed, blocked, deleted; and who a key belongs to, for workers that ask.

Whatever changes, the store knows it first, and then every worker is told to forget what it knew: when one of these
methods returns, no worker acts on the old state. A key is shown to whoever makes it, once; what is kept is its SHA-256.

Keys that the configuration lists live in the same table, so that what they spend is counted alike; they are changed
where they are listed, and not here.
"""

from __future__ import annotations

import asyncio
import hmac
import secrets
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, TypeVar

import msgspec
from msgspec import UNSET, Struct, UnsetType

from penstock.control.config.loaded import Loaded, groups_for
from penstock.control.config.problems import ConfigErrors, Problem
from penstock.control.store.base import KeyFilter, Page, Store
from penstock.control.store.keys import KeyRecord, masked, principal_of
from penstock.control.store.periods import after, next_reset
from penstock.gateway.principal import Principal, key_digest

T = TypeVar("T")

ALL_MODELS = "all-proxy-models"
"""LiteLLM's word for every model: a key that lists it may ask for all."""
Forget = Callable[[Sequence[str]], Awaitable[None]]
"""Tells all workers that these keys changed; returns when they know."""


class KeyProblem(Exception):
    """A key cannot be made or changed like this. `param`: the field that is wrong; `missing`: there is no such key."""

    def __init__(self, message: str, param: str | None = None, *, missing: bool = False) -> None:
        super().__init__(message)
        self.param = param
        self.missing = missing


class KeyWishes(Struct, kw_only=True):
    """What somebody wants a key to be; UNSET: not said. Money in picodollars, times in Unix seconds; `duration` counts
    from now on, None is for ever.
    """

    key_alias: str | UnsetType | None = UNSET
    duration: str | UnsetType | None = UNSET
    expires: float | UnsetType | None = UNSET
    models: tuple[str, ...] | UnsetType = UNSET
    aliases: Mapping[str, str] | UnsetType = UNSET
    tags: tuple[str, ...] | UnsetType = UNSET
    metadata: Mapping[str, Any] | UnsetType = UNSET
    blocked: bool | UnsetType = UNSET
    rpm_limit: int | UnsetType | None = UNSET
    tpm_limit: int | UnsetType | None = UNSET
    max_parallel_requests: int | UnsetType | None = UNSET
    max_budget: int | UnsetType | None = UNSET
    soft_budget: int | UnsetType | None = UNSET
    budget_duration: str | UnsetType | None = UNSET
    spend: int | UnsetType = UNSET
    user_id: str | UnsetType | None = UNSET
    team_id: str | UnsetType | None = UNSET
    organization_id: str | UnsetType | None = UNSET

    def fields(self, now: float) -> dict[str, Any]:
        """The fields of a KeyRecord that are said, with what follows from them."""
        said = {name: value for name, value in msgspec.structs.asdict(self).items() if value is not UNSET}
        if "duration" in said:
            duration = said.pop("duration")
            said.setdefault("expires", None if duration is None else after(duration, now))
        if "budget_duration" in said:
            period = said["budget_duration"]
            said["budget_reset_at"] = None if period is None else next_reset(period, now)
        return said


def new_key() -> str:
    """A key: 32 random bytes, in characters that need no escaping."""
    return f"sk-{secrets.token_urlsafe(32)}"


def token_of(name: str) -> str:
    """The token of a key that is named by itself ("sk-...") or by its token."""
    return key_digest(name) if name.startswith("sk-") else name


class VirtualKeys:
    """All keys of a gateway. `configured` is the configuration in force; `forget` tells workers of changes."""

    def __init__(self, store: Store, forget: Forget, clock: Callable[[], float] = time.time) -> None:
        self._store = store
        self._forget = forget
        self._clock = clock
        self._master: str | None = None
        self._groups: Mapping[str, tuple[str, ...]] = {}

    # -- who calls ----------------------------------------------------------------------------------------------------

    def configure(self, master_key: str, loaded: Loaded) -> None:
        """This configuration is in force now."""
        self._master = key_digest(master_key)
        self._groups = loaded.access_groups

    async def principal(self, token: str) -> Principal | None:
        """Who a key belongs to, as workers are told; None: nobody's."""
        if self._master is not None and hmac.compare_digest(token.encode(), self._master.encode()):
            return Principal(id=token, label="master key", role="master")
        record = await self._call(self._store.key, token)
        return None if record is None else self.principal_of(record)

    def principal_of(self, record: KeyRecord) -> Principal:
        """The principal of a key, with the names of access groups resolved."""
        models = () if ALL_MODELS in record.models else groups_for(record.models, self._groups)
        return principal_of(msgspec.structs.replace(record, models=models))

    def usable(self, principal: Principal) -> bool:
        """Whether this principal may call now."""
        return not principal.blocked and (principal.expires is None or principal.expires > self._clock())

    # -- reading ------------------------------------------------------------------------------------------------------

    async def find(self, token: str) -> KeyRecord:
        """A key. Raises KeyProblem where there is none."""
        record = await self._call(self._store.key, token)
        if record is None:
            raise _missing()
        return record

    async def listed(self, which: KeyFilter, page: int, size: int) -> Page[KeyRecord]:
        """A page of keys."""
        return await self._call(self._store.keys, which, page, size)

    # -- changing -----------------------------------------------------------------------------------------------------

    async def generate(self, wishes: KeyWishes, by: str, key: str | None = None) -> tuple[str, KeyRecord]:
        """Make a key, and show it this once. Raises KeyProblem, AliasTaken, KeyExists."""
        key = key or new_key()
        token, now = key_digest(key), self._clock()
        if token == self._master:
            raise KeyProblem("this is the master key: choose another", "key")
        record = KeyRecord(
            token=token, key_name=masked(key), created_at=now, created_by=by, updated_at=now, updated_by=by,
            **wishes.fields(now),
        )  # fmt: skip
        await self._call(self._store.add_key, record)
        await self._forget([token])  # workers may remember that there was no such key
        return key, record

    async def update(self, token: str, wishes: KeyWishes, by: str) -> KeyRecord:
        """Change what is said, and nothing else. Raises KeyProblem, AliasTaken."""
        await self._ours(token)
        now = self._clock()
        changes = wishes.fields(now)
        record = await self._call(self._store.change_key, token, changes, at=now, by=by)
        if record is None:
            raise _missing()
        await self._forget([token])
        return record

    async def regenerate(self, token: str, wishes: KeyWishes, by: str, key: str | None = None) -> tuple[str, KeyRecord]:
        """Give a key another secret; what it has spent stays spent. Raises KeyProblem, AliasTaken, KeyExists."""
        await self._ours(token)
        now = self._clock()
        changes = wishes.fields(now)
        key = key or new_key()
        again = key_digest(key)
        if again == self._master:
            raise KeyProblem("this is the master key: choose another", "new_key")
        record = await self._call(self._store.replace_key, token, again, masked(key), at=now, by=by)
        if record is None:
            raise _missing()
        if changes:
            record = await self._call(self._store.change_key, again, changes, at=now, by=by) or record
        await self._forget([token, again])
        return key, record

    async def delete(self, tokens: Sequence[str]) -> list[str]:
        """Delete keys: all, or, where one is not there or not ours, none. Raises KeyProblem."""
        for token in tokens:
            await self._ours(token)
        deleted = await self._call(self._store.delete_keys, tokens)
        await self._forget(list(tokens))
        return [record.token for record in deleted]

    async def tokens_of_aliases(self, aliases: Sequence[str]) -> list[str]:
        """The tokens of keys by their aliases. Raises KeyProblem."""
        found = []
        for alias in aliases:
            page = await self._call(self._store.keys, KeyFilter(key_alias=alias), 1, 1)
            if not page.rows:
                raise KeyProblem(f"there is no key with the alias {alias[:200]!r}", "key_aliases", missing=True)
            found.append(page.rows[0].token)
        return found

    # -- what happens by itself ---------------------------------------------------------------------------------------

    async def adopt(self, loaded: Loaded) -> None:
        """Bring the keys that the configuration lists into the store, and take out those that it does not any more.

        Raises ConfigErrors where a listed key has the alias of another: then nothing has changed.
        """
        records = [_record_of(key, self._clock()) for key in loaded.keys]
        changed = await self._call(self._adopt, records)
        if changed:
            await self._forget(changed)

    def _adopt(self, records: Sequence[KeyRecord]) -> list[str]:
        listed = {record.token: record for record in records}
        known = {record.token: record for record in self._configured()}
        gone = [token for token in known if token not in listed]
        self._check_aliases(listed, gone)
        self._store.delete_keys(gone)
        changed = gone
        for token, record in listed.items():
            before = known.get(token)
            if before is None or not _same(before, record):
                self._store.put_key(record)
                changed.append(token)
        return changed

    def _check_aliases(self, listed: Mapping[str, KeyRecord], gone: Sequence[str]) -> None:
        """Raises ConfigErrors."""
        problems = []
        for record in listed.values():
            if record.key_alias is not None:
                others = self._store.keys(KeyFilter(key_alias=record.key_alias), 1, 1).rows
                if any(other.token != record.token and other.token not in gone for other in others):
                    taken = f"a key that was made through the API has the alias {record.key_alias!r}: choose another"
                    problems.append(Problem(taken, "keys"))
        if problems:
            raise ConfigErrors(problems)

    def _configured(self) -> list[KeyRecord]:
        found: list[KeyRecord] = []
        while True:
            page = self._store.keys(KeyFilter(source="config"), len(found) // 500 + 1, 500)
            found += page.rows
            if len(found) >= page.total or not page.rows:
                return found

    async def reset_budgets(self) -> None:
        """Begin the periods of budgets that are due."""
        records = await self._call(self._store.reset_budgets, self._clock())
        if records:
            await self._forget([record.token for record in records])

    # -- helpers ------------------------------------------------------------------------------------------------------

    async def _ours(self, token: str) -> KeyRecord:
        """A key that may be changed here. Raises KeyProblem."""
        record = await self.find(token)
        if record.source == "config":
            raise KeyProblem(f"the key {record.key_name} is listed in the configuration: change it there", "key")
        return record

    async def _call(self, function: Callable[..., T], *arguments: Any, **named: Any) -> T:
        """The store blocks: call it in a thread."""
        return await asyncio.to_thread(function, *arguments, **named)


def _missing() -> KeyProblem:
    return KeyProblem("there is no such key", "key", missing=True)


def _record_of(key: KeyRecord, now: float) -> KeyRecord:
    """A listed key as the store shall have it."""
    period = key.budget_duration
    return msgspec.structs.replace(
        key,
        source="config",
        budget_reset_at=None if period is None else next_reset(period, now),
        created_at=now,
        created_by="configuration",
        updated_at=now,
        updated_by="configuration",
    )


_COUNTED = frozenset(
    {"spend", "total_spend", "budget_period", "budget_reset_at", "last_active"}
    | {"created_at", "created_by", "updated_at", "updated_by", "extra"}
)
"""What the store knows of a key and the configuration does not."""


def _same(one: KeyRecord, other: KeyRecord) -> bool:
    return all(
        getattr(one, name) == getattr(other, name) for name in KeyRecord.__struct_fields__ if name not in _COUNTED
    )
