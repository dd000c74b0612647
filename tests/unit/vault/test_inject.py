"""The secret leaves once, in its slot, and nothing else that is a credential leaves with it."""

import base64
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from penstock.vault import carriers
from penstock.vault.inject import Rebuilt, rebuild
from penstock.vault.policy import Permit
from penstock.vault.rules import parse_binding, parse_rule
from penstock.vault.values import Destination, Refusal, RequestHead

API = Destination("https", "api.example.com", 443)
STUB, SECRET = b"sk-fake-STUB-0123456789", b"sk-fake-REAL-9876543210"
FORM = ("content-type", "application/x-www-form-urlencoded")
BASIC = "Basic " + base64.b64encode(b"git:" + STUB).decode()
BEARER = f"Bearer {STUB.decode()}"


def permit(slot: str) -> Permit:
    binding = parse_binding(f"* https://api.example.com/* {slot}", "KEY")
    return Permit(binding.rule, binding)


UNBOUND = Permit(parse_rule("* https://api.example.com/*"))


def send(
    slot: str, *headers: tuple[str, str], target: str = "/", body: bytes | None = None, websocket: bool = False
) -> Rebuilt:
    head = RequestHead("POST", target, headers)
    return rebuild(API, head, permit(slot), STUB, SECRET, body, websocket=websocket)


def pass_on(*headers: tuple[str, str], target: str = "/", scrubbed: bool = True) -> Rebuilt:
    return rebuild(API, RequestHead("GET", target, headers), UNBOUND, scrubbed=scrubbed)


def bytes_of(rebuilt: Rebuilt) -> bytes:
    lines = [
        f"{rebuilt.head.method} {rebuilt.head.target}",
        *(f"{name}: {value}" for name, value in rebuilt.head.headers),
    ]
    return "\r\n".join(lines).encode("latin-1") + b"\r\n\r\n" + (rebuilt.body or b"")


def test_the_stub_becomes_the_secret_in_its_slot_and_nowhere_else() -> None:
    sent = STUB.decode()
    rebuilt = send(
        "header:authorization",
        ("authorization", BEARER),
        ("user-agent", sent),
        ("referer", f"https://x/?{sent}"),
        ("x-title", sent),
        target=f"/{sent}?q={sent}",
    )
    assert rebuilt.head.values("authorization") == [f"Bearer {SECRET.decode()}"]
    assert bytes_of(rebuilt).count(SECRET) == 1
    assert bytes_of(rebuilt).count(STUB) == 5
    assert rebuilt.stripped == ()


def test_basic_is_decoded_and_encoded_again() -> None:
    value = send("basic:password", ("authorization", BASIC)).head.values("authorization")[0]
    assert base64.b64decode(value.partition(" ")[2]) == b"git:" + SECRET


def test_gits_first_request_is_answered_by_a_challenge() -> None:
    with pytest.raises(Refusal) as caught:
        send("basic:password")
    assert (caught.value.code, caught.value.status) == ("stub_missing", 401)
    assert caught.value.challenge == 'Basic realm="api.example.com"'


@pytest.mark.parametrize(
    "slot", ["header:authorization", "header:x-api-key", "query:key", "cookie:session", "sigv4:s3/*"]
)
def test_without_the_stub_nothing_leaves(slot: str) -> None:
    with pytest.raises(Refusal) as caught:
        send(slot, ("x-other", STUB.decode()), target=f"/?other={STUB.decode()}")
    assert (caught.value.code, caught.value.status, caught.value.challenge) == ("stub_missing", 403, None)


@pytest.mark.parametrize(
    "value",
    [
        "Bearer sk-fake-attackers-own",
        f"Bearer {STUB.decode()}x",
        f"Bearer {STUB.decode()[:-1]}",
        f"Bearer {STUB.decode().lower()}",
    ],
)
def test_the_attackers_own_credential_is_refused(value: str) -> None:
    with pytest.raises(Refusal) as caught:
        send("header:authorization", ("authorization", value))
    assert caught.value.code == "stub_mismatch"
    assert "attackers" not in str(caught.value)


def test_without_a_stub_of_this_session_nothing_leaves() -> None:
    head = RequestHead("GET", "/", (("authorization", BEARER),))
    with pytest.raises(Refusal):
        rebuild(API, head, permit("header:authorization"), None, SECRET)


@pytest.mark.parametrize(
    "name", [*sorted(carriers.CREDENTIAL_HEADERS - {"authorization"}), "x_api_key", "x-vendor-token"]
)
def test_every_other_carrier_is_taken_out_and_named(name: str) -> None:
    rebuilt = send("header:authorization", ("authorization", BEARER), (name, "attackers-own"))
    assert b"attackers-own" not in bytes_of(rebuilt)
    assert rebuilt.stripped == (name,)


@pytest.mark.parametrize("name", sorted(carriers.CREDENTIAL_PARAMETERS))
@pytest.mark.parametrize("spell", [str, str.upper, lambda name: f"%{ord(name[0]):02x}{name[1:]}"])
def test_every_parameter_that_carries_is_taken_out_and_named(name: str, spell: object) -> None:
    assert callable(spell)
    rebuilt = send(
        "header:authorization", ("authorization", BEARER), target=f"/p?a=1&{spell(name)}=attackers-own&b=%2f"
    )
    assert rebuilt.head.target == "/p?a=1&b=%2f"
    assert rebuilt.stripped == (f"?{name}",)


def test_authorization_is_a_foreign_carrier_where_the_slot_is_another() -> None:
    rebuilt = send("header:x-api-key", ("x-api-key", STUB.decode()), ("authorization", "Bearer attackers-own"))
    assert rebuilt.head.values("authorization") == []
    rebuilt = send(
        "query:key", ("authorization", "Bearer attackers-own"), target=f"/?key={STUB.decode()}&KEY=attackers-own"
    )
    assert rebuilt.head.target == f"/?key={SECRET.decode()}"
    assert rebuilt.stripped == ("?key", "authorization")


def test_of_cookies_the_slots_own_remains() -> None:
    rebuilt = send("cookie:session", ("cookie", f"other=theirs; session={STUB.decode()}"), ("cookie", "x=theirs"))
    assert rebuilt.head.values("cookie") == [f"session={SECRET.decode()}"]
    assert rebuilt.stripped == ("cookie",)


@pytest.mark.parametrize("name", [*sorted(carriers.FORM_CREDENTIALS), "_method", "to%6ben", "TOKEN"])
def test_a_form_with_a_credential_of_its_own_is_refused(name: str) -> None:
    with pytest.raises(Refusal) as caught:
        send("header:authorization", ("authorization", BEARER), FORM, body=f"text=hi&{name}=attackers-own".encode())
    assert caught.value.code == "foreign_credential"


def test_a_form_may_hold_the_slot() -> None:
    rebuilt = send("form:token", FORM, ("content-length", "99"), body=b"text=hi&token=" + STUB)
    assert rebuilt.body == b"text=hi&token=" + SECRET
    assert rebuilt.head.values("content-length") == [str(len(rebuilt.body or b""))]


def test_the_other_half_of_basic_is_no_second_credential() -> None:
    value = "Basic " + base64.b64encode(b"ghp_attackersOwn0000000:" + STUB).decode()
    with pytest.raises(Refusal) as caught:
        send("basic:password", ("authorization", value))
    assert caught.value.code == "foreign_credential"


@pytest.mark.parametrize(
    "name", [*sorted(carriers.FORWARDING | carriers.METHOD_OVERRIDE), "x-forwarded-proto", "proxy-x"]
)
def test_what_makes_it_another_request_leaves_on_no_host(name: str) -> None:
    for rebuilt in (send("header:authorization", ("authorization", BEARER), (name, "x")), pass_on((name, "x"))):
        assert rebuilt.head.values(name) == []
        assert rebuilt.stripped == (name,)


@pytest.mark.parametrize("name", ["_method", "_METHOD", "%5fmethod", "x-http-method-override", "$httpMethod"])
def test_method_overrides_in_a_query_leave_on_no_host(name: str) -> None:
    assert pass_on(target=f"/?{name}=DELETE&a=1").head.target == "/?a=1"
    assert send("header:x", ("x", STUB.decode()), target=f"/?{name}=DELETE").head.target == "/"


@pytest.mark.parametrize("name", sorted(carriers.HOP_BY_HOP))
def test_hop_by_hop_headers_leave_on_no_host(name: str) -> None:
    assert pass_on((name, "x")).head.values(name) == []


def test_connection_cannot_take_our_headers_out() -> None:
    nominate = ("connection", "close, Authorization, host, content-length, x-custom, x-api-key")
    for slot, header in (
        ("header:authorization", ("authorization", BEARER)),
        ("header:x-api-key", ("x-api-key", STUB.decode())),
    ):
        rebuilt = send(slot, header, nominate, ("x-custom", "1"), ("content-length", "3"))
        assert len(rebuilt.head.values(header[0])) == 1
        assert rebuilt.head.values("content-length") == ["3"]
        assert rebuilt.head.values("x-custom") == []
        assert "x-custom" in rebuilt.stripped


def test_the_host_is_the_destination() -> None:
    assert pass_on(("host", "evil.example")).head.headers[0] == ("host", "api.example.com")
    other = Destination("https", "2001:db8::1", 8443)
    assert rebuild(other, RequestHead("GET", "/", ()), UNBOUND).head.values("host") == ["[2001:db8::1]:8443"]


def test_answers_are_asked_for_whole_and_uncompressed() -> None:
    wishes = [("accept-encoding", "gzip, br"), ("range", "bytes=0-9"), ("if-range", '"x"')]
    rebuilt = pass_on(*wishes)
    assert rebuilt.head.values("accept-encoding") == ["identity"]
    assert rebuilt.stripped == ("range", "if-range")
    assert pass_on(*wishes, scrubbed=False).head.headers == (("host", "api.example.com"), *wishes)


def test_an_unbound_host_gets_the_clients_own_credentials() -> None:
    headers = (("authorization", "Bearer theirs"), ("cookie", "a=b"), ("x-api-key", "theirs"))
    rebuilt = pass_on(*headers, target="/?key=theirs&a=%zz;")
    assert rebuilt.head.headers == (("host", "api.example.com"), *headers, ("accept-encoding", "identity"))
    assert rebuilt.head.target == "/?key=theirs&a=%zz;"


def test_an_upgrade_is_kept_only_where_it_is_wanted() -> None:
    headers = [
        ("authorization", BEARER), ("connection", "keep-alive, Upgrade"), ("upgrade", "websocket"),
        ("sec-websocket-key", "x"), ("sec-websocket-extensions", "permessage-deflate"),
        ("sec-websocket-protocol", "realtime, openai-insecure-api-key.theirs"),
    ]  # fmt: skip
    plain = send("header:authorization", *headers).head
    assert plain.values("upgrade") == plain.values("connection") == []
    upgraded = send("header:authorization", *headers, websocket=True).head
    assert upgraded.values("upgrade") == ["websocket"]
    assert upgraded.values("connection") == ["upgrade"]
    assert upgraded.values("sec-websocket-extensions") == []
    assert upgraded.values("sec-websocket-protocol") == ["realtime"]


def test_a_body_that_is_there_is_framed_anew() -> None:
    chunked = ("transfer-encoding", "chunked")
    assert send("header:x", ("x", STUB.decode()), chunked).head.values("transfer-encoding") == ["chunked"]
    whole = send("header:x", ("x", STUB.decode()), chunked, body=b"abc").head
    assert (whole.values("transfer-encoding"), whole.values("content-length")) == ([], ["3"])
    assert send("header:x", ("x", STUB.decode()), body=b"").head.values("content-length") == []


def test_a_signing_client_keeps_its_signature_for_the_credential() -> None:
    scope = f"{STUB.decode()}/20261123/us-east-1/s3/aws4_request"
    signed = f"AWS4-HMAC-SHA256 Credential={scope}, SignedHeaders=host, Signature=00"
    head = RequestHead("GET", "/", (("authorization", signed), ("x-amz-security-token", "t"), ("cookie", "theirs=1")))
    rebuilt = rebuild(API, head, permit("sigv4:s3/*"), STUB)
    assert rebuilt.head.values("authorization") == [signed]
    assert rebuilt.head.values("x-amz-security-token") == ["t"]
    assert rebuilt.stripped == ("cookie",)


@pytest.mark.parametrize("value", [b"a\r\nx-evil: 1", b"a\nb", b"a\0b", b""])
def test_a_value_that_breaks_out_is_refused_even_now(value: bytes) -> None:
    with pytest.raises(Refusal) as caught:
        rebuild(API, RequestHead("GET", "/", (("x", STUB.decode()),)), permit("header:x"), STUB, value)
    assert caught.value.code == "bad_secret"


# -- whatever a client sends ------------------------------------------------------------------------------------------

NAMES = st.sampled_from(
    ["x-api-key", "X-Custom".lower(), "cookie", "authorization", "connection", "user-agent", "proxy-authorization",
     "x_api_key", "x-forwarded-for", "range", "te", "x-method-override", "sec-websocket-protocol", "referer", "api-key"]
)  # fmt: skip
VALUES = st.sampled_from(
    [STUB.decode(), BEARER, BASIC, "Bearer attackers-own", "attackers-own", "a=1; session=attackers-own",
     "close, authorization", f"session={STUB.decode()}", quote(STUB.decode()), "x", ""]
)  # fmt: skip
QUERIES = st.lists(
    st.tuples(st.sampled_from(["key", "KEY", "q", "k%65y", "token", "_method"]), VALUES.map(quote)), max_size=3
)
SLOTS = st.sampled_from(
    ["header:authorization", "header:x-api-key", "basic:password", "basic:user", "query:key", "cookie:session"]
)


@given(SLOTS, st.lists(st.tuples(NAMES, VALUES), max_size=5), QUERIES)
def test_the_secret_stands_once_and_in_its_slot_alone(
    slot: str, headers: list[tuple[str, str]], query: list[tuple[str, str]]
) -> None:
    target = "/p?" + "&".join(f"{name}={value}" for name, value in query)
    try:
        rebuilt = send(slot, *headers, target=target)
    except Refusal as refusal:
        assert "attackers-own" not in str(refusal) and STUB.decode() not in str(refusal)  # noqa: PT017
        return
    sent = bytes_of(rebuilt)
    encoded = [base64.b64encode(b"git:" + SECRET), base64.b64encode(SECRET + b":")]
    assert sent.count(SECRET) + sum(map(sent.count, encoded)) == 1
    kind, _, name = slot.partition(":")
    place = {"header": name, "cookie": "cookie", "basic": "authorization"}.get(kind)
    if place:
        assert len(rebuilt.head.values(place)) == 1
    for carrier in {"authorization", "cookie", "x-api-key", "api-key", "x_api_key"} - {place}:
        assert rebuilt.head.values(carrier) == []
    assert kind == "query" or "key" not in rebuilt.head.target.lower().replace("keys", "")
