"""The OpenAPI document of both planes: the control plane's paths are read off its routes, the data plane's are given.

Every status that a path can answer is in it, with its body: a program that reads it may believe it.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi

from penstock import __version__
from penstock.control.api.answers import ErrorAnswer
from penstock.control.api.gate import OPEN

_METHODS = frozenset({"get", "post", "put", "delete", "patch"})
_ERROR = {"application/json": {"schema": {"$ref": "#/components/schemas/ErrorAnswer"}}}
_WORDS = {
    "400": "Something is wrong with the request; the message names it.",
    "401": "No key, or none that is good.",
    "403": "This takes another key.",
    "404": "There is no such thing.",
    "409": "Something else has this name.",
    "413": "The body is too large.",
    "500": "The gateway failed; its log tells more.",
    "503": "Not now.",
}
_OF_ALL = ("400", "500")
_OF_THE_GATE = ("401", "403", "413")
_MISSING = frozenset({"/key/update", "/key/regenerate", "/key/{key}/regenerate", "/key/delete", "/key/block"} | {
    *("/key/unblock", "/key/info", "/model/info", "/v1/model/info"),
})  # fmt: skip
_TAKEN = frozenset({"/key/generate", "/key/update", "/key/regenerate", "/key/{key}/regenerate"})


def document(application: FastAPI, data_plane: Mapping[str, Any]) -> dict[str, Any]:
    """OpenAPI 3.1: the routes of this application, and the data plane's paths."""
    made = get_openapi(
        title="Penstock",
        version=__version__,
        description="One guarded, measured way for all model and agent traffic.",
        routes=application.routes,
    )
    schemas = made.setdefault("components", {}).setdefault("schemas", {})
    schemas.update(_error_schemas())
    for name in ("HTTPValidationError", "ValidationError"):
        schemas.pop(name, None)
    for path, item in made["paths"].items():
        for method in _METHODS & item.keys():
            _complete(path, item[method])
    for path, item in data_plane.items():
        made["paths"].setdefault(path, {}).update(copy.deepcopy(dict(item)))
    made["components"]["securitySchemes"] = {"key": {"type": "http", "scheme": "bearer"}}
    return made


def _error_schemas() -> dict[str, Any]:
    schema = ErrorAnswer.model_json_schema(ref_template="#/components/schemas/{model}")
    return {**schema.pop("$defs", {}), "ErrorAnswer": schema}


def _complete(path: str, operation: dict[str, Any]) -> None:
    """All answers that are the same everywhere."""
    answers = operation["responses"]
    answers.pop("422", None)
    statuses = list(_OF_ALL)
    if path not in OPEN:
        operation["security"] = [{"key": []}]
        statuses += _OF_THE_GATE
    if path in _MISSING:
        statuses.append("404")
    if path in _TAKEN:
        statuses.append("409")
    for status in statuses:
        answers.setdefault(status, {"description": _WORDS[status], "content": _ERROR})
    for status, answer in answers.items():
        if status in _WORDS:
            answer["description"] = _WORDS[status]
