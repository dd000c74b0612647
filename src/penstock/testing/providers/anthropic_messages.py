"""Anthropic Messages: POST /v1/messages, whole and streamed; /v1/messages/count_tokens; files and models.

A stream is named events: message_start (with the input's usage), a start, deltas and a stop for each content block,
message_delta (stop reason and final usage), message_stop; a ping comes early. Source: Anthropic API reference,
"Streaming Messages" and "Errors". The same format is spoken by Vertex AI (`rawPredict`) and by Bedrock's invoke, which
name the version in the body.
"""

from collections.abc import Iterator, Mapping
from dataclasses import replace

from penstock.testing.providers.anthropic_rules import (
    joined,
    validate,
    validate_count,
    validate_raw,
    validate_vertex_count,
)
from penstock.testing.providers.framing import SSE
from penstock.testing.providers.script import (
    Part,
    ProviderError,
    RedactedThinking,
    Refusal,
    Stop,
    Text,
    Thinking,
    ToolCall,
    Usage,
    UsagePlace,
)
from penstock.testing.providers.state import StoredFile
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
    argument_pieces,
    dumps,
    estimate,
    json_body,
    piece_events,
    text_pieces,
    typed_event,
)

STOPS: Mapping[Stop, str] = {
    "end": "end_turn",
    "length": "max_tokens",
    "tool_calls": "tool_use",
    "content_filter": "refusal",
    "stop_sequence": "stop_sequence",
    "refusal": "refusal",
}

# status -> (type, message)
_STATUS: Mapping[int, tuple[str, str]] = {
    400: ("invalid_request_error", "Invalid request."),
    401: ("authentication_error", "invalid x-api-key"),
    402: ("billing_error", "Your billing details need attention."),
    403: ("permission_error", "Your API key does not have permission to use the specified resource."),
    404: ("not_found_error", "The requested resource could not be found."),
    408: ("timeout_error", "Request timed out"),
    409: ("invalid_request_error", "The resource was changed by another request."),
    413: ("request_too_large", "Request exceeds the maximum size"),
    422: ("invalid_request_error", "The request could not be processed."),
    429: (
        "rate_limit_error",
        "This request would exceed your organization's rate limit of 50 requests per minute.",
    ),
    500: ("api_error", "Internal server error"),
    502: ("api_error", "Bad gateway"),
    503: ("api_error", "Service unavailable"),
    504: ("timeout_error", "Gateway timeout"),
    529: ("overloaded_error", "Overloaded"),
}
_KIND: Mapping[str, tuple[str, str]] = {
    "context_window": ("invalid_request_error", "prompt is too long: 210000 tokens > 200000 maximum"),
    "content_policy": ("invalid_request_error", "Output blocked by content filtering policy"),
    "quota": (
        "invalid_request_error",
        "Your credit balance is too low to access the Anthropic API. Please go to Plans & Billing to upgrade or "
        "purchase credits.",
    ),
    "unknown_model": ("not_found_error", "model: unknown"),
    "bad_key": ("authentication_error", "invalid x-api-key"),
}


# --- the family ------------------------------------------------------------------------------------------------------


def authenticate(call: Call) -> ProviderError | None:
    """An API key in `x-api-key`, or a bearer token."""
    headers = call.request.headers
    key = headers.get("x-api-key") or headers.get("authorization", "").removeprefix("Bearer ").strip()
    if not key:
        return ProviderError(401, "x-api-key header is required", type="authentication_error")
    return None if call.world.lets_in(key) else ProviderError(401, "invalid x-api-key", type="authentication_error")


def error_object(error: ProviderError, call: Call) -> JSON:
    """The error object, as a body and as an event."""
    type_, message = _KIND[error.kind] if error.kind else _STATUS.get(error.status, _STATUS[500])
    said = {"type": error.type or type_, "message": error.message or message}
    return {"type": "error", "error": said, "request_id": _request_id(call)}


def error_body(error: ProviderError, call: Call) -> Body:
    """The error as an HTTP answer."""
    return json_body(error_object(error, call), error.status)


def error_events(error: ProviderError, call: Call) -> list[Event]:
    """The error in a stream that has begun: an `error` event, and nothing after it."""
    return [Event("error", dumps(error_object(error, call)))]


def unknown_path(call: Call) -> Body:
    """404 for a path that does not exist."""
    return error_body(ProviderError(404, "Not found"), call)


def _request_id(call: Call) -> str:
    return f"req_sim{call.number:020d}"


def response_headers(call: Call) -> tuple[tuple[str, str], ...]:
    """The headers that every answer bears."""
    return (("request-id", _request_id(call)), ("anthropic-organization-id", "org_simulated"))


ANTHROPIC = Family("anthropic", authenticate, error_body, unknown_path, response_headers)


# --- reading ---------------------------------------------------------------------------------------------------------


def asks(call: Call) -> Ask:
    """What a messages request asks for."""
    body = call.body
    choice = body.get("tool_choice") or {}
    wanted = (body.get("output_config") or {}).get("format") or body.get("output_format") or {}
    forced = {"any": "*", "tool": choice.get("name")}.get(choice.get("type", ""))
    return Ask(
        model=str(body.get("model") or call.params.get("model", "")),
        stream=bool(body.get("stream")),
        said=_last_text(body.get("messages") or []),
        size=_input_size(body),
        tools={
            tool["name"]: tool.get("input_schema") or {}
            for tool in body.get("tools") or []
            if tool.get("type") in (None, "custom")
        },
        must_call=forced,
        schema=wanted.get("schema"),
    )


def _last_text(messages: list[JSON]) -> str:
    for _, role, blocks in reversed(joined(messages)):
        if role == "user":
            return "".join(block["text"] for block in blocks if block["type"] == "text")
    return ""


def _input_size(body: JSON) -> int:
    return estimate([body.get("system") or "", body.get("messages") or [], body.get("tools") or []])


# --- answering -------------------------------------------------------------------------------------------------------


def answer(turn: Turn, call: Call) -> Body:
    """The whole message."""
    content = [_block(index, part, call) for index, part in enumerate(turn.parts)]
    usage = {"usage": usage_object(turn.usage)} if turn.reports_usage else {}
    return json_body({**_message(turn, call), "content": content, **_ending(turn), **usage})


def _message(turn: Turn, call: Call) -> JSON:
    return {
        "model": turn.model,
        "id": turn.id or f"msg_sim{call.number:020d}",
        "type": "message",
        "role": "assistant",
        "content": [],
        "stop_reason": None,
        "stop_sequence": None,
        "stop_details": None,
    }


def _ending(turn: Turn) -> JSON:
    return {"stop_reason": STOPS[turn.stop], "stop_sequence": turn.stop_sequence, "stop_details": None}


def usage_object(usage: Usage, output_tokens: int | None = None) -> JSON:
    """A usage object. Anthropic's input_tokens leave out what was read from or written to a cache."""
    return {
        "input_tokens": usage.input_tokens - usage.cached_tokens - usage.cache_written,
        "cache_creation_input_tokens": usage.cache_written,
        "cache_read_input_tokens": usage.cached_tokens,
        "cache_creation": {
            "ephemeral_5m_input_tokens": usage.cache_written_tokens,
            "ephemeral_1h_input_tokens": usage.cache_written_1h_tokens,
        },
        "output_tokens": usage.output_tokens if output_tokens is None else output_tokens,
        "service_tier": "standard",
        "inference_geo": "global",
    }


def _block(index: int, part: Part, call: Call) -> JSON:
    match part:
        case Thinking():
            signature = call.world.sign("anthropic", part.text, part.signature)
            return {"type": "thinking", "thinking": part.text, "signature": signature}
        case RedactedThinking():
            return {"type": "redacted_thinking", "data": call.world.sign("anthropic", "withheld", part.data)}
        case ToolCall():
            return {
                "type": "tool_use",
                "id": part.id or f"toolu_sim{call.number:016d}{index:02d}",
                "name": part.name,
                "input": part.arguments_value(),
            }
        case Refusal(text):
            return {"type": "text", "text": text}
        case _:
            return {"type": "text", "text": getattr(part, "text", "")}


# --- streaming -------------------------------------------------------------------------------------------------------

_PING = Event("ping", b'{"type": "ping"}')


def events(turn: Turn, call: Call) -> list[Event]:
    """The events of the stream."""
    turn.refuse_places("Anthropic Messages", UsagePlace.EMPTY_CHOICES, UsagePlace.X_GROQ, UsagePlace.TWICE)
    made = [_start_event(turn, call)]
    for index, part in enumerate(turn.parts):
        made += _block_events(index, part, call)
        if index == 0:
            made.insert(2, _PING)
    return [*made, _delta_event(turn), Event("message_stop", b'{"type":"message_stop"}')]


def _start_event(turn: Turn, call: Call) -> Event:
    places = (UsagePlace.NATIVE, UsagePlace.FIRST_EVENT, UsagePlace.EVERY_EVENT)
    written = turn.usage.output_tokens if turn.usage_place is UsagePlace.FIRST_EVENT else 1
    usage = {"usage": usage_object(turn.usage, written)} if turn.usage_place in places else {}
    return Event("message_start", dumps({"type": "message_start", "message": {**_message(turn, call), **usage}}))


def _delta_event(turn: Turn) -> Event:
    places = (UsagePlace.NATIVE, UsagePlace.LAST_EVENT, UsagePlace.EVERY_EVENT)
    usage = usage_object(turn.usage)
    for name in ("cache_creation", "service_tier", "inference_geo"):
        del usage[name]
    if turn.usage.reasoning_tokens:
        usage["output_tokens_details"] = {"thinking_tokens": turn.usage.reasoning_tokens}
    reported = {"usage": usage} if turn.usage_place in places else {}
    return Event("message_delta", dumps({"type": "message_delta", "delta": _ending(turn), **reported}))


def _block_events(index: int, part: Part, call: Call) -> list[Event]:
    whole = _streamed_block(index, part, call)
    blank: JSON = {name: "" for name in ("text", "thinking", "signature") if name in whole}
    blank |= {"input": {}} if "input" in whole else {}
    start = {"type": "content_block_start", "index": index, "content_block": {**whole, **blank}}
    stop = {"type": "content_block_stop", "index": index}
    return [
        Event("content_block_start", dumps(start)),
        *_deltas(index, part, whole),
        Event("content_block_stop", dumps(stop)),
    ]


def _streamed_block(index: int, part: Part, call: Call) -> JSON:
    """The block as a stream announces it: a tool call's arguments may then be any text, as they come in pieces."""
    return _block(index, part if not isinstance(part, ToolCall) else ToolCall(part.name, {}, part.id), call)


def _deltas(index: int, part: Part, whole: JSON) -> Iterator[Event]:
    def template(kind: str, field: str) -> JSON:
        return {"type": "content_block_delta", "index": index, "delta": {"type": kind, field: SLOT}}

    match part:
        case Thinking():
            yield from piece_events("content_block_delta", template("thinking_delta", "thinking"), text_pieces(part))
            yield from piece_events(
                "content_block_delta", template("signature_delta", "signature"), [whole["signature"]]
            )
        case ToolCall():
            pieces = ("", *argument_pieces(part))
            yield from piece_events("content_block_delta", template("input_json_delta", "partial_json"), pieces)
        case Text():
            yield from piece_events("content_block_delta", template("text_delta", "text"), text_pieces(part))
        case Refusal(text):
            yield from piece_events("content_block_delta", template("text_delta", "text"), text_pieces(Text(text)))


# --- the endpoints around --------------------------------------------------------------------------------------------


def _count(turn: Turn, call: Call) -> Body:
    return json_body({"input_tokens": _input_size(call.body)})


def _uploads(call: Call) -> ProviderError | None:
    if "anthropic-version" not in call.request.headers:
        return ProviderError(400, "anthropic-version: header is required", type="invalid_request_error")
    try:
        files = [part for part in call.request.form if part.filename is not None]
    except ValueError as error:
        return ProviderError(400, str(error), type="invalid_request_error")
    return None if files else ProviderError(400, "file: Field required", type="invalid_request_error")


def _upload(turn: Turn, call: Call) -> Body:
    part = next(part for part in call.request.form if part.filename is not None)
    stored = StoredFile(
        f"file_sim{call.number:020d}",
        part.filename or "",
        "",
        part.content,
        part.content_type or "application/octet-stream",
        call.created,
    )
    call.world.files[stored.id] = stored
    return json_body(_file_object(stored))


def _file_object(stored: StoredFile) -> JSON:
    return {
        "type": "file",
        "id": stored.id,
        "filename": stored.filename,
        "mime_type": stored.content_type,
        "size_bytes": len(stored.content),
        "created_at": "2025-06-15T15:06:40.000000Z",
        "downloadable": False,
    }


def _known_file(call: Call) -> ProviderError | None:
    if call.param("file_id") in call.world.files:
        return None
    return ProviderError(404, f"File not found: {call.param('file_id')}", type="not_found_error")


def _nothing_to_check(call: Call) -> ProviderError | None:
    return None


def _list_files(turn: Turn, call: Call) -> Body:
    data = [_file_object(stored) for stored in call.world.files.values()]
    return json_body(
        {
            "data": data,
            "has_more": False,
            "first_id": data[0]["id"] if data else None,
            "last_id": data[-1]["id"] if data else None,
        }
    )


def _file(turn: Turn, call: Call) -> Body:
    return json_body(_file_object(call.world.files[call.param("file_id")]))


def _file_content(turn: Turn, call: Call) -> Body:
    stored = call.world.files[call.param("file_id")]
    return Body(stored.content, stored.content_type)


def _delete_file(turn: Turn, call: Call) -> Body:
    del call.world.files[call.param("file_id")]
    return json_body({"id": call.param("file_id"), "type": "file_deleted"})


def _list_models(turn: Turn, call: Call) -> Body:
    names = sorted(call.world.models or {"claude-sonnet-4-5"})
    data = [_model_object(name) for name in names]
    return json_body({"data": data, "has_more": False, "first_id": names[0], "last_id": names[-1]})


def _model_object(name: str) -> JSON:
    return {"type": "model", "id": name, "display_name": name, "created_at": "2025-06-15T00:00:00Z"}


def _known_model(call: Call) -> ProviderError | None:
    name = call.param("model")
    return None if call.world.knows_model(name) else ProviderError(404, f"model: {name}", type="not_found_error")


def _model(turn: Turn, call: Call) -> Body:
    return json_body(_model_object(call.param("model")))


_STREAMING = Streaming(
    events, error_events, lambda call: SSE, lambda call: Event("", b'{"type":"unknown"}'), typed_event
)
MESSAGES = Operation("anthropic_messages", ANTHROPIC, validate, answer, asks, _STREAMING)


def _authenticate_vertex(call: Call) -> ProviderError | None:
    token = call.request.headers.get("authorization", "").removeprefix("Bearer ").strip()
    if not token:
        return ProviderError(401, "Request is missing required authentication credential.", type="authentication_error")
    return None if call.world.lets_in(token) else ProviderError(401, "Invalid authentication credentials.")


def _asks_stream(call: Call) -> Ask:
    return replace(asks(call), stream=True)


# Vertex AI hosts Claude in Anthropic's own format, behind Google's tokens.
VERTEX_ANTHROPIC = Family("vertex_anthropic", _authenticate_vertex, error_body, unknown_path, response_headers)
VERTEX_COUNT = Operation("vertex_anthropic.count_tokens", VERTEX_ANTHROPIC, validate_vertex_count, _count)
RAW_PREDICT = Operation("vertex_anthropic", VERTEX_ANTHROPIC, validate_raw, answer, asks)
STREAM_RAW_PREDICT = Operation("vertex_anthropic", VERTEX_ANTHROPIC, validate_raw, answer, _asks_stream, _STREAMING)
COUNT = Operation("anthropic_messages.count_tokens", ANTHROPIC, validate_count, _count)
FILES_CREATE = Operation("anthropic_files.create", ANTHROPIC, _uploads, _upload)
FILES_LIST = Operation("anthropic_files.list", ANTHROPIC, _nothing_to_check, _list_files)
FILES_GET = Operation("anthropic_files.retrieve", ANTHROPIC, _known_file, _file)
FILES_CONTENT = Operation("anthropic_files.content", ANTHROPIC, _known_file, _file_content)
FILES_DELETE = Operation("anthropic_files.delete", ANTHROPIC, _known_file, _delete_file)
MODELS_LIST = Operation("anthropic_models.list", ANTHROPIC, _nothing_to_check, _list_models)
MODELS_GET = Operation("anthropic_models.retrieve", ANTHROPIC, _known_model, _model)
