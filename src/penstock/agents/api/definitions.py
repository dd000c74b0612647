"""/v1/agents and /v1/environments: the same routes for both, for both are specs with versions."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Path, Query
from pydantic import Field
from starlette.responses import Response

from penstock.agents.api.bodies import Caller, Cursor, Id, IdempotencyKey, NoParameters, TheService, body, takes
from penstock.agents.api.errors import json_response
from penstock.agents.api.schemas import answers
from penstock.agents.requests import AgentChanges, EnvironmentChanges, changes_of
from penstock.agents.store.base import Kind
from penstock.agents.types import Agent, AgentSpec, Environment, EnvironmentSpec, Page


class ListAsked(Cursor):
    """Which of the caller's."""

    name: Annotated[str | None, Field(max_length=100)] = None
    archived: Annotated[bool, Field(description="archived ones, too")] = False


class VersionsAsked(Cursor):
    """Which page of versions; the cursor is a version's number."""

    cursor: Annotated[str | None, Field(pattern=r"^[1-9][0-9]{0,8}$", description="`next` of the page before")] = None


Number = Annotated[int, Path(ge=1, le=2**31 - 1)]


def _router(kind: Kind, spec: Any, changes: Any, answer: Any) -> APIRouter:
    router = APIRouter(prefix=f"/v1/{kind}s", tags=[f"{kind}s"])
    one, many = answers(answer), answers(Page[answer])
    spec_body, changes_body = body(spec), body(changes)

    @router.post("", status_code=201, responses=answers(answer, 201, "Made."), openapi_extra=takes(spec))
    async def make(service: TheService, caller: Caller, once: IdempotencyKey, wanted: Any = spec_body) -> Response:
        return json_response(await service.definitions.make(caller, kind, wanted, once), 201)

    @router.get("", responses=many)
    async def list_them(service: TheService, caller: Caller, asked: Annotated[ListAsked, Query()]) -> Response:
        found = await service.definitions.definitions(
            caller, kind, name=asked.name, archived=asked.archived, cursor=asked.cursor, limit=asked.limit
        )
        return json_response(found)

    @router.get("/{id}", responses=one)
    async def read(service: TheService, caller: Caller, id: Id, asked: NoParameters) -> Response:
        return json_response(await service.definitions.definition(caller, kind, id))

    @router.patch("/{id}", responses=one, openapi_extra=takes(changes))
    async def change(
        service: TheService, caller: Caller, id: Id, once: IdempotencyKey, wanted: Any = changes_body
    ) -> Response:
        said, expected = changes_of(wanted)
        return json_response(await service.definitions.change(caller, kind, id, said, expected, once))

    @router.delete("/{id}", responses=one)
    async def archive(service: TheService, caller: Caller, id: Id, once: IdempotencyKey) -> Response:
        return json_response(await service.definitions.archive(caller, kind, id, once))

    @router.get("/{id}/versions", responses=many)
    async def versions(
        service: TheService, caller: Caller, id: Id, asked: Annotated[VersionsAsked, Query()]
    ) -> Response:
        before = None if asked.cursor is None else int(asked.cursor)
        return json_response(await service.definitions.versions(caller, kind, id, before=before, limit=asked.limit))

    @router.get("/{id}/versions/{version}", responses=one)
    async def version(service: TheService, caller: Caller, id: Id, version: Number, asked: NoParameters) -> Response:
        return json_response(await service.definitions.definition(caller, kind, id, version))

    for route, does in zip(router.routes, _DOES, strict=True):
        route.summary = does.format(kind=kind, s=f"{kind}s")  # type: ignore[attr-defined]
        route.operation_id = f"{does.split()[0].lower()}_{kind}_{len(does)}"  # type: ignore[attr-defined]
    return router


_DOES = (
    "Make {kind} in its first version",
    "List {s}",
    "Read the newest version of {kind}",
    "Change {kind}: a new version",
    "Archive {kind}: no new session may use it",
    "List the versions of {kind}",
    "Read one version of {kind}",
)

agents = _router("agent", AgentSpec, AgentChanges, Agent)
environments = _router("environment", EnvironmentSpec, EnvironmentChanges, Environment)
