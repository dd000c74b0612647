"""What OpenAI Chat Completions accepts: the documented fields as shapes, and the rules between them as functions.

Source: OpenAI API reference, "Create chat completion"; the errors are worded as the service words them.
"""

import re
from collections.abc import Callable, Iterator
from itertools import pairwise
from typing import Any

from penstock.testing.providers.openai_family import (
    bad_parameter,
    check_body,
    invalid,
    is_reasoning_model,
    strict_schema,
    unknown_model,
)
from penstock.testing.providers.script import ProviderError
from penstock.testing.providers.shapes import (
    ANY,
    BOOL,
    INT,
    NAME,
    NUMBER,
    OBJECT,
    STRING,
    STRINGS,
    ListOf,
    MapOf,
    Number,
    Shape,
    String,
    Struct,
    Tagged,
    Violation,
    either,
    nullable,
    one_of,
)
from penstock.testing.providers.wire import JSON, Call

CACHE_MARK: dict[str, Shape] = {"prompt_cache_breakpoint": OBJECT}

TEXT_PART = Struct({"type": STRING, "text": STRING, **CACHE_MARK}, required=("text",))
_REFUSAL_PART = Struct({"type": STRING, "refusal": STRING}, required=("refusal",))
_IMAGE_PART = Struct(
    {
        "type": STRING,
        "image_url": Struct({"url": NAME, "detail": one_of("auto", "low", "high", "original")}, required=("url",)),
        **CACHE_MARK,
    },
    required=("image_url",),
)
_AUDIO_PART = Struct(
    {
        "type": STRING,
        "input_audio": Struct({"data": NAME, "format": one_of("wav", "mp3")}, required=("data", "format")),
        **CACHE_MARK,
    },
    required=("input_audio",),
)
_FILE_PART = Struct(
    {
        "type": STRING,
        "file": Struct({"file_data": STRING, "file_id": STRING, "filename": STRING}),
        **CACHE_MARK,
    },
    required=("file",),
)

TOOL_NAME = String(pattern="[a-zA-Z0-9_-]+", shortest=1, longest=64)
_CALL_ID = String(longest=40)  # "string too long. Expected a string with maximum length 40"
_FUNCTION_CALL = Struct({"name": STRING, "arguments": STRING}, required=("name", "arguments"))
_TOOL_CALL = Tagged(
    "type",
    {
        "function": Struct({"id": _CALL_ID, "type": STRING, "function": _FUNCTION_CALL}, required=("id", "function")),
        "custom": Struct(
            {"id": _CALL_ID, "type": STRING, "custom": Struct({"name": STRING, "input": STRING})},
            required=("id", "custom"),
        ),
    },
)


def _content(*kinds: tuple[str, Struct]) -> Shape:
    return either(STRING, ListOf(Tagged("type", dict(kinds)), shortest=1))


_TEXTS = _content(("text", TEXT_PART))
_MESSAGE_NAME: dict[str, Shape] = {"role": STRING, "name": STRING}
MESSAGE = Tagged(
    "role",
    {
        "system": Struct({**_MESSAGE_NAME, "content": _TEXTS}, required=("content",)),
        "assistant": Struct(
            {
                **_MESSAGE_NAME,
                "content": nullable(_content(("text", TEXT_PART), ("refusal", _REFUSAL_PART))),
                "refusal": nullable(STRING),
                "tool_calls": ListOf(_TOOL_CALL, shortest=1, longest=128),
                "function_call": nullable(_FUNCTION_CALL),
                "audio": nullable(Struct({"id": STRING}, required=("id",))),
                "annotations": ANY,
            }
        ),
        "user": Struct(
            {
                **_MESSAGE_NAME,
                "content": _content(
                    ("text", TEXT_PART),
                    ("image_url", _IMAGE_PART),
                    ("input_audio", _AUDIO_PART),
                    ("file", _FILE_PART),
                ),
            },
            required=("content",),
        ),
        "function": Struct({**_MESSAGE_NAME, "content": nullable(STRING)}, required=("name", "content")),
        "tool": Struct(
            {"role": STRING, "tool_call_id": STRING, "content": _TEXTS},
            required=("content", "tool_call_id"),
        ),
        "developer": Struct({**_MESSAGE_NAME, "content": _TEXTS}, required=("content",)),
    },
)

_FUNCTION = Struct(
    {"name": TOOL_NAME, "description": nullable(STRING), "parameters": OBJECT, "strict": nullable(BOOL)},
    required=("name",),
)
_TOOL = Tagged(
    "type",
    {
        "function": Struct({"type": STRING, "function": _FUNCTION}, required=("function",)),
        "custom": Struct({"type": STRING, "custom": OBJECT}, required=("custom",)),
    },
)
_NAMED = Struct({"name": STRING}, required=("name",))
_TOOL_CHOICE = either(
    one_of("none", "auto", "required"),
    Tagged(
        "type",
        {
            "function": Struct({"type": STRING, "function": _NAMED}, required=("function",)),
            "custom": Struct({"type": STRING, "custom": _NAMED}, required=("custom",)),
            "allowed_tools": Struct({"type": STRING, "allowed_tools": OBJECT}, required=("allowed_tools",)),
        },
    ),
)
JSON_SCHEMA = Struct(
    {"name": TOOL_NAME, "description": nullable(STRING), "schema": OBJECT, "strict": nullable(BOOL)},
    required=("name",),
)
_RESPONSE_FORMAT = Tagged(
    "type",
    {
        "text": Struct({"type": STRING}),
        "json_object": Struct({"type": STRING}),
        "json_schema": Struct({"type": STRING, "json_schema": JSON_SCHEMA}, required=("json_schema",)),
    },
)

REASONING_EFFORT = nullable(one_of("none", "minimal", "low", "medium", "high", "xhigh", "max"))
SERVICE_TIER = nullable(one_of("auto", "default", "flex", "scale", "priority", "fast"))
TEMPERATURE = nullable(Number(0, 2))
TOP_P = nullable(Number(0, 1))
_PENALTY = nullable(Number(-2, 2))
METADATA = nullable(MapOf(String(longest=512)))

BODY = Struct(
    {
        "model": NAME,
        "messages": ListOf(MESSAGE, shortest=1),
        "audio": nullable(Struct({"format": STRING, "voice": ANY}, required=("format", "voice"))),
        "frequency_penalty": _PENALTY,
        "function_call": either(one_of("none", "auto"), _NAMED),
        "functions": ListOf(_FUNCTION, shortest=1, longest=128),
        "logit_bias": nullable(MapOf(Number(-100, 100))),
        "logprobs": nullable(BOOL),
        "max_completion_tokens": nullable(Number(1, integer=True)),
        "max_tokens": nullable(Number(1, integer=True)),
        "metadata": METADATA,
        "modalities": nullable(ListOf(one_of("text", "audio"))),
        "moderation": nullable(OBJECT),
        "n": nullable(Number(1, 128, integer=True)),
        "parallel_tool_calls": BOOL,
        "prediction": nullable(Struct({"type": one_of("content"), "content": _TEXTS}, required=("type", "content"))),
        "presence_penalty": _PENALTY,
        "prompt_cache_key": nullable(STRING),
        "prompt_cache_options": OBJECT,
        "prompt_cache_retention": nullable(one_of("in_memory", "24h")),
        "reasoning_effort": REASONING_EFFORT,
        "response_format": _RESPONSE_FORMAT,
        "safety_identifier": nullable(STRING),
        "seed": nullable(INT),
        "service_tier": SERVICE_TIER,
        "stop": nullable(either(STRING, ListOf(STRING, longest=4))),
        "store": nullable(BOOL),
        "stream": nullable(BOOL),
        "stream_options": nullable(Struct({"include_usage": BOOL, "include_obfuscation": BOOL})),
        "temperature": TEMPERATURE,
        "tool_choice": _TOOL_CHOICE,
        "tools": ListOf(_TOOL, shortest=1, longest=128),
        "top_logprobs": nullable(Number(0, 20, integer=True)),
        "top_p": TOP_P,
        "user": STRING,
        "verbosity": nullable(one_of("low", "medium", "high")),
        "web_search_options": OBJECT,
    },
    required=("model", "messages"),
)

# What an OpenAI-compatible server reads: the same messages, with fields and parts of its own.


def _loose(fields: dict[str, Shape], *required: str) -> Struct:
    return Struct(fields, required=required, open=True)


_LOOSE_MESSAGE = _loose(
    {
        "role": one_of("system", "developer", "user", "assistant", "tool", "function"),
        "content": nullable(either(STRING, ListOf(_loose({"type": STRING, "text": nullable(STRING)}, "type")))),
        "tool_calls": nullable(ListOf(_loose({"id": STRING, "function": _FUNCTION_CALL}))),
        "tool_call_id": nullable(STRING),
    },
    "role",
)
_LOOSE_FUNCTION = _loose({"name": STRING, "parameters": nullable(OBJECT)}, "name")
LENIENT_BODY = _loose(
    {
        "model": NAME,
        "messages": ListOf(_LOOSE_MESSAGE, shortest=1),
        "stream": nullable(BOOL),
        "stream_options": nullable(OBJECT),
        "tools": nullable(ListOf(_loose({"type": STRING, "function": _LOOSE_FUNCTION}))),
        "tool_choice": nullable(either(STRING, _loose({"function": _loose({"name": STRING})}))),
        "response_format": nullable(_loose({"type": STRING, "json_schema": nullable(OBJECT)})),
        "n": nullable(Number(1, 128, integer=True)),
        "temperature": nullable(NUMBER),
        "max_tokens": nullable(INT),
        "stop": nullable(either(STRING, STRINGS)),
    },
    "model",
    "messages",
)


def validate(call: Call) -> ProviderError | None:
    """The error with which OpenAI (or the compatible server) refuses the request, or None."""
    if error := check_body(call, BODY, LENIENT_BODY):
        return error
    if error := unknown_model(call, str(call.body["model"])):
        return error
    if error := _ids_of_nine(call) or _order(call):
        return error
    rules = _STRICT_RULES if call.flavour.strict else _RULES
    return next((error for rule in rules if (error := rule(call.body))), None)


def _ids_of_nine(call: Call) -> ProviderError | None:
    """Mistral's tool call ids are nine letters and digits, in the history too."""
    if call.flavour.call_id != "nine":
        return None
    for message in call.body["messages"]:
        given = [item.get("id", "") for item in message.get("tool_calls") or []]
        for name in [*given, *filter(None, [message.get("tool_call_id")])]:
            if re.fullmatch("[a-zA-Z0-9]{9}", name) is None:
                text = f"Tool call id was {name} but must be a-z, A-Z, 0-9, with a length of 9."
                return ProviderError(400, text, type="invalid_function_call", code="3280")
    return None


def _order(call: Call) -> ProviderError | None:
    """After a tool's answer the assistant speaks next; the last word is the user's, a tool's, or a prefix."""
    if not call.flavour.ordered:
        return None
    messages = call.body["messages"]
    for before, after in pairwise(messages):
        if before["role"] == "tool" and after["role"] not in ("tool", "assistant"):
            text = f"Unexpected role '{after['role']}' after role 'tool'"
            return ProviderError(400, text, type="invalid_request_message_order", code="3230")
    last = messages[-1]
    if last["role"] in ("user", "tool") or (last["role"] == "assistant" and last.get("prefix")):
        return None
    text = "Expected last role User or Tool (or Assistant with prefix True) for serving but got "
    return ProviderError(400, text + last["role"], type="invalid_request_message_order", code="3230")


def _tool_answers(body: JSON) -> ProviderError | None:
    """Every tool message answers a call of the assistant message before it; every call is answered."""
    open_ids: list[str] = []
    calls_at = 0
    for index, message in enumerate(body["messages"]):
        if message["role"] == "tool":
            if message.get("tool_call_id") not in open_ids:
                return invalid(
                    "Invalid parameter: messages with role 'tool' must be a response to a preceeding message with "
                    "'tool_calls'.",
                    f"messages.[{index}].role",
                )
            open_ids.remove(message["tool_call_id"])
            continue
        if open_ids:
            return _unanswered(open_ids, calls_at)
        if message.get("tool_calls"):
            open_ids, calls_at = [item.get("id", "") for item in message["tool_calls"]], index
    return _unanswered(open_ids, calls_at) if open_ids else None


def _unanswered(ids: list[str], index: int) -> ProviderError:
    return invalid(
        "An assistant message with 'tool_calls' must be followed by tool messages responding to each 'tool_call_id'. "
        f"The following tool_call_ids did not have response messages: {', '.join(ids)}",
        f"messages.[{index + 1}].role",
    )


def _assistant_content(body: JSON) -> ProviderError | None:
    for index, message in enumerate(body["messages"]):
        spoken = ("content", "tool_calls", "function_call", "refusal", "audio")
        if message["role"] == "assistant" and all(message.get(name) is None for name in spoken):
            return invalid("Invalid value for 'content': expected a string, got null.", f"messages.[{index}].content")
    return None


def _images(body: JSON) -> ProviderError | None:
    for path, part in _parts(body):
        url = (part.get("image_url") or {}).get("url", "") if part.get("type") == "image_url" else None
        if url is not None and not url.startswith(("https://", "http://", "data:image/")):
            return invalid(
                f"Invalid 'messages{path}.image_url.url'. Expected a valid URL or a data URL of an image.",
                f"messages{path}.image_url.url",
                "invalid_value",
            )
    return None


def _parts(body: JSON) -> Iterator[tuple[str, JSON]]:
    for index, message in enumerate(body["messages"]):
        content = message.get("content")
        for place, part in enumerate(content if isinstance(content, list) else []):
            yield f"[{index}].content[{place}]", part


def _tools_needed(body: JSON) -> ProviderError | None:
    for name in ("tool_choice", "parallel_tool_calls"):
        if body.get(name) is not None and not body.get("tools"):
            text = f"Invalid value for '{name}': '{name}' is only allowed when 'tools' are specified."
            return invalid(text, name)
    choice = body.get("tool_choice")
    if isinstance(choice, dict) and choice["type"] == "function":
        names = [tool["function"]["name"] for tool in body["tools"] if tool["type"] == "function"]
        if choice["function"]["name"] not in names:
            return invalid("Invalid value for 'tool_choice': the named function is not in 'tools'.", "tool_choice")
    return None


def _stream_options(body: JSON) -> ProviderError | None:
    if body.get("stream_options") is not None and not body.get("stream"):
        return invalid(
            "The 'stream_options' parameter is only allowed when 'stream' is enabled.",
            "stream_options",
        )
    return None


def _logprobs(body: JSON) -> ProviderError | None:
    if body.get("top_logprobs") is not None and not body.get("logprobs"):
        return invalid("The 'top_logprobs' parameter is only allowed when 'logprobs' is enabled.", "top_logprobs")
    return None


def _max_tokens(body: JSON) -> ProviderError | None:
    if body.get("max_tokens") is None:
        return None
    if is_reasoning_model(body["model"]):
        return invalid(
            "Unsupported parameter: 'max_tokens' is not supported with this model. Use 'max_completion_tokens' "
            "instead.",
            "max_tokens",
            "unsupported_parameter",
        )
    if body.get("max_completion_tokens") is not None:
        return invalid(
            "Setting 'max_tokens' and 'max_completion_tokens' at the same time is not supported.",
            "max_tokens",
            "invalid_parameter_combination",
        )
    return None


def _reasoning_models(body: JSON) -> ProviderError | None:
    """Reasoning models refuse sampling parameters, and other models refuse reasoning_effort."""
    reasons = is_reasoning_model(body["model"])
    effort = body.get("reasoning_effort")
    if not reasons and effort is not None:
        return invalid("Unrecognized request argument supplied: reasoning_effort")
    if not reasons or (effort == "none" and not body["model"].startswith("o")):
        return None
    for name in ("temperature", "top_p", "presence_penalty", "frequency_penalty"):
        default = 1 if name in ("temperature", "top_p") else 0
        if body.get(name) not in (None, default):
            return invalid(
                f"Unsupported value: '{name}' does not support {body[name]} with this model. Only the default "
                f"({default}) value is supported.",
                name,
                "unsupported_value",
            )
    for name in ("stop", "logprobs", "logit_bias"):
        if body.get(name):
            return invalid(
                f"Unsupported parameter: '{name}' is not supported with this model.", name, "unsupported_parameter"
            )
    return None


def _json_mode(body: JSON) -> ProviderError | None:
    wanted = body.get("response_format") or {}
    if wanted.get("type") == "json_object" and "json" not in str(body["messages"]).lower():
        return invalid(
            "'messages' must contain the word 'json' in some form, to use 'response_format' of type 'json_object'.",
            "messages",
        )
    return None


def _schemas(body: JSON) -> ProviderError | None:
    wanted = (body.get("response_format") or {}).get("json_schema")
    if wanted is not None:
        if wanted.get("schema", {}).get("type") != "object":
            return _schema_type(f"response_format '{wanted['name']}'", wanted.get("schema", {}), "response_format")
        if wanted.get("strict"):
            where = f"response_format '{wanted['name']}'"
            if error := strict_schema(wanted["schema"], where, "response_format", ""):
                return error
    for index, tool in enumerate(body.get("tools") or []):
        if tool["type"] == "function" and (error := function_schema(tool["function"], f"tools[{index}].function")):
            return error
    return None


def function_schema(function: JSON, param: str) -> ProviderError | None:
    """What OpenAI says of a function's parameter schema."""
    schema: Any = function.get("parameters")
    where = f"function '{function['name']}'"
    if schema is None:
        return None
    if schema.get("type", "object" if "properties" in schema or not schema else None) != "object":
        return _schema_type(where, schema, f"{param}.parameters")
    code = "invalid_function_parameters"
    return strict_schema(schema, where, f"{param}.parameters", code) if function.get("strict") else None


def _schema_type(where: str, schema: JSON, param: str) -> ProviderError:
    came = f'type: "{schema["type"]}"' if "type" in schema else 'type: "None"'
    text = f"Invalid schema for {where}: schema must be a JSON Schema of 'type: \"object\"', got '{came}'."
    return invalid(text, param, "invalid_function_parameters" if "function" in where else "")


def _web_search(body: JSON) -> ProviderError | None:
    if body.get("web_search_options") is not None and "search" not in body["model"]:
        return bad_parameter(Violation("unknown", ("web_search_options",), ()))
    return None


_RULES: tuple[Callable[[JSON], ProviderError | None], ...] = (_tool_answers, _stream_options)
_STRICT_RULES = (
    _max_tokens,
    _reasoning_models,
    _web_search,
    _assistant_content,
    _images,
    _tool_answers,
    _tools_needed,
    _stream_options,
    _logprobs,
    _json_mode,
    _schemas,
)
