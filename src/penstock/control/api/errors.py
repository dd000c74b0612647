"""Refusals of the management API, in the shape that LiteLLM's clients read:

    {"error": {"message": ..., "type": "auth_error", "param": null, "code": "401"}}

`code` is the status as a text, and `type` one of LiteLLM's words (litellm.proxy._types.ProxyErrorTypes).
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import msgspec
from starlette.responses import Response

UNKNOWN_FIELD = "unknown_field"
_LONGEST = 2000


class Refusal(Exception):
    """The API says no: a status, LiteLLM's word for the kind, and what to do."""

    def __init__(
        self,
        status: int,
        kind: str,
        message: str,
        param: str | None = None,
        *,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(message)
        self.status = status
        self.kind = kind
        self.param = param
        self.headers = dict(headers or {})

    def response(self) -> Response:
        """The answer."""
        return error_response(self.status, self.kind, str(self), self.param, self.headers)


def error_response(
    status: int, kind: str, message: str, param: str | None = None, headers: Mapping[str, str] | None = None
) -> Response:
    """An error as an answer."""
    error = {"message": message[:_LONGEST], "type": kind, "param": param, "code": str(status)}
    return json_response({"error": error}, status, headers)


def json_response(value: Any, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    """Any value of ours as JSON."""
    return Response(msgspec.json.encode(value), status, headers=dict(headers or {}), media_type="application/json")


def unauthenticated(message: str) -> Refusal:
    """Nobody that we know."""
    return Refusal(401, "auth_error", message, headers={"www-authenticate": "Bearer"})


def forbidden(message: str) -> Refusal:
    """Somebody who may not."""
    return Refusal(403, "auth_error", message)


def not_found(message: str, param: str | None = None) -> Refusal:
    """Something that is not there."""
    return Refusal(404, "not_found_error", message, param)


def bad_request(message: str, param: str | None = None) -> Refusal:
    """Something that is wrong with a request."""
    return Refusal(400, "bad_request_error", message, param)


def invalid(problems: Sequence[Mapping[str, Any]]) -> Refusal:
    """What pydantic found, in a sentence for each field."""
    said = [_said(problem) for problem in problems[:10]]
    params = [name for problem in problems if (name := _field(problem))]
    return Refusal(400, "bad_request_error", "; ".join(said), params[0] if params else None)


def _said(problem: Mapping[str, Any]) -> str:
    where = ".".join(str(part) for part in problem["loc"][1:])
    message = str(problem["msg"])
    if problem["type"] == "json_invalid":
        return f"the body is not JSON ({(problem.get('ctx') or {}).get('error', message)})"
    if not where and problem["type"] != UNKNOWN_FIELD:
        return "a JSON object is needed, with 'content-type: application/json'"
    if problem["type"] == UNKNOWN_FIELD:
        return message
    return f"{where}: {message[:1].lower()}{message[1:]}"


def _field(problem: Mapping[str, Any]) -> str | None:
    named = (problem.get("ctx") or {}).get("field")
    if named is None and len(problem["loc"]) > 1:
        named = problem["loc"][1]
    return str(named)[:200] if isinstance(named, str) else None


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """ "; did you mean 'models'?", or nothing."""
    near = difflib.get_close_matches(name, list(known), n=1)
    return f"; did you mean {near[0]!r}?" if near else ""
