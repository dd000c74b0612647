"""/health/...: whether the gateway is ready, and, only where somebody asks for it, whether providers answer.

Readiness is about the gateway alone: that a provider fails must not take gateways out of a load balancer. `GET /health`
calls every deployment once, which costs a few tokens each.
"""

from __future__ import annotations

import asyncio
import os
from typing import TYPE_CHECKING, Annotated, Any

from fastapi import Query, Request
from pydantic import Field
from starlette.responses import PlainTextResponse, Response

from penstock import __version__
from penstock.control.api import answers
from penstock.control.api.errors import json_response, not_found
from penstock.control.api.exact import exact_router
from penstock.control.api.keys import Strict
from penstock.control.api.rows import public
from penstock.control.api.services import services_of
from penstock.control.checks import check
from penstock.routing.deployment import Deployment

if TYPE_CHECKING:
    from penstock.client.clients import AsyncClient

router = exact_router("health")

_TOGETHER = 10
"""Deployments that are asked at the same time."""


class HealthAsked(Strict):
    """GET /health"""

    model: str | None = Field(None, description="a model group; without it: all")


@router.get("/health/readiness", responses={200: {"model": answers.Ready}, 503: {"model": answers.Ready}})
async def readiness(request: Request) -> Response:
    """Whether the gateway serves: its database answers, a worker is connected, and it is not ending."""
    services = services_of(request)
    try:
        await asyncio.wait_for(asyncio.to_thread(services.store.key, "0" * 64), 5)
        database = "connected"
    except Exception:
        database = "unavailable"
    status = "healthy"
    if services.draining:
        status = "shutting down"
    elif database != "connected":
        status = "unhealthy"
    elif not services.workers():
        status = "starting"
    body = {
        "status": status,
        "db": database,
        "workers": services.workers(),
        "penstock_version": __version__,
        "config_version": services.configuration.in_force.version,
    }
    return json_response(body, 200 if status == "healthy" else 503)


@router.get("/health/liveliness", responses={200: {"content": {"text/plain": {}}}}, response_class=PlainTextResponse)
@router.get(
    "/health/liveness",
    responses={200: {"content": {"text/plain": {}}}},
    response_class=PlainTextResponse,
    operation_id="liveness",
)
async def liveliness(request: Request) -> Response:
    """LiteLLM's words, which probes look for."""
    return PlainTextResponse("I'm alive!")


@router.get("/metrics", responses={200: {"content": {"text/plain": {}}}}, response_class=PlainTextResponse)
async def metrics(request: Request) -> Response:
    """The metrics of all workers, as Prometheus reads them. They need no key, as with LiteLLM: they name models, and
    keys by their aliases only where the configuration says so.
    """
    gatherer = services_of(request).metrics
    if gatherer is None:
        raise not_found("no metrics are gathered here")
    page = await gatherer.scraped(request.headers.get("accept", ""))
    return Response(page.body, media_type=page.content_type)


@router.get("/health", responses={200: {"model": answers.HealthChecks}})
async def health(request: Request, asked: Annotated[HealthAsked, Query()]) -> Response:
    """Call every deployment once (wildcards are left out), and say which answer. It costs a few tokens each."""
    deployments = [
        deployment
        for deployment in services_of(request).configuration.snapshot.deployments
        if "*" not in deployment.group and asked.model in (None, deployment.group)
    ]
    from penstock.client.clients import AsyncClient  # the SDK, and the HTTP client with it: only where somebody asks

    turn = asyncio.Semaphore(_TOGETHER)
    configured = services_of(request).configuration.snapshot.environment
    async with AsyncClient(environment={**os.environ, **configured}) as client:
        checks = await asyncio.gather(*(_checked(client, deployment, turn) for deployment in deployments))
    good = [check for check in checks if "error" not in check and "not_asked" not in check]
    bad = [check for check in checks if "error" in check]
    return json_response(
        {
            "healthy_endpoints": good,
            "unhealthy_endpoints": bad,
            "healthy_count": len(good),
            "unhealthy_count": len(bad),
            "not_asked_endpoints": [check for check in checks if "not_asked" in check],
        }
    )


async def _checked(client: AsyncClient, deployment: Deployment, turn: asyncio.Semaphore) -> dict[str, Any]:
    told = {"model": deployment.model, "model_group": deployment.group, "model_id": deployment.id}
    async with turn:
        checked = await check(client, deployment)
    if checked.skipped is not None:
        return {**told, "not_asked": f"models for {checked.skipped} are not asked: that costs more than a few tokens"}
    if checked.error is not None:
        return {**told, "error": str(public(checked.error))}
    return {**told, "response_time_ms": round(checked.seconds * 1000)}


@router.get("/health/backlog", responses={200: {"model": answers.Backlog}})
async def backlog(request: Request) -> Response:
    """What the gateway has to do just now, over all workers."""
    gatherer = services_of(request).metrics
    if gatherer is None:
        raise not_found("nothing is counted here")
    page = (await gatherer.scraped("text/plain")).body.decode()
    refused = sum(_sum(page, "penstock_requests_total", f'status="{status}"') for status in ("429", "503"))
    total = _sum(page, "penstock_requests_total")
    return json_response(
        {
            "in_flight_requests": _sum(page, "penstock_requests_in_flight"),
            "queued_requests": _sum(page, "penstock_queue_length"),
            "admitted_requests": total - refused,
            "rejected_requests": refused,
        }
    )


def _sum(page: str, family: str, label: str = "") -> int:
    """The sum of a family's samples, over all workers."""
    lines = (line for line in page.splitlines() if line.startswith((f"{family}{{", f"{family} ")) and label in line)
    return round(sum(float(line.rpartition(" ")[2]) for line in lines))
