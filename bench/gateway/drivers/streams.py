"""Answers in pieces: many streams open at once, and what their readers see of them.

Some are *watched*: read when something comes, each chunk set against the time that the mock stamped it with. The others
are only drained, about once a second: so that thousands can be open while the reader takes little of the core that it
shares with the mock; and each of them must have brought something since the last time.
"""

from __future__ import annotations

import select
import socket
import time
from collections.abc import Sequence
from dataclasses import dataclass, field

from bench.gateway.mock.streams import STAMP
from bench.gateway.peers.peer import Target
from bench.gateway.processes import Failed

_DRAIN_EVERY = 1.0  # seconds
_END = b"\r\n0\r\n\r\n"  # the last piece of chunked transfer encoding: who leaves before it has left too early


@dataclass(slots=True)
class Seen:
    """What came in a while, of watched streams in seconds: `delays` of a chunk on its way from the mock, `gaps` between
    two arrivals in one stream. `starved` are streams that brought nothing for a second.
    """

    chunks: int = 0
    delays: list[float] = field(default_factory=list)
    gaps: list[float] = field(default_factory=list)
    starved: int = 0
    ended: int = 0


class _Reader:
    """A connection with its stream."""

    __slots__ = ("begun", "last", "rest", "socket")

    def __init__(self, target: Target, request: bytes) -> None:
        self.socket = socket.create_connection(("127.0.0.1", target.port), timeout=30)
        self.socket.send(request)
        self.socket.setblocking(False)
        self.rest, self.last, self.begun = b"", 0, False

    def read(self) -> bytes | None:
        """What has come: nothing yet is b"", and the end of the connection None."""
        try:
            data = self.socket.recv(262_144)
        except BlockingIOError:
            return b""
        except OSError:
            return None
        return data or None


class Streams:
    """So many streams of one target, open at once; `watched` of them are watched."""

    def __init__(self, target: Target, count: int, watched: int) -> None:
        request = target.raw()
        readers: list[_Reader] = []
        try:
            for _ in range(count):
                readers.append(_Reader(target, request))
        except OSError as error:
            for reader in readers:
                reader.socket.close()
            raise Failed(f"only {len(readers)} of {count} streams could be opened: {error}") from error
        step = max(1, count // max(1, watched))
        self._watched = {reader.socket.fileno(): reader for reader in readers[::step][:watched]}
        chosen = set(self._watched)
        self._others = [reader for reader in readers if reader.socket.fileno() not in chosen]
        self._poll = select.epoll()
        for number in self._watched:
            self._poll.register(number, select.EPOLLIN)

    def wait_until_begun(self, seconds: float = 60.0) -> None:
        """Return when every stream has brought a chunk; raises Failed when one is refused or does not begin."""
        until = time.monotonic() + seconds
        missing: Sequence[_Reader] = [*self._watched.values(), *self._others]
        while missing:
            for reader in missing:
                data = reader.read()
                if data is None or (data and not reader.rest and not data.startswith(b"HTTP/1.1 200")):
                    raise Failed(f"a stream was refused: {data!r:.300}")
                reader.rest += data
                reader.begun = STAMP.search(reader.rest) is not None
                reader.rest = reader.rest[-400:] if reader.begun else reader.rest
            missing = [reader for reader in missing if not reader.begun]
            if time.monotonic() > until:
                raise Failed(f"{len(missing)} streams have not begun after {seconds:g} s")
            time.sleep(0.005)

    def watch(self, seconds: float) -> Seen:
        """Read for so long."""
        seen = Seen()
        now = time.monotonic()
        until = now + seconds
        drains = _Drains(self._others, now)
        while now < until:
            for number, _ in self._poll.poll(max(0.001, min(until, drains.next) - now)):
                self._arrived(self._watched[number], seen)
            now = time.monotonic()
            drains.turn(now, seen)
        return seen

    def _arrived(self, reader: _Reader, seen: Seen) -> None:
        data = reader.read()
        if data is None:
            self._ended(reader, seen)
            return
        data = reader.rest + data
        at, now = 0, time.monotonic_ns()
        for stamp in STAMP.finditer(data):
            at = stamp.end()
            seen.chunks += 1
            seen.delays.append((now - int(stamp.group(1), 16)) / 1e9)
        if at:
            if reader.last:
                seen.gaps.append((now - reader.last) / 1e9)
            reader.last = now
        reader.rest = data[at:]
        if reader.rest.endswith(_END):
            self._ended(reader, seen)

    def _ended(self, reader: _Reader, seen: Seen) -> None:
        seen.ended += 1
        self._poll.unregister(reader.socket.fileno())
        del self._watched[reader.socket.fileno()]
        reader.socket.close()

    def finish(self, seconds: float = 5.0) -> int:
        """Read to the ends for at most so long and close everything; how many had not ended."""
        seen, until = Seen(), time.monotonic() + seconds
        while self._watched and time.monotonic() < until:
            for number, _ in self._poll.poll(0.1):
                self._arrived(self._watched[number], seen)
        left = len(self._watched)
        self.close()
        return left

    def close(self) -> None:
        """Leave all streams as they are."""
        for reader in (*self._watched.values(), *self._others):
            reader.socket.close()
        self._watched, self._others = {}, []
        self._poll.close()


class _Drains:
    """The streams that are not watched, in turns over a second."""

    def __init__(self, readers: Sequence[_Reader], now: float) -> None:
        self._readers, self._at = readers, 0
        self._each = _DRAIN_EVERY / max(1, len(readers))
        self.next = now + (self._each if readers else 1e9)
        self._rounds = 0

    def turn(self, now: float, seen: Seen) -> None:
        """Drain those whose turn it is."""
        while self.next <= now:
            data = self._readers[self._at].read()
            if data is None:
                seen.ended += 1
            elif not data and self._rounds:
                seen.starved += 1
            seen.chunks += len(STAMP.findall(data or b""))
            self._at = (self._at + 1) % len(self._readers)
            self._rounds += self._at == 0
            self.next += self._each
