"""StraightTranslation: a usual request whose deployment speaks another dialect than its client."""

from __future__ import annotations

from collections.abc import Generator
from typing import Any

from penstock.calls.attempt import ChatAttempt
from penstock.dialects import wire
from penstock.dialects.dialect import PathMatch
from penstock.exchange import AttemptFailed, HTTPRequest, Reply
from penstock.gateway.chat import context_of
from penstock.gateway.chat_attempts import translation
from penstock.gateway.driver import Headers
from penstock.gateway.straight import StraightCall, Whole
from penstock.gateway.tariff import is_plain
from penstock.providers.errors import ProviderError
from penstock.types.errors import DialectError
from penstock.types.request import Request
from penstock.types.response import Response

_NOTHING_SAID = PathMatch()


class StraightTranslation(StraightCall):
    """One request that is parsed and rendered, as its answer is."""

    __slots__ = ("_chat", "_parsed")

    def _request(self) -> HTTPRequest | None:
        surface = self._lane.surface
        try:
            value = wire.decode(self._inbound.body)
            self._parsed: Request = surface.dialect.parse_request(value, _NOTHING_SAID)
            self._chat: ChatAttempt = translation(self._parsed, self._way.target, surface, (), None)
            return _made(self._chat.prepare(self._started_unix))
        except (DialectError, ProviderError, AttemptFailed):
            return None

    def _read(self, body: bytes) -> Whole | None:
        response = self._chat.read(Reply(200, Headers(self._headers), body))
        if not isinstance(response, Response) or response.usage is None or not is_plain(response.usage):
            return None
        lane, dialect, usage = self._lane, self._lane.surface.dialect, response.usage.whole()
        resolved = self._way.target.resolved.model
        call_id, since = self._opened.call_id, self._started_unix
        context = context_of(lane.surface, self._inbound, call_id, since, self._peeked, resolved, self._parsed)
        rendered = dialect.render_response(response, context)
        return Whole(
            usage,
            response.service_tier or usage.service_tier,
            response.choices[0].stop_reason if response.choices else None,
            response.id,
            wire.encode(rendered.value),
            self._chat.notes + rendered.notes,
        )


def _made(flow: Generator[Any, Any, HTTPRequest]) -> HTTPRequest | None:
    """The request, where nothing has to be asked for first: media, a token."""
    try:
        next(flow)
    except StopIteration as done:
        request: HTTPRequest = done.value
        return request
    flow.close()
    return None
