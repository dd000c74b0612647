"""What a caller lets us do to a request: mending its form, dropping parameters, insisting on others, and where metadata
goes.
"""

from __future__ import annotations

from typing import Any

import pytest

import penstock
from penstock import Callback, UnsupportedParamsError
from penstock.calls.arguments import without
from penstock.testing.providers import Reply
from tests.support.targets import TARGETS, Target, every_dialect, simulating

completion: Any = penstock.completion
ASK: list[Any] = [{"role": "user", "content": "Hello"}]
OPENAI, RESPONSES, ANTHROPIC, GEMINI, BEDROCK, COHERE, OLLAMA = TARGETS
STRICT_ABOUT_TURNS = (ANTHROPIC, GEMINI, BEDROCK)
CALL = {"id": "call_1", "type": "function", "function": {"name": "look", "arguments": "{}"}}


def ids(target: Target) -> str:
    return target.dialect


# -- modify_params ----------------------------------------------------------------------------------------------------

FIRST_SPEAKS_THE_MODEL = [{"role": "assistant", "content": "Hi"}, {"role": "user", "content": "Go on"}]
TOOLS_IN_THE_HISTORY = [
    *ASK,
    {"role": "assistant", "content": None, "tool_calls": [CALL]},
    {"role": "tool", "tool_call_id": "call_1", "content": "found"},
]
A_CALL_WITHOUT_A_RESULT = [
    *ASK,
    {"role": "assistant", "content": None, "tool_calls": [CALL]},
    {"role": "user", "content": "Never mind"},
]


@pytest.mark.parametrize("target", STRICT_ABOUT_TURNS, ids=ids)
@pytest.mark.parametrize(
    "messages",
    [FIRST_SPEAKS_THE_MODEL, TOOLS_IN_THE_HISTORY, A_CALL_WITHOUT_A_RESULT],
    ids=["no user first", "tools undeclared", "call unanswered"],
)
def test_a_request_is_mended_where_its_form_would_be_refused(target: Target, messages: list[Any]) -> None:
    with simulating() as simulated:
        simulated.script(Reply.text("fine"))
        answer = completion(messages=messages, modify_params=True, **target.arguments(simulated))
    assert answer.choices[0].message.content == "fine"


def test_what_was_put_in_is_noted() -> None:
    with simulating() as simulated:
        simulated.script(Reply.text("fine"))
        answer = completion(messages=FIRST_SPEAKS_THE_MODEL, modify_params=True, **ANTHROPIC.arguments(simulated))
        sent = simulated.last.json["messages"]
    assert [message["role"] for message in sent] == ["user", "assistant", "user"]
    assert any(note.kind == "added" for note in answer.notes)


def test_nothing_is_mended_unasked() -> None:
    with simulating() as simulated:
        with pytest.raises(penstock.BadRequestError):
            completion(messages=A_CALL_WITHOUT_A_RESULT, **ANTHROPIC.arguments(simulated))
        assert len(simulated.last.json["messages"]) == 3


@pytest.mark.parametrize("target", [ANTHROPIC, BEDROCK], ids=ids)
def test_thinking_is_left_out_where_a_tool_turn_lacks_its_thoughts(target: Target) -> None:
    """Claude refuses to think on in a turn that began without thoughts: so the turn ends as it began."""
    tool = {"type": "function", "function": {"name": "look", "parameters": {"type": "object", "properties": {}}}}
    with simulating() as simulated:
        simulated.script(Reply.text("fine"))
        answer = completion(
            messages=TOOLS_IN_THE_HISTORY,
            tools=[tool],
            reasoning_effort="low",
            max_tokens=4000,
            modify_params=True,
            drop_params=True,
            **target.arguments(simulated),
        )
    assert answer.choices[0].message.content == "fine"


# -- parameters that a model does not take ----------------------------------------------------------------------------

UNTAKEN: list[tuple[Target, dict[str, Any]]] = [
    (ANTHROPIC, {"seed": 1}),
    (ANTHROPIC, {"logit_bias": {"50256": -100}}),
    (GEMINI, {"logit_bias": {"50256": -100}}),
    (BEDROCK, {"seed": 1}),
    (COHERE, {"logit_bias": {"1": 1}}),
    (OLLAMA, {"n": 2}),
    (RESPONSES, {"seed": 1}),
]


@pytest.mark.parametrize(
    ("target", "given"), UNTAKEN, ids=[f"{target.dialect}-{next(iter(given))}" for target, given in UNTAKEN]
)
def test_a_parameter_that_is_not_taken_is_refused_or_dropped(target: Target, given: dict[str, Any]) -> None:
    (name,) = given
    with simulating() as simulated:
        simulated.script(Reply.text("fine"))
        arguments = target.arguments(simulated) | {"messages": ASK} | given
        with pytest.raises(UnsupportedParamsError, match=name) as caught:
            completion(**arguments)
        assert simulated.requests == []
        answer = completion(drop_params=True, **arguments)
        assert f'"{name}"' not in simulated.last.body.decode()
    assert "drop_params=True" in caught.value.message
    assert any(note.path.startswith(name) and note.kind == "dropped" for note in answer.notes), "it is not silent"


def test_drop_params_for_all_calls_of_a_client() -> None:
    with simulating() as simulated:
        simulated.script(Reply.text("fine"))
        given = ANTHROPIC.arguments(simulated)
        model = given.pop("model")
        with penstock.Client(drop_params=True, **given) as client:
            client.chat.completions.create(model=model, messages=ASK, seed=1)
        assert "seed" not in simulated.last.json


def test_a_parameter_is_forced_through() -> None:
    """The simulated Anthropic refuses what it does not know: that it does is the proof that it was sent."""
    with simulating(strict=False) as simulated:
        simulated.script(*[Reply.text("fine")] * 3)
        for given, sent in (
            ({"seed": 7}, {"seed": 7}),
            ({"logit_bias": {"1": 1}}, {"logit_bias": {"1": 1}}),
            ({"my_own_field": {"a": 1}}, {"my_own_field": {"a": 1}}),
        ):
            completion(messages=ASK, allowed_openai_params=list(given), **(given | ANTHROPIC.arguments(simulated)))
            assert simulated.last.json.items() >= sent.items()


def test_reasoning_effort_is_forced_where_the_model_is_thought_not_to_reason() -> None:
    with simulating(strict=False) as simulated:
        simulated.script(Reply.text("fine"))
        given = OPENAI.arguments(simulated) | {"messages": ASK, "reasoning_effort": "low"}
        completion(allowed_openai_params=["reasoning_effort"], **given)
        assert simulated.last.json["reasoning_effort"] == "low"


def test_what_is_rendered_in_other_words_is_not_sent_twice() -> None:
    with simulating() as simulated:
        simulated.script(Reply.text("fine"))
        completion(
            messages=ASK,
            reasoning_effort="low",
            max_tokens=4000,
            allowed_openai_params=["reasoning_effort", "max_tokens"],
            **ANTHROPIC.arguments(simulated),
        )
        assert "reasoning_effort" not in simulated.last.json
        assert simulated.last.json["thinking"]["type"] == "enabled"


# -- additional_drop_params -------------------------------------------------------------------------------------------

BODY: dict[str, Any] = {
    "seed": 1,
    "tools": [
        {"type": "function", "function": {"name": "a", "strict": True}},
        {"type": "function", "function": {"name": "b", "strict": True}},
    ],
    "messages": [{"role": "user", "name": "ada", "content": "x"}, {"role": "user", "name": "bob", "content": "y"}],
}


@pytest.mark.parametrize(
    ("path", "left"),
    [
        ("seed", {**BODY, "seed": None}),
        (
            "tools[*].function.strict",
            {**BODY, "tools": [{"type": "function", "function": {"name": name}} for name in "ab"]},
        ),
        (
            "tools[1].function.strict",
            {**BODY, "tools": [BODY["tools"][0], {"type": "function", "function": {"name": "b"}}]},
        ),
        ("messages[0].name", {**BODY, "messages": [{"role": "user", "content": "x"}, BODY["messages"][1]]}),
        ("messages[1]", {**BODY, "messages": BODY["messages"][:1]}),
        ("messages[*]", {**BODY, "messages": []}),
        ("messages[7].name", BODY),
        ("tools.function", BODY),
        ("nowhere.at[0].all", BODY),
        ("", BODY),
    ],
)
def test_paths(path: str, left: dict[str, Any]) -> None:
    before = repr(BODY)
    assert without(BODY, [path]) == {name: value for name, value in left.items() if value is not None}
    assert repr(BODY) == before, "what is the caller's is not changed"


def test_they_are_left_out_of_a_call() -> None:
    tool = {"type": "function", "function": {"name": "a", "strict": True, "parameters": {"type": "object"}}}
    with simulating() as simulated:
        simulated.script(Reply.text("fine"))
        completion(
            messages=ASK,
            seed=1,
            tools=[tool],
            additional_drop_params=["seed", "tools[*].function.strict"],
            **OPENAI.arguments(simulated),
        )
        sent = simulated.last.json
    assert "seed" not in sent
    assert "strict" not in sent["tools"][0]["function"]
    assert tool["function"]["strict"] is True  # type: ignore[index]  # an object, or the test fails


# -- metadata ---------------------------------------------------------------------------------------------------------


class Seen(Callback):
    def __init__(self) -> None:
        self.metadata: list[Any] = []

    def log_success_event(self, kwargs: dict[str, Any], *rest: Any) -> None:
        self.metadata.append(kwargs["litellm_params"]["metadata"])


@every_dialect
def test_metadata_is_for_callbacks(target: Target) -> None:
    seen = Seen()
    with simulating() as simulated:
        simulated.script(Reply.text("fine"))
        completion(messages=ASK, metadata={"team": "blue"}, callbacks=[seen], **target.arguments(simulated))
        assert "blue" not in simulated.last.body.decode()
    assert seen.metadata == [{"team": "blue"}]


@pytest.mark.parametrize("target", [OPENAI, RESPONSES], ids=ids)
def test_metadata_goes_along_with_what_is_stored(target: Target) -> None:
    seen = Seen()
    with simulating() as simulated:
        simulated.script(Reply.text("fine"))
        completion(messages=ASK, metadata={"team": "blue"}, store=True, callbacks=[seen], **target.arguments(simulated))
        assert simulated.last.json["metadata"] == {"team": "blue"}
    assert seen.metadata == [{"team": "blue"}]
