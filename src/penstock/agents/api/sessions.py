"""/v1/sessions: start them, look at them, tell them what to do."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query
from pydantic import Field
from starlette.responses import Response

from penstock.agents.api.bodies import Caller, Cursor, Id, IdempotencyKey, NoParameters, TheService, body, takes
from penstock.agents.api.errors import json_response
from penstock.agents.api.schemas import answers
from penstock.agents.events import SessionEvent
from penstock.agents.ids import PATTERN
from penstock.agents.machine import State
from penstock.agents.requests import ForkSession, NewMessage, NewSession
from penstock.agents.teams.rules import Team
from penstock.agents.types import Page, Session

router = APIRouter(prefix="/v1/sessions", tags=["sessions"])
_one = answers(Session)


class ListAsked(Cursor):
    """Which sessions."""

    state: State | None = None
    agent: Annotated[str | None, Field(pattern=PATTERN)] = None
    parent: Annotated[str | None, Field(pattern=PATTERN, description="workers of this session")] = None


@router.post("", status_code=201, responses=answers(Session, 201, "Made."), openapi_extra=takes(NewSession))
async def start_session(
    service: TheService, caller: Caller, once: IdempotencyKey, wanted: Annotated[NewSession, body(NewSession)]
) -> Response:
    """Start a session. It answers at once; the log tells how the sandbox comes up."""
    return json_response(await service.start(caller, wanted, once), 201)


@router.get("", responses=answers(Page[Session]))
async def list_sessions(service: TheService, caller: Caller, asked: Annotated[ListAsked, Query()]) -> Response:
    """List sessions, newest first."""
    found = await service.sessions(
        caller, state=asked.state, agent=asked.agent, parent=asked.parent, cursor=asked.cursor, limit=asked.limit
    )
    return json_response(found)


@router.get("/{id}", responses=_one)
async def read_session(service: TheService, caller: Caller, id: Id, asked: NoParameters) -> Response:
    """Read a session."""
    return json_response(await service.session(caller, id))


@router.get("/{id}/team", responses=answers(Team))
async def read_team(service: TheService, caller: Caller, id: Id, asked: NoParameters) -> Response:
    """Read whom a session may start as workers, what it has left to give them, and those that it has."""
    return json_response(await service.team(caller, id))


@router.post(
    "/{id}/messages", status_code=201, responses=answers(SessionEvent, 201, "In the log."),
    openapi_extra=takes(NewMessage),
)  # fmt: skip
async def send_message(
    service: TheService, caller: Caller, id: Id, once: IdempotencyKey, wanted: Annotated[NewMessage, body(NewMessage)]
) -> Response:
    """Say something to the agent. While a turn is under way it waits, or joins it where the harness can."""
    return json_response(await service.message(caller, id, wanted, once), 201)


@router.post("/{id}/interrupt", responses=_one)
async def interrupt_session(
    service: TheService, caller: Caller, id: Id, once: IdempotencyKey, asked: NoParameters
) -> Response:
    """End the turn that is under way, and keep the session."""
    return json_response(await service.interrupt(caller, id, once))


@router.post("/{id}/suspend", responses=_one)
async def suspend_session(
    service: TheService, caller: Caller, id: Id, once: IdempotencyKey, asked: NoParameters
) -> Response:
    """Stop what runs; workspace and conversation are kept."""
    return json_response(await service.suspend(caller, id, once))


@router.post("/{id}/resume", responses=_one)
async def resume_session(
    service: TheService, caller: Caller, id: Id, once: IdempotencyKey, asked: NoParameters
) -> Response:
    """Go on with a suspended session."""
    return json_response(await service.resume(caller, id, once))


@router.post("/{id}/terminate", responses=_one)
async def terminate_session(
    service: TheService, caller: Caller, id: Id, once: IdempotencyKey, asked: NoParameters
) -> Response:
    """End a session, and its workers, for good. Its log stays."""
    return json_response(await service.terminate(caller, id, once))


@router.post(
    "/{id}/fork", status_code=201, responses=answers(Session, 201, "Made."), openapi_extra=takes(ForkSession)
)  # fmt: skip
async def fork_session(
    service: TheService, caller: Caller, id: Id, once: IdempotencyKey, wanted: Annotated[ForkSession, body(ForkSession)]
) -> Response:
    """A new session that shares this one's log up to an event."""
    return json_response(await service.fork(caller, id, wanted, once), 201)
