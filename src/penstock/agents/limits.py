"""Whether a session has reached a limit, and which limits hold where several were set. Pure.

A limit is reached when what was used is as much as it allows: the call that comes to it is the last one. The gateway
holds the session's key to the same tokens and dollars before a call is sent; here it is noticed that the session is
therefore over, and why.

What a supervisor gives to a worker it cannot use itself: a share is set aside while the worker lives (`Session.lent`),
and what was not used of it comes back. Whoever has given everything away is not over, but what it uses beyond its own
part is too much.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from decimal import Decimal
from typing import Any, TypeVar

from msgspec import Struct

from penstock.agents.machine import Reason, State
from penstock.agents.types import Amounts, Limits, Session

N = TypeVar("N", int, Decimal)
_REASONS = {
    "dollars": Reason.MONEY_LIMIT,
    "tokens": Reason.TOKEN_LIMIT,
    "requests": Reason.REQUEST_LIMIT,
    "bytes_out": Reason.BYTES_LIMIT,
}
"""What can be used up, in the order in which limits are looked at."""
_AMOUNTS = ("idle_seconds", "wall_seconds", "tokens", "dollars", "requests", "bytes_out")


def up_seconds(session: Session, now: datetime) -> float:
    """Seconds that the session was up until now."""
    since = session.active_since
    return session.active_seconds + (0.0 if since is None else max((now - since).total_seconds(), 0.0))


def reached(session: Session, now: datetime) -> Reason | None:
    """The limit that this session has reached, money first and idleness last; None while it may go on."""
    spent = used(session)
    for name, reason in _REASONS.items():
        limit, amount, lent = getattr(session.limits, name), getattr(spent, name), getattr(session.lent, name)
        if limit is not None and (amount >= limit or (lent and amount + lent > limit)):
            return reason
    wall = session.limits.wall_seconds
    if wall is not None and up_seconds(session, now) >= wall:
        return Reason.WALL_LIMIT
    return Reason.IDLE_LIMIT if _idle_too_long(session, now) else None


def used(session: Session) -> Amounts:
    """What a session has used, itself and by workers that are over."""
    own, others = session.usage, session.spent_by_workers
    return Amounts(
        dollars=own.dollars + others.dollars,
        tokens=session.tokens + others.tokens,
        requests=own.requests + others.requests,
        bytes_out=own.bytes_out + others.bytes_out,
    )


def _idle_too_long(session: Session, now: datetime) -> bool:
    limit, since = session.limits.idle_seconds, session.idle_since
    if session.state is not State.IDLE or limit is None or since is None or session.has_message:
        return False
    return (now - since).total_seconds() >= limit


def next_check(session: Session, now: datetime) -> float | None:
    """Seconds until a limit of time can be reached; None: no limit of time counts at present."""
    waits: list[float] = []
    if session.limits.wall_seconds is not None and session.active_since is not None:
        waits.append(session.limits.wall_seconds - up_seconds(session, now))
    if session.limits.idle_seconds is not None and session.state is State.IDLE and session.idle_since is not None:
        waits.append(session.limits.idle_seconds - (now - session.idle_since).total_seconds())
    return max(min(waits), 0.0) if waits else None


def tightest(*all_limits: Limits) -> Limits:
    """Of each limit the least that any of these sets. `repeats` 0 (no limit) yields to any other number."""
    chosen: dict[str, Any] = {name: _least(getattr(each, name) for each in all_limits) for name in _AMOUNTS}
    repeats = [each.repeats for each in all_limits if each.repeats is not None]
    chosen["repeats"] = min((each for each in repeats if each), default=0) if repeats else None
    terminate = any(each.on_idle == "terminate" for each in all_limits)
    return Limits(**chosen, on_idle="terminate" if terminate else "suspend")


def _least(values: Iterable[Any]) -> Any:
    return min((value for value in values if value is not None), default=None)


class Left(Struct, frozen=True):
    """What can still be given away of each amount; None: as much as one likes."""

    tokens: int | None = None
    dollars: Decimal | None = None
    requests: int | None = None
    bytes_out: int | None = None


def left(session: Session) -> Left:
    """What this session can still use, or give away: its limits, less what it and its workers have used, less what is
    set aside for workers that live. Its key at the gateway can spend no more than that.
    """
    spent = used(session)
    taken = {name: getattr(spent, name) + getattr(session.lent, name) for name in _REASONS}
    return Left(**{name: _rest(getattr(session.limits, name), amount) for name, amount in taken.items()})


def _rest(limit: Any, taken: Any) -> Any:
    return None if limit is None else max(limit - taken, limit - limit)


def share(worker: Session) -> Amounts:
    """What is set aside for a worker: all that its limits allow. (No limit: its supervisor has none.)"""
    return Amounts(**{name: getattr(worker.limits, name) or getattr(Amounts(), name) for name in _REASONS})


def exceeded(wanted: Limits, rest: Left) -> str | None:
    """The first field in which `wanted` is more than what is left; None: it fits. No limit is more than any."""
    for name in ("tokens", "dollars", "requests", "bytes_out"):
        bound, wish = getattr(rest, name), getattr(wanted, name)
        if bound is not None and (wish is None or wish > bound):
            return name
    return None
