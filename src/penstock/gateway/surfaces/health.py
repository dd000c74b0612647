"""GET /health/liveliness: this worker answers. (Whether the whole gateway is ready is the control plane's to say.)"""

from __future__ import annotations

from typing import Any

from penstock.gateway.http.heads import TEXT
from penstock.gateway.http.inbound import Inbound
from penstock.gateway.principal import Principal


def liveliness(plane: Any, inbound: Inbound, principal: Principal | None) -> None:
    """LiteLLM's words, which probes look for."""
    inbound.respond(200, TEXT, b"I'm alive!")
