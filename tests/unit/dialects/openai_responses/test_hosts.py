"""What compatible hosts make of Responses: what cannot be read under its type is kept whole and comes back."""

import json
from typing import Any

import pytest

from penstock.dialects.dialect import PathMatch
from penstock.dialects.openai_responses import DIALECT
from penstock.types.content import Opaque, Part, Text, ToolCall
from penstock.types.errors import DialectError
from penstock.types.fold import Fold
from penstock.types.notes import NO_MEMO
from tests.contract import dialects as contract

BODY: dict[str, Any] = {"id": "r", "object": "response", "created_at": 1, "model": "m", "status": "completed"}


def parts(*items: Any) -> tuple[Part, ...]:
    """What the items of an answer are read as; they come back exactly."""
    contract.assert_response_exact(DIALECT, {**BODY, "output": list(items)})
    return DIALECT.parse_response({**BODY, "output": list(items)}, NO_MEMO).choices[0].parts


def message(*content: Any) -> dict[str, Any]:
    return {"type": "message", "role": "assistant", "content": list(content)}


CALL = {"type": "function_call", "call_id": "c", "name": "f"}
CUSTOM = {"type": "custom_tool_call", "call_id": "c", "name": "f"}


def test_a_call_without_arguments() -> None:
    assert parts(CALL, CUSTOM, {**CALL, "arguments": None}) == (
        ToolCall("c", "f", "", native="no input"),
        ToolCall("c", "f", "", True, native="no input"),
        ToolCall("c", "f", "", native="no input", extras={"arguments": None}),
    )


@pytest.mark.parametrize("item", [{"type": "function_call"}, {"type": "reasoning", "id": 7}, "odd", 7, None], ids=str)
def test_an_item_that_cannot_be_read_is_kept_whole(item: Any) -> None:
    found = parts(message({"type": "output_text", "text": "Yes"}), item)
    assert [type(part) for part in found] == [Text, Opaque]


def test_content_that_cannot_be_read_is_kept_whole() -> None:
    found = parts(message({"type": "output_text"}, "odd", {"type": "output_text", "text": "Yes"}))
    assert [getattr(part, "text", None) for part in found] == [None, None, "Yes"]


@pytest.mark.parametrize("logprobs", [[{"logprob": -1}], {"content": []}, "x"], ids=str)
def test_log_probabilities_of_another_form_do_not_cost_the_text(logprobs: Any) -> None:
    (found,) = parts(message({"type": "output_text", "text": "Yes", "logprobs": logprobs}))
    assert isinstance(found, Text)
    assert (found.text, found.logprobs) == ("Yes", None)


@pytest.mark.parametrize(
    "label", [{"id": 5}, {"created_at": "now"}, {"model": 1}, {"usage": []}, {"id": None}], ids=str
)
def test_an_odd_label_does_not_cost_the_answer(label: dict[str, Any]) -> None:
    contract.assert_response_exact(DIALECT, {**BODY, "output": [], **label})


def test_an_answer_without_an_id_stays_without() -> None:
    nameless = {key: value for key, value in BODY.items() if key != "id"}
    contract.assert_response_exact(DIALECT, {**nameless, "output": []})


@pytest.mark.parametrize("item", [{"type": "function_call"}, {**CALL, "arguments": None}, {"type": "message"}], ids=str)
def test_in_a_request_it_is_the_callers_error(item: dict[str, Any]) -> None:
    with pytest.raises(DialectError):
        DIALECT.parse_request({"model": "m", "input": [{**item, "role": "user", "content": 7}]}, PathMatch())


CHOICES = [
    {"type": "allowed_tools", "mode": "auto", "tools": [{"name": "f"}]},
    {"type": "allowed_tools", "tools": ["f"]},
]


@pytest.mark.parametrize("choice", CHOICES, ids=str)
def test_a_choice_among_nameless_tools_comes_back(choice: dict[str, Any]) -> None:
    contract.assert_request_exact(DIALECT, {"model": "m", "input": "Hi", "tool_choice": choice})


def event(kind: str, **fields: Any) -> str:
    return f"event: {kind}\ndata: {json.dumps({'type': kind, **fields})}\n\n"


BEGUN = event("response.created", response={**BODY, "status": "in_progress", "output": []})


def folded(text: str) -> Fold:
    """What a stream adds up to; it comes back exactly."""
    contract.assert_stream_exact(DIALECT, text.encode())
    total = Fold(DIALECT.name)
    for step in contract.parse_stream(DIALECT, text.encode()):
        total.add(step)
    return total


def test_a_call_that_is_announced_bare_gets_its_arguments() -> None:
    added = event("response.output_item.added", output_index=0, item=CALL)
    delta = event("response.function_call_arguments.delta", output_index=0, item_id="i", delta="{}")
    done = event("response.output_item.done", output_index=0, item={**CALL, "arguments": "{}"})
    total = folded(BEGUN + added + delta + done)
    assert [part.arguments for part in total.response().choices[0].parts if isinstance(part, ToolCall)] == ["{}"]


ERRORS: list[tuple[str, str, str]] = [
    ('data: {"error": {"message": "no", "code": 500}}', "no", "server"),
    ('data: {"detail": "no"}', "no", "unknown"),
    ('data: {"object": "error", "message": "no", "code": 400}', "no", "invalid_request"),
    ('data: [{"error": {"message": "no", "code": 429}}]', "no", "rate_limit"),
    ("event: error\ndata: upstream is gone", "the stream holds what is not JSON: upstream is gone", "bad_gateway"),
    ("data: Internal Server Error", "the stream holds what is not JSON: Internal Server Error", "bad_gateway"),
]


@pytest.mark.parametrize("before", ["", BEGUN], ids=["at once", "midway"])
@pytest.mark.parametrize(("frame", "words", "kind"), ERRORS)
def test_errors_in_a_stream(frame: str, words: str, kind: str, before: str) -> None:
    error = folded(f"{before}{frame}\n\n").error
    assert error is not None
    assert (error.message, error.kind) == (words, kind)


@pytest.mark.parametrize("frame", ['{"type": "resp', "[1]", '"text"', "null", "7"])
def test_what_is_neither_an_event_nor_an_error_is_refused(frame: str) -> None:
    with pytest.raises(DialectError):
        contract.parse_stream(DIALECT, f"{BEGUN}data: {frame}\n\n\n".encode())
