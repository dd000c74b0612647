"""Choosing: from the kinds of authentication that a host accepts and what the caller has, the one that will be used.

The kinds are tried in the row's order, first with what the call itself brought, then with what the environment holds: a
key that somebody passed on purpose beats one that happens to lie in the environment. A kind that is not set up is
passed over; when none is left, the error names the variables that would have helped. AWS and Google come last in a
row's list, as their chains always have one more place to look.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from fnmatch import fnmatchcase
from typing import Any, TypeAlias

from msgspec import Struct

from penstock.providers.auth.authorization import Authorization, KeyAuthorization, TokenAuthorization, user_token
from penstock.providers.auth.commands import Flow
from penstock.providers.auth.credentials import Token, digest
from penstock.providers.auth.kinds import (
    AuthKind,
    AwsSignature,
    AzureOAuth,
    Bearer,
    ClientCredentials,
    GoogleOAuth,
    HeaderKey,
    IbmIam,
    KeyKind,
    NoAuth,
    QueryKey,
)
from penstock.providers.errors import ProviderError

AWS_VARIABLES = "AWS_"
GOOGLE_VARIABLES = (
    "GOOGLE_APPLICATION_CREDENTIALS",
    "GOOGLE_CLOUD_QUOTA_PROJECT",
    "CLOUDSDK_CONFIG",
    "APPDATA",
    "HOME",
    "NO_GCE_CHECK",
)
GOOGLE_METADATA_VARIABLES = ("GCE_METADATA_HOST", "GCE_METADATA_ROOT")
AZURE_VARIABLES = ("AZURE_", "IDENTITY_", "HOME", "USERPROFILE")


class Material(Struct, frozen=True, kw_only=True):
    """What a key may come from: the call's parameters, the environment, the settings of the target, the row's own key
    variables.

    `base_url` is the user's own base URL, "" where the row's is used.
    """

    parameters: Mapping[str, Any]
    environment: Mapping[str, str]
    settings: Mapping[str, str]
    key_environment: tuple[str, ...]
    base_url: str = ""

    def __repr__(self) -> str:
        return f"Material({sorted(self.parameters)})"

    def find(self, parameters: tuple[str, ...], environment: tuple[str, ...]) -> Any:
        """The first value there is: a string, a function of the user's, or None."""
        given = next((self.parameters[name] for name in parameters if self.parameters.get(name)), None)
        return given or next((self.environment[name] for name in environment if self.environment.get(name)), None)


class Chosen(Struct, frozen=True):
    """The authorization, and the base URL that it goes with where its kind has one of its own."""

    authorization: Authorization
    base_url: str | None = None


def choose(kinds: Sequence[AuthKind], material: Material) -> Chosen | None:
    """The first kind that is set up; None where none is. Raises ProviderError where one is set up by half."""
    brought = [kind for kind in kinds if any(material.parameters.get(name) for name in parameters_of(kind))]
    if any(material.parameters.get(name) for name in _PLACES):
        brought += [kind for kind in kinds if not getattr(kind, "base_url", None)]
    for kind in (*brought, *kinds):
        chosen = _CHOOSERS[type(kind)](kind, material)
        if chosen is not None:
            return chosen
    return None


def parameters_of(kind: AuthKind) -> tuple[str, ...]:
    """The call parameters that ask for this kind."""
    if isinstance(kind, Bearer | HeaderKey | QueryKey | IbmIam):
        return kind.parameters
    if isinstance(kind, ClientCredentials):
        return (*kind.basic_parameters, *kind.secret_parameters)
    return _IDENTITY_PARAMETERS.get(type(kind), ())


_IDENTITY_PARAMETERS: dict[type[Any], tuple[str, ...]] = {
    AwsSignature: ("aws_access_key_id", "aws_secret_access_key", "aws_profile_name", "aws_role_name"),
    GoogleOAuth: ("vertex_credentials", "vertex_ai_credentials"),
    AzureOAuth: ("client_secret", "azure_managed_identity", "enable_azure_ad_token_refresh"),
}

_PLACES = ("vertex_project", "vertex_ai_project")
"""Call parameters that say whose account is meant, and so the provider's own address: any kind of authentication will
do but those that go elsewhere (`base_url`), as a key of Vertex AI's express mode does.
"""


def companions_of(kind: AuthKind) -> tuple[str, ...]:
    """The call parameters that are read along with those of `parameters_of`, and alone ask for nothing."""
    return _COMPANIONS.get(type(kind), ())


_COMPANIONS: dict[type[Any], tuple[str, ...]] = {
    AwsSignature: (
        "aws_session_token",
        "aws_session_name",
        "aws_external_id",
        "aws_web_identity_token",
        "aws_sts_endpoint",
    ),
    AzureOAuth: ("tenant_id", "client_id", "azure_scope", "azure_username", "azure_password"),
}


def _key(kind: KeyKind, material: Material) -> Chosen | None:
    key = material.find(kind.parameters, kind.environment or material.key_environment)
    if key is None or not _is_at(kind, material.base_url):
        return None
    if callable(key):
        return Chosen(_from_function(kind, key), kind.base_url)
    key = _checked(str(key).strip())
    if kind.prefixes and not key.startswith(kind.prefixes):
        return None
    extra = {name: template.replace("{key}", key) for name, template in kind.headers.items()}
    if isinstance(kind, QueryKey):
        return Chosen(KeyAuthorization(headers=extra, query={kind.name: key}), kind.base_url)
    name, value = ("Authorization", f"{kind.scheme} {key}") if isinstance(kind, Bearer) else (kind.header, key)
    return Chosen(KeyAuthorization(headers={name: value, **extra}), kind.base_url)


def _checked(key: str) -> str:
    """The key, if a header can carry it. Pasted keys bring typographic quotes, line breaks and invisible characters."""
    odd = next((place for place, character in enumerate(key) if not "!" <= character <= "~" and character != " "), None)
    if odd is None:
        return key
    message = f"The API key holds a character that keys do not have (number {odd + 1} of {len(key)})."
    raise ProviderError("malformed_credentials", message, "Copy the key again, without quotes or line breaks.")


def _is_at(kind: KeyKind, base_url: str) -> bool:
    return not kind.base_urls or any(fnmatchcase(base_url, glob) for glob in kind.base_urls)


def _from_function(kind: KeyKind, function: Callable[[], Any]) -> Authorization:
    header, scheme = ("Authorization", kind.scheme) if isinstance(kind, Bearer) else ("Authorization", "Bearer")
    if isinstance(kind, HeaderKey):
        header, scheme = kind.header, ""
    return TokenAuthorization(
        kind="function",
        identity="",
        flow=lambda now: user_token(function),
        header=header,
        scheme=scheme,
    )


def _none(kind: NoAuth, material: Material) -> Chosen | None:
    return Chosen(KeyAuthorization())


# Each cloud is loaded when it is first chosen: who uses one does not wait for the others.


def _aws(kind: AwsSignature, material: Material) -> Chosen | None:
    from penstock.providers.auth.aws import AwsAuthorization

    region = material.settings.get("region")
    if not region:
        raise ProviderError("missing_setting", "An AWS signature needs a region.", "Set AWS_REGION or aws_region_name.")
    return Chosen(
        AwsAuthorization(
            service=kind.service,
            region=region,
            parameters={name: value for name, value in material.parameters.items() if name.startswith("aws_")},
            environment=_visible(material.environment, (AWS_VARIABLES, "HOME", "USERPROFILE")),
        )
    )


def _google(kind: GoogleOAuth, material: Material) -> Chosen | None:
    from penstock.providers.auth.google import google_token

    environment = _visible(material.environment, (*GOOGLE_VARIABLES, *GOOGLE_METADATA_VARIABLES))
    names = ("vertex_credentials", "vertex_ai_credentials")
    parameters = {name: material.parameters[name] for name in names if material.parameters.get(name)}
    return _token(
        "google",
        lambda now: google_token(parameters, environment, kind.scope, now),
        (kind.scope, parameters, sorted(environment.items())),
    )


def _azure(kind: AzureOAuth, material: Material) -> Chosen | None:
    from penstock.providers.auth import azure

    if not azure.is_configured(material.parameters, material.environment):
        return None
    names = ("tenant_id", "client_id", "client_secret", "azure_managed_identity", "enable_azure_ad_token_refresh")
    parameters = {name: material.parameters[name] for name in names if material.parameters.get(name)}
    environment = _visible(material.environment, AZURE_VARIABLES)
    scope = str(material.parameters.get("azure_scope") or kind.scope)
    return _token(
        "azure",
        lambda now: azure.azure_token(parameters, environment, scope, now),
        (scope, parameters, sorted(environment.items())),
    )


def _ibm(kind: IbmIam, material: Material) -> Chosen | None:
    from penstock.providers.auth.ibm import IAM_URL, ibm_token

    key = material.find(kind.parameters, kind.environment or material.key_environment)
    if not key:
        return None
    url = material.environment.get("WATSONX_IAM_URL") or IAM_URL
    return _token("ibm", lambda now: ibm_token(str(key), now, url), (key, url))


def _client(kind: ClientCredentials, material: Material) -> Chosen | None:
    from penstock.providers.auth.oauth import client_credentials

    basic = material.find(kind.basic_parameters, kind.basic_environment)
    client_id = material.find(kind.id_parameters, kind.id_environment)
    secret = material.find(kind.secret_parameters, kind.secret_environment)
    if not basic and not (client_id and secret):
        return None
    url, scope = (text.format_map(dict(material.settings)) for text in (kind.token_url, kind.scope))

    def flow(now: float) -> Flow[Token]:
        return client_credentials(
            url,
            client_id=str(client_id or ""),
            client_secret=str(secret or ""),
            basic=str(basic or ""),
            scope=scope,
            grant_type=kind.grant_type,
            request_id_header=kind.request_id_header,
            variables=kind.basic_environment or (*kind.id_environment, *kind.secret_environment),
            now=now,
        )

    return _token("client", flow, (url, scope, basic, client_id, secret))


def _token(kind: str, flow: Callable[[float], Flow[Token]], identity: tuple[Any, ...]) -> Chosen:
    return Chosen(TokenAuthorization(kind=kind, identity=digest(*identity), flow=flow))


def _visible(environment: Mapping[str, str], names: tuple[str, ...]) -> dict[str, str]:
    """The variables that a chain may look at: no other secret travels with it."""
    return {name: value for name, value in environment.items() if name.startswith(names)}


Chooser: TypeAlias = Callable[[Any, Material], Chosen | None]

_CHOOSERS: dict[type[Any], Chooser] = {
    Bearer: _key,
    HeaderKey: _key,
    QueryKey: _key,
    NoAuth: _none,
    AwsSignature: _aws,
    GoogleOAuth: _google,
    AzureOAuth: _azure,
    IbmIam: _ibm,
    ClientCredentials: _client,
}
"""One function a kind."""
