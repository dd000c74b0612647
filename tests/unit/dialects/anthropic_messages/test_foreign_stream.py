"""Any events of another dialect make a stream that obeys the grammar of this one, and lose no word."""

import json
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from penstock.dialects.anthropic_messages import DIALECT
from penstock.dialects.dialect import Context
from penstock.types.content import Text, ToolCall
from penstock.types.notes import NO_MEMO
from penstock.types.stream import (
    ArgumentsDelta,
    Delta,
    End,
    PartEnd,
    PartStart,
    Start,
    Stop,
    StreamEvent,
    TextDelta,
    ThinkingDelta,
    UsageDelta,
)
from tests.contract import dialects as contract
from tests.contract.any_events import DELTAS
from tests.contract.streams import STREAMS
from tests.unit.dialects.anthropic_messages.samples import EVENTS, STREAMED_ANSWER, block, sse


def rendered(deltas: list[Delta]) -> list[dict[str, Any]]:
    events = [StreamEvent((delta,)) for delta in deltas]
    return [frame for _, frame in contract.frames(DIALECT, contract.render_events(DIALECT, events, contract.NOBODY))]


def assert_grammar(frames: list[dict[str, Any]]) -> None:
    """message_start; blocks that open and close in order, with deltas of their kind between; two frames to end it."""
    assert [frames[0]["type"], frames[-2]["type"], frames[-1]["type"]] == [
        "message_start",
        "message_delta",
        "message_stop",
    ]
    index, kind = -1, None
    for frame in frames[1:-2]:
        if frame["type"] == "content_block_start":
            assert (kind, frame["index"]) == (None, index + 1)
            index, kind = index + 1, frame["content_block"]["type"]
        elif frame["type"] == "content_block_delta":
            assert (frame["index"], kind) == (index, _KIND_OF[frame["delta"]["type"]])
        else:
            assert (frame["type"], frame["index"]) == ("content_block_stop", index)
            assert kind is not None
            kind = None
    assert kind is None


_KIND_OF = {
    "text_delta": "text",
    "citations_delta": "text",
    "thinking_delta": "thinking",
    "signature_delta": "thinking",
    "input_json_delta": "tool_use",
}


@given(st.lists(DELTAS, max_size=25))
def test_any_events_make_a_message(deltas: list[Delta]) -> None:
    frames = rendered(deltas)
    assert_grammar(frames)
    for event in frames:
        assert json.dumps(event)


TALK: st.SearchStrategy[Delta] = st.one_of(
    st.builds(TextDelta, st.integers(0, 1), st.sampled_from(["a", "b", "c"])),
    st.builds(ThinkingDelta, st.just(2), st.sampled_from(["d", "e"])),
    st.builds(PartStart, st.integers(3, 5), st.just(ToolCall("c", "n", ""))),
    st.builds(ArgumentsDelta, st.integers(3, 5), st.sampled_from(['{"x":', "1", "2"])),
    st.builds(PartEnd, st.integers(0, 5)),
)


@given(st.lists(TALK, max_size=30))
def test_no_word_is_lost(deltas: list[Delta]) -> None:
    """Every piece of text, thought and input reaches the client once: calls that are begun anew apart."""
    begun: set[int] = set()
    kept = []
    for delta in deltas:
        if isinstance(delta, PartStart) and delta.index in begun:
            continue
        if isinstance(delta, PartStart | ArgumentsDelta):
            begun.add(delta.index)
        kept.append(delta)
    ended = {delta.index for delta in kept if isinstance(delta, PartEnd) and delta.index in begun}
    kept = [delta for delta in kept if not (isinstance(delta, PartEnd | ArgumentsDelta) and delta.index in ended)]
    frames = rendered(kept)
    assert_grammar(frames)
    found = [frame["delta"] for frame in frames if frame["type"] == "content_block_delta"]
    for key, kinds in (("text", TextDelta), ("thinking", ThinkingDelta), ("partial_json", ArgumentsDelta)):
        said = sorted(delta.text for delta in kept if isinstance(delta, kinds))
        assert sorted(delta[key] for delta in found if key in delta) == said


def test_the_id_of_a_thought_goes_with_its_proof() -> None:
    data = contract.render_events(DIALECT, STREAMS["summaries"], contract.NOBODY)
    seals = [frame["delta"]["signature"] for _, frame in contract.frames(DIALECT, data) if _is_seal(frame)]
    assert seals == ["openai:rs_1:b3Bl"]


def _is_seal(frame: dict[str, Any]) -> bool:
    return bool(frame["type"] == "content_block_delta" and frame["delta"]["type"] == "signature_delta")


def test_a_call_is_shown_as_it_grows() -> None:
    renderer = DIALECT.stream_renderer(Context(source="other"))
    deltas: list[Delta] = [PartStart(0, ToolCall("c", "n", "")), ArgumentsDelta(0, '{"a"'), ArgumentsDelta(0, ": 1}")]
    assert all(renderer.render(StreamEvent((delta,))) for delta in deltas)


def test_a_second_call_is_shown_as_soon_as_the_first_is_whole() -> None:
    renderer = DIALECT.stream_renderer(Context(source="other"))
    first: list[Delta] = [PartStart(0, ToolCall("c", "n", "")), ArgumentsDelta(0, '{"a": 1}')]
    second: list[Delta] = [PartStart(1, ToolCall("d", "n", "")), ArgumentsDelta(1, '{"b"')]
    shown = [renderer.render(StreamEvent((delta,))) for delta in (*first, *second)]
    assert b"content_block_stop" in shown[2]
    assert b'{\\"b\\"' in shown[3]


def test_a_whole_answer_of_ours_can_be_streamed() -> None:
    """Without frames, each part as one event: the client adds up the same answer."""
    answer = DIALECT.parse_response(STREAMED_ANSWER, NO_MEMO)
    choice = answer.choices[0]
    deltas: list[Delta] = [Start(answer.id, answer.model, None, answer.service_tier, answer.extras)]
    for index, part in enumerate(choice.parts):
        deltas += [PartStart(index, part), PartEnd(index)]
    assert answer.usage is not None
    deltas += [Stop(choice.stop_reason, choice.stop_native, extras=choice.extras), UsageDelta(answer.usage), End()]
    data = contract.render_events(DIALECT, [StreamEvent((delta,)) for delta in deltas], DIALECT.name)
    assert contract.folded(DIALECT, data) == answer


def test_a_piece_can_be_put_into_a_stream_of_ours() -> None:
    events = contract.parse_stream(DIALECT, sse(*EVENTS[:2], *block(0, {"type": "text", "text": ""}), *EVENTS[-2:]))
    events.insert(3, StreamEvent((TextDelta(0, "put in"),)))
    data = contract.render_events(DIALECT, events, DIALECT.name)
    assert contract.folded(DIALECT, data).choices[0].parts == (Text("put in"),)


def test_the_transport_of_a_stream_comes_back() -> None:
    data = b': keep-alive\n\nid: 7\nevent: ping\ndata: {"type": "ping"}\n\nevent: ping\n\n'
    events = contract.parse_stream(DIALECT, data)
    assert contract.parse_stream(DIALECT, contract.render_events(DIALECT, events, DIALECT.name)) == events


def test_a_stream_that_was_cut_is_ended_for_the_client() -> None:
    message = {"id": "m", "usage": {"output_tokens": 3}}
    text = {"type": "text", "text": "a"}
    data = sse(
        {"type": "message_start", "message": message},
        {"type": "content_block_start", "index": 0, "content_block": text},
    )
    closing = contract.render_events(DIALECT, contract.parse_stream(DIALECT, data), DIALECT.name).removeprefix(data)
    kinds = [frame["type"] for _, frame in contract.frames(DIALECT, closing)]
    assert kinds[-3:] == ["content_block_stop", "message_delta", "message_stop"]
