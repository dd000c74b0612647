"""A provider that does everything wrong on demand, and keeps its own ledger of what it was asked and what it billed.

A raw asyncio server in a thread of its own: it writes bytes, so it can write wrong ones. The first part of a request's
path says how it behaves (`/reset-in-head/v1/chat/completions`), the rest which dialect is asked for. Each request that
came whole is one entry, by the marker (`marker-...`) in its body.
"""

from __future__ import annotations

import asyncio
import json
import re
import socket
import struct
import threading
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Self

INPUT_PRICE, OUTPUT_PRICE = 1_000_000, 2_000_000
"""Picodollars a token, as `deployment` configures them."""
_MARKER = re.compile(rb"marker-[\w.-]+")


@dataclass(eq=False)
class Received:
    """A request that came whole. `whole`: its answer was written to the end; `left`: the gateway closed before."""

    marker: str
    behaviour: str
    dialect: str
    stream: bool
    max_tokens: int | None
    input_tokens: int
    output_tokens: int
    headers: dict[str, str]
    whole: bool = False
    left: bool = False

    @property
    def picodollars(self) -> int:
        """What its usage costs."""
        return self.input_tokens * INPUT_PRICE + self.output_tokens * OUTPUT_PRICE


class Asked:
    """One request on one connection."""

    def __init__(self, upstream: FaultyUpstream, received: Received, writer: asyncio.StreamWriter) -> None:
        self.upstream, self.received, self.writer = upstream, received, writer

    async def send(self, data: bytes) -> None:
        """Write bytes."""
        self.writer.write(data)
        await self.writer.drain()

    def reset(self) -> None:
        """End the connection with a reset."""
        sock = self.writer.get_extra_info("socket")
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.writer.transport.abort()

    def body(self) -> bytes:
        """A whole answer in the dialect that was asked for."""
        received = self.received
        text = f"Answer to {received.marker}"
        if received.dialect == "messages":
            value: dict[str, Any] = {
                "id": f"msg_{received.marker}", "type": "message", "role": "assistant", "model": "fake",
                "content": [{"type": "text", "text": text}], "stop_reason": "end_turn", "stop_sequence": None,
                "usage": {"input_tokens": received.input_tokens, "output_tokens": received.output_tokens},
            }  # fmt: skip
        else:
            message = {"role": "assistant", "content": text}
            value = {
                "id": f"chatcmpl-{received.marker}", "object": "chat.completion", "created": 1, "model": "fake",
                "choices": [{"index": 0, "message": message, "finish_reason": "stop"}], "usage": self.usage(),
            }  # fmt: skip
        return json.dumps(value).encode()

    def usage(self) -> dict[str, int]:
        """The usage in OpenAI's words."""
        inward, outward = self.received.input_tokens, self.received.output_tokens
        return {"prompt_tokens": inward, "completion_tokens": outward, "total_tokens": inward + outward}

    def frames(self) -> list[bytes]:
        """A whole stream in the dialect that was asked for."""
        received = self.received
        if received.dialect == "messages":
            usage = {"input_tokens": received.input_tokens, "output_tokens": 1}
            message: dict[str, Any] = {
                "id": f"msg_{received.marker}", "type": "message", "role": "assistant", "model": "fake",
                "content": [], "stop_reason": None, "stop_sequence": None, "usage": usage,
            }  # fmt: skip
            text = [
                {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": word}}
                for word in ("Answer ", "to ", received.marker)
            ]
            events: list[dict[str, Any]] = [
                {"type": "message_start", "message": message},
                {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}},
                *text,
                {"type": "content_block_stop", "index": 0},
                {
                    "type": "message_delta",
                    "delta": {"stop_reason": "end_turn", "stop_sequence": None},
                    "usage": {"output_tokens": received.output_tokens},
                },
                {"type": "message_stop"},
            ]
            return [f"event: {event['type']}\ndata: {json.dumps(event)}\n\n".encode() for event in events]
        chunks: list[dict[str, Any]] = [
            {"choices": [{"index": 0, "delta": {"role": "assistant", "content": word}, "finish_reason": None}]}
            for word in ("Answer ", "to ", received.marker)
        ]
        chunks.append({"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]})
        chunks.append({"choices": [], "usage": self.usage()})
        same = {"id": f"chatcmpl-{received.marker}", "object": "chat.completion.chunk", "created": 1, "model": "fake"}
        return [*(b"data: %b\n\n" % json.dumps(same | each).encode() for each in chunks), b"data: [DONE]\n\n"]

    async def answer(self, pause: float = 0.0) -> None:
        """Answer well; `pause` seconds before it, or between the frames of a stream."""
        if self.received.stream:
            await self.send(STREAM_HEAD)
            for frame in self.frames():
                await self.send(chunk(frame))
                if pause:
                    await asyncio.sleep(pause)
            await self.send(b"0\r\n\r\n")
        else:
            if pause:
                await asyncio.sleep(pause)
            body = self.body()
            await self.send(whole_head(len(body)) + body)
        self.received.whole = True


STREAM_HEAD = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"


def chunk(data: bytes) -> bytes:
    """A piece of a chunked body."""
    return b"%x\r\n%b\r\n" % (len(data), data)


def whole_head(length: int, more: bytes = b"") -> bytes:
    """The head of a whole answer."""
    return b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\n%b\r\n" % (length, more)


Behaviour = Callable[[Asked], Awaitable[None]]


class FaultyUpstream:
    """The server. `behaviours` by their names; `ok` is there."""

    def __init__(self, **behaviours: Behaviour) -> None:
        self.behaviours: dict[str, Behaviour] = {"ok": Asked.answer, **behaviours}
        self.received: list[Received] = []
        self.connections = 0
        self.at_once = self.most_at_once = 0
        self.loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self.loop.run_forever, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        self._server = asyncio.run_coroutine_threadsafe(self._start(), self.loop).result()
        self.port: int = self._server.sockets[0].getsockname()[1]
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        asyncio.run_coroutine_threadsafe(self._stop(), self.loop).result()
        self.loop.call_soon_threadsafe(self.loop.stop)
        self._thread.join()
        self.loop.close()

    async def _start(self) -> asyncio.Server:
        return await asyncio.start_server(self._serve, "127.0.0.1", 0, limit=1 << 22, backlog=4096)

    async def _stop(self) -> None:
        self._server.close()
        tasks = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def url(self, behaviour: str = "ok") -> str:
        """The address of the provider that behaves so."""
        return f"http://127.0.0.1:{self.port}/{behaviour}"

    def deployment(self, name: str, behaviour: str = "ok", dialect: str = "chat", **more: Any) -> dict[str, Any]:
        """An entry of a configuration's `models`."""
        is_chat = dialect == "chat"
        return {
            "name": name,
            "model": "openai/fake" if is_chat else "anthropic/fake",
            "api_base": self.url(behaviour) + ("/v1" if is_chat else ""),
            "api_key": "fake-key-of-a-provider",
            "prices": {"input": 1, "output": 2},
            **more,
        }

    def of(self, marker: str) -> list[Received]:
        """What came with this marker."""
        return [one for one in self.received if one.marker == marker]

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        try:
            while True:
                asked = await self._read(reader, writer)
                await self._answer(asked, reader)
                if writer.is_closing():
                    return
        except (OSError, asyncio.IncompleteReadError, asyncio.CancelledError):
            pass
        finally:
            writer.close()

    async def _read(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> Asked:
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
        headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in head[1:] if line)}
        body = await reader.readexactly(int(headers.get("content-length", 0)))
        path = head[0].split(" ")[1]
        marker = _MARKER.search(body)
        value: Any = {}
        with suppress(ValueError):
            value = json.loads(body)
        if not isinstance(value, dict):
            value = {}
        number = len(self.received)
        most = value.get("max_tokens") or value.get("max_completion_tokens")
        if not isinstance(most, int):
            most = None
        output = 5 + number % 7
        received = Received(
            marker[0].decode() if marker else "",
            path.split("/")[1],
            "messages" if path.split("?")[0].endswith("/messages") else "chat",
            bool(value.get("stream")),
            most,
            10 + number % 13,
            output if most is None else min(output, most),
            headers,
        )
        self.received.append(received)
        return Asked(self, received, writer)

    async def _answer(self, asked: Asked, reader: asyncio.StreamReader) -> None:
        """Behave, and notice when the gateway leaves meanwhile."""
        self.at_once += 1
        self.most_at_once = max(self.most_at_once, self.at_once)
        work = asyncio.ensure_future(self.behaviours[asked.received.behaviour](asked))
        try:
            while not work.done():
                await asyncio.wait([work], timeout=0.02)
                if not work.done() and (reader.at_eof() or asked.writer.is_closing()):
                    asked.received.left = True
                    work.cancel()
            with suppress(asyncio.CancelledError):
                await work
        except OSError:
            asked.received.left = True
            raise
        finally:
            self.at_once -= 1
            work.cancel()
