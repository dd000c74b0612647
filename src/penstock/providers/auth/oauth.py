"""OAuth 2.0 token requests: a form goes to a token address, JSON with `access_token` and a lifetime comes back (RFC
6749, sections 4.4 and 5).

Google, Microsoft, IBM, Databricks and GigaChat differ in the form; they share this exchange and its errors.
"""

from __future__ import annotations

import base64
import math
from collections.abc import Mapping, Sequence
from typing import Any, NoReturn
from urllib.parse import urlencode

import msgspec

from penstock.providers.auth.clock import clock_advice
from penstock.providers.auth.commands import Fetch, Fetched, Flow, Unreachable, fetch, place
from penstock.providers.auth.credentials import Token, unix_time
from penstock.providers.auth.redact import without_secrets
from penstock.providers.errors import ProviderError

_FORM = {"Content-Type": "application/x-www-form-urlencoded", "Accept": "application/json"}


def request_token(
    url: str, form: Mapping[str, str], now: float, *, headers: Mapping[str, str] | None = None, who: str, fix: str
) -> Flow[Token]:
    """Ask for a token. `who` names the token service in errors, `fix` says what to check when it refuses.

    Raises ProviderError: token_unreachable, token_refused.
    """
    body = urlencode(form).encode()
    command = Fetch(method="POST", url=url, headers={**_FORM, **(headers or {})}, body=body)
    return (yield from exchange(command, now, who=who, fix=fix))


def exchange(command: Fetch, now: float, *, who: str, fix: str) -> Flow[Token]:
    """Send `command` and read a token from the answer. Raises ProviderError: token_unreachable, token_refused."""
    answer = yield from fetch(command)
    if isinstance(answer, Unreachable):
        message = f"{who} at {place(command.url)} did not answer: {answer.reason}."
        raise ProviderError("token_unreachable", message, fix)
    try:
        return token_of(answer, now)
    except (TypeError, ValueError, OverflowError):
        refuse(who, command, answer, fix, now)


def token_of(answer: Fetched, now: float) -> Token:
    """The token in an answer, and until when it holds. Raises ValueError or TypeError where it is none."""
    wire = _object(answer)
    token = wire.get("access_token") or wire.get("accessToken") or wire.get("token")
    if answer.status not in (200, 201) or not isinstance(token, str):
        raise ValueError("no token")
    return Token(token, _expiry(wire, now))


def refuse(who: str, command: Fetch, answer: Fetched, fix: str, now: float) -> NoReturn:
    """The error for an answer that is no token, with what the service said of itself and of the clock."""
    wire = _object(answer)
    error = wire.get("error")
    said = wire.get("error_description") or wire.get("errorMessage") or wire.get("message")
    said = said or (error.get("message") if isinstance(error, dict) else error) or "nothing that could be read"
    shown = without_secrets(str(said), command)[:300].strip().rstrip(".")
    message = f"{who} at {place(command.url)} gave no token (HTTP {answer.status}): {shown}."
    fix = f"{clock_advice(str(said), answer.headers, now)} {fix}".strip()
    raise ProviderError("token_refused", message, fix, status=answer.status)


def client_credentials(
    url: str,
    *,
    client_id: str = "",
    client_secret: str = "",
    basic: str = "",
    scope: str = "",
    grant_type: str | None = "client_credentials",
    request_id_header: str | None = None,
    variables: Sequence[str] = (),
    now: float,
) -> Flow[Token]:
    """The token of a machine: id and secret (or their ready-made base64, `basic`) in a Basic header. `variables` are
    the names that errors tell to check.

    `request_id_header` names a header that must carry a UUID; it is made of the time and the client, so that this stays
    a pure function.
    """
    basic = basic or base64.b64encode(f"{client_id}:{client_secret}".encode()).decode()
    headers = {"Authorization": f"Basic {basic}"}
    if request_id_header:
        import uuid  # slow to load, and rarely needed

        headers[request_id_header] = str(uuid.uuid5(uuid.NAMESPACE_URL, f"{url}#{basic}#{now}"))
    form = {name: value for name, value in (("grant_type", grant_type), ("scope", scope)) if value}
    named = f" ({', '.join(variables)})" if variables else ""
    fix = f"Check the client id and secret{named}, and that they may use this scope."
    return (yield from request_token(url, form, now, headers=headers, who="The OAuth service", fix=fix))


def _object(answer: Fetched) -> dict[str, Any]:
    try:
        wire = msgspec.json.decode(answer.body)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return {}
    return wire if isinstance(wire, dict) else {}


def _expiry(wire: Mapping[str, Any], now: float) -> float | None:
    """Unix seconds. Services say a lifetime in seconds, a time in seconds or milliseconds, or a timestamp; numbers may
    be strings.
    """
    if (lifetime := wire.get("expires_in")) is not None:
        return _finite(now + float(lifetime))
    moment = next((wire[name] for name in ("expires_on", "expires_at", "expireTime") if wire.get(name)), None)
    if moment is None:
        return None
    try:
        seconds = float(moment)
    except ValueError:
        return unix_time(str(moment))
    return _finite(seconds / 1000 if seconds > 1e11 else seconds)


def _finite(seconds: float) -> float:
    """A moment that can be compared with others. Raises ValueError."""
    if not math.isfinite(seconds):
        raise ValueError("no moment")
    return seconds
