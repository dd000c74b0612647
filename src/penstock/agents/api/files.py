"""/v1/sessions/{id}/files, /diff, /artifacts: what the workspace holds, as streams. Paths and tars are checked by
`Files`.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Annotated

from fastapi import APIRouter, Path, Query, Request
from pydantic import BaseModel, ConfigDict, Field
from starlette.responses import Response, StreamingResponse

from penstock.agents.api.bodies import Caller, Id, NoParameters, TheService
from penstock.agents.api.errors import json_response
from penstock.agents.api.events import Number, page_of
from penstock.agents.api.schemas import EventPage, Unpacked, answers
from penstock.agents.errors import Invalid

router = APIRouter(prefix="/v1/sessions/{id}", tags=["files"])
TAR = "application/x-tar"
_TARS = (TAR, "application/octet-stream")
_BYTES = {"type": "string", "format": "binary"}
_HEADERS = {
    "cache-control": "no-store",
    "x-content-type-options": "nosniff",
    "content-security-policy": "sandbox; default-src 'none'",
    "content-disposition": "attachment",
}
"""What an agent has written is never shown as a page of this server's."""


class Where(BaseModel):
    """A path within the workspace."""

    model_config = ConfigDict(extra="forbid")

    path: Annotated[str, Field(max_length=4096)] = "."


class ArtifactsAsked(BaseModel):
    """Which artifacts."""

    model_config = ConfigDict(extra="forbid")

    after: Number = 0
    limit: Annotated[int, Field(ge=1, le=1000)] = 200


@router.get("/files", responses={200: {"description": "A tar.", "content": {TAR: {}}}}, response_class=Response)
async def download_files(service: TheService, caller: Caller, id: Id, asked: Annotated[Where, Query()]) -> Response:
    """Download a file or folder as a tar."""
    session = await service.session(caller, id)
    return await _streamed(service.files.archive(session, asked.path), TAR)


@router.put(
    "/files", responses=answers(Unpacked),
    openapi_extra={"requestBody": {"required": True, "content": {"application/octet-stream": {"schema": _BYTES}}}},
)  # fmt: skip
async def upload_files(
    request: Request, service: TheService, caller: Caller, id: Id, asked: Annotated[Where, Query()]
) -> Response:
    """Unpack a tar into a folder of the workspace."""
    session = await service.writable(caller, id)
    if request.headers.get("content-type", "").partition(";")[0].strip().lower() not in _TARS:
        raise Invalid("the body must be a tar", fix=f"send `content-type: {TAR}`", param="content-type")
    return json_response(Unpacked(await service.files.unpack(session, asked.path, request.stream())))


@router.get(
    "/diff", responses={200: {"description": "A patch.", "content": {"text/x-diff": {}}}}, response_class=Response
)  # fmt: skip
async def read_diff(service: TheService, caller: Caller, id: Id, asked: NoParameters) -> Response:
    """What changed in the workspace, as a patch."""
    session = await service.session(caller, id)
    return await _streamed(service.files.diff(session), "text/x-diff")


@router.get("/artifacts", responses=answers(EventPage))
async def list_artifacts(
    service: TheService, caller: Caller, id: Id, asked: Annotated[ArtifactsAsked, Query()]
) -> Response:
    """List what the agent has handed out: events of the kind `artifact`."""
    return page_of(await service.artifacts(caller, id, after=asked.after, limit=asked.limit), asked.limit)


@router.get(
    "/artifacts/{artifact}", responses={200: {"description": "Its bytes.", "content": {"*/*": {}}}},
    response_class=Response,
)  # fmt: skip
async def download_artifact(
    service: TheService, caller: Caller, id: Id, artifact: Annotated[str, Path(max_length=200)], asked: NoParameters
) -> Response:
    """Download an artifact."""
    session, found = await service.artifact(caller, id, artifact)
    return await _streamed(service.files.artifact(session, found), "application/octet-stream")


async def _streamed(chunks: AsyncIterator[bytes], media_type: str) -> Response:
    """A stream whose first chunk is there: what is refused until then has a status of its own."""
    first = await anext(chunks, b"")

    async def all_of_it() -> AsyncIterator[bytes]:
        yield first
        async for chunk in chunks:
            yield chunk

    return StreamingResponse(all_of_it(), headers=_HEADERS, media_type=media_type)
