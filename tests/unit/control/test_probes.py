"""Probes: who is asked, what workers are told of it, and what becomes of it when the configuration changes."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import pytest

from penstock.control.checks import Checked, mode_of
from penstock.control.config.loaded import Probe
from penstock.control.probes import Probes
from penstock.gateway.circuits import Change
from penstock.routing.deployment import Deployment
from tests.support.configs import loaded

CONFIG = """
models:
  - {name: one, id: one, model: openai/gpt-4o, health_check: {every: 0.05, timeout: 1}}
  - {name: two, id: two, model: openai/gpt-4o}
"""


class Asked:
    """Answers checks as it is told; `told` is what workers hear."""

    def __init__(self) -> None:
        self.checks = 0
        self.says = Checked()
        self.told: list[Change] = []

    def probes(self) -> Probes:
        return Probes(self._tell, self._check)

    def _tell(self, changes: Sequence[Change]) -> None:
        self.told += changes

    async def _check(self, deployment: Deployment, probe: Probe) -> Checked:
        assert deployment.id == "one", "nobody else is to be asked"
        self.checks += 1
        return self.says

    async def until(self, told: int = 0, checks: int = 0) -> None:
        async with asyncio.timeout(10):
            while len(self.told) < told or self.checks < checks:  # noqa: ASYNC110  # a fake that has no event
                await asyncio.sleep(0.01)


def test_who_fails_rests_until_it_answers() -> None:
    async def main() -> list[Change]:
        asked = Asked()
        asked.says = Checked(error="refused")
        probes = asked.probes()
        probes.apply(loaded(CONFIG))
        await asked.until(told=2)
        asked.says = Checked()
        while asked.told[-1].seconds:  # noqa: ASYNC110  # a fake that has no event
            await asyncio.sleep(0.01)
        probes.stop()
        return asked.told

    first, second, *_, last = asyncio.run(main())
    assert (first.deployment, first.trips, second.trips) == ("one", 1, 2)
    assert first.seconds > 1.05, "it rests until the next probe has had its time"
    assert last == Change("one")


def test_who_answers_is_left_alone() -> None:
    async def main() -> list[Change]:
        asked = Asked()
        probes = asked.probes()
        probes.apply(loaded(CONFIG))
        await asked.until(checks=3)
        asked.says = Checked(error="max_tokens is too small", refused=True)  # it answered
        await asked.until(checks=6)
        probes.stop()
        return asked.told

    assert asyncio.run(main()) == []


def test_a_probe_that_is_not_wanted_any_more_ends_and_leaves_nothing_behind() -> None:
    async def main() -> tuple[int, int, list[Change]]:
        asked = Asked()
        asked.says = Checked(error="refused")
        probes = asked.probes()
        probes.apply(loaded(CONFIG))
        await asked.until(told=1)
        probes.apply(loaded(CONFIG))
        kept = len(probes)
        probes.apply(loaded("models: [{name: two, id: two, model: openai/gpt-4o}]"))
        await asyncio.sleep(0)
        return kept, len(probes), asked.told

    kept, left, told = asyncio.run(main())
    assert (kept, left) == (1, 0)
    assert told[-1] == Change("one"), "nobody else would say that it is back"


@pytest.mark.parametrize(
    ("model", "info", "mode"),
    [
        ("openai/gpt-4o", {}, "chat"),
        ("openai/text-embedding-3-small", {}, "embedding"),
        ("openai/nobody-knows-this", {}, "chat"),
        ("openai/nobody-knows-this", {"mode": "rerank"}, "rerank"),
    ],
)
def test_the_kind_of_a_model(model: str, info: dict[str, str], mode: str) -> None:
    assert mode_of(Deployment(group="g", id="g", arguments={"model": model, "model_info": info})) == mode
