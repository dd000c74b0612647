"""Any events: deltas in any order, that fit together or do not, for the property tests of stream writers."""

from hypothesis import strategies as st

from penstock.types.content import (
    Base64,
    Citation,
    Json,
    Media,
    Opaque,
    Part,
    Refusal,
    ServerToolCall,
    ServerToolResult,
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
    SummaryDelta,
    TextDelta,
    ThinkingDelta,
    UsageDelta,
)
from penstock.types.usage import Usage
from tests.contract.dialects import PIXEL

INDEX = st.integers(0, 3)
CHOICE = st.sampled_from([0, 0, 0, 1])
WORDS = st.sampled_from(["", "a", "b ", "\n", '{"x":', "1}", "{}"])
SIGNATURE = st.builds(Signature, st.sampled_from(["", "c2ln"]), st.sampled_from(["gemini", "openai", "anthropic"]))
CITATION = Citation("https://example.com")
PARTS: st.SearchStrategy[Part] = st.one_of(
    st.builds(Text, WORDS, st.none() | st.just((CITATION,)), signature=st.none() | SIGNATURE),
    st.builds(Thinking, WORDS, signature=st.none() | SIGNATURE, redacted=st.booleans()),
    st.builds(Refusal, WORDS),
    st.builds(
        ToolCall,
        st.sampled_from([None, "c"]),
        st.just("n"),
        WORDS | st.sampled_from([{}, {"x": 1}]),
        signature=st.none() | SIGNATURE,
    ),
    st.builds(ToolCall, st.just("c"), st.just("n"), WORDS, custom=st.just(True)),
    st.builds(ServerToolCall, st.sampled_from([None, "s"]), st.just("web_search"), st.none() | st.just({})),
    st.builds(ServerToolResult, st.sampled_from([None, "s"]), st.just("web_search"), st.none() | st.just([1])),
    st.sampled_from(
        [
            Media("image", Base64(PIXEL), "image/png"),
            Media("image", Base64(PIXEL), "image/png", transcript="a pixel"),
            Media("image", None),
            Media("audio", None),
            Json([1]),
            Opaque({}),
        ]
    ),
)
FINAL = Response(
    dialect="contract",
    id="r",
    choices=(Choice((Thinking("Hm."), Text("Hi"), ToolCall("c", "n", {"a": 1})), "tool_calls"),),
    usage=Usage(input_tokens=3, output_tokens=2),
)
DELTAS: st.SearchStrategy[Delta] = st.one_of(
    st.builds(Start, st.none() | st.just("id")),
    st.builds(PartStart, INDEX, PARTS, CHOICE),
    st.builds(TextDelta, INDEX, WORDS, CHOICE),
    st.builds(ThinkingDelta, INDEX, WORDS),
    st.builds(SummaryDelta, INDEX, WORDS, st.integers(0, 2)),
    st.builds(RefusalDelta, INDEX, WORDS),
    st.builds(ArgumentsDelta, INDEX, WORDS),
    st.builds(SignatureDelta, INDEX, SIGNATURE, append=st.booleans()),
    st.builds(CitationDelta, INDEX, st.just(CITATION)),
    st.builds(MediaDelta, INDEX, st.sampled_from(["", "AAAA"]), WORDS, st.sampled_from(["image", "audio"])),
    st.builds(PartEnd, INDEX, st.none() | PARTS),
    st.builds(Stop, st.none() | st.sampled_from(["stop", "tool_calls", "error"]), choice=CHOICE),
    st.just(UsageDelta(Usage(input_tokens=5, output_tokens=1))),
    st.just(Snapshot(FINAL, final=True)),
    st.just(End()),
)
