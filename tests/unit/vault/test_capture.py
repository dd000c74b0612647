"""Tokens in answers become stubs, wherever they stand; what is no token keeps its bytes."""

import json
from urllib.parse import parse_qs

import pytest
from hypothesis import given
from hypothesis import strategies as st

from penstock.vault.capture import (
    MAX_BODY,
    Caught,
    TokenWatch,
    capture,
    is_token_request,
    parse_capture_rule,
    streams,
    strings,
)
from penstock.vault.rules import parse_binding
from penstock.vault.slots import Slot
from penstock.vault.values import Destination, Headers, Refusal, RequestHead, ResponseHead

AUTH = Destination("https", "auth.example.com", 443)
FORM: Headers = (("content-type", "application/x-www-form-urlencoded"),)
JSON: Headers = (("content-type", "application/json; charset=utf-8"),)
ACCESS, REFRESH = "canary-access-token-0123456789", "canary-refresh-token-0123456789"


def mint(like: bytes) -> bytes:
    return b"stub" + bytes(byte ^ 1 if 97 <= byte < 122 else 120 for byte in like[4:])


def caught(
    body: str | bytes,
    rule: str | None = None,
    *,
    request: Headers = FORM,
    headers: Headers = JSON,
    status: int = 200,
    destination: Destination = AUTH,
) -> Caught:
    content = body.encode() if isinstance(body, str) else body
    head = ResponseHead(status, "OK", (*headers, ("content-length", str(len(content)))))
    asked = RequestHead("POST", "/oauth/token", request)
    found = capture(parse_capture_rule(rule) if rule else None, destination, asked, head, content, mint)
    assert dict(found.head.headers)["content-length"] == str(len(found.body))
    for one in found.captured:
        assert one.value not in found.body
        assert one.value.decode() not in str(found.head)
        assert one.value.decode() not in repr(one)
        for use in one.uses:
            parse_binding(use)
    return found


def test_a_token_answer_without_a_rule() -> None:
    answer = {"access_token": ACCESS, "token_type": "Bearer", "expires_in": 3600, "refresh_token": REFRESH}
    found = caught(json.dumps(answer))
    assert [one.value.decode() for one in found.captured] == [ACCESS, REFRESH]
    access, refresh = found.captured
    assert json.loads(found.body) == {
        **answer,
        "access_token": access.stub.decode(),
        "refresh_token": refresh.stub.decode(),
    }
    assert access.uses == ("* https://auth.example.com:443/* header:authorization",)
    assert refresh.uses == ("POST https://auth.example.com:443/* form:refresh_token",)


def test_a_client_that_speaks_json_refreshes_in_json() -> None:
    found = caught(json.dumps({"refresh_token": REFRESH}), request=JSON)
    assert parse_binding(found.captured[0].uses[0]).slot == Slot("json", "/refresh_token")


def test_what_is_no_token_keeps_its_bytes() -> None:
    body = (
        '{ "n" : 1.10e2,"big":123456789012345678901234567890, "access_token":"%s"\n,"s":"\\u00e9\\/" ,"e":{},"l":[] }'
    )
    found = caught(body % ACCESS)
    assert found.body.decode() == body % found.captured[0].stub.decode()


@pytest.mark.parametrize(
    "body",
    [
        '{"authed_user": {"access_token": "%s"}, "ok": true}',
        '[{"data": [{"access_token": "%s"}]}]',
        '{"access_token": "%s", "access_token": "%s"}',
        '{"access\\u005ftoken": "%s"}',
        '\n {"access_token": "%s"} \n',
    ],
)
def test_tokens_at_any_depth_doubled_and_escaped(body: str) -> None:
    found = caught(body.replace("%s", ACCESS))
    assert ACCESS.encode() not in found.body
    assert {one.value for one in found.captured} == {ACCESS.encode()}
    assert len({one.stub for one in found.captured}) == 1


def test_an_escaped_token_is_captured_as_what_it_means() -> None:
    found = caught('{"access_token": "canary\\/access\\u002dtoken-0123"}')
    assert found.captured[0].value == b"canary/access-token-0123"


def test_githubs_answer_in_a_form() -> None:
    headers: Headers = (("content-type", "application/x-www-form-urlencoded; charset=utf-8"),)
    found = caught(f"access_token={ACCESS}&scope=repo%2Cgist&token_type=bearer", headers=headers)
    pairs = parse_qs(found.body.decode())
    assert pairs["scope"] == ["repo,gist"]
    assert pairs["access_token"] == [found.captured[0].stub.decode()]


def test_a_device_login() -> None:
    """RFC 8628: who has the device code gets the token, so it stays here as well."""
    answer = {
        "device_code": "canary-device-code-0123",
        "user_code": "ABCD-EFGH",
        "verification_uri": "https://x/device",
    }
    found = caught(json.dumps(answer))
    assert [one.value for one in found.captured] == [b"canary-device-code-0123"]
    assert found.captured[0].uses == ("POST https://auth.example.com:443/* form:device_code",)
    pending = '{"error": "authorization_pending", "error_description": "wait"}'
    assert caught(pending, status=400).body == pending.encode()


def test_an_id_token_keeps_its_claims_and_loses_its_signature() -> None:
    token = "eyJhbGciOiJub25lIn0.eyJlbWFpbCI6ImFAYiJ9.canary_signature_0123456789"
    found = caught(json.dumps({"id_token": token}))
    stub = found.captured[0].stub.decode()
    assert stub.rpartition(".")[0] == token.rpartition(".")[0]
    assert stub.rpartition(".")[2] != token.rpartition(".")[2]


@pytest.mark.parametrize("value", ['""', '"short"', "null", "42", "{}", "[]"])
def test_what_is_too_short_or_no_text_is_no_token(value: str) -> None:
    body = f'{{"access_token": {value}}}'
    assert caught(body).body == body.encode()


# -- rules ------------------------------------------------------------------------------------------------------------

RULE = (
    "POST https://auth.example.com/oauth/token json:/a/token for='* https://api.example.com/* header:x-api-key' "
    "env=API_TOKEN json:/keys/*/secret set-cookie:session header:X-Token"
)


def test_a_rule_names_places_uses_and_variables() -> None:
    body = json.dumps(
        {"a": {"token": ACCESS, "other": "plain"}, "keys": [{"secret": REFRESH}, {"secret": REFRESH + "2"}]}
    )
    headers: Headers = (
        *JSON,
        ("set-cookie", "theme=dark; Path=/"),
        ("set-cookie", "session=canary-cookie-0123456789; Path=/; HttpOnly"),
        ("x-token", "Bearer canary-header-0123456789"),
    )
    found = caught(body, RULE, headers=headers)
    by_name = {one.value.decode(): one for one in found.captured}
    assert set(by_name) == {ACCESS, REFRESH, REFRESH + "2", "canary-cookie-0123456789", "canary-header-0123456789"}
    assert by_name[ACCESS].uses == ("* https://api.example.com/* header:x-api-key",)
    assert by_name[ACCESS].env == "API_TOKEN"
    cookie = by_name["canary-cookie-0123456789"]
    assert cookie.uses == ("* https://auth.example.com:443/* cookie:session",)
    assert ("set-cookie", f"session={cookie.stub.decode()}; Path=/; HttpOnly") in found.head.headers
    assert ("set-cookie", "theme=dark; Path=/") in found.head.headers
    header = by_name["canary-header-0123456789"]
    assert ("x-token", f"Bearer {header.stub.decode()}") in found.head.headers


def test_lfs_actions_by_wildcards() -> None:
    rule = "POST https://auth.example.com/o/r.git/info/lfs/objects/batch json:/objects/*/actions/*/header/Authorization"
    actions = {"upload": {"href": "https://auth.example.com/x", "header": {"Authorization": ACCESS}}}
    found = caught(json.dumps({"objects": [{"oid": "1", "actions": actions}]}), rule)
    assert [one.value.decode() for one in found.captured] == [ACCESS]


@pytest.mark.parametrize(
    "text",
    [
        "",
        "POST",
        "POST https://auth.example.com/token",
        "POST https://auth.example.com/token for='* https://a.example.com/* header:x'",
        "POST https://auth.example.com/token json:access_token",
        "POST https://auth.example.com/token body:/x",
        "POST https://auth.example.com/token json:/a for='nonsense'",
        "POST https://auth.example.com/token json:/a for='* https://a.example.com/* header:x",
        "POST https://auth.example.com/token json:/a env=1X",
        "POST https://auth.example.com/token json:/a env=A env=B",
        "POST https://auth.example.com/token json:/a for='* https://a.example.com/* header:x'json:/b",
    ],
)
def test_rules_that_mean_nothing_are_refused(text: str) -> None:
    with pytest.raises(Refusal) as refused:
        parse_capture_rule(text)
    assert refused.value.code == "bad_rule"


# -- failing closed ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "body",
    [
        f'{{"access_token": "{ACCESS}"',
        f'{{"access_token": "{ACCESS}"}} trailing',
        f'{{"access_token": "{ACCESS}" "x": 1}}',
        f'{{"access_token": "{ACCESS}",}}',
        f"<html>access_token={ACCESS}</html>",
        '{"a":' * 100 + f'"access_token: {ACCESS}"' + "}" * 100,
        f'{{"access_token": "{ACCESS}"}}'.encode() + b"\xff",
        f'{{"access_token": "{ACCESS}"}}'.encode("utf-16"),
        b'{"refresh_token": "' + b"x" * MAX_BODY + b'"}',
        '{"access_token": "half \\ud800 character"}',
    ],
)
def test_answers_that_cannot_be_read_and_may_hold_a_token_are_refused(body: str | bytes) -> None:
    if isinstance(body, bytes) and b"\0" in body:
        body = body.replace(b"\0", b"") + b"\xff\xfe"
    with pytest.raises(Refusal) as refused:
        caught(body)
    assert refused.value.code == "capture_failed"
    assert ACCESS not in str(refused.value)


def test_an_encoded_answer_is_refused() -> None:
    with pytest.raises(Refusal):
        caught("{}", headers=(("content-encoding", "gzip"),))


def test_where_a_rule_expects_json_anything_else_is_refused_unless_it_is_an_error() -> None:
    rule = "POST https://auth.example.com/oauth/token json:/token"
    with pytest.raises(Refusal):
        caught("<html>welcome</html>", rule)
    assert caught("<html>no such page</html>", rule, status=404).captured == ()
    assert caught("", rule, status=204).captured == ()


def test_other_text_passes() -> None:
    assert caught("<html>sign in</html>").body == b"<html>sign in</html>"
    assert caught(b"\x89PNG\r\n\xff").body == b"\x89PNG\r\n\xff"


@pytest.mark.parametrize(
    ("method", "target", "headers", "body", "expected"),
    [
        ("POST", "/token", FORM, b"grant_type=refresh_token&refresh_token=x", True),
        ("POST", "/login/oauth/access_token?client_id=1&code=2", (), b"", True),
        ("POST", "/token", JSON, b'{"grant_type": "authorization_code"}', True),
        ("POST", "/token", JSON, b'{"client_id": "x", "code": "y"}', True),
        ("POST", "/device/code", FORM, b"client_id=x&scope=repo", True),
        ("POST", "/token", (), b"%67rant_type=x", True),
        ("POST", "/items", JSON, b'{"name": "x"}', False),
        ("POST", "/items", JSON, b"[1]", False),
        ("POST", "/items", JSON, b"{", False),
        ("GET", "/token?grant_type=x", (), b"", False),
    ],
)
def test_what_looks_like_a_token_request(
    method: str, target: str, headers: Headers, body: bytes, expected: bool
) -> None:
    assert is_token_request(RequestHead(method, target, headers), body) is expected


@given(
    st.sampled_from(["grant_type", "client_id"]),
    st.lists(st.sampled_from(["plain", "percent", "json"]), min_size=10, max_size=10),
    st.integers(0, 300),
    st.integers(1, 90),
)
def test_a_name_is_seen_however_it_is_spelled_and_cut(name: str, spellings: list[str], padding: int, cut: int) -> None:
    ways = {"plain": "{}", "percent": "%{:02x}", "json": "\\u{:04X}"}
    spelled = "".join(
        ways[how].format(letter if how == "plain" else ord(letter))
        for how, letter in zip(spellings, name, strict=False)
    )
    body = ("x" * padding + spelled + "=y").encode()
    watch = TokenWatch(RequestHead("POST", "/token", FORM))
    for start in range(0, len(body), cut):
        watch.feed(body[start : start + cut])
    assert watch.seen


def test_other_bodies_and_methods_are_not_seen() -> None:
    for method, body in (("POST", b"grant=type&client=id"), ("PUT", b"grant_type=x"), ("POST", b"%67rant%")):
        watch = TokenWatch(RequestHead(method, "/token", FORM))
        watch.feed(body)
        assert not watch.seen


@pytest.mark.parametrize(
    ("kind", "expected"),
    [("text/event-stream; charset=utf-8", True), ("application/json", False), ("text/event-streams", False)],
)
def test_a_stream_of_events_is_not_held(kind: str, expected: bool) -> None:
    assert streams(ResponseHead(200, "OK", (("content-type", kind),))) is expected


# -- JSON with positions ----------------------------------------------------------------------------------------------

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=20,
)


class Pairs:
    """An object that keeps the members that it says twice."""

    def __init__(self, pairs: list[tuple[str, object]]) -> None:
        self.pairs = pairs


def texts(value: object, path: tuple[str, ...] = ()) -> list[tuple[tuple[str, ...], str]]:
    if isinstance(value, str):
        return [(path, value)]
    pairs: list[tuple[str, object]] = []
    if isinstance(value, dict):
        pairs = list(value.items())
    if isinstance(value, Pairs):
        pairs = value.pairs
    if isinstance(value, list):
        pairs = [(str(index), item) for index, item in enumerate(value)]
    return [found for name, item in pairs for found in texts(item, (*path, name))]


@given(VALUES, st.sampled_from([None, 0, 2]), st.booleans())
def test_every_string_is_found_where_it_stands(value: object, indent: int | None, ascii_only: bool) -> None:
    text = json.dumps(value, indent=indent, ensure_ascii=ascii_only)
    found = strings(text)
    assert [(path, string) for path, _, _, string in found] == texts(value)
    assert all(json.loads(text[start:end]) == string for _, start, end, string in found)


@given(st.text(alphabet='{}[]:,"\\ a1tfn-.e', max_size=30))
def test_what_json_refuses_is_refused_where_a_token_could_hide(text: str) -> None:
    """Ours may read numbers more leniently; it never reads a string that JSON would place elsewhere."""
    try:
        expected = json.loads(text, object_pairs_hook=Pairs)
    except ValueError:
        return
    assert [(path, string) for path, _, _, string in strings(text)] == texts(expected)
