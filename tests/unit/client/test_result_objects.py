"""Result objects: JSON with attributes at every depth, in each API's own spelling."""

from __future__ import annotations

import copy
import json
import pickle

import pytest

from penstock.client.result_objects import GenerateContentResponse, Page, ResponsesResponse, Tree, page
from penstock.dialects import wire
from penstock.types.errors import MalformedError

RESPONSE = {
    "id": "r",
    "output": [
        {"type": "reasoning", "summary": []},
        {"type": "message", "content": [{"type": "output_text", "text": "He"}, {"type": "refusal", "refusal": "no"}]},
        {"type": "message", "content": [{"type": "output_text", "text": "llo"}]},
    ],
    "usage": {"input_tokens_details": {"cached_tokens": 3}},
}


def test_a_tree_reads_as_attributes_and_as_json() -> None:
    answer = ResponsesResponse(RESPONSE)
    assert answer.output[1].content[0].text == answer["output"][1]["content"][0]["text"] == "He"
    assert answer.usage is not None
    assert answer.usage.input_tokens_details.cached_tokens == 3
    assert answer.output_text == "Hello"
    assert answer.error is None
    assert answer.model_dump() == json.loads(json.dumps(answer)) == json.loads(wire.encode(answer)) == RESPONSE
    with pytest.raises(AttributeError, match="of_tomorrow"):
        answer.of_tomorrow  # noqa: B018  # to ask is what fails


def test_it_survives_copies_and_pickles() -> None:
    answer = ResponsesResponse(RESPONSE)._with({"response_cost": 1.0})
    for other in (copy.copy(answer), copy.deepcopy(answer), pickle.loads(pickle.dumps(answer))):
        assert other == answer
        assert isinstance(other.output[1].content[0], Tree)
        assert other._hidden_params == {"response_cost": 1.0}


def test_gemini_reads_in_both_spellings() -> None:
    answer = GenerateContentResponse(
        {
            "candidates": [
                {"content": {"parts": [{"text": "hm", "thought": True}, {"text": "Hi"}]}, "finishReason": "STOP"}
            ],
            "usageMetadata": {"promptTokenCount": 3},
        }
    )
    assert answer.usage_metadata.prompt_token_count == answer.usageMetadata.promptTokenCount == 3  # type: ignore[union-attr]  # there, or the test fails
    assert answer.candidates[0].finish_reason == "STOP"  # type: ignore[index]  # there, or the test fails
    assert answer.text == "Hi"
    assert answer.prompt_feedback is None
    assert GenerateContentResponse({}).text == ""


def test_a_page_is_looped_over_and_is_still_json() -> None:
    found = page({"object": "list", "data": [{"id": "a"}, {"id": "b"}], "has_more": True})
    assert [each.id for each in found] == ["a", "b"]
    assert json.loads(json.dumps(found)) == found.model_dump() == json.loads(wire.encode(found))
    assert copy.deepcopy(found) == found
    assert list(Page({})) == []
    with pytest.raises(MalformedError, match="expected a list"):
        page({"data": 3})
