"""The ASGI application: requests in, answers out. A bare function, no framework.

The order is: is there such a place, is the key good, and only then is the body read. While an answer is made and sent,
somebody watches whether the client is still there; when it leaves, the call to the provider is given up with it.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Coroutine
from contextlib import suppress
from typing import Any, TypeAlias

from penstock.calls.engine import Engine
from penstock.dialects import wire
from penstock.gateway.answers import JSON, Answer, Refused, refusal
from penstock.gateway.config import BODY_SILENCE, MAX_BODY, Gateway
from penstock.gateway.first_surfaces import HEALTH, LISTS, PLACES, Asked, Scope, asked, client_of
from penstock.gateway.handle import handle_chat
from penstock.gateway.model_lists import listing

Receive: TypeAlias = Callable[[], Awaitable[dict[str, Any]]]
Send: TypeAlias = Callable[[dict[str, Any]], Awaitable[None]]

_log = logging.getLogger(__name__)
_KEY_HELP = "no valid key: send the gateway's master key as 'Authorization: Bearer KEY' or 'x-api-key: KEY'"


class Gone(Exception):
    """The client left before its request was complete."""


class Application:
    """The gateway as an ASGI application. `started` is called when it begins to serve."""

    def __init__(self, gateway: Gateway, engine: Engine, started: Callable[[], None] | None = None) -> None:
        self.gateway = gateway
        self.engine = engine
        self._started = started

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self._lifespan(receive, send)
        elif scope["type"] == "http":
            await self._http(asked(scope), receive, send)

    async def _lifespan(self, receive: Receive, send: Send) -> None:
        while True:
            message = await receive()
            if message["type"] == "lifespan.shutdown":
                await self.engine.aclose()
            elif self._started is not None:
                self._started()
            await send({"type": f"{message['type']}.complete"})
            if message["type"] == "lifespan.shutdown":
                return

    async def _http(self, request: Asked, receive: Receive, send: Send) -> None:
        try:
            self._admit(request)
            body = b"" if request.dialect is None else await _body(request, receive)
        except Refused as refused:
            await _send(self._refusal(request, refused), request, send)
        except Gone:
            return
        else:
            await _while_the_client_is_there(self._respond(request, body, send), receive)

    def _admit(self, request: Asked) -> None:
        """Raises Refused: there is no such place, it takes another method, or the key is not the key."""
        methods = _methods(request)
        if not methods:
            raise Refused("invalid_request", 404, f"there is nothing at {request.path[:200]}; served are {PLACES}")
        if request.method not in methods:
            raise Refused("invalid_request", 405, f"{request.path[:200]} takes {methods[0]}, not {request.method}")
        if request.path not in HEALTH and not self.gateway.admits(request.key):
            raise Refused("authentication", 401, _KEY_HELP)

    async def _respond(self, request: Asked, body: bytes, send: Send) -> None:
        try:
            answer = await self._answer(request, body)
        except Refused as refused:
            answer = self._refusal(request, refused)
        except Exception as error:
            _log.error("call %s failed in the gateway itself: %s", request.call_id, place_of(error))
            message = f"the gateway failed; its log tells more under call {request.call_id}"
            answer = self._refusal(request, Refused("server", 500, message))
        await _send(answer, request, send)

    async def _answer(self, request: Asked, body: bytes) -> Answer:
        if request.path in HEALTH:
            return Answer(200, {"content-type": "text/plain; charset=utf-8"}, b"I'm alive!")
        if request.dialect is not None:
            return await handle_chat(self.gateway, self.engine, request.dialect, request, body)
        match = LISTS.fullmatch(request.path)
        assert match is not None, "the path was admitted"
        return Answer(200, dict(JSON), wire.encode(listing(self.gateway, client_of(request), match["model"])))

    def _refusal(self, request: Asked, refused: Refused) -> Answer:
        answer = refusal(request.voice, refused.error, {}, self.gateway.redact)
        if answer.status == 405:
            answer.headers["allow"] = ", ".join(_methods(request))
        return answer


def _methods(request: Asked) -> tuple[str, ...]:
    """The methods that a path takes; none where nothing is served."""
    if request.dialect is not None:
        return ("POST",)
    return ("GET", "HEAD") if request.path in HEALTH or LISTS.fullmatch(request.path) else ()


def place_of(error: BaseException) -> str:
    """An error for the log: its type and where it arose. Its message may hold what a client sent, so it stays out."""
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    where = f" in {trace.tb_frame.f_globals.get('__name__')}, line {trace.tb_lineno}" if trace else ""
    return f"{type(error).__name__}{where}"


async def _body(request: Asked, receive: Receive) -> bytes:
    """The whole body. One that is announced or found to be too large is refused, not read on. Raises Refused, Gone."""
    if request.headers.get("content-encoding", "identity") != "identity":
        raise Refused("invalid_request", 415, "send the body uncompressed: no content-encoding is read here")
    announced = request.headers.get("content-length", "")
    if announced.isdigit() and int(announced) > MAX_BODY:
        raise _too_large()
    pieces: list[bytes] = []
    read = 0
    while True:
        try:
            message = await asyncio.wait_for(receive(), BODY_SILENCE)
        except TimeoutError:
            raise Refused("timeout", 408, f"nothing more of the body came for {BODY_SILENCE:g} s") from None
        if message["type"] == "http.disconnect":
            raise Gone
        pieces.append(message.get("body", b""))
        read += len(pieces[-1])
        if read > MAX_BODY:
            raise _too_large()
        if not message.get("more_body"):
            return b"".join(pieces)


def _too_large() -> Refused:
    return Refused("too_large", 413, f"a body may have {MAX_BODY:,} bytes at most")


async def _while_the_client_is_there(work: Coroutine[Any, Any, None], receive: Receive) -> None:
    """Do the work, and give it up when the client leaves."""
    task, watch = asyncio.ensure_future(work), asyncio.ensure_future(_leaving(receive))
    try:
        await asyncio.wait((task, watch), return_when=asyncio.FIRST_COMPLETED)
    finally:
        watch.cancel()
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


async def _leaving(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


async def _send(answer: Answer, request: Asked, send: Send) -> None:
    """Send an answer. Every one bears the id of its call, under the names that the official clients look for."""
    ids = dict.fromkeys(("x-penstock-call-id", "x-request-id", "request-id"), request.call_id)
    headers = [(name.encode(), value.encode("latin-1")) for name, value in {**ids, **answer.headers}.items()]
    if answer.stream is None:
        body = b"[%b]" % answer.body if answer.status >= 400 and request.reads_array else answer.body
        headers.append((b"content-length", str(len(body)).encode()))
        await send({"type": "http.response.start", "status": answer.status, "headers": headers})
        await send({"type": "http.response.body", "body": body})
        return
    headers += [(b"cache-control", b"no-cache"), (b"x-accel-buffering", b"no")]
    try:
        await send({"type": "http.response.start", "status": answer.status, "headers": headers})
        async for piece in answer.stream:
            if piece:
                await send({"type": "http.response.body", "body": piece, "more_body": True})
        await send({"type": "http.response.body", "body": b""})
    finally:
        await answer.stream.aclose()  # it gives its connection back, or up
