"""POST /v1/messages/count_tokens and Gemini's :countTokens: how long a request is, for a model.

A host that counts Anthropic's requests itself is asked. For every other model the count is our own estimate: it costs
nothing, and tells clients what they want to know, whether the window is about to be full.
"""

from __future__ import annotations

from typing import Any

from penstock.calls.tokens import count_request
from penstock.dialects import wire
from penstock.dialects.dialect import PathMatch
from penstock.gateway.http.heads import JSON, ids_of
from penstock.gateway.http.inbound import Inbound
from penstock.gateway.operations import Operation, OperationCall
from penstock.gateway.policies.model_access import allowed, denied
from penstock.gateway.principal import Principal
from penstock.gateway.refused import Refused
from penstock.gateway.route import Members
from penstock.gateway.surfaces import anthropic_messages, gemini
from penstock.gateway.unserved import unserved
from penstock.providers.errors import ProviderError
from penstock.routing.deployment import Deployment
from penstock.types.errors import MalformedError
from penstock.types.usage import Usage

COUNT = Operation(
    name="count_tokens",
    capability="count_tokens",
    format="anthropic_count_tokens",
    most=lambda body, size: Usage(),
    voice="anthropic_messages",
)


def messages(plane: Any, inbound: Inbound, principal: Principal | None) -> None:
    """Count the tokens of an Anthropic request."""
    assert principal is not None, "only who has a key is served"
    body = _object(inbound)
    model = body.get("model")
    deployment = _deployment(plane, principal, model if isinstance(model, str) else "")
    if _counts(plane, deployment):
        OperationCall(plane, inbound, principal, COUNT).admit()
        return
    request = anthropic_messages.SURFACE.dialect.parse_request({"max_tokens": 1, **body}, PathMatch())
    count = count_request(request, deployment.model)
    inbound.respond(200, JSON + ids_of(plane.next_id()), wire.encode({"input_tokens": int(count)}))


def contents(plane: Any, inbound: Inbound, principal: Principal | None) -> None:
    """Count the tokens of a Gemini request."""
    assert principal is not None, "only who has a key is served"
    body = _object(inbound)
    model = inbound.path.partition("/models/")[2].rpartition(":")[0]
    deployment = _deployment(plane, principal, model)
    inner = body.get("generateContentRequest", body)
    request = gemini.SURFACE.dialect.parse_request(inner, PathMatch(model))
    count = count_request(request, deployment.model)
    inbound.respond(200, JSON + ids_of(plane.next_id()), wire.encode({"totalTokens": int(count)}))


def _object(inbound: Inbound) -> dict[str, Any]:
    value = wire.decode(inbound.body) if inbound.body.strip() else None
    if not isinstance(value, dict):
        raise MalformedError("the body must be a JSON object")
    return value


def _deployment(plane: Any, principal: Principal, model: str) -> Deployment:
    group = principal.aliases.get(model, model)
    if not group:
        raise Refused("invalid_request", 400, "`model` is missing; GET /v1/models lists the models", param="model")
    if not allowed(principal, model, group):
        raise denied(principal, model)
    try:
        members: Members = plane.router.members(group)
    except ProviderError:
        raise unserved(plane, principal, model) from None
    return members.deployments[0]


def _counts(plane: Any, deployment: Deployment) -> bool:
    """Whether the deployment's host counts such requests itself."""
    try:
        target = plane.targets.of(deployment, COUNT.capability, COUNT.format, (COUNT.format,), False)
    except ProviderError:
        return False
    return target.endpoint is not None and target.endpoint.format == COUNT.format
