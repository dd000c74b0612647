"""Cohere v2 chat: POST /v2/chat, whole and streamed.

A stream is named server-sent events: message-start, content-start, content-delta, content-end, tool-plan-delta,
tool-call-start, tool-call-delta, tool-call-end, message-end. Text before tool calls is the *tool plan*, not content.
Source: Cohere API reference, "Chat" and "Streaming"; errors are an object with a `message`.
"""

from collections.abc import Callable, Mapping

from penstock.testing.providers.framing import ServerSentEvents
from penstock.testing.providers.openai_chat import last_text
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
from penstock.testing.providers.shapes import (
    BOOL,
    INT,
    NAME,
    OBJECT,
    STRING,
    ListOf,
    Number,
    Struct,
    Tagged,
    Violation,
    bracketed,
    either,
    nullable,
    one_of,
)
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

SSE = ServerSentEvents("text/event-stream")

FINISH: Mapping[Stop, str] = {
    "end": "COMPLETE",
    "length": "MAX_TOKENS",
    "tool_calls": "TOOL_CALL",
    "content_filter": "ERROR",
    "stop_sequence": "STOP_SEQUENCE",
    "refusal": "COMPLETE",
}

_STATUS: Mapping[int, str] = {
    400: "invalid request: the request is not valid",
    401: "invalid api token",
    403: "your API token does not have access to this resource",
    404: "model not found, make sure the correct model ID was used and that you have access to the model.",
    408: "the request timed out",
    413: "request entity too large",
    422: "invalid request: the request could not be processed",
    429: "You are past the per minute request limit, please wait and try again later.",
    498: "invalid token",
    499: "request cancelled",
    500: "internal server error, this has been reported to our developers.",
    503: "service unavailable",
}
_KIND: Mapping[str, str] = {
    "context_window": "too many tokens: total number of tokens in the prompt cannot exceed 128000 - received 131072. "
    "Try using a shorter prompt.",
    "content_policy": "invalid request: the request was blocked by the safety filters",
    "quota": "Please wait and try again later: you have reached the monthly limit of your trial key.",
    "unknown_model": _STATUS[404],
    "bad_key": "invalid api token",
}

# --- shapes ----------------------------------------------------------------------------------------------------------

_PART = Tagged(
    "type",
    {
        "text": Struct({"type": STRING, "text": STRING}, required=("text",)),
        "image_url": Struct(
            {"type": STRING, "image_url": Struct({"url": NAME, "detail": STRING}, required=("url",))},
            required=("image_url",),
        ),
        "thinking": Struct({"type": STRING, "thinking": STRING}, required=("thinking",)),
        "document": Struct({"type": STRING, "document": OBJECT}, required=("document",)),
    },
)
_CONTENT = either(STRING, ListOf(_PART))
_TOOL_CALL = Struct(
    {"id": STRING, "type": one_of("function"), "function": Struct({"name": STRING, "arguments": STRING})},
    required=("id", "type", "function"),
)
_MESSAGE = Tagged(
    "role",
    {
        "user": Struct({"role": STRING, "content": _CONTENT}, required=("content",)),
        "system": Struct({"role": STRING, "content": _CONTENT}, required=("content",)),
        "assistant": Struct(
            {
                "role": STRING,
                "content": nullable(_CONTENT),
                "tool_calls": nullable(ListOf(_TOOL_CALL)),
                "tool_plan": nullable(STRING),
                "citations": nullable(ListOf(OBJECT)),
            }
        ),
        "tool": Struct(
            {"role": STRING, "tool_call_id": STRING, "content": _CONTENT}, required=("tool_call_id", "content")
        ),
    },
)
_TOOL = Struct(
    {
        "type": one_of("function"),
        "function": Struct(
            {"name": STRING, "description": nullable(STRING), "parameters": OBJECT}, required=("name", "parameters")
        ),
    },
    required=("type", "function"),
)
CHAT_BODY = Struct(
    {
        "model": NAME,
        "messages": ListOf(_MESSAGE),
        "stream": BOOL,
        "tools": nullable(ListOf(_TOOL)),
        "strict_tools": nullable(BOOL),
        "documents": nullable(ListOf(either(STRING, OBJECT))),
        "citation_options": nullable(
            Struct({"mode": one_of("ENABLED", "DISABLED", "FAST", "ACCURATE", "OFF", "fast", "accurate", "off")})
        ),
        "response_format": nullable(
            Tagged(
                "type",
                {
                    "text": Struct({"type": STRING}),
                    "json_object": Struct({"type": STRING, "json_schema": nullable(OBJECT), "schema": OBJECT}),
                },
            )
        ),
        "safety_mode": nullable(one_of("CONTEXTUAL", "STRICT", "OFF")),
        "max_tokens": nullable(Number(1, integer=True)),
        "stop_sequences": nullable(ListOf(STRING, longest=5)),
        "temperature": nullable(Number(0, 1)),
        "seed": nullable(INT),
        "frequency_penalty": nullable(Number(0, 1)),
        "presence_penalty": nullable(Number(0, 1)),
        "k": nullable(Number(0, 500, integer=True)),
        "p": nullable(Number(0.01, 0.99)),
        "logprobs": nullable(BOOL),
        "tool_choice": nullable(one_of("REQUIRED", "NONE")),
        "thinking": nullable(
            Struct(
                {"type": one_of("enabled", "disabled"), "token_budget": nullable(Number(1, integer=True))}, ("type",)
            )
        ),
        "priority": nullable(Number(0, 999, integer=True)),
        "raw_prompting": nullable(BOOL),
    },
    required=("model", "messages"),
)
# --- the family ------------------------------------------------------------------------------------------------------


def authenticate(call: Call) -> ProviderError | None:
    """A bearer token."""
    token = call.request.headers.get("authorization", "").removeprefix("Bearer ").strip()
    if not token:
        return ProviderError(401, "no api key supplied")
    return None if call.world.lets_in(token) else ProviderError(401, "invalid api token")


def _message(error: ProviderError) -> str:
    default = _KIND[error.kind] if error.kind else _STATUS.get(error.status, _STATUS[500])
    return error.message or default


def error_body(error: ProviderError, call: Call) -> Body:
    """The error as an HTTP answer."""
    return json_body({"id": exchange_id(call), "message": _message(error)}, error.status)


def error_events(error: ProviderError, call: Call) -> list[Event]:
    """The error in a stream that has begun: a message-end that says so."""
    ending = {
        "type": "message-end",
        "id": exchange_id(call),
        "delta": {"finish_reason": "ERROR", "error": _message(error)},
    }
    return [Event("message-end", dumps(ending))]


def unknown_path(call: Call) -> Body:
    """404 for a path that does not exist."""
    return Body(b"404 page not found", "text/plain; charset=utf-8", 404)


def exchange_id(call: Call) -> str:
    """The id of an answer."""
    return f"00000000-0000-4000-9000-{call.number:012d}"


COHERE = Family("cohere", authenticate, error_body, unknown_path)


def invalid(message: str, status: int = 400) -> ProviderError:
    """An invalid request."""
    return ProviderError(status, f"invalid request: {message}")


def _worded(violation: Violation) -> ProviderError:
    name = bracketed(violation.path)
    match violation.kind:
        case "unknown":
            return ProviderError(422, f"unknown field: parameter '{name}' is not a valid field")
        case "missing":
            return invalid(f"{name} is required")
        case "type":
            return ProviderError(422, f"invalid type: parameter {name} should be of type {violation.expected}.")
        case "value" | "tag":
            return invalid(f"{name} must be one of {', '.join(violation.expected)}, but got {violation.value!r}")
        case "low" | "high":
            bound = "at least" if violation.kind == "low" else "at most"
            return invalid(f"{name} must be {bound} {violation.expected}, but got {violation.value}")
        case _:
            return invalid(f"{name} is too {violation.kind}: the limit is {violation.expected}")


def checked(shape: Struct) -> Callable[[Call], ProviderError | None]:
    """A validator: the body is JSON of this shape, and its model exists."""

    def validate(call: Call) -> ProviderError | None:
        try:
            value = call.request.json
        except ValueError as error:
            return invalid(f"invalid json syntax: {error}")
        if violation := shape.check(value):
            return _worded(violation)
        model = call.body["model"]
        if call.world.knows_model(model):
            return None
        text = (
            f"model '{model}' not found, make sure the correct model ID was used and that you have access to the model."
        )
        return ProviderError(404, text)

    return validate


# --- chat: rules -----------------------------------------------------------------------------------------------------

_check_chat = checked(CHAT_BODY)


def validate(call: Call) -> ProviderError | None:
    """The error with which Cohere refuses a chat request, or None."""
    if error := _check_chat(call):
        return error
    return next((error for rule in _RULES if (error := rule(call.body))), None)


def _some_messages(body: JSON) -> ProviderError | None:
    if not body["messages"]:
        return invalid("list of messages must not be empty")
    for index, message in enumerate(body["messages"]):
        spoken = any(message.get(name) for name in ("content", "tool_calls", "tool_plan"))
        if message["role"] != "tool" and not spoken:
            return invalid(f"all elements in messages must have content: messages[{index}] has none")
    return None


def _last_word(body: JSON) -> ProviderError | None:
    if body["messages"][-1]["role"] == "assistant":
        return invalid("the last message must be a user or tool message")
    return None


def _tool_answers(body: JSON) -> ProviderError | None:
    """Tool messages answer the calls of the assistant message before them, and all of them."""
    waiting: list[str] = []
    for message in body["messages"]:
        if message["role"] == "tool":
            if message["tool_call_id"] not in waiting:
                return invalid(f"tool call id not found in previous tool calls: {message['tool_call_id']}")
            waiting.remove(message["tool_call_id"])
            continue
        if waiting:
            return invalid(f"missing tool results for tool calls: {', '.join(waiting)}")
        waiting = [call["id"] for call in message.get("tool_calls") or []]
    return invalid(f"missing tool results for tool calls: {', '.join(waiting)}") if waiting else None


def _choice(body: JSON) -> ProviderError | None:
    if body.get("tool_choice") and not body.get("tools"):
        return invalid("tool_choice requires tools to be specified")
    if body.get("response_format", {}) and body["response_format"].get("type") == "json_object" and body.get("tools"):
        return invalid("response_format json_object cannot be used with tools")
    return None


_RULES: tuple[Callable[[JSON], ProviderError | None], ...] = (_some_messages, _tool_answers, _last_word, _choice)


# --- chat: answering -------------------------------------------------------------------------------------------------


def asks(call: Call) -> Ask:
    """What a chat request asks for."""
    body = call.body
    wanted = body.get("response_format") or {}
    return Ask(
        model=str(body.get("model", "")),
        stream=bool(body.get("stream")),
        said=last_text(body.get("messages") or []),
        size=estimate([body.get("messages") or [], body.get("tools") or []]),
        tools={tool["function"]["name"]: tool["function"]["parameters"] for tool in body.get("tools") or []},
        must_call="*" if body.get("tool_choice") == "REQUIRED" else None,
        schema=wanted.get("json_schema") or wanted.get("schema"),
        wants_json=wanted.get("type") == "json_object",
    )


def answer(turn: Turn, call: Call) -> Body:
    """The whole response."""
    turn.refuse_parts("Cohere chat", RedactedThinking)
    message: JSON = {"role": "assistant"}
    content = [_content(part) for part in turn.parts if not isinstance(part, ToolCall) and not _is_plan(part, turn)]
    if content:
        message["content"] = content
    if turn.calls:
        message["tool_plan"] = turn.text
        message["tool_calls"] = [_tool_call(index, item, call) for index, item in enumerate(turn.calls)]
    usage = {"usage": usage_object(turn.usage)} if turn.reports_usage else {}
    return json_body(
        {"id": turn.id or exchange_id(call), "finish_reason": FINISH[turn.stop], "message": message, **usage}
    )


def _is_plan(part: Part, turn: Turn) -> bool:
    return bool(turn.calls) and isinstance(part, Text)


def _content(part: Part) -> JSON:
    if isinstance(part, Thinking):
        return {"type": "thinking", "thinking": part.text}
    return {"type": "text", "text": getattr(part, "text", "")}


def _tool_call(index: int, item: ToolCall, call: Call) -> JSON:
    name = item.id or f"{item.name}_sim{call.number:06d}{index:02d}"
    return {"id": name, "type": "function", "function": {"name": item.name, "arguments": item.arguments_text()}}


def usage_object(usage: Usage) -> JSON:
    """A usage object: what is billed, and what was counted (with the service's own prompt)."""
    counts = {"input_tokens": usage.input_tokens, "output_tokens": usage.output_tokens}
    cached = {"cached_tokens": usage.cached_tokens} if usage.cached_tokens else {}
    return {"billed_units": counts, "tokens": counts, **cached}


# --- chat: streaming -------------------------------------------------------------------------------------------------


def _event(kind: str, body: JSON) -> Event:
    return Event(kind, dumps({"type": kind, **body}))


def events(turn: Turn, call: Call) -> list[Event]:
    """The events of the stream, [DONE] included."""
    turn.refuse_parts("Cohere chat", RedactedThinking)
    turn.refuse_places(
        "Cohere chat",
        UsagePlace.EVERY_EVENT,
        UsagePlace.FIRST_EVENT,
        UsagePlace.EMPTY_CHOICES,
        UsagePlace.X_GROQ,
        UsagePlace.TWICE,
    )
    blank: JSON = {"role": "assistant", "content": [], "tool_plan": "", "tool_calls": [], "citations": []}
    start = {"id": turn.id or exchange_id(call), "type": "message-start", "delta": {"message": blank}}
    made = [Event("message-start", dumps(start))]
    spoken = calls = 0
    for part in turn.parts:
        if isinstance(part, ToolCall):
            made += _call_events(calls, part, call)
            calls += 1
        elif isinstance(part, Text) and turn.calls:
            plan = {"type": "tool-plan-delta", "delta": {"message": {"tool_plan": SLOT}}}
            made += piece_events("tool-plan-delta", plan, text_pieces(part))
        else:
            made += _content_events(spoken, part)
            spoken += 1
    usage = {"usage": usage_object(turn.usage)} if turn.reports_usage else {}
    ending = {"id": turn.id or exchange_id(call), "delta": {"finish_reason": FINISH[turn.stop], **usage}}
    return [*made, _event("message-end", ending), Event("", b"[DONE]")]


def _content_events(index: int, part: Part) -> list[Event]:
    field = "thinking" if isinstance(part, Thinking) else "text"
    spoken = part if isinstance(part, Text | Thinking) else Text(part.text if isinstance(part, Refusal) else "")
    delta = {"type": "content-delta", "index": index, "delta": {"message": {"content": {field: SLOT}}}}
    return [
        _event("content-start", {"index": index, "delta": {"message": {"content": {"type": field, field: ""}}}}),
        *piece_events("content-delta", delta, text_pieces(spoken)),
        _event("content-end", {"index": index}),
    ]


def _call_events(index: int, item: ToolCall, call: Call) -> list[Event]:
    whole = _tool_call(index, item, call)
    blank = {**whole, "function": {"name": item.name, "arguments": ""}}
    delta = {"type": "tool-call-delta", "index": index}
    template = {**delta, "delta": {"message": {"tool_calls": {"function": {"arguments": SLOT}}}}}
    return [
        _event("tool-call-start", {"index": index, "delta": {"message": {"tool_calls": blank}}}),
        *piece_events("tool-call-delta", template, argument_pieces(item)),
        _event("tool-call-end", {"index": index}),
    ]


CHAT = Operation(
    name="cohere_chat",
    family=COHERE,
    validate=validate,
    answer=answer,
    asks=asks,
    streaming=Streaming(events, error_events, lambda call: SSE, lambda call: Event("", b"{}"), typed_event),
)
