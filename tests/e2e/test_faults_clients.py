"""Clients that leave at each stage, that do not read, that hardly send: what it costs, and whom it harms."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.faulty_upstream import STREAM_HEAD, Asked, FaultyUpstream, chunk
from tests.support.gateway_run import (
    CHAT,
    MESSAGES,
    Answer,
    Client,
    Gateway,
    ask,
    chat,
    gateway,
    measured,
    raw,
    until,
    wait_until,
)

FLOOD = int(200e6)
"""Bytes that the provider would send."""


async def thinks(asked: Asked) -> None:
    await asked.answer(0.7)


async def streams_slowly(asked: Asked) -> None:
    await asked.answer(0.15)


async def floods(asked: Asked) -> None:
    frame = asked.frames()[1].replace(b"Answer", b"x" * 8000).replace(b"to ", b"y" * 8000)
    if asked.received.dialect == "messages":
        await asked.send(STREAM_HEAD + b"".join(chunk(each) for each in asked.frames()[:2]))
        frame = asked.frames()[2].replace(b"Answer ", b"x" * 8000)
    else:
        await asked.send(STREAM_HEAD)
    for _ in range(FLOOD // len(frame)):
        await asked.send(chunk(frame))


MODELS = {"ok": "ok", "thinks": "thinks", "streams": "streams", "floods": "floods"}


@pytest.fixture(scope="module")
def upstream() -> Iterator[FaultyUpstream]:
    with FaultyUpstream(thinks=thinks, streams=streams_slowly, floods=floods) as server:
        yield server


def deployments(upstream: FaultyUpstream) -> list[dict[str, Any]]:
    return [
        upstream.deployment(f"{name}-{dialect}", behaviour, dialect)
        for name, behaviour in MODELS.items()
        for dialect in ("chat", "messages")
    ]


@pytest.fixture(scope="module")
def running(upstream: FaultyUpstream, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    routing = {"retries": 0}
    with gateway(tmp_path_factory.mktemp("clients"), deployments(upstream), routing=routing) as one:
        yield one


@pytest.fixture(scope="module")
def draining(upstream: FaultyUpstream, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    general = {"on_disconnect": "drain"}
    models, folder = deployments(upstream), tmp_path_factory.mktemp("drain")
    with gateway(folder, models, workers=1, routing={"retries": 0}, general=general) as one:
        yield one


def leave(running: Gateway, upstream: FaultyUpstream, key: str, how: str, path: str, model: str, marker: str) -> None:
    """Ask with this key, and leave at a stage."""

    async def run() -> None:
        client, answer = await Client.open(running.port), Answer()
        request = raw(path, chat(marker, model, stream=how == "between chunks", max_tokens=30), key)
        if how == "in the body":
            client.writer.write(request[:-20])
            await asyncio.sleep(0.1)
        else:
            client.writer.write(request)
            if how != "at once":
                await until(lambda: upstream.of(f"marker-{marker}"))
            if how == "between chunks":
                await client.read_head(answer)
                await client.read_chunk()
        client.close()

    asyncio.run(run())


STAGES = ["in the body", "at once", "while it thinks", "between chunks"]
ALL = [(path, dialect) for path in (CHAT, MESSAGES) for dialect in ("chat", "messages")]


@pytest.mark.parametrize("stage", STAGES)
def test_who_leaves_is_billed_what_it_cost_and_holds_nothing(
    running: Gateway, upstream: FaultyUpstream, stage: str
) -> None:
    """Each time with a key of which nothing is known yet, and which has one place: the next call needs it."""
    for turn, (path, dialect) in enumerate(ALL):
        key = running.key(max_parallel_requests=1, max_budget=1, tpm_limit=100_000)
        marker = f"left-{STAGES.index(stage)}-{turn}."
        model = f"streams-{dialect}" if stage == "between chunks" else f"thinks-{dialect}"
        leave(running, upstream, key, stage, path, model, marker)
        wait_until(lambda: all(one.left for one in upstream.of(f"marker-{marker}")), what="the provider is left")  # noqa: B023  # called at once
        after = chat(f"after-{marker}", f"ok-{dialect}", max_tokens=5)
        wait_until(lambda: asyncio.run(ask(running.port, path, after, key)).status == 200, 5, "the place comes back")  # noqa: B023  # called at once
        asked = len(upstream.of(f"marker-{marker}"))
        rows = running.rows_when(lambda rows: len(mine(rows, key, "cancelled")) >= asked)  # noqa: B023  # called at once
        left = mine(rows, key, "cancelled")
        assert len(left) == asked or stage == "at once"  # then it may have left before anything was read
        for row in left:
            if row["metadata"]["attempts"]:
                assert row["spend"] > 0 and row["metadata"]["estimated"]


def mine(rows: list[dict[str, Any]], key: str, outcome: str) -> list[dict[str, Any]]:
    from penstock.gateway.principal import key_digest

    token = key_digest(key)
    return [row for row in rows if row["api_key"] == token and row["metadata"]["outcome"] == outcome]


@pytest.mark.parametrize("stage", ["while it thinks", "between chunks"])
def test_what_is_drained_is_billed_exactly(draining: Gateway, upstream: FaultyUpstream, stage: str) -> None:
    for turn, (path, dialect) in enumerate(ALL):
        key = draining.key(max_parallel_requests=1)
        marker = f"drained-{STAGES.index(stage)}-{turn}."
        model = f"streams-{dialect}" if stage == "between chunks" else f"thinks-{dialect}"
        leave(draining, upstream, key, stage, path, model, marker)
        (one,) = upstream.of(f"marker-{marker}")
        wait_until(lambda: one.whole, what="it is read to its end")  # noqa: B023  # called at once
        rows = draining.rows_when(lambda rows: len(mine(rows, key, "success")) == 1)  # noqa: B023  # called at once
        (row,) = mine(rows, key, "success")
        assert round(row["spend"] * 1e12) == one.picodollars and not row["metadata"]["estimated"]
        after = asyncio.run(ask(draining.port, path, chat(f"after-{marker}", f"ok-{dialect}"), key))
        assert after.status == 200, "the place is free"


def memory(running: Gateway) -> dict[str, int]:
    """Megabytes that the workers have."""
    found = {}
    for name, number in running.children().items():
        status = Path(f"/proc/{number}/status").read_text()
        found[name] = int(status.split("VmRSS:")[1].split()[0]) // 1024
    return found


def test_a_client_that_does_not_read_holds_the_provider_back(running: Gateway, upstream: FaultyUpstream) -> None:
    """Streams relayed and translated flood; nobody reads them. Memory stays, and others are served."""

    async def run() -> None:
        before = memory(running)
        clients = []
        for turn in range(16):
            path, dialect = ALL[turn % len(ALL)]
            client = await Client.open(running.port)
            client.read_nothing()
            client.writer.write(raw(path, chat(f"flood-{turn}.", f"floods-{dialect}", stream=True)))
            clients.append(client)
        await until(lambda: sum(one.behaviour == "floods" for one in upstream.received) == 16)
        began, answers = time.monotonic(), 0
        while time.monotonic() - began < 1.5:
            assert (await ask(running.port, CHAT, chat("beside", "ok-chat"))).status == 200
            answers += 1
        after = memory(running)
        measured(f"16 floods that nobody reads: {before} -> {after} MB; {answers} answers beside in 1.5 s")
        assert all(after[name] - before[name] < 60 for name in ("w1", "w2"))
        for client in clients:
            client.close()

    asyncio.run(run())
    flooding = [one for one in upstream.received if one.behaviour == "floods"]
    wait_until(lambda: all(one.left for one in flooding), what="providers are left")


def test_answers_that_nobody_reads_do_not_pile_up(running: Gateway) -> None:
    """Thousands of requests in one connection, and nothing is read."""

    async def run() -> None:
        before = memory(running)
        client = await Client.open(running.port)
        client.read_nothing()
        request = b"GET /v1/models HTTP/1.1\r\nhost: x\r\nauthorization: Bearer sk-fake-master-key-for-tests\r\n\r\n"
        client.writer.write(request * 20_000)
        await asyncio.sleep(1)
        after = memory(running)
        measured(f"20,000 requests of a client that does not read: {before} -> {after} MB")
        assert all(after[name] - before[name] < 40 for name in ("w1", "w2"))
        assert (await ask(running.port, CHAT, chat("beside", "ok-chat"))).status == 200
        client.close()

    asyncio.run(run())


def test_a_body_that_is_too_large_is_refused_before_it_is_sent(running: Gateway) -> None:
    async def run() -> None:
        client = await Client.open(running.port)
        head = raw(CHAT, b"").replace(b"content-length: 0", b"content-length: 99999999999")
        answer = await asyncio.wait_for(client.ask(head), 5)
        assert answer.status == 413 and json.loads(answer.body)["error"]["message"]
        client.close()

    asyncio.run(run())
