"""Traces: what goes on to the provider, which spans are made, and that nobody waits for a collector."""

import os
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
from opentelemetry.exporter.otlp.proto.common.trace_encoder import encode_spans
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import SpanExporter, SpanExportResult
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import SpanKind, StatusCode

from penstock.gateway.metrics import Metrics
from penstock.gateway.observe import Observer
from penstock.gateway.records import Closed, Opened
from penstock.gateway.redact import Redactor
from penstock.gateway.samples import RequestSample
from penstock.gateway.snapshot import Settings
from penstock.gateway.trace import BATCH, AttemptOver, Over, RequestOver, Trace, Tracer, packed, unpacked
from penstock.gateway.trace_export import BATCHES, SpanThread, open_span_thread
from penstock.gateway.trace_spans import SpanMaker
from penstock.gateway.traceparent import parent_of
from penstock.types.usage import Usage

TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
SPAN = "00f067aa0ba902b7"
RECORDED = f"00-{TRACE}-{SPAN}-01"


def sample(**fields: Any) -> RequestSample:
    known: dict[str, Any] = {
        "call_id": "c" * 32,
        "method": "POST",
        "path": "/v1/messages",
        "surface": "messages",
        "status": 200,
        "outcome": "success",
        "seconds": 2.0,
    }
    return RequestSample(**{**known, **fields})


def opened(**fields: Any) -> Opened:
    known: dict[str, Any] = {
        "call_id": "c" * 32,
        "attempt": 1,
        "at": 100.5,
        "started": 100.0,
        "principal": "p",
        "operation": "chat",
        "path": "/v1/messages",
        "requested": "fast",
        "group": "fast",
        "deployment": "d1",
        "provider": "bedrock",
        "model": "claude",
        "stream": True,
    }
    return Opened(**{**known, **fields})


def closed(**fields: Any) -> Closed:
    known: dict[str, Any] = {
        "call_id": "c" * 32,
        "attempt": 1,
        "at": 101.75,
        "first_token": 0.25,
        "status": 200,
        "outcome": "success",
    }
    return Closed(**{**known, **fields})


def one_request(observer: Observer, header: str = RECORDED, state: str = "", **fields: Any) -> RequestSample:
    """A request with one attempt that was answered."""
    one = sample(**fields)
    trace = observer.trace(one, header, state)
    assert trace is not None
    span_id, _ = trace.outgoing()
    usage = Usage(input_tokens=10, output_tokens=5, cache_read_tokens=4, reasoning_tokens=0)
    end = closed(usage=usage, cost=1_500_000, cost_text="0.0000015", finish_reason="stop", response_id="r1", last=True)
    observer.attempt(one, opened(), end, trace, span_id)
    observer.request(one, 102.0, trace)
    return one


def never(delay: float, call: Callable[[], None]) -> None:
    """A timer that does not go off."""


def observer_to(thread: SpanThread) -> Observer:
    """An observer whose batches cross the channel, as MessagePack."""
    return Observer(Metrics(), None, Tracer(lambda batch: thread.put(packed(batch)), never))


def spans_of(*requests: dict[str, Any]) -> list[ReadableSpan]:
    """The spans of requests: each its attempt's, then its own."""
    exporter = InMemorySpanExporter()
    thread = SpanThread(SpanMaker({"service.instance.id": "node-1"}), exporter)
    observer = observer_to(thread)
    for request in requests:
        one_request(observer, **request)
    observer.close()
    thread.close(30)
    assert thread.counts["failed"] == 0
    return list(exporter.get_finished_spans())


# -- what goes on -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("header", [RECORDED, f"00-{TRACE}-{SPAN}-00", "nonsense"])
def test_without_tracing_the_headers_go_on_as_they_came(header: str) -> None:
    one = sample()
    trace = Observer(Metrics()).trace(one, header, "foo=1, bar=2")
    assert trace is not None
    assert trace.outgoing() == ("", (("traceparent", header), ("tracestate", "foo=1, bar=2")))
    assert one.trace_id == (None if header == "nonsense" else TRACE)
    assert one.span_id is None


def test_without_tracing_and_without_headers_there_is_no_trace() -> None:
    assert Observer(Metrics()).trace(sample(), "", "foo=1") is None


@pytest.fixture
def tracer() -> Tracer:
    return Tracer(lambda batch: None, never)


def test_with_tracing_the_provider_sees_the_span_of_the_attempt(tracer: Tracer) -> None:
    one = sample()
    trace = Observer(Metrics(), None, tracer).trace(one, RECORDED, "foo=1, bar=2")
    assert trace is not None
    first, headers = trace.outgoing()
    parent = parent_of(dict(headers)["traceparent"])
    assert parent is not None
    assert (parent.trace_id, parent.span_id, parent.flags) == (TRACE, first, 1)
    assert dict(headers)["tracestate"] == "foo=1,bar=2"
    assert trace.outgoing()[0] != first
    assert (one.trace_id, one.parent_span_id) == (TRACE, SPAN)
    assert one.span_id not in (None, SPAN, first)


@pytest.mark.parametrize("header", ["", "nonsense"])
def test_a_trace_begins_here_where_none_came(tracer: Tracer, header: str) -> None:
    trace = tracer.begin(header, "foo=1")
    assert trace.trace_id != tracer.begin(header, "").trace_id
    _, headers = trace.outgoing()
    assert [name for name, _ in headers] == ["traceparent"]
    assert parent_of(headers[0][1]) is not None
    assert trace.recorded


def test_the_caller_decides_whether_its_trace_is_recorded() -> None:
    assert spans_of({"header": f"00-{TRACE}-{SPAN}-00"}) == []
    assert len(spans_of({"header": RECORDED})) == 2


@pytest.mark.parametrize(("ratio", "recorded"), [(0.0, 0), (1.0, 400), (-1.0, 0), (7.0, 400)])
def test_all_or_none_of_our_own_traces_are_recorded(ratio: float, recorded: int) -> None:
    tracer = Tracer(lambda batch: None, never, ratio)
    assert sum(tracer.begin("", "").recorded for _ in range(400)) == recorded


def test_a_share_of_our_own_traces_is_recorded() -> None:
    tracer = Tracer(lambda batch: None, never, 0.5)
    assert 700 < sum(tracer.begin("", "").recorded for _ in range(2000)) < 1300


# -- batches ----------------------------------------------------------------------------------------------------------


def test_what_is_over_goes_in_batches_or_when_it_waited() -> None:
    batches: list[list[Over]] = []
    due: list[Callable[[], None]] = []
    observer = Observer(Metrics(), None, Tracer(batches.append, lambda delay, call: due.append(call)))
    for _ in range(BATCH // 2):
        one_request(observer)
    assert [len(batch) for batch in batches] == [BATCH]
    one_request(observer)
    assert len(batches) == 1 and len(due) == 1
    due.pop()()
    assert [len(batch) for batch in batches] == [BATCH, 2]
    one_request(observer)
    observer.close()
    assert [len(batch) for batch in batches] == [BATCH, 2, 2] and len(due) == 1


def test_a_channel_that_is_away_costs_spans_and_no_request() -> None:
    def away(batch: list[Over]) -> None:
        raise ConnectionError

    observer = Observer(Metrics(), None, Tracer(away, never))
    one_request(observer)
    observer.close()
    assert ("penstock_spans", ("dropped",), 2) in observer.metrics.report().values


def test_a_batch_crosses_the_channel_whole() -> None:
    trace = Trace(TRACE, SPAN, "", 1, "foo=1")
    batch: list[Over] = [
        AttemptOver(trace, SPAN, opened(facts={"tags": ["a"]}), closed(usage=Usage(input_tokens=1))),
        RequestOver(trace, sample(notes=("n",), cost="0.1"), 5.0),
    ]
    assert unpacked(packed(batch)) == batch


def test_what_messagepack_cannot_hold_costs_itself_and_no_other() -> None:
    trace = Trace(TRACE, SPAN, "", 1)
    good: Over = RequestOver(trace, sample(), 5.0)
    large = AttemptOver(trace, SPAN, opened(), closed(cost=1 << 70))
    odd = RequestOver(trace, sample(requested="a\ud800"), 5.0)
    assert unpacked(packed([good, large, odd, good])) == [good, good]


# -- spans ------------------------------------------------------------------------------------------------------------


def test_a_request_is_a_server_span_with_a_client_span_in_it() -> None:
    attempt, request = spans_of({"state": "foo=1", "key_alias": "team-a", "model_group": "fast"})
    assert request.kind is SpanKind.SERVER and attempt.kind is SpanKind.CLIENT
    assert request.name == "POST messages" and attempt.name == "chat claude"
    assert request.parent is not None and f"{request.parent.span_id:016x}" == SPAN and request.parent.is_remote
    assert attempt.parent is not None and request.context is not None and attempt.context is not None
    assert attempt.parent.span_id == request.context.span_id
    assert f"{attempt.context.trace_id:032x}" == f"{request.context.trace_id:032x}" == TRACE
    assert request.context.trace_state.get("foo") == "1"
    assert (request.start_time, request.end_time) == (100_000_000_000, 102_000_000_000)
    assert (attempt.start_time, attempt.end_time) == (100_500_000_000, 101_750_000_000)
    assert attempt.resource.attributes["service.name"] == "penstock"
    assert attempt.resource.attributes["service.instance.id"] == "node-1"


def test_attributes_are_those_of_the_conventions() -> None:
    attempt, request = spans_of({"key_alias": "team-a", "model_group": "fast", "client": "192.0.2.1"})
    assert dict(attempt.attributes or {}) == {
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": "aws.bedrock",
        "gen_ai.request.model": "claude",
        "gen_ai.request.stream": True,
        "gen_ai.response.id": "r1",
        "gen_ai.response.finish_reasons": ("stop",),
        "gen_ai.response.time_to_first_chunk": 0.25,
        "gen_ai.usage.input_tokens": 10,
        "gen_ai.usage.output_tokens": 5,
        "gen_ai.usage.cache_read.input_tokens": 4,
        "gen_ai.usage.reasoning.output_tokens": 0,
        "http.response.status_code": 200,
        "penstock.call.id": "c" * 32,
        "penstock.attempt": 1,
        "penstock.model_group": "fast",
        "penstock.deployment.id": "d1",
        "penstock.cost.dollars": "0.0000015",
        "penstock.cost.picodollars": 1_500_000,
    }
    found = dict(request.attributes or {})
    assert found["http.request.method"] == "POST" and found["http.response.status_code"] == 200
    assert found["client.address"] == "192.0.2.1" and found["penstock.key.alias"] == "team-a"
    assert found["penstock.cost.dollars"] == "0.0000015" and found["penstock.attempts"] == 1
    assert "error.type" not in found


@pytest.mark.parametrize(
    ("fields", "status", "error"),
    [
        ({"status": 502, "outcome": "failure", "error": "server"}, StatusCode.ERROR, "server"),
        ({"status": 429, "outcome": "refused", "error": "rate_limit"}, StatusCode.UNSET, "rate_limit"),
        ({"status": 200, "outcome": "broken"}, StatusCode.ERROR, "broken"),
        ({"status": 499, "outcome": "cancelled"}, StatusCode.UNSET, "cancelled"),
        ({"status": 200, "outcome": "success"}, StatusCode.UNSET, None),
    ],
)
def test_errors_are_told_as_the_conventions_of_servers_say(
    fields: dict[str, Any], status: StatusCode, error: str | None
) -> None:
    _, request = spans_of(fields)
    assert request.status.status_code is status
    assert (request.attributes or {}).get("error.type") == error


def test_no_span_holds_a_prompt_or_the_words_of_a_provider() -> None:
    spans = spans_of({"provider_message": "you said: hello", "message": "hello"})
    assert "hello" not in "".join(span.to_json() for span in spans)


def test_cost_beyond_64_bits_is_text_only() -> None:
    over = AttemptOver(
        Trace(TRACE, SPAN, "", 1), SPAN, opened(), closed(cost=1 << 70, cost_text="1180591620.717411303424")
    )
    span = SpanMaker({}).attempt(over)
    assert (span.attributes or {})["penstock.cost.dollars"] == "1180591620.717411303424"
    assert "penstock.cost.picodollars" not in (span.attributes or {})


def test_no_span_holds_a_secret_that_a_caller_or_a_provider_wrote() -> None:
    key = "sk-fake-0123456789abcdef"
    trace = Trace(TRACE, SPAN, "", 1)
    maker = SpanMaker({}, Redactor(["the master secret"]))
    words = f"{key} the master secret"
    request = sample(requested=words, path=words, notes=(words,), end_user=words, session=words, provider_message=words)
    attempt = AttemptOver(
        trace, SPAN, opened(model=words), closed(response_id=words, finish_reason=words, message=words)
    )
    for span in (maker.request(RequestOver(trace, request, 5.0)), maker.attempt(attempt)):
        text = str(dict(span.attributes or {}))
        assert "[redacted]" in text and "fake" not in text and "master" not in text


def test_values_that_cannot_be_sent_do_not_cost_a_batch() -> None:
    trace = Trace(TRACE, SPAN, "", 1)
    end = closed(usage=Usage(input_tokens=1 << 80, output_tokens=5), response_id="a\ud800b", at=-5.0)
    spans = [SpanMaker({}).attempt(AttemptOver(trace, SPAN, opened(at=-10.0), end))]
    request = ExportTraceServiceRequest.FromString(encode_spans(spans).SerializeToString())
    (span,) = request.resource_spans[0].scope_spans[0].spans
    found = {attribute.key: attribute.value for attribute in span.attributes}
    assert found["gen_ai.response.id"].string_value == "a?b"
    assert found["gen_ai.usage.output_tokens"].int_value == 5
    assert "gen_ai.usage.input_tokens" not in found


# -- the thread -------------------------------------------------------------------------------------------------------


class Stuck(SpanExporter):
    """A collector that does not answer until it is let."""

    def __init__(self) -> None:
        self.let = threading.Event()
        self.entered = threading.Event()

    def export(self, spans: Any) -> SpanExportResult:
        self.entered.set()
        self.let.wait(30)
        return SpanExportResult.FAILURE


def test_a_collector_that_is_stuck_costs_spans_and_nobody_waits() -> None:
    exporter = Stuck()
    thread = SpanThread(SpanMaker({}), exporter)
    batch: list[Over] = [RequestOver(Trace(TRACE, SPAN, "", 1), sample(), 5.0)] * 3
    thread.put(batch)
    assert exporter.entered.wait(30)
    for _ in range(BATCHES + 10):
        thread.put(packed(batch))
    assert thread.readings()[("dropped",)] == 30
    exporter.let.set()
    thread.close(30)
    assert thread.counts == {"exported": 0, "dropped": 30, "failed": 3 * (BATCHES + 1)}


class Failing(SpanExporter):
    def export(self, spans: Any) -> SpanExportResult:
        raise RuntimeError("no")


def test_what_cannot_be_read_or_exported_does_not_end_the_thread(caplog: pytest.LogCaptureFixture) -> None:
    thread = SpanThread(SpanMaker({}), Failing())
    thread.put(b"\xff nonsense")
    thread.put([RequestOver(Trace(TRACE, SPAN, "", 1), sample(), 5.0)] * 2)
    thread.close(30)
    assert thread.counts["failed"] == 3


class Collector(BaseHTTPRequestHandler):
    """An OTLP receiver."""

    received: list[tuple[str, ExportTraceServiceRequest]]

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["content-length"]))
        self.received.append((self.path, ExportTraceServiceRequest.FromString(body)))
        self.send_response(200)
        self.send_header("content-length", "0")
        self.end_headers()

    def log_message(self, format: str, *arguments: Any) -> None:
        pass


@pytest.fixture
def collector() -> Iterator[tuple[str, list[tuple[str, ExportTraceServiceRequest]]]]:
    received: list[tuple[str, ExportTraceServiceRequest]] = []
    handler = type("Handler", (Collector,), {"received": received})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}", received
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.mark.parametrize("suffix", ["", "/", "/v1/traces", "/prefix"])
def test_spans_arrive_at_a_collector(
    collector: tuple[str, list[tuple[str, ExportTraceServiceRequest]]], suffix: str
) -> None:
    address, received = collector
    opened_thread = open_span_thread(Settings(otel_endpoint=address + suffix))
    assert opened_thread is not None
    observer = observer_to(opened_thread)
    for _ in range(100):
        one_request(observer)
    observer.close()
    opened_thread.close(30)
    assert opened_thread.counts == {"exported": 200, "dropped": 0, "failed": 0}
    assert {path for path, _ in received} == {"/prefix/v1/traces" if suffix == "/prefix" else "/v1/traces"}
    spans = [
        span
        for _, request in received
        for resource in request.resource_spans
        for scope in resource.scope_spans
        for span in scope.spans
    ]
    assert len(spans) == 200 and {span.trace_id.hex() for span in spans} == {TRACE}
    assert {span.name for span in spans} == {"chat claude", "POST messages"}


# -- what is imported -------------------------------------------------------------------------------------------------


def run(code: str, *options: str) -> subprocess.CompletedProcess[str]:
    environment = {name: value for name, value in os.environ.items() if not name.startswith("OTEL_")}
    return subprocess.run(
        [sys.executable, *options, "-c", code], capture_output=True, text=True, env=environment, check=False
    )


def test_a_worker_imports_nothing_of_opentelemetry_and_nobody_does_where_it_is_off() -> None:
    code = (
        "import sys\n"
        "from penstock.gateway.observe import open_observer\n"
        "from penstock.gateway.snapshot import Settings\n"
        "from penstock.gateway.trace_export import open_span_thread\n"
        "later = lambda delay, call: None\n"
        "open_observer(Settings(otel_endpoint='http://127.0.0.1:1'), [], later, lambda batch: None).close()\n"
        "assert open_span_thread(Settings()) is None\n"
        "print([name for name in sys.modules if name.partition('.')[0] in ('opentelemetry', 'requests', 'google')])\n"
    )
    assert run(code).stdout == "[]\n"


def test_without_the_extra_the_error_names_it() -> None:
    code = (
        "import sys\n"
        "sys.modules['opentelemetry'] = None\n"
        "from penstock.gateway.trace_export import OpenTelemetryMissing, open_span_thread\n"
        "from penstock.gateway.snapshot import Settings\n"
        "try:\n"
        "    open_span_thread(Settings(otel_endpoint='http://127.0.0.1:1'))\n"
        "except OpenTelemetryMissing as error:\n"
        "    print(error)\n"
    )
    assert "pip install 'penstock[otel]'" in run(code).stdout


def test_names_of_the_resource_may_be_set_from_outside(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OTEL_SERVICE_NAME", "models")
    monkeypatch.setenv("OTEL_RESOURCE_ATTRIBUTES", "deployment.environment=test")
    (span, _) = spans_of({})
    assert span.resource.attributes["service.name"] == "models"
    assert span.resource.attributes["deployment.environment"] == "test"
