"""All sessions of one vault process, over one store and one audit log.

Whoever changes a secret changes the store, from whatever process; the store is looked at five times a second, and what
was revoked or replaced takes effect in every session at once, on live connections too.
"""

from __future__ import annotations

import asyncio
import secrets
import socket
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from penstock.vault.audit import AuditLog
from penstock.vault.dial import Dialer
from penstock.vault.held import Held, hold
from penstock.vault.keeping import named_hosts
from penstock.vault.listening import Listening, check_listeners
from penstock.vault.neighbours import Neighbours
from penstock.vault.seal import Store
from penstock.vault.session import Session
from penstock.vault.sources import Sources, hashicorp_fetch
from penstock.vault.stored import StoredCredentials
from penstock.vault.values import Fetch, Refusal
from penstock.vault.wire import Event, ListenerKind, Opened, SessionSpec

LOOK_SECONDS = 0.2
"""How often the store is looked at for changes: a revocation takes at most that long, and the time of one reading."""

Listener = tuple[ListenerKind, socket.socket]


class Sessions:
    """The sessions of one vault.

    Args:
        store: the secrets.
        audit: where every decision goes.
        dialer: opens connections to upstreams.
        fetch: makes the vault's own calls (token endpoints, secret stores).
    """

    def __init__(self, store: Store, audit: AuditLog, dialer: Dialer, fetch: Fetch) -> None:
        self.on_event: Callable[[Event], None] = lambda event: None
        self._store = store
        self._audit = audit
        self._dialer = dialer
        sources, store_fetch = Sources(), hashicorp_fetch(dialer)
        self._credentials = StoredCredentials(store, fetch, lambda source: sources.read(source, store_fetch))
        self._sessions: dict[str, tuple[Session, Listening]] = {}
        self._opening: set[str] = set()
        self._neighbours = Neighbours()
        self._seen = store.changes()
        self._watching = asyncio.ensure_future(self._watch())

    def hosts(self, names: Sequence[str], rules: Sequence[str], owner: str) -> tuple[str, ...]:
        """Return `host:port` of every place that a session with these secrets and rules may name. Raises Refusal."""
        return named_hosts(self._store, names, rules, owner)

    async def open(self, spec: SessionSpec, listeners: Sequence[Listener]) -> Opened:
        """Open a session.

        Raises:
            Refusal: a secret is not there or cannot be had, or a rule is wrong.
        """
        if spec.id in self._sessions or spec.id in self._opening:
            raise Refusal("session_exists", f"There is a session {spec.id!r} already.", status=409)
        self._opening.add(spec.id)  # a source may take its time, and other calls go on
        try:
            twice = set(spec.secrets) & set(spec.own)
            if twice:
                raise Refusal(
                    "secret_twice", f"The name {min(twice)} stands for two secrets.", fix="Rename the user's."
                )
            held = [await self._held(spec.owner, name) for name in dict.fromkeys(spec.secrets)]
            held += [await self._held(f"session/{spec.id}", name) for name in dict.fromkeys(spec.own)]
            return self._open(spec, held, listeners)
        finally:
            self._opening.discard(spec.id)

    def _open(self, spec: SessionSpec, held: Sequence[Held], listeners: Sequence[Listener]) -> Opened:
        check_listeners(listeners)
        session = Session(
            spec,
            held,
            random=secrets.token_bytes,
            tell=lambda event: self.on_event(event),
            audit=self._audit.append,
            neighbours=self._neighbours,
        )
        try:
            opened = session.opened()
            session.audit("open", secrets=", ".join((*spec.secrets, *spec.own)), rules="; ".join(spec.rules))
        except BaseException:
            self._neighbours.remove(spec.id)
            raise
        listening = Listening(session, self._dialer)
        self._sessions[spec.id] = session, listening
        listening.add(listeners)
        return opened

    async def _held(self, owner: str, name: str) -> Held:
        record = self._store.get(name, owner=owner)
        if record.revoked_at is not None:
            raise Refusal("revoked", f"The secret {name} was revoked.", fix=f"Set it anew: penstock secrets set {name}")
        return hold(record, await self._credentials.of(record), secrets.token_bytes)

    def get(self, id: str) -> Session:
        """Return an open session. Raises Refusal."""
        return self._entry(id)[0]

    def listening(self, id: str) -> Listening:
        """Return where an open session listens. Raises Refusal."""
        return self._entry(id)[1]

    def _entry(self, id: str) -> tuple[Session, Listening]:
        try:
            return self._sessions[id]
        except KeyError:
            raise Refusal("no_session", f"There is no session {id!r}.", status=404) from None

    def close(self, id: str) -> None:
        """End a session: its listeners close, its connections are cut, its stubs are worth nothing."""
        session, listening = self._entry(id)
        del self._sessions[id]
        self._neighbours.remove(id)
        listening.close()
        session.cut()
        session.audit("close", **session.traffic)

    def close_all(self) -> None:
        """End every session."""
        self._watching.cancel()
        for id in list(self._sessions):
            self.close(id)

    def summaries(self, only: str | None = None) -> list[Mapping[str, Any]]:
        """Return what is open: everything, or this one session where it is."""
        return [
            {
                "id": id,
                "owner": session.spec.owner,
                "frozen": session.frozen,
                "connections": len(session.connections),
                **session.traffic,
            }
            for id, (session, _) in self._sessions.items()
            if only in (None, id)
        ]

    async def _watch(self) -> None:
        while True:
            await asyncio.sleep(LOOK_SECONDS)
            seen = self._store.changes()
            if seen != self._seen:
                self._seen = seen
                await self._refresh()

    async def _refresh(self) -> None:
        for session, _ in list(self._sessions.values()):
            for held in [each for each in session.held.values() if not each.captured]:
                await self._refresh_one(session, held)
        in_use = (held.credential for session, _ in self._sessions.values() for held in session.held.values())
        self._credentials.forget_former(in_use)

    async def _refresh_one(self, session: Session, held: Held) -> None:
        """Compare a secret with the store's: gone or unreadable counts as revoked."""
        try:
            record = self._store.get(held.record.name, owner=held.record.owner)
            if record.revoked_at is None and record.version == held.record.version:
                return
            if record.revoked_at is None:
                session.replace(record, await self._credentials.of(record))
                return
        except Refusal:
            pass
        if not held.revoked:
            session.revoke(held.record.name)
