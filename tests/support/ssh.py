"""Both ends of the vault's SSH for tests: a real sshd as upstream, the vault on a loopback port, OpenSSH as client.

Everything runs on 127.0.0.1; the client believes that it speaks with `device.example` (HostKeyAlias), as it would where
its connection is intercepted.
"""

import asyncio
import base64
import contextlib
import os
import shutil
import socket
import subprocess
import threading
import time
from collections.abc import Coroutine, Iterator, Mapping
from pathlib import Path
from typing import Any, TypeVar

import asyncssh

from penstock.vault.ssh import Entry, HostKeys, InputCheck, Limits, Login, SSHPermit, covers
from penstock.vault.ssh.identity import SSHIdentity
from penstock.vault.ssh.terminator import Terminator
from penstock.vault.values import Destination, Refusal, Secret
from tests.support.needs import need

HOST = "device.example"
SSHD = shutil.which("sshd") or "/usr/sbin/sshd"
Result = TypeVar("Result")


class Loop:
    """An event loop in a thread of its own: asyncio's, or the one that is given."""

    def __init__(self, loop: asyncio.AbstractEventLoop | None = None) -> None:
        self.loop = loop or asyncio.new_event_loop()
        self._thread = threading.Thread(target=self.loop.run_forever, daemon=True)
        self._thread.start()

    def run(self, work: Coroutine[Any, Any, Result], seconds: float = 30) -> Result:
        """Run a coroutine there and return its result."""
        return asyncio.run_coroutine_threadsafe(work, self.loop).result(seconds)

    def call(self, function: Any, *arguments: Any) -> Any:
        """Call a function there and return its result."""

        async def once() -> Any:
            return function(*arguments)

        return self.run(once())

    def close(self) -> None:
        """Cancel what is left, and stop."""

        async def finish() -> None:
            tasks = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

        self.run(finish())
        self.loop.call_soon_threadsafe(self.loop.stop)
        self._thread.join(10)
        self.loop.close()


class Fixed:
    """A credential whose value does not change, or changes once when it was rejected."""

    def __init__(self, name: str, value: bytes, newer: bytes | None = None) -> None:
        self._secret = Secret(name, value)
        self._newer = newer
        self.asked = 0

    async def value(self) -> Secret:
        self.asked += 1
        return self._secret

    async def rejected(self, seen: Secret) -> bool:
        if self._newer is None:
            return False
        self._secret, self._newer = Secret(seen.name, self._newer, seen.version + 1), None
        return True


class Replace:
    """A scrubber that knows one spelling: enough to see which streams pass through it, at any split of the bytes."""

    def __init__(self, pairs: Mapping[bytes, bytes]) -> None:
        self.pairs = dict(pairs)

    def stream(self) -> "ReplaceStream":
        return ReplaceStream(self.pairs)

    def text(self, text: str) -> str:
        for secret, stub in self.pairs.items():
            text = text.replace(secret.decode(), stub.decode())
        return text


class ReplaceStream:
    def __init__(self, pairs: Mapping[bytes, bytes]) -> None:
        self._pairs = pairs
        self._held = b""

    def feed(self, data: bytes) -> bytes:
        if b"corrupt-the-scrubber" in data:
            raise Refusal("bad_encoding", "cannot be decoded")
        self._held += data
        for secret, stub in self._pairs.items():
            self._held = self._held.replace(secret, stub)
        keep = max(
            (n for secret in self._pairs for n in range(1, len(secret)) if self._held.endswith(secret[:n])), default=0
        )
        cut = len(self._held) - keep
        passed, self._held = self._held[:cut], self._held[cut:]
        return passed

    def release(self) -> bytes:
        return b""

    def end(self) -> bytes:
        held, self._held = self._held, b""
        return held


class Rules:
    """A door of plain patterns: (user, kind, pattern) that are permitted."""

    def __init__(self, login: Login, *permitted: tuple[str, str, str], stub: bytes | None = None) -> None:
        self.login = login
        self.permitted = permitted
        self.stub = stub
        self.checks: dict[str, Any] = {}

    def enter(self, user: str) -> Entry:
        if not any(user == name for name, _, _ in self.permitted):
            raise Refusal("no_rule", f"No rule names the user {user!r}.", fix="See: penstock vault why")
        return Entry(() if self.stub is None else (self.stub,))

    async def decide(self, user: str, kind: str, command: str) -> SSHPermit:
        for name, permitted, pattern in self.permitted:
            if name == user and permitted == kind and (pattern == "*" or covers(pattern, command)):
                check: InputCheck | None = self.checks[kind]() if kind in self.checks else None
                return SSHPermit(self.login, rule=f"{kind} {pattern}", check=check)
        raise Refusal("no_rule", f"No rule permits {kind} as {user!r}.", fix="See: penstock vault why")


class VaultEnd:
    """The vault on a loopback port: each connection gets a terminator."""

    def __init__(
        self,
        loop: Loop,
        rules: Rules,
        upstream_port: int,
        scrubber: Any = None,
        limits: Limits | None = None,
        transport: bool = False,
        explicit: bool = False,
        path: Path | None = None,
    ) -> None:
        self.loop = loop
        self.rules = rules
        self.rows: list[Mapping[str, Any]] = []
        self.identity = SSHIdentity("session-1", time.time(), [(HOST, 22)])
        self.scrubber = scrubber or Replace({})
        self.limits = limits
        self.terminators: list[Terminator] = []
        self.dialled = 0
        self._upstream_port = upstream_port
        self._transport = transport
        self._destination = None if explicit else Destination("ssh", HOST, 22)
        self._listener = _listening(path)
        self._listener.setblocking(False)
        self.port = 22 if path else self._listener.getsockname()[1]
        self._task = asyncio.run_coroutine_threadsafe(self._accept(), loop.loop)

    async def _accept(self) -> None:
        loop = asyncio.get_running_loop()
        tasks = set()
        while True:
            sock, _ = await loop.sock_accept(self._listener)
            terminator = Terminator(
                self._destination, self._doors, self.identity, self._dial, self.scrubber, self.rows.append, self.limits
            )
            self.terminators.append(terminator)
            task = loop.create_task(self._serve(terminator, sock))
            tasks.add(task)
            task.add_done_callback(tasks.discard)

    async def _serve(self, terminator: Terminator, sock: socket.socket) -> None:
        if not self._transport:
            await terminator.accept(sock)
            return
        # As behind CONNECT: the proxy has a transport, and has read some bytes.
        loop = asyncio.get_running_loop()
        sock.setblocking(False)
        received = await loop.sock_recv(sock, 4)
        transport, proxy = await loop.connect_accepted_socket(_Proxy, sock)
        await terminator.attach(transport, received + proxy.received)

    def _doors(self, host: str, port: int) -> tuple[Destination, Rules]:
        if host != HOST:
            raise Refusal("no_rule", f"No rule names the host {host!r}.")
        return Destination("ssh", host, port), self.rules

    async def _dial(self, host: str, port: int) -> socket.socket:
        self.dialled += 1
        sock = socket.socket()
        sock.setblocking(False)
        try:
            await asyncio.get_running_loop().sock_connect(sock, ("127.0.0.1", self._upstream_port))
        except BaseException:  # also when it is cancelled
            sock.close()
            raise
        return sock

    def codes(self) -> list[str]:
        """The codes of what was refused, in their order."""
        return [row["code"] for row in self.rows if "code" in row]

    def close(self) -> None:
        """Stop listening, and cut what is left."""
        self._task.cancel()
        for terminator in self.terminators:
            self.loop.call(terminator.close)
        self._listener.close()


def _listening(path: Path | None) -> socket.socket:
    """A listener on loopback, or on a Unix socket as sandboxes have it."""
    if path is None:
        return socket.create_server(("127.0.0.1", 0))
    sock = socket.socket(socket.AF_UNIX)
    sock.bind(str(path))
    sock.listen()
    return sock


class _Proxy(asyncio.Protocol):
    """What the proxy was before it knew that this is SSH: it keeps what arrives."""

    def __init__(self) -> None:
        self.received = b""

    def data_received(self, data: bytes) -> None:
        self.received += data


class Client:
    """OpenSSH with a private home: what the vault hands to a sandbox, and nothing else."""

    def __init__(self, home: Path, vault: VaultEnd) -> None:
        self.home = home
        known = home / "known_hosts"
        known.write_text(vault.identity.known_hosts())
        self.config = home / "ssh_config"
        place = f"Host {HOST}\n    HostName 127.0.0.1\n    Port {vault.port}\n    HostKeyAlias {HOST}\n"
        self.config.write_text(place + vault.identity.ssh_config(str(known)))
        self.environment = {"PATH": os.environ["PATH"], "HOME": str(home), "LC_ALL": "C", "GIT_TERMINAL_PROMPT": "0"}

    def ssh(self, *arguments: str, data: bytes = b"", **more: Any) -> subprocess.CompletedProcess[bytes]:
        """Run ssh to its end."""
        return self.run("ssh", *arguments, data=data, **more)

    def command(self, program: str, *arguments: str) -> list[str]:
        """The command line of ssh, scp or sftp."""
        return [program, "-F", str(self.config), *arguments]

    def run(self, program: str, *arguments: str, data: bytes = b"", **more: Any) -> subprocess.CompletedProcess[bytes]:
        """Run ssh, scp or sftp to its end."""
        environment = {**self.environment, **more.pop("environment", {})}
        return subprocess.run(
            self.command(program, *arguments), input=data, capture_output=True, env=environment, timeout=25, **more
        )

    def files(self) -> bytes:
        """Everything that is in the home, in one text: for the canary."""
        return b"\n".join(path.read_bytes() for path in sorted(self.home.rglob("*")) if path.is_file())


class Sshd:
    """OpenSSH's server on a loopback port, which takes one key."""

    def __init__(self, folder: Path) -> None:
        need(command=SSHD, hint="apt-get install openssh-server")
        folder.mkdir(mode=0o700)
        self.folder = folder
        self.key = asyncssh.generate_private_key("ssh-ed25519")
        self.private = self.key.export_private_key()
        host_key = asyncssh.generate_private_key("ssh-ed25519")
        self.host_line = host_key.export_public_key().decode().strip()
        (folder / "host").write_bytes(host_key.export_private_key())
        (folder / "host").chmod(0o600)
        (folder / "keys").write_bytes(self.key.export_public_key())
        self.user = subprocess.run(["id", "-un"], capture_output=True, text=True, check=True).stdout.strip()
        self.port = free_port()
        (folder / "config").write_text(self._config())
        if os.geteuid() == 0:
            Path("/run/sshd").mkdir(mode=0o755, exist_ok=True)
        self.log = (folder / "log").open("wb")
        command = [SSHD, "-D", "-e", "-f", str(folder / "config")]
        self._process = subprocess.Popen(command, stderr=self.log, stdin=subprocess.DEVNULL)
        wait_for(self.port)

    def _config(self) -> str:
        lines = {
            "Port": self.port,
            "ListenAddress": "127.0.0.1",
            "HostKey": self.folder / "host",
            "AuthorizedKeysFile": self.folder / "keys",
            "PidFile": "none",
            "UsePAM": "no",
            "StrictModes": "no",
            "PasswordAuthentication": "no",
            "PermitRootLogin": "prohibit-password",
            "Subsystem": "sftp internal-sftp",
            "AcceptEnv": "*",
            "Banner": self.folder / "banner",
            "PrintMotd": "no",
            "MaxStartups": "100",
        }
        (self.folder / "banner").write_text("Authorized people only\n")
        return "".join(f"{key} {value}\n" for key, value in lines.items())

    def login(self, **more: Any) -> Login:
        """How the vault gets in."""
        return Login("ssh-key", Fixed("DEVICE_KEY", self.private), HostKeys(self.host_line), **more)

    def close(self) -> None:
        """Stop the server and the sessions that it began."""
        self._process.terminate()
        self._process.wait(10)
        self.log.close()


def free_port() -> int:
    """A port on which nobody listens now."""
    with socket.create_server(("127.0.0.1", 0)) as sock:
        return int(sock.getsockname()[1])


def wait_for(port: int) -> None:
    """Wait until somebody listens."""
    for _ in range(200):
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
            return
        threading.Event().wait(0.05)
    raise AssertionError(f"nobody listens on {port}")


def spellings(secret: bytes) -> Iterator[bytes]:
    """A secret as it may be seen: whole, in parts that are long enough to matter, in hex and base64."""
    body = b"".join(line for line in secret.splitlines() if not line.startswith(b"-----")) or secret
    yield secret.strip()
    yield body
    yield secret.hex().encode()
    yield secret.hex().upper().encode()
    for offset in range(3):
        coded = base64.b64encode(b"\0" * offset + secret)
        yield coded[4 if offset else 0 : -4]
    for start in range(0, max(1, len(body) - 32), 32):
        if len(body) >= 64:
            yield body[start : start + 32]
