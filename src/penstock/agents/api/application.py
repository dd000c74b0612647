"""create_app: the gate, then FastAPI with the routes. Whatever fails is answered in one shape.

A failure of our own says no more than where it is in the log. Whoever serves the application ends its streams before it
stops (`service.close()`), for they would go on else.
"""

from __future__ import annotations

import logging
from collections.abc import Collection
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.middleware.cors import CORSMiddleware
from starlette.responses import Response

from penstock import __version__
from penstock.agents.api import approvals, definitions, events, files, plans, secrets, sessions, terminal, tokens
from penstock.agents.api.bodies import TheService
from penstock.agents.api.document import document
from penstock.agents.api.errors import ErrorAnswer, ErrorBody, invalid, json_response, refusal
from penstock.agents.api.gate import LOCAL_HOSTS, Application, Authenticate, Gate
from penstock.agents.api.schemas import Health, answers
from penstock.agents.errors import AgentsError
from penstock.agents.service import Service

__all__ = ["ROUTERS", "create_app"]
ROUTERS = (
    *(definitions.agents, definitions.environments, sessions.router, events.router, approvals.router, files.router),
    *(plans.router, secrets.router, terminal.router, tokens.router),
)
_log = logging.getLogger(__name__)


def create_app(
    service: Service,
    authenticate: Authenticate | None = None,
    *,
    hosts: Collection[str] = LOCAL_HOSTS,
    origins: Collection[str] = (),
) -> Application:
    """The API as an ASGI application.

    authenticate  who calls with a token; None: the tokens of the service's own store
    hosts         names by which clients may call this server (`name`, any port; `name:port`, this one only)
    origins       sites whose pages may call it, beside its own (`https://console.example`)
    """
    made = FastAPI(title="Penstock agents", openapi_url=None, docs_url=None, redoc_url=None, redirect_slashes=False)
    made.state.service = service
    for router in ROUTERS:
        made.include_router(router)
    _add_own_routes(made)
    made.add_exception_handler(AgentsError, _refused)
    made.add_exception_handler(RequestValidationError, _invalid)
    made.add_exception_handler(HTTPException, _http_error)
    made.add_exception_handler(Exception, _failed)
    gate = Gate(made, authenticate or service.authenticate, service.tokens.redeem, hosts=hosts, origins=origins)
    return _for_pages_of(origins, gate) if origins else gate


def _for_pages_of(origins: Collection[str], gate: Gate) -> Application:
    """What a browser has to be told before pages of other origins may read answers. (The gate decides who may ask.)"""
    headers = ["authorization", "content-type", "idempotency-key", "last-event-id"]
    methods = ["GET", "POST", "PUT", "PATCH", "DELETE"]
    return CORSMiddleware(gate, allow_origins=list(origins), allow_methods=methods, allow_headers=headers)


def _add_own_routes(made: FastAPI) -> None:
    described: list[dict[str, Any]] = []

    async def openapi(request: Request) -> Response:
        if not described:
            described.append(document(made, __version__))
        return json_response(described[0])

    @made.get("/v1/health", responses=answers(Health), tags=["health"])
    async def health(service: TheService) -> Response:
        """Whether the server and its store answer."""
        await service.ping()
        return json_response(Health("ok"))

    made.add_route("/openapi.json", openapi, methods=["GET"], include_in_schema=False)


async def _refused(request: Request, error: Any) -> Response:
    if error.status >= 500:
        _log.error("%s %s: %s", request.method, request.url.path, error)
    return refusal(error)


async def _invalid(request: Request, error: Any) -> Response:
    return refusal(invalid(error.errors()))


async def _http_error(request: Request, error: Any) -> Response:
    method, path = request.method, request.url.path[:200]
    if error.status_code == 405:
        allowed = (error.headers or {}).get("Allow", "")
        body = ErrorBody("method_not_allowed", f"{path} takes {allowed}, not {method}")
    elif error.status_code == 404:
        body = ErrorBody("not_found", f"there is nothing at {method} {path}", "see /openapi.json")
    else:
        body = ErrorBody("invalid_request", str(error.detail)[:1000])
    return json_response(ErrorAnswer(body), error.status_code, error.headers)


async def _failed(request: Request, error: Any) -> Response:
    _log.error("the agents' API failed at %s %s", request.method, request.url.path, exc_info=error)
    return json_response(ErrorAnswer(ErrorBody("internal_error", "the server failed; its log tells more")), 500)
