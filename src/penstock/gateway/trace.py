"""Traces: W3C trace context from the caller to the provider, and what OpenTelemetry's spans are made of.

A request has a SERVER span, each of its attempts a CLIENT span with the GenAI attributes (trace_spans.py). On the way
of a request only identifiers are made. What is over is kept as the values that journal and log have anyway, and goes
in batches to whoever makes spans of them: the keeper, over the channel. To make a span and encode it costs more than
the request did, and a thread in the worker that does it holds up the event loop: measured with 1,000 requests a
second, 5 ms at the 99th percentile instead of 0.6. A batch that cannot go is dropped and counted; a request never
waits.

Without `otel_endpoint` nothing of this is done, and the caller's headers go on as they came.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

import msgspec
from msgspec import Struct

from penstock.gateway.records import Closed, Opened
from penstock.gateway.samples import RequestSample
from penstock.gateway.traceparent import RANDOM, SAMPLED, parent_of, traceparent

BATCH = 64
"""Spans that go at once."""
BATCH_SECONDS = 0.5
"""What a batch waits for more."""
KIND = "spans"
"""The kind of the message that takes a batch to the keeper."""

Headers = tuple[tuple[str, str], ...]


class Trace(Struct, array_like=True):
    """The trace that a request belongs to.

    trace_id   32 hexadecimal digits
    span_id    of the SERVER span; "": none is recorded here
    parent_id  of the caller's span; "": the trace begins here
    flags      as in traceparent; `state` tracestate
    passed     the caller's own headers, where they go on unchanged
    """

    trace_id: str
    span_id: str = ""
    parent_id: str = ""
    flags: int = 0
    state: str = ""
    passed: Headers = ()

    def outgoing(self) -> tuple[str, Headers]:
        """For an attempt: the id of its span ("": none) and the headers that it takes to the provider."""
        if self.passed:
            return "", self.passed
        span_id = new_span_id()
        header = ("traceparent", traceparent(self.trace_id, span_id, self.flags))
        return span_id, (header, ("tracestate", self.state)) if self.state else (header,)

    @property
    def recorded(self) -> bool:
        """Whether spans of it are exported."""
        return bool(self.span_id) and bool(self.flags & SAMPLED)


def passed_on(header: str, state: str) -> Trace | None:
    """The trace of a caller where nothing is recorded (None: it has none). One that cannot be read goes on, too."""
    if not header:
        return None
    passed: Headers = (("traceparent", header), *((("tracestate", state),) if state else ()))
    parent = parent_of(header)
    if parent is None:
        return Trace("", passed=passed)
    return Trace(parent.trace_id, parent_id=parent.span_id, flags=parent.flags, passed=passed)


class AttemptOver(Struct, array_like=True, tag="a"):
    """What the span of an attempt is made of."""

    trace: Trace
    span_id: str
    opened: Opened
    closed: Closed


class RequestOver(Struct, array_like=True, tag="r"):
    """What the span of a request is made of, which ended `at` (Unix seconds)."""

    trace: Trace
    sample: RequestSample
    at: float


Over = AttemptOver | RequestOver


class Tracer:
    """Begins traces, and sends on what is over, in batches.

    `ratio` of the traces that begin here are recorded; of those that came, the ones that the caller records.
    `forward` takes a batch; one that it raises at is dropped. `later` is the event loop's `call_later`.
    `dropped`: spans that went nowhere.
    """

    def __init__(
        self,
        forward: Callable[[list[Over]], None],
        later: Callable[[float, Callable[[], None]], Any],
        ratio: float = 1.0,
    ) -> None:
        self.dropped = 0
        self._forward = forward
        self._later = later
        self._below = int(min(max(ratio, 0.0), 1.0) * (1 << 56))
        self._batch: list[Over] = []
        self._due = False

    def begin(self, header: str, state: str) -> Trace:
        """The trace of a request that came with these headers ("": without)."""
        parent = parent_of(header, state) if header else None
        if parent is not None:
            return Trace(parent.trace_id, new_span_id(), parent.span_id, parent.flags, parent.state)
        bits = _bits(128) or 1
        sampled = SAMPLED if bits & ((1 << 56) - 1) < self._below else 0
        return Trace(f"{bits:032x}", new_span_id(), "", sampled | RANDOM)

    def attempt(self, trace: Trace, span_id: str, opened: Opened, closed: Closed) -> None:
        """An attempt is over."""
        if trace.recorded and span_id:
            self._put(AttemptOver(trace, span_id, opened, closed))

    def request(self, trace: Trace, sample: RequestSample, at: float) -> None:
        """A request ended, `at` Unix seconds."""
        if trace.recorded:
            self._put(RequestOver(trace, sample, at))

    def flush(self) -> None:
        """Send on what there is."""
        batch, self._batch = self._batch, []
        if batch:
            try:
                self._forward(batch)
            except Exception:  # a channel that is away, or full, must not fail a request
                self.dropped += len(batch)

    def _put(self, over: Over) -> None:
        self._batch.append(over)
        if len(self._batch) >= BATCH:
            self.flush()
        elif not self._due:
            self._due = True
            self._later(BATCH_SECONDS, self._flush_due)

    def _flush_due(self) -> None:
        self._due = False
        self.flush()


def packed(batch: list[Over]) -> bytes:
    """A batch for the channel. Without those that MessagePack cannot hold (an integer above 64 bits)."""
    try:
        return msgspec.msgpack.encode(batch)
    except (OverflowError, UnicodeEncodeError):
        return msgspec.msgpack.encode([over for over in batch if _fits(over)])


def unpacked(data: bytes) -> list[Over]:
    """The batch. Raises msgspec.MsgspecError."""
    return msgspec.msgpack.decode(data, type=list[Over])


def _fits(over: Over) -> bool:
    try:
        return bool(msgspec.msgpack.encode(over))
    except (OverflowError, UnicodeEncodeError):
        return False


def new_span_id() -> str:
    """16 hexadecimal digits, not all zero."""
    return f"{_bits(64) or 1:016x}"


_bits: Callable[[int], int] = random.getrandbits
"""Identifiers need not be secret, only different: Python seeds this generator anew after each fork."""
