"""The store's secrets as credentials: each made once for all sessions, going on with what another vault has renewed.

A credential may store a newer value of itself (a refresh token that its service replaced). It does so when it is its
turn among all vaults over this store, and only over the version that it has read then: what somebody set or revoked in
the meantime stands.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from contextlib import asynccontextmanager

from penstock.vault.credentials.contract import Credential, Learner, Tools, Turn
from penstock.vault.credentials.registry import make
from penstock.vault.records import SecretRecord
from penstock.vault.seal import Store
from penstock.vault.turns import turn
from penstock.vault.values import Fetch, Refusal, Secret

Key = tuple[str, str, int]
"""Owner, name, version."""


class StoredCredentials:
    """The credentials of one store.

    Args:
        store: the secrets.
        fetch: makes the calls of credentials (token endpoints).
        read: returns the value that a source has now.
    """

    def __init__(self, store: Store, fetch: Fetch, read: Callable[[str], Awaitable[bytes]]) -> None:
        self._store = store
        self._fetch = fetch
        self._read = read
        self._made: dict[Key, tuple[SecretRecord, Credential]] = {}

    def __len__(self) -> int:
        """How many versions of secrets are in memory."""
        return len(self._made)

    async def of(self, record: SecretRecord) -> Credential:
        """Return the credential of a record. Raises Refusal: it cannot be had."""
        key = _key(record)
        if key not in self._made:
            value = await self._value(record)
            self._made.setdefault(key, (record, self._learned(record, value.value) or self._new(record, value.value)))
        return self._made[key][1]

    async def _value(self, record: SecretRecord) -> Secret:
        if record.source is None:
            return self._store.reveal(record.name, owner=record.owner)
        return Secret(record.name, await self._read(record.source), record.version)

    def _learned(self, record: SecretRecord, value: bytes) -> Credential | None:
        """The credential of a version before, where that goes on with this one."""
        for former, credential in self._made.values():
            if _same(former, record) and isinstance(credential, Learner) and credential.learn(value):
                return credential
        return None

    def _new(self, record: SecretRecord, value: bytes) -> Credential:
        tools = Tools(self._fetch, time.time, secrets.token_bytes, lambda: self._turn(record))
        return make(record.kind, record.name, value, version=record.version, options=record.options, tools=tools)

    @asynccontextmanager
    async def _turn(self, record: SecretRecord) -> AsyncIterator[Turn]:
        """The turn of the credential that was made of `record`, whichever version there is by now."""
        async with turn(self._store.directory, record.owner, record.name):
            newest = self._store.get(record.name, owner=record.owner)
            yield _Turn(self, record, newest, self._newest_value(record, newest))

    def _newest_value(self, record: SecretRecord, newest: SecretRecord) -> bytes | None:
        """The value of the newest version, where that is one of the same secret; None where it has a source."""
        if newest.source is not None and newest.version == record.version:
            return None
        secret = self._store.reveal(record.name, owner=record.owner) if newest.source is None else None
        if secret is None or secret.version != newest.version or not _same(newest, record):
            raise _set_anew(record.name)
        return secret.value

    def keep(self, record: SecretRecord, newest: SecretRecord, value: bytes) -> SecretRecord:
        """Store what the credential of `record` says is its value after `newest`. Raises Refusal."""
        newer = self._store.rotate(record.name, value, owner=record.owner, expected=newest.version)
        itself = self._made.get(_key(record))
        if itself is not None:
            self._made[_key(newer)] = newer, itself[1]  # it knows the value already
        return newer

    def forget_former(self, in_use: Iterable[Credential]) -> None:
        """Keep no value in memory that is revoked or replaced, and that no session has to scrub."""
        used = {id(credential) for credential in in_use}
        newest = {(record.owner, record.name): record for record in self._store.list()}
        for key, (_, credential) in list(self._made.items()):
            record = newest.get(key[:2])
            is_former = record is None or record.version != key[2] or record.revoked_at is not None
            if is_former and id(credential) not in used:
                del self._made[key]


class _Turn:
    """A secret of the store while it is ours to renew."""

    def __init__(
        self, stored: StoredCredentials, record: SecretRecord, newest: SecretRecord, value: bytes | None
    ) -> None:
        self._stored = stored
        self._record = record
        self._newest = newest
        self.value = value

    async def keep(self, value: bytes) -> None:
        self._newest = self._stored.keep(self._record, self._newest, value)


def _key(record: SecretRecord) -> Key:
    return record.owner, record.name, record.version


def _same(one: SecretRecord, other: SecretRecord) -> bool:
    """Whether two records are versions of one secret, of one kind and with the same settings."""
    return (one.owner, one.name, one.kind, one.options) == (other.owner, other.name, other.kind, other.options)


def _set_anew(name: str) -> Refusal:
    reason = f"The secret {name!r} was set anew while it was to be renewed."
    return Refusal("secret_changed", reason, fix="Try again.", status=503)
