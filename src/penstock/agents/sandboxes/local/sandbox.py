"""One sandbox on this machine that runs: programs, files, limits, its end.

Everything that touches the inside is done by helpers (fork_server.py). What is known here is the first process, by a
pidfd, and the groups. How things end:

| what happened | how it is seen | what is said |
|---|---|---|
| the kernel killed for want of memory | the groups' counter rose, and the program ended by SIGKILL | out_of_memory |
| no more processes allowed | the groups' counter rose, and the program failed | process_limit |
| the disk's limit is passed | watching; all programs are ended | disk_quota |
| the time is over | watching; all programs are ended | wall_clock |
| the first process ended | its pidfd | sandbox_died |
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal as signals
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple

import msgspec

from penstock.agents.sandboxes.archive import parts_of
from penstock.agents.sandboxes.driver import (
    HOME,
    WORKSPACE,
    Attach,
    CannotCreate,
    CannotExecute,
    Exit,
    Isolation,
    Limits,
    NoSuchPath,
    NoSuchProgram,
    NotRunning,
    Reason,
    SandboxError,
    Stats,
    Trouble,
    refuse,
)
from penstock.agents.sandboxes.local import bubblewrap, enter, files, launch, usage
from penstock.agents.sandboxes.local.cgroups import Group
from penstock.agents.sandboxes.local.forking import Reply, readable
from penstock.agents.sandboxes.local.helper import Ceilings
from penstock.agents.sandboxes.local.pipes import Descriptors, Pipes
from penstock.agents.sandboxes.local.process import LocalProcess, Stream
from penstock.agents.sandboxes.local.replies import answer, answers, listeners_of
from penstock.agents.sandboxes.local.state import Record, handle, since_boot
from penstock.agents.sandboxes.local.transfer import LocalExport, pump

if TYPE_CHECKING:
    from penstock.agents.sandboxes.local.driver import LocalDriver

LOOKING = 5.0
"""Seconds between two looks at what the kernel does not hold for us (the disk, the clock)."""
LOOKING_AT_MEMORY = 0.5
"""The same for memory, where no group holds it: a program fills it in seconds."""
MOST_TROUBLES = 100
ENDING = 10.0
"""Seconds in which killed processes must be gone; the kernel needs milliseconds."""


class Counters(NamedTuple):
    """What had happened in a sandbox when a program began: kills for want of memory, refused processes, stops."""

    killed: int
    refused: int
    stops: int


class LocalSandbox:
    """A sandbox of the local driver (`driver.Sandbox`)."""

    _keepers = 2
    """Processes that are not the agent's: bubblewrap and the first."""

    def __init__(
        self, driver: LocalDriver, record: Record, group: Group, pidfd: int, in_force: Mapping[str, str]
    ) -> None:
        self._driver = driver
        self.record = record
        self.group = group
        self._pidfd = pidfd
        self.in_force = in_force
        self._troubles: list[Trouble] = []
        self._gone: asyncio.Future[Trouble] = asyncio.get_running_loop().create_future()
        self._ending: Trouble | None = None
        self._stops: list[Reason] = []
        self._expired: Trouble | None = None
        self._disk = 0
        self._changing = asyncio.Lock()
        self._tasks = [asyncio.ensure_future(self._watch_first()), asyncio.ensure_future(self._watch_limits())]

    @property
    def id(self) -> str:
        """The id of its specification."""
        return self.record.spec.id

    @property
    def handle(self) -> str:
        """Text by which `adopt` finds it."""
        return handle(self.record, self._driver.kind)

    @property
    def isolation(self) -> Isolation:
        """What it has."""
        return "full" if self.record.isolation == "full" else "weak"

    @property
    def troubles(self) -> Sequence[Trouble]:
        """What went wrong on its own."""
        return tuple(self._troubles)

    @property
    def where(self) -> enter.Where:
        """What helpers need to enter."""
        return enter.Where(self.record.pid, self.record.started, self.owner, tuple(self.group.entrances))

    @property
    def owner(self) -> int:
        """Its user on this machine, to whom its files belong; < 0: ours."""
        return self.record.owner if self._driver.state.as_root else -1

    # -- programs -----------------------------------------------------------------------------------------------------

    async def exec(
        self,
        argv: Sequence[str],
        *,
        env: Mapping[str, str] | None = None,
        cwd: str = WORKSPACE,
        tty: tuple[int, int] | None = None,
        stdin: bool = False,
    ) -> LocalProcess:
        """Start a program (`driver.Sandbox.exec`)."""
        self._check_running()
        shown = {"TERM": "xterm-256color"} if tty is not None else {}
        variables = {**self.record.variables, **shown, **self.record.spec.env, **(env or {})}
        wanted = enter.Enter(
            self.where, tuple(argv), variables, cwd, tty, self.ceilings, self._writable, self.isolation == "full"
        )
        _check_program(wanted)
        return await self._started(wanted, stdin)

    async def _started(self, wanted: enter.Enter, stdin: bool) -> LocalProcess:
        counters = Counters(self.group.out_of_memory(), self.group.refused_processes(), len(self._stops))
        with Pipes(wanted.terminal is not None, stdin, self.owner) as pipes:
            reply = await self._driver.forks.job("enter", wanted, pipes.theirs)
            pipes.close_theirs()
            said, fds = await answers(reply)
            pid = next((found.pid for found in said if found.pid), 0)
            error = next((found for found in said if found.error), None)
            if error is not None or not pid:
                for fd in fds:
                    os.close(fd)
                raise self._cannot_execute(error.error if error else "the helper was killed", counters)
            streams = pipes.streams(fds)
        forks = self._driver.forks
        return LocalProcess(
            streams,
            terminal=wanted.terminal is not None,
            signal=lambda number: forks.signal(pid, number),
            ended=forks.ended(pid),
            explain=lambda status: self._explained(status, counters),
        )

    def _cannot_execute(self, error: str, counters: Counters) -> SandboxError:
        if self._ending is not None or not self._lives():
            return NotRunning(
                f"the sandbox is gone ({self._why()})", fix="make another one; the workspace is still there"
            )
        if self.group.refused_processes() > counters.refused or error.startswith("Resource temporarily unavailable"):
            most = self.record.spec.limits.processes
            message = f"no more than {most} processes may run in this sandbox"
            return refuse(CannotExecute, message, fix="end some, or raise limits.processes", reason="process_limit")
        if self.group.out_of_memory() > counters.killed:
            return refuse(
                CannotExecute, "the sandbox's memory is full", fix="end some of its programs", reason="out_of_memory"
            )
        return (NoSuchProgram if error.startswith(enter.NOT_FOUND) else CannotExecute)(error)

    async def _explained(self, status: int | None, counters: Counters) -> Exit:
        """Say how a program ended, and what the sandbox had to do with it."""
        if status is None:
            return Exit(None, None, "helper_lost")
        code = os.waitstatus_to_exitcode(status)
        ended = Exit(code) if code >= 0 else Exit(None, -code)
        if ended.status == 0:
            return ended
        return msgspec.structs.replace(ended, reason=self._reason(ended, counters))

    def _reason(self, ended: Exit, counters: Counters) -> Reason:
        killed = ended.status == 128 + signals.SIGKILL
        if killed and self._ending is not None:
            return self._ending.reason
        if killed and not self._lives():
            return "sandbox_died"
        if killed and len(self._stops) > counters.stops:
            return self._stops[-1]
        if ended.status == 128 + signals.SIGXFSZ:
            return "disk_quota"
        if self.group.out_of_memory() > counters.killed:
            return "out_of_memory"
        return "process_limit" if self.group.refused_processes() > counters.refused else ""

    @property
    def ceilings(self) -> Ceilings:
        """What rlimits hold: always the size of one file, and the processes where no group does."""
        limits = self.record.spec.limits
        return Ceilings(limits.disk, 0 if self.group.has("pids") else limits.processes)

    @property
    def _writable(self) -> tuple[str, ...]:
        return (*bubblewrap.WRITABLE, *(mount.at for mount in self.record.spec.mounts if mount.writable))

    # -- files --------------------------------------------------------------------------------------------------------

    async def put(self, archive: AsyncIterator[bytes], at: str = WORKSPACE, *, links: bool = False) -> None:
        """Unpack an archive (`driver.Sandbox.put`)."""
        folder, parts = self._below(at)
        with contextlib.closing(Descriptors()) as fds:
            read, write = os.pipe2(os.O_CLOEXEC)
            fds.add(read)
            stream = Stream(write)
            wanted = files.Put(self.owner, parts, links, self.record.spec.limits.disk)
            reply = await self._driver.forks.job("put", wanted, [fds.open(folder), read])
            fds.close()
            sending = asyncio.ensure_future(pump(archive, stream))
            try:
                await answer(reply)  # raises what the helper found; before it has read all, if that is so
                await sending
            except SandboxError:
                if sending.done():
                    sending.result()  # the sender's own trouble is why the archive was cut
                raise
            finally:
                sending.cancel()
                await asyncio.gather(sending, return_exceptions=True)
                stream.close()

    def get(self, path: str = WORKSPACE) -> LocalExport:
        """Pack a file or folder (`driver.Sandbox.get`)."""
        return LocalExport(lambda: self._exported(path))

    async def _exported(self, path: str) -> tuple[Reply, Stream]:
        folder, parts = self._below(path)
        with contextlib.closing(Descriptors()) as fds:
            read, write = os.pipe2(os.O_CLOEXEC)
            fds.add(write)
            reply = await self._driver.forks.job("get", files.Get(self.owner, parts), [fds.open(folder), write])
            return reply, Stream(read)

    def _below(self, path: str) -> tuple[str, tuple[str, ...]]:
        """Return the host's folder and the parts below it for a path inside."""
        workspace = self._driver.state.workspace(self.record.spec.workspace)
        for top, part in ((WORKSPACE, "work"), (HOME, "home")):
            if path == top or path.startswith(f"{top}/"):
                return str(workspace / part), parts_of(path.removeprefix(top).lstrip("/") or ".")
        raise NoSuchPath(f"{path[:200]!r} is not in the workspace", fix=f"name a path below {WORKSPACE} or {HOME}")

    # -- life ---------------------------------------------------------------------------------------------------------

    async def suspend(self) -> None:
        """Stop every process where it is."""
        async with self._changing:
            if not self.record.suspended:
                self._check_running()
                await self._set_frozen(True)

    async def resume(self) -> None:
        """Let them go on."""
        async with self._changing:
            if self.record.suspended:
                await self._set_frozen(False)

    async def _set_frozen(self, frozen: bool) -> None:
        """Freeze by the groups; without them by SIGSTOP and SIGCONT, which a program inside can tell."""
        if not await asyncio.to_thread(self.group.freeze, frozen):
            await self._signal_all(signals.SIGSTOP if frozen else signals.SIGCONT)
        self.update(msgspec.structs.replace(self.record, suspended=frozen))

    async def stop(self) -> None:
        """End every process inside but the first."""
        if self._expired is None:
            self._check_running()
        await self._stop("stopped")

    async def _stop(self, reason: Reason) -> None:
        self._stops.append(reason)
        await self.resume()
        await self._signal_all(signals.SIGKILL)
        first = {self.record.pid, self.record.monitor}
        deadline = time.monotonic() + ENDING
        while set(self.group.pids()) - first and time.monotonic() < deadline:  # noqa: ASYNC110
            await asyncio.sleep(0.002)  # the kernel tells nobody when a group of version 1 is empty

    async def _signal_all(self, number: signals.Signals) -> None:
        where = msgspec.structs.replace(self.where, entrances=())  # a full group would take no helper
        await answer(await self._driver.forks.job("stop", enter.Stop(where, int(number))))

    async def snapshot(self, name: str) -> None:
        """Copy the workspace while nothing runs."""
        self._driver.check_new_snapshot(name)
        frozen = not self.record.suspended and self._lives()
        if frozen:
            await self.suspend()
        try:
            await self._driver.copy_workspace(self.record.spec.workspace, name)
        finally:
            if frozen:
                await self.resume()

    async def reattach(self, attach: Attach) -> None:
        """Make new listeners and hand them over."""
        self._check_running()
        said, fds = await answers(await self._relisten("other ports" in self.in_force))
        listeners = listeners_of(said[0], fds) if said and not said[0].error else []
        try:
            if not listeners:
                reason = said[0].error if said else "the helper ended"
                raise CannotCreate(f"no new listeners: {reason}", fix="a program inside took a port: stop() first")
            identity = await attach(listeners)
        finally:
            for listener in listeners:
                listener.socket.close()
        if identity is not None:
            self._driver.identify(self, self.record.spec, identity)

    async def _relisten(self, redirected: bool) -> Reply:
        record = self.record
        wanted = launch.Relisten(record.pid, record.started, self.owner, record.spec.egress, redirected)
        return await self._driver.forks.job("relisten", wanted)

    async def limit(self, limits: Limits) -> None:
        """Change the limits that groups hold."""
        self.group.limit(limits)

    async def stats(self) -> Stats:
        """Return what it uses now."""
        disk = await self._measured()
        if self.group.has("memory") and self.group.has("pids"):
            cpu = self.group.cpu() or 0.0
            return Stats(self.group.memory(), max(len(self.group.pids()) - self._keepers, 0), cpu, disk)
        used = await asyncio.to_thread(usage.of_namespace, self.record.pid)
        return Stats(used.memory, used.processes, used.cpu, disk)

    async def _measured(self) -> int:
        with contextlib.closing(Descriptors()) as fds:
            opened = [fds.open(self._below(top)[0]) for top in (WORKSPACE, HOME)]
            found = await answer(await self._driver.forks.job("usage", files.Usage(self.owner), opened))
        self._disk = found.size
        return found.size

    async def wait(self) -> Trouble:
        """Wait for its end."""
        return await asyncio.shield(self._gone)

    async def destroy(self, *, workspace: bool = False) -> None:
        """End all of it, and see that nothing is left."""
        async with self._changing:
            if self._ending is None:
                self._ending = Trouble("destroyed", "it was destroyed")
            await self._driver.end(self.record, self.group)
            self.let_go()
            if not self._gone.done():
                self._gone.set_result(self._ending)
        if workspace:
            await self._driver.forget(workspace=self.record.spec.workspace)

    def let_go(self) -> None:
        """Close what this process holds; the sandbox is not touched."""
        self._driver.forget_sandbox(self)
        for task in self._tasks:
            if task is not asyncio.current_task():
                task.cancel()
        if self._pidfd >= 0:
            os.close(self._pidfd)
            self._pidfd = -1

    def update(self, record: Record) -> None:
        """Change what is kept of it."""
        self.record = record
        self._driver.state.write(record)

    # -- watching -----------------------------------------------------------------------------------------------------

    def _lives(self) -> bool:
        return self._driver.alive(self.record)

    def _why(self) -> str:
        return self._ending.detail if self._ending is not None else "its first process has ended"

    def _check_running(self) -> None:
        if self._ending is not None or not self._lives():
            raise NotRunning(
                f"the sandbox is gone ({self._why()})", fix="make another one; the workspace is still there"
            )
        if self.record.suspended:
            raise NotRunning("the sandbox is suspended", fix="resume it first")
        if self._expired is not None:
            raise refuse(NotRunning, f"the sandbox's time is over: {self._expired.detail}", reason="wall_clock")

    async def _watch_first(self) -> None:
        await readable(self._pidfd)
        if self._ending is None:
            reason: Reason = "out_of_memory" if await self._ran_out_of_memory() else "sandbox_died"
            self._died(Trouble(reason, "the first process of the sandbox has ended"))
        if not self._gone.done() and self._ending is not None:
            self._gone.set_result(self._ending)

    def _died(self, trouble: Trouble) -> None:
        if self._ending is None:  # nobody has destroyed it meanwhile
            self._ending = trouble
            self._report(trouble)

    async def _ran_out_of_memory(self) -> bool:
        return self.group.out_of_memory() > 0

    async def _watch_limits(self) -> None:
        """Look now and then; nothing that uses no CPU writes to a disk."""
        last, looked = -1.0, time.monotonic()
        watched = not self.group.has("memory")
        while True:
            await asyncio.sleep(LOOKING_AT_MEMORY if watched else LOOKING)
            if watched:
                await self._look(self._memory_trouble)
            now = time.monotonic()
            if now - looked >= LOOKING:
                cpu, looked = self.group.cpu(), now
                if cpu is None or cpu != last:
                    await self._look(self._disk_trouble)
                last = cpu if cpu is not None else -1.0
            wall = self.record.spec.limits.wall
            if wall is not None and since_boot() - self.record.since > wall:
                self._expired = Trouble("wall_clock", f"it ran for more than {wall:g} seconds")
                await self._over(self._expired)
                return

    async def _look(self, find: Callable[[], Awaitable[Trouble | None]]) -> None:
        try:
            trouble = await find()
        except SandboxError as error:
            trouble = Trouble("disk_quota", f"the workspace cannot be measured: {error}") if self._lives() else None
        if trouble is not None:
            await self._over(trouble)

    async def _disk_trouble(self) -> Trouble | None:
        used, most = await self._measured(), self.record.spec.limits.disk
        return Trouble("disk_quota", f"the workspace has {used} bytes, {most} are allowed") if used > most else None

    async def _memory_trouble(self) -> Trouble | None:
        used, most = (
            (await asyncio.to_thread(usage.of_namespace, self.record.pid)).memory,
            self.record.spec.limits.memory,
        )
        return Trouble("out_of_memory", f"{used} bytes of memory in use, {most} are allowed") if used > most else None

    async def _over(self, trouble: Trouble) -> None:
        """A limit is passed: end all programs, keep the sandbox, so that files can still be fetched or removed."""
        self._report(trouble)
        with contextlib.suppress(SandboxError):
            await self._stop(trouble.reason)

    def _report(self, trouble: Trouble) -> None:
        self._troubles = [*self._troubles[1 - MOST_TROUBLES :], trouble]
        self._driver.on_trouble(self, trouble)


def _check_program(wanted: enter.Enter) -> None:
    words = [*wanted.argv, wanted.cwd, *wanted.env, *wanted.env.values()]
    if not wanted.argv or not wanted.argv[0]:
        raise CannotExecute("no program is named")
    if any("\0" in word for word in words) or any("=" in name or not name for name in wanted.env):
        raise CannotExecute("an argument or variable holds a NUL, or a variable's name an equals sign")
    if not wanted.cwd.startswith("/"):
        raise CannotExecute(f"the folder {wanted.cwd!r} is not absolute")
