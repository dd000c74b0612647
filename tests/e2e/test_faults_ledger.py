"""The ledger against the provider's own count, while workers and the keeper are killed with -9 at random instants."""

from __future__ import annotations

import asyncio
import os
import random
import time
from collections import Counter
from decimal import Decimal
from pathlib import Path
from typing import Any

from tests.support.faulty_upstream import Asked, FaultyUpstream
from tests.support.gateway_run import CHAT, MESSAGES, Answer, ask, chat, gateway, measured, wait_until

SECONDS = float(os.environ.get("PENSTOCK_FAULT_SECONDS", "4"))
PATIENCE, ENOUGH = 60.0, 100
CLIENTS = int(os.environ.get("PENSTOCK_FAULT_CLIENTS", "24"))
KINDS = [(path, model, stream) for path in (CHAT, MESSAGES) for model in ("ok", "claude") for stream in (False, True)]


class Crowd:
    """Clients that ask all the time, each over fresh connections."""

    def __init__(self, port: int, keys: list[str]) -> None:
        self.port, self.keys = port, keys
        self.answers: dict[str, tuple[Answer, bool]] = {}
        self.until = time.monotonic() + SECONDS

    def goes_on(self) -> bool:
        """Until its time is over; on a busy machine, until enough was answered for the test to say something."""
        now = time.monotonic()
        return now < self.until or (now < self.until + PATIENCE and self.answered() <= ENOUGH)

    def answered(self) -> int:
        return sum(1 for answer, _ in self.answers.values() if answer.status)

    async def run(self) -> None:
        await asyncio.gather(*(self._client(number) for number in range(CLIENTS)))

    async def _client(self, number: int) -> None:
        turn = 0
        while self.goes_on():
            path, model, stream = KINDS[(number + turn) % len(KINDS)]
            marker = f"marker-{number}.{turn}."
            body = chat(f"{number}.{turn}.", model, stream=stream, max_tokens=50)
            answer = await ask(self.port, path, body, self.keys[turn % len(self.keys)])
            self.answers[marker] = (answer, stream)
            turn += 1
            if not answer.status:
                await asyncio.sleep(0.02)


async def slowly(asked: Asked) -> None:
    """Answer in a while, so that a kill meets calls at each stage."""
    await asked.answer(random.uniform(0.0, 0.02))


def marker_of(attempt: dict[str, Any]) -> str:
    """The marker that the provider put into the id of its answer: msg_..., chatcmpl-..."""
    found = str(attempt["response_id"] or "")
    return found[found.find("marker-") :] if "marker-" in found else ""


def test_no_row_is_missing_and_none_is_doubled(tmp_path: Path) -> None:
    chance = random.Random(7)
    with FaultyUpstream(ok=slowly) as upstream:
        models = [upstream.deployment("ok"), upstream.deployment("claude", dialect="messages")]
        with gateway(tmp_path, models, routing={"retries": 0}) as running:
            keys = [
                running.key(max_budget=1000, max_parallel_requests=100),
                running.key(tpm_limit=10**8),
                running.key(),
            ]
            crowd = Crowd(running.port, keys)
            kills: Counter[str] = Counter()

            async def killing() -> None:
                await asyncio.sleep(0.5)
                while crowd.goes_on():
                    name = ("keeper", "w1", "w2")[kills.total() % 3]
                    if name in running.children():
                        running.kill(name)
                        kills[name] += 1
                    await asyncio.sleep(chance.uniform(0.1, 0.7))

            async def both() -> None:
                await asyncio.gather(crowd.run(), killing())

            asyncio.run(both())
            wait_until(lambda: len(running.children()) == 3, what="everybody is back")
            assert running.stop() == 0
        with gateway(tmp_path, models, routing={"retries": 0}) as again:
            received = Counter(one.marker for one in upstream.received)
            rows = again.rows_when(lambda rows: sum(len(row["metadata"]["attempts"]) for row in rows) >= len(received))
    answered = {marker: answer for marker, (answer, _) in crowd.answers.items() if answer.status}
    attempts = [attempt for row in rows for attempt in row["metadata"]["attempts"]]
    cut = [attempt for attempt in attempts if attempt["outcome"] == "interrupted"]
    told = Counter(marker for attempt in attempts if (marker := marker_of(attempt)))
    measured(f"{len(crowd.answers)} asked, {len(answered)} answered, {received.total()} received, {dict(kills)} killed,"
          f" {len(rows)} rows, {len(attempts)} attempts, {len(cut)} interrupted")  # fmt: skip
    assert kills.total() >= 3 and len(answered) > ENOUGH, "so that the test can fail"
    assert received.most_common(1)[0][1] == 1, "nothing was asked twice"

    ids = Counter(row["request_id"] for row in rows)
    assert ids.most_common(1)[0][1] == 1
    named = [answer.headers["x-penstock-call-id"] for answer in answered.values() if answer.status == 200]
    assert Counter(named) - ids == Counter(), "who was answered has a row"
    assert told - received == Counter() and told.most_common(1)[0][1] == 1, "no attempt is doubled"
    untold = received - told
    assert untold.total() <= len(cut), "what was received and not told was cut off by a kill"
    assert len(attempts) >= received.total()
    whole = {m for m, (answer, _) in crowd.answers.items() if answer.whole and answer.status == 200}
    assert not whole & set(untold), "an answer that was given whole is no interrupted one"

    billed = {one.marker: one for one in upstream.received}
    for attempt in attempts:
        if attempt["outcome"] == "success":
            one = billed[marker_of(attempt)]
            assert Decimal(attempt["cost"]) == Decimal(one.picodollars).scaleb(-12)
    assert {answer.status for answer in answered.values()} <= {200, 503}, "503: who knows nobody, and has no keeper"
