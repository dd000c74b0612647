"""What is sent to a gateway to break it: smuggled and mutated requests, headers in names, idle connections."""

from __future__ import annotations

import asyncio
import json
import os
import random
import resource
import socket
from collections import Counter
from collections.abc import Iterator
from typing import Any

import pytest

from tests.support.faulty_upstream import FaultyUpstream
from tests.support.gateway_run import CHAT, MESSAGES, Client, Gateway, ask, chat, gateway, measured, raw

REQUESTS = int(os.environ.get("PENSTOCK_FAULT_REQUESTS", "2000"))
CONNECTIONS = int(os.environ.get("PENSTOCK_FAULT_CONNECTIONS", "1000"))


@pytest.fixture(scope="module")
def upstream() -> Iterator[FaultyUpstream]:
    with FaultyUpstream() as server:
        yield server


@pytest.fixture(scope="module")
def running(upstream: FaultyUpstream, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    models = [
        upstream.deployment("ok"),
        upstream.deployment("claude", dialect="messages"),
        upstream.deployment("any/*") | {"model": "openai/*"},
    ]
    with gateway(tmp_path_factory.mktemp("hostile"), models, routing={"retries": 0}) as one:
        yield one


INNER = raw(CHAT, chat("smuggled"))
_BODY = json.dumps(chat("outer")).encode()
_HEAD = b"POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\nauthorization: Bearer sk-fake-master-key-for-tests\r\n"


def _with(lines: bytes, body: bytes) -> bytes:
    return _HEAD + lines + b"\r\n" + body


SMUGGLED = {
    "two lengths": _with(b"content-length: 4\r\ncontent-length: %d\r\n" % len(INNER), INNER),
    "two lengths in one": _with(b"content-length: 4, %d\r\n" % len(INNER), INNER),
    "length and chunked": _with(b"content-length: 4\r\ntransfer-encoding: chunked\r\n", b"0\r\n\r\n" + INNER),
    "chunked twice": _with(b"transfer-encoding: chunked\r\ntransfer-encoding: identity\r\n", b"0\r\n\r\n" + INNER),
    "chunked, misspelt": _with(b"transfer-encoding: xchunked\r\n", b"0\r\n\r\n" + INNER),
    "a space before the colon": _with(b"content-length : 0\r\n", INNER),
    "a bare line feed": _HEAD.replace(b"\r\n", b"\n") + b"content-length: 0\n\n" + INNER,
    "a folded header": _with(b"x-a: 1\r\n content-length: 0\r\n", INNER),
    "a bad chunk size": _with(b"transfer-encoding: chunked\r\n", b"0x5\r\nhello\r\n0\r\n\r\n" + INNER),
    "a huge chunk size": _with(b"transfer-encoding: chunked\r\n", b"ffffffffffffffff1\r\nhello\r\n0\r\n\r\n" + INNER),
    "a negative length": _with(b"content-length: -1\r\n", INNER),
    "a length with a sign": _with(b"content-length: +5\r\n", INNER),
    "two hosts": _with(b"host: y\r\ncontent-length: 0\r\n", INNER),
    "NUL": _with(b"x-a: a\x00b\r\ncontent-length: 0\r\n", INNER),
}


@pytest.mark.parametrize("case", SMUGGLED)
def test_a_smuggled_request_reaches_nobody(running: Gateway, upstream: FaultyUpstream, case: str) -> None:
    async def run() -> bytes:
        client = await Client.open(running.port)
        client.writer.write(SMUGGLED[case])
        said = await asyncio.wait_for(client.reader.read(), 10)
        client.close()
        return said

    said = asyncio.run(run())
    assert said.startswith(b"HTTP/1.1 400 "), said[:200]
    assert said.count(b"HTTP/1.1 ") == 1, "one answer, and the connection ends"
    assert not upstream.of("marker-smuggled")


NAMES = [
    "any/a\r\nx-evil: 1",
    "any/a\nx-evil: 1",
    "any/\r\n\r\nHTTP/1.1 200 OK",
    "any/\x00\x1b[31m",
    "any/ü€𝄞",
    "any/\ud800",
]


@pytest.mark.parametrize("name", NAMES, ids=range(len(NAMES)))
@pytest.mark.parametrize("path", [CHAT, MESSAGES])
def test_a_model_name_puts_no_header_anywhere(running: Gateway, upstream: FaultyUpstream, name: str, path: str) -> None:
    before = len(upstream.received)
    answer = asyncio.run(ask(running.port, path, chat("named", name)))
    assert answer.whole and (answer.status == 200 or 400 <= answer.status < 500)
    assert "x-evil" not in answer.headers
    assert all("x-evil" not in one.headers for one in upstream.received[before:])
    if answer.status != 200:
        assert answer.json["error"]["message"]


@pytest.mark.parametrize("key", ["a\rb", "sk-\x7f", "ü", "a" * 60_000, "' or 1=1 --", "\xff\xfe", ""])
def test_a_key_is_nothing_but_a_key(running: Gateway, key: str) -> None:
    answer = asyncio.run(ask(running.port, CHAT, chat("keyed"), key))
    assert answer.status in (400, 401)
    assert key not in answer.headers.values() or not key


def mutated(chance: random.Random, seeds: list[bytes]) -> bytes:
    """A request with some of its bytes exchanged, doubled, dropped, cut off, or put into another."""
    data = bytearray(chance.choice(seeds))
    for _ in range(chance.randint(0, 6)):
        at, to = sorted(chance.randrange(len(data) + 1) for _ in range(2))
        match chance.randrange(6):
            case 0 if at < len(data):
                data[at] = chance.randrange(256)
            case 1:
                data[at:at] = data[at : min(to, at + 40)]
            case 2:
                del data[at : min(to, at + 20)]
            case 3:
                data[at:at] = chance.choice(_PIECES)
            case 4:
                other = chance.choice(seeds)
                data[at:] = other[chance.randrange(len(other)) :]
            case _ if chance.random() < 0.2:
                del data[at:]
        if not data:
            break
    return bytes(data)


_PIECES = (
    *(b"\r\n", b"\r\n\r\n", b"\x00", b"\xff", b'"', b"{", b"[" * 50, b"}", b"null", b"-1", b"1e999", b"%00"),
    *(
        b"\\ud800",
        b"transfer-encoding: chunked\r\n",
        b"content-length: 5\r\n",
        b"true",
        b"../",
        b":",
        b",",
        b'"stream":true,',
    ),
)


def seeds() -> list[bytes]:
    """Requests for many of the paths."""
    tool = {"type": "function", "function": {"name": "f", "parameters": {}}}
    parts = [{"role": "user", "content": [{"type": "text", "text": "marker-seed"}]}]
    bodies: list[Any] = [
        *(chat("seed", stream=True, max_tokens=5), chat("seed", "claude"), chat("seed", tools=[tool])),
        {**chat("seed"), "model": ["ok"], "stream": "yes"},
        *({"model": "ok", "messages": parts}, {"model": "ok", "input": "marker-seed"}),
        *({"model": "ok", "messages": []}, [], None, {"model": 1}),
    ]
    paths = [
        *(CHAT, MESSAGES, "/v1/responses", "/v1/embeddings", "/v1/completions", "/v1/rerank", "/v1/moderations"),
        *("/v1beta/models/ok:generateContent", "/v1/messages/count_tokens", "/v1/images/generations"),
        *("/v1/audio/speech", "/openai/v1/x", "/v1/files", "/v1/models?key=a", "/v1/responses/../x"),
    ]
    made = [raw(path, body) for path in paths for body in bodies]
    control = ("/", "/health/readiness", "/key/info", "/spend/logs", "/metrics", "/openapi.json")
    bearer = "authorization: Bearer sk-fake-master-key-for-tests"
    gets = [f"GET {path} HTTP/1.1\r\nhost: x\r\n{bearer}\r\n\r\n".encode() for path in (*paths, *control)]
    return [*made, *gets]


def attempts_of(rows: list[dict[str, Any]]) -> list[str]:
    """The outcomes of all attempts."""
    return [attempt["outcome"] for row in rows for attempt in row["metadata"]["attempts"]]


def test_random_requests_leave_the_workers_alive(running: Gateway, upstream: FaultyUpstream) -> None:
    chance, given = random.Random(3), seeds()
    before, statuses = running.children(), Counter[str]()
    marks = len(upstream.received)
    left = iter(range(REQUESTS))

    async def client() -> None:
        for _ in left:
            connection = await Client.open(running.port)
            try:
                connection.writer.write(mutated(chance, given))
                if connection.writer.can_write_eof() and chance.random() < 0.5:
                    connection.writer.write_eof()
                said = await asyncio.wait_for(connection.reader.read(60), 0.1)
                statuses[said[9:12].decode() if said else "closed"] += 1
            except TimeoutError:
                statuses["waits for more"] += 1
            except OSError:
                statuses["reset"] += 1
            finally:
                connection.close()

    async def run() -> None:
        await asyncio.gather(*(client() for _ in range(32)))

    asyncio.run(run())
    measured(f"{REQUESTS} mutated requests: {dict(statuses)}; {len(upstream.received) - marks} reached the provider")
    assert running.children() == before, "nobody died"
    assert statuses["500"] == 0
    assert "failed in the gateway itself" not in running.running.output
    assert asyncio.run(ask(running.port, CHAT, chat("after"))).status == 200
    asked = len(upstream.received)
    rows = running.rows_when(lambda rows: len(attempts_of(rows)) >= asked)
    attempts = attempts_of(rows)
    cut = attempts.count("cancelled")  # some of these left before the provider had read their request
    assert len(attempts) - cut <= asked <= len(attempts)
    assert len({row["request_id"] for row in rows}) == len(rows)


def test_connections_that_do_nothing_harm_nobody(running: Gateway) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    number = min(CONNECTIONS, hard - 200)
    idle: list[socket.socket] = []
    try:
        for _ in range(number):
            one = socket.create_connection(("127.0.0.1", running.port))
            idle.append(one)
        for one in idle[::2]:
            one.send(b"POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\n")

        async def run() -> list[int]:
            answers = await asyncio.gather(*(ask(running.port, CHAT, chat(f"idle.{turn}.")) for turn in range(50)))
            return [answer.status for answer in answers]

        assert set(asyncio.run(run())) == {200}
    finally:
        for one in idle:
            one.close()
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
