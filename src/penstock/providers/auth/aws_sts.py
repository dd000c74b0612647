"""AWS Security Token Service: temporary credentials of a role, for other credentials or for the token of an identity
provider.

Two calls of one Query API (docs.aws.amazon.com/STS/latest/APIReference): AssumeRole is signed,
AssumeRoleWithWebIdentity carries its proof in the form. Both answer with the same four XML elements.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from html import unescape
from urllib.parse import urlencode

from msgspec import Struct

from penstock.providers.auth.clock import clock_advice
from penstock.providers.auth.commands import Fetch, Flow, Unreachable, fetch, place
from penstock.providers.auth.credentials import AwsCredentials, unix_time
from penstock.providers.auth.redact import without_secrets
from penstock.providers.auth.sigv4 import sign
from penstock.providers.errors import ProviderError

_FORM = {"Content-Type": "application/x-www-form-urlencoded; charset=utf-8"}


class Role(Struct, frozen=True, kw_only=True):
    """A role to assume: `duration` in seconds (None: the role's own default), `session_name` shows up in the role's
    audit log.
    """

    arn: str
    session_name: str
    external_id: str | None = None
    duration: str | None = None

    def form(self, action: str) -> dict[str, str]:
        """The fields that both calls share."""
        fields = {
            "Action": action,
            "Version": "2011-06-15",
            "RoleArn": self.arn,
            "RoleSessionName": self.session_name,
            "ExternalId": self.external_id,
            "DurationSeconds": self.duration,
        }
        return {name: value for name, value in fields.items() if value}


class Service(Struct, frozen=True, kw_only=True):
    """Where STS is: its address and the region that requests to it are signed for."""

    url: str
    region: str


def service(region: str | None, endpoint: str | None = None) -> Service:
    """The regional service where a region is known (as AWS recommends), else the global one. `endpoint` is the user's
    own address.
    """
    if endpoint:
        return Service(url=endpoint, region=region or "us-east-1")
    if not region:
        return Service(url="https://sts.amazonaws.com/", region="us-east-1")
    suffix = "amazonaws.com.cn" if region.startswith("cn-") else "amazonaws.com"
    return Service(url=f"https://sts.{region}.{suffix}/", region=region)


def assume_role(role: Role, base: AwsCredentials, at: Service, now: float) -> Flow[AwsCredentials]:
    """The credentials of `role`, for those of `base`."""
    body = urlencode(role.form("AssumeRole")).encode()
    signed = sign("POST", at.url, _FORM, body, credentials=base, region=at.region, service="sts", now=now)
    return (yield from _ask(role, Fetch(method="POST", url=at.url, headers={**_FORM, **signed}, body=body), now))


def assume_role_with_web_identity(role: Role, token: str, at: Service, now: float) -> Flow[AwsCredentials]:
    """The credentials of `role`, for the token of an identity provider (OpenID Connect)."""
    form = {**role.form("AssumeRoleWithWebIdentity"), "WebIdentityToken": token}
    form.pop("ExternalId", None)
    return (yield from _ask(role, Fetch(method="POST", url=at.url, headers=_FORM, body=urlencode(form).encode()), now))


def _ask(role: Role, command: Fetch, now: float) -> Flow[AwsCredentials]:
    answer = yield from fetch(command)
    if isinstance(answer, Unreachable):
        message = f"AWS STS at {place(command.url)} did not answer: {answer.reason}."
        fix = "Check the network, or set aws_sts_endpoint or AWS_ENDPOINT_URL_STS."
        raise ProviderError("token_unreachable", message, fix)
    elements = _elements(answer.body.decode(errors="replace"))
    try:
        if answer.status != 200:
            raise KeyError(answer.status)
        return _credentials(elements, role)
    except (KeyError, ValueError):
        said = ": ".join(elements[name] for name in ("Code", "Message") if elements.get(name))
        shown = without_secrets(said or "nothing that could be read", command)[:300].rstrip(".")
        message = f"AWS STS at {place(command.url)} refused the role {role.arn} (HTTP {answer.status}): {shown}."
        fix = "Check AWS_ROLE_ARN (or the profile's role_arn), the role's trust policy, and whose credentials ask."
        fix = f"{clock_advice(said, answer.headers, now)} {fix}".strip()
        raise ProviderError("token_refused", message, fix, status=answer.status) from None


def _credentials(elements: Mapping[str, str], role: Role) -> AwsCredentials:
    return AwsCredentials(
        access_key_id=elements["AccessKeyId"],
        secret_access_key=elements["SecretAccessKey"],
        session_token=elements["SessionToken"],
        expires_at=unix_time(elements["Expiration"]) if "Expiration" in elements else None,
        source=f"role {role.arn}",
    )


def _elements(xml: str) -> dict[str, str]:
    """The text of the innermost elements. No XML parser: the answer is flat, and it comes from outside."""
    return {name: unescape(text) for name, text in re.findall(r"<(\w+)>([^<]*)</\1>", xml)}
