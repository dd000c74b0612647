"""Framing: events or an array, told by the first byte; objects are found wherever the bytes are cut."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from penstock.dialects.dialect import Context
from penstock.dialects.framing import Frame
from penstock.dialects.gemini import DIALECT
from penstock.dialects.gemini.frames import ARRAY_TYPE, GeminiFrames, JsonArray
from penstock.dialects.gemini.partial_args import PartialArguments
from penstock.types.errors import ErrorResponse, MalformedError
from penstock.types.stream import Failure, Start, StreamEvent, TextDelta
from tests.contract.dialects import parse_stream
from tests.unit.dialects.gemini.samples import CHUNKS


def cut(data: bytes, sizes: list[int]) -> tuple[list[bytes], bool]:
    """(the frames of `data`, handed over in pieces, whether it was complete)."""
    frames = GeminiFrames()
    found: list[Frame] = []
    place = 0
    for size in sizes:
        found += frames.feed(data[place : place + size])
        place += size
    found += frames.feed(data[place:]) + frames.close()
    return [frame.data for frame in found], frames.complete


OBJECTS = st.lists(
    st.dictionaries(st.text(max_size=5), st.text(max_size=8) | st.lists(st.text(max_size=3))), max_size=5
)


@given(OBJECTS, st.lists(st.integers(0, 9), max_size=40), st.sampled_from([None, 2]))
def test_objects_are_found_wherever_an_array_is_cut(values: list[Any], sizes: list[int], indent: Any) -> None:
    data = json.dumps(values, indent=indent, ensure_ascii=False).encode()
    found, complete = cut(data, sizes)
    assert [json.loads(frame) for frame in found] == values
    assert complete


@pytest.mark.parametrize("head", [b"", b"\xef\xbb\xbf", b"\n \r\n"])
def test_the_first_byte_tells_the_form(head: bytes) -> None:
    assert cut(head + b'[{"a": 1},\r\n{"b": "}"}]', [1] * 40) == ([b'{"a": 1}', b'{"b": "}"}'], True)
    assert cut(head + b'{"a": 1}', [1] * 40) == ([b'{"a": 1}'], True)
    assert cut(head + b'data: {"a": 1}\n\n', [1] * 40) == ([b'{"a": 1}'], True)


def test_a_cut_array_is_not_complete() -> None:
    assert cut(b'[{"a": 1}', []) == ([b'{"a": 1}'], False)
    assert cut(b'[{"a": "x\\', []) == ([b'{"a": "x\\'], False)
    assert cut(b"[", []) == ([], False)
    assert cut(b"", []) == ([], True)


@pytest.mark.parametrize("data", [b"[1]", b'["a"]', b"[[{}]]", b"[{}] {}", b"[{}]]", b"{}]", b"[{}, x"])
def test_what_is_no_array_of_objects_is_refused(data: bytes) -> None:
    with pytest.raises(MalformedError, match="expected an object of a stream"):
        cut(data, [])


def test_a_long_string_is_looked_at_once() -> None:
    """Bytes of an image come in thousands of pieces; the buffer is not scanned anew for each."""
    frames = JsonArray()
    frames.feed(b'[{"data": "')
    for _ in range(2000):
        assert frames.feed(b"A" * 1000) == []
    assert frames._place == len(frames._buffer)
    assert len(frames.feed(b'"}]')[0].data) == 2_000_012


@pytest.mark.parametrize("source", ["gemini", "nobody"])
def test_a_stream_is_written_as_an_array(source: str) -> None:
    """The same frames in either form, also if a text looks like the head of an event."""
    events = [StreamEvent((Start("r", "m"), TextDelta(0, text))) for text in ("a\ndata: b", "\n\n", "c")]
    if source == "gemini":
        data = b"".join(b"data: " + json.dumps(frame).encode() + b"\n\n" for frame in CHUNKS)
        events = parse_stream(DIALECT, data)
    written = {}
    for kind in (None, ARRAY_TYPE):
        renderer = DIALECT.stream_renderer(Context(source=source, stream_type=kind))
        written[kind] = b"".join([renderer.render(event) for event in events]) + renderer.close()
        assert renderer.notes == []
    array = json.loads(written[ARRAY_TYPE])
    assert array == [json.loads(data) for data in cut(written[None], [])[0]]
    assert cut(written[ARRAY_TYPE], [1] * len(written[ARRAY_TYPE]))[1]


def test_an_array_ends_with_a_failure_and_is_never_open() -> None:
    renderer = DIALECT.stream_renderer(Context(source="nobody", stream_type=ARRAY_TYPE))
    error = ErrorResponse(kind="server", status=500, message="it broke")
    data = renderer.render(StreamEvent((TextDelta(0, "a"),))) + renderer.render(StreamEvent((Failure(error),)))
    assert json.loads(data)[-1]["error"]["message"] == "it broke"
    assert renderer.close() == b""
    renderer = DIALECT.stream_renderer(Context(source="gemini", stream_type=ARRAY_TYPE))
    assert renderer.close() == b"[]"


@pytest.mark.parametrize(
    ("query", "wanted"),
    [
        ("alt=sse", None),
        ("key=x&alt=sse", None),
        ("$alt=sse", None),
        ("", ARRAY_TYPE),
        ("alt=json", ARRAY_TYPE),
        ("key=sse", ARRAY_TYPE),
    ],
)
def test_the_query_says_which_form(query: str, wanted: str | None) -> None:
    assert DIALECT.stream_type_asked(query) == wanted


PIECES: tuple[tuple[list[dict[str, Any]], Any], ...] = (
    (
        [{"jsonPath": "$.a", "stringValue": "x", "willContinue": True}, {"jsonPath": "$.a", "stringValue": "y"}],
        {"a": "xy"},
    ),
    ([{"jsonPath": "$.a", "stringValue": "x"}, {"jsonPath": "$.a", "stringValue": "y"}], {"a": "y"}),
    ([{"jsonPath": "$.a.b[1].c", "numberValue": 1}], {"a": {"b": [None, {"c": 1}]}}),
    ([{"jsonPath": "$['a b'][\"c'd\"]", "boolValue": False}], {"a b": {"c'd": False}}),
    ([{"jsonPath": "$.a", "nullValue": "NULL_VALUE"}], {"a": None}),
    ([{"jsonPath": "$.a", "willContinue": True}, {"jsonPath": "$.a", "stringValue": "x"}], {"a": "x"}),
)


@pytest.mark.parametrize(("pieces", "arguments"), PIECES, ids=str)
def test_partial_arguments(pieces: list[dict[str, Any]], arguments: Any) -> None:
    partial = PartialArguments({})
    partial.add(pieces)
    assert partial.arguments == arguments


@pytest.mark.parametrize("path", ["", "a", "$", "$..a", "$.a[", "$[0]", "$.a[99999999]", "$.a b[c]"])
def test_paths_that_lead_nowhere_are_refused(path: str) -> None:
    with pytest.raises(MalformedError):
        PartialArguments({"a": "x"}).add([{"jsonPath": path, "stringValue": "x"}])
