"""The tables of the agent platform, for SQLAlchemy. migrations/ makes them; a test holds the two together.

A row is a value's JSON (`body`), and beside it the columns by which somebody looks for it: values change more often
than
questions do. Events are the exception that proves the rule: they never change, and their JSON is what clients are sent.
"""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    PrimaryKeyConstraint,
    String,
    Table,
    Text,
)

metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s",
        "pk": "pk_%(table_name)s",
    }
)

definitions = Table(
    "definitions",
    metadata,
    Column("id", String(30), primary_key=True),
    Column("kind", String(16), nullable=False),
    Column("owner", Text, nullable=False),
    Column("name", Text, nullable=False),
    Column("version", Integer, nullable=False),
    Column("archived", Boolean, nullable=False),
    Column("body", LargeBinary, nullable=False),  # of the newest version
    Index("ix_definitions_owner_kind_id", "owner", "kind", "id"),
)

definition_versions = Table(
    "definition_versions",
    metadata,
    Column("id", String(30), nullable=False),
    Column("version", Integer, nullable=False),
    Column("body", LargeBinary, nullable=False),
    PrimaryKeyConstraint("id", "version"),
)

sessions = Table(
    "sessions",
    metadata,
    Column("id", String(30), primary_key=True),
    Column("owner", Text, nullable=False),
    Column("state", String(32), nullable=False),
    Column("agent", String(30), nullable=False),
    Column("parent", String(30), index=True),
    Column("last_event", BigInteger, nullable=False),
    Column("body", LargeBinary, nullable=False),
    Index("ix_sessions_owner_id", "owner", "id"),
    Index("ix_sessions_state", "state"),
)

events = Table(
    "events",
    metadata,
    Column("session", String(30), nullable=False),
    Column("number", BigInteger, nullable=False),
    Column("kind", String(32), nullable=False),
    Column("producer", String(100)),
    Column("sequence", BigInteger),
    Column("body", LargeBinary, nullable=False),
    PrimaryKeyConstraint("session", "number"),
    sqlite_with_rowid=False,
)

producers = Table(
    "producers",
    metadata,
    Column("session", String(30), nullable=False),
    Column("producer", String(100), nullable=False),
    Column("last", BigInteger, nullable=False),
    PrimaryKeyConstraint("session", "producer"),
    sqlite_with_rowid=False,
)

approvals = Table(
    "approvals",
    metadata,
    Column("id", String(30), primary_key=True),
    Column("owner", Text, nullable=False),
    Column("session", String(30), nullable=False),
    Column("open", Boolean, nullable=False),
    Column("body", LargeBinary, nullable=False),
    Index("ix_approvals_owner_id", "owner", "id"),
    Index("ix_approvals_session_id", "session", "id"),
    Index("ix_approvals_open", "open"),
)

plans = Table(
    "plans",
    metadata,
    Column("id", String(30), primary_key=True),
    Column("owner", Text, nullable=False),
    Column("session", String(30), nullable=False),
    Column("body", LargeBinary, nullable=False),
    Index("ix_plans_owner_id", "owner", "id"),
    Index("ix_plans_session_id", "session", "id"),
)

tokens = Table(
    "tokens",
    metadata,
    Column("id", String(30), primary_key=True),
    Column("owner", Text, nullable=False),
    Column("digest", String(64), nullable=False, unique=True),
    Column("session", String(30), index=True),
    Column("body", LargeBinary, nullable=False),
    Index("ix_tokens_owner_id", "owner", "id"),
)

tickets = Table(
    "tickets",
    metadata,
    Column("digest", String(64), primary_key=True),
    Column("path", Text, nullable=False),
    Column("expires_at", BigInteger, nullable=False, index=True),
    Column("body", LargeBinary, nullable=False),
)

answers = Table(
    "answers",
    metadata,
    Column("owner", Text, nullable=False),
    Column("key", String(200), nullable=False),
    Column("digest", String(64), nullable=False),
    Column("at", BigInteger, nullable=False, index=True),
    Column("body", LargeBinary, nullable=False),
    PrimaryKeyConstraint("owner", "key"),
)

__all__ = [
    "answers",
    "approvals",
    "definition_versions",
    "definitions",
    "events",
    "metadata",
    "plans",
    "producers",
    "sessions",
    "tickets",
    "tokens",
]
