"""The official `openai` package accepts what we render: its models, its parameter types, its stream accumulator."""

import json
from base64 import b64decode
from collections.abc import Callable
from pathlib import Path
from typing import Any, get_type_hints

import openai
import pydantic
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace
from openai.types.responses import Response as OfficialResponse
from openai.types.responses import ResponseStreamEvent
from openai.types.responses.response_create_params import ResponseCreateParamsNonStreaming

from penstock.dialects.dialect import Context
from penstock.dialects.openai_responses import DIALECT
from penstock.dialects.registry import NAMES, get
from penstock.types.content import (
    Base64,
    Citation,
    Json,
    Media,
    Opaque,
    Part,
    Refusal,
    ServerToolCall,
    Signature,
    Text,
    Thinking,
    TokenLogprob,
    ToolCall,
)
from penstock.types.errors import DialectError, ErrorResponse
from penstock.types.fold import fold
from penstock.types.notes import NO_MEMO
from penstock.types.profile import Profile
from penstock.types.response import Choice, Response
from penstock.types.stream import (
    ArgumentsDelta,
    CitationDelta,
    Delta,
    End,
    Failure,
    MediaDelta,
    PartEnd,
    PartStart,
    RefusalDelta,
    SignatureDelta,
    Snapshot,
    Start,
    Stop,
    StreamEvent,
    SummaryDelta,
    TextDelta,
    ThinkingDelta,
    UsageDelta,
)
from penstock.types.unfold import unfold
from penstock.types.usage import Usage
from tests.contract import dialects as contract
from tests.unit.dialects.openai_responses import peer
from tests.unit.dialects.openai_responses.samples import REQUEST, STREAM

CONTEXT = Context(id="resp_7", created=1_750_000_000, model="m", source=contract.NOBODY)
EVENT: Any = pydantic.TypeAdapter(ResponseStreamEvent)
PARAMS: Any = pydantic.TypeAdapter(ResponseCreateParamsNonStreaming)


def told(deltas: list[Delta]) -> bytes:
    """The stream of a foreign answer, one event for each delta."""
    return contract.render_events(DIALECT, [StreamEvent((delta,)) for delta in deltas], contract.NOBODY)


def answer(*parts: Part, reason: Any = "stop", **fields: Any) -> Response:
    return Response(dialect=contract.NOBODY, id="msg_01AB", model="m", choices=(Choice(parts, reason),), **fields)


# -- answers -----------------------------------------------------------------------------------------------------------

PARTS: tuple[Part, ...] = (
    Thinking("Hm.", signature=Signature("c2ln", "anthropic")),
    Thinking(summary=("First", "Second"), signature=Signature("gAAAA", "openai")),
    Thinking(signature=Signature("cmVk", "anthropic"), redacted=True),
    Text("Hello", citations=(Citation("https://example.com", "Example", "cited"), Citation(file_id="file-1"))),
    Text(" world", logprobs=(TokenLogprob(" world", -0.5, top=(TokenLogprob(" all", -2),)),)),
    ServerToolCall("s_1", "web_search", {"query": "q"}),
    ServerToolCall("s_2", "code_execution", '{"code": "print(1)"}'),
    ServerToolCall("s_3", "file_search", {"queries": ["a"]}),
    Refusal("Not that."),
    ToolCall("call_1", "get_weather", {"city": "Paris"}),
    ToolCall(None, "get_weather", '{"city":"London"}', signature=Signature("c2ln", "gemini")),
    ToolCall("call_3", "write", "free words", custom=True),
    Media("image", Base64("iVBORw0KGgo="), "image/png"),
    Media("audio", None, transcript="spoken"),
    Json({"a": 1}),
    Opaque({"type": "only_there"}),
    Text("The end."),
)
"""Every kind of part that an answer of another dialect may hold."""


def test_an_answer_of_another_dialect_is_a_response() -> None:
    wire = DIALECT.render_response(answer(*PARTS, usage=Usage(input_tokens=3)), CONTEXT).value
    OfficialResponse.model_validate(wire, strict=True)
    found = peer.client(wire).responses.create(model="m", input="Hello")
    assert found.output_text == 'Hello worldspoken{"a":1}The end.'
    assert [item.type for item in found.output] == [
        "reasoning",
        "reasoning",
        "reasoning",
        "message",
        "web_search_call",
        "code_interpreter_call",
        "file_search_call",
        "message",
        "function_call",
        "function_call",
        "custom_tool_call",
        "image_generation_call",
        "message",
    ]
    assert found.usage is not None
    assert found.usage.total_tokens == 3


def test_an_empty_answer_is_a_response() -> None:
    wire = DIALECT.render_response(Response(dialect=contract.NOBODY), CONTEXT).value
    OfficialResponse.model_validate(wire, strict=True)
    assert (wire["id"], wire["created_at"], wire["model"], wire["output"]) == ("resp_7", 1_750_000_000, "m", [])


def test_the_answer_echoes_the_request() -> None:
    request = DIALECT.parse_request(REQUEST, contract.NO_MATCH)
    wire = DIALECT.render_response(answer(Text("Hi")), replace(CONTEXT, request=request)).value
    echoed = ("instructions", "tools", "tool_choice", "temperature", "text", "reasoning", "metadata", "user", "store")
    expected = {key: REQUEST[key] for key in echoed}
    expected["tools"] = [
        {**tool, "server_url": "https://example.com/<redacted>"} if tool["type"] == "mcp" else tool
        for tool in REQUEST["tools"]
    ]
    assert {key: wire[key] for key in echoed} == expected
    assert (wire["max_output_tokens"], wire["truncation"], wire["conversation"]) == (1000, "auto", {"id": "conv_1"})


@pytest.mark.parametrize(
    ("status", "kind", "raised"),
    [
        (400, "invalid_request", openai.BadRequestError),
        (401, "authentication", openai.AuthenticationError),
        (404, "not_found", openai.NotFoundError),
        (429, "rate_limit", openai.RateLimitError),
        (529, "overloaded", openai.InternalServerError),
    ],
)
def test_errors_raise_the_clients_own_exceptions(status: int, kind: Any, raised: type[openai.APIStatusError]) -> None:
    error = ErrorResponse(kind=kind, status=status, message="Slow down", dialect=contract.NOBODY)
    got, body = DIALECT.render_error(error)
    with pytest.raises(raised, match="Slow down"):
        peer.client(body, got).responses.create(model="m", input="Hello")


# -- requests ----------------------------------------------------------------------------------------------------------


def parameters(wire: dict[str, Any]) -> None:
    """The body is one that the official types describe, but for two things that the API takes and its types do not:
    items of the model's without an id, and audio.
    """
    items = [
        {"id": "x_1", **item} if item.get("type") in ("message", "reasoning", "image_generation_call") else item
        for item in wire["input"]
        if "input_audio" not in json.dumps(item)
    ]
    assert wire.keys() <= set(get_type_hints(ResponseCreateParamsNonStreaming))
    PARAMS.validate_python({**wire, "input": items, "stream": False})


@pytest.mark.parametrize("label", contract.EVERY_PART)
@pytest.mark.parametrize("profile", [Profile(), Profile(signature_origin="openai", cache_breakpoints=True)])
def test_requests_of_others_are_parameters(label: str, profile: Profile) -> None:
    parameters(DIALECT.render_request(contract.request_with(*contract.EVERY_PART[label]), profile).value)


@pytest.mark.parametrize("field", contract.EVERY_FIELD)
def test_fields_of_others_are_parameters(field: str) -> None:
    request = contract.foreign_request(**{"tools": contract.TOOLS, field: contract.EVERY_FIELD[field]})
    parameters(DIALECT.render_request(request, Profile()).value)


# -- streams -----------------------------------------------------------------------------------------------------------


def check(data: bytes) -> list[dict[str, Any]]:
    """What must hold for every stream: typed events, numbered in order; items that begin once and end once, each before
    the next begins, in places that the last event confirms; contents that add up.
    """
    found = [frame for _, frame in contract.frames(DIALECT, data)]
    assert [event["sequence_number"] for event in found] == list(range(len(found)))
    assert [event["type"] for event in found[:2]] == ["response.created", "response.in_progress"]
    texts: dict[tuple[int, int], str] = {}
    added: dict[int, Any] = {}
    done: dict[int, Any] = {}
    for event in found:
        EVENT.validate_python(event, strict=True)
        place = event.get("output_index")
        match event["type"]:
            case "response.output_item.added":
                assert place == len(added)
                assert done.keys() == added.keys(), "an item is done before the next is added"
                added[place] = event["item"]
            case "response.output_item.done":
                assert place not in done
                assert (event["item"]["id"], event["item"]["type"]) == (added[place]["id"], added[place]["type"])
                assert event["item"].get("call_id") == added[place].get("call_id")
                done[place] = event["item"]
            case "response.output_text.delta" | "response.refusal.delta":
                key = (place, event["content_index"])
                texts[key] = texts.get(key, "") + event["delta"]
            case _ if place is not None:
                assert place in added
                assert place not in done
    for (place, number), text in texts.items():
        part = done[place]["content"][number]
        assert text == part.get("text", part.get("refusal"))
    if "response" in found[-1] and found[-1]["type"] != "response.failed":
        assert [without_status(item) for item in found[-1]["response"]["output"]] == [
            without_status(done[place]) for place in sorted(done)
        ]
        assert done.keys() == added.keys()
    return found


def without_status(item: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in item.items() if key != "status"}


def test_a_told_answer_is_the_whole_answer() -> None:
    """The stream of an answer ends with the object that the answer would be without streaming, and is accepted."""
    whole = answer(*PARTS, reason="tool_calls", usage=Usage(input_tokens=3, output_tokens=4))
    data = contract.render_events(DIALECT, list(unfold(whole)), contract.NOBODY)
    found = check(data)
    context = Context(source=contract.NOBODY)
    assert found[-1]["response"] == DIALECT.render_response(whole, context).value
    official = peer.accumulate(data)
    assert official.output_text == 'Hello worldspoken{"a":1}The end.'


@pytest.mark.parametrize("reason", ["length", "content_filter", "refusal", "error", "pause", "stop", None])
def test_every_way_to_stop_is_told(reason: Any) -> None:
    whole = answer(Text("Hello"), ToolCall("call_1", "f", "{}"), reason=reason)
    data = contract.render_events(DIALECT, list(unfold(whole)), contract.NOBODY)
    last = check(data)[-1]
    rendered = DIALECT.render_response(whole, Context(source=contract.NOBODY)).value
    assert last == {
        "type": f"response.{rendered['status']}",
        "response": rendered,
        "sequence_number": len(peer.events(data)) - 1,
    }


def test_a_failure_is_told_as_an_event_and_as_the_end() -> None:
    error = ErrorResponse(kind="overloaded", status=529, message="Too busy")
    data = told([Start("r", "m"), TextDelta(0, "Hel"), Failure(error), TextDelta(0, "lo"), End()])
    found = [frame for _, frame in contract.frames(DIALECT, data)]
    assert [event["type"] for event in found[-2:]] == ["error", "response.failed"]
    assert found[-2]["message"] == "Too busy"
    assert found[-1]["response"]["error"] == {"code": "server_error", "message": "Too busy"}
    assert [event.type for event in peer.events(data)][-1] == "response.failed"


def test_a_failure_before_anything_else_is_told_too() -> None:
    data = told([Failure(ErrorResponse(kind="rate_limit", status=429, message="Slow down"))])
    assert [event.type for event in peer.events(data)] == [
        "response.created",
        "response.in_progress",
        "error",
        "response.failed",
    ]


def test_a_snapshot_alone_is_told_whole() -> None:
    data = told([Snapshot(answer(*PARTS), final=True)])
    check(data)
    assert peer.accumulate(data).output_text == 'Hello worldspoken{"a":1}The end.'


def test_nothing_at_all_is_an_empty_answer() -> None:
    assert peer.accumulate(told([])).output == []


def test_a_call_that_is_cut_lets_others_wait() -> None:
    """As parallel calls of Chat Completions may come, by index: each is told whole, and then what waited, in order."""
    data = told(
        [
            PartStart(0, Text("")),
            TextDelta(0, "One "),
            PartStart(1, ToolCall("call_1", "f", "")),
            ArgumentsDelta(1, '{"a"'),
            PartStart(2, ToolCall("call_2", "g", {})),
            ArgumentsDelta(2, '{"b": 2}'),
            TextDelta(0, "two"),
            ArgumentsDelta(1, ": 1}"),
            PartEnd(2),
            PartEnd(1),
            PartEnd(0),
            Stop("tool_calls", "tool_use"),
            End(),
        ]
    )
    check(data)
    found = peer.accumulate(data)
    assert found.output_text == "One two"
    calls = [(item.name, item.call_id, item.arguments) for item in found.output if item.type == "function_call"]
    assert calls == [("f", "call_1", '{"a": 1}'), ("g", "call_2", '{"b": 2}')]
    assert [item.type for item in found.output] == ["message", "function_call", "function_call", "message"]


def steps(data: bytes) -> list[str]:
    """The beginnings and ends of items: `+message`, `-message`."""
    found = [frame for _, frame in contract.frames(DIALECT, data)]
    signs = {"response.output_item.added": "+", "response.output_item.done": "-"}
    return [signs[event["type"]] + event["item"]["type"] for event in found if event["type"] in signs]


def retold(name: str, *frames: Any) -> bytes:
    """A stream of another dialect, told."""
    data = b"".join(b"data: %b\n\n" % json.dumps(frame).encode() for frame in frames)
    return contract.render_events(DIALECT, contract.parse_stream(get(name), data), name)


def test_an_item_is_done_before_the_next_begins_gemini() -> None:
    """Gemini never says that a text or a thought has ended."""

    def frame(*parts: Any, **more: Any) -> Any:
        return {"responseId": "r", "candidates": [{"index": 0, "content": {"role": "model", "parts": parts}, **more}]}

    data = retold(
        "gemini",
        frame({"text": "Hm", "thought": True}),
        frame({"text": ".", "thought": True, "thoughtSignature": "c2ln"}),
        frame({"text": "I shall "}),
        frame({"text": "look."}),
        frame({"functionCall": {"name": "f", "args": {"a": 1}}}, {"functionCall": {"name": "g", "args": {}}}),
        frame({"text": ""}, finishReason="STOP"),
    )
    check(data)
    calls = ["+function_call", "-function_call"] * 2
    assert steps(data)[:8] == ["+reasoning", "-reasoning", "+message", "-message", *calls]
    found = peer.accumulate(data)
    assert found.output_text == "I shall look."
    assert found.output[0].content[0].text == "Hm."
    assert "c2ln" in found.output[0].encrypted_content


def test_an_item_is_done_before_the_next_begins_cohere() -> None:
    """Cohere never says that its plan has ended."""

    def call(kind: str, index: int, value: Any) -> Any:
        return {"type": f"tool-call-{kind}", "index": index, "delta": {"message": {"tool_calls": value}}}

    calls: list[Any] = []
    for index, name in enumerate("fg"):
        about = {"id": name, "type": "function", "function": {"name": name, "arguments": ""}}
        calls += [call("start", index, about), call("delta", index, {"function": {"arguments": "{}"}})]
        calls.append({"type": "tool-call-end", "index": index})
    data = retold(
        "cohere_chat",
        {"type": "message-start", "id": "m", "delta": {"message": {"role": "assistant"}}},
        {"type": "tool-plan-delta", "delta": {"message": {"tool_plan": "I will "}}},
        {"type": "tool-plan-delta", "delta": {"message": {"tool_plan": "look."}}},
        *calls,
        {"type": "message-end", "delta": {"finish_reason": "TOOL_CALL"}},
    )
    check(data)
    assert steps(data) == ["+message", "-message", *["+function_call", "-function_call"] * 2]
    assert peer.accumulate(data).output_text == "I will look."


def test_an_item_is_done_before_the_next_begins_chat() -> None:
    """Chat Completions says no end but the last; many hosts put an empty `content` beside the pieces of calls."""

    def chunk(**delta: Any) -> Any:
        return {"id": "c", "choices": [{"index": 0, "delta": delta}]}

    def call(index: int, arguments: str, **more: Any) -> Any:
        piece = {"index": index, **more, "function": {"arguments": arguments, **({"name": "f"} if more else {})}}
        return chunk(content="", reasoning_content="", tool_calls=[piece])

    data = retold(
        "openai_chat",
        chunk(role="assistant", reasoning_content="Hm."),
        chunk(content="I look.", reasoning_content=""),
        call(0, "", id="c0"),
        call(0, '{"a": {"b": '),
        call(0, "1}}"),
        call(1, "", id="c1"),
        call(1, "{}"),
        {"id": "c", "choices": [{"index": 0, "delta": {}, "finish_reason": "tool_calls"}]},
    )
    check(data)
    calls = ["+function_call", "-function_call"] * 2
    assert steps(data) == ["+reasoning", "-reasoning", "+message", "-message", *calls]
    found = peer.accumulate(data)
    assert [item.arguments for item in found.output[2:]] == ['{"a": {"b": 1}}', "{}"]


def test_thoughts_and_texts_that_take_turns_are_told_in_their_order() -> None:
    """As Mistral's chunks may come: each goes on as another item, and nothing of it is lost."""
    data = told([ThinkingDelta(0, "a"), TextDelta(1, "b"), ThinkingDelta(0, "c"), TextDelta(1, "d"), End()])
    check(data)
    found = peer.accumulate(data)
    assert [item.content[0].text for item in found.output] == ["a", "b", "c", "d"]
    assert [item.type for item in found.output] == ["reasoning", "message"] * 2


def test_remarks_on_what_is_done_already() -> None:
    """A source still finds its place, in a text of its own; a signature and probabilities have none any more."""
    renderer = DIALECT.stream_renderer(CONTEXT)
    deltas: list[Delta] = [
        ThinkingDelta(0, "Hm."),
        TextDelta(1, "Hello"),
        SignatureDelta(0, Signature("c2ln", "anthropic")),
        PartStart(2, ToolCall("call_1", "f", "")),
        ArgumentsDelta(2, "{}"),
        CitationDelta(1, Citation("https://example.com", "Example", start=0, end=5)),
        TextDelta(2, ""),
        PartStart(3, ToolCall("call_2", "f", "{}")),
        TextDelta(1, "", logprobs=(TokenLogprob("Hello", -0.5),)),
        ArgumentsDelta(2, " "),
        ArgumentsDelta(2, "{}"),
        End(),
    ]
    data = b"".join(renderer.render(StreamEvent((delta,))) for delta in deltas) + renderer.close()
    check(data)
    found = peer.accumulate(data)
    assert [item.type for item in found.output] == [
        "reasoning",
        "message",
        "function_call",
        "message",
        "function_call",
    ]
    (annotation,) = found.output[3].content[0].annotations
    assert (annotation.url, annotation.start_index, annotation.end_index) == ("https://example.com", 0, 0)
    assert [note.path for note in renderer.notes if "came after" in note.detail] == [
        "choices[0].parts[0].signature",
        "choices[0].parts[3].logprobs",
        "choices[0].parts[2].arguments",
    ]


def test_only_the_first_choice_is_told() -> None:
    renderer = DIALECT.stream_renderer(CONTEXT)
    data = renderer.render(StreamEvent((TextDelta(0, "a"), TextDelta(0, "b", choice=1))))
    data += renderer.render(StreamEvent((TextDelta(0, "c", choice=1),))) + renderer.close()
    assert [note.path for note in renderer.notes] == ["choices[1]"]
    assert peer.accumulate(data).output_text == "a"


def test_an_own_stream_that_we_must_end_with_an_error_goes_on_counting() -> None:
    """The gateway may have to add a failure to a stream that it relays: the error event gets the next number."""
    renderer = DIALECT.stream_renderer(Context(source=DIALECT.name))
    parsed = contract.parse_stream(DIALECT, STREAM)[:5]
    data = b"".join(renderer.render(event) for event in parsed)
    error = ErrorResponse(kind="timeout", status=504, message="The provider fell silent")
    data += renderer.render(StreamEvent((Failure(error),)))
    last = contract.frames(DIALECT, data)[-1][1]
    assert (last["type"], last["sequence_number"], last["message"]) == ("error", 5, "The provider fell silent")


def test_an_own_answer_can_be_unfolded() -> None:
    """A mock or cached answer of this dialect has no frames: it is told like any other, and its values stay."""
    whole = DIALECT.parse_response({"id": "resp_1", "model": "m", "output": []}, NO_MEMO)
    whole = replace(whole, choices=(Choice((Text("Hello"), ToolCall("call_1", "f", "{}")), "tool_calls"),))
    renderer = DIALECT.stream_renderer(Context(source=DIALECT.name))
    data = b"".join(renderer.render(event) for event in unfold(whole)) + renderer.close()
    assert peer.accumulate(data).output_text == "Hello"


INDEX = st.integers(0, 4)
WORDS = st.text('ab {}"1:é😀', max_size=4)
SOME_PART = st.sampled_from(PARTS)
DELTA = st.one_of(
    st.builds(TextDelta, INDEX, WORDS),
    st.builds(ThinkingDelta, INDEX, WORDS),
    st.builds(SummaryDelta, INDEX, WORDS, st.integers(0, 3)),
    st.builds(RefusalDelta, INDEX, WORDS),
    st.builds(ArgumentsDelta, INDEX, WORDS),
    st.builds(SignatureDelta, INDEX, st.builds(Signature, WORDS, st.sampled_from(["openai", "gemini", "anthropic"]))),
    st.builds(CitationDelta, INDEX, st.builds(Citation, url=st.none() | st.just("https://example.com"))),
    st.builds(MediaDelta, INDEX, st.just("AAAA"), WORDS, st.sampled_from(["audio", "image"])),
    st.builds(PartStart, INDEX, SOME_PART),
    st.builds(PartEnd, INDEX, st.none() | SOME_PART),
    st.builds(UsageDelta, st.builds(Usage, input_tokens=st.integers(0, 9))),
    st.builds(Stop, st.sampled_from(["stop", "tool_calls", "pause"])),
)


def consistent(deltas: list[Delta]) -> list[Delta]:
    """The deltas that a parser could have made: each of its part's kind, none after the end of the part, an end that
    says nothing else than they did, and no id given to two calls (the client takes them for one, and refuses).
    """
    kinds: dict[int, str | None] = {}
    kept: list[Delta] = []
    for delta in deltas:
        index = getattr(delta, "index", None)
        if index is None:
            kept.append(delta)
            continue
        kind = _kind(delta)
        if isinstance(delta, PartEnd):
            fits = kinds.get(index) is not None
            kinds[index] = None if fits else kinds.get(index)
            delta = PartEnd(index)
        else:
            fits = kinds.setdefault(index, kind) == kind and not (isinstance(delta, PartStart) and _has(kept, index))
            if isinstance(delta, PartStart) and isinstance(delta.part, ToolCall) and delta.part.call_id is not None:
                delta = replace(delta, part=replace(delta.part, call_id=f"call_{index}"))
        if fits:
            kept.append(delta)
    return kept


def _has(deltas: list[Delta], index: int) -> bool:
    return any(getattr(delta, "index", None) == index for delta in deltas)


_KINDS: dict[type, str] = {
    TextDelta: "Text",
    CitationDelta: "Text",
    ThinkingDelta: "Thinking",
    SummaryDelta: "Thinking",
    SignatureDelta: "Thinking",
    RefusalDelta: "Refusal",
    ArgumentsDelta: "ToolCall",
    MediaDelta: "Media",
}


def _kind(delta: Any) -> str:
    part = getattr(delta, "part", None)
    return _KINDS.get(type(delta)) or type(part).__name__


@given(st.lists(DELTA, max_size=25), st.booleans(), st.booleans())
def test_any_order_of_deltas_makes_a_stream_that_the_client_accepts(
    deltas: list[Delta], starts: bool, ends: bool
) -> None:
    deltas = [*([Start("r_1", "m")] if starts else []), *consistent(deltas), *([End()] if ends else [])]
    data = told(deltas)
    check(data)
    official = peer.accumulate(data)
    parts = fold([StreamEvent(tuple(deltas))], contract.NOBODY).choices[0].parts
    said = [part.text for part in parts if isinstance(part, Text)]
    assert sorted("".join(said)) == sorted(c for c in official.output_text if c in "".join(said)) or any(
        isinstance(part, Json | Media) for part in parts
    )


@given(st.lists(DELTA, max_size=25))
def test_no_nonsense_breaks_the_renderer(deltas: list[Delta]) -> None:
    """Deltas that fit no part: events still come numbered, or a DialectError says so."""
    try:
        data = told(deltas)
    except DialectError:
        return
    found = [frame for _, frame in contract.frames(DIALECT, data)]
    assert [event["sequence_number"] for event in found] == list(range(len(found)))


RECORDED = [name for name in NAMES if name not in (DIALECT.name, *contract.UNRECORDED)]


# (of Cohere no stream is recorded)
@pytest.mark.parametrize("name", [name for name in RECORDED if name != "cohere_chat"])
def test_recorded_streams_of_other_dialects_accumulate(shared: Callable[..., Path], name: str) -> None:
    source, seen = get(name), 0
    for exchange, _ in contract.recorded(shared("provider-exchanges"), source):
        data = stream_of(exchange["response"])
        parsed = contract.parse_stream(source, data)
        if not parsed or any(isinstance(delta, Failure) for event in parsed for delta in event.deltas):
            continue
        rendered = contract.render_events(DIALECT, parsed, name)
        last = check(rendered)[-1]
        if last["type"] == "response.completed":
            peer.accumulate(rendered)
        whole = DIALECT.parse_response(last["response"], NO_MEMO)
        assert texts(whole.choices[0].parts) == texts(fold(parsed, name).choices[0].parts), exchange["id"]
        seen += 1
    assert seen >= 3


def stream_of(response: dict[str, Any]) -> bytes:
    """The bytes of a recorded stream; none where the answer was whole or an error."""
    body = response["body"]
    if response["status"] >= 400:
        return b""
    if isinstance(body, dict) and body.keys() == {"base64"}:
        return b64decode(body["base64"])
    return body.encode() if isinstance(body, str) else b""


def texts(parts: tuple[Part, ...]) -> str:
    return "".join(part.text for part in parts if isinstance(part, Text))


@pytest.mark.parametrize("name", RECORDED)
def test_recorded_answers_of_other_dialects_are_responses(shared: Callable[..., Path], name: str) -> None:
    source, seen = get(name), 0
    for exchange, _ in contract.recorded(shared("provider-exchanges"), source):
        body, status = exchange["response"]["body"], exchange["response"]["status"]
        if status < 400 and isinstance(body, dict) and body.keys() != {"base64"}:
            response = source.parse_response(body, NO_MEMO)
            wire = DIALECT.render_response(response, CONTEXT).value
            OfficialResponse.model_validate(wire, strict=True)
            assert texts(DIALECT.parse_response(wire, NO_MEMO).choices[0].parts) == texts(response.choices[0].parts)
            seen += 1
    assert seen >= 5


@pytest.mark.parametrize("name", RECORDED)
def test_recorded_requests_of_other_dialects_are_parameters(shared: Callable[..., Path], name: str) -> None:
    source = get(name)
    for exchange, match in contract.recorded(shared("provider-exchanges"), source):
        if isinstance(exchange["request"]["body"], dict):
            request = source.parse_request(exchange["request"]["body"], match)
            parameters(DIALECT.render_request(request, Profile()).value)
