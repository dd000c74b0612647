"""The sockets of a session: what is accepted on them belongs to it, whoever the client says it is."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import Coroutine, Sequence

from penstock.vault.connections import CONNECTIONS
from penstock.vault.dial import Dialer
from penstock.vault.session import Session
from penstock.vault.tunnel import Tunnel
from penstock.vault.values import Refusal
from penstock.vault.wire import ListenerKind

DNS_BYTES = 4096
REFUSED = 64
"""Connections of one session beyond those that it may have: each is told so; further ones wait to be accepted."""
PAUSE = 0.05
"""Seconds to wait when the process has no file descriptors left."""


def check_listeners(listeners: Sequence[tuple[ListenerKind, socket.socket]]) -> None:
    """Refuse sockets that are not what they are said to be, before any is used.

    Raises:
        Refusal: `bad_listener`.
    """
    for kind, sock in listeners:
        wanted = socket.SOCK_DGRAM if kind == "dns" else socket.SOCK_STREAM
        listens = kind == "dns" or sock.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN)
        if sock.family not in (socket.AF_INET, socket.AF_INET6, socket.AF_UNIX) or sock.type != wanted or not listens:
            what = "a datagram socket" if kind == "dns" else "a stream socket that listens"
            raise Refusal("bad_listener", f"A listener of kind {kind!r} must be {what}.", status=400)


class Listening:
    """The listeners of one session. They close with it: a network namespace lives as long as a socket in it."""

    def __init__(self, session: Session, dialer: Dialer) -> None:
        self._session = session
        self._dialer = dialer
        self._sockets: list[socket.socket] = []
        self._tasks: set[asyncio.Task[None]] = set()
        self._room = asyncio.Semaphore(CONNECTIONS + REFUSED)

    def add(self, listeners: Sequence[tuple[ListenerKind, socket.socket]]) -> None:
        """Answer on further sockets. Raises Refusal: `bad_listener`, and then on none of them."""
        check_listeners(listeners)
        for kind, sock in listeners:
            sock.setblocking(False)
            self._sockets.append(sock)
            if kind == "dns":
                asyncio.get_running_loop().add_reader(sock.fileno(), self._answer_names, sock)
            else:
                self._run(self._accept(sock, kind))

    def _run(self, coroutine: Coroutine[object, object, None]) -> None:
        task = asyncio.ensure_future(coroutine)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _accept(self, listener: socket.socket, kind: ListenerKind) -> None:
        while True:
            await self._room.acquire()
            sock = await self._accepted(listener)
            if sock is None:
                return
            sock.setblocking(False)
            self._run(self._serve(Tunnel(self._session, self._dialer, sock, kind)))

    async def _accepted(self, listener: socket.socket) -> socket.socket | None:
        """The next connection; None once the listener is closed."""
        while True:
            try:
                return (await asyncio.get_running_loop().sock_accept(listener))[0]
            except OSError:
                if listener.fileno() < 0:
                    return None
                await asyncio.sleep(PAUSE)

    async def _serve(self, tunnel: Tunnel) -> None:
        try:
            await tunnel.serve()
        finally:
            self._room.release()

    def _answer_names(self, sock: socket.socket) -> None:
        with contextlib.suppress(OSError, Refusal):
            query, address = sock.recvfrom(DNS_BYTES)
            self._session.look_at(_labels(query), "name", "the resolver")
            answer = self._session.names.answer(query)
            if answer:
                sock.sendto(answer, address)

    def close(self) -> None:
        """Close every socket; what was accepted is cut by the session."""
        loop = asyncio.get_running_loop()
        for task in self._tasks:
            task.cancel()
        for sock in self._sockets:
            loop.remove_reader(sock.fileno())
            sock.close()
        self._sockets.clear()


def _labels(query: bytes) -> bytes:
    """The labels of a question's name, joined: a stub may be longer than one."""
    labels, at = [], 12
    while at < len(query) and 0 < query[at] < 64:
        labels.append(query[at + 1 : at + 1 + query[at]])
        at += 1 + query[at]
    return b"".join(labels) + b"\n" + b".".join(labels)
