"""What the fact sheet lists for each provider, for the model lists of `serve` and `doctor`."""

from __future__ import annotations

from collections.abc import Iterable

from penstock.providers.facts import Facts, current_facts
from penstock.providers.registry import Registry

CHAT_MODES = frozenset({"chat", "responses"})


def chat_models(registry: Registry, providers: Iterable[str], facts: Facts | None = None) -> dict[str, list[str]]:
    """The chat models of some providers, by provider, without the provider's prefix, in order of their names."""
    wanted = set(providers)
    found: dict[str, set[str]] = {name: set() for name in wanted}
    for row in (facts or current_facts()).rows() if wanted else ():
        if row.provider in wanted and row.mode in CHAT_MODES:
            found[row.provider].add(row.name.removeprefix(f"{row.provider}/"))
    return {name: sorted(models) for name, models in sorted(found.items())}
