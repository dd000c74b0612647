"""/v1/secrets: credentials for agents. Write-only: no answer of any route holds a value."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Path
from starlette.responses import Response

from penstock.agents.api.bodies import Caller, NoParameters, TheService, body, takes
from penstock.agents.api.errors import json_response
from penstock.agents.api.schemas import answers
from penstock.agents.requests import NewSecret, NewValue
from penstock.agents.secret_keeping import SecretView
from penstock.agents.types import Page

router = APIRouter(prefix="/v1/secrets", tags=["secrets"])
Name = Annotated[str, Path(pattern=r"^[A-Za-z0-9._-]{1,128}$", description="how it is called everywhere")]
_one = answers(SecretView)


@router.get("", responses=answers(Page[SecretView]))
async def list_secrets(service: TheService, caller: Caller, asked: NoParameters) -> Response:
    """List the owner's secrets: where they may go, never what they are."""
    return json_response(Page(await service.secrets.all(caller)))


@router.get("/{name}", responses=_one)
async def read_secret(service: TheService, caller: Caller, name: Name, asked: NoParameters) -> Response:
    """Read where a secret may go."""
    return json_response(await service.secrets.one(caller, name))


@router.put("/{name}", responses=_one, openapi_extra=takes(NewSecret))
async def set_secret(
    service: TheService, caller: Caller, name: Name, wanted: Annotated[NewSecret, body(NewSecret)], asked: NoParameters
) -> Response:
    """Keep a secret, in the place of one of that name."""
    return json_response(await service.secrets.set(caller, name, wanted))


@router.post("/{name}/rotate", responses=_one, openapi_extra=takes(NewValue))
async def rotate_secret(
    service: TheService, caller: Caller, name: Name, wanted: Annotated[NewValue, body(NewValue)], asked: NoParameters
) -> Response:
    """Give it another value; where it may go stays."""
    return json_response(await service.secrets.rotate(caller, name, wanted.value))


@router.post("/{name}/revoke", responses=_one)
async def revoke_secret(service: TheService, caller: Caller, name: Name, asked: NoParameters) -> Response:
    """Destroy its value; live connections that use it are cut within a second."""
    return json_response(await service.secrets.revoke(caller, name))


@router.delete("/{name}", status_code=204, responses={204: {"description": "It is gone."}})
async def delete_secret(service: TheService, caller: Caller, name: Name, asked: NoParameters) -> Response:
    """Remove it."""
    await service.secrets.delete(caller, name)
    return Response(status_code=204)
