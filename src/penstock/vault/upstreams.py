"""From a destination to a connection: where it may lie, whose authority vouches for it, which HTTP it speaks."""

from __future__ import annotations

import asyncio
import socket
from ipaddress import ip_network

from penstock.vault.bodies import Body, Whole
from penstock.vault.connections import Connections
from penstock.vault.dial import Dialer, Network, permitted_networks
from penstock.vault.http1_upstream import IDEMPOTENT, Answered, Http1Upstream
from penstock.vault.http2_sides import Http2Answered, Http2Upstream
from penstock.vault.names import parse_authority
from penstock.vault.rules import covers_host
from penstock.vault.session import Session
from penstock.vault.stream import Closed, Stream
from penstock.vault.values import Destination, RequestHead


class Dialling:
    """How one session reaches its destinations."""

    def __init__(self, session: Session, dialer: Dialer) -> None:
        self._session = session
        self._dialer = dialer

    async def connect(self, destination: Destination, alpn: tuple[str, ...]) -> Stream:
        """Open a connection to a checked address of the destination. Raises Refusal."""
        host, port = destination.host, destination.port
        counting = _Counted(self._session)
        try:
            connected = await self._dialer.connect(
                destination,
                lambda: Stream(counting.end),
                permitted=self.permitted(host),
                extra_ca=self._upstream_ca(host),
                alpn=alpn,
                at=self._pin(host, port),
            )
        except BaseException:
            counting.end()
            raise
        return connected.protocol

    async def open_socket(self, host: str, port: int) -> socket.socket:
        """The same for SSH: a connected socket."""
        at = self._pin(host, port)
        sock, _ = await self._dialer.open(*(at or (host, port)), self.permitted(host))
        return sock

    def _pin(self, host: str, port: int) -> tuple[str, int] | None:
        pin = self._session.spec.pins.get(host)
        return parse_authority(pin, port) if pin is not None else None

    def permitted(self, host: str) -> tuple[Network, ...]:
        """The private networks in which a host may be found: those that a rule, a secret or a pin names for it."""
        found: list[Network] = []
        for held in self._session.held.values():
            for binding in held.bindings:
                if covers_host(binding.rule.host, host):
                    found += permitted_networks(binding.rule.host, held.record.addresses, host)
        for rule in self._session.policy.rules:
            if covers_host(rule.host, host):
                found += permitted_networks(rule.host, self._session.spec.addresses, host)
        pin = self._pin(host, 0)
        if pin is not None:
            found.append(ip_network(pin[0]))
        return tuple(dict.fromkeys(found))

    def _upstream_ca(self, host: str) -> str | None:
        """The authorities named for a host: by the session, and by each secret that is bound to it."""
        given = self._session.spec.upstream_cas
        found = [pem for pattern, pem in given.items() if covers_host(pattern, host)]
        for held in self._session.held.values():
            if any(covers_host(binding.rule.host, host) for binding in held.bindings):
                found.append(held.record.upstream_ca or "")
        return "\n".join(dict.fromkeys(pem for pem in found if pem)) or None


class _Counted:
    """One of the connections that a session may have to upstreams, from before it is dialled to its end."""

    def __init__(self, session: Session) -> None:
        session.connections.upstream_opens()
        self._connections: Connections | None = session.connections

    def end(self) -> None:
        """Count it no more; said twice, it counts once."""
        connections, self._connections = self._connections, None
        if connections is not None:
            connections.upstream_closed()


class AnyHttp:
    """An upstream of HTTP/2, where both the client and the upstream speak it; of HTTP/1.1 otherwise.

    Args:
        dialling: opens connections.
        destination: where they go.
        http2: whether the client speaks HTTP/2.
    """

    def __init__(self, dialling: Dialling, destination: Destination, *, http2: bool) -> None:
        self._dialling = dialling
        self._destination = destination
        self._http2 = http2 and destination.scheme == "https"
        self._spare: list[Stream] = []
        self._http1_upstream = Http1Upstream(self._dial)
        self._http2_upstreams: list[Http2Upstream] = []
        self._choosing = asyncio.Lock()

    async def _dial(self) -> Stream:
        return self._spare.pop() if self._spare else await self._dialling.connect(self._destination, ("http/1.1",))

    async def exchange(self, head: RequestHead, body: Body) -> Answered | Http2Answered:
        """Send a request; return its response once its head is here. Raises Refusal or Closed."""
        upstream, is_new = await self._choose()
        if upstream is None:
            return await self._http1_upstream.exchange(head, body)
        try:
            return await upstream.exchange(head, body)
        except Closed:
            if is_new or head.method not in IDEMPOTENT or not isinstance(body, Whole):
                raise
        upstream, _ = await self._choose()
        again = body.again()
        return await (upstream or self._http1_upstream).exchange(head, again)

    async def _choose(self) -> tuple[Http2Upstream | None, bool]:
        """A connection of HTTP/2, and whether it is new; None where one side speaks HTTP/1.1 only."""
        async with self._choosing:
            self._http2_upstreams = [each for each in self._http2_upstreams if not each.is_over]
            usable = next((each for each in self._http2_upstreams if each.is_usable), None)
            if usable is not None or not self._http2:
                return usable, False
            stream = await self._dialling.connect(self._destination, ("h2", "http/1.1"))
            if stream.transport.get_extra_info("ssl_object").selected_alpn_protocol() != "h2":
                self._http2 = False
                self._spare.append(stream)
                return None, True
            self._http2_upstreams.append(Http2Upstream(stream))
            return self._http2_upstreams[-1], True

    def cut(self) -> None:
        """Close everything at once."""
        self._http1_upstream.cut()
        for stream in self._spare:
            stream.cut()
        for upstream in self._http2_upstreams:
            upstream.cut()
