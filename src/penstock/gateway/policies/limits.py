"""Limits: requests and tokens in a window, and requests at once, out of leases.

A request counts when it is admitted. Tokens are reserved for the most that the call can use, and settled when it is
over; where the whole of it is not to be had, the call may go on with less output (`ChatCall.limit_output`), as long
as something worth sending is left.
"""

from __future__ import annotations

from typing import Any

from penstock.gateway import bounds
from penstock.gateway.driver import Wait
from penstock.gateway.leases import Denied
from penstock.gateway.principal import Quota
from penstock.gateway.refused import Refused

_NAMES = {"requests": "requests", "tokens": "tokens", "parallel": "parallel requests"}


class Limits:
    """The limits of the principal."""

    straight = True

    def __init__(self, leases: Any) -> None:
        self._leases = leases

    def admit(self, call: Any) -> Wait | None:
        quotas = call.principal.quotas
        if not quotas:
            return None
        for quota in quotas:
            if quota.kind == "money" or (call.reserved and any(each is quota for each, _ in call.reserved)):
                continue
            wanted = call.most_tokens() if quota.kind == "tokens" else 1
            granted = self._leases.take(quota, wanted, wanted)
            if type(granted) is not int:
                least = call.least_tokens() if quota.kind == "tokens" else 1
                granted = self._leases.take(quota, wanted, least)
                if granted is None:
                    return Wait(quota, wanted, least)
                if isinstance(granted, Denied):
                    call.settle(0)
                    raise over_limit(quota, least, granted)
            call.reserved = [*call.reserved, (quota, granted)]
            if granted < wanted:
                call.limit_output(granted - bounds.tight(call.inbound.body))
        return None


def over_limit(quota: Quota, least: int, denied: Denied) -> Refused:
    """The refusal of a call that would pass a limit."""
    if denied.away:
        return keeper_away(denied)
    what = _NAMES[quota.kind]
    window = f" in {quota.window:g} s" if quota.window else " at once"
    message = f"this key may use {quota.limit} {what}{window}, and {max(0, denied.left)} are left"
    if quota.kind == "tokens":
        message += f"; this call may need {least}: allow less output (max_tokens), or come again"
    return Refused(
        "rate_limit", 429, message, type="rate_limit_error", code="rate_limit_exceeded", retry_after=denied.retry_after
    )


def keeper_away(denied: Denied) -> Refused:
    """The refusal where nobody can tell what is left: what is not known to be allowed is not done."""
    message = "what is left of this key's limits cannot be found out now: come again"
    return Refused("unavailable", 503, message, code="limits_unavailable", retry_after=denied.retry_after)
