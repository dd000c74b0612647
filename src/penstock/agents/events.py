"""What can stand in the log of a session: the kinds of events, one struct each, and the numbered event around them.
Pure.

An event is written once and never changes. It is JSON of the form

    {"number": 7, "at": "2026-01-02T03:04:05.000006Z", "data": {"kind": "text", "text": "Hello", ...}}

Numbers count from 1 within a session, without gaps. The session's own id is not in it, so that the first N events of a
fork are the very bytes of the log that it was forked from.

A stream of a model becomes several events of one `part`: their texts follow each other, and `more` says that the part
goes on. No event is larger than `MOST_BYTES`; `fitted` shortens what a producer cannot split, and says so in the event.
"""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta, Struct

from penstock.agents.errors import TooLarge
from penstock.agents.machine import Cause, Reason, State
from penstock.agents.plans import PlanChanged
from penstock.agents.types import Amounts

MOST_BYTES = 262_144
"""Of one event's JSON. What is longer belongs into an artifact, or is split into several events of one part."""
MOST_TEXT = 200_000
"""Characters of one message that a user sends."""

Count = Annotated[int, Meta(ge=0)]
Digest = Annotated[str, Meta(pattern="^[0-9a-f]{64}$")]


class UserMessage(Struct, frozen=True, tag_field="kind", tag="user_message", omit_defaults=True):
    """What a user, or the agent's supervisor, says. `by` is the token that said it; `files` are paths in the
    workspace.
    """

    text: str
    by: str = ""
    files: tuple[str, ...] = ()


class Thinking(Struct, frozen=True, tag_field="kind", tag="thinking", omit_defaults=True):
    """What the model thinks, as far as it shows it."""

    text: str
    part: str = ""
    more: bool = False


class Text(Struct, frozen=True, tag_field="kind", tag="text", omit_defaults=True):
    """What the agent says."""

    text: str
    part: str = ""
    more: bool = False


class ToolCall(Struct, frozen=True, tag_field="kind", tag="tool_call", omit_defaults=True):
    """The agent uses a tool. `call` joins it with its result; `arguments` is any JSON."""

    call: str
    name: str
    arguments: Any = None


class ToolResult(Struct, frozen=True, tag_field="kind", tag="tool_result", omit_defaults=True):
    """What came of it. `omitted`: characters that were left out of the middle of `output`."""

    call: str
    output: str
    is_error: bool = False
    omitted: Count = 0


class Status(Struct, frozen=True, tag_field="kind", tag="status", omit_defaults=True):
    """The session's state after `cause` (absent: it was made). `message`: up to which user message a turn has what it
    begins with.
    """

    state: State
    reason: Reason
    cause: Cause | None = None
    detail: str = ""
    message: Count = 0


class ApprovalRequested(Struct, frozen=True, tag_field="kind", tag="approval_requested", omit_defaults=True):
    """Somebody has to decide. `rule` is the exact rule that a yes would add."""

    approval: str
    about: Literal["egress", "push", "tool", "proposal"]
    summary: str
    rule: str = ""
    expires_at: datetime | None = None


class ApprovalDecided(Struct, frozen=True, tag_field="kind", tag="approval_decided", omit_defaults=True):
    """It was decided: by somebody, by time (`expired` means no), or by the end of the turn that asked (`withdrawn`)."""

    approval: str
    decision: Literal["approved", "denied", "expired", "withdrawn"]
    by: str = ""
    remember: bool = False
    note: str = ""


class Cost(Struct, frozen=True, tag_field="kind", tag="cost", omit_defaults=True):
    """What was used since the last event of this kind: increments, which add up to the session's usage. `dollars` is
    exact.
    """

    dollars: Decimal = Decimal(0)
    input_tokens: Count = 0
    output_tokens: Count = 0
    requests: Count = 0
    bytes_out: Count = 0
    model: str = ""


class Artifact(Struct, frozen=True, tag_field="kind", tag="artifact", omit_defaults=True):
    """A file that the agent hands out. Its bytes are kept outside of the log."""

    artifact: str
    name: str
    size: Count
    sha256: Digest
    media_type: str = "application/octet-stream"


class Error(Struct, frozen=True, tag_field="kind", tag="error", omit_defaults=True):
    """Something went wrong, and what to do about it. `final`: the session ends of it."""

    code: str
    message: str
    fix: str = ""
    final: bool = False


class TurnEnd(Struct, frozen=True, tag_field="kind", tag="turn_end", omit_defaults=True):
    """A turn is over: how, and up to which user message it has answered. `resume`: by what the harness finds the
    conversation again that it kept in the session's home; empty where it keeps none.
    """

    outcome: Literal["completed", "interrupted", "failed"]
    message: Count = 0
    summary: str = ""
    resume: str = ""


class TerminalChanged(Struct, frozen=True, tag_field="kind", tag="terminal", omit_defaults=True):
    """Somebody (the token `by`) has opened a terminal in the sandbox, or its program has ended with this `status`. What
    is typed and shown there is not in the log.
    """

    program: Literal["agent", "shell"]
    change: Literal["opened", "ended"]
    by: str = ""
    status: int | None = None


class WorkerChanged(Struct, frozen=True, tag_field="kind", tag="worker", omit_defaults=True):
    """A worker of this session was started, is over (for this `reason`), or has still cost something after its end.

    `lent` is what was set aside for it (`started`), or comes back (`ended`); `spent` what it has used in all (`ended`),
    or beside that (`cost`).
    """

    worker: str
    change: Literal["started", "ended", "cost"]
    reason: Reason | None = None
    lent: Amounts = Amounts()
    spent: Amounts = Amounts()


Payload = (
    UserMessage | Thinking | Text | ToolCall | ToolResult | Status | ApprovalRequested | ApprovalDecided | Cost
    | Artifact | Error | TurnEnd | TerminalChanged | WorkerChanged | PlanChanged
)  # fmt: skip
"""Any event's `data`."""

KINDS: dict[str, type[Struct]] = {
    str(kind.__struct_config__.tag): kind
    for kind in (
        *(UserMessage, Thinking, Text, ToolCall, ToolResult, Status, ApprovalRequested, ApprovalDecided, Cost),
        *(Artifact, Error, TurnEnd, TerminalChanged, WorkerChanged, PlanChanged),
    )
}
"""Each kind by its word."""


class Move(Struct, frozen=True):
    """A producer's wish that the session's state changes; in the log it becomes a `Status` (log.py)."""

    cause: Cause
    reason: Reason | None = None
    detail: str = ""
    message: int = 0


Draft = Payload | Move
"""What a producer hands in; the log gives it a number and a time."""


class SessionEvent(Struct, frozen=True):
    """An event in its place. `at` is UTC."""

    number: Annotated[int, Meta(ge=1)]
    at: datetime
    data: Payload

    @property
    def kind(self) -> str:
        """The word for its kind."""
        return kind_of(self.data)


def kind_of(payload: Payload) -> str:
    """The word for a payload's kind."""
    return str(payload.__struct_config__.tag)


_encoder = msgspec.json.Encoder()
_decoder = msgspec.json.Decoder(SessionEvent)


def encode(event: SessionEvent) -> bytes:
    """The event's JSON, on one line. Raises TooLarge."""
    encoded = _encoder.encode(event)
    if len(encoded) > MOST_BYTES:
        raise TooLarge(
            f"an event of {len(encoded):,} bytes is more than {MOST_BYTES:,}",
            fix="split its text into parts, or hand it out as an artifact",
        )
    return encoded


def decode(encoded: bytes) -> SessionEvent:
    """The event of this JSON."""
    return _decoder.decode(encoded)


def fitted(payload: Payload, most: int = MOST_BYTES - 1024) -> Payload:
    """This payload, or, where its JSON has more than `most` bytes, the same with the middle of its text left out.

    Only what a program printed can be shortened (`tool_result`, `error`, and a tool call's arguments, which become a
    text); a user's and a model's words are to be split by who has them. The rest is returned as it is.
    """
    size = len(_encoder.encode(payload))
    if size <= most:
        return payload
    if isinstance(payload, ToolResult):
        output, omitted = _without_middle(payload.output, most)
        return msgspec.structs.replace(payload, output=output, omitted=payload.omitted + omitted)
    if isinstance(payload, ToolCall):
        text = _encoder.encode(payload.arguments).decode()
        return msgspec.structs.replace(payload, arguments={"shortened": _without_middle(text, most)[0]})
    if isinstance(payload, Error):
        return msgspec.structs.replace(payload, message=_without_middle(payload.message, most)[0])
    return payload


def _without_middle(text: str, most: int) -> tuple[str, int]:
    """Beginning and end of a text, and how many characters are missing. A character may take 6 bytes of JSON, twice
    escaped 12.
    """
    keep = max(most // 24, 1)
    if len(text) <= 2 * keep:
        return text, 0
    omitted = len(text) - 2 * keep
    return f"{text[:keep]}\n... {omitted:,} characters left out ...\n{text[-keep:]}", omitted
