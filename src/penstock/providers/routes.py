"""Routes: which of a host's formats serves a request, and at which place.

A row lists what its host speaks in order of preference. A route is passed over when it serves something else, other
models, or another situation than the present one. Among the rest, the selector of the model string decides, then the
caller's preferences, then the row's order.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from fnmatch import fnmatchcase
from typing import Literal

from msgspec import Struct

from penstock.providers.betas import Beta
from penstock.providers.errors import ProviderError
from penstock.providers.globs import fits
from penstock.providers.provider import Provider, Route
from penstock.providers.wire_formats import WIRE_FORMATS, WireFormat

_SELECTORS = {
    "openai_chat": "chat",
    "openai_responses": "responses",
    "anthropic_messages": "messages",
    "bedrock_converse": "converse",
}
"""The segment that asks for a format at any host that speaks it."""


class Place(Struct, frozen=True, kw_only=True):
    """A route with everything spelled out that it took from its format."""

    format: str
    method: Literal["GET", "POST"]
    base_url: str | None
    prefix: str
    path: str
    stream_path: str
    query: dict[str, str]
    stream_query: dict[str, str]
    headers: dict[str, str]
    body: dict[str, str]
    omit: tuple[str, ...]
    model_field: str
    betas: tuple[Beta, ...]
    beta_header: str
    beta_field: str | None
    betas_refused: tuple[str, ...]
    framing: str | None


def place_for(
    provider: Provider,
    capability: str,
    model: str,
    values: Mapping[str, str],
    *,
    selector: str | None = None,
    prefer: Sequence[str] = (),
) -> Place:
    """The place that serves `capability` for `model`; `values` are the settings. Raises ProviderError
    (unsupported_capability).
    """
    fitting = _fitting(provider, capability, model, values)
    if selector is not None:
        fitting = [route for route in fitting if selector in (selector_of(route), route.format)]
    if not fitting:
        raise _unsupported(provider, capability, model, selector)
    preferred = (route for wanted in prefer for route in fitting if route.format == wanted)
    return place_of(next(preferred, fitting[0]), model)


def formats_of(provider: Provider, capability: str) -> tuple[str, ...]:
    """The formats in which `provider` serves `capability` for any model, in order of preference, each once."""
    names = (route.format for route in routes_of(provider) if capability_of(route) == capability)
    return tuple(dict.fromkeys(names))


def main_format(provider: Provider) -> str | None:
    """The chat format that `provider` speaks where nothing is particular: the first that is bound to no model and no
    situation.
    """
    chat = [route for route in routes_of(provider) if capability_of(route) == "chat"]
    usual = (route.format for route in chat if not route.models and not route.when)
    return next(usual, chat[0].format if chat else None)


def capabilities_of(provider: Provider) -> tuple[str, ...]:
    """What `provider` serves, each once, in the row's order."""
    return tuple(dict.fromkeys(capability_of(route) for route in routes_of(provider)))


def selectors_of(provider: Provider) -> frozenset[str]:
    """The segments that may stand between the provider and a model in a model string."""
    found = {selector_of(route) for route in routes_of(provider)} | provider.selectors.keys()
    return frozenset(selector for selector in found if selector)


def routes_of(provider: Provider) -> Iterator[Route]:
    """What the provider speaks, bare names as routes."""
    for spoken in provider.speaks:
        yield (_BARE.get(spoken) or Route(format=spoken)) if isinstance(spoken, str) else spoken


def capability_of(route: Route) -> str:
    """What `route` serves."""
    return route.capability or WIRE_FORMATS[route.format].capability


def selector_of(route: Route) -> str | None:
    """The segment that asks for `route`."""
    return route.selector or _SELECTORS.get(route.format)


def place_of(route: Route, model: str) -> Place:
    """`route` for `model`, with its format's own values where it says nothing. A format of a plug-in's says everything
    itself.
    """
    usual = WIRE_FORMATS.get(route.format) or WireFormat(route.format, "chat", "/")
    path = route.path or usual.path
    return Place(
        format=route.format,
        method=usual.method,
        base_url=route.base_url,
        prefix=route.prefix,
        path=path,
        stream_path=route.stream_path or (path if route.path else usual.stream_path or path),
        query=route.query,
        stream_query={**usual.stream_query, **route.stream_query},
        headers={**usual.headers, **route.headers},
        body=route.body,
        omit=tuple(name for name in (*usual.omit, *route.omit) if name not in route.body),
        model_field=route.model_field,
        betas=usual.betas if fits(model.lower(), usual.beta_models) else (),
        beta_header=usual.beta_header,
        beta_field=route.beta_field or usual.beta_field,
        betas_refused=route.betas_refused,
        framing=route.framing,
    )


_BARE = {name: Route(format=name) for name in WIRE_FORMATS}
"""The routes that say no more than a format's name."""


def _fitting(provider: Provider, capability: str, model: str, values: Mapping[str, str]) -> list[Route]:
    fitting: list[Route] = []
    for route in routes_of(provider):
        if capability_of(route) == capability and _concerns(route, model) and _holds(route.when, values):
            fitting.append(route)
            if route.exclusive:
                break
    return fitting


def _concerns(route: Route, model: str) -> bool:
    return not route.models or fits(model.lower(), route.models)


def _holds(when: Mapping[str, str], values: Mapping[str, str]) -> bool:
    return all(fnmatchcase(values.get(name, ""), glob) for name, glob in when.items())


def _unsupported(provider: Provider, capability: str, model: str, selector: str | None) -> ProviderError:
    title = provider.title or provider.name
    if provider.own_api:
        message = f"{title} cannot be called for {capability.replace('_', ' ')}: {provider.own_api}."
        return ProviderError("unsupported_capability", message, "Call its API directly.", provider=provider.name)
    if selector is not None:
        known = ", ".join(sorted(selectors_of(provider))) or "none"
        message = f"{title} does not serve {capability} as {selector!r} for the model {model!r}."
        return ProviderError("unsupported_capability", message, f"It knows: {known}.", provider=provider.name)
    capabilities = sorted({*capabilities_of(provider)} - {"models"})
    message = f"{title} does not serve {capability.replace('_', ' ')}"
    message += f" for the model {model!r}." if capability in capabilities else "."
    fix = f"It serves: {', '.join(capabilities)}."
    return ProviderError("unsupported_capability", message, fix, provider=provider.name)
