"""The upstream of streams, as a process: `python -m bench.gateway.mock.stream_server PORT`.

Streams of one pace share a wheel: a turn takes as long as the interval between two chunks, each slot holds the streams
whose turn has come, and a tick writes one chunk, stamped once, straight to the sockets of its slot. So a chunk costs
little more than its system call, and a chunk that is late is stamped when it was written, not when it was due.
"""

from __future__ import annotations

import asyncio
import gc
import json
import os
import re
import resource
import sys
import time
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httptools
import uvloop

from bench.gateway import messages

_STREAM = re.compile(rb'"stream"\s*:\s*true')
_USAGE = re.compile(rb'"include_usage"\s*:\s*true')
_HEAD = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream; charset=utf-8\r\ntransfer-encoding: chunked\r\n\r\n"
_END = b"0\r\n\r\n"
_TICK = 0.001  # seconds; finer than what the loop's timers resolve would be busy waiting


def frame(delta: dict[str, str], reason: str | None = None, usage: dict[str, int] | None = None) -> bytes:
    """An event of a Chat Completions stream, as a piece of chunked transfer encoding."""
    value: dict[str, Any] = {
        "id": "chatcmpl-bench",
        "object": "chat.completion.chunk",
        "created": 1_760_000_000,
        "model": messages.MODEL,
        "system_fingerprint": "fp_bench",
        "choices": [{"index": 0, "delta": delta, "logprobs": None, "finish_reason": reason}],
    }
    if usage is not None:
        value |= {"choices": [], "usage": usage}
    return piece(b"data: " + json.dumps(value, separators=(",", ":")).encode() + b"\n\n")


def piece(data: bytes) -> bytes:
    """Bytes as a piece of chunked transfer encoding."""
    return b"%x\r\n%b\r\n" % (len(data), data)


_BEFORE, _AFTER = frame({"content": " " + "0" * 16}).split(b"0" * 16)
_FIRST = _HEAD + frame({"role": "assistant", "content": ""})
_DONE = piece(b"data: [DONE]\n\n")


def stamped() -> bytes:
    """A chunk that says when it was made."""
    return b"%b%016x%b" % (_BEFORE, time.monotonic_ns(), _AFTER)


def ending(chunks: int, with_usage: bool) -> bytes:
    """What follows the last chunk."""
    total = messages.INPUT_TOKENS + chunks
    usage = {"prompt_tokens": messages.INPUT_TOKENS, "completion_tokens": chunks, "total_tokens": total}
    return frame({}, "stop") + (frame({}, None, usage) if with_usage else b"") + _DONE + _END


class Mock:
    """What all connections share: the pace, the wheels, the counts."""

    def __init__(self) -> None:
        self.chunks, self.interval = 4, 0.0
        self.wheels: dict[float, Wheel] = {}
        self.requests = self.opened = self.finished = self.cut = self.written = 0
        self.unread: set[Stream] = set()

    def set_pace(self, chunks: int, interval: float) -> None:
        """Of streams that begin from now on."""
        self.chunks, self.interval = chunks, interval
        for wheel in self.wheels.values():
            wheel.late = 0.0

    def counts(self) -> dict[str, float]:
        """The fields of streams.Counts."""
        return {
            "requests": self.requests,
            "opened": self.opened,
            "finished": self.finished,
            "cut": self.cut,
            "chunks": self.written,
            "late": max((wheel.late for wheel in self.wheels.values()), default=0.0),
            "unread": sum(len(stream.pending) for stream in self.unread),
        }

    def begin(self, stream: Stream) -> None:
        """Write the beginning of a stream, and all of it or its turn on the wheel."""
        self.opened += 1
        if not self.interval:
            self.written += stream.left
            stream.write(_FIRST + stamped() * stream.left + stream.end)
            stream.left = 0
            self.ended(stream)
            return
        stream.write(_FIRST)
        if self.interval not in self.wheels:
            self.wheels[self.interval] = Wheel(self, self.interval)
        self.wheels[self.interval].add(stream)

    def ended(self, stream: Stream) -> None:
        """All of it is written."""
        stream.over = True
        self.finished += 1


class Wheel:
    """The streams of one pace."""

    def __init__(self, mock: Mock, interval: float) -> None:
        self._mock = mock
        self._slots: list[list[Stream]] = [[] for _ in range(max(1, round(interval / _TICK)))]
        self._tick = interval / len(self._slots)
        self.late = 0.0  # seconds
        self._task = asyncio.get_running_loop().create_task(self._turn())

    def add(self, stream: Stream) -> None:
        """Give it the slot that has the fewest."""
        min(self._slots, key=len).append(stream)

    async def _turn(self) -> None:
        loop = asyncio.get_running_loop()
        due, at = loop.time(), 0
        while True:
            due += self._tick
            if (early := due - loop.time()) > 0:
                await asyncio.sleep(early)
            self.late = max(self.late, loop.time() - due)
            if streams := self._slots[at]:
                self._write(streams, at)
            at = (at + 1) % len(self._slots)
            if early <= 0:
                await asyncio.sleep(0)  # behind: others may run all the same

    def _write(self, streams: list[Stream], at: int) -> None:
        chunk, over = stamped(), False
        for stream in streams:
            if stream.gone:
                over = True
                continue
            stream.write(chunk)
            stream.left -= 1
            if stream.left == 0:
                stream.write(stream.end)
                self._mock.ended(stream)
            over = over or stream.over
        self._mock.written += len(streams)
        if over:
            self._slots[at] = [stream for stream in streams if not stream.over and not stream.gone]


class Stream:
    """One answer under way. `pending` is what its socket did not take; `over`: all is written; `gone`: its connection
    is lost, and its socket's number may be another's by now.
    """

    __slots__ = ("end", "gone", "left", "mock", "over", "pending", "socket")

    def __init__(self, mock: Mock, socket: int, with_usage: bool) -> None:
        self.mock, self.socket, self.left = mock, socket, mock.chunks
        self.end = ending(mock.chunks, with_usage)
        self.pending = b""
        self.over = self.gone = False

    def write(self, data: bytes) -> None:
        """Write what the socket takes, and the rest when it takes more."""
        if self.gone:
            return
        if self.pending:
            self.pending += data
            return
        try:
            taken = os.write(self.socket, data)
        except BlockingIOError:
            taken = 0
        except OSError:  # gone; connection_lost follows
            return
        if taken < len(data):
            self.pending = data[taken:]
            self.mock.unread.add(self)
            asyncio.get_running_loop().call_later(0.005, self._again)

    def _again(self) -> None:
        data, self.pending = self.pending, b""
        self.mock.unread.discard(self)
        self.write(data)


class Connection(asyncio.Protocol):
    """A connection of a peer: one request after the other."""

    def __init__(self, mock: Mock) -> None:
        self._mock = mock
        self._parser = httptools.HttpRequestParser(self)
        self._stream: Stream | None = None
        self._url, self._body = b"", b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport
        self._socket: int = transport.get_extra_info("socket").fileno()

    def data_received(self, data: bytes) -> None:
        self._parser.feed_data(data)

    def connection_lost(self, exc: Exception | None) -> None:
        stream = self._stream
        if stream is None:
            return
        stream.gone = True
        self._mock.cut += not stream.over
        self._mock.unread.discard(stream)

    def on_message_begin(self) -> None:
        self._url, self._body = b"", b""

    def on_url(self, url: bytes) -> None:
        self._url += url

    def on_body(self, body: bytes) -> None:
        self._body += body

    def on_message_complete(self) -> None:
        url = urlsplit(self._url.decode())
        if url.path in ("/pace", "/counts"):
            return self._control(url.path, parse_qs(url.query))
        self._mock.requests += 1
        if _STREAM.search(self._body):
            self._stream = Stream(self._mock, self._socket, _USAGE.search(self._body) is not None)
            self._mock.begin(self._stream)
        else:
            self._answer(messages.chat_answer())
        return None

    def _control(self, path: str, query: dict[str, list[str]]) -> None:
        if path == "/pace":
            self._mock.set_pace(int(query["chunks"][0]), float(query["interval"][0]))
        self._answer(json.dumps(self._mock.counts()).encode())

    def _answer(self, body: bytes) -> None:
        head = f"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {len(body)}\r\n\r\n"
        os.write(self._socket, head.encode() + body)


async def serve(port: int) -> None:
    """Serve until killed."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    mock = Mock()
    server = await asyncio.get_running_loop().create_server(lambda: Connection(mock), "127.0.0.1", port, backlog=16384)
    gc.freeze()
    await server.serve_forever()


if __name__ == "__main__":
    uvloop.run(serve(int(sys.argv[1])))
