"""AWS IAM Identity Center (SSO): the keys of a role, for the token that `aws sso login` has left in its cache.

Signing in takes a person and a browser, and is left to the AWS CLI. From then on, for some hours, the token in
`~/.aws/sso/cache/<SHA-1 of the session's name, or of the start URL>.json` is worth keys, which one request fetches. The
token is not refreshed here: a refreshed one would have to be written back, into a cache that is not ours.
(docs.aws.amazon.com/sdkref/latest/guide/feature-sso-credentials.html,
docs.aws.amazon.com/singlesignon/latest/PortalAPIReference/API_GetRoleCredentials.html)
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any, NoReturn
from urllib.parse import urlencode

import msgspec
from msgspec import Struct

from penstock.providers.auth.aws_profile import AwsFiles, in_home
from penstock.providers.auth.commands import Fetch, Flow, Unreachable, fetch, read_file
from penstock.providers.auth.credentials import AwsCredentials, unix_time
from penstock.providers.auth.redact import without_secrets
from penstock.providers.errors import ProviderError, ProviderErrorKind


class SingleSignOn(Struct, frozen=True, kw_only=True):
    """What a profile says of it. `cached_as` names the token in the cache: the session, or the start URL."""

    profile: str
    account_id: str
    role_name: str
    region: str
    cached_as: str


class _CachedToken(Struct, frozen=True, kw_only=True, rename="camel"):
    access_token: str
    expires_at: str


def signs_in(settings: Mapping[str, str]) -> bool:
    """Whether a profile signs in that way."""
    return "sso_session" in settings or "sso_start_url" in settings


def single_sign_on(profile: str, files: AwsFiles) -> SingleSignOn:
    """What the files say. Raises ProviderError (malformed_credentials) where something is missing."""
    settings = files.profiles[profile]
    session = settings.get("sso_session")
    shared = settings if session is None else files.sso_sessions.get(session, {})
    values = {
        "sso_account_id": settings.get("sso_account_id"),
        "sso_role_name": settings.get("sso_role_name"),
        "sso_region": shared.get("sso_region") or settings.get("sso_region"),
        "sso_start_url": shared.get("sso_start_url"),
    }
    absent = ", ".join(name for name, value in values.items() if not value)
    if absent:
        where = f"[sso-session {session}] or the profile" if session else "it"
        message = f"The AWS profile {profile!r} signs in with IAM Identity Center, but {where} lacks {absent}."
        raise ProviderError("malformed_credentials", message, f"Run `aws configure sso --profile {profile}`.")
    return SingleSignOn(
        profile=profile,
        account_id=str(values["sso_account_id"]),
        role_name=str(values["sso_role_name"]),
        region=str(values["sso_region"]),
        cached_as=session or str(values["sso_start_url"]),
    )


def sso_credentials(
    sign_on: SingleSignOn, environment: Mapping[str, str], endpoint: str | None, now: float
) -> Flow[AwsCredentials]:
    """The keys of the role. Raises ProviderError: credentials_unavailable where nobody is signed in,
    token_unreachable, token_refused.
    """
    token = yield from _cached_token(sign_on, environment, now)
    query = urlencode({"role_name": sign_on.role_name, "account_id": sign_on.account_id})
    base = (endpoint or f"https://portal.sso.{sign_on.region}.amazonaws.com").rstrip("/")
    url = f"{base}/federation/credentials?{query}"
    command = Fetch(method="GET", url=url, headers={"x-amz-sso_bearer_token": token})
    answer = yield from fetch(command)
    if isinstance(answer, Unreachable):
        _fail(sign_on, f"{base} did not answer ({answer.reason})", "token_unreachable")
    wire = _object(answer.body)
    if answer.status != 200:
        said = without_secrets(str(wire.get("message") or "nothing that could be read"), command)[:300].rstrip(".")
        _fail(sign_on, f"{base} answered HTTP {answer.status}: {said}", "token_refused", answer.status)
    try:
        keys = wire["roleCredentials"]
        return AwsCredentials(
            access_key_id=str(keys["accessKeyId"]),
            secret_access_key=str(keys["secretAccessKey"]),
            session_token=str(keys["sessionToken"]),
            expires_at=float(keys["expiration"]) / 1000,
            source=f"IAM Identity Center, profile {sign_on.profile}",
        )
    except (KeyError, TypeError, ValueError, OverflowError):
        _fail(sign_on, f"{base} answered with something that is not credentials")


def _cached_token(sign_on: SingleSignOn, environment: Mapping[str, str], now: float) -> Flow[str]:
    name = hashlib.sha1(sign_on.cached_as.encode(), usedforsecurity=False).hexdigest()
    path = in_home(f"~/.aws/sso/cache/{name}.json", environment)
    content = (yield from read_file(path)) if path else None
    if content is None:
        _fail(sign_on, f"nobody is signed in (there is no {path or '~/.aws/sso/cache'})")
    try:
        cached = msgspec.json.decode(content, type=_CachedToken)
        expires_at = unix_time(cached.expires_at)
    except (msgspec.MsgspecError, UnicodeDecodeError, ValueError):
        _fail(sign_on, f"{path} is not what `aws sso login` writes")
    if expires_at <= now:
        _fail(sign_on, f"the sign-in ended at {cached.expires_at}")
    return cached.access_token


def _object(body: bytes) -> dict[str, Any]:
    try:
        wire = msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return {}
    return wire if isinstance(wire, dict) else {}


def _fail(
    sign_on: SingleSignOn, why: str, kind: ProviderErrorKind = "credentials_unavailable", status: int | None = None
) -> NoReturn:
    message = f"The AWS profile {sign_on.profile!r} signs in with IAM Identity Center (SSO): {why}."
    raise ProviderError(kind, message, f"Run `aws sso login --profile {sign_on.profile}`.", status=status)
