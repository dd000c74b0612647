"""Information: what is known of models and providers, under the names that LiteLLM's users know. Nothing here asks
anybody.

The answers come from the packaged fact sheet and what was registered over it; None or an exception says that
something is not known, never a guess.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

from penstock.calls.failures import raising
from penstock.dialects import registry as dialect_registry
from penstock.providers.auth.choose import parameters_of
from penstock.providers.endpoint import endpoint, variables_of
from penstock.providers.facts import current_facts, register_facts
from penstock.providers.registry import default_registry
from penstock.providers.resolve_model import ResolvedModel, resolve_model
from penstock.providers.ways import missing_by_way, missing_variables
from penstock.types.content import Text
from penstock.types.profile import Profile
from penstock.types.request import Message, Reasoning, Request, ResponseFormat, Tool, ToolChoice


def _resolve(model: str, provider: str | None = None, api_base: str | None = None) -> ResolvedModel:
    facts = current_facts()
    with raising(provider or "", model):
        return resolve_model(
            model,
            default_registry(),
            provider=provider,
            api_base=api_base,
            lookup=facts.provider_of,
            known_models=lambda: facts,
        )


def get_llm_provider(
    model: str, custom_llm_provider: str | None = None, api_base: str | None = None, api_key: str | None = None
) -> tuple[str, str, str | None, str | None]:
    """(model without its prefix, provider, key, base URL): what a model's name means.

    model                  as in a call
    custom_llm_provider    the provider, where the name does not say it
    api_base, api_key      come back as they were given; a known host in `api_base` tells the provider

    A model that only the fact sheet knows (`tavily/search`) has the provider that it names, though no call reaches it.
    Raises UnknownModelError that names the nearest.
    """
    try:
        found = _resolve(model, custom_llm_provider, api_base)
    except Exception:
        row = current_facts().find(model, custom_llm_provider)
        if row is None or row.found != "exact" or not row.provider:
            raise
        return model.removeprefix(f"{row.provider}/"), row.provider, api_key, api_base
    return found.model, found.provider.name, api_key, api_base


def get_model_info(model: str, custom_llm_provider: str | None = None) -> dict[str, Any]:
    """Everything that is known of a model, under LiteLLM's field names: limits in tokens, prices as floats in US
    dollars, what it supports. `custom_llm_provider` says whose it is, where the name does not.

    Raises UnknownModelError.
    """
    found = current_facts().info(model, custom_llm_provider)
    if found is None:
        from penstock.exceptions import UnknownModelError

        near = current_facts().nearest(model)
        hint = f" Did you mean {', '.join(near)}?" if near else " register_model() adds one."
        raise UnknownModelError(f"nothing is known of {model!r}.{hint}", custom_llm_provider or "", model)
    return found


def get_max_tokens(model: str) -> int | None:
    """The most tokens that a model puts out; None where not known."""
    limits = current_facts().limits(model)
    return limits.output if limits.output is not None else limits.input


def register_model(model_cost: Mapping[str, Mapping[str, Any]]) -> None:
    """Add models, or facts of models, for all calls of this process.

    model_cost    by name, under the field names of `get_model_info`, prices in US dollars:
                  {"openai/my-model": {"input_cost_per_token": 1e-6, "output_cost_per_token": 2e-6}}
    """
    with raising("", ""):
        register_facts(model_cost)


def supports(model: str, what: str, custom_llm_provider: str | None = None) -> bool:
    """Whether a model is known to be able to do `what` ("vision", "function_calling", "response_schema" ...)."""
    return bool(current_facts().supports(model, what, custom_llm_provider))


def supports_vision(model: str, custom_llm_provider: str | None = None) -> bool:
    """Whether it reads images."""
    return supports(model, "vision", custom_llm_provider)


def supports_function_calling(model: str, custom_llm_provider: str | None = None) -> bool:
    """Whether it calls tools."""
    return supports(model, "function_calling", custom_llm_provider)


def supports_parallel_function_calling(model: str, custom_llm_provider: str | None = None) -> bool:
    """Whether it calls several tools in one turn."""
    return supports(model, "parallel_function_calling", custom_llm_provider)


def supports_response_schema(model: str, custom_llm_provider: str | None = None) -> bool:
    """Whether it keeps to a JSON schema by itself."""
    return supports(model, "response_schema", custom_llm_provider)


def supports_reasoning(model: str, custom_llm_provider: str | None = None) -> bool:
    """Whether it thinks before it answers."""
    return supports(model, "reasoning", custom_llm_provider)


def supports_prompt_caching(model: str, custom_llm_provider: str | None = None) -> bool:
    """Whether its provider caches prompts."""
    return supports(model, "prompt_caching", custom_llm_provider)


def supports_pdf_input(model: str, custom_llm_provider: str | None = None) -> bool:
    """Whether it reads PDF files."""
    return supports(model, "pdf_input", custom_llm_provider)


def supports_audio_input(model: str, custom_llm_provider: str | None = None) -> bool:
    """Whether it hears."""
    return supports(model, "audio_input", custom_llm_provider)


def supports_audio_output(model: str, custom_llm_provider: str | None = None) -> bool:
    """Whether it speaks."""
    return supports(model, "audio_output", custom_llm_provider)


def supports_web_search(model: str, custom_llm_provider: str | None = None) -> bool:
    """Whether it searches the web."""
    return supports(model, "web_search", custom_llm_provider)


def supports_url_context(model: str, custom_llm_provider: str | None = None) -> bool:
    """Whether it reads addresses."""
    return supports(model, "url_context", custom_llm_provider)


def supports_system_messages(model: str, custom_llm_provider: str | None = None) -> bool:
    """Whether it takes system messages."""
    return supports(model, "system_messages", custom_llm_provider)


def supports_tool_choice(model: str, custom_llm_provider: str | None = None) -> bool:
    """Whether `tool_choice` has an effect."""
    return supports(model, "tool_choice", custom_llm_provider)


def supports_native_streaming(model: str, custom_llm_provider: str | None = None) -> bool:
    """Whether it streams."""
    return supports(model, "native_streaming", custom_llm_provider)


def supports_computer_use(model: str, custom_llm_provider: str | None = None) -> bool:
    """Whether it operates a computer."""
    return supports(model, "computer_use", custom_llm_provider)


def validate_environment(model: str, api_key: str | None = None, api_base: str | None = None) -> dict[str, Any]:
    """{"keys_in_environment": whether a call of `model` would find its key and what its address needs, "missing_keys":
    the variables to set}. Where there are several ways (a key, or the credentials of a cloud and a project), these
    are the variables of the way that lacks least, and "alternatives" has a list for each way.

    An `api_key` or `api_base` that is given here need not be in the environment. Files and metadata servers, where a
    cloud's credentials may lie as well, are not asked.
    """
    found = _resolve(model, api_base=api_base)
    given = {name: value for name, value in (("api_key", api_key), ("api_base", api_base)) if value}
    ways = missing_by_way(found.provider, given, os.environ, model.partition("/")[2])
    answer: dict[str, Any] = {"keys_in_environment": not ways[0], "missing_keys": list(ways[0])}
    return answer if len(ways) == 1 else {**answer, "alternatives": [list(way) for way in ways]}


def get_valid_models() -> list[str]:
    """The models of the fact sheet whose provider has a key in the environment, as "provider/model"."""
    ready = {
        provider.name
        for provider in default_registry()
        if not provider.local
        and provider.speaks
        and any(os.environ.get(name) for name in variables_of(provider))
        and not missing_variables(provider, environment=os.environ)
    }
    rows = (row for row in current_facts().rows() if row.provider in ready) if ready else ()
    return sorted({f"{row.provider}/{row.name.removeprefix(f'{row.provider}/')}" for row in rows})


_SAMPLES: dict[str, Any] = {
    "tools": (Tool("sample", parameters={"type": "object", "properties": {}}),),
    "tool_choice": ToolChoice("auto"),
    "parallel_tool_calls": False,
    "max_tokens": 100,
    "temperature": 0.5,
    "top_p": 0.5,
    "stop": ("end",),
    "seed": 1,
    "presence_penalty": 0.5,
    "frequency_penalty": 0.5,
    "logit_bias": {"1": 1.0},
    "logprobs": True,
    "top_logprobs": 1,
    "n": 2,
    "response_format": ResponseFormat("json_object"),
    "reasoning": Reasoning("low"),
    "verbosity": "low",
    "modalities": ("text",),
    "service_tier": "auto",
    "user": "sample",
    "prompt_cache_key": "sample",
    "safety_identifier": "sample",
    "metadata": {"sample": "1"},
    "store": False,
}
_OPENAI_NAMES = {"reasoning": ("reasoning_effort",), "max_tokens": ("max_tokens", "max_completion_tokens")}
_FOR_ANY = ["stream", "stream_options", "timeout", "extra_headers"]


def get_supported_openai_params(model: str, custom_llm_provider: str | None = None) -> list[str]:
    """The parameters of OpenAI's Chat Completions that a model takes. `custom_llm_provider` says whose it is, where the
    name does not.

    No table says so: each parameter is rendered for the model, and one that is not dropped is supported.
    """
    found = _resolve(model, custom_llm_provider)
    given: dict[str, Any] = {name: "sample" for kind in found.provider.auth for name in parameters_of(kind)}
    for setting in found.provider.settings:
        given |= dict.fromkeys(setting.parameters, "sample")
    with raising(found.provider.name, found.model):
        target = endpoint(
            found.provider,
            "chat",
            found.model,
            parameters={"api_key": "sample", "api_base": "https://sample.invalid", **_textual(given)},
            selector=found.selector,
            facts=_profile_facts,
        )
    names = [name for name in _SAMPLES if _is_kept(name, target.format, target.wire_model, target.profile)]
    return sorted([*_FOR_ANY, *(spelled for name in names for spelled in _OPENAI_NAMES.get(name, (name,)))])


def _textual(given: Mapping[str, Any]) -> dict[str, Any]:
    """Only the parameters that an address needs: a sample key of a second kind would choose that kind."""
    return {name: value for name, value in given.items() if name.endswith(("region_name", "project", "location", "id"))}


def _profile_facts(provider: str, model: str, wire_format: str) -> Mapping[str, Any]:
    from penstock.providers.facts.profile import profile_changes

    row = current_facts().find(model, provider)
    return {} if row is None else profile_changes(row, wire_format)


def _is_kept(name: str, wire_format: str, model: str, profile: Profile) -> bool:
    values: dict[str, Any] = {name: _SAMPLES[name]}
    if name in ("tool_choice", "parallel_tool_calls"):
        values["tools"] = _SAMPLES["tools"]
    if name == "top_logprobs":
        values["logprobs"] = True
    message = Message("user", (Text("sample"),))
    request = Request(dialect="sample", model=model, messages=(message,), **values)
    rendered = dialect_registry.get(wire_format).render_request(request, profile)
    return not any(note.kind == "dropped" and note.path.partition(".")[0] == name for note in rendered.notes)
