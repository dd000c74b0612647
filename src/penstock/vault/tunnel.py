"""One connection from a sandbox: find out where it wants to go and in which protocol, and hand it on.

What a client says of its destination must agree in every place where it says it: the address that it dialled (or
CONNECT), the server name of its TLS, the host of each request. A refusal comes before any certificate is minted.

    proxy         CONNECT host:port, then TLS, SSH or plain HTTP inside; or requests with a whole URL
    transparent   the address that was dialled is a stand-in of `fake_dns`, or any other: then TLS or HTTP name the host
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import socket
import ssl
import struct
from collections.abc import Iterator
from typing import NamedTuple

from penstock.vault import hello, http1, http2_sides
from penstock.vault.arrival import peek, take
from penstock.vault.dial import Dialer
from penstock.vault.exchanges import Exchanges
from penstock.vault.hello import ClientHello
from penstock.vault.http1_client_side import Asked, ClientSide
from penstock.vault.http_parts import HEAD_BYTES
from penstock.vault.names import canonical_host, is_address, parse_authority
from penstock.vault.refusals import refusal_response, refuse
from penstock.vault.session import Session
from penstock.vault.stream import Closed, Stream
from penstock.vault.upstreams import AnyHttp, Dialling
from penstock.vault.values import DEFAULT_PORTS, Destination, Refusal, RequestHead
from penstock.vault.wire import ListenerKind

OPENING_SECONDS = 30.0
"""For the first bytes, for a CONNECT and for the handshake of TLS."""
LEAVING_SECONDS = 900.0
"""For a client to take the rest of its last answer: as long as an answer may be silent."""
ESTABLISHED = b"HTTP/1.1 200 Connection Established\r\n\r\n"
TLS_HANDSHAKE = 0x16
SSH_BANNER = b"SSH-"
SO_ORIGINAL_DST = 80  # linux/netfilter_ipv4.h; the same number for IPv6


class Dialled(NamedTuple):
    """Where a client's connection goes: the host's name if the vault knows it, the address, and the port."""

    name: str | None
    address: str
    port: int


class Tunnel:
    """One connection of one session."""

    def __init__(self, session: Session, dialer: Dialer, sock: socket.socket, kind: ListenerKind) -> None:
        self._session = session
        self._dialling = Dialling(session, dialer)
        self._sock = sock
        self._kind = kind
        self._stream: Stream | None = None
        self._serving: asyncio.Task[None] | None = None

    async def serve(self) -> None:
        """Serve the connection to its end. Nothing is raised: what fails is told to the client, or cuts it."""
        self._serving = asyncio.current_task()
        try:
            with self._session.connected(self):
                try:
                    self._session.check_open()
                    await (self._proxy() if self._kind == "proxy" else self._transparent())
                finally:
                    await self._leave()
        except Refusal as refusal:
            with contextlib.suppress(Refusal):  # what cannot be written down is refused all the same
                self._session.denied(refusal)
            await self._tell(refusal)
        except (Closed, TimeoutError, ConnectionError, OSError):
            pass  # the client left, or is too slow: there is nobody to tell
        finally:
            self._close()

    def cut(self) -> None:
        """Close the connection at once, and end what is under way for it: what it opened closes with it."""
        if self._stream is not None and self._stream.is_connected:
            self._stream.cut()
        else:
            with contextlib.suppress(OSError):
                self._sock.shutdown(socket.SHUT_RDWR)  # closing it would leave its number to another connection
        self._gone()

    def _gone(self) -> None:
        """Nobody is there any more for whom an upstream should go on."""
        if self._serving is not None:
            self._serving.cancel()

    async def _leave(self) -> None:
        """Let the client take what was written for it, while it is still counted, and can be cut."""
        stream = self._stream
        if stream is None or not stream.is_connected:
            return
        stream.end()
        try:
            async with asyncio.timeout(LEAVING_SECONDS):
                await stream.gone()
        except TimeoutError:
            stream.cut()

    def _close(self) -> None:
        self._serving = None
        if self._stream is not None and self._stream.is_connected:
            self._stream.end()
        else:
            self._sock.close()

    # -- where to ------------------------------------------------------------------------------------------------

    async def _proxy(self) -> None:
        async with asyncio.timeout(OPENING_SECONDS):
            head = await peek(self._sock, _whole_head, HEAD_BYTES)
        if not head.startswith(b"CONNECT "):
            await self._http(None)
            return
        take(self._sock, len(head))
        request = http1.RequestParser().feed(head)[0]
        assert isinstance(request, RequestHead)
        self._session.look(request, "the proxy")
        host, port = parse_authority(request.target, DEFAULT_PORTS["https"])
        await self._session.reachable(host, port)
        await asyncio.get_running_loop().sock_sendall(self._sock, ESTABLISHED)
        await self._inside(Dialled(host, host, port))

    async def _transparent(self) -> None:
        address, port = dialled_address(self._sock, self._kind)
        await self._inside(Dialled(self._session.names.name_of(address), address, port))

    async def _inside(self, dialled: Dialled) -> None:
        """Go by the first byte; where only SSH could be meant, do not wait for it: its server speaks first."""
        if dialled.name is not None and self._session.only_ssh(dialled.name, dialled.port):
            await self._ssh(dialled)
            return
        async with asyncio.timeout(OPENING_SECONDS):
            first = await peek(self._sock, _first_bytes, len(SSH_BANNER))
        if first[0] == TLS_HANDSHAKE:
            await self._tls(dialled)
        elif first == SSH_BANNER:
            await self._ssh(dialled)
        else:
            await self._http(dialled)

    # -- in which protocol ---------------------------------------------------------------------------------------

    async def _tls(self, dialled: Dialled) -> None:
        async with asyncio.timeout(OPENING_SECONDS):
            said = await peek(self._sock, hello.parse, hello.MOST)
        try:
            destination, context = await self._context(said, dialled)
        except Refusal as refusal:
            self._session.denied(refusal)
            with contextlib.suppress(OSError):
                self._sock.send(hello.alert("access_denied"))
            return
        stream = await self._open(context)
        http2 = stream.transport.get_extra_info("ssl_object").selected_alpn_protocol() == "h2"
        with self._exchanges(http2) as exchanges:
            if http2:
                await http2_sides.serve(stream, functools.partial(exchanges.answer, destination), self._malformed)
            else:
                side = ClientSide(stream, self._malformed)
                await side.serve(functools.partial(self._answer_in_tls, exchanges, destination))

    async def _answer_in_tls(self, exchanges: Exchanges, destination: Destination, asked: Asked) -> None:
        if asked.facts.target.form == "absolute" and asked.facts.target.scheme != "https":
            refusal = Refusal("host_mismatch", "A URL with http was asked for inside TLS.", status=421)
            self._session.denied(refusal)
            await refuse(asked.reply, refusal, asked.head)
            return
        await exchanges.answer(destination, *asked.parts)

    async def _context(self, said: ClientHello, dialled: Dialled) -> tuple[Destination, ssl.SSLContext]:
        """Where a client of TLS goes, and what it is met with. Raises Refusal, before any certificate is made."""
        self._session.look_at((said.sni or "").encode("latin-1", "replace"), "server name", "the vault")
        destination = Destination("https", agreed_host(said, dialled), dialled.port)
        await self._session.reachable(destination.host, destination.port, ("https",))
        protocols = [each for each in ("h2", "http/1.1") if each in said.alpn] or ["http/1.1"]
        return destination, self._session.ca.context(destination.host, protocols)

    def _malformed(self, refusal: Refusal) -> None:
        """Write down a request that was refused before it could be read."""
        self._session.denied(refusal)

    async def _ssh(self, dialled: Dialled) -> None:
        if dialled.name is None:
            raise Refusal("no_name", "An SSH connection to a bare address names no host that a rule could know.")
        await self._session.reachable(dialled.name, dialled.port, ("ssh",))
        from penstock.vault.ssh_way import SSHWay  # asyncssh is large, and most sessions need none of it

        await SSHWay(self._session, self, self._dialling, dialled.name, dialled.port).serve(self._sock)

    async def _http(self, dialled: Dialled | None) -> None:
        """Plain HTTP. Each request says where it goes: with a whole URL (to a proxy), or by its host."""
        stream = await self._open(None)
        with self._exchanges(http2=False) as exchanges:

            async def answer(asked: Asked) -> None:
                try:
                    destination = plain_destination(asked, dialled)
                except Refusal as refusal:
                    self._session.look(asked.head, "the vault")
                    self._session.denied(refusal)
                    await refuse(asked.reply, refusal, asked.head)
                else:
                    await exchanges.answer(destination, *asked.parts)

            await ClientSide(stream, self._malformed).serve(answer)

    @contextlib.contextmanager
    def _exchanges(self, http2: bool) -> Iterator[Exchanges]:
        dialling = self._dialling
        exchanges = Exchanges(
            self._session,
            self,
            lambda to: AnyHttp(dialling, to, http2=http2),
            lambda to: dialling.connect(to, ("http/1.1",)),
        )
        try:
            yield exchanges
        finally:
            exchanges.cut()

    async def _open(self, context: ssl.SSLContext | None) -> Stream:
        stream = self._stream = Stream(self._gone)
        patience = OPENING_SECONDS if context is not None else None
        await asyncio.get_running_loop().connect_accepted_socket(
            lambda: stream, self._sock, ssl=context, ssl_handshake_timeout=patience
        )
        return stream

    async def _tell(self, refusal: Refusal) -> None:
        """Answer a client that has not begun anything but HTTP yet."""
        if self._stream is not None or self._kind != "proxy":
            return
        head, body = refusal_response(refusal)
        closing = (*head.headers, ("connection", "close"))
        data = http1.render_response(type(head)(head.status, head.reason, closing), len(body)) + body
        with contextlib.suppress(OSError, TimeoutError):
            async with asyncio.timeout(OPENING_SECONDS):
                await asyncio.get_running_loop().sock_sendall(self._sock, data)
                self._sock.shutdown(socket.SHUT_WR)
                await _until_closed(self._sock)


# -- reading what a client says ---------------------------------------------------------------------------------------


def _whole_head(data: bytes) -> bytes | None:
    """The head of a request, or one byte of what is none: its own parser will say why."""
    end = data.find(b"\r\n\r\n")
    if end >= 0:
        return data[: end + 4]
    return data if not data.startswith(b"CONNECT "[: len(data)]) else None


def _first_bytes(data: bytes) -> bytes | None:
    """As many bytes as tell the protocol: one, or four where they may become SSH's banner."""
    if SSH_BANNER.startswith(data) and len(data) < len(SSH_BANNER):
        return None
    return data


def dialled_address(sock: socket.socket, kind: ListenerKind) -> tuple[str, int]:
    """The address and port that a client wanted, as the kernel keeps it: the socket's own, or before a redirection."""
    address, port = sock.getsockname()[:2]
    if kind == "redirected" and ":" in address and not address.startswith("::ffff:"):
        data = sock.getsockopt(socket.IPPROTO_IPV6, SO_ORIGINAL_DST, 28)  # sockaddr_in6
        address, port = socket.inet_ntop(socket.AF_INET6, data[8:24]), struct.unpack("!H", data[2:4])[0]
    elif kind == "redirected":
        data = sock.getsockopt(socket.SOL_IP, SO_ORIGINAL_DST, 16)  # sockaddr_in
        address, port = socket.inet_ntoa(data[4:8]), struct.unpack("!H", data[2:4])[0]
    return address.removeprefix("::ffff:"), port


def agreed_host(said: ClientHello, dialled: Dialled) -> str:
    """The host of a TLS connection: the name that it asks for and the host that it dialled are one.

    A client that dials an address itself names none (RFC 6066 section 3); one that found the address of a name by other
    means than the vault's is known by the name, and the vault looks it up anew.

    Raises:
        Refusal: they differ, or there is none.
    """
    if said.sni is None:
        if not is_address(dialled.name or dialled.address):
            raise Refusal("no_name", f"The connection is to {dialled.name}, but its TLS handshake names no host.")
        return canonical_host(dialled.address)
    name = canonical_host(said.sni)
    if dialled.name is not None and name != dialled.name:
        raise Refusal("other_host", f"The connection is to {dialled.name}, but its TLS handshake names {name}.")
    return name


def plain_destination(asked: Asked, dialled: Dialled | None) -> Destination:
    """Where a request over plain HTTP goes. `dialled` is None for a connection to the proxy itself.

    Raises:
        Refusal: the request and the connection name different hosts, or none.
    """
    target, scheme = asked.facts.target, "http"
    authority = next(iter(asked.head.values("host")), "")
    if target.form == "absolute":
        scheme, authority = target.scheme, target.authority
    if scheme != "http":
        raise Refusal("tls_needed", "A URL with https was asked for without TLS.", fix="Use CONNECT.", status=400)
    if not authority or (dialled is None and target.form != "absolute"):
        reason = "This is Penstock's vault, a proxy: the request names no host to go to."
        raise Refusal("no_host", reason, fix="Ask with a whole URL, or with CONNECT.", status=400)
    host, port = parse_authority(authority, DEFAULT_PORTS["http"])
    if dialled is not None and (dialled.name not in (None, host) or dialled.port != port):
        reason = f"The connection is to {dialled.name}:{dialled.port}, the request for {host}:{port}."
        raise Refusal("other_host", reason, status=421)
    return Destination("http", host, port)


async def _until_closed(sock: socket.socket) -> None:
    """Read what still comes: closing a socket with unread bytes would take the answer away from the client."""
    while await asyncio.get_running_loop().sock_recv(sock, 4096):
        pass
