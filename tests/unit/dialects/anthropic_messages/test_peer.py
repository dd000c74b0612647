"""The official `anthropic` package accepts what we render: its models, its parameter types, its stream accumulator."""

import json
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import anthropic
import pydantic
import pytest
from anthropic.types.beta import BetaMessage, BetaMessageParam, BetaToolUnionParam, message_create_params
from msgspec.structs import replace

from penstock.dialects.anthropic_messages import DIALECT
from penstock.dialects.dialect import Context
from penstock.types.content import Part, Refusal, Text, Thinking, ToolCall
from penstock.types.fold import fold
from penstock.types.notes import NO_MEMO
from penstock.types.profile import Profile
from penstock.types.response import Choice, Response
from penstock.types.stream import Failure, StreamEvent
from tests.contract import dialects as contract
from tests.contract.streams import STREAMS, WHOLE
from tests.unit.dialects.anthropic_messages.conftest import Answerer
from tests.unit.dialects.anthropic_messages.samples import EVENTS, sse

ASK: Any = {"model": "m", "max_tokens": 10, "messages": [{"role": "user", "content": "Hello"}]}


def ask(official: anthropic.Anthropic) -> anthropic.types.Message:
    message: anthropic.types.Message = official.messages.create(**ASK)
    return message


def ask_streaming(official: anthropic.Anthropic) -> anthropic.types.Message:
    with official.messages.stream(**ASK) as stream:
        for _ in stream:
            pass
        return stream.get_final_message()


def rendered(events: list[StreamEvent], source: str = contract.NOBODY) -> bytes:
    return contract.render_events(DIALECT, events, source)


# -- answers -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("label", [label for label, (role, _) in contract.EVERY_PART.items() if role == "assistant"])
def test_answers_of_others_are_messages(official: anthropic.Anthropic, answerer: Answerer, label: str) -> None:
    part = contract.EVERY_PART[label][1]
    response = Response(dialect=contract.NOBODY, id="r", model="m", choices=(Choice((part, Text("beside")), "stop"),))
    answerer.whole(DIALECT.render_response(response, Context()).value)
    message = ask(official)
    assert message.content[-1].type == "text"
    assert message.stop_reason in ("end_turn", "tool_use")


def test_an_empty_answer_is_a_message(official: anthropic.Anthropic, answerer: Answerer) -> None:
    answerer.whole(DIALECT.render_response(Response(dialect=contract.NOBODY), Context("msg_1", model="m")).value)
    message = ask(official)
    assert (message.id, message.model, message.content, message.usage.output_tokens) == ("msg_1", "m", [], 0)


def test_errors_raise_the_clients_own_exceptions(official: anthropic.Anthropic, answerer: Answerer) -> None:
    error = DIALECT.parse_error(429, {}, b'{"type":"error","error":{"type":"rate_limit_error","message":"Slow down"}}')
    status, body = DIALECT.render_error(replace(error, dialect="other"))
    answerer.whole(body, status)
    with pytest.raises(anthropic.RateLimitError, match="Slow down"):
        ask(official)


# -- streams -----------------------------------------------------------------------------------------------------------


REORDERED = {"texts that interleave", "a signature after the next part", "a call that was cut"}
"""Streams whose fold differs from what blocks in a row can say."""


@pytest.mark.parametrize("label", sorted(set(STREAMS) - REORDERED))
def test_streams_of_others_accumulate(official: anthropic.Anthropic, answerer: Answerer, label: str) -> None:
    """The client adds up the message that the fold of the same events would be rendered as."""
    events = STREAMS[label]
    answerer.stream(rendered(events))
    message = ask_streaming(official)
    expected = DIALECT.render_response(fold(events, contract.NOBODY), Context()).value
    found = json.loads(message.to_json())
    assert _joined(found["content"]) == _joined(expected["content"]), label
    if "interleave" not in label and "signed at its end" not in label:
        assert [block["type"] for block in found["content"]] == [block["type"] for block in expected["content"]]
    assert message.stop_reason == expected["stop_reason"]
    assert message.usage.input_tokens == expected["usage"]["input_tokens"]
    assert message.usage.output_tokens == expected["usage"]["output_tokens"]


def test_texts_that_interleave_keep_their_order_in_time(official: anthropic.Anthropic, answerer: Answerer) -> None:
    answerer.stream(rendered(STREAMS["texts that interleave"]))
    assert [block.to_dict()["text"] for block in ask_streaming(official).content] == ["a", "b", "c"]


def test_a_cut_call_reaches_the_client_as_far_as_it_went(official: anthropic.Anthropic, answerer: Answerer) -> None:
    answerer.stream(rendered(STREAMS["a call that was cut"]))
    message = ask_streaming(official)
    assert (message.stop_reason, message.content[0].to_dict()["input"]) == ("max_tokens", {})


def test_a_signature_that_comes_too_late_is_noted() -> None:
    renderer = DIALECT.stream_renderer(Context(source=contract.NOBODY))
    for event in STREAMS["a signature after the next part"]:
        renderer.render(event)
    assert [note.path for note in renderer.notes] == ["choices[0].parts[0].signature"]


def _joined(content: list[dict[str, Any]]) -> list[Any]:
    """What blocks say, by kind and in order: where a stream was interrupted, one text may stand in two blocks."""
    text = "".join(block["text"] for block in content if block["type"] == "text")
    thoughts = [block["thinking"] for block in content if block["type"] == "thinking"]
    calls = sorted(
        (json.dumps({key: block[key] for key in ("name", "input")}, sort_keys=True))
        for block in content
        if block["type"] == "tool_use"
    )
    signatures = sorted(
        block["data"].replace("<:", ">:") if "data" in block else block["signature"].rpartition(":")[2]
        for block in content
        if block["type"] in ("redacted_thinking", "thinking")
    )
    citations = [citation for block in content for citation in block.get("citations") or ()]
    return [text, thoughts, calls, signatures, citations]


def test_our_own_stream_accumulates(official: anthropic.Anthropic, answerer: Answerer) -> None:
    known = sse(*(event for event in EVENTS if "future" not in json.dumps(event) and event.get("index") not in (7, 8)))
    known = known.replace(b'"web_fetch_requests": null', b'"web_fetch_requests": 0')
    answerer.stream(rendered(contract.parse_stream(DIALECT, known), DIALECT.name))
    message = ask_streaming(official)
    assert [block.type for block in message.content][:6] == [
        "thinking",
        "redacted_thinking",
        "text",
        "tool_use",
        "tool_use",
        "server_tool_use",
    ]


def test_recorded_streams_of_other_dialects_accumulate(
    official: anthropic.Anthropic, answerer: Answerer, shared: Callable[..., Path]
) -> None:
    seen = 0
    for dialect in other_dialects():
        for exchange, _ in contract.recorded(shared("provider-exchanges"), dialect):
            body = exchange["response"]["body"]
            if not isinstance(body, str) or exchange["response"]["status"] != 200:
                continue
            events = contract.parse_stream(dialect, body.encode())
            answerer.stream(rendered(events, dialect.name))
            if any(isinstance(delta, Failure) for event in events for delta in event.deltas):
                with pytest.raises(anthropic.APIStatusError):
                    ask_streaming(official)
                continue
            total = fold(events, dialect.name)
            message = ask_streaming(official)
            said = "".join(part.text for part in total.choices[0].parts if isinstance(part, Text | Refusal))
            assert "".join(block.text for block in message.content if block.type == "text") == said, exchange["id"]
            calls = [part for part in total.choices[0].parts if isinstance(part, ToolCall)]
            assert [block.name for block in message.content if block.type == "tool_use"] == [
                call.name for call in calls
            ]
            seen += 1
    assert seen > 20


def other_dialects() -> list[Any]:
    import importlib
    import pkgutil

    import penstock.dialects

    names = [module.name for module in pkgutil.iter_modules(penstock.dialects.__path__) if module.ispkg]
    modules = [importlib.import_module(f"penstock.dialects.{name}") for name in names if name != DIALECT.name]
    return [module.DIALECT for module in modules if hasattr(module, "DIALECT")]


# -- requests ----------------------------------------------------------------------------------------------------------

BODY: pydantic.TypeAdapter[Any] = pydantic.TypeAdapter(message_create_params.MessageCreateParamsNonStreaming)
MESSAGE: pydantic.TypeAdapter[Any] = pydantic.TypeAdapter(BetaMessageParam)
TOOL: pydantic.TypeAdapter[Any] = pydantic.TypeAdapter(BetaToolUnionParam)


def consume(value: Any) -> None:
    """Run the lazy validators of iterables inside of a validated value."""
    if isinstance(value, dict):
        for inner in value.values():
            consume(inner)
    elif not isinstance(value, str | bytes | pydantic.BaseModel) and hasattr(value, "__iter__"):
        for inner in value:
            consume(inner)


def assert_accepted(body: dict[str, Any]) -> None:
    consume(BODY.validate_python({**body, "stream": False}))


PROFILES = (
    Profile(),
    Profile(reasoning="adaptive", system_turns=True),
    Profile(structured_output="tool", repair_turns=True),
)


@pytest.mark.parametrize("profile", PROFILES)
@pytest.mark.parametrize("label", contract.EVERY_PART)
def test_messages_of_others_are_parameters(label: str, profile: Profile) -> None:
    request = contract.request_with(*contract.EVERY_PART[label])
    body = DIALECT.render_request(request, profile).value
    assert_accepted(body)
    assert_ordered(body)


@pytest.mark.parametrize("profile", PROFILES)
def test_fields_of_others_are_parameters(profile: Profile) -> None:
    assert_accepted(DIALECT.render_request(contract.foreign_request(**contract.EVERY_FIELD), profile).value)


def test_recorded_requests_of_other_dialects_are_parameters(shared: Callable[..., Path]) -> None:
    seen = 0
    for dialect in other_dialects():
        for exchange, match in contract.recorded(shared("provider-exchanges"), dialect):
            body = exchange["request"]["body"]
            if exchange["response"]["status"] != 200 or not isinstance(body, dict):
                continue
            request = dialect.parse_request(body, match)
            request = replace(request, model="m")
            assert_accepted(DIALECT.render_request(request, Profile()).value)
            repaired = DIALECT.render_request(request, Profile(repair_turns=True)).value
            assert_accepted(repaired)
            assert_ordered(repaired)
            assert repaired["messages"][0]["role"] == "user"
            assert_answered(repaired)
            seen += 1
    assert seen > 200


def test_recorded_answers_of_other_dialects_are_messages(shared: Callable[..., Path]) -> None:
    seen = 0
    for dialect in other_dialects():
        for exchange, _ in contract.recorded(shared("provider-exchanges"), dialect):
            response = exchange["response"]
            if response["status"] == 200 and isinstance(response["body"], dict) and "base64" not in response["body"]:
                answer = dialect.parse_response(response["body"], NO_MEMO)
                said = DIALECT.render_response(answer, Context(model="m")).value
                with_mcp = any(block["type"].startswith("mcp_") for block in said["content"])
                (BetaMessage if with_mcp else anthropic.types.Message).model_validate(said)
                seen += 1
    assert seen > 600


def assert_ordered(body: dict[str, Any]) -> None:
    """The API's rules that no type can say: roles alternate, results come first and answer the turn before, ids are
    unique.
    """
    speakers = [message["role"] for message in body["messages"] if message["role"] != "system"]
    assert all(one != other for one, other in pairwise(speakers))
    seen: list[str] = []
    asked: set[str] = set()
    for message in body["messages"]:
        kinds = [block["type"] for block in message["content"]]
        assert kinds, "an empty message"
        results = kinds.count("tool_result")
        assert kinds[:results] == ["tool_result"] * results
        assert {block["tool_use_id"] for block in message["content"][:results]} <= asked
        asked = {block["id"] for block in message["content"] if block["type"] == "tool_use"}
        seen += asked
    assert len(seen) == len(set(seen))


def assert_answered(body: dict[str, Any]) -> None:
    """Every call has its result in the message that follows."""
    for message, following in zip(body["messages"], [*body["messages"][1:], {"content": []}], strict=True):
        asked = {block["id"] for block in message["content"] if block["type"] == "tool_use"}
        assert asked <= {block.get("tool_use_id") for block in following["content"]}


def test_whole_and_streamed_say_the_same() -> None:
    parts: tuple[Part, ...] = (*WHOLE, Thinking("x"))
    response = Response(dialect=contract.NOBODY, id="r", model="m", choices=(Choice(parts, "tool_calls"),))
    whole = DIALECT.render_response(response, Context()).value
    assert [block["type"] for block in whole["content"]] == ["thinking", "text", "tool_use", "thinking"]
