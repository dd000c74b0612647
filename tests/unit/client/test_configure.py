"""`configure`: what holds for all module-level calls, and how it is undone."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest

import penstock
from penstock.client import api
from penstock.testing.providers import Reply, SimulatedProviders, Text, Usage

SAY = [{"role": "user", "content": "Hello"}]


@pytest.fixture(autouse=True)
def undone() -> Iterator[None]:
    yield
    penstock.configure()


@pytest.fixture
def providers() -> Iterator[SimulatedProviders]:
    with SimulatedProviders() as simulated:
        yield simulated


def test_the_users_own_prices_hold_for_all_calls(providers: SimulatedProviders) -> None:
    own = {"openai/gpt-4o": {"input_cost_per_token": 0.5, "output_cost_per_token": 0.25}}
    penstock.configure(
        facts=own, api_key="fake-key", api_base=providers.url("openai_chat"), num_retries=0, environment={}
    )
    providers.script(Reply(parts=(Text("Hi."),), usage=Usage(4, 8)))
    answer = penstock.completion("openai/gpt-4o", SAY)
    assert answer._hidden_params["response_cost"] == 4.0


def test_what_it_does_not_know_is_an_error_and_changes_nothing() -> None:
    before = penstock.configure(num_retries=7)
    with pytest.raises(TypeError, match=r"configure\(\) knows no colour"):
        penstock.configure(colour="red")
    assert api.default_engine() is before


def test_what_is_not_given_is_as_it_was_at_the_beginning() -> None:
    penstock.configure(num_retries=7)
    assert penstock.configure(drop_params=True).defaults.num_retries == 2


def test_threads_that_come_first_share_one_engine(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(api._Default, "engine", None)
    barrier, seen = threading.Barrier(16), list[object]()

    def work() -> None:
        barrier.wait()
        seen.append(api.default_engine())

    threads = [threading.Thread(target=work) for _ in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len({id(each) for each in seen}) == 1
