"""Observer: the one thing that a call tells what became of it. Metrics, log and trace hang behind it.

    trace    a request has come: whose trace is it?
    attempt  an attempt is over
    request  the request is over
    refused  a request was refused before there was a call

Each is a plain call of a microsecond or two, and none of them can fail the request.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable
from decimal import Decimal
from typing import Any

from penstock.gateway.log import Log, open_log
from penstock.gateway.metrics import Metrics
from penstock.gateway.records import Closed, Opened
from penstock.gateway.samples import RequestSample
from penstock.gateway.snapshot import Settings, Snapshot
from penstock.gateway.trace import Over, Trace, Tracer, passed_on

REFUSALS_A_SECOND = 5
"""Lines that the log has of requests without a call."""

_log = logging.getLogger(__name__)


class Observer:
    """Metrics, log (None: no log) and tracer (None: traces are passed on, and none is recorded) of a worker."""

    def __init__(self, metrics: Metrics, log: Log | None = None, tracer: Tracer | None = None) -> None:
        self.metrics = metrics
        self.log = log
        self.tracer = tracer
        self._count_request = metrics.request
        self._count_attempt = metrics.attempt
        self._write = None if log is None else log.request
        self._groups: frozenset[str] = frozenset()
        self._second = self._refusals = 0
        if log is not None:
            metrics.gauge("penstock_log_lines_lost", lambda: log.lost)
        if tracer is not None:
            metrics.gauge("penstock_spans", lambda: {("dropped",): tracer.dropped})

    def trace(self, sample: RequestSample, traceparent: str = "", tracestate: str = "") -> Trace | None:
        """The trace of a request that came with these headers, written into its sample. None: it has none.

        For each attempt ask it for `outgoing()`: the id of the attempt's span, and the headers for the provider.
        """
        trace = (
            passed_on(traceparent, tracestate) if self.tracer is None else self.tracer.begin(traceparent, tracestate)
        )
        if trace is not None:
            sample.trace_id = trace.trace_id or None
            sample.span_id = trace.span_id or None
            sample.parent_span_id = trace.parent_id or None
        return trace

    def attempt(
        self,
        sample: RequestSample,
        opened: Opened,
        closed: Closed,
        trace: Trace | None = None,
        span_id: str = "",
    ) -> None:
        """An attempt of the request is over: count it, and add to the sample what it used and who answered."""
        try:
            sample.attempts += 1
            sample.deployment = opened.deployment
            sample.provider = opened.provider
            sample.model = opened.model
            sample.finish_reason = closed.finish_reason
            sample.response_id = closed.response_id
            if sample.attempts == 1:
                usage = closed.usage
                if usage is not None:
                    sample.input_tokens = usage.input_tokens
                    sample.output_tokens = usage.output_tokens
                    sample.cache_read_tokens = usage.cache_read_tokens
                    sample.cache_write_tokens = usage.cache_write_tokens
                    sample.reasoning_tokens = usage.reasoning_tokens
                sample.cost = closed.cost_text
                sample.estimated = closed.estimated
            else:
                _add(sample, closed)
            self._count_attempt(opened, closed, sample.key_alias)
            if trace is not None and self.tracer is not None:
                self.tracer.attempt(trace, span_id, opened, closed)
        except Exception:
            _log.exception("an attempt was not observed", extra={"call_id": sample.call_id})

    def request(self, sample: RequestSample, at: float, trace: Trace | None = None) -> None:
        """The request is over, `at` Unix seconds. Nobody may change the sample afterwards.

        A group that is not configured, and led to nobody, was made up by a caller: it is no label, and may be a secret.
        """
        try:
            if not sample.attempts and sample.model_group not in self._groups:
                sample.model_group = ""
            self._count_request(sample)
            if self._write is not None:
                self._write(sample, at)
            if trace is not None and self.tracer is not None:
                self.tracer.request(trace, sample, at)
        except Exception:
            _log.exception("a request was not observed", extra={"call_id": sample.call_id})

    def whole(self, sample: RequestSample, opened: Opened, closed: Closed, at: float) -> None:
        """A request of one attempt is over, and its sample says all of it: `attempt` and `request` in one."""
        try:
            self._count_attempt(opened, closed, sample.key_alias)
            self._count_request(sample)
            if self._write is not None:
                self._write(sample, at)
        except Exception:
            _log.exception("a request was not observed", extra={"call_id": sample.call_id})

    def refused(self, sample: RequestSample, at: float) -> None:
        """A request was refused before there was a call: it presented no valid key, say. All are counted; a flood of
        them leaves a few lines a second in the log.
        """
        try:
            self._count_request(sample)
            second = int(at)
            if second != self._second:
                self._second, self._refusals = second, 0
            self._refusals += 1
            if self._write is not None and self._refusals <= REFUSALS_A_SECOND:
                self._write(sample, at)
        except Exception:
            _log.exception("a refusal was not observed", extra={"call_id": sample.call_id})

    def apply(self, snapshot: Snapshot, secrets: Iterable[str]) -> None:
        """Go by a new snapshot: its settings (the address of the collector and the log's file need a restart), and the
        names of its groups and deployments, which are labels whatever callers name.
        """
        settings = snapshot.settings
        self._groups = frozenset(deployment.group for deployment in snapshot.deployments)
        self.metrics.expect({"model_group": self._groups, "deployment": (each.id for each in snapshot.deployments)})
        self.metrics.key_labels = settings.metrics_key_labels
        if self.log is not None:
            self.log.apply(settings, secrets)

    def close(self, patience: float = 2.0) -> None:
        """Write and send on what waits; for the log, for at most `patience` seconds."""
        if self.tracer is not None:
            self.tracer.flush()
        if self.log is not None:
            self.log.close(patience)


def _add(sample: RequestSample, closed: Closed) -> None:
    """What a further attempt used, on top."""
    usage = closed.usage
    if usage is not None:
        for name in ("input_tokens", "output_tokens", "cache_read_tokens", "cache_write_tokens", "reasoning_tokens"):
            used, more = getattr(sample, name), getattr(usage, name)
            setattr(sample, name, used if more is None else (used or 0) + more)
    if closed.cost_text is not None:
        sample.cost = format(Decimal(sample.cost or 0) + Decimal(closed.cost_text), "f")
    sample.estimated = sample.estimated or closed.estimated


def open_observer(
    settings: Settings,
    secrets: Iterable[str],
    later: Callable[[float, Callable[[], None]], Any],
    forward: Callable[[list[Over]], None],
    worker: int = 1,
) -> Observer:
    """The observer of a worker, as the settings say. `later` is the event loop's `call_later`; `forward` takes what
    spans
    are made of: `lambda batch: channel.tell(trace.KIND, trace.packed(batch))`.

    It starts a thread (that of the log): make it after the fork. Raises OSError: the log's file cannot be opened.
    """
    tracer = None if settings.otel_endpoint is None else Tracer(forward, later, settings.otel_sample_ratio)
    log = open_log(settings, secrets, later, process="worker", worker=worker)
    return Observer(Metrics(key_labels=settings.metrics_key_labels), log, tracer)
