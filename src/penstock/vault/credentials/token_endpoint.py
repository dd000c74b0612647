"""Asking a token endpoint (RFC 6749): the form, the client's proof of who it is, and the answer read with suspicion.

What the endpoint says in an error is never repeated: only its code, where RFC 6749 (section 5.2) or RFC 8628 (section
3.5) knows it, and what a human should do then. A token goes into a head, so it must be visible ASCII (RFC 6749,
appendix A.12), and only bearer tokens can stand in a slot.
"""

import base64
import json
from collections.abc import Mapping
from urllib.parse import quote_plus, urlencode

import msgspec

from penstock.vault.credentials.contract import Tools
from penstock.vault.credentials.jwt import Signer
from penstock.vault.credentials.tokens import Granted
from penstock.vault.values import Fetched, Headers, Refusal

MAX_ANSWER = 256 * 1024
"""Bytes of an answer of a token endpoint."""

MAX_TOKEN = 16 * 1024
"""Bytes of one token: the largest heads that servers accept."""

ASSERTION_TYPE = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"  # RFC 7523, section 2.2
JWT_BEARER = "urn:ietf:params:oauth:grant-type:jwt-bearer"  # RFC 7523, section 2.1
ASSERTION_LIFE = 120
"""Seconds that an assertion is valid: it is used at once."""

CLIENT_AUTHENTICATION = ("basic", "post")

_ACTS: Mapping[str, str] = {
    "invalid_grant": "The grant is expired, revoked or already used: log in again, and store the new value with "
    "`penstock secrets set {name}`.",
    "invalid_client": "Check client_id, client_secret or the key, and client_authentication (basic or post).",
    "unauthorized_client": "Allow this grant for the client at the service.",
    "invalid_scope": "Correct `scopes`: the service does not grant one of them to this client.",
    "unsupported_grant_type": "The service does not offer this grant: choose another kind.",
    "invalid_request": "Check the fields of the secret against the service's documentation.",
    "invalid_target": "Correct the audience or resource in `parameters`.",
    "access_denied": "Ask the owner of the account to grant access, and log in again.",
    "expired_token": "Log in again.",
    "interaction_required": "Log in again in a browser: the service wants to ask its user something.",
    "consent_required": "Log in again in a browser: the service wants its user's consent.",
    "login_required": "Log in again in a browser.",
    "bad_refresh_token": "Log in again, and store the new value with `penstock secrets set {name}`.",
    "temporarily_unavailable": "Wait, and try again.",
    "server_error": "Wait, and try again.",
    "slow_down": "Wait, and try again.",
}
_LOGIN = frozenset(
    (
        "invalid_grant",
        "bad_refresh_token",
        "interaction_required",
        "consent_required",
        "login_required",
        "expired_token",
        "access_denied",
    )
)


class Answer(msgspec.Struct, frozen=True):
    """What a token endpoint granted."""

    granted: Granted
    refresh_token: str | None

    def __repr__(self) -> str:
        return f"Answer({self.granted!r})"


class Client(msgspec.Struct, frozen=True):
    """How a client proves who it is: by a secret in Basic or in the form, by a signed assertion, or not at all."""

    client_id: str
    client_secret: str = ""
    authentication: str = "basic"
    signer: Signer | None = None
    audience: str = ""

    def __repr__(self) -> str:
        return "Client(...)"


async def ask(tools: Tools, name: str, url: str, form: Mapping[str, str], client: Client | None = None) -> Answer:
    """Send the form with the client's proof, and read the answer.

    Raises:
        Refusal: `login_needed` where a human must log in again, `token_refused` where somebody must correct the secret,
            `token_unavailable` where it is worth to try again later.
    """
    fields, headers = _proved(tools, form, client, url)
    body = urlencode(fields).encode()
    fetched = await tools.fetch("POST", url, headers, body)
    return read_answer(name, fetched)


def _proved(tools: Tools, form: Mapping[str, str], client: Client | None, url: str) -> tuple[dict[str, str], Headers]:
    headers: Headers = (("content-type", "application/x-www-form-urlencoded"), ("accept", "application/json"))
    if client is None:
        return dict(form), headers
    if client.signer is not None:
        proof = client.signer.token(_client_claims(tools, client, url)).decode()
        more = {"client_id": client.client_id, "client_assertion_type": ASSERTION_TYPE, "client_assertion": proof}
        return {**form, **more}, headers
    if client.client_secret and client.authentication == "basic":
        return dict(form), (*headers, ("authorization", basic(client.client_id, client.client_secret)))
    secret = {"client_secret": client.client_secret} if client.client_secret else {}
    return {**form, "client_id": client.client_id, **secret}, headers


def _client_claims(tools: Tools, client: Client, url: str) -> dict[str, object]:
    """RFC 7523, section 3: issuer and subject are the client, the audience is the token endpoint, used once."""
    now = int(tools.clock())
    times = {"iat": now, "nbf": now, "exp": now + ASSERTION_LIFE, "jti": tools.random(16).hex()}
    return {"iss": client.client_id, "sub": client.client_id, "aud": client.audience or url, **times}


def basic(client_id: str, client_secret: str) -> str:
    """Return the header of RFC 6749, section 2.3.1: both parts form-encoded before they are joined."""
    joined = f"{quote_plus(client_id)}:{quote_plus(client_secret)}"
    return "Basic " + base64.b64encode(joined.encode()).decode()


def read_answer(name: str, fetched: Fetched) -> Answer:
    """Read what an endpoint answered. Raises Refusal as `ask` does."""
    found = _object(fetched.body)
    error = found.get("error")
    if fetched.status != 200 or error is not None:  # GitHub answers errors with 200
        raise refused(name, fetched.status, error if isinstance(error, str) else "")
    kind = found.get("token_type", "bearer")
    if not isinstance(kind, str) or kind.lower() != "bearer":
        raise _useless(name, "issued a token that is not a bearer token")
    token = token_bytes(name, found.get("access_token"))
    refresh = found.get("refresh_token")
    has_refresh = isinstance(refresh, str) and 0 < len(refresh) <= MAX_TOKEN
    return Answer(Granted(token, _seconds(found.get("expires_in"))), str(refresh) if has_refresh else None)


def refused(name: str, status: int, error: str) -> Refusal:
    """Say what a human should do about an error of a token endpoint, in words of our own."""
    if error in _ACTS:
        later = error in ("temporarily_unavailable", "server_error", "slow_down")
        code = "login_needed" if error in _LOGIN else "token_unavailable" if later else "token_refused"
        fix = _ACTS[error].format(name=name)
        return Refusal(code, f"No token for the secret {name!r}: the service said {error}.", fix=fix, status=502)
    if status >= 500 or status == 429:
        reason = f"No token for the secret {name!r}: the service answered {status}."
        return Refusal("token_unavailable", reason, fix="Wait, and try again.", status=502)
    reason = f"No token for the secret {name!r}: the service answered {status} with no error that is known."
    return Refusal("token_refused", reason, fix="Check its token address and its client.", status=502)


def token_bytes(name: str, token: object) -> bytes:
    """Return the bytes of a token that may stand in a head. Raises Refusal where it is none."""
    if not isinstance(token, str) or not 8 <= len(token) <= MAX_TOKEN:
        raise _useless(name, "sent no access token")
    if not all("!" <= character <= "~" for character in token):
        raise _useless(name, "sent a token with characters that a token cannot have")
    return token.encode()


def json_object(name: str, fetched: Fetched) -> dict[str, object]:
    """Return the object that a service answered. Raises Refusal where it is none."""
    found = _object(fetched.body)
    if not found:
        raise _useless(name, "answered no JSON object")
    return found


def _object(body: bytes) -> dict[str, object]:
    if len(body) > MAX_ANSWER:
        return {}
    try:
        found = json.loads(body)
    except (ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


def _useless(name: str, what: str) -> Refusal:
    reason = f"No token for the secret {name!r}: the service {what}."
    return Refusal("token_refused", reason, fix="Check its token address.", status=502)


def _seconds(value: object) -> float | None:
    """Seconds as a number, or as text (some services send it so); what is neither counts as not said."""
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    try:
        seconds = float(value)
    except (ValueError, OverflowError):
        return None
    return min(max(seconds, 0.0), 366 * 86400.0) if seconds == seconds else None
