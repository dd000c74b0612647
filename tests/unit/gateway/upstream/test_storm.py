"""A storm: a provider that misbehaves at random, clients that pause, leave and fail at random, limits that are tight.

Whatever happens: each receiver hears one end, one breaking, or nothing after it left; the limit of connections holds;
and when all is over nothing is open, waiting, or in the clockwork.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable
from typing import Any

import pytest

from penstock.exchange import Timeouts
from penstock.gateway.upstream import Limits, NetworkSettings, Upstream
from tests.support.upstream import OK, Heard, Peer, ask, client, serving, turns

Run = Callable[[Any], None]
HEAD = b"HTTP/1.1 200 OK\r\n"
ANSWERS = [
    OK,
    HEAD + b"transfer-encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\n\r\n",
    b"HTTP/1.1 204 No Content\r\n\r\n",
    b"HTTP/1.1 100 Continue\r\n\r\n" + OK,
    OK + b"X",
    HEAD + b"connection: close\r\ncontent-length: 2\r\n\r\nhi",
]
MOST = 12


class Provider:
    def __init__(self, chance: random.Random) -> None:
        self.chance = chance

    async def serve(self, peer: Peer) -> None:
        while await peer.request() is not None:
            fate = self.chance.random()
            if fate < 0.05:
                peer.reset()
            if fate < 0.1:
                return
            if fate < 0.13:
                await peer.gone()
            answer = self.chance.choice(ANSWERS)
            if fate < 0.2:
                answer = answer[: self.chance.randrange(len(answer))]
            if fate < 0.25:
                answer = self.chance.randbytes(40)
            cut = self.chance.randrange(len(answer) + 1)
            peer.say(answer[:cut])
            await asyncio.sleep(self.chance.random() * 0.005)
            peer.say(answer[cut:])


class Fickle(Heard):
    """Asserts (in Heard) that nothing follows an end; pauses, leaves and fails at random."""

    def __init__(self, chance: random.Random) -> None:
        super().__init__(head=self.waver, data=self.waver)
        self.chance, self.left = chance, False

    def waver(self, _: Heard) -> None:
        assert not self.left and self.ongoing is not None
        fate = self.chance.random()
        if fate < 0.03:
            self.leave()
        elif fate < 0.06:
            self.ongoing.pause()
            asyncio.get_running_loop().call_later(self.chance.random() * 0.02, self.ongoing.resume)
        elif fate < 0.07:
            raise ValueError("a receiver's own failure")

    def leave(self) -> None:
        assert self.ongoing is not None
        self.left = self.left or self.told[-1:] not in (["end"], ["broken"])
        self.ongoing.cancel()

    @property
    def over(self) -> bool:  # type: ignore[override]  # here it is asked, and not waited for
        return self.left or self.told[-1:] in (["end"], ["broken"])


@pytest.mark.parametrize("seed", [1, 2])
def test_a_storm(run: Run, seed: int) -> None:
    chance = random.Random(seed)

    async def main() -> None:
        limits = Limits(connections=MOST, idle=5, idle_seconds=0.1, age_seconds=0.3)
        async with serving(Provider(chance).serve) as server, client(limits) as upstream:
            all_heard = [await one(upstream, server.url) for _ in range(600)]
            await turns(lambda: all(each.over for each in all_heard))
            assert sum("end" in each.told for each in all_heard) > 200
            await turns(lambda: upstream.stats()[0].open == upstream.stats()[0].connecting == len(upstream._wheel) == 0)
            assert upstream.stats()[0].waiting == 0

    async def one(upstream: Upstream, url: str) -> Fickle:
        heard = Fickle(chance)
        request = ask(url, b"x" * chance.choice([0, 2, 2, 50_000]), chance.choice(["POST", "POST", "GET", "HEAD"]))
        limit = Timeouts(connect=1, first_token=chance.choice([0.05, 2]), between_tokens=chance.choice([0.05, 2]))
        heard.ongoing = upstream.send(request, limit, chance.choice([None, 0.5]), NetworkSettings(), heard)
        if chance.random() < 0.03:
            asyncio.get_running_loop().call_later(chance.random() * 0.01, heard.leave)
        if chance.random() < 0.3:
            await asyncio.sleep(chance.random() * 0.01)
        stats = upstream.stats()[0]
        assert stats.open + stats.connecting <= MOST
        return heard

    run(main)
