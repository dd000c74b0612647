"""What may be stored: known fields, usable keys, and errors that name the field and never its value."""

import asyncio
import json
import os
import subprocess
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
)

from penstock.vault import stubs
from penstock.vault.credentials import registry
from penstock.vault.credentials.contract import Credential, Kind, SigningCredential
from penstock.vault.credentials.registry import KINDS, check, registered
from penstock.vault.values import Refusal
from tests.support.needs import REPOSITORY

CANARY = "canary-value-0123456789"
RSA_KEY = rsa.generate_private_key(public_exponent=65537, key_size=2048)
PEM = RSA_KEY.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
LOCKED = RSA_KEY.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(b"fake")).decode()
WEAK = (
    rsa.generate_private_key(public_exponent=65537, key_size=1024)
    .private_bytes(Encoding.PEM, PrivateFormat.TraditionalOpenSSL, NoEncryption())
    .decode()
)
P384 = ec.generate_private_key(ec.SECP384R1()).private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()

OAUTH = {"client_id": "c", "refresh_token": CANARY, "token_url": "https://a.example.com/t"}
CLIENT = {"client_id": "c", "client_secret": CANARY, "token_url": "https://a.example.com/t"}
APP = {"app_id": 1, "private_key": PEM, "installation_id": 2}
JWT = {"private_key": PEM, "issuer": "me", "audience": "api"}
AWS = {"access_key_id": "AKIA" + "FAKEFAKEFAKEFAKE", "secret_access_key": CANARY}
GOOD: dict[str, Any] = {
    "static": CANARY,
    "ssh-password": CANARY,
    "ssh-key": PEM,
    "oauth-refresh": OAUTH,
    "client-credentials": CLIENT,
    "github-app": APP,
    "jwt-assertion": JWT,
    "aws-sigv4": AWS,
}


def stored(value: object) -> bytes:
    return value.encode() if isinstance(value, str) else json.dumps(value).encode()


def refused(kind: str, value: object, **options: str) -> str:
    with pytest.raises(Refusal) as error:
        check(kind, "name", value if isinstance(value, bytes) else stored(value), options)
    assert error.value.code in ("bad_secret", "bad_kind")
    assert CANARY not in str(error.value) + repr(error.value.__context__)
    return str(error.value)


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_can_be_made_and_shows_nothing(kind: str) -> None:
    check(kind, "name", stored(GOOD[kind]), {}, KINDS[kind].slots)
    made = registry.make(kind, "name", stored(GOOD[kind]), tools=registry._NO_TOOLS)
    assert isinstance(made, Credential)
    assert made.kind == kind
    assert isinstance(made, SigningCredential) == (kind == "aws-sigv4")
    assert all(len(one) >= 8 for one in made.live())
    assert all(made.shapes().values()) or kind == "ssh-key"
    assert CANARY not in repr(made)


def test_plain_kinds_answer_what_was_stored() -> None:
    for kind in ("static", "ssh-password", "ssh-key"):
        made = registry.make(kind, "name", stored(GOOD[kind]), version=3, tools=registry._NO_TOOLS)
        found = asyncio.run(made.value())
        assert (found.value, found.version) == (stored(GOOD[kind]), 3)
        assert not asyncio.run(made.rejected(found))


def test_a_registry_with_a_clash_fails_at_start() -> None:
    kind = KINDS["static"]
    with pytest.raises(ValueError, match="twice"):
        registered((kind, kind))
    with pytest.raises(ValueError, match="no slot"):
        registered((Kind("x", kind.make, (), ()),))


@pytest.mark.parametrize("kind", [kind for kind in KINDS if KINDS[kind].fields])
def test_an_unknown_field_names_the_nearest(kind: str) -> None:
    field = KINDS[kind].fields[0]
    assert f"Did you mean '{field}'?" in refused(kind, {**GOOD[kind], field + "s": CANARY})
    assert f"Did you mean '{field}'?" in refused(kind, GOOD[kind], **{field + "s": "x"})


@pytest.mark.parametrize("kind", [kind for kind in KINDS if KINDS[kind].fields])
@pytest.mark.parametrize(
    "value",
    [b"", b"null", b"[]", b'"canary-value-0123456789"', b"{", b"\xff\xfe", b"[" * 50_000, b"{}" + b" " * 70_000],
)
def test_what_is_no_document_is_refused(kind: str, value: bytes) -> None:
    refused(kind, value)


@pytest.mark.parametrize("kind", [kind for kind in KINDS if KINDS[kind].fields])
def test_every_field_of_the_wrong_type_is_refused_by_name(kind: str) -> None:
    for field in GOOD[kind]:
        said = refused(kind, {**GOOD[kind], field: {"x": [CANARY]}})
        assert repr(field) in said


@pytest.mark.parametrize("kind", [kind for kind in KINDS if KINDS[kind].fields])
def test_every_required_field_is_asked_for(kind: str) -> None:
    for field in GOOD[kind]:
        rest = {name: value for name, value in GOOD[kind].items() if name != field}
        assert field in refused(kind, rest)


def test_a_field_said_twice_is_refused() -> None:
    assert "twice" in refused("oauth-refresh", stored(OAUTH)[:-1] + b', "scopes": [], "scopes": ["x"]}')
    assert "both" in refused("oauth-refresh", {**OAUTH, "scopes": []}, scopes="x")


@pytest.mark.parametrize(
    ("kind", "option"),
    [
        ("oauth-refresh", "client_secret"),
        ("client-credentials", "private_key"),
        ("github-app", "private_key"),
        ("aws-sigv4", "session_token"),
    ],
)
def test_secrets_are_no_options(kind: str, option: str) -> None:
    value = {name: given for name, given in GOOD[kind].items() if name != option}
    assert "options are shown" in refused(kind, value, **{option: CANARY})


@pytest.mark.parametrize(
    ("kind", "value", "says"),
    [
        ("static", "short", "short"),
        ("static", "aaaaaaaaaaaaaaaa", "uniform"),
        ("static", CANARY + "\n", "line feed"),
        ("static", CANARY + "\r\nx: y", "control character"),
        ("static", CANARY + "\0", "control character"),
        ("static", " " + CANARY, "space"),
        ("static", "x" * 70_000, "bytes"),
        ("ssh-password", "short", "short"),
        ("ssh-key", CANARY, "no private key"),
        ("ssh-key", LOCKED, "passphrase"),
        ("oauth-refresh", {**OAUTH, "token_url": "http://a.example.com"}, "https"),
        ("oauth-refresh", {**OAUTH, "token_url": f"https://{CANARY}@a.example.com"}, "https"),
        ("oauth-refresh", {**OAUTH, "token_url": "https://a.example.com/ x"}, "https"),
        ("oauth-refresh", {**OAUTH, "token_url": "https://[::1"}, "https"),
        ("oauth-refresh", {**OAUTH, "client_authentication": CANARY}, "basic, post"),
        ("oauth-refresh", {**OAUTH, "leeway": -1}, "between"),
        ("oauth-refresh", {**OAUTH, "refresh_token": "x"}, "short"),
        ("oauth-refresh", {**OAUTH, "client_id": ""}, "empty"),
        ("client-credentials", {**CLIENT, "private_key": PEM}, "either"),
        ("client-credentials", {"client_id": "c", "token_url": "https://a.example.com", "private_key": CANARY}, "PEM"),
        ("github-app", {**APP, "repository": "o/r"}, "either"),
        ("github-app", {"app_id": 1, "private_key": PEM, "repository": "../x"}, "owner/name"),
        ("github-app", {**APP, "private_key": LOCKED}, "passphrase"),
        ("github-app", {**APP, "private_key": WEAK}, "2048"),
        ("github-app", {**APP, "private_key": P384}, "RS256"),
        ("github-app", {**APP, "permissions": {"contents": "all"}}, "read, write"),
        ("github-app", {**APP, "repositories": ["owner/app"]}, "without their owner"),
        ("github-app", {**APP, "app_id": "1/2"}, "no id"),
        ("jwt-assertion", {**JWT, "algorithm": "none"}, "RS256"),
        ("jwt-assertion", {**JWT, "algorithm": "ES256", "private_key": P384}, "ES256"),
        ("jwt-assertion", {**JWT, "algorithm": "HS256", "private_key": "short"}, "32"),
        ("jwt-assertion", {**JWT, "ttl": 86400}, "between"),
        ("jwt-assertion", {**JWT, "single_use": True, "token_url": "https://a.example.com"}, "exclude"),
        ("jwt-assertion", {"type": "service_account", "private_key": PEM, "client_email": "x"}, "scopes"),
        ("aws-sigv4", {**AWS, "access_key_id": "AKIA/../"}, "access key id"),
        ("aws-sigv4", {**AWS, "secret_access_key": CANARY + "\n"}, "line feed"),
        ("nothing", "x", "no such kind"),
    ],
)
def test_values_that_could_not_work_are_refused(kind: str, value: object, says: str) -> None:
    assert says in refused(kind, value)


def test_a_slot_that_the_kind_cannot_fill_is_refused() -> None:
    with pytest.raises(Refusal, match="header"):
        check("aws-sigv4", "name", stored(AWS), {}, ["header"])


def test_keys_as_ssh_keygen_and_environments_leave_them(tmp_path: Path) -> None:
    made = tmp_path / "key"
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(made)], check=True)
    check("ssh-key", "name", made.read_bytes(), {})
    subprocess.run(["ssh-keygen", "-q", "-p", "-N", "fake-passphrase", "-f", str(made)], check=True)
    assert "passphrase" in refused("ssh-key", made.read_bytes())
    check("github-app", "name", stored({**APP, "private_key": PEM.replace("\n", "\\n")}), {})


def test_the_page_has_every_kind_and_every_field() -> None:
    page = (REPOSITORY / "docs" / "reference" / "credential-kinds.md").read_text()
    for kind in KINDS.values():
        _, _, section = page.partition(f"\n## {kind.name}\n")
        assert section, kind.name
        section = section.partition("\n## ")[0]
        assert [field for field in kind.fields if f"| `{field}` |" not in section] == []


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind != "ssh-key"])
def test_stubs_can_be_minted_in_every_shape_and_look_like_it(kind: str) -> None:
    made = registry.make(kind, "name", stored(GOOD[kind]), tools=registry._NO_TOOLS)
    for like in made.shapes().values():
        first, second = stubs.mint(like, os.urandom), stubs.mint(like, os.urandom)
        assert first != second
        assert len(first) == len(like)
        assert stubs.stub_bits(like) >= (75 if kind == "aws-sigv4" else 60)
        if kind == "jwt-assertion":
            assert first.rpartition(b".")[0] == like.rpartition(b".")[0]
        if kind == "aws-sigv4":
            assert not like.startswith(b"AKIA") or first.isalnum()
