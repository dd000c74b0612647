"""What an agent may spend: a session never costs more than its limit, however it asks, and is over when the next call
of a model could cost more than what is left. With a gateway, and a simulated provider whose model has a price.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path

import pytest

from penstock.agents.machine import Reason, State
from penstock.agents.types import Limits
from penstock.testing.providers import ReceivedRequest, Reply, SimulatedProviders, ToolCall
from tests.e2e.gateway import KEY, Running, environment_for, serving
from tests.support.runs import machine
from tests.support.sandboxes import need_sandboxes, sandbox_folder
from tests.support.session_world import ME, World, world

MODEL = "openai/gpt-4o"
BODY = json.dumps({"model": MODEL, "max_tokens": 50, "messages": [{"role": "user", "content": "hello " * 100}]})
CALL = (
    'curl -s -o /dev/null "$OPENAI_BASE_URL/chat/completions" -H "authorization: Bearer $OPENAI_API_KEY" '
    f"-H 'content-type: application/json' -d '{BODY}'"
)


@pytest.fixture
def provider() -> Iterator[SimulatedProviders]:
    need_sandboxes()
    with SimulatedProviders() as running:
        yield running


@pytest.fixture
def gateway(provider: SimulatedProviders) -> Iterator[Running]:
    with serving({**environment_for(provider), "PENSTOCK_MASTER_KEY": KEY}, "--workers", "2") as running:
        yield running


@pytest.fixture
def state() -> Iterator[Path]:
    with sandbox_folder() as folder:
        yield folder


def test_many_calls_at_once_cost_no_more_than_the_limit_and_end_the_session(
    state: Path, gateway: Running, provider: SimulatedProviders
) -> None:
    limit = Decimal("0.005")

    async def test(there: World) -> None:
        many = f"for n in 1 2 3 4 5 6 7 8 9 10; do {CALL} & done; wait; while :; do {CALL}; sleep 0.2; done"
        session = await there.session(many, agent={"model": MODEL, "budget": Limits(dollars=limit)})
        over = await there.row(session, state=State.TERMINATED)
        assert (over.stop_reason, over.detail) == (
            Reason.MONEY_LIMIT,
            "the next call of a model may cost more than is left",
        )
        await there.platform.runner.settled()
        over = await there.service.session(ME, session.id)
        spent = await there.keys.spent(session.id)
        assert over.usage.dollars == spent.dollars and 0 < spent.dollars <= limit
        assert spent.refused > 0 and len(provider.requests) == spent.requests - spent.refused
        assert not await there.platform.driver.living() and session.id not in await there.keys.held()

    async def all_of_it() -> None:
        async with world(state, gateway.url, KEY) as there:
            await test(there)

    asyncio.run(all_of_it())


@pytest.mark.parametrize("dollars", ["0.01", "0.0001"])
def test_a_run_says_that_its_money_is_spent(provider: SimulatedProviders, dollars: str) -> None:
    def answer(request: ReceivedRequest) -> Reply:
        return Reply.tool_calls(ToolCall("shell", {"command": f"echo {len(provider.requests)}"}))

    provider.answer_with(answer)
    with machine() as here:
        more = {**environment_for(provider), "PENSTOCK_STATE_DIR": str(here.state)}
        words = ("run", "loop", "--model", MODEL, "--max-dollars", dollars, "go on and on")
        done = here.call(*words, data=b"", **more)
    said = done.stderr.decode()
    assert done.returncode == 3 and "money_limit" in said and "may cost more than is left" in said, said
    cost = Decimal(said.split("$")[-1].split()[0])
    assert cost <= Decimal(dollars) and (cost > 0) == bool(provider.requests)
