"""What is taken out of text, what stays, and how long the worst text takes."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from penstock.gateway.redact import REDACTED, Redactor, names_a_secret, secrets_in

KEY = "sk-fake-0123456789abcdef"


@pytest.mark.parametrize(
    "text",
    [
        KEY,
        "sk-proj-fakefakefake0000_fake",
        "sk-ant-api03-fakefakefake0000",
        "Bearer fakefake",
        "authorization: bearer fake.fake-fake",
        "Basic ZmFrZTpmYWtl",
        "gsk_fakefakefakefakefake0000",
        "xai-fakefakefakefakefake0000",
        "hf_fakefakefakefake00",
        "AIzaFakeFakeFakeFakeFakeFake",
        "AKIAFAKEFAKEFAKE0000",
        "eyJmYWtlIjoxfQ.eyJmYWtlIjoxfQ.fake",
        "https://fake:fakefake@host.test/path",
        "/v1beta/models/m:generateContent?key=fakefake&alt=sse",
        "?sig=fakefake",
        "x-api-key: fakefake",
        "api_key='fakefake'",
        '{"aws_secret_access_key": "fakefake"}',
        "password=fakefake",
        "-----BEGIN PRIVATE KEY-----\nfakefake\n-----END PRIVATE KEY-----",
        "-----BEGIN RSA PRIVATE KEY-----\\nfakefake",
        "ghp_fakefakefakefake",
        "ya29.fakefakefake",
    ],
)
def test_what_looks_like_a_secret_is_taken_out(text: str) -> None:
    cleaned = Redactor().text(f"before {text} after")
    assert REDACTED in cleaned
    assert "fake" not in cleaned.replace("://", "").lower() or text.startswith("-----BEGIN RSA")
    assert cleaned.startswith("before ")


@pytest.mark.parametrize(
    "text",
    [
        "sk-...1a2b",
        "gpt-5-mini-2025-08-07",
        "claude-sonnet-4-5-20250929",
        "pplx-70b-online",
        "xai-grok-4-fast-2025",
        "task-force-1234567890",
        "max_tokens: 123456789",
        "tokens=123456789",
        "/v1/chat/completions",
        "https://api.example.test:8443/v1",
        "the key of this budget is spent",
        "a token of appreciation",
    ],
)
def test_what_does_not_look_like_one_stays(text: str) -> None:
    assert Redactor().text(text) == text


def test_known_secrets_are_taken_out_wherever_they_stand() -> None:
    redactor = Redactor(["correct horse battery", "correct horse battery staple", "short"])
    assert redactor.text("xcorrect horse battery staplex short") == f"x{REDACTED}x short"


@given(st.text(min_size=8, max_size=40), st.text(max_size=50), st.text(max_size=50))
def test_a_known_secret_never_survives(secret: str, before: str, after: str) -> None:
    assert secret not in Redactor([secret]).text(before + secret + after).replace(REDACTED, "")


@pytest.mark.parametrize(
    "name", ["api_key", "aws_secret_access_key", "Authorization", "x-api-key", "vertex_credentials"]
)
def test_names_of_secrets(name: str) -> None:
    assert names_a_secret(name)


@pytest.mark.parametrize("name", ["max_tokens", "input_tokens", "key_alias", "token_limit", "model", "secret_name"])
def test_names_of_no_secrets(name: str) -> None:
    assert not names_a_secret(name)


def test_values_under_the_name_of_a_secret_are_taken_out_whole() -> None:
    value = {"api_key": "x", "nested": [{"password": "y", "port": 80}], "ok": True, "text": f"see {KEY}", "other": 1.5}
    cleaned = Redactor().value(value)
    assert cleaned == {
        "api_key": REDACTED,
        "nested": [{"password": REDACTED, "port": 80}],
        "ok": True,
        "text": f"see {REDACTED}",
        "other": 1.5,
    }
    json.dumps(Redactor().value({"set": {1}, "object": object(), "bytes": b"x"}))


def test_secrets_of_a_configuration_are_found_at_any_depth() -> None:
    arguments = {
        "model": "openai/gpt-5-mini",
        "api_key": "fake-api-key",
        "extra_headers": {"X-Custom": "fake-header-value"},
        "list": [{"client_secret": "fake-client-secret"}],
        "vertex_credentials": "-----BEGIN\nfake-line-of-a-private-key\n-----END",
    }
    found = set(secrets_in(arguments))
    assert {"fake-api-key", "fake-header-value", "fake-client-secret", "fake-line-of-a-private-key"} <= found
    assert "openai/gpt-5-mini" not in found


def test_a_known_secret_is_found_as_json_and_urls_spell_it() -> None:
    secret = 'quote" and/slash'
    redactor = Redactor([secret])
    assert redactor.text(json.dumps({"a": secret})) == f'{{"a": "{REDACTED}"}}'
    assert redactor.text("/x?y=quote%22%20and%2Fslash") == f"/x?y={REDACTED}"
