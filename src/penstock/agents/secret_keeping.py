"""Secrets of an owner over the API: a value goes in, and no way leads out again; what is shown is where it may go.

Only values that are kept here: a *source* (`file:`, `exec:` ...) is read by the server, with the server's rights, so
only whoever has this machine may name one (`penstock secrets set --source`). What is known of one that is there is
shown all the same.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

from msgspec import Struct

from penstock.agents import access
from penstock.agents.errors import AgentsError, Conflict, Invalid, NotFound, Unavailable
from penstock.agents.owners import vault_owner
from penstock.agents.requests import NewSecret
from penstock.agents.types import Principal
from penstock.vault.api import Refusal

if TYPE_CHECKING:
    from penstock.vault.api import SecretRecord, Secrets

T = TypeVar("T")


class SecretView(Struct, frozen=True, kw_only=True):
    """A secret, as far as anybody may know it. `env` is the variable of its stub in sandboxes; `fingerprint` is equal
    for equal values of one store (empty: its value is kept elsewhere, in `source`).
    """

    name: str
    owner: str
    version: int
    kind: str
    env: str = ""
    bindings: tuple[str, ...] = ()
    addresses: dict[str, tuple[str, ...]] = {}  # msgspec copies it
    options: dict[str, Any] = {}
    source: str = ""
    fingerprint: str = ""
    created_at: datetime
    updated_at: datetime
    revoked_at: datetime | None = None


class SecretStore(Protocol):
    """Who has the vault's store."""

    def with_store(self, work: Callable[[Secrets], T]) -> Awaitable[T]:
        """Do something with it, in the thread that has it."""
        ...


class SecretKeeping:
    """What may be done with secrets, by whom. `store`: None where there is no vault."""

    def __init__(self, store: SecretStore | None) -> None:
        self._store = store

    async def set(self, principal: Principal, name: str, wanted: NewSecret) -> SecretView:
        """Keep it, in the place of one of that name; live sessions use it within a second."""
        access.require(principal, "secrets:write")
        owner = vault_owner(principal.owner)
        record = await self._do(
            lambda store: store.set(
                name, wanted.value.encode(), bindings=wanted.bindings, env=wanted.env or None, kind=wanted.kind,
                addresses=wanted.addresses, upstream_ca=wanted.upstream_ca or None, options=wanted.options, owner=owner,
            )
        )  # fmt: skip
        return _view(record, principal)

    async def rotate(self, principal: Principal, name: str, value: str) -> SecretView:
        """Give it another value; where it may go stays."""
        access.require(principal, "secrets:write")
        owner = vault_owner(principal.owner)
        return _view(await self._do(lambda store: store.rotate(name, value.encode(), owner=owner)), principal)

    async def revoke(self, principal: Principal, name: str) -> SecretView:
        """Destroy its value; live connections that use it are cut within a second."""
        access.require(principal, "secrets:write")
        owner = vault_owner(principal.owner)
        return _view(await self._do(lambda store: store.revoke(name, owner=owner)), principal)

    async def delete(self, principal: Principal, name: str) -> None:
        """Remove it."""
        access.require(principal, "secrets:write")
        await self._do(lambda store: store.delete(name, owner=vault_owner(principal.owner)))

    async def one(self, principal: Principal, name: str) -> SecretView:
        """What may be known of it."""
        access.require(principal, "secrets:read")
        owner = vault_owner(principal.owner)
        return _view(await self._do(lambda store: store.get(name, owner=owner)), principal)

    async def all(self, principal: Principal) -> list[SecretView]:
        """The owner's, by name."""
        access.require(principal, "secrets:read")
        found = await self._do(lambda store: store.list(owner=vault_owner(principal.owner)))
        return sorted((_view(record, principal) for record in found), key=lambda view: view.name)

    async def _do(self, work: Callable[[Secrets], T]) -> T:
        """Raises NotFound, Conflict, Invalid in the place of what the vault says; Unavailable."""
        if self._store is None:
            raise Unavailable("this server has no vault", fix="start it with `penstock agents serve`")
        try:
            return await self._store.with_store(work)
        except Refusal as refusal:
            raise _told(refusal) from None


def _told(refusal: Refusal) -> AgentsError:
    kind = {404: NotFound, 409: Conflict}.get(refusal.status, Invalid)
    return kind(refusal.reason, fix=refusal.fix, code=refusal.code)


def _view(record: SecretRecord, principal: Principal) -> SecretView:
    return SecretView(
        name=record.name,
        owner=principal.owner,
        version=record.version,
        kind=record.kind,
        env=record.env or "",
        bindings=record.bindings,
        addresses={host: tuple(found) for host, found in record.addresses.items()},
        options=dict(record.options),
        source=record.source or "",
        fingerprint=record.fingerprint,
        created_at=datetime.fromtimestamp(record.created_at, UTC),
        updated_at=datetime.fromtimestamp(record.updated_at, UTC),
        revoked_at=None if record.revoked_at is None else datetime.fromtimestamp(record.revoked_at, UTC),
    )
