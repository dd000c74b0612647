"""Microsoft Entra tokens as playbooks."""

from collections.abc import Generator
from typing import Any

import pytest

from penstock.providers.auth.azure import azure_token, is_configured
from penstock.providers.auth.commands import Command, Fetch, Outcome
from penstock.providers.auth.credentials import Token
from penstock.providers.errors import ProviderError
from tests.unit.providers.auth.playbook import REFUSED, answer, file, play, request

NOW = 1_700_000_000.0
SCOPE = "https://cognitiveservices.azure.com/.default"
CLIENT = {"AZURE_TENANT_ID": "ten", "AZURE_CLIENT_ID": "cli"}
LOGIN = "https://login.microsoftonline.com/ten/oauth2/v2.0/token"
GRANTED = answer({"access_token": "eyJ.x", "expires_in": 3600})


def flow(environment: dict[str, str], **parameters: Any) -> Generator[Command, Outcome, Token]:
    return azure_token(parameters, environment, SCOPE, NOW)


def test_client_secret() -> None:
    expected = request(
        "POST",
        LOGIN,
        "grant_type=client_credentials",
        "client_id=cli",
        "client_secret=sec",
        "scope=https%3A%2F%2Fcognitiveservices.azure.com%2F.default",
    )
    token = play(flow({**CLIENT, "AZURE_CLIENT_SECRET": "sec"}), [(expected, GRANTED)])
    assert (token.value, token.expires_at) == ("eyJ.x", NOW + 3600)


def test_parameters_beat_the_environment_and_the_cloud_may_be_another() -> None:
    url = "https://login.microsoftonline.us/gov/oauth2/v2.0/token"
    environment = {**CLIENT, "AZURE_CLIENT_SECRET": "sec", "AZURE_AUTHORITY_HOST": "https://login.microsoftonline.us/"}
    expected = request("POST", url, "client_id=other", "client_secret=mine")
    call = flow(environment, tenant_id="gov", client_id="other", client_secret="mine")
    assert play(call, [(expected, GRANTED)]).value == "eyJ.x"


def test_workload_identity() -> None:
    environment = {**CLIENT, "AZURE_FEDERATED_TOKEN_FILE": "/var/token"}
    expected = request("POST", LOGIN, "client_assertion=tok", "client_assertion_type=urn%3Aietf", "client_id=cli")
    assert play(flow(environment), [file("/var/token", "tok\n"), (expected, GRANTED)]).value == "eyJ.x"
    with pytest.raises(ProviderError, match="/var/token"):
        play(flow(environment), [file("/var/token", None)])


def test_managed_identity_of_an_app_service() -> None:
    environment = {
        "IDENTITY_ENDPOINT": "http://127.0.0.1:41/msi/token",
        "IDENTITY_HEADER": "h",
        "AZURE_CLIENT_ID": "cli",
    }
    url = (
        "http://127.0.0.1:41/msi/token?api-version=2019-08-01"
        "&resource=https%3A%2F%2Fcognitiveservices.azure.com&client_id=cli"
    )
    granted = answer({"access_token": "eyJ.m", "expires_on": "1700003600"})
    token = play(flow(environment), [(request("GET", url, X_IDENTITY_HEADER="h"), granted)])
    assert (token.value, token.expires_at) == ("eyJ.m", 1_700_003_600.0)


def test_a_virtual_machine_is_asked_only_on_request() -> None:
    url = (
        "http://169.254.169.254/metadata/identity/oauth2/token?api-version=2018-02-01"
        "&resource=https%3A%2F%2Fcognitiveservices.azure.com"
    )
    script = [(request("GET", url, Metadata="true"), answer({"access_token": "eyJ.v", "expires_in": "60"}))]
    assert play(flow({}, azure_managed_identity=True), script).expires_at == NOW + 60
    with pytest.raises(ProviderError, match="AZURE_CLIENT_SECRET") as caught:
        play(flow({}), [])
    assert caught.value.kind == "missing_key"


@pytest.mark.parametrize(
    ("environment", "parameters", "configured"),
    [
        ({}, {}, False),
        (CLIENT, {}, False),
        ({**CLIENT, "AZURE_CLIENT_SECRET": "s"}, {}, True),
        ({"AZURE_CLIENT_SECRET": "s"}, {}, False),
        ({**CLIENT, "AZURE_FEDERATED_TOKEN_FILE": "/f"}, {}, True),
        ({"IDENTITY_ENDPOINT": "http://x"}, {}, True),
        ({}, {"azure_managed_identity": True}, True),
        ({}, {"tenant_id": "t", "client_id": "c", "client_secret": "s"}, True),
    ],
)
def test_what_counts_as_set_up(environment: dict[str, str], parameters: dict[str, Any], configured: bool) -> None:
    assert is_configured(parameters, environment) is configured


def test_a_wrong_secret() -> None:
    refusal = answer({"error": "invalid_client", "error_description": "AADSTS7000215: Invalid client secret."}, 401)
    with pytest.raises(ProviderError, match="AADSTS7000215") as caught:
        play(flow({**CLIENT, "AZURE_CLIENT_SECRET": "hush"}), [(Fetch, refusal)])
    assert (caught.value.kind, caught.value.status) == ("token_refused", 401)
    assert "hush" not in str(caught.value)


def test_an_outage() -> None:
    with pytest.raises(ProviderError) as caught:
        play(flow({**CLIENT, "AZURE_CLIENT_SECRET": "s"}), [(Fetch, REFUSED)])
    assert caught.value.retryable
