"""Reading requests: bodies into structs, idempotency keys, pages. What is wrong is named, with the field."""

from __future__ import annotations

import hashlib
from typing import Annotated, Any, TypeVar

import msgspec
from fastapi import Depends, Header, Path, Query, Request
from pydantic import BaseModel, ConfigDict, Field

from penstock.agents.api.schemas import reference
from penstock.agents.errors import Invalid
from penstock.agents.ids import PATTERN
from penstock.agents.service import Service, utc_now
from penstock.agents.store.base import Once
from penstock.agents.types import Principal

T = TypeVar("T")
ID_SCHEMA = {"pattern": PATTERN}
Id = Annotated[str, Path(pattern=PATTERN, description="the id, as lists and answers tell it")]
KEY_PATTERN = r"^[!-~]{1,200}$"
Key = Annotated[
    str | None,
    Header(
        alias="Idempotency-Key",
        pattern=KEY_PATTERN,
        description="Any word of your own for this one request. Sent again with the same body, it changes nothing, and"
        " is answered with what was answered first.",
    ),
]


class Cursor(BaseModel):
    """Which page of a list, newest first."""

    model_config = ConfigDict(extra="forbid")

    cursor: Annotated[str | None, Field(pattern=PATTERN, description="`next` of the page before")] = None
    limit: Annotated[int, Field(ge=1, le=200)] = 50


class NoQuery(BaseModel):
    """Nothing."""

    model_config = ConfigDict(extra="forbid")


def service_of(request: Request) -> Service:
    """What the routes work with."""
    service = request.app.state.service
    assert isinstance(service, Service)
    return service


def caller_of(request: Request) -> Principal:
    """Who calls: the gate has found out."""
    caller = request.scope["caller"]
    assert isinstance(caller, Principal)
    return caller


TheService = Annotated[Service, Depends(service_of)]
Caller = Annotated[Principal, Depends(caller_of)]


def body(type_: type[T], *, optional: bool = False) -> Any:
    """A dependency that reads the body as this struct. Raises Invalid."""
    decoder = msgspec.json.Decoder(type_)

    async def read(request: Request) -> T:
        data = await request.body()
        if optional and not data:
            return type_()
        given = request.headers.get("content-type", "").partition(";")[0].strip().lower()
        if given != "application/json":
            raise Invalid("the body must be JSON", fix="send `content-type: application/json`", param="content-type")
        try:
            return decoder.decode(data)
        except msgspec.ValidationError as error:
            message, _, where = str(error).partition(" - at `$")
            raise Invalid(f"{_lower(message)}", param=where.rstrip("`").lstrip(".") or None) from None
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise Invalid(f"the body is no JSON: {error}") from None
        except RecursionError:
            raise Invalid("the body is nested too deeply", fix="make it flatter") from None

    return Depends(read)


def takes(type_: type, *, optional: bool = False) -> dict[str, Any]:
    """What the document says of that body (`openapi_extra`)."""
    content = {"application/json": {"schema": reference(type_)}}
    return {"requestBody": {"required": not optional, "content": content}}


def _lower(text: str) -> str:
    return text[:1].lower() + text[1:]


async def once_of(request: Request, key: Key = None) -> Once | None:
    """The request's idempotency key. An agent's keys are not its owner's."""
    if key is None:
        return None
    caller = caller_of(request)
    hashed = hashlib.sha256(f"{request.method} {request.url.path}\n".encode())
    hashed.update(await request.body())
    owner = caller.owner if caller.session is None else f"{caller.owner}\n{caller.session}"
    return Once(owner, key, hashed.hexdigest(), utc_now())


IdempotencyKey = Annotated[Once | None, Depends(once_of)]
NoParameters = Annotated[NoQuery, Query()]
