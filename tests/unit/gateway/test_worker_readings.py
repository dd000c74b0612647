"""What of a worker is read for metrics, out of the very things that it is made of."""

import asyncio
from typing import Any

from prometheus_client.parser import text_string_to_metric_families as read_text

from penstock.gateway.metrics import Metrics
from penstock.gateway.metrics.exposition import render
from penstock.gateway.metrics.merging import Totals, total
from penstock.gateway.metrics.tables import FAMILIES
from penstock.gateway.upstream import Upstream
from penstock.gateway.upstream.pool import PoolStats
from penstock.gateway.worker_readings import watch_worker
from penstock.routing.health import Health
from penstock.routing.limits import Limit, Limits


def pool(origin: str, **numbers: int) -> PoolStats:
    nothing = dict.fromkeys(("open", "idle", "connecting", "waiting", "made", "failed", "repeated"), 0)
    return PoolStats(origin=origin, **{**nothing, **numbers})


def page_of(metrics: Metrics) -> dict[tuple[str, frozenset[Any]], float]:
    its = Totals()
    its.apply(metrics.report(full=True))
    page = render(total([], [("1", its)]), FAMILIES)
    return {
        (one.name, frozenset(one.labels.values())): one.value for family in read_text(page) for one in family.samples
    }


def test_a_worker_is_read() -> None:
    metrics = Metrics()
    pools = [
        pool("https://a", open=5, idle=2, connecting=1),
        pool("https://a", open=1, waiting=3),
        pool("unix:/run/x", open=2),
    ]
    limits = Limits(requests=Limit(100, 7, 60.0), tokens=Limit(100, 9, 40.0))
    healths = {
        "up": Health(in_flight=3, limits=limits),
        "open": Health(rests_until=60.0, in_flight=1),
        "half": Health(rests_until=40.0),
    }
    watch_worker(
        metrics,
        connections=range(4),
        pools=lambda: pools,
        healths=lambda: healths,
        now=lambda: 50.0,
        version=lambda: 12,
        queue=lambda: 6,
    )
    page = page_of(metrics)
    assert page["penstock_client_connections", frozenset()] == 4
    assert page["penstock_upstream_connections", frozenset({"https://a", "busy"})] == 4
    assert page["penstock_upstream_connections", frozenset({"https://a", "idle"})] == 2
    assert page["penstock_upstream_connections", frozenset({"https://a", "connecting"})] == 1
    assert page["penstock_upstream_connections", frozenset({"keeper", "busy"})] == 2
    assert page["penstock_upstream_waiting", frozenset({"https://a"})] == 3
    assert [page["penstock_deployment_state", frozenset({name})] for name in ("up", "half", "open")] == [0, 1, 2]
    assert page["penstock_deployment_in_flight", frozenset({"up"})] == 3
    assert page["penstock_requests_in_flight", frozenset()] == 4
    assert page["penstock_deployment_requests_remaining", frozenset({"up"})] == 7
    assert ("penstock_deployment_tokens_remaining", frozenset({"up"})) not in page
    assert page["penstock_queue_length", frozenset()] == 6
    assert page["penstock_config_version", frozenset()] == 12


def test_the_parts_of_a_worker_are_what_is_expected_of_them() -> None:
    """An upstream of its own has pools that can be read."""

    async def read() -> list[Any]:
        upstream = Upstream(asyncio.get_running_loop())
        metrics = Metrics()
        watch_worker(
            metrics,
            connections=(),
            pools=upstream.stats,
            healths=dict,
            now=lambda: 0.0,
            version=lambda: 1,
            queue=lambda: 0,
        )
        values = metrics.report().values
        await upstream.aclose()
        return values

    assert ("penstock_requests_in_flight", (), 0) in asyncio.run(read())
