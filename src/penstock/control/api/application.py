"""The management API as one ASGI application: the gate, then FastAPI with the routes.

Whatever fails is answered in LiteLLM's shape of errors; a failure of our own says no more than where it is in the log.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.responses import Response

from penstock.control.api import configuration, health, keys, models, spend
from penstock.control.api.data_plane import data_plane_paths
from penstock.control.api.document import document
from penstock.control.api.errors import Refusal, bad_request, error_response, invalid, json_response, not_found
from penstock.control.api.gate import TOO_LARGE, Application, Gate
from penstock.control.api.services import Services
from penstock.control.config.payloads import refusal
from penstock.control.config.problems import ConfigErrors
from penstock.control.store.base import AliasTaken, KeyExists, StoreError
from penstock.control.store.periods import BadDuration
from penstock.control.virtual_keys import KeyProblem

_log = logging.getLogger(__name__)
_ROUTERS = (keys.router, spend.router, models.router, configuration.router, health.router)


def application(services: Services) -> Application:
    """The application. `services` is what the routes work with."""
    made = FastAPI(title="Penstock", openapi_url=None, docs_url=None, redoc_url=None, redirect_slashes=False)
    made.state.services = services
    for router in _ROUTERS:
        made.include_router(router)
    described: list[dict[str, Any]] = []

    async def openapi(request: Request) -> Response:
        if not described:
            described.append(document(made, data_plane_paths()))
        return json_response(described[0])

    made.add_route("/openapi.json", openapi, methods=["GET"], include_in_schema=False)
    for kind, handle in _HANDLERS.items():
        made.add_exception_handler(kind, handle)
    return Gate(made, services.keys)


# -- what went wrong --------------------------------------------------------------------------------------------------


async def _refused(request: Request, error: Any) -> Response:
    response: Response = error.response()
    return response


async def _invalid(request: Request, error: Any) -> Response:
    return invalid(error.errors()).response()


async def _key_problem(request: Request, error: Any) -> Response:
    problem = not_found(str(error), error.param) if error.missing else bad_request(str(error), error.param)
    return problem.response()


async def _alias_taken(request: Request, error: Any) -> Response:
    return Refusal(409, "bad_request_error", str(error), "key_alias").response()


async def _key_exists(request: Request, error: Any) -> Response:
    return Refusal(409, "bad_request_error", str(error), "key").response()


async def _bad_duration(request: Request, error: Any) -> Response:
    return bad_request(str(error), "duration").response()


async def _config_refused(request: Request, error: Any) -> Response:
    return json_response(refusal(error), 400)


async def _store_failed(request: Request, error: Any) -> Response:
    return error_response(503, "no_db_connection", str(error))


async def _http_error(request: Request, error: Any) -> Response:
    """Nothing there, or not with this method; a body that is too large, or cannot be read."""
    method, path = request.method, request.url.path[:200]
    if error.status_code == 405:
        allowed = (error.headers or {}).get("Allow", "")
        message = f"{path} takes {allowed}, not {method}"
        return error_response(405, "bad_request_error", message, headers=error.headers)
    if error.status_code == 404:
        return error_response(404, "not_found_error", f"there is nothing at {method} {path}")
    message = TOO_LARGE if error.status_code == 413 else str(error.detail)
    return error_response(error.status_code, "bad_request_error", message)


async def _failed(request: Request, error: Any) -> Response:
    _log.error("the management API failed at %s %s", request.method, request.url.path, exc_info=error)
    return error_response(500, "internal_server_error", "the gateway failed; its log tells more")


_HANDLERS: dict[type[Exception], Callable[[Request, Any], Awaitable[Response]]] = {
    Refusal: _refused,
    RequestValidationError: _invalid,
    KeyProblem: _key_problem,
    AliasTaken: _alias_taken,
    KeyExists: _key_exists,
    BadDuration: _bad_duration,
    ConfigErrors: _config_refused,
    StoreError: _store_failed,
    HTTPException: _http_error,
    Exception: _failed,
}
