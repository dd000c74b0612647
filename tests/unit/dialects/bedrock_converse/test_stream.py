"""Streams of Converse: what they add up to, and what other dialects' events become for a client of Converse."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from penstock.dialects.aws_event_stream import AwsEventStream, Header, write_event, write_message
from penstock.dialects.bedrock_converse import DIALECT
from penstock.dialects.dialect import Context
from penstock.types.content import (
    Base64,
    Citation,
    Json,
    Media,
    Opaque,
    Part,
    ServerToolCall,
    ServerToolResult,
    Signature,
    Text,
    Thinking,
    ToolCall,
)
from penstock.types.errors import ErrorResponse, MalformedError
from penstock.types.fold import Fold, fold
from penstock.types.notes import NO_MEMO, Memo
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
from penstock.types.usage import Usage
from tests.contract.any_events import DELTAS
from tests.contract.dialects import parse_stream
from tests.unit.dialects.bedrock_converse.samples import (
    BROKEN_STREAMS,
    EVENTS,
    PIXEL,
    STREAM,
    UNMODELLED_ERROR,
    WHOLE,
    delta,
    event,
    start,
    stop,
)

# -- reading -----------------------------------------------------------------------------------------------------------


def stream(*events: tuple[str, Any]) -> bytes:
    return b"".join(event(name, payload) for name, payload in events)


def total(data: bytes, memo: Memo = NO_MEMO) -> Fold:
    parser = DIALECT.stream_parser(memo)
    found = Fold("bedrock_converse")
    for step in [*parser.feed(data), *parser.close()]:
        found.add(step)
    return found


def test_a_stream_adds_up_to_the_whole_answer() -> None:
    plain = stream(*((name, payload) for name, payload in EVENTS if "citation" not in payload.get("delta", {})))
    folded = total(plain)
    assert folded.complete
    whole = DIALECT.parse_response(WHOLE, NO_MEMO)
    assert folded.response().choices == whole.choices
    usage = folded.response().usage
    assert usage is not None
    assert whole.usage is not None
    assert usage.input_tokens == whole.usage.input_tokens == 75
    assert (usage.service_tier, usage.total_tokens) == ("flex", 118)


def test_citations_of_a_stream() -> None:
    text = total(STREAM).response().choices[0].parts[3]
    assert isinstance(text, Text)
    assert text.text == "Grüße 👋 to you."
    assert text.citations is not None
    assert [citation.title for citation in text.citations] == ["Report", "Web"]
    assert text.citations[0].document_index == 0


def test_parts_are_numbered_as_they_appear() -> None:
    data = stream(
        ("messageStart", {"role": "assistant"}),
        delta(3, {"text": "a"}),
        stop(3),
        start(7, {"toolUse": {"toolUseId": "t", "name": "n"}}),
        delta(7, {"toolUse": {"input": "{}"}}),
        stop(7),
        delta(1, {"text": "b"}),
    )
    deltas = [step for found in parse_stream(DIALECT, data) for step in found.deltas]
    assert deltas[1:] == [
        TextDelta(0, "a"),
        PartEnd(0),
        PartStart(1, ToolCall("t", "n", {})),
        ArgumentsDelta(1, "{}"),
        PartEnd(1),
        TextDelta(2, "b"),
    ]


def test_a_call_without_arguments_has_an_empty_object() -> None:
    data = stream(start(0, {"toolUse": {"toolUseId": "t", "name": "n"}}), delta(0, {"toolUse": {"input": ""}}), stop(0))
    assert total(data).response().choices[0].parts == (ToolCall("t", "n", {}),)


def test_the_memo_undoes_what_the_request_changed() -> None:
    memo = Memo({"put_down": "put.down"}, "json_response", frozenset({"write"}))
    data = stream(
        start(0, {"toolUse": {"toolUseId": "1", "name": "put_down"}}),
        stop(0),
        start(1, {"toolUse": {"toolUseId": "2", "name": "write"}}),
        delta(1, {"toolUse": {"input": '{"input":"free '}}),
        delta(1, {"toolUse": {"input": 'words"}'}}),
        stop(1),
        start(2, {"toolUse": {"toolUseId": "3", "name": "json_response"}}),
        delta(2, {"toolUse": {"input": '{"n":'}}),
        delta(2, {"toolUse": {"input": "2}"}}),
        stop(2),
        ("messageStop", {"stopReason": "tool_use"}),
    )
    choice = total(data, memo).response().choices[0]
    assert choice.parts == (
        ToolCall("1", "put.down", {}),
        ToolCall("2", "write", "free words", custom=True),
        Text('{"n":2}'),
    )
    assert choice.stop_reason == "tool_calls"


def test_an_answer_by_the_forced_tool_alone_did_not_stop_for_a_tool() -> None:
    data = stream(
        start(0, {"toolUse": {"toolUseId": "3", "name": "json_response"}}),
        delta(0, {"toolUse": {"input": "{}"}}),
        ("messageStop", {"stopReason": "tool_use"}),
    )
    choice = total(data, Memo(json_tool="json_response")).response().choices[0]
    assert (choice.parts, choice.stop_reason, choice.stop_native) == ((Text("{}"),), "stop", "tool_use")


@pytest.mark.parametrize(
    ("name", "kind", "status"),
    [
        ("throttlingException", "rate_limit", 429),
        ("modelStreamErrorException", "server", 424),
        ("validationException", "context_window", 400),
        ("internalServerException", "server", 500),
        ("serviceUnavailableException", "unavailable", 503),
    ],
)
def test_exceptions_end_a_stream(name: str, kind: str, status: int) -> None:
    found = total(BROKEN_STREAMS[name])
    assert not found.complete
    assert found.error is not None
    assert (found.error.kind, found.error.status) == (kind, status)
    assert found.error.type == name[0].upper() + name[1:]
    assert found.error.message


def test_the_original_status_of_a_model_error_decides() -> None:
    headers = (
        Header(":message-type", "exception"),
        Header(":exception-type", "modelStreamErrorException"),
    )
    body = {"message": "The model broke.", "originalStatusCode": 429, "originalMessage": "Slow down"}
    error = total(write_message(headers, json.dumps(body).encode())).error
    assert error is not None
    assert (error.kind, error.status) == ("rate_limit", 424)


def test_an_error_that_the_service_does_not_model() -> None:
    error = total(UNMODELLED_ERROR).error
    assert error is not None
    assert (error.kind, error.message, error.type) == ("server", "An internal server error occurred", "InternalError")


def test_a_cut_stream_is_not_complete() -> None:
    last = len(stream(*EVENTS[:-3]))
    assert EVENTS[-3][0] == "messageStop"
    for end in range(0, last, 37):
        assert not total(STREAM[:end]).complete
    assert not total(STREAM[:last]).complete
    assert total(STREAM).complete


def test_an_answer_whose_counts_did_not_arrive_is_complete_all_the_same() -> None:
    found = total(stream(*EVENTS[:-2]))
    assert found.complete
    assert found.response().usage is None


@pytest.mark.parametrize(
    ("name", "payload", "path"),
    [
        ("contentBlockDelta", {"delta": {"text": "x"}}, "contentBlockDelta.contentBlockIndex"),
        ("contentBlockDelta", {"contentBlockIndex": 0}, "contentBlockDelta.delta"),
        ("contentBlockDelta", {"contentBlockIndex": 0, "delta": {"text": 5}}, "contentBlockDelta.delta.text"),
        (
            "contentBlockDelta",
            {"contentBlockIndex": 0, "delta": {"toolUse": {"input": {}}}},
            "contentBlockDelta.delta.toolUse.input",
        ),
        (
            "contentBlockStart",
            {"contentBlockIndex": 0, "start": {"toolUse": {}}},
            "contentBlockStart.start.toolUse",
        ),
        ("metadata", {"usage": []}, "metadata.usage"),
        ("contentBlockStop", {"contentBlockIndex": []}, "contentBlockStop"),
        (
            "contentBlockDelta",
            {"contentBlockIndex": 0, "delta": {"reasoningContent": {"text": 1}}},
            "contentBlockDelta.delta.reasoningContent.text",
        ),
        ("messageStart", [], "messageStart"),
    ],
)
def test_malformed_events_are_refused_with_a_path(name: str, payload: Any, path: str) -> None:
    parser = DIALECT.stream_parser(NO_MEMO)
    with pytest.raises(MalformedError) as caught:
        parser.feed(event(name, payload))
    assert (caught.value.path, caught.value.dialect) == (path, "bedrock_converse")


def test_events_before_a_malformed_one_are_delivered() -> None:
    parser = DIALECT.stream_parser(NO_MEMO)
    data = stream(delta(0, {"text": "good"}), delta(0, {"text": 5}))
    assert [step.deltas for step in parser.feed(data)] == [(TextDelta(0, "good"),)]
    with pytest.raises(MalformedError):
        parser.feed(b"")


def test_a_changed_delta_shows() -> None:
    """A policy that redacts a delta changes what goes out; everything else stays."""
    (step,) = parse_stream(DIALECT, stream(delta(0, {"text": "secret"})))
    changed = StreamEvent((TextDelta(0, "***"),), step.name, step.extras, step.frame)
    writer = DIALECT.stream_renderer(Context(source="bedrock_converse"))
    assert writer.render(changed) == stream(delta(0, {"text": "***"}))


def test_deltas_that_do_not_fit_their_frame_are_refused() -> None:
    (step,) = parse_stream(DIALECT, stream(delta(0, {"reasoningContent": {"text": "h"}})))
    writer = DIALECT.stream_renderer(Context(source="bedrock_converse"))
    with pytest.raises(MalformedError, match="fewer deltas"):
        writer.render(StreamEvent((), step.name, step.extras, step.frame))


def test_an_unknown_event_with_any_payload_passes_through() -> None:
    headers = (Header(":message-type", "event"), Header(":event-type", "later"), Header(":content-type", "text/plain"))
    for data in (
        write_message(headers, b"no JSON"),
        write_event(b"no JSON", "later"),
        write_event(b"", "initial-response"),
        write_message((), b"{}"),
    ):
        events = parse_stream(DIALECT, data)
        assert events[0].deltas == ()
        writer = DIALECT.stream_renderer(Context(source="bedrock_converse"))
        assert writer.render(events[0]) == data


def test_a_stream_of_this_dialect_that_was_cut_is_finished_on_close() -> None:
    writer = DIALECT.stream_renderer(Context(source="bedrock_converse"))
    events = parse_stream(DIALECT, stream(("messageStart", {"role": "assistant"}), delta(4, {"text": "a"})))
    written = b"".join(writer.render(step) for step in events) + writer.close()
    names = [(frame.event, json.loads(frame.data).get("contentBlockIndex")) for frame in AwsEventStream().feed(written)]
    assert names[2:] == [("contentBlockStop", 4), ("messageStop", None), ("metadata", None)]


# -- writing other dialects' events -----------------------------------------------------------------------------------

COUNTS = UsageDelta(Usage(input_tokens=3, output_tokens=2))


def written(*steps: Delta | tuple[Delta, ...], close: bool = True, **context: Any) -> tuple[list[Any], list[str]]:
    """(what each message says, the notes as text) for one event a step."""
    writer = DIALECT.stream_renderer(Context(id="ctx", source="contract", **context))
    data = b"".join(writer.render(StreamEvent(step if isinstance(step, tuple) else (step,))) for step in steps)
    data += writer.close() if close else b""
    frames = AwsEventStream().feed(data)
    return [_short(frame.event, json.loads(frame.data)) for frame in frames], [str(note) for note in writer.notes]


def _short(name: str | None, payload: Any) -> Any:
    match name:
        case "contentBlockStart":
            return payload["contentBlockIndex"], "start", payload["start"]
        case "contentBlockDelta":
            return payload["contentBlockIndex"], payload["delta"]
        case "contentBlockStop":
            return payload["contentBlockIndex"], "stop"
        case "messageStop":
            return payload["stopReason"]
        case _:
            return name


def blocks(*steps: Delta | tuple[Delta, ...]) -> list[Any]:
    """What is said between messageStart and messageStop; nothing is noted."""
    said, notes = written(Start(), *steps, Stop("stop"), COUNTS, End())
    assert notes == []
    assert (said[0], said[-1]) == ("messageStart", "metadata")
    return said[1:-2]


def call(index: int, call_id: str, name: str) -> Any:
    return index, "start", {"toolUse": {"name": name, "toolUseId": call_id}}


def arguments(index: int, text: str) -> Any:
    return index, {"toolUse": {"input": text}}


def test_the_full_sequence() -> None:
    said, notes = written(
        Start("msg_1", "m", 1),
        ThinkingDelta(0, "Hm."),
        SignatureDelta(0, Signature("c2ln", "anthropic")),
        PartEnd(0),
        TextDelta(1, "I look."),
        PartStart(2, ToolCall("call_1", "look_up", "")),
        ArgumentsDelta(2, '{"city":'),
        ArgumentsDelta(2, '"Paris"}'),
        PartEnd(2),
        (Stop("tool_calls", "tool_calls"), COUNTS),
        End(),
    )
    assert said == [
        "messageStart",
        (0, {"reasoningContent": {"text": "Hm."}}),
        (0, {"reasoningContent": {"signature": "c2ln"}}),
        (0, "stop"),
        (1, {"text": "I look."}),
        (1, "stop"),
        call(2, "call_1", "look_up"),
        arguments(2, '{"city":'),
        arguments(2, '"Paris"}'),
        (2, "stop"),
        "tool_use",
        "metadata",
    ]
    assert notes == []


def test_what_is_missing_is_put_in() -> None:
    """No Start, no PartEnd, no Stop, no counts, no End: the client gets a whole stream."""
    said, notes = written(TextDelta(0, "Hi"))
    assert said == ["messageStart", (0, {"text": "Hi"}), (0, "stop"), "end_turn", "metadata"]
    assert notes == ["added usage: no counts were reported, and Converse demands some: they say 0"]
    assert written()[0] == ["messageStart", "end_turn", "metadata"]
    called = written(PartStart(0, ToolCall("c", "n", {"a": 1})))[0]
    assert called[-2:] == ["tool_use", "metadata"]


def test_nothing_comes_after_the_end() -> None:
    said, _ = written(TextDelta(0, "Hi"), Stop("stop"), End(), End())
    assert said.count("metadata") == said.count("end_turn") == 1


def test_parts_may_follow_the_reason_to_stop() -> None:
    """OpenRouter sends encrypted reasoning after `finish_reason`."""
    withheld = Thinking(signature=Signature("EqQB", "anthropic"), redacted=True)
    said, notes = written(TextDelta(0, "Hi"), Stop("length"), PartStart(1, withheld), COUNTS, End())
    redacted = (1, {"reasoningContent": {"redactedContent": "RXFRQg=="}})
    assert said[1:] == [(0, {"text": "Hi"}), (0, "stop"), redacted, (1, "stop"), "max_tokens", "metadata"]
    assert notes == []


def test_counts_come_last_whenever_they_arrived() -> None:
    writer = DIALECT.stream_renderer(Context(source="contract"))
    steps: tuple[Delta, ...] = (
        Start(service_tier="priority"),
        UsageDelta(Usage(input_tokens=30, cache_read_tokens=20)),
        TextDelta(0, "Hi"),
        Stop("length", "max_tokens", None),
        UsageDelta(Usage(output_tokens=5)),
        End(),
    )
    data = b"".join(writer.render(StreamEvent((step,))) for step in steps)
    assert json.loads(AwsEventStream().feed(data)[-1].data) == {
        "metrics": {"latencyMs": 0},
        "serviceTier": {"type": "priority"},
        "usage": {"inputTokens": 10, "outputTokens": 5, "totalTokens": 35, "cacheReadInputTokens": 20},
    }


def test_parallel_calls_one_after_the_other() -> None:
    said = blocks(
        PartStart(0, ToolCall("a", "n", "")),
        ArgumentsDelta(0, "{}"),
        PartStart(1, ToolCall("b", "n", "")),
        ArgumentsDelta(1, "{}"),
    )
    assert said == [
        call(0, "a", "n"),
        arguments(0, "{}"),
        (0, "stop"),
        call(1, "b", "n"),
        arguments(1, "{}"),
        (1, "stop"),
    ]


INTERLEAVED: tuple[Delta, ...] = (
    PartStart(0, ToolCall("a", "n", "")),
    PartStart(1, ToolCall("b", "n", "")),
    ArgumentsDelta(1, '{"y":'),
    ArgumentsDelta(0, '{"x":'),
    TextDelta(2, "Both."),
    ArgumentsDelta(1, "2}"),
    ArgumentsDelta(0, "1}"),
)
IN_ORDER = [
    call(0, "a", "n"),
    arguments(0, '{"x":'),
    arguments(0, "1}"),
    (0, "stop"),
    call(1, "b", "n"),
    arguments(1, '{"y":'),
    arguments(1, "2}"),
    (1, "stop"),
    (2, {"text": "Both."}),
    (2, "stop"),
]


@pytest.mark.parametrize("ends", [(), (PartEnd(0), PartEnd(1), PartEnd(2)), (PartEnd(1), PartEnd(0), PartEnd(2))])
def test_calls_that_overlap_are_put_in_order(ends: tuple[Delta, ...]) -> None:
    assert blocks(*INTERLEAVED, *ends) == IN_ORDER


def test_text_that_goes_on_becomes_a_new_block() -> None:
    said = blocks(TextDelta(0, "a"), PartStart(1, ToolCall("c", "n", {"x": 1})), TextDelta(0, "b"))
    assert said == [
        (0, {"text": "a"}),
        (0, "stop"),
        call(1, "c", "n"),
        arguments(1, '{"x":1}'),
        (1, "stop"),
        (2, {"text": "b"}),
        (2, "stop"),
    ]


def test_a_call_that_is_never_whole_still_ends() -> None:
    said = blocks(PartStart(0, ToolCall("a", "n", "")), ArgumentsDelta(0, '{"x":'), TextDelta(1, "b"))
    assert said == [call(0, "a", "n"), arguments(0, '{"x":'), (0, "stop"), (1, {"text": "b"}), (1, "stop")]


def test_a_call_without_arguments_says_so() -> None:
    assert blocks(PartStart(0, ToolCall("a", "n", {})), PartEnd(0)) == [
        call(0, "a", "n"),
        arguments(0, "{}"),
        (0, "stop"),
    ]


def test_calls_without_ids_get_one_from_the_answers_id() -> None:
    said, _ = written(Start("abc"), PartStart(1, ToolCall(None, "n", {})))
    assert said[1] == call(0, "call_abc_1", "n")


def test_free_form_calls_take_one_string() -> None:
    said = blocks(
        PartStart(0, ToolCall("a", "w", "", custom=True)), ArgumentsDelta(0, 'say "'), ArgumentsDelta(0, 'hi"')
    )
    assert said == [call(0, "a", "w"), arguments(0, '{"input":"say \\"hi\\""}'), (0, "stop")]


def test_whole_parts() -> None:
    """Dialects that hand on parts whole, as Gemini does."""
    said = blocks(
        PartStart(0, Thinking("Hm.", signature=Signature("c2ln", "anthropic"))),
        PartEnd(0),
        PartStart(1, Text("Hi", (Citation("https://example.com", "E"),))),
        PartEnd(1),
        PartStart(2, Media("image", Base64(PIXEL), "image/png")),
        PartEnd(2),
        PartStart(3, Json({"a": 1})),
        PartEnd(4, Text("only at its end")),
    )
    assert said == [
        (0, {"reasoningContent": {"text": "Hm."}}),
        (0, {"reasoningContent": {"signature": "c2ln"}}),
        (0, "stop"),
        (1, {"text": "Hi"}),
        (1, {"citation": {"location": {"web": {"url": "https://example.com"}}, "title": "E"}}),
        (1, "stop"),
        (2, "start", {"image": {"format": "png"}}),
        (2, {"image": {"source": {"bytes": PIXEL}}}),
        (2, "stop"),
        (3, {"text": '{"a":1}'}),
        (3, "stop"),
        (4, {"text": "only at its end"}),
        (4, "stop"),
    ]


def test_what_a_provider_ran() -> None:
    said = blocks(
        PartStart(0, ServerToolCall("s1", "web_search", "")),
        ArgumentsDelta(0, '{"q":1}'),
        PartStart(1, ServerToolResult("s1", "web_search", [1])),
        PartStart(2, ServerToolCall("s2", "web_search")),
        PartStart(3, ServerToolResult("s2", "web_search")),
        PartEnd(3, ServerToolResult("s2", "web_search", "late")),
        CitationDelta(4, Citation(title="T")),
    )
    assert said == [
        (0, "start", {"toolUse": {"name": "nova_grounding", "toolUseId": "s1", "type": "server_tool_use"}}),
        (0, {"toolUse": {"input": '{"q":1}'}}),
        (0, "stop"),
        (1, "start", {"toolResult": {"toolUseId": "s1", "type": "web_search_result"}}),
        (1, {"toolResult": [{"json": [1]}]}),
        (1, "stop"),
        (2, "start", {"toolUse": {"name": "nova_grounding", "toolUseId": "s2", "type": "server_tool_use"}}),
        (2, {"toolUse": {"input": "{}"}}),
        (2, "stop"),
        (3, "start", {"toolResult": {"toolUseId": "s2", "type": "web_search_result"}}),
        (3, {"toolResult": [{"text": "late"}]}),
        (3, "stop"),
        (4, {"citation": {"title": "T"}}),
        (4, "stop"),
    ]


def test_summaries_and_media_deltas() -> None:
    said = blocks(
        SummaryDelta(0, "First."),
        SummaryDelta(0, " More."),
        SummaryDelta(0, "Second.", 1),
        PartEnd(0),
        MediaDelta(1, PIXEL[:8], kind="image"),
        MediaDelta(1, PIXEL[8:], kind="image"),
        PartEnd(1),
        MediaDelta(2, "", "spoken"),
    )
    assert said == [
        (0, {"reasoningContent": {"text": "First."}}),
        (0, {"reasoningContent": {"text": " More."}}),
        (0, {"reasoningContent": {"text": "\n\n"}}),
        (0, {"reasoningContent": {"text": "Second."}}),
        (0, "stop"),
        (1, "start", {"image": {"format": "png"}}),
        (1, {"image": {"source": {"bytes": PIXEL[:8]}}}),
        (1, {"image": {"source": {"bytes": PIXEL[8:]}}}),
        (1, "stop"),
        (2, {"text": "spoken"}),
        (2, "stop"),
    ]


FINAL = Response(
    dialect="contract",
    id="r",
    choices=(Choice((Thinking("Hm."), Text("Hi"), ToolCall("c", "n", {"a": 1})), "tool_calls", "tool_calls"),),
    usage=Usage(input_tokens=3, output_tokens=2),
)


def test_a_snapshot_alone_is_told_whole() -> None:
    said, notes = written(Snapshot(FINAL, final=True), End())
    assert said == [
        "messageStart",
        (0, {"reasoningContent": {"text": "Hm."}}),
        (0, "stop"),
        (1, {"text": "Hi"}),
        (1, "stop"),
        call(2, "c", "n"),
        arguments(2, '{"a":1}'),
        (2, "stop"),
        "tool_use",
        "metadata",
    ]
    assert notes == []


def test_a_snapshot_adds_only_what_was_not_told() -> None:
    said, _ = written(
        Snapshot(Response(dialect="contract", id="r")),
        ThinkingDelta(0, "Hm."),
        PartEnd(0),
        TextDelta(1, "Hi"),
        Snapshot(FINAL, final=True),
        End(),
    )
    assert said[1:5] == [(0, {"reasoningContent": {"text": "Hm."}}), (0, "stop"), (1, {"text": "Hi"}), (1, "stop")]
    assert said[5:] == [call(2, "c", "n"), arguments(2, '{"a":1}'), (2, "stop"), "tool_use", "metadata"]


@pytest.mark.parametrize(
    ("kind", "name"),
    [
        ("rate_limit", "throttlingException"),
        ("quota", "throttlingException"),
        ("overloaded", "serviceUnavailableException"),
        ("server", "internalServerException"),
        ("timeout", "modelStreamErrorException"),
        ("context_window", "validationException"),
    ],
)
def test_a_failure_is_an_exception(kind: Any, name: str) -> None:
    error = ErrorResponse(kind=kind, status=500, message="It broke.", dialect="contract")
    said, _ = written(TextDelta(0, "Hi"), Failure(error))
    assert said == ["messageStart", (0, {"text": "Hi"}), name]


def test_losses_are_noted_once() -> None:
    said, notes = written(
        TextDelta(0, "a", choice=1),
        TextDelta(0, "b", choice=1),
        PartStart(0, Opaque({})),
        TextDelta(0, "for the opaque"),
        RefusalDelta(1, "No"),
        RefusalDelta(1, "."),
        MediaDelta(2, "UklG"),
        Stop("stop"),
        COUNTS,
        End(),
        TextDelta(3, "late"),
    )
    assert [step for step in said if isinstance(step, tuple)] == [(0, {"text": "No"}), (0, {"text": "."}), (0, "stop")]
    assert [note.partition(":")[0] for note in notes] == [
        "dropped choices[1]",
        "dropped choices[0].parts[0]",
        "changed choices[0].parts[1]",
        "dropped choices[0].parts[2]",
        "dropped choices[0].parts[3]",
    ]


SIGNED: tuple[tuple[Part, tuple[Delta, ...]], ...] = (
    (
        Thinking("Hm.", signature=Signature("enc", "openai")),
        (ThinkingDelta(0, "Hm."), SignatureDelta(0, Signature("enc", "openai"))),
    ),
    (
        ToolCall("c", "n", {}, signature=Signature("sig", "gemini")),
        (PartStart(1, ToolCall("c", "n", {}, signature=Signature("sig", "gemini"))),),
    ),
    (
        Text("Bye", signature=Signature("end", "gemini")),
        (TextDelta(2, "Bye"), SignatureDelta(2, Signature("end", "gemini"))),
    ),
    (Thinking(signature=Signature("enc", "openai"), redacted=True, id="rs"), ()),
)


def test_signatures_of_any_origin_reach_the_client_and_come_back() -> None:
    deltas = [step for _, steps in SIGNED for step in steps] + [PartStart(3, SIGNED[3][0]), PartEnd(3)]
    writer = DIALECT.stream_renderer(Context(source="contract"))
    data = b"".join(writer.render(StreamEvent((step,))) for step in deltas) + writer.close()
    parts = fold(parse_stream(DIALECT, data), "bedrock_converse").choices[0].parts
    assert [(type(part), getattr(part, "signature", None)) for part in parts] == [
        (type(part), getattr(part, "signature", None)) for part, _ in SIGNED
    ]


def test_a_part_that_begins_anew_is_a_new_block() -> None:
    """The signature that is parked before a call has a block of its own, so none may be open."""
    signed = ToolCall("c", "n", {}, signature=Signature("s", "gemini"))
    for begin in (PartStart(0, Text("t")), TextDelta(0, "t")):
        said = blocks(begin, PartStart(0, signed))
        assert [step[0] for step in said] == [0, 0, 1, 1, 2, 2, 2]
        assert [said[0], said[1], said[3]] == [(0, {"text": "t"}), (0, "stop"), (1, "stop")]
        assert said[4:] == [call(2, "c", "n"), arguments(2, "{}"), (2, "stop")]


def test_what_goes_on_as_another_kind_is_a_new_block() -> None:
    said, notes = written(
        PartStart(0, ToolCall("c", "n", "")),
        ArgumentsDelta(0, "{}"),
        TextDelta(0, "a"),
        ArgumentsDelta(0, '{"b": 1}'),
        ThinkingDelta(0, "Hm."),
        COUNTS,
    )
    assert notes == ["dropped choices[0].parts[0].arguments: no call is open to take them"]
    assert said[1:-2] == [
        call(0, "c", "n"),
        arguments(0, "{}"),
        (0, "stop"),
        (1, {"text": "a"}),
        (1, "stop"),
        (2, {"reasoningContent": {"text": "Hm."}}),
        (2, "stop"),
    ]


def test_an_image_that_is_spoken_of_is_a_block_beside_its_words() -> None:
    assert blocks(PartStart(0, Media("image", Base64(PIXEL), "image/png", transcript="a pixel"))) == [
        (0, {"text": "a pixel"}),
        (0, "stop"),
        (1, "start", {"image": {"format": "png"}}),
        (1, {"image": {"source": {"bytes": PIXEL}}}),
        (1, "stop"),
    ]


# -- any events --------------------------------------------------------------------------------------------------------


@given(st.lists(DELTAS, max_size=25))
def test_any_events_make_a_stream_in_order(deltas: list[Delta]) -> None:
    """One messageStart, blocks one after the other and numbered, each of one kind, one messageStop, one metadata:
    always.
    """
    writer = DIALECT.stream_renderer(Context(source="contract"))
    data = b"".join(writer.render(StreamEvent((step,))) for step in deltas) + writer.close()
    frames = [(frame.event, json.loads(frame.data)) for frame in AwsEventStream().feed(data)]
    names = [name for name, _ in frames]
    assert names[0] == "messageStart"
    assert names[-2:] == ["messageStop", "metadata"]
    assert names.count("messageStart") == names.count("messageStop") == names.count("metadata") == 1
    position, kind = 0, None
    for name, payload in frames[1:-2]:
        assert payload["contentBlockIndex"] == position, (name, names)
        if name == "contentBlockStop":
            assert kind is not None
            position, kind = position + 1, None
        else:
            assert kind is None or (name, kind) == ("contentBlockDelta", kind_of(payload)), (name, names)
            kind = kind_of(payload)
    assert kind is None
    assert total(data).complete


def kind_of(payload: dict[str, Any]) -> str:
    """What a block holds, by its start or by a delta. (Citations are cited by a text.)"""
    kind: str
    (kind,) = payload.get("start") or payload["delta"]
    return "text" if kind == "citation" else kind
