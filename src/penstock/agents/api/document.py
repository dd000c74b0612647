"""The OpenAPI document: the routes of the application, the schemas of the structs, and every status that a path can
answer.
"""

from __future__ import annotations

from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi

from penstock.agents.api.gate import OPEN
from penstock.agents.api.schemas import COMPONENTS

_ERROR = {"application/json": {"schema": {"$ref": "#/components/schemas/ErrorAnswer"}}}
_WORDS = {
    "400": "Something is wrong with the request; `param` names it.",
    "401": "No token, or none that is good.",
    "403": "The token may not, or the host or origin is not one of this server's.",
    "404": "There is no such thing, or it is not yours.",
    "409": "Not now: the state, or the version, is another; `fix` says what can be done.",
    "413": "The body is too large.",
    "422": "The idempotency key stands for another request.",
    "429": "Too many of these, for now.",
    "500": "The server failed; its log tells more.",
    "503": "A part of the platform is not there.",
}
_METHODS = frozenset({"get", "post", "put", "delete", "patch"})


def document(application: FastAPI, version: str) -> dict[str, Any]:
    """OpenAPI 3.1."""
    made = get_openapi(
        title="Penstock agents", version=version, description="Agents, environments, sessions and their logs.",
        routes=application.routes,
    )  # fmt: skip
    schemas = made.setdefault("components", {}).setdefault("schemas", {})
    for name in ("HTTPValidationError", "ValidationError"):
        schemas.pop(name, None)
    schemas.update(COMPONENTS)
    for path, item in made["paths"].items():
        for method in _METHODS & item.keys():
            _complete(path, method, item[method])
    made["components"]["securitySchemes"] = {"token": {"type": "http", "scheme": "bearer"}}
    return made


def _complete(path: str, method: str, operation: dict[str, Any]) -> None:
    """What every path can answer."""
    answers = operation["responses"]
    answers.pop("422", None)
    statuses = ["400", "403", "500"]
    if path not in OPEN:
        operation["security"] = [{"token": []}]
        statuses += ["401", "413"]
    if "{" in path:
        statuses.append("404")
    if any(each["name"] == "Idempotency-Key" for each in operation.get("parameters", ())):
        statuses += ["409", "422", "429"]
    if "/events" in path:
        statuses.append("409")
    statuses.append("503")
    for status in statuses:
        answers.setdefault(status, {"description": _WORDS[status], "content": _ERROR})
