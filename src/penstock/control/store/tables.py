"""The tables of the control plane, for SQLAlchemy. migrations/ makes them; a test holds the two together.

The ledger's tables are written once a call and read rarely, so they bear no more indexes than somebody reads by: a
request by its id, requests of a caller and of all callers by time. Ids of calls count up within a worker, and rows come
in the order of time, so that all four trees grow at few places at once and stay cheap with ten million rows.

`callers` is who called, as they were then: a key's token with the user, team and organization that it had, once for
each combination. So a request's row bears one small number for it, and stays true when the key changes hands.
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
    UniqueConstraint,
)

metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s",
        "pk": "pk_%(table_name)s",
    }
)

keys = Table(
    "keys",
    metadata,
    Column("token", String(64), primary_key=True),
    Column("key_name", Text, nullable=False),
    Column("key_alias", Text, unique=True),
    Column("source", String(16), nullable=False),
    Column("models", Text, nullable=False),  # JSON, as are aliases, tags, metadata and extra
    Column("aliases", Text, nullable=False),
    Column("tags", Text, nullable=False),
    Column("metadata", Text, nullable=False),
    Column("blocked", Boolean, nullable=False),
    Column("expires", BigInteger),
    Column("rpm_limit", BigInteger),
    Column("tpm_limit", BigInteger),
    Column("max_parallel_requests", BigInteger),
    Column("max_budget", BigInteger),
    Column("soft_budget", BigInteger),
    Column("budget_duration", String(16)),
    Column("budget_reset_at", BigInteger, index=True),
    Column("budget_period", Integer, nullable=False),
    Column("spend", BigInteger, nullable=False),
    Column("total_spend", BigInteger, nullable=False),
    Column("user_id", Text, index=True),
    Column("team_id", Text, index=True),
    Column("organization_id", Text),
    Column("last_active", BigInteger),
    Column("created_at", BigInteger, nullable=False),
    Column("created_by", Text),
    Column("updated_at", BigInteger, nullable=False),
    Column("updated_by", Text),
    Column("extra", Text, nullable=False),
)

replaced_keys = Table(
    "replaced_keys",
    metadata,
    Column("token", String(64), primary_key=True),
    Column("by_token", String(64), nullable=False),
)

callers = Table(
    "callers",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("token", String(64), nullable=False),
    Column("key_alias", Text, nullable=False),  # "" for none: NULLs are never equal, and these must be
    Column("user_id", Text, nullable=False, index=True),
    Column("team_id", Text, nullable=False, index=True),
    Column("organization_id", Text, nullable=False),
    UniqueConstraint("token", "key_alias", "user_id", "team_id", "organization_id"),
)

requests = Table(
    "requests",
    metadata,
    Column("id", BigInteger().with_variant(Integer, "sqlite"), primary_key=True, autoincrement=False),
    Column("call_id", String(64), nullable=False, unique=True),
    Column("worker", String(100), nullable=False),
    Column("caller", Integer, nullable=False),
    Column("started", BigInteger, nullable=False),
    Column("ended", BigInteger, nullable=False),
    Column("first_token", BigInteger),
    Column("operation", Text, nullable=False),
    Column("requested", Text, nullable=False),
    Column("model_group", Text, nullable=False),
    Column("model", Text, nullable=False),
    Column("status", Integer, nullable=False),
    Column("outcome", Text, nullable=False),
    Column("error", Text),
    Column("attempts", Integer, nullable=False),
    Column("input_tokens", BigInteger),
    Column("output_tokens", BigInteger),
    Column("total_tokens", BigInteger),
    Column("cost", BigInteger),
    Column("cost_text", Text),
    Column("estimated", Boolean, nullable=False),
    Column("detail", Text, nullable=False),  # JSON of calls.RequestDetail
    Index("ix_requests_started", "started"),
    Index("ix_requests_caller_started", "caller", "started"),
)

attempts = Table(
    "attempts",
    metadata,
    Column("request", BigInteger, nullable=False),
    Column("attempt", Integer, nullable=False),
    Column("started", BigInteger, nullable=False),
    Column("ended", BigInteger, nullable=False),
    Column("first_token", BigInteger),
    Column("deployment", Text, nullable=False),
    Column("provider", Text, nullable=False),
    Column("model", Text, nullable=False),
    Column("status", Integer, nullable=False),
    Column("outcome", Text, nullable=False),
    Column("error", Text),
    Column("cost", BigInteger),
    Column("cost_text", Text),
    Column("estimated", Boolean, nullable=False),
    Column("detail", Text, nullable=False),  # JSON of calls.AttemptDetail
    PrimaryKeyConstraint("request", "attempt"),
    sqlite_with_rowid=False,
)

made = Table(
    "made",
    metadata,
    Column("name", String(256), primary_key=True),
    Column("deployment", Text, nullable=False),
    Column("token", String(64), nullable=False),
    Column("at", BigInteger, nullable=False, index=True),
)

calls_under_way = Table(
    "calls_under_way",
    metadata,
    Column("call_id", String(64), primary_key=True),
    Column("worker", String(100), nullable=False),
    Column("call", LargeBinary, nullable=False),  # MessagePack of calls.Call
)

segments = Table(
    "segments",
    metadata,
    Column("segment", String(32), primary_key=True),
    Column("worker", String(100), nullable=False),
    Column("number", Integer, nullable=False),
    Column("position", BigInteger, nullable=False),
)

drained = Table(
    "drained",
    metadata,
    Column("worker", String(100), nullable=False),
    Column("quota", Text, nullable=False),
    Column("amount", BigInteger, nullable=False),
    PrimaryKeyConstraint("worker", "quota"),
    sqlite_with_rowid=False,
)

rejected = Table(
    "rejected_records",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("worker", String(100), nullable=False),
    Column("payload", LargeBinary, nullable=False),
    Column("why", Text, nullable=False),
)

configs = Table(
    "configs",
    metadata,
    Column("version", Integer, primary_key=True),
    Column("text", Text, nullable=False),
    Column("at", BigInteger, nullable=False),
    Column("by", Text, nullable=False),
)

__all__ = [
    "attempts",
    "callers",
    "calls_under_way",
    "configs",
    "drained",
    "keys",
    "made",
    "metadata",
    "rejected",
    "replaced_keys",
    "requests",
    "segments",
]
