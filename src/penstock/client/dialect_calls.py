"""The shapes of `responses`, `messages` and `generate_content`: chat calls whose caller speaks the Responses API,
Anthropic's Messages or Gemini's generateContent, over any provider.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping
from functools import partial
from typing import Any

from penstock.calls.arguments import plain
from penstock.client.answer_forms import RESPONSES_FORM
from penstock.client.event_streams import EventState
from penstock.client.result_objects import (
    AnthropicMessage,
    AnthropicStreamEvent,
    GenerateContentResponse,
    ResponsesResponse,
    ResponsesStreamEvent,
)
from penstock.client.shapes import Shape, with_stream_usage
from penstock.dialects import wire
from penstock.dialects.anthropic_messages import DIALECT as MESSAGES
from penstock.dialects.dialect import PathMatch
from penstock.dialects.gemini import DIALECT as GEMINI
from penstock.dialects.openai_responses import DIALECT as RESPONSES
from penstock.types.errors import MalformedError
from penstock.types.request import Request

_NO_MATCH = PathMatch()


def jsonable(value: Any) -> Any:
    """A JSON value of what a Python caller built out of dicts, lists, objects that can dump themselves, and bytes
    (base64, as in every JSON API).
    """
    value = plain(value)
    if isinstance(value, Mapping):
        return {key: jsonable(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [jsonable(element) for element in value]
    return base64.b64encode(value).decode() if isinstance(value, bytes) else value


# -- the Responses API ------------------------------------------------------------------------------------------------


def _read_responses(arguments: dict[str, Any]) -> Request:
    body = dict(arguments)
    for name in ("input", "tools", "text", "reasoning"):
        if name in body:
            body[name] = jsonable(body[name])
    wanted = body.pop("text_format", None)  # what is no schema to check: `{"type": "text"}`
    if wanted is not None:
        body["text"] = {**(body.get("text") or {}), "format": jsonable(wanted)}
    return with_stream_usage(RESPONSES.parse_request(body, _NO_MATCH))


RESPONSES_SHAPE: Shape[ResponsesStreamEvent, ResponsesResponse] = Shape(
    dialect=RESPONSES,
    answer=ResponsesResponse,
    read=_read_responses,
    stream=partial(EventState, RESPONSES, ResponsesStreamEvent),
    id_prefix="resp_",
    call_type="responses",
    prefer=("openai_responses",),
    own=frozenset({"metadata"}),
    essential=frozenset({"previous_response_id", "conversation", "prompt", "background"}),
    structured=RESPONSES_FORM,
)

# -- Anthropic Messages -----------------------------------------------------------------------------------------------


def _read_messages(arguments: dict[str, Any]) -> Request:
    body = dict(arguments)
    for name in ("messages", "system", "tools"):
        if name in body:
            body[name] = jsonable(body[name])
    betas = body.pop("betas", None)  # as the official client calls them
    if betas is not None:
        body["anthropic_beta"] = list(betas)
    return with_stream_usage(MESSAGES.parse_request(body, _NO_MATCH))


MESSAGES_SHAPE: Shape[AnthropicStreamEvent, AnthropicMessage] = Shape(
    dialect=MESSAGES,
    answer=AnthropicMessage,
    read=_read_messages,
    stream=partial(EventState, MESSAGES, AnthropicStreamEvent),
    id_prefix="msg_",
    call_type="anthropic_messages",
    prefer=("anthropic_messages",),
    own=frozenset({"metadata"}),
    essential=frozenset({"container", "mcp_servers"}),
)

# -- Gemini -----------------------------------------------------------------------------------------------------------

_BESIDE_CONFIG = frozenset(
    {
        "cached_content",
        "cachedContent",
        "labels",
        "model_armor_config",
        "modelArmorConfig",
        "safety_settings",
        "safetySettings",
        "service_tier",
        "serviceTier",
        "store",
        "system_instruction",
        "systemInstruction",
        "tool_config",
        "toolConfig",
        "tools",
    }
)
"""What Google's Python package has in `config`, and the wire beside `generationConfig`."""


def _read_gemini(arguments: dict[str, Any]) -> Request:
    body = {name: value for name, value in arguments.items() if name not in ("model", "stream")}
    model = arguments.get("model", "")
    if not isinstance(model, str):
        raise MalformedError(f"expected a string, got {wire.describe(model)}", "model")
    match = PathMatch(model, bool(arguments.get("stream")))
    if "contents" in body:
        body["contents"] = _contents(jsonable(body["contents"]))
    config = jsonable(body.pop("config", None)) or {}
    if not isinstance(config, dict):
        raise MalformedError(f"expected an object, got {wire.describe(config)}", "config")
    inner = {name: value for name, value in config.items() if name not in _BESIDE_CONFIG}
    body = {**jsonable(body), **{name: value for name, value in config.items() if name in _BESIDE_CONFIG}}
    if inner:
        body["generationConfig"] = {**(body.get("generationConfig") or {}), **inner}
    if "system_instruction" in body:
        body["systemInstruction"] = body.pop("system_instruction")
    if isinstance(body.get("systemInstruction"), str):
        body["systemInstruction"] = {"parts": [{"text": body["systemInstruction"]}]}
    return with_stream_usage(GEMINI.parse_request(body, match))


def _contents(value: Any) -> Any:
    """Contents as Google's package takes them: one text, a list of texts, parts or contents."""
    if isinstance(value, str):
        return [{"role": "user", "parts": [{"text": value}]}]
    if not isinstance(value, list) or all(isinstance(each, dict) and "parts" in each for each in value):
        return value
    parts = [{"text": each} if isinstance(each, str) else each for each in value]
    if any(isinstance(each, dict) and "parts" in each for each in parts):
        return [each if "parts" in each else {"role": "user", "parts": [each]} for each in parts]
    return [{"role": "user", "parts": parts}]


GEMINI_SHAPE: Shape[GenerateContentResponse, GenerateContentResponse] = Shape(
    dialect=GEMINI,
    answer=GenerateContentResponse,
    read=_read_gemini,
    stream=partial(EventState, GEMINI, GenerateContentResponse),
    id_prefix="",
    call_type="generate_content",
    prefer=("gemini",),
    essential=frozenset({"cachedContent", "cached_content"}),
)
