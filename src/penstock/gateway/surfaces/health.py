"""What anybody may ask a worker, and hears nothing of its version or configuration from.

GET /health/liveliness: this worker answers. (Whether the whole gateway is ready is the control plane's to say.)
GET /: what this is. (Some clients look for it first: Claude Code sends `HEAD /` when it starts.)
"""

from __future__ import annotations

from typing import Any

from penstock.gateway.http.heads import JSON, TEXT
from penstock.gateway.http.inbound import Inbound
from penstock.gateway.principal import Principal


def liveliness(plane: Any, inbound: Inbound, principal: Principal | None) -> None:
    """LiteLLM's words, which probes look for."""
    inbound.respond(200, TEXT, b"I'm alive!")


_WELCOME = b'{"name":"Penstock","documentation":"/openapi.json","models":"/v1/models","health":"/health/readiness"}'


def welcome(plane: Any, inbound: Inbound, principal: Principal | None) -> None:
    """The product, and where it describes itself."""
    inbound.respond(200, JSON, _WELCOME)
