"""What calls return: dicts that read like objects, and can be dumped, copied, compared and sent elsewhere."""

from __future__ import annotations

import copy
import json
import pickle
from typing import Any

import openai.types.chat
import pytest

from penstock import ModelResponse, ModelResponseStream, completion
from penstock.client.objects import Choice, Delta, Message, ToolCall, Usage
from penstock.types.notes import Note

WIRE: dict[str, Any] = {
    "id": "chatcmpl-1",
    "object": "chat.completion",
    "created": 1,
    "model": "gpt-4o",
    "choices": [
        {
            "index": 0,
            "message": {
                "role": "assistant",
                "content": None,
                "tool_calls": [{"id": "c1", "type": "function", "function": {"name": "f", "arguments": "{}"}}],
                "x_provider": {"kept": [1]},
            },
            "finish_reason": "tool_calls",
        }
    ],
    "usage": {
        "prompt_tokens": 3,
        "completion_tokens": 4,
        "total_tokens": 7,
        "prompt_tokens_details": {"cached_tokens": 2},
    },
    "x_top": "kept",
}


@pytest.fixture
def answer() -> ModelResponse:
    made = ModelResponse(copy.deepcopy(WIRE))._with(
        {"response_cost": 0.5, "model_id": "m"}, (Note("a", "dropped", "b"),)
    )
    made._response_ms = 12.0
    return made


def test_a_field_is_an_attribute_and_an_item(answer: Any) -> None:
    call = answer.choices[0].message.tool_calls[0]
    assert call.function.name == answer["choices"][0]["message"]["tool_calls"][0]["function"]["name"] == "f"
    kinds = [type(each) for each in (answer.choices[0], answer.choices[0].message, call, answer.usage)]
    assert kinds == [Choice, Message, ToolCall, Usage]
    assert answer.usage.prompt_tokens_details.cached_tokens == 2


def test_a_declared_field_that_the_answer_lacks_is_none_and_any_other_is_an_error(answer: ModelResponse) -> None:
    assert answer.system_fingerprint is None
    assert answer.choices[0].message.refusal is None
    with pytest.raises(AttributeError, match="ModelResponse has no field 'no_such'"):
        answer.no_such  # noqa: B018  # to ask is what fails
    assert not hasattr(answer, "no_such")
    assert "system_fingerprint" not in answer, "and asking does not put it there"


def test_what_a_provider_adds_is_kept_and_reads_the_same_way(answer: ModelResponse) -> None:
    assert answer.x_top == "kept"
    assert answer.choices[0].message.x_provider == {"kept": [1]}


def test_an_attribute_that_is_set_is_a_field(answer: ModelResponse) -> None:
    answer.choices[0].message.content = "changed"
    assert answer["choices"][0]["message"]["content"] == "changed"
    del answer.x_top
    assert "x_top" not in answer
    with pytest.raises(AttributeError):
        del answer.x_top


def test_a_dump_is_plain_and_shares_nothing(answer: ModelResponse) -> None:
    for dumped in (answer.model_dump(), answer.json(), answer.dict()):
        assert dumped == WIRE
        assert {type(dumped), type(dumped["choices"][0]), type(dumped["choices"][0]["message"])} == {dict}
        dumped["choices"][0]["message"]["content"] = "changed"
        assert answer.choices[0].message.content is None
    assert json.loads(answer.model_dump_json()) == WIRE
    assert json.loads(json.dumps(answer)) == WIRE


@pytest.mark.parametrize(
    ("chosen", "left"),
    [
        ({"include": {"id", "usage"}}, {"id": "x", "usage": {"prompt_tokens": 1, "cost": None}}),
        ({"include": {"usage": {"cost"}}}, {"usage": {"cost": None}}),
        ({"include": {"usage": True}, "exclude_none": True}, {"usage": {"prompt_tokens": 1}}),
        ({"exclude": {"choices", "usage"}}, {"id": "x"}),
        ({"exclude": {"choices": True, "usage": {"cost"}}}, {"id": "x", "usage": {"prompt_tokens": 1}}),
        (
            {"include": {"choices"}, "exclude": {"choices": {"__all__": {"index": ..., "message": {"content"}}}}},
            {"choices": [{"message": {"role": "assistant"}}]},
        ),
    ],
)
def test_a_dump_of_what_is_asked_for(chosen: dict[str, Any], left: dict[str, Any]) -> None:
    message = {"role": "assistant", "content": "Hi."}
    usage = {"prompt_tokens": 1, "cost": None}
    made = ModelResponse({"id": "x", "choices": [{"index": 0, "message": message}], "usage": usage})
    for dump in (made.model_dump, made.dict, made.json, made.to_dict):
        assert dump(**chosen) == left
    assert json.loads(made.model_dump_json(**chosen)) == json.loads(made.to_json(**chosen)) == left


def test_json_text_may_be_indented(answer: ModelResponse) -> None:
    assert answer.model_dump_json() == answer.to_json(indent=None)
    assert "\n" not in answer.model_dump_json()
    assert answer.to_json() == answer.model_dump_json(indent=2)
    assert answer.to_json().startswith('{\n  "')
    assert json.loads(answer.to_json()) == answer.model_dump()


def test_a_copy_with_changes(answer: ModelResponse) -> None:
    made = answer.model_copy(update={"id": "other"}, deep=True)
    assert (made.id, made.choices) == ("other", answer.choices)
    assert made.choices[0] is not answer.choices[0]
    assert answer.model_copy().choices[0] is answer.choices[0]
    assert made._hidden_params == answer._hidden_params


def test_a_dump_without_nulls(answer: ModelResponse) -> None:
    assert "content" not in answer.model_dump(exclude_none=True)["choices"][0]["message"]
    assert "content" not in answer.model_dump_json(exclude_none=True)
    assert answer.model_dump(mode="json", by_alias=True) == WIRE, "other arguments of pydantic's change nothing"


@pytest.mark.parametrize("again", [copy.copy, copy.deepcopy, lambda value: pickle.loads(pickle.dumps(value))])
def test_copies_are_equal_and_keep_what_is_about_the_call(answer: ModelResponse, again: Any) -> None:
    found = again(answer)
    assert found == answer == WIRE
    assert type(found) is ModelResponse and type(found.choices[0].message) is Message
    assert (found._hidden_params, found._response_ms, found.notes) == (answer._hidden_params, 12.0, answer.notes)


def test_a_deep_copy_shares_nothing(answer: ModelResponse) -> None:
    found = copy.deepcopy(answer)
    found.choices[0].message.content = "changed"
    assert answer.choices[0].message.content is None


def test_what_is_about_the_call_is_no_part_of_the_answer(answer: ModelResponse) -> None:
    other = ModelResponse(WIRE)
    assert answer == other
    assert other._hidden_params == {} and other.notes == ()
    assert "_hidden_params" not in answer and "0.5" not in answer.model_dump_json()


def test_it_says_what_it_is() -> None:
    message = Message(role="assistant", content="Hi")
    assert repr(message) == "Message(role='assistant', content='Hi')"
    assert repr(Choice(index=0, message=message)) == f"Choice(index=0, message={message!r})"


def test_it_is_made_of_words_as_of_a_dict() -> None:
    assert ModelResponse(WIRE) == ModelResponse(**WIRE)
    assert type(Choice(message={"role": "assistant"}).message) is Message


def test_a_chunk_has_deltas() -> None:
    chunk = ModelResponseStream({"choices": [{"index": 0, "delta": {"content": "a"}, "finish_reason": None}]})
    assert type(chunk.choices[0].delta) is Delta and chunk.choices[0].delta.content == "a"


def test_the_official_classes_take_it(answer: ModelResponse) -> None:
    found = openai.types.chat.ChatCompletion.model_validate(answer)
    assert found.choices[0].message.tool_calls is not None
    assert found.model_dump(exclude_unset=True)["x_top"] == "kept"


def test_an_answer_goes_into_the_next_request_as_it_is() -> None:
    first: Any = completion("demo", [{"role": "user", "content": "Hello"}])
    again: Any = completion(
        "demo", [{"role": "user", "content": "x"}, first.choices[0].message, {"role": "user", "content": "y"}]
    )
    assert again.choices[0].message.content.endswith("You said: y")
