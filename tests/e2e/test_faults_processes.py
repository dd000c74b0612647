"""Processes that are told to end, and processes that die: what their clients notice of it."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from contextlib import suppress
from pathlib import Path

import pytest

from tests.support.faulty_upstream import Asked, FaultyUpstream
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


async def takes_a_second(asked: Asked) -> None:
    await asked.answer(1.0 if not asked.received.stream else 0.2)


def test_sigterm_lets_calls_end_and_takes_no_new_ones(tmp_path: Path) -> None:
    with FaultyUpstream(slow=takes_a_second) as upstream:
        models = [upstream.deployment("slow", "slow"), upstream.deployment("claude", "slow", dialect="messages")]
        with gateway(tmp_path, models) as running:
            kinds = [(path, model, stream) for path in (CHAT, MESSAGES) for model in ("slow", "claude")
                     for stream in (False, True)] * 3  # fmt: skip

            async def run() -> list[Answer]:
                idle = await Client.open(running.port)  # it has asked, and may ask again
                assert (await idle.ask(raw(CHAT, chat("before", "slow")))).status == 200
                asking = [
                    asyncio.create_task(ask(running.port, path, chat(f"drain.{turn}.", model, stream=stream)))
                    for turn, (path, model, stream) in enumerate(kinds)
                ]
                await until(lambda: len(upstream.received) == len(kinds) + 1)
                stopping = asyncio.create_task(asyncio.to_thread(running.stop))
                began = time.monotonic()
                assert await asyncio.wait_for(idle.reader.read(), 5) == b"", "nothing is under way here"
                await until_nobody_listens(running)
                assert not all(task.done() for task in asking), "so that the test can fail"
                answers = await asyncio.gather(*asking)
                assert await stopping == 0
                measured(f"{len(kinds)} calls under way: drained in {time.monotonic() - began:.2f} s")
                idle.close()
                return answers

            answers = asyncio.run(run())
        assert [(answer.status, answer.whole) for answer in answers] == [(200, True)] * len(kinds)
        with gateway(tmp_path, models) as again:
            rows = again.rows_when(lambda rows: len(rows) == len(kinds) + 1)
    assert Counter(row["metadata"]["outcome"] for row in rows) == {"success": len(kinds) + 1}


async def until_nobody_listens(running: Gateway) -> None:
    """New connections are refused as soon as both workers have heard the signal (and who stood at the door just then is
    reset).
    """

    async def knock() -> None:
        while True:
            with suppress(ConnectionResetError):
                (await Client.open(running.port)).close()

    with pytest.raises(ConnectionRefusedError):
        await asyncio.wait_for(knock(), 5)


def test_what_does_not_end_in_time_is_cut(tmp_path: Path) -> None:
    async def for_ever(asked: Asked) -> None:
        await asyncio.sleep(3600)

    with FaultyUpstream(ever=for_ever) as upstream:
        models = [upstream.deployment("ever", "ever")]
        with gateway(tmp_path, models, general={"drain_seconds": 1}) as running:

            async def run() -> None:
                asking = asyncio.create_task(ask(running.port, CHAT, chat("ever", "ever")))
                await until(lambda: upstream.received)
                began = time.monotonic()
                assert await asyncio.to_thread(running.stop) == 0
                measured(f"drain_seconds 1: ended after {time.monotonic() - began:.2f} s")
                assert (await asking).status == 0

            asyncio.run(run())
        with gateway(tmp_path, models) as again:
            (row,) = again.rows_when(lambda rows: len(rows) == 1)
    assert [attempt["outcome"] for attempt in row["metadata"]["attempts"]] == ["cancelled"]


def test_clients_of_the_other_worker_notice_nothing(tmp_path: Path) -> None:
    """Kept-alive connections, so that each stays with its worker."""
    with FaultyUpstream() as upstream, gateway(tmp_path, [upstream.deployment("ok")]) as running:

        async def client(number: int, stop: asyncio.Event) -> tuple[int, int]:
            """(answers, whether its connection ended)"""
            connection, turn = await Client.open(running.port), 0
            while not stop.is_set():
                answer = await connection.ask(raw(CHAT, chat(f"{number}.{turn}.", stream=bool(turn % 2))))
                if not answer.whole:
                    connection.close()
                    return turn, 1
                assert answer.status == 200
                turn += 1
            connection.close()
            return turn, 0

        async def run() -> None:
            stop = asyncio.Event()
            clients = [asyncio.create_task(client(number, stop)) for number in range(16)]
            await until(lambda: len(upstream.received) > 100)
            before, began = running.children(), time.monotonic()
            running.kill("w1")
            await until(lambda: running.children().get("w1", before["w1"]) != before["w1"])
            born = time.monotonic() - began
            served: set[str] = set()
            while served != {"w1", "w2"} and time.monotonic() - began < 10:
                served |= await asyncio.to_thread(who_serves, running)
            measured(
                f"a new worker is born after {born:.3f} s, and serves {time.monotonic() - began:.3f} s after the kill"
            )
            assert served == {"w1", "w2"}
            stop.set()
            ends = await asyncio.gather(*clients)
            cut = sum(end for _, end in ends)
            measured(f"{cut} of {len(ends)} connections were those of the dead worker")
            assert 0 < cut < len(ends)
            assert running.children()["w2"] == before["w2"] and running.children()["keeper"] == before["keeper"]

        asyncio.run(run())


def who_serves(running: Gateway) -> set[str]:
    """Which workers answer connections that are made now (a worker's id begins its calls' ids)."""

    async def run() -> set[str]:
        answers = await asyncio.gather(*(ask(running.port, CHAT, chat("who")) for _ in range(24)))
        prefixes = {answer.headers["x-penstock-call-id"][:16] for answer in answers if answer.status == 200}
        return {"w1", "w2"} if len(prefixes) == 2 else {"w2"}

    return asyncio.run(run())


def test_the_keeper_may_die_in_a_burst(tmp_path: Path) -> None:
    """Known keys and held leases are enough: no request fails while the keeper is killed, twice."""
    with FaultyUpstream() as upstream, gateway(tmp_path, [upstream.deployment("ok")]) as running:
        keys = [
            running.key(rpm_limit=10**6, tpm_limit=10**9, max_budget=10**4, max_parallel_requests=1000)
            for _ in range(4)
        ]

        async def run() -> Counter[int]:
            statuses: Counter[int] = Counter()
            stop = asyncio.Event()

            async def client(number: int) -> None:
                turn = 0
                while not stop.is_set():
                    body = chat(f"{number}.{turn}.", stream=bool(turn % 2), max_tokens=20)
                    statuses[(await ask(running.port, CHAT, body, keys[number % 4])).status] += 1
                    turn += 1

            clients = [asyncio.create_task(client(number)) for number in range(12)]
            await until(lambda: len(upstream.received) > 300)
            for _ in range(2):
                await kill_the_keeper(running)
            stop.set()
            await asyncio.gather(*clients)
            return statuses

        statuses = asyncio.run(run())
        measured(f"statuses meanwhile: {dict(statuses)}")
        assert set(statuses) == {200}
        rows = running.rows_when(lambda rows: len(rows) == statuses[200])
        assert len(rows) == statuses[200] == len(upstream.received)


async def kill_the_keeper(running: Gateway) -> None:
    """And wait for its successor."""
    before = running.kill("keeper")
    began = time.monotonic()
    await until(lambda: running.children().get("keeper", before) != before)
    await until_it_answers(running)
    measured(f"the management API answers {time.monotonic() - began:.2f} s after the keeper's death")


async def until_it_answers(running: Gateway) -> None:
    began = time.monotonic()
    while time.monotonic() - began < 20:
        client = await Client.open(running.port)
        answer = await client.ask(b"GET /health/readiness HTTP/1.1\r\nhost: gateway\r\n\r\n")
        client.close()
        if answer.status == 200:
            return
        await asyncio.sleep(0.02)
    raise AssertionError("the keeper does not come back")


def test_everybody_comes_back(tmp_path: Path) -> None:
    """All three at once."""
    with FaultyUpstream() as upstream, gateway(tmp_path, [upstream.deployment("ok")]) as running:
        before = running.children()
        for name in before:
            running.kill(name)
        began = time.monotonic()
        wait_until(lambda: asyncio.run(ask(running.port, CHAT, chat("again"))).status == 200, 20)
        measured(f"after all three were killed, the first answer came {time.monotonic() - began:.2f} s later")
        wait_until(lambda: len(running.children()) == 3)
        assert not set(before.values()) & set(running.children().values())
