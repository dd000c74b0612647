"""A conversation that was spoken in another dialect, for a model on Bedrock; and Bedrock's answer in that dialect.

The other dialect does its own writing and reading, so both sides are tested as they meet in the gateway.
"""

from typing import Any

import pytest

from penstock.dialects import registry
from penstock.dialects.bedrock_converse import DIALECT
from penstock.dialects.dialect import Context, Dialect, PathMatch
from penstock.types.content import Base64, Media, Text, ToolCall, ToolResult
from penstock.types.fold import fold
from penstock.types.notes import NO_MEMO
from penstock.types.profile import DEFAULT_PROFILE
from penstock.types.request import Message, Tool, ToolChoice
from penstock.types.stream import ArgumentsDelta, PartStart, StreamEvent, TextDelta
from tests.contract.dialects import PIXEL, SCHEMA, foreign_request, parse_stream, render_events
from tests.unit.dialects.bedrock_converse.samples import delta, event, start, stop

OTHERS = [name for name in registry.NAMES if name != DIALECT.name]
CALL = ToolCall("call_1", "look_up", {"city": "Paris"})
CONVERSATION = foreign_request(
    system=(Text("Be brief."),),
    messages=(
        Message("user", (Text("What is this?"), Media("image", Base64(PIXEL), "image/png"))),
        Message("assistant", (Text("I look."), CALL)),
        Message("tool", (ToolResult("call_1", (Text("a pixel"),), "look_up"),)),
        Message("assistant", (Text("A pixel."),)),
        Message("user", (Text("Thanks."),)),
    ),
    tools=(Tool("look_up", description="Look it up", parameters=SCHEMA),),
    tool_choice=ToolChoice("auto"),
    max_tokens=100,
    temperature=0.5,
)


@pytest.fixture(params=OTHERS)
def other(request: pytest.FixtureRequest) -> Dialect:
    return registry.get(request.param)


def test_a_conversation_arrives_on_bedrock(other: Dialect) -> None:
    body = other.render_request(CONVERSATION, DEFAULT_PROFILE).value
    spoken = other.parse_request(body, PathMatch("model-7", False))
    rendered = DIALECT.render_request(spoken, DEFAULT_PROFILE)
    assert rendered.value["system"] == [{"text": "Be brief."}]
    first = rendered.value["messages"][0]["content"]
    first.sort(key=lambda block: "image" in block)  # Ollama keeps images beside the text, so their place is lost there
    call_id = rendered.value["messages"][1]["content"][1]["toolUse"]["toolUseId"]
    assert rendered.value["messages"] == [
        {
            "role": "user",
            "content": [{"text": "What is this?"}, {"image": {"format": "png", "source": {"bytes": PIXEL}}}],
        },
        {
            "role": "assistant",
            "content": [
                {"text": "I look."},
                {"toolUse": {"toolUseId": call_id, "name": "look_up", "input": {"city": "Paris"}}},
            ],
        },
        {"role": "user", "content": [{"toolResult": {"toolUseId": call_id, "content": _result(rendered.value)}}]},
        {"role": "assistant", "content": [{"text": "A pixel."}]},
        {"role": "user", "content": [{"text": "Thanks."}]},
    ]
    (tool,) = rendered.value["toolConfig"]["tools"]
    assert (tool["toolSpec"]["name"], tool["toolSpec"]["description"]) == ("look_up", "Look it up")
    assert tool["toolSpec"]["inputSchema"]["json"]["required"] == ["city"]
    assert rendered.value["inferenceConfig"] == {"maxTokens": 100, "temperature": 0.5}
    assert rendered.notes == ()


def _result(body: dict[str, Any]) -> Any:
    """Gemini and Cohere carry results as objects: then the words stand inside of one."""
    content = body["messages"][2]["content"][0]["toolResult"]["content"]
    assert "a pixel" in str(content)
    return content


EVENTS: list[tuple[str, Any]] = [
    ("messageStart", {"role": "assistant"}),
    delta(0, {"text": "I "}),
    delta(0, {"text": "look."}),
    stop(0),
    start(1, {"toolUse": {"toolUseId": "call_1", "name": "look_up"}}),
    delta(1, {"toolUse": {"input": '{"city":'}}),
    delta(1, {"toolUse": {"input": '"Paris"}'}}),
    stop(1),
    ("messageStop", {"stopReason": "tool_use"}),
    (
        "metadata",
        {"usage": {"inputTokens": 10, "outputTokens": 5, "totalTokens": 15}, "metrics": {"latencyMs": 1}},
    ),
]


def test_bedrocks_stream_arrives_in_the_other_dialect(other: Dialect) -> None:
    events = parse_stream(DIALECT, b"".join(event(name, payload) for name, payload in EVENTS))
    data = render_events(other, events, DIALECT.name)
    deltas = [step for found in parse_stream(other, data) for step in found.deltas]
    assert "".join(step.text for step in deltas if isinstance(step, TextDelta)) == "I look."
    calls = [step.part for step in deltas if isinstance(step, PartStart) and isinstance(step.part, ToolCall)]
    assert [call.name for call in calls] == ["look_up"]
    streamed = "".join(step.text for step in deltas if isinstance(step, ArgumentsDelta))
    assert "Paris" in streamed or "Paris" in str(calls[0].arguments)


def test_the_other_dialects_stream_arrives_at_a_client_of_bedrock(other: Dialect) -> None:
    """There and back again: the other dialect writes the stream, reads it, and Converse tells it."""
    events: list[StreamEvent] = parse_stream(DIALECT, b"".join(event(name, payload) for name, payload in EVENTS))
    theirs = parse_stream(other, render_events(other, events, DIALECT.name))
    ours = parse_stream(DIALECT, render_events(DIALECT, theirs, other.name))
    answer = DIALECT.parse_response(
        {
            "output": {
                "message": {
                    "role": "assistant",
                    "content": [
                        {"text": "I look."},
                        {"toolUse": {"toolUseId": "x", "name": "look_up", "input": {"city": "Paris"}}},
                    ],
                }
            },
            "stopReason": "tool_use",
            "usage": {"inputTokens": 10, "outputTokens": 5, "totalTokens": 15},
        },
        NO_MEMO,
    )
    told = fold(ours, DIALECT.name)
    whole = DIALECT.render_response(answer, Context()).value
    again = DIALECT.render_response(told, Context()).value
    again["output"]["message"]["content"][1]["toolUse"]["toolUseId"] = "x"
    again["usage"] = {name: count for name, count in again["usage"].items() if count}
    assert again == whole
