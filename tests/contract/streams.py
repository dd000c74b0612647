"""Streams of other dialects as events: tidy, and as untidy as real ones are."""

from penstock.types.content import (
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
    ToolCall,
)
from penstock.types.response import Choice, Response
from penstock.types.stream import (
    ArgumentsDelta,
    CitationDelta,
    Delta,
    End,
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

START = Start("resp_1", "model-7")
USAGE = UsageDelta(Usage(input_tokens=100, output_tokens=7, cache_read_tokens=60))
GEMINI, OPENAI = Signature("Z2Vt", "gemini"), Signature("b3Bl", "openai")


def stream(*deltas: Delta) -> list[StreamEvent]:
    """Each delta in an event of its own."""
    return [StreamEvent((delta,)) for delta in deltas]


def call(index: int, call_id: str | None, name: str, *pieces: str) -> list[Delta]:
    return [PartStart(index, ToolCall(call_id, name, "")), *(ArgumentsDelta(index, piece) for piece in pieces)]


WHOLE: tuple[Part, ...] = (
    Thinking("Hm."),
    Text("Hello", citations=(Citation("https://example.com", "E", "cited"),)),
    ToolCall("call_1", "look_up", {"city": "Paris"}),
)

STREAMS: dict[str, list[StreamEvent]] = {
    "text": stream(START, TextDelta(0, "Hel"), TextDelta(0, "lo"), Stop("stop"), USAGE, End()),
    "text with starts and ends": stream(
        START, PartStart(0, Text("")), TextDelta(0, "Hello"), PartEnd(0), Stop("stop"), End()
    ),
    "no start": stream(TextDelta(0, "Hello"), Stop("stop"), USAGE, End()),
    "no end": stream(START, TextDelta(0, "Hello"), Stop("length"), USAGE),
    "no stop": stream(START, TextDelta(0, "Hello"), End()),
    "nothing at all": [],
    "only an end": stream(End()),
    "usage with the first text": [StreamEvent((START, TextDelta(0, "Hello"), USAGE)), *stream(Stop("stop"), End())],
    "thinking": stream(START, ThinkingDelta(0, "Hm."), TextDelta(1, "Hello"), Stop("stop"), End()),
    "signed thinking": stream(
        START,
        PartStart(0, Thinking()),
        ThinkingDelta(0, "Hm."),
        SignatureDelta(0, GEMINI),
        TextDelta(1, "Hello"),
        End(),
    ),
    "a signature in pieces": stream(
        START,
        ThinkingDelta(0, "Hm."),
        SignatureDelta(0, GEMINI, append=True),
        SignatureDelta(0, GEMINI, append=True),
        TextDelta(1, "Hello"),
        End(),
    ),
    "a signature after the next part": stream(
        START, ThinkingDelta(0, "Hm."), TextDelta(1, "Hello"), SignatureDelta(0, GEMINI), Stop("stop"), End()
    ),
    "summaries": stream(
        START,
        PartStart(0, Thinking(id="rs_1")),
        SummaryDelta(0, "One", 0),
        SummaryDelta(0, " more", 0),
        SummaryDelta(0, "Two", 1),
        PartEnd(0, Thinking(summary=("One more", "Two"), signature=OPENAI, id="rs_1")),
        TextDelta(1, "Hello"),
        End(),
    ),
    "withheld thinking": stream(
        START, PartStart(0, Thinking(signature=OPENAI, redacted=True)), TextDelta(1, "Hello"), End()
    ),
    "a thought of which only the proof comes": stream(
        START, PartStart(0, Thinking(id="rs_1")), SignatureDelta(0, OPENAI), TextDelta(1, "Hello"), End()
    ),
    "a withheld thought whose proof comes later": stream(
        START,
        PartStart(0, Thinking(redacted=True)),
        SignatureDelta(0, OPENAI),
        PartEnd(0),
        TextDelta(1, "Hello"),
        End(),
    ),
    "a proof that comes with the end of its part": stream(
        START,
        PartStart(0, Thinking(id="rs_1")),
        PartEnd(0, Thinking(signature=OPENAI, id="rs_1")),
        *call(1, "call_1", "look_up", "{}"),
        End(),
    ),
    "thinking known only at its end": stream(
        START, PartEnd(0, Thinking("Hm.", signature=OPENAI)), TextDelta(1, "Hello"), End()
    ),
    "one call": stream(START, *call(0, "call_1", "look_up", '{"ci', 'ty": "Paris"}'), Stop("tool_calls"), End()),
    "a call and its reason is stop": stream(START, *call(0, "call_1", "look_up", "{}"), Stop("stop"), End()),
    "text and two calls": stream(
        START,
        TextDelta(0, "Let me see."),
        *call(1, "call_1", "look_up", '{"city":', ' "Paris"}'),
        *call(2, "call_2", "look_up", '{"city": "Oslo"}'),
        Stop("tool_calls"),
        USAGE,
        End(),
    ),
    "two calls that interleave": stream(
        START,
        *call(0, "call_1", "look_up", '{"city":'),
        *call(1, "call_2", "look_up", '{"city":'),
        ArgumentsDelta(0, ' "Paris"}'),
        ArgumentsDelta(1, ' "Oslo"}'),
        Stop("tool_calls"),
        End(),
    ),
    "three calls and a text that interleave": stream(
        START,
        *call(0, "call_1", "look_up", '{"a"'),
        *call(1, "call_2", "look_up", '{"b"'),
        TextDelta(3, "Between. "),
        *call(2, "call_3", "look_up", "{}"),
        ArgumentsDelta(1, ":1}"),
        ArgumentsDelta(0, ":0}"),
        TextDelta(3, "After."),
        PartEnd(1),
        PartEnd(0),
        Stop("tool_calls"),
        End(),
    ),
    "texts that interleave": stream(
        START, TextDelta(0, "a"), TextDelta(1, "b"), TextDelta(0, "c"), Stop("stop"), End()
    ),
    "a call without an id": stream(
        START, PartStart(0, ToolCall(None, "look_up", {"city": "Paris"})), Stop("stop"), End()
    ),
    "a call without input": stream(
        START, PartStart(0, ToolCall("call_1", "now", {})), PartEnd(0), Stop("tool_calls"), End()
    ),
    "a call that was cut": stream(START, *call(0, "call_1", "look_up", '{"city": "Par'), Stop("length"), End()),
    "a call that was not announced": stream(START, ArgumentsDelta(0, "{}"), Stop("tool_calls"), End()),
    "a signed call": stream(
        START,
        TextDelta(0, "Let me see."),
        PartStart(1, ToolCall("call_1", "look_up", {"city": "Paris"}, signature=GEMINI)),
        PartEnd(1),
        Stop("tool_calls"),
        End(),
    ),
    "a text signed at its end": stream(START, TextDelta(0, "Hello"), SignatureDelta(0, GEMINI), Stop("stop"), End()),
    "a call known only at its end": stream(
        START,
        PartStart(0, ToolCall("call_1", "look_up", "")),
        PartEnd(0, ToolCall("call_1", "look_up", '{"a": 1}')),
        End(),
    ),
    "a free-form call": stream(
        START,
        PartStart(0, ToolCall("call_1", "write", "", custom=True)),
        ArgumentsDelta(0, 'say "'),
        ArgumentsDelta(0, 'hi"'),
        Stop("tool_calls"),
        End(),
    ),
    "a refusal": stream(START, PartStart(0, Refusal("")), RefusalDelta(0, "I will not."), Stop("refusal"), End()),
    "citations": stream(
        START,
        CitationDelta(0, Citation("https://example.com/a", "A")),
        TextDelta(0, "Hello"),
        CitationDelta(0, Citation("https://example.com", "E", "cited")),
        CitationDelta(0, Citation(file_id="file_1")),
        CitationDelta(0, Citation(start=0, end=3)),
        End(),
    ),
    "audio": stream(START, MediaDelta(0, "AAAA", "spoken "), MediaDelta(0, "AAAA", "words"), Stop("stop"), End()),
    "an image": stream(START, PartStart(0, Media("image", None)), TextDelta(1, "See."), Stop("stop"), End()),
    "what others ran": stream(
        START,
        PartStart(0, ServerToolCall("ws_1", "web_search")),
        ArgumentsDelta(0, "{}"),
        PartEnd(0),
        TextDelta(1, "Found."),
        End(),
    ),
    "json and opaque": stream(START, PartStart(0, Json({"a": 1})), PartStart(1, Opaque({"type": "odd"})), End()),
    "two alternatives": stream(
        START, TextDelta(0, "Hello"), TextDelta(0, "Hi", choice=1), Stop("stop"), Stop("stop", choice=1), End()
    ),
    "a summary only": stream(
        Snapshot(Response(dialect="x", id="resp_1", model="model-7")),
        Snapshot(
            Response(
                dialect="x", id="resp_1", model="model-7", choices=(Choice(WHOLE, "tool_calls"),), usage=USAGE.usage
            ),
            True,
        ),
        End(),
    ),
    "a summary beside the pieces": stream(
        Snapshot(Response(dialect="x", id="resp_1", model="model-7")),
        PartStart(0, Text("")),
        TextDelta(0, "Hello"),
        PartEnd(0, Text("Hello")),
        Snapshot(
            Response(dialect="x", id="resp_1", choices=(Choice((Text("Hello"),), "length"),), usage=USAGE.usage), True
        ),
    ),
}
