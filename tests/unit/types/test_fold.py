"""fold adds a stream up; unfold takes a response apart. What one does, the other undoes."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from penstock.types.content import (
    Base64,
    Citation,
    Media,
    Part,
    Refusal,
    ServerToolCall,
    ServerToolResult,
    Signature,
    Text,
    Thinking,
    TokenLogprob,
    ToolCall,
    Url,
)
from penstock.types.errors import ErrorResponse
from penstock.types.fold import Fold, fold
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
from penstock.types.unfold import pieces, unfold
from penstock.types.usage import Usage


def parts_of(*deltas: Delta) -> tuple[Part, ...]:
    """The parts that these deltas make, each in an event of its own."""
    (choice,) = fold([StreamEvent((delta,)) for delta in deltas], "d").choices
    return choice.parts


SIGNED = Signature("abc", "anthropic")
QUOTE = Citation(url="https://a.example")


@pytest.mark.parametrize(
    ("deltas", "parts"),
    [
        ([], ()),
        ([TextDelta(0, "a"), TextDelta(0, "b")], (Text("ab"),)),
        ([TextDelta(1, "b"), TextDelta(0, "a")], (Text("a"), Text("b"))),
        ([TextDelta(7, "only")], (Text("only"),)),
        ([PartStart(0, Text("a", id="t1")), TextDelta(0, "b")], (Text("ab", id="t1"),)),
        ([TextDelta(0, "a"), CitationDelta(0, QUOTE)], (Text("a", citations=(QUOTE,)),)),
        ([PartStart(0, Text("a", citations=(QUOTE,))), CitationDelta(0, QUOTE)], (Text("a", citations=(QUOTE,) * 2),)),
        ([TextDelta(0, "a", 0, (TokenLogprob("a"),))], (Text("a", logprobs=(TokenLogprob("a"),)),)),
        ([TextDelta(0, "a", 0, ())], (Text("a", logprobs=()),)),
        ([ThinkingDelta(0, "h"), ThinkingDelta(0, "m")], (Thinking("hm"),)),
        ([ThinkingDelta(0, "h"), SignatureDelta(0, SIGNED)], (Thinking("h", signature=SIGNED),)),
        (
            [SignatureDelta(0, SIGNED), SignatureDelta(0, Signature("x", "gemini"))],
            (Thinking(signature=Signature("x", "gemini")),),
        ),
        (
            [SignatureDelta(0, SIGNED), SignatureDelta(0, Signature("d", "anthropic"), 0, True)],
            (Thinking(signature=Signature("abcd", "anthropic")),),
        ),
        (
            [PartStart(0, Thinking("h", signature=SIGNED)), SignatureDelta(0, Signature("d", "anthropic"), 0, True)],
            (Thinking("h", signature=Signature("abcd", "anthropic")),),
        ),
        ([RefusalDelta(0, "n", 0, (TokenLogprob("n"),))], (Refusal("n", logprobs=(TokenLogprob("n"),)),)),
        ([SummaryDelta(0, "a", 1), SummaryDelta(0, "b", 0), SummaryDelta(0, "c", 1)], (Thinking(summary=("b", "ac")),)),
        ([RefusalDelta(0, "n"), RefusalDelta(0, "o")], (Refusal("no"),)),
        ([ArgumentsDelta(0, "{"), ArgumentsDelta(0, "}")], (ToolCall(None, "", "{}"),)),
        (
            [PartStart(0, ToolCall("c", "f", "")), ArgumentsDelta(0, '{"a"'), ArgumentsDelta(0, ":1}")],
            (ToolCall("c", "f", '{"a":1}'),),
        ),
        ([PartStart(0, ToolCall("c", "f", {})), ArgumentsDelta(0, '{"a":1}')], (ToolCall("c", "f", {"a": 1}),)),
        ([PartStart(0, ToolCall("c", "f", {})), ArgumentsDelta(0, '{"a":')], (ToolCall("c", "f", '{"a":'),)),
        ([PartStart(0, ToolCall("c", "f", {}))], (ToolCall("c", "f", {}),)),
        (
            [PartStart(0, ServerToolCall("s", "search")), ArgumentsDelta(0, "{}"), SignatureDelta(0, SIGNED)],
            (ServerToolCall("s", "search", "{}", signature=SIGNED),),
        ),
        ([MediaDelta(0, "aGk="), MediaDelta(0, "", "hi")], (Media("audio", Base64("aGk="), transcript="hi"),)),
        ([PartEnd(0, Text("replaced")), TextDelta(1, "b")], (Text("replaced"), Text("b"))),
        ([TextDelta(0, "a"), PartEnd(0)], (Text("a"),)),
        ([TextDelta(0, "wrong"), PartEnd(0, Text("right"))], (Text("right"),)),
    ],
)
def test_parts(deltas: Sequence[Delta], parts: tuple[Part, ...]) -> None:
    assert parts_of(*deltas) == parts


@given(st.lists(st.binary(min_size=1, max_size=9), min_size=1, max_size=6))
def test_base64_in_pieces_is_the_bytes_joined(chunks: list[bytes]) -> None:
    (part,) = parts_of(*(MediaDelta(0, base64.b64encode(chunk).decode()) for chunk in chunks))
    assert isinstance(part, Media) and isinstance(part.source, Base64)
    assert base64.b64decode(part.source.data) == b"".join(chunks)


@given(st.lists(st.tuples(st.integers(0, 10**12), st.text(max_size=3)), max_size=6))
def test_a_paragraph_number_out_of_all_bounds_costs_nothing(deltas: list[tuple[int, str]]) -> None:
    found = parts_of(*(SummaryDelta(0, text, number) for number, text in deltas))
    total = [part.summary or () for part in found if isinstance(part, Thinking)]
    assert "".join("".join(each) for each in total) == "".join(text for _, text in sorted(deltas, key=lambda d: d[0]))
    assert sum(len(each) for each in total) < 10_000


def test_choices_by_their_number() -> None:
    events: list[Delta] = [
        TextDelta(0, "b", 1),
        TextDelta(0, "a"),
        Stop("stop", choice=1),
        Stop("length", "max_tokens"),
    ]
    choices = fold([StreamEvent(tuple(events))], "d").choices
    assert choices == (Choice((Text("a"),), "length", "max_tokens"), Choice((Text("b"),), "stop", index=1))


def test_what_is_around_the_parts() -> None:
    start = Start("id", "m", 7, "flex", {"x": 1})
    later = Usage(output_tokens=2)
    found = fold([StreamEvent((start, UsageDelta(Usage(input_tokens=1, output_tokens=1)), UsageDelta(later)))], "d")
    assert (found.dialect, found.id, found.model, found.created, found.service_tier) == ("d", "id", "m", 7, "flex")
    assert (found.extras, found.usage) == ({"x": 1}, Usage(input_tokens=1, output_tokens=2))


def test_it_may_be_asked_at_any_time_and_knows_whether_it_is_complete() -> None:
    total = Fold("d")
    texts = []
    for delta in (TextDelta(0, "a"), TextDelta(0, "b"), Stop("stop"), End()):
        assert not total.complete
        total.add(StreamEvent((delta,)))
        texts.append(total.part(0))
    assert total.complete
    assert texts == [Text("a"), Text("ab"), Text("ab"), Text("ab")]
    assert total.part(5) is None


def test_an_error_inside_is_kept() -> None:
    total = Fold("d")
    error = ErrorResponse(kind="overloaded", status=529, message="no")
    total.add(StreamEvent((TextDelta(0, "a"), Failure(error))))
    assert (total.error, total.complete) == (error, False)
    assert total.response().choices[0].parts == (Text("a"),)


def test_a_snapshot_wins_unless_it_is_empty() -> None:
    whole = Response(dialect="d", id="s", choices=(Choice((Text("summary"),), "stop"),))
    events = [StreamEvent((TextDelta(0, "a"),)), StreamEvent((Snapshot(whole), UsageDelta(Usage(input_tokens=1))))]
    assert fold(events, "d") == replace(whole, usage=Usage(input_tokens=1))
    hollow = replace(whole, choices=(Choice((), "stop"),))
    events[1] = StreamEvent((Snapshot(hollow),))
    assert fold(events, "d").choices == (Choice((Text("a"),), "stop"),)


# -- there and back ---------------------------------------------------------------------------------------------------

_TEXT = st.text(max_size=60)
_LOGPROBS = st.none() | st.lists(st.builds(TokenLogprob, _TEXT, st.floats(-9, 0)), max_size=3).map(tuple)
_SIGNATURES = st.none() | st.builds(
    Signature, st.text(min_size=1, max_size=9), st.sampled_from(["anthropic", "openai"])
)
_CITATIONS = st.none() | st.lists(st.builds(Citation, url=_TEXT), min_size=1, max_size=2).map(tuple)
_PARTS: st.SearchStrategy[Any] = st.one_of(
    st.builds(Text, _TEXT, _CITATIONS, _LOGPROBS, _SIGNATURES, id=st.none() | _TEXT),
    st.builds(Thinking, _TEXT, st.none() | st.just(("a", "b")), _SIGNATURES, st.booleans()),
    st.builds(Refusal, _TEXT, _LOGPROBS),
    st.builds(ToolCall, st.none() | _TEXT, _TEXT, _TEXT | st.just({"a": [1]}), st.booleans(), _SIGNATURES),
    st.builds(ServerToolCall, _TEXT, _TEXT, st.none() | st.just({"q": 1})),
    st.builds(ServerToolResult, _TEXT, _TEXT, st.just([{"x": 1}])),
    st.builds(Media, st.just("image"), st.builds(Url, _TEXT) | st.builds(Base64, st.just("aGk="))),
)
_CHOICES = st.lists(
    st.builds(
        Choice,
        st.lists(_PARTS, max_size=4).map(tuple),
        st.none() | st.sampled_from(["stop", "length", "tool_calls"]),
        st.none() | _TEXT,
        st.none() | _TEXT,
    ),
    min_size=1,
    max_size=3,
).map(lambda choices: tuple(replace(choice, index=index) for index, choice in enumerate(choices)))
_RESPONSES = st.builds(
    Response,
    dialect=st.just("d"),
    id=st.none() | _TEXT,
    model=st.none() | _TEXT,
    created=st.none() | st.integers(0, 10**9),
    choices=_CHOICES,
    usage=st.none() | st.builds(Usage, input_tokens=st.integers(0, 99), output_tokens=st.none() | st.integers(0, 99)),
    service_tier=st.none() | _TEXT,
)


@given(_RESPONSES, st.integers(1, 40))
def test_a_response_is_the_same_after_unfold_and_fold(response: Response, size: int) -> None:
    events = list(unfold(response, size))
    total = Fold("d")
    for event in events:
        total.add(event)
    assert total.complete
    assert total.response() == response


@given(_RESPONSES, st.data())
def test_events_may_be_packed_in_any_way(response: Response, data: st.DataObject) -> None:
    deltas = [delta for event in unfold(response) for delta in event.deltas]
    packed: list[StreamEvent] = []
    while deltas:
        count = data.draw(st.integers(0, len(deltas)))
        packed.append(StreamEvent(tuple(deltas[:count])))
        deltas = deltas[count:] if count else deltas
        if count == 0 and len(packed) > 200:
            packed.append(StreamEvent(tuple(deltas)))
            break
    assert fold(packed, "d") == response


@given(_RESPONSES)
def test_what_was_cut_is_a_beginning(response: Response) -> None:
    total = Fold("d")
    for event in unfold(response, 3):
        for choice, whole in zip(total.response().choices, response.choices, strict=False):
            assert len(choice.parts) <= len(whole.parts)
            for part, full in zip(choice.parts, whole.parts, strict=False):
                if isinstance(part, Text) and isinstance(full, Text):
                    assert full.text.startswith(part.text)
        total.add(event)


@given(st.text(max_size=200), st.integers(1, 50))
def test_pieces_are_the_text_and_not_longer_than_asked(text: str, size: int) -> None:
    found = list(pieces(text, size))
    assert "".join(found) == text
    assert all(0 < len(piece) <= size for piece in found)


def test_pieces_end_behind_a_space_where_they_can() -> None:
    assert list(pieces("The quick brown fox", 9)) == ["The ", "quick ", "brown fox"]
