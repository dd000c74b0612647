"""/v1/sessions/{id}/events: the log, as a list, as server-sent events, and over a WebSocket.

All three are one thing: the events after a number. A client that was cut off says the last number that it has
(`Last-Event-ID`, or `after`), and gets what follows, whatever has become of the server meanwhile.

Server-sent events bear the number as `id:` and the event's JSON as `data:`; they have no `event:`, since a kind named
`error` would be taken for a failure of the connection. Comments keep the connection open. When the session is over and
all was sent, the stream ends, and whoever comes again with the last number is answered 204: a browser stops then.
"""

from __future__ import annotations

import contextlib
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from contextlib import aclosing
from typing import Annotated, Any

import anyio
from fastapi import APIRouter, Header, Query, Request, WebSocket, WebSocketDisconnect
from pydantic import BaseModel, ConfigDict, Field
from starlette.responses import Response, StreamingResponse

from penstock.agents.api.bodies import Caller, Id, TheService
from penstock.agents.api.gate import refuse
from penstock.agents.api.schemas import EventPage, answers, reference
from penstock.agents.errors import AgentsError, Invalid
from penstock.agents.events import KINDS, SessionEvent
from penstock.agents.machine import State
from penstock.agents.service import Service
from penstock.agents.store.base import Stored
from penstock.agents.types import Principal

router = APIRouter(prefix="/v1/sessions/{id}/events", tags=["events"])
HEARTBEAT = 15.0
"""Seconds of silence after which a comment is sent."""
LARGEST = 2**53
Number = Annotated[int, Field(ge=0, le=LARGEST, description="events after this number")]
LastEventId = Annotated[
    str | None,
    Header(alias="Last-Event-ID", pattern=r"^[0-9]{1,15}$", description="the last number that the client has"),
]
STREAM: dict[int | str, dict[str, Any]] = {
    200: {
        "description": "Events as they come, each with its number as `id:` and its JSON as `data:`.",
        "content": {"text/event-stream": {"schema": {"type": "string"}, "x-event": reference(SessionEvent)}},
    },
    204: {"description": "The session is over, and the client has all of its log."},
}
_ENDED = 1000
_GOING_AWAY = 1001


class ListAsked(BaseModel):
    """Which events."""

    model_config = ConfigDict(extra="forbid")

    after: Number = 0
    limit: Annotated[int, Field(ge=1, le=1000)] = 200
    kind: Annotated[list[str] | None, Field(description="of these kinds only")] = None
    ticket: str | None = None


class StreamAsked(BaseModel):
    """Where to begin. A `Last-Event-ID` counts more."""

    model_config = ConfigDict(extra="forbid")

    after: Number = 0
    ticket: str | None = None


@router.get("", responses={**answers(EventPage, description="A page of the log."), 204: STREAM[204]})
async def list_events(
    request: Request, service: TheService, caller: Caller, id: Id, asked: Annotated[ListAsked, Query()],
    last_event_id: LastEventId = None,
) -> Response:  # fmt: skip
    """Read the log. With `accept: text/event-stream` it is followed, as under /stream."""
    if "text/event-stream" in request.headers.get("accept", ""):
        return await streamed(service, caller, id, after_of(asked.after, last_event_id))
    kinds = _kinds(asked.kind)
    page = await service.events(caller, id, after=asked.after, limit=asked.limit, kinds=kinds)
    return page_of(page, asked.limit)


def page_of(page: Sequence[Stored], limit: int) -> Response:
    """Events as they were written: nothing is encoded anew."""
    after = str(page[-1].number).encode() if len(page) == limit else b"null"
    body = b'{"data":[' + b",".join(each.json for each in page) + b'],"next":' + after + b"}"
    return Response(body, headers={"cache-control": "no-store"}, media_type="application/json")


def _kinds(named: Sequence[str] | None) -> Sequence[str] | None:
    unknown = [name for name in named or () if name not in KINDS]
    if unknown:
        raise Invalid(f"there are no events of kind {unknown[0][:100]!r}", fix=f"use {', '.join(KINDS)}", param="kind")
    return named


# -- server-sent events -----------------------------------------------------------------------------------------------


@router.get("/stream", responses=STREAM, response_class=Response)
async def stream_events(
    service: TheService, caller: Caller, id: Id, asked: Annotated[StreamAsked, Query()],
    last_event_id: LastEventId = None,
) -> Response:  # fmt: skip
    """Follow the log as server-sent events, from any number on."""
    return await streamed(service, caller, id, after_of(asked.after, last_event_id))


def after_of(after: int, last_event_id: str | None) -> int:
    """The number to go on after: the header's, if there is one."""
    return after if last_event_id is None else int(last_event_id)


async def streamed(
    service: Service, caller: Principal, id_: str, after: int,
    follow: Callable[[float], Awaitable[AsyncGenerator[list[Stored]]]] | None = None,
) -> Response:  # fmt: skip
    """A stream of a session's log, or of what `follow` (given the seconds of a heartbeat) leaves of it."""
    session = await service.session(caller, id_)
    if session.state is State.TERMINATED and after == session.last_event:
        return Response(status_code=204)
    if follow is not None:
        pages = await follow(HEARTBEAT)
    else:
        pages = await service.follow(caller, id_, after, heartbeat=HEARTBEAT)
    headers = {"cache-control": "no-store", "x-accel-buffering": "no"}
    return StreamingResponse(_lines(pages), headers=headers, media_type="text/event-stream")


async def _lines(pages: AsyncGenerator[list[Stored]]) -> AsyncGenerator[bytes]:
    """The stream's bytes. (JSON of ours has no line ends.)"""
    yield b"retry: 1000\n\n"
    async with aclosing(pages):
        async for page in pages:
            yield b"".join(b"id: %d\ndata: %s\n\n" % (each.number, each.json) for each in page) or b": still here\n\n"


# -- WebSocket --------------------------------------------------------------------------------------------------------


@router.websocket("/ws")
async def socket_events(websocket: WebSocket, id: str, after: str = "0") -> None:
    """Follow the log over a WebSocket: one event a message. What the client sends is not looked at."""
    service: Service = websocket.app.state.service
    try:
        if not (after.isascii() and after.isdigit() and len(after) <= 15):
            raise Invalid("after: a number is needed", param="after")
        pages = await service.follow(websocket.scope["caller"], id, int(after), heartbeat=HEARTBEAT)
    except AgentsError as error:
        await refuse(error, websocket.scope, websocket.receive, websocket.send)
        return
    await websocket.accept()
    async with anyio.create_task_group() as both:
        both.start_soon(_until_gone, websocket, both.cancel_scope)
        with contextlib.suppress(WebSocketDisconnect):
            await _sent(websocket, pages)
            over = (await service.session(websocket.scope["caller"], id)).state is State.TERMINATED
            await websocket.close(_ENDED if over else _GOING_AWAY)
        both.cancel_scope.cancel()


async def _sent(websocket: WebSocket, pages: AsyncGenerator[list[Stored]]) -> None:
    async with aclosing(pages):
        async for each in (each async for page in pages for each in page):
            await websocket.send_text(each.json.decode())


async def _until_gone(websocket: WebSocket, scope: Any) -> None:
    """Notice that the client has left while nothing is sent."""
    with contextlib.suppress(WebSocketDisconnect, RuntimeError):
        while (await websocket.receive())["type"] != "websocket.disconnect":
            pass
    scope.cancel()
