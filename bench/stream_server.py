"""A server of one stream, for measuring clients: each chunk is written by itself, and nothing is computed while it is
served.
"""

from __future__ import annotations

import asyncio
import json
import sys
from typing import Any

_HEAD = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"


def _chunk(delta: dict[str, str], reason: str | None = None) -> bytes:
    choice = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": reason}
    chunk = {"id": "c", "object": "chat.completion.chunk", "created": 1, "model": "m", "choices": [choice]}
    return b"data: " + json.dumps(chunk).encode() + b"\n\n"


def pieces(chunks: int) -> list[bytes]:
    """The body of the answer, in pieces of chunked transfer encoding."""
    frames = [_chunk({"content": f"word{number} "}) for number in range(chunks)]
    frames += [_chunk({}, "stop"), b"data: [DONE]\n\n"]
    return [b"%x\r\n%b\r\n" % (len(frame), frame) for frame in frames]


async def _serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, body: list[bytes]) -> None:
    try:
        while True:
            head = (await reader.readuntil(b"\r\n\r\n")).lower()
            length = head.partition(b"content-length:")[2].partition(b"\r\n")[0]
            await reader.readexactly(int(length))
            writer.write(_HEAD)
            for piece in body:
                writer.write(piece)
                await writer.drain()
                await asyncio.sleep(0)
            writer.write(b"0\r\n\r\n")
            await writer.drain()
    except (asyncio.IncompleteReadError, ConnectionError):
        writer.close()


async def main(chunks: int) -> None:
    """Serve until killed; the port is the first line of output."""
    body = pieces(chunks)

    async def serve(reader: Any, writer: Any) -> None:
        await _serve(reader, writer, body)

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1])))
