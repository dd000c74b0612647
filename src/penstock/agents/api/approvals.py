"""/v1/approvals, and those of one session: ask, look, decide. An agent may ask; people decide."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query
from pydantic import Field
from starlette.responses import Response

from penstock.agents.api.bodies import Caller, Cursor, Id, IdempotencyKey, NoParameters, TheService, body, takes
from penstock.agents.api.errors import json_response
from penstock.agents.api.schemas import answers
from penstock.agents.requests import DecideApproval
from penstock.agents.types import Approval, Ask, Page

router = APIRouter(prefix="/v1", tags=["approvals"])
_one, _many = answers(Approval), answers(Page[Approval])


class ListAsked(Cursor):
    """Which approvals."""

    open: Annotated[bool | None, Field(description="those that are decided, or not")] = None


@router.get("/approvals", responses=_many)
async def list_approvals(service: TheService, caller: Caller, asked: Annotated[ListAsked, Query()]) -> Response:
    """List approvals of all sessions, newest first."""
    found = await service.approvals(caller, session=None, is_open=asked.open, cursor=asked.cursor, limit=asked.limit)
    return json_response(found)


@router.get("/sessions/{id}/approvals", responses=_many)
async def list_session_approvals(
    service: TheService, caller: Caller, id: Id, asked: Annotated[ListAsked, Query()]
) -> Response:
    """List a session's approvals."""
    found = await service.approvals_of(caller, id, is_open=asked.open, cursor=asked.cursor, limit=asked.limit)
    return json_response(found)


@router.post(
    "/sessions/{id}/approvals", status_code=201, responses=answers(Approval, 201, "Asked, or answered already."),
    openapi_extra=takes(Ask),
)  # fmt: skip
async def ask_approval(
    service: TheService, caller: Caller, id: Id, once: IdempotencyKey, wanted: Annotated[Ask, body(Ask)]
) -> Response:
    """Ask for an approval. What was answered for good is answered at once; time-out means no."""
    return json_response(await service.ask(caller, id, wanted, once), 201)


@router.get("/approvals/{id}", responses=_one)
async def read_approval(service: TheService, caller: Caller, id: Id, asked: NoParameters) -> Response:
    """Read an approval."""
    return json_response(await service.approval(caller, id))


@router.post("/approvals/{id}/decide", responses=_one, openapi_extra=takes(DecideApproval))
async def decide_approval(
    service: TheService,
    caller: Caller,
    id: Id,
    once: IdempotencyKey,
    wanted: Annotated[DecideApproval, body(DecideApproval)],
) -> Response:
    """Say yes or no. A no is remembered for the session unless it says otherwise."""
    return json_response(await service.decide(caller, id, wanted, once))
