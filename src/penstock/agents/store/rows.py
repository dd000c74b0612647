"""Rows of the agents' store: values as JSON in a column `body`, beside the columns that somebody searches by."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import TypeVar

import msgspec
from sqlalchemy import ColumnElement, Connection, Table, select

from penstock.agents.types import Page

T = TypeVar("T")
encoded = msgspec.json.Encoder().encode
_EPOCH = datetime.fromisoformat("1970-01-01T00:00:00+00:00")


def decoded(type_: type[T], body: bytes) -> T:
    """A value of this type out of its JSON. Pure."""
    return msgspec.json.decode(body, type=type_)


def microseconds(at: datetime) -> int:
    """A time as the store compares it: microseconds since 1970. Pure."""
    return (at - _EPOCH) // timedelta(microseconds=1)


def one(connection: Connection, type_: type[T], table: Table, *which: ColumnElement[bool]) -> T | None:
    """The value of which all of this holds; None where there is none."""
    body = connection.execute(select(table.c.body).where(*which)).scalar()
    return None if body is None else decoded(type_, body)


def page(
    connection: Connection,
    type_: type[T],
    table: Table,
    which: Sequence[ColumnElement[bool]],
    cursor: str | None,
    limit: int,
) -> Page[T]:
    """A page of those of which all of this holds, newest first: ids sort by time."""
    rows = select(table.c.id, table.c.body).where(*which)
    if cursor is not None:
        rows = rows.where(table.c.id < cursor)
    found = connection.execute(rows.order_by(table.c.id.desc()).limit(limit + 1)).all()
    more = found[limit - 1].id if len(found) > limit else None
    return Page([decoded(type_, row.body) for row in found[:limit]], more)
