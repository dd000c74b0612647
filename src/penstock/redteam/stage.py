"""Where probes run: a vault with canary secrets, two sandboxes on this machine, and the upstreams, all put up for one
run and taken down after it.

The *agent's* session has the canaries. The *neighbour's* has one of them, hence another stub, may reach every host
without a secret, and freezes at the first misused stub.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import importlib.resources
import os
import secrets
import shutil
import socket
import tempfile
from collections.abc import AsyncIterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec
from msgspec import Struct

from penstock.agents.sandboxes.driver import PROXY, Attach, Identity, Isolation, Limits, Listener, Sandbox, SandboxSpec
from penstock.agents.sandboxes.local import LocalDriver
from penstock.agents.single_run import egress_of, identity_of
from penstock.redteam import probe as named
from penstock.redteam.probe import Back, Code, Kit, Probe, Shell, Where, Wire
from penstock.redteam.upstreams import Upstreams
from penstock.vault.api import Event, Opened, SessionSpec, VaultClient, open_secrets

WORKERS = 16
"""Probes at the same time in one sandbox."""
MOST_PROBES = 1000
SECONDS = 150.0
"""For one batch of probes."""
REFS = "refs=refs/heads/agent/*"

Job = dict[str, Any]


class Canary(Struct, frozen=True):
    """A secret that is worth nothing, and where it may go. `shape` is filled with chance at `@`."""

    name: str
    shape: str
    bindings: tuple[str, ...]
    kind: str = "static"
    env: str | None = ""


CANARIES = (
    Canary(
        "API_TOKEN",
        "canary-@+@/@&<@",
        (
            f"* https://{named.API}/* header:authorization",
            f"GET https://{named.ITEMS}/v1/items/* header:authorization",
            f"GET https://{named.SELF_SIGNED}/* header:authorization",
            f"GET https://{named.OTHER_NAME}/* header:authorization",
        ),
    ),
    Canary("GIT_TOKEN", "canary_git_@@@", (f"* https://{named.GIT}/team/app.git/* basic:password {REFS}",)),
    Canary("QUERY_KEY", "canary-query-@@@", (f"GET https://{named.QUERY}/* query:key",)),
    Canary("JSON_TOKEN", "canary-json-@@@", (f"POST https://{named.JSON}/* json:/auth/token",)),
    Canary("LOGIN_SECRET", "canary-login-@@@", (f"POST https://{named.LOGIN}/* form:client_secret",)),
    Canary(
        "DEVICE_PASSWORD",
        "canary-device-@@@",
        (f"exec ssh://agent@{named.DEVICE}:22 ssh command='show *'",),
        "ssh-password",
    ),
    Canary(
        "AWS",
        '{"access_key_id": "AKIACANARY@16", "secret_access_key": "canary@@@"}',
        (f"GET,PUT https://{named.SIGNED}/* sigv4:s3/us-east-1",),
        "aws-sigv4",
        None,
    ),
)
RULES = (f"GET,HEAD https://{named.PACKAGES}/*", f"* http://{named.PLAIN}/*")
EVERYWHERE = ("* https://*:*/*", "* http://*:*/*")


class Place(Struct):
    """One session: its sandbox, and what the vault gave it."""

    id: str
    sandbox: Sandbox
    spec: SessionSpec
    opened: Opened


class Stage:
    """Everything that is up."""

    def __init__(self, folder: Path, upstreams: Upstreams, isolation: Isolation) -> None:
        self.folder = folder
        self.vault_folder = folder / "state" / "vault"
        self.upstreams = upstreams
        self.events: list[Event] = []
        self.places: dict[Where, Place] = {}
        self.vault: VaultClient
        self.driver = LocalDriver(folder / "sandboxes")
        self.values = {canary.name: value_of(canary) for canary in CANARIES}
        self._isolation = isolation

    @property
    def vault_pid(self) -> int:
        """The process of the vault."""
        assert self.vault.pid is not None
        return self.vault.pid

    async def up(self, ssh_port: int, ssh_known_hosts: str) -> None:
        """Put everything up."""
        self._keep_secrets(ssh_known_hosts)
        errors = os.open(self.folder / "vault.err", os.O_CREAT | os.O_WRONLY | os.O_APPEND, 0o600)
        with _standard_error(errors):
            self.vault = await VaultClient.start(self.vault_folder, on_event=self.events.append)
        for where in ("agent", "neighbour"):
            self.places[where] = await self._place(where, ssh_port)
        self.upstreams.kit = self.kit()

    def _keep_secrets(self, ssh_known_hosts: str) -> None:
        with open_secrets(self.vault_folder) as kept:
            for canary in CANARIES:
                kept.set(
                    canary.name,
                    self.values[canary.name],
                    bindings=canary.bindings,
                    env=canary.name if canary.env == "" else canary.env,
                    kind=canary.kind,
                    upstream_ca=self.upstreams.authority.pem,
                    options={"known_hosts": ssh_known_hosts} if canary.kind == "ssh-password" else {},
                )

    async def _place(self, where: Where, ssh_port: int) -> Place:
        id = _session_id(where)
        found: list[Opened] = []
        is_agent = where == "agent"
        spec = SessionSpec(
            id=id,
            secrets=tuple(canary.name for canary in CANARIES) if is_agent else ("API_TOKEN",),
            rules=RULES if is_agent else EVERYWHERE,
            pins=self._pins(ssh_port, is_agent),
            upstream_cas=dict.fromkeys((named.PACKAGES, named.PLAIN), self.upstreams.authority.pem),
            freeze_on_misuse=not is_agent,
        )
        hosts = [] if is_agent else [f"127.0.0.1:{self.upstreams.host.port}"]
        wanted = SandboxSpec(
            id=id, workspace=id, isolation=self._isolation, limits=Limits(memory=2 << 30), egress=egress_of(hosts)
        )
        sandbox = await self.driver.create(wanted, self._attach(spec, found))
        return Place(id, sandbox, spec, found[0])

    def _attach(self, spec: SessionSpec, found: list[Opened]) -> Attach:
        async def attach(listeners: Sequence[Listener]) -> Identity:
            found.append(await self.vault.open(spec, [(each.kind, each.socket) for each in listeners]))
            return identity_of(found[0])

        return attach

    async def reopen(self, where: Where) -> None:
        """Give a sandbox whose session has ended another one, with the secrets that were not revoked."""
        place = self.places[where]
        kept = tuple(name for name in place.spec.secrets if name != "API_TOKEN")
        place.id = _session_id(where)
        place.spec = msgspec.structs.replace(place.spec, id=place.id, secrets=kept)
        await place.sandbox.reattach(self._attach(place.spec, []))

    def _pins(self, ssh_port: int, is_agent: bool) -> dict[str, str]:
        ups = self.upstreams
        hosts = (named.API, named.ITEMS, named.GIT, named.QUERY, named.JSON, named.LOGIN, named.SIGNED)
        pins = dict.fromkeys(hosts, f"127.0.0.1:{ups.bound.port}")
        pins |= dict.fromkeys((named.PACKAGES, named.PLAIN), f"127.0.0.1:{ups.open.port}")
        pins |= {
            named.DEVICE: f"127.0.0.1:{ssh_port}",
            named.SELF_SIGNED: f"127.0.0.1:{ups.self_signed.port}",
            named.OTHER_NAME: f"127.0.0.1:{ups.other_name.port}",
        }
        evil = (
            {f"evil-{named.token(number).decode()}.{named.ATTACKER}" for number in range(MOST_PROBES)}
            if is_agent
            else ()
        )
        return pins | dict.fromkeys(evil, f"127.0.0.1:{ups.evil.port}")

    def kit(self) -> Kit:
        """What the examiner knows."""
        agent, neighbour = (self.places[where].opened.env for where in ("agent", "neighbour"))
        values = {name: value for name, value in self.values.items() if name != "AWS"}
        values["AWS"] = msgspec.json.decode(self.values["AWS"])["secret_access_key"].encode()
        return Kit(
            secrets=values,
            stubs={name: stub.encode() for name, stub in agent.items()},
            other_stub=neighbour["API_TOKEN"].encode(),
            issued=b"canary-issued-" + secrets.token_hex(16).encode(),
            host_port=self.upstreams.host.port,
            host_address=_own_address(),
            host_name=socket.gethostname(),
        )

    async def attack(self, where: Where, probes: Mapping[str, tuple[Probe, Kit]]) -> dict[str, Back]:
        """Run probes in a sandbox, all at once; a probe that said nothing is missing from the answer."""
        jobs = [job(probe, kit) for probe, kit in probes.values()]
        plan = {"proxy": PROXY, "hosts": {}, "workers": WORKERS, "jobs": jobs}
        process = await self.places[where].sandbox.exec(["python3", "-I", "-c", program()], stdin=True)
        return await _spoken(process, msgspec.json.encode(plan))

    async def down(self) -> None:
        """Take everything down."""
        for place in self.places.values():
            await place.sandbox.destroy(workspace=True)
        if hasattr(self, "vault"):
            await self.vault.stop()
        await self.driver.close()


def _session_id(where: Where) -> str:
    return f"redteam-{where}-{secrets.token_hex(4)}"


def program() -> str:
    """The text of the program that runs inside."""
    return importlib.resources.files("penstock.redteam").joinpath("inside.py").read_text("utf-8")


def job(probe: Probe, kit: Kit) -> Job:
    """A probe as the program inside is told of it: all marks filled."""
    attack = probe.attack
    common = {"id": kit.token.decode()}
    if isinstance(attack, Wire):
        host = kit.fill_text(attack.host)
        port = int(kit.fill_text(str(attack.port)))
        asking = f"CONNECT {host}:{port} HTTP/1.1\r\nHost: {host}:{port}\r\n\r\n".encode("latin-1")
        sent = [piece(kit) if callable(piece) else kit.fill(piece) for piece in attack.send]
        return common | {
            "kind": "wire",
            "way": attack.way,
            "host": host,
            "port": port,
            "tls": attack.tls,
            "connect": _encoded(kit.fill(attack.connect) or asking),
            "sni": kit.fill_text(attack.sni if attack.sni is not None else host),
            "alpn": list(attack.alpn),
            "send": [_encoded(each) for each in sent],
            "gap": attack.gap,
            "answers": attack.answers,
            "patience": attack.patience,
            "repeat": attack.repeat,
        }
    if isinstance(attack, Code):
        return common | {"kind": "code", "source": kit.fill_text(attack.source), "seconds": attack.seconds}
    assert isinstance(attack, Shell)
    needs = list(attack.needs)
    return common | {"kind": "shell", "line": kit.fill_text(attack.line), "needs": needs, "seconds": attack.seconds}


async def _spoken(process: Any, plan: bytes) -> dict[str, Back]:
    """Give the program its plan, and read what it found."""
    errors = asyncio.ensure_future(_read_all(process.read_error))
    try:
        async with asyncio.timeout(SECONDS):
            with contextlib.suppress(BrokenPipeError):
                await process.write(plan)
            process.close_input()
            output = await _read_all(process.read)
            ended = await process.wait()
    except TimeoutError:
        await process.kill()
        raise RuntimeError("the probes in the sandbox did not end") from None
    if ended.status != 0:
        raise RuntimeError(f"the program in the sandbox ended with {ended.status}: {(await errors).decode()[-500:]}")
    await errors
    return dict(read_back(line) for line in output.splitlines())


def read_back(line: bytes) -> tuple[str, Back]:
    """Read one line of the program inside."""
    said = msgspec.json.decode(line)
    for field in ("connect", "data"):
        said[field] = base64.b64decode(said.get(field, ""))
    return said.pop("id"), Back(**said)


async def _read_all(read: Any) -> bytes:
    found = []
    while data := await read():
        found.append(data)
    return b"".join(found)


def value_of(canary: Canary) -> bytes:
    """Draw a value of its shape."""
    text = canary.shape.replace("@16", "".join(secrets.choice("ABCDEFGHIJKLMNOP234567") for _ in range(10)))
    return "".join(secrets.token_hex(6) if part == "@" else part for part in text).encode()


def _encoded(data: bytes) -> str:
    return base64.b64encode(data).decode()


def _own_address() -> str:
    """An address of this machine that is not loopback, or loopback's own; nothing is sent."""
    with contextlib.suppress(OSError), socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.connect(("192.0.2.1", 9))
        return str(probe.getsockname()[0])
    return "127.0.0.2"


@contextlib.contextmanager
def _standard_error(number: int) -> Any:
    """Have what is started meanwhile write its errors to `number`."""
    kept = os.dup(2)
    os.dup2(number, 2)
    try:
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
        os.close(number)


def _folder() -> Path:
    """A folder that each sandbox's own user can enter."""
    folder = Path(tempfile.mkdtemp(prefix="penstock-redteam-"))
    folder.chmod(0o711)
    return folder


@contextlib.asynccontextmanager
async def staged(upstreams: Upstreams, isolation: Isolation) -> AsyncIterator[Stage]:
    """Have a stage, and leave nothing of it."""
    from penstock.redteam.device import ssh_device

    folder = _folder()
    stage = Stage(folder, upstreams, isolation)
    try:
        async with ssh_device(lambda: stage.values["DEVICE_PASSWORD"].decode()) as (port, known_hosts):
            await stage.up(port, known_hosts)
            yield stage
    finally:
        await stage.down()
        upstreams.close()
        shutil.rmtree(folder, ignore_errors=True)
