"""/v1/tokens and /v1/tickets: who may call. Secrets are shown once, when they are made; so these take no idempotency
key.
"""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query
from starlette.responses import Response

from penstock.agents.api.bodies import Caller, Cursor, Id, NoParameters, TheService, body, takes
from penstock.agents.api.errors import json_response
from penstock.agents.api.schemas import MadeTicket, MadeToken, answers
from penstock.agents.requests import NewTicket, NewToken
from penstock.agents.types import Page, Token

router = APIRouter(prefix="/v1", tags=["tokens"])


@router.post("/tokens", status_code=201, responses=answers(MadeToken, 201, "Made."), openapi_extra=takes(NewToken))
async def make_token(
    service: TheService, caller: Caller, wanted: Annotated[NewToken, body(NewToken)], asked: NoParameters
) -> Response:
    """Make a token, with scopes out of one's own. Its secret is in this answer, and never again."""
    token, secret = await service.tokens.make(caller, wanted)
    return json_response(MadeToken(token, secret), 201)


@router.get("/tokens", responses=answers(Page[Token]))
async def list_tokens(service: TheService, caller: Caller, asked: Annotated[Cursor, Query()]) -> Response:
    """List the owner's tokens, without their secrets."""
    return json_response(await service.tokens.tokens(caller, cursor=asked.cursor, limit=asked.limit))


@router.delete("/tokens/{id}", responses=answers(Token))
async def revoke_token(service: TheService, caller: Caller, id: Id, asked: NoParameters) -> Response:
    """Take a token back, at once."""
    return json_response(await service.tokens.revoke(caller, id))


@router.post("/tickets", status_code=201, responses=answers(MadeTicket, 201, "Made."), openapi_extra=takes(NewTicket))
async def make_ticket(
    service: TheService, caller: Caller, wanted: Annotated[NewTicket, body(NewTicket)], asked: NoParameters
) -> Response:
    """A ticket for one path, once, within 30 seconds: for EventSource and WebSocket, which cannot send a token."""
    ticket, until = await service.tokens.ticket(caller, wanted.path)
    return json_response(MadeTicket(ticket, until), 201)
