"""Worker: one process of the data plane, put together. A composition root: nothing else constructs these things.

It answers as soon as it has a snapshot. It goes on without the control plane, from what it holds, and asks again for
what it needs as soon as that is back.
"""

from __future__ import annotations

import asyncio
import gc
import logging
import os
import resource
import signal
import time
from collections.abc import Iterable
from contextlib import suppress

from penstock.gateway.circuits import CIRCUITS, Change
from penstock.gateway.control_plane import ControlPlane
from penstock.gateway.http.connection import Connection
from penstock.gateway.http.connection import Limits as ConnectionLimits
from penstock.gateway.http.connections import Connections
from penstock.gateway.http.listener import Listener
from penstock.gateway.journal import Journal, new_worker_id
from penstock.gateway.keeper_link import KeeperLink
from penstock.gateway.keyring import Keyring
from penstock.gateway.leases import Leases
from penstock.gateway.made import MadeThings
from penstock.gateway.observe import Observer, open_observer
from penstock.gateway.own_endpoints import own_table
from penstock.gateway.plane import Plane, Shared, secrets_of
from penstock.gateway.policies.limits import Limits
from penstock.gateway.policies.model_access import ModelAccess
from penstock.gateway.principal import Quota
from penstock.gateway.revoking import Revoking
from penstock.gateway.service import Service
from penstock.gateway.snapshot import Snapshot
from penstock.gateway.surfaces.places import table
from penstock.gateway.upstream import Upstream
from penstock.gateway.worker_readings import watch_worker
from penstock.gateway.worker_slot import WorkerSlot
from penstock.providers.registry import default_registry

GARBAGE = (50_000, 20, 50)
"""Thresholds of the collector: a call leaves no cycles behind, so it has little to do."""

_log = logging.getLogger("penstock.gateway")


def run(slot: WorkerSlot) -> None:
    """Serve until told to stop. What the supervisor expects is in `worker_slot`."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        import uvloop
    except ImportError:  # there is none for Windows
        asyncio.run(Worker(slot).serve())
    else:
        uvloop.run(Worker(slot).serve())


class Worker:
    """One worker. It has no plane, and serves nothing, before its first snapshot."""

    def __init__(self, slot: WorkerSlot) -> None:
        self._slot = slot
        self._plane: Plane | None = None
        self._observer: Observer | None = None
        self._listener: Listener | None = None
        self._stopped = asyncio.Event()

    async def serve(self) -> None:
        """Serve until SIGTERM, or until the supervisor is gone; then drain."""
        slot, loop = self._slot, asyncio.get_running_loop()
        _raise_the_number_of_files()
        self._worker_id = new_worker_id(slot.index)
        self._journal = Journal(slot.state / "journals", self._worker_id)
        self._link = KeeperLink(slot.channel, self._take_snapshot, self._forget, self._forget_all, self._take_circuits)
        self._upstream = Upstream(loop)
        self._leases = Leases(self._worker_id, self._link.tell, time.time, loop.call_later)
        self._keyring = Keyring(self._link.look_up_key)
        self._made = MadeThings(self._link.look_up_made)
        self._connections = Connections(loop)
        self._revoking = Revoking(self._connections, self._keyring)
        self._service = Service(table(ControlPlane(self._upstream, slot.api)), self._keyring)
        self._link.serve_leases(self._leases)
        loop.add_signal_handler(signal.SIGTERM, self._stopped.set)
        loop.add_signal_handler(signal.SIGHUP, self._reopen)
        loop.add_reader(slot.supervisor, self._stopped.set)
        self._link.open()
        await self._stopped.wait()
        loop.remove_reader(slot.supervisor)
        await self._drain()

    # -- snapshots ----------------------------------------------------------------------------------------------------

    def _take_snapshot(self, snapshot: Snapshot) -> None:
        """A snapshot has come: calls that begin from now on go by it. Raises ValueError for one that cannot be
        served.
        """
        first = self._plane is None
        settings = snapshot.settings
        if self._observer is None:
            self._observer = self._open_observer(snapshot)
        shared = Shared(
            registry=default_registry(),
            environment=os.environ,
            upstream=self._upstream,
            leases=self._leases,
            journal=self._journal,
            keyring=self._keyring,
            made=self._made,
            observer=self._observer,
            policies=(ModelAccess(), Limits(self._leases)),
            elsewhere=self._slot.in_flight,
        )
        self._plane = plane = Plane(shared, snapshot, self._plane)
        self._service.plane = plane
        self._service.own = own_table(snapshot)
        plane.router.changed = self._tell_circuits
        self._observer.apply(snapshot, secrets_of(shared.registry, shared.environment, snapshot))
        self._limits = ConnectionLimits(body=settings.max_body)
        for connection in self._connections:
            connection.use(self._limits)
        if first:
            self._listen()

    def _open_observer(self, snapshot: Snapshot) -> Observer:
        loop = asyncio.get_running_loop()
        secrets = secrets_of(default_registry(), os.environ, snapshot)
        observer = open_observer(
            snapshot.settings, secrets, loop.call_later, self._link.forward_spans, self._slot.index
        )
        self._link.serve_metrics(observer.metrics)
        watch_worker(
            observer.metrics,
            connections=self._connections,
            pools=self._upstream.stats,
            healths=lambda: {} if self._plane is None else self._plane.router.table.healths,
            now=lambda: 0.0 if self._plane is None else self._plane.router.now(),
            version=lambda: 0 if self._plane is None else self._plane.snapshot.version,
            queue=lambda: 0 if self._plane is None else self._plane.queued(),
            unspent=self._unspent,
            alias=self._alias,
        )
        return observer

    def _unspent(self) -> Iterable[tuple[Quota, int]]:
        """What leases hold, where it may be shown: with ten thousand keys it is no small thing to look through."""
        shown = self._plane is not None and self._plane.snapshot.settings.metrics_key_labels
        return self._leases.unspent() if shown else ()

    def _alias(self, token: str) -> str | None:
        """The alias of a key, if it was met."""
        principal = self._keyring.find(token)
        return None if principal is None else principal.alias

    def _listen(self) -> None:
        """Begin to accept, and tell the supervisor."""
        service, connections = self._service, self._connections
        self._listener = Listener(
            asyncio.get_running_loop(),
            self._slot.listener,
            lambda: Connection(service, self._limits, connections),
        )
        gc.collect()
        gc.freeze()
        gc.set_threshold(*GARBAGE)
        self._slot.serving()

    def _tell_circuits(self) -> None:
        """A circuit has opened or closed here: the other workers are told at once."""
        if self._plane is not None:
            self._link.tell(CIRCUITS, self._plane.router.export_events())

    def _take_circuits(self, changes: list[Change]) -> None:
        """Circuits that opened or closed at other workers."""
        if self._plane is not None:
            for change in changes:
                self._plane.router.apply_event(change)

    def _forget(self, digests: list[str]) -> None:
        """These keys have changed."""
        self._keyring.forget(digests)
        self._revoking.check(frozenset(digests))

    def _forget_all(self) -> None:
        """The keeper was away."""
        self._keyring.forget_all()
        self._revoking.check(None)

    def _reopen(self) -> None:
        if self._observer is not None and self._observer.log is not None:
            self._observer.log.reopen()

    # -- the end ------------------------------------------------------------------------------------------------------

    async def _drain(self) -> None:
        """Refuse new connections, let calls under way end, and leave nothing unwritten."""
        seconds = self._slot.drain_seconds
        if seconds is None:
            seconds = 30.0 if self._plane is None else self._plane.snapshot.settings.drain_seconds
        if self._listener is not None:
            self._listener.close()
        with suppress(OSError):
            self._slot.listener.close()
        self._connections.drain()
        with suppress(TimeoutError):
            await asyncio.wait_for(self._connections.gone(), seconds)
        self._connections.abort()
        self._leases.give_back_all()
        await asyncio.sleep(0)
        await self._upstream.aclose()
        if self._observer is not None:
            self._observer.close()
        await self._link.aclose()
        self._journal.close()


def _raise_the_number_of_files() -> None:
    """As many connections as the system allows."""
    with suppress(ValueError, OSError):
        _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
