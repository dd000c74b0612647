"""What a simulated provider is told to answer: values only, no I/O, no wire format.

A `Reply` says *what* the model said (parts, stop reason, usage) or which error it gave, *how* it travels (`Delivery`)
and *what goes wrong* on the way (faults). Each wire format module writes the same reply the way its provider writes it;
a script that asks for what a wire format cannot say gets a `ScriptError`, never a guess.

Replies are frozen: one reply may be scripted many times, and on many servers.
"""

import enum
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from itertools import pairwise
from typing import Any, Literal, TypeAlias

__all__ = [
    "Cut",
    "Delivery",
    "EmptyEvent",
    "ErrorEvent",
    "Fault",
    "Malformed",
    "NotJSON",
    "Part",
    "ProviderError",
    "RedactedThinking",
    "Refusal",
    "Reply",
    "ScriptError",
    "Stall",
    "Stop",
    "Structured",
    "Text",
    "Thinking",
    "ToolCall",
    "Truncated",
    "Usage",
    "UsagePlace",
]


class ScriptError(Exception):
    """A script asks for something that the wire format of the request cannot say. The test's author has to act."""


# --- what the model says ---------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Text:
    """Text of the answer. `pieces` are the exact strings that a stream sends; empty means: cut into words."""

    text: str
    pieces: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Thinking:
    """Reasoning that the provider shows. `signature` None means: one that this server knows when it returns."""

    text: str
    signature: str | None = None
    pieces: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class RedactedThinking:
    """Reasoning that the provider withholds: an opaque `data` that must come back unchanged."""

    data: str | None = None


@dataclass(frozen=True, slots=True)
class ToolCall:
    """A call of a client-side tool.

    `arguments` is a mapping, or a string that goes out as it is where the wire format carries text (so a test can send
    broken JSON). `id` None means: one in the provider's own form. `pieces` are the exact pieces of a streamed argument
    string; empty means: pieces of a few characters.
    """

    name: str
    arguments: Mapping[str, Any] | str = ""
    id: str | None = None
    pieces: tuple[str, ...] = ()

    def arguments_text(self) -> str:
        """The arguments as a JSON text (`{}` when none were given)."""
        return self.arguments or "{}" if isinstance(self.arguments, str) else compact(self.arguments)

    def arguments_value(self) -> Any:
        """The arguments as a value, for wire formats that carry an object; a ScriptError if the text is not JSON."""
        try:
            return json.loads(self.arguments_text())
        except ValueError as error:
            raise ScriptError(
                f"the arguments of tool call {self.name!r} are not JSON, and this wire format carries a JSON object: "
                "script them as a mapping, or use Reply.native(...)"
            ) from error


@dataclass(frozen=True, slots=True)
class Refusal:
    """The model declines, in the provider's own way of saying so."""

    text: str


@dataclass(frozen=True, slots=True)
class Structured:
    """A value that answers a structured-output request: JSON text, or the arguments of the tool that was forced."""

    value: Any


Part: TypeAlias = Text | Thinking | RedactedThinking | ToolCall | Refusal | Structured

Stop: TypeAlias = Literal["end", "length", "tool_calls", "content_filter", "stop_sequence", "refusal"]
"""Why the model stopped, in no provider's words; each wire format writes its own."""


# --- what it cost ----------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Usage:
    """Token counts. `input_tokens` counts everything read, cached and newly cached tokens included; `output_tokens`
    counts everything written, reasoning included. Each wire format subtracts where its provider does."""

    input_tokens: int
    output_tokens: int
    cached_tokens: int = 0
    cache_written_tokens: int = 0  # for five minutes, the default
    cache_written_1h_tokens: int = 0
    reasoning_tokens: int = 0
    audio_input_tokens: int = 0
    audio_output_tokens: int = 0

    @property
    def cache_written(self) -> int:
        """Tokens newly written to a cache, whatever its lifetime."""
        return self.cache_written_tokens + self.cache_written_1h_tokens


class UsagePlace(enum.Enum):
    """Where a stream carries its usage. `NATIVE` is where the provider documents it; the others are where servers have
    been seen to put it. A whole (not streamed) answer knows only NATIVE and MISSING."""

    NATIVE = "native"
    EVERY_EVENT = "every event, with the counts so far"
    FIRST_EVENT = "only the first event"
    LAST_EVENT = "the event that bears the stop reason"
    EMPTY_CHOICES = "a last event with no choices, asked for or not"
    X_GROQ = "x_groq of the event that bears the stop reason"
    TWICE = "the event that bears the stop reason, and again in one of its own"
    MISSING = "nowhere"


# --- errors ----------------------------------------------------------------------------------------------------------

ErrorKind: TypeAlias = Literal["context_window", "content_policy", "quota", "unknown_model", "bad_key"]


@dataclass(frozen=True, slots=True)
class ProviderError:
    """An error, which each wire format writes in its provider's own shape.

    `status` is the HTTP status. `kind` picks one of several errors that share a status (a 400 for too long a prompt, a
    400 for refused content). `message`, `type`, `code`, `param` and `details` override what the provider would say:
    `type` is OpenAI's and Anthropic's error type, Google's status word, or the name of the AWS exception.
    `retry_after` is in seconds, or a moment (with time zone) that goes out as an HTTP date.
    """

    status: int
    message: str | None = None
    kind: ErrorKind | None = None
    type: str | None = None
    code: str | None = None
    param: str | None = None
    details: tuple[Mapping[str, Any], ...] = ()
    retry_after: float | datetime | None = None


# --- what goes wrong on the way --------------------------------------------------------------------------------------
# `after` counts events of a stream that arrive whole and right before the fault. In an answer that is not streamed,
# where there are no events, a fault strikes in the middle of the body.


@dataclass(frozen=True, slots=True)
class Cut:
    """The connection closes without the end of the HTTP message.

    `inside` says where: between two events; in the middle of the next event's bytes; or in the middle of the first
    character outside ASCII that comes next. `reset` sends RST instead of FIN.
    """

    after: int = 1
    inside: Literal["boundary", "event", "character"] = "boundary"
    reset: bool = False


@dataclass(frozen=True, slots=True)
class Truncated:
    """The HTTP message ends properly, but the stream's own ending (stop reason, usage, terminator) never came."""

    after: int = 1


@dataclass(frozen=True, slots=True)
class Stall:
    """Nothing more comes: for `seconds`, after which the answer goes on, or (None) until the client leaves."""

    after: int = 1
    seconds: float | None = None


@dataclass(frozen=True, slots=True)
class Malformed:
    """The next event's JSON is cut short, in a frame that is whole."""

    after: int = 1


@dataclass(frozen=True, slots=True)
class NotJSON:
    """An event comes in between whose payload is no JSON at all."""

    after: int = 1
    payload: str = "upstream connect error or disconnect/reset before headers"


@dataclass(frozen=True, slots=True)
class EmptyEvent:
    """An event comes in between that is well-formed and carries nothing: no choices, no candidates, no delta."""

    after: int = 1


@dataclass(frozen=True, slots=True)
class ErrorEvent:
    """The provider's own error arrives inside a stream (or a body) that began with status 200, and ends it."""

    error: ProviderError
    after: int = 1


Fault: TypeAlias = Cut | Truncated | Stall | Malformed | NotJSON | EmptyEvent | ErrorEvent

NATIVE_TYPE = "native"


@dataclass(frozen=True, slots=True)
class Delivery:
    """How the answer's bytes travel. Every default is what the provider does. Times are in seconds.

    `writes`: one TCP write an event (what a client sees from a model that thinks between tokens), the whole answer in
    one write (cheapest, for benchmarks), or writes of so many bytes (1 splits every frame, line end and character).
    `comment` puts an SSE comment line (in JSON lines: an empty line) before every `comment_every`-th event.
    `content_type`: None sends none. `framing`: chunked, by Content-Length, or ended by closing the connection.
    """

    status: int | None = None
    headers: tuple[tuple[str, str], ...] = ()
    content_type: str | None = NATIVE_TYPE
    encoding: Literal["gzip", "deflate"] | None = None
    framing: Literal["chunked", "length", "close"] | None = None
    before_headers: float = 0.0
    before_first: float = 0.0
    between: float = 0.0
    writes: int | Literal["event", "whole"] = "event"
    line_end: Literal["\n", "\r\n", "\r"] = "\n"
    comment: str | None = None
    comment_every: int = 1


# --- a reply ---------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Reply:
    """One scripted answer. Build it with the class methods; change a copy with `reporting`, `stopping`, `delivered`,
    `with_faults` and `named`.

    >>> Reply.text("Hello").with_faults(Cut(after=2)).delivered(line_end="\\r\\n")
    """

    parts: tuple[Part, ...] = ()
    stop: Stop | None = None
    stop_sequence: str | None = None
    usage: Usage | None = None
    usage_place: UsagePlace = UsagePlace.NATIVE
    failure: ProviderError | None = None
    body: bytes | None = None
    events: tuple[bytes, ...] | None = None
    faults: tuple[Fault, ...] = ()
    delivery: Delivery = Delivery()
    model: str | None = None
    id: str | None = None

    @classmethod
    def of(cls, *parts: Part) -> "Reply":
        """An answer made of these parts, in this order. No parts: the provider answers without a choice."""
        return cls(parts=parts)

    @classmethod
    def text(cls, text: str, *, pieces: int | Sequence[str] | None = None) -> "Reply":
        """A text. `pieces`: how many events a stream needs for it, or the exact strings; None cuts it into words."""
        return cls(parts=(Text(text, split(text, pieces)),))

    @classmethod
    def tool_calls(cls, *calls: ToolCall, saying: str = "") -> "Reply":
        """One or more parallel tool calls, perhaps after some text."""
        spoken: tuple[Part, ...] = (Text(saying),) if saying else ()
        return cls(parts=(*spoken, *calls))

    @classmethod
    def thinking(cls, thought: str, *then: Part | str, signature: str | None = None) -> "Reply":
        """Shown reasoning, then the given parts (a string is a text)."""
        rest = tuple(Text(part) if isinstance(part, str) else part for part in then)
        return cls(parts=(Thinking(thought, signature), *rest))

    @classmethod
    def refusal(cls, text: str) -> "Reply":
        """The model declines."""
        return cls(parts=(Refusal(text),))

    @classmethod
    def structured(cls, value: Any) -> "Reply":
        """A value for a structured-output request: JSON text, or the arguments of the tool that the request forces."""
        return cls(parts=(Structured(value),))

    @classmethod
    def error(
        cls,
        status: int,
        message: str | None = None,
        *,
        kind: ErrorKind | None = None,
        type: str | None = None,
        code: str | None = None,
        retry_after: float | datetime | None = None,
    ) -> "Reply":
        """An error in the provider's own shape; what is not given is what the provider says at that status."""
        return cls(
            failure=ProviderError(status, message, kind=kind, type=type, code=code, retry_after=retry_after),
        )

    @classmethod
    def native(cls, body: Any = None, *, events: Iterable[Any] | None = None) -> "Reply":
        """What this test wrote itself: a JSON value (or bytes) as the whole body, or as the events of a stream.

        The framing is still the provider's: SSE, JSON lines or AWS event stream.
        """
        return cls(
            body=None if body is None else as_bytes(body),
            events=None if events is None else tuple(as_bytes(event) for event in events),
        )

    @classmethod
    def html(cls, status: int = 200, text: str = "<html><body><h1>502 Bad Gateway</h1></body></html>") -> "Reply":
        """What a proxy on the way says: HTML."""
        return cls(body=text.encode(), delivery=Delivery(status=status, content_type="text/html; charset=utf-8"))

    @classmethod
    def empty(cls, status: int = 200) -> "Reply":
        """A body of no bytes."""
        return cls(body=b"", delivery=Delivery(status=status))

    def reporting(self, usage: Usage | None = None, place: UsagePlace = UsagePlace.NATIVE) -> "Reply":
        """A copy that reports this usage (None: counted from the texts) at this place."""
        return replace(self, usage=usage, usage_place=place)

    def stopping(self, stop: Stop, sequence: str | None = None) -> "Reply":
        """A copy that stops for this reason; `sequence` is the stop sequence that was met."""
        return replace(self, stop=stop, stop_sequence=sequence)

    def with_faults(self, *faults: Fault) -> "Reply":
        """A copy on which these faults strike, beside those that it has."""
        return replace(self, faults=(*self.faults, *faults))

    def delivered(self, **fields: Any) -> "Reply":
        """A copy with these fields of its `Delivery` changed."""
        return replace(self, delivery=replace(self.delivery, **fields))

    def named(self, *, model: str | None = None, id: str | None = None) -> "Reply":
        """A copy that reports this model and this response id instead of the request's model and a counted id."""
        return replace(self, model=model, id=id)


# --- helpers ---------------------------------------------------------------------------------------------------------


def compact(value: Any) -> str:
    """JSON without spaces, characters outside ASCII as they are: what most providers send."""
    return _encode(value)


_encode = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode  # made once: this runs for every event


def as_bytes(value: Any) -> bytes:
    """Bytes as they are, text as UTF-8, anything else as JSON."""
    if isinstance(value, bytes):
        return value
    return value.encode() if isinstance(value, str) else compact(value).encode()


def split(text: str, pieces: int | Sequence[str] | None) -> tuple[str, ...]:
    """The pieces of a streamed text: as given, or the text cut into so many of nearly equal length."""
    if pieces is None:
        return ()
    if not isinstance(pieces, int):
        if "".join(pieces) != text:
            raise ScriptError("the pieces, joined, must be the text")
        return tuple(pieces)
    if not 1 <= pieces <= max(1, len(text)):
        raise ScriptError(f"a text of {len(text)} characters cannot be cut into {pieces} pieces")
    bounds = [len(text) * i // pieces for i in range(pieces + 1)]
    return tuple(text[a:b] for a, b in pairwise(bounds))
