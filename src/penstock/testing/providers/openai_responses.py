"""OpenAI Responses: POST /v1/responses, whole and streamed, and the stored responses around it.

A response is a list of output items: reasoning, messages, function calls. A stream tells each item's life: added, its
parts and their deltas, done; every event is numbered, and the first and last carry the whole response object. There is
no [DONE]. Source: OpenAI API reference, "Responses" and "Streaming events".
"""

from collections.abc import Iterator, Mapping
from itertools import count

from penstock.testing.providers.framing import SSE
from penstock.testing.providers.openai_chat import last_text
from penstock.testing.providers.openai_family import OPENAI, describe, invalid
from penstock.testing.providers.openai_responses_rules import items, validate, validate_count
from penstock.testing.providers.script import (
    Part,
    ProviderError,
    RedactedThinking,
    Refusal,
    Text,
    Thinking,
    ToolCall,
    Usage,
    UsagePlace,
)
from penstock.testing.providers.wire import (
    JSON,
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
    text_pieces,
    typed_event,
)

# --- reading ---------------------------------------------------------------------------------------------------------


def asks(call: Call) -> Ask:
    """What a request asks for."""
    body = call.body
    choice = body.get("tool_choice")
    wanted = (body.get("text") or {}).get("format") or {}
    messages = [item for item in items(body) if "role" in item]
    return Ask(
        model=str(body.get("model", "")),
        stream=bool(body.get("stream")),
        said=last_text(messages),
        size=_input_size(body),
        tools={
            tool["name"]: tool.get("parameters") or {}
            for tool in body.get("tools") or []
            if tool.get("type") == "function" and "name" in tool
        },
        must_call=choice.get("name") if isinstance(choice, dict) else "*" if choice == "required" else None,
        schema=wanted.get("schema"),
        wants_json=wanted.get("type") == "json_object",
    )


def _input_size(body: JSON) -> int:
    return estimate([body.get("instructions") or "", body.get("input") or "", body.get("tools") or []])


# --- the response object ---------------------------------------------------------------------------------------------


def answer(turn: Turn, call: Call) -> Body:
    """The whole response, which is also kept, so that it can be named by a later request."""
    return json_body(_keep(_response(turn, call, "final"), call))


def _keep(response: JSON, call: Call) -> JSON:
    if call.body.get("store") is not False:
        call.world.remember(response, items(call.body))
    return response


def _response(turn: Turn, call: Call, moment: str) -> JSON:
    body = call.body
    final = moment == "final"
    cut = {"length": "max_output_tokens", "content_filter": "content_filter"}.get(turn.stop)
    status = ("incomplete" if cut else "completed") if final else "in_progress"
    text = body.get("text") or {}
    return {
        "id": turn.id or f"resp_sim{call.number:045d}",
        "object": "response",
        "created_at": call.created,
        "status": status,
        "background": bool(body.get("background")),
        "completed_at": call.created if final and not cut else None,
        "error": None,
        "frequency_penalty": 0.0,
        "incomplete_details": {"reason": cut} if final and cut else None,
        "instructions": body.get("instructions"),
        "max_output_tokens": body.get("max_output_tokens"),
        "max_tool_calls": body.get("max_tool_calls"),
        "model": turn.model,
        "output": output_items(turn, call) if final else [],
        "parallel_tool_calls": body.get("parallel_tool_calls") is not False,
        "presence_penalty": 0.0,
        "previous_response_id": body.get("previous_response_id"),
        "prompt_cache_key": body.get("prompt_cache_key"),
        "reasoning": {"effort": None, "summary": None} | (body.get("reasoning") or {}),
        "safety_identifier": body.get("safety_identifier"),
        "service_tier": "default" if final else "auto",
        "store": body.get("store") is not False,
        "temperature": body.get("temperature", 1.0),
        "text": {"format": text.get("format") or {"type": "text"}, "verbosity": text.get("verbosity") or "medium"},
        "tool_choice": body.get("tool_choice", "auto"),
        "tools": body.get("tools") or [],
        "top_logprobs": body.get("top_logprobs") or 0,
        "top_p": body.get("top_p", 1.0),
        "truncation": body.get("truncation") or "disabled",
        "usage": usage_object(turn.usage) if final and turn.reports_usage else None,
        "user": body.get("user"),
        "metadata": body.get("metadata") or {},
    }


def usage_object(usage: Usage) -> JSON:
    """A usage object: its counts include what was cached and what was reasoned."""
    return {
        "input_tokens": usage.input_tokens,
        "input_tokens_details": {"cached_tokens": usage.cached_tokens},
        "output_tokens": usage.output_tokens,
        "output_tokens_details": {"reasoning_tokens": usage.reasoning_tokens},
        "total_tokens": usage.input_tokens + usage.output_tokens,
    }


def output_items(turn: Turn, call: Call) -> list[JSON]:
    """The output items of a turn, in order."""
    return [_item(index, part, turn, call) for index, part in enumerate(turn.parts)]


def _item_id(prefix: str, index: int, call: Call) -> str:
    return f"{prefix}_sim{call.number:040d}{index:02d}"


def _item(index: int, part: Part, turn: Turn, call: Call) -> JSON:
    status = "incomplete" if turn.stop == "length" and index == len(turn.parts) - 1 else "completed"
    match part:
        case ToolCall():
            return {
                "id": _item_id("fc", index, call),
                "type": "function_call",
                "status": status,
                "arguments": part.arguments_text(),
                "call_id": part.id or f"call_sim{call.number:012d}{index:02d}",
                "name": part.name,
            }
        case Thinking() | RedactedThinking():
            return _reasoning_item(index, part, call)
        case _:
            content = [_content_part(part)]
            kind = {"id": _item_id("msg", index, call), "type": "message", "status": status}
            return {**kind, "content": content, "role": "assistant"}


def _reasoning_item(index: int, part: Thinking | RedactedThinking, call: Call) -> JSON:
    shown = isinstance(part, Thinking)
    text = part.text if isinstance(part, Thinking) else "withheld"
    item: JSON = {
        "id": _item_id("rs", index, call),
        "type": "reasoning",
        "summary": [{"type": "summary_text", "text": text}] if shown else [],
    }
    if "reasoning.encrypted_content" in (call.body.get("include") or []) or not shown:
        wanted = part.signature if isinstance(part, Thinking) else part.data
        item["encrypted_content"] = call.world.sign("openai", text, wanted)
    return item


def _content_part(part: Part) -> JSON:
    if isinstance(part, Refusal):
        return {"type": "refusal", "refusal": part.text}
    text = part.text if isinstance(part, Text) else ""
    return {"type": "output_text", "annotations": [], "logprobs": [], "text": text}


# --- streaming -------------------------------------------------------------------------------------------------------


def events(turn: Turn, call: Call) -> list[Event]:
    """The events of the stream, numbered."""
    turn.refuse_places(
        "OpenAI Responses",
        UsagePlace.EVERY_EVENT,
        UsagePlace.FIRST_EVENT,
        UsagePlace.EMPTY_CHOICES,
        UsagePlace.X_GROQ,
        UsagePlace.TWICE,
    )
    numbers = count()
    return [
        Event(value["type"], dumps({**value, "sequence_number": next(numbers)})) for value in _event_values(turn, call)
    ]


def _event_values(turn: Turn, call: Call) -> Iterator[JSON]:
    begun = _response(turn, call, "begun")
    yield {"type": "response.created", "response": begun}
    yield {"type": "response.in_progress", "response": begun}
    for index, part in enumerate(turn.parts):
        yield from _item_events(index, part, turn, call)
    final = _keep(_response(turn, call, "final"), call)
    kind = "response.incomplete" if final["status"] == "incomplete" else "response.completed"
    yield {"type": kind, "response": final}


_BLANK: Mapping[str, JSON] = {
    "message": {"content": []},
    "reasoning": {"summary": []},
    "function_call": {"arguments": ""},
}


def _item_events(index: int, part: Part, turn: Turn, call: Call) -> Iterator[JSON]:
    item = _item(index, part, turn, call)
    at = {"item_id": item["id"], "output_index": index}
    blank = _BLANK[item["type"]]
    status = {"status": "in_progress"} if "status" in item else {}
    yield {"type": "response.output_item.added", "output_index": index, "item": {**item, **blank, **status}}
    match part:
        case ToolCall():
            for piece in argument_pieces(part):
                yield {"type": "response.function_call_arguments.delta", **at, "delta": piece}
            yield {"type": "response.function_call_arguments.done", **at, "arguments": item["arguments"]}
        case Thinking():
            yield from _summary_events(part, at)
        case Text() | Refusal():
            yield from _content_events(part, at)
    yield {"type": "response.output_item.done", "output_index": index, "item": item}


def _summary_events(part: Thinking, at: JSON) -> Iterator[JSON]:
    where = {**at, "summary_index": 0}
    whole = {"type": "summary_text", "text": part.text}
    yield {"type": "response.reasoning_summary_part.added", **where, "part": {**whole, "text": ""}}
    for piece in text_pieces(part):
        yield {"type": "response.reasoning_summary_text.delta", **where, "delta": piece}
    yield {"type": "response.reasoning_summary_text.done", **where, "text": part.text}
    yield {"type": "response.reasoning_summary_part.done", **where, "part": whole}


def _content_events(part: Text | Refusal, at: JSON) -> Iterator[JSON]:
    where = {**at, "content_index": 0}
    whole = _content_part(part)
    field = "refusal" if isinstance(part, Refusal) else "text"
    kind = "refusal" if isinstance(part, Refusal) else "output_text"
    extra: JSON = {} if isinstance(part, Refusal) else {"logprobs": []}
    pieces = text_pieces(part if isinstance(part, Text) else Text(part.text))
    yield {"type": "response.content_part.added", **where, "part": {**whole, field: ""}}
    for piece in pieces:
        yield {"type": f"response.{kind}.delta", **where, "delta": piece, **extra}
    yield {"type": f"response.{kind}.done", **where, field: part.text, **extra}
    yield {"type": "response.content_part.done", **where, "part": whole}


def error_events(error: ProviderError, call: Call) -> list[Event]:
    """The error in a stream that has begun: an `error` event, then the response as failed.

    The reference documents the event's fields at its top level; the live service nests them under `error`, and so does
    this.
    """
    kind, code, message = describe(error)
    code = code or "server_error"
    failed: JSON = {
        "id": f"resp_sim{call.number:045d}",
        "object": "response",
        "created_at": call.created,
        "status": "failed",
        "error": {"code": code, "message": message},
        "model": call.body.get("model"),
        "output": [],
        "parallel_tool_calls": True,
        "tool_choice": "auto",
        "tools": [],
        "usage": None,
    }
    fields = {"type": kind, "code": code, "message": message, "param": error.param}
    said = {"type": "error", "sequence_number": 1000, "error": fields}
    ended = {"type": "response.failed", "response": failed, "sequence_number": 1001}
    return [Event("error", dumps(said)), Event("response.failed", dumps(ended))]


# --- stored responses ------------------------------------------------------------------------------------------------


def _stored(call: Call) -> ProviderError | None:
    wanted = call.param("response_id")
    if wanted in call.world.responses:
        return None
    text = f"Response with id '{wanted}' not found."
    return ProviderError(404, text, type="invalid_request_error", code="", param=None)


def _retrieve(turn: Turn, call: Call) -> Body:
    return json_body(call.world.responses[call.param("response_id")])


def _delete(turn: Turn, call: Call) -> Body:
    name = call.param("response_id")
    del call.world.responses[name], call.world.inputs[name]
    return json_body({"id": name, "object": "response", "deleted": True})


def _cancel(turn: Turn, call: Call) -> Body:
    response = call.world.responses[call.param("response_id")]
    return json_body({**response, "status": "cancelled"})


def _cancellable(call: Call) -> ProviderError | None:
    if error := _stored(call):
        return error
    if not call.world.responses[call.param("response_id")]["background"]:
        return invalid("Cannot cancel a synchronous response.")
    return None


def _list_input(turn: Turn, call: Call) -> Body:
    given = call.world.inputs[call.param("response_id")]
    listed = [{"id": f"item_sim{i}", "type": "message", **item} for i, item in enumerate(given)]
    ends = {"first_id": listed[0]["id"], "last_id": listed[-1]["id"]} if listed else {"first_id": None, "last_id": None}
    return json_body({"object": "list", "data": listed, **ends, "has_more": False})


def _count(turn: Turn, call: Call) -> Body:
    return json_body({"object": "response.input_tokens", "input_tokens": _input_size(call.body)})


RESPONSES = Operation(
    name="openai_responses",
    family=OPENAI,
    validate=validate,
    answer=answer,
    asks=asks,
    streaming=Streaming(events, error_events, lambda call: SSE, lambda call: Event("", b"{}"), typed_event),
)
RETRIEVE = Operation("openai_responses.retrieve", OPENAI, _stored, _retrieve)
DELETE = Operation("openai_responses.delete", OPENAI, _stored, _delete)
CANCEL = Operation("openai_responses.cancel", OPENAI, _cancellable, _cancel)
LIST_INPUT = Operation("openai_responses.input_items", OPENAI, _stored, _list_input)
COUNT = Operation("openai_responses.input_tokens", OPENAI, validate_count, _count)
