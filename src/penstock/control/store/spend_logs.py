"""The ledger's rows as clients of LiteLLM's `GET /spend/logs` know them: its field names, its shapes. Only reads.

    request_id     our call id (`x-penstock-call-id`); the provider's own id is in metadata
    spend          US dollars as a JSON number; metadata["cost"] is the exact amount as decimal text, None: unknown
    startTime ...  ISO 8601, UTC, microseconds
    status         "success" or "failure"; metadata["outcome"] says which: failure, cancelled, broken, interrupted
    metadata       attempts (each with deployment, provider, model, status, outcome, error, cost, usage ...), outcome,
                   cost, estimated, error_information, operation, path, stream, notes, route, and the key's own words
    messages, response, proxy_server_request   {} unless prompts are stored

What has no place among the columns comes from the records' facts, by these names: tags, end_user, session, requester,
trace, route, notes, metadata, cache_hit, cache_key, api_base, messages, response, proxy_server_request.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from typing import Any

import msgspec
from sqlalchemy import ColumnElement, Connection, Row, Select, case, func, select

from penstock.control.store.base import Page, SpendQuery, Spent
from penstock.control.store.calls import AttemptDetail, RequestDetail, microseconds
from penstock.control.store.keys import dollars
from penstock.control.store.tables import attempts, callers, requests

_DAY = 86_400_000_000
_MILLION = 1_000_000
_MOST_PARAMETERS = 500

_request_detail = msgspec.json.Decoder(RequestDetail).decode
_attempt_detail = msgspec.json.Decoder(AttemptDetail).decode

_CALL_TYPES = {
    "chat": "acompletion",
    "completion": "atext_completion",
    "responses": "aresponses",
    "messages": "anthropic_messages",
    "embedding": "aembedding",
    "rerank": "arerank",
    "image": "aimage_generation",
    "image_edit": "aimage_edit",
    "speech": "aspeech",
    "transcription": "atranscription",
    "moderation": "amoderation",
}
_CALL_TYPES_OF_PATHS = {"/v1/messages": "anthropic_messages", "/v1/responses": "aresponses"}


# -- which ------------------------------------------------------------------------------------------------------------


def _conditions(which: SpendQuery) -> list[ColumnElement[bool]]:
    found: list[ColumnElement[bool]] = []
    if which.request_id is not None:
        found.append(requests.c.call_id == which.request_id)
    for column, value in (
        (callers.c.token, which.api_key),
        (callers.c.user_id, which.user_id),
        (callers.c.team_id, which.team_id),
    ):
        if value is not None:
            found.append(requests.c.caller.in_(select(callers.c.id).where(column == value)))
    if which.model is not None:
        found.append((requests.c.model == which.model) | (requests.c.model_group == which.model))
    if which.status is not None:
        found.append(requests.c.outcome == "success" if which.status == "success" else requests.c.outcome != "success")
    if which.start is not None:
        found.append(requests.c.started >= microseconds(which.start))
    if which.end is not None:
        found.append(requests.c.started < microseconds(which.end))
    return found


def page_of(connection: Connection, which: SpendQuery, page: int, size: int) -> Page[dict[str, Any]]:
    """A page of these requests, the last to begin first."""
    found = ids_of(connection, which, page, size)
    return Page(rows_of(connection, found.rows), found.total)


def ids_of(connection: Connection, which: SpendQuery, page: int, size: int) -> Page[int]:
    """The ids of such a page."""
    conditions = _conditions(which)
    total = connection.execute(select(func.count()).select_from(requests).where(*conditions)).scalar_one()
    order = (requests.c.started.desc(), requests.c.id.desc())
    ids = select(requests.c.id).where(*conditions).order_by(*order).offset((page - 1) * size).limit(size)
    return Page(list(connection.execute(ids).scalars()), total)


def rows_of(connection: Connection, ids: Sequence[int]) -> list[dict[str, Any]]:
    """These requests, in this order, without those that are not there any more."""
    return [
        log for at in range(0, len(ids), _MOST_PARAMETERS) for log in _logs(connection, ids[at : at + _MOST_PARAMETERS])
    ]


def _logs(connection: Connection, ids: Sequence[int]) -> Iterator[dict[str, Any]]:
    some = select(requests, *_OF_CALLER).join(callers, callers.c.id == requests.c.caller).where(requests.c.id.in_(ids))
    found = {row.id: row for row in connection.execute(some)}
    tried = _attempts_of(connection, ids)
    return (_log(found[each], tried.get(each, [])) for each in ids if each in found)


_OF_CALLER = (
    callers.c.token,
    callers.c.key_alias,
    callers.c.user_id,
    callers.c.team_id,
    callers.c.organization_id,
)


def _attempts_of(connection: Connection, ids: Sequence[int]) -> dict[int, list[Row[Any]]]:
    found: dict[int, list[Row[Any]]] = {}
    some = select(attempts).where(attempts.c.request.in_(ids)).order_by(attempts.c.request, attempts.c.attempt)
    for row in connection.execute(some):
        found.setdefault(row.request, []).append(row)
    return found


# -- LiteLLM's shape --------------------------------------------------------------------------------------------------


def _log(row: Row[Any], tried: Sequence[Row[Any]]) -> dict[str, Any]:
    detail = _request_detail(row.detail)
    facts: dict[str, Any] = dict(detail.facts)
    for attempt in tried:
        facts.update(_attempt_detail(attempt.detail).facts)
    last = tried[-1] if tried else None
    return {
        "request_id": row.call_id,
        "call_type": _CALL_TYPES_OF_PATHS.get(detail.path) or _CALL_TYPES.get(row.operation, row.operation),
        "api_key": row.token,
        "spend": dollars(row.cost or 0),
        "total_tokens": row.total_tokens or 0,
        "prompt_tokens": row.input_tokens or 0,
        "completion_tokens": row.output_tokens or 0,
        "startTime": _iso(row.started),
        "endTime": _iso(row.ended),
        "completionStartTime": _iso(row.first_token),
        "request_duration_ms": max(0, row.ended - row.started) // 1000,
        "model": row.model or row.requested,
        "model_id": last.deployment if last is not None else "",
        "model_group": row.model_group,
        "custom_llm_provider": last.provider if last is not None else "",
        "api_base": facts.get("api_base", ""),
        "user": row.user_id,
        "team_id": row.team_id or None,
        "organization_id": row.organization_id or None,
        "end_user": facts.get("end_user", ""),
        "request_tags": list(facts.get("tags", ())),
        "metadata": _metadata(row, detail, tried, facts),
        "cache_hit": str(facts.get("cache_hit", "None")),
        "cache_key": facts.get("cache_key", "Cache OFF"),
        "requester_ip_address": facts.get("requester"),
        "session_id": facts.get("session"),
        "status": "success" if row.outcome == "success" else "failure",
        "messages": facts.get("messages", {}),
        "response": facts.get("response", {}),
        "proxy_server_request": facts.get("proxy_server_request", {}),
    }


_SHOWN_ELSEWHERE = frozenset(
    {"tags", "end_user", "requester", "session", "cache_hit", "cache_key", "api_base", "metadata"}
    | {"messages", "response", "proxy_server_request"}
)


def _metadata(
    row: Row[Any], detail: RequestDetail, tried: Sequence[Row[Any]], facts: Mapping[str, Any]
) -> dict[str, Any]:
    failed = row.outcome != "success"
    error = {"error_class": row.error, "error_code": str(row.status), "error_message": detail.message}
    own = facts.get("metadata")
    return {
        **(own if isinstance(own, dict) else {}),
        **{name: value for name, value in facts.items() if name not in _SHOWN_ELSEWHERE},
        "status": "failure" if failed else "success",
        "outcome": row.outcome,
        "error_information": error if failed else None,
        "user_api_key": row.token,
        "user_api_key_alias": row.key_alias or None,
        "user_api_key_user_id": row.user_id or None,
        "user_api_key_team_id": row.team_id or None,
        "user_api_key_org_id": row.organization_id or None,
        "operation": row.operation,
        "path": detail.path,
        "requested_model": row.requested,
        "stream": detail.stream,
        "cost": _exact(row.cost, row.cost_text),
        "estimated": bool(row.estimated),
        "attempts": [_attempt(attempt) for attempt in tried],
    }


def _attempt(row: Row[Any]) -> dict[str, Any]:
    detail = _attempt_detail(row.detail)
    return {
        "attempt": row.attempt,
        "model_id": row.deployment,
        "provider": row.provider,
        "model": row.model,
        "startTime": _iso(row.started),
        "endTime": _iso(row.ended),
        "completionStartTime": _iso(row.first_token),
        "status": row.status,
        "outcome": row.outcome,
        "error": row.error,
        "message": detail.message,
        "cost": _exact(row.cost, row.cost_text),
        "estimated": bool(row.estimated),
        "usage": None if detail.usage is None else msgspec.to_builtins(detail.usage),
        "finish_reason": detail.finish_reason,
        "response_id": detail.response_id,
        **detail.facts,
    }


def _exact(cost: int | None, text: str | None) -> str | None:
    """US dollars as decimal text: as the record says it, or in picodollars."""
    if text is not None or cost is None:
        return text
    whole, rest = divmod(cost, 10**12)
    return f"{whole}.{rest:012d}".rstrip("0").rstrip(".")


def _iso(at: int | None) -> str | None:
    if at is None:
        return None
    moment = datetime.fromtimestamp(at // _MILLION, UTC).replace(microsecond=at % _MILLION)
    return moment.isoformat(timespec="microseconds").replace("+00:00", "Z")


# -- sums -------------------------------------------------------------------------------------------------------------


def days_of(connection: Connection, which: SpendQuery) -> list[int]:
    """Days on which any of these requests began."""
    day = requests.c.started // _DAY
    return list(connection.execute(select(day).where(*_conditions(which)).distinct().order_by(day)).scalars())


def by_day(connection: Connection, which: SpendQuery) -> list[Spent]:
    """What these requests cost, by day, key, user and model. (Summed in two halves, so that no sum overflows.)"""
    sums: dict[tuple[int, str, str, str], tuple[int, int]] = {}
    for day, token, user, model, high, low, count in connection.execute(_sums(which)):
        key = (day, token, user, model)
        cost_before, count_before = sums.get(key, (0, 0))
        sums[key] = (cost_before + high * _MILLION + low, count_before + count)
    return [Spent(at, token, user or None, name, *total) for (at, token, user, name), total in sorted(sums.items())]


def _sums(which: SpendQuery) -> Select[Any]:
    """Sums by caller, and who that is: looked up for those only of whom there is a sum, when it is made."""
    day, known = requests.c.started // _DAY, func.coalesce(requests.c.cost, 0)
    model = case((requests.c.model != "", requests.c.model), else_=requests.c.requested)
    halves = (func.sum(known // _MILLION).label("high"), func.sum(known % _MILLION).label("low"))
    summed = (
        select(day.label("day"), requests.c.caller, model.label("name"), *halves, func.count().label("calls"))
        .where(*_conditions(which)).group_by(day, requests.c.caller, model).subquery().c
    )  # fmt: skip
    columns = (summed.day, callers.c.token, callers.c.user_id, summed.name, summed.high, summed.low, summed.calls)
    return select(*columns).join(callers, callers.c.id == summed.caller)


def summary(spent: Iterable[Spent], until: date | None = None) -> list[dict[str, Any]]:
    """LiteLLM's summary of `/spend/logs?start_date=&end_date=`: a dictionary for each day with requests, and each day
    after the last of them up to `until`: startTime (the day), spend, users, models, and each key's spend by token.
    """
    days: dict[int, dict[str, Any]] = {}
    for item in spent:
        found = days.setdefault(item.day, {"startTime": _day(item.day), "spend": 0, "users": {}, "models": {}})
        user = item.user_id or ""
        found["spend"] += item.cost
        found[item.api_key] = found.get(item.api_key, 0) + item.cost
        found["users"][user] = found["users"].get(user, 0) + item.cost
        found["models"][item.model] = found["models"].get(item.model, 0) + item.cost
    if days and until is not None:
        for day in range(max(days) + 1, (until - date(1970, 1, 1)).days + 1):
            days[day] = {"startTime": _day(day), "spend": 0, "users": {}, "models": {}}
    return [_in_dollars(days[day]) for day in sorted(days)]


def _day(day: int) -> str:
    return (date(1970, 1, 1) + timedelta(days=day)).isoformat()


def _in_dollars(day: dict[str, Any]) -> dict[str, Any]:
    return {
        name: dollars(value) if isinstance(value, int)
        else {key: dollars(amount) for key, amount in value.items()} if isinstance(value, dict) else value
        for name, value in day.items()
    }  # fmt: skip
