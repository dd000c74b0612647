"""A body goes on as it came, but for what must differ; and whoever reads it after us reads what we decided by."""

import json

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from penstock.dialects.dialect import PathMatch
from penstock.gateway.relay import joined, members_of
from penstock.gateway.surfaces import anthropic_messages, gemini, openai_chat, openai_responses
from penstock.gateway.surfaces.chat import ChatSurface
from penstock.types.errors import MalformedError

values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**53), 2**53)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)


@given(st.dictionaries(st.text(), values, max_size=8), st.booleans())
def test_members_keep_their_bytes(body: dict[str, object], spaced: bool) -> None:
    text = json.dumps(body, indent=2 if spaced else None, ensure_ascii=spaced).encode("utf-8", "surrogatepass")
    try:
        members = members_of(text)
    except MalformedError:
        return  # a lone surrogate: no UTF-8
    assert json.loads(joined(members)) == body
    assert list(members) == list(body)
    for raw in members.values():
        assert bytes(raw) in text


def test_a_name_that_stands_twice_goes_on_once() -> None:
    members = members_of(b'{"model":"cheap","messages":[],"model":"dear"}')
    assert openai_chat.peek(members, PathMatch()).model == "dear"
    assert joined(members) == b'{"model":"dear","messages":[]}'


def test_an_escaped_name_is_the_same_name() -> None:
    members = members_of(rb'{"mod\u0065l":"dear","model":"cheap"}')
    assert openai_chat.peek(members, PathMatch()).model == "cheap"
    assert joined(members) == b'{"model":"cheap"}'


@pytest.mark.parametrize("body", [b"", b"  ", b"[]", b"3", b'"text"', b"{", b'{"a":}', b"\xff\xfe", b'{"a":1}x'])
def test_what_is_no_object_is_refused(body: bytes) -> None:
    with pytest.raises(MalformedError):
        members_of(body)


@pytest.mark.parametrize("model", [b"3", b"[]", b"{}", b"true"])
def test_a_model_that_is_no_text_is_refused_by_name(model: bytes) -> None:
    with pytest.raises(MalformedError) as raised:
        openai_chat.peek(members_of(b'{"model":%b}' % model), PathMatch())
    assert raised.value.path == "model" or "string" in str(raised.value)


PEEKED = [
    (openai_chat.SURFACE, {"model": "m", "stream": True, "max_tokens": 5, "n": 2}, ("m", True, 5, 2, False)),
    (openai_chat.SURFACE, {"model": "m", "max_tokens": 9, "max_completion_tokens": 7}, ("m", False, 7, 1, True)),
    (
        openai_chat.SURFACE,
        {"model": "m", "stream": True, "stream_options": {"include_usage": True}},
        ("m", True, None, 1, True),
    ),
    (openai_chat.SURFACE, {"model": "m", "stream": None, "max_tokens": "5", "n": -1}, ("m", False, None, 1, False)),
    (anthropic_messages.SURFACE, {"model": "m", "max_tokens": 5, "stream": True}, ("m", True, 5, 1, True)),
    (openai_responses.SURFACE, {"model": "m", "max_output_tokens": 5}, ("m", False, 5, 1, True)),
    (gemini.SURFACE, {"generationConfig": {"maxOutputTokens": 5, "candidateCount": 3}}, ("g", True, 5, 3, True)),
    (gemini.SURFACE, {"generation_config": {"max_output_tokens": 5}}, ("g", True, 5, 1, True)),
    (gemini.SURFACE, {}, ("g", True, None, 1, True)),
]


@pytest.mark.parametrize(("surface", "body", "expected"), PEEKED)
def test_what_is_peeked(surface: object, body: dict[str, object], expected: tuple[object, ...]) -> None:
    assert isinstance(surface, ChatSurface)
    match = PathMatch("g", True) if not surface.names_model_in_body else PathMatch()
    found = surface.peek(members_of(msgspec.json.encode(body)), match)
    assert (found.model, found.stream, found.max_output, found.choices, found.counts) == expected


CAPPED = [
    (openai_chat.SURFACE, {"max_tokens": 50}, {"max_tokens": 3}),
    (openai_chat.SURFACE, {"max_completion_tokens": 50}, {"max_completion_tokens": 3}),
    (openai_chat.SURFACE, {}, {"max_tokens": 3}),
    (anthropic_messages.SURFACE, {"max_tokens": 50}, {"max_tokens": 3}),
    (openai_responses.SURFACE, {}, {"max_output_tokens": 3}),
    (
        gemini.SURFACE,
        {"generationConfig": {"temperature": 1, "max_output_tokens": 50}},
        {"generationConfig": {"temperature": 1, "maxOutputTokens": 3}},
    ),
    (gemini.SURFACE, {"generation_config": {"topK": 1}}, {"generation_config": {"topK": 1, "maxOutputTokens": 3}}),
]


@pytest.mark.parametrize(("surface", "body", "expected"), CAPPED)
def test_output_is_capped(surface: object, body: dict[str, object], expected: dict[str, object]) -> None:
    assert isinstance(surface, ChatSurface)
    members = members_of(msgspec.json.encode(body))
    surface.cap(members, 3, None)
    assert msgspec.json.decode(joined(members)) == expected


def test_the_usage_of_a_stream_is_asked_for_beside_what_is_asked_already() -> None:
    members = members_of(b'{"stream_options":{"include_obfuscation":false}}')
    openai_chat.ask_for_usage(members)
    assert msgspec.json.decode(joined(members)) == {
        "stream_options": {"include_obfuscation": False, "include_usage": True}
    }
