"""Finding a local Ollama: the one look that `serve` and `doctor` take at the world.

It goes to the address that Ollama's own variable names (`OLLAMA_HOST`, or `OLLAMA_API_BASE`), else to its usual port on
this machine, and no further.
"""

from __future__ import annotations

from collections.abc import Mapping

from penstock.dialects import wire
from penstock.providers.registry import Registry, default_registry
from penstock.providers.urls import complete_local
from penstock.types.errors import MalformedError

PORT = 11434
PATIENCE = 0.5
"""Seconds to wait for an answer: a local server has one at once."""


def ollama_address(environment: Mapping[str, str], registry: Registry | None = None) -> str:
    """Where an Ollama would be, by the same variables as its calls use."""
    provider = (registry or default_registry()).find("ollama")
    names = provider.base_environment if provider is not None else ()
    given = next((environment[name] for name in names if environment.get(name)), "127.0.0.1")
    return complete_local(given, PORT).rstrip("/")


def ollama_models(address: str) -> list[str] | None:
    """The models that the Ollama at this address offers; None where none answers."""
    import httpx

    try:
        answer = httpx.get(f"{address}/api/tags", timeout=PATIENCE, trust_env=False)
        listed = wire.decode(answer.content) if answer.status_code == 200 else None
    except (httpx.HTTPError, httpx.InvalidURL, MalformedError):
        return None
    models = listed.get("models") if isinstance(listed, dict) else None
    if not isinstance(models, list):
        return None
    return [model["name"] for model in models if isinstance(model, dict) and isinstance(model.get("name"), str)]
