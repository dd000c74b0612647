"""Stubs look real, say nothing, and are found wherever they should not be."""

import base64
import json
import random
import re
import secrets

import pytest
from hypothesis import given
from hypothesis import strategies as st

from penstock.vault.rules import parse_binding
from penstock.vault.stubs import ENOUGH_BITS, Misuse, StubTable, is_jwt, mint, stub_bits
from penstock.vault.values import Refusal, RequestHead


def fake(
    prefix: str, length: int, alphabet: str = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
) -> bytes:
    """A secret of a service's shape, made here so that no file holds one."""
    return (prefix + "".join(secrets.choice(alphabet) for _ in range(length))).encode()


def part(value: object) -> bytes:
    return base64.urlsafe_b64encode(json.dumps(value).encode()).rstrip(b"=")


JWT = b".".join([part({"alg": "RS256"}), part({"sub": "1", "exp": 9}), base64.urlsafe_b64encode(bytes(255))[:340]])
HEX = "0123456789abcdef"

SHAPES = [
    (fake("sk-ant-api03-", 95), rb"sk-ant-api03-[A-Za-z0-9]{95}"),
    (fake("sk-proj-", 48), rb"sk-proj-[A-Za-z0-9]{48}"),
    (fake("ghp_", 36), rb"ghp_[A-Za-z0-9]{36}"),
    (fake("github_pat_", 22) + b"_" + fake("", 59), rb"github_pat_[A-Za-z0-9]{22}_[A-Za-z0-9]{59}"),
    (fake("glpat-", 40), rb"glpat-[A-Za-z0-9]{40}"),
    (b"xoxb-123456789012-1234567890123-" + fake("", 24), rb"xoxb-[0-9]{12}-[0-9]{13}-[A-Za-z0-9]{24}"),
    (fake("AIza", 35), rb"AIza[A-Za-z0-9]{35}"),
    (fake("npm_", 36), rb"npm_[A-Za-z0-9]{36}"),
    (fake("pypi-AgEIcHlwaS5vcmc", 60), rb"pypi-AgEIcHlwaS5vcmc[A-Za-z0-9]{60}"),
    (fake("hf_", 34), rb"hf_[A-Za-z0-9]{34}"),
    (fake("", 64, HEX), rb"[0-9a-f]{64}"),
    (fake("", 40, HEX.upper()), rb"[0-9A-F]{40}"),
    (fake("", 43) + b"=", rb"[A-Za-z0-9]{43}="),
]


@pytest.mark.parametrize(("secret", "shape"), SHAPES, ids=[shape.decode() for _, shape in SHAPES])
def test_a_stub_has_the_shape_of_its_secret(secret: bytes, shape: bytes) -> None:
    assert re.fullmatch(shape, secret), "the test's own secret"
    stub = mint(secret, secrets.token_bytes)
    assert re.fullmatch(shape, stub)
    assert stub != secret
    assert stub != mint(secret, secrets.token_bytes), "random, not derived"
    assert stub_bits(secret) >= ENOUGH_BITS


def test_an_access_key_id_is_short_and_stays_one() -> None:
    stub = mint(fake("AKIA", 16, "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567"), secrets.token_bytes)
    assert re.fullmatch(rb"AKIA[A-Z2-7]{16}", stub)


def test_a_uuid_stays_a_uuid_of_its_version() -> None:
    for _ in range(20):
        stub = mint(b"123e4567-e89b-42d3-a456-426614174000", secrets.token_bytes)
        assert re.fullmatch(rb"[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-a[0-9a-f]{3}-[0-9a-f]{12}", stub)


def test_of_a_jwt_the_claims_stay_and_the_signature_is_another() -> None:
    stub = mint(JWT, secrets.token_bytes)
    assert is_jwt(JWT) and is_jwt(stub)
    assert stub.rpartition(b".")[0] == JWT.rpartition(b".")[0]
    assert stub.rpartition(b".")[2] != JWT.rpartition(b".")[2]
    assert len(stub) == len(JWT)


def test_a_private_key_keeps_its_armour() -> None:
    key = b"-----BEGIN FAKE KEY-----\n" + fake("", 64) + b"\n-----END FAKE KEY-----\n"
    stub = mint(key, secrets.token_bytes)
    assert re.fullmatch(rb"-----BEGIN FAKE KEY-----\n[A-Za-z0-9]{64}\n-----END FAKE KEY-----\n", stub)


def test_a_stub_does_not_tell_which_characters_of_a_password_are_capitals() -> None:
    """Each character comes from all kinds that the secret has, wherever it stands."""
    kinds = {bytes([byte]).isupper() for _ in range(200) for byte in mint(b"Hunterxyz2", secrets.token_bytes)[1:2]}
    assert kinds == {True, False}


@pytest.mark.parametrize("secret", [b"", b"a", b"1234567", b"--------------", b"ghp_", b"!!!!!!!!a", b"sk-abcd"])
def test_what_no_stub_can_stand_for_is_refused(secret: bytes) -> None:
    with pytest.raises(Refusal) as caught:
        mint(secret, secrets.token_bytes)
    assert caught.value.code == "secret_too_short"
    assert not secret or secret.decode() not in str(caught.value).replace("a", "")


@given(
    st.binary(max_size=80) | st.from_regex(r"[A-Za-z0-9_.~+/=-]{8,60}", fullmatch=True).map(str.encode), st.integers()
)
def test_any_stub_is_as_long_and_holds_no_part_of_its_secret(secret: bytes, seed: int) -> None:
    try:
        stub = mint(secret, random.Random(seed).randbytes)
    except Refusal:
        return
    assert len(stub) == len(secret)
    assert stub != secret
    assert len(base64.b64encode(stub)) == len(base64.b64encode(secret))
    assert [byte for byte in stub if not chr(byte).isalnum() or byte > 127] == [
        byte for byte in secret if not chr(byte).isalnum() or byte > 127
    ], "marks stay where they are"


def test_characters_are_drawn_without_favour() -> None:
    drawn = b"".join(mint(b"0123456789" * 4, random.Random(seed).randbytes) for seed in range(500))
    counts = [drawn.count(digit) for digit in b"0123456789"]
    assert max(counts) < 1.1 * min(counts)


# -- finding ----------------------------------------------------------------------------------------------------------

STUB, OTHER = b"sk-fake-STUB/01234+56789", b"ghp_fakeOTHER0123456789"
TABLE = StubTable({STUB: "KEY", OTHER: "GIT"}, foreign={b"xoxb-fake-of-another-session": "another session"})
TEXT = STUB.decode()


def find(
    *headers: tuple[str, str], target: str = "/", body: bytes | None = None, slot: str | None = None
) -> list[tuple[str, str]]:
    binding = parse_binding(f"* https://api.example.com/* {slot}", "KEY") if slot else None
    found = TABLE.find(RequestHead("POST", target, headers), body, binding=binding)
    assert all(isinstance(one, Misuse) for one in found)
    return [(one.secret, one.where) for one in found]


def percent(text: bytes) -> str:
    return "".join(f"%{byte:02X}" for byte in text)


ELSEWHERE = [
    TEXT, f"Bearer {TEXT}", f"x{TEXT}y", TEXT.replace("/", "\\/"),
    percent(STUB), percent(percent(STUB).encode()), STUB.hex(), STUB.hex().upper(),
    "Basic " + base64.b64encode(b"u:" + STUB).decode(), "basic " + base64.b64encode(STUB + b":").decode(),
    *(base64.b64encode(b"a" * offset + STUB + b"bc").decode() for offset in range(3)),
    *(base64.urlsafe_b64encode(b"a" * offset + STUB + b"bc").decode().rstrip("=") for offset in range(3)),
]  # fmt: skip


@pytest.mark.parametrize("value", ELSEWHERE)
def test_a_stub_is_found_in_any_header_and_form(value: str) -> None:
    assert ("KEY", "header x-anything") in find(("x-anything", value)) or ("KEY", "basic") in find(
        ("x-anything", value)
    )
    assert ("KEY", "header x-anything") in find(
        ("authorization", f"Bearer {TEXT}"), ("x-anything", value), slot="header:authorization"
    ) or value.lower().startswith("basic")


@pytest.mark.parametrize("value", [value for value in ELSEWHERE if " " not in value])
def test_a_stub_is_found_in_targets_and_bodies(value: str) -> None:
    assert ("KEY", "target") in find(target=f"/p/{value}?q=1")
    assert ("KEY", "target") in find(target=f"/p?q={value}")
    assert ("KEY", "body") in find(body=b'{"text":"' + value.encode() + b'"}')


OWN: list[tuple[str, list[tuple[str, str]], str, bytes | None]] = [
    ("header:authorization", [("authorization", f"Bearer {TEXT}")], "/", None),
    ("basic:password", [("authorization", "Basic " + base64.b64encode(b"u:" + STUB).decode())], "/", None),
    ("query:key", [], f"/?key={percent(STUB)}", None),
    ("cookie:s", [("cookie", f"a=b; s={TEXT}")], "/", None),
    ("json:/token", [("content-type", "application/json")], "/", json.dumps({"token": TEXT}).encode()),
]


@pytest.mark.parametrize(("slot", "headers", "target", "body"), OWN)
def test_in_its_own_slot_a_stub_is_no_misuse(
    slot: str, headers: list[tuple[str, str]], target: str, body: bytes | None
) -> None:
    assert find(*headers, target=target, body=body, slot=slot) == []
    assert find(*headers, target=target, body=body), "but without the binding it is"
    assert find(*headers, ("x-second", TEXT), target=target, body=body, slot=slot) == [("KEY", "header x-second")]


def test_the_key_id_of_a_signature_is_in_its_slot() -> None:
    table = StubTable({b"AKIDFAKE01234567": "AWS"})
    binding = parse_binding("* https://*.s3.us-east-1.amazonaws.com/* sigv4:s3/*", "AWS")
    signed = ("authorization", "AWS4-HMAC-SHA256 Credential=AKIDFAKE01234567/2/3/s3/aws4_request, SignedHeaders=host")
    assert table.find(RequestHead("GET", "/", (signed,)), binding=binding) == []
    assert table.find(RequestHead("GET", "/AKIDFAKE01234567", (signed,)), binding=binding) == [Misuse("AWS", "target")]


def test_anothers_stub_in_a_slot_is_misuse() -> None:
    value = ("authorization", f"Bearer {OTHER.decode()}")
    assert find(value, slot="header:authorization") == [("GIT", "header authorization")]
    assert find(("x", "xoxb-fake-of-another-session")) == [("another session", "header x")]


def test_ordinary_requests_raise_no_alarm() -> None:
    assert (
        find(("authorization", "Bearer sk-fake-theirs"), ("user-agent", "curl"), target="/a%20b?c=%ff", body=b"{}")
        == []
    )
    assert StubTable({}).find(RequestHead("GET", "/", ())) == []


def test_a_table_knows_its_names_and_shows_none_of_its_stubs() -> None:
    assert TABLE.name_of(STUB) == "KEY"
    assert TABLE.name_of(b"xoxb-fake-of-another-session") is None
    assert TABLE.names_in(b"..." + OTHER + STUB) == ["KEY", "GIT"] or set(TABLE.names_in(OTHER + STUB)) == {
        "KEY",
        "GIT",
    }
    assert "fake" not in repr(TABLE)
    assert TABLE.longest >= 2 * len(STUB)


def test_a_text_for_logs_has_names_instead_of_stubs() -> None:
    shown = TABLE.hidden(f"GET /v1/{STUB.decode()}/{OTHER.decode()}?a=b")
    assert shown == "GET /v1/<stub of KEY>/<stub of GIT>?a=b"


@given(
    st.lists(st.tuples(st.sampled_from(["a", "authorization", "cookie"]), st.text("Basic %4a=;é\n", max_size=20))),
    st.text(max_size=20),
)
def test_looking_never_fails(headers: list[tuple[str, str]], target: str) -> None:
    for slot in ("header:authorization", "basic:user", "query:key", "cookie:s", "json:/a", "sigv4:s3/*", None):
        find(*headers, target=target, body=b"\xff%zz", slot=slot)
