"""100 concurrent streams of 500 chunks: the CPU time of `acompletion` against that of the bare transport reading the
same bytes, in turns, the server in another process.
"""

from __future__ import annotations

import asyncio
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable
from statistics import median

import httpx

from bench.figures import Figure
from penstock import acompletion

STREAMS, CHUNKS, ROUNDS = 100, 500, 5
_MESSAGES = [{"role": "user", "content": "go"}]
_BODY = {"model": "m", "messages": _MESSAGES, "stream": True}


async def _bare(client: httpx.AsyncClient, url: str) -> int:
    size = 0
    async with client.stream("POST", f"{url}/chat/completions", json=_BODY) as response:
        async for piece in response.aiter_bytes():
            size += len(piece)
    return size


async def _penstock(client: httpx.AsyncClient, url: str) -> int:
    stream = await acompletion(
        "openai/m", _MESSAGES, stream=True, api_base=url, api_key="fake", client=client, num_retries=0
    )
    count = 0
    async for _ in stream:  # type: ignore[union-attr]  # a stream was asked for
        count += 1
    return count


async def _round(work: Callable[[httpx.AsyncClient, str], Awaitable[int]], url: str) -> float:
    """CPU seconds of this process for all streams at once, a warm connection each."""
    limits = httpx.Limits(max_connections=STREAMS, max_keepalive_connections=STREAMS)
    async with httpx.AsyncClient(limits=limits, timeout=60) as client:
        await asyncio.gather(*(_bare(client, url) for _ in range(STREAMS)))
        began = time.process_time()
        await asyncio.gather(*(work(client, url) for _ in range(STREAMS)))
        return time.process_time() - began


def figures() -> list[Figure]:
    """The line of the table."""
    command = [sys.executable, "-m", "bench.stream_server", str(CHUNKS)]
    server = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    try:
        assert server.stdout is not None
        url = f"http://127.0.0.1:{int(server.stdout.readline())}/v1"
        ratios, costs = [], []
        for _ in range(ROUNDS):
            bare = asyncio.run(_round(_bare, url))
            ours = asyncio.run(_round(_penstock, url))
            ratios.append(ours / bare)
            costs.append((ours - bare) / STREAMS / CHUNKS * 1e6)
    finally:
        server.terminate()
        server.wait()
    name = f"{STREAMS} acompletion streams of {CHUNKS} chunks, CPU over bare httpx"
    return [
        Figure(name, 1.5, median(ratios), "x"),
        Figure("... which is, a chunk, in CPU time", 20, median(costs), "us"),
    ]
