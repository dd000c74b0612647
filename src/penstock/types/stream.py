"""Streams: a response in steps (`fold` adds the steps up).

A wire stream is a sequence of frames (an SSE event, a JSON line, an AWS message). A parser makes one `StreamEvent` of
each frame, a renderer makes frames of each StreamEvent; inside one dialect that is one to one, so nothing is lost. A
StreamEvent holds the deltas that its frame said, in order, and in `extras` whatever else the frame carried.

    Start        the response exists: id, model, time
    PartStart    a part begins, with what is known of it (a tool call's name and id). Optional for text and
                 thinking: the first delta with a new index begins it
    *Delta       more of the part at `index`: text, thinking, a refusal, arguments, a signature ...
    PartEnd      the part is complete; `part` only where the frame repeats it differently from what was streamed
    Stop         a choice ended, and why
    UsageDelta   counts so far; later ones replace earlier ones field by field
    Snapshot     the whole response as of now (OpenAI Responses lifecycle events)
    Failure      the provider reports an error inside the stream
    End          the stream is complete: without it, it was cut

`index` counts the parts of one choice in order of appearance, whatever the wire's own numbering; `choice` is nearly
always 0.
"""

from __future__ import annotations

from typing import Any, Final, TypeAlias

from msgspec import Struct

from penstock.types.content import Citation, Extras, MediaKind, Part, Signature, TokenLogprob
from penstock.types.errors import ErrorResponse
from penstock.types.response import Response, StopReason
from penstock.types.usage import Usage


class Start(Struct, frozen=True):
    """The response exists. `extras` are the response's own (they end up on `Response.extras`)."""

    id: str | None = None
    model: str | None = None
    created: int | float | None = None
    service_tier: str | None = None
    extras: Extras = None


class PartStart(Struct, frozen=True):
    """`part` begins at `index`, holding what is known of it so far."""

    index: int
    part: Part
    choice: int = 0


class TextDelta(Struct, frozen=True):
    """More text. `logprobs` cover exactly this piece."""

    index: int
    text: str
    choice: int = 0
    logprobs: tuple[TokenLogprob, ...] | None = None


class ThinkingDelta(Struct, frozen=True, gc=False):
    """More reasoning."""

    index: int
    text: str
    choice: int = 0


class SummaryDelta(Struct, frozen=True, gc=False):
    """More of paragraph `paragraph` of a reasoning summary."""

    index: int
    text: str
    paragraph: int = 0
    choice: int = 0


class SignatureDelta(Struct, frozen=True, gc=False):
    """The signature of the part at `index`; a later one replaces an earlier one unless `append`."""

    index: int
    signature: Signature
    choice: int = 0
    append: bool = False


class RefusalDelta(Struct, frozen=True):
    """More of a refusal."""

    index: int
    text: str
    choice: int = 0
    logprobs: tuple[TokenLogprob, ...] | None = None


class ArgumentsDelta(Struct, frozen=True, gc=False):
    """More of a tool call's arguments, as JSON text."""

    index: int
    text: str
    choice: int = 0


class CitationDelta(Struct, frozen=True):
    """One more citation of the text at `index`."""

    index: int
    citation: Citation
    choice: int = 0


class MediaDelta(Struct, frozen=True, gc=False):
    """More base64 data, or more words of the transcript, of a media part."""

    index: int
    data: str = ""
    transcript: str = ""
    kind: MediaKind = "audio"
    choice: int = 0


class PartEnd(Struct, frozen=True):
    """The part is complete. `part` replaces what was added up, where given."""

    index: int
    part: Part | None = None
    choice: int = 0


class Stop(Struct, frozen=True):
    """A choice ended. `extras` are the choice's own (they end up on `Choice.extras`)."""

    reason: StopReason | None = None
    native: str | None = None
    sequence: str | None = None
    choice: int = 0
    extras: Extras = None


class UsageDelta(Struct, frozen=True):
    """Counts so far."""

    usage: Usage


class Snapshot(Struct, frozen=True):
    """The whole response as the provider sees it now; `final` says that it is the finished one."""

    response: Response
    final: bool = False


class Failure(Struct, frozen=True):
    """An error inside a stream that had begun well."""

    error: ErrorResponse


class End(Struct, frozen=True, gc=False):
    """The stream is complete."""


Delta: TypeAlias = (
    Start
    | PartStart
    | TextDelta
    | ThinkingDelta
    | SummaryDelta
    | SignatureDelta
    | RefusalDelta
    | ArgumentsDelta
    | CitationDelta
    | MediaDelta
    | PartEnd
    | Stop
    | UsageDelta
    | Snapshot
    | Failure
    | End
)


class StreamEvent(Struct, frozen=True):
    """One step of a response: the deltas of one wire frame. `name` is the frame's event name where the dialect leaves
    a choice.

    `extras` are the frame's unmodelled fields; `frame` is the dialect's own decoded frame with `HOLE` in the place of
    each modelled value, for a renderer of the same dialect to fill again: no other reads it.
    """

    deltas: tuple[Delta, ...] = ()
    name: str | None = None
    extras: Extras = None
    frame: Any = None


HOLE: Final = ...
"""Stands in `StreamEvent.frame` where a delta holds the value."""
