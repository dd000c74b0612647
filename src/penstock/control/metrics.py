"""The metrics of all workers, gathered: what `/metrics` answers, whichever worker was asked.

The keeper holds what each worker last reported. A scrape asks every worker for what changed since; one that does not
answer in time counts with its last report. What a worker counted before it died goes on counting, so that no sum goes
down. A keeper that dies would forget the dead workers, and what it counted itself: so it writes both into a file, at
each death and every few seconds, which its successor of the same run reads.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any, Protocol

import msgspec
from msgspec import Struct

from penstock.gateway.metrics.admission import Admission
from penstock.gateway.metrics.counting import Metrics
from penstock.gateway.metrics.exposition import CONTENT_TYPES, preferred_format, render
from penstock.gateway.metrics.litellm import LITELLM_FAMILIES
from penstock.gateway.metrics.merging import Report, Totals, total
from penstock.gateway.metrics.reporting import FULL, KIND
from penstock.gateway.metrics.tables import FAMILIES

_log = logging.getLogger(__name__)

PATIENCE = 0.5
"""Seconds that a scrape waits for workers."""
SAVE_SECONDS = 5.0
"""How often `save` is to be called."""
_DEAD_AT_MOST = 64
"""Dead workers that are told apart, in case one was only cut off, and comes again."""


class Channel(Protocol):
    """The way to one worker, as far as it matters here."""

    def ask(
        self,
        kind: str,
        payload: Any,
        answered: Callable[[Any], None],
        failed: Callable[[str], None],
        timeout: float,
    ) -> None:
        """Ask, and have one of the two called, once."""


class Page(Struct, frozen=True):
    """The answer to a scrape."""

    content_type: str
    body: bytes


class _Saved(Struct):
    """What the file holds: reports of the dead and of all that lived, which may be dead by the time it is read."""

    buried: Report
    dead: dict[str, Report]


class Gatherer:
    """Gathers the metrics of workers, which are named "slot.life" ("1.3": the third worker of slot 1).

    `own` is what the keeper itself counts. `keep` is the file of what must survive a keeper; `life` 1 begins it anew.
    `litellm`: also write LiteLLM's names.
    """

    def __init__(self, own: Metrics, *, keep: Path | None = None, life: int = 1, litellm: bool = False) -> None:
        self.litellm = litellm
        self._own = own
        self._keep = keep
        self._channels: dict[str, Channel] = {}
        self._alive: dict[str, Totals] = {}
        self._dead: dict[str, Totals] = {}
        self._buried = Totals()
        self._admission = Admission()
        own.gauge("penstock_workers", lambda: len(self._channels))
        self._disconnects = own.counter("penstock_worker_disconnects")
        if keep is not None:
            self._load(keep) if life > 1 else keep.unlink(missing_ok=True)

    # -- workers -----------------------------------------------------------------------------------------------------

    def joined(self, worker: str, channel: Channel) -> None:
        """A worker is connected, for the first time or again."""
        self._channels[worker] = channel

    def heard(self, worker: str, payload: Any) -> None:
        """A worker reports. A report that is none is left out, and logged: metrics must not end a channel."""
        try:
            report = msgspec.convert(payload, Report, from_attributes=True)
            known = self._dead.pop(worker, None) or self._alive.get(worker) or Totals()
            self._alive[worker] = known
            known.apply(report)
        except ValueError as error:  # among them msgspec.ValidationError
            _log.warning("a report of metrics was not understood", extra={"worker": worker, "reason": str(error)})

    def left(self, worker: str) -> None:
        """A worker is gone. Its counts stay."""
        self._channels.pop(worker, None)
        self._disconnects.add()
        last = self._alive.pop(worker, None)
        if last is not None:
            last.gauges.clear()
            self._bury(worker, last)
            self.save()

    # -- scrapes -----------------------------------------------------------------------------------------------------

    def scrape(self, accept: str, then: Callable[[Page], None]) -> None:
        """Ask all workers, and call back with the page when the last has answered or failed to."""
        waiting = set(self._channels)
        if not waiting:
            then(self.page(accept))
            return

        def over(worker: str) -> None:
            if worker in waiting:
                waiting.discard(worker)
                if not waiting:
                    then(self.page(accept))

        for worker, channel in list(self._channels.items()):
            self._ask(worker, channel, over)

    async def scraped(self, accept: str) -> Page:
        """The same, to be awaited."""
        done: asyncio.Future[Page] = asyncio.get_running_loop().create_future()
        self.scrape(accept, lambda page: None if done.done() else done.set_result(page))
        return await done

    def page(self, accept: str) -> Page:
        """The page of what is known now."""
        format = preferred_format(accept)
        families = (*FAMILIES, *LITELLM_FAMILIES) if self.litellm else FAMILIES
        own = Totals()
        own.apply(self._own.report(full=True))
        alive = [(worker.partition(".")[0], totals) for worker, totals in self._alive.items()]
        everything = total([self._buried, *self._dead.values()], [*alive, ("keeper", own)], self._admission)
        return Page(CONTENT_TYPES[format], render(everything, families, format).encode())

    def _ask(self, worker: str, channel: Channel, over: Callable[[str], None]) -> None:
        def answered(payload: Any) -> None:
            self.heard(worker, payload)
            over(worker)

        def failed(why: str) -> None:
            over(worker)

        channel.ask(KIND, None if worker in self._alive else FULL, answered, failed, PATIENCE)

    # -- what must survive a keeper ----------------------------------------------------------------------------------

    def save(self) -> None:
        """Write the file, in one piece. A disk that is full costs the file, not the metrics."""
        if self._keep is None:
            return
        own = Totals()
        own.apply(self._own.report(full=True))
        buried = total([self._buried, own], [])
        everybody = {**self._dead, **self._alive}
        saved = _Saved(buried.report(), {worker: totals.report() for worker, totals in everybody.items()})
        new = self._keep.with_suffix(".new")
        try:
            new.write_bytes(msgspec.msgpack.encode(saved))
            new.replace(self._keep)
        except OSError as error:
            _log.warning("the metrics could not be saved", extra={"file": str(self._keep), "reason": str(error)})

    def _load(self, keep: Path) -> None:
        """Whoever lived when the file was written counts as dead until it reports again."""
        with suppress(FileNotFoundError):
            try:
                saved = msgspec.msgpack.decode(keep.read_bytes(), type=_Saved)
            except msgspec.MsgspecError:
                _log.warning("the saved metrics cannot be read: counters begin anew", extra={"file": str(keep)})
                return
            self._buried.apply(saved.buried)
            for worker, report in saved.dead.items():
                last = Totals()
                last.apply(report)
                self._bury(worker, last)

    def _bury(self, worker: str, last: Totals) -> None:
        self._dead[worker] = last
        while len(self._dead) > _DEAD_AT_MOST:
            self._buried.add(self._dead.pop(next(iter(self._dead))))
