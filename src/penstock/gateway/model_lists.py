"""Model lists: GET /v1/models (and one model) in the shape that the asking client reads.

OpenAI's clients, Anthropic's and Google's share the path or nearly so; each demands headers of its own, by which it is
known (`surfaces.client_of`). One function a shape, in one table.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from penstock.gateway.answers import Refused
from penstock.gateway.config import Gateway, Served

_EPOCH = "1970-01-01T00:00:00Z"
"""Anthropic's clients demand a date of release; nobody tells us one."""


def _openai(model: Served) -> dict[str, Any]:
    return {"id": model.id, "object": "model", "created": 0, "owned_by": model.owned_by}


def _anthropic(model: Served) -> dict[str, Any]:
    return {"type": "model", "id": model.id, "display_name": model.id, "created_at": _EPOCH}


def _gemini(model: Served) -> dict[str, Any]:
    methods = ["generateContent", "streamGenerateContent"]
    return {"name": f"models/{model.id}", "displayName": model.id, "supportedGenerationMethods": methods}


def _openai_list(models: Sequence[Served]) -> dict[str, Any]:
    return {"object": "list", "data": [_openai(model) for model in models]}


def _anthropic_list(models: Sequence[Served]) -> dict[str, Any]:
    first, last = (models[0].id, models[-1].id) if models else (None, None)
    return {"data": [_anthropic(model) for model in models], "has_more": False, "first_id": first, "last_id": last}


def _gemini_list(models: Sequence[Served]) -> dict[str, Any]:
    return {"models": [_gemini(model) for model in models]}


_SHAPES: dict[str, tuple[Callable[[Sequence[Served]], dict[str, Any]], Callable[[Served], dict[str, Any]]]] = {
    "openai_chat": (_openai_list, _openai),
    "anthropic_messages": (_anthropic_list, _anthropic),
    "gemini": (_gemini_list, _gemini),
}


def listing(gateway: Gateway, client: str, name: str | None) -> dict[str, Any]:
    """All models, or the one of that name. Raises Refused where there is none."""
    whole, single = _SHAPES[client]
    if name is None:
        return whole(gateway.models)
    found = next((model for model in gateway.models if model.id == name), None)
    if found is None:
        raise Refused("not_found", 404, gateway.no_such_model(name), param="model")
    return single(found)
