"""Where a connection really goes: a name is resolved once, all answers are checked, a checked address is dialled.


Whoever controls the DNS of a permitted name decides which address it has. So the answer is held against rules of its
own, after it was made (rebinding), and not asked for again:

1. Every answer is a global unicast address, or lies in a network that the binding names for this host. One that does
   not refuses the whole name. Multicast and unspecified addresses are never dialled; link-local ones (the clouds'
   metadata services) only when the network named is itself link-local: `0.0.0.0/0` does not mean them.
2. `localhost` means loopback when a binding names the host `localhost`; no other name may have a loopback address, or
   any address of this machine (also a global one), unless a network named for it says so.
3. The vault's own ports on this machine are never dialled.
4. TLS is verified by the system's store and the binding's own CA, host name included; nothing turns that off.

Behind a company's proxy (`upstream_proxy`), the proxy resolves: literal addresses and names that resolve here are
checked as above, and hosts with networks of their own are dialled directly.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import socket
import ssl
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from http.client import HTTPConnection, HTTPException
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network
from typing import Generic, NamedTuple, TypeVar
from urllib.parse import unquote, urlsplit

import msgspec

from penstock.vault import names
from penstock.vault.values import Destination, Fetched, Headers, Refusal

Network = IPv4Network | IPv6Network
AddressInfo = tuple[int, int, int, str, tuple[object, ...]]
GetAddressInfo = Callable[[str, int], Awaitable[Sequence[AddressInfo]]]
"""What `loop.getaddrinfo(host, port, type=SOCK_STREAM)` answers; raises `OSError`."""

RESOLVE_TIMEOUT = 10.0
CONNECT_TIMEOUT = 5.0
"""Seconds for each address; the next one is tried afterwards."""
TLS_TIMEOUT = 10.0
MAX_DIALLED = 6
"""Addresses of one name that are tried."""
MAX_CONNECT_REPLY = 8 * 1024
FETCH_TIMEOUT = 20.0
MAX_FETCHED = 1024 * 1024
"""Bytes of an answer to a call of the vault's own."""
CONTEXTS = 64

_LOOPBACK: tuple[Network, ...] = (ip_network("127.0.0.0/8"), ip_network("::1/128"))
_LINK_LOCAL: tuple[Network, ...] = (ip_network("169.254.0.0/16"), ip_network("fe80::/10"))

OPERATORS: tuple[Network, ...] = (
    *(ip_network(each) for each in ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "100.64.0.0/10", "fc00::/7")),
    *_LOOPBACK,
)
"""Where a host may be that the operator of the vault names in its settings (a secret store), which no binding could."""

P = TypeVar("P", bound=asyncio.BaseProtocol)


class Connected(NamedTuple, Generic[P]):
    """An open connection and the address that was dialled (that of the proxy, when there is one)."""

    transport: asyncio.Transport
    protocol: P
    address: str


class UpstreamProxy(msgspec.Struct, frozen=True):
    """A company's HTTP proxy, through which everything goes by CONNECT. `authorization` is never printed."""

    host: str
    port: int
    authorization: str | None = None

    def __repr__(self) -> str:
        return f"UpstreamProxy({self.host!r}, {self.port})"


# -- which addresses: pure --------------------------------------------------------------------------------------------


def permitted_networks(named: str, addresses: Mapping[str, Sequence[str]], host: str) -> tuple[Network, ...]:
    """Return the networks that `host` may lie in although they are private, by a binding or rule that names `named`.

    `named` is the host of the rule (`10.1.2.3`, `localhost`, `*.example.com`, `*`), `addresses` those of the secret's
    record. A literal address that a rule names is permitted by that; a wildcard names no address.
    """
    networks = [ip_network(text) for key in (host, named) for text in addresses.get(key, ())]
    if named == host == "localhost":
        networks += _LOOPBACK
    elif named == host and names.is_address(host):
        networks.append(ip_network(host))
    return tuple(dict.fromkeys(networks))


def is_own(address: str) -> bool:
    """Say whether this machine has the address: the kernel then reaches it from itself. Nothing is sent."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    with contextlib.suppress(OSError), socket.socket(family, socket.SOCK_DGRAM) as probe:
        probe.connect((address, 9))
        return bool(ip_address(probe.getsockname()[0]) == ip_address(address))
    return False


def check_address(
    host: str,
    address: str,
    port: int,
    permitted: Sequence[Network],
    *,
    own: Callable[[str], bool] = is_own,
    own_ports: Collection[int] = (),
) -> None:
    """Refuse an address that `host` may not have.

    Raises:
        Refusal: `private_address`, `own_address`.
    """
    parsed = ip_address(address.partition("%")[0])
    mine = parsed.is_loopback or own(address)
    if mine and port in own_ports:
        raise Refusal("own_address", f"{host} is a port of the vault itself.")
    if parsed.is_multicast or parsed.is_unspecified or not (names.is_private(address) or mine):
        if parsed.is_multicast or parsed.is_unspecified:
            raise Refusal("private_address", f"{host} has an address that cannot be connected to.")
        return
    if "%" not in address and any(_means(network, address) for network in permitted):
        return
    raise Refusal(
        "own_address" if mine else "private_address",
        f"{host} resolves to {'an address of this machine' if mine else 'a private address'} ({address}).",
        fix=f"If that is meant: name the network with the secret, such as {host}={address}.",
    )


def _means(network: Network, address: str) -> bool:
    """Say whether a network that somebody wrote covers the address; for a link-local one it must be link-local."""
    parsed = ip_address(address)
    if parsed.version != network.version or parsed not in network:
        return False
    return not any(parsed in local for local in _LINK_LOCAL if local.version == parsed.version) or any(
        network.subnet_of(local)  # type: ignore[arg-type]  # both have the version of the address
        for local in _LINK_LOCAL
        if local.version == network.version
    )


def parse_proxy(url: str) -> UpstreamProxy:
    """Read `http://user:password@host:port`.

    Raises:
        Refusal: `bad_proxy`.
    """
    try:
        parts = urlsplit(url)
        host, port = names.canonical_host(parts.hostname or ""), parts.port or 3128
    except (ValueError, Refusal):
        host, port, parts = "", 0, urlsplit("")
    if parts.scheme != "http" or not host or parts.path not in ("", "/") or parts.query or parts.fragment:
        fix = "Write http://HOST:PORT or http://USER:PASSWORD@HOST:PORT."
        raise Refusal("bad_proxy", "The address of the upstream proxy cannot be read.", fix=fix, status=500)
    if parts.username is None:
        return UpstreamProxy(host, port)
    pair = f"{unquote(parts.username)}:{unquote(parts.password or '')}".encode()
    return UpstreamProxy(host, port, "Basic " + base64.b64encode(pair).decode())


# -- TLS to the upstream ----------------------------------------------------------------------------------------------


def upstream_context(extra_ca: str | None = None, alpn: Sequence[str] = ("http/1.1",)) -> ssl.SSLContext:
    """Return a verifying client context: the system's store and `extra_ca` (PEM), TLS 1.2 or newer, host name checked.

    Not `ssl.create_default_context`: that one writes the connections' keys to a file when SSLKEYLOGFILE says so, and is
    stricter about the form of certificates from Python 3.13 on. A certificate in `extra_ca` is trusted itself, also
    when it is that of a server (devices with self-signed certificates).

    Raises:
        Refusal: `bad_upstream_ca`.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.options |= ssl.OP_NO_COMPRESSION | ssl.OP_NO_RENEGOTIATION
    context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
    context.load_default_certs(ssl.Purpose.SERVER_AUTH)
    if alpn:
        context.set_alpn_protocols(list(alpn))
    if extra_ca is not None:
        try:
            context.load_verify_locations(cadata=extra_ca)
        except (ssl.SSLError, ValueError):
            fix = "Give the CA certificates as PEM."
            raise Refusal("bad_upstream_ca", "The upstream's CA is not a certificate.", fix=fix, status=500) from None
    return context


# -- dialling ---------------------------------------------------------------------------------------------------------


async def resolve(
    host: str,
    port: int,
    permitted: Sequence[Network] = (),
    *,
    getaddrinfo: GetAddressInfo | None = None,
    own: Callable[[str], bool] = is_own,
    own_ports: Collection[int] = (),
) -> list[str]:
    """Return the addresses of `host` (canonical), families taking turns, after checking every one.

    Raises:
        Refusal: `private_address`, `own_address`; `no_such_host` (502) when it has no address.
    """
    addresses = [host] if names.is_address(host) else await _look_up(host, port, getaddrinfo or _system)
    for address in addresses:
        check_address(host, address, port, permitted, own=own, own_ports=own_ports)
    return _alternate(addresses)


async def _look_up(host: str, port: int, getaddrinfo: GetAddressInfo) -> list[str]:
    try:
        async with asyncio.timeout(RESOLVE_TIMEOUT):
            answers = await getaddrinfo(host, port)
    except (OSError, UnicodeError):
        answers = ()
    addresses = [str(answer[4][0]) for answer in answers if answer[0] in (socket.AF_INET, socket.AF_INET6)]
    if not addresses:
        fix = "Check the name, and the resolver of the machine that the vault runs on."
        raise Refusal("no_such_host", f"{host} has no address.", fix=fix, status=502)
    return list(dict.fromkeys(addresses))


async def _system(host: str, port: int) -> Sequence[AddressInfo]:
    loop = asyncio.get_running_loop()
    return await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM)


def _alternate(addresses: Sequence[str]) -> list[str]:
    """Let the families take turns, beginning with the first: one broken family delays, and does not prevent."""
    first = [address for address in addresses if (":" in address) == (":" in addresses[0])]
    second = [address for address in addresses if address not in first]
    turns = [address for pair in zip(first, second, strict=False) for address in pair]
    return [*turns, *first[len(second) :], *second[len(first) :]]


class Dialer:
    """The vault's one way to the outside: settings that hold for every connection, and TLS contexts that are kept.

    Args:
        upstream_proxy: a company's proxy.
        own_ports: ports of this machine on which the vault listens; they are never dialled.
        getaddrinfo: resolves; the system's when None.
    """

    def __init__(
        self,
        *,
        upstream_proxy: UpstreamProxy | None = None,
        own_ports: Collection[int] = (),
        getaddrinfo: GetAddressInfo | None = None,
        own: Callable[[str], bool] = is_own,
    ) -> None:
        self._proxy = upstream_proxy
        self.own_ports = set(own_ports)
        self._getaddrinfo = getaddrinfo
        self._own = own
        self._contexts: OrderedDict[tuple[str | None, tuple[str, ...]], ssl.SSLContext] = OrderedDict()

    def context(self, extra_ca: str | None = None, alpn: Sequence[str] = ("http/1.1",)) -> ssl.SSLContext:
        """Return `upstream_context(extra_ca, alpn)`, kept: reading the system's store takes tens of milliseconds.

        Raises:
            Refusal: `bad_upstream_ca`.
        """
        key = (extra_ca, tuple(alpn))
        if key not in self._contexts:
            self._contexts[key] = upstream_context(extra_ca, alpn)
        self._contexts.move_to_end(key)
        if len(self._contexts) > CONTEXTS:
            self._contexts.popitem(last=False)
        return self._contexts[key]

    async def resolve(self, host: str, port: int, permitted: Sequence[Network] = ()) -> list[str]:
        """Return the checked addresses of a host: see `resolve` of this module."""
        return await resolve(
            host, port, permitted, getaddrinfo=self._getaddrinfo, own=self._own, own_ports=self.own_ports
        )

    async def connect(
        self,
        destination: Destination,
        protocol: Callable[[], P],
        *,
        permitted: Sequence[Network] = (),
        extra_ca: str | None = None,
        alpn: Sequence[str] = ("http/1.1",),
        at: tuple[str, int] | None = None,
    ) -> Connected[P]:
        """Open a connection to the destination: TLS for https, plain for http and ssh.

        Args:
            at: where the destination is known to be (an address and a port), instead of what the resolver says.
            permitted: what `permitted_networks` gave for this host.
            extra_ca: the binding's CA certificates (PEM), besides the system's.
            alpn: protocols to offer; the transport's `ssl_object` says which was chosen.

        Raises:
            Refusal: those of `resolve`; `upstream_unreachable`, `upstream_tls` (502), `bad_upstream_ca`.
        """
        host, port = at or (destination.host, destination.port)
        connection, address = await self.open(host, port, permitted)
        secure = destination.scheme == "https"
        try:
            transport, made = await asyncio.get_running_loop().create_connection(
                protocol,
                sock=connection,
                ssl=self.context(extra_ca, alpn) if secure else None,
                server_hostname=destination.host if secure else None,
                ssl_handshake_timeout=TLS_TIMEOUT if secure else None,
            )
        except ssl.SSLError as error:
            connection.close()
            raise _untrusted(destination.host, error) from None
        except OSError as error:
            connection.close()
            raise _unreachable(destination.host, destination.port, error) from None
        except BaseException:
            connection.close()
            raise
        return Connected(transport, made, address)

    async def open(self, host: str, port: int, permitted: Sequence[Network] = ()) -> tuple[socket.socket, str]:
        """Return a connected, non-blocking TCP socket to the host and the address that it was dialled at.

        Raises:
            Refusal: as `connect`, but for TLS.
        """
        if self._proxy is not None and not permitted:
            return await self._open_through(self._proxy, host, port)
        return await _dial(host, port, await self.resolve(host, port, permitted))

    async def _open_through(self, proxy: UpstreamProxy, host: str, port: int) -> tuple[socket.socket, str]:
        try:
            await self.resolve(host, port)
        except Refusal as refusal:
            if refusal.code != "no_such_host":
                raise
        found = (
            [proxy.host]
            if names.is_address(proxy.host)
            else await _look_up(proxy.host, proxy.port, self._getaddrinfo or _system)
        )
        connection, address = await _dial(proxy.host, proxy.port, _alternate(found))
        try:
            async with asyncio.timeout(TLS_TIMEOUT):
                await _ask_proxy(connection, proxy, names.format_authority(host, port, 0))
        except (OSError, TimeoutError) as error:
            connection.close()
            raise _unreachable(host, port, error) from None
        except BaseException:
            connection.close()
            raise
        return connection, address


async def _dial(host: str, port: int, addresses: Sequence[str]) -> tuple[socket.socket, str]:
    """Connect to the first address that answers."""
    failed: OSError = OSError("no address")
    for address in addresses[:MAX_DIALLED]:
        connection = socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET, socket.SOCK_STREAM)
        try:
            connection.setblocking(False)
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            async with asyncio.timeout(CONNECT_TIMEOUT):
                await asyncio.get_running_loop().sock_connect(connection, (address, port))
        except OSError as error:  # TimeoutError is one
            connection.close()
            failed = error
        except BaseException:
            connection.close()
            raise
        else:
            return connection, address
    raise _unreachable(host, port, failed)


async def _ask_proxy(connection: socket.socket, proxy: UpstreamProxy, authority: str) -> None:
    """Say CONNECT, and read the head of the answer and not a byte more: what follows is the upstream's."""
    loop = asyncio.get_running_loop()
    lines = [f"CONNECT {authority} HTTP/1.1", f"Host: {authority}"]
    if proxy.authorization:
        lines.append(f"Proxy-Authorization: {proxy.authorization}")
    await loop.sock_sendall(connection, ("\r\n".join(lines) + "\r\n\r\n").encode())
    reply = b""
    while not reply.endswith(b"\r\n\r\n"):
        piece = await loop.sock_recv(connection, 1)
        reply += piece
        if not piece or len(reply) > MAX_CONNECT_REPLY:
            raise ConnectionError("the proxy closed the connection")
    status = reply.split(b" ", 2)[1:2]
    if not reply.startswith(b"HTTP/1.") or status != [b"200"]:
        said = status[0].decode("ascii", "replace")[:3] if status and status[0].isdigit() else "nonsense"
        fix = "Check its address, its password, and what it lets through."
        raise Refusal("upstream_proxy", f"The upstream proxy answered {said} to {authority}.", fix=fix, status=502)


def _unreachable(host: str, port: int, error: OSError) -> Refusal:
    why = error.strerror or type(error).__name__
    return Refusal("upstream_unreachable", f"{host}:{port} cannot be reached: {why}.", status=502)


def _untrusted(host: str, error: ssl.SSLError) -> Refusal:
    why = getattr(error, "verify_message", "") or error.reason or type(error).__name__
    fix = "For a server with a CA of its own, set the secret with --upstream-ca FILE."
    return Refusal("upstream_tls", f"TLS with {host} failed: {why}.", fix=fix, status=502)


# -- calls of the vault's own -----------------------------------------------------------------------------------------


class Fetcher:
    """`values.Fetch`: one call of the vault's own, by HTTPS; plain HTTP to a loopback address that is permitted only.

    Args:
        dialer: resolves, checks and dials.
        permitted: host -> networks in which it may lie although private: the operator named them.
        extra_ca: CA certificates (PEM) besides the system's.
    """

    def __init__(
        self, dialer: Dialer, *, permitted: Mapping[str, Sequence[Network]] | None = None, extra_ca: str | None = None
    ) -> None:
        self._dialer = dialer
        self._permitted = permitted or {}
        self._extra_ca = extra_ca

    async def __call__(self, method: str, url: str, headers: Headers = (), body: bytes = b"") -> Fetched:
        """Make the call, follow nothing, read MAX_FETCHED bytes at most, within FETCH_TIMEOUT seconds.

        Raises:
            Refusal: those of `Dialer.connect`; `fetch_failed` (502), which holds nothing of what was sent or answered.
        """
        secure, host, port, target = _split(url)
        permitted = self._permitted.get(host, ())
        connection, address = await self._dialer.open(host, port, permitted)
        if not secure and not (permitted and ip_address(address).is_loopback):
            connection.close()
            raise Refusal("fetch_failed", f"The vault calls {host} by https only.", status=502)
        context = self._dialer.context(self._extra_ca) if secure else None
        work = asyncio.to_thread(_exchange, connection, context, host, port, method, target, headers, body)
        try:
            async with asyncio.timeout(FETCH_TIMEOUT):
                return await work
        except ssl.SSLError as error:
            raise _untrusted(host, error) from None
        except (OSError, HTTPException, ValueError) as error:
            raise Refusal("fetch_failed", f"The call to {host} failed: {type(error).__name__}.", status=502) from None
        finally:
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)  # wakes the thread, should it still read
            connection.close()


def _split(url: str) -> tuple[bool, str, int, str]:
    try:
        parts = urlsplit(url)
        host = names.canonical_host(parts.hostname or "")
        port = parts.port
    except ValueError:
        parts, host, port = urlsplit(""), "", None
    if parts.scheme not in ("https", "http") or "@" in parts.netloc or parts.fragment or not url.isascii():
        raise Refusal("fetch_failed", "The vault calls https://HOST[:PORT]/PATH addresses only.", status=502)
    secure = parts.scheme == "https"
    target = (parts.path or "/") + ("?" + parts.query if parts.query else "")
    return secure, host, port or (443 if secure else 80), target


def _exchange(
    raw: socket.socket,
    context: ssl.SSLContext | None,
    host: str,
    port: int,
    method: str,
    target: str,
    headers: Headers,
    body: bytes,
) -> Fetched:
    """One exchange over an open connection, in a thread: the library's client never connects, nor follows anything."""
    raw.settimeout(FETCH_TIMEOUT)
    stream = raw.dup() if context is None else context.wrap_socket(raw.dup(), server_hostname=host)
    client = HTTPConnection(host, port, timeout=FETCH_TIMEOUT)
    client.auto_open = 0
    client.sock = stream
    try:
        sent = {"Accept": "application/json", **dict(headers), "Accept-Encoding": "identity", "Connection": "close"}
        client.request(method, target, body=body or None, headers=sent)
        answer = client.getresponse()
        data = answer.read(MAX_FETCHED + 1)
        if len(data) > MAX_FETCHED or answer.getheader("content-encoding", "identity") != "identity":
            raise ValueError("an answer that is too large, or encoded")
        if answer.length:  # `read` with a number says nothing of an answer that ends early
            raise ValueError("an answer that is too short")
        found = tuple((name.lower(), value) for name, value in answer.getheaders())
        return Fetched(answer.status, found, data)
    finally:
        client.close()
        stream.close()
