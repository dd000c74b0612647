"""Checks: does a deployment answer? It is asked for the least that its kind of model can be asked for, which costs a
few tokens; models whose answers cost more, or that need a file, are not asked.
"""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Mapping
from typing import TYPE_CHECKING, Any

from msgspec import Struct

from penstock.providers.facts import current_facts
from penstock.routing.deployment import Deployment

if TYPE_CHECKING:
    from penstock.client.clients import AsyncClient

PATIENCE = 30.0
"""Seconds in which an answer must have come, where nobody says."""
_SAID = [{"role": "user", "content": "Are you there?"}]

Ask = Callable[[Any, dict[str, Any]], Awaitable[Any]]
_ASKS: Mapping[str, Ask] = {
    "chat": lambda client, given: client.chat.completions.create(**given, messages=_SAID, max_tokens=16),
    "responses": lambda client, given: client.responses.create(**given, input="Are you there?", max_output_tokens=16),
    "completion": lambda client, given: client.completions.create(**given, prompt="Are you", max_tokens=16),
    "embedding": lambda client, given: client.embeddings.create(**given, input="Are you there?"),
    "rerank": lambda client, given: client.rerank(**given, query="who", documents=["you"]),
    "moderation": lambda client, given: client.moderations.create(**given, input="Are you there?"),
}


class Checked(Struct, frozen=True):
    """What came of it.

    seconds  until the answer
    error    what went wrong; None: it answered. `refused`: it answered, with a refusal of what was asked
    skipped  the kind of model that is not asked
    """

    seconds: float = 0.0
    error: str | None = None
    refused: bool = False
    skipped: str | None = None

    @property
    def answers(self) -> bool:
        """Whether somebody is there."""
        return self.error is None or self.refused


def mode_of(deployment: Deployment) -> str:
    """What kind of model it is: as the configuration says, else as is known of it, else one for chats."""
    info = deployment.arguments.get("model_info")
    said = info.get("mode") if isinstance(info, Mapping) else None
    if isinstance(said, str):
        return said
    provider, _, model = deployment.model.partition("/")
    row = current_facts().find(model, provider)
    return (row.mode if row is not None else None) or "chat"


async def check(
    client: AsyncClient, deployment: Deployment, patience: float = PATIENCE, model: str | None = None, mode: str = ""
) -> Checked:
    """Ask a deployment once, with `patience` in seconds. `model`: whom to ask where it is a wildcard; `mode`: its kind,
    where that is known.
    """
    kind = mode or mode_of(deployment)
    ask = _ASKS.get(kind)
    if ask is None:
        return Checked(skipped=kind)
    given = {**deployment.arguments, "num_retries": 0, "timeout": patience}
    for name in ("model_info", "max_tokens", "max_completion_tokens", "max_output_tokens"):
        given.pop(name, None)
    if model is not None:
        given["model"] = model if "/" in model else f"{deployment.model.partition('/')[0]}/{model}"
    begun = time.monotonic()
    try:
        await ask(client, given)
    except Exception as error:
        said = f"{type(error).__name__}: {error}"[:500]
        refused = getattr(error, "status_code", None) in (400, 422)
        return Checked(time.monotonic() - begun, said, refused)
    return Checked(time.monotonic() - begun)
