"""AWS metadata services: credentials that the machine, the container or the pod was given. They live on the link itself
and need no key.

- container: ECS by AWS_CONTAINER_CREDENTIALS_RELATIVE_URI on a fixed address, EKS pod identity and others by
  ..._FULL_URI, which must be HTTPS or one of the well-known link-local or loopback addresses
  (docs.aws.amazon.com/sdkref/latest/guide/feature-container-credentials.html);
- instance: the metadata service of EC2, version 2 (a session token first). Version 1 is spoken only where the service
  does not know version 2, or its token never arrives (in a container whose packets may make no second hop), and
  AWS_EC2_METADATA_V1_DISABLED does not forbid it (.../feature-imds-credentials.html).

A source that is not there is `Absent`, and says why; one that is there and fails is an error.
"""

from __future__ import annotations

from collections.abc import Mapping
from ipaddress import ip_address
from typing import Any, NoReturn
from urllib.parse import quote, urlsplit

import msgspec
from msgspec import Struct

from penstock.providers.auth.aws_profile import in_home
from penstock.providers.auth.commands import Fetch, Fetched, Flow, Unreachable, fetch, place, read_text
from penstock.providers.auth.credentials import AwsCredentials, unix_time
from penstock.providers.auth.redact import without_secrets
from penstock.providers.errors import ProviderError, ProviderErrorKind

CONTAINER_HOST = "http://169.254.170.2"
CONTAINER_HOSTS = frozenset({"169.254.170.2", "169.254.170.23", "fd00:ec2::23", "localhost"})
INSTANCE_HOST = "http://169.254.169.254"
INSTANCE_HOST_IPV6 = "http://[fd00:ec2::254]"
SESSION_SECONDS = "21600"

_ROLE_PATH = "/latest/meta-data/iam/security-credentials/"


class Absent(Struct, frozen=True):
    """A source that has no credentials, and why: words for the error that is raised when none has."""

    why: str


def container_credentials(environment: Mapping[str, str]) -> Flow[AwsCredentials | Absent]:
    """Credentials of the container's role; Absent where the environment does not point to any."""
    url = _container_url(environment)
    if url is None:
        return Absent("AWS_CONTAINER_CREDENTIALS_FULL_URI is not set")
    token = environment.get("AWS_CONTAINER_AUTHORIZATION_TOKEN")
    if token_file := environment.get("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE"):
        token = yield from read_text(in_home(token_file, environment) or token_file)
        if token is None:
            _unavailable(f"the file {token_file} of AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE cannot be read")
    headers = {"Accept": "application/json"} | ({"Authorization": token} if token else {})
    command = Fetch(method="GET", url=url, headers=headers, timeout=2.0, direct=True)
    where = f"the container's credentials service at {place(url)} (AWS_CONTAINER_CREDENTIALS_...)"
    return read_credentials((yield from fetch(command)), command, where, f"container ({place(url)})")


def instance_credentials(environment: Mapping[str, str]) -> Flow[AwsCredentials | Absent]:
    """Credentials of the instance's role; Absent where this is no EC2 instance, it has no role, or
    AWS_EC2_METADATA_DISABLED says not to ask.
    """
    if environment.get("AWS_EC2_METADATA_DISABLED", "").lower() == "true":
        return Absent("AWS_EC2_METADATA_DISABLED forbids to ask the instance")
    host = _instance_host(environment)
    where = f"the instance metadata service at {host}"
    token = yield from _session_token(host, where, environment)
    if isinstance(token, Absent):
        return token
    headers = {"X-aws-ec2-metadata-token": token} if token else {}
    command = Fetch(method="GET", url=host + _ROLE_PATH, headers=headers)
    listing = yield from _ask(command, environment)
    if isinstance(listing, Fetched) and listing.status == 404:
        return Absent(f"{where} knows no role of this instance")
    role = _checked(listing, command, where).body.decode(errors="replace").split()
    if not role:
        return Absent(f"{where} knows no role of this instance")
    command = Fetch(method="GET", url=f"{host}{_ROLE_PATH}{quote(role[0], safe='+=,.@-_')}", headers=headers)
    where = f"{where}, for the role {role[0]}"
    return read_credentials((yield from _ask(command, environment)), command, where, f"instance role {role[0]}")


def read_credentials(answer: Fetched | Unreachable, command: Fetch, where: str, source: str) -> AwsCredentials:
    """Credentials out of the JSON that all these services answer with. `where` names the service in errors, `source`
    in what was found. Raises ProviderError (token_unreachable, token_refused, credentials_unavailable).
    """
    found = _checked(answer, command, where)
    try:
        wire: Any = msgspec.json.decode(found.body)
        if wire.get("Code", "Success") != "Success":
            said = f"{wire['Code']} {wire.get('Message') or ''}".strip()
            _unavailable(f"{where} says {without_secrets(said, command)}")
        return from_wire(wire, source)
    except ProviderError:
        raise
    except (msgspec.DecodeError, AttributeError, KeyError, TypeError, ValueError):
        _unavailable(f"{where} answered HTTP {found.status} with something that is not credentials")


def _checked(answer: Fetched | Unreachable, command: Fetch, source: str) -> Fetched:
    """An answer of 200. Raises ProviderError (token_unreachable, token_refused)."""
    if isinstance(answer, Unreachable):
        _failed("token_unreachable", f"{source} did not answer ({answer.reason})")
    if answer.status != 200:
        said = without_secrets(_said(answer), command)[:300]
        _failed("token_refused", f"{source} answered HTTP {answer.status}{said}", answer.status)
    return answer


def _said(answer: Fetched) -> str:
    """The message in a refusal, where it has one."""
    try:
        wire = msgspec.json.decode(answer.body)
        said = wire.get("Message") or wire.get("message")
    except (msgspec.DecodeError, UnicodeDecodeError, AttributeError):
        said = None
    return f": {said}" if said else ""


def from_wire(wire: Mapping[str, Any], source: str) -> AwsCredentials:
    """Credentials out of a decoded object; raises KeyError, TypeError or ValueError where it is none."""
    expiration = wire.get("Expiration")
    return AwsCredentials(
        access_key_id=str(wire["AccessKeyId"]),
        secret_access_key=str(wire["SecretAccessKey"]),
        session_token=str(session) if (session := wire.get("Token") or wire.get("SessionToken")) else None,
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


def _session_token(host: str, where: str, environment: Mapping[str, str]) -> Flow[str | Absent]:
    """The token of version 2; "" where only version 1 is spoken and allowed; Absent where nobody is there."""
    headers = {"X-aws-ec2-metadata-token-ttl-seconds": SESSION_SECONDS}
    command = Fetch(method="PUT", url=f"{host}/latest/api/token", headers=headers)
    answer = yield from _ask(command, environment)
    if isinstance(answer, Unreachable) and not answer.sent:
        return Absent(f"{where} did not answer ({answer.reason})")
    if isinstance(answer, Fetched) and answer.status == 200:
        return answer.body.decode(errors="replace").strip()
    if isinstance(answer, Unreachable) or answer.status in (403, 404, 405):
        if environment.get("AWS_EC2_METADATA_V1_DISABLED", "").lower() != "true":
            return ""
        of_it = answer.reason if isinstance(answer, Unreachable) else f"HTTP {answer.status}"
        forbidden = "AWS_EC2_METADATA_V1_DISABLED forbids version 1"
        return Absent(f"{where} gave no token of version 2 ({of_it}), and {forbidden}")
    return _checked(answer, command, where).body.decode(errors="replace")


def _ask(command: Fetch, environment: Mapping[str, str]) -> Flow[Fetched | Unreachable]:
    """Up to AWS_METADATA_SERVICE_NUM_ATTEMPTS (1) tries of AWS_METADATA_SERVICE_TIMEOUT (1) seconds: off EC2, nobody
    answers.
    """
    command = msgspec.structs.replace(
        command, timeout=_number(environment, "AWS_METADATA_SERVICE_TIMEOUT", 1.0), direct=True
    )
    attempts = _number(environment, "AWS_METADATA_SERVICE_NUM_ATTEMPTS", 1.0)
    answer: Fetched | Unreachable = Unreachable("not tried")
    for _ in range(max(1, min(100, int(attempts)))):
        answer = yield from fetch(command)
        if isinstance(answer, Fetched) and answer.status < 500:
            break
    return answer


def _number(environment: Mapping[str, str], variable: str, default: float) -> float:
    text = environment.get(variable)
    try:
        number = float(text) if text else default
        if not 0 < number < float("inf"):
            raise ValueError("not above 0")
        return number
    except ValueError:
        message = f"The environment variable {variable} must be a number above 0, not {text!r}."
        raise ProviderError("malformed_credentials", message, "Correct it or unset it.") from None


def _unavailable(why: str) -> NoReturn:
    _failed("credentials_unavailable", why)


def _failed(kind: ProviderErrorKind, why: str, status: int | None = None) -> NoReturn:
    message = f"AWS credentials could not be fetched: {why.strip().rstrip('.')}."
    fix = "Mend that, or set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, which come before it."
    raise ProviderError(kind, message, fix, status=status)
