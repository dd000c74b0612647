"""Spans, made of what is over: the only module that imports OpenTelemetry, and only a `SpanThread` uses it.

Names and attributes follow the semantic conventions for HTTP servers and for GenAI clients
(https://github.com/open-telemetry/semantic-conventions-genai, still in development); what they have no word for is
`penstock.*`. No span holds a prompt or an answer.
"""

from __future__ import annotations

from collections.abc import Mapping
from importlib.metadata import version as version_of
from typing import Any

from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import OTELResourceDetector, Resource
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.util.instrumentation import InstrumentationScope
from opentelemetry.trace import SpanContext, SpanKind, Status, StatusCode, TraceFlags, TraceState

from penstock.gateway.records import Closed, Opened
from penstock.gateway.redact import Redactor
from penstock.gateway.samples import RequestSample
from penstock.gateway.trace import AttemptOver, RequestOver, Trace

_PATH = "/v1/traces"
_SECONDS = 10.0
_INT64 = 1 << 63

PROVIDERS: Mapping[str, str] = {
    "azure": "azure.ai.openai",
    "azure_ai": "azure.ai.inference",
    "bedrock": "aws.bedrock",
    "gemini": "gcp.gemini",
    "mistral": "mistral_ai",
    "vertex_ai": "gcp.vertex_ai",
    "watsonx": "ibm.watsonx.ai",
    "xai": "x_ai",
}
"""Providers for which the conventions have another name than ours. All others go by ours."""

OPERATIONS: Mapping[str, str] = {"completion": "text_completion", "embedding": "embeddings"}
"""Operations for which the conventions have another name than ours."""


FOREIGN = frozenset(
    {
        "url.path",
        "penstock.request.model",
        "penstock.notes",
        "enduser.pseudo.id",
        "gen_ai.conversation.id",
        "gen_ai.request.model",
        "gen_ai.response.id",
        "gen_ai.response.model",
        "gen_ai.response.finish_reasons",
    }
)
"""Attributes that a caller or a provider can have written."""


def otlp_exporter(endpoint: str) -> OTLPSpanExporter:
    """The exporter to a collector: its base address ("http://localhost:4318"), or that of its traces, in full.

    Headers, certificates and compression are taken from the variables OTEL_EXPORTER_OTLP_* of the environment.
    """
    base = endpoint.rstrip("/")
    return OTLPSpanExporter(endpoint=base if base.endswith(_PATH) else base + _PATH, timeout=_SECONDS)


class SpanMaker:
    """Makes spans. `attributes` describe the process; OTEL_SERVICE_NAME and OTEL_RESOURCE_ATTRIBUTES go before.

    `redactor` takes secrets out of what callers and providers wrote.
    """

    def __init__(self, attributes: Mapping[str, str], redactor: Redactor | None = None) -> None:
        self.redactor = redactor or Redactor()
        ours = {"service.name": "penstock", "service.version": version_of("penstock"), **attributes}
        self._resource = Resource.create(ours).merge(OTELResourceDetector().detect())
        self._scope = InstrumentationScope("penstock", version_of("penstock"))

    def request(self, over: RequestOver) -> ReadableSpan:
        """The SERVER span of a request."""
        trace, sample, at = over.trace, over.sample, over.at
        failed = sample.status >= 500 or sample.outcome == "broken"
        return self._span(
            f"{sample.method} {sample.surface}".strip(),  # not the path: some hold the name of a model
            SpanKind.SERVER,
            (trace, trace.span_id, trace.parent_id, bool(trace.parent_id)),
            _request_attributes(sample),
            (at - sample.seconds, at),
            failed,
        )

    def attempt(self, over: AttemptOver) -> ReadableSpan:
        """The CLIENT span of an attempt."""
        trace, opened, closed = over.trace, over.opened, over.closed
        operation = OPERATIONS.get(opened.operation, opened.operation)
        return self._span(
            f"{operation} {opened.model}" if opened.model else operation,
            SpanKind.CLIENT,
            (trace, over.span_id, trace.span_id, False),
            {"gen_ai.operation.name": operation, **_attempt_attributes(opened, closed)},
            (opened.at, closed.at),
            closed.outcome != "success",
        )

    def _span(
        self,
        name: str,
        kind: SpanKind,
        place: tuple[Trace, str, str, bool],
        attributes: dict[str, Any],
        times: tuple[float, float],
        failed: bool,
    ) -> ReadableSpan:
        trace, span_id, parent_id, remote = place
        start, end = map(_nanoseconds, times)
        return ReadableSpan(
            name=name,
            context=_context(trace, span_id, False),
            parent=_context(trace, parent_id, remote) if parent_id else None,
            resource=self._resource,
            attributes=self._attributes(attributes),
            kind=kind,
            status=Status(StatusCode.ERROR if failed else StatusCode.UNSET),
            start_time=start,
            end_time=max(start, end),
            instrumentation_scope=self._scope,
        )

    def _attributes(self, attributes: dict[str, Any]) -> dict[str, Any]:
        """Those that have a value, and can be sent, without secrets."""
        found = {name: value for name, raw in attributes.items() if (value := _sendable(raw)) not in (None, "")}
        for name in FOREIGN & found.keys():
            value = found[name]
            clean = self.redactor.text
            found[name] = clean(value) if isinstance(value, str) else tuple(map(clean, value))
        return found


def _context(trace: Trace, span_id: str, remote: bool) -> SpanContext:
    state = TraceState.from_header([trace.state]) if trace.state else None
    return SpanContext(int(trace.trace_id, 16), int(span_id, 16), remote, TraceFlags(trace.flags), state)


def _nanoseconds(at: float) -> int:
    """A time for protobuf; one that cannot be is 0."""
    return int(at * 1e9) if 0.0 <= at < 1e10 else 0


def _sendable(value: Any) -> Any:
    """What protobuf can hold: one value that it cannot would cost a whole batch. None for an integer that is too large;
    `?` for half a character.
    """
    if isinstance(value, str):
        return value if value.isascii() else value.encode("utf-8", "replace").decode()
    if isinstance(value, tuple):
        return tuple(map(_sendable, value))
    if isinstance(value, int) and not -_INT64 <= value < _INT64:
        return None
    return value


def _request_attributes(sample: RequestSample) -> dict[str, Any]:
    return {
        "http.request.method": sample.method,
        "url.path": sample.path,
        "http.response.status_code": sample.status or None,
        "client.address": sample.client,
        "error.type": _error_type(sample.outcome, sample.error),
        "penstock.call.id": sample.call_id,
        "penstock.surface": sample.surface,
        "penstock.outcome": sample.outcome,
        "penstock.key.id": sample.key_id,
        "penstock.key.alias": sample.key_alias,
        "penstock.request.model": sample.requested,
        "penstock.model_group": sample.model_group,
        "penstock.deployment.id": sample.deployment,
        "penstock.attempts": sample.attempts,
        "penstock.fallbacks": sample.fallbacks or None,
        "penstock.overhead": sample.overhead,
        "penstock.queued": sample.queued,
        "penstock.first_token": sample.first_token,
        "penstock.cache": sample.cache,
        "penstock.notes": sample.notes or None,
        "penstock.route": sample.route,
        "penstock.cost.dollars": sample.cost,
        "enduser.pseudo.id": sample.end_user,
        "gen_ai.conversation.id": sample.session,
    }


def _attempt_attributes(opened: Opened, closed: Closed) -> dict[str, Any]:
    usage, facts = closed.usage, closed.facts
    counts: dict[str, Any] = {}
    if usage is not None:
        counts = {
            "gen_ai.usage.input_tokens": usage.input_tokens,
            "gen_ai.usage.output_tokens": usage.output_tokens,
            "gen_ai.usage.cache_read.input_tokens": usage.cache_read_tokens,
            "gen_ai.usage.cache_creation.input_tokens": usage.cache_write_tokens,
            "gen_ai.usage.reasoning.output_tokens": usage.reasoning_tokens,
            "gen_ai.usage.audio.input_tokens": usage.input_audio_tokens,
            "gen_ai.usage.audio.output_tokens": usage.output_audio_tokens,
            "gen_ai.usage.image.input_tokens": usage.input_image_tokens,
            "gen_ai.usage.video.input_tokens": usage.input_video_tokens,
        }
    return {
        "gen_ai.provider.name": PROVIDERS.get(opened.provider, opened.provider),
        "gen_ai.request.model": opened.model,
        "gen_ai.request.stream": True if opened.stream else None,
        "gen_ai.response.id": closed.response_id,
        "gen_ai.response.model": facts.get("response_model"),
        "gen_ai.response.finish_reasons": (closed.finish_reason,) if closed.finish_reason else None,
        "gen_ai.response.time_to_first_chunk": closed.first_token if opened.stream else None,
        **counts,
        "http.response.status_code": closed.status or None,
        "server.address": facts.get("server_address"),
        "server.port": facts.get("server_port"),
        "error.type": _error_type(closed.outcome, closed.error),
        "penstock.call.id": opened.call_id,
        "penstock.attempt": opened.attempt,
        "penstock.model_group": opened.group,
        "penstock.deployment.id": opened.deployment,
        "penstock.usage.estimated": True if closed.estimated else None,
        "penstock.cost.dollars": closed.cost_text,
        "penstock.cost.picodollars": closed.cost,
    }


def _error_type(outcome: str, error: str | None) -> str | None:
    """The kind of the error; how it ended where it has none; None for what went well."""
    return None if outcome == "success" else error or outcome
