"""A virtual key as the control plane remembers it, and the principal that workers are told of it. Pure.

Quotas of a key are named after what they count:

    key:<token>:requests       in windows of 60 s (rpm_limit)
    key:<token>:tokens         in windows of 60 s (tpm_limit)
    key:<token>:parallel       at once (max_parallel_requests)
    key:<token>:money:<n>      picodollars in the n-th period of its budget (max_budget, budget_duration)

The number of the period is in the name because leases go by the name: what a worker still holds of the old period is a
lease of a quota that no principal has any more, and cannot be spent in the new one. What was reserved in the old period
and comes to be billed in the new one is counted where it was reserved. `spend` is what the present period came to, as
LiteLLM's clients expect; `total_spend` is never set back.
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import ROUND_CEILING, Decimal, InvalidOperation
from typing import Any, Literal, NamedTuple

import msgspec
from msgspec import Struct

from penstock.control.store.periods import next_reset
from penstock.gateway.principal import Principal, Quota, QuotaKind
from penstock.providers.cost import PICODOLLARS

WINDOW = 60.0
"""Seconds of the windows of requests and tokens."""


class KeyRecord(Struct, frozen=True, kw_only=True):
    """A virtual key. Field names are LiteLLM's, where it has the field; times are Unix seconds, money is picodollars.

    token       SHA-256 of the key, hex: the key itself is kept nowhere
    key_name    the key as it may be shown: "sk-...1a2b"
    key_alias   the name that its owner gave it; no two keys have the same
    source      "api", or "config" for one that the configuration lists
    models, aliases, tags, metadata, blocked, expires    as in `Principal`
    max_budget  what may be spent until it is reset (None: any amount); soft_budget only warns
    budget_duration, budget_reset_at, budget_period   how long a period is, when this one ends, and its number
    spend       spent in this period; `total_spend` ever
    last_active when it was last called with
    extra       what LiteLLM's clients send besides, kept so that they get it back
    """

    token: str
    key_name: str
    key_alias: str | None = None
    source: Literal["api", "config"] = "api"
    models: tuple[str, ...] = ()
    aliases: Mapping[str, str] = {}
    tags: tuple[str, ...] = ()
    metadata: Mapping[str, Any] = {}
    blocked: bool = False
    expires: float | None = None
    rpm_limit: int | None = None
    tpm_limit: int | None = None
    max_parallel_requests: int | None = None
    max_budget: int | None = None
    soft_budget: int | None = None
    budget_duration: str | None = None
    budget_reset_at: float | None = None
    budget_period: int = 1
    spend: int = 0
    total_spend: int = 0
    user_id: str | None = None
    team_id: str | None = None
    organization_id: str | None = None
    last_active: float | None = None
    created_at: float = 0.0
    created_by: str | None = None
    updated_at: float = 0.0
    updated_by: str | None = None
    extra: Mapping[str, Any] = {}


def masked(key: str) -> str:
    """The key as it may be shown: its last four characters, if that leaves enough of it unsaid."""
    return f"sk-...{key[-4:]}" if len(key) >= 12 else "sk-..."


# -- what workers know of it ------------------------------------------------------------------------------------------


def principal_of(key: KeyRecord) -> Principal:
    """Who calls with this key, as workers know it."""
    return Principal(
        id=key.token,
        label=key.key_name,
        alias=key.key_alias,
        models=key.models,
        aliases=key.aliases,
        expires=key.expires,
        blocked=key.blocked,
        quotas=quotas_of(key),
        tags=key.tags,
        metadata=key.metadata,
    )


def quotas_of(key: KeyRecord) -> tuple[Quota, ...]:
    """What calls with this key draw on: one quota for each limit that it has."""
    found = []
    if key.rpm_limit is not None:
        found.append(Quota(name=quota_name(key.token, "requests"), kind="requests", limit=key.rpm_limit, window=WINDOW))
    if key.tpm_limit is not None:
        found.append(Quota(name=quota_name(key.token, "tokens"), kind="tokens", limit=key.tpm_limit, window=WINDOW))
    if key.max_parallel_requests is not None:
        name = quota_name(key.token, "parallel")
        found.append(Quota(name=name, kind="parallel", limit=key.max_parallel_requests))
    if key.max_budget is not None:
        name = quota_name(key.token, "money", key.budget_period)
        found.append(
            Quota(name=name, kind="money", limit=key.max_budget, resets_at=key.budget_reset_at, spent=key.spend)
        )
    return tuple(found)


class QuotaName(NamedTuple):
    """What a quota's name says: whose it is ("key" and its token), what it counts, and of which period (money only)."""

    scope: str
    owner: str
    kind: str
    period: int | None


def quota_name(token: str, kind: QuotaKind, period: int | None = None) -> str:
    """The name of a key's quota."""
    return f"key:{token}:{kind}" if period is None else f"key:{token}:{kind}:{period}"


def parse_quota(name: str) -> QuotaName | None:
    """What the name of a quota says; None: it is not named in this way."""
    parts = name.split(":")
    if len(parts) == 3:
        return QuotaName(parts[0], parts[1], parts[2], None)
    if len(parts) == 4 and parts[3].isascii() and parts[3].isdigit():
        return QuotaName(parts[0], parts[1], parts[2], int(parts[3]))
    return None


# -- budgets ----------------------------------------------------------------------------------------------------------


def budget_is_due(key: KeyRecord, now: float) -> bool:
    """Whether a period of the budget is over."""
    return key.budget_reset_at is not None and key.budget_reset_at <= now


def budget_reset(key: KeyRecord, now: float) -> KeyRecord:
    """The key at the beginning of a new period of its budget: nothing spent, and a quota of another name."""
    again = next_reset(key.budget_duration, now) if key.budget_duration is not None else None
    return msgspec.structs.replace(key, spend=0, budget_period=key.budget_period + 1, budget_reset_at=again)


def picodollars(dollars: str | int | float | Decimal) -> int:
    """An amount of US dollars, as people and JSON write it, in picodollars (what is less than one counts as one).

    A float is taken for what it prints as: 0.1 is a tenth. Raises ValueError for what is no finite amount.
    """
    try:
        return int((Decimal(str(dollars)) * PICODOLLARS).to_integral_value(ROUND_CEILING))
    except (InvalidOperation, OverflowError, ValueError):
        raise ValueError(f"{dollars!r} is no amount of US dollars: write a number, such as 12.5") from None


def dollars(amount: int) -> float:
    """Picodollars as US dollars, for JSON: the nearest float."""
    return amount / PICODOLLARS
