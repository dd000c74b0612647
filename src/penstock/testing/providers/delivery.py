"""From an answer to the steps of putting it on a socket: pure, so that every fault can be seen as a list of steps.

A step is bytes (one write), `Pause` (seconds), `Hold` (until the client leaves), or `Hangup` (close now, with FIN or
RST). The faults of a reply strike here: some change events before they are framed, some cut what is framed.
"""

import json
import zlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from email.utils import format_datetime
from typing import TypeAlias

from penstock.testing.providers.http import LAST_CHUNK, chunk, response_head
from penstock.testing.providers.script import (
    NATIVE_TYPE,
    Cut,
    Delivery,
    EmptyEvent,
    ErrorEvent,
    Fault,
    Malformed,
    NotJSON,
    ProviderError,
    Reply,
    ScriptError,
    Stall,
    Truncated,
)
from penstock.testing.providers.wire import Body, Event, Framing


@dataclass(frozen=True, slots=True)
class Pause:
    """Nothing for so many seconds."""

    seconds: float


@dataclass(frozen=True, slots=True)
class Hold:
    """Nothing more, until the client leaves."""


@dataclass(frozen=True, slots=True)
class Hangup:
    """The connection ends here: with RST instead of FIN (`reset`), against the protocol (`fault`) or as it allows."""

    reset: bool = False
    fault: bool = True


Step: TypeAlias = bytes | Pause | Hold | Hangup
Headers: TypeAlias = tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class Exchange:
    """What delivery must know of the request: whether the connection stays, and whether only the head is wanted."""

    keep_alive: bool = True
    head_only: bool = False


def retry_after(error: ProviderError) -> Headers:
    """The Retry-After header of an error: seconds, or an HTTP date."""
    moment = error.retry_after
    if moment is None:
        return ()
    if isinstance(moment, int | float):
        return (("retry-after", str(moment if moment % 1 else int(moment))),)
    return (("retry-after", format_datetime(moment, usegmt=True)),)


# --- a whole answer --------------------------------------------------------------------------------------------------


def deliver_body(body: Body, reply: Reply, headers: Headers, exchange: Exchange) -> list[Step]:
    """The steps of an answer that is not streamed."""
    delivery = reply.delivery
    content = body.content
    for fault in reply.faults:
        content = _spoil(content, fault)
    packed = _compress([content], delivery)[0] if delivery.encoding and content else content
    framing = delivery.framing or "length"
    head = _head(body.status, body.content_type, (*body.headers, *headers), delivery, framing, len(packed), exchange)
    steps: list[Step] = [Pause(delivery.before_headers)] if delivery.before_headers else []
    if exchange.head_only:
        return [*steps, head]
    breaking = next((fault for fault in reply.faults if isinstance(fault, Cut | Stall)), None)
    if breaking is None:
        return [*steps, *_writes([head + _enclose(packed, framing)], delivery), *_after(framing)]
    return [*steps, head, *_broken(packed, breaking, framing)]


def _spoil(content: bytes, fault: Fault) -> bytes:
    match fault:
        case Malformed() | Truncated():
            return content[: len(content) // 2]
        case NotJSON(payload=payload):
            return payload.encode()
        case _:
            return content


def _broken(content: bytes, fault: Cut | Stall, framing: str) -> list[Step]:
    """The first half of a body, then the fault; a stall that ends is followed by the rest."""
    at = _inside_character(content) if isinstance(fault, Cut) and fault.inside == "character" else len(content) // 2
    first = chunk(content[:at]) if framing == "chunked" else content[:at]
    if isinstance(fault, Cut):
        return [first, Hangup(fault.reset)]
    if fault.seconds is None:
        return [first, Hold()]
    rest = _enclose(content[at:], framing)
    return [first, Pause(fault.seconds), rest, *_after(framing)]


def _enclose(content: bytes, framing: str) -> bytes:
    if framing != "chunked":
        return content
    return (chunk(content) if content else b"") + LAST_CHUNK


def _after(framing: str) -> list[Step]:
    return [Hangup(fault=False)] if framing == "close" else []


# --- a stream --------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Stream:
    """A stream before it is framed: its events, and how the wire format says an error or nothing."""

    events: Sequence[Event]
    framing: Framing
    error_events: Callable[[ProviderError], list[Event]]
    empty_event: Event
    comment: str | None = None


def deliver_stream(stream: Stream, reply: Reply, headers: Headers, exchange: Exchange) -> list[Step]:
    """The steps of a streamed answer."""
    delivery = reply.delivery
    events = list(stream.events)
    for fault in reply.faults:
        events = _event_fault(events, fault, stream)
    frames = stream.framing.frames(events, delivery.line_end)
    frames, ending = _cut(frames, events, reply.faults)
    frames = _commented(frames, stream, delivery)
    packed = _compress(frames, delivery) if delivery.encoding else frames
    framing = delivery.framing or "chunked"
    size = sum(map(len, packed))
    head = _head(200, stream.framing.content_type, headers, delivery, framing, size, exchange)
    steps: list[Step] = [Pause(delivery.before_headers)] if delivery.before_headers else []
    if exchange.head_only:
        return [*steps, head]
    return [*steps, *_timed(head, packed, ending, reply, framing)]


def _event_fault(events: list[Event], fault: Fault, stream: Stream) -> list[Event]:
    """The events, with what a fault does to them before they are framed."""
    match fault:
        case Truncated(after=after):
            return events[:after]
        case Malformed(after=after):
            victim = events[min(after, len(events) - 1)]
            return [*events[:after], victim._replace(payload=_half(victim.payload)), *events[after + 1 :]]
        case NotJSON(after=after, payload=payload):
            name = events[min(after, len(events) - 1)].name
            return [*events[:after], Event(name, payload.encode()), *events[after:]]
        case EmptyEvent(after=after):
            return [*events[:after], stream.empty_event, *events[after:]]
        case ErrorEvent(error=error, after=after):
            return [*events[:after], *stream.error_events(error)]
        case _:
            return events


def _half(payload: bytes) -> bytes:
    """The first half of a JSON text: never JSON itself, and whole characters."""
    half = payload[: max(1, len(payload) // 2)].decode(errors="ignore").encode()
    try:
        json.loads(half)
    except ValueError:
        return half
    return b"{" + half


def _cut(frames: list[bytes], events: list[Event], faults: Iterable[Fault]) -> tuple[list[bytes], Hangup | None]:
    """The frames up to a cut, and how the connection ends."""
    for fault in faults:
        if isinstance(fault, Cut):
            rest = list(zip(frames, events, strict=True))[fault.after :]
            return [*frames[: fault.after], *_torn(rest, fault)], Hangup(fault.reset)
    return frames, None


def _torn(rest: list[tuple[bytes, Event]], fault: Cut) -> list[bytes]:
    """What still goes out after the last whole event."""
    if fault.inside == "boundary" or not rest:
        return []
    if fault.inside == "event":
        frame = rest[0][0]
        return [frame[: len(frame) // 2]]
    for index, (frame, event) in enumerate(rest):
        if not event.payload.isascii():
            place = frame.index(event.payload) + _inside_character(event.payload)
            return [*(whole for whole, _ in rest[:index]), frame[:place]]
    raise ScriptError("cut inside a character: the events after the cut have no character outside ASCII")


def _inside_character(content: bytes) -> int:
    """The place after the first byte of the first character outside ASCII."""
    for place, byte in enumerate(content):
        if byte >= 0xC0:
            return place + 1
    raise ScriptError("cut inside a character: the answer has no character outside ASCII")


def _commented(frames: list[bytes], stream: Stream, delivery: Delivery) -> list[bytes]:
    """The frames with comments in front: the scripted ones, or the one that the server sends by itself.

    A comment goes out with the frame that it precedes, so counting events and writes stays simple.
    """
    if delivery.comment is not None:
        text = stream.framing.comment(delivery.comment, delivery.line_end)
        return [text + frame if i % delivery.comment_every == 0 else frame for i, frame in enumerate(frames)]
    if stream.comment is not None and frames:
        return [stream.framing.comment(stream.comment, delivery.line_end) + frames[0], *frames[1:]]
    return frames


def _timed(head: bytes, frames: list[bytes], ending: Hangup | None, reply: Reply, framing: str) -> Iterator[Step]:
    """Head and frames as writes, with the pauses and the end."""
    delivery = reply.delivery
    framed = [chunk(frame) for frame in frames] if framing == "chunked" else frames
    tail: list[bytes] = [LAST_CHUNK] if framing == "chunked" and ending is None else []
    stall = next((fault for fault in reply.faults if isinstance(fault, Stall)), None)
    if delivery.writes == "whole" and stall is None and ending is None:
        yield b"".join([head, *framed, *tail])
    else:
        yield head
        yield from _paced(framed, delivery, stall)
        yield from tail
    if ending is not None or framing == "close":
        yield ending or Hangup(fault=False)


def _paced(frames: list[bytes], delivery: Delivery, stall: Stall | None) -> Iterator[Step]:
    for index, frame in enumerate(frames):
        if stall is not None and index == stall.after:
            yield Hold() if stall.seconds is None else Pause(stall.seconds)
        if pause := delivery.between if index else delivery.before_first:
            yield Pause(pause)
        yield from _writes([frame], delivery)
    if stall is not None and stall.after >= len(frames):
        yield Hold() if stall.seconds is None else Pause(stall.seconds)


# --- shared ----------------------------------------------------------------------------------------------------------


def _writes(pieces: list[bytes], delivery: Delivery) -> list[Step]:
    """The pieces as writes of the scripted size."""
    size = delivery.writes
    if isinstance(size, str):
        return list(pieces)
    return [piece[i : i + size] for piece in pieces for i in range(0, len(piece), size)]


def _compress(frames: Sequence[bytes], delivery: Delivery) -> list[bytes]:
    """Each frame compressed and flushed, so that a client can read it as soon as it has arrived."""
    coder = zlib.compressobj(wbits=31 if delivery.encoding == "gzip" else 15)
    packed = [coder.compress(frame) + coder.flush(zlib.Z_SYNC_FLUSH) for frame in frames]
    if packed:
        packed[-1] += coder.flush()
    return packed


def _head(
    status: int,
    content_type: str,
    headers: Headers,
    delivery: Delivery,
    framing: str,
    size: int,
    exchange: Exchange,
) -> bytes:
    lines: list[tuple[str, str]] = [("date", "Sun, 15 Jun 2025 15:06:40 GMT"), ("server", "penstock-testing")]
    chosen = content_type if delivery.content_type == NATIVE_TYPE else delivery.content_type
    if chosen is not None:
        lines.append(("content-type", chosen))
    if delivery.encoding:
        lines.append(("content-encoding", delivery.encoding))
    if framing == "chunked":
        lines.append(("transfer-encoding", "chunked"))
    elif framing == "length":
        lines.append(("content-length", str(size)))
    if framing == "close" or not exchange.keep_alive:
        lines.append(("connection", "close"))
    replaced = {name.lower() for name, _ in delivery.headers}
    lines += [(name, value) for name, value in headers if name.lower() not in replaced]
    return response_head(delivery.status or status, [*lines, *delivery.headers])
