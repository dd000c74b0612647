"""The contract of every sandbox driver: a place where a program runs whose only way out is the vault.

Nothing here knows of a path on this machine, a process id or a mount: a workspace, an environment and a sandbox are
names, and a driver may keep them on this machine, in a container engine or in a cluster. What holds for all of them:

- Nothing runs inside before the vault has the listeners: `attach` is called first and says who the sandbox is.
- A sandbox outlives the process that made it. Its *handle* is text to be kept; `adopt` finds the sandbox again, or says
  that it is gone. It never finds another.
- A workspace outlives its sandboxes. It has two folders, seen inside at `HOME` and `WORKSPACE`.
- `destroy` leaves no process, mount, namespace or file but the workspace; `sweep` does so for what a crash left.
- The user inside is `AGENT` (never root), and there is no other.
"""

from __future__ import annotations

import socket
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Mapping, Sequence
from typing import Any, Literal, Protocol

from msgspec import Struct, field

from penstock.agents.errors import AgentsError

HOME = "/home/agent"
WORKSPACE = "/workspace"
AGENT = 1000
"""The user and the group that programs inside have."""

PROXY = ("127.0.0.1", 3128)
"""Where, inside, programs find the explicit proxy (HTTP and CONNECT)."""
RESOLVER = ("10.0.0.53", 53)
"""Where, inside, names are answered."""

MIB = 1 << 20
GIB = 1 << 30

Isolation = Literal["full", "weak"]
ListenerKind = Literal["proxy", "transparent", "redirected", "dns"]
"""How a listener learns where a client wanted to go.

proxy: the client says it (CONNECT, or a request with a whole URL). transparent: the accepted socket's own name is the
destination. redirected: the accepted socket's SO_ORIGINAL_DST is. dns: UDP, questions for addresses.
"""
Reason = Literal[
    "",
    "out_of_memory",
    "process_limit",
    "disk_quota",
    "wall_clock",
    "sandbox_died",
    "stopped",
    "destroyed",
    "helper_lost",
]
"""Why something ended or was refused, beyond what its program did itself ("")."""


class File(Struct, frozen=True):
    """A file that the driver places: nobody inside can change it. `mode` counts for reading and executing only."""

    content: bytes
    mode: int = 0o644


class Mount(Struct, frozen=True):
    """A named environment (tools, packages) seen inside at the path `at`; writable only while it is being built."""

    name: str
    at: str
    writable: bool = False


class Limits(Struct, frozen=True):
    """What a sandbox may use. `memory`, `disk`, `temporary` (files in /tmp) in bytes; `cpu` in thousandths of a core;
    `wall` in seconds of running (None: no end).
    """

    memory: int = 4 * GIB
    processes: int = 1024
    cpu: int = 2000
    disk: int = 10 * GIB
    temporary: int = 1 * GIB
    wall: float | None = None


class Egress(Struct, frozen=True):
    """Which ways out there are; all of them end in the vault.

    `transparent`: programs that know nothing of a proxy reach the vault whatever address they connect to, on `ports`,
    and where the host offers it on every other TCP port (`other_ports`). Without it only the proxy is there.
    """

    transparent: bool = True
    ports: tuple[int, ...] = (22, 80, 443)
    other_ports: bool = True


class SandboxSpec(Struct, frozen=True):
    """What somebody wants run where. `env` holds plain values and stubs, never a secret.

    `isolation="weak"` accepts a host that cannot filter system calls; a sandbox says which it has
    (`Sandbox.isolation`). `image`: the system inside, of a driver that has images; "" is the driver's own.
    """

    id: str
    workspace: str
    image: str = ""
    env: Mapping[str, str] = field(default_factory=dict)
    files: Mapping[str, File] = field(default_factory=dict)
    mounts: tuple[Mount, ...] = ()
    limits: Limits = Limits()
    isolation: Isolation = "full"
    egress: Egress = Egress()


class Identity(Struct, frozen=True):
    """What is known only once the vault has opened the session: the authority's certificate, stubs, a host key."""

    env: Mapping[str, str] = field(default_factory=dict)
    files: Mapping[str, File] = field(default_factory=dict)


class Listener(Struct, frozen=True):
    """One way out: a listening socket (a bound one for dns) that lives inside the sandbox's network."""

    kind: ListenerKind
    address: str
    port: int
    socket: socket.socket


Attach = Callable[[Sequence[Listener]], Awaitable[Identity | None]]
"""Hands the listeners to the vault, which copies them; the driver closes its own afterwards. Nothing runs inside before
it returns. When it raises, the sandbox is not made, and the exception is the caller's.
"""


class Exit(Struct, frozen=True):
    """How a process ended: a code, or the signal that killed it, and why if the sandbox had a part in it."""

    code: int | None
    signal: int | None = None
    reason: Reason = ""

    @property
    def status(self) -> int:
        """One number, as shells give it: the code, or 128 + the signal."""
        return self.code if self.code is not None else 128 + (self.signal or 0)


class Trouble(Struct, frozen=True):
    """Something that went wrong in a sandbox on its own: the reason, and a sentence with figures."""

    reason: Reason
    detail: str


class Stats(Struct, frozen=True):
    """What a sandbox uses now: bytes of memory and disk, processes, seconds of CPU since it began."""

    memory: int
    processes: int
    cpu: float
    disk: int


class Finding(Struct, frozen=True):
    """One thing that was tried on the host.

    `needed`: for "full" isolation, for "any", or it makes things "better". `fix` says what to do where it is missing.
    """

    name: str
    works: bool
    needed: Literal["any", "full", "better"]
    detail: str = ""
    fix: str = ""


class Report(Struct, frozen=True):
    """What a host offers, as tried and not as guessed."""

    driver: str
    findings: tuple[Finding, ...]

    @property
    def isolation(self) -> Isolation | None:
        """The best isolation that the host can give, or None where no sandbox can be made."""
        missing = {finding.needed for finding in self.findings if not finding.works}
        return None if "any" in missing else "weak" if "full" in missing else "full"


# -- what goes wrong --------------------------------------------------------------------------------------------------


class SandboxError(AgentsError):
    """Something that a sandbox or its driver refuses. `reason` is set where the sandbox's limits had a part in it."""

    status = 500
    code = "sandbox_error"
    reason: Reason = ""


class HostLacks(SandboxError):
    """The operator: this machine cannot make such a sandbox; the message names what is missing."""

    status = 503
    code = "host_lacks"


class CannotCreate(SandboxError):
    """The operator: the sandbox could not be made; the message has what the failing step said."""

    status = 503
    code = "cannot_create"


class InvalidSpec(SandboxError):
    """The caller: a name, a path or a limit in the specification is wrong."""

    status = 400
    code = "invalid_sandbox"


class Busy(SandboxError):
    """The caller: another sandbox uses this workspace."""

    status = 409
    code = "workspace_busy"


class NotRunning(SandboxError):
    """The caller: the sandbox is suspended, destroyed or dead; the message says which."""

    status = 409
    code = "sandbox_not_running"


class CannotExecute(SandboxError):
    """The caller: there is no such program or folder inside, or a limit is reached."""

    status = 400
    code = "cannot_execute"


class NoSuchProgram(CannotExecute):
    """The caller: no folder of PATH inside has a program of that name."""

    code = "no_such_program"


class NoSuchPath(SandboxError):
    """The caller: no such file in the workspace."""

    status = 404
    code = "no_such_path"


class UnsafeArchive(SandboxError):
    """The caller: an archive holds what could reach outside of the workspace; the message names the member."""

    status = 400
    code = "unsafe_archive"


# -- what a driver is -------------------------------------------------------------------------------------------------


class Process(Protocol):
    """A program inside. With a terminal, `read` gives what it shows and `read_error` nothing."""

    async def read(self, most: int = 65536) -> bytes:
        """Return bytes of standard output as soon as there are some; b"" at its end."""

    async def read_error(self, most: int = 65536) -> bytes:
        """Return bytes of standard error as soon as there are some; b"" at its end."""

    async def write(self, data: bytes) -> None:
        """Write all of `data` to standard input; waits while the program does not read. BrokenPipeError: it is
        closed.
        """

    def close_input(self) -> None:
        """End standard input."""

    def close_output(self) -> None:
        """Read no more of standard output: a program that goes on writing gets SIGPIPE, as when a pipe's reader
        leaves.
        """

    def resize(self, rows: int, columns: int) -> None:
        """Tell the terminal's size, as when its window changes. ValueError: it has no terminal."""

    async def kill(self, signal: int = 9) -> None:
        """Send a signal to the whole process group; nothing happens when it has ended."""

    async def wait(self) -> Exit:
        """Wait for the end and return it. Cancelling the wait leaves the program alone."""


class Export(Protocol):
    """A tar archive as it is made."""

    def __aiter__(self) -> AsyncIterator[bytes]:
        """Give the archive's bytes. NoSuchPath and UnsafeArchive are raised before the first."""

    @property
    def left_out(self) -> Sequence[tuple[str, str]]:
        """After the end: what the archive does not have, and why (a socket, a link that leads out)."""


class Sandbox(Protocol):
    """A sandbox that runs."""

    @property
    def id(self) -> str:
        """The id that its specification gave."""

    @property
    def handle(self) -> str:
        """Text that finds it again after a restart (`Driver.adopt`). It holds no secret."""

    @property
    def isolation(self) -> Isolation:
        """What it has, for the session's record."""

    @property
    def in_force(self) -> Mapping[str, str]:
        """Limit or layer -> what enforces it here ("cgroup v2", "rlimit", "watched"); absent where nothing does."""

    @property
    def troubles(self) -> Sequence[Trouble]:
        """What went wrong on its own since this process knows the sandbox."""

    async def exec(
        self,
        argv: Sequence[str],
        *,
        env: Mapping[str, str] | None = None,
        cwd: str = WORKSPACE,
        tty: tuple[int, int] | None = None,
        stdin: bool = False,
    ) -> Process:
        """Start a program.

        Args:
            argv: the program (looked up in PATH) and its arguments.
            env: on top of the sandbox's own variables.
            cwd: an absolute path inside.
            tty: (rows, columns) of a terminal of its own; then there is no separate standard error.
            stdin: whether the caller will write to it; otherwise it is empty. A terminal always has it.

        Raises:
            CannotExecute: no such program or folder, or a limit is reached (`reason`).
            NotRunning: the sandbox is suspended or dead.
        """

    async def put(self, archive: AsyncIterator[bytes], at: str = WORKSPACE, *, links: bool = False) -> None:
        """Unpack a tar archive into the folder `at` (below `WORKSPACE` or `HOME`; made if absent).

        Refused: absolute names, `..`, hard links, devices and other special files, names that lead through a symbolic
        link; symbolic links too, unless `links` is set: then those that stay below `at`. The archive is read in one
        pass: what came before a refused member is there.

        Raises:
            UnsafeArchive: with the member's name. NoSuchPath: `at` is not in the workspace.
        """

    def get(self, path: str = WORKSPACE) -> Export:
        """Pack a file or folder below `WORKSPACE` or `HOME` into a tar archive whose names are relative to it."""

    async def suspend(self) -> None:
        """Stop every process where it is, keeping its memory. `resume` lets them go on."""

    async def resume(self) -> None:
        """Let the processes of a suspended sandbox go on; nothing happens when it runs."""

    async def stop(self) -> None:
        """End every process inside (also what they left in the background); the sandbox stays ready for `exec`."""

    async def snapshot(self, name: str) -> None:
        """Keep a copy of the workspace under a name (`Driver.restore` makes a workspace of it). Processes pause
        meanwhile.

        InvalidSpec: the name is taken.
        """

    async def reattach(self, attach: Attach) -> None:
        """Make new listeners, for another vault, after the first one has died."""

    async def stats(self) -> Stats:
        """Return what the sandbox uses now."""

    async def wait(self) -> Trouble:
        """Wait until the sandbox is gone, by itself or by `destroy`, and say why."""

    async def destroy(self, *, workspace: bool = False) -> None:
        """End all of it; `workspace` removes the workspace as well. Returns when nothing is left."""


class Warm(Protocol):
    """A sandbox without an identity: nothing has run in it, and nothing can before it is claimed."""

    async def claim(self, spec: SandboxSpec, attach: Attach) -> Sandbox:
        """Make it the sandbox of `spec`. It must fit (`fits`); its workspace must be a new one.

        InvalidSpec: it does not fit.
        """

    def fits(self, spec: SandboxSpec) -> bool:
        """True where it can become the sandbox of `spec`."""

    async def destroy(self, *, workspace: bool = True) -> None:
        """End it unclaimed."""


class Driver(Protocol):
    """Makes sandboxes and finds them again."""

    @property
    def kind(self) -> str:
        """Its name, in rows and handles: whoever reads them knows by it whether they are this driver's."""

    @property
    def has_images(self) -> bool:
        """True where `SandboxSpec.image` says what the system inside is; else it must be empty."""

    async def prepare(self) -> None:
        """Do now what the first `create` would spend its time on, and find out now what it would fail for.

        Raises:
            HostLacks, InvalidSpec: what is missing, or wrong in what the driver was told.
        """

    async def system(self, image: str = "") -> str:
        """Name the system that sandboxes of this image see ("": the driver's own): where it is the same, so is that.

        Raises:
            InvalidSpec: there is no such image. HostLacks: nobody can say.
        """

    async def check(self) -> Report:
        """Try what the host offers; makes and removes a sandbox."""

    async def create(self, spec: SandboxSpec, attach: Attach) -> Sandbox:
        """Make a sandbox that is ready for `exec`.

        Raises:
            InvalidSpec, Busy: the caller's turn. HostLacks, CannotCreate: the operator's. Nothing is left in any case.
        """

    async def warm(self, template: SandboxSpec) -> Warm:
        """Make a sandbox without an identity. Claimed, it may get contents for the files that the template names (and
        for those that every sandbox has: `trust.CA_FILE`), any variables, and limits."""

    async def adopt(self, handle: str) -> Sandbox | None:
        """Return the sandbox of a handle, or None when it is gone. Its processes run on; their streams are lost."""

    async def living(self) -> Sequence[str]:
        """Return the handles of all sandboxes that live and that `adopt` would find."""

    async def sweep(self, keep: Collection[str]) -> Sequence[str]:
        """Remove all sandboxes and remains but those of the handles `keep`; return what was removed, for the log."""

    async def restore(self, snapshot: str, workspace: str) -> None:
        """Make a new workspace out of a snapshot. NoSuchPath: no such snapshot. InvalidSpec: the workspace is there."""

    async def forget(self, *, workspace: str = "", snapshot: str = "", environment: str = "") -> None:
        """Remove what outlives sandboxes, by name; nothing happens when it is not there. Busy: a sandbox uses it."""

    async def close(self) -> None:
        """Let go of what this process holds. Sandboxes run on."""


def refuse(error: type[SandboxError], message: str, *, fix: str = "", reason: Reason = "", **more: Any) -> SandboxError:
    """Make an error that carries its reason."""
    made = error(message, fix=fix, **more)
    made.reason = reason
    return made
