"""AWS metadata services: credentials that the machine, the container or the pod was given. They live on the link itself
and need no key.

- container: ECS by AWS_CONTAINER_CREDENTIALS_RELATIVE_URI on a fixed address, EKS pod identity and others by
..._FULL_URI, which must be HTTPS
  or one of the well-known link-local or loopback addresses
  (docs.aws.amazon.com/sdkref/latest/guide/feature-container-credentials.html);
- instance: the metadata service of EC2, version 2 (a session token first), version 1 only where it does not know
version 2 and
  AWS_EC2_METADATA_V1_DISABLED does not forbid it (.../feature-imds-credentials.html).
"""

from __future__ import annotations

from collections.abc import Mapping
from ipaddress import ip_address
from typing import Any, NoReturn
from urllib.parse import urlsplit

import msgspec

from penstock.providers.auth.aws_profile import in_home
from penstock.providers.auth.commands import Fetch, Fetched, Flow, Unreachable, fetch, read_file
from penstock.providers.auth.credentials import AwsCredentials, unix_time
from penstock.providers.errors import ProviderError

CONTAINER_HOST = "http://169.254.170.2"
CONTAINER_HOSTS = frozenset({"169.254.170.2", "169.254.170.23", "fd00:ec2::23", "localhost"})
INSTANCE_HOST = "http://169.254.169.254"
INSTANCE_HOST_IPV6 = "http://[fd00:ec2::254]"
SESSION_SECONDS = "21600"

_ROLE_PATH = "/latest/meta-data/iam/security-credentials/"


def container_credentials(environment: Mapping[str, str]) -> Flow[AwsCredentials | None]:
    """Credentials of the container's role; None where the environment does not point to any."""
    url = _container_url(environment)
    if url is None:
        return None
    token = environment.get("AWS_CONTAINER_AUTHORIZATION_TOKEN")
    if token_file := environment.get("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE"):
        content = yield from read_file(in_home(token_file, environment) or token_file)
        if content is None:
            _unavailable(f"the file {token_file} of AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE cannot be read")
        token = content.decode().strip()
    headers = {"Accept": "application/json"} | ({"Authorization": token} if token else {})
    answer = yield from fetch(Fetch(method="GET", url=url, headers=headers, timeout=2.0, direct=True))
    if isinstance(answer, Unreachable):
        _unavailable(f"the container's credentials service at {url} did not answer ({answer.reason})")
    return from_json(answer, f"container ({url})")


def instance_credentials(environment: Mapping[str, str]) -> Flow[AwsCredentials | None]:
    """Credentials of the instance's role; None where this is no EC2 instance, it has no role, or
    AWS_EC2_METADATA_DISABLED says not to ask.
    """
    if environment.get("AWS_EC2_METADATA_DISABLED", "").lower() == "true":
        return None
    host = _instance_host(environment)
    token = yield from _session_token(host, environment)
    if token is None:
        return None
    headers = {"X-aws-ec2-metadata-token": token} if token else {}
    listing = yield from _ask(Fetch(method="GET", url=host + _ROLE_PATH, headers=headers), environment)
    if isinstance(listing, Unreachable) or listing.status != 200 or not listing.body.strip():
        return None
    role = listing.body.decode(errors="replace").split()[0]
    answer = yield from _ask(Fetch(method="GET", url=f"{host}{_ROLE_PATH}{role}", headers=headers), environment)
    if isinstance(answer, Unreachable):
        _unavailable(f"the instance metadata service at {host} stopped answering ({answer.reason})")
    return from_json(answer, f"instance role {role}")


def from_json(answer: Fetched, source: str) -> AwsCredentials:
    """Credentials out of the JSON that all these services answer with."""
    try:
        wire: Any = msgspec.json.decode(answer.body)
        if answer.status != 200 or wire.get("Code", "Success") != "Success":
            _unavailable(f"{source} answered HTTP {answer.status}: {wire.get('Message') or wire.get('message') or ''}")
        return from_wire(wire, source)
    except (msgspec.DecodeError, AttributeError, KeyError, TypeError, ValueError) as error:
        if isinstance(error, ProviderError):
            raise
        _unavailable(f"{source} answered HTTP {answer.status} with something that is not credentials")


def from_wire(wire: Mapping[str, Any], source: str) -> AwsCredentials:
    """Credentials out of a decoded object; raises KeyError, TypeError or ValueError where it is none."""
    expiration = wire.get("Expiration")
    return AwsCredentials(
        access_key_id=str(wire["AccessKeyId"]),
        secret_access_key=str(wire["SecretAccessKey"]),
        session_token=wire.get("Token") or wire.get("SessionToken"),
        expires_at=unix_time(expiration) if expiration else None,
        source=source,
    )


def _container_url(environment: Mapping[str, str]) -> str | None:
    if relative := environment.get("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI"):
        return CONTAINER_HOST + "/" + relative.lstrip("/")
    full = environment.get("AWS_CONTAINER_CREDENTIALS_FULL_URI")
    if full and not _is_trusted(full):
        message = f"AWS_CONTAINER_CREDENTIALS_FULL_URI points to {full}: neither HTTPS nor an address on this machine."
        raise ProviderError("malformed_credentials", message, "Use HTTPS, a loopback address, or unset the variable.")
    return full or None


def _is_trusted(url: str) -> bool:
    """The authorisation token goes there in the clear, so only to where nobody else listens."""
    parts = urlsplit(url)
    host = parts.hostname or ""
    if parts.scheme == "https" or host in CONTAINER_HOSTS:
        return parts.scheme in ("http", "https")
    try:
        return parts.scheme == "http" and ip_address(host).is_loopback
    except ValueError:
        return False


def _instance_host(environment: Mapping[str, str]) -> str:
    if endpoint := environment.get("AWS_EC2_METADATA_SERVICE_ENDPOINT"):
        return endpoint.rstrip("/")
    ipv6 = environment.get("AWS_EC2_METADATA_SERVICE_ENDPOINT_MODE", "").lower() == "ipv6"
    return INSTANCE_HOST_IPV6 if ipv6 else INSTANCE_HOST


def _session_token(host: str, environment: Mapping[str, str]) -> Flow[str | None]:
    """The token of version 2; "" where only version 1 is spoken and allowed; None where nobody is there."""
    headers = {"X-aws-ec2-metadata-token-ttl-seconds": SESSION_SECONDS}
    answer = yield from _ask(Fetch(method="PUT", url=f"{host}/latest/api/token", headers=headers), environment)
    if isinstance(answer, Unreachable):
        return None
    if answer.status == 200:
        return answer.body.decode(errors="replace").strip()
    version_1_forbidden = environment.get("AWS_EC2_METADATA_V1_DISABLED", "").lower() == "true"
    return None if version_1_forbidden or answer.status not in (403, 404, 405) else ""


def _ask(command: Fetch, environment: Mapping[str, str]) -> Flow[Fetched | Unreachable]:
    """Up to AWS_METADATA_SERVICE_NUM_ATTEMPTS (1) tries of AWS_METADATA_SERVICE_TIMEOUT (1) seconds: off EC2, nobody
    answers.
    """
    command = msgspec.structs.replace(
        command, timeout=_number(environment, "AWS_METADATA_SERVICE_TIMEOUT", 1.0), direct=True
    )
    attempts = int(_number(environment, "AWS_METADATA_SERVICE_NUM_ATTEMPTS", 1.0))
    answer: Fetched | Unreachable = Unreachable("not tried")
    for _ in range(max(1, attempts)):
        answer = yield from fetch(command)
        if isinstance(answer, Fetched) and answer.status < 500:
            break
    return answer


def _number(environment: Mapping[str, str], variable: str, default: float) -> float:
    text = environment.get(variable)
    try:
        return float(text) if text else default
    except ValueError:
        message = f"The environment variable {variable} must be a number, not {text!r}."
        raise ProviderError("malformed_credentials", message, "Correct it or unset it.") from None


def _unavailable(why: str) -> NoReturn:
    raise ProviderError("credentials_unavailable", f"AWS credentials could not be fetched: {why.strip().rstrip('.')}.")
