"""Counting, merging and writing of metrics. The page is read by prometheus_client's own parsers."""

import math
from collections.abc import Callable, Iterable
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client.openmetrics.parser import text_string_to_metric_families as read_openmetrics
from prometheus_client.parser import text_string_to_metric_families as read_text

from penstock.gateway.metrics import Metrics, tables
from penstock.gateway.metrics.counting import Reading
from penstock.gateway.metrics.exposition import preferred_format, render
from penstock.gateway.metrics.litellm import LITELLM_FAMILIES
from penstock.gateway.metrics.merging import Report, Totals, total
from penstock.gateway.metrics.tables import ATTEMPTS, FAMILIES, LABEL_LIMITS, OTHER, REQUESTS, TABLES, Family
from penstock.gateway.records import Closed, Opened
from penstock.gateway.samples import RequestSample
from penstock.types.usage import Usage


def sample(**fields: object) -> RequestSample:
    known: dict[str, Any] = {
        "surface": "openai_chat",
        "model_group": "fast",
        "provider": "openai",
        "status": 200,
        "outcome": "success",
        "seconds": 0.3,
        "overhead": 0.00008,
        "key_alias": "team-a",
    }
    return RequestSample(**{**known, **fields})


def attempt(deployment: str = "d1", model: str = "gpt-5-mini", stream: bool = False, at: float = 1000.0) -> Opened:
    return Opened(
        "c" * 32, 1, at, at, "p", "chat", "/v1/chat/completions", "x", "fast", deployment, "openai", model, stream
    )


def closed(at: float = 1000.5, **fields: object) -> Closed:
    known: dict[str, Any] = {"first_token": None, "status": 200, "outcome": "success"}
    return Closed("c" * 32, 1, at, **{**known, **fields})


def constant(reading: Reading) -> Callable[[], Reading]:
    return lambda: reading


def crossed(report: Report) -> Report:
    """The report as it arrives at the other end of the channel: plain values, as MessagePack."""
    plain = msgspec.msgpack.decode(msgspec.msgpack.encode(report))
    return msgspec.convert(plain, Report)


def totals_of(*metrics: Metrics) -> Totals:
    alive = []
    for number, one in enumerate(metrics, 1):
        its = Totals()
        its.apply(crossed(one.report(full=True)))
        alive.append((str(number), its))
    return total([], alive)


def series(page: str) -> dict[tuple[str, tuple[tuple[str, str], ...]], float]:
    return {
        (one.name, tuple(sorted(one.labels.items()))): one.value for family in read_text(page) for one in family.samples
    }


def value(page: str, name: str, **labels: str) -> float:
    """The value of the one series of this name that has at least these labels."""
    found = [
        number
        for (its_name, its_labels), number in series(page).items()
        if its_name == name and labels.items() <= dict(its_labels).items()
    ]
    assert len(found) == 1, (name, labels, found)
    return found[0]


# -- counting ---------------------------------------------------------------------------------------------------------


def test_a_request_is_counted_under_its_labels() -> None:
    metrics = Metrics()
    metrics.request(sample())
    metrics.request(sample())
    metrics.request(sample(status=429, outcome="refused", error="rate_limit", provider="", seconds=0.001))
    page = render(totals_of(metrics), FAMILIES)
    assert value(page, "penstock_requests_total", outcome="success", status="2xx", model_group="fast") == 2
    assert value(page, "penstock_requests_total", outcome="refused", status="4xx") == 1
    assert value(page, "penstock_request_errors_total", error="rate_limit") == 1
    assert value(page, "penstock_request_duration_seconds_count", provider="openai") == 2
    assert value(page, "penstock_request_duration_seconds_sum", provider="openai") == pytest.approx(0.6)


@pytest.mark.parametrize(
    ("seconds", "bound"),
    [(0.0, "2.5e-05"), (0.000025, "2.5e-05"), (0.00005, "5e-05"), (0.000051, "7.5e-05"), (5.0, "5.0"), (9.0, "+Inf")],
)
def test_a_duration_falls_into_the_first_bucket_that_bounds_it(seconds: float, bound: str) -> None:
    metrics = Metrics()
    metrics.request(sample(overhead=seconds))
    page = render(totals_of(metrics), FAMILIES)
    buckets = {
        dict(labels)["le"]: number
        for (name, labels), number in series(page).items()
        if name == "penstock_request_overhead_seconds_bucket"
    }
    first = min((float(le) for le, number in buckets.items() if number), default=math.nan)
    assert first == float(bound)


def test_what_an_attempt_used_is_counted() -> None:
    metrics = Metrics()
    usage = Usage(input_tokens=100, output_tokens=11, cache_read_tokens=60, cache_write_tokens=7, reasoning_tokens=5)
    metrics.attempt(attempt(stream=True), closed(at=1001.5, first_token=0.5, usage=usage, cost=1_234_567_890_123))
    metrics.attempt(attempt(), closed(outcome="failure", status=500, error="server"))
    page = render(totals_of(metrics), FAMILIES)
    assert value(page, "penstock_attempts_total", outcome="success", deployment="d1") == 1
    assert value(page, "penstock_attempts_total", outcome="failure", error="server") == 1
    assert value(page, "penstock_input_tokens_total") == 100
    assert value(page, "penstock_output_tokens_total") == 11
    assert value(page, "penstock_cache_read_tokens_total") == 60
    assert value(page, "penstock_cache_write_tokens_total") == 7
    assert value(page, "penstock_reasoning_tokens_total") == 5
    spend = 'penstock_spend_dollars_total{model_group="fast",deployment="d1",provider="openai",model="gpt-5-mini"}'
    assert f"{spend} 1.234567890123\n" in page
    assert value(page, "penstock_attempt_first_token_seconds_sum") == 0.5
    assert value(page, "penstock_attempt_output_token_seconds_sum") == pytest.approx(0.1)


def test_an_answer_without_a_price_is_counted_and_a_failure_without_one_is_not() -> None:
    metrics = Metrics()
    metrics.attempt(attempt(), closed())
    metrics.attempt(attempt(), closed(outcome="failure", error="timeout", status=0))
    metrics.attempt(attempt(), closed(cost=0, estimated=True))
    page = render(totals_of(metrics), FAMILIES)
    assert value(page, "penstock_unpriced_attempts_total") == 1
    assert value(page, "penstock_estimated_attempts_total") == 1


def test_only_streams_have_a_first_token() -> None:
    metrics = Metrics()
    metrics.request(sample(first_token=0.2))
    assert "first_token" not in render(totals_of(metrics), FAMILIES)
    metrics.request(sample(first_token=0.2, stream=True))
    assert value(render(totals_of(metrics), FAMILIES), "penstock_request_first_token_seconds_count") == 1


def test_what_few_requests_have() -> None:
    metrics = Metrics()
    metrics.request(sample(queued=0.02, fallbacks=2, notes=("dropped seed",), cache="miss"))
    metrics.request(sample(cache="hit"))
    page = render(totals_of(metrics), FAMILIES)
    assert value(page, "penstock_request_queue_seconds_sum") == 0.02
    assert value(page, "penstock_request_fallbacks_total") == 2
    assert value(page, "penstock_request_notes_total") == 1
    assert value(page, "penstock_cache_requests_total", result="hit") == 1
    assert value(page, "penstock_cache_requests_total", result="miss") == 1


def test_keys_are_no_label_unless_asked_for() -> None:
    quiet, telling = Metrics(), Metrics(key_labels=True)
    for metrics in (quiet, telling):
        metrics.request(sample())
        metrics.attempt(attempt(), closed(cost=5), key_alias="team-a")
    assert "team-a" not in render(totals_of(quiet), (*FAMILIES, *LITELLM_FAMILIES))
    page = render(totals_of(telling), FAMILIES)
    assert value(page, "penstock_key_requests_total", key_alias="team-a") == 1
    assert value(page, "penstock_key_spend_dollars_total", key_alias="team-a") == 5e-12


# -- bounds -----------------------------------------------------------------------------------------------------------


def test_a_label_has_a_limit_and_the_rest_is_other() -> None:
    metrics = Metrics()
    limit = LABEL_LIMITS["model"]
    for number in range(limit + 50):
        metrics.attempt(attempt(model=f"m{number}"), closed(cost=1))
    totals = totals_of(metrics)
    assert len(totals.rows["attempts"]) == limit + 1
    page = render(totals, FAMILIES)
    assert value(page, "penstock_attempts_total", model=OTHER) == 50
    assert value(page, "penstock_metrics_overflows_total", label="model") == 50


def test_memory_is_bounded_whatever_callers_name(monkeypatch: pytest.MonkeyPatch) -> None:
    """A thousand names are let in, and rows are bounded below the product of the labels."""
    monkeypatch.setattr("penstock.gateway.metrics.counting.ROWS_AT_MOST", 100)
    metrics = Metrics(key_labels=True)
    for number in range(400):
        metrics.request(sample(model_group=f"g{number % 40}", key_alias=f"k{number}", status=200 + number % 3))
    rows = totals_of(metrics).rows["requests"]
    assert len(rows) <= 101
    assert sum(row[0] for row in rows.values()) == 400
    assert len(metrics._requests) <= 100  # nor does the look-up grow


def test_a_name_that_is_too_long_is_other() -> None:
    metrics = Metrics()
    metrics.request(sample(model_group="g" * 10_000))
    assert value(render(totals_of(metrics), FAMILIES), "penstock_requests_total", model_group=OTHER) == 1


def test_names_of_the_configuration_are_not_crowded_out() -> None:
    metrics = Metrics()
    metrics.expect({"model": ["ours"]})
    for number in range(LABEL_LIMITS["model"]):
        metrics.attempt(attempt(model=f"m{number}"), closed())
    metrics.attempt(attempt(model="ours"), closed())
    assert value(render(totals_of(metrics), FAMILIES), "penstock_attempts_total", model="ours") == 1


def test_every_label_of_the_table_has_a_limit() -> None:
    shown = {label for family in FAMILIES for label in (*family.labels, *dict(family.fixed))}
    rows = {label for table in TABLES.values() for label in table.labels}
    assert shown | rows <= LABEL_LIMITS.keys()


# -- other metrics ----------------------------------------------------------------------------------------------------


def test_counters_and_gauges_of_their_own_name() -> None:
    first, second = Metrics(), Metrics()
    first.counter("penstock_lease_grants", "tokens").add(3)
    second.counter("penstock_lease_grants", "tokens").add()
    for metrics, in_flight, state in ((first, 4, 0), (second, 5, 2)):
        metrics.gauge("penstock_requests_in_flight", constant(in_flight))
        metrics.gauge("penstock_deployment_state", constant({("d1",): state}))
        metrics.gauge("penstock_worker_resident_bytes", lambda: 1000)
    page = render(totals_of(first, second), FAMILIES)
    assert value(page, "penstock_lease_grants_total", kind="tokens") == 4
    assert value(page, "penstock_requests_in_flight") == 9
    assert value(page, "penstock_deployment_state", deployment="d1") == 2
    assert value(page, "penstock_worker_resident_bytes", worker="2") == 1000


@pytest.mark.parametrize(
    ("name", "labels", "error"),
    [
        ("penstock_nothing", (), KeyError),
        ("penstock_lease_grants", (), ValueError),
        ("penstock_workers", (), ValueError),
    ],
)
def test_a_metric_that_is_not_in_the_table_is_refused(
    name: str, labels: tuple[str, ...], error: type[Exception]
) -> None:
    with pytest.raises(error, match=name):
        Metrics().counter(name, *labels)


# -- reports ----------------------------------------------------------------------------------------------------------


def test_a_report_says_what_changed_and_applying_it_twice_changes_nothing() -> None:
    metrics, mirror = Metrics(), Totals()
    metrics.request(sample())
    metrics.request(sample(model_group="slow"))
    mirror.apply(crossed(metrics.report()))
    assert metrics.report().rows == {"requests": [], "attempts": []}
    metrics.request(sample())
    report = crossed(metrics.report())
    assert len(report.rows["requests"]) == 1
    mirror.apply(report)
    mirror.apply(report)
    assert sorted(row[0] for row in mirror.rows["requests"].values()) == [1, 2]
    assert mirror.rows == totals_of(metrics).rows


def test_spend_beyond_64_bits_arrives_exactly() -> None:
    metrics = Metrics()
    cost = 123_456_789_012_345_678_901_234_567  # 123 trillion dollars
    metrics.attempt(attempt(), closed(cost=cost))
    page = render(totals_of(metrics), FAMILIES)
    assert "} 123456789012345.678901234567\n" in page


def test_counters_of_the_dead_count_and_their_gauges_do_not() -> None:
    dead, alive = Metrics(), Metrics()
    for metrics in (dead, alive):
        metrics.request(sample())
        metrics.counter("penstock_lease_grants", "tokens").add(2)
        metrics.gauge("penstock_requests_in_flight", lambda: 7)
        metrics.gauge("penstock_worker_cpu_seconds", lambda: 1.5)
    last, its = Totals(), Totals()
    last.apply(dead.report())
    its.apply(alive.report())
    page = render(total([last], [("2", its)]), FAMILIES)
    assert value(page, "penstock_requests_total") == 2
    assert value(page, "penstock_lease_grants_total") == 4
    assert value(page, "penstock_requests_in_flight") == 7
    assert value(page, "penstock_worker_cpu_seconds_total", worker="2") == 1.5


@given(
    st.lists(
        st.tuples(st.integers(0, 2), st.sampled_from(["a", "b"]), st.floats(0, 1000), st.integers(0, 10**30)),
        max_size=40,
    )
)
def test_many_workers_count_like_one(events: list[tuple[int, str, float, int]]) -> None:
    workers, one = [Metrics(), Metrics(), Metrics()], Metrics()
    for worker, group, seconds, cost in events:
        for metrics in (workers[worker], one):
            metrics.request(sample(model_group=group, seconds=seconds))
            metrics.attempt(attempt(deployment=group), closed(at=1000 + seconds, cost=cost))
    many, alone = totals_of(*workers), totals_of(one)
    for name, table in TABLES.items():
        assert many.rows[name].keys() == alone.rows[name].keys()
        for labels, row in many.rows[name].items():
            sums = {table.at(column.name) for column in table.columns if column.bounds}
            for place, number in enumerate(row):
                expected = alone.rows[name][labels][place]
                assert number == (pytest.approx(expected) if place in sums else expected)


def test_a_report_of_something_unknown_is_left_out() -> None:
    """A worker of another version says more, or less, than we know."""
    totals = Totals()
    totals.apply(Report(True, {"unknown": [(("a",), [1])], "requests": [(("a",), [1])]}, [("nothing", (), 1)]))
    assert render(totals, FAMILIES) == "\n"


# -- the page ---------------------------------------------------------------------------------------------------------

WEIRD = st.text(st.characters(exclude_categories=["Cs"]), max_size=20) | st.sampled_from(
    ['a"b', "a\\b", "a\nb", "}", "="]
)


@given(st.lists(WEIRD, max_size=5))
def test_any_value_of_a_label_is_read_back(groups: list[str]) -> None:
    metrics = Metrics()
    for group in groups:
        metrics.request(sample(model_group=group))
    totals = totals_of(metrics)
    for read, page in (
        (read_text, render(totals, FAMILIES)),
        (read_openmetrics, render(totals, FAMILIES, "openmetrics")),
    ):
        found = {
            one.labels.get("model_group", ""): one.value
            for family in read(page)
            for one in family.samples
            if one.name == "penstock_requests_total"
        }
        assert found == {group: groups.count(group) for group in groups}


def full_totals() -> Totals:
    """Something in every family."""
    metrics = Metrics(key_labels=True)
    metrics.request(
        sample(stream=True, first_token=0.1, queued=1.0, notes=("x",), fallbacks=1, cache="hit", error="server")
    )
    usage = Usage(input_tokens=1, output_tokens=5, input_audio_tokens=1)
    metrics.attempt(
        attempt(stream=True), closed(first_token=0.1, usage=usage, cost=7, error="server"), key_alias="team-a"
    )
    for name, family in tables.PLAIN.items():
        labels = tuple("x" for _ in family.labels)
        if family.kind == "counter" and name != "penstock_metrics_overflows":
            metrics.counter(name, *labels).add(2)
        else:
            metrics.gauge(name, constant({labels: 3}))
    return totals_of(metrics)


def names(families: Iterable[Family]) -> set[str]:
    return {family.name for family in families}


def test_every_family_is_written_in_both_formats() -> None:
    families = (*FAMILIES, *LITELLM_FAMILIES)
    totals = full_totals()
    text = {family.name: family for family in read_text(render(totals, families))}
    assert text.keys() == names(families)
    page = render(totals, families, "openmetrics")
    assert page.endswith("# EOF\n")
    read = {family.name: family for family in read_openmetrics(page)}  # type: ignore[no-untyped-call]  # its package has no types
    assert read.keys() == names(families)
    for family in families:
        assert text[family.name].type == read[family.name].type == family.kind
        assert text[family.name].documentation == family.help
        assert read[family.name].unit == family.unit
        written = {one.name: one.value for one in text[family.name].samples}
        assert {one.name: one.value for one in read[family.name].samples} == written


def test_names_and_labels_are_those_that_prometheus_allows() -> None:
    for family in (*FAMILIES, *LITELLM_FAMILIES):
        assert family.name.replace("_", "").isalnum() and family.name.islower()
        assert not family.name.endswith(("_total", "_count", "_sum", "_bucket"))
        assert all(label.isidentifier() and not label.startswith("__") and label != "le" for label in family.labels)
        assert family.help.endswith((".", ")."))
        if family.kind == "histogram":
            assert family.unit == "seconds" or family.name.startswith("litellm_")


def test_families_of_one_name_stand_together_and_agree() -> None:
    order = [family.name for family in FAMILIES]
    assert [name for place, name in enumerate(order) if name in order[:place] and order[place - 1] != name] == []
    for family in FAMILIES:
        assert {(one.kind, one.help, one.labels) for one in FAMILIES if one.name == family.name} == {
            (family.kind, family.help, family.labels)
        }


def test_columns_and_labels_of_families_exist() -> None:
    for family in (*FAMILIES, *LITELLM_FAMILIES):
        if family.table:
            table = TABLES[family.table]
            assert {family.sources.get(label, label) for label in family.labels} <= set(table.labels)
            for column in family.column.split("+"):
                assert bool(table.column(column).bounds) == (family.kind == "histogram")
    assert REQUESTS.columns[0].name == ATTEMPTS.columns[0].name == "count"


def test_buckets_grow() -> None:
    for table in TABLES.values():
        for column in table.columns:
            assert list(column.bounds) == sorted(set(column.bounds))


def test_litellm_names_tell_the_same() -> None:
    page = render(full_totals(), LITELLM_FAMILIES)
    assert value(page, "litellm_proxy_total_requests_metric_total", route="/chat/completions", status_code="200") == 1
    assert value(page, "litellm_proxy_failed_requests_metric_total", exception_class="InternalServerError") == 1
    assert value(page, "litellm_total_tokens_metric_total", requested_model="fast", api_key_alias="team-a") == 6
    assert value(page, "litellm_spend_metric_total", model="gpt-5-mini") == 7e-12
    assert value(page, "litellm_deployment_success_responses_total", litellm_model_name="gpt-5-mini") == 1
    assert value(page, "litellm_deployment_state", model_id="x") == 3


@pytest.mark.parametrize(
    ("accept", "expected"),
    [
        ("", "text"),
        ("*/*", "text"),
        ("text/plain", "text"),
        ("application/openmetrics-text; version=1.0.0", "openmetrics"),
        ("application/openmetrics-text;version=1.0.0;q=0.6,text/plain;version=0.0.4;q=0.3,*/*;q=0.2", "openmetrics"),
        ("application/openmetrics-text;q=0.1, text/plain;q=0.9", "text"),
        ("application/openmetrics-text;q=0", "text"),
        ("application/openmetrics-text;q=much", "text"),
        ("APPLICATION/OPENMETRICS-TEXT", "openmetrics"),
        ("application/vnd.google.protobuf;q=1,text/html", "text"),
    ],
)
def test_the_format_is_the_one_that_is_preferred(accept: str, expected: str) -> None:
    assert preferred_format(accept) == expected


def test_a_gauge_that_cannot_be_read_hides_no_other(caplog: pytest.LogCaptureFixture) -> None:
    def fails() -> Reading:
        raise RuntimeError("no")

    metrics = Metrics()
    metrics.gauge("penstock_queue_length", fails)
    metrics.gauge("penstock_queue_length", constant({("too", "many"): 1}))
    metrics.gauge("penstock_requests_in_flight", constant(3))
    assert metrics.report().values == [("penstock_requests_in_flight", (), 3)]
    assert len(caplog.records) == 2


def test_a_label_that_cannot_be_written_is_other() -> None:
    metrics = Metrics()
    metrics.request(sample(model_group="a\ud800", provider=None))
    assert value(render(totals_of(metrics), FAMILIES), "penstock_requests_total", model_group=OTHER) == 1
