"""Agents and environments as rows: the newest version of each where lists find it, and all of them beside.

Functions of one connection, within a transaction that somebody else has begun.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Any, cast

import msgspec
from sqlalchemy import Connection, select

from penstock.agents.errors import Conflict, NotFound, VersionConflict
from penstock.agents.store.base import Definition, Kind, Spec
from penstock.agents.store.rows import decoded, encoded, one
from penstock.agents.store.tables import definition_versions, definitions
from penstock.agents.types import Agent, Environment

TYPES: dict[str, type[Definition]] = {"agent": cast(Any, Agent), "environment": cast(Any, Environment)}
"""Of which type the definitions of a kind are."""


def add(connection: Connection, kind: Kind, made: Definition) -> Definition:
    """A new one, in its first version."""
    row = {"id": made.id, "kind": kind, "owner": made.owner, "archived": False}
    connection.execute(definitions.insert().values(**row, **_columns(made)))
    _add_version(connection, made)
    return made


def find(connection: Connection, kind: Kind, id_: str, version: int | None = None) -> Definition | None:
    """One version; None: the newest."""
    newest = one(connection, TYPES[kind], definitions, definitions.c.id == id_, definitions.c.kind == kind)
    if newest is None or version in (None, newest.version):
        return newest
    which = (definition_versions.c.id == id_, definition_versions.c.version == version)
    return one(connection, TYPES[kind], definition_versions, *which)


def versions(connection: Connection, kind: Kind, id_: str, before: int | None, limit: int) -> list[Definition]:
    """Its versions, newest first."""
    rows = select(definition_versions.c.body).where(definition_versions.c.id == id_)
    if before is not None:
        rows = rows.where(definition_versions.c.version < before)
    rows = rows.order_by(definition_versions.c.version.desc()).limit(limit)
    return [decoded(TYPES[kind], body) for body in connection.execute(rows).scalars()]


def change(
    connection: Connection,
    kind: Kind,
    id_: str,
    change: Callable[[Spec], Spec],
    *,
    expected: int | None,
    at: datetime,
    by: str,
) -> Definition:
    """A new version; none where nothing changes. Raises NotFound, Conflict (archived), VersionConflict."""
    found = _existing(connection, kind, id_)
    if found.archived_at is not None:
        raise Conflict(f"this {kind} is archived", fix="make another", code="archived")
    if expected not in (None, found.version):
        fix = "read it again, and change that"
        raise VersionConflict(f"its newest version is {found.version}, not {expected}", fix=fix)
    spec = change(found.spec)
    if spec == found.spec:
        return found
    changed = msgspec.structs.replace(
        found, spec=cast(Any, spec), version=found.version + 1, updated_at=at, updated_by=by
    )
    _save(connection, changed)
    _add_version(connection, changed)
    return changed


def archive(connection: Connection, kind: Kind, id_: str, at: datetime) -> Definition:
    """Say that it is archived; the first time stays. Raises NotFound."""
    found = _existing(connection, kind, id_)
    if found.archived_at is None:
        found = msgspec.structs.replace(found, archived_at=at)
        _save(connection, found, archived=True)
    return found


def _existing(connection: Connection, kind: Kind, id_: str) -> Definition:
    found = find(connection, kind, id_)
    if found is None:
        raise NotFound(f"there is no such {kind}")
    return found


def _save(connection: Connection, made: Definition, *, archived: bool = False) -> None:
    saved = definitions.update().where(definitions.c.id == made.id)
    connection.execute(saved.values(**_columns(made), archived=archived))


def _add_version(connection: Connection, made: Definition) -> None:
    row = {"id": made.id, "version": made.version, "body": encoded(made)}
    connection.execute(definition_versions.insert().values(row))


def _columns(made: Definition) -> dict[str, Any]:
    return {"name": made.spec.name, "version": made.version, "body": encoded(made)}
