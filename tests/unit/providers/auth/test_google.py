"""Google Application Default Credentials as playbooks; the assertion of a service account is checked with its public
key.
"""

import base64
import sys
from collections.abc import Generator
from typing import Any
from urllib.parse import parse_qs

import msgspec
import pytest
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa

from penstock.providers.auth.authorization import TokenAuthorization
from penstock.providers.auth.commands import Command, Fetch, Outcome
from penstock.providers.auth.credentials import Token
from penstock.providers.auth.google import google_project, google_token
from penstock.providers.errors import ProviderError
from tests.unit.providers.auth.playbook import REFUSED, answer, file, play, request

NOW = 1_700_000_000.0
SCOPE = "https://www.googleapis.com/auth/cloud-platform"
HOME = {"HOME": "/home/me"}
GCLOUD = "/home/me/.config/gcloud/application_default_credentials.json"
TOKEN_URL = "https://oauth2.googleapis.com/token"
METADATA = "http://metadata.google.internal/computeMetadata/v1/"
GOOGLE = {"metadata-flavor": "Google"}
GRANTED = answer({"access_token": "ya29.x", "expires_in": 3599, "token_type": "Bearer"})
KEY = rsa.generate_private_key(public_exponent=65537, key_size=2048)
PEM = KEY.private_bytes(
    serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
).decode()
USER = {"type": "authorized_user", "client_id": "c", "client_secret": "s", "refresh_token": "r"}
SERVICE = {
    "type": "service_account",
    "project_id": "my-project",
    "private_key_id": "kid-1",
    "private_key": PEM,
    "client_email": "bot@my-project.iam.gserviceaccount.com",
    "token_uri": TOKEN_URL,
}


def flow(environment: dict[str, str], **parameters: Any) -> Generator[Command, Outcome, Token]:
    return google_token(parameters, environment, SCOPE, NOW)


def text(account: dict[str, Any]) -> str:
    return msgspec.json.encode(account).decode()


def test_the_user_of_gcloud() -> None:
    expected = request(
        "POST", TOKEN_URL, "grant_type=refresh_token", "refresh_token=r", "client_id=c", "client_secret=s"
    )
    token = play(flow(HOME), [file(GCLOUD, text(USER)), (expected, GRANTED)])
    assert (token.value, token.expires_at) == ("ya29.x", NOW + 3599)


def test_gcloud_may_keep_its_folder_elsewhere() -> None:
    for environment, path in (
        ({"CLOUDSDK_CONFIG": "/cfg"}, "/cfg/application_default_credentials.json"),
        ({"APPDATA": "C:/u"}, "C:/u/gcloud/application_default_credentials.json"),
    ):
        assert play(flow(environment), [file(path, text(USER)), (Fetch, GRANTED)]).value == "ya29.x"


def test_the_file_of_the_environment_comes_before_gcloud() -> None:
    environment = {**HOME, "GOOGLE_APPLICATION_CREDENTIALS": "/keys/sa.json"}
    assert play(flow(environment), [file("/keys/sa.json", text(USER)), (Fetch, GRANTED)]).value == "ya29.x"


@pytest.mark.parametrize("given", [USER, text(USER), "  " + text(USER)])
def test_credentials_of_the_call_need_no_file(given: Any) -> None:
    environment = {**HOME, "GOOGLE_APPLICATION_CREDENTIALS": "/keys/sa.json"}
    assert play(flow(environment, vertex_credentials=given), [(Fetch, GRANTED)]).value == "ya29.x"


def test_a_path_of_the_call() -> None:
    script = [file("/home/me/sa.json", text(USER)), (Fetch, GRANTED)]
    assert play(flow(HOME, vertex_credentials="~/sa.json"), script).value == "ya29.x"


def test_a_service_account_signs_its_assertion() -> None:
    sent: list[Fetch] = []
    script = [(lambda command: sent.append(command), GRANTED)]
    play(flow(HOME, vertex_credentials=SERVICE), script)
    form = parse_qs(sent[0].body.decode())
    assert (sent[0].method, sent[0].url) == ("POST", TOKEN_URL)
    assert form["grant_type"] == ["urn:ietf:params:oauth:grant-type:jwt-bearer"]
    header, claims, signature = form["assertion"][0].split(".")
    assert _segment(header) == {"alg": "RS256", "typ": "JWT", "kid": "kid-1"}
    assert _segment(claims) == {
        "iss": "bot@my-project.iam.gserviceaccount.com",
        "scope": SCOPE,
        "aud": TOKEN_URL,
        "iat": 1_700_000_000,
        "exp": 1_700_003_600,
    }
    KEY.public_key().verify(_bytes(signature), f"{header}.{claims}".encode(), padding.PKCS1v15(), hashes.SHA256())


def _bytes(segment: str) -> bytes:
    return base64.urlsafe_b64decode(segment + "=" * (-len(segment) % 4))


def _segment(segment: str) -> Any:
    return msgspec.json.decode(_bytes(segment))


def test_without_the_extra_the_error_names_it(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in sys.modules if name.split(".")[0] == "cryptography"]:
        monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(ProviderError, match=r"penstock\[google\]") as caught:
        play(flow(HOME, vertex_credentials=SERVICE), [])
    assert caught.value.kind == "missing_extra"


def test_a_key_that_is_none() -> None:
    curve = ec.generate_private_key(ec.SECP256R1()).private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    for pem in ("hello", curve.decode()):
        with pytest.raises(ProviderError, match="not an RSA key") as caught:
            play(flow(HOME, vertex_credentials={**SERVICE, "private_key": pem}), [])
        assert caught.value.kind == "malformed_credentials"


def test_the_metadata_server_comes_last() -> None:
    url = METADATA + f"instance/service-accounts/default/token?scopes={SCOPE}"
    found = answer({"access_token": "ya29.m", "expires_in": 100}, headers=GOOGLE)
    token = play(flow(HOME), [file(GCLOUD, None), (request("GET", url, Metadata_Flavor="Google"), found)])
    assert (token.value, token.expires_at) == ("ya29.m", NOW + 100)


@pytest.mark.parametrize("outcome", [REFUSED, answer(b"<html>captive portal</html>"), answer(b"", 404, GOOGLE)])
def test_nothing_anywhere(outcome: Outcome) -> None:
    with pytest.raises(ProviderError) as caught:
        play(flow(HOME), [file(GCLOUD, None), (Fetch, outcome)])
    assert caught.value.kind == "missing_key"
    assert "GOOGLE_APPLICATION_CREDENTIALS" in caught.value.fix


def test_the_metadata_server_is_not_asked_where_forbidden() -> None:
    with pytest.raises(ProviderError):
        play(flow({**HOME, "NO_GCE_CHECK": "true"}), [file(GCLOUD, None)])


def test_a_metadata_server_that_fails() -> None:
    with pytest.raises(ProviderError) as caught:
        play(flow(HOME), [file(GCLOUD, None), (Fetch, answer(b"oops", 500, GOOGLE))])
    assert (caught.value.kind, caught.value.status, caught.value.retryable) == ("token_refused", 500, True)


EXTERNAL = {
    "type": "external_account",
    "audience": "//iam.googleapis.com/projects/1/locations/global/workloadIdentityPools/p/providers/q",
    "subject_token_type": "urn:ietf:params:oauth:token-type:jwt",
    "token_url": "https://sts.googleapis.com/v1/token",
    "credential_source": {"file": "/var/run/token"},
}


def test_workload_identity_by_a_file() -> None:
    expected = request(
        "POST",
        "https://sts.googleapis.com/v1/token",
        "subject_token=tok",
        "grant_type=urn%3Aietf%3Aparams%3Aoauth%3Agrant-type%3Atoken-exchange",
    )
    script = [file("/var/run/token", "tok\n"), (expected, GRANTED)]
    assert play(flow(HOME, vertex_credentials=EXTERNAL), script).value == "ya29.x"


def test_workload_identity_by_an_address_and_for_a_service_account() -> None:
    source = {
        "url": "http://127.0.0.1/token",
        "headers": {"Metadata": "True"},
        "format": {"type": "json", "subject_token_field_name": "access_token"},
    }
    impersonation = "https://iamcredentials.googleapis.com/v1/projects/-/serviceAccounts/a@b:generateAccessToken"
    account = {**EXTERNAL, "credential_source": source, "service_account_impersonation_url": impersonation}
    script = [
        (request("GET", "http://127.0.0.1/token", Metadata="True"), answer({"access_token": "tok"})),
        (request("POST", EXTERNAL["token_url"], "subject_token=tok"), GRANTED),  # type: ignore[arg-type]  # a text: the other values of EXTERNAL are not
        (
            request("POST", impersonation, SCOPE, Authorization="Bearer ya29.x"),
            answer({"accessToken": "ya29.sa", "expireTime": "2023-11-14T23:13:20Z"}),
        ),
    ]
    token = play(flow(HOME, vertex_credentials=account), script)
    assert (token.value, token.expires_at) == ("ya29.sa", 1_700_003_600.0)


def test_impersonation_by_the_user_of_gcloud() -> None:
    url = "https://iamcredentials.googleapis.com/v1/projects/-/serviceAccounts/a@b:generateAccessToken"
    account = {
        "type": "impersonated_service_account",
        "source_credentials": USER,
        "service_account_impersonation_url": url,
    }
    granted = answer({"accessToken": "ya29.sa", "expireTime": "2023-11-14T23:13:20Z"})
    script = [(request("POST", TOKEN_URL), GRANTED), (request("POST", url, SCOPE), granted)]
    assert play(flow(HOME, vertex_credentials=account), script).value == "ya29.sa"


@pytest.mark.parametrize(
    ("source", "said"),
    [
        ({"environment_id": "aws1", "url": "http://169.254.169.254/x"}, "AWS"),
        ({"executable": {"command": "x"}}, "a program"),
    ],
)
def test_foreign_tokens_that_are_not_supported_say_so(source: dict[str, Any], said: str) -> None:
    with pytest.raises(ProviderError, match=said) as caught:
        play(flow(HOME, vertex_credentials={**EXTERNAL, "credential_source": source}), [])
    assert caught.value.kind == "credentials_unavailable"


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("hello", "not a JSON object"),
        ("[]", "not a JSON object"),
        ("{}", "not a JSON object"),
        ('{"type": "gdch_service_account"}', "'gdch_service_account' are not supported"),
        ('{"type": "authorized_user"}', "lack 'refresh_token'"),
        ('{"type": "service_account"}', "lack 'client_email'"),
    ],
)
def test_files_that_are_not_credentials(content: str, said: str) -> None:
    environment = {**HOME, "GOOGLE_APPLICATION_CREDENTIALS": "/keys/sa.json"}
    with pytest.raises(ProviderError, match=said) as caught:
        play(flow(environment), [file("/keys/sa.json", content)])
    assert caught.value.kind == "malformed_credentials"


def test_a_file_that_is_gone() -> None:
    environment = {**HOME, "GOOGLE_APPLICATION_CREDENTIALS": "/keys/sa.json"}
    with pytest.raises(ProviderError, match=r"/keys/sa\.json"):
        play(flow(environment), [file("/keys/sa.json", None)])


def test_a_revoked_refresh_token() -> None:
    refusal = answer({"error": "invalid_grant", "error_description": "Token has been expired or revoked."}, 400)
    with pytest.raises(ProviderError, match="expired or revoked") as caught:
        play(flow(HOME), [file(GCLOUD, text(USER)), (Fetch, refusal)])
    assert (caught.value.kind, caught.value.retryable) == ("token_refused", False)
    assert "gcloud auth application-default login" in caught.value.fix


def test_the_project_of_the_credentials() -> None:
    assert play(google_project({"vertex_credentials": SERVICE}, {}), []) == "my-project"
    quota = text({**USER, "quota_project_id": "q"})
    assert play(google_project({}, HOME), [file(GCLOUD, quota)]) == "q"
    found = answer(b"gce-project", headers=GOOGLE)
    script = [file(GCLOUD, None), (request("GET", METADATA + "project/project-id"), found)]
    assert play(google_project({}, HOME), script) == "gce-project"
    assert play(google_project({}, HOME), [file(GCLOUD, None), (Fetch, REFUSED)]) is None


@pytest.mark.parametrize(
    ("account", "environment", "project"),
    [
        (USER, {}, None),
        ({**USER, "quota_project_id": "mine"}, {}, "mine"),
        ({**USER, "quota_project_id": "mine"}, {"GOOGLE_CLOUD_QUOTA_PROJECT": "theirs"}, "theirs"),
    ],
)
def test_whose_quota_pays_goes_with_the_token(
    account: dict[str, Any], environment: dict[str, str], project: str | None
) -> None:
    """Vertex AI refuses a person's credentials without a project for the quota."""
    token = play(flow(environment, vertex_credentials=account), [(Fetch, GRANTED)])
    authorization = TokenAuthorization(kind="google", identity="one", flow=lambda now: flow(environment))
    sent = authorization.sign("POST", "https://x.example", {}, b"", token, NOW).headers
    assert sent.get("x-goog-user-project") == project
    assert sent["Authorization"] == "Bearer ya29.x"
