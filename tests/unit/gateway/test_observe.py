"""The observer: one call for an attempt, one for a request, and what the request's sample then says."""

import json
import logging
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from opentelemetry.exporter.otlp.proto.common.trace_encoder import encode_spans
from prometheus_client.parser import text_string_to_metric_families as read_text

from penstock.gateway.log import Log
from penstock.gateway.metrics import Metrics
from penstock.gateway.metrics.exposition import render
from penstock.gateway.metrics.litellm import LITELLM_FAMILIES
from penstock.gateway.metrics.merging import Labels, Report, Totals
from penstock.gateway.metrics.tables import FAMILIES
from penstock.gateway.observe import REFUSALS_A_SECOND, Observer, open_observer
from penstock.gateway.records import Closed, Opened
from penstock.gateway.samples import RequestSample
from penstock.gateway.snapshot import Settings, Snapshot
from penstock.gateway.trace import AttemptOver, Tracer, packed, unpacked
from penstock.gateway.trace_spans import SpanMaker
from penstock.routing.deployment import Deployment
from penstock.types.usage import Usage


def opened(number: int = 1, deployment: str = "d1") -> Opened:
    return Opened("c" * 32, number, 1.0, 1.0, "p", "chat", "/", "x", "fast", deployment, "openai", "gpt", False)


def closed(number: int = 1, **fields: Any) -> Closed:
    known: dict[str, Any] = {"at": 2.0, "first_token": None, "status": 200, "outcome": "success"}
    return Closed("c" * 32, number, **{**known, **fields})


class Lines:
    """A writer that keeps what it is given."""

    lost = 0

    def __init__(self, lines: list[bytes]) -> None:
        self._lines = lines

    def write(self, lines: bytes) -> None:
        self._lines.append(lines)

    def reopen(self) -> None:
        pass

    def close(self, patience: float = 1.0) -> None:
        pass


def test_the_sample_is_that_of_the_attempt_that_answered() -> None:
    one = RequestSample()
    usage = Usage(input_tokens=10, output_tokens=0)
    end = closed(usage=usage, cost=5, cost_text="0.5", finish_reason="stop", response_id="r1")
    Observer(Metrics()).attempt(one, opened(), end)
    assert (one.attempts, one.deployment, one.provider, one.model) == (1, "d1", "openai", "gpt")
    assert (one.input_tokens, one.output_tokens, one.cache_read_tokens) == (10, 0, None)
    assert (one.cost, one.estimated, one.finish_reason, one.response_id) == ("0.5", False, "stop", "r1")


def test_what_several_attempts_used_is_added_up() -> None:
    one = RequestSample()
    observer = Observer(Metrics())
    usage = Usage(input_tokens=10, output_tokens=3)
    observer.attempt(one, opened(), closed(outcome="broken", usage=usage, cost_text="0.000000000001", estimated=True))
    observer.attempt(one, opened(2, "d2"), closed(2, outcome="failure", status=500))
    observer.attempt(one, opened(3, "d3"), closed(3, usage=Usage(input_tokens=1, reasoning_tokens=2), cost_text="1.5"))
    assert (one.attempts, one.deployment) == (3, "d3")
    assert (one.input_tokens, one.output_tokens, one.reasoning_tokens) == (11, 3, 2)
    assert one.cost == "1.500000000001" and one.estimated


def test_a_cost_so_far_unknown_is_that_of_the_attempt_that_has_one() -> None:
    one = RequestSample()
    observer = Observer(Metrics())
    observer.attempt(one, opened(), closed(outcome="failure"))
    observer.attempt(one, opened(2), closed(2, cost_text="0.0000001"))
    assert one.cost == "0.0000001"


def test_everything_is_told_once(tmp_path: Path) -> None:
    path = tmp_path / "log"
    observer = open_observer(Settings(log_file=str(path)), [], lambda delay, call: None, lambda batch: None)
    one = RequestSample(call_id="c" * 32, surface="messages", status=200, outcome="success")
    observer.attempt(one, opened(), closed())
    observer.request(one, 5.0)
    observer.close()
    (line,) = path.read_text().splitlines()
    assert json.loads(line)["call_id"] == "c" * 32 and json.loads(line)["attempts"] == 1
    rows = observer.metrics.report(full=True).rows
    assert [row[1][0] for row in rows["requests"]] == [row[1][0] for row in rows["attempts"]] == [1]


def test_losses_of_log_and_tracer_are_metrics(tmp_path: Path) -> None:
    observer = open_observer(Settings(log_file=str(tmp_path / "log")), [], lambda delay, call: None, lambda batch: None)
    assert ("penstock_log_lines_lost", (), 0) in observer.metrics.report(full=True).values
    observer.close()


def test_observing_never_fails_a_request(caplog: pytest.LogCaptureFixture) -> None:
    class Broken(Metrics):
        def request(self, sample: RequestSample) -> None:
            raise RuntimeError("no")

        def attempt(self, opened: Opened, closed: Closed, key_alias: str | None = None) -> None:
            raise RuntimeError("no")

    observer = Observer(Broken())
    with caplog.at_level(logging.ERROR):
        observer.attempt(RequestSample(), opened(), closed())
        observer.request(RequestSample(), 1.0)
    assert [record.message for record in caplog.records] == [
        "an attempt was not observed",
        "a request was not observed",
    ]


def test_settings_of_a_new_snapshot_hold_from_then_on(tmp_path: Path) -> None:
    path = tmp_path / "log"
    observer = open_observer(Settings(log_file=str(path)), [], lambda delay, call: None, lambda batch: None)
    observer.apply(Snapshot(version=2, settings=Settings(log_level="error", metrics_key_labels=True)), ["a new secret"])
    observer.request(RequestSample(status=200, key_alias="team-a"), 1.0)
    observer.request(RequestSample(status=500, message="see a new secret", key_alias="team-a"), 1.0)
    observer.close()
    (line,) = path.read_text().splitlines()
    assert "a new secret" not in line
    assert {row[0][-1] for row in observer.metrics.report(full=True).rows["requests"]} == {"team-a"}


def test_a_group_that_a_caller_made_up_is_no_label_and_in_no_line(tmp_path: Path) -> None:
    """It may be anything: a name a second, or a key that was put into the wrong field."""
    path = tmp_path / "log"
    observer = open_observer(Settings(log_file=str(path)), [], lambda delay, call: None, lambda batch: None)
    observer.apply(Snapshot(version=1, deployments=(Deployment(group="fast", arguments={"model": "x"}, id="d1"),)), [])
    for group in ("sk-fake-0123456789abcdef", "made-up", "fast"):
        observer.request(RequestSample(status=404, outcome="failure", requested=group, model_group=group), 1.0)
    observer.close()
    assert "fake" not in path.read_text()
    groups = {row[0][1]: row[1][0] for row in observer.metrics.report(full=True).rows["requests"]}
    assert groups == {"": 2, "fast": 1}


ODD = st.text(max_size=10) | st.text(st.characters(categories=["Cs", "Cc"]), max_size=3) | st.just("x" * 300)
NUMBER = st.integers(-(1 << 80), 1 << 80) | st.none()
SECONDS = st.floats() | st.none()
CLOCK = st.floats(0, 10)
SAMPLES = st.builds(
    RequestSample,
    surface=st.just("messages"),
    status=st.integers(-1, 1000),
    seconds=st.floats(),
    overhead=st.floats(),
    first_token=SECONDS,
    queued=SECONDS,
    stream=st.booleans(),
    requested=ODD,
    model_group=ODD,
    path=ODD,
    key_alias=ODD,
    end_user=ODD,
    notes=st.tuples(ODD),
)
USAGES = st.builds(Usage, input_tokens=NUMBER, output_tokens=NUMBER, reasoning_tokens=NUMBER, input_audio_tokens=NUMBER)
BEGUN = st.builds(
    lambda at, group, deployment, model: Opened(
        "c", 1, at, 0.0, "p", "chat", "/", "x", group, deployment, "o", model, True
    ),
    *(CLOCK, ODD, ODD, ODD),
)
ENDED = st.builds(closed, at=CLOCK, first_token=SECONDS, usage=USAGES, cost=NUMBER, response_id=ODD)


@given(st.lists(st.tuples(SAMPLES, BEGUN, ENDED, ODD), max_size=3))
def test_nothing_that_callers_or_providers_say_breaks_it(
    calls: list[tuple[RequestSample, Opened, Closed, str]],
) -> None:
    """Odd text, numbers that cannot be, clocks that go back: all is counted, logged, traced, and no sum goes down."""
    lines: list[bytes] = []
    batches: list[bytes] = []
    tracer = Tracer(lambda batch: batches.append(packed(batch)), lambda delay, call: None)
    observer = Observer(Metrics(key_labels=True), Log(Lines(lines), lambda delay, call: None), tracer)
    mirror = Totals()
    sums: dict[tuple[str, Labels], list[Any]] = {}
    for one, begun, ended, header in calls:
        trace = observer.trace(one, header, header)
        observer.attempt(one, begun, ended, trace, "a" * 16)
        observer.request(one, 1_763_880_000.0, trace)
        mirror.apply(msgspec.convert(msgspec.msgpack.decode(msgspec.msgpack.encode(observer.metrics.report())), Report))
        for name, rows in mirror.rows.items():
            for labels, row in rows.items():
                before = sums.get((name, labels), [0] * len(row))
                assert all(new >= old for new, old in zip(row, before, strict=True))
                sums[name, labels] = row
    observer.close()
    assert [json.loads(line)["event"] for line in b"".join(lines).splitlines()] == ["request"] * len(calls)
    assert sum(row[0] for row in mirror.rows["requests"].values()) == len(calls)
    assert sum(row[0] for row in mirror.rows["attempts"].values()) == len(calls)
    list(read_text(render(mirror, (*FAMILIES, *LITELLM_FAMILIES))))
    maker = SpanMaker({})
    over = [one for batch in batches for one in unpacked(batch)]
    encode_spans([maker.attempt(one) if isinstance(one, AttemptOver) else maker.request(one) for one in over])


def test_a_flood_of_refusals_is_counted_and_leaves_a_few_lines() -> None:
    lines: list[bytes] = []
    log = Log(Lines(lines), lambda delay, call: call())
    observer = Observer(Metrics(), log)
    for number in range(1000):
        observer.refused(RequestSample(surface="openai_chat", status=401, outcome="refused"), 100.0 + number / 1000)
    log.flush()
    assert b"".join(lines).count(b"\n") == REFUSALS_A_SECOND
    (row,) = observer.metrics.report().rows["requests"]
    assert row[1][0] == 1000
