"""Every way to a credential that must be asked for: what the caller sets up, where the call goes, and which service is
asked. `tests/e2e/test_credentials.py` holds each of them to the same rules.
"""

from __future__ import annotations

import hashlib
import json
import sys
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, TypeAlias

from penstock.testing.providers import SimulatedProviders
from tests.support.token_services import (
    BASE_KEY,
    BASE_SECRET,
    CLIENT_SECRET,
    IBM_KEY,
    IDENTITY_HEADER,
    POD_TOKEN,
    REFRESH_TOKEN,
    ROLE_ARN,
    SSO_TOKEN,
    SUBJECT_TOKEN,
    WEB_IDENTITY,
    TokenServices,
)

Environment: TypeAlias = dict[str, str]


@dataclass(frozen=True, slots=True)
class Way:
    """One way.

    name       for people
    cloud      which model is called, and how a credential looks there: a key of `CLOUDS`
    service    whose requests count: one for each credential
    set_up     (services, a folder) -> environment variables; writes the files that they point to
    fix        what an error must name: the source that was tried, or a variable to set
    arguments  of the call, besides
    """

    name: str
    cloud: str
    service: str
    set_up: Callable[[TokenServices, Path], Environment]
    fix: str
    arguments: dict[str, Any]


def written(path: Path, content: str | dict[str, Any]) -> str:
    """The path, with its folders made and the content in it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content if isinstance(content, str) else json.dumps(content))
    return str(path)


# -- AWS ---------------------------------------------------------------------------------------------------------------

AWS = {"AWS_REGION": "us-west-2", "AWS_EC2_METADATA_DISABLED": "true"}


def instance(services: TokenServices, folder: Path) -> Environment:
    return {"AWS_REGION": "us-west-2", "AWS_EC2_METADATA_SERVICE_ENDPOINT": services.url, "HOME": str(folder)}


def container(services: TokenServices, folder: Path) -> Environment:
    return AWS | {
        "AWS_CONTAINER_CREDENTIALS_FULL_URI": services.url + "/container",
        "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE": written(folder / "pod-token", POD_TOKEN + "\n"),
    }


def web_identity(services: TokenServices, folder: Path) -> Environment:
    return AWS | {
        "AWS_WEB_IDENTITY_TOKEN_FILE": written(folder / "token", WEB_IDENTITY + "\n"),
        "AWS_ROLE_ARN": ROLE_ARN,
        "AWS_ENDPOINT_URL_STS": services.url + "/sts",
    }


def profile(folder: Path, config: str, credentials: str = "") -> Environment:
    return AWS | {
        "AWS_CONFIG_FILE": written(folder / "config", config),
        "AWS_SHARED_CREDENTIALS_FILE": written(folder / "credentials", credentials),
        "AWS_PROFILE": "work",
        "HOME": str(folder),
    }


def role_of_a_profile(services: TokenServices, folder: Path) -> Environment:
    """A chain of two roles, the first by keys."""
    config = f"""
[profile work]
role_arn = {ROLE_ARN}
source_profile = between
external_id = 7
[profile between]
role_arn = {ROLE_ARN}
source_profile = keys
"""
    keys = f"[keys]\naws_access_key_id = {BASE_KEY}\naws_secret_access_key = {BASE_SECRET}\n"
    return profile(folder, config, keys) | {"AWS_ENDPOINT_URL_STS": services.url + "/sts"}


def process(services: TokenServices, folder: Path) -> Environment:
    """A program with a space in its path."""
    program = "import sys, urllib.request\nsys.stdout.buffer.write(urllib.request.urlopen(sys.argv[1]).read())\n"
    script = written(folder / "a program" / "keys.py", program)
    config = f'[profile work]\ncredential_process = "{sys.executable}" "{script}" {services.url}/process\n'
    return profile(folder, config)


def sso(services: TokenServices, folder: Path) -> Environment:
    """As `aws sso login` leaves it: the name of the cached token's file is the SHA-1 of the session's name."""
    config = """
[profile work]
sso_session = corp
sso_account_id = 123456789012
sso_role_name = Developer
[sso-session corp]
sso_region = eu-central-1
sso_start_url = https://fake.awsapps.com/start
"""
    cached = {"startUrl": "https://fake.awsapps.com/start", "region": "eu-central-1", "accessToken": SSO_TOKEN}
    file = hashlib.sha1(b"corp", usedforsecurity=False).hexdigest() + ".json"
    written(folder / ".aws" / "sso" / "cache" / file, cached | {"expiresAt": "2099-01-01T00:00:00Z"})
    return profile(folder, config) | {"AWS_ENDPOINT_URL_SSO": services.url + "/sso"}


# -- Google ------------------------------------------------------------------------------------------------------------

GOOGLE = {"GOOGLE_CLOUD_PROJECT": "project-fake", "NO_GCE_CHECK": "true"}


@cache
def key_pair() -> tuple[str, Any]:
    """A service account's private key (PEM) and the public one."""
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric import rsa

    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    none, form = serialization.NoEncryption(), serialization.PrivateFormat.PKCS8
    return key.private_bytes(serialization.Encoding.PEM, form, none).decode(), key.public_key()


def google_metadata(services: TokenServices, folder: Path) -> Environment:
    return {"GOOGLE_CLOUD_PROJECT": "project-fake", "GCE_METADATA_HOST": services.host, "HOME": str(folder)}


def google_file(folder: Path, account: dict[str, Any]) -> Environment:
    return GOOGLE | {"GOOGLE_APPLICATION_CREDENTIALS": written(folder / "account.json", account)}


def service_account(services: TokenServices, folder: Path) -> Environment:
    private, services.public_key = key_pair()
    account = {
        "type": "service_account",
        "client_email": "robot@fake.example",
        "private_key": private,
        "private_key_id": "1",
        "token_uri": services.url + "/google/token",
    }
    return google_file(folder, account)


def _user(services: TokenServices) -> dict[str, Any]:
    known = {"refresh_token": REFRESH_TOKEN, "client_id": "client", "client_secret": CLIENT_SECRET}
    return {"type": "authorized_user", "token_uri": services.url + "/google/token"} | known


def authorized_user(services: TokenServices, folder: Path) -> Environment:
    written(folder / ".config" / "gcloud" / "application_default_credentials.json", _user(services))
    return GOOGLE | {"HOME": str(folder)}


def impersonated(services: TokenServices, folder: Path) -> Environment:
    account = {
        "type": "impersonated_service_account",
        "service_account_impersonation_url": services.url + "/google/impersonate",
        "source_credentials": _user(services),
    }
    return google_file(folder, account)


def _federated(services: TokenServices, source: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {
        "type": "external_account",
        "audience": "//iam.fake/pool",
        "subject_token_type": "urn:ietf:params:oauth:token-type:jwt",
        "token_url": services.url + "/google/sts",
        "credential_source": source,
    } | more


def external_file(services: TokenServices, folder: Path) -> Environment:
    return google_file(folder, _federated(services, {"file": written(folder / "subject", SUBJECT_TOKEN + "\n")}))


def external_url(services: TokenServices, folder: Path) -> Environment:
    source = {
        "url": services.url + "/subject",
        "headers": {"X-Who": "tester"},
        "format": {"type": "json", "subject_token_field_name": "id_token"},
    }
    url = services.url + "/google/impersonate"
    return google_file(folder, _federated(services, source, service_account_impersonation_url=url))


# -- Microsoft, IBM, Databricks ----------------------------------------------------------------------------------------

ENTRA = {"AZURE_TENANT_ID": "tenant-fake", "AZURE_CLIENT_ID": "client"}


def azure_secret(services: TokenServices, folder: Path) -> Environment:
    return ENTRA | {"AZURE_CLIENT_SECRET": CLIENT_SECRET, "AZURE_AUTHORITY_HOST": services.url}


def azure_workload(services: TokenServices, folder: Path) -> Environment:
    file = written(folder / "federated", WEB_IDENTITY + "\n")
    return ENTRA | {"AZURE_FEDERATED_TOKEN_FILE": file, "AZURE_AUTHORITY_HOST": services.url + "/"}


def azure_app_service(services: TokenServices, folder: Path) -> Environment:
    return {"IDENTITY_ENDPOINT": services.url + "/msi/token", "IDENTITY_HEADER": IDENTITY_HEADER}


def azure_machine(services: TokenServices, folder: Path) -> Environment:
    return {"AZURE_POD_IDENTITY_AUTHORITY_HOST": services.url}


def ibm(services: TokenServices, folder: Path) -> Environment:
    url = services.url + "/identity/token"
    return {"WATSONX_APIKEY": IBM_KEY, "WATSONX_PROJECT_ID": "project", "WATSONX_IAM_URL": url}


def databricks(services: TokenServices, folder: Path) -> Environment:
    return {
        "DATABRICKS_HOST": services.url,
        "DATABRICKS_CLIENT_ID": "client",
        "DATABRICKS_CLIENT_SECRET": CLIENT_SECRET,
    }


CLOUDS: dict[str, tuple[str, Callable[[SimulatedProviders, TokenServices], dict[str, Any]]]] = {
    "aws": (
        "bedrock/converse/anthropic.claude-sonnet-4-5-20250929-v1:0",
        lambda host, services: {"api_base": host.url("bedrock")},
    ),
    "google": (
        "vertex_ai/gemini-2.5-flash",
        lambda host, services: {"api_base": host.origin + "/vertex/v1beta1/projects/project-fake/locations/global"},
    ),
    "azure": ("azure/gpt-4o", lambda host, services: {"api_base": host.origin + "/azure/openai/v1"}),
    "ibm": ("watsonx/ibm/granite", lambda host, services: {"api_base": services.url}),
    "databricks": ("databricks/model", lambda host, services: {}),
}
"""The model that is called, and where it is."""

WAYS = (
    Way("EC2 instance", "aws", "imds", instance, "instance metadata service", {}),
    Way("container", "aws", "container", container, "AWS_CONTAINER_CREDENTIALS", {}),
    Way("web identity", "aws", "sts", web_identity, "AWS STS", {}),
    Way("role of a profile", "aws", "sts", role_of_a_profile, "AWS STS", {}),
    Way("credential process", "aws", "process", process, "credential_process", {}),
    Way("Identity Center", "aws", "sso", sso, "IAM Identity Center", {}),
    Way("Google metadata", "google", "google metadata", google_metadata, "metadata", {}),
    Way("service account", "google", "google token", service_account, "Google's token service", {}),
    Way("authorized user", "google", "google token", authorized_user, "Google's token service", {}),
    Way("impersonated", "google", "google impersonation", impersonated, "Google's impersonation service", {}),
    Way("external file", "google", "google sts", external_file, "Google's token exchange", {}),
    Way("external address", "google", "google sts", external_url, "Google's token exchange", {}),
    Way("client secret", "azure", "entra", azure_secret, "Microsoft Entra", {}),
    Way("workload identity", "azure", "entra", azure_workload, "Microsoft Entra", {}),
    Way("app service", "azure", "app service", azure_app_service, "managed identity", {}),
    Way("virtual machine", "azure", "azure imds", azure_machine, "managed identity", {"azure_managed_identity": True}),
    Way("IBM IAM", "ibm", "ibm", ibm, "WATSONX_APIKEY", {}),
    Way("Databricks", "databricks", "databricks", databricks, "DATABRICKS_CLIENT_ID", {}),
)
"""One row a way."""
