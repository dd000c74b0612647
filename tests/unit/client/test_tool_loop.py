"""The tool loop: rounds, calls side by side, errors told to the model, approval, and where it ends."""

from __future__ import annotations

import asyncio
import json
import threading
from typing import Any

import pytest

import penstock
from penstock import arun_tool_loop, run_tool_loop
from penstock.testing.providers import Reply, SimulatedProviders, ToolCall
from tests.support.targets import TARGETS, every_dialect, simulating

OPENAI = TARGETS[0]


def weather(city: str) -> str:
    """The weather in a city."""
    return f"{city}: sunny"


def run(simulated: SimulatedProviders, tools: Any, messages: Any = "Go", target: Any = OPENAI, **more: Any) -> Any:
    return run_tool_loop(messages=messages, tools=tools, **more, **target.arguments(simulated))


def arun(simulated: SimulatedProviders, tools: Any, messages: Any = "Go", target: Any = OPENAI, **more: Any) -> Any:
    return asyncio.run(arun_tool_loop(messages=messages, tools=tools, **more, **target.arguments(simulated)))


both = pytest.mark.parametrize("running", [run, arun], ids=["sync", "async"])


def told(simulated: SimulatedProviders) -> list[str]:
    """What the last request says of results."""
    return [message["content"] for message in simulated.last.json["messages"] if message["role"] == "tool"]


@both
@every_dialect
def test_it_goes_on_until_there_is_an_answer(running: Any, target: Any) -> None:
    with simulating() as simulated:
        simulated.script(
            Reply.tool_calls(ToolCall("weather", {"city": "Paris"})),
            Reply.tool_calls(ToolCall("weather", {"city": "Rome"})),
            Reply.text("Both are sunny."),
        )
        answer = running(simulated, [weather], "Paris or Rome?", target)
        last = simulated.last.body.decode()
    assert answer.choices[0].message.content == "Both are sunny."
    assert "Paris: sunny" in last
    assert "Rome: sunny" in last
    assert [message["role"] for message in answer.messages] == ["user", *["assistant", "tool"] * 2, "assistant"]
    assert len(answer.rounds) == answer._hidden_params["rounds"] == 3


@both
def test_calls_of_one_turn_run_side_by_side(running: Any) -> None:
    """Each waits for the other: one after the other they would never end."""
    barrier = threading.Barrier(2)

    def meet(name: str) -> str:
        barrier.wait(timeout=30)
        return f"{name} was here"

    with simulating() as simulated:
        simulated.script(
            Reply.tool_calls(ToolCall("meet", {"name": "a"}), ToolCall("meet", {"name": "b"})), Reply.text("done")
        )
        running(simulated, [meet])
        assert told(simulated) == ["a was here", "b was here"], "in the order of the calls"


@both
def test_coroutine_functions_and_values_that_are_no_text(running: Any) -> None:
    async def look(depth: int) -> dict[str, Any]:
        await asyncio.sleep(0)
        return {"depth": depth, "found": [1, 2]}

    with simulating() as simulated:
        simulated.script(Reply.tool_calls(ToolCall("look", {"depth": 3})), Reply.text("done"))
        running(simulated, [look])
        assert [json.loads(text) for text in told(simulated)] == [{"depth": 3, "found": [1, 2]}]


@both
def test_what_goes_wrong_is_told_to_the_model(running: Any) -> None:
    def fails(city: str) -> str:
        raise LookupError(f"no such city: {city}")

    with simulating() as simulated:
        simulated.script(
            Reply.tool_calls(
                ToolCall("fails", {"city": "Atlantis"}),
                ToolCall("fails", {"town": "Paris"}),
                ToolCall("fails", '{"city": '),
                ToolCall("unknown", {}),
            ),
            Reply.text("sorry"),
        )
        answer = running(simulated, [fails])
        errors = told(simulated)
    assert answer.choices[0].message.content == "sorry"
    assert errors[0] == "Error: LookupError: no such city: Atlantis"
    assert "missing arguments: city" in errors[1]
    assert errors[2].startswith("Error: ")
    assert errors[3] == "Error: there is no tool 'unknown'; there are: fails"


@both
def test_the_rounds_have_a_bound(running: Any) -> None:
    ran = []

    def again() -> str:
        ran.append(1)
        return "again"

    with simulating() as simulated:
        simulated.script(*[Reply.tool_calls(ToolCall("again", {}))] * 3)
        answer = running(simulated, [again], max_rounds=3)
    assert answer.choices[0].finish_reason == "tool_calls"
    assert len(answer.rounds) == 3
    assert len(ran) == 2, "the calls of the last round are not run: nobody would read what they gave"
    assert answer.messages[-1]["role"] == "assistant"


@both
def test_approval(running: Any) -> None:
    asked: list[str] = []

    def approve(call: Any) -> Any:
        asked.append(call.function.name)
        return {"Paris": True, "Rome": False, "Oslo": "too cold"}[json.loads(call.function.arguments)["city"]]

    with simulating() as simulated:
        calls = [ToolCall("weather", {"city": city}) for city in ("Paris", "Rome", "Oslo")]
        simulated.script(Reply.tool_calls(*calls), Reply.text("done"))
        running(simulated, [weather], approve=approve)
        assert told(simulated) == ["Paris: sunny", "Error: not allowed", "Error: not allowed: too cold"]
    assert asked == ["weather"] * 3


def test_approval_may_be_a_coroutine() -> None:
    async def approve(call: Any) -> bool:
        return False

    with simulating() as simulated:
        simulated.script(Reply.tool_calls(ToolCall("weather", {"city": "Rome"})), Reply.text("done"))
        arun(simulated, [weather], approve=approve)
        assert told(simulated) == ["Error: not allowed"]


@both
def test_a_tool_that_is_not_ours_ends_the_loop(running: Any) -> None:
    theirs = {"type": "function", "function": {"name": "theirs", "parameters": {"type": "object", "properties": {}}}}
    with simulating() as simulated:
        simulated.script(Reply.tool_calls(ToolCall("theirs", {}), ToolCall("weather", {"city": "Rome"})))
        answer = running(simulated, [weather, theirs])
    assert [call.function.name for call in answer.choices[0].message.tool_calls] == ["theirs", "weather"]


@both
def test_a_forced_call_is_forced_once(running: Any) -> None:
    with simulating() as simulated:
        simulated.script(Reply.tool_calls(ToolCall("weather", {"city": "Rome"})), Reply.text("done"))
        running(simulated, [weather], tool_choice="required")
        assert [request.json["tool_choice"] for request in simulated.requests] == ["required", "auto"]


def test_all_rounds_are_paid_for() -> None:
    with simulating() as simulated:
        simulated.script(Reply.tool_calls(ToolCall("weather", {"city": "Rome"})), Reply.text("done"))
        answer = run(simulated, [weather])
    costs = [each._hidden_params["response_cost"] for each in answer.rounds]
    assert answer._hidden_params["response_cost"] == pytest.approx(sum(costs))


def test_signatures_of_thoughts_go_back_with_the_calls() -> None:
    """Anthropic and Gemini refuse a tool turn whose thoughts were lost: the simulated ones do too."""
    for target in (TARGETS[2], TARGETS[3]):
        with simulating() as simulated:
            simulated.script(
                Reply.thinking("hm", ToolCall("weather", {"city": "Rome"})),
                Reply.text("done"),
            )
            answer = run(simulated, [weather], target=target, reasoning_effort="low", max_tokens=4000)
        assert answer.choices[0].message.content == "done"


def test_with_a_client_of_ones_own() -> None:
    with simulating() as simulated, penstock.Client(api_key="sk-fake", api_base=simulated.url("openai")) as client:
        simulated.script(Reply.tool_calls(ToolCall("weather", {"city": "Rome"})), Reply.text("done"))
        answer = run_tool_loop("openai/gpt-4o", "Go", [weather], client=client)
    assert answer.choices[0].message.content == "done"


@pytest.mark.parametrize(
    ("more", "said"),
    [({"stream": True}, "stream"), ({"max_rounds": 0}, "max_rounds"), ({"tools": [weather, weather]}, "two functions")],
)
def test_bad_arguments(more: Any, said: str) -> None:
    with pytest.raises(penstock.BadRequestError, match=said):
        run_tool_loop("demo", "Go", **({"tools": [weather]} | more))
