"""The ASGI application: paths, keys, bodies in and out. A bare function, no framework.

POST /v1/chat/completions   (and without /v1)    OpenAI Chat Completions
POST /v1/messages                                Anthropic Messages
POST /v1beta/models/MODEL:generateContent        Gemini (and :streamGenerateContent)
GET  /v1/models                                  what is served
GET  /health/liveliness     (and /liveness)      alive, without a key
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Iterable
from typing import Any, TypeAlias
from urllib.parse import parse_qs

from penstock.client.engine import Engine
from penstock.dialects import registry, wire
from penstock.dialects.dialect import Dialect
from penstock.gateway.config import MAX_BODY, Gateway
from penstock.gateway.handle import Answer, Refused, handle_chat, refusal

Scope: TypeAlias = dict[str, Any]
Receive: TypeAlias = Callable[[], Awaitable[dict[str, Any]]]
Send: TypeAlias = Callable[[dict[str, Any]], Awaitable[None]]

SURFACES: tuple[tuple[re.Pattern[str], str], ...] = (
    (re.compile(r"(/v1)?/chat/completions"), "openai_chat"),
    (re.compile(r"/v1/messages"), "anthropic_messages"),
    (re.compile(r"/v1(beta|alpha)?/.*models/.+:(generateContent|streamGenerateContent)"), "gemini"),
)
"""Inbound path -> the dialect that is spoken there. What the path says besides (a model, a stream) the dialect
reads.
"""
PLACES = "POST /v1/chat/completions, POST /v1/messages, POST /v1beta/models/MODEL:generateContent, GET /v1/models"


def surface_of(path: str) -> Dialect | None:
    """The dialect of an inbound path; None where nothing is served."""
    name = next((name for pattern, name in SURFACES if pattern.fullmatch(path)), None)
    return None if name is None else registry.get(name)


class Application:
    """The gateway as an ASGI application."""

    def __init__(self, gateway: Gateway, engine: Engine) -> None:
        self.gateway = gateway
        self.engine = engine

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self._lifespan(receive, send)
        elif scope["type"] == "http":
            await _send(await self._answer(scope, receive), send, receive)

    async def _lifespan(self, receive: Receive, send: Send) -> None:
        while True:
            message = await receive()
            if message["type"] == "lifespan.shutdown":
                await self.engine.aclose()
            await send({"type": f"{message['type']}.complete"})
            if message["type"] == "lifespan.shutdown":
                return

    async def _answer(self, scope: Scope, receive: Receive) -> Answer:
        path, method = scope["path"].rstrip("/") or "/", scope["method"]
        if path in ("/health/liveliness", "/health/liveness"):
            return Answer(200, {"content-type": "text/plain; charset=utf-8"}, b"I'm alive!")
        dialect = surface_of(path)
        try:
            if dialect is not None and method == "POST":
                body = await _body(scope, receive)
                return await handle_chat(self.gateway, self.engine, dialect, path, body, key_of(scope))
            if path in ("/v1/models", "/models") and method == "GET":
                return self._models(key_of(scope))
            raise _unknown(path, method, dialect)
        except Refused as refused:
            return refusal(dialect or registry.get("openai_chat"), refused.error, {})

    def _models(self, key: str | None) -> Answer:
        if not self.gateway.admits(key):
            raise Refused(
                "authentication", 401, "no valid key: send the gateway's master key as 'Authorization: Bearer KEY'"
            )
        data = [
            {"id": model.id, "object": "model", "created": 0, "owned_by": model.owned_by}
            for model in self.gateway.models
        ]
        return Answer(200, {"content-type": "application/json"}, wire.encode({"object": "list", "data": data}))


def _unknown(path: str, method: str, dialect: Dialect | None) -> Refused:
    if dialect is not None:
        return Refused("unsupported", 405, f"{path} takes POST, not {method}")
    return Refused("not_found", 404, f"there is nothing at {path}; served are {PLACES}")


def key_of(scope: Scope) -> str | None:
    """The key that a client presents, in any of the places where the official clients put it."""
    headers: dict[bytes, bytes] = dict(scope["headers"])
    bearer = headers.get(b"authorization", b"").decode("latin-1")
    if bearer[:7].lower() == "bearer ":
        return bearer[7:].strip()
    for name in (b"x-api-key", b"api-key", b"x-goog-api-key"):
        if name in headers:
            value: bytes = headers[name]
            return value.decode("latin-1")
    given = parse_qs(scope.get("query_string", b"").decode("latin-1")).get("key")
    return given[0] if given else None


async def _body(scope: Scope, receive: Receive) -> bytes:
    """The whole body. One that is announced or found to be too large is refused, not read on."""
    announced = dict(scope["headers"]).get(b"content-length", b"0")
    pieces: list[bytes] = []
    size = int(announced) if announced.isdigit() else 0
    read = 0
    while size <= MAX_BODY and read <= MAX_BODY:
        message = await receive()
        if message["type"] == "http.disconnect":
            break
        pieces.append(message.get("body", b""))
        read += len(pieces[-1])
        if not message.get("more_body"):
            return b"".join(pieces)
    raise Refused("too_large", 413, f"a body may have {MAX_BODY} bytes at most")


async def _send(answer: Answer, send: Send, receive: Receive) -> None:
    headers: Iterable[tuple[str, str]] = answer.headers.items()
    encoded = [(name.encode("latin-1"), value.encode("latin-1")) for name, value in headers]
    if answer.stream is None:
        encoded.append((b"content-length", str(len(answer.body)).encode()))
        await send({"type": "http.response.start", "status": answer.status, "headers": encoded})
        await send({"type": "http.response.body", "body": answer.body})
        return
    await send(
        {"type": "http.response.start", "status": answer.status, "headers": [*encoded, (b"cache-control", b"no-cache")]}
    )
    try:
        async for piece in answer.stream:
            if piece:
                await send({"type": "http.response.body", "body": piece, "more_body": True})
        await send({"type": "http.response.body", "body": b""})
    finally:
        await answer.stream.aclose()  # type: ignore[attr-defined]  # an async generator: it gives its connection back
