"""WS /v1/sessions/{id}/terminal: look at a program in the sandbox, and type.

Binary messages are bytes: what the program shows, and what the viewer types. Text messages are JSON: the viewer's are
`{"rows": 24, "columns": 80}` when its window has another size; the server's last one is `{"status": 0}`, how the
program ended (128 + a signal; null: it runs on, the server ends). Who leaves, leaves the program running.

`program` is `agent` (its own face) or `shell`; with `watch=true` nobody types, and a scope that reads is enough.
"""

from __future__ import annotations

import contextlib
from contextlib import aclosing
from typing import Annotated

import anyio
import msgspec
from fastapi import APIRouter, WebSocket
from msgspec import Meta
from starlette.websockets import WebSocketDisconnect

from penstock.agents.api.gate import refuse
from penstock.agents.errors import AgentsError, Invalid
from penstock.agents.service import Service
from penstock.agents.terminals.terminal import MOST_COLUMNS, MOST_ROWS, Program, Stuck, Terminal
from penstock.agents.terminals.window import Window
from penstock.agents.types import Principal

router = APIRouter(prefix="/v1/sessions/{id}")
STANDS_SECONDS = 2.0
"""How often a viewer's token is looked at."""
_ENDED, _GOING_AWAY, _POLICY, _WRONG = 1000, 1001, 1008, 1003

Rows = Annotated[int, Meta(ge=1, le=MOST_ROWS)]
Columns = Annotated[int, Meta(ge=1, le=MOST_COLUMNS)]


class Size(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Of a viewer's window."""

    rows: Rows
    columns: Columns


class Asked(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The query of the address."""

    program: Program = "agent"
    rows: Rows = 24
    columns: Columns = 80
    watch: bool = False
    ticket: str = ""


@router.websocket("/terminal")
async def attach_terminal(websocket: WebSocket, id: str) -> None:
    """Look at a session's terminal, and type."""
    service: Service = websocket.app.state.service
    caller: Principal = websocket.scope["caller"]
    try:
        asked = _asked(websocket)
        if asked.watch:
            terminal = await service.watched(caller, id, asked.program)
        else:
            terminal = await service.terminal(caller, id, asked.program, (asked.rows, asked.columns))
    except AgentsError as error:
        await refuse(error, websocket.scope, websocket.receive, websocket.send)
        return
    await websocket.accept()
    with terminal.viewed() as window, contextlib.suppress(WebSocketDisconnect, RuntimeError):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(_read, websocket, terminal, asked.watch, tasks.cancel_scope)
            tasks.start_soon(_check, websocket, service, caller, tasks.cancel_scope)
            if not asked.watch:
                tasks.start_soon(terminal.repaint, asked.rows, asked.columns)
            with contextlib.suppress(WebSocketDisconnect, RuntimeError):
                await _show(websocket, terminal, window)
            tasks.cancel_scope.cancel()


def _asked(websocket: WebSocket) -> Asked:
    """Raises Invalid."""
    try:
        return msgspec.convert(dict(websocket.query_params), Asked, strict=False)
    except msgspec.ValidationError as error:
        raise Invalid(f"the address: {error}", fix="see docs/reference/agents-api.md") from None


async def _show(websocket: WebSocket, terminal: Terminal, window: Window) -> None:
    async with aclosing(window.follow()) as pieces:
        async for piece in pieces:
            await websocket.send_bytes(piece)
    await websocket.send_text(msgspec.json.encode({"status": terminal.status}).decode())
    await websocket.close(_ENDED if terminal.ended else _GOING_AWAY)


async def _read(websocket: WebSocket, terminal: Terminal, only_watches: bool, scope: anyio.CancelScope) -> None:
    """Take what the viewer says until it leaves."""
    while (message := await websocket.receive())["type"] != "websocket.disconnect":
        if only_watches:
            continue
        try:
            if message.get("bytes"):
                await terminal.type(message["bytes"])
            elif message.get("text"):
                size = msgspec.json.decode(message["text"], type=Size)
                terminal.resize(size.rows, size.columns)
        except Stuck:
            await websocket.close(_POLICY, "the program does not read what is typed")
            break
        except msgspec.DecodeError as error:
            await websocket.close(_WRONG, f"no size: {error}"[:120])
            break
    scope.cancel()


async def _check(websocket: WebSocket, service: Service, caller: Principal, scope: anyio.CancelScope) -> None:
    """See that the viewer's token still stands."""
    while await service.tokens.stands(caller):  # noqa: ASYNC110  # the store tells nobody of a token's end
        await anyio.sleep(STANDS_SECONDS)
    await websocket.close(_POLICY, "this token does not stand any more")
    scope.cancel()
