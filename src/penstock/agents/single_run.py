"""One program in a sandbox of its own, from start to end, with no server: what `penstock run` does.

vault      a process of its own, started for this run, over the secrets that are kept on this machine
sandbox    its only way out are the vault's sockets; it holds stubs
program    runs in a workspace; a folder of the user is copied in, and what changed is copied back

What the program did to its copy is its user's, whatever its exit status says, so it is copied back after a failure
too. Where the sandbox itself came to an end, or not all could be copied, the copy is kept (`SingleRun.unfinished`):
somebody must look at it.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import TYPE_CHECKING

import msgspec

from penstock.agents.errors import Invalid
from penstock.agents.sandboxes import trust
from penstock.agents.sandboxes.driver import (
    PROXY,
    CannotExecute,
    Driver,
    Egress,
    Exit,
    File,
    Identity,
    Isolation,
    Limits,
    Listener,
    NotRunning,
    Sandbox,
    SandboxSpec,
)
from penstock.agents.setting_up import set_up
from penstock.vault.api import Opened, SessionSpec, VaultClient, VaultGone

if TYPE_CHECKING:
    from penstock.agents.folders import Brought, Folder

KNOWN_HOSTS = "/etc/ssh/ssh_known_hosts"
SSH_CONFIG = "/etc/ssh/ssh_config"
GIT_CONFIG = "/etc/gitconfig"
JAVA_STORE = "/etc/ssl/certs/java-trusted.p12"
LOST = ("sandbox_died", "helper_lost")
"""Ends of a program after which nobody knows what its last word was."""


class Job(msgspec.Struct, frozen=True, kw_only=True):
    """What to run.

    Attributes:
        argv: the program, as it is named inside, and its arguments.
        secrets: names in the vault's store; their stubs are in the variables that were named with them.
        rules: egress without a credential.
        env: plain variables.
        setup: commands of a shell that are run in the workspace before the program.
        pins: host to `address` or `address:port`, instead of asking the resolver.
        addresses: host to the private networks that it may be found in.
        upstream_ca: PEM of authorities that vouch for the servers of this run, beside the system's.
        limits, isolation: of the sandbox.
    """

    argv: tuple[str, ...]
    secrets: tuple[str, ...] = ()
    rules: tuple[str, ...] = ()
    env: Mapping[str, str] = msgspec.field(default_factory=dict)
    setup: tuple[str, ...] = ()
    pins: Mapping[str, str] = msgspec.field(default_factory=dict)
    addresses: Mapping[str, tuple[str, ...]] = msgspec.field(default_factory=dict)
    upstream_ca: str = ""
    limits: Limits = Limits()
    isolation: Isolation = "full"


def identity_of(opened: Opened) -> Identity:
    """What a sandbox is told once the vault knows its session: stubs, whom to trust, how to log in. Pure."""
    files = {trust.CA_FILE: File(opened.ca_pem.encode())}
    for path, text in (
        (KNOWN_HOSTS, opened.known_hosts),
        (SSH_CONFIG, opened.ssh_config),
        (GIT_CONFIG, opened.git_config),
    ):
        if text:
            files[path] = File(text.encode())
    if opened.java_store:
        files[JAVA_STORE] = File(base64.b64decode(opened.java_store))
    java_store = JAVA_STORE if opened.java_store else ""
    variables = trust.variables(proxy=f"{PROXY[0]}:{PROXY[1]}", java_store=java_store)
    if any(_is_local(authority) for authority in opened.hosts):
        for name in ("NO_PROXY", "no_proxy"):
            variables.pop(name, None)  # a rule names this machine's loopback: that way leads through the vault
    return Identity(env={**variables, **opened.env}, files=files)


def egress_of(hosts: Sequence[str]) -> Egress:
    """The ways out: also the ports that rules name on loopback addresses, which no redirection catches. Pure."""
    named = {int(authority.rpartition(":")[2]) for authority in hosts if _is_local(authority) and "*" not in authority}
    return Egress(ports=tuple(sorted({*Egress().ports, *named})))


def _is_local(authority: str) -> bool:
    host = authority.rpartition(":")[0]
    return host == "localhost" or host.startswith(("127.", "[::1]"))


class SingleRun:
    """A job under way: its vault, its sandbox, its program.

    Args:
        id: unique on this machine.
        job: what to run.
        driver: makes the sandbox.
        vault: holds the secrets; it is this run's alone, or shared.
        folder: of the user, to be worked on; None for an empty workspace.
        back: whether what the program did to it is brought back.
        after: what is done while the sandbox is still up and the program has ended (a patch of its work).
    """

    def __init__(
        self,
        id: str,
        job: Job,
        driver: Driver,
        vault: VaultClient,
        folder: Folder | None = None,
        *,
        back: bool = True,
        after: Callable[[Sandbox], Awaitable[None]] | None = None,
    ) -> None:
        self.id = id
        self.brought: Brought | None = None
        self.unfinished = False
        self._job = job
        self._driver = driver
        self._vault = vault
        self._folder = folder
        self._back = back and folder is not None
        self._after = after
        self._opened = False

    async def run(self, attend: Callable[[Sandbox], Awaitable[Exit]]) -> Exit:
        """Make the sandbox, let `attend` run the program in it, and leave nothing behind but the user's folder.

        Raises:
            Refusal: a secret or a rule is wrong. SandboxError: no sandbox can be made. SetupFailed: a command of its
                set-up failed, and nothing else was run.
        """
        hosts = await self._vault.hosts(self._job.secrets, self._job.rules)
        sandbox = await self._driver.create(self._spec(hosts), self._attach)
        try:
            if self._folder is not None:
                await sandbox.put(self._folder.pack(), links=True)
            await set_up(sandbox, self._job.setup)
            self.unfinished = self._back
            ended = await attend(sandbox)
            if self._after is not None and ended.reason not in LOST:
                await self._after(sandbox)
            await self._bring_back(sandbox, ended)
            return ended
        except CannotExecute:
            self.unfinished = False  # nothing has run
            raise
        finally:
            await asyncio.gather(sandbox.destroy(workspace=not self.unfinished), self._close())

    def _spec(self, hosts: Sequence[str]) -> SandboxSpec:
        job = self._job
        return SandboxSpec(
            id=self.id,
            workspace=self.id,
            env=job.env,
            limits=job.limits,
            isolation=job.isolation,
            egress=egress_of(hosts),
        )

    async def _bring_back(self, sandbox: Sandbox, ended: Exit) -> None:
        if self._folder is None or not self._back or ended.reason in LOST:
            return
        try:
            await sandbox.stop()
        except NotRunning:
            return
        self.brought = await self._folder.unpack(sandbox.get)
        self.unfinished = bool(self.brought.conflicts)

    async def _close(self) -> None:
        if self._opened:
            with contextlib.suppress(VaultGone):
                await self._vault.close(self.id)

    async def _attach(self, listeners: Sequence[Listener]) -> Identity:
        job = self._job
        spec = SessionSpec(
            id=self.id,
            secrets=job.secrets,
            rules=job.rules,
            pins=dict(job.pins),
            addresses=dict(job.addresses),
            upstream_cas={"*": job.upstream_ca} if job.upstream_ca else {},
        )
        opened = await self._vault.open(spec, [(each.kind, each.socket) for each in listeners])
        self._opened = True
        identity = identity_of(opened)
        if taken := sorted({*identity.env} & {*job.env}):
            raise Invalid(f"the variable {taken[0]} is set for the sandbox already", fix="give yours another name")
        return identity
