"""Which kind of authentication is taken, and what it then sends."""

from collections.abc import Mapping, Sequence
from typing import Any

import pytest

from penstock.providers.auth.authorization import TokenAuthorization
from penstock.providers.auth.aws import AwsAuthorization
from penstock.providers.auth.choose import Chosen, Material, choose
from penstock.providers.auth.commands import CallResult, Fetch
from penstock.providers.auth.credentials import AwsCredentials, NoCredential, Token
from penstock.providers.auth.kinds import (
    AuthKind,
    AwsSignature,
    AzureOAuth,
    Bearer,
    ClientCredentials,
    GoogleOAuth,
    HeaderKey,
    IbmIam,
    NoAuth,
    QueryKey,
)
from penstock.providers.auth.variables import key_variables
from penstock.providers.errors import ProviderError
from tests.unit.providers.auth.playbook import answer, play, request

URL = "https://h.example/x"
SECRET = "sk-hush"


def chosen(
    *kinds: AuthKind,
    parameters: Mapping[str, Any] | None = None,
    environment: Mapping[str, str] | None = None,
    settings: Mapping[str, str] | None = None,
    base_url: str = "",
) -> Chosen | None:
    return choose(
        kinds,
        Material(
            parameters=parameters or {},
            environment=environment or {},
            settings=settings or {},
            key_environment=("THE_KEY",),
            base_url=base_url,
        ),
    )


def sent(found: Chosen | None, url: str = URL) -> tuple[str, dict[str, str]]:
    """What a key authorization adds to a request."""
    assert found is not None
    credential = play(found.authorization.obtain(0.0), [])
    assert credential == NoCredential()
    signed = found.authorization.sign("POST", url, {}, b"", credential, 0.0)
    return signed.url, signed.headers


@pytest.mark.parametrize(
    ("kind", "url", "headers"),
    [
        (Bearer(), URL, {"Authorization": "Bearer sk-hush"}),
        (Bearer(scheme="Token"), URL, {"Authorization": "Token sk-hush"}),
        (Bearer(headers={"x-key": "{key}"}), URL, {"Authorization": "Bearer sk-hush", "x-key": "sk-hush"}),
        (HeaderKey(header="x-api-key"), URL, {"x-api-key": "sk-hush"}),
        (QueryKey(), URL + "?key=sk-hush", {}),
        (QueryKey(name="api_key"), URL + "?api_key=sk-hush", {}),
    ],
)
@pytest.mark.parametrize("where", ["parameter", "environment"])
def test_keys_as_they_are(kind: AuthKind, url: str, headers: dict[str, str], where: str) -> None:
    given = {"api_key": f" {SECRET}\n"}  # pasted with blanks around it
    found = chosen(kind, parameters=given) if where == "parameter" else chosen(kind, environment={"THE_KEY": SECRET})
    assert sent(found) == (url, headers)


def test_a_query_key_joins_other_parameters_and_is_escaped() -> None:
    found = chosen(QueryKey(), parameters={"api_key": "a&b=c"})
    assert sent(found, URL + "?v=1")[0] == URL + "?v=1&key=a%26b%3Dc"


def test_nothing_is_needed_nothing_is_sent() -> None:
    assert sent(chosen(NoAuth())) == (URL, {})


def test_nothing_is_there() -> None:
    assert chosen(Bearer(), HeaderKey(header="x"), ClientCredentials(token_url="x"), AzureOAuth(), IbmIam()) is None
    assert chosen(Bearer(), parameters={"api_key": ""}, environment={"THE_KEY": ""}) is None


def test_the_row_says_the_order() -> None:
    both = {"THE_KEY": "k", "A_TOKEN": "t"}
    first, second = Bearer(environment=("A_TOKEN",), parameters=()), HeaderKey(header="x-key")
    assert sent(chosen(first, second, environment=both))[1] == {"Authorization": "Bearer t"}
    assert sent(chosen(second, first, environment=both))[1] == {"x-key": "k"}


def test_what_the_call_brought_beats_what_lies_in_the_environment() -> None:
    kinds = (Bearer(environment=("A_TOKEN",), parameters=("token",)), HeaderKey(header="x-key"))
    found = chosen(*kinds, parameters={"api_key": "mine"}, environment={"A_TOKEN": "t", "THE_KEY": "k"})
    assert sent(found)[1] == {"x-key": "mine"}


@pytest.mark.parametrize(
    ("environment", "header"),
    [
        ({"A_TOKEN": "t", "THE_KEY": "k"}, {"Authorization": "Bearer t"}),
        ({"THE_KEY": "k"}, {"x-express": "k"}),
    ],
)
def test_a_project_asks_for_the_providers_own_address(environment: dict[str, str], header: dict[str, str]) -> None:
    """A ready token goes there, before anybody is asked for one; a key that leads elsewhere comes last."""
    express = HeaderKey(header="x-express", base_url="https://express.example")
    kinds = (express, Bearer(environment=("A_TOKEN",), parameters=("token",)))
    found = chosen(*kinds, parameters={"vertex_project": "p"}, environment=environment)
    assert sent(found)[1] == header


def test_prefixes_tell_kinds_of_keys_apart() -> None:
    kinds = (Bearer(prefixes=("oat-",), headers={"beta": "1"}), HeaderKey(header="x-api-key"))
    assert sent(chosen(*kinds, parameters={"api_key": "oat-1"}))[1] == {"Authorization": "Bearer oat-1", "beta": "1"}
    assert sent(chosen(*kinds, parameters={"api_key": "key-1"}))[1] == {"x-api-key": "key-1"}


def test_a_kind_may_hold_for_some_addresses_only() -> None:
    kinds = (Bearer(base_urls=("*.models.example*",)), HeaderKey(header="api-key"))
    there = chosen(*kinds, parameters={"api_key": "k"}, base_url="https://a.models.example/v1")
    assert sent(there)[1] == {"Authorization": "Bearer k"}
    assert sent(chosen(*kinds, parameters={"api_key": "k"}))[1] == {"api-key": "k"}


def test_a_kind_may_have_an_address_of_its_own() -> None:
    found = chosen(HeaderKey(header="k", base_url="https://express.example"), parameters={"api_key": "k"})
    assert found is not None
    assert found.base_url == "https://express.example"


@pytest.mark.parametrize(
    ("kind", "header", "value"),
    [(Bearer(), "Authorization", "Bearer fresh"), (HeaderKey(header="api-key"), "api-key", "fresh")],
)
def test_a_function_of_the_users_is_asked_each_time(kind: AuthKind, header: str, value: str) -> None:
    def key() -> str:
        raise AssertionError("only a driver calls it")

    found = chosen(kind, parameters={"api_key": key})
    assert found is not None
    assert found.authorization.needs_credential

    def expected(command: Any) -> None:
        assert command.function is key

    token = play(found.authorization.obtain(7.0), [(expected, CallResult("fresh"))])
    assert not token.expires_at
    assert found.authorization.sign("POST", URL, {}, b"", token, 7.0).headers == {header: value}
    with pytest.raises(ProviderError, match="returned NoneType"):
        play(found.authorization.obtain(7.0), [(expected, CallResult(None))])


def test_aws_signs_with_what_the_chain_finds() -> None:
    environment = {"AWS_ACCESS_KEY_ID": "AKIDEXAMPLE", "AWS_SECRET_ACCESS_KEY": "s", "OPENAI_API_KEY": "unrelated"}
    found = chosen(AwsSignature(service="bedrock"), environment=environment, settings={"region": "us-east-1"})
    assert found is not None
    authorization = found.authorization
    assert isinstance(authorization, AwsAuthorization)
    assert "OPENAI_API_KEY" not in authorization.environment
    credential = play(authorization.obtain(0.0), [])
    assert isinstance(credential, AwsCredentials)
    headers = authorization.sign("POST", URL, {"Content-Type": "application/json"}, b"{}", credential, 0.0).headers
    assert headers["X-Amz-Date"] == "19700101T000000Z"
    assert "Credential=AKIDEXAMPLE/19700101/us-east-1/bedrock/aws4_request" in headers["Authorization"]


def test_aws_without_a_region() -> None:
    with pytest.raises(ProviderError, match="AWS_REGION"):
        chosen(AwsSignature(service="bedrock"))


def test_an_identity_of_the_call_beats_a_key_of_the_environment() -> None:
    kinds = (Bearer(environment=("AWS_BEARER_TOKEN_BEDROCK",)), AwsSignature(service="bedrock"))
    environment = {"AWS_BEARER_TOKEN_BEDROCK": "b"}
    found = chosen(
        *kinds, parameters={"aws_profile_name": "work"}, environment=environment, settings={"region": "us-east-1"}
    )
    assert found is not None
    assert isinstance(found.authorization, AwsAuthorization)
    assert sent(chosen(*kinds, environment=environment))[1] == {"Authorization": "Bearer b"}


def test_client_credentials_fill_their_templates() -> None:
    kind = ClientCredentials(
        token_url="{origin}/token", scope="{scope}", id_environment=("ID",), secret_environment=("SECRET",)
    )
    found = chosen(
        kind, environment={"ID": "i", "SECRET": "s"}, settings={"origin": "https://w.example", "scope": "all"}
    )
    assert found is not None
    granted = answer({"access_token": "t", "expires_in": 60})
    token = play(found.authorization.obtain(0.0), [(request("POST", "https://w.example/token", "scope=all"), granted)])
    assert token == Token("t", 60.0)
    assert found.authorization.sign("POST", URL, {}, b"", token, 0.0).headers == {"Authorization": "Bearer t"}


@pytest.mark.parametrize(
    ("kind", "material"),
    [
        (GoogleOAuth(), {"parameters": {"vertex_credentials": "/a.json"}}),
        (
            AzureOAuth(),
            {"environment": {"AZURE_TENANT_ID": "t", "AZURE_CLIENT_ID": "c", "AZURE_CLIENT_SECRET": "s"}},
        ),
        (IbmIam(), {"environment": {"THE_KEY": "k"}}),
    ],
)
def test_identities_have_keys_of_their_own_in_the_cache(kind: AuthKind, material: dict[str, Any]) -> None:
    """The same identity is remembered under the same name, another one under another."""

    def name(**material: Any) -> str:
        found = chosen(kind, **material)
        assert found is not None
        return found.authorization.cache_key

    other = {where: {name: value + "2" for name, value in given.items()} for where, given in material.items()}
    assert name(**material) == name(**material) != name(**other)
    assert "s2" not in name(**other)


def test_an_ibm_key_is_exchanged() -> None:
    found = chosen(IbmIam(), parameters={"api_key": "k"})
    assert found is not None
    assert isinstance(found.authorization, TokenAuthorization)
    token = play(found.authorization.obtain(0.0), [(Fetch, answer({"access_token": "t", "expires_in": 60}))])
    assert found.authorization.sign("POST", URL, {}, b"", token, 0.0).headers["Authorization"] == "Bearer t"


def test_secrets_do_not_show() -> None:
    found: Sequence[Chosen | None] = (
        chosen(Bearer(), parameters={"api_key": SECRET}),
        chosen(QueryKey(), parameters={"api_key": SECRET}),
        chosen(IbmIam(), parameters={"api_key": SECRET}),
        chosen(
            AwsSignature(service="s"),
            parameters={"aws_secret_access_key": SECRET, "aws_access_key_id": "a"},
            settings={"region": "r"},
        ),
    )
    for each in found:
        assert SECRET not in repr(each)
    assert found[0] is not None
    assert SECRET not in repr(found[0].authorization.sign("GET", URL, {}, b"", NoCredential(), 0.0))


def test_the_variables_that_would_help() -> None:
    kinds = (Bearer(), HeaderKey(header="x", environment=("B",)), AwsSignature(service="s"), NoAuth(), GoogleOAuth())
    assert key_variables(kinds, ("A", "B")) == (
        "A",
        "B",
        "AWS_ACCESS_KEY_ID",
        "AWS_SECRET_ACCESS_KEY",
        "GOOGLE_APPLICATION_CREDENTIALS",
    )
    client = ClientCredentials(token_url="x", id_environment=("ID",), secret_environment=("SECRET",))
    assert key_variables((client,), ()) == ("ID", "SECRET")


@pytest.mark.parametrize("key", ["“sk-quoted”", "sk-a\nsk-b", "sk-zero\u200bwidth", "sk-\x00"])
def test_a_key_that_no_header_can_carry_is_told_apart(key: str) -> None:
    with pytest.raises(ProviderError, match="holds a character that keys do not have") as caught:
        chosen(Bearer(), parameters={"api_key": key})
    assert caught.value.kind == "malformed_credentials"
    assert key not in str(caught.value)
