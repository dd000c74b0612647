"""Driver: does what an exchange asks for, by callbacks. The gateway's counterpart of the SDK's two worlds.

A request that is relayed takes one turn through here: `Send`, and the reply. What takes longer to say than to do
(waiting, tokens, media, files) is handed to a task that the SDK's async world runs; only requests to providers are
done here, because they are all that nearly every call needs.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Generator, Iterator
from typing import Any

from penstock.exchange import Broken, Close, ReadOn, Reply, Send, Sleep, Success
from penstock.gateway.principal import Quota
from penstock.gateway.upstream import NetworkSettings, Ongoing

MOST_BYTES = 256 * 1024 * 1024
"""Bytes of an answer that is read whole: more than images and long lists of vectors have. (One that is passed on as it
comes may have any number.)
"""


class Wait:
    """A command of the gateway's own: draw a lease before the call can go on."""

    __slots__ = ("least", "quota", "wanted")

    def __init__(self, quota: Quota, wanted: int, least: int) -> None:
        self.quota, self.wanted, self.least = quota, wanted, least


class Headers(dict[str, str]):
    """Response headers with lower-case names, read from what came when somebody asks for one: most are never read. Of
    repeated ones the values are joined with a comma.
    """

    __slots__ = ("_raw",)

    def __init__(self, raw: list[tuple[bytes, bytes]]) -> None:
        self._raw: list[tuple[bytes, bytes]] | None = raw

    def _read(self) -> None:
        raw, self._raw = self._raw, None
        for name, value in raw or ():
            key, text = name.lower().decode("latin-1"), value.decode("latin-1")
            super().__setitem__(key, f"{super().__getitem__(key)}, {text}" if super().__contains__(key) else text)

    def get(self, key: str, default: Any = None) -> Any:
        if self._raw is not None:
            self._read()
        return super().get(key, default)

    def __getitem__(self, key: str) -> str:
        if self._raw is not None:
            self._read()
        return super().__getitem__(key)

    def __contains__(self, key: object) -> bool:
        if self._raw is not None:
            self._read()
        return super().__contains__(key)

    def __iter__(self) -> Iterator[str]:
        if self._raw is not None:
            self._read()
        return super().__iter__()

    def __len__(self) -> int:
        if self._raw is not None:
            self._read()
        return super().__len__()

    def items(self) -> Any:
        if self._raw is not None:
            self._read()
        return super().items()

    def keys(self) -> Any:
        if self._raw is not None:
            self._read()
        return super().keys()


class Piped:
    """The rest of a stream, for who consumes it by callbacks. Pieces that come before it is attached are kept; those
    that come later reach the consumer without a detour: from then on this is the receiver of the answer.
    """

    __slots__ = ("_kept", "_over", "_take", "data", "ongoing")

    data: Callable[[bytes], None]

    def __init__(self, ongoing: Ongoing | None) -> None:
        self.ongoing = ongoing
        self._kept: list[bytes] = []
        self._over: Broken | bool = False
        self._take: Callable[[bytes | Broken | None], None] | None = None

    def attach(self, take: Callable[[bytes | Broken | None], None]) -> None:
        """Call `take` with each piece, and at last with None (the end) or Broken."""
        self._take = take
        kept, self._kept = self._kept, []
        for piece in kept:
            take(piece)
        if self._over is not False:
            self._let_go()
            take(None if self._over is True else self._over)
        elif self.ongoing is not None:
            self.data = take
            self.ongoing.hand_over(self)

    def next(self, take: Callable[[bytes | Broken | None], None]) -> None:
        """Call `take` with the next piece only."""

        def once(piece: bytes | Broken | None) -> None:
            self._take = None
            take(piece)

        if self._kept:
            take(self._kept.pop(0))
        elif self._over is not False:
            take(None if self._over is True else self._over)
        else:
            self._take = once

    def push(self, piece: bytes) -> None:
        if self._take is None:
            self._kept.append(piece)
        else:
            self._take(piece)

    def finish(self, over: Broken | bool) -> None:
        self._over = over
        take = self._take
        self._let_go()
        if take is not None:
            take(over if isinstance(over, Broken) else None)

    def head(self, status: int, headers: list[tuple[bytes, bytes]]) -> None:
        """It was heard before there was a stream."""

    def end(self) -> None:
        self.finish(True)

    def broken(self, why: Broken) -> None:
        self.finish(why)

    def slow(self, slow: bool) -> None:
        """The reader does not keep up, or does again."""
        ongoing = self.ongoing
        if ongoing is not None and self._over is False:
            if slow:
                ongoing.pause()
            else:
                ongoing.resume()

    def close(self) -> None:
        """Nobody wants the rest."""
        self._let_go()
        if self._over is False and self.ongoing is not None:
            self.ongoing.cancel()
            self._over = True

    def _let_go(self) -> None:
        """Forget the consumer, which refers back: it is freed at once and not by the collector."""
        self._take = None
        self.data = _to_nobody


def _to_nobody(data: bytes) -> None:
    """What comes after the end, or after nobody wants the rest."""


class Driver:
    """Drives one exchange, and receives the answers that it waits for. Whose call it is says (in a subclass) what to do
    when a request leaves (`sending`), and when the exchange is over (`succeeded`, `failed`).
    """

    plane: Any
    ongoing: Ongoing | None = None
    _run: Generator[Any, Any, Success[Any]] | None = None
    _piped: Piped | None = None
    _task: asyncio.Task[None] | None = None
    _body: list[bytes]
    _streams: bool
    _status: int
    _raw_headers: list[tuple[bytes, bytes]]

    def sending(self, send: Send) -> NetworkSettings:
        """A request is about to leave: write it down. Raises where that cannot be done."""
        raise NotImplementedError

    def succeeded(self, success: Success[Any]) -> None:
        """The exchange is over."""
        raise NotImplementedError

    def failed(self, error: BaseException) -> None:
        """The exchange is over, in vain."""
        raise NotImplementedError

    def drive(self, run: Generator[Any, Any, Success[Any]]) -> None:
        """Begin."""
        self._run = run
        self._tell(None)

    def take_over(self, run: Generator[Any, Any, Success[Any]], ongoing: Ongoing) -> None:
        """Go on where another has sent the request that `run` waits for: its answer comes here."""
        self._run, self.ongoing = run, ongoing
        self._body, self._streams = [], False
        ongoing.hand_over(self)

    def give_up_driving(self) -> None:
        """Nobody wants the answer: stop whatever is under way."""
        run, self._run = self._run, None
        if run is None:
            return
        if self._task is not None:
            self._task.cancel()
        if self._piped is not None:
            self._piped.close()
        elif self.ongoing is not None:
            self.ongoing.cancel()
        run.close()

    def _tell(self, event: Any) -> None:
        """Tell the exchange what came of its command, and do the next."""
        run = self._run
        if run is None:
            return
        try:
            command = run.send(event)
            if type(command) is Send:
                network = self.sending(command)
        except StopIteration as done:
            self._run = None
            self.succeeded(done.value)
            return
        except Exception as error:
            self._run = None
            run.close()
            self.failed(error)
            return
        if type(command) is Send:
            self._body = []
            self._streams = command.stream
            upstream = self.plane.upstream
            self.ongoing = upstream.send(command.request, command.timeouts, command.seconds_left, network, self)
        else:
            self._rarely(command)

    def _rarely(self, command: Any) -> None:
        kind, loop = type(command), asyncio.get_running_loop()
        if kind is ReadOn:
            command.stream.next(self._read_on)
        elif kind is Close:
            command.stream.close()
            loop.call_soon(self._tell, None)
        elif kind is Sleep:
            loop.call_later(command.seconds, self._tell, None)
        elif kind is Wait:
            self.plane.leases.draw(command.quota, command.wanted, command.least, self._drawn)
        else:
            self._task = loop.create_task(self._do(command))

    def _drawn(self) -> None:
        self._tell(None)

    def _read_on(self, piece: bytes | Broken | None) -> None:
        self._tell(b"" if piece is None else piece)

    async def _do(self, command: Any) -> None:
        event = await self.plane.world().do(command)
        self._task = None
        self._tell(event)

    # -- the receiver of an answer

    def head(self, status: int, headers: list[tuple[bytes, bytes]]) -> None:
        self._status = status
        self._raw_headers = headers
        self._piped = Piped(self.ongoing) if self._streams and status < 400 else None

    def data(self, data: bytes) -> None:
        body = self._body
        if body is _PASSED_ON:
            if self._piped is not None:
                self._piped.push(data)
        elif self._piped is None:
            body.append(data)
            pieces = len(body)
            if pieces >= 64 and not pieces & (pieces - 1):  # a look at each doubling
                self._bound(body)
        else:
            self._body = _PASSED_ON
            self._tell(Reply(self._status, Headers(self._raw_headers), data, self._piped))

    def _bound(self, body: list[bytes]) -> None:
        """Leave a provider whose answer does not end: it is kept whole, and a worker has many."""
        if sum(map(len, body)) > MOST_BYTES and self.ongoing is not None:
            self.ongoing.cancel()
            self._body = []
            self._tell(Broken("read", f"the answer is longer than {MOST_BYTES:,} bytes", sent=True))

    def end(self) -> None:
        body, piped = self._body, self._piped
        if piped is not None:
            piped.finish(True)
            if body is _PASSED_ON:
                return
            self._body = _PASSED_ON
        whole = body[0] if len(body) == 1 else b"".join(body)
        self._tell(Reply(self._status, Headers(self._raw_headers), whole, piped))

    def broken(self, why: Broken) -> None:
        if self._body is _PASSED_ON:
            if self._piped is not None:
                self._piped.finish(why)
        else:
            self._tell(why)


_PASSED_ON: list[bytes] = []
"""Stands for the body of an answer that is passed on as it comes."""
