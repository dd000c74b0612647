"""Metrics of all workers: nothing is lost that was reported, nothing counts twice, and no sum ever goes down."""

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule
from prometheus_client.openmetrics.parser import text_string_to_metric_families as read_openmetrics
from prometheus_client.parser import text_string_to_metric_families as read_text

from penstock.control.metrics import Gatherer, Page
from penstock.gateway.metrics import Metrics
from penstock.gateway.metrics.reporting import FULL, KIND, Reporter, watch_process
from penstock.gateway.metrics.tables import LABEL_LIMITS, OTHER
from penstock.gateway.samples import RequestSample


class Worker:
    """A worker's end of the channel; what it says crosses as MessagePack."""

    def __init__(self, name: str, gatherer: Gatherer) -> None:
        self.name = name
        self.metrics = Metrics()
        self.gatherer = gatherer
        self.asked: list[Any] = []
        self.silent = False
        self.reporter = Reporter(self.metrics, self.tell, lambda delay, call: None)
        self.connect(gatherer)

    def connect(self, gatherer: Gatherer) -> None:
        self.gatherer = gatherer
        gatherer.joined(self.name, self)
        self.reporter.connected()

    def tell(self, kind: str, payload: Any) -> None:
        assert kind == KIND
        self.gatherer.heard(self.name, plain(payload))

    def ask(
        self, kind: str, payload: Any, answered: Callable[[Any], None], failed: Callable[[str], None], timeout: float
    ) -> None:
        self.asked.append(payload)
        if self.silent:
            failed("no answer in time")
        else:
            answered(plain(self.reporter.answer(payload)))

    def request(self, group: str = "fast") -> None:
        self.metrics.request(RequestSample(surface="messages", model_group=group, status=200, outcome="success"))


def plain(value: Any) -> Any:
    return msgspec.msgpack.decode(msgspec.msgpack.encode(value))


def count(gatherer: Gatherer, name: str = "penstock_requests_total", **labels: str) -> float:
    pages: list[Page] = []
    gatherer.scrape("", pages.append)
    (page,) = pages
    return sum(
        one.value
        for family in read_text(page.body.decode())
        for one in family.samples
        if one.name == name and labels.items() <= one.labels.items()
    )


def test_a_scrape_adds_up_what_all_workers_counted_until_now() -> None:
    gatherer = Gatherer(Metrics())
    one, two = Worker("1.1", gatherer), Worker("2.1", gatherer)
    for worker in (one, two, two):
        worker.request()
    assert count(gatherer) == 3
    assert count(gatherer, "penstock_workers") == 2


def test_a_worker_that_does_not_answer_counts_with_its_last_report() -> None:
    gatherer = Gatherer(Metrics())
    one, two = Worker("1.1", gatherer), Worker("2.1", gatherer)
    one.request()
    two.request()
    assert count(gatherer) == 2
    one.request()
    two.request()
    two.silent = True
    assert count(gatherer) == 3


def test_what_a_dead_worker_counted_stays() -> None:
    gatherer = Gatherer(Metrics())
    one = Worker("1.1", gatherer)
    one.metrics.gauge("penstock_requests_in_flight", lambda: 7)
    watch_process(one.metrics)
    one.request()
    assert count(gatherer, "penstock_requests_in_flight") == 7
    gatherer.left("1.1")
    successor = Worker("1.2", gatherer)
    successor.request()
    watch_process(successor.metrics)
    assert count(gatherer) == 2
    assert count(gatherer, "penstock_requests_in_flight") == 0
    assert count(gatherer, "penstock_worker_resident_bytes", worker="1") > 0
    assert count(gatherer, "penstock_worker_disconnects_total") == 1


def test_a_worker_that_was_only_cut_off_does_not_count_twice() -> None:
    gatherer = Gatherer(Metrics())
    one = Worker("1.1", gatherer)
    one.request()
    assert count(gatherer) == 1
    gatherer.left("1.1")
    assert count(gatherer) == 1
    one.request()
    one.connect(gatherer)
    assert count(gatherer) == 2


def test_many_dead_workers_are_added_up() -> None:
    gatherer = Gatherer(Metrics())
    for life in range(200):
        worker = Worker(f"1.{life}", gatherer)
        worker.request()
        worker.reporter.stop()
        gatherer.left(worker.name)
    assert count(gatherer) == 200
    assert len(gatherer._dead) <= 64


def test_a_keeper_that_dies_forgets_nobody(tmp_path: Path) -> None:
    keep = tmp_path / "metrics"
    first = Gatherer(Metrics(), keep=keep)
    dead, alive = Worker("1.1", first), Worker("2.1", first)
    dead.request()
    alive.request()
    dead.reporter.stop()
    first.left("1.1")
    second = Gatherer(Metrics(), keep=keep, life=2)
    assert count(second, "penstock_worker_disconnects_total") == 1
    alive.connect(second)
    alive.request()
    assert count(second) == 3


def test_a_worker_that_dies_with_its_keeper_counts_as_last_saved(tmp_path: Path) -> None:
    keep = tmp_path / "metrics"
    first = Gatherer(Metrics(), keep=keep)
    one = Worker("1.1", first)
    one.request()
    assert count(first) == 1
    first.save()
    assert count(Gatherer(Metrics(), keep=keep, life=2)) == 1


def test_a_new_run_begins_anew(tmp_path: Path) -> None:
    keep = tmp_path / "metrics"
    first = Gatherer(Metrics(), keep=keep)
    Worker("1.1", first).request()
    count(first)
    first.save()
    assert count(Gatherer(Metrics(), keep=keep, life=1)) == 0
    assert count(Gatherer(Metrics(), keep=keep, life=2)) == 0


def test_a_file_that_cannot_be_read_or_written_costs_nothing_else(tmp_path: Path) -> None:
    keep = tmp_path / "metrics"
    keep.write_bytes(b"\x00nonsense")
    gatherer = Gatherer(Metrics(), keep=keep, life=2)
    Worker("1.1", gatherer).request()
    assert count(gatherer) == 1
    nowhere = Gatherer(Metrics(), keep=tmp_path / "nowhere" / "metrics", life=2)
    nowhere.save()
    assert count(nowhere) == 0


def test_a_report_that_is_none_is_left_out() -> None:
    gatherer = Gatherer(Metrics())
    one = Worker("1.1", gatherer)
    one.request()
    for nonsense in (None, 7, [], [True, {"requests": 5}, []], [True, {}, [["x"]]]):
        gatherer.heard("1.1", nonsense)
    assert count(gatherer) == 1


def test_a_worker_that_the_keeper_does_not_know_is_asked_for_everything() -> None:
    gatherer = Gatherer(Metrics())
    one = Worker("1.1", gatherer)
    one.request()
    count(gatherer)
    fresh = Gatherer(Metrics())
    fresh.joined("1.1", one)
    assert count(fresh) == 1
    assert one.asked == [None, FULL]


def test_labels_are_bounded_over_all_workers() -> None:
    gatherer = Gatherer(Metrics())
    workers = [Worker(f"{number}.1", gatherer) for number in (1, 2, 3)]
    limit = LABEL_LIMITS["model_group"]
    for worker in workers:
        for number in range(limit):
            worker.request(f"{worker.name} asks {number}")
    assert count(gatherer) == 3 * limit
    assert count(gatherer, model_group=OTHER) == 2 * limit


def test_the_page_is_in_the_format_that_is_asked_for() -> None:
    gatherer = Gatherer(Metrics(), litellm=True)
    Worker("1.1", gatherer).request()
    page = asyncio.run(gatherer.scraped("application/openmetrics-text"))
    assert page.content_type.startswith("application/openmetrics-text")
    families = {family.name for family in read_openmetrics(page.body.decode())}  # type: ignore[no-untyped-call]  # its package has no types
    assert {"penstock_requests", "litellm_proxy_total_requests_metric"} <= families
    assert asyncio.run(gatherer.scraped("")).content_type == "text/plain; version=0.0.4; charset=utf-8"


def test_a_worker_reports_when_something_changed() -> None:
    told: list[Any] = []
    due: list[Callable[[], None]] = []
    metrics = Metrics()
    reporter = Reporter(metrics, lambda kind, payload: told.append(payload), lambda delay, call: due.append(call))
    reporter.connected()
    assert [report.full for report in told] == [True]
    due.pop()()
    assert len(told) == 1
    metrics.request(RequestSample(surface="messages", status=200, outcome="success"))
    due.pop()()
    assert len(told) == 2 and not told[1].full
    metrics.counter("penstock_lease_grants", "tokens").add()
    due.pop()()
    assert len(told) == 3
    reporter.connected()
    assert len(due) == 1 and told[-1].full
    reporter.stop()
    due.pop()()
    assert due == []


class Lives(RuleBasedStateMachine):
    """Workers come, are cut off and die at any time: the sum never goes down, and never exceeds the truth."""

    def __init__(self) -> None:
        super().__init__()
        self.gatherer = Gatherer(Metrics())
        self.workers: dict[str, Worker] = {}
        self.lives = 0
        self.made = 0
        self.seen = 0.0

    @rule()
    def born(self) -> None:
        self.lives += 1
        name = f"{self.lives % 2 + 1}.{self.lives}"
        self.workers[name] = Worker(name, self.gatherer)

    @precondition(lambda self: self.workers)
    @rule(data=st.data(), requests=st.integers(1, 3))
    def requests(self, data: st.DataObject, requests: int) -> None:
        worker = self.workers[data.draw(st.sampled_from(sorted(self.workers)))]
        for _ in range(requests):
            worker.request()
            self.made += 1

    @precondition(lambda self: self.workers)
    @rule(data=st.data())
    def killed(self, data: st.DataObject) -> None:
        name = data.draw(st.sampled_from(sorted(self.workers)))
        del self.workers[name]
        self.gatherer.left(name)

    @precondition(lambda self: self.workers)
    @rule(data=st.data())
    def cut_off(self, data: st.DataObject) -> None:
        name = data.draw(st.sampled_from(sorted(self.workers)))
        self.gatherer.left(name)
        self.workers[name].connect(self.gatherer)

    @rule()
    def scraped(self) -> None:
        found = count(self.gatherer)
        assert self.seen <= found <= self.made
        self.seen = found

    @invariant()
    def nothing_that_was_seen_is_forgotten(self) -> None:
        page = self.gatherer.page("").body.decode()
        found = sum(one.value for f in read_text(page) for one in f.samples if one.name == "penstock_requests_total")
        assert self.seen <= found <= self.made


TestLives = Lives.TestCase
TestLives.settings = settings(max_examples=30, stateful_step_count=25, deadline=None)
