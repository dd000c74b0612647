"""GET /v1/models, and one model, in the shape that the asking client reads.

OpenAI's clients, Anthropic's and Google's share the path or nearly so; each demands headers of its own, by which it
is known. A key sees the models that it may use. A group that is a pattern ("openai/*") is shown as the models that it
is known to stand for.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from difflib import get_close_matches
from typing import Any

from msgspec import Struct

from penstock.dialects import wire
from penstock.gateway.http.heads import JSON, ids_of
from penstock.gateway.http.inbound import Inbound
from penstock.gateway.policies.model_access import allowed
from penstock.gateway.principal import Principal
from penstock.gateway.refused import Refused

_EPOCH = "1970-01-01T00:00:00Z"
"""Anthropic's clients demand a date of release; nobody tells us one."""


class Served(Struct, frozen=True):
    """A model that is listed: its name for clients, and who has it."""

    id: str
    owned_by: str


def list_models(plane: Any, inbound: Inbound, principal: Principal | None) -> None:
    """Answer with all models, or with the one that the path names. Raises Refused where there is none."""
    assert principal is not None, "only who has a key is served"
    models = [model for model in served(plane) if allowed(principal, model.id)]
    whole, single = _SHAPES[_client(inbound)]
    _, _, name = inbound.path.partition("/models")
    name = name.strip("/")
    if not name:
        inbound.respond(200, JSON + ids_of(plane.next_id()), wire.encode(whole(models)))
        return
    found = next((model for model in models if model.id == name), None)
    if found is None:
        raise no_such_model(name, [model.id for model in models])
    inbound.respond(200, JSON + ids_of(plane.next_id()), wire.encode(single(found)))


def no_such_model(name: str, known: Sequence[str]) -> Refused:
    """The refusal of a model that is not served, with the nearest that are."""
    near = get_close_matches(name, known, n=3)
    advice = f" Did you mean {' or '.join(near)}?" if near else ""
    message = f"there is no model {name[:200]!r} here.{advice} GET /v1/models lists all."
    return Refused("not_found", 404, message, param="model", code="model_not_found")


def served(plane: Any) -> list[Served]:
    """The models of a snapshot, each once."""
    return list({model.id: model for model in _served(plane)}.values())


def _served(plane: Any) -> Iterator[Served]:
    for deployment in plane.snapshot.deployments:
        owner = deployment.model.partition("/")[0]
        if "*" not in deployment.group:
            yield Served(deployment.group, "penstock" if deployment.model == "demo" else owner)
        else:
            yield from _behind(plane, deployment.group, deployment.model)
    for alias, group in plane.snapshot.aliases.items():
        yield Served(alias, group)


def _behind(plane: Any, group: str, model: str) -> Iterator[Served]:
    """What a pattern is known to stand for: the chat models of its provider, where the star is all that is open."""
    if group.count("*") != 1 or model.count("*") != 1:
        yield Served(group, model.partition("/")[0])
        return
    provider = plane.engine.registry.find(model.partition("/")[0])
    if provider is None:
        return
    before, _, after = group.partition("*")
    for row in plane.engine.facts.rows():
        if row.provider == provider.name and row.mode in ("chat", "responses"):
            yield Served(f"{before}{row.name.removeprefix(provider.name + '/')}{after}", provider.name)


def _client(inbound: Inbound) -> str:
    if b"anthropic-version" in inbound.headers:
        return "anthropic_messages"
    if b"x-goog-api-key" in inbound.headers or inbound.path.startswith(("/v1beta/", "/v1alpha/")):
        return "gemini"
    return "openai_chat"


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
