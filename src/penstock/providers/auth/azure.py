"""Microsoft Entra ID: tokens for Azure resources, from the first of these that is set up.

    1  client secret        tenant_id, client_id, client_secret (AZURE_TENANT_ID, AZURE_CLIENT_ID, AZURE_CLIENT_SECRET)
    2  workload identity    AZURE_FEDERATED_TOKEN_FILE with tenant and client (AKS, GitHub Actions)
    3  managed identity     IDENTITY_ENDPOINT + IDENTITY_HEADER (App Service, Functions, Container Apps), or the
                            metadata service of a virtual machine, which is asked only where the call says
                            azure_managed_identity=True (or enable_azure_ad_token_refresh=True), because off Azure it
                            does not answer (AZURE_POD_IDENTITY_AUTHORITY_HOST: where else it is)

(learn.microsoft.com/entra/identity-platform/v2-oauth2-client-creds-grant-flow,
.../managed-identities-azure-resources/how-to-use-vm-token)
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import urlencode

from penstock.providers.auth.aws_profile import in_home
from penstock.providers.auth.commands import Fetch, Flow, read_text
from penstock.providers.auth.credentials import Token
from penstock.providers.auth.oauth import exchange, request_token
from penstock.providers.errors import ProviderError

LOGIN = "https://login.microsoftonline.com"
VM_METADATA = "http://169.254.169.254"
_JWT_BEARER = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
_WHO = "Microsoft Entra ID"


def is_configured(parameters: Mapping[str, Any], environment: Mapping[str, str]) -> bool:
    """Whether any of the ways is set up, told without asking anybody."""
    identity = _Identity(parameters, environment)
    return bool(
        identity.complete(identity.secret)
        or identity.complete(identity.token_file)
        or environment.get("IDENTITY_ENDPOINT")
        or identity.managed
    )


def azure_token(parameters: Mapping[str, Any], environment: Mapping[str, str], scope: str, now: float) -> Flow[Token]:
    """A token for `scope` ("https://cognitiveservices.azure.com/.default").

    Raises ProviderError: missing_key, credentials_unavailable, token_unreachable, token_refused.
    """
    identity = _Identity(parameters, environment)
    if identity.complete(identity.secret):
        form = {"grant_type": "client_credentials", "scope": scope, "client_secret": identity.secret}
        return (yield from _login(identity, form, now))
    if identity.complete(identity.token_file):
        return (yield from _federated(identity, scope, now))
    if environment.get("IDENTITY_ENDPOINT") or identity.managed:
        return (yield from _managed(identity, scope, now))
    message = "No Microsoft Entra credentials were found."
    fix = "Set AZURE_TENANT_ID, AZURE_CLIENT_ID and AZURE_CLIENT_SECRET."
    raise ProviderError("missing_key", message, fix)


class _Identity:
    """The names of the tenant and the client, from the call or the environment."""

    def __init__(self, parameters: Mapping[str, Any], environment: Mapping[str, str]) -> None:
        self.environment = environment
        self.tenant = str(parameters.get("tenant_id") or environment.get("AZURE_TENANT_ID") or "")
        self.client = str(parameters.get("client_id") or environment.get("AZURE_CLIENT_ID") or "")
        self.secret = str(parameters.get("client_secret") or environment.get("AZURE_CLIENT_SECRET") or "")
        self.token_file = environment.get("AZURE_FEDERATED_TOKEN_FILE", "")
        self.authority = _address(environment.get("AZURE_AUTHORITY_HOST") or LOGIN)
        self.metadata = _address(environment.get("AZURE_POD_IDENTITY_AUTHORITY_HOST") or VM_METADATA)
        self.managed = bool(parameters.get("azure_managed_identity") or parameters.get("enable_azure_ad_token_refresh"))

    def complete(self, proof: str) -> bool:
        return bool(proof and self.tenant and self.client)


def _address(host: str) -> str:
    """Azure's own libraries take a bare host name, too."""
    return (host if "://" in host else f"https://{host}").rstrip("/")


def _login(identity: _Identity, form: Mapping[str, str], now: float) -> Flow[Token]:
    url = f"{identity.authority}/{identity.tenant}/oauth2/v2.0/token"
    fix = "Check AZURE_TENANT_ID, AZURE_CLIENT_ID and the client's secret, and its role on the resource."
    return (yield from request_token(url, {**form, "client_id": identity.client}, now, who=_WHO, fix=fix))


def _federated(identity: _Identity, scope: str, now: float) -> Flow[Token]:
    token = yield from read_text(in_home(identity.token_file, identity.environment) or identity.token_file)
    if token is None:
        message = f"The federated token file {identity.token_file} cannot be read."
        raise ProviderError("credentials_unavailable", message, "Check AZURE_FEDERATED_TOKEN_FILE.")
    form = {
        "grant_type": "client_credentials",
        "scope": scope,
        "client_assertion_type": _JWT_BEARER,
        "client_assertion": token,
    }
    return (yield from _login(identity, form, now))


def _managed(identity: _Identity, scope: str, now: float) -> Flow[Token]:
    """Managed identities know resources, not scopes: the scope without its last segment."""
    query = {"resource": scope.removesuffix("/.default")} | ({"client_id": identity.client} if identity.client else {})
    if endpoint := identity.environment.get("IDENTITY_ENDPOINT"):
        headers = {"X-IDENTITY-HEADER": identity.environment.get("IDENTITY_HEADER", "")}
        url = f"{endpoint}?{urlencode({'api-version': '2019-08-01', **query})}"
    else:
        headers = {"Metadata": "true"}
        url = f"{identity.metadata}/metadata/identity/oauth2/token?{urlencode({'api-version': '2018-02-01', **query})}"
    command = Fetch(method="GET", url=url, headers=headers, timeout=5.0, direct=True)
    fix = (
        "Give this machine a managed identity with a role on the resource (AZURE_CLIENT_ID names one of several), or "
        "set AZURE_TENANT_ID, AZURE_CLIENT_ID and AZURE_CLIENT_SECRET."
    )
    return (yield from exchange(command, now, who="The managed identity service", fix=fix))
