"""How long credentials hold, and the cache that remembers them."""

import pytest

from penstock.providers.auth.credentials import (
    EXPIRY_MARGIN,
    REFRESH_MARGIN,
    AwsCredentials,
    CredentialCache,
    NoCredential,
    Token,
    digest,
    is_usable,
    unix_time,
)


@pytest.mark.parametrize(
    ("now", "usable", "due"),
    [
        (0.0, True, False),
        (10_000 - REFRESH_MARGIN - 1, True, False),
        (10_000 - REFRESH_MARGIN, True, True),
        (10_000 - EXPIRY_MARGIN - 1, True, True),
        (10_000 - EXPIRY_MARGIN, False, True),
        (10_000.0, False, True),
    ],
)
def test_a_token_is_refreshed_before_it_dies(now: float, usable: bool, due: bool) -> None:
    cache = CredentialCache()
    token = Token("t", expires_at=10_000.0)
    cache.put("key", token)
    assert cache.get("key", now) == (token if usable else None)
    assert cache.refresh_due("key", now) is due


def test_what_never_expires_is_never_due() -> None:
    assert is_usable(NoCredential(), 1e12)
    assert is_usable(Token("t"), 1e12)


def test_an_unknown_key_is_due() -> None:
    cache = CredentialCache()
    assert cache.get("key", 0.0) is None
    assert cache.refresh_due("key", 0.0)


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
    for shown in (repr(credentials), str(credentials), repr(Token("hush")), digest("hush")):
        assert "hush" not in shown


def test_a_digest_tells_identities_apart() -> None:
    assert digest("a", "b") != digest("ab") != digest("a", "b", "")
    assert digest({"a": 1}) == digest({"a": 1})


@pytest.mark.parametrize("text", ["2015-08-30T12:36:00Z", "2015-08-30T12:36:00", "2015-08-30T14:36:00+02:00"])
def test_timestamps_without_a_zone_are_utc(text: str) -> None:
    assert unix_time(text) == 1440938160.0
