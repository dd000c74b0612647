"""Limits are exact over all workers, and a key that is revoked is refused everywhere, also in mid-answer."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Iterator
from typing import Any

import pytest

from penstock.gateway.leases import REFUSAL_SECONDS
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

DOLLAR = 10**12


async def in_a_while(asked: Asked) -> None:
    await asked.answer(0.05)


async def for_ever(asked: Asked) -> None:
    """A stream that never ends, in either dialect; what is no stream is never answered."""
    if asked.received.stream:
        await asked.send(STREAM_HEAD)
        for frame in asked.frames()[:-3]:
            await asked.send(chunk(frame))
    await asyncio.sleep(3600)


@pytest.fixture(scope="module")
def upstream() -> Iterator[FaultyUpstream]:
    with FaultyUpstream(slow=in_a_while, ever=for_ever) as server:
        yield server


@pytest.fixture(scope="module")
def running(upstream: FaultyUpstream, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    models = [
        upstream.deployment("ok"),
        upstream.deployment("slow", "slow"),
        upstream.deployment("ever", "ever"),
        upstream.deployment("claude", "ever", dialect="messages"),
    ]
    with gateway(tmp_path_factory.mktemp("limits"), models, routing={"retries": 0}) as one:
        yield one


def race(running: Gateway, key: str, marker: str, number: int, at_once: int = 24, **body: Any) -> list[Answer]:
    """Many clients at once, each request over a fresh connection, so that every worker has some."""

    async def run() -> list[Answer]:
        places = asyncio.Semaphore(at_once)

        async def one(turn: int) -> Answer:
            async with places:
                return await ask(running.port, CHAT, chat(f"{marker}.{turn}.", **body), key)

        return await asyncio.gather(*(one(turn) for turn in range(number)))

    return asyncio.run(run())


def of(upstream: FaultyUpstream, marker: str) -> list[Any]:
    return [one for one in upstream.received if one.marker.startswith(f"marker-{marker}.")]


def until_refused(running: Gateway, key: str, marker: str, **body: Any) -> None:
    """Ask one after the other: what nobody has reserved any more can be had. A worker may go on refusing for a second
    when units have come back elsewhere, so the refusal that counts is one that lasts.
    """
    refused = 0
    while refused < 2:
        if race(running, key, marker, 1, **body)[0].status == 200:
            refused = 0
        else:
            refused += 1
            time.sleep(REFUSAL_SECONDS + 0.1)


def test_as_many_requests_as_the_limit_are_admitted(upstream: FaultyUpstream, running: Gateway) -> None:
    key = running.key(rpm_limit=60)
    if time.time() % 60 > 55:  # a window is a minute of the clock
        time.sleep(60.1 - time.time() % 60)
    statuses = Counter(answer.status for answer in race(running, key, "rpm", 150))
    assert statuses == {200: 60, 429: 90}
    assert len(of(upstream, "rpm")) == 60


def test_no_more_than_so_many_at_once(upstream: FaultyUpstream, running: Gateway) -> None:
    key = running.key(max_parallel_requests=5)
    upstream.most_at_once = 0
    statuses = Counter(answer.status for answer in race(running, key, "parallel", 120, model="slow"))
    assert upstream.most_at_once == 5
    assert set(statuses) == {200, 429} and statuses[200] >= 5
    for turn in range(4):
        again = race(running, key, f"parallel-after-{turn}", 5, model="slow")
        assert [answer.status for answer in again] == [200] * 5, "nobody is refused whose place is free"


@pytest.mark.parametrize("said", [{"max_tokens": 20}, {}], ids=["max_tokens said", "unsaid"])
def test_never_more_tokens_than_the_limit(upstream: FaultyUpstream, running: Gateway, said: dict[str, int]) -> None:
    limit = 1500
    key = running.key(tpm_limit=limit)
    if time.time() % 60 > 50:
        time.sleep(60.1 - time.time() % 60)
    marker = f"tpm{len(said)}"
    statuses = Counter(answer.status for answer in race(running, key, marker, 200, **said))
    assert set(statuses) == {200, 429}
    until_refused(running, key, f"{marker}.then", **said)
    used = sum(one.input_tokens + one.output_tokens for one in of(upstream, marker))
    assert limit / 2 < used <= limit


@pytest.mark.parametrize("said", [{"max_tokens": 20}, {}], ids=["max_tokens said", "unsaid"])
def test_never_more_money_than_the_budget(upstream: FaultyUpstream, running: Gateway, said: dict[str, int]) -> None:
    budget = 0.002
    key = running.key(max_budget=budget)
    marker = f"money{len(said)}"
    statuses = Counter(answer.status for answer in race(running, key, marker, 200, **said))
    until_refused(running, key, f"{marker}.then", **said)
    spent = sum(one.picodollars for one in of(upstream, marker))
    assert 200 in statuses and statuses[200] < 200 and set(statuses) <= {200, 400, 429}
    assert budget * DOLLAR / 2 < spent <= budget * DOLLAR
    shown = wait_until(
        lambda: abs(running.manage("GET", f"/key/info?key={key}")["info"]["spend"] * DOLLAR - spent) < 1
    )  # fmt: skip
    measured(f"the spend is right after {shown:.2f} s")


def refuse(running: Gateway, key: str, how: str) -> None:
    if how == "delete":
        running.manage("POST", "/key/delete", {"keys": [key]})
    else:
        running.manage("POST", "/key/block", {"key": key})


@pytest.mark.parametrize(("how", "status"), [("block", 403), ("delete", 401)])
def test_a_revoked_key_is_refused_everywhere_at_once(running: Gateway, how: str, status: int) -> None:
    key = running.key()
    assert {answer.status for answer in race(running, key, f"before-{how}", 20)} == {200}
    refuse(running, key, how)
    assert {answer.status for answer in race(running, key, f"after-{how}", 20)} == {status}


@pytest.mark.parametrize("how", ["block", "delete"])
def test_calls_of_a_revoked_key_are_cut(upstream: FaultyUpstream, running: Gateway, how: str) -> None:
    """Streams relayed and translated, in both dialects, and answers that are waited for; others go on."""
    key, other = running.key(max_parallel_requests=50), running.key()
    kinds = [(CHAT, "ever", True), (MESSAGES, "claude", True), (MESSAGES, "ever", True), (CHAT, "claude", True)]
    kinds += [(CHAT, "ever", False), (MESSAGES, "claude", False)]

    async def begin(number: int, path: str, model: str, stream: bool, of: str) -> tuple[Client, Answer]:
        client, answer = await Client.open(running.port), Answer()
        marker = f"revoked-{how}-{number}."
        client.writer.write(raw(path, chat(marker, model, stream=stream, max_tokens=50), of))
        if stream:
            await client.read_head(answer)
            answer.body += await client.read_chunk()
        await until(lambda: upstream.of(f"marker-{marker}"))
        return client, answer

    async def rest(client: Client, answer: Answer) -> float:
        async with asyncio.timeout(10):
            if not answer.status:
                await client.read_head(answer)
            await client.read_body(answer)
        return time.monotonic()

    async def run() -> None:
        begun = [await begin(number, *kind, key) for number, kind in enumerate(kinds * 2)]
        stays, stays_answer = await begin(100, CHAT, "ever", True, other)
        revoked = time.monotonic()
        await asyncio.to_thread(refuse, running, key, how)
        ends = await asyncio.gather(*(rest(*each) for each in begun))
        measured(f"the last of {len(ends)} calls was cut {max(ends) - revoked:.3f} s after the call to {how} its key")
        for (path, _, stream), (_, answer) in zip(kinds * 2, begun, strict=True):
            assert answer.whole and b"ask whoever runs this gateway" in answer.body
            assert (answer.status == 200) == stream
            assert (b'"type":"error"' in answer.body) == (path == MESSAGES)
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(rest(stays, stays_answer), 0.3)
        for client, _ in [*begun, (stays, stays_answer)]:
            client.close()

    asyncio.run(run())
    asked = [one for one in upstream.received if one.marker.startswith(f"marker-revoked-{how}-")]
    assert len(asked) == 13
    wait_until(lambda: all(one.left for one in asked), what="providers are left")
