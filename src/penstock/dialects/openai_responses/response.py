"""Responses of Responses: the answer object, its status and its usage, both ways.

`status` and `incomplete_details` are the stop reason: `Choice.stop_native` is the status, or the reason of an
incomplete answer. The object repeats the request (tools, temperature ...): that echo stays in the extras under
"(echo)", since it tells another dialect nothing. It is written anew, from the client's request, for answers of other
dialects.

Source: https://platform.openai.com/docs/api-reference/responses/object.
"""

from __future__ import annotations

from typing import Any

from msgspec.structs import replace

from penstock.dialects import wire
from penstock.dialects.dialect import Context
from penstock.dialects.leftovers import findings
from penstock.dialects.openai_responses.foreign import adapt
from penstock.dialects.openai_responses.foreign_response import adapt_answer, status_of
from penstock.dialects.openai_responses.messages import read_output, write_output
from penstock.dialects.openai_responses.request import NAME, write_settings
from penstock.dialects.openai_responses.tools import echo_tool
from penstock.dialects.openai_tiers import adapt_tier
from penstock.dialects.reported_cost import reported_cost
from penstock.dialects.wire import Field, Fields, leniently
from penstock.types.content import Part, Refusal, ToolCall
from penstock.types.errors import MalformedError
from penstock.types.notes import Memo, Note, Rendered
from penstock.types.profile import DEFAULT_PROFILE
from penstock.types.request import Request
from penstock.types.response import Choice, Response, StopReason
from penstock.types.usage import Usage

Body = dict[str, Any]

ECHO = "(echo)"
"""The key in `Response.extras` for the fields that repeat the request or never differ."""

ECHOED = frozenset(
    {
        "object",
        "background",
        "billing",
        "completed_at",
        "conversation",
        "frequency_penalty",
        "image",
        "instructions",
        "max_output_tokens",
        "max_tool_calls",
        "metadata",
        "parallel_tool_calls",
        "presence_penalty",
        "previous_response_id",
        "prompt",
        "prompt_cache_key",
        "prompt_cache_options",
        "prompt_cache_retention",
        "reasoning",
        "safety_identifier",
        "store",
        "temperature",
        "text",
        "tool_choice",
        "tool_usage",
        "tools",
        "top_logprobs",
        "top_p",
        "truncation",
        "user",
    }
)

STATUSES: dict[str, StopReason | None] = {
    "completed": "stop",
    "failed": "error",
    "cancelled": "stop",
    "incomplete": "length",
    "in_progress": None,
    "queued": None,
}
REASONS: dict[str, StopReason] = {
    "max_output_tokens": "length",
    "max_tokens": "length",
    "content_filter": "content_filter",
}
"""`incomplete_details.reason`. Others (`max_messages`, `steered`) end a turn that may go on: "pause"."""

COUNTS: wire.Counts = {
    "input_tokens": "input_tokens",
    "output_tokens": "output_tokens",
    "total_tokens": "total_tokens",
    "input_tokens_details": {
        "cached_tokens": "cache_read_tokens",
        "cache_write_tokens": "cache_write_tokens",
        "text_tokens": "input_text_tokens",
        "audio_tokens": "input_audio_tokens",
        "image_tokens": "input_image_tokens",
        "video_tokens": "input_video_tokens",
    },
    "output_tokens_details": {
        "reasoning_tokens": "reasoning_tokens",
        "text_tokens": "output_text_tokens",
        "audio_tokens": "output_audio_tokens",
        "image_tokens": "output_image_tokens",
        "accepted_prediction_tokens": "accepted_prediction_tokens",
        "rejected_prediction_tokens": "rejected_prediction_tokens",
    },
}


def _read_usage(value: Any) -> Usage:
    """`usage`. Some hosts say what they charge."""
    values, left = wire.read_counts(wire.obj(value), COUNTS)
    cost = reported_cost(left) if left else None
    if cost is not None:
        values["cost"] = cost
    return Usage(**values, extras=left or None)


def write_usage(usage: Usage) -> Body:
    """`usage` again."""
    found = wire.write_counts(_counts_of(usage), COUNTS)
    if usage.cost is not None and reported_cost(usage.extras or {}) is None:
        found["cost"] = _number(usage.cost)
    return wire.deep_merge(usage.extras, found)


def _number(text: str) -> int | float:
    return int(text) if text.lstrip("-").isdigit() else float(text)


_counts_of = wire.counts_of(wire.count_names(COUNTS))

FIELDS = Fields(
    Field("id", leniently(wire.string)),
    Field("model", leniently(wire.string)),
    Field("created_at", leniently(wire.number), "created"),
    Field("output", read_output),
    Field("usage", leniently(_read_usage)),
    Field("service_tier", leniently(wire.string)),
)


def read_response(value: Any, memo: Memo) -> Response:
    """A whole answer. A 200 that holds only an error is not one: MalformedError says so."""
    body = wire.obj(value)
    if not isinstance(body.get("output"), list):
        raise MalformedError("a list of output items is missing", "output")
    return read_snapshot(body, memo)


def read_snapshot(body: Body, memo: Memo) -> Response:
    """A response object as a stream's events hold it: perhaps without output yet."""
    found = FIELDS.read(body)
    parts: tuple[Part, ...] | None = found.pop("output", None)
    extras: Body = found.pop("extras", {})
    if parts is not None:
        found["choices"] = (_choice(rename_calls(parts, memo), extras),)
    _read_tool_usage(extras, found)
    echo = {key: extras.pop(key) for key in ECHOED & extras.keys()}
    if echo:
        extras[ECHO] = echo
    return Response(dialect=NAME, **found, extras=extras or None)


def rename_calls(parts: tuple[Part, ...], memo: Memo) -> tuple[Part, ...]:
    """`parts` with the names that the caller gave to the tools."""
    names = memo.tool_names
    if not names:
        return parts
    return tuple(
        replace(part, name=names[part.name]) if isinstance(part, ToolCall) and part.name in names else part
        for part in parts
    )


def _choice(parts: tuple[Part, ...], extras: Body) -> Choice:
    """The answer, with its stop reason out of `extras`: `status` and the reason in `incomplete_details`."""
    status, details = extras.get("status"), extras.get("incomplete_details")
    if not isinstance(status, str) or status not in STATUSES:
        return Choice(parts)
    del extras["status"]
    if not isinstance(details, dict) or status != "incomplete":
        return Choice(parts, _stop_reason(status, parts), status)
    reason = details.get("reason")
    if not isinstance(reason, str) or reason in STATUSES:
        return Choice(parts, _stop_reason(status, parts), status)
    left = {key: value for key, value in extras.pop("incomplete_details").items() if key != "reason"}
    if left:
        extras["incomplete_details"] = left
    return Choice(parts, REASONS.get(reason, "pause"), reason)


def _stop_reason(status: str, parts: tuple[Part, ...]) -> StopReason | None:
    """The unified word. A completed answer that calls the caller's tools waits for them."""
    if status == "completed":
        kinds = {type(part) for part in parts}
        if ToolCall in kinds:
            return "tool_calls"
        if Refusal in kinds:
            return "refusal"
    return STATUSES[status]


def _read_tool_usage(extras: Body, found: Body) -> None:
    """How often the web was searched, where OpenAI counts it for us. The object itself stays in the echo."""
    counts = extras.get("tool_usage")
    searches = counts.get("web_search") if isinstance(counts, dict) else None
    number = searches.get("num_requests") if isinstance(searches, dict) else None
    if type(number) is int and "usage" in found:
        found["usage"] = replace(found["usage"], server_tool_calls={"web_search": number})


def render_response(response: Response, context: Context) -> Rendered[Body]:
    """The answer object, for a client of Responses."""
    if response.dialect == NAME:
        body = write_response(response)
        if context.model is not None:
            body["model"] = context.model
        return Rendered(body)
    notes = [*findings("", response.extras)]
    seed = response.id or context.id
    choice = response.choices[0] if response.choices else None
    output = write_output(adapt_answer(response, seed, notes))
    body = {
        **envelope(response.id, response.created, response.model, context),
        **state(*status_of(choice, notes), None if choice is None else choice.stop_native),
        "output": output,
    }
    body |= measures(response, notes)
    if body["status"] == "incomplete" and output and "status" in output[-1]:
        output[-1]["status"] = "incomplete"
    return Rendered(body, tuple(notes))


def measures(response: Response, notes: list[Note]) -> Body:
    found: Body = {"usage": None if response.usage is None else complete_usage(response.usage, notes)}
    tier = adapt_tier(response.service_tier, notes)
    return found if tier is None else {**found, "service_tier": tier}


def complete_usage(usage: Usage, notes: list[Note]) -> Body:
    """Another dialect's usage with all the counts that clients require."""
    notes += findings("usage", usage.extras)
    given, written = usage.input_tokens or 0, usage.output_tokens or 0
    filled = replace(
        usage,
        input_tokens=given,
        output_tokens=written,
        total_tokens=given + written if usage.total_tokens is None else usage.total_tokens,
        cache_read_tokens=usage.cache_read_tokens or 0,
        cache_write_tokens=usage.cache_write_tokens or 0,
        reasoning_tokens=usage.reasoning_tokens or 0,
        extras=None,
    )
    return write_usage(filled)


def state(status: str, reason: str | None = None, native: str | None = None, error: Body | None = None) -> Body:
    """The fields that say how far the answer is."""
    if status == "failed" and error is None:
        error = {"code": "server_error", "message": f"the provider failed midway ({native or 'error'})"}
    return {
        "status": status,
        "error": error,
        "incomplete_details": None if reason is None else {"reason": reason},
    }


_DEFAULTS: Body = {
    "background": False,
    "instructions": None,
    "max_output_tokens": None,
    "max_tool_calls": None,
    "metadata": {},
    "parallel_tool_calls": True,
    "previous_response_id": None,
    "prompt_cache_key": None,
    "safety_identifier": None,
    "service_tier": "default",
    "store": False,
    "temperature": 1.0,
    "tool_choice": "auto",
    "tools": [],
    "top_logprobs": 0,
    "top_p": 1.0,
    "truncation": "disabled",
    "user": None,
}
"""What the API echoes where the request said nothing. `store` is false, since nobody stored the answer of another
provider.
"""


def envelope(response_id: str | None, created: int | float | None, model: str | None, context: Context) -> Body:
    """Everything of an answer to `context.request` but its state, output and usage."""
    return {
        "id": response_id or context.id,
        "object": "response",
        "created_at": int(created or context.created),
        "model": context.model or model or "",
        **_DEFAULTS,
        **_echo(context.request),
    }


def _echo(request: Request | None) -> Body:
    """What the request said, as the answer repeats it."""
    if request is None:
        return {"reasoning": {"effort": None, "summary": None}, "text": {"format": {"type": "text"}}}
    if request.dialect != NAME:
        request = adapt(request, DEFAULT_PROFILE, [])[0]
    settings = write_settings(request)
    found = {key: settings[key] for key in _DEFAULTS if settings.get(key) is not None}
    if request.tools:
        found["tools"] = [echo_tool(tool) for tool in found["tools"]]
    text, reasoning = settings.get("text"), settings.get("reasoning")
    found["text"] = {"format": {"type": "text"}, **(text if isinstance(text, dict) else {})}
    found["reasoning"] = {"effort": None, "summary": None, **(reasoning or {})}
    if found.get("service_tier") == "auto":
        del found["service_tier"]
    conversation = settings.get("conversation")
    if conversation is not None:
        found["conversation"] = {"id": conversation} if isinstance(conversation, str) else conversation
    return found


def write_response(response: Response) -> Body:
    """The object of this dialect's own response, exactly."""
    extras = dict(response.extras or {})
    body: Body = {**extras.pop(ECHO, {}), **extras}
    for name, key in (("id", "id"), ("model", "model"), ("created", "created_at"), ("service_tier", "service_tier")):
        value = getattr(response, name)
        if value is not None:
            body[key] = value
    if response.usage is not None:
        body["usage"] = write_usage(response.usage)
        _write_tool_usage(response.usage, body)
    for choice in response.choices[:1]:
        body["output"] = write_output(choice.parts)
        _write_stop(choice, body)
    return body


def _write_stop(choice: Choice, body: Body) -> None:
    native = choice.stop_native
    if native is None:
        return
    if native in STATUSES:
        body["status"] = native
    else:
        body["status"] = "incomplete"
        body["incomplete_details"] = {**(body.get("incomplete_details") or {}), "reason": native}


def _write_tool_usage(usage: Usage, body: Body) -> None:
    number = (usage.server_tool_calls or {}).get("web_search")
    if number is not None and "tool_usage" in body:
        body["tool_usage"] = wire.deep_merge(body["tool_usage"], {"web_search": {"num_requests": number}})
