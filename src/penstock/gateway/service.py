"""Service: from a request to its call. Which surface is it for, who presents the key, and may that be.

Only who has a key is read further than the head. Errors are told in the dialect of the surface, or of the client where
several share a path.
"""

from __future__ import annotations

import logging
import time
from urllib.parse import parse_qs
from uuid import uuid4

from penstock.calls.failures import error_of
from penstock.dialects import registry, wire
from penstock.dialects.dialect import Dialect
from penstock.gateway.call import place_of
from penstock.gateway.http.heads import JSON, ids_of, retry_after
from penstock.gateway.http.inbound import Answer, Inbound
from penstock.gateway.keyring import Keyring
from penstock.gateway.plane import Plane
from penstock.gateway.principal import Principal, key_digest
from penstock.gateway.refused import Nowhere, Refused
from penstock.gateway.samples import RequestSample
from penstock.gateway.surfaces.table import Place, Table
from penstock.types.errors import DialectError, ErrorResponse

_log = logging.getLogger("penstock.gateway")

KEY_HEADERS = (b"x-api-key", b"api-key", b"x-goog-api-key", b"x-litellm-api-key")
"""Where clients put a key, besides `Authorization: Bearer` and Gemini's `?key=`."""
_NO_KEY = "no valid key: send one as 'Authorization: Bearer KEY', 'x-api-key: KEY' or 'x-goog-api-key: KEY'"
_NO_BODY = "send no body to this path"
_WRONG_KEY = "no valid key: this one is not known here; ask whoever runs this gateway for one"


class Service:
    """The service of a worker. `plane` is swapped when a snapshot comes."""

    def __init__(self, table: Table, keyring: Keyring, plane: Plane | None = None) -> None:
        self.plane = plane
        self._table = table
        self._keyring = keyring
        self.own: Table | None = None
        """What the configuration adds, where nothing else is served."""
        self.draining = False

    def admit(self, inbound: Inbound) -> Answer | None:
        """Refuse what nobody serves and who has no key."""
        place = self._table.find(inbound.path)
        if self.own is not None and (place is None or place.general):
            place = self.own.find(inbound.path) or place
        if place is None:
            return self._refusal(inbound, None, _nowhere(inbound, self._table))
        if inbound.method not in place.methods:
            return self._refusal(inbound, place, _wrong_method(inbound, place))
        inbound.place = place
        if not place.needs_key:
            return (
                None
                if _has_no_body(inbound)
                else self._refusal(inbound, place, Refused("invalid_request", 400, _NO_BODY))
            )
        if not inbound.key_digest:
            key = key_of(inbound)
            if key is None:
                return self._refusal(inbound, place, Refused("authentication", 401, _NO_KEY, type="auth_error"))
            inbound.key_digest = key_digest(key)
        principal = self._keyring.find(inbound.key_digest)
        if principal is None:
            self._look_up(inbound, place)
            return inbound.refusal
        return self._check(inbound, place, principal)

    def _look_up(self, inbound: Inbound, place: Place) -> None:
        inbound.pending = True
        at_once = True

        def then(principal: Principal | None, why: str | None) -> None:
            refusal = self._told(inbound, place, principal, why)
            if at_once:
                inbound.pending = False
                inbound.refusal = refusal
            else:
                inbound.connection.admitted(inbound, refusal)

        self._keyring.look_up(inbound.key_digest, then)
        at_once = False

    def _ask_again(self, inbound: Inbound, place: Place) -> None:
        """The key has changed since its request was let in: whether it still may is found out first."""

        def then(principal: Principal | None, why: str | None) -> None:
            refusal = self._told(inbound, place, principal, why)
            if refusal is not None:
                inbound.respond(refusal.status, refusal.headers, refusal.body)
            else:
                self.answer(inbound)

        self._keyring.look_up(inbound.key_digest, then)

    def _told(self, inbound: Inbound, place: Place, principal: Principal | None, why: str | None) -> Answer | None:
        """What a look-up has found: None lets the request in."""
        if principal is not None:
            return self._check(inbound, place, principal)
        if why is not None:
            away = f"who you are cannot be found out now ({why}): come again"
            return self._refusal(inbound, place, Refused("unavailable", 503, away, retry_after=1))
        refused = barred(None)
        assert refused is not None, "who is nobody is barred"
        return self._refusal(inbound, place, refused)

    def _check(self, inbound: Inbound, place: Place, principal: Principal) -> Answer | None:
        if principal.blocked or principal.expires is not None:
            refused = barred(principal)
            if refused is not None:
                return self._refusal(inbound, place, refused)
        inbound.principal = principal
        return None

    def answer(self, inbound: Inbound) -> None:
        """Answer a request that is complete."""
        place, plane = inbound.place, self.plane
        if inbound.principal is None and place.needs_key:
            self._ask_again(inbound, place)
            return
        try:
            if plane is None:
                raise Refused("unavailable", 503, "this gateway is starting: come again", retry_after=1)
            place.begin(plane, inbound, inbound.principal)
        except Nowhere:
            self._refuse(inbound, place, _nowhere(inbound, self._table))
        except Refused as refused:
            self._refuse(inbound, place, refused)
        except DialectError as error:
            told = error_of(error)
            self._tell(inbound, place, told)
        except Exception as error:
            call_id = self._next_id()
            _log.error("call %s failed in the gateway itself: %s", call_id, place_of(error))
            message = f"the gateway failed; its log tells more under call {call_id}"
            told = ErrorResponse(kind="server", status=500, message=message)
            self._tell(inbound, place, told, call_id)

    def malformed(self, status: int, message: str) -> Answer:
        """The answer to what is no request."""
        kind = {413: "too_large", 408: "timeout"}.get(status, "invalid_request")
        error = ErrorResponse(kind=kind, status=status, message=message)  # type: ignore[arg-type]  # the dict holds kinds
        _, body = registry.get("openai_chat").render_error(error)
        call_id = self._next_id()
        self._count(RequestSample(call_id=call_id, message=message), error)
        return Answer(status, JSON + ids_of(call_id), wire.encode(body))

    def _refuse(self, inbound: Inbound, place: Place, refused: Refused) -> None:
        self._tell(inbound, place, refused.error)

    def _tell(self, inbound: Inbound, place: Place, error: ErrorResponse, call_id: str | None = None) -> None:
        answer = self._answer(inbound, place, error, call_id)
        inbound.respond(answer.status, answer.headers, answer.body)

    def _refusal(self, inbound: Inbound, place: Place | None, refused: Refused) -> Answer:
        return self._answer(inbound, place, refused.error)

    def _count(self, sample: RequestSample, error: ErrorResponse) -> None:
        """Tell metrics and log of a request that comes to no call."""
        if self.plane is not None:
            sample.status, sample.error, sample.outcome = error.status, error.kind, "refused"
            self.plane.observer.refused(sample, time.time())

    def _next_id(self) -> str:
        return uuid4().hex if self.plane is None else self.plane.next_id()

    def _answer(
        self, inbound: Inbound, place: Place | None, error: ErrorResponse, call_id: str | None = None
    ) -> Answer:
        dialect = voice_of(inbound, place)
        call_id = call_id or self._next_id()
        surface = "" if place is None or place.voice is None else place.voice.name
        sample = RequestSample(
            call_id=call_id, surface=surface, method=inbound.method, path=inbound.path, client=inbound.address
        )
        self._count(sample, error)
        if self.plane is not None:
            status, body = self.plane.refusal(dialect, error)
        else:
            status, value = dialect.render_error(error)
            body = wire.encode(value)
        head = JSON + ids_of(call_id) + retry_after(error.retry_after)
        if error.status == 405 and place is not None:
            head += b"allow: %b\r\n" % ", ".join(place.methods).encode()
        if place is not None and place.reads_array(inbound):
            body = b"[%b]" % body
        return Answer(status, head, body)


def barred(principal: Principal | None) -> Refused | None:
    """Why somebody may not call at all: no such key, a blocked one, one that has expired. None: it may."""
    if principal is None:
        return Refused("authentication", 401, _WRONG_KEY, type="token_not_found_in_db")
    if principal.blocked:
        return Refused("permission", 403, "this key is blocked: ask whoever runs this gateway", type="auth_error")
    if principal.expires is not None and principal.expires <= time.time():
        return Refused("authentication", 401, "this key has expired: ask for a new one", type="expired_key")
    return None


def _has_no_body(inbound: Inbound) -> bool:
    """Whether nothing follows the head: what anybody may ask for is not a place to send things to."""
    headers = inbound.headers
    return b"transfer-encoding" not in headers and headers.get(b"content-length", b"0").strip(b"0") == b""


def key_of(inbound: Inbound) -> str | None:
    """The key that a client presents, in any of the places where the official clients put it. Headers are Latin-1, a
    key
    is as its owner wrote it (UTF-8).
    """
    headers = inbound.headers
    bearer = headers.get(b"authorization")
    if bearer is not None and bearer[:7].lower() == b"bearer ":
        return bearer[7:].strip().decode("utf-8", "replace")
    for name in KEY_HEADERS:
        value = headers.get(name)
        if value is not None:
            return value.removeprefix(b"Bearer ").strip().decode("utf-8", "replace")
    if "key=" in inbound.query:
        given = parse_qs(inbound.query).get("key")
        if given:
            return given[0]
    return None


def voice_of(inbound: Inbound, place: Place | None) -> Dialect:
    """The dialect to answer in, also where none is spoken: Anthropic's and Google's clients show who they are."""
    if place is not None and place.voice is not None:
        return place.voice
    return registry.get(client_of(inbound))


def client_of(inbound: Inbound) -> str:
    """The dialect of a client on a path that several share, by the headers that its protocol demands."""
    if b"anthropic-version" in inbound.headers:
        return "anthropic_messages"
    if b"x-goog-api-key" in inbound.headers or inbound.path.startswith(("/v1beta/", "/v1alpha/")):
        return "gemini"
    return "openai_chat"


def _nowhere(inbound: Inbound, table: Table) -> Refused:
    message = f"there is nothing at {inbound.path[:200]}; served are {table.summary}"
    return Refused("invalid_request", 404, message)


def _wrong_method(inbound: Inbound, place: Place) -> Refused:
    return Refused("invalid_request", 405, f"{inbound.path[:200]} takes {place.methods[0]}, not {inbound.method}")
