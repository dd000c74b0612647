"""The end of the sandbox's SSH connection: who it is, what it may ask, how much of it; and the way to cut it at once.

One `Terminator` is one connection from a sandbox. Who connects is known before the first byte (the listener belongs to
a session), where to is known by the proxy (fake DNS and the port, CONNECT), or is said in the user name in the explicit
mode (`ssh user@host:port@vault`). The protocol is asyncssh's, on a connection class of ours that counts what a client
could send without end. Forwardings of every kind are refused: they are roads around the rules. One connection onwards
for each login, never shared with another connection of the sandbox. Sources: RFC 4251 to 4254;
docs/how-to/reach-devices-by-ssh.md.
"""

import asyncio
import hmac
import socket
from collections import Counter
from collections.abc import Callable, Mapping
from typing import Any, cast

import asyncssh
from asyncssh.connection import SSHServerConnection
from asyncssh.packet import SSHPacket

from penstock.vault.ssh.commands import Asked
from penstock.vault.ssh.door import Audit, Dial, Door, Entry, Limits, Scrubber, SSHPermit
from penstock.vault.ssh.identity import SSHIdentity
from penstock.vault.ssh.relay import Inside
from penstock.vault.ssh.upstream import Upstream, open_upstream
from penstock.vault.values import Destination, Refusal

Doors = Callable[[str, int], tuple[Destination, Door]]
"""Finds the rules for a host and port as a client wrote them; raises a `Refusal` when the name is none."""

_MSG_KEXINIT, _MSG_GLOBAL_REQUEST, _MSG_CHANNEL_REQUEST = 20, 80, 98

EXPLICIT = "vault"
"""The name on the host certificate in the explicit mode, beside localhost."""


class Terminator(asyncssh.SSHServer):
    """One SSH connection from a sandbox.

    Args:
        destination: where it goes; None in the explicit mode.
        doors: finds the rules of the session for a host and port.
        identity: the session's host keys.
        dial: opens a connection to a checked address.
        scrubber: the session's.
        audit: takes a row for each decision, before it takes effect.
        limits: caps.
    """

    def __init__(
        self,
        destination: Destination | None,
        doors: Doors,
        identity: SSHIdentity,
        dial: Dial,
        scrubber: Scrubber,
        audit: Audit,
        limits: Limits | None = None,
    ) -> None:
        self.limits = limits or Limits()
        self.scrubber = scrubber
        self.secrets: set[str] = set()
        """Names of the secrets that this connection has used: who revokes one of them calls `close`."""
        self._given = destination
        self._destination = destination
        self._doors = doors
        self._door: Door | None = None
        self._identity = identity
        self._dial = dial
        self._audit = audit
        self._user = ""
        self._entry = Entry()
        self._wrong = 0
        self._opened = 0
        self._channels: set[Inside] = set()
        self._upstreams: dict[tuple[int, str], asyncio.Task[tuple[asyncssh.SSHClientConnection, Upstream]]] = {}
        self._banners: set[int] = set()
        self._connection: _Connection | None = None
        self._closed = asyncio.Event()
        self._cut = False
        self._idle: asyncio.TimerHandle | None = None
        self._last = 0.0

    # The connection

    async def accept(self, sock: socket.socket) -> None:
        """Take over an accepted socket; returns when the connection is over, cuts it when cancelled."""
        sock.setblocking(False)
        connection = await self._prepare()
        await asyncio.get_running_loop().connect_accepted_socket(lambda: connection, sock)
        await self._until_over()

    async def attach(self, transport: asyncio.Transport, received: bytes = b"") -> None:
        """Take over a transport, of which `received` was read already; returns when the connection is over."""
        transport.pause_reading()  # nothing may reach the protocol that was there before
        connection = await self._prepare()
        transport.set_protocol(connection)
        connection.connection_made(transport)
        if received:
            connection.data_received(received)
        transport.resume_reading()
        await self._until_over()

    async def _prepare(self) -> "_Connection":
        loop = asyncio.get_running_loop()
        host = self._given.host if self._given is not None else EXPLICIT
        options = await asyncssh.SSHServerConnectionOptions.construct(
            server_factory=lambda: self,
            server_host_keys=self._identity.host_keys(host),
            config=None,
            login_timeout=self.limits.login_seconds,
            encoding=None,
            line_editor=False,
            allow_pty=True,
            agent_forwarding=False,
            x11_forwarding=False,
            allow_scp=False,
            gss_host=None,
            rdns_lookup=False,
            compression_algs=None,
            window=self.limits.window,
            max_pktsize=self.limits.packet,
            server_version="Penstock",
        )
        self._connection = _Connection(loop, options, self)
        self._last = loop.time()
        self._watch()
        return self._connection

    async def _until_over(self) -> None:
        try:
            await self._closed.wait()
        finally:
            self.close()

    def close(self) -> None:
        """Cut both ends now, without waiting for anybody: revocation, the session's end, a fault."""
        self._cut = True
        if self._idle is not None:
            self._idle.cancel()
        if self._connection is not None:
            self._connection.abort()
        for task in self._upstreams.values():
            _abort(task)
        self._upstreams.clear()
        self._closed.set()

    def connection_lost(self, exc: Exception | None) -> None:
        """The client is gone."""
        self.close()

    def _watch(self) -> None:
        loop = asyncio.get_running_loop()
        left = self._last + self.limits.idle_seconds - loop.time()
        if left <= 0:
            self.note("idle", {})
            self.close()
        else:
            self._idle = loop.call_later(left, self._watch)

    def moved(self) -> None:
        """Bytes moved: the connection is not idle."""
        self._last = asyncio.get_running_loop().time()

    def stall(self, stalled: bool) -> None:
        """The client's connection is full (or no longer): nothing more is read for it."""
        for channel in self._channels:
            channel.stall(stalled)

    def note(self, event: str, fields: Mapping[str, Any]) -> None:
        """Write a row of the audit; a connection that cannot be audited is cut."""
        place = self._destination
        row = {"event": f"ssh.{event}", "host": place.host if place else "", "port": place.port if place else 0}
        texts = {key: self.scrubber.text(value) if isinstance(value, str) else value for key, value in fields.items()}
        try:
            self._audit({**row, "user": self._user, **texts})
        except Exception:
            self.close()
            raise Refusal("audit", "The decision could not be recorded.", status=503) from None

    # Who comes in

    def begin_auth(self, username: str) -> bool:
        """Find the rules for this user, and say whether a stub must come."""
        try:
            self._user, self._entry = self._enter(username)
        except Refusal as refusal:
            self.note("refused", {"kind": "login", "code": refusal.code})
            text = self.scrubber.text(f"penstock vault: {refusal}")
            raise asyncssh.DisconnectError(asyncssh.DISC_NO_MORE_AUTH_METHODS_AVAILABLE, text) from None
        if not self._entry.stubs:
            self.note("login", {"by": "session"})
        return bool(self._entry.stubs)

    def _enter(self, username: str) -> tuple[str, Entry]:
        user = username
        host, port = (self._given.host, self._given.port) if self._given is not None else ("", 22)
        if self._given is None:
            user, host, port = explicit(username)
        self._user = user
        self._destination, self._door = self._doors(host, port)
        return user, self._door.enter(user)

    def password_auth_supported(self) -> bool:
        """Whether a stub is awaited (keyboard-interactive asks for it, too)."""
        return bool(self._entry.stubs)

    def validate_password(self, username: str, password: str) -> bool:
        """Compare with the stub; a password that is none is refused and audited, without its value."""
        if sum(hmac.compare_digest(password.encode("utf-8"), stub) for stub in self._entry.stubs):
            self.note("login", {"by": "stub"})
            return True
        self._wrong += 1
        self.note("refused", {"kind": "login", "code": "stub_missing"})
        if self._wrong >= self.limits.logins:
            raise asyncssh.DisconnectError(
                asyncssh.DISC_NO_MORE_AUTH_METHODS_AVAILABLE, "penstock vault: the password must be the session's stub."
            )
        return False

    # What is asked

    def session_requested(self) -> Any:
        """Open a channel for a command, a shell or a subsystem."""
        self._opened += 1
        if len(self._channels) >= self.limits.channels or self._opened > self.limits.opened:
            self.note("refused", {"kind": "channel", "code": "too_many_channels"})
            raise asyncssh.ChannelOpenError(asyncssh.OPEN_RESOURCE_SHORTAGE, "Too many channels")
        assert self._connection is not None
        return self._connection.new_channel(), Inside(self)

    def connection_requested(self, dest_host: str, dest_port: int, orig_host: str, orig_port: int) -> bool:
        """Local and dynamic forwarding (-L, -D, -W, -J): refused."""
        return self._no_forwarding("direct-tcpip", f"{dest_host}:{dest_port}")

    def unix_connection_requested(self, dest_path: str) -> bool:
        """Local forwarding to a Unix socket: refused."""
        return self._no_forwarding("direct-streamlocal", dest_path)

    def server_requested(self, listen_host: str, listen_port: int) -> bool:
        """Remote forwarding (-R): refused."""
        return self._no_forwarding("tcpip-forward", f"{listen_host}:{listen_port}")

    def unix_server_requested(self, listen_path: str) -> bool:
        """Remote forwarding from a Unix socket: refused."""
        return self._no_forwarding("streamlocal-forward", listen_path)

    def tun_requested(self, unit: int | None) -> bool:
        """A tunnel device (-w): refused."""
        return self._no_forwarding("tun", "")

    def tap_requested(self, unit: int | None) -> bool:
        """A tunnel device (-w): refused."""
        return self._no_forwarding("tap", "")

    def _no_forwarding(self, kind: str, target: str) -> bool:
        self.note("refused", {"kind": kind, "command": target[:200], "code": "forwarding"})
        return False

    async def permit(self, request: Asked) -> SSHPermit:
        """Ask the rules, and record what they say before anything happens."""
        if self._door is None or self._cut:
            raise Refusal("closed", "The connection is closed.")
        fields = {"kind": request.kind, "command": request.command[:1000]}
        try:
            permit = await self._door.decide(self._user, request.kind, request.command)
        except Refusal as refusal:
            self.note("refused", {**fields, "code": refusal.code})
            raise
        self.note("permitted", {**fields, "rule": permit.rule, "secret": permit.secret})
        self.secrets.add(permit.secret)
        return permit

    async def upstream(self, permit: SSHPermit) -> tuple[asyncssh.SSHClientConnection, str]:
        """Return this connection's own connection onwards for a login, and its banner the first time."""
        user = permit.user or self._user
        key = (id(permit.login.credential), user)
        task = self._upstreams.get(key)
        if task is None or _is_over(task):
            task = asyncio.get_running_loop().create_task(self._dialled(user, permit))
            self._upstreams[key] = task
        connection, owner = await asyncio.shield(task)
        if self._cut:
            connection.abort()
            raise Refusal("closed", "The connection is closed.")
        banner = "" if id(owner) in self._banners else owner.banner
        self._banners.add(id(owner))
        return connection, banner

    async def _dialled(self, user: str, permit: SSHPermit) -> tuple[asyncssh.SSHClientConnection, Upstream]:
        assert self._destination is not None
        try:
            opened = await open_upstream(self._destination, user, permit.login, self._dial, self.limits)
        except Refusal as refusal:
            self.note("failed", {"code": refusal.code, "reason": refusal.reason})
            raise
        self.note("connected", {"upstream_user": user})
        return opened

    def add(self, channel: Inside) -> None:
        """A channel is open."""
        self._channels.add(channel)

    def remove(self, channel: Inside) -> None:
        """A channel is closed."""
        self._channels.discard(channel)


def explicit(username: str) -> tuple[str, str, int]:
    """Read the user name of the explicit mode: `user@host` or `user@host:port`.

    Raises:
        Refusal: `bad_user`: it names no host.
    """
    user, _, place = username.rpartition("@")
    host, colon, port = place.rpartition(":") if not place.endswith("]") else (place, "", "")
    host, port = (host, port) if colon else (place, "22")
    if not user or not host or not (port.isascii() and port.isdigit() and 0 < int(port) < 65536):
        raise Refusal("bad_user", "The user name names no host.", fix="Connect as user@host or user@host:port.")
    return user, host.removeprefix("[").removesuffix("]"), int(port)


def _is_over(task: "asyncio.Task[tuple[asyncssh.SSHClientConnection, Upstream]]") -> bool:
    if not task.done():
        return False
    return task.cancelled() or task.exception() is not None or task.result()[0].is_closed()


def _abort(task: "asyncio.Task[tuple[asyncssh.SSHClientConnection, Upstream]]") -> None:
    if not task.done():
        task.cancel()
    elif not task.cancelled() and task.exception() is None:
        task.result()[0].abort()


class _Connection(SSHServerConnection):
    """asyncssh's connection, which counts what a client may repeat and stops reading while its replies pile up."""

    def __init__(
        self, loop: asyncio.AbstractEventLoop, options: asyncssh.SSHServerConnectionOptions, owner: Terminator
    ) -> None:
        super().__init__(loop, options)
        self._terminator = owner
        self._wire: asyncio.Transport | None = None
        self._seen: Counter[int] = Counter()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._wire = cast("asyncio.Transport", transport)  # uvloop's is one in all but its class
        super().connection_made(transport)

    def process_packet(self, pkttype: int, pktid: int, packet: SSHPacket) -> Any:
        self._seen[pkttype] += 1
        limits = self._terminator.limits
        if self._seen[_MSG_KEXINIT] > limits.key_exchanges or self._seen[_MSG_GLOBAL_REQUEST] > limits.globals:
            raise asyncssh.ProtocolError("Too many requests")
        return super().process_packet(pkttype, pktid, packet)

    def pause_writing(self) -> None:
        """The client does not read: neither it nor the upstream is read for it."""
        if self._wire is not None:
            self._wire.pause_reading()
        self._terminator.stall(True)

    def resume_writing(self) -> None:
        if self._wire is not None and not self._wire.is_closing():
            self._wire.resume_reading()
        self._terminator.stall(False)

    def new_channel(self) -> "_Channel":
        limits = self._terminator.limits
        self._update_recv_pktlen(limits.packet)
        return _Channel(self, asyncio.get_running_loop(), limits)


class _Channel(asyncssh.SSHServerChannel[bytes]):
    """asyncssh's channel, which counts the bytes of requests: a variable a packet could fill the memory."""

    def __init__(self, connection: _Connection, loop: asyncio.AbstractEventLoop, limits: Limits) -> None:
        super().__init__(
            connection,
            loop,
            allow_pty=True,
            line_editor=False,
            line_echo=False,
            line_history=0,
            max_line_length=0,
            encoding=None,
            errors="strict",
            window=limits.window,
            max_pktsize=limits.packet,
        )
        self._left = limits.requests

    def process_packet(self, pkttype: int, pktid: int, packet: SSHPacket) -> Any:
        if pkttype == _MSG_CHANNEL_REQUEST:
            self._left -= len(packet.get_remaining_payload())
            if self._left < 0:
                raise asyncssh.ProtocolError("Too many requests on a channel")
        return super().process_packet(pkttype, pktid, packet)
