"""What the keeper adds to the metrics."""

from prometheus_client.parser import text_string_to_metric_families as read_text

from penstock import __version__
from penstock.control.keeper_readings import LeaseCounts, watch_keeper
from penstock.control.ledger import LedgerStats
from penstock.control.metrics import Gatherer
from penstock.gateway.metrics import Metrics


def test_the_keeper_is_read() -> None:
    metrics = Metrics()
    stats = LedgerStats(records=9, calls=4, batches=2, rejected=1, damaged=0, under_way=3, behind=1000)
    watch_keeper(metrics, lambda: stats, 1_700_000_000.5)
    leases = LeaseCounts(metrics)
    for kind, quota in (
        ("grant", "key:3f:tokens"),
        ("grant", "key:4a:tokens"),
        ("recall", "key:3f:money:2"),
        ("freed", "x"),
    ):
        leases.told(kind, quota)
    page = Gatherer(metrics).page("").body.decode()
    found = {
        (one.name, *sorted(one.labels.values())): one.value for family in read_text(page) for one in family.samples
    }
    assert found["penstock_build_info", __version__] == 1
    assert found["penstock_start_time_seconds",] == 1_700_000_000.5
    assert found["penstock_ledger_records_total",] == 9
    assert found["penstock_ledger_calls_total",] == 4
    assert found["penstock_ledger_rejected_records_total",] == 1
    assert found["penstock_ledger_unread_bytes",] == 1000
    assert found["penstock_ledger_open_calls",] == 3
    assert found["penstock_lease_grants_total", "tokens"] == 2
    assert found["penstock_lease_recalls_total", "money"] == 1
    assert found["penstock_worker_resident_bytes", "keeper"] > 1_000_000
