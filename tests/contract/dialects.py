"""The contract of a dialect: checks that every one must pass, as functions that take it.

    exactness     what is parsed is rendered again, to the last null (`assert_request_exact` ...)
    honesty       a field or part of another dialect shows in the output or in a note (`assert_fields_accounted` ...)
    robustness    any JSON, any bytes: DialectError, and nothing else (`assert_only_dialect_errors` ...)

The values of `EVERY_FIELD` and `EVERY_PART` are of a dialect that nobody speaks, "contract", so that each renderer
must treat them as foreign.
"""

from __future__ import annotations

import base64
import copy
import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from msgspec.structs import replace

from penstock.conformance.compare import first_difference
from penstock.dialects import aws_event_stream
from penstock.dialects.aws_event_stream import AwsEventStream
from penstock.dialects.dialect import Context, Dialect, PathMatch
from penstock.dialects.framing import FrameParser, JsonLines, ServerSentEvents
from penstock.types.content import (
    Base64,
    Blocks,
    Cache,
    Citation,
    FileId,
    Json,
    Media,
    Opaque,
    Part,
    PlainText,
    Refusal,
    ServerToolCall,
    ServerToolResult,
    Signature,
    Text,
    Thinking,
    TokenLogprob,
    ToolCall,
    ToolResult,
    Url,
)
from penstock.types.errors import DialectError
from penstock.types.fold import fold
from penstock.types.notes import NO_MEMO, Note
from penstock.types.profile import DEFAULT_PROFILE, Profile
from penstock.types.request import Message, Reasoning, Request, ResponseFormat, Role, Tool, ToolChoice
from penstock.types.response import Choice, Response
from penstock.types.stream import StreamEvent

NOBODY = "contract"
NO_MATCH = PathMatch()

# -- recorded exchanges ------------------------------------------------------------------------------------------------


def recorded(folder: Path, dialect: Dialect) -> Iterator[tuple[dict[str, Any], PathMatch]]:
    """Every recorded exchange whose path the dialect claims, with what the path says; one there must be."""
    found = 0
    for file in sorted(folder.glob("*.jsonl")):
        with file.open(encoding="utf-8") as lines:
            for line in lines:
                exchange = json.loads(line)
                match = dialect.match_path(exchange["request"]["path"])
                if match is not None:
                    found += 1
                    yield exchange, match
    assert found or dialect.name in UNRECORDED, f"no recording is of {dialect.name}: a test of them would check nothing"


UNRECORDED = ("ollama_chat",)
"""Dialects of which the shared references hold no exchange."""


# -- exactness ---------------------------------------------------------------------------------------------------------


def assert_request_exact(dialect: Dialect, wire: Any, match: PathMatch = NO_MATCH, where: str = "") -> None:
    """Parse, render: the same JSON, nothing noted, and neither object changed on the way."""
    before = copy.deepcopy(wire)
    request = dialect.parse_request(wire, match)
    assert wire == before, f"{where}: the parser changed its input"
    kept = copy.deepcopy(request)
    rendered = dialect.render_request(request, DEFAULT_PROFILE)
    assert request == kept, f"{where}: the renderer changed the request"
    assert first_difference(wire, rendered.value) is None, where
    assert rendered.notes == (), where


def assert_response_exact(dialect: Dialect, wire: Any, where: str = "") -> None:
    """As `assert_request_exact`, for a whole answer."""
    before = copy.deepcopy(wire)
    response = dialect.parse_response(wire, NO_MEMO)
    assert wire == before, f"{where}: the parser changed its input"
    rendered = dialect.render_response(response, Context())
    assert first_difference(wire, rendered.value) is None, where
    assert rendered.notes == (), where


def assert_error_exact(dialect: Dialect, status: int, wire: Any, where: str = "") -> None:
    """An error comes back with its status and body."""
    error = dialect.parse_error(status, {}, json.dumps(wire).encode())
    assert dialect.render_error(error) == (status, wire), where


def assert_stream_exact(dialect: Dialect, data: bytes, where: str = "") -> None:
    """A stream comes back frame by frame."""
    rendered = frames(dialect, render_events(dialect, parse_stream(dialect, data), dialect.name))
    assert first_difference([*map(list, frames(dialect, data))], [*map(list, rendered)]) is None, where


def parse_stream(dialect: Dialect, data: bytes, sizes: Sequence[int] = ()) -> list[StreamEvent]:
    """The events of a stream, its bytes handed over in pieces of the given sizes (and the rest at once)."""
    parser = dialect.stream_parser(NO_MEMO)
    events: list[StreamEvent] = []
    position = 0
    for size in sizes:
        events += parser.feed(data[position : position + size])
        position += size
    return events + parser.feed(data[position:]) + parser.close()


def render_events(dialect: Dialect, events: Sequence[StreamEvent], source: str) -> bytes:
    """The bytes of events that were parsed from dialect `source`."""
    renderer = dialect.stream_renderer(Context(source=source))
    return b"".join([renderer.render(event) for event in events]) + renderer.close()


def frames(dialect: Dialect, data: bytes) -> list[tuple[str | None, Any]]:
    """(event name, decoded payload) of each frame."""
    parser = _FRAMINGS.get(dialect.stream_media_type, ServerSentEvents)()
    found = parser.feed(data) + parser.close()
    return [(frame.event, _decoded(frame.data)) for frame in found]


_FRAMINGS: dict[str, Callable[[], FrameParser]] = {
    "text/event-stream": ServerSentEvents,
    "application/x-ndjson": JsonLines,
    aws_event_stream.MEDIA_TYPE: AwsEventStream,
}


def _decoded(data: bytes) -> Any:
    try:
        return json.loads(data)
    except ValueError:
        return data


def assert_splits_agree(dialect: Dialect, data: bytes, sizes: Sequence[int]) -> None:
    """Any split of the bytes gives the same events."""
    assert parse_stream(dialect, data, sizes) == parse_stream(dialect, data)


def folded(dialect: Dialect, data: bytes) -> Response:
    """What a stream adds up to."""
    return fold(parse_stream(dialect, data), dialect.name)


# -- honesty -----------------------------------------------------------------------------------------------------------

PIXEL = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNkYPhfDwAChwGA60e6kgAAAABJRU5ErkJggg=="
SCHEMA: dict[str, Any] = {
    "type": "object",
    "properties": {"city": {"type": "string"}},
    "required": ["city"],
    "additionalProperties": False,
}
TOOLS = (
    Tool("look_up", description="Look it up", parameters=SCHEMA),
    Tool("put.down", description="Put it down", parameters=SCHEMA),
)

EVERY_FIELD: dict[str, Any] = {
    "system": (Text("Be brief."),),
    "tools": TOOLS,
    "tool_choice": ToolChoice("required"),
    "parallel_tool_calls": False,
    "max_tokens": 8000,
    "temperature": 0.25,
    "top_p": 0.75,
    "top_k": 40,
    "stop": ("END",),
    "seed": 7,
    "presence_penalty": 0.5,
    "frequency_penalty": 0.5,
    "logit_bias": {"50256": -100},
    "logprobs": True,
    "top_logprobs": 3,
    "n": 2,
    "response_format": ResponseFormat("json_schema", SCHEMA, "answer"),
    "reasoning": Reasoning("medium"),
    "verbosity": "low",
    "modalities": ("text", "audio"),
    "audio": {"voice": "alloy", "format": "wav"},
    "service_tier": "flex",
    "user": "user-7",
    "safety_identifier": "safety-7",
    "prompt_cache_key": "cache-7",
    "prompt_cache_retention": "24h",
    "cache": Cache("1h"),
    "betas": ("beta-7",),
    "metadata": {"team": "blue"},
    "store": True,
    "stream": True,
    "extras": {"only_there": 1},
}
"""A value for every optional field of Request that asks for something (`stream_usage` and `spelling` ask for nothing of
the model).
"""

SAID_BY_OTHERS = {
    "parallel_tool_calls": {"tools"},
    "top_logprobs": {"logprobs"},
    "audio": {"modalities"},
    "safety_identifier": {"user"},
}
"""Fields that a renderer may merge into, or note under, another one."""


def foreign_request(**fields: Any) -> Request:
    """A request of a dialect that nobody speaks."""
    fields.setdefault("messages", (Message("user", (Text("Hello"),)),))
    return Request(dialect=NOBODY, model="model-7", **fields)


def assert_fields_accounted(dialect: Dialect, profile: Profile = DEFAULT_PROFILE) -> None:
    """Each field, on its own, changes the output or is noted; and so it is among all the others."""
    missing = [name for name in Request.__struct_fields__ if name not in EVERY_FIELD]
    assert missing == ["dialect", "model", "messages", "stream_usage", "spelling"]
    for name, value in EVERY_FIELD.items():
        needed = {"tools": TOOLS} if name in ("tool_choice", "parallel_tool_calls") else {}
        _assert_accounted(dialect, foreign_request(**needed, **{name: value}), name, profile)
    everything = foreign_request(**EVERY_FIELD)
    for name in EVERY_FIELD:
        _assert_accounted(dialect, everything, name, profile)


def _assert_accounted(dialect: Dialect, request: Request, name: str, profile: Profile) -> None:
    if name == "stream" and dialect.path("model-7", True) != dialect.path("model-7", False):
        return  # the path says it
    said = dialect.render_request(request, profile)
    silent = dialect.render_request(replace(request, **{name: None}), profile)
    paths = {name, *SAID_BY_OTHERS.get(name, ()), *(EVERY_FIELD["extras"] if name == "extras" else ())}
    noted = any(_concerns(note, path) for note in said.notes for path in paths)
    assert said.value != silent.value or noted, f"{name} was neither said nor noted"


def _concerns(note: Note, path: str) -> bool:
    return note.path == path or note.path.startswith((f"{path}.", f"{path}["))


MARK = Cache()
EVERY_PART: dict[str, tuple[Role, Part]] = {
    "text": ("user", Text("words")),
    "text cache": ("user", Text("words", cache=MARK)),
    "text citations": ("assistant", Text("words", citations=(Citation("https://example.com/a", "A", "cited"),))),
    "text logprobs": ("assistant", Text("words", logprobs=(TokenLogprob("words", -0.5),))),
    "text signature": ("assistant", Text("words", signature=Signature("c2ln", "gemini"))),
    "text extras": ("user", Text("words", extras={"only_there": 1})),
    "thinking": ("assistant", Thinking("thoughts")),
    "thinking of Anthropic": ("assistant", Thinking("thoughts", signature=Signature("c2ln", "anthropic"))),
    "thinking of Gemini": ("assistant", Thinking("thoughts", signature=Signature("c2ln", "gemini"))),
    "thinking of OpenAI": ("assistant", Thinking(summary=("a", "b"), signature=Signature("c2ln", "openai"), id="rs_1")),
    "thinking withheld": ("assistant", Thinking(signature=Signature("c2ln", "anthropic"), redacted=True)),
    "refusal": ("assistant", Refusal("I will not.")),
    "image": ("user", Media("image", Base64(PIXEL), "image/png")),
    "image of unknown type": ("user", Media("image", Base64(PIXEL))),
    "image url": ("user", Media("image", Url("https://example.com/a.png"))),
    "image file": ("user", Media("image", FileId("file-1"))),
    "image detail": ("user", Media("image", Url("https://example.com/a.png"), detail="low")),
    "image cache": ("user", Media("image", Url("https://example.com/a.png"), cache=MARK)),
    "image of the assistant": ("assistant", Media("image", Base64(PIXEL), "image/png")),
    "audio": ("user", Media("audio", Base64("UklGRg=="), "audio/wav")),
    "audio of the assistant": ("assistant", Media("audio", None, transcript="spoken", id="audio_1")),
    "video": ("user", Media("video", Url("https://example.com/a.mp4"), "video/mp4")),
    "pdf": ("user", Media("file", Base64("JVBERi0xLjQ="), "application/pdf", "a.pdf")),
    "pdf url": ("user", Media("file", Url("https://example.com/a.pdf"), "application/pdf")),
    "file": ("user", Media("file", FileId("file-1"))),
    "text file": ("user", Media("file", Base64("d29yZHM="), "text/plain", "a.txt")),
    "plain text": ("user", Media("file", PlainText("words"), "text/plain", "a")),
    "blocks": ("user", Media("file", Blocks((Text("words"), Text("more"))), name="a")),
    "plain text told": ("user", Media("file", PlainText("words"), "text/plain", "a", context="From 1999.", cite=True)),
    "pdf told": ("user", Media("file", Base64("JVBERi0xLjQ="), "application/pdf", "a.pdf", context="Old.", cite=True)),
    "blocks told": ("user", Media("file", Blocks((Text("words"),)), name="a", context="From 1999.", cite=True)),
    "search result": ("user", Media("file", Blocks((Text("words"),)), name="a", cite=True, origin="shelf 7")),
    "json": ("user", Json({"city": "Paris"})),
    "tool call": ("assistant", ToolCall("call_1", "look_up", {"city": "Paris"})),
    "tool call text": ("assistant", ToolCall("call_1", "look_up", '{"city":"Paris"}')),
    "tool call cut": ("assistant", ToolCall("call_1", "look_up", '{"city":"Par')),
    "tool call custom": ("assistant", ToolCall("call_1", "write", "free words", custom=True)),
    "tool call signature": ("assistant", ToolCall("call_1", "look_up", {}, signature=Signature("c2ln", "gemini"))),
    "tool call cache": ("assistant", ToolCall("call_1", "look_up", {}, cache=MARK)),
    "tool result": ("tool", ToolResult("call_1", (Text("found"),), "look_up")),
    "tool result error": ("tool", ToolResult("call_1", (Text("found"),), is_error=True)),
    "tool result json": ("tool", ToolResult("call_1", (Json({"a": 1}),), "look_up")),
    "tool result image": ("tool", ToolResult("call_1", (Text("see"), Media("image", Base64(PIXEL), "image/png")))),
    "tool result document": (
        "tool",
        ToolResult("call_1", (Text("see"), Media("file", PlainText("words"), name="a", context="From 1999."))),
    ),
    "tool result found": (
        "tool",
        ToolResult("call_1", (Text("see"), Media("file", Blocks((Text("words"),)), name="a", origin="shelf 7"))),
    ),
    "tool result cache": ("tool", ToolResult("call_1", (Text("found"),), "look_up", cache=MARK)),
    "server call": ("assistant", ServerToolCall("s_1", "web_search", {"query": "q"})),
    "server result": ("assistant", ServerToolResult("s_1", "web_search", [{"url": "https://example.com"}])),
    "opaque": ("assistant", Opaque({"type": "only_there"}, native="only_there")),
}
"""Every kind of part with every tail, each in a message of the role that would say it."""


def request_with(role: Role, part: Part, *others: Part) -> Request:
    """A conversation in which `part` has its place: a call has its result, a result its call."""
    first = Message("user", (Text("Hello"),))
    if role == "tool":
        asked = Message("assistant", (ToolCall("call_1", "look_up", {}),))
        return foreign_request(messages=(first, asked, Message("tool", (part, *others)), first), tools=TOOLS)
    turn = Message(role, (part, *others))
    answered = isinstance(part, ToolCall)
    result = (
        (Message("tool", (ToolResult("call_1", (Text("found"),), part.name),)),) if isinstance(part, ToolCall) else ()
    )
    return foreign_request(messages=(first, turn, *result, first), tools=TOOLS if answered else None)


def assert_parts_accounted(dialect: Dialect, profile: Profile = DEFAULT_PROFILE) -> None:
    """Each part shows in the output or is noted; so does each of its tails."""
    for label, (role, part) in EVERY_PART.items():
        request = request_with(role, part, Text("beside")) if role != "tool" else request_with(role, part)
        place = "messages[2].parts[0]" if role == "tool" else "messages[1].parts[0]"
        said = dialect.render_request(request, profile)
        noted = any(_concerns(note, place) for note in said.notes)
        for lesser, other in _lessened(part):
            reduced = request_with(role, other, Text("beside")) if role != "tool" else request_with(role, other)
            assert noted or said.value != dialect.render_request(reduced, profile).value, f"{label}: {lesser} is lost"
        assert noted or _words_of(part) & _words(said.value), f"{label} was neither said nor noted"


def assert_bookkeeping_silent(dialect: Dialect) -> None:
    """What another dialect keeps for itself alone, under a key in parentheses, is no loss, wherever it lies."""
    own = {"(own)": {"status": "completed"}}
    text = Text("words", extras=own)
    request = foreign_request(messages=(Message("user", (text,), extras=own),), extras=own)
    assert not [note for note in dialect.render_request(request, DEFAULT_PROFILE).notes if "(own)" in note.path]
    response = Response(dialect=NOBODY, id="r", choices=(Choice((text,), "stop", extras=own),), extras=own)
    assert not [note for note in dialect.render_response(response, Context()).notes if "(own)" in note.path]


def _lessened(part: Part) -> Iterator[tuple[str, Part]]:
    """The part without each of its tails."""
    for name in _TAILS:
        if getattr(part, name, None) is not None:
            yield name, replace(part, **{name: None})
    if not isinstance(part, ToolResult):
        return
    for number, inner in enumerate(part.parts):
        for name, other in _lessened(inner):
            parts = [other if index == number else beside for index, beside in enumerate(part.parts)]
            yield f"parts[{number}].{name}", replace(part, parts=tuple(parts))


_TAILS = (
    "cache",
    "citations",
    "logprobs",
    "signature",
    "detail",
    "is_error",
    "extras",
    "transcript",
    "context",
    "cite",
    "origin",
)


def _words_of(part: Part) -> set[str]:
    """Strings of which at least one must be found where the part was said."""
    value = part.source if isinstance(part, Media) else part
    return _words(_builtin(value)) - {"look_up", "gemini", "anthropic", "openai", "ephemeral", "base64", "url", "text"}


def _builtin(value: Any) -> Any:
    from msgspec import to_builtins

    return to_builtins(value)


def _words(value: Any) -> set[str]:
    """Every string in a JSON value, in the JSON texts within, and in texts that are carried as base64."""
    if isinstance(value, str):
        found = {value, *value.split("\n\n"), *_unsealed(value)}
        inner = [_decoded(piece.encode()) for piece in found if piece[:1] in ("{", "[")]
        return found.union(*(_words(piece) for piece in inner if isinstance(piece, dict | list)))
    if isinstance(value, dict):
        return set().union(*(_words(key) | _words(inner) for key, inner in value.items())) if value else set()
    if isinstance(value, list | tuple):
        return set().union(*(_words(inner) for inner in value)) if value else set()
    return set()


def _unsealed(text: str) -> set[str]:
    try:
        return {base64.b64decode(text, validate=True).decode("ascii")}
    except ValueError:
        return set()


# -- robustness --------------------------------------------------------------------------------------------------------


def assert_only_dialect_errors(function: Callable[[], Any]) -> None:
    """The function returns, or raises DialectError."""
    with suppress(DialectError):
        function()


def assert_request_robust(dialect: Dialect, value: Any) -> None:
    """Any JSON value as a request: parsed and rendered, or refused."""
    assert_only_dialect_errors(
        lambda: dialect.render_request(dialect.parse_request(value, NO_MATCH), DEFAULT_PROFILE).value
    )


def assert_response_robust(dialect: Dialect, value: Any) -> None:
    """Any JSON value as an answer."""
    assert_only_dialect_errors(lambda: dialect.render_response(dialect.parse_response(value, NO_MEMO), Context()).value)


def assert_stream_robust(dialect: Dialect, data: bytes) -> None:
    """Any bytes as a stream: read, written again and folded, or refused."""

    def run() -> None:
        events = parse_stream(dialect, data)
        render_events(dialect, events, dialect.name)
        render_events(dialect, events, NOBODY)
        fold(events, dialect.name)

    assert_only_dialect_errors(run)


def assert_error_robust(dialect: Dialect, status: int, body: bytes) -> None:
    """Any body is an error body, and what it says can be said again."""
    error = dialect.parse_error(status, {}, body)
    assert error.message
    again, wire = dialect.render_error(error)
    assert again >= 400
    assert json.dumps(wire)


def mutations(value: Any, replacements: Sequence[Any]) -> Iterator[Any]:
    """Copies of a JSON value in which one place holds something else, or is gone."""
    for path in list(_places(value)):
        for other in replacements:
            changed, holder = _copied(value, path)
            holder[path[-1]] = other
            yield changed
        changed, holder = _copied(value, path)
        del holder[path[-1]]
        yield changed


def _places(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    steps = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for step, inner in steps:
        yield (*path, step)
        yield from _places(inner, (*path, step))


def _copied(value: Any, path: tuple[Any, ...]) -> tuple[Any, Any]:
    """(a copy, the object or list in it that holds the place)."""
    found = holder = copy.deepcopy(value)
    for step in path[:-1]:
        holder = holder[step]
    return found, holder
