"""The worker's link to the keeper: what it may say, and what it is asked. One visible table, `_handlers`.

The keeper pushes snapshots and the digests of keys that have changed, and answers for leases, keys and things that
were made. While it is away, keys that were not met wait for it a moment; those that were met go on.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from penstock.control.channel import Channel, Connection, Handler, Handlers, Reply
from penstock.gateway.circuits import CIRCUITS, Change
from penstock.gateway.keyring import Found
from penstock.gateway.lease_words import Grant, Name, Refusal
from penstock.gateway.leases import Leases
from penstock.gateway.made import Found as FoundMade
from penstock.gateway.made import Made
from penstock.gateway.metrics import Metrics
from penstock.gateway.metrics.reporting import KIND as METRICS
from penstock.gateway.metrics.reporting import Reporter, watch_process
from penstock.gateway.principal import Principal
from penstock.gateway.snapshot import Snapshot
from penstock.gateway.trace import KIND as SPANS
from penstock.gateway.trace import Over, packed

PATIENCE = 3.0
"""Seconds for which an answer of the keeper is waited for: it is born anew in less."""


class KeeperLink:
    """The channel of one worker. `snapshot`, `forget` and `circuits` are called with what the keeper pushes,
    `forget_all` when it was away.
    """

    def __init__(
        self,
        path: str,
        snapshot: Callable[[Snapshot], None],
        forget: Callable[[list[str]], None],
        forget_all: Callable[[], None],
        circuits: Callable[[list[Change]], None],
    ) -> None:
        self._snapshot = snapshot
        self._forget_all = forget_all
        self._forget = forget
        self._circuits = circuits
        self._leases: Leases | None = None
        self._reporter: Reporter | None = None
        self._channel = Channel(path, self._handlers(), self._connected, self._lost)

    def open(self) -> None:
        """Begin to connect."""
        self._channel.start()

    async def aclose(self) -> None:
        """Say what is still to be said, and close."""
        if self._reporter is not None:
            self._reporter.stop()
        await self._channel.aclose()

    # -- what the worker says and asks
    # ----------------------------------------------------------------------------------

    def tell(self, kind: str, payload: Any) -> None:
        """Say something."""
        self._channel.tell(kind, payload)

    def look_up_key(self, digest: str, then: Found) -> None:
        """Ask who a key belongs to."""
        self._channel.ask(
            "lookup",
            digest,
            lambda principal: then(principal, None),
            lambda why: then(None, why),
            PATIENCE,
            Principal | None,
            again=True,
        )

    def look_up_made(self, name: str, then: FoundMade) -> None:
        """Ask which deployment made something, and for whom."""
        self._channel.ask(
            "made",
            name,
            lambda made: then(made, None),
            lambda why: then(None, why),
            PATIENCE,
            Made | None,
            again=True,
        )

    def forward_spans(self, batch: list[Over]) -> None:
        """Hand finished spans over."""
        self._channel.tell(SPANS, packed(batch))

    def serve_leases(self, leases: Leases) -> None:
        """These are the leases that the keeper speaks of."""
        self._leases = leases

    def serve_metrics(self, metrics: Metrics) -> None:
        """These are the metrics that the keeper asks for."""
        watch_process(metrics)
        self._reporter = Reporter(metrics, self._channel.tell, asyncio.get_running_loop().call_later)
        if self._channel.open:
            self._reporter.connected()

    # -- what the keeper says and asks
    # ----------------------------------------------------------------------------------

    def _handlers(self) -> Handlers:
        return {
            "snapshot": Handler(self._take_snapshot, Snapshot),
            "forget": Handler(self._take_forget, list[str]),
            CIRCUITS: Handler(lambda _, changes, __: self._circuits(changes), list[Change]),
            METRICS: Handler(self._take_metrics),
            "grant": Handler(lambda _, grant, __: self._held().granted(grant), Grant),
            "refuse": Handler(lambda _, refusal, __: self._held().refused(refusal), Refusal),
            "recall": Handler(lambda _, name, __: self._held().recall(name), Name),
            "freed": Handler(lambda _, name, __: self._held().freed(name), Name),
        }

    def _held(self) -> Leases:
        assert self._leases is not None, "leases are served before the channel opens"
        return self._leases

    def _take_snapshot(self, connection: Connection, snapshot: Snapshot, reply: Reply) -> None:
        try:
            self._snapshot(snapshot)
        except ValueError as error:
            reply.fail(str(error))
        else:
            reply.answer(snapshot.version)

    def _take_forget(self, connection: Connection, digests: list[str], reply: Reply) -> None:
        self._forget(digests)
        reply.answer(len(digests))

    def _take_metrics(self, connection: Connection, payload: Any, reply: Reply) -> None:
        if self._reporter is None:
            reply.fail("this worker is starting")
        else:
            reply.answer(self._reporter.answer(payload))

    def _connected(self) -> None:
        self._held().connected()
        self._forget_all()  # anything may have changed while nobody could say so
        if self._reporter is not None:
            self._reporter.connected()

    def _lost(self, why: str) -> None:
        self._held().lost()
