"""Framing: events or an array, told by the first byte; objects are found wherever the bytes are cut."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from penstock.dialects.framing import Frame
from penstock.dialects.gemini.frames import GeminiFrames, JsonArray
from penstock.dialects.gemini.partial_args import PartialArguments
from penstock.types.errors import MalformedError


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
