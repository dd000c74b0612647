"""The reference page of the metrics, out of their table. tools/build_reference.py writes it."""

from __future__ import annotations

from collections.abc import Iterable

from penstock.gateway.metrics import tables
from penstock.gateway.metrics.litellm import LITELLM_FAMILIES
from penstock.gateway.metrics.tables import Family
from tools.tables import code, table

GROUPS: tuple[tuple[str, str, tuple[Family, ...]], ...] = (
    ("Requests", "Counted once, when a request is over, by what the client got.", tables.OF_REQUESTS),
    (
        "Attempts",
        "Counted once for each time that a provider was asked: tokens and spend are of all attempts, those that failed"
        " after they cost something included.",
        tables.OF_ATTEMPTS,
    ),
    ("Workers", "Added up over all workers, or as it is said.", tables.OF_WORKERS),
    ("Keeper", "What only one process knows.", tables.OF_THE_KEEPER),
)
BUCKETS: tuple[tuple[str, tuple[float, ...]], ...] = (
    ("`..._duration_seconds`", tables.DURATION),
    ("`..._first_token_seconds`", tables.FIRST_TOKEN),
    ("`..._overhead_seconds`", tables.OVERHEAD),
    ("`..._output_token_seconds`", tables.OUTPUT_TOKEN),
    ("`..._queue_seconds`", tables.QUEUE),
)


def page(note: str) -> str:
    """The whole page."""
    parts = [
        "# Metrics\n",
        note,
        "`GET /metrics` answers with the metrics of all workers, whichever of them is asked: in Prometheus' text"
        " format, or in OpenMetrics for whoever prefers it in `Accept`. How to set it up:"
        " [watch it](../how-to/observe.md).\n",
        "A counter is written with `_total` behind its name. Counters do not go down while the gateway runs, also when"
        " a worker or the keeper dies; `kill -9` loses at most the last second of a worker's counts (of metrics, not of"
        " the ledger).\n",
    ]
    for name, text, families in GROUPS:
        parts += [f"## {name}\n", f"{text}\n", _families(families)]
    parts += ["## Buckets\n", "Upper bounds in seconds.\n", _buckets()]
    parts += ["## Limits of labels\n", _limits_text()]
    parts += ["## LiteLLM's names\n", _litellm_text(), _families(LITELLM_FAMILIES)]
    return "\n".join(parts)


def _families(families: Iterable[Family]) -> str:
    rows: dict[str, tuple[str, ...]] = {}
    for family in families:
        labels = (*family.labels, *dict(family.fixed), *(("worker",) if family.per_worker else ()))
        rows[family.name] = (code(family.name), family.kind, ", ".join(map(code, labels)), family.help)
    return table(("name", "type", "labels", "meaning"), rows.values())


def _buckets() -> str:
    return table(("histogram", "bounds"), ((name, ", ".join(map(_plain, bounds))) for name, bounds in BUCKETS))


def _plain(bound: float) -> str:
    return format(bound, "f").rstrip("0").rstrip(".")


def _limits_text() -> str:
    limits = sorted(tables.LABEL_LIMITS.items())
    shown = table(("label", "values"), ((code(label), f"{limit:,}") for label, limit in limits))
    return (
        "A label takes so many distinct values, those of the configuration before others; what comes later, or is"
        f" longer than {tables.LABEL_LENGTH} characters, is counted under `{tables.OTHER}`"
        " (and in `penstock_metrics_overflows_total`).\n\n" + shown
    )


def _litellm_text() -> str:
    return (
        "With `litellm_metrics: true`, the same figures also stand under the names of LiteLLM's Prometheus callback, so"
        " that its dashboards and alerts go on working. `api_key_alias` has a value with `metrics_key_labels: true`."
        " Labels that Penstock has no word for (`team`, `user`, `end_user` ...) are left out. LiteLLM counts tokens,"
        " spend and latency once a request, Penstock once an attempt.\n"
    )
