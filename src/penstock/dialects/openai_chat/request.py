"""Requests of Chat Completions. The table FIELDS is the specification: what is not in it is not modelled and travels
in `extras`.

Source: https://platform.openai.com/docs/api-reference/chat/create, and what compatible hosts add to it (reasoning in
its many spellings).
"""

from __future__ import annotations

from typing import Any, Literal

from msgspec.structs import replace

from penstock.dialects import wire
from penstock.dialects.dialect import PathMatch
from penstock.dialects.openai_chat.foreign import adapt
from penstock.dialects.openai_chat.json_tool import force_tool
from penstock.dialects.openai_chat.media import read_cache, write_cache
from penstock.dialects.openai_chat.messages import read_messages, write_message
from penstock.dialects.openai_chat.quirks import apply_quirks
from penstock.dialects.openai_chat.reasoning import (
    note_narrowing,
    read_effort,
    read_object,
    read_switch,
    read_template,
    read_thinking,
    write_own_reasoning,
    write_reasoning,
)
from penstock.dialects.openai_chat.server_tools import (
    ROOT,
    is_untyped,
    read_root_tools,
    read_server_tool,
    write_root_tool,
    write_server_tool,
)
from penstock.dialects.said import Said
from penstock.dialects.wire import Field, Fields
from penstock.types.errors import MalformedError
from penstock.types.notes import NO_MEMO, Memo, Note, Rendered
from penstock.types.profile import Profile
from penstock.types.request import Request, ResponseFormat, Tool, ToolChoice

NAME = "openai_chat"


def _read_tools(value: Any) -> Any:
    return wire.each(read_tool, value)


def read_tool(value: Any) -> Tool:
    """One element of `tools`: a function, a custom tool, or whatever a host runs itself."""
    tool = wire.obj(value)
    kind = tool.get("type", "function")
    key = kind if kind in ("function", "custom") else None
    cache = read_cache(tool.get("cache_control"))
    if key is not None and not isinstance(tool.get(key), dict):
        if is_untyped(tool):
            return read_server_tool(tool, cache)
        if tool.get("type") == "function" and "function" not in tool and isinstance(tool.get("name"), str):
            return _read_flat_function(tool, cache)
        raise MalformedError(f"a {key} tool needs {key!r}: an object with its name")
    if key is None or not isinstance(tool.get(key), dict):
        return read_server_tool(tool, cache)
    usual = len(tool) == 2 and key == "function" and "type" in tool
    return _read_function(tool[key], key, cache, _FUNCTION if usual else wire.rest(tool, _TOOL_KEYS[key]))


def _read_flat_function(tool: dict[str, Any], cache: Any) -> Tool:
    """A function as Responses has it, which some hosts take here too."""
    found = _read_function(tool, "function", cache, None)
    left = wire.rest(found.extras["function"] if found.extras else {}, frozenset({"type", "cache_control"}))
    return replace(found, native=_FLAT, extras=left)


_FUNCTION = {"type": "function"}
"""What nearly every tool leaves beside its function: one object for all of them, since extras never change."""

_TOOL_KEYS = {key: frozenset({key, "cache_control"}) for key in ("function", "custom")}


def _read_function(inner: dict[str, Any], key: str, cache: Any, extras: dict[str, Any] | None) -> Tool:
    left = wire.rest(inner, _FUNCTION_KEYS if key == "function" else _CUSTOM_KEYS)
    description, strict = inner.get("description"), inner.get("strict")
    parameters = inner.get("parameters")
    grammar, beside, native = _read_format(inner.get("format")) if key == "custom" else _NO_FORMAT
    if beside:
        left = {**(left or {}), "format": beside}
    return Tool(
        wire.string(inner.get("name")),
        "function" if key == "function" else "custom",
        None if description is None else wire.string(description),
        None if parameters is None or key == "custom" else wire.obj(parameters),
        None if strict is None or key == "custom" else wire.boolean(strict),
        grammar,
        cache,
        native,
        extras={**(extras or {}), key: left} if left else extras,
    )


_NO_FORMAT = (None, None, None)
_FLAT = "flat"
"""`Tool.native` of a function, or of a custom tool's grammar, that came in the form that only Responses takes."""


def _read_format(value: Any) -> tuple[Any, dict[str, Any] | None, str | None]:
    """(the format of a custom tool's input, what stands beside it, how it was spelled). The representation has it as
    Responses does, `{"type": "grammar", "syntax", "definition"}`; Chat Completions wraps the last two once more, into
    `grammar`.
    """
    if value is None:
        return _NO_FORMAT
    wanted = wire.obj(value)
    inner = wanted.get("grammar")
    if wanted.get("type") == "grammar" and isinstance(inner, dict) and "type" not in inner:
        return {"type": "grammar", **inner}, wire.rest(wanted, frozenset({"type", "grammar"})), None
    return wanted, None, _FLAT if wanted.get("type") == "grammar" else None


def _write_format(tool: Tool) -> Any:
    wanted = tool.format
    if wanted is None or wanted.get("type") != "grammar" or tool.native == _FLAT:
        return wanted
    return {"type": "grammar", "grammar": {key: value for key, value in wanted.items() if key != "type"}}


_FUNCTION_KEYS = frozenset({"name", "description", "parameters", "strict"})
_CUSTOM_KEYS = frozenset({"name", "description", "format"})


def _read_functions(value: Any) -> Any:
    """`functions`, the time before `tools`."""
    return wire.each(lambda element: _read_function(wire.obj(element), "function", None, None), value)


def write_tool(tool: Tool, foreign: bool) -> dict[str, Any]:
    """One element of `tools`."""
    key = tool.kind
    if key == "server":
        found, extras = write_server_tool(tool), None
    else:
        inner: dict[str, Any] = {"name": tool.name}
        for name in ("description", "parameters", "strict") if key == "function" else ("description",):
            value = getattr(tool, name)
            if value is not None:
                inner[name] = value
        if tool.format is not None:
            inner["format"] = _write_format(tool)
        found = {"type": key, key: inner} if foreign else {key: inner}
        extras = None if foreign else tool.extras
        if key == "function" and tool.native == _FLAT and not foreign:
            found = {"type": key, **inner}
    if tool.cache is not None:
        found["cache_control"] = write_cache(tool.cache)
    return wire.deep_merge(extras, found)


def _read_tool_choice(value: Any) -> ToolChoice:
    if isinstance(value, str):
        if value not in _CHOICE_WORDS:
            raise MalformedError(f"expected one of {', '.join(_CHOICE_WORDS)} or an object, got {value!r}")
        return ToolChoice(_CHOICE_WORDS[value], native=value)
    choice = wire.obj(value)
    kind = choice.get("type")
    inner = choice.get(kind) if isinstance(kind, str) else None
    if kind in ("function", "custom") and isinstance(inner, dict):
        extras, left = wire.rest(choice, frozenset({"type", kind})), wire.rest(inner, frozenset({"name"}))
        extras = {**(extras or {}), kind: left} if left else extras
        return ToolChoice("tool", wire.string(inner.get("name")), native=kind, extras=extras)
    if kind == "allowed_tools" and isinstance(inner, dict):
        names, mode = _read_allowed(inner)
        rest = wire.rest(choice, frozenset({"type", "allowed_tools"}))
        extras = {**(rest or {}), _ALLOWED: inner}
        return ToolChoice("allowed", names=names, allowed_mode=mode, native="allowed_tools", extras=extras)
    if isinstance(choice.get("name"), str):
        return ToolChoice("tool", choice["name"], native="function_call", extras=wire.rest(choice, frozenset({"name"})))
    return ToolChoice("auto", native="opaque", extras=choice)


_CHOICE_WORDS: dict[str, Any] = {"auto": "auto", "none": "none", "required": "required", "any": "required"}


_ALLOWED = "(allowed_tools)"
"""In the extras of a choice: the tools as they were listed."""


def _read_allowed(inner: dict[str, Any]) -> tuple[tuple[str, ...], Literal["auto", "required"]]:
    listed = inner.get("tools")
    found = [_allowed_name(tool) for tool in listed] if isinstance(listed, list) else []
    names = tuple(name for name in found if name is not None)
    return names, "required" if inner.get("mode") == "required" else "auto"


def _allowed_name(value: Any) -> str | None:
    """The tool's name; None for one that has none (an MCP server)."""
    tool = wire.obj(value)
    kind = tool.get("type")
    inner = tool.get(kind) if isinstance(kind, str) else None
    name = inner.get("name") if isinstance(inner, dict) else tool.get("name")
    return name if isinstance(name, str) else None


def write_tool_choice(choice: ToolChoice, foreign: bool) -> Any:
    """`tool_choice` (or `function_call`) again."""
    native, extras = (None, None) if foreign else (choice.native, choice.extras)
    if native == "opaque":
        return extras or {}
    if choice.mode == "tool":
        if native == "function_call":
            return wire.merge(extras, {"name": choice.name})
        key = native or "function"
        return wire.deep_merge(extras, {"type": key, key: {"name": choice.name}})
    if choice.mode == "allowed":
        return {"type": "allowed_tools", **_write_allowed(choice, extras or {})}
    return native or choice.mode


def _write_allowed(choice: ToolChoice, extras: dict[str, Any]) -> dict[str, Any]:
    """The tools as they were listed, if the choice is still the same, else as functions."""
    listed = extras.get(_ALLOWED)
    rest = {key: value for key, value in extras.items() if key != _ALLOWED}
    if listed is None or _read_allowed(listed) != (choice.names, choice.allowed_mode):
        tools = [{"type": "function", "function": {"name": name}} for name in choice.names or ()]
        listed = {"mode": choice.allowed_mode or "auto", "tools": tools}
    return {**rest, "allowed_tools": listed}


def _read_response_format(value: Any) -> ResponseFormat:
    wanted = wire.obj(value)
    kind = wanted.get("type")
    inner = wanted.get("json_schema")
    if kind == "json_schema" and isinstance(inner, dict):
        extras = wire.rest(wanted, frozenset({"type", "json_schema"}))
        left = wire.rest(inner, frozenset({"name", "schema", "strict", "description"}))
        schema, strict = inner.get("schema"), inner.get("strict")
        return ResponseFormat(
            "json_schema",
            None if schema is None else wire.obj(schema),
            None if inner.get("name") is None else wire.string(inner["name"]),
            None if inner.get("description") is None else wire.string(inner["description"]),
            None if strict is None else wire.boolean(strict),
            extras={**(extras or {}), "json_schema": left} if left else extras,
        )
    if kind == "json_object" and isinstance(wanted.get("schema"), dict):
        extras = wire.rest(wanted, frozenset({"type", "schema"}))
        return ResponseFormat("json_schema", wanted["schema"], native=_SCHEMA_BESIDE, extras=extras)
    if kind in ("text", "json_object"):
        return ResponseFormat(kind, extras=wire.rest(wanted, frozenset({"type"})))
    return ResponseFormat("text", native="opaque", extras=wanted)


_SCHEMA_BESIDE = "json_object"
"""The native of a schema in the form of llama.cpp, Together and Fireworks: `{"type": "json_object", "schema": ...}`."""


def write_response_format(wanted: ResponseFormat, foreign: bool) -> dict[str, Any]:
    """`response_format` again."""
    if wanted.native == "opaque" and not foreign:
        return wanted.extras or {}
    if wanted.native == _SCHEMA_BESIDE and not foreign:
        return wire.merge(wanted.extras, {"type": "json_object", "schema": wanted.schema})
    found: dict[str, Any] = {"type": wanted.kind}
    if wanted.kind == "json_schema":
        name = wanted.name or ("answer" if foreign else None)
        values = {"name": name, "schema": wanted.schema, "strict": wanted.strict, "description": wanted.description}
        found["json_schema"] = {key: value for key, value in values.items() if value is not None}
    return wire.deep_merge(None if foreign else wanted.extras, found)


def _read_logprobs(value: Any) -> Any:
    """Whether log probabilities are wanted; hosts that keep to the older API (Together, Fireworks) take a number."""
    return value if type(value) is int else wire.boolean(value)


def _read_stop(value: Any) -> Any:
    return value if isinstance(value, str) else wire.strings(value)


FIELDS = Fields(
    Field("model", wire.string),
    Field("messages", read_messages),
    Field("tools", _read_tools),
    Field("functions", _read_functions, "tools"),
    Field("tool_choice", _read_tool_choice),
    Field("function_call", _read_tool_choice, "tool_choice"),
    Field("parallel_tool_calls", wire.boolean),
    Field("max_tokens", wire.integer, synonyms=("max_completion_tokens",)),
    Field("temperature", wire.number),
    Field("top_p", wire.number),
    Field("top_k", wire.number),
    Field("stop", _read_stop),
    Field("seed", wire.integer, synonyms=("random_seed",)),
    Field("presence_penalty", wire.number),
    Field("frequency_penalty", wire.number),
    Field("logit_bias", wire.obj),
    Field("logprobs", _read_logprobs),
    Field("top_logprobs", wire.integer),
    Field("n", wire.integer),
    Field("response_format", _read_response_format),
    Field("reasoning_effort", read_effort, "reasoning"),
    Field("reasoning", read_object, "reasoning"),
    Field("thinking", read_thinking, "reasoning"),
    Field("enable_thinking", read_switch, "reasoning"),
    Field("chat_template_kwargs", read_template, "reasoning"),
    Field("verbosity", wire.string),
    Field("modalities", wire.strings),
    Field("audio", wire.obj),
    Field("service_tier", wire.string),
    Field("user", wire.string),
    Field("safety_identifier", wire.string),
    Field("prompt_cache_key", wire.string),
    Field("prompt_cache_retention", wire.string),
    Field("cache_control", read_cache, "cache"),
    Field("metadata", wire.obj),
    Field("store", wire.boolean),
    Field("stream", wire.boolean),
    Field("stream_options", wire.obj, "stream_usage"),
)


UNMODELLED = frozenset({"moderation", "prediction", "prompt_cache_options"})
"""OpenAI's own parameters that no other API has, and the representation neither."""
PARAMETERS = FIELDS.spellings | ROOT | UNMODELLED
"""What a body of this API has at its root. What else stands there is a provider's own."""


def read_request(value: Any, match: PathMatch) -> Request:
    """A request body. `match` may bring the model from the path (Azure's deployments)."""
    found = FIELDS.read(wire.obj(value))
    if "messages" not in found:
        raise MalformedError("a list of messages is missing", "messages")
    extras: dict[str, Any] = found.pop("extras", {})
    _read_spellings(match, found, extras)
    if "stream_usage" in found:
        _read_stream_options(found, extras)
    if found.get("tools") == ():
        extras["tools"] = []
    searches = [] if extras.keys().isdisjoint(ROOT) else read_root_tools(extras)
    if searches:
        found["tools"] = (*found.get("tools", ()), *searches)
    found.setdefault("model", match.model)
    return Request(dialect=NAME, extras=extras or None, **found)


def _read_spellings(match: PathMatch, found: dict[str, Any], extras: dict[str, Any]) -> None:
    """What has another form than OpenAI's today: a model in the path, `functions`, a number of log probabilities."""
    if "model" not in found and match.model is not None:
        found["model"] = match.model
        found["spelling"] = {**found.get("spelling", {}), "model": "path"}
    if found.get("tools") == () and found.get("spelling", {}).get("tools") == "functions":
        extras["functions"] = list(found.pop("tools"))
    if type(found.get("logprobs")) is int:
        _read_number_of_logprobs(found, extras)


def _read_number_of_logprobs(found: dict[str, Any], extras: dict[str, Any]) -> None:
    number = found["logprobs"]
    found["logprobs"] = True
    if "top_logprobs" in found:
        extras["logprobs"] = number
        del found["logprobs"]
    else:
        found["top_logprobs"] = number
        found["spelling"] = {**found.get("spelling", {}), "top_logprobs": "logprobs"}


def _read_stream_options(found: dict[str, Any], extras: dict[str, Any]) -> None:
    options = dict(found["stream_usage"])
    include = options.get("include_usage")
    if isinstance(include, bool):
        del options["include_usage"]
        found["stream_usage"] = include
    else:
        del found["stream_usage"]
    extras["stream_options"] = options


def render_request(request: Request, profile: Profile) -> Rendered[dict[str, Any]]:
    """The request body for a host with this profile."""
    notes: list[Note] = []
    foreign = request.dialect != NAME
    if foreign:
        request = adapt(request, profile, notes)
    found = _write_own(request) if not foreign else _write_foreign(request, profile, notes)
    json_tool = force_tool(found, request, profile, notes)
    apply_quirks(found, request, profile, notes)
    return Rendered(found, tuple(notes), NO_MEMO if json_tool is None else Memo(json_tool=json_tool))


_PLAIN = Said(
    FIELDS.wire_names,
    but=(
        "messages",
        "tools",
        "tool_choice",
        "response_format",
        "reasoning",
        "cache",
        "stop",
        "modalities",
        "stream_usage",
    ),
)


def _write_own(request: Request) -> dict[str, Any]:
    extras, spelling = request.extras, request.spelling or {}
    found = _write_common(request, False, spelling)
    if request.reasoning is not None:
        found |= write_own_reasoning(request.reasoning, spelling.get("reasoning", "reasoning_effort"))
    if spelling.get("model") == "path":
        found.pop("path", None)  # the address says it
    return wire.deep_merge(extras, found) if extras and "stream_options" in extras else wire.merge(extras, found)


def _write_foreign(request: Request, profile: Profile, notes: list[Note]) -> dict[str, Any]:
    found = _write_common(request, True, {})
    if request.reasoning is not None:
        asked = write_reasoning(request.reasoning, profile)
        if profile.reasoning == "default":  # of any other, the quirk has the last word
            note_narrowing(request.reasoning, asked, notes)
        found |= asked
        if request.reasoning.summary is not None and "reasoning" not in found:
            notes.append(Note("reasoning.summary", "dropped", "Chat Completions shows no reasoning summaries"))
    if request.stream and "stream_options" not in found and profile.stream_options:
        found["stream_options"] = {"include_usage": True}
    return found


def _write_common(request: Request, foreign: bool, spelling: dict[str, str]) -> dict[str, Any]:
    found: dict[str, Any] = {"messages": [write_message(message) for message in request.messages]}
    for name, _, value in _PLAIN.of(request):
        found[spelling.get(name, name)] = value
    if request.tools:
        _write_tools(request, foreign, spelling, found)
    if request.tool_choice is not None:
        found[spelling.get("tool_choice", "tool_choice")] = write_tool_choice(request.tool_choice, foreign)
    if request.response_format is not None:
        found["response_format"] = write_response_format(request.response_format, foreign)
    if request.stop is not None:
        found["stop"] = request.stop if isinstance(request.stop, str) else list(request.stop)
    if request.modalities is not None:
        found["modalities"] = list(request.modalities)
    if request.cache is not None:
        found["cache_control"] = write_cache(request.cache)
    if request.stream_usage is not None:
        found["stream_options"] = {"include_usage": request.stream_usage}
    return found


def _write_tools(request: Request, foreign: bool, spelling: dict[str, str], found: dict[str, Any]) -> None:
    listed = []
    for tool in request.tools or ():
        if tool.kind == "server" and tool.native in ROOT:
            write_root_tool(tool, None if foreign else request.extras, found)
        else:
            listed.append(tool)
    if not listed:
        return
    written = [write_tool(tool, foreign) for tool in listed]
    if spelling.get("tools") == "functions":
        found["functions"] = [tool["function"] for tool in written]
    else:
        found["tools"] = written
