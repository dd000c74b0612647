"""The observer: one call for an attempt, one for a request, and what the request's sample then says."""

import json
import logging
from pathlib import Path
from typing import Any

import pytest

from penstock.gateway.metrics import Metrics
from penstock.gateway.observe import Observer, open_observer
from penstock.gateway.records import Closed, Opened
from penstock.gateway.samples import RequestSample
from penstock.gateway.snapshot import Settings
from penstock.types.usage import Usage


def opened(number: int = 1, deployment: str = "d1") -> Opened:
    return Opened("c" * 32, number, 1.0, 1.0, "p", "chat", "/", "x", "fast", deployment, "openai", "gpt", False)


def closed(number: int = 1, **fields: Any) -> Closed:
    known: dict[str, Any] = {"first_token": None, "status": 200, "outcome": "success"}
    return Closed("c" * 32, number, 2.0, **{**known, **fields})


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
    observer.apply(Settings(log_level="error", metrics_key_labels=True), ["a new secret"])
    observer.request(RequestSample(status=200, key_alias="team-a"), 1.0)
    observer.request(RequestSample(status=500, message="see a new secret", key_alias="team-a"), 1.0)
    observer.close()
    (line,) = path.read_text().splitlines()
    assert "a new secret" not in line
    assert {row[0][-1] for row in observer.metrics.report(full=True).rows["requests"]} == {"team-a"}
