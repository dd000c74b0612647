"""Which headers and parameters are credentials, routes or methods."""

import pytest

from penstock.vault import carriers

FAMILIES = {
    "credential": [
        "authorization", "cookie", "x-api-key", "api-key", "x-goog-api-key", "private-token", "x-auth-token",
        "x-amz-security-token", "x-vault-token", "x-gitlab-token", "job-token", "circle-token", "dd-api-key",
        "x_api_key", "x-some-vendor-api-key", "vendor-access-token", "x-vendor-secret", "x-vendor-authorization",
        "vendor-apikey",
    ],
    "hop": ["connection", "keep-alive", "proxy-connection", "te", "trailer", "upgrade", "expect", "http2-settings"],
    "forwarding": [
        "forwarded", "via", "x-forwarded-for", "x-forwarded-proto", "x-forwarded-host", "x-forwarded-anything",
        "x_forwarded_for", "x-original-url", "x-rewrite-url", "x-real-ip", "proxy-authorization", "proxy-anything",
        "x-forwarded-authorization",
    ],
    "override": ["x-http-method-override", "x-http-method", "x-method-override", "x_http_method_override"],
    "other": [
        "host", "accept", "user-agent", "content-type", "content-length", "transfer-encoding", "idempotency-key",
        "x-csrf-token", "anthropic-version", "anthropic-beta", "openai-organization", "git-protocol",
        "sec-websocket-key", "x-amz-content-sha256", "if-none-match", "session_id",
    ],
}  # fmt: skip


@pytest.mark.parametrize(("family", "name"), [(family, name) for family, names in FAMILIES.items() for name in names])
def test_each_header_has_a_family(family: str, name: str) -> None:
    assert carriers.family(name) == family


def test_the_tables_do_not_contradict_each_other() -> None:
    tables = [carriers.HOP_BY_HOP, carriers.FORWARDING, carriers.METHOD_OVERRIDE, carriers.CREDENTIAL_HEADERS]
    assert sum(map(len, tables)) == len(frozenset().union(*tables))
    assert all(name == name.lower() and "_" not in name for table in tables for name in table)


@pytest.mark.parametrize("name", ["key", "KEY", "access_token", "Api_Key", " token ", "sig", "X-Amz-Signature"])
def test_parameters_that_carry_credentials(name: str) -> None:
    assert carriers.is_credential_parameter(name)


@pytest.mark.parametrize("name", ["q", "page", "page_token", "alt", "api-version", "service", "keyword"])
def test_parameters_that_do_not(name: str) -> None:
    assert not carriers.is_credential_parameter(name)


def test_subprotocols_lose_their_credentials_only() -> None:
    kept = carriers.protocols_without_credentials("realtime, openai-insecure-api-key.sk-fake, openai-beta.realtime-v1")
    assert kept == "realtime, openai-beta.realtime-v1"
