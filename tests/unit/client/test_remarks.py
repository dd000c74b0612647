"""What a provider says beside its answer is kept where a caller finds it."""

from __future__ import annotations

from typing import Any

import pytest

import penstock
from penstock.client.accounting import remarks_of
from penstock.testing.providers import Reply
from penstock.types.response import Choice, Response
from penstock.types.usage import Usage
from tests.support.targets import TARGETS, simulating


def test_what_a_provider_says_beside_its_answer_is_kept() -> None:
    response = Response(
        dialect="other",
        choices=(Choice(extras={"avgLogprobs": -0.1, "none": None}), Choice()),
        usage=Usage(input_tokens=1, extras={"total_duration": 5, "empty": {}}),
        extras={"x_groq": {"id": "req_fake"}, "(own)": {"a": 1}},
    )
    assert remarks_of(response) == {
        "x_groq": {"id": "req_fake"},
        "usage": {"total_duration": 5},
        "choices": [{"avgLogprobs": -0.1}, {}],
    }
    assert remarks_of(Response(dialect="other", choices=(Choice(),))) == {}


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "streamed"])
def test_ollamas_durations_are_no_notes(stream: bool) -> None:
    durations = {"total_duration", "load_duration", "prompt_eval_duration", "eval_duration"}
    with simulating() as simulated:
        simulated.script(Reply.text("fine"))
        completion: Any = penstock.completion
        target = next(each for each in TARGETS if each.dialect == "ollama_chat")
        answer = completion(messages=[{"role": "user", "content": "Hi"}], stream=stream, **target.arguments(simulated))
        if stream:
            list(answer)
            answer = answer.response
    assert answer.notes == ()
    assert answer._hidden_params["provider_specific_fields"]["usage"].keys() == durations
