"""Streams of every shape: they lose nothing on the way to a caller of the provider's own dialect, and when they break
off, the exception carries what had arrived.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from penstock import Client, exceptions
from penstock.testing.providers import (
    Cut,
    ErrorEvent,
    NotJSON,
    ProviderError,
    Reply,
    SimulatedProviders,
    Truncated,
)

Open = Callable[[Client, str], Any]

SHAPES: dict[str, Open] = {
    "completion": lambda client, model: client.chat.completions.create(
        model=model, messages=[{"role": "user", "content": "Hi"}], stream=True
    ),
    "responses": lambda client, model: client.responses.create(model=model, input="Hi", stream=True),
    "messages": lambda client, model: client.messages.create(
        model=model, messages=[{"role": "user", "content": "Hi"}], max_tokens=99, stream=True
    ),
    "generate_content": lambda client, model: client.models.generate_content_stream(model=model, contents="Hi"),
    "text_completion": lambda client, model: client.completions.create(model=model, prompt="Hi", stream=True),
}
MODELS = {
    "openai": "openai/gpt-4o",
    "anthropic": "anthropic/claude-sonnet-4-5",
    "gemini": "gemini/gemini-2.5-flash",
    "cohere": "cohere/command-a-03-2025",
}
CASES = [(shape, mount) for shape in SHAPES for mount in MODELS]
each_case = pytest.mark.parametrize(("shape", "mount"), CASES)


@pytest.fixture(scope="module")
def running() -> Iterator[SimulatedProviders]:
    with SimulatedProviders() as simulated:
        yield simulated


@pytest.fixture
def simulated(running: SimulatedProviders) -> SimulatedProviders:
    running.clear()
    return running


def client_of(simulated: SimulatedProviders, mount: str) -> Client:
    base = simulated.url(mount) + ("/v1beta" if mount == "gemini" else "")
    return Client(environment={}, api_base=base, api_key="sk-fake", num_retries=0)


LONG = "one two three four five six seven eight nine eleven"


@each_case
@pytest.mark.parametrize("fault", [Cut(after=6), Truncated(after=6)], ids=["cut", "truncated"])
def test_a_stream_that_breaks_off_raises_with_what_had_arrived(
    simulated: SimulatedProviders, shape: str, mount: str, fault: Any
) -> None:
    simulated.script(Reply.text(LONG).with_faults(fault))
    with client_of(simulated, mount) as client:
        stream = SHAPES[shape](client, MODELS[mount])
        seen: list[Any] = []
        with pytest.raises(exceptions.StreamInterruptedError) as caught:
            seen.extend(stream)
    assert caught.value.llm_provider == mount
    assert caught.value.model == MODELS[mount].partition("/")[2]
    assert "one" in json.dumps(caught.value.partial)
    if shape == "text_completion" and mount != "openai":
        assert caught.value.partial.choices[0].text.startswith("one")
    assert "eleven" not in json.dumps(caught.value.partial)


@each_case
def test_an_error_inside_a_stream_is_the_error(simulated: SimulatedProviders, shape: str, mount: str) -> None:
    fault = ErrorEvent(ProviderError(529 if mount == "anthropic" else 503, "It is all too much."), after=5)
    simulated.script(Reply.text(LONG).with_faults(fault))
    with client_of(simulated, mount) as client:
        stream = SHAPES[shape](client, MODELS[mount])
        with pytest.raises(exceptions.PenstockError, match="It is all too much") as caught:
            list(stream)
    assert "one" in json.dumps(caught.value.partial)  # type: ignore[attr-defined]  # what a broken stream's error has


@pytest.mark.parametrize("shape", SHAPES)
def test_what_is_no_json_inside_a_stream_is_an_error(simulated: SimulatedProviders, shape: str) -> None:
    simulated.script(Reply.text(LONG).with_faults(NotJSON(after=5)))
    with client_of(simulated, "openai") as client:
        stream = SHAPES[shape](client, MODELS["openai"])
        with pytest.raises(exceptions.PenstockError, match="JSON"):
            list(stream)


@pytest.mark.parametrize("shape", SHAPES)
def test_leaving_early_gives_the_connection_up(simulated: SimulatedProviders, shape: str) -> None:
    simulated.script(Reply.text("word " * 5000))
    with client_of(simulated, "openai") as client:
        with SHAPES[shape](client, MODELS["openai"]) as stream:
            next(stream)
        assert stream.response is None
        assert simulated.wait_until(lambda provider: provider.last.outcome != "open")


# -- native streams ---------------------------------------------------------------------------------------------------

RESPONSE = {"id": "resp_1", "object": "response", "created_at": 1, "model": "gpt-4o", "output": [], "new": {"a": [1]}}
PART = {"type": "output_text", "text": "", "annotations": []}
DONE_PART = {**PART, "text": "Hi"}
ITEM = {"id": "msg_1", "type": "message", "role": "assistant"}
EVENTS: dict[str, list[dict[str, Any]]] = {
    "responses": [
        {"type": "response.created", "sequence_number": 0, "response": {**RESPONSE, "status": "in_progress"}},
        {
            "type": "response.output_item.added",
            "sequence_number": 1,
            "output_index": 0,
            "item": {**ITEM, "status": "in_progress", "content": []},
        },
        {"type": "response.of_tomorrow", "sequence_number": 2, "anything": [{"deep": True}]},
        {
            "type": "response.content_part.added",
            "sequence_number": 3,
            "item_id": "msg_1",
            "output_index": 0,
            "content_index": 0,
            "part": PART,
        },
        {
            "type": "response.output_text.delta",
            "sequence_number": 4,
            "item_id": "msg_1",
            "output_index": 0,
            "content_index": 0,
            "delta": "Hi",
            "obfuscation": "x1",
        },
        {
            "type": "response.output_text.done",
            "sequence_number": 5,
            "item_id": "msg_1",
            "output_index": 0,
            "content_index": 0,
            "text": "Hi",
        },
        {
            "type": "response.content_part.done",
            "sequence_number": 6,
            "item_id": "msg_1",
            "output_index": 0,
            "content_index": 0,
            "part": DONE_PART,
        },
        {
            "type": "response.output_item.done",
            "sequence_number": 7,
            "output_index": 0,
            "item": {**ITEM, "status": "completed", "content": [DONE_PART]},
        },
        {
            "type": "response.completed",
            "sequence_number": 8,
            "response": {
                **RESPONSE,
                "status": "completed",
                "output": [{**ITEM, "status": "completed", "content": [DONE_PART]}],
                "usage": {"input_tokens": 1, "output_tokens": 1, "total_tokens": 2},
            },
        },
    ],
    "messages": [
        {
            "type": "message_start",
            "message": {
                "id": "msg_1",
                "type": "message",
                "role": "assistant",
                "model": "claude-sonnet-4-5",
                "content": [],
                "stop_reason": None,
                "stop_sequence": None,
                "usage": {"input_tokens": 3, "output_tokens": 1, "new": 5},
                "field_of_tomorrow": {"x": None},
            },
        },
        {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}, "new": 1},
        {"type": "ping"},
        {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "Hi"}},
        {"type": "of_tomorrow", "anything": [{"deep": True}]},
        {"type": "content_block_stop", "index": 0},
        {
            "type": "message_delta",
            "delta": {"stop_reason": "end_turn", "stop_sequence": None},
            "usage": {"output_tokens": 2},
        },
        {"type": "message_stop"},
    ],
    "generate_content": [
        {
            "candidates": [{"content": {"parts": [{"text": "H"}], "role": "model"}, "index": 0, "new": [1]}],
            "usageMetadata": {"promptTokenCount": 3, "totalTokenCount": 3},
            "modelVersion": "gemini-2.5-flash",
            "responseId": "r1",
        },
        {
            "candidates": [
                {"content": {"parts": [{"text": "i"}], "role": "model"}, "finishReason": "STOP", "index": 0}
            ],
            "usageMetadata": {"promptTokenCount": 3, "candidatesTokenCount": 2, "totalTokenCount": 5},
            "modelVersion": "gemini-2.5-flash",
            "responseId": "r1",
        },
    ],
}


@pytest.mark.parametrize(
    ("shape", "mount"), [("responses", "openai"), ("messages", "anthropic"), ("generate_content", "gemini")]
)
def test_a_stream_in_the_callers_own_dialect_loses_nothing(
    simulated: SimulatedProviders, shape: str, mount: str
) -> None:
    simulated.script(Reply.native(events=EVENTS[shape]))
    with client_of(simulated, mount) as client:
        stream = SHAPES[shape](client, MODELS[mount])
        assert [event.model_dump() for event in stream] == EVENTS[shape]
        whole = stream.response
    assert "Hi" in json.dumps(whole)
    if shape == "responses":
        assert whole == EVENTS[shape][-1]["response"]
    if shape == "messages":
        assert (whole.field_of_tomorrow, whole.usage.output_tokens) == ({"x": None}, 2)
