"""Traces: W3C trace context from the caller to the provider, and OpenTelemetry spans of what Penstock did in between.

A request has a SERVER span, each of its attempts a CLIENT span with the GenAI attributes (trace_spans.py). On the way
of a request only identifiers are made: what is over is put into a ring, as the values that journal and log have anyway,
and a thread makes spans of them and sends them. When the ring is full, because the collector is slow or away,
spans are dropped and counted; a request never waits.

Without `otel_endpoint` nothing of OpenTelemetry is imported, and the caller's headers go on as they came.
"""

from __future__ import annotations

import random
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from msgspec import Struct

from penstock.gateway.records import Closed, Opened
from penstock.gateway.samples import RequestSample
from penstock.gateway.snapshot import Settings
from penstock.gateway.traceparent import RANDOM, SAMPLED, parent_of, traceparent

if TYPE_CHECKING:
    from opentelemetry.sdk.trace.export import SpanExporter

    from penstock.gateway.trace_spans import SpanMaker

RING = 16_384
"""Spans that may wait for the thread."""
BATCH = 64
"""Spans that are made and sent at once: few, for a thread that computes holds up the event loop."""
PAUSE = 0.5
"""Seconds between looks into the ring."""

Headers = tuple[tuple[str, str], ...]


class Trace(Struct):
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


class Tracer:
    """Begins traces, and takes what is over for the thread that exports it.

    `ratio` of the traces that begin here are recorded; of those that came, the ones that the caller records.
    `counts`: spans by what became of them: exported, dropped (the ring was full), failed (the collector refused).
    """

    def __init__(self, spans: SpanMaker, exporter: SpanExporter, ratio: float = 1.0) -> None:
        self.counts = {"exported": 0, "dropped": 0, "failed": 0}
        self._spans = spans
        self._exporter = exporter
        self._below = int(min(max(ratio, 0.0), 1.0) * (1 << 56))
        self._ring: deque[tuple[Any, ...]] = deque()
        self._wake = threading.Event()
        self._closing = False
        self._thread = threading.Thread(target=self._run, name="penstock-otel", daemon=True)
        self._thread.start()

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
            self._put((trace, span_id, opened, closed))

    def request(self, trace: Trace, sample: RequestSample, at: float) -> None:
        """A request ended, `at` Unix seconds."""
        if trace.recorded:
            self._put((trace, sample, at))

    def close(self, patience: float = 2.0) -> None:
        """Export what waits, for at most `patience` seconds."""
        self._closing = True
        self._wake.set()
        self._thread.join(patience)

    def _put(self, over: tuple[Any, ...]) -> None:
        if len(self._ring) >= RING:
            self.counts["dropped"] += 1
        else:
            self._ring.append(over)

    # -- the thread --------------------------------------------------------------------------------------------------

    def _run(self) -> None:
        while not self._closing:
            self._wake.wait(PAUSE)
            self._export_all()
        self._export_all()
        self._exporter.shutdown()

    def _export_all(self) -> None:
        while self._ring:
            batch = [self._ring.popleft() for _ in range(min(BATCH, len(self._ring)))]
            done = "exported" if self._export(batch) else "failed"
            self.counts[done] += len(batch)
            time.sleep(0)  # others first

    def _export(self, batch: list[tuple[Any, ...]]) -> bool:
        try:
            spans = [self._spans.attempt(*over) if len(over) == 4 else self._spans.request(*over) for over in batch]
            return self._exporter.export(spans).name == "SUCCESS"
        except Exception:  # an exporter that fails must not end the thread, and has said why in its own log
            return False


def new_span_id() -> str:
    """16 hexadecimal digits, not all zero."""
    return f"{_bits(64) or 1:016x}"


_bits: Callable[[int], int] = random.getrandbits
"""Identifiers need not be secret, only different: Python seeds this generator anew after each fork."""


class OpenTelemetryMissing(ImportError):
    """Tracing is configured, and the packages for it are not installed."""


def open_tracer(settings: Settings, attributes: Mapping[str, str]) -> Tracer | None:
    """The tracer that the settings ask for; None: they ask for none. `attributes` describe the process, as a resource
    (`service.instance.id`).

    It starts a thread: make it after a fork. Raises OpenTelemetryMissing.
    """
    if settings.otel_endpoint is None:
        return None
    try:
        from penstock.gateway.trace_spans import SpanMaker, otlp_exporter
    except ImportError as error:
        raise OpenTelemetryMissing(
            f"otel_endpoint is set, but {error.name or 'OpenTelemetry'} is not installed: "
            "pip install 'penstock[otel]', or take otel_endpoint out of the configuration"
        ) from error
    return Tracer(SpanMaker(attributes), otlp_exporter(settings.otel_endpoint), settings.otel_sample_ratio)
