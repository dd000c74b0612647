"""Pricing: which price list holds for a call, and what else decides over its price."""

from __future__ import annotations

from penstock.calls.options import Options
from penstock.providers.cost import Terms
from penstock.providers.endpoint import Endpoint
from penstock.providers.facts import Facts
from penstock.providers.prices import Prices
from penstock.types.notes import Note
from penstock.types.request import Request
from penstock.types.response import Response

_UNSAID = frozenset({"auto", "default", "standard", "standard_only"})
"""Service tiers that ask for nothing in particular."""


def chat_terms(request: Request, notes: tuple[Note, ...], response: Response) -> Terms:
    """What decides over the price of a chat call beside its counts: the tier that served it (in the provider's words,
    else as it was asked for), what a search was to read, whether the caller set cache markers.
    """
    usage = response.usage
    tier = response.service_tier or (None if usage is None else usage.service_tier)
    if tier is None and request.service_tier not in _UNSAID:
        sent = not any(note.path == "service_tier" for note in notes)
        tier = request.service_tier if sent else None
    cached = usage is not None and bool(usage.cache_read_tokens or usage.cache_write_tokens)
    return Terms(
        service_tier=tier, search_context_size=_search_size(request), explicit_cache=cached and _has_markers(request)
    )


def _search_size(request: Request) -> str | None:
    for tool in request.tools or ():
        if tool.settings is not None and tool.settings.search_context_size is not None:
            return tool.settings.search_context_size
    return None


def _has_markers(request: Request) -> bool:
    parts = (part for message in request.messages for part in (*message.parts, message))
    return any(part.cache is not None for part in (*(request.system or ()), *parts, request))


def prices_at(sheet: Facts, target: Endpoint, options: Options) -> Prices | None:
    """The price list that holds at `target`: the caller's own, else of the model in its region, else under the name
    that the caller wrote for the provider, else under the provider's.
    """
    model, provider = target.model, target.provider
    if options.prices:
        name = f"{provider}/{model}"
        own = sheet.with_rows({name: {"litellm_provider": provider, **options.prices}}, replace=True)
        return own.prices(name, provider)
    if options.base_model is None:
        particular = [(f"{target.location}/{model}", provider)] if target.location else []
        particular += [(model, target.written)] if target.written != provider else []
        for name, host in particular:
            row = sheet.find(name, host)
            if row is not None and row.found == "exact":
                return sheet.prices_of_row(row)
    return sheet.prices(model, provider, base_model=options.base_model)
