"""Answers that were given to idempotency keys: the first is kept in the transaction that it tells of, and given again
to whoever comes with the same key and request.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Any, TypeVar

from sqlalchemy import Connection, select

from penstock.agents.errors import KeyReused
from penstock.agents.store.base import Once
from penstock.agents.store.rows import decoded, encoded, microseconds
from penstock.agents.store.tables import answers
from penstock.agents.store.writer import Transaction

T = TypeVar("T")


def with_key(type_: type[T], job: Callable[[Transaction], T], once: Once | None) -> Callable[[Transaction], T]:
    """The job, or what it returned when its key came first. Raises, when it is run, KeyReused."""
    if once is None:
        return job

    def keyed(transaction: Transaction) -> T:
        known = find(transaction.connection, once)
        if known is not None:
            return decoded(type_, known)
        made = job(transaction)
        row: dict[str, Any] = {"owner": once.owner, "key": once.key, "digest": once.digest}
        row |= {"at": microseconds(once.at), "body": encoded(made)}
        transaction.connection.execute(answers.insert().values(row))
        return made

    return keyed


def find(connection: Connection, once: Once) -> bytes | None:
    """The answer, as JSON. Raises KeyReused: the key stands for another request."""
    which = (answers.c.owner == once.owner, answers.c.key == once.key)
    row = connection.execute(select(answers.c.digest, answers.c.body).where(*which)).first()
    if row is None:
        return None
    if row.digest != once.digest:
        raise KeyReused("this idempotency key stands for another request", fix="take a new key for each new request")
    return bytes(row.body)


def prune(connection: Connection, before: datetime) -> int:
    """Forget those that were kept before this time; returns how many it were."""
    return connection.execute(answers.delete().where(answers.c.at < microseconds(before))).rowcount
