"""How long credentials hold, and the cache that remembers them."""

import pytest

from penstock.providers.auth.aws_chain import _Search
from penstock.providers.auth.choose import Material
from penstock.providers.auth.commands import CallResult, Fetch, Fetched, FileContent, ProgramOutput, RunProgram
from penstock.providers.auth.credentials import (
    EXPIRY_MARGIN,
    AwsCredentials,
    CredentialCache,
    NoCredential,
    Token,
    digest,
    is_usable,
    unix_time,
)


@pytest.mark.parametrize(
    ("now", "usable"),
    [(0.0, True), (10_000 - EXPIRY_MARGIN - 1, True), (10_000 - EXPIRY_MARGIN, False), (10_000.0, False)],
)
def test_a_token_is_given_up_before_it_dies(now: float, usable: bool) -> None:
    cache = CredentialCache()
    token = Token("t", expires_at=10_000.0)
    cache.put("key", token)
    assert cache.get("key", now) == (token if usable else None)


def test_what_never_expires_is_always_usable() -> None:
    assert is_usable(NoCredential(), 1e12)
    assert is_usable(Token("t"), 1e12)


def test_the_least_recently_used_goes_first() -> None:
    cache = CredentialCache(capacity=2)
    cache.put("a", Token("a"))
    cache.put("b", Token("b"))
    assert cache.get("a", 0.0)
    cache.put("c", Token("c"))
    assert cache.get("b", 0.0) is None
    assert cache.get("a", 0.0)


def test_forgetting() -> None:
    cache = CredentialCache()
    cache.put("a", Token("a"))
    cache.forget("a")
    cache.forget("a")
    assert cache.get("a", 0.0) is None


def test_secrets_do_not_show() -> None:
    credentials = AwsCredentials(access_key_id="AKIDEXAMPLE", secret_access_key="hush", session_token="hush2")
    outcomes = (FileContent(b"hush"), Fetched(200, {"a": "hush"}, b"hush"), ProgramOutput(0, b"hush", b"hush"))
    others = (CallResult("hush"), RunProgram(("program", "hush")), Fetch(method="GET", url="https://a/?hush"))
    tokens = (repr(credentials), str(credentials), repr(Token("hush", headers={"a": "hush"})), digest("hush"))
    for shown in (*tokens, *map(repr, outcomes), *map(repr, others)):
        assert "hush" not in shown


def test_the_chain_shows_no_secrets() -> None:
    search = _Search(parameters={"aws_secret_access_key": "hush"}, environment={"A": "hush"}, region=None, now=0.0)
    material = Material(parameters={"api_key": "hush"}, environment={"A": "hush"}, settings={}, key_environment=())
    assert "hush" not in repr(search) + repr(material)


def test_a_digest_tells_identities_apart() -> None:
    assert digest("a", "b") != digest("ab") != digest("a", "b", "")
    assert digest({"a": 1}) == digest({"a": 1})


@pytest.mark.parametrize("text", ["2015-08-30T12:36:00Z", "2015-08-30T12:36:00", "2015-08-30T14:36:00+02:00"])
def test_timestamps_without_a_zone_are_utc(text: str) -> None:
    assert unix_time(text) == 1440938160.0
