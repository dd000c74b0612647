"""The model string: which provider a name like `anthropic/claude-sonnet-5` or `gpt-4o` means, and which model there.

In this order; the first rule that fits decides:

    1  the caller named a provider (`custom_llm_provider`): it, and the name without that provider's own prefix
    2  `provider/model`: the first segment is a provider or one of its aliases. The rest is the model, slashes and all
       (`openrouter/anthropic/claude-...`), but for segments that ask for a format (`openai/responses/gpt-5`,
       `bedrock/converse/...`)
    3  a base URL was given: the provider whose host it names
    4  a fact sheet knows the name (`lookup`, which comes from outside)
    5  the name has the look of exactly one provider's models (`Provider.model_families`)

Nothing else is guessed: the error names the nearest providers and models.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from msgspec import Struct
from msgspec.structs import replace

from penstock.providers.errors import ProviderError
from penstock.providers.globs import fits
from penstock.providers.provider import Provider
from penstock.providers.registry import Registry
from penstock.providers.routes import selectors_of


class ResolvedModel(Struct, frozen=True):
    """A provider and a model there.

    `selector` is the segment that asks for a format, where the name had one; `base_model` the well-known model that a
    segment said it is like; `rule` tells which rule decided (1 to 5); `written` is the word that named the provider,
    where one did: an alias may have prices of its own.
    """

    provider: Provider
    model: str
    selector: str | None = None
    base_model: str | None = None
    rule: int = 2
    written: str | None = None


def resolve_model(
    name: str,
    registry: Registry,
    *,
    provider: str | None = None,
    api_base: str | None = None,
    lookup: Callable[[str], str | None] | None = None,
    known_models: Callable[[], Iterable[str]] | None = None,
) -> ResolvedModel:
    """What `name` means.

    `provider` and `api_base` are what the call says besides; `lookup` tells the provider of a bare name, or None;
    `known_models` gives the names that an error may propose. Raises ProviderError: unknown_provider, unknown_model.
    """
    if not name.strip():
        raise no_model("openai/gpt-5-mini")
    if provider:
        return replace(_named(registry.get(provider), name), written=provider)
    if found := _by_prefix(name, registry):
        head, _, rest = name.partition("/")
        return replace(_with_selector(found, rest, 2), written=head)
    if api_base and (found := registry.find_by_host(api_base)):
        return _with_selector(found, name, 3)
    if found := _by_lookup(name, registry, lookup):
        return _with_selector(found, name, 4)
    if found := _by_family(name, registry):
        return _with_selector(found, name, 5)
    raise _unknown(name, registry, api_base, known_models)


def no_model(example: str) -> ProviderError:
    """The error for a call without a model. `example` is one that would do."""
    return ProviderError(
        "unknown_model", "`model` is missing or empty.", f'Pass "provider/model", such as "{example}".'
    )


def _named(provider: Provider, name: str) -> ResolvedModel:
    head, slash, rest = name.partition("/")
    own_prefix = slash and head in (provider.name, *provider.aliases)
    return _with_selector(provider, rest if own_prefix else name, 1)


def _by_prefix(name: str, registry: Registry) -> Provider | None:
    head, slash, rest = name.partition("/")
    return registry.find(head) if slash and rest else None


def _by_lookup(name: str, registry: Registry, lookup: Callable[[str], str | None] | None) -> Provider | None:
    found = lookup(name) if lookup else None
    return registry.find(found) if found else None


def _by_family(name: str, registry: Registry) -> Provider | None:
    fitting = [provider for provider in registry if fits(name.lower(), provider.model_families)]
    return fitting[0] if len(fitting) == 1 else None


def _with_selector(provider: Provider, model: str, rule: int) -> ResolvedModel:
    """Cut a segment off that asks for a format, or that only decorates the name."""
    head, slash, rest = model.partition("/")
    if not slash or not rest or head not in selectors_of(provider):
        return ResolvedModel(provider, model, rule=rule)
    if head in provider.selectors:
        return ResolvedModel(provider, rest, base_model=provider.selectors[head], rule=rule)
    return ResolvedModel(provider, rest, head, rule=rule)


def _unknown(
    name: str, registry: Registry, api_base: str | None, known_models: Callable[[], Iterable[str]] | None
) -> ProviderError:
    head, slash, rest = name.partition("/")
    proposals = [f"{near}/{rest}" for near in registry.nearest(head)] if slash else []
    from difflib import get_close_matches

    proposals += get_close_matches(name, list(known_models()), n=3) if known_models else []
    advice = [f"Did you mean {' or '.join(dict.fromkeys(proposals))}?"] if proposals else []
    if api_base:
        advice.append(f"For an OpenAI-compatible server at {api_base}, write openai/{name}.")
    else:
        advice.append("Write it as provider/model, such as openai/gpt-5-mini.")
    return ProviderError("unknown_model", f"No provider is known for the model {name!r}.", " ".join(advice))
