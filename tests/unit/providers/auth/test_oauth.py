"""The token exchange that all the OAuth services share, and IBM's."""

from typing import Any
from uuid import UUID

import pytest

from penstock.providers.auth.commands import Fetch
from penstock.providers.auth.ibm import ibm_token
from penstock.providers.auth.oauth import client_credentials, request_token
from penstock.providers.errors import ProviderError
from tests.unit.providers.auth.playbook import answer, play, request

NOW = 1_700_000_000.0


def ask() -> Any:
    return request_token("https://t.example/token", {"a": "b"}, NOW, who="T", fix="Look.")


@pytest.mark.parametrize(
    ("lifetime", "expires_at"),
    [
        ({"expires_in": 60}, NOW + 60),
        ({"expires_in": "60"}, NOW + 60),
        ({"expires_on": "1700000100"}, 1_700_000_100.0),
        ({"expires_at": 1_700_000_100_000}, 1_700_000_100.0),
        ({"expireTime": "2023-11-14T22:13:20Z"}, NOW),
        ({}, None),
    ],
)
def test_lifetimes_of_every_kind(lifetime: dict[str, Any], expires_at: float | None) -> None:
    token = play(
        ask(), [(request("POST", "https://t.example/token", "a=b"), answer({"access_token": "t", **lifetime}))]
    )
    assert (token.value, token.expires_at) == ("t", expires_at)


@pytest.mark.parametrize(
    ("body", "status", "said"),
    [
        ({"error": "invalid_grant", "error_description": "gone"}, 400, "gone"),
        ({"error": {"code": 403, "message": "forbidden there"}}, 403, "forbidden there"),
        ({"errorMessage": "BXNIM0415E: key not found"}, 400, "BXNIM0415E"),
        ({"access_token": "t"}, 500, "nothing that could be read"),
        ({"access_token": 7}, 200, "nothing that could be read"),
        ({"access_token": "t", "expires_in": "soon"}, 200, "nothing that could be read"),
        (b"<html>", 200, "nothing that could be read"),
        ([], 200, "nothing that could be read"),
    ],
)
def test_answers_that_are_no_token(body: Any, status: int, said: str) -> None:
    with pytest.raises(ProviderError, match=said) as caught:
        play(ask(), [(Fetch, answer(body, status))])
    assert (caught.value.kind, caught.value.status, caught.value.fix) == ("token_refused", status, "Look.")


def test_client_credentials() -> None:
    flow = client_credentials(
        "https://w.example/oidc/v1/token", client_id="id", client_secret="s:", scope="all-apis", now=NOW
    )
    expected = request(
        "POST",
        "https://w.example/oidc/v1/token",
        "grant_type=client_credentials&scope=all-apis",
        Authorization="Basic aWQ6czo=",
    )
    assert play(flow, [(expected, answer({"access_token": "t", "expires_in": 1}))]).value == "t"


def test_ready_made_credentials_with_a_request_id() -> None:
    """GigaChat: the key is base64 already, and each request bears a fresh UUID."""
    seen: list[str] = []

    def expected(command: Any) -> None:
        assert command.headers["Authorization"] == "Basic a2V5"
        assert command.body == b"scope=S"
        seen.append(str(UUID(command.headers["RqUID"])))

    for now in (NOW, NOW + 1):
        flow = client_credentials(
            "https://g.example/oauth", basic="a2V5", scope="S", grant_type=None, request_id_header="RqUID", now=now
        )
        play(flow, [(expected, answer({"access_token": "t", "expires_at": 1_700_000_100_000}))])
    assert len(set(seen)) == 2


def test_ibm() -> None:
    expected = request(
        "POST",
        "https://iam.cloud.ibm.com/identity/token",
        "grant_type=urn%3Aibm%3Aparams%3Aoauth%3Agrant-type%3Aapikey",
        "apikey=k",
    )
    token = play(ibm_token("k", NOW), [(expected, answer({"access_token": "t", "expires_in": 3600}))])
    assert token.expires_at == NOW + 3600
