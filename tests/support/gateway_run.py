"""A real gateway with a state directory, and raw clients: what a test of faults needs to hurt it and to ask it."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast
from urllib.parse import urlsplit

import httpx

from tests.e2e.gateway import KEY, Running, environment_for, serving


@contextmanager
def gateway(
    folder: Path, models: list[dict[str, Any]], *, workers: int = 2, environment: dict[str, str] | None = None,
    arguments: tuple[str, ...] = (), **sections: Any
) -> Iterator[Gateway]:  # fmt: skip
    """A gateway in front of these models; its state is in `folder`, where a next one finds it."""
    config = folder / "penstock.yaml"
    config.write_text(json.dumps({"models": models, **sections}))
    options = ("--config", str(config), "--workers", str(workers), "--state-dir", str(folder / "state"), *arguments)
    with serving(environment_for(None, PENSTOCK_MASTER_KEY=KEY, **(environment or {})), *options) as running:
        yield Gateway(running)


@dataclass
class Gateway:
    """A gateway that runs."""

    running: Running

    @property
    def port(self) -> int:
        """Where it listens on 127.0.0.1."""
        port = urlsplit(self.running.url).port
        assert port is not None
        return port

    def manage(self, method: str, path: str, body: Any = None, *, key: str = KEY, status: int = 200) -> Any:
        """Ask the management API."""
        answer = httpx.request(
            method, self.running.url + path, headers={"authorization": f"Bearer {key}"}, json=body, timeout=30
        )
        assert answer.status_code == status, answer.text
        return answer.json()

    def key(self, **limits: Any) -> str:
        """A new virtual key."""
        made: str = self.manage("POST", "/key/generate", limits)["key"]
        return made

    def rows(self) -> list[dict[str, Any]]:
        """All rows of the ledger, at one moment: pages shift when a row comes while they are read."""
        while True:
            pages = [self._page(1)]
            while len(pages) < pages[0]["total_pages"]:
                pages.append(self._page(len(pages) + 1))
            if len({page["total"] for page in pages}) == 1:
                return [row for page in pages for row in page["data"]]

    def _page(self, number: int) -> dict[str, Any]:
        page: dict[str, Any] = self.manage("GET", f"/spend/logs/v2?page_size=1000&page={number}")
        return page

    def rows_when(self, right: Callable[[list[dict[str, Any]]], bool], seconds: float = 10.0) -> list[dict[str, Any]]:
        """The rows, as soon as they are as they should be (the ledger is written a moment after the answer)."""
        until = time.monotonic() + seconds
        while not right(rows := self.rows()) and time.monotonic() < until:
            time.sleep(0.05)
        return rows

    def children(self) -> dict[str, int]:
        """The gateway's processes: their numbers by their names (keeper, w1, w2)."""
        found = {}
        for path in Path("/proc").glob("[0-9]*/stat"):
            try:
                name, rest = path.read_text().split("(", 1)[1].rsplit(")", 1)
            except OSError:
                continue
            state, parent = rest.split()[:2]
            if int(parent) == self.running.process.pid and state != "Z":
                found[name.removeprefix("penstock-")] = int(path.parent.name)
        return found

    def kill(self, name: str) -> int:
        """Kill a process with -9; its number."""
        number = self.children()[name]
        os.kill(number, signal.SIGKILL)
        return number

    def stop(self) -> int:
        """SIGTERM; the exit status."""
        return self.running.stop(signal.SIGTERM)


def measured(text: str) -> None:
    """Tell a figure to who looks (`pytest -s`): no test asserts it."""
    sys.stdout.write(f"{text}\n")


async def until(true: Callable[[], Any], seconds: float = 10.0) -> None:
    """`wait_until`, beside other tasks."""
    async with asyncio.timeout(seconds):
        while not true():  # noqa: ASYNC110  # what is waited for is in another thread or process
            await asyncio.sleep(0.01)


def wait_until(true: Callable[[], Any], seconds: float = 10.0, what: str = "") -> float:
    """Wait until something is so; the seconds that it took. Fails after `seconds`."""
    began = time.monotonic()
    while not true():
        assert time.monotonic() - began < seconds, what or "it took too long"
        time.sleep(0.01)
    return time.monotonic() - began


@dataclass
class Answer:
    """What a raw client read. status 0: nothing; `whole`: to its announced end."""

    status: int = 0
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""
    whole: bool = False
    error: str = ""

    @property
    def json(self) -> Any:
        """The body."""
        return json.loads(self.body)


def chat(marker: str, model: str = "ok", **more: Any) -> dict[str, Any]:
    """A chat request; Messages' too."""
    return {"model": model, "messages": [{"role": "user", "content": f"Hello marker-{marker}"}], **more}


def raw(path: str, body: Any, key: str = KEY, more: str = "") -> bytes:
    """A request as bytes."""
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    head = f"POST {path} HTTP/1.1\r\nhost: gateway\r\nauthorization: Bearer {key}\r\n{more}content-length: {len(data)}"
    return head.encode("latin-1") + b"\r\ncontent-type: application/json\r\n\r\n" + data


CHAT, MESSAGES = "/v1/chat/completions", "/v1/messages"


class Client:
    """A connection of a raw client."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer

    @classmethod
    async def open(cls, port: int, **more: Any) -> Client:
        """A fresh connection."""
        return cls(*await asyncio.open_connection("127.0.0.1", port, limit=1 << 22, **more))

    async def ask(self, request: bytes) -> Answer:
        """Send, and read the answer as far as it comes."""
        answer = Answer()
        try:
            self.writer.write(request)
            await self.read_head(answer)
            await self.read_body(answer)
        except (OSError, asyncio.IncompleteReadError) as error:
            answer.error = repr(error)
        return answer

    async def read_head(self, answer: Answer) -> None:
        """Read status and headers."""
        lines = (await self.reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
        answer.status = int(lines[0].split(" ")[1])
        answer.headers = {name.lower(): value.strip() for name, _, value in (each.partition(":") for each in lines[1:])}

    async def read_body(self, answer: Answer) -> None:
        """Read the body."""
        if "content-length" in answer.headers:
            answer.body = await self.reader.readexactly(int(answer.headers["content-length"]))
        else:
            while piece := await self.read_chunk():
                answer.body += piece
        answer.whole = True

    async def read_chunk(self) -> bytes:
        """A piece of a chunked body; empty at its end."""
        size = int(await self.reader.readuntil(b"\r\n"), 16)
        return (await self.reader.readexactly(size + 2))[:-2]

    def read_nothing(self) -> None:
        """Leave what comes where it is."""
        cast(asyncio.Transport, self.writer.transport).pause_reading()

    def close(self) -> None:
        """Leave."""
        self.writer.transport.abort()


async def ask(port: int, path: str, body: Any, key: str = KEY, more: str = "") -> Answer:
    """Ask over a fresh connection."""
    try:
        client = await Client.open(port)
    except OSError as error:
        return Answer(error=repr(error))
    try:
        return await client.ask(raw(path, body, key, more))
    finally:
        client.close()
