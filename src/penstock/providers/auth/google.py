"""Google Application Default Credentials: access tokens from the first of these places that has something.

    1  the call       vertex_credentials: a path, JSON text or an object
    2  environment    GOOGLE_APPLICATION_CREDENTIALS: a path
    3  gcloud         application_default_credentials.json in gcloud's folder (CLOUDSDK_CONFIG, ~/.config/gcloud)
    4  metadata       the metadata server of Google Cloud (GCE_METADATA_HOST), unless NO_GCE_CHECK=true

The JSON says what it is by `type`: service_account (a signed assertion, `auth/google_assertion.py`), authorized_user (a
refresh token), external_account (workload identity federation with a token from a file or an address),
impersonated_service_account (another one's token in exchange for a service account's). An external account whose token
comes from AWS or a program is not supported, and said so.
(docs.cloud.google.com/docs/authentication/application-default-credentials, google.aip.dev/auth)
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NoReturn, TypeAlias

import msgspec
from msgspec.structs import replace

from penstock.providers.auth.aws_profile import in_home
from penstock.providers.auth.commands import Fetch, Fetched, Flow, Unreachable, fetch, place, read_file
from penstock.providers.auth.credentials import Token
from penstock.providers.auth.google_assertion import JWT_BEARER, signed_assertion
from penstock.providers.auth.oauth import exchange, refuse, request_token, token_of
from penstock.providers.errors import ProviderError, ProviderErrorKind

TOKEN_URL = "https://oauth2.googleapis.com/token"  # noqa: S105 (an address)
STS_URL = "https://sts.googleapis.com/v1/token"
METADATA_HOST = "metadata.google.internal"
_METADATA = {"Metadata-Flavor": "Google"}
_FIX = (
    "Set GOOGLE_APPLICATION_CREDENTIALS to a credentials file, run `gcloud auth application-default login`, "
    "or pass vertex_credentials."
)

Account: TypeAlias = dict[str, Any]
"""A decoded credentials file."""


def google_token(parameters: Mapping[str, Any], environment: Mapping[str, str], scope: str, now: float) -> Flow[Token]:
    """An access token for `scope`.

    Raises ProviderError: missing_key, malformed_credentials, credentials_unavailable, token_refused, token_unreachable,
    missing_extra (a service account's assertion needs a signature).
    """
    account = yield from google_account(parameters, environment)
    if account is not None:
        found = yield from _token_of(account, environment, scope, now)
        return _with_quota_project(found, account, environment)
    token = yield from _metadata_token(environment, scope, now)
    if token is None:
        message = (
            "No Google credentials were found (the call, the environment, gcloud and the metadata server were asked)."
        )
        raise ProviderError("missing_key", message, _FIX)
    return token


def _with_quota_project(token: Token, account: Account, environment: Mapping[str, str]) -> Token:
    """Whose quota the requests of a person count against: APIs refuse people's own credentials without
    (docs.cloud.google.com/docs/quotas/set-quota-project).
    """
    project = environment.get("GOOGLE_CLOUD_QUOTA_PROJECT") or account.get("quota_project_id")
    return replace(token, headers={"x-goog-user-project": str(project)}) if project else token


def google_account(parameters: Mapping[str, Any], environment: Mapping[str, str]) -> Flow[Account | None]:
    """The credentials file of places 1 to 3, decoded; None where there is none."""
    given = parameters.get("vertex_credentials") or parameters.get("vertex_ai_credentials")
    if isinstance(given, Mapping):
        return dict(given)
    if isinstance(given, str) and given.lstrip().startswith("{"):
        return _decode(given.encode(), "vertex_credentials")
    path = given or environment.get("GOOGLE_APPLICATION_CREDENTIALS")
    if path:
        content = yield from read_file(in_home(str(path), environment) or str(path))
        if content is None:
            message = f"The Google credentials file {path} cannot be read."
            raise ProviderError("credentials_unavailable", message, "Check GOOGLE_APPLICATION_CREDENTIALS.")
        return _decode(content, str(path))
    path = _gcloud_file(environment)
    content = (yield from read_file(path)) if path else None
    return _decode(content, path or "") if content is not None else None


def google_project(parameters: Mapping[str, Any], environment: Mapping[str, str]) -> Flow[str | None]:
    """The project that the credentials belong to, where they say so; else the one that the metadata server knows."""
    account = yield from google_account(parameters, environment)
    if account is not None:
        return account.get("project_id") or account.get("quota_project_id")
    answer = yield from _ask_metadata(environment, _metadata_request(environment, "project/project-id"))
    return answer.body.decode(errors="replace").strip() if answer and answer.status == 200 else None


def _gcloud_file(environment: Mapping[str, str]) -> str | None:
    name = "application_default_credentials.json"
    if folder := environment.get("CLOUDSDK_CONFIG"):
        return f"{folder}/{name}"
    if folder := environment.get("APPDATA"):
        return f"{folder}/gcloud/{name}"
    return in_home(f"~/.config/gcloud/{name}", environment)


def _decode(content: bytes, where: str) -> Account:
    try:
        account = msgspec.json.decode(content)
    except (msgspec.DecodeError, UnicodeDecodeError):
        account = None
    if not isinstance(account, dict) or "type" not in account:
        message = f"The Google credentials in {where} are not a JSON object with a `type`."
        raise ProviderError("malformed_credentials", message, _FIX)
    return account


def _token_of(account: Account, environment: Mapping[str, str], scope: str, now: float) -> Flow[Token]:
    kind = account["type"]
    exchange_account = _ACCOUNT_TYPES.get(kind)
    if exchange_account is None:
        message = f"Google credentials of type {kind!r} are not supported."
        known = ", ".join(_ACCOUNT_TYPES)
        raise ProviderError("malformed_credentials", message, f"Use one of: {known}.")
    try:
        return (yield from exchange_account(account, environment, scope, now))
    except (KeyError, TypeError, AttributeError) as error:
        message = f"The Google credentials of type {kind!r} lack {error}."
        raise ProviderError("malformed_credentials", message, "Fetch the file anew.") from None


def _service_account(account: Account, environment: Mapping[str, str], scope: str, now: float) -> Flow[Token]:
    url = account.get("token_uri") or TOKEN_URL
    assertion = signed_assertion(account, audience=url, scope=scope, now=now)
    fix = "Check that the service account and its key still exist, and this machine's clock."
    form = {"grant_type": JWT_BEARER, "assertion": assertion}
    return (yield from request_token(url, form, now, who="Google's token service", fix=fix))


def _authorized_user(account: Account, environment: Mapping[str, str], scope: str, now: float) -> Flow[Token]:
    form = {
        "grant_type": "refresh_token",
        "refresh_token": account["refresh_token"],
        "client_id": account["client_id"],
        "client_secret": account["client_secret"],
    }
    fix = "Run `gcloud auth application-default login` again."
    url = account.get("token_uri") or TOKEN_URL
    return (yield from request_token(url, form, now, who="Google's token service", fix=fix))


def _external_account(account: Account, environment: Mapping[str, str], scope: str, now: float) -> Flow[Token]:
    """Workload identity federation (RFC 8693): a foreign token for a federated one, and that for a service account's
    where one is named.
    """
    subject = yield from _subject_token(account, environment)
    impersonation = account.get("service_account_impersonation_url")
    form = {
        "grant_type": "urn:ietf:params:oauth:grant-type:token-exchange",
        "requested_token_type": "urn:ietf:params:oauth:token-type:access_token",
        "audience": account["audience"],
        "scope": "https://www.googleapis.com/auth/cloud-platform" if impersonation else scope,
        "subject_token_type": account["subject_token_type"],
        "subject_token": subject,
    }
    fix = "Check the workload identity pool, its provider and the attribute mapping."
    url = account.get("token_url") or STS_URL
    token = yield from request_token(url, form, now, who="Google's token exchange", fix=fix)
    return (yield from _impersonate(impersonation, token, scope, now)) if impersonation else token


def _impersonated(account: Account, environment: Mapping[str, str], scope: str, now: float) -> Flow[Token]:
    source = account["source_credentials"]
    token = yield from _token_of(source, environment, "https://www.googleapis.com/auth/cloud-platform", now)
    return (yield from _impersonate(account["service_account_impersonation_url"], token, scope, now))


_ACCOUNT_TYPES: dict[str, Callable[[Account, Mapping[str, str], str, float], Flow[Token]]] = {
    "service_account": _service_account,
    "authorized_user": _authorized_user,
    "external_account": _external_account,
    "impersonated_service_account": _impersonated,
}


def _impersonate(url: str, token: Token, scope: str, now: float) -> Flow[Token]:
    body = msgspec.json.encode({"scope": [scope]})
    headers = {"Authorization": f"Bearer {token.value}", "Content-Type": "application/json"}
    fix = "Grant roles/iam.serviceAccountTokenCreator on the service account."
    command = Fetch(method="POST", url=url, headers=headers, body=body)
    return (yield from exchange(command, now, who="Google's impersonation service", fix=fix))


def _subject_token(account: Account, environment: Mapping[str, str]) -> Flow[str]:
    """The foreign token, from a file or an address, as it is or out of a field of JSON."""
    source = account["credential_source"]
    if path := source.get("file"):
        where = f"the file {path}"
        content = yield from read_file(in_home(path, environment) or path)
        if content is None:
            _unavailable(f"{where} cannot be read")
    elif (url := source.get("url")) and "environment_id" not in source:
        where = place(url)
        content = yield from _fetched_subject(url, source.get("headers") or {})
    else:
        _unavailable("tokens from AWS, a program or a certificate are not supported (a file or an address is)")
    layout = source.get("format") or {}
    try:
        if layout.get("type") != "json":
            return content.decode().strip()
        return str(msgspec.json.decode(content)[layout["subject_token_field_name"]])
    except (UnicodeDecodeError, msgspec.DecodeError, KeyError, TypeError):
        _unavailable(f"{where} holds something else than what `format` says")


def _fetched_subject(url: str, headers: Mapping[str, str]) -> Flow[bytes]:
    answer = yield from fetch(Fetch(method="GET", url=url, headers=dict(headers)))
    if isinstance(answer, Unreachable):
        _unavailable(f"{place(url)} did not answer ({answer.reason})", "token_unreachable")
    if answer.status != 200:
        _unavailable(f"{place(url)} answered HTTP {answer.status}", "token_refused", answer.status)
    return answer.body


def _unavailable(why: str, kind: ProviderErrorKind = "credentials_unavailable", status: int | None = None) -> NoReturn:
    message = f"The external account's own token could not be had: {why}."
    fix = "Check credential_source in the Google credentials file."
    raise ProviderError(kind, message, fix, status=status)


def _metadata_token(environment: Mapping[str, str], scope: str, now: float) -> Flow[Token | None]:
    command = _metadata_request(environment, f"instance/service-accounts/default/token?scopes={scope}")
    answer = yield from _ask_metadata(environment, command)
    if answer is None or answer.status == 404:
        return None
    return _read_token(command, answer, now)


def _read_token(command: Fetch, answer: Fetched, now: float) -> Token:
    """The token in an answer that is here already."""
    fix = "Give this machine a service account, or set GOOGLE_APPLICATION_CREDENTIALS."
    try:
        return token_of(answer, now)
    except (TypeError, ValueError, OverflowError):
        refuse("Google's metadata server", command, answer, fix, now)


def _metadata_request(environment: Mapping[str, str], path: str) -> Fetch:
    host = environment.get("GCE_METADATA_HOST") or environment.get("GCE_METADATA_ROOT") or METADATA_HOST
    url = f"http://{host}/computeMetadata/v1/{path}"
    return Fetch(method="GET", url=url, headers=_METADATA, timeout=3.0, direct=True)


def _ask_metadata(environment: Mapping[str, str], command: Fetch) -> Flow[Fetched | None]:
    """None where nobody is there. Who named the server is told that it does not answer, instead."""
    if environment.get("NO_GCE_CHECK", "").lower() == "true":
        return None
    answer = yield from fetch(command)
    if isinstance(answer, Unreachable):
        if answer.sent or environment.get("GCE_METADATA_HOST"):
            message = f"Google's metadata server at {place(command.url)} did not answer: {answer.reason}."
            raise ProviderError("token_unreachable", message, f"Check GCE_METADATA_HOST, or: {_FIX}")
        return None
    if answer.headers.get("metadata-flavor", "").lower() == "google":
        return answer
    if answer.status < 500 and not environment.get("GCE_METADATA_HOST"):
        return None
    message = f"{place(command.url)} answered HTTP {answer.status}, and not as Google's metadata server does"
    raise ProviderError(
        "token_refused",
        f"{message} (no Metadata-Flavor).",
        f"Check GCE_METADATA_HOST, or: {_FIX}",
        status=answer.status,
    )
