"""Redaction: what a service says of a request, without the secrets that were in the request. Some services quote what
they refuse, and what they say goes into exceptions and logs.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Iterable
from urllib.parse import parse_qsl, quote_plus

from penstock.providers.auth.commands import Fetch

SECRET_HEADERS = frozenset(
    {
        "authorization",
        "x-amz-security-token",
        "x-amz-sso_bearer_token",
        "x-aws-ec2-metadata-token",
        "x-identity-header",
        "x-api-key",
        "x-goog-api-key",
        "api-key",
    }
)
"""Headers with secrets, of token requests and of requests to models, in lower case."""
SECRET_FIELDS = frozenset(
    {
        "apikey",
        "assertion",
        "client_assertion",
        "client_secret",
        "refresh_token",
        "subject_token",
        "WebIdentityToken",
    }
)
"""Form fields of token requests that are secret; errors are about the others: a scope, an audience."""
_SHORTEST = 6
"""What is shorter is no secret, but would be found in words."""
_SIGNATURE = "AWS4-HMAC-SHA256"
_KEY_LIKE = re.compile(r"[A-Za-z0-9/+=]{40,}")


def without_secrets(said: str, command: Fetch) -> str:
    """`said` with the secrets of `command` blackened."""
    fields = parse_qsl(command.body.decode(errors="replace")) if command.body else []
    for secret in secrets_in(command.headers.items(), (value for name, value in fields if name in SECRET_FIELDS)):
        for spelled in (secret, quote_plus(secret)):
            said = said.replace(spelled, "***")
    return said


def without_keys(said: str) -> str:
    """`said` without what looks like a secret key or a session token: for programs, of which no secret is known."""
    return _KEY_LIKE.sub("***", said)


def secrets_in(headers: Iterable[tuple[str, str]], others: Iterable[str] = ()) -> list[str]:
    """The secrets in headers, and `others`, longest first. A signature is none: it holds for one request."""
    values = [value for name, value in headers if name.lower() in SECRET_HEADERS and not value.startswith(_SIGNATURE)]
    words = [word for value in values for word in value.split(" ")[-2:]]
    found = {*words, *(part for word in words for part in _pair(word)), *others}
    return sorted((secret for secret in found if len(secret) >= _SHORTEST), key=len, reverse=True)


def _pair(word: str) -> list[str]:
    """Name and password of a Basic header: the password."""
    try:
        return [base64.b64decode(word, validate=True).decode().partition(":")[2]]
    except (binascii.Error, ValueError):
        return []
