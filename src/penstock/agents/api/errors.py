"""Refusals as JSON: `{"error": {"code": ..., "message": ..., "fix": ..., "param": ...}}`, with the status of the tree
(../errors.py).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec
from msgspec import Struct
from starlette.responses import Response

from penstock.agents.errors import AgentsError, Invalid, NotFound, Unauthenticated

_LONGEST = 2000


class ErrorBody(Struct, frozen=True):
    """What went wrong: a stable word, a sentence, what to do, and the field that is at fault, if one is."""

    code: str
    message: str
    fix: str = ""
    param: str | None = None


class ErrorAnswer(Struct, frozen=True):
    """Any answer of 400 and above."""

    error: ErrorBody


def refusal(error: AgentsError) -> Response:
    """An error as an answer."""
    body = ErrorBody(error.code, error.message[:_LONGEST], error.fix[:_LONGEST], error.param)
    headers = {"www-authenticate": "Bearer"} if isinstance(error, Unauthenticated) else None
    return json_response(ErrorAnswer(body), error.status, headers)


def json_response(value: Any, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    """Any value of ours as JSON. Answers are of the moment: nobody may keep them."""
    all_headers = {"cache-control": "no-store", **(headers or {})}
    return Response(msgspec.json.encode(value), status, headers=all_headers, media_type="application/json")


def invalid(problems: Sequence[Mapping[str, Any]]) -> AgentsError:
    """What FastAPI found wrong with a path or a query. (An id that cannot be one is not there.)"""
    problem = problems[0]
    where = [str(part) for part in problem["loc"]]
    if where[:1] == ["path"]:
        return NotFound("there is no such thing")
    name = ".".join(where[1:])[:200]
    if problem["type"] == "extra_forbidden":
        return Invalid(f"there is no parameter {name!r}", param=name)
    message = str(problem["msg"])
    return Invalid(f"{name}: {message[:1].lower()}{message[1:]}", param=name)
