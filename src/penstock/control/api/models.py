"""/model/info and /model_group/info: what is served, with all that is known of it and without its secrets."""

from __future__ import annotations

import asyncio
from typing import Annotated, Any

from fastapi import Query, Request
from pydantic import Field
from starlette.responses import Response

from penstock.calls.engine import Engine
from penstock.control.api import answers
from penstock.control.api.errors import json_response, not_found
from penstock.control.api.exact import exact_router
from penstock.control.api.keys import Strict
from penstock.control.api.rows import group_rows, model_row
from penstock.control.api.services import Services, services_of

router = exact_router("models")


class ModelAsked(Strict):
    """GET /model/info"""

    litellm_model_id: str | None = Field(None, description="the id of a deployment")


class GroupAsked(Strict):
    """GET /model_group/info"""

    model_group: str | None = None


@router.get("/model/info", responses={200: {"model": answers.Rows}})
@router.get("/v1/model/info", responses={200: {"model": answers.Rows}}, operation_id="model_info_v1")
async def model_info(request: Request, asked: Annotated[ModelAsked, Query()]) -> Response:
    """All deployments, or one."""
    rows = await asyncio.to_thread(_rows, services_of(request))
    if asked.litellm_model_id is not None:
        rows = [row for row in rows if row["model_info"]["id"] == asked.litellm_model_id]
        if not rows:
            raise not_found(f"there is no deployment {asked.litellm_model_id[:200]!r}", "litellm_model_id")
    return json_response({"data": rows})


@router.get("/model_group/info", responses={200: {"model": answers.Rows}})
async def model_group_info(request: Request, asked: Annotated[GroupAsked, Query()]) -> Response:
    """All model groups, or one."""
    groups = group_rows(await asyncio.to_thread(_rows, services_of(request)))
    if asked.model_group is not None:
        groups = [group for group in groups if group["model_group"] == asked.model_group]
    return json_response({"data": groups})


def _rows(services: Services) -> list[dict[str, Any]]:
    """All deployments. What is known of models is read from a file at first."""
    facts = Engine().facts
    return [
        model_row(deployment, facts.info(deployment.model, deployment.arguments.get("custom_llm_provider")) or {})
        for deployment in services.configuration.snapshot.deployments
    ]
