"""The kinds of authentication, as data: what a provider's row says about how its requests are authorised.

A row lists the kinds that a host accepts, in order; the first whose material is at hand is taken (`auth/choose.py`).
Every kind names where its material comes from: parameter names of the call first, environment variables second. Kinds
that obtain a token or credentials by talking to somebody (AWS, Google, Azure, IBM, OAuth) do so through a flow of
commands, see `auth/commands.py`.

In YAML or JSON a kind is an object with `kind`: `{"kind": "header_key", "header": "x-api-key"}`.
"""

from __future__ import annotations

from typing import TypeAlias

from msgspec import Struct

_KEY = ("api_key",)


class Bearer(Struct, frozen=True, kw_only=True, tag_field="kind", tag="bearer"):
    """`Authorization: Bearer <key>`.

    parameters    call parameters that carry the key, in order
    environment   environment variables that carry it, in order (empty: the provider's `key_environment`)
    scheme        the word before the key ("Bearer", "Token", "Basic", "ZenApiKey")
    prefixes      take this kind only for keys that begin so (Anthropic's OAuth tokens); empty: any key
    headers       sent besides; `{key}` stands for the key
    required      False: a request without a key is sent without the header (local servers)
    base_urls     take this kind only at base URLs of the user's that fit one of these globs; empty: anywhere
    base_url      where requests with this kind of key go, if not to the provider's `base_url`
    """

    parameters: tuple[str, ...] = _KEY
    environment: tuple[str, ...] = ()
    scheme: str = "Bearer"
    prefixes: tuple[str, ...] = ()
    headers: dict[str, str] = {}
    required: bool = True
    base_urls: tuple[str, ...] = ()
    base_url: str | None = None


class HeaderKey(Struct, frozen=True, kw_only=True, tag_field="kind", tag="header_key"):
    """`header`: the key, such as `x-api-key`; the other fields as in `Bearer`."""

    header: str
    parameters: tuple[str, ...] = _KEY
    environment: tuple[str, ...] = ()
    prefixes: tuple[str, ...] = ()
    headers: dict[str, str] = {}
    required: bool = True
    base_urls: tuple[str, ...] = ()
    base_url: str | None = None


class QueryKey(Struct, frozen=True, kw_only=True, tag_field="kind", tag="query_key"):
    """`?name=` and the key in the address; the other fields as in `Bearer`. Addresses end up in logs: prefer a header
    where the host takes one.
    """

    name: str = "key"
    parameters: tuple[str, ...] = _KEY
    environment: tuple[str, ...] = ()
    prefixes: tuple[str, ...] = ()
    headers: dict[str, str] = {}
    required: bool = True
    base_urls: tuple[str, ...] = ()
    base_url: str | None = None


class NoAuth(Struct, frozen=True, kw_only=True, tag_field="kind", tag="none"):
    """Nothing is sent."""


class AwsSignature(Struct, frozen=True, kw_only=True, tag_field="kind", tag="aws_signature"):
    """AWS Signature Version 4 for `service` ("bedrock"), with credentials from the chain of `auth/aws_chain.py`."""

    service: str


class GoogleOAuth(Struct, frozen=True, kw_only=True, tag_field="kind", tag="google_oauth"):
    """A Google access token for `scope` from Application Default Credentials (`auth/google.py`)."""

    scope: str = "https://www.googleapis.com/auth/cloud-platform"


class AzureOAuth(Struct, frozen=True, kw_only=True, tag_field="kind", tag="azure_oauth"):
    """A Microsoft Entra token for `scope`: client secret, federated workload identity or managed identity
    (`auth/azure.py`).
    """

    scope: str = "https://cognitiveservices.azure.com/.default"


class IbmIam(Struct, frozen=True, kw_only=True, tag_field="kind", tag="ibm_iam"):
    """An IBM Cloud IAM token in exchange for an API key (`auth/ibm.py`); `parameters`, `environment` as in `Bearer`."""

    parameters: tuple[str, ...] = _KEY
    environment: tuple[str, ...] = ()


class ClientCredentials(Struct, frozen=True, kw_only=True, tag_field="kind", tag="client_credentials"):
    """An OAuth 2.0 token for a machine (RFC 6749, section 4.4): id and secret in a Basic header.

    token_url                   the address that gives tokens: a template, with the provider's settings as placeholders,
                                and {origin} for scheme and host of the base URL
    scope                       the scope asked for, likewise a template
    id_parameters, id_environment           where the id comes from
    secret_parameters, secret_environment   where the secret comes from
    basic_parameters, basic_environment     where a ready-made `base64(id:secret)` comes from, for hosts that hand out
                                that
    grant_type                  sent in the body; None: left out
    request_id_header           a header that must carry a fresh UUID with each token request
    """

    token_url: str
    scope: str = ""
    id_parameters: tuple[str, ...] = ("client_id",)
    id_environment: tuple[str, ...] = ()
    secret_parameters: tuple[str, ...] = ("client_secret",)
    secret_environment: tuple[str, ...] = ()
    basic_parameters: tuple[str, ...] = ()
    basic_environment: tuple[str, ...] = ()
    grant_type: str | None = "client_credentials"
    request_id_header: str | None = None


KeyKind: TypeAlias = Bearer | HeaderKey | QueryKey
"""The kinds that send a key as it is."""

AuthKind: TypeAlias = (
    Bearer | HeaderKey | QueryKey | NoAuth | AwsSignature | GoogleOAuth | AzureOAuth | IbmIam | ClientCredentials
)
"""Everything that a row may say."""
