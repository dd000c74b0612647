"""What every wire format module is written with: the request as it came, and the values that handlers return.

A wire format is an `Operation`: pure functions over a `Call` (one request, and what the server knows) and a `Turn` (one
reply, resolved: every part plain, every count known). None of them does I/O; the server turns what they return into
bytes on a socket.
"""

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from json.encoder import encode_basestring
from typing import Any, NamedTuple, TypeAlias
from urllib.parse import parse_qs, unquote

from penstock.testing.providers.multipart import FormPart, parse_form
from penstock.testing.providers.script import (
    Part,
    ProviderError,
    RedactedThinking,
    ScriptError,
    Stop,
    Text,
    Thinking,
    ToolCall,
    Usage,
    UsagePlace,
    compact,
)
from penstock.testing.providers.state import Flavour, World

JSON: TypeAlias = dict[str, Any]

JSON_TYPE = "application/json"
SSE_TYPE = "text/event-stream; charset=utf-8"

EPOCH = 1_750_000_000
"""The moment (Unix seconds) at which the simulated world begins; each exchange happens one second later."""


class Headers(Mapping[str, str]):
    """Request headers as they came (`raw`), looked up without regard to case; a repeated header is joined by commas."""

    __slots__ = ("_folded", "raw")

    def __init__(self, raw: Sequence[tuple[str, str]]) -> None:
        self.raw = tuple(raw)
        self._folded: dict[str, str] = {}
        for name, value in raw:
            key = name.lower()
            self._folded[key] = f"{self._folded[key]}, {value}" if key in self._folded else value

    def __getitem__(self, name: str) -> str:
        return self._folded[name.lower()]

    def __iter__(self) -> Iterator[str]:
        return iter(self._folded)

    def __len__(self) -> int:
        return len(self._folded)

    def __repr__(self) -> str:
        return f"Headers({list(self.raw)!r})"


@dataclass
class ReceivedRequest:
    """One request as the provider saw it: what a test asserts on.

    `operation` is the name of the wire format or endpoint that it reached ("" for none). `refused` is the message of
    the error with which the provider's own rules answered it. `outcome` says how the exchange ended: "open" while it
    lasts, then "complete", "faulted" (a scripted cut) or "client left".
    """

    number: int
    method: str
    target: str
    headers: Headers
    body: bytes
    mount: str = ""
    operation: str = ""
    refused: str | None = None
    outcome: str = "open"

    @cached_property
    def path(self) -> str:
        """The path, percent-encoding as it came, without the query."""
        return self.target.partition("?")[0]

    @cached_property
    def query(self) -> dict[str, list[str]]:
        """The query's values by name."""
        return parse_qs(self.target.partition("?")[2], keep_blank_values=True)

    @cached_property
    def json(self) -> Any:
        """The body as JSON; ValueError when it is none."""
        return json.loads(self.body)

    @cached_property
    def form(self) -> list[FormPart]:
        """The parts of a multipart/form-data body; ValueError when it is none."""
        return parse_form(self.headers.get("content-type", ""), self.body)


@dataclass
class Call:
    """One request on its way through an operation: the request, the path's parameters, the server's memory."""

    request: ReceivedRequest
    world: World
    flavour: Flavour
    params: Mapping[str, str] = field(default_factory=dict)

    @cached_property
    def body(self) -> JSON:
        """The request's JSON object ({} when there is none; validators look at the request itself)."""
        try:
            value = self.request.json
        except ValueError:
            return {}
        if not isinstance(value, dict):
            return {}
        if "deployment" in self.params:  # Azure names the model in the path
            value = {"model": self.param("deployment"), **value}
        return value

    @property
    def number(self) -> int:
        """The number of this exchange, from 1."""
        return self.request.number

    @property
    def created(self) -> int:
        """The moment of this exchange in Unix seconds, the same in every run."""
        return EPOCH + self.number

    def param(self, name: str) -> str:
        """A parameter of the path, percent-decoded."""
        return unquote(self.params[name])


@dataclass(frozen=True)
class Ask:
    """What a request asks for, in no provider's words: what a default answer and a stream need to know.

    `said` is the last text of the user, `size` the estimated number of input tokens. `tools` maps names to parameter
    schemas; `must_call` names the tool that is forced ("*": any). `schema` is the JSON schema asked of the answer.
    """

    model: str = ""
    stream: bool = False
    said: str = ""
    size: int = 0
    tools: Mapping[str, Any] = field(default_factory=dict)
    must_call: str | None = None
    schema: Any = None
    wants_json: bool = False


@dataclass(frozen=True)
class Turn:
    """A reply, resolved for one request: plain parts, a stop reason, full counts."""

    parts: tuple[Part, ...]
    stop: Stop
    stop_sequence: str | None
    usage: Usage
    usage_place: UsagePlace
    model: str
    id: str | None

    @property
    def text(self) -> str:
        """All the text, joined."""
        return "".join(part.text for part in self.parts if isinstance(part, Text))

    @property
    def thoughts(self) -> list[Thinking]:
        """The shown reasoning, in order."""
        return [part for part in self.parts if isinstance(part, Thinking)]

    @property
    def calls(self) -> list[ToolCall]:
        """The tool calls, in order."""
        return [part for part in self.parts if isinstance(part, ToolCall)]

    @property
    def reports_usage(self) -> bool:
        """False when the script leaves the usage out."""
        return self.usage_place is not UsagePlace.MISSING

    def refuse_parts(self, wire_format: str, *kinds: type) -> None:
        """Raise a ScriptError if the reply holds a part that this wire format cannot say."""
        for part in self.parts:
            if isinstance(part, kinds):
                raise ScriptError(f"{wire_format} cannot say {type(part).__name__}")

    def refuse_places(self, wire_format: str, *places: UsagePlace) -> None:
        """Raise a ScriptError if the usage is to stand where this wire format has no place."""
        if self.usage_place in places:
            raise ScriptError(f"{wire_format} has no place for usage in {self.usage_place.value}")


class Event(NamedTuple):
    """One event of a stream before framing. An empty name sends no event line; `exception` marks an AWS exception."""

    name: str
    payload: bytes
    exception: bool = False


@dataclass(frozen=True)
class Body:
    """A whole answer."""

    content: bytes
    content_type: str = JSON_TYPE
    status: int = 200
    headers: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True)
class Family:
    """What the operations of one provider share: who may call, and what an error looks like."""

    name: str
    authenticate: Callable[[Call], ProviderError | None]
    error: Callable[[ProviderError, Call], Body]
    unknown_path: Callable[[Call], Body]
    headers: Callable[[Call], tuple[tuple[str, str], ...]] = lambda call: ()


@dataclass(frozen=True)
class Streaming:
    """How an operation streams: the events of a turn, of an error after the start, of nothing; the framing; and which
    event a payload written by hand is (`name_event`)."""

    events: Callable[[Turn, Call], list[Event]]
    error_events: Callable[[ProviderError, Call], list[Event]]
    framing: Callable[[Call], "Framing"]
    empty_event: Callable[[Call], Event] = lambda call: Event("", b"{}")
    name_event: Callable[[bytes], Event] = lambda payload: Event("", payload)


@dataclass(frozen=True)
class Operation:
    """One thing that a provider can be asked to do.

    `validate` returns the error with which the provider refuses the request, or None. `asks` reads what is asked for;
    None marks an endpoint that no model answers (files, lists), which only a script bound to its name reaches.
    """

    name: str
    family: Family
    validate: Callable[[Call], ProviderError | None]
    answer: Callable[[Turn, Call], Body]
    asks: Callable[[Call], Ask] | None = None
    streaming: Streaming | None = None


class Framing:
    """How events become bytes. Subclasses say `content_type`, `frame`, and what they allow."""

    content_type = ""

    def frames(self, events: Sequence[Event], line_end: str) -> list[bytes]:
        """The bytes of each event, in order."""
        raise NotImplementedError

    def comment(self, text: str, line_end: str) -> bytes:
        """A frame that carries nothing."""
        raise ScriptError(f"{type(self).__name__} has no comments")


# --- writing JSON ----------------------------------------------------------------------------------------------------


def dumps(value: Any) -> bytes:
    """Compact JSON in UTF-8."""
    return compact(value).encode()


def json_body(value: Any, status: int = 200, headers: tuple[tuple[str, str], ...] = ()) -> Body:
    """A JSON answer."""
    return Body(dumps(value), JSON_TYPE, status, headers)


SLOT = "\ue000slot"
"""Stands in an event template where the piece goes (a private-use character, so no text of a test collides)."""


def piece_events(name: str, template: JSON, pieces: Iterable[str]) -> list[Event]:
    """One event a piece, from a template that holds SLOT once: it is encoded once, so 500 pieces are cheap."""
    before, after = (part.encode() for part in compact(template).split(encode_basestring(SLOT)))
    return [Event(name, before + encode_basestring(piece).encode() + after) for piece in pieces]


def typed_event(payload: bytes) -> Event:
    """An event that is named by the `type` of its payload ("" if it has none)."""
    try:
        value = json.loads(payload)
    except ValueError:
        return Event("", payload)
    return Event(str(value.get("type", "")) if isinstance(value, dict) else "", payload)


# --- cutting what is streamed ----------------------------------------------------------------------------------------


def words(text: str) -> tuple[str, ...]:
    """The text cut before each space, so that joined pieces are the text; never empty."""
    if not text:
        return ("",)
    pieces: list[str] = []
    start = 0
    while (space := text.find(" ", start + 1)) != -1:
        pieces.append(text[start:space])
        start = space
    pieces.append(text[start:])
    return tuple(pieces)


def text_pieces(part: Text | Thinking) -> tuple[str, ...]:
    """The pieces in which a stream sends a text or a thought."""
    return part.pieces or words(part.text)


def argument_pieces(call: ToolCall, length: int = 8) -> tuple[str, ...]:
    """The pieces in which a stream sends a tool call's argument text."""
    if call.pieces:
        return call.pieces
    text = call.arguments_text()
    return tuple(text[i : i + length] for i in range(0, len(text), length))


# --- counting --------------------------------------------------------------------------------------------------------


def estimate(value: Any) -> int:
    """A deterministic number of tokens for a text or a JSON value: one for four characters, at least one."""
    text = value if isinstance(value, str) else compact(value)
    return max(1, (len(text) + 3) // 4)


def estimate_parts(parts: Iterable[Part]) -> tuple[int, int]:
    """The estimated output tokens of a reply, and how many of them are reasoning."""
    written = thought = 0
    for part in parts:
        if isinstance(part, ToolCall):
            written += estimate(part.name + part.arguments_text())
        elif isinstance(part, Thinking):
            thought += estimate(part.text)
        elif isinstance(part, RedactedThinking):
            thought += estimate(part.data or "withheld")
        else:
            written += estimate(getattr(part, "text", ""))
    return written + thought, thought
