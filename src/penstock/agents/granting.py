"""Granting: tokens and tickets in the store, who may give and take them, and for whom they stand.

A secret is shown once, to whoever had it made; the store has its digest (tokens.py says what makes one good).
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta

from penstock.agents import access, ids, tokens
from penstock.agents.requests import NewToken
from penstock.agents.store.base import AgentStore
from penstock.agents.types import Page, Principal, Token


class Granting:
    """Tokens and tickets."""

    def __init__(self, store: AgentStore, clock: Callable[[], datetime], random: ids.Random) -> None:
        self._store = store
        self._clock = clock
        self._random = random

    async def make(self, principal: Principal, wanted: NewToken) -> tuple[Token, str]:
        """A new token, and its secret, which nobody can ever read again."""
        access.require(principal, "tokens:write")
        scopes = access.check_grant(principal, wanted.scopes, wanted.session)
        if wanted.session is not None:
            access.writable(principal, await asyncio.to_thread(self._store.session, wanted.session))
        return await self.mint(
            principal.owner, wanted.name, scopes, session=wanted.session, seconds=wanted.expires_in_seconds,
            by=principal.token,
        )  # fmt: skip

    async def mint(
        self, owner: str, name: str, scopes: Sequence[str], *, session: str | None = None, seconds: int | None = None,
        by: str = "",
    ) -> tuple[Token, str]:  # fmt: skip
        """The same for the platform itself, which asks nobody: the first token of an owner, an agent's own."""
        now = self._clock()
        secret = tokens.mint_secret(tokens.TOKEN_PREFIX, self._random)
        token = Token(
            id=ids.mint(ids.TOKEN, now, self._random),
            owner=owner,
            name=name,
            scopes=tuple(sorted(scopes)),
            created_at=now,
            expires_at=None if seconds is None else now + timedelta(seconds=seconds),
            session=session,
            created_by=by,
        )
        return await asyncio.to_thread(self._store.add_token, token, tokens.digest_of(secret)), secret

    async def tokens(self, principal: Principal, *, cursor: str | None, limit: int) -> Page[Token]:
        """A page of the owner's."""
        access.require(principal, "tokens:read")
        return await asyncio.to_thread(lambda: self._store.tokens(principal.owner, cursor=cursor, limit=limit))

    async def revoke(self, principal: Principal, id_: str) -> Token:
        """Take it back; whoever follows a log with it is cut off within seconds."""
        access.require(principal, "tokens:write")
        access.owned(principal, await asyncio.to_thread(self._store.token, id_), "token")
        return await asyncio.to_thread(self._store.revoke_token, id_, self._clock())

    async def ticket(self, principal: Principal, path: str) -> tuple[str, datetime]:
        """A ticket that opens this path once, and until when."""
        access.require(principal, *access.SCOPES)
        secret = tokens.mint_secret(tokens.TICKET_PREFIX, self._random)
        until = self._clock() + tokens.TICKET_LIFE
        await asyncio.to_thread(self._store.add_ticket, tokens.digest_of(secret), principal, path, until)
        return secret, until

    async def authenticate(self, secret: str) -> Principal | None:
        """Who calls with this token; None: nobody that we know."""
        if not secret.startswith(tokens.TOKEN_PREFIX) or len(secret) > tokens.LONGEST:
            return None
        token = await asyncio.to_thread(self._store.token_by_digest, tokens.digest_of(secret))
        return tokens.principal_of(token) if token is not None and tokens.is_good(token, self._clock()) else None

    async def redeem(self, secret: str, path: str) -> Principal | None:
        """Who calls with this ticket, which is gone now."""
        if not secret.startswith(tokens.TICKET_PREFIX) or len(secret) > tokens.LONGEST:
            return None
        found = await asyncio.to_thread(self._store.take_ticket, tokens.digest_of(secret), path, self._clock())
        return found if found is not None and await self.stands(found) else None

    async def stands(self, principal: Principal) -> bool:
        """Whether the token behind a principal is still good. (One of no token is somebody else's to judge.)"""
        if not principal.token:
            return True
        token = await asyncio.to_thread(self._store.token, principal.token)
        return token is None or tokens.is_good(token, self._clock())


__all__ = ["Granting"]
