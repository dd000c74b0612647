"""Costs: what a call costs, asked by hand. LiteLLM's two functions, over the exact arithmetic of
`penstock.providers.cost`; floats only come out at the end.

    completion_cost(answer)                                  what an answer cost
    completion_cost(model="openai/gpt-5", prompt="...", completion="...")    what it would cost
    cost_per_token("openai/gpt-5", 1000, 200)                (input, output)

The rule: a price that is not known is not 0. Both raise UnknownCostError, whose `reasons` say what is missing; a model
that nobody lists is named with the ones nearest to it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from penstock.calls.arguments import plain
from penstock.calls.failures import raising
from penstock.calls.tokens import token_counter
from penstock.client.information import get_llm_provider
from penstock.dialects import registry
from penstock.providers.billing.bill import exact_count
from penstock.providers.cost import Cost, Terms, cost
from penstock.providers.facts import Facts, current_facts
from penstock.providers.prices import Prices, dollars
from penstock.types.errors import DialectError, MalformedError
from penstock.types.notes import NO_MEMO
from penstock.types.response import Response
from penstock.types.usage import Usage


def cost_per_token(
    model: str = "",
    prompt_tokens: int = 0,
    completion_tokens: int = 0,
    response_time_ms: float = 0.0,
    custom_llm_provider: str | None = None,
    region_name: str | None = None,
    prompt_characters: int | None = None,
    completion_characters: int | None = None,
    cache_creation_input_tokens: int = 0,
    cache_read_input_tokens: int = 0,
    custom_cost_per_token: Mapping[str, Any] | None = None,
    custom_cost_per_second: float | None = None,
    number_of_queries: int | None = None,
    usage_object: Any = None,
    call_type: str = "completion",
    audio_transcription_file_duration: float = 0.0,
    service_tier: str | None = None,
    *,
    reasoning_tokens: int | None = None,
    batch: bool = False,
) -> tuple[float, float]:
    """(US dollars for the input, US dollars for the output) of so many tokens.

    prompt_tokens           all that went in, cached and newly cached ones included; `cache_read_input_tokens` and
                            `cache_creation_input_tokens` say how many of them were
    completion_tokens       all that came out, `reasoning_tokens` of them thoughts
    usage_object            a `usage` to read all of these from
    custom_cost_per_token   prices of your own: {"input_cost_per_token": ..., "output_cost_per_token": ...}
    custom_cost_per_second  a price of your own for each second of `response_time_ms`, by which models are priced too
                            that were registered with a price a second
    service_tier, batch, region_name    what the call was served as and where
    number_of_queries, audio_transcription_file_duration    other units that models are billed by
    prompt_characters, completion_characters    likewise
    custom_llm_provider     whose prices, where the name does not say it
    call_type               LiteLLM's; it changes no price here

    Raises UnknownCostError where a price is not known.
    """
    with raising(custom_llm_provider or "", model):
        if custom_cost_per_second is not None:
            seconds = dollars(response_time_ms, "response_time_ms") / 1000
            return 0.0, float(dollars(custom_cost_per_second, "custom_cost_per_second") * seconds)
        usage = usage_of(usage_object) or Usage(
            input_tokens=prompt_tokens,
            output_tokens=completion_tokens,
            cache_read_tokens=cache_read_input_tokens or None,
            cache_write_tokens=cache_creation_input_tokens or None,
            reasoning_tokens=reasoning_tokens,
            seconds=audio_transcription_file_duration or None,
            characters=prompt_characters,
            search_units=number_of_queries,
        )
        elapsed = dollars(response_time_ms, "response_time_ms") / 1000 if response_time_ms else None
        terms = Terms(service_tier=service_tier, batch=batch, location=region_name, elapsed=elapsed)
        quantities = {} if completion_characters is None else {"output_characters": completion_characters}
        prices = prices_of(model, custom_llm_provider, custom_cost_per_token, region=region_name)
        found = known(cost(usage, prices, terms, quantities=quantities), model, custom_llm_provider)
    return float(found.on("input") + found.on("fee")), float(found.on("output"))


def completion_cost(
    completion_response: Any = None,
    model: str | None = None,
    prompt: str = "",
    messages: Sequence[Any] = (),
    completion: str = "",
    total_time: float = 0.0,
    call_type: str | None = None,
    custom_llm_provider: str | None = None,
    region_name: str | None = None,
    size: str | None = None,
    quality: str | None = None,
    n: int | None = None,
    custom_cost_per_token: Mapping[str, Any] | None = None,
    custom_cost_per_second: float | None = None,
    base_model: str | None = None,
    service_tier: str | None = None,
    *,
    batch: bool = False,
) -> float:
    """US dollars for an answer, or for texts.

    completion_response    an answer of any call of ours (its own figure is taken, where it has one and nothing else is
                           said here), or one of a provider in its own shape, as an object or decoded JSON
    model, custom_llm_provider, base_model    whose prices; default: the answer's
    prompt or messages, completion    texts to count and price, where there is no answer
    size, quality, n       of images
    call_type              "image_generation" and the like, where nothing else says what was called
    service_tier, batch, region_name    what the call was served as and where
    custom_cost_per_token  prices of your own
    custom_cost_per_second    a price of your own for each second of `total_time`

    Raises UnknownCostError where a price is not known.
    """
    own = (model, custom_llm_provider, base_model, custom_cost_per_token, custom_cost_per_second, service_tier)
    hidden = getattr(completion_response, "_hidden_params", None) or {}
    if hidden.get("response_cost") is not None and not any(own) and not batch:
        return float(hidden["response_cost"])
    provider = custom_llm_provider or (None if model or base_model else hidden.get("custom_llm_provider"))
    named = base_model or model or _model_in(completion_response) or str(hidden.get("model_id") or "")
    with raising(provider or "", named):
        if custom_cost_per_second is not None:
            each = dollars(custom_cost_per_second, "custom_cost_per_second")
            return float(each * dollars(total_time, "total_time"))
        usage, served = _measured(completion_response)
        if usage is None and (n is not None or size is not None or "image" in (call_type or "")):
            usage = Usage(images=n or 1)
        if usage is None:
            usage = _counted(named, prompt, messages, completion)
        terms = Terms(
            service_tier=service_tier or served,
            batch=batch,
            location=region_name,
            size=size,
            elapsed=total_time or None,
        )
        prices = prices_of(named, provider, custom_cost_per_token, size=size, quality=quality, region=region_name)
        total = known(cost(usage, prices, terms), named, provider).total
    assert total is not None, "a known cost has a total"
    return float(total)


def _field(answer: Any, name: str) -> Any:
    return answer.get(name) if isinstance(answer, Mapping) else getattr(answer, name, None)


def _counted(model: str, prompt: str, messages: Sequence[Any], completion: str) -> Usage:
    """A usage of texts. Raises MalformedError where there are none."""
    if not (prompt or messages or completion):
        raise MalformedError("give completion_response, or prompt or messages and completion", "completion_response")
    read = token_counter(model=model, messages=messages) if messages else token_counter(model=model, text=prompt)
    written = token_counter(model=model, text=completion)
    return Usage(input_tokens=int(read), output_tokens=int(written), total_tokens=read + written)


_SHAPES: dict[str, tuple[str, ...]] = {
    "openai_chat": ("choices",),
    "bedrock_converse": ("output", "stopReason"),
    "openai_responses": ("output",),
    "anthropic_messages": ("content", "stop_reason"),
    "gemini": ("candidates",),
    "cohere_chat": ("message", "finish_reason"),
    "ollama_chat": ("message", "done"),
}
"""The dialects of answers, and the fields by which one is told, the more telling first."""

_USAGES: dict[str, tuple[frozenset[str], Callable[[dict[str, Any]], dict[str, Any]]]] = {
    "anthropic_messages": (
        frozenset({"cache_read_input_tokens", "cache_creation_input_tokens", "cache_creation"}),
        lambda usage: {"content": [], "stop_reason": None, "usage": usage},
    ),
    "gemini": (frozenset({"promptTokenCount"}), lambda usage: {"candidates": [], "usageMetadata": usage}),
    "bedrock_converse": (
        frozenset({"inputTokens"}),
        lambda usage: {"output": {}, "stopReason": "end_turn", "usage": usage},
    ),
    "cohere_chat": (
        frozenset({"billed_units"}),
        lambda usage: {"message": {}, "finish_reason": "COMPLETE", "usage": usage},
    ),
}
"""The dialects of a usage that stands alone and is not OpenAI's: one of these fields tells it, and an answer that holds
nothing else. LiteLLM's own usage has Anthropic's fields beside `prompt_tokens`, which counts them in."""


def usage_of(value: Any) -> Usage | None:
    """The usage in an answer of any shape, or in a `usage` object; None where there is none."""
    return _measured(value)[0]


def _measured(value: Any) -> tuple[Usage | None, str | None]:
    """(the usage in an answer of any shape, or in a `usage` object; the service tier that the answer names)."""
    fields = plain(value)
    if not isinstance(fields, Mapping):
        return None, None
    fields = dict(fields)
    answer = _answer_of(fields)
    if answer is not None:
        return answer.usage, answer.service_tier
    usage = fields.get("usage", fields)
    if isinstance(usage, Mapping) and (found := _usage_alone(dict(usage))) is not None:
        return found, None
    return _units_of(fields), None


def _answer_of(fields: dict[str, Any]) -> Response | None:
    for dialect, names in _SHAPES.items():
        if all(name in fields for name in names):
            try:
                return registry.get(dialect).parse_response(fields, NO_MEMO)
            except DialectError:
                return None
    return None


def _usage_alone(usage: dict[str, Any]) -> Usage | None:
    if "prompt_tokens" not in usage:
        for dialect, (names, answer) in _USAGES.items():
            if not names.isdisjoint(usage):
                return registry.get(dialect).parse_response(answer(usage), NO_MEMO).usage
    if not any("tokens" in name for name in usage):
        return None
    return registry.get("openai_chat").parse_response({"choices": [], "usage": _openai_words(usage)}, NO_MEMO).usage


def _units_of(fields: dict[str, Any]) -> Usage | None:
    """What is not counted in tokens: a reranking's search units (Cohere's words), the seconds of a transcription."""
    meta = fields.get("meta")
    billed = meta.get("billed_units") if isinstance(meta, Mapping) else None
    if isinstance(billed, Mapping) and type(billed.get("search_units")) is int:
        return Usage(search_units=billed["search_units"])
    measured = fields.get("usage")
    seconds = measured.get("seconds") if isinstance(measured, Mapping) else fields.get("duration")
    if "text" in fields and isinstance(seconds, int | float | str) and exact_count(seconds) is not None:
        return Usage(seconds=float(seconds))
    return None


def _model_in(answer: Any) -> str:
    """The model that an answer names ("" for none): `modelVersion` is Gemini's word."""
    return str(_field(answer, "model") or _field(answer, "modelVersion") or "")


def _openai_words(usage: Mapping[str, Any]) -> dict[str, Any]:
    """Counts under the names of the newer APIs, under the older ones."""
    words = {"input_tokens": "prompt_tokens", "output_tokens": "completion_tokens"}
    return {words.get(name, name) if words.get(name) not in usage else name: value for name, value in usage.items()}


def prices_of(
    model: str,
    provider: str | None,
    custom: Mapping[str, Any] | None = None,
    *,
    size: str | None = None,
    quality: str | None = None,
    region: str | None = None,
) -> Prices | None:
    """The price list of a model, in a region where it has one of its own there; with prices of the caller's own,
    theirs."""
    facts: Facts = current_facts()
    if custom is not None:
        facts = facts.with_rows({model: {"litellm_provider": provider or "", **custom}}, replace=True)
        return facts.prices(model)
    if region is not None:
        row = facts.find(f"{region}/{model.rpartition('/')[2]}", provider or model.partition("/")[0])
        if row is not None and row.found == "exact":
            return facts.prices_of_row(row)
    if size is not None or quality is not None:
        return facts.image_prices(model, provider, size=size, quality=quality)
    found = facts.prices(model, provider)
    if found is not None or provider is not None:
        return found
    try:
        bare, provider, _, _ = get_llm_provider(model)
    except Exception:  # no provider is told by the name: then nobody's price is meant either
        return None
    return facts.prices(bare, provider)


def known(found: Cost, model: str, provider: str | None) -> Cost:
    """The cost, where it is known. Raises UnknownCostError."""
    if found.known:
        return found
    from penstock.exceptions import UnknownCostError

    facts = current_facts()
    row = facts.find(model, provider)
    near = facts.nearest(model) if row is None or row.found == "rule" else []
    hint = f" Did you mean {', '.join(near)}?" if near else ""
    doubt = f" ({row.doubt})" if row is not None and row.doubt else ""
    message = f"the cost of {model!r} is not known: {'; '.join(found.reasons)}{doubt}.{hint}"
    fix = " Prices of your own: custom_cost_per_token, or register_model()."
    raise UnknownCostError(message + fix, provider or "", model, reasons=found.reasons, at_least=found.at_least)
