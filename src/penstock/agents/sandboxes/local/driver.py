"""The local driver: makes sandboxes on this machine, finds them again after a crash, and sweeps up.

A sandbox does not die with the server: nothing ties its processes to ours. What is tied are the unfinished ones:
until a helper is told to go on it waits on a socket of ours, and ends when that closes. So after `kill -9` of the
server at any instant there are sandboxes with a record that names them (`adopt`), and remains that `sweep` finds by
their record, their group or the mark in their environment (state.py).
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import os
import secrets
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path

import msgspec

from penstock.agents.sandboxes.driver import (
    Attach,
    Busy,
    CannotCreate,
    File,
    HostLacks,
    Identity,
    InvalidSpec,
    Listener,
    Report,
    SandboxError,
    SandboxSpec,
    Trouble,
)
from penstock.agents.sandboxes.local import bubblewrap, cgroups, checks, copies, ending, kernel, launch, programs, trees
from penstock.agents.sandboxes.local.forking import ForkServer, Reply, in_memory
from penstock.agents.sandboxes.local.helper import Answer, Ceilings
from penstock.agents.sandboxes.local.pipes import HelperPipe
from penstock.agents.sandboxes.local.replies import answer, decoded, listeners_of
from penstock.agents.sandboxes.local.sandbox import LocalSandbox
from penstock.agents.sandboxes.local.specs import check_spec, placed
from penstock.agents.sandboxes.local.state import (
    MARK,
    Record,
    State,
    alive,
    boot,
    handle,
    open_process,
    read_handle,
    remember,
    since_boot,
)
from penstock.agents.sandboxes.local.threads import in_thread
from penstock.agents.sandboxes.local.warm import WARM, LocalWarm

ENDING = 60.0
"""Seconds in which killed processes must be gone. The kernel needs milliseconds; a first process of the machine that is
slow to wait for orphans may need many."""
STARTING = 20.0
"""Seconds in which bubblewrap must have made a sandbox; it needs milliseconds."""

OnTrouble = Callable[[LocalSandbox, Trouble], None]


class LocalDriver:
    """Sandboxes on this machine (`driver.Driver`).

    Args:
        folder: where workspaces and records are kept. As root, everybody must be able to enter it (/var/lib/..., 0711).
        on_trouble: hears what goes wrong in a sandbox on its own.
        groups: False does without cgroups, as on a host that lets us have none.
    """

    kind = "local"
    """What handles and rows call this driver."""
    has_images = False

    def __init__(
        self, folder: Path, *, on_trouble: OnTrouble = lambda sandbox, trouble: None, groups: bool = True
    ) -> None:
        self.state = State(folder, as_root=os.geteuid() == 0)
        self.forks = ForkServer()
        self.on_trouble = on_trouble
        self._groups = groups
        self._has_filter = False
        self._sandboxes: dict[str, LocalSandbox] = {}
        self._making: set[str] = set()
        self._taking = asyncio.Lock()
        self._warm: list[LocalWarm] = []

    @functools.cached_property
    def place(self) -> cgroups.Place:
        """Where groups can be made on this host."""
        if not self._groups:
            return cgroups.Place({}, {}, None)
        return cgroups.probe(f"penstock-{self.state.instance}")

    @functools.cached_property
    def host(self) -> bubblewrap.Host:
        """What this host has that sandboxes see."""
        return programs.host()

    async def check(self) -> Report:
        """Try what the host offers."""
        return await checks.check(self)

    # -- making -------------------------------------------------------------------------------------------------------

    async def prepare(self) -> None:
        """Do now what the first `create` would spend its time on: start the helpers, see what the host can filter."""
        _check_bubblewrap()
        await self._filtered()

    async def system(self, image: str = "") -> str:
        """Name what sandboxes see as their system: there is one only, this host's."""
        return ""

    async def create(self, spec: SandboxSpec, attach: Attach) -> LocalSandbox:
        """Make a sandbox (`driver.Driver.create`)."""
        return await self._create(spec, attach, claimed=True)

    async def warm(self, template: SandboxSpec) -> LocalWarm:
        """Make a sandbox without an identity, and keep its listeners."""
        held: list[Listener] = []

        async def hold(listeners: Sequence[Listener]) -> Identity:
            held.extend(msgspec.structs.replace(one, socket=one.socket.dup()) for one in listeners)
            return Identity()

        name = f"{WARM}{secrets.token_hex(8)}"
        spec = msgspec.structs.replace(template, id=name, workspace=name)
        made = LocalWarm(self, await self._create(spec, hold, claimed=False), held)
        self._warm.append(made)
        return made

    async def _create(self, spec: SandboxSpec, attach: Attach, *, claimed: bool) -> LocalSandbox:
        check_spec(spec)
        self.state.open()
        isolation = await self._isolation(spec)
        if spec.workspace in self._making:
            raise Busy(f"a sandbox is being made for the workspace {spec.workspace!r}", fix="wait for that one")
        token = secrets.token_hex(8)
        self._making |= {token, spec.workspace}
        group = cgroups.Group(self.place, token)
        try:
            async with self._taking:  # no two get the same owner
                owner = await in_thread(self._take_workspace, spec.workspace, token)
            record = Record(token, spec, owner, isolation, {}, boot(), claimed=claimed, since=since_boot())
            return await self._made(record, group, attach)
        except asyncio.CancelledError:
            with contextlib.suppress(SandboxError):  # what cannot be removed now is for `sweep`: we are to end
                await asyncio.shield(asyncio.ensure_future(self._remove(token, group, None)))
            raise
        except BaseException:
            await asyncio.shield(asyncio.ensure_future(self._remove(token, group, None)))
            raise
        finally:
            self._making -= {token, spec.workspace}

    async def _isolation(self, spec: SandboxSpec) -> str:
        if spec.image:
            raise InvalidSpec("sandboxes of the local driver show this host, not an image", fix="name no image")
        _check_bubblewrap()
        if await self._filtered():
            return "full"
        if spec.isolation == "weak":
            return "weak"
        raise HostLacks(
            "this host cannot filter system calls", fix="install pyseccomp and libseccomp2, or ask for isolation 'weak'"
        )

    async def _filtered(self) -> bool:
        """Only a yes is remembered: a helper that was killed while it tried says nothing about the host."""
        self._has_filter = self._has_filter or await self.offers("filter") is None
        return self._has_filter

    async def offers(self, what: str, **more: str) -> str | None:
        """Try a primitive in a helper. None: it works; else what the kernel said."""
        return (await self.tried(what, **more))[1]

    async def tried(self, what: str, **more: str) -> tuple[Answer, str | None]:
        """Try a primitive; returns its answer as well."""
        owner = 0x7000FFFF if self.state.as_root else -1
        try:
            return await answer(await self.forks.job("try", launch.Try(what, owner, **more))), None
        except SandboxError as error:
            return Answer(), error.message

    def _take_workspace(self, name: str, token: str) -> int:
        """Make or open a workspace that no other sandbox uses; return its owner."""
        for other, record in self.state.records():
            if record is not None and record.spec.workspace == name and other != token and self.alive(record):
                raise Busy(
                    f"the workspace {name!r} belongs to another sandbox that runs", fix="destroy or stop that one"
                )
        return self.state.make_workspace(name)

    async def _made(self, record: Record, group: cgroups.Group, attach: Attach) -> LocalSandbox:
        spec, token = record.spec, record.token
        await in_thread(self._begin, record, group)
        with (
            contextlib.closing(HelperPipe()) as messages,
            contextlib.closing(HelperPipe()) as info,
            contextlib.closing(HelperPipe()) as ready,
        ):
            wanted = self._launch(record, group)
            reply = await self.forks.job("launch", wanted, [messages.write, info.write, ready.write])
            for pipe in (messages, info, ready):
                pipe.close_write()
            with contextlib.closing(reply):
                redirected, identity = await self.attached(reply, attach)
                contents = placed(spec, identity)
                placed_files = await in_thread(self.state.begin, token, contents, record.owner)
                record = msgspec.structs.replace(record, files=placed_files, spec=identified(spec, identity))
                await self._go(reply, record)
                pid, monitor = await self._ready(messages, info, ready)
        record = remember(record, pid, monitor)
        await in_thread(self.state.write, record)
        return self._known(record, group, redirected)

    def _begin(self, record: Record, group: cgroups.Group) -> None:
        self.state.begin(record.token, {}, record.owner)
        self.state.write(record)
        group.create(record.spec.limits)

    def _launch(self, record: Record, group: cgroups.Group) -> launch.Launch:
        limits = record.spec.limits
        return launch.Launch(
            owner=record.owner if self.state.as_root else -1,
            entrances=tuple(group.entrances),
            ceilings=Ceilings(limits.disk, 0 if group.has("pids") else limits.processes + 2),
            egress=record.spec.egress,
            nft=programs.find("nft"),
            bwrap=programs.find("bwrap"),
            mark=(MARK, f"{self.state.instance}/{record.token}"),
        )

    async def attached(self, reply: Reply, attach: Attach) -> tuple[bool, Identity]:
        """Take the listeners from the helper, hand them to the vault, close ours."""
        data, fds = await reply.receive()
        said = decoded(data) if data else Answer(error="the helper was killed")
        if said.error:
            raise CannotCreate(
                f"the sandbox's network could not be made: {said.error}",
                fix="`penstock doctor` tells what this host offers",
            )
        listeners = listeners_of(said, fds)
        try:
            return said.redirected, await attach(listeners) or Identity()
        finally:
            for listener in listeners:
                listener.socket.close()

    async def _go(self, reply: Reply, record: Record) -> None:
        workspace = self.state.workspace(record.spec.workspace)
        mounts = self.mounts_of(record)
        layout = bubblewrap.Layout(
            str(workspace / "home"), str(workspace / "work"), record.files, mounts, record.spec.limits.temporary
        )
        seccomp = launch.SECCOMP_FD if record.isolation == "full" else None
        options = bubblewrap.arguments(self.host, layout, seccomp_fd=seccomp, info_fd=launch.INFO_FD)
        data = in_memory(b"".join(os.fsencode(option) + b"\0" for option in options))
        await reply.send(b"go", [data])
        os.close(data)

    def mounts_of(self, record: Record) -> list[tuple[str, str, bool]]:
        """Return the environments of a sandbox: path inside, folder here, writable."""
        return [
            (mount.at, str(self._environment(mount.name, mount.writable, record.owner)), mount.writable)
            for mount in record.spec.mounts
        ]

    def _environment(self, name: str, writable: bool, owner: int) -> Path:
        folder = self.state.environment(name)
        if writable:
            self.state.make_environment(name)
            self.state.give(folder / "tree", owner)
        elif not (folder / "tree").is_dir():
            raise InvalidSpec(
                f"there is no environment {name!r}", fix="build it first, in a sandbox that mounts it writable"
            )
        return folder / "tree"

    async def _ready(self, messages: HelperPipe, info: HelperPipe, ready: HelperPipe) -> tuple[int, int]:
        """Wait until the first process runs; return its pid and bubblewrap's."""
        try:
            async with asyncio.timeout(STARTING):
                said = await ready.all(stop=b"\n")
                if said != b"ready\n":
                    text = (await messages.all()).decode("utf-8", "replace").strip()[:2000]
                    raise CannotCreate(
                        f"bubblewrap ended: {text or 'it said nothing'}",
                        fix="`penstock doctor` tells what this host offers",
                    )
        except TimeoutError:
            raise CannotCreate(
                f"bubblewrap was not ready after {STARTING:g} seconds", fix="look at the machine's load"
            ) from None
        first = int(msgspec.json.decode(await info.all(stop=b"}\n"))["child-pid"])
        return first, _parent(first)

    def _known(self, record: Record, group: cgroups.Group, redirected: bool) -> LocalSandbox:
        pidfd = open_process(record.pid, record.started, record.boot)
        if pidfd is None:
            raise CannotCreate("the sandbox ended at once", fix="look at the machine's memory")
        sandbox = self._sandbox(record, group, pidfd, self._in_force(record, group, redirected))
        self._sandboxes[record.token] = sandbox
        return sandbox

    def _sandbox(self, record: Record, group: cgroups.Group, pidfd: int, held: Mapping[str, str]) -> LocalSandbox:
        return LocalSandbox(self, record, group, pidfd, held)

    def _in_force(self, record: Record, group: cgroups.Group, redirected: bool) -> Mapping[str, str]:
        by_group = {ability: f"cgroup v{version}" for ability, version in self.place.versions.items()}
        found = {
            "memory": by_group.get("memory", "watched"),
            "processes": by_group.get("pids", "rlimit"),
            "disk": "watched",
            "filter": "seccomp" if record.isolation == "full" else "",
            "files": "landlock" if kernel.landlock_abi() >= 2 else "",
            "cpu": by_group.get("cpu", ""),
            "other ports": "nft" if redirected else "",
        }
        return {name: holder for name, holder in found.items() if holder}

    # -- identities ---------------------------------------------------------------------------------------------------

    def identify(self, sandbox: LocalSandbox, spec: SandboxSpec, identity: Identity) -> None:
        """Give a sandbox that runs its variables and the contents of files that it already has.

        Raises:
            InvalidSpec: a file was not there when the sandbox was made.
        """
        record = sandbox.record
        contents = placed(spec, identity)
        missing = sorted(set(contents) - set(record.files))
        if missing:
            raise InvalidSpec(
                f"{missing[0]} cannot be placed in a sandbox that runs already", fix="name it in the template"
            )
        for inside, file in contents.items():
            self.state.place(Path(record.files[inside]), file, record.owner)
        since = record.since if record.claimed else since_boot()
        sandbox.update(msgspec.structs.replace(record, spec=identified(spec, identity), claimed=True, since=since))

    # -- finding ------------------------------------------------------------------------------------------------------

    def alive(self, record: Record) -> bool:
        """True where the first process of a sandbox is there."""
        return alive(record.pid, record.started, record.boot)

    async def adopt(self, handle: str) -> LocalSandbox | None:
        """Find the sandbox of a handle."""
        self.state.open()
        wanted = read_handle(handle, self.kind)
        if wanted is None:
            return None
        if wanted.token in self._sandboxes:
            return self._sandboxes[wanted.token]
        record = self.state.read(wanted.token)
        same = record is not None and (record.pid, record.started, record.boot) == (
            wanted.pid,
            wanted.started,
            wanted.boot,
        )
        if record is None or not same or not record.claimed or not self.alive(record):
            return None
        redirected = record.spec.egress.transparent and record.spec.egress.other_ports and bool(programs.find("nft"))
        return self._known(record, self.group_of(record), redirected)

    def group_of(self, record: Record) -> cgroups.Group:
        """Return the groups of a sandbox that runs."""
        return cgroups.Group(self.place, record.token)

    async def living(self) -> Sequence[str]:
        """Return the handles of what lives."""
        self.state.open()
        return await in_thread(self._living)

    def _living(self) -> list[str]:
        return [
            handle(record, self.kind)
            for _, record in self.state.records()
            if record is not None and record.claimed and self.alive(record)
        ]

    # -- ending -------------------------------------------------------------------------------------------------------

    async def sweep(self, keep: Collection[str]) -> Sequence[str]:
        """Remove what is not to be kept, nor known to this process."""
        self.state.open()
        kept = {found.token for text in keep if (found := read_handle(text, self.kind)) and self._lives(text)}
        kept |= set(self._sandboxes) | self._making
        there = {token for token, _ in self.state.records()} | await self._traces()
        removed = []
        for token in sorted(there - kept):
            record = self.state.read(token)
            await self._remove(token, cgroups.Group(self.place, token), record)
            removed.append(f"sandbox {token}" + (f" of {record.spec.id}" if record is not None else ""))
        return [*removed, *await asyncio.to_thread(self._sweep_folders)]

    async def _traces(self) -> set[str]:
        """Return the sandboxes of which something is there, whether they have a record or not."""
        marked = await asyncio.to_thread(self.state.marked)
        return set(marked.values()) | cgroups.names(self.place)

    def _lives(self, text: str) -> bool:
        wanted = read_handle(text, self.kind)
        return wanted is not None and alive(wanted.pid, wanted.started, wanted.boot)

    def _sweep_folders(self) -> list[str]:
        used = {record.spec.workspace for _, record in self.state.records() if record is not None} | self._making
        return copies.sweep(self.state, used)

    async def end(self, record: Record, group: cgroups.Group) -> None:
        """End a sandbox's processes and remove all but its workspace."""
        await self._remove(record.token, group, record)

    async def _remove(self, token: str, group: cgroups.Group, record: Record | None) -> None:
        left: list[int] = []
        deadline = time.monotonic() + ENDING
        while time.monotonic() < deadline:
            left = await ending.kill(self.state, token, group, record)
            if not left and group.remove():
                break
            await asyncio.sleep(0.01)
        else:
            raise SandboxError(
                f"processes of sandbox {token} do not end: {left}", fix="they hang in the kernel; look at its log"
            )
        await in_thread(trees.remove, self.state.run_folder(token))
        if record is not None and not record.claimed:
            await in_thread(trees.remove, self.state.workspace(record.spec.workspace))

    def forget_warm(self, warm: LocalWarm) -> None:
        """Know a sandbox that waited no longer as one that waits."""
        if warm in self._warm:
            self._warm.remove(warm)

    def forget_sandbox(self, sandbox: LocalSandbox) -> None:
        """Know a sandbox no longer."""
        self._sandboxes.pop(sandbox.record.token, None)

    async def close(self) -> None:
        """Let go of everything; sandboxes run on."""
        for warm in self._warm:
            warm.let_go()
        for sandbox in list(self._sandboxes.values()):
            sandbox.let_go()
        await self.forks.close()
        if "place" in self.__dict__:
            cgroups.leave(self.__dict__.pop("place"))  # it is made again when it is needed again
        self.state.close()

    # -- what outlives sandboxes --------------------------------------------------------------------------------------

    def check_new_snapshot(self, name: str) -> None:
        """Raise InvalidSpec where the name is bad or taken."""
        copies.check_new_snapshot(self.state, name)

    async def copy_workspace(self, workspace: str, snapshot: str) -> None:
        """Copy a workspace (in which nothing runs) into a new snapshot."""
        await copies.copy_workspace(self.state, self.forks, workspace, snapshot)

    async def restore(self, snapshot: str, workspace: str) -> None:
        """Make a workspace of a snapshot."""
        self.state.open()
        await copies.restore(self.state, self.forks, snapshot, workspace)

    async def forget(self, *, workspace: str = "", snapshot: str = "", environment: str = "") -> None:
        """Remove what outlives sandboxes."""
        self.state.open()
        for token, record in self.state.records():
            uses = record is not None and self.alive(record) and (
                record.spec.workspace == workspace or any(mount.name == environment for mount in record.spec.mounts)
            )  # fmt: skip
            if uses:
                raise Busy(f"sandbox {token} uses it", fix="destroy that one first")
        named = (
            (workspace, self.state.workspace),
            (snapshot, self.state.snapshot),
            (environment, self.state.environment),
        )
        for name, folder in named:
            if name:
                await asyncio.to_thread(trees.remove, folder(name))


def _check_bubblewrap() -> None:
    if not programs.find("bwrap"):
        raise HostLacks("bubblewrap is not installed", fix="install the package bubblewrap")


def _parent(pid: int) -> int:
    """Return the parent of a process (bubblewrap, which stays beside the sandbox)."""
    return int(Path(f"/proc/{pid}/stat").read_bytes().rpartition(b") ")[2].split()[1])


def identified(spec: SandboxSpec, identity: Identity) -> SandboxSpec:
    """Return the specification with the identity's variables; contents of files are on disk, not in the record."""
    names = {name: File(b"", file.mode) for name, file in {**spec.files, **identity.files}.items()}
    return msgspec.structs.replace(spec, env={**spec.env, **identity.env}, files=names)
