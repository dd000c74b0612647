"""Latency at a fixed rate: requests leave when they are due, not when the last answer came, and the time of each counts
from when it was due. So an answer that is late is late for all that had to wait behind it: what "coordinated omission"
leaves out is in.

Arrivals are those of independent clients (a Poisson process), from a fixed seed: every peer gets the same. Plain
sockets and `select`, whose timeout has microseconds, where those of event loops have milliseconds.
"""

from __future__ import annotations

import ctypes
import gc
import random
import re
import select
import socket
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field

from bench.gateway.peers.peer import Target
from bench.gateway.processes import Failed

CONNECTIONS = 64
_PATIENCE = 2.0  # seconds that answers may still take after the last request was due
_LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)
_PR_SET_TIMERSLACK, _USUAL_SLACK = 29, 50_000  # nanoseconds that the kernel may be late, to save wake-ups


@dataclass(slots=True)
class Latencies:
    """Seconds from when each was due; `unanswered` are those that were not answered in time."""

    seconds: list[float] = field(default_factory=list)
    unanswered: int = 0

    def quantile(self, share: float) -> float:
        """The value that this share of the answers stays below; infinite where some were never answered."""
        if self.unanswered or not self.seconds:
            return float("inf")
        return sorted(self.seconds)[min(len(self.seconds) - 1, int(len(self.seconds) * share))]


def arrivals(rate: float, seconds: float, seed: int) -> list[float]:
    """When requests are due, in seconds from the beginning."""
    source, at, found = random.Random(seed), 0.0, []
    while (at := at + source.expovariate(rate)) < seconds:
        found.append(at)
    return found


def run(target: Target, rate: float, seconds: float, seed: int = 1) -> Latencies:
    """Send so many requests a second for so long, over 64 kept-alive connections."""
    with ExitStack() as connections, _punctual():

        def connect() -> socket.socket:
            made = connections.enter_context(socket.create_connection(("127.0.0.1", target.port)))
            made.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            return made

        return _drive(target.raw(), connect, arrivals(rate, seconds, seed))


def _drive(request: bytes, connect: Callable[[], socket.socket], schedule: list[float]) -> Latencies:
    found = Latencies()
    idle = [connect() for _ in range(CONNECTIONS)]
    due = deque(schedule)
    busy: dict[socket.socket, tuple[float, bytes]] = {}
    waiting: deque[float] = deque()
    clock = time.perf_counter
    begin = clock()
    give_up = schedule[-1] + _PATIENCE
    while due or busy or waiting:
        now = clock() - begin
        while due and due[0] <= now:
            waiting.append(due.popleft())
        while waiting and idle:
            connection = _sent(request, idle.pop(), connect)
            busy[connection] = (waiting.popleft(), b"")
        if now > give_up:
            found.unanswered = len(due) + len(busy) + len(waiting)
            break
        until = due[0] if due else give_up + 0.01
        for connection in select.select(list(busy), (), (), max(0.0, until - (clock() - begin)))[0]:
            asked, before = busy[connection]
            answer = before + _received(connection)
            if not complete(answer):
                busy[connection] = (asked, answer)
                continue
            found.seconds.append(clock() - begin - asked)
            del busy[connection]
            idle.append(connection)
    return found


def _sent(request: bytes, connection: socket.socket, connect: Callable[[], socket.socket]) -> socket.socket:
    """Send on this connection, or on a new one where it was closed meanwhile, as some peers do after seconds."""
    if select.select((connection,), (), (), 0)[0]:
        connection.close()
        connection = connect()
    connection.send(request)
    return connection


def _received(connection: socket.socket) -> bytes:
    data = connection.recv(65536)
    if not data:
        raise Failed("a kept-alive connection was closed")
    return data


def complete(answer: bytes) -> bool:
    """True when all of an answer is there; raises Failed when its status is not 200."""
    head, gap, body = answer.partition(b"\r\n\r\n")
    if not gap:
        return False
    if not head.startswith(b"HTTP/1.1 200"):
        raise Failed(f"an error at a fixed rate: {answer[:300]!r}")
    length = _LENGTH.search(head)
    return len(body) >= int(length.group(1)) if length else body.endswith(b"0\r\n\r\n")


@contextmanager
def _punctual() -> Iterator[None]:
    """No garbage collection, and timers that end when they should."""
    kernel = ctypes.CDLL(None)
    kernel.prctl(_PR_SET_TIMERSLACK, 1, 0, 0, 0)
    gc.disable()
    try:
        yield
    finally:
        gc.enable()
        kernel.prctl(_PR_SET_TIMERSLACK, _USUAL_SLACK, 0, 0, 0)
