"""The rows of one process: counted in memory, reported as plain values.

A row is a list of numbers: its columns as the table lays them out, then how much of its count was reported. The labels
of a request, as they come, are the key of its row. A key that is not known takes the slow way once: its labels are held
to their limits, and a key that overflowed is not remembered, so that memory stays bounded whatever callers send.

Only the thread of the event loop counts; others use a `Counter` of their own.
"""

from __future__ import annotations

import logging
from bisect import bisect_left
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from penstock.gateway.metrics.admission import Admission
from penstock.gateway.metrics.merging import Report
from penstock.gateway.metrics.tables import (
    ATTEMPTS,
    DURATION,
    FIRST_TOKEN,
    OTHER,
    OUTPUT_TOKEN,
    OVERHEAD,
    PLAIN,
    QUEUE,
    REQUESTS,
    ROWS_AT_MOST,
    TABLES,
    Family,
    Table,
)
from penstock.gateway.records import Closed, Opened
from penstock.gateway.samples import RequestSample
from penstock.types.usage import Usage

_log = logging.getLogger(__name__)

Labels = tuple[str, ...]
Row = list[Any]
Reading = float | Mapping[Labels, float]
"""What a gauge says when it is read: a number, or numbers by labels."""

_STATUS = ("other", "1xx", "2xx", "3xx", "4xx", "5xx")


class Counter:
    """A number that only grows, off the way of a request: `counter.add(3)`."""

    __slots__ = ("value",)

    def __init__(self) -> None:
        self.value: int | float = 0

    def add(self, amount: int | float = 1) -> None:
        """Counts `amount` more; not negative."""
        self.value += amount


class Metrics:
    """What one process counts. `key_labels`: tell requests apart by the alias of the key, too.

    request, attempt   count (below a microsecond each)
    counter, gauge     what the rest of the process has to tell, by the names of `PLAIN`
    expect             values of labels that will come, and must not be crowded out by others
    report             everything, or what changed since the last report
    """

    def __init__(self, *, key_labels: bool = False) -> None:
        self.key_labels = key_labels
        self._requests: dict[tuple[Any, ...], Row] = {}
        self._attempts: dict[tuple[Any, ...], Row] = {}
        self._admission = Admission()
        self._rows: dict[str, dict[Labels, Row]] = {REQUESTS.name: {}, ATTEMPTS.name: {}}
        self._counters: dict[tuple[str, Labels], Counter] = {}
        self._gauges: dict[str, list[Callable[[], Reading]]] = {}

    # -- the way of a request ----------------------------------------------------------------------------------------

    def request(self, sample: RequestSample) -> None:
        """Count a request that is over."""
        alias = sample.key_alias if self.key_labels else None
        key = (sample.surface, sample.model_group, sample.provider, sample.status, sample.outcome, sample.error, alias)
        row = self._requests.get(key)
        if row is None:
            row = self._request_row(key)
        row[0] += 1
        seconds = sample.seconds
        if not seconds >= 0.0:  # a sum must not go down, nor become NaN
            seconds = 0.0
        row[_SECONDS] += seconds
        row[_SECONDS_BUCKETS + bisect_left(DURATION, seconds)] += 1
        seconds = sample.overhead
        if not seconds >= 0.0:
            seconds = 0.0
        row[_OVERHEAD] += seconds
        row[_OVERHEAD_BUCKETS + bisect_left(OVERHEAD, seconds)] += 1
        if sample.stream and sample.first_token is not None and sample.first_token >= 0.0:
            row[_FIRST_TOKEN] += sample.first_token
            row[_FIRST_TOKEN_BUCKETS + bisect_left(FIRST_TOKEN, sample.first_token)] += 1
        if sample.notes or sample.cache or sample.fallbacks or sample.queued is not None:
            _count_seldom(row, sample)

    def attempt(self, opened: Opened, closed: Closed, key_alias: str | None = None) -> None:
        """Count an attempt that is over."""
        alias = key_alias if self.key_labels else None
        key = (
            opened.operation,
            opened.group,
            opened.deployment,
            opened.provider,
            opened.model,
            closed.outcome,
            closed.error,
            alias,
        )
        row = self._attempts.get(key)
        if row is None:
            row = self._attempt_row(key)
        row[0] += 1
        seconds = closed.at - opened.at
        if not seconds >= 0.0:  # the clock was set back meanwhile
            seconds = 0.0
        row[_TRIED] += seconds
        row[_TRIED_BUCKETS + bisect_left(DURATION, seconds)] += 1
        usage = closed.usage
        if usage is not None:
            if (tokens := usage.input_tokens) and tokens > 0:
                row[_INPUT] += tokens
            if (tokens := usage.output_tokens) and tokens > 0:
                row[_OUTPUT] += tokens
            if (tokens := usage.cache_read_tokens) and tokens > 0:
                row[_CACHE_READ] += tokens
            if (tokens := usage.cache_write_tokens) and tokens > 0:
                row[_CACHE_WRITE] += tokens
            if (tokens := usage.reasoning_tokens) and tokens > 0:
                row[_REASONING] += tokens
            if usage.input_audio_tokens or usage.output_audio_tokens:
                _count_audio(row, usage)
        if closed.cost is not None:
            if closed.cost > 0:
                row[_PICODOLLARS] += closed.cost
        elif closed.outcome == "success":
            row[_UNPRICED] += 1
        if closed.estimated:
            row[_ESTIMATED] += 1
        if opened.stream and closed.first_token is not None and closed.first_token >= 0.0:
            _count_pace(row, closed.first_token, seconds, usage.output_tokens if usage is not None else None)

    # -- everything else ---------------------------------------------------------------------------------------------

    def counter(self, name: str, *labels: str) -> Counter:
        """The counter of a family of `PLAIN`, with the values of its labels. Raises KeyError, ValueError."""
        family = _plain(name, "counter", len(labels))
        bounded = self._admission.bound(family.labels, labels)
        return self._counters.setdefault((name, bounded), Counter())

    def gauge(self, name: str, read: Callable[[], Reading]) -> None:
        """Have a gauge (or a counter that somebody else keeps) read at each report; several readings of the same labels
        are merged as the family says. Raises KeyError.
        """
        _plain(name, None, None)
        self._gauges.setdefault(name, []).append(read)

    def expect(self, values: Mapping[str, Iterable[str]]) -> None:
        """Reserve places for values of labels: those of the configuration, before callers name others."""
        for label, expected in values.items():
            for value in expected:
                self._admission.admit(label, value)

    def report(self, *, full: bool = False) -> Report:
        """What was counted: the rows that changed since the last report, or all."""
        rows = {name: list(_changed(TABLES[name], rows, full)) for name, rows in self._rows.items()}
        counters = [(name, labels, counter.value) for (name, labels), counter in self._counters.items()]
        overflows = [
            ("penstock_metrics_overflows", (label,), count) for label, count in self._admission.overflows.items()
        ]
        return Report(full=full, rows=rows, values=[*counters, *overflows, *self._readings()])

    # -- inside ------------------------------------------------------------------------------------------------------

    def _readings(self) -> Iterable[tuple[str, Labels, float]]:
        for name, readers in self._gauges.items():
            for read in readers:
                try:
                    reading = read()
                    by_labels: Mapping[Labels, float] = reading if isinstance(reading, Mapping) else {(): reading}
                    names = PLAIN[name].labels
                    yield from [(name, self._admission.bound(names, at), value) for at, value in by_labels.items()]
                except Exception:  # one that cannot be read must not hide the others
                    _log.exception("a metric could not be read", extra={"metric": name})

    def _request_row(self, key: tuple[Any, ...]) -> Row:
        surface, group, provider, status, outcome, error, alias = key
        status_class = _STATUS[status // 100] if 100 <= status < 600 else "other"
        labels = (surface, group, provider, str(status), status_class, outcome, error, alias)
        return self._row(REQUESTS, self._requests, key, tuple(value or "" for value in labels))

    def _attempt_row(self, key: tuple[Any, ...]) -> Row:
        return self._row(ATTEMPTS, self._attempts, key, tuple(value or "" for value in key))

    def _row(self, table: Table, known: dict[tuple[Any, ...], Row], key: tuple[Any, ...], labels: Labels) -> Row:
        rows = self._rows[table.name]
        bounded = self._admission.bound(table.labels, labels)
        if bounded not in rows and len(rows) >= ROWS_AT_MOST:
            self._admission.overflowed("row")
            bounded = tuple(
                OTHER if name in table.bounded and value else value
                for name, value in zip(table.labels, bounded, strict=True)
            )
        row = rows.setdefault(bounded, [])
        if not row:
            row.extend(_zeros(table))
        if bounded == labels:
            known[key] = row
        return row


def _changed(table: Table, rows: dict[Labels, Row], full: bool) -> Iterable[tuple[Labels, Row]]:
    """The rows whose count is not the one that was last reported."""
    for labels, row in rows.items():
        if full or row[-1] != row[0]:
            row[-1] = row[0]
            yield labels, table.plain(row)


def _plain(name: str, kind: str | None, labels: int | None) -> Family:
    """A family of its own name. Raises KeyError for one that is not in the table, ValueError for a wrong use."""
    family = PLAIN.get(name)
    if family is None:
        raise KeyError(f"no metric {name!r}: add it to penstock.gateway.metrics.tables")
    if kind is not None and family.kind != kind:
        raise ValueError(f"{name} is a {family.kind}, not a {kind}")
    if labels is not None and len(family.labels) != labels:
        raise ValueError(f"{name} has the labels {family.labels}")
    return family


def _zeros(table: Table) -> Row:
    """A row in which nothing was counted. Sums of seconds are floats, all else integers."""
    row: Row = []
    for column in table.columns:
        row.extend([0.0, *([0] * (column.width - 1))] if column.bounds else [0])
    return [*row, 0]


def _count_seldom(row: Row, sample: RequestSample) -> None:
    """What few requests have."""
    if sample.queued is not None and sample.queued >= 0.0:
        row[_QUEUED] += sample.queued
        row[_QUEUED_BUCKETS + bisect_left(QUEUE, sample.queued)] += 1
    row[_FALLBACKS] += sample.fallbacks
    row[_NOTES] += len(sample.notes)
    if sample.cache == "hit":
        row[_CACHE_HITS] += 1
    elif sample.cache == "miss":
        row[_CACHE_MISSES] += 1


def _count_audio(row: Row, usage: Usage) -> None:
    """Tokens of sound."""
    row[_INPUT_AUDIO] += max(0, usage.input_audio_tokens or 0)
    row[_OUTPUT_AUDIO] += max(0, usage.output_audio_tokens or 0)


def _count_pace(row: Row, first_token: float, seconds: float, tokens: int | None) -> None:
    """When a streamed answer began, and how fast it went on."""
    row[_BEGAN] += first_token
    row[_BEGAN_BUCKETS + bisect_left(FIRST_TOKEN, first_token)] += 1
    if tokens is not None and tokens > 1 and seconds >= first_token:
        pace = (seconds - first_token) / (tokens - 1)
        row[_PACE] += pace
        row[_PACE_BUCKETS + bisect_left(OUTPUT_TOKEN, pace)] += 1


# Where the columns lie in a row: looked up once.
_SECONDS = REQUESTS.at("seconds")
_SECONDS_BUCKETS = _SECONDS + 1
_OVERHEAD = REQUESTS.at("overhead")
_OVERHEAD_BUCKETS = _OVERHEAD + 1
_FIRST_TOKEN = REQUESTS.at("first_token")
_FIRST_TOKEN_BUCKETS = _FIRST_TOKEN + 1
_QUEUED = REQUESTS.at("queued")
_QUEUED_BUCKETS = _QUEUED + 1
_FALLBACKS = REQUESTS.at("fallbacks")
_NOTES = REQUESTS.at("notes")
_CACHE_HITS = REQUESTS.at("cache_hits")
_CACHE_MISSES = REQUESTS.at("cache_misses")
_TRIED = ATTEMPTS.at("seconds")
_TRIED_BUCKETS = _TRIED + 1
_BEGAN = ATTEMPTS.at("first_token")
_BEGAN_BUCKETS = _BEGAN + 1
_PACE = ATTEMPTS.at("output_token")
_PACE_BUCKETS = _PACE + 1
_INPUT = ATTEMPTS.at("input_tokens")
_OUTPUT = ATTEMPTS.at("output_tokens")
_CACHE_READ = ATTEMPTS.at("cache_read_tokens")
_CACHE_WRITE = ATTEMPTS.at("cache_write_tokens")
_REASONING = ATTEMPTS.at("reasoning_tokens")
_INPUT_AUDIO = ATTEMPTS.at("input_audio_tokens")
_OUTPUT_AUDIO = ATTEMPTS.at("output_audio_tokens")
_PICODOLLARS = ATTEMPTS.at("picodollars")
_UNPRICED = ATTEMPTS.at("unpriced")
_ESTIMATED = ATTEMPTS.at("estimated")
