"""The device on the network: the SSH server and the HTTPS server around the pure faces, in a thread of their own."""

import asyncio
import ssl
import threading
from collections.abc import Mapping
from http import HTTPStatus

import asyncssh
from asyncssh.auth import KbdIntNewChallenge, KbdIntResponse

from penstock.testing.devices.cli import CommandLine
from penstock.testing.devices.model import Datastores
from penstock.testing.devices.netconf import NetconfSession
from penstock.testing.devices.restconf import Answer, Restconf
from penstock.testing.providers.http import BadRequest, RequestReader


class SimulatedDevice:
    """A router on loopback. As a context manager, it is started and closed.

    Args:
        users: names and passwords, for SSH and RESTCONF.
        keys: names and public keys in OpenSSH's format, for SSH.
        tls: the context of the HTTPS server; without one there is no RESTCONF.
        ssh_port, https_port: 0 for any free one; read them from the attributes once it is started.
        netconf_1_1: offer chunked framing.
        keyboard_interactive: ask for the password that way only, as some devices do.
    """

    def __init__(
        self,
        users: Mapping[str, str],
        *,
        keys: Mapping[str, str] | None = None,
        tls: ssl.SSLContext | None = None,
        ssh_port: int = 0,
        https_port: int = 0,
        netconf_1_1: bool = True,
        keyboard_interactive: bool = False,
    ) -> None:
        self.stores = Datastores()
        self.users = dict(users)
        self.keys = dict(keys or {})
        self.ssh_port = ssh_port
        self.https_port = https_port
        self.record: list[tuple[str, str, str]] = []
        """What arrived: (what, who, text); what is `login`, `refused`, `command`, `rpc` or `request`."""
        self.netconf_1_1 = netconf_1_1
        self.keyboard_interactive = keyboard_interactive
        self._tls = tls
        self._host_key = asyncssh.generate_private_key("ssh-ed25519")
        self._sessions = 0
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="simulated-device", daemon=True)
        self._servers: list[asyncio.AbstractServer | asyncssh.SSHAcceptor] = []
        self._connections: set[asyncssh.SSHServerConnection | asyncio.WriteTransport] = set()

    @property
    def host_key(self) -> str:
        """The SSH host key, as a line of known_hosts without its host."""
        return self._host_key.export_public_key().decode("ascii").strip()

    def start(self) -> "SimulatedDevice":
        """Listen. Returns itself."""
        self._thread.start()
        asyncio.run_coroutine_threadsafe(self._listen(), self._loop).result(10)
        return self

    def close(self) -> None:
        """Stop listening and end all connections."""
        asyncio.run_coroutine_threadsafe(self._stop(), self._loop).result(10)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)
        self._loop.close()

    def __enter__(self) -> "SimulatedDevice":
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.close()

    async def _listen(self) -> None:
        acceptor = await asyncssh.listen(
            "127.0.0.1",
            self.ssh_port,
            server_factory=lambda: _Login(self),
            server_host_keys=[self._host_key],
            process_factory=self._process,
            encoding=None,
            line_editor=False,
            config=None,
            agent_forwarding=False,
        )
        self.ssh_port = acceptor.get_port()
        self._servers.append(acceptor)
        if self._tls is not None:
            server = await asyncio.start_server(self._https, "127.0.0.1", self.https_port, ssl=self._tls)
            self.https_port = server.sockets[0].getsockname()[1]
            self._servers.append(server)

    async def _stop(self) -> None:
        for server in self._servers:
            server.close()
        for connection in list(self._connections):
            connection.abort()
        tasks = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        for _ in range(3):
            await asyncio.sleep(0)  # transports close their sockets in the rounds after they were aborted

    # SSH

    async def _process(self, process: "asyncssh.SSHServerProcess[bytes]") -> None:
        user = process.get_extra_info("username")
        try:
            if process.subsystem == "netconf":
                await self._netconf(process, user)
            elif process.subsystem is not None:
                process.exit(1)
            elif process.command is not None:
                self._command(process, user, process.command)
            else:
                await self._shell(process, user)
        except (asyncssh.BreakReceived, asyncssh.SignalReceived, BrokenPipeError, ConnectionError):
            process.exit(1)

    def _command(self, process: "asyncssh.SSHServerProcess[bytes]", user: str, command: str) -> None:
        self.record.append(("command", user, command))
        text = CommandLine(self.stores, user).run(command)
        process.stdout.write(text.encode())
        process.exit(1 if text.startswith("%") else 0)

    async def _shell(self, process: "asyncssh.SSHServerProcess[bytes]", user: str) -> None:
        line = CommandLine(self.stores, user)
        echo = process.get_terminal_type() is not None
        process.stdout.write(f"\r\n{line.prompt}".encode())
        typed = b""
        after_return = False
        while not line.over and (data := await _read(process)):
            for byte in data:
                if byte not in b"\r\n":
                    typed += bytes([byte])
                elif not (byte == 0x0A and after_return):
                    self._typed(process, line, user, typed.decode("utf-8", "replace"), echo)
                    typed = b""
                after_return = byte == 0x0D
                if line.over:
                    break
        process.exit(0)

    def _typed(
        self, process: "asyncssh.SSHServerProcess[bytes]", line: CommandLine, user: str, text: str, echo: bool
    ) -> None:
        if text.strip():
            self.record.append(("command", user, text.strip()))
        printed = line.run(text).replace("\n", "\r\n")
        shown = f"{text}\r\n{printed}" if echo else printed
        process.stdout.write((shown + ("" if line.over else line.prompt)).encode())

    async def _netconf(self, process: "asyncssh.SSHServerProcess[bytes]", user: str) -> None:
        self._sessions += 1

        def note(name: str) -> None:
            self.record.append(("rpc", user, name))

        session = NetconfSession(self.stores, self._sessions, user, note, self.netconf_1_1)
        process.stdout.write(session.hello())
        try:
            while not session.over and (data := await _read(process)):
                process.stdout.write(session.feed(data))
                await process.stdout.drain()
        finally:
            session.end()
        process.exit(0)

    # RESTCONF

    async def _https(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        requests, face = RequestReader(), Restconf(self.stores, self.users)
        self._connections.add(writer.transport)
        try:
            while data := await reader.read(65536):
                requests.feed(data)
                while (request := requests.next()) is not None:
                    head, body = request
                    user, answer = face.answer(head, body)
                    self.record.append(("request" if user else "refused", user, f"{head.method} {head.target}"))
                    writer.write(_rendered(answer, head.method))
                    await writer.drain()
        except (BadRequest, ConnectionError):
            pass
        finally:
            self._connections.discard(writer.transport)
            writer.close()


class _Login(asyncssh.SSHServer):
    """Names, passwords and keys of the device."""

    def __init__(self, device: SimulatedDevice) -> None:
        self._device = device

    def connection_made(self, conn: asyncssh.SSHServerConnection) -> None:
        self._connection = conn
        self._device._connections.add(conn)

    def connection_lost(self, exc: Exception | None) -> None:
        self._device._connections.discard(self._connection)

    def begin_auth(self, username: str) -> bool:
        return True

    def password_auth_supported(self) -> bool:
        return not self._device.keyboard_interactive

    def validate_password(self, username: str, password: str) -> bool:
        right = self._device.users.get(username) == password
        self._device.record.append(("login" if right else "refused", username, password))
        return right

    def kbdint_auth_supported(self) -> bool:
        return self._device.keyboard_interactive

    def get_kbdint_challenge(self, username: str, lang: str, submethods: str) -> KbdIntNewChallenge:
        return "", "", "en-US", [("Password: ", False)]

    def validate_kbdint_response(self, username: str, responses: KbdIntResponse) -> bool:
        return len(responses) == 1 and self.validate_password(username, responses[0])

    def public_key_auth_supported(self) -> bool:
        return bool(self._device.keys)

    def validate_public_key(self, username: str, key: asyncssh.SSHKey) -> bool:
        known = self._device.keys.get(username, "").split()[:2]
        right = known == key.export_public_key().decode("ascii").split()[:2]
        self._device.record.append(("login" if right else "refused", username, "a key"))
        return right


async def _read(process: "asyncssh.SSHServerProcess[bytes]") -> bytes:
    """Read what the client sent; a resize is no end."""
    while True:
        try:
            return await process.stdin.read(65536)
        except asyncssh.TerminalSizeChanged:
            continue


def _rendered(answer: Answer, method: str) -> bytes:
    length = ("content-length", str(len(answer.body)))
    fields = "".join(f"{name}: {value}\r\n" for name, value in (*answer.headers, length))
    head = f"HTTP/1.1 {answer.status} {HTTPStatus(answer.status).phrase}\r\n{fields}\r\n"
    return head.encode("latin-1") + (b"" if method == "HEAD" else answer.body)
