"""/spend/...: the ledger's rows, under LiteLLM's names. A virtual key sees its own."""

from __future__ import annotations

from datetime import UTC, date, datetime
from typing import Annotated, Any, Literal

import msgspec
from fastapi import Query, Request
from pydantic import AfterValidator, Field, WithJsonSchema
from starlette.responses import Response

from penstock.control.api import answers
from penstock.control.api.errors import forbidden, json_response
from penstock.control.api.exact import exact_router
from penstock.control.api.keys import Named, Strict
from penstock.control.api.rows import pages
from penstock.control.api.services import Services, caller_of, services_of
from penstock.control.store.base import SpendQuery
from penstock.control.store.spend_logs import summary
from penstock.control.virtual_keys import token_of

router = exact_router("spend")

MOST_ROWS = 10_000
"""Rows that one answer without pages has: the newest. `x-penstock-total` says how many there are."""
SLICE = 100
"""Rows that are read at once: some 160 kB of JSON, or, with prompts in them, some ten megabytes."""
_DAY = 86400.0


def _date(value: str) -> str:
    _moment(value)
    return value


def _moment(value: str) -> datetime:
    """A date, or a time, UTC unless it says another zone. Raises ValueError."""
    found = datetime.fromisoformat(value)
    return found if found.tzinfo is not None else found.replace(tzinfo=UTC)


Day = Annotated[
    str,
    AfterValidator(_date),
    WithJsonSchema({"type": "string", "format": "date", "description": "or a time, such as 2026-11-01 12:00:00"}),
]


class Asked(Strict):
    """What both lists can be asked for. Dates are UTC's; a last day is included."""

    request_id: str | None = None
    api_key: Named | None = Field(None, description="a key or its token")
    user_id: str | None = None
    start_date: Day | None = None
    end_date: Day | None = None


class LogsAsked(Asked):
    """GET /spend/logs"""

    summarize: bool = Field(True, description="with both dates: sums by day in the place of rows")


class PageAsked(Asked):
    """GET /spend/logs/v2"""

    page: Annotated[int, Field(ge=1, le=10**9)] = 1
    page_size: Annotated[int, Field(ge=1, le=1000)] = 50
    team_id: str | None = None
    model: str | None = None
    status_filter: Literal["success", "failure"] | None = None


def _query(request: Request, asked: Asked) -> SpendQuery:
    """Which rows the caller may see, of those that are asked for. Raises Refusal."""
    caller = caller_of(request)
    key = None if asked.api_key is None else token_of(asked.api_key)
    if caller.role != "master":
        if key not in (None, caller.id):
            raise forbidden("a virtual key may see its own requests only")
        key = caller.id
    return SpendQuery(
        request_id=asked.request_id,
        api_key=key,
        user_id=asked.user_id,
        start=None if asked.start_date is None else _moment(asked.start_date).timestamp(),
        end=None if asked.end_date is None else _end(asked.end_date),
    )


def _end(text: str) -> float:
    """A date includes its day; a time is what it says."""
    at = _moment(text).timestamp()
    return at + _DAY if len(text) == len("2026-11-01") else at


@router.get("/spend/logs", responses={200: {"model": list[answers.SpendLog] | list[answers.SpendDay]}})
async def spend_logs(request: Request, asked: Annotated[LogsAsked, Query()]) -> Response:
    """Requests, the newest first; or, with both dates, what each day came to."""
    services, which = services_of(request), _query(request, asked)
    if asked.start_date is not None and asked.end_date is not None and asked.summarize:
        return await _days(services, which, min(_moment(asked.end_date), datetime.now(UTC)).date())
    store, reads = services.store, services.large_reads
    found = await reads.read(store.request_ids, which, 1, MOST_ROWS)
    slices = [found.rows[at : at + SLICE] for at in range(0, len(found.rows), SLICE)]
    return reads.answer(slices, store.requests_by_id, {"x-penstock-total": str(found.total)})


async def _days(services: Services, which: SpendQuery, until: date) -> Response:
    """What each day came to, up to `until`. A day is a slice: it has a sum for every key, user and model."""
    days = await services.large_reads.read(services.store.request_days, which)

    def sums_of(day: int) -> list[dict[str, Any]]:
        start, end = day * _DAY, (day + 1) * _DAY
        of_day = msgspec.structs.replace(
            which,
            start=start if which.start is None else max(start, which.start),
            end=end if which.end is None else min(end, which.end),
        )
        return summary(services.store.spend_by_day(of_day), until if day == days[-1] else None)

    return services.large_reads.answer(days, sums_of)


@router.get("/spend/logs/v2", responses={200: {"model": answers.SpendPage}})
async def spend_logs_page(request: Request, asked: Annotated[PageAsked, Query()]) -> Response:
    """A page of requests, the newest first."""
    which = msgspec.structs.replace(
        _query(request, asked), team_id=asked.team_id, model=asked.model, status=asked.status_filter
    )
    services = services_of(request)
    page = await services.large_reads.read(services.store.requests, which, asked.page, asked.page_size)
    return json_response(
        {
            "data": page.rows,
            "total": page.total,
            "page": asked.page,
            "page_size": asked.page_size,
            "total_pages": pages(page.total, asked.page_size),
        }
    )
