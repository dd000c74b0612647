"""Writing events of this dialect again: the payload that came, with its holes filled from the deltas.

So what a policy changed in a delta shows on the wire, and everything else goes out as it came in.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from penstock.dialects import wire
from penstock.dialects.aws_event_stream import write_event
from penstock.dialects.bedrock_converse.blocks import write_redacted
from penstock.dialects.bedrock_converse.citations import write_citation
from penstock.dialects.bedrock_converse.response import own_stop_word
from penstock.dialects.bedrock_converse.signatures import seal
from penstock.dialects.bedrock_converse.stream import PAYLOAD
from penstock.dialects.bedrock_converse.usage import write_usage
from penstock.dialects.framing import TRANSPORT
from penstock.types.content import Thinking
from penstock.types.errors import MalformedError
from penstock.types.stream import (
    HOLE,
    ArgumentsDelta,
    CitationDelta,
    Delta,
    MediaDelta,
    PartStart,
    SignatureDelta,
    Stop,
    StreamEvent,
    TextDelta,
    ThinkingDelta,
    UsageDelta,
)


def write_own(event: StreamEvent) -> bytes:
    """The message again. Raises MalformedError where the deltas do not fit the payload any more."""
    name = event.name
    if name is None:
        return b""
    transport = event.extras.get(TRANSPORT) if event.extras else None
    payload = b""
    if transport is not None and PAYLOAD in transport:
        payload = transport[PAYLOAD]
        transport = {key: value for key, value in transport.items() if key != PAYLOAD} or None
    elif event.frame is not None:
        payload = wire.encode(_filled(event))
    return write_event(payload, name, transport)


_ONE_TEXT = {"text": HOLE}


def _filled(event: StreamEvent) -> Any:
    frame, deltas = event.frame, event.deltas
    if len(deltas) == 1 and type(deltas[0]) is TextDelta and frame.get("delta") == _ONE_TEXT:
        return {**frame, "delta": {"text": deltas[0].text}}  # by far the most frequent event
    values = [_VALUES[type(delta)](delta, frame) for delta in deltas if _has_value(delta)]
    try:
        return wire.fill(frame, iter(values))
    except StopIteration:
        raise MalformedError("the event has fewer deltas than its frame has holes") from None


def _has_value(delta: Delta) -> bool:
    if isinstance(delta, PartStart):
        return isinstance(delta.part, Thinking) and delta.part.signature is not None
    return type(delta) in _VALUES and not (isinstance(delta, Stop) and delta.native is None)


def _text(delta: TextDelta | ThinkingDelta | ArgumentsDelta, frame: Any) -> str:
    return delta.text


def _data(delta: MediaDelta, frame: Any) -> str:
    return delta.data


def _citation(delta: CitationDelta, frame: Any) -> Any:
    return write_citation(delta.citation)


def _part_start(delta: PartStart, frame: Any) -> str | None:
    part = delta.part
    if not isinstance(part, Thinking) or part.signature is None:
        return None
    return write_redacted(part.signature, part.id, part.native)


def _signature(delta: SignatureDelta, frame: Any) -> str:
    return seal(delta.signature)


def _stop(delta: Stop, frame: Any) -> str:
    return own_stop_word(delta.reason, delta.native)


def _usage(delta: UsageDelta, frame: Any) -> dict[str, Any]:
    return dict(sorted(write_usage(delta.usage, True).items()))  # in the order in which Amazon writes them


_VALUES: dict[type, Callable[[Any, Any], Any]] = {
    TextDelta: _text,
    ThinkingDelta: _text,
    ArgumentsDelta: _text,
    MediaDelta: _data,
    CitationDelta: _citation,
    PartStart: _part_start,
    SignatureDelta: _signature,
    Stop: _stop,
    UsageDelta: _usage,
}
