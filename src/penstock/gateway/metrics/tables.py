"""Which metrics there are: the one table of families, with the rows that they are read from.

Two tables of rows are counted by requests: `REQUESTS` (one count when a request is over) and `ATTEMPTS` (one count when
an attempt is over). A row has more labels than any family shows; a family names a column and the labels by which
it is added up. All other families are `PLAIN`: counted or read under their own name, off the way of a request.

Rules of the names, from Prometheus' and OpenTelemetry's conventions: base units (seconds, bytes, dollars) at the end of
the name, `_total` behind a counter (written by the exposition, not here), no unit in a label. What OpenTelemetry calls
by a word is called so here: provider, model, operation, input and output tokens. Its `gen_ai.*` metrics themselves are
not written: they see one call of one client, know neither surface nor group nor deployment, and are still in
development; whoever wants them makes them of the spans (docs/how-to/observe.md).

Every label has a limit of distinct values (`LABEL_LIMITS`). What comes later is counted under `other`, so that nobody
who picks names can fill the memory of a worker or of a Prometheus.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from msgspec import Struct

Kind = Literal["counter", "gauge", "histogram"]

OTHER = "other"
"""The value of a label that has had as many values as it may."""

LABEL_LIMITS: Mapping[str, int] = {
    "surface": 100,
    "operation": 50,
    "model_group": 1_000,
    "deployment": 1_000,
    "provider": 200,
    "model": 1_000,
    "status_code": 100,
    "status": 10,
    "outcome": 20,
    "error": 50,
    "key_alias": 1_000,
    "origin": 200,
    "state": 10,
    "kind": 20,
    "result": 10,
    "worker": 300,
    "label": 50,
    "version": 10,
}
"""Label -> how many distinct values it may have."""

LABEL_LENGTH = 200
"""Characters that a value may have; a longer one is `other`."""

ROWS_AT_MOST = 10_000
"""Rows of one table. Then all labels that a caller can influence are `other`, in rows that are made anew."""

# -- histograms: upper bounds of the buckets, in seconds -------------------------------------------------------------

DURATION = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 20.0, 30.0, 60.0, 120.0, 300.0, 600.0)
"""From an embedding next door to a model that reasons for ten minutes."""
FIRST_TOKEN = (0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 0.75, 1.0, 1.5, 2.5, 5.0, 7.5, 10.0, 30.0, 60.0, 300.0)
OVERHEAD = (
    0.000025, 0.00005, 0.000075, 0.0001, 0.00015, 0.0002, 0.0003, 0.0005, 0.00075, 0.001, 0.0015,
    0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0, 5.0,
)  # fmt: skip
"""What Penstock itself adds: tens of microseconds, so the buckets begin below them."""
OUTPUT_TOKEN = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5, 0.75, 1.0, 2.5)
"""Seconds an output token: 0.01 is 100 tokens a second."""
QUEUE = (0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0)


# -- rows -----------------------------------------------------------------------------------------------------------


class Column(Struct, frozen=True):
    """A number of a row, or, with `bounds`, a histogram: its sum, then one count a bucket, then one for all above.

    `big`: it may outgrow 64 bits (a provider may say anything), and is decimal text in a report.
    """

    name: str
    bounds: tuple[float, ...] = ()
    big: bool = False

    @property
    def width(self) -> int:
        """How many numbers of the row it takes."""
        return len(self.bounds) + 2 if self.bounds else 1


class Table(Struct, frozen=True):
    """Rows of one shape: their labels, and their columns, of which the first is `count`.

    `bounded` are the labels that callers or providers can influence: those that overflow together.
    """

    name: str
    labels: tuple[str, ...]
    bounded: frozenset[str]
    columns: tuple[Column, ...]

    @property
    def width(self) -> int:
        """How many numbers a row has."""
        return sum(column.width for column in self.columns)

    def at(self, name: str) -> int:
        """Where a column begins in a row."""
        place = 0
        for column in self.columns:
            if column.name == name:
                return place
            place += column.width
        raise KeyError(f"{self.name} has no column {name!r}")

    def column(self, name: str) -> Column:
        """A column by its name."""
        return next(column for column in self.columns if column.name == name)

    def plain(self, row: list[Any]) -> list[Any]:
        """The numbers of a row as a report says them."""
        plain = row[: self.width]
        for place in self._big():
            plain[place] = str(plain[place])
        return plain

    def numbers(self, plain: list[Any]) -> list[Any]:
        """The row of which a report says this."""
        row = list(plain)
        for place in self._big():
            row[place] = int(row[place])
        return row

    def _big(self) -> list[int]:
        return [self.at(column.name) for column in self.columns if column.big]


REQUESTS = Table(
    "requests",
    ("surface", "model_group", "provider", "status_code", "status", "outcome", "error", "key_alias"),
    frozenset({"model_group", "status_code", "key_alias"}),
    (
        Column("count"),
        Column("seconds", DURATION),
        Column("overhead", OVERHEAD),
        Column("first_token", FIRST_TOKEN),
        Column("queued", QUEUE),
        Column("fallbacks"),
        Column("notes"),
        Column("cache_hits"),
        Column("cache_misses"),
    ),
)
ATTEMPTS = Table(
    "attempts",
    ("operation", "model_group", "deployment", "provider", "model", "outcome", "error", "key_alias"),
    frozenset({"model_group", "deployment", "model", "key_alias"}),
    (
        Column("count"),
        Column("seconds", DURATION),
        Column("first_token", FIRST_TOKEN),
        Column("output_token", OUTPUT_TOKEN),
        Column("input_tokens", big=True),
        Column("output_tokens", big=True),
        Column("cache_read_tokens", big=True),
        Column("cache_write_tokens", big=True),
        Column("reasoning_tokens", big=True),
        Column("input_audio_tokens", big=True),
        Column("output_audio_tokens", big=True),
        Column("picodollars", big=True),
        Column("unpriced"),
        Column("estimated"),
    ),
)
TABLES: Mapping[str, Table] = {table.name: table for table in (REQUESTS, ATTEMPTS)}


# -- families -------------------------------------------------------------------------------------------------------


class Family(Struct, frozen=True, kw_only=True):
    """A metric under its name.

    name      as it is written, without `_total`
    kind      counter, gauge or histogram
    help      one sentence
    labels    what it is told apart by
    table     the rows that it is read from ("requests", "attempts"); "": it is counted or read under its own name
    column    of that table; of several, joined by "+", the sum
    plain     the family whose numbers it shows, where it is another name of that one
    digits    decimal places that its integers have: 12 for picodollars, written as dollars
    fixed     labels with a value that never changes
    where     a label that must have a value (that of `only`, if there is one), else a row does not count here
    merge     how the gauges of several workers become one
    sources   label -> the table's label that it shows, where that has another name
    words     label -> its values in other words (value of the table -> value shown)
    per_worker  each worker is a series of its own, under the label `worker`
    """

    name: str
    kind: Kind
    help: str
    labels: tuple[str, ...] = ()
    table: str = ""
    column: str = ""
    digits: int = 0
    fixed: tuple[tuple[str, str], ...] = ()
    where: str = ""
    only: str = ""
    plain: str = ""
    merge: Literal["sum", "max", "min"] = "sum"
    sources: Mapping[str, str] = {}
    words: Mapping[str, Mapping[str, str]] = {}
    per_worker: bool = False

    @property
    def unit(self) -> str:
        """The unit that the name ends in, as OpenMetrics wants it declared; "" for plain numbers."""
        last = self.name.rsplit("_", 1)[-1]
        return last if last in ("seconds", "bytes", "dollars") else ""


def _requests(name: str, kind: Kind, column: str, labels: tuple[str, ...], text: str, **more: Any) -> Family:
    return Family(name=name, kind=kind, table="requests", column=column, labels=labels, help=text, **more)


def _attempts(name: str, kind: Kind, column: str, labels: tuple[str, ...], text: str, **more: Any) -> Family:
    return Family(name=name, kind=kind, table="attempts", column=column, labels=labels, help=text, **more)


def _plain(name: str, kind: Kind, labels: tuple[str, ...], text: str, **more: Any) -> Family:
    return Family(name=name, kind=kind, labels=labels, help=text, **more)


_WAY = ("surface", "model_group", "provider")
_PLACE = ("model_group", "deployment", "provider", "model")
_KEY = ("key_alias",)

OF_REQUESTS: tuple[Family, ...] = (
    _requests("penstock_requests", "counter", "count", (*_WAY, "status", "outcome"),
              "Requests that are over, by the class of the status that the client got and by outcome."),
    _requests("penstock_request_errors", "counter", "count", (*_WAY, "error"),
              "Requests that ended in an error, by its kind.", where="error"),
    _requests("penstock_request_duration_seconds", "histogram", "seconds", _WAY,
              "From a request's first byte to its answer's last."),
    _requests("penstock_request_first_token_seconds", "histogram", "first_token", _WAY,
              "From a request's first byte to the first piece of its answer, of streams."),
    _requests("penstock_request_overhead_seconds", "histogram", "overhead", ("surface", "model_group"),
              "What Penstock itself added: the duration without the waits for a provider or for the client."),
    _requests("penstock_request_queue_seconds", "histogram", "queued", ("model_group",),
              "How long requests that had to wait for capacity waited."),
    _requests("penstock_request_fallbacks", "counter", "fallbacks", ("model_group",),
              "Times that a request went on to another model group."),
    _requests("penstock_request_notes", "counter", "notes", ("surface", "model_group", "provider"),
              "What translations dropped, weakened or changed."),
    _requests("penstock_cache_requests", "counter", "cache_hits", ("model_group",),
              "Requests that the cache was asked for, by result.", fixed=(("result", "hit"),)),
    _requests("penstock_cache_requests", "counter", "cache_misses", ("model_group",),
              "Requests that the cache was asked for, by result.", fixed=(("result", "miss"),)),
    _requests("penstock_key_requests", "counter", "count", (*_KEY, "outcome"),
              "Requests by key (only with metrics_key_labels).", where="key_alias"),
)  # fmt: skip
OF_ATTEMPTS: tuple[Family, ...] = (
    _attempts("penstock_attempts", "counter", "count", (*_PLACE, "outcome", "error"),
              "Attempts that are over: each request makes one, and one more for each retry and fallback."),
    _attempts("penstock_attempt_duration_seconds", "histogram", "seconds", _PLACE,
              "From the sending of a request to a provider to the end of its answer."),
    _attempts("penstock_attempt_first_token_seconds", "histogram", "first_token", _PLACE,
              "From the sending of a request to a provider to the first piece of its answer, of streams."),
    _attempts("penstock_attempt_output_token_seconds", "histogram", "output_token", _PLACE,
              "Time from the first piece of a streamed answer to its end, for each output token but the first."),
    _attempts("penstock_input_tokens", "counter", "input_tokens", _PLACE,
              "Tokens sent, those read from and written to a cache included."),
    _attempts("penstock_output_tokens", "counter", "output_tokens", _PLACE,
              "Tokens received, those of reasoning included."),
    _attempts("penstock_cache_read_tokens", "counter", "cache_read_tokens", _PLACE,
              "Tokens among the sent that the provider read from its prompt cache."),
    _attempts("penstock_cache_write_tokens", "counter", "cache_write_tokens", _PLACE,
              "Tokens among the sent that the provider wrote to its prompt cache."),
    _attempts("penstock_reasoning_tokens", "counter", "reasoning_tokens", _PLACE,
              "Tokens among the received that were reasoning."),
    _attempts("penstock_spend_dollars", "counter", "picodollars", _PLACE,
              "What it cost, in US dollars: a sum of exact integers.", digits=12),
    _attempts("penstock_unpriced_attempts", "counter", "unpriced", _PLACE,
              "Attempts that were answered and whose cost is not known, for there is no price."),
    _attempts("penstock_estimated_attempts", "counter", "estimated", _PLACE,
              "Attempts whose usage nobody reported, so that it is an estimate."),
    _attempts("penstock_key_input_tokens", "counter", "input_tokens", _KEY,
              "Tokens sent, by key (only with metrics_key_labels).", where="key_alias"),
    _attempts("penstock_key_output_tokens", "counter", "output_tokens", _KEY,
              "Tokens received, by key (only with metrics_key_labels).", where="key_alias"),
    _attempts("penstock_key_spend_dollars", "counter", "picodollars", _KEY,
              "What it cost, by key (only with metrics_key_labels).", where="key_alias", digits=12),
)  # fmt: skip
OF_WORKERS: tuple[Family, ...] = (
    _plain("penstock_requests_in_flight", "gauge", (), "Requests that a provider is at work on."),
    _plain("penstock_client_connections", "gauge", (), "Connections of clients that are open."),
    _plain("penstock_upstream_connections", "gauge", ("origin", "state"),
           "Connections to providers, by state: busy, idle or connecting."),
    _plain("penstock_upstream_waiting", "gauge", ("origin",), "Attempts that wait for a connection."),
    _plain("penstock_queue_length", "gauge", (), "Requests that wait for capacity."),
    _plain("penstock_deployment_state", "gauge", ("deployment",),
           "0: up. 1: half open, one request tries it. 2: open, it rests. Of several workers the worst.", merge="max"),
    _plain("penstock_deployment_in_flight", "gauge", ("deployment",),
           "Attempts that are under way at a deployment."),
    _plain("penstock_deployment_requests_remaining", "gauge", ("deployment",),
           "Requests that a provider said it still takes in its window (the lowest that a worker heard).", merge="min"),
    _plain("penstock_deployment_tokens_remaining", "gauge", ("deployment",),
           "Tokens that a provider said it still takes in its window (the lowest that a worker heard).", merge="min"),
    _plain("penstock_config_version", "gauge", (),
           "The configuration that is in force (of several workers the oldest).", merge="min"),
    _plain("penstock_log_lines_lost", "counter", (), "Lines of the log that could not be written."),
    _plain("penstock_spans", "counter", ("result",),
           "Spans, by what became of them: exported, dropped (the ring was full), failed."),
    _plain("penstock_metrics_overflows", "counter", ("label",),
           "Times that something was counted under `other`, because a label had as many values as it may."),
    _plain("penstock_worker_resident_bytes", "gauge", (), "Memory that a worker holds.", per_worker=True),
    _plain("penstock_worker_cpu_seconds", "counter", (), "Processor time that a worker used.", per_worker=True),
)  # fmt: skip
OF_THE_KEEPER: tuple[Family, ...] = (
    _plain("penstock_build_info", "gauge", ("version",), "1, with the version of Penstock.", merge="max"),
    _plain("penstock_start_time_seconds", "gauge", (),
           "When the control plane was started, in Unix seconds.", merge="min"),
    _plain("penstock_workers", "gauge", (), "Workers that are connected."),
    _plain("penstock_worker_disconnects", "counter", (),
           "Times that a worker was gone for the keeper: it ended, or was cut off."),
    _plain("penstock_lease_grants", "counter", ("kind",),
           "Leases that workers drew from the keeper, by the kind of quota: requests, tokens, parallel or money."),
    _plain("penstock_lease_refusals", "counter", ("kind",),
           "Leases that the keeper refused: a limit or a budget was used up."),
    _plain("penstock_lease_recalls", "counter", ("kind",),
           "Leases that the keeper took back from a worker that did not use them."),
    _plain("penstock_ledger_records", "counter", (), "Records that were read from the workers' journals."),
    _plain("penstock_ledger_calls", "counter", (), "Calls that were written into the database."),
    _plain("penstock_ledger_rejected_records", "counter", (), "Records that no row could be made of."),
    _plain("penstock_ledger_unread_bytes", "gauge", (),
           "Bytes of journals that are not read yet: it grows while the database is away."),
    _plain("penstock_ledger_open_calls", "gauge", (), "Calls in the journals that are not over."),
    _plain("penstock_ledger_damaged_journals", "gauge", (), "Journals in which something could not be read."),
    _plain("penstock_key_limit", "gauge", ("key_alias", "kind"),
           "How many requests or tokens (in a window) or parallel requests a key may have"
           " (only with metrics_key_labels)."),
    _plain("penstock_key_remaining", "gauge", ("key_alias", "kind"),
           "How many of them are left, but for what calls under way reserved (only with metrics_key_labels)."),
    _plain("penstock_key_budget_dollars", "gauge", ("key_alias",),
           "What a key may spend until its budget begins again (only with metrics_key_labels)."),
    _plain("penstock_key_budget_remaining_dollars", "gauge", ("key_alias",),
           "What is left of it, but for what calls under way reserved (only with metrics_key_labels)."),
)  # fmt: skip

FAMILIES: tuple[Family, ...] = (*OF_REQUESTS, *OF_ATTEMPTS, *OF_WORKERS, *OF_THE_KEEPER)
"""Every family that Penstock writes."""

PLAIN: Mapping[str, Family] = {family.name: family for family in FAMILIES if not family.table}
"""Those that are counted or read under their own name."""
