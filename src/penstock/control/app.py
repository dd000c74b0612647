"""The keeper: the process of the control plane, put together. A composition root: nothing else constructs these things.

It answers workers first, and all others after: a keeper that takes the place of a dead one opens the channel before
it loads what the database and the management API need. So what waits for it, waits for a fraction of a second.

    channel    leases, look-ups of keys, metrics, spans; pushes of snapshots, and of keys that changed
    store      the database: keys, ledger, configurations
    ledger     drains the workers' journals into the store
    api        the management API on a Unix socket, to which workers pass on the control plane's paths
"""

from __future__ import annotations

import asyncio
import gc
import logging
import os
import shutil
import signal
import sys
import time
from collections.abc import Coroutine, Mapping, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import msgspec

from penstock.control.channel import ChannelServer, Connection, Handler, Handlers, Reply
from penstock.control.journals import live_workers
from penstock.control.keeper_readings import LeaseCounts, watch_keeper
from penstock.control.keeper_slot import CANNOT_START, KeeperSlot, Told
from penstock.control.key_readings import KeyReadings
from penstock.control.lease_desk import LeaseDesk
from penstock.control.metrics import SAVE_SECONDS, Gatherer
from penstock.control.supervisor import say
from penstock.control.the_dead import TheDead
from penstock.control.worker_links import WorkerLinks
from penstock.gateway.circuits import CIRCUITS, Change
from penstock.gateway.lease_words import Hello
from penstock.gateway.log import open_log
from penstock.gateway.metrics.counting import Metrics
from penstock.gateway.metrics.reporting import KIND as METRICS
from penstock.gateway.principal import Principal
from penstock.gateway.snapshot import Settings
from penstock.gateway.trace import KIND as SPANS
from penstock.gateway.trace_export import OpenTelemetryMissing, SpanThread, open_span_thread

if TYPE_CHECKING:
    from penstock.control.api.server import ApiServer
    from penstock.control.checks import Checked
    from penstock.control.config.loaded import Loaded, Probe
    from penstock.control.opening import ControlPlane, Ollama
    from penstock.control.probes import Probes
    from penstock.routing.deployment import Deployment

JOURNALS = "journals"
METRICS_FILE = "metrics"
ORPHAN_OVERTIME = 2.0
"""Seconds beyond their drain that workers have to end, when the supervisor was killed."""
GARBAGE = (50_000, 20, 50)
"""Thresholds of the collector: a batch of the ledger is many values that live for a moment, and no cycle is among them.
What the API leaves is little: some ten objects a statement of SQLAlchemy's, which may wait (15 MB, where it does most).
"""
BUDGETS_SECONDS = 1.0
"""How often budgets are looked at that begin anew."""

_log = logging.getLogger("penstock.control")


def no_ollama(environment: Mapping[str, str]) -> Sequence[str]:
    """Nobody looks for one."""
    return ()


def run(slot: KeeperSlot, ollama: Ollama = no_ollama) -> None:
    """Keep until told to stop. What the supervisor expects is in `keeper_slot`. `ollama` finds the models of a local
    Ollama, for a gateway without a configuration. Raises SystemExit where it cannot start.
    """

    gc.disable()  # until all is loaded: what is made meanwhile stays

    async def keep() -> None:
        await Keeper(slot, os.environ, ollama).run()

    try:
        import uvloop
    except ImportError:
        asyncio.run(keep())
    else:
        uvloop.run(keep())


class Keeper:
    """The control plane of one gateway, from its birth to its end. Made inside of its event loop."""

    def __init__(self, slot: KeeperSlot, environment: Mapping[str, str], ollama: Ollama) -> None:
        self.slot = slot
        self._environment = environment
        self._ollama = ollama
        self._journals = slot.state / JOURNALS
        self._journals.mkdir(mode=0o700, exist_ok=True)
        self._log = open_log(Settings(), later=asyncio.get_running_loop().call_later, process="keeper")
        self._dead = TheDead(
            lambda question, used: self._desk.book.ledger_says(question, used, time.time()),
            lambda question: self._desk.book.ledger_failed(question),
        )
        self._own = Metrics()
        self._desk = LeaseDesk(
            self._dead.ask,
            self._lives,
            self._dead.drain,
            self._expel,
            live_workers(self._journals),
            told=LeaseCounts(self._own).told,
        )
        self._keys = KeyReadings(self._desk.book.unheld)
        self._keys.watch(self._own)
        self._links = WorkerLinks(_log.warning)
        self._metrics = Gatherer(self._own, keep=slot.state / METRICS_FILE, life=slot.life)
        self._spans: SpanThread | None = None
        self._spans_to: str | None = None
        self._plane: ControlPlane | None = None
        self._api: ApiServer | None = None
        self._probes: Probes | None = None
        self._changes = 0
        self._opened = asyncio.Event()
        self._stop = asyncio.Event()
        self._tasks: set[asyncio.Task[Any]] = set()

    async def run(self) -> None:
        """Keep until told to stop. Raises SystemExit where it cannot start."""
        self._listen_to_the_supervisor()
        server = ChannelServer(self._handlers(), self._links.connected, self._gone)
        await server.start(self.slot.channel)
        self._desk.start()
        try:
            plane = await self._open()
            self._begin(self._reset_budgets(plane))
            self._begin(self._save_metrics(plane))
            self._begin(plane.configuration.watch())
            await self._serve_api(plane)
            self._welcome(plane)
            gc.freeze()
            gc.set_threshold(*GARBAGE)
            gc.enable()
            await self._stop.wait()
        finally:
            await self._end(server)

    # -- the beginning ------------------------------------------------------------------------------------------------

    def _listen_to_the_supervisor(self) -> None:
        loop = asyncio.get_running_loop()
        loop.add_signal_handler(signal.SIGTERM, self._stop.set)
        loop.add_signal_handler(signal.SIGHUP, self._read_again)
        loop.add_signal_handler(signal.SIGUSR1, self._drain)
        loop.add_reader(self.slot.supervisor, self._orphaned)

    async def _open(self) -> ControlPlane:
        """The store, the configuration, the keys, the ledger: loaded by a thread, while the channel answers. Raises
        SystemExit.
        """
        from penstock.control.config.problems import ConfigErrors  # small, as is what it needs

        try:
            plane = await asyncio.to_thread(self._open_in_a_thread)
        except _Unable as unable:
            say(str(unable))
            sys.exit(CANNOT_START)
        self._plane = plane
        loaded = plane.configuration.in_force.loaded
        try:
            await plane.keys.adopt(loaded)
        except ConfigErrors as errors:
            say(f"the configuration is wrong:\n{errors}")
            sys.exit(CANNOT_START)
        plane.configuration.serve(plane.keys.adopt, self._publish)
        await self._publish(loaded)
        self._dead.open(plane.ledger)
        plane.ledger.start()
        watch_keeper(self._own, plane.ledger.stats, time.time())
        self._own.gauge("penstock_spans", lambda: {} if self._spans is None else self._spans.readings())
        self._opened.set()
        return plane

    def _open_in_a_thread(self) -> ControlPlane:
        from penstock.control.opening import CannotStart, open_control_plane

        try:
            return open_control_plane(
                self.slot, self._environment, self._journals, self._ollama, self._forget, self._links.__len__
            )
        except CannotStart as error:
            raise _Unable(str(error)) from None

    async def _serve_api(self, plane: ControlPlane) -> None:
        def loaded() -> type[ApiServer]:
            from penstock.control.api.server import ApiServer

            return ApiServer

        server = await asyncio.to_thread(loaded)
        plane.services.metrics = self._metrics
        self._api = await asyncio.to_thread(server, plane.services, self.slot.api)
        self._begin(self._api.serve())

    def _welcome(self, plane: ControlPlane) -> None:
        """Say what is served. (The supervisor shows it when all workers serve, and only once.)"""
        from penstock.control.welcome import welcome

        held = plane.configuration.in_force
        if self.slot.life == 1:
            for warning in held.loaded.warnings:
                say(f"warning: {warning}")
        made = self.slot.made_key if held.loaded.master_key is None else None
        self.slot.tell(Told(welcome(held, self.slot.address, made), held.loaded.snapshot.settings.drain_seconds))

    # -- workers ------------------------------------------------------------------------------------------------------

    def _handlers(self) -> Handlers:
        """What workers may say."""
        desk = self._desk.handlers()
        noted = desk["hello"].handle

        def hello(connection: Connection, said: Hello, reply: Reply) -> None:
            self._metrics.joined(_life(said.worker), connection)
            noted(connection, said, reply)

        return {
            **desk,
            "hello": Handler(hello, Hello),
            "lookup": Handler(self._look_up, str),
            "made": Handler(self._look_up_made, str),
            CIRCUITS: Handler(lambda link, changes, _: self._links.circuits(link, changes), list[Change]),
            METRICS: Handler(self._report, Any),
            SPANS: Handler(self._take_spans, bytes),
        }

    def _gone(self, connection: Connection, why: str) -> None:
        """A connection is at its end."""
        self._links.gone(connection)
        if self._desk.worker_of(connection) is not None:
            self._metrics.left(_life(connection.state))
        self._desk.closed(connection, why)

    def _lives(self, worker: str) -> bool:
        """Whether this worker's journal is locked: by itself."""
        return worker in live_workers(self._journals)

    def _expel(self, worker: str) -> None:
        """End a worker that lives and does not speak: its name says its process ("1-4711-9f3c01ab")."""
        _log.error("worker %s does not speak to the keeper, and is killed", worker)
        with suppress(ProcessLookupError, ValueError):
            os.kill(int(worker.split("-")[1]), signal.SIGKILL)

    def _report(self, connection: Connection, report: Any, reply: Reply) -> None:
        if connection.state is not None:
            self._metrics.heard(_life(connection.state), report)

    def _take_spans(self, connection: Connection, batch: bytes, reply: Reply) -> None:
        if self._spans is not None:
            self._spans.put(batch)

    def _look_up(self, connection: Connection, token: str, reply: Reply) -> None:
        """Who does a key belong to?"""

        async def answer() -> None:
            await self._opened.wait()
            assert self._plane is not None
            try:
                principal = await self._current(self._plane, token)
            except Exception as error:
                _log.error("a key could not be looked up: %s", error)
                reply.fail("the database does not answer")
                return
            self._handed_out(token, principal)
            reply.answer(principal)

        self._begin(answer())

    def _look_up_made(self, connection: Connection, name: str, reply: Reply) -> None:
        """Which deployment made this, and for whom? What is not in the ledger may still stand in a journal: whoever
        made it was answered after it was written there.
        """

        async def answer() -> None:
            await self._opened.wait()
            assert self._plane is not None
            store, ledger = self._plane.store, self._plane.ledger
            try:
                made = await asyncio.to_thread(store.made, name)
                if made is None:
                    await asyncio.to_thread(ledger.drain)
                    made = await asyncio.to_thread(store.made, name)
                reply.answer(made)
            except Exception as error:
                _log.error("what was made could not be looked up: %s", error)
                reply.fail("the database does not answer")

        self._begin(answer())

    def _handed_out(self, token: str, principal: Principal | None) -> None:
        """A worker is told of this principal: its quotas are these now."""
        self._keys.note(token, principal)
        for quota in () if principal is None else principal.quotas:
            self._desk.book.update(quota, time.time())

    async def _current(self, plane: ControlPlane, token: str) -> Principal | None:
        """A principal as it is when this returns: one that was read while it changed would be told after the workers
        have forgotten it, and stay.
        """
        while True:
            before = self._changes
            principal = await plane.keys.principal(token)
            if before == self._changes:
                return principal

    # -- changes ------------------------------------------------------------------------------------------------------

    async def _publish(self, loaded: Loaded) -> None:
        """Bring a configuration into force: for who calls, for the log, for the workers."""
        plane = self._plane
        assert plane is not None
        plane.keys.configure(loaded.master_key or self.slot.made_key, loaded)
        plane.ledger.retention = loaded.control.spend_log_retention
        self._apply_probes(loaded)
        settings = self._as_started(loaded.snapshot.settings)
        self._metrics.litellm = settings.litellm_metrics
        self._keys.on = settings.metrics_key_labels
        self._log.apply(settings, loaded.secrets)
        self._export_spans(settings, loaded.secrets)
        if self._opened.is_set():
            self.slot.tell(Told(drain_seconds=settings.drain_seconds))
        await self._links.publish(msgspec.structs.replace(loaded.snapshot, settings=settings))

    def _apply_probes(self, loaded: Loaded) -> None:
        """Ask deployments by themselves, where the configuration wants that: only then is the SDK loaded."""
        if self._probes is None and loaded.probes:
            from penstock.control.probes import Probes

            self._probes = Probes(lambda changes: self._links.circuits(None, changes), self._ask)
        if self._probes is not None:
            self._probes.apply(loaded)

    async def _ask(self, deployment: Deployment, probe: Probe) -> Checked:
        """Ask a deployment, with the variables that the configuration in force sets."""
        from penstock.client.clients import AsyncClient
        from penstock.control.checks import check

        assert self._plane is not None, "there is a configuration that wants it"
        environment = {**self._environment, **self._plane.configuration.snapshot.environment}
        async with AsyncClient(environment=environment) as client:
            return await check(client, deployment, probe.timeout, probe.model, probe.mode)

    def _as_started(self, settings: Settings) -> Settings:
        """What the command line says holds before what the configuration says."""
        if self.slot.log_level is not None:
            settings = msgspec.structs.replace(settings, log_level=self.slot.log_level)
        if self.slot.drain_seconds is not None:
            settings = msgspec.structs.replace(settings, drain_seconds=self.slot.drain_seconds)
        return settings

    def _export_spans(self, settings: Settings, secrets: Sequence[str]) -> None:
        """Begin to export spans, to another place, or no more. What is missing for it is said, and ends nothing."""
        if settings.otel_endpoint != self._spans_to:
            old, self._spans, self._spans_to = self._spans, None, settings.otel_endpoint
            if old is not None:
                self._begin(asyncio.to_thread(old.close))
            try:
                self._spans = open_span_thread(settings, secrets)
            except OpenTelemetryMissing as error:
                say(str(error))
        elif self._spans is not None:
            self._spans.keep_out(secrets)

    async def _forget(self, tokens: Sequence[str]) -> None:
        """These keys changed: the lease book knows their quotas, then no worker knows the old ones."""
        assert self._plane is not None
        self._changes += 1
        for token in tokens:
            self._handed_out(token, await self._plane.keys.principal(token))
        await self._links.forget(tokens)

    def _read_again(self) -> None:
        if self._plane is not None:
            self._begin(self._plane.configuration.read_again())

    async def _reset_budgets(self, plane: ControlPlane) -> None:
        while True:
            try:
                await plane.keys.reset_budgets()
            except Exception as error:  # the database may be away for a while
                _log.warning("budgets that are due were not begun anew: %s", error)
            await asyncio.sleep(BUDGETS_SECONDS)

    async def _save_metrics(self, plane: ControlPlane) -> None:
        while True:
            await asyncio.sleep(SAVE_SECONDS)
            self._metrics.save()
            try:
                await asyncio.to_thread(self._keys.read_spend, plane.ledger.spent)
            except Exception as error:  # the database may be away for a while
                _log.warning("what is left of budgets could not be read: %s", error)

    # -- the end ------------------------------------------------------------------------------------------------------

    def _drain(self) -> None:
        """The gateway ends: it is not ready any more."""
        if self._plane is not None:
            self._plane.services.draining = True

    def _orphaned(self) -> None:
        """The supervisor was killed: when the workers are gone, so is the keeper."""
        asyncio.get_running_loop().remove_reader(self.slot.supervisor)
        self._drain()
        self._begin(self._wait_for_workers())

    async def _wait_for_workers(self) -> None:
        seconds = self.slot.drain_seconds
        if seconds is None:
            settings = Settings() if self._plane is None else self._plane.configuration.snapshot.settings
            seconds = settings.drain_seconds
        until = time.monotonic() + seconds + ORPHAN_OVERTIME
        while len(self._links) and time.monotonic() < until:  # noqa: ASYNC110  # seldom, and then for a moment
            await asyncio.sleep(0.05)
        self._stop.set()

    async def _end(self, server: ChannelServer) -> None:
        """Read what the workers have left, and close everything."""
        if self._probes is not None:
            self._probes.stop()
        if self._api is not None:
            self._api.stop()
        self._metrics.save()
        if self._plane is not None:
            await asyncio.to_thread(self._plane.close)
        self._desk.stop()
        await server.aclose()
        for task in self._tasks:
            task.cancel()
        if self._spans is not None:
            await asyncio.to_thread(self._spans.close)
        self._log.close()
        if self._is_orphan() and self.slot.temporary:
            shutil.rmtree(self.slot.state, ignore_errors=True)

    def _is_orphan(self) -> bool:
        """Whether nobody is left who would tidy up."""
        os.set_blocking(self.slot.supervisor, False)
        try:
            return os.read(self.slot.supervisor, 1) == b""
        except BlockingIOError:
            return False

    def _begin(self, work: Coroutine[Any, Any, Any]) -> None:
        """Do something beside all else. What fails is said, and does not end the keeper."""
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._over)

    def _over(self, task: asyncio.Task[Any]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            _log.error("a task of the keeper failed", exc_info=error)


def _life(name: str) -> str:
    """A worker's name, as metrics have it: the slot, a dot, and which of its lives."""
    return name.replace("-", ".", 1)


class _Unable(Exception):
    """The control plane cannot be opened."""
