"""The ledger: what workers wrote into their journals becomes rows of the database, each exactly once.

    read      what is new in every worker's journal, in order; calls that are over become rows
    commit    one transaction: the rows, the spend of their keys, the calls still under way, and how far was read
    remove    segments that are read to their end and will not grow: the next one exists, or the worker is dead

A keeper that is killed before the commit reads the same again; one that is killed after it goes on from there: rows
are neither lost nor doubled, whatever dies at whatever instant. Only one reads at a time: it holds a lock beside the
journals.

When a worker is dead (nobody holds its journal's lock) and its journal is read to the end, what it had begun is ended
for it: outcome "interrupted", with the cost that was reserved, because it may have been billed. Then it is told to be
gone.

The drain is a thread of the keeper at the keeper's own priority: it shares the interpreter's lock with the thread that
grants leases, and a thread of low priority that holds a lock keeps others from it for as long as busier ones run. What
keeps it out of the way instead is rest: where a batch had to wait for a processor, others want it, and the ledger
leaves them nine tenths of it, as long as what is `behind` is not too much for the disk. So a burst is written down when
it is over. And where it keeps up, it lets others run every few rows: the kernel would let it go on for milliseconds,
and a worker that shares its processor would answer so much later.
"""

from __future__ import annotations

import fcntl
import logging
import os
import threading
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path

import msgspec
from msgspec import Struct

from penstock.control.journals import (
    Segment,
    WorkerJournal,
    live_workers,
    remove_abandoned,
    worker_directories,
)
from penstock.control.store.base import AnotherReader, Batch, Position, Rejected, Store
from penstock.control.store.calls import Attempted, Call, interrupted, settled_money
from penstock.gateway.records import Amount, Closed, Ended, Opened

INTERVAL = 0.2
"""Seconds between two looks at journals in which nothing was found."""
_BUSY_INTERVAL = 0.1
"""Seconds to the next look where something was: a commit cannot let others run in its middle, so it is kept small."""

_BATCH = 2000
_PAUSE_EVERY = 32
_REST = 0.002
_BUSY_REST = 9.0
_TOO_FAR_BEHIND = 1 << 30
_REST_AFTER_ERROR = 1.0
_PRUNE_EVERY = 60.0
_PRUNE_AT_ONCE = 1000
_PATIENCE = 10.0

_log = logging.getLogger("penstock.control.ledger")

_decode = msgspec.msgpack.Decoder(Opened | Closed | Ended).decode


class LedgerTaken(Exception):
    """Another process reads these journals."""


class LedgerStats(Struct, frozen=True, kw_only=True):
    """What this ledger has done, and what is before it.

    records, calls, batches   read, written, committed since it began; `rejected` records that no row could be made of
    damaged    journals in which something could not be read
    under_way  calls that are not over
    behind     bytes of whole segments that are not read yet: 0 but for a burst, or a database that is away
    """

    records: int
    calls: int
    batches: int
    rejected: int
    damaged: int
    under_way: int
    behind: int


def _nothing(*_: object) -> None:
    pass


class Ledger:
    """Drains the journals of a node into a store.

    store      where to; it is not closed with the ledger
    journals   the folder of all workers' journals (gateway/journal.py)
    drained    told after a commit: a worker, and what its calls that are now in the ledger used of each money quota
    worker_gone  told when a dead worker's journal is in the ledger to its end. After a kill of the keeper in that very
               moment the next one may tell it again
    retention  seconds that requests are kept; None: for ever. May be changed at any time
    clock      Unix seconds

    Both callbacks come from the thread that drains. Raises LedgerTaken where another process reads these journals.
    """

    def __init__(
        self,
        store: Store,
        journals: Path,
        *,
        drained: Callable[[str, Sequence[Amount]], None] = _nothing,
        worker_gone: Callable[[str], None] = _nothing,
        retention: float | None = None,
        clock: Callable[[], float] = time.time,
        batch: int = _BATCH,
    ) -> None:
        self.store = store
        self.retention = retention
        self._journals = journals
        self._drained, self._worker_gone = drained, worker_gone
        self._clock, self._size = clock, batch
        self._lock = _only_reader(journals)
        self._workers: dict[str, WorkerJournal] = {}
        self._positions: dict[str, Position] = {item.segment: item for item in store.positions()}
        self._calls: dict[str, Call] = {call.call_id: call for call in store.calls_under_way()}
        self._stored = set(self._calls)
        self._changed: set[str] = set()
        self._keeps_up = True
        self._batch = self._new_batch()
        self._read_from: dict[str, Segment] = {}
        self._records = self._written = self._batches = self._rejected = self._damaged = 0
        self._stopping = threading.Event()
        self._thread: threading.Thread | None = None
        self._draining = threading.Lock()
        remove_abandoned(journals)
        self._forget_what_is_gone()

    # -- what the keeper asks -----------------------------------------------------------------------------------------

    def start(self) -> None:
        """Drain in a thread of its own from now on, until `close`."""
        self._thread = threading.Thread(target=self._run, name="penstock-ledger", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Stop the thread, read what there is to its end, and let go of the journals."""
        self._stopping.set()
        if self._thread is not None:
            self._thread.join()
            self._thread = None
        if self._lock < 0:
            return
        try:
            self.drain()
        finally:
            os.close(self._lock)
            self._lock = -1

    def drain(self) -> int:
        """Write all that was in the journals when it was called (workers write on meanwhile); returns how many records
        it was. Raises what the store raises: nothing is lost by it, and the next call goes on where this one stopped.
        """
        total = 0
        while True:
            read, to_the_end = self._drain_some()
            total += read
            if to_the_end:
                return total

    def live_workers(self) -> list[str]:
        """The workers that live."""
        return live_workers(self._journals)

    def used_by_dead(self, quota: str, window_start: float) -> int:
        """Units of a key's quota (requests, tokens) that workers which live no more used since `window_start`. Call
        `drain` before, so that all of it is in the ledger.
        """
        return self.store.used_by_dead(quota, window_start, self.live_workers())

    def spent(self, quota: str) -> int:
        """Picodollars that the ledger counts for this money quota."""
        return self.store.spent(quota)

    def drained_of(self, worker: str, quota: str | None = None) -> dict[str, int]:
        """For each money quota (or this one), what was drained of this worker since it began; `spent` has it in it."""
        return self.store.drained_of(worker, quota)

    def stats(self) -> LedgerStats:
        """What it has done, and what is before it."""
        journals = list(self._workers.values())
        behind = [
            segment.size - segment.position
            for journal in journals
            for segment in list(journal.segments.values())
            if not journal.is_last(segment)
        ]
        return LedgerStats(
            records=self._records,
            calls=self._written,
            batches=self._batches,
            rejected=self._rejected,
            damaged=self._damaged,
            under_way=len(self._calls),
            behind=sum(behind),
        )

    # -- the thread ---------------------------------------------------------------------------------------------------

    def _run(self) -> None:
        prune_at = 0.0
        while not self._stopping.is_set():
            rest = INTERVAL
            try:
                waited, cpu = _waited_for_a_processor(), time.thread_time()
                read, to_the_end = self._drain_some()
                if read:
                    rest = _BUSY_INTERVAL
                if not to_the_end:
                    rest = self._rest_after(_waited_for_a_processor() - waited, time.thread_time() - cpu)
                elif time.monotonic() >= prune_at and self._prune() < _PRUNE_AT_ONCE:
                    prune_at = time.monotonic() + _PRUNE_EVERY
            except AnotherReader:
                _log.critical("the ledger stops: another one reads the same journals", exc_info=True)
                return
            except Exception:
                _log.exception("the ledger cannot be written: it stays in the journals, and is tried again")
                rest = _REST_AFTER_ERROR
            self._stopping.wait(rest)

    def _rest_after(self, waited: float, cpu: float) -> float:
        """Seconds to rest when there is more to read after a batch that waited and computed for so many."""
        if waited < 0.3 * cpu or self.stats().behind > _TOO_FAR_BEHIND:
            return _REST
        return min(_BUSY_REST * cpu, _REST_AFTER_ERROR)

    def _prune(self) -> int:
        if self.retention is None:
            return 0
        return self.store.prune(self._clock() - self.retention, _PRUNE_AT_ONCE)

    def _drain_some(self) -> tuple[int, bool]:
        """Read and write one batch; returns how many records it had, and whether all journals are read to their end."""
        with self._draining:
            waiting = bool(self._read_from or self._batch.calls)  # the store refused a batch: it gets it again first
            read = 0 if waiting else self._read()
            dead = [] if waiting else self._end_dead_workers()
            self._keeps_up = to_the_end = all(journal.is_read for journal in self._workers.values())
            self._commit()
            self._remove_what_is_read()
            for journal in dead:
                self._bury(journal)
            return read, not waiting and to_the_end

    # -- reading ------------------------------------------------------------------------------------------------------

    def _look(self) -> None:
        for directory in worker_directories(self._journals):
            if directory.name not in self._workers:
                self._workers[directory.name] = WorkerJournal(directory)
        for journal in self._workers.values():
            known = len(journal.segments)
            journal.look()
            if len(journal.segments) != known:
                self._go_on(journal)

    def _go_on(self, journal: WorkerJournal) -> None:
        """Put segments that were just found where an earlier keeper stopped reading them."""
        for segment in journal.segments.values():
            stored = self._positions.pop(segment.name, None)
            if stored is not None:
                segment.position = segment.stored = stored.position

    def _read(self) -> int:
        """Look what there is, and read about a batch, of every worker its share."""
        self._look()
        share = max(200, self._size // max(1, len(self._workers)))
        read = sum([self._read_of(journal, share) for journal in self._workers.values()])
        self._records += read
        return read

    def _read_of(self, journal: WorkerJournal, most: int) -> int:
        read, journal.is_read = 0, False
        for number in sorted(journal.segments):
            segment, more = journal.segments[number], True
            while more and read < most:
                payloads, more = segment.read()
                self._take(payloads, journal.worker)
                read += len(payloads)
            if segment.position != segment.stored:
                self._read_from[segment.name] = segment
            if more:
                return read
            if not journal.is_last(segment):
                self._is_read(segment)
        journal.is_read = True
        return read

    def _is_read(self, segment: Segment) -> None:
        """This segment has a successor, so nothing will be added: where it ends there must be zeros."""
        if segment.damaged is None and segment.ends_torn():
            segment.damaged = f"{segment.path} holds what is no record at byte {segment.position}"
        if segment.damaged is None:
            segment.is_read = True
        elif not segment.is_told:
            segment.is_told = True
            self._damaged += 1
            _log.error("%s: what follows in it is not in the ledger; the file is kept", segment.damaged)

    def _take(self, payloads: Iterable[bytes], worker: str) -> None:
        """Put records with their calls; those that are over go into the batch."""
        calls, changed = self._calls, self._changed
        for at, payload in enumerate(payloads):
            if not at % _PAUSE_EVERY:
                self._pause()
            try:
                record = _decode(payload)
            except (msgspec.MsgspecError, UnicodeDecodeError) as error:
                self._reject(worker, payload, f"not a record that this version knows: {error}")
                continue
            name = record.call_id
            call = calls.get(name)
            if type(record) is Opened:
                if call is None:
                    calls[name] = Call(worker, name, record.principal, [Attempted(record)])
                else:
                    call.attempts.append(Attempted(record))
                changed.add(name)
            elif type(record) is Closed:
                if call is None or not _close(call, record):
                    self._reject(worker, payload, "the end of an attempt that never began")
                elif record.last:
                    self._is_over(call)
                else:
                    changed.add(name)
            elif type(record) is Ended:
                call = call or Call(worker, name, record.principal, [])
                call.ended = record
                interrupted(call, record.at)  # an attempt that was left open: by contract there is none
                self._is_over(call)

    def _is_over(self, call: Call) -> None:
        name = call.call_id
        self._calls.pop(name, None)
        self._changed.discard(name)
        if name in self._stored:
            self._stored.discard(name)
            self._batch.over.append(name)
        self._batch.calls.append(call)
        drained = self._batch.drained
        for quota, amount in settled_money(call):
            key = (call.worker, quota)
            drained[key] = drained.get(key, 0) + amount

    def _reject(self, worker: str, payload: bytes, why: str) -> None:
        self._rejected += 1
        self._batch.rejected.append(Rejected(worker, payload, why))
        _log.error("a record of worker %s is kept aside: %s", worker, why)

    # -- writing ------------------------------------------------------------------------------------------------------

    def _commit(self) -> None:
        batch, segments = self._batch, list(self._read_from.values())
        if not (segments or batch.calls):
            return
        batch.positions = [
            Position(item.name, item.path.parent.name, item.number, item.position, item.stored) for item in segments
        ]
        batch.under_way = [self._calls[name] for name in self._changed]
        self.store.commit(batch)
        for item in segments:
            item.stored = item.position
        self._stored |= self._changed
        self._changed.clear()
        self._read_from.clear()
        self._batch = self._new_batch()
        self._batches += 1
        self._written += len(batch.calls)
        self._tell_drained(batch.drained)

    def _new_batch(self) -> Batch:
        return Batch(pause=self._pause)

    def _pause(self) -> None:
        """Let others run, where that does not put off more than there is time for."""
        if self._keeps_up:
            _let_others_run()

    def _tell_drained(self, drained: Mapping[tuple[str, str], int]) -> None:
        of_workers: dict[str, list[Amount]] = {}
        for (worker, quota), amount in drained.items():
            of_workers.setdefault(worker, []).append((quota, amount))
        for worker, amounts in of_workers.items():
            self._drained(worker, amounts)

    def _remove_what_is_read(self) -> None:
        """Remove segments of living workers that are read to their end, the oldest first."""
        gone = []
        for journal in self._workers.values():
            for segment in [journal.segments[number] for number in sorted(journal.segments)]:
                if not segment.is_read:
                    break
                journal.drop(segment)
                gone.append(segment.name)
        if gone:
            self.store.forget_segments(gone)

    # -- the dead -----------------------------------------------------------------------------------------------------

    def _end_dead_workers(self) -> list[WorkerJournal]:
        """End what dead workers had begun, as soon as their journals are read; returns these journals."""
        dead = [journal for journal in self._workers.values() if journal.is_read and not journal.alive]
        names = {journal.worker for journal in dead}
        for call in [call for call in self._calls.values() if call.worker in names] if names else ():
            self._interrupt(call)
        return dead

    def _interrupt(self, call: Call) -> None:
        interrupted(call, self._clock())
        self._is_over(call)

    def _bury(self, journal: WorkerJournal) -> None:
        """Remove a dead worker's journal, of which all is in the database."""
        last = journal.segments[max(journal.segments)] if journal.segments else None
        if last is not None and last.damaged is not None:
            self._is_read(last)
        if any(segment.damaged is not None for segment in journal.segments.values()):
            _log.error("the journal of worker %s is damaged: it is kept in %s", journal.worker, journal.keep_aside())
        else:
            journal.remove()
        del self._workers[journal.worker]
        self.store.forget_worker(journal.worker)
        self._worker_gone(journal.worker)

    def _forget_what_is_gone(self) -> None:
        """At the beginning: a keeper before this one may have died between a removal and its note of it. And where
        somebody removed journals that were not read, their calls will not be heard of again.
        """
        there = {path.name for path in worker_directories(self._journals)}
        for worker in {item.worker for item in self._positions.values()} - there:
            self.store.forget_worker(worker)
        for call in [call for call in self._calls.values() if call.worker not in there]:
            self._interrupt(call)


def _close(call: Call, record: Closed) -> bool:
    """Put the end of an attempt with its beginning; False: there is none that is open."""
    for attempted in reversed(call.attempts):
        if attempted.opened.attempt == record.attempt and attempted.closed is None:
            attempted.closed = record
            return True
    return False


def _let_others_run() -> None:
    """Give the processor to who else is ready to run on it; nothing, where nobody is."""
    os.sched_yield()


def _waited_for_a_processor() -> float:
    """Seconds that this thread was ready to run and did not, since it began; 0 where the system does not say.

    Linux: the second figure of schedstat, in nanoseconds (docs.kernel.org/scheduler/sched-stats.html).
    """
    try:
        return int(Path("/proc/thread-self/schedstat").read_text().split()[1]) / 1e9
    except (OSError, ValueError, IndexError):
        return 0.0


def _only_reader(journals: Path) -> int:
    """Lock the journals for this ledger: the descriptor of the lock. An old keeper that is just dying is waited for."""
    journals.mkdir(mode=0o700, parents=True, exist_ok=True)
    file = os.open(journals / ".reader", os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
    until = time.monotonic() + _PATIENCE
    while True:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return file
        except BlockingIOError:
            if time.monotonic() > until:
                os.close(file)
                raise LedgerTaken(f"another keeper reads the journals in {journals}: stop it first") from None
            time.sleep(0.02)
