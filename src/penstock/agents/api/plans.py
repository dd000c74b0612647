"""/v1/plans: steps that wait for each other, and their way. A plan's changes are events of its session's log.

So to watch a plan is to follow that log, as ./events.py does, with the events of other kinds left out: the numbers are
the log's, and whoever was cut off says the last one that they have.
"""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Path, Query
from pydantic import BaseModel, ConfigDict, Field
from starlette.responses import Response

from penstock.agents.api.bodies import Caller, Cursor, Id, IdempotencyKey, NoParameters, TheService, body, takes
from penstock.agents.api.errors import json_response
from penstock.agents.api.events import STREAM, LastEventId, Number, StreamAsked, after_of, page_of, streamed
from penstock.agents.api.schemas import EventPage, answers
from penstock.agents.ids import PATTERN
from penstock.agents.plans import Plan, StepUpdate
from penstock.agents.requests import NewPlan, NewSteps, PlanUpdate
from penstock.agents.types import Page

router = APIRouter(prefix="/v1/plans", tags=["plans"])
_one = answers(Plan)
StepName = Annotated[str, Path(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]{0,63}$", description="the step's id in its plan")]


class ListAsked(Cursor):
    """Which plans."""

    session: Annotated[str | None, Field(pattern=PATTERN, description="of this session")] = None


class EventsAsked(BaseModel):
    """Which changes."""

    model_config = ConfigDict(extra="forbid")

    after: Number = 0
    limit: Annotated[int, Field(ge=1, le=1000)] = 200


@router.post("", status_code=201, responses=answers(Plan, 201, "Made."), openapi_extra=takes(NewPlan))
async def make_plan(
    service: TheService, caller: Caller, once: IdempotencyKey, wanted: Annotated[NewPlan, body(NewPlan)]
) -> Response:
    """Make a plan of a session: its owner may, and its agent."""
    return json_response(await service.plans.make(caller, wanted, once), 201)


@router.get("", responses=answers(Page[Plan]))
async def list_plans(service: TheService, caller: Caller, asked: Annotated[ListAsked, Query()]) -> Response:
    """List plans, newest first."""
    found = await service.plans.plans(caller, session=asked.session, cursor=asked.cursor, limit=asked.limit)
    return json_response(found)


@router.get("/{id}", responses=_one)
async def read_plan(service: TheService, caller: Caller, id: Id, asked: NoParameters) -> Response:
    """Read a plan, with all of its steps."""
    return json_response(await service.plans.plan(caller, id))


@router.patch("/{id}", responses=_one, openapi_extra=takes(PlanUpdate))
async def change_plan(
    service: TheService, caller: Caller, id: Id, once: IdempotencyKey, wanted: Annotated[PlanUpdate, body(PlanUpdate)]
) -> Response:
    """Give it another title, or its steps another order."""
    return json_response(await service.plans.update(caller, id, wanted, once))


@router.post("/{id}/steps", status_code=201, responses=answers(Plan, 201, "Added."), openapi_extra=takes(NewSteps))
async def add_steps(
    service: TheService, caller: Caller, id: Id, once: IdempotencyKey, wanted: Annotated[NewSteps, body(NewSteps)]
) -> Response:
    """Add steps. All are added or none."""
    return json_response(await service.plans.add(caller, id, wanted, once), 201)


@router.patch("/{id}/steps/{step}", responses=_one, openapi_extra=takes(StepUpdate))
async def change_step(
    service: TheService, caller: Caller, id: Id, step: StepName, once: IdempotencyKey,
    wanted: Annotated[StepUpdate, body(StepUpdate)],
) -> Response:  # fmt: skip
    """Say how far a step is, who does it, what came of it. What follows for other steps is worked out."""
    return json_response(await service.plans.update_step(caller, id, step, wanted, once))


@router.get("/{id}/events", responses=answers(EventPage, description="A page of its changes."))
async def list_plan_events(
    service: TheService, caller: Caller, id: Id, asked: Annotated[EventsAsked, Query()]
) -> Response:
    """Read its changes: events of kind `plan` of its session's log, under the numbers that they have there."""
    page = await service.plans.events(caller, id, after=asked.after, limit=asked.limit)
    return page_of(page, asked.limit)


@router.get("/{id}/events/stream", responses=STREAM, response_class=Response)
async def stream_plan_events(
    service: TheService, caller: Caller, id: Id, asked: Annotated[StreamAsked, Query()],
    last_event_id: LastEventId = None,
) -> Response:  # fmt: skip
    """Follow its changes as server-sent events, until its session is over."""
    plan = await service.plans.plan(caller, id)
    after = after_of(asked.after, last_event_id)
    return await streamed(
        service,
        caller,
        plan.session,
        after,
        lambda heartbeat: service.plans.follow(caller, id, after, heartbeat=heartbeat),
    )
