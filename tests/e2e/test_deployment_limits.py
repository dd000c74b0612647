"""A deployment takes so many requests at once (`max_parallel_requests`): over all workers together, and exactly."""

from __future__ import annotations

import asyncio
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.e2e.gateway import KEY
from tests.support.faulty_upstream import Asked, FaultyUpstream
from tests.support.gateway_run import CHAT, MESSAGES, Answer, Gateway, ask, chat, gateway, until

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="only on Linux")

MOST = 3


async def in_a_while(asked: Asked) -> None:
    await asked.answer(0.1)  # long enough that a busy machine has several at once


async def never(asked: Asked) -> None:
    await asyncio.sleep(3600)


@contextmanager
def limited(folder: Path, *more: dict[str, Any], **routing: Any) -> Iterator[tuple[FaultyUpstream, Gateway]]:
    """Three workers before a deployment that takes three requests at once (group `slow`)."""
    with FaultyUpstream(slow=in_a_while, ever=never) as upstream:
        models = [upstream.deployment(name, name, max_parallel_requests=MOST) for name in ("slow", "ever")]
        with gateway(folder, [*models, *more], workers=3, routing={"retries": 0, **routing}) as running:
            yield upstream, running


def asked(running: Gateway, number: int, path: str = CHAT, **body: Any) -> list[asyncio.Task[Answer]]:
    """So many clients at once, each with a connection of its own, so that every worker has some."""
    bodies = (chat(f"race.{turn}.", **{"model": "slow", **body}) for turn in range(number))
    return [asyncio.create_task(ask(running.port, path, body, KEY)) for body in bodies]


def race(running: Gateway, number: int, path: str = CHAT, **body: Any) -> list[Answer]:
    async def run() -> list[Answer]:
        return await asyncio.gather(*asked(running, number, path, **body))

    return asyncio.run(run())


async def leave(tasks: list[asyncio.Task[Answer]]) -> None:
    """The clients go."""
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


async def held(upstream: FaultyUpstream, running: Gateway) -> list[asyncio.Task[Answer]]:
    """Clients of whom as many as the deployment takes wait for ever, and the others were refused."""
    tasks = asked(running, 12, model="ever")
    await until(lambda: upstream.at_once == MOST and sum(task.done() for task in tasks) == 12 - MOST)
    return tasks


@pytest.mark.parametrize(
    ("path", "more"),
    [(CHAT, {}), (CHAT, {"stream": True}), (MESSAGES, {"max_tokens": 20})],
    ids=["whole", "stream", "translated"],
)
def test_never_more_at_once_than_the_deployment_takes(tmp_path: Path, path: str, more: dict[str, Any]) -> None:
    with limited(tmp_path) as (upstream, running):
        statuses = Counter(answer.status for answer in race(running, 60, path, **more))
        assert upstream.most_at_once == MOST
        assert set(statuses) == {200, 503} and statuses[200] >= MOST
        for _ in range(4):
            assert [answer.status for answer in race(running, MOST, path, **more)] == [200] * MOST, (
                "places are free again"
            )
        assert upstream.most_at_once == MOST


@pytest.mark.parametrize("workers", [1, 3])
def test_the_parts_of_a_request_follow_each_other_in_one_place(tmp_path: Path, workers: int) -> None:
    """Text completions of several prompts, at a provider that has chats only, while others wait for a place."""
    with FaultyUpstream(slow=in_a_while) as upstream:
        model = upstream.deployment("slow", "slow", dialect="messages", max_parallel_requests=MOST)
        routing = {"retries": 0, "queue_size": 100, "queue_seconds": 30}
        with gateway(tmp_path, [model], workers=workers, routing=routing) as running:
            body = {"prompt": [f"marker-{turn}" for turn in range(4)], "max_tokens": 5}
            assert {answer.status for answer in race(running, 30, "/v1/completions", **body)} == {200}
            assert upstream.most_at_once == MOST and len(upstream.received) == 30 * 4


def test_who_waits_in_line_gets_the_next_place_of_any_worker(tmp_path: Path) -> None:
    with limited(tmp_path, queue_size=300, queue_seconds=30) as (upstream, running):
        assert Counter(answer.status for answer in race(running, 90)) == {200: 90}
        assert upstream.most_at_once == MOST


def test_what_one_deployment_does_not_take_another_does(tmp_path: Path) -> None:
    with (
        FaultyUpstream(slow=in_a_while) as other,
        limited(tmp_path, other.deployment("slow", "slow")) as (upstream, running),
    ):
        assert Counter(answer.status for answer in race(running, 60)) == {200: 60}
        assert upstream.most_at_once == MOST < other.most_at_once


def test_the_places_of_a_dead_worker_are_free(tmp_path: Path) -> None:
    async def run(upstream: FaultyUpstream, running: Gateway) -> None:
        waiting = await held(upstream, running)
        for name in ("w1", "w2", "w3"):
            running.kill(name)
        await leave(waiting)
        await until(lambda: upstream.at_once == 0)
        again: list[asyncio.Task[Answer]] = []
        for _ in range(50):
            again += asked(running, 3, model="ever")
            await asyncio.sleep(0.1)
            if upstream.at_once == MOST:
                break
        assert upstream.at_once == upstream.most_at_once == MOST
        await leave(again)

    with limited(tmp_path) as (upstream, running):
        asyncio.run(run(upstream, running))


def test_a_client_that_leaves_gives_its_place_back(tmp_path: Path) -> None:
    async def run(upstream: FaultyUpstream, running: Gateway) -> None:
        for _ in range(3):
            await leave(await held(upstream, running))
            await until(lambda: upstream.at_once == 0)
        assert upstream.most_at_once == MOST

    with limited(tmp_path) as (upstream, running):
        asyncio.run(run(upstream, running))


def test_a_limit_that_comes_counts_what_began_without_one(tmp_path: Path) -> None:
    async def run(upstream: FaultyUpstream, running: Gateway) -> None:
        before = asked(running, 4, model="ever")
        await until(lambda: upstream.at_once == 4)
        config = tmp_path / "penstock.yaml"
        config.write_text(config.read_text().replace('"api_base"', '"max_parallel_requests": 4, "api_base"'))
        refused: list[asyncio.Task[Answer]] = []
        for _ in range(100):
            refused += asked(running, 1, model="ever")
            await asyncio.sleep(0.05)
            if any(task.done() and task.result().status == 503 for task in refused):
                break
        else:
            raise AssertionError("the new limit never held")
        under_way = upstream.at_once
        late = asked(running, 12, model="ever")
        assert {answer.status for answer in await asyncio.gather(*late)} == {503}
        assert upstream.at_once == under_way
        await leave(before + refused)

    with (
        FaultyUpstream(ever=never) as upstream,
        gateway(tmp_path, [upstream.deployment("ever", "ever")], workers=3, routing={"retries": 0}) as running,
    ):
        asyncio.run(run(upstream, running))


# -- the line, where it sees a way and a request finds none -----------------------------------------------------------


LONG = " word" * 3000
LINE = {"retries": 0, "queue_size": 10, "queue_seconds": 6}


async def is_heard(running: Gateway) -> None:
    """The worker does something else meanwhile."""
    async with httpx.AsyncClient() as client:
        assert (await client.get(f"{running.running.url}/health/liveliness", timeout=3)).status_code == 200


def test_a_fallback_that_is_too_small_stops_nobody(tmp_path: Path) -> None:
    async def run(upstream: FaultyUpstream, running: Gateway) -> None:
        holds = asked(running, 1, model="g")
        await until(lambda: upstream.at_once == 1)
        long = {"model": "g", "messages": [{"role": "user", "content": f"marker-long{LONG}"}]}
        waits = asyncio.create_task(ask(running.port, CHAT, long, KEY))
        await asyncio.sleep(0.1)
        await is_heard(running)
        assert (await waits).status == 503
        await leave(holds)

    with FaultyUpstream(ever=never) as upstream:
        small = upstream.deployment("small", "ok", facts={"max_input_tokens": 100})
        models = [upstream.deployment("g", "ever", max_parallel_requests=1), small]
        with gateway(tmp_path, models, workers=1, routing={**LINE, "fallbacks": {"g": ["small"]}}) as running:
            asyncio.run(run(upstream, running))


def test_a_limit_that_is_raised_lets_in_who_waits_and_stops_nobody(tmp_path: Path) -> None:
    async def run(upstream: FaultyUpstream, running: Gateway) -> None:
        holds = asked(running, 1, model="ever")
        await until(lambda: upstream.at_once == 1)
        waits = asked(running, 2, model="ever")
        await asyncio.sleep(0.2)
        config = tmp_path / "penstock.yaml"
        config.write_text(config.read_text().replace('"max_parallel_requests": 1', '"max_parallel_requests": 9'))
        for _ in range(8):
            await asyncio.sleep(0.2)
            await is_heard(running)
        more = asked(running, 1, model="ever")
        await until(lambda: upstream.at_once >= 2)
        assert not any(task.done() for task in holds)
        await leave(holds + waits + more)

    with FaultyUpstream(ever=never) as upstream:
        models = [upstream.deployment("ever", "ever", max_parallel_requests=1)]
        with gateway(tmp_path, models, workers=1, routing=LINE) as running:
            asyncio.run(run(upstream, running))


def test_a_cascade_that_finds_no_place_is_answered(tmp_path: Path) -> None:
    async def slow(one: Asked) -> None:
        await one.answer(0.7)

    async def run(upstream: FaultyUpstream, running: Gateway) -> None:
        holds = asked(running, 1, model="cheap")
        await until(lambda: upstream.at_once == 1)
        strong = asked(running, 1, model="strong")
        await until(lambda: upstream.at_once == 2)
        long = {"model": "smart", "messages": [{"role": "user", "content": f"marker-long{LONG}"}]}
        answer = await asyncio.wait_for(ask(running.port, CHAT, long, KEY), 8)
        assert answer.status in (200, 503)
        assert [(await task).status for task in strong] == [200]
        await leave(holds)

    with FaultyUpstream(slow=slow, ever=never) as upstream:
        models = [
            upstream.deployment("cheap", "ever", max_parallel_requests=1),
            upstream.deployment("small", "ok", facts={"max_input_tokens": 100}),
            upstream.deployment("strong", "slow", max_parallel_requests=1),
        ]
        routing = {**LINE, "fallbacks": {"cheap": ["small"]}, "cascades": {"smart": {"groups": ["cheap", "strong"]}}}
        with gateway(tmp_path, models, workers=1, routing=routing) as running:
            asyncio.run(run(upstream, running))


def test_who_leaves_while_a_part_waits_to_be_asked_again_gives_its_place_back(tmp_path: Path) -> None:
    async def first_only(one: Asked) -> None:
        if "marker-0" in one.received.marker:
            await one.answer()
        else:
            await one.send(b"HTTP/1.1 500 No\r\ncontent-length: 2\r\nretry-after: 30\r\n\r\n{}")

    async def run(upstream: FaultyUpstream, running: Gateway) -> None:
        for turn in range(1, 4):
            body = {"model": "part", "prompt": ["marker-0", "marker-1"], "max_tokens": 5}
            task = asyncio.create_task(ask(running.port, "/v1/completions", body, KEY))
            await until(lambda turn=turn: len(upstream.of("marker-1")) >= turn)  # type: ignore[misc]  # a default binds it
            await asyncio.sleep(0.05)
            await leave([task])
            await asyncio.sleep(0.05)
        assert upstream.most_at_once == 1

    with FaultyUpstream(part=first_only) as upstream:
        model = upstream.deployment("part", "part", dialect="messages", max_parallel_requests=1)
        with gateway(tmp_path, [model], workers=2, routing={"retries": 3}) as running:
            asyncio.run(run(upstream, running))
