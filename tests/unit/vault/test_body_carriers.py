"""Credentials of somebody else in bodies: found wherever a body is cut, and nowhere else."""

from __future__ import annotations

import json
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from penstock.vault.body_carriers import JSON_CREDENTIALS, JsonCarriers, MultipartCarriers, carriers_of
from penstock.vault.rules import parse_binding
from penstock.vault.values import Refusal, RequestHead

STUB = b"stub-of-another-secret"
BINDING = parse_binding("POST https://api.example.com:443/* header:authorization", "KEY")


def refused(text: bytes, *cuts: int, own: str = "") -> bool:
    """Whether JSON is refused, cut at these places."""
    reader = JsonCarriers(lambda value: value == STUB, own)
    places = [0, *sorted(min(cut, len(text)) for cut in cuts), len(text)]
    try:
        for begin, end in pairwise(places):
            reader.feed(text[begin:end])
    except Refusal:
        return True
    return False


NAMES = st.sampled_from([*sorted(JSON_CREDENTIALS), "API_KEY", "text", "token", "", 'a"b', "\\", "ü"])
VALUES = st.recursive(
    st.one_of(st.text(), st.integers(), st.booleans(), st.none(), NAMES, st.just(STUB.decode()), st.just("x " * 9)),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(NAMES, inner, max_size=3)),
    max_leaves=8,
)


def strings(value: object) -> list[str]:
    """Every string in a document, names too."""
    if isinstance(value, dict):
        return [*value, *(each for inner in value.values() for each in strings(inner))]
    if isinstance(value, list):
        return [each for inner in value for each in strings(inner)]
    return [value] if isinstance(value, str) else []


@given(VALUES, st.booleans(), st.lists(st.integers(0, 400), max_size=6))
def test_json_is_read_as_a_parser_reads_it_wherever_it_is_cut(value: object, plain: bool, cuts: list[int]) -> None:
    text = json.dumps(value, ensure_ascii=not plain, indent=1 if plain else None).encode()
    at_the_top = {name.strip().lower() for name in value} if isinstance(value, dict) else set()
    expected = bool(at_the_top & JSON_CREDENTIALS) or any(STUB.decode() == each for each in strings(value))
    assert refused(text, *cuts) == expected


@pytest.mark.parametrize("text", [b'{"api_key" \n : 1}', b'{"api\\u005fkey":1}', b'{ "a":1,\t" API_KEY ":1'])
def test_a_member_that_is_a_credential_is_found_at_every_cut(text: bytes) -> None:
    assert all(refused(text, cut) for cut in range(len(text)))


@pytest.mark.parametrize(
    "text", [b'{"a":{"api_key":1}}', b'["api_key"]', b'{"a":"api_key"}', b'{"a":"\\"api_key\\":"}']
)
def test_what_is_no_member_of_the_outermost_object_goes_on(text: bytes) -> None:
    assert not any(refused(text, cut) for cut in range(len(text)))


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-16-be", "utf-32", "utf-8-sig"])
def test_another_encoding_hides_nothing(encoding: str) -> None:
    for text in ('{"x": 1, "api_key": 2}', f'{{"x": ["{STUB.decode()}"]}}'):
        assert all(refused(text.encode(encoding), cut) for cut in range(0, 60, 7))


def test_the_slot_of_the_binding_is_ours() -> None:
    assert not refused(b'{"api_key": "ours"}', own="/api_key")
    assert refused(b'{"api_key": "ours", "access_token": 1}', own="/api_key")


@pytest.mark.parametrize("text", [b"]]]}}", b'"' * 9, b"{" * 100_000, b'{"' + b"x" * 100_000 + b'":1}', b"\\", b'"\\'])
def test_what_is_no_json_is_left_to_the_upstream(text: bytes) -> None:
    assert not refused(text, 1, 2, 3)


def test_a_long_string_takes_no_memory() -> None:
    reader = JsonCarriers(lambda value: False)
    reader.feed(b'{"')
    for _ in range(64):
        reader.feed(b"x" * 65536)
    assert reader._string is not None and len(reader._string) <= 32 * 1024


@pytest.mark.parametrize("cut", range(0, 80, 3))
def test_a_field_of_a_multipart_form_is_found_at_every_cut(cut: int) -> None:
    text = b'--b\r\nContent-Type: text/plain\r\nContent-disposition: form-data; name="Private_Token"\r\n\r\nx'
    reader = MultipartCarriers()
    reader.feed(text[:cut])
    with pytest.raises(Refusal, match="private_token") as caught:
        reader.feed(text[cut:])
    assert caught.value.code == "foreign_credential" and caught.value.fix


@pytest.mark.parametrize("kind", ["text/plain", "application/octet-stream", "application/x-www-form-urlencoded"])
def test_other_types_have_no_reader(kind: str) -> None:
    assert carriers_of(RequestHead("POST", "/", (("content-type", kind),)), BINDING, lambda value: False) is None
