"""Ollama: POST /api/chat (streamed unless asked otherwise), /api/embed, GET /api/tags, /api/version, POST /api/show.

A stream is JSON lines: one object a piece, then one with `done: true`, the reason and the counts. A tool call comes
whole, its arguments as an object. Ollama has no keys. Source: Ollama API documentation (docs/api.md) and api/types.go.

Ollama itself ignores fields that it does not know. This peer refuses them: a sampling parameter at the top level
instead of under `options` would be lost in silence, and a test should see that.
"""

from collections.abc import Callable, Iterator, Mapping

from penstock.testing.providers.framing import JSON_LINES
from penstock.testing.providers.openai_chat import last_text
from penstock.testing.providers.script import (
    ProviderError,
    RedactedThinking,
    Refusal,
    Stop,
    Text,
    Thinking,
    ToolCall,
    UsagePlace,
)
from penstock.testing.providers.shapes import (
    ANY,
    BOOL,
    INT,
    NUMBER,
    OBJECT,
    STRING,
    STRINGS,
    ListOf,
    Number,
    Shape,
    String,
    Struct,
    Violation,
    dotted,
    either,
    nullable,
    one_of,
)
from penstock.testing.providers.vectors import vector
from penstock.testing.providers.wire import (
    JSON,
    SLOT,
    Ask,
    Body,
    Call,
    Event,
    Family,
    Operation,
    Streaming,
    Turn,
    dumps,
    estimate,
    piece_events,
    text_pieces,
)

JSON_TYPE = "application/json; charset=utf-8"
MOMENT = "2025-06-15T15:06:40.000000Z"

DONE: Mapping[Stop, str] = {
    "end": "stop",
    "length": "length",
    "tool_calls": "stop",
    "content_filter": "stop",
    "stop_sequence": "stop",
    "refusal": "stop",
}

_STATUS: Mapping[int, str] = {
    400: "invalid request",
    401: "unauthorized",
    403: "forbidden",
    404: "model not found",
    408: "request timed out",
    413: "request body too large",
    422: "unprocessable request",
    429: "too many concurrent requests",
    500: "llama runner process has terminated: exit status 2",
    503: "server busy, please try again. maximum pending requests exceeded",
}
_KIND: Mapping[str, str] = {
    "context_window": "the input length exceeds the context length",
    "content_policy": "the request was blocked",
    "quota": "you have reached your hourly usage limit",
    "unknown_model": "model 'unknown' not found",
    "bad_key": "unauthorized",
}

# --- shapes ----------------------------------------------------------------------------------------------------------

_BASE64 = String(pattern=r"[A-Za-z0-9+/\s]+={0,2}\s*")
_TOOL_CALL = Struct(
    {
        "id": STRING,
        "type": STRING,
        "function": Struct({"name": STRING, "arguments": OBJECT, "index": INT}, required=("name",)),
    },
    required=("function",),
)
_MESSAGE = Struct(
    {
        "role": STRING,
        "content": STRING,
        "thinking": STRING,
        "images": nullable(ListOf(_BASE64)),
        "tool_calls": nullable(ListOf(_TOOL_CALL)),
        "tool_name": STRING,
        "tool_call_id": STRING,
    }
)
_TOOL = Struct(
    {
        "type": STRING,
        "function": Struct({"name": STRING, "description": STRING, "parameters": OBJECT}),
        "items": ANY,
    }
)
_OPTION_NAMES = [
    "num_keep",
    "seed",
    "num_predict",
    "top_k",
    "top_p",
    "min_p",
    "tfs_z",
    "typical_p",
    "repeat_last_n",
    "temperature",
    "repeat_penalty",
    "presence_penalty",
    "frequency_penalty",
    "mirostat",
    "mirostat_tau",
    "mirostat_eta",
    "penalize_newline",
    "stop",
    "numa",
    "num_ctx",
    "num_batch",
    "num_gpu",
    "main_gpu",
    "low_vram",
    "f16_kv",
    "logits_all",
    "vocab_only",
    "use_mmap",
    "use_mlock",
    "embedding_only",
    "num_thread",
]
OPTIONS = Struct({**dict.fromkeys(_OPTION_NAMES, ANY), "temperature": NUMBER, "num_predict": INT, "stop": STRINGS})
_KEEP_ALIVE: Shape = either(STRING, NUMBER)
CHAT_BODY = Struct(
    {
        "model": STRING,
        "messages": nullable(ListOf(_MESSAGE)),
        "tools": nullable(ListOf(_TOOL)),
        "format": either(one_of("", "json"), OBJECT),
        "options": nullable(OPTIONS),
        "stream": nullable(BOOL),
        "keep_alive": _KEEP_ALIVE,
        "think": either(BOOL, one_of("low", "medium", "high", "max")),
        "logprobs": BOOL,
        "top_logprobs": INT,
        "truncate": BOOL,
        "shift": BOOL,
    }
)
EMBED_BODY = Struct(
    {
        "model": STRING,
        "input": either(STRING, STRINGS),
        "truncate": nullable(BOOL),
        "dimensions": Number(1, 4096, integer=True),
        "keep_alive": _KEEP_ALIVE,
        "options": nullable(OPTIONS),
    }
)


# --- the family ------------------------------------------------------------------------------------------------------


def _anyone(call: Call) -> ProviderError | None:
    return None


def _message(error: ProviderError) -> str:
    return error.message or (_KIND[error.kind] if error.kind else _STATUS.get(error.status, _STATUS[500]))


def error_body(error: ProviderError, call: Call) -> Body:
    """The error as an HTTP answer."""
    return Body(dumps({"error": _message(error)}), JSON_TYPE, error.status)


def error_events(error: ProviderError, call: Call) -> list[Event]:
    """The error in a stream that has begun: a line with the error."""
    return [Event("", dumps({"error": _message(error)}))]


def unknown_path(call: Call) -> Body:
    """404 for a path that does not exist."""
    return Body(b"404 page not found", "text/plain", 404)


OLLAMA = Family("ollama", _anyone, error_body, unknown_path)

_GO = {"string": "string", "integer": "int", "number": "float64", "boolean": "bool", "array": "array", "object": "map"}


def _worded(violation: Violation) -> ProviderError:
    where = "ChatRequest." + dotted(tuple(step for step in violation.path if isinstance(step, str)))
    match violation.kind:
        case "unknown":
            return ProviderError(400, f"penstock.testing: Ollama would ignore the unknown field {where!r}")
        case "missing":
            return ProviderError(400, f"{where} is required")
        case "type":
            wanted = _GO.get(str(violation.expected).split(" or ")[0], str(violation.expected))
            came = _json_word(violation.value)
            return ProviderError(400, f"json: cannot unmarshal {came} into Go struct field {where} of type {wanted}")
        case _:
            return ProviderError(400, f"invalid value for {where}: {violation.value!r}")


def _json_word(value: object) -> str:
    words = {bool: "bool", str: "string", list: "array", dict: "object"}
    return words.get(type(value), "number")


def _checked(shape: Struct) -> Callable[[Call], ProviderError | None]:
    def validate(call: Call) -> ProviderError | None:
        if not call.request.body:
            return ProviderError(400, "missing request body")
        try:
            value = call.request.json
        except ValueError as error:
            return ProviderError(400, f"invalid character: {error}")
        if violation := shape.check(value):
            return _worded(violation)
        return _model_error(call)

    return validate


def _model_error(call: Call) -> ProviderError | None:
    model = call.body.get("model") or ""
    if not model:
        return ProviderError(400, "model is required")
    return None if call.world.knows_model(model) else ProviderError(404, f"model '{model}' not found")


_check_chat = _checked(CHAT_BODY)


def validate(call: Call) -> ProviderError | None:
    """The error with which Ollama refuses a chat request, or None."""
    if error := _check_chat(call):
        return error
    for message in call.body.get("messages") or []:
        role = message.get("role", "")
        if role not in ("system", "user", "assistant", "tool"):
            allowed = '"system", "user", "assistant", or "tool"'
            return ProviderError(400, f"invalid role: {role}, must be one of {allowed}")
    for tool in call.body.get("tools") or []:
        if tool.get("type") != "function" or not (tool.get("function") or {}).get("name"):
            return ProviderError(400, "penstock.testing: a tool has type function and a function with a name")
    return None


# --- answering -------------------------------------------------------------------------------------------------------


def asks(call: Call) -> Ask:
    """What a chat request asks for; it streams unless it says no."""
    body = call.body
    wanted = body.get("format")
    return Ask(
        model=str(body.get("model", "")),
        stream=body.get("stream") is not False,
        said=last_text(body.get("messages") or []),
        size=estimate([body.get("messages") or [], body.get("tools") or []]),
        tools={tool["function"]["name"]: tool["function"].get("parameters") or {} for tool in body.get("tools") or []},
        schema=wanted if isinstance(wanted, dict) else None,
        wants_json=wanted == "json",
    )


def answer(turn: Turn, call: Call) -> Body:
    """The whole response."""
    turn.refuse_parts("Ollama chat", RedactedThinking)
    spoken = "".join(part.text for part in turn.parts if isinstance(part, Text | Refusal))
    message: JSON = {"role": "assistant", "content": spoken}
    if turn.thoughts:
        message["thinking"] = "".join(part.text for part in turn.thoughts)
    if turn.calls:
        message["tool_calls"] = [_tool_call(index, item, call) for index, item in enumerate(turn.calls)]
    return Body(dumps({**_head(turn), "message": message, **_ending(turn)}), JSON_TYPE)


def _head(turn: Turn) -> JSON:
    return {"model": turn.model, "created_at": MOMENT}


def _ending(turn: Turn) -> JSON:
    ending: JSON = {"done": True, "done_reason": DONE[turn.stop], "total_duration": 2000000, "load_duration": 1000000}
    if turn.reports_usage:
        ending |= {
            "prompt_eval_count": turn.usage.input_tokens,
            "prompt_eval_duration": 500000,
            "eval_count": turn.usage.output_tokens,
            "eval_duration": 500000,
        }
    return ending


def _tool_call(index: int, item: ToolCall, call: Call) -> JSON:
    identified = {"id": item.id or f"call_sim{call.number:06d}{index:02d}"}
    return {**identified, "function": {"index": index, "name": item.name, "arguments": item.arguments_value()}}


# --- streaming -------------------------------------------------------------------------------------------------------


def events(turn: Turn, call: Call) -> list[Event]:
    """The lines of the stream."""
    turn.refuse_parts("Ollama chat", RedactedThinking)
    turn.refuse_places(
        "Ollama chat",
        UsagePlace.EVERY_EVENT,
        UsagePlace.FIRST_EVENT,
        UsagePlace.EMPTY_CHOICES,
        UsagePlace.X_GROQ,
        UsagePlace.TWICE,
    )
    last = {**_head(turn), "message": {"role": "assistant", "content": ""}, **_ending(turn)}
    return [*_pieces(turn, call), Event("", dumps(last))]


def _pieces(turn: Turn, call: Call) -> Iterator[Event]:
    def line(fields: JSON) -> JSON:
        return {**_head(turn), "message": {"role": "assistant", **fields}, "done": False}

    calls = 0
    for part in turn.parts:
        match part:
            case Thinking():
                yield from piece_events("", line({"content": "", "thinking": SLOT}), text_pieces(part))
            case Text():
                yield from piece_events("", line({"content": SLOT}), text_pieces(part))
            case Refusal(text):
                yield from piece_events("", line({"content": SLOT}), text_pieces(Text(text)))
            case ToolCall():
                yield Event("", dumps(line({"content": "", "tool_calls": [_tool_call(calls, part, call)]})))
                calls += 1


def _empty_event(call: Call) -> Event:
    return Event(
        "",
        dumps(
            {
                "model": call.body.get("model"),
                "created_at": MOMENT,
                "message": {"role": "assistant", "content": ""},
                "done": False,
            }
        ),
    )


# --- the endpoints around --------------------------------------------------------------------------------------------


def _embed(turn: Turn, call: Call) -> Body:
    given = call.body.get("input") or []
    texts = [given] if isinstance(given, str) else given
    vectors = [vector(text, call.body.get("dimensions") or 8) for text in texts]
    counts = {"total_duration": 2000000, "load_duration": 1000000, "prompt_eval_count": sum(map(estimate, texts))}
    return Body(dumps({"model": call.body["model"], "embeddings": vectors, **counts}), JSON_TYPE)


def _details() -> JSON:
    return {
        "parent_model": "",
        "format": "gguf",
        "family": "llama",
        "families": ["llama"],
        "parameter_size": "3.2B",
        "quantization_level": "Q4_K_M",
    }


def _tags(turn: Turn, call: Call) -> Body:
    names = sorted(call.world.models or {"llama3.2:latest"})
    listed = [
        {"name": name, "model": name, "modified_at": MOMENT, "size": 1, "digest": "0" * 64, "details": _details()}
        for name in names
    ]
    return Body(dumps({"models": listed}), JSON_TYPE)


def _version(turn: Turn, call: Call) -> Body:
    return Body(dumps({"version": "0.12.0"}), JSON_TYPE)


def _show(turn: Turn, call: Call) -> Body:
    information = {"general.architecture": "llama", "llama.context_length": 131072}
    capabilities = ["completion", "tools", "thinking"]
    return Body(dumps({"details": _details(), "model_info": information, "capabilities": capabilities}), JSON_TYPE)


def _asks_model(call: Call) -> Ask:
    return Ask(model=str(call.body.get("model", "")))


CHAT = Operation(
    name="ollama_chat",
    family=OLLAMA,
    validate=validate,
    answer=answer,
    asks=asks,
    streaming=Streaming(events, error_events, lambda call: JSON_LINES, _empty_event),
)
EMBED = Operation("ollama_embed", OLLAMA, _checked(EMBED_BODY), _embed, _asks_model)
TAGS = Operation("ollama_tags", OLLAMA, _anyone, _tags)
VERSION = Operation("ollama_version", OLLAMA, _anyone, _version)
SHOW = Operation("ollama_show", OLLAMA, _checked(Struct({"model": STRING, "verbose": BOOL})), _show)
