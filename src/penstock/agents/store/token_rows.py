"""Tokens and tickets as rows, found by the digests of their secrets, which nobody keeps.

Functions of one connection, within a transaction that somebody else has begun.
"""

from __future__ import annotations

from datetime import datetime

import msgspec
from sqlalchemy import Connection, select

from penstock.agents.errors import NotFound
from penstock.agents.store.rows import decoded, encoded, microseconds, one
from penstock.agents.store.tables import tickets, tokens
from penstock.agents.types import Principal, Token


def add(connection: Connection, token: Token, digest: str) -> Token:
    """A new one."""
    row = {"id": token.id, "owner": token.owner, "digest": digest, "session": token.session}
    connection.execute(tokens.insert().values(**row, body=encoded(token)))
    return token


def revoke(connection: Connection, id_: str, at: datetime) -> Token:
    """Take it back; the first time stays. Raises NotFound."""
    token = one(connection, Token, tokens, tokens.c.id == id_)
    if token is None:
        raise NotFound("there is no such token")
    if token.revoked_at is None:
        token = msgspec.structs.replace(token, revoked_at=at)
        connection.execute(tokens.update().where(tokens.c.id == id_).values(body=encoded(token)))
    return token


def add_ticket(connection: Connection, digest: str, principal: Principal, path: str, expires_at: datetime) -> None:
    """A ticket that stands once, for this principal, on this path."""
    row = {"digest": digest, "path": path, "expires_at": microseconds(expires_at)}
    connection.execute(tickets.insert().values(**row, body=encoded(principal)))


def take_ticket(connection: Connection, digest: str, path: str, now: datetime) -> Principal | None:
    """Whom it stands for; it is gone after that, whatever the path."""
    row = connection.execute(select(tickets).where(tickets.c.digest == digest)).first()
    if row is None:
        return None
    connection.execute(tickets.delete().where(tickets.c.digest == digest))
    stands = row.path == path and row.expires_at > microseconds(now)
    return decoded(Principal, row.body) if stands else None


def prune_tickets(connection: Connection, now: datetime) -> int:
    """Forget those that are over; returns how many it were."""
    return connection.execute(tickets.delete().where(tickets.c.expires_at < microseconds(now))).rowcount
