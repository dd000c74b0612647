"""Budget: money is reserved for each attempt, when it is known whom it would pay (`ChatCall.reserve`)."""

from __future__ import annotations

from penstock.gateway.leases import Denied
from penstock.gateway.policies.limits import keeper_away
from penstock.gateway.principal import Quota
from penstock.gateway.refused import Refused

PICODOLLARS = 10**12


def over_budget(quota: Quota, least: int, denied: Denied, status: int) -> Refused:
    """The refusal of a call that may cost more than is left."""
    if denied.away:
        return keeper_away(denied)
    limit, left = dollars(quota.limit), dollars(max(0, denied.left))
    message = (
        f"the budget of this key is spent: {left} of {limit} US dollars are left, and this call may cost "
        f"{dollars(least)}; ask for a larger max_budget, or allow less output (max_tokens)"
    )
    retry = denied.retry_after if quota.resets_at is not None else None
    return Refused("quota", status, message, type="budget_exceeded", code="budget_exceeded", retry_after=retry)


def dollars(picodollars: int) -> str:
    """An amount as decimal text."""
    whole, rest = divmod(picodollars, PICODOLLARS)
    return f"{whole}.{rest:012d}".rstrip("0").rstrip(".")
