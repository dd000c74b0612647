"""Finding a local Ollama: the one look that `serve` and `doctor` take at this machine, on loopback only."""

from __future__ import annotations

from penstock.dialects import wire
from penstock.types.errors import MalformedError

ADDRESS = "http://127.0.0.1:11434"
PATIENCE = 0.3
"""Seconds to wait for an answer: a local server has one at once."""


def ollama_models(address: str = ADDRESS) -> list[str] | None:
    """The models that a local Ollama offers; None where none answers."""
    import httpx

    try:
        answer = httpx.get(f"{address}/api/tags", timeout=PATIENCE, trust_env=False)
        listed = wire.decode(answer.content) if answer.status_code == 200 else None
    except (httpx.HTTPError, MalformedError):
        return None
    models = listed.get("models") if isinstance(listed, dict) else None
    if not isinstance(models, list):
        return None
    return [model["name"] for model in models if isinstance(model, dict) and isinstance(model.get("name"), str)]
