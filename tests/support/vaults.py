"""A real vault in a process of its own, and clients that write what they like into its sockets.

with running_vault(folder) as vault:
    vault.set("TOKEN", SECRET, "* https://api.example.com/* header:authorization")
    session = vault.open("one", secrets=("TOKEN",), pins={...}, upstream_cas={...})
    with session.tls("api.example.com") as connection:
        connection.sendall(b"GET / HTTP/1.1\\r\\n...")
        answer = read_answer(connection)
"""

from __future__ import annotations

import contextlib
import json
import socket
import ssl
from collections.abc import Awaitable, Callable, Iterator
from http.client import HTTPException, HTTPResponse
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

from penstock.vault.api import Event, Opened, Refusal, SessionSpec, VaultClient, open_secrets
from tests.support.ssh import Loop
from tests.support.waiting import until

PATIENCE = 15.0
Start = Callable[..., Awaitable[VaultClient]]
Connection = TypeVar("Connection", bound=socket.socket)


class Answer(NamedTuple):
    """A response as a client read it. `whole` is False where it was cut off."""

    status: int
    headers: list[tuple[str, str]]
    body: bytes
    whole: bool = True

    def header(self, name: str) -> list[str]:
        """All values of a header."""
        return [value for key, value in self.headers if key.lower() == name.lower()]

    @property
    def code(self) -> str:
        """The vault's word, if it is a refusal of the vault."""
        return next(iter(self.header("x-penstock-refusal")), "")

    @property
    def all(self) -> bytes:
        """Everything that the client saw."""
        return "\n".join(f"{key}: {value}" for key, value in self.headers).encode("latin-1") + b"\n\n" + self.body


def read_answer(connection: socket.socket, method: str = "GET") -> Answer:
    """Read one response, as `http.client` does, to its end or to where it is cut off."""
    if method == "CONNECT" and (established := _established(connection)):
        return established
    response = HTTPResponse(connection, method=method)
    try:
        response.begin()
    except (OSError, HTTPException):  # there was no answer
        return Answer(0, [], b"", False)
    body, whole = bytearray(), True
    try:
        while data := response.read1(65536):
            body += data
        whole = not response.length
    except (OSError, HTTPException, ValueError):
        whole = False
    return Answer(response.status, response.getheaders(), bytes(body), whole)


def _established(connection: socket.socket) -> Answer | None:
    """Take the 200 of a CONNECT, and no byte more: where SSH is spoken, the server speaks first."""
    try:
        if not connection.recv(13, socket.MSG_PEEK | socket.MSG_WAITALL).startswith(b"HTTP/1.1 200 "):
            return None
        head = b""
        while not head.endswith(b"\r\n\r\n"):
            head += connection.recv(1)
    except OSError:
        return None
    return Answer(200, [], b"")


class Session:
    """One session of a running vault, and its sockets."""

    def __init__(self, vault: RunningVault, id: str, opened: Opened, port: int) -> None:
        self.vault = vault
        self.id = id
        self.opened = opened
        self.port = port
        self._sockets: list[socket.socket] = []

    @property
    def env(self) -> dict[str, str]:
        """Variable to stub."""
        return self.opened.env

    def trust(self, *alpn: str) -> ssl.SSLContext:
        """A client's context that trusts this session's authority and no other."""
        context = ssl.create_default_context(cadata=self.opened.ca_pem)
        if alpn:
            context.set_alpn_protocols(list(alpn))
        return context

    def raw(self) -> socket.socket:
        """A connection to the proxy, with nothing said."""
        return self._kept(socket.create_connection(("127.0.0.1", self.port), PATIENCE))

    def _kept(self, connection: Connection) -> Connection:
        self._sockets.append(connection)
        return connection

    def connect(self, authority: str, *lines: str) -> tuple[socket.socket, Answer]:
        """A CONNECT and what is answered to it."""
        connection = self.raw()
        connection.sendall(
            "\r\n".join((f"CONNECT {authority} HTTP/1.1", f"Host: {authority}", *lines, "", "")).encode("latin-1")
        )
        return connection, read_answer(connection, "CONNECT")

    def tls(self, host: str, port: int = 443, *alpn: str, sni: str | None = None) -> ssl.SSLSocket:
        """TLS to a host, through CONNECT."""
        connection, answer = self.connect(f"{host}:{port}")
        assert answer.status == 200, answer
        return self.secure(connection, self.trust(*alpn), sni or host)

    def secure(self, connection: socket.socket, context: ssl.SSLContext, name: str) -> ssl.SSLSocket:
        """TLS on a connection; it is closed with the session, or where the handshake fails."""
        try:
            return self._kept(context.wrap_socket(connection, server_hostname=name))
        except OSError:
            connection.close()
            raise

    def ask(
        self, host: str, target: str, *lines: str, method: str = "GET", body: bytes = b"", port: int = 443
    ) -> Answer:
        """One request on a connection of its own."""
        with self.tls(host, port) as connection:
            connection.sendall(request(host, target, *lines, method=method, body=body))
            return read_answer(connection, method)

    def audit(self, decision: str = "") -> list[dict[str, Any]]:
        """The rows of this session, or those of one decision."""
        return [row for row in self.vault.audit() if row["session"] == self.id and decision in ("", row["decision"])]

    def close(self) -> None:
        """End it, and close what its clients left open."""
        for connection in self._sockets:
            connection.close()
        with contextlib.suppress(Refusal):  # a test may have ended it
            self.vault.run(self.vault.client.close(self.id))


def ended(connection: socket.socket) -> bool:
    """Whether a connection is over, once all that came is read."""
    try:
        while connection.recv(65536):
            pass
    except TimeoutError:
        return False
    except OSError:
        pass
    return True


def request(host: str, target: str, *lines: str, method: str = "GET", body: bytes = b"") -> bytes:
    """A request as bytes; the length of a body is said unless `lines` frame it."""
    framed = any(line.lower().startswith(("transfer-encoding:", "content-length:")) for line in lines)
    length = [f"Content-Length: {len(body)}"] if body and not framed else []
    return (
        "\r\n".join([f"{method} {target} HTTP/1.1", f"Host: {host}", *lines, *length, "", ""]).encode("latin-1") + body
    )


def chunked(*parts: bytes, trailers: str = "") -> bytes:
    """A body in chunks."""
    return b"".join(b"%x\r\n%b\r\n" % (len(part), part) for part in parts) + b"0\r\n" + trailers.encode() + b"\r\n"


class RunningVault:
    """A vault process, the secrets that it reads, and what it told."""

    def __init__(self, folder: Path, start: Start = VaultClient.start) -> None:
        self.folder = folder
        self.events: list[Event] = []
        self.loop = Loop()
        self.client: VaultClient = self.run(start(folder, on_event=self.events.append))
        self._count = 0

    def run(self, work: Any) -> Any:
        """Run a coroutine of the client."""
        return self.loop.run(work, 30)

    def set(self, name: str, value: bytes, *bindings: str, **more: Any) -> None:
        """Keep a secret, as `$name`."""
        with open_secrets(self.folder) as secrets:
            secrets.set(name, value, bindings=bindings, **{"env": name, **more})

    def revoke(self, name: str) -> None:
        """Revoke a secret."""
        with open_secrets(self.folder) as secrets:
            secrets.revoke(name)

    def open(self, **spec: Any) -> Session:
        """Open a session with a proxy of its own on 127.0.0.1."""
        self._count += 1
        id = spec.pop("id", f"session-{self._count}")
        listener = socket.create_server(("127.0.0.1", 0), backlog=1024)
        with listener:
            opened = self.run(self.client.open(SessionSpec(id=id, **spec), [("proxy", listener)]))
            return Session(self, id, opened, listener.getsockname()[1])

    def audit(self) -> list[dict[str, Any]]:
        """Every row of the audit log."""
        files = sorted((self.folder / "audit").glob("*.jsonl")) or sorted((self.folder / "audit").iterdir())
        rows = [json.loads(line) for file in files for line in file.read_text().splitlines() if line.startswith("{")]
        return [row for row in rows if "decision" in row]

    def told(self, kind: str, session: str = "") -> list[Event]:
        """The events of one kind."""
        return [event for event in self.events if event.kind == kind and session in ("", event.session)]

    def memory(self) -> int:
        """Bytes of memory that the process has in use."""
        return self._status("VmRSS") * 1024

    def _status(self, name: str) -> int:
        lines = Path(f"/proc/{self.client.pid}/status").read_text().splitlines()
        return next(int(line.split()[1]) for line in lines if line.startswith(name))

    def descriptors(self) -> int:
        """How many file descriptors the process has open."""
        return len(list(Path(f"/proc/{self.client.pid}/fd").iterdir()))

    def close(self) -> None:
        """End the process."""
        self.run(self.client.stop())
        self.loop.close()


@contextlib.contextmanager
def running_vault(folder: Path) -> Iterator[RunningVault]:
    """Run a vault over a new state directory in `folder`."""
    state = folder / "vault-state"
    with open_secrets(state):
        pass
    vault = RunningVault(state)
    try:
        yield vault
    finally:
        vault.close()


__all__ = [
    "Answer",
    "Refusal",
    "RunningVault",
    "Session",
    "chunked",
    "ended",
    "read_answer",
    "request",
    "running_vault",
    "until",
]
