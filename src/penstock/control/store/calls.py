"""Call: what the journals told of one call so far, and the rows of the ledger that it becomes when it is over. Pure.

A call is over with the attempt that says `last`, or with its `Ended`. Of a dead worker nothing more will be told:
`interrupted` ends its calls, and takes an attempt that was never closed to have cost all that was reserved for it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import lru_cache
from typing import Any

import msgspec
from msgspec import Struct

from penstock.gateway.records import Amount, Closed, Ended, Opened
from penstock.types.usage import Usage

INTERRUPTED = "interrupted"
_LONGEST_NAME = 256
"""Characters of what a provider calls a thing that it keeps (an answer, a file, a batch): one with a longer name is not
written down."""
_CUT_OFF = (
    "the worker died before this attempt ended: it may have been billed, so it is counted with what was reserved for it"
)
_BETWEEN = "the worker died before this call had ended"

_json = msgspec.json.Encoder().encode


class Attempted(Struct, gc=False):
    """One attempt: as it began, and as it ended (None: it has not)."""

    opened: Opened
    closed: Closed | None = None


class Call(Struct, gc=False):
    """One call, as far as the journals told.

    worker     who made it, for which `principal`
    attempts   in order; `ended` how the whole call did, where the last attempt does not say it
    """

    worker: str
    call_id: str
    principal: str
    attempts: list[Attempted] = []
    ended: Ended | None = None


def interrupted(call: Call, now: float) -> None:
    """End a call whose worker is dead, or which ended while an attempt was open."""
    for attempted in call.attempts:
        if attempted.closed is None:
            attempted.closed = _cut_off(attempted.opened, now)
    if call.ended is None and not _is_last(call):
        first, last = call.attempts[0].opened, call.attempts[-1].closed
        assert last is not None
        call.ended = Ended(
            call.call_id, last.at, first.started, first.principal, first.operation, first.path, first.requested,
            first.group, len(call.attempts), 0, INTERRUPTED, INTERRUPTED, _BETWEEN, first.facts,
        )  # fmt: skip


def _cut_off(opened: Opened, now: float) -> Closed:
    money = [amount for name, amount in opened.reserved if is_money(name)]
    return Closed(
        opened.call_id,
        opened.attempt,
        max(now, opened.at),
        None,
        0,
        INTERRUPTED,
        INTERRUPTED,
        _CUT_OFF,
        estimated=True,
        cost=max(money) if money else None,
        settled=opened.reserved,
        last=True,
    )


def _is_last(call: Call) -> bool:
    closed = call.attempts[-1].closed if call.attempts else None
    return closed is not None and closed.last


def is_money(quota: str) -> bool:
    """Whether a quota of this name counts money."""
    return ":money" in quota


# -- what it cost -----------------------------------------------------------------------------------------------------


def cost_of(closed: Closed) -> int | None:
    """Picodollars of an attempt: what it says, or, where its price is unknown, what its budgets were charged."""
    if closed.cost is not None or not closed.settled:
        return closed.cost
    charged = [amount for name, amount in closed.settled if amount and is_money(name)]
    return max(charged) if charged else None


def settled_money(call: Call) -> list[Amount]:
    """What its attempts really used, of each money quota."""
    return [
        amount
        for attempted in call.attempts
        if attempted.closed is not None
        for amount in attempted.closed.settled
        if ":money" in amount[0]
    ]


# -- what it made -----------------------------------------------------------------------------------------------------

_KEPT = re.compile(r"/(responses|files|batches)(/|$)")


@lru_cache(maxsize=1000)
def _makes_what_is_kept(path: str) -> bool:
    return _KEPT.search(path) is not None


def made_by(call: Call) -> list[tuple[str, str, str, int]]:
    """What the provider keeps of this call, to be fetched or continued later: (its id, deployment, principal, when)."""
    if not call.attempts or not _makes_what_is_kept(call.attempts[0].opened.path):
        return []
    return [
        (name, attempted.opened.deployment, owner, int(closed.at * 1e6 + 0.5))
        for attempted in call.attempts
        if (closed := attempted.closed) is not None
        for name, owner in _names_in(closed, call.principal)
        if len(name) <= _LONGEST_NAME
    ]


def _names_in(closed: Closed, caller: str) -> list[tuple[str, str]]:
    """What an attempt made, and for whom: its answer itself, or what the worker read in it (a batch makes files)."""
    found = [(closed.response_id, caller)] if closed.response_id else []
    made, owner = closed.facts.get("made"), closed.facts.get("made_for", caller)
    if isinstance(made, list) and isinstance(owner, str):
        found += [(name, owner) for name in made if isinstance(name, str)]
    return found


# -- rows -------------------------------------------------------------------------------------------------------------

REQUEST_COLUMNS = (
    "id", "call_id", "worker", "caller", "started", "ended", "first_token", "operation", "requested", "model_group",
    "model", "status", "outcome", "error", "attempts", "input_tokens", "output_tokens", "total_tokens", "cost",
    "cost_text", "estimated", "detail",
)  # fmt: skip
ATTEMPT_COLUMNS = (
    "request", "attempt", "started", "ended", "first_token", "deployment", "provider", "model", "status", "outcome",
    "error", "cost", "cost_text", "estimated", "detail",
)  # fmt: skip


class RequestDetail(Struct, frozen=True, omit_defaults=True):
    """What a request's row says besides its columns, as JSON."""

    path: str = ""
    stream: bool = False
    message: str | None = None
    facts: dict[str, Any] = {}


class AttemptDetail(Struct, frozen=True, omit_defaults=True):
    """What an attempt's row says besides its columns, as JSON."""

    message: str | None = None
    usage: Usage | None = None
    finish_reason: str | None = None
    response_id: str | None = None
    facts: dict[str, Any] = {}


def microseconds(seconds: float) -> int:
    """Unix seconds as the integer that tables keep."""
    return int(seconds * 1e6 + 0.5)


def ended_at(call: Call) -> int:
    """When a call that is over was."""
    end = call.ended or call.attempts[-1].closed
    assert end is not None, "a call that is over has an end"
    return int(end.at * 1e6 + 0.5)


def attempt_rows(request: int, call: Call) -> list[tuple[Any, ...]]:
    """A row for each attempt of the call, in the order of ATTEMPT_COLUMNS."""
    return [
        _attempt_row(request, attempted.opened, attempted.closed) for attempted in call.attempts if attempted.closed
    ]


def _attempt_row(request: int, opened: Opened, closed: Closed) -> tuple[Any, ...]:
    detail = AttemptDetail(
        closed.message, closed.usage, closed.finish_reason, closed.response_id, closed.facts,  # type: ignore[arg-type]  # frozen rows of JSON: read, never changed
    )  # fmt: skip
    at, first = int(opened.at * 1e6 + 0.5), closed.first_token
    return (
        request, closed.attempt, at, int(closed.at * 1e6 + 0.5), None if first is None else at + int(first * 1e6),
        opened.deployment, opened.provider, opened.model, closed.status, closed.outcome, closed.error, cost_of(closed),
        closed.cost_text, closed.estimated, _json(detail).decode(),
    )  # fmt: skip


def request_row(request: int, caller: int, call: Call) -> tuple[Any, ...]:
    """The row of the call, in the order of REQUEST_COLUMNS. `caller` is the row of who called."""
    if len(call.attempts) != 1 or call.ended is not None:
        return _row_of_many(request, caller, call)
    opened, closed = call.attempts[0].opened, call.attempts[0].closed
    assert closed is not None, "a call that is over has no open attempt"
    usage, first = closed.usage, closed.first_token
    input_, output, total = _tokens(usage) if usage is not None else (None, None, None)
    detail = RequestDetail(opened.path, opened.stream, closed.message, opened.facts)  # type: ignore[arg-type]  # frozen rows of JSON: read, never changed
    return (
        request, call.call_id, call.worker, caller, int(opened.started * 1e6 + 0.5), int(closed.at * 1e6 + 0.5),
        None if first is None else int((opened.at + first) * 1e6 + 0.5), opened.operation, opened.requested,
        opened.group, opened.model, closed.status, closed.outcome, closed.error, 1, input_, output, total,
        cost_of(closed), closed.cost_text, closed.estimated, _json(detail).decode(),
    )  # fmt: skip


def _row_of_many(request: int, caller: int, call: Call) -> tuple[Any, ...]:
    """A call of several attempts, or of none: its answer is that of the last, its cost that of all."""
    attempts = [(item.opened, item.closed) for item in call.attempts if item.closed is not None]
    opened, closed = attempts[-1] if attempts else (None, None)
    begun = call.attempts[0].opened if call.attempts else call.ended
    assert begun is not None, "and it began with its first"
    end = call.ended if call.ended is not None else closed
    assert end is not None, "a call without attempts is told by its end"
    costs = [cost for _, item in attempts if (cost := cost_of(item)) is not None]
    told = [item.usage for _, item in attempts] + ([] if call.ended is None else [call.ended.usage])
    usages = [_tokens(usage) for usage in told if usage is not None]
    tokens = [_total(column) for column in zip(*usages, strict=True)] or [None, None, None]
    first = None
    if opened is not None and closed is not None and closed.first_token is not None:
        first = opened.at + closed.first_token
    facts = {**begun.facts, **end.facts} if call.ended is not None else dict(begun.facts)
    detail = RequestDetail(begun.path, opened is not None and opened.stream, end.message, facts)
    return (
        request, call.call_id, call.worker, caller, microseconds(begun.started), microseconds(end.at),
        None if first is None else microseconds(first), begun.operation, begun.requested, begun.group,
        "" if opened is None else opened.model, end.status, end.outcome, end.error, len(attempts), *tokens,
        sum(costs) if costs else None, _sum_of_texts([item for _, item in attempts]),
        any(item.estimated for _, item in attempts), _json(detail).decode(),
    )  # fmt: skip


def _tokens(usage: Usage) -> tuple[int | None, int | None, int | None]:
    input_, output, total = usage.input_tokens, usage.output_tokens, usage.total_tokens
    if total is None and (input_ is not None or output is not None):
        total = (input_ or 0) + (output or 0)
    return input_, output, total


def _total(values: Iterable[int | None]) -> int | None:
    known = [value for value in values if value is not None]
    return sum(known) if known else None


def _sum_of_texts(closed: list[Closed]) -> str | None:
    """The exact cost of several attempts; an attempt that says only picodollars counts with these."""
    from decimal import Decimal, localcontext

    costs = [(item.cost_text, cost_of(item)) for item in closed]
    if all(text is None and cost is None for text, cost in costs):
        return None
    with localcontext(prec=60):
        total = sum((Decimal(text) if text else Decimal(cost or 0).scaleb(-12) for text, cost in costs), Decimal(0))
        return f"{total:f}"
