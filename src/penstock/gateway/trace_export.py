"""Spans on their way to a collector: a thread that makes them of what workers send, and exports them.

It runs in the keeper, or in any process that has time to spare. What waits for it is bounded: when the collector is
slow or away, spans are dropped and counted. Nothing of OpenTelemetry is imported before it is asked for.
"""

from __future__ import annotations

import logging
import threading
from collections import deque
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

import msgspec

from penstock.gateway.redact import Redactor
from penstock.gateway.snapshot import Settings
from penstock.gateway.trace import AttemptOver, Over, unpacked

if TYPE_CHECKING:
    from opentelemetry.sdk.trace.export import SpanExporter

    from penstock.gateway.trace_spans import SpanMaker

_log = logging.getLogger(__name__)

BATCHES = 256
"""Batches that may wait: of 64 spans, where there is much to do."""


class OpenTelemetryMissing(ImportError):
    """Tracing is configured, and the packages for it are not installed."""


class SpanThread:
    """Makes spans and exports them, in a thread that it starts: make it after a fork.

    `counts`: spans by what became of them: exported, dropped (too many waited), failed (the collector refused them).
    """

    def __init__(self, maker: SpanMaker, exporter: SpanExporter) -> None:
        self.counts = {"exported": 0, "dropped": 0, "failed": 0}
        self._maker = maker
        self._exporter = exporter
        self._ring: deque[list[Over] | bytes] = deque()
        self._wake = threading.Event()
        self._closing = False
        self._thread = threading.Thread(target=self._run, name="penstock-otel", daemon=True)
        self._thread.start()

    def put(self, batch: list[Over] | bytes) -> None:
        """Take a batch, or one as `trace.packed` wrote it. Returns at once."""
        if len(self._ring) >= BATCHES:
            self.counts["dropped"] += _size(batch)
            return
        self._ring.append(batch)
        self._wake.set()

    def readings(self) -> Mapping[tuple[str, ...], float]:
        """The counts, for the metric `penstock_spans`."""
        return {(result,): count for result, count in self.counts.items()}

    def keep_out(self, secrets: Iterable[str]) -> None:
        """Take these secrets out of spans from now on: those of a new snapshot."""
        self._maker.redactor = Redactor(secrets)

    def close(self, patience: float = 2.0) -> None:
        """Export what waits, for at most `patience` seconds."""
        self._closing = True
        self._wake.set()
        self._thread.join(patience)

    def _run(self) -> None:
        while not self._closing or self._ring:
            if not self._ring:
                self._wake.wait()
                self._wake.clear()
                continue
            batch = self._ring.popleft()
            done = "exported" if self._export(batch) else "failed"
            self.counts[done] += _size(batch)
        self._exporter.shutdown()

    def _export(self, batch: list[Over] | bytes) -> bool:
        try:
            over = unpacked(batch) if isinstance(batch, bytes) else batch
            maker = self._maker
            spans = [maker.attempt(one) if isinstance(one, AttemptOver) else maker.request(one) for one in over]
            return self._exporter.export(spans).name == "SUCCESS"
        except Exception:  # whatever it is, the next batch may fare better
            _log.exception("spans were not exported")
            return False


def _size(batch: list[Over] | bytes) -> int:
    """How many spans are in a batch; of one that cannot be read, 1."""
    if not isinstance(batch, bytes):
        return len(batch)
    try:
        return len(msgspec.msgpack.decode(batch, type=list[msgspec.Raw]))
    except msgspec.MsgspecError:
        return 1


def open_span_thread(
    settings: Settings, secrets: Iterable[str] = (), attributes: Mapping[str, str] | None = None
) -> SpanThread | None:
    """The thread that the settings ask for; None: they ask for none. `secrets` are taken out of spans; `attributes`
    describe the process, as an OpenTelemetry resource does (`service.instance.id` ...).

    Raises OpenTelemetryMissing.
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
    return SpanThread(SpanMaker(attributes or {}, Redactor(secrets)), otlp_exporter(settings.otel_endpoint))
