"""Refusals: what a host says no with, before and after its dialect reads it.

Before: without the secrets of the request. Some hosts quote what they refuse (a server that names the wrong key, AWS
with the whole canonical request in it, a debugging proxy that echoes headers), and what they say ends in exceptions and
logs. After: with what the answer tells of this machine's clock, where the request was made with something that holds
for minutes only.
"""

from __future__ import annotations

from collections.abc import Callable

from msgspec import Struct
from msgspec.structs import replace

from penstock.exchange import HTTPRequest, Reply
from penstock.providers.auth.authorization import Authorization
from penstock.providers.auth.clock import clock_advice
from penstock.providers.auth.redact import secrets_in
from penstock.types.errors import ErrorResponse

_OF_THE_CREDENTIAL = frozenset({400, 401, 403})
"""Statuses with which hosts refuse a signature of another time."""


class Sent(Struct, frozen=True):
    """A request that left, how it was authorised, and when (Unix seconds)."""

    request: HTTPRequest
    auth: Authorization
    moment: float


def cleared(reply: Reply, sent: Sent | None) -> Reply:
    """The reply without the secrets of the request."""
    if sent is None or not reply.body:
        return reply
    body = reply.body
    for secret in secrets_in(sent.request.headers, getattr(sent.auth, "query", {}).values()):
        for spelled in (secret, secret.replace("/", "\\/")):
            body = body.replace(spelled.encode(), b"***")
    return reply if body is reply.body else replace(reply, body=body)


def read_refusal(reply: Reply, sent: Sent | None, read: Callable[[Reply], ErrorResponse]) -> ErrorResponse:
    """What `read` makes of the refusal."""
    error = read(cleared(reply, sent))
    if sent is None or reply.status not in _OF_THE_CREDENTIAL or not sent.auth.needs_credential:
        return error
    advice = clock_advice(error.message, reply.headers, sent.moment)
    return replace(error, message=f"{error.message.rstrip('. ')}. {advice}") if advice else error
