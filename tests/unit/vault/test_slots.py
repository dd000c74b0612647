"""Reading and writing the one place where a secret may stand."""

import base64
import json

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from penstock.vault.paths import query_pairs
from penstock.vault.slots import Slot, check_value, is_filled, parse_slot, read, write
from penstock.vault.values import Headers, Refusal, RequestHead

FORM: Headers = (("content-type", "application/x-www-form-urlencoded"),)
JSON: Headers = (("content-type", "application/json"),)


def request(*headers: tuple[str, str], target: str = "/") -> RequestHead:
    return RequestHead("POST", target, headers)


def basic(text: bytes) -> tuple[str, str]:
    return ("authorization", "Basic " + base64.b64encode(text).decode())


FILLED: list[tuple[str, RequestHead, bytes | None]] = [
    ("header:authorization", request(("authorization", "Bearer stub-1234")), None),
    ("header:authorization", request(("authorization", "token stub-1234")), None),
    ("header:x-api-key", request(("x-api-key", "stub-1234")), None),
    ("basic:password", request(basic(b"git:stub-1234")), None),
    ("basic:password", request(basic(b":stub-1234")), None),
    ("basic:user", request(basic(b"stub-1234:x-oauth-basic")), None),
    ("basic:user", request(basic(b"stub-1234:")), None),
    ("query:key", request(target="/p?a=1&key=stub-1234&b"), None),
    ("query:key", request(target="/p?k%65y=stub%2d1234"), None),
    ("cookie:session", request(("cookie", "a=b; session=stub-1234; c=d")), None),
    ("cookie:session", request(("cookie", "a=b"), ("cookie", "session=stub-1234")), None),
    ("form:token", request(*FORM), b"a=1&token=stub-1234"),
    ("json:/token", request(*JSON), b'{"token":"stub-1234"}'),
    ("json:/a/1/b~1c", request(*JSON), b' {"x": [1, {}], "a" : [ null , {"b/c" : "stub-1234"} ] } '),
    (
        "json:/token",
        request(("content-type", "application/vnd.api+json; charset=utf-8")),
        b'{"token":"\\u0073tub-1234"}',
    ),
]


@pytest.mark.parametrize(("slot", "head", "body"), FILLED)
def test_what_stands_in_a_slot_is_read_and_replaced(slot: str, head: RequestHead, body: bytes | None) -> None:
    parsed = parse_slot(slot)
    assert is_filled(parsed, head)
    assert read(parsed, head, body) == b"stub-1234"
    written = write(parsed, head, body, b"secret!5678")
    assert read(parsed, *written) == b"secret!5678"
    assert write(parsed, *written, b"stub-1234")[0].headers == write(parsed, head, body, b"stub-1234")[0].headers


EMPTY: list[tuple[str, RequestHead, bytes | None]] = [
    ("header:authorization", request(), None),
    ("basic:password", request(), None),
    ("query:key", request(target="/p?a=1&Key=stub-1234"), None),
    ("query:key", request(target="/p"), None),
    ("cookie:session", request(("cookie", "sessions=stub-1234")), None),
    ("form:token", request(*FORM), None),
    ("json:/token", request(*JSON), b'{"other":"stub-1234"}'),
    ("json:/token", request(*JSON), b'{"token":5}'),
    ("json:/0", request(*JSON), b"[]"),
    ("json:/00", request(*JSON), b'["stub-1234"]'),
    ("json:/token/x", request(*JSON), b'{"token":"stub-1234"}'),
    ("sigv4:s3/*", request(("authorization", "Bearer x")), None),
]


@pytest.mark.parametrize(("slot", "head", "body"), EMPTY)
def test_nothing_stands_in_other_places(slot: str, head: RequestHead, body: bytes | None) -> None:
    assert not read(parse_slot(slot), head, body)


REFUSED: list[tuple[str, RequestHead, bytes | None]] = [
    ("header:authorization", request(("authorization", "Bearer stub-1234 more")), None),
    ("header:authorization", request(("authorization", "Bearer  stub-1234")), None),
    ("header:authorization", request(("authorization", "a, Bearer stub-1234")), None),
    ("header:authorization", request(("authorization", "token=stub-1234, x")), None),
    ("header:authorization", request(("authorization", "")), None),
    ("header:x-api-key", request(("x-api-key", "stub-1234"), ("x-api-key", "stub-1234")), None),
    ("basic:password", request(("authorization", "Bearer stub-1234")), None),
    ("basic:password", request(("authorization", "Basic stub")), None),
    ("basic:password", request(("authorization", "Basic")), None),
    ("basic:password", request(("authorization", "Basic Z2l0OnN0dWI")), None),  # padding is missing
    ("basic:password", request(("authorization", "Basic Z2l0OnN0dWJ=")), None),  # bits behind the end
    ("basic:password", request(("authorization", "Basic Z2l0 OnN0dWI=")), None),
    ("basic:password", request(basic(b"no colon")), None),
    ("basic:password", request(basic(b"git:stub\r\n")), None),
    ("basic:password", request(basic(b"git:stub-1234"), basic(b"git:stub-1234")), None),
    ("query:key", request(target="/p?key=a&key=b"), None),
    ("query:key", request(target="/p?key=a&k%65y=b"), None),
    ("query:key", request(target="/p?a=1;key=b"), None),
    ("cookie:session", request(("cookie", "session=a; session=b")), None),
    ("form:token", request(*FORM), b"token=a&token=b"),
    ("form:token", request(*FORM), "token=\u00fc".encode()),
    ("form:token", request(*JSON), b"token=a"),
    ("form:token", request(*FORM, ("content-encoding", "gzip")), b"token=a"),
    ("json:/token", request(*JSON), b'{"token":"a","token":"b"}'),
    ("json:/token", request(*JSON), b'{"token":"a","t\\u006fken":"b"}'),
    ("json:/token", request(*JSON), b'{"token":"a","x":{"y":1,"y":2}}'),
    ("json:/token", request(*JSON), b'{"token":"a"} {}'),
    ("json:/token", request(*JSON), b'{"token":"a",}'),
    ("json:/token", request(*JSON), b'{"token":NaN}'),
    ("json:/token", request(*JSON), b'\xef\xbb\xbf{"token":"a"}'),
    ("json:/token", request(*JSON), b'{"token":"\xff"}'),
    ("json:/token", request(*JSON), b"[" * 100_000),
    ("json:/token", request(*JSON, ("content-encoding", "gzip")), b"{}"),
    ("json:/token", request(("content-type", "text/plain")), b'{"token":"a"}'),
    ("ssh", request(), None),
]


@pytest.mark.parametrize(("slot", "head", "body"), REFUSED)
def test_what_can_be_read_in_two_ways_is_refused(slot: str, head: RequestHead, body: bytes | None) -> None:
    with pytest.raises(Refusal) as caught:
        read(parse_slot(slot), head, body)
    assert caught.value.code in ("bad_slot", "bad_query")
    assert "stub" not in str(caught.value)


def test_the_word_before_a_token_stays() -> None:
    head, _ = write(Slot("header", "authorization"), request(("authorization", "token stub")), None, b"secret")
    assert head.headers == (("authorization", "token secret"),)


def test_values_of_a_query_are_escaped_and_its_rest_stays_as_sent() -> None:
    head, _ = write(Slot("query", "key"), request(target="/p?q=a+b%2f&key=stub&z"), None, b"a&b=c d/\xff")
    assert head.target == "/p?q=a+b%2f&key=a%26b%3Dc%20d%2F%FF&z"


def test_json_keeps_every_other_byte() -> None:
    body = b'{ "big": 12345678901234567890.10, "e": 1E5, "u": "\\u00e9",\n "token" : "stub", "again": "stub" }'
    _, written = write(Slot("json", "/token"), request(*JSON), body, 'quote " and \u00e9'.encode())
    assert written == body.replace(b'"token" : "stub"', b'"token" : "quote \\" and \\u00e9"')


def test_the_password_of_basic_may_hold_colons() -> None:
    assert read(Slot("basic", "password"), request(basic(b"git:a:b:c")), None) == b"a:b:c"
    assert read(Slot("basic", "user"), request(basic(b"git:a:b:c")), None) == b"git"


def test_a_signed_request_shows_the_key_id_it_was_signed_with() -> None:
    slot = Slot("sigv4", "s3/us-east-1")
    scope = "AKIDFAKE/20261123/us-east-1/s3/aws4_request"
    signed = f"AWS4-HMAC-SHA256 Credential={scope}, SignedHeaders=host, Signature={'0' * 64}"
    query = "/b?X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=" + scope.replace("/", "%2F")
    assert read(slot, request(("authorization", signed)), None) == b"AKIDFAKE"
    assert read(slot, request(target=query), None) == b"AKIDFAKE"
    with pytest.raises(Refusal):
        read(slot, request(("authorization", signed), target=query), None)


BAD_VALUES = [
    ("header:x", b""), ("header:x", b"a\r\nb: c"), ("header:x", b"a\nb"), ("header:x", b"a\0"), ("header:x", b" a"),
    ("header:x", b"a "), ("header:x", "\u00fc".encode()), ("basic:password", b"a\n"), ("basic:user", b"a:b"),
    ("query:x", b"a\r\n"), ("form:x", b"a\0"), ("cookie:x", b"a;b"), ("cookie:x", b"a b"), ("cookie:x", b"a,b"),
    ("cookie:x", b'a"b'), ("json:/x", b"\xff"), ("json:/x", b"a\0"), ("ssh", b""), ("ssh", b"a\0"),
]  # fmt: skip


@pytest.mark.parametrize(("slot", "value"), BAD_VALUES)
def test_what_a_slot_cannot_carry_is_refused_when_it_is_bound(slot: str, value: bytes) -> None:
    with pytest.raises(Refusal) as caught:
        check_value(parse_slot(slot), value)
    assert caught.value.code == "bad_secret"


@pytest.mark.parametrize(
    ("slot", "value"),
    [
        ("header:x", b"sk-fake"), ("basic:password", b"p:w \xfc"), ("query:x", b"a&b\xff"), ("cookie:x", b"a=b+/="),
        ("json:/x", b"-----BEGIN-----\nx\n"), ("ssh", b"-----BEGIN-----\nx\n"), ("sigv4:s3/*", b"{}\n"),
    ],
)  # fmt: skip
def test_what_a_slot_can_carry(slot: str, value: bytes) -> None:
    check_value(parse_slot(slot), value)


TEXT = st.text('ab"\\/~ \u00e9\n{}[],:1', max_size=6)
TREES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
    max_leaves=10,
)


def strings_of(tree: object, pointer: str = "") -> list[tuple[str, str]]:
    if isinstance(tree, str):
        return [(pointer, tree)] if pointer else []
    members = tree.items() if isinstance(tree, dict) else enumerate(tree) if isinstance(tree, list) else ()
    steps = ((str(key).replace("~", "~0").replace("/", "~1"), value) for key, value in members)
    return [found for step, value in steps for found in strings_of(value, f"{pointer}/{step}")]


@given(TREES, st.sampled_from([None, 1, "\t"]), st.booleans())
def test_a_pointer_finds_what_json_says_and_changes_nothing_else(
    tree: object, indent: int | str | None, ascii_only: bool
) -> None:
    body = json.dumps(tree, indent=indent, ensure_ascii=ascii_only).encode()
    for pointer, text in strings_of(tree):
        assert read(Slot("json", pointer), request(*JSON), body) == text.encode()
        _, written = write(Slot("json", pointer), request(*JSON), body, b"SECRET")
        assert written is not None
        _, back = write(Slot("json", pointer), request(*JSON), written, text.encode() or b"?")
        if text:
            assert json.loads(back or b"") == tree


@given(st.lists(st.tuples(st.text("ab&=%+ k\u00e9", max_size=4), st.text("xy&=%+ ;\u00e9", max_size=4)), max_size=4))
def test_a_value_written_into_a_query_is_the_only_change(pairs: list[tuple[str, str]]) -> None:
    from urllib.parse import urlencode

    query = urlencode([*pairs, ("slot", "stub")])
    head, _ = write(Slot("query", "slot"), request(target="/?" + query), None, b"s&=%")
    changed = [(name, value) for name, value, _ in query_pairs(head.target[2:])]
    assert changed == [*pairs, ("slot", "s&=%")]


def test_a_slot_is_shown_as_it_is_typed() -> None:
    for text in ("header:authorization", "basic:user", "json:/a~1b", "ssh", "sigv4:s3/*"):
        assert str(parse_slot(text)) == text
    assert parse_slot("header:X-API-Key") == Slot("header", "x-api-key")
    assert msgspec.json.decode(msgspec.json.encode(Slot("ssh")), type=Slot) == Slot("ssh")
