"""OpenAI Chat Completions: POST /v1/chat/completions, whole and streamed; and the servers that speak it their own way.

A stream is `data:` events: one with the role, one a piece, one with the finish reason, then (if asked for) one with no
choices and the usage, then `data: [DONE]`. Source: OpenAI API reference, "Chat completion chunk object". How other
servers differ (where reasoning and usage stand, comments, error objects) is data: `FLAVOURS`.
"""

from collections.abc import Callable, Mapping
from typing import Any

from penstock.testing.providers.framing import SSE
from penstock.testing.providers.openai_chat_rules import validate
from penstock.testing.providers.openai_family import OPENAI, error_events
from penstock.testing.providers.script import (
    RedactedThinking,
    Refusal,
    ScriptError,
    Stop,
    Text,
    Thinking,
    ToolCall,
    Usage,
    UsagePlace,
)
from penstock.testing.providers.state import Flavour
from penstock.testing.providers.wire import (
    JSON,
    SLOT,
    Ask,
    Body,
    Call,
    Event,
    Operation,
    Streaming,
    Turn,
    argument_pieces,
    dumps,
    estimate,
    json_body,
    piece_events,
    text_pieces,
)

FLAVOURS: Mapping[str, Flavour] = {
    flavour.name: flavour
    for flavour in (
        Flavour("openai", strict=True, reasoning="hidden"),
        Flavour("azure", strict=True, reasoning="hidden"),
        Flavour("compatible"),  # vLLM, SGLang, llama.cpp and most hosts
        Flavour("deepseek", usage=UsagePlace.LAST_EVENT),
        Flavour("groq", reasoning="reasoning", usage=UsagePlace.X_GROQ, error="groq"),
        Flavour(
            "mistral", reasoning="parts", usage=UsagePlace.LAST_EVENT, error="mistral", call_id="nine", ordered=True
        ),
        Flavour(
            "openrouter",
            reasoning="reasoning",
            usage=UsagePlace.EMPTY_CHOICES,
            error="openrouter",
            comment=": OPENROUTER PROCESSING",
        ),
    )
}

FINISH: Mapping[Stop, str] = {
    "end": "stop",
    "length": "length",
    "tool_calls": "tool_calls",
    "content_filter": "content_filter",
    "stop_sequence": "stop",
    "refusal": "stop",
}

DONE = Event("", b"[DONE]")


# --- reading ---------------------------------------------------------------------------------------------------------


def asks(call: Call) -> Ask:
    """What a chat request asks for."""
    body = call.body
    choice = body.get("tool_choice")
    wanted = body.get("response_format") or {}
    return Ask(
        model=str(body.get("model", "")),
        stream=bool(body.get("stream")),
        said=last_text(body.get("messages") or []),
        size=estimate([body.get("messages"), body.get("tools") or []]),
        tools={
            tool["function"]["name"]: tool["function"].get("parameters") or {}
            for tool in body.get("tools") or []
            if "function" in tool
        },
        must_call=(choice.get("function") or {}).get("name") if isinstance(choice, dict) else _any(choice),
        schema=(wanted.get("json_schema") or {}).get("schema"),
        wants_json=wanted.get("type") == "json_object",
    )


def _any(choice: Any) -> str | None:
    return "*" if choice in ("required", "any") else None


def last_text(messages: list[JSON]) -> str:
    """The text of the last user message."""
    for message in reversed(messages):
        if message.get("role") == "user":
            content = message.get("content")
            parts = content if isinstance(content, list) else [{"text": content or ""}]
            return "".join(str(part.get("text", "")) for part in parts if isinstance(part, dict))
    return ""


# --- answering -------------------------------------------------------------------------------------------------------


def answer(turn: Turn, call: Call) -> Body:
    """The whole answer: a chat.completion object."""
    turn.refuse_parts("OpenAI chat", RedactedThinking)
    choices = [_choice(index, turn, call) for index in range(_choice_count(turn, call))]
    body = {**_head(turn, call, "chat.completion"), "choices": choices}
    if turn.reports_usage:
        body["usage"] = usage_object(turn.usage, call.flavour)
    if call.flavour.name == "groq":
        body["x_groq"] = {"id": f"req_sim{call.number:08d}"}
    return json_body(body)


def _choice_count(turn: Turn, call: Call) -> int:
    return int(call.body.get("n") or 1) if turn.parts else 0


def _choice(index: int, turn: Turn, call: Call) -> JSON:
    choice: JSON = {"index": index, "message": _message(turn, call)}
    if call.flavour.strict or call.body.get("logprobs"):
        choice["logprobs"] = _logprobs(turn.text) if call.body.get("logprobs") else None
    return {**choice, "finish_reason": FINISH[turn.stop]}


def _message(turn: Turn, call: Call) -> JSON:
    refusals = [part.text for part in turn.parts if isinstance(part, Refusal)]
    message: JSON = {"role": "assistant", "content": turn.text or (None if turn.calls or refusals else "")}
    if call.flavour.strict:
        message |= {"refusal": refusals[0] if refusals else None, "annotations": []}
    elif refusals:
        message["content"] = turn.text + refusals[0]
    thought = "".join(part.text for part in turn.thoughts)
    if thought and call.flavour.reasoning == "parts":
        spoken = [{"type": "text", "text": turn.text}] if turn.text else []
        message["content"] = [_thinking_part(thought), *spoken]
    elif thought and call.flavour.reasoning != "hidden":
        message[call.flavour.reasoning] = thought
    if turn.calls:
        message["tool_calls"] = [_tool_call(i, item, call) for i, item in enumerate(turn.calls)]
    return message


def _thinking_part(thought: str) -> JSON:
    return {"type": "thinking", "thinking": [{"type": "text", "text": thought}]}


def _tool_call(index: int, item: ToolCall, call: Call) -> JSON:
    function = {"name": item.name, "arguments": item.arguments_text()}
    return {"id": call_id(index, item, call), "type": "function", "function": function}


def call_id(index: int, item: ToolCall, call: Call) -> str:
    """The id of a tool call, in the server's form."""
    if item.id is not None:
        return item.id
    return (
        f"s{call.number:06d}{index:02d}" if call.flavour.call_id == "nine" else f"call_sim{call.number:012d}{index:02d}"
    )


def _head(turn: Turn, call: Call, kind: str) -> JSON:
    head: JSON = {
        "id": turn.id or f"chatcmpl-sim{call.number:012d}",
        "object": kind,
        "created": call.created,
        "model": turn.model,
    }
    if call.flavour.strict:
        head |= {"service_tier": "default", "system_fingerprint": "fp_simulated"}
    return head


def usage_object(usage: Usage, flavour: Flavour) -> JSON:
    """A usage object. OpenAI's counts include what was cached and what was reasoned."""
    body: JSON = {
        "prompt_tokens": usage.input_tokens,
        "completion_tokens": usage.output_tokens,
        "total_tokens": usage.input_tokens + usage.output_tokens,
    }
    if flavour.name == "deepseek":
        body["prompt_cache_hit_tokens"] = usage.cached_tokens
        body["prompt_cache_miss_tokens"] = usage.input_tokens - usage.cached_tokens
    prompt: JSON = {"cached_tokens": usage.cached_tokens, "audio_tokens": usage.audio_input_tokens}
    if flavour.name == "openrouter":
        prompt["cache_write_tokens"] = usage.cache_written
    return {
        **body,
        "prompt_tokens_details": prompt,
        "completion_tokens_details": {
            "reasoning_tokens": usage.reasoning_tokens,
            "audio_tokens": usage.audio_output_tokens,
            "accepted_prediction_tokens": 0,
            "rejected_prediction_tokens": 0,
        },
    }


def _logprobs(text: str) -> JSON:
    tokens = [
        {"token": token, "logprob": -0.25, "bytes": list(token.encode()), "top_logprobs": []}
        for token in text_pieces(Text(text))
    ]
    return {"content": tokens, "refusal": None}


# --- streaming -------------------------------------------------------------------------------------------------------


def events(turn: Turn, call: Call) -> list[Event]:
    """The events of the stream, [DONE] included."""
    turn.refuse_parts("OpenAI chat", RedactedThinking)
    place = _usage_place(turn, call)
    head = _head(turn, call, "chat.completion.chunk")
    nothing: JSON = {"usage": None} if _asked_for_usage(call) and place is UsagePlace.EMPTY_CHOICES else {}
    if call.flavour.strict and (call.body.get("stream_options") or {}).get("include_obfuscation") is not False:
        nothing["obfuscation"] = "simulated"  # OpenAI pads its events, so that their lengths tell nothing
    made: list[Event] = []
    for index in range(_choice_count(turn, call)):
        made += _choice_events(index, turn, call, head, nothing)
    if place in (UsagePlace.X_GROQ, UsagePlace.LAST_EVENT, UsagePlace.TWICE) and made:
        made[-1] = _with_usage(made[-1], place, turn.usage, call, native=turn.usage_place is UsagePlace.NATIVE)
    if place is UsagePlace.FIRST_EVENT and made:
        made[0] = _with_usage(made[0], place, turn.usage, call)
    if place is UsagePlace.EVERY_EVENT:
        made = [_with_usage(event, place, _so_far(turn.usage, i + 1, len(made)), call) for i, event in enumerate(made)]
    if place in (UsagePlace.EMPTY_CHOICES, UsagePlace.TWICE):
        usage = usage_object(turn.usage, call.flavour)
        made.append(Event("", dumps({**head, "choices": [], "usage": usage})))
    return [*made, DONE]


def _asked_for_usage(call: Call) -> bool:
    return bool((call.body.get("stream_options") or {}).get("include_usage"))


def _usage_place(turn: Turn, call: Call) -> UsagePlace:
    """Where the usage stands: as scripted; else as the flavour has it; else in a last event, if it was asked for."""
    if turn.usage_place is not UsagePlace.NATIVE:
        return turn.usage_place
    if _asked_for_usage(call) and call.flavour.usage in (UsagePlace.NATIVE, UsagePlace.X_GROQ):
        return UsagePlace.EMPTY_CHOICES
    return UsagePlace.MISSING if call.flavour.usage is UsagePlace.NATIVE else call.flavour.usage


def _so_far(usage: Usage, done: int, total: int) -> Usage:
    return Usage(usage.input_tokens, usage.output_tokens * done // total, cached_tokens=usage.cached_tokens)


def _with_usage(event: Event, place: UsagePlace, usage: Usage, call: Call, native: bool = False) -> Event:
    """The event with a usage object, spliced in before its last brace. Groq by itself writes it twice: in `x_groq` and
    beside it; a script that asks for X_GROQ gets the first alone, as older servers had it."""
    body = dumps(usage_object(usage, call.flavour))
    extra = b'"usage":' + body
    if place is UsagePlace.X_GROQ:
        own = b'"x_groq":{"id":"req_sim%08d","usage":%b}' % (call.number, body)
        extra = own + b"," + extra if native else own
    bare = event.payload.replace(b',"usage":null', b"")
    return event._replace(payload=bare[:-1] + b"," + extra + b"}")


def _choice_events(index: int, turn: Turn, call: Call, head: JSON, tail: JSON) -> list[Event]:
    def chunk(delta: JSON, finish: str | None = None) -> JSON:
        choice: JSON = {"index": index, "delta": delta}
        if call.flavour.strict:
            choice["logprobs"] = None
        return {**head, "choices": [{**choice, "finish_reason": finish}], **tail}

    opening: JSON = {"role": "assistant", "content": ""}
    if call.flavour.strict:
        opening["refusal"] = None
    made = [Event("", dumps(chunk(opening)))]
    calls = 0
    for part in turn.parts:
        made += _part_events(part, calls, call, chunk)
        calls += isinstance(part, ToolCall)
    return [*made, Event("", dumps(chunk({}, FINISH[turn.stop])))]


def _part_events(part: object, calls: int, call: Call, chunk: Callable[[JSON], JSON]) -> list[Event]:
    match part:
        case Text():
            if call.body.get("logprobs"):
                return [_logprob_event(piece, chunk) for piece in text_pieces(part)]
            return piece_events("", chunk({"content": SLOT}), text_pieces(part))
        case Refusal(text):
            field = "refusal" if call.flavour.strict else "content"
            return piece_events("", chunk({field: SLOT}), text_pieces(Text(text)))
        case Thinking():
            return _thinking_events(part, call, chunk)
        case ToolCall():
            function = {"name": part.name, "arguments": ""}
            opening = {"index": calls, "id": call_id(calls, part, call), "type": "function", "function": function}
            piece = {"tool_calls": [{"index": calls, "function": {"arguments": SLOT}}]}
            first = Event("", dumps(chunk({"tool_calls": [opening]})))
            return [first, *piece_events("", chunk(piece), argument_pieces(part))]
        case _:
            raise ScriptError(f"OpenAI chat cannot stream {type(part).__name__}")


def _thinking_events(part: Thinking, call: Call, chunk: Callable[[JSON], JSON]) -> list[Event]:
    if call.flavour.reasoning == "hidden":
        return []
    if call.flavour.reasoning == "parts":
        return piece_events("", chunk({"content": [_thinking_part(SLOT)]}), text_pieces(part))
    return piece_events("", chunk({call.flavour.reasoning: SLOT}), text_pieces(part))


def _logprob_event(piece: str, chunk: Callable[[JSON], JSON]) -> Event:
    body = chunk({"content": piece})
    token = {"token": piece, "logprob": -0.25, "bytes": list(piece.encode()), "top_logprobs": []}
    body["choices"][0]["logprobs"] = {"content": [token], "refusal": None}
    return Event("", dumps(body))


def empty_event(call: Call) -> Event:
    """A chunk whose choices are empty, as Azure sends first (with the prompt's filter results)."""
    body = {"id": "", "object": "", "created": 0, "model": "", "choices": [], "prompt_filter_results": []}
    return Event("", dumps(body))


CHAT = Operation(
    name="openai_chat",
    family=OPENAI,
    validate=validate,
    answer=answer,
    asks=asks,
    streaming=Streaming(events, error_events, lambda call: SSE, empty_event),
)
