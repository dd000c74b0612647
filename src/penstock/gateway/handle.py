"""One request through the gateway: whose dialect, may it, what does it ask, who answers, and how that is said.

The inbound dialect parses and renders, also every refusal, so that each client sees errors in the shape that it
knows. The call itself is the SDK's.
"""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from typing import Any
from uuid import uuid4

from msgspec import Struct
from msgspec.structs import replace

from penstock.client.attempt import ENDED, ChatAttempt, OpenStream
from penstock.client.demo import NAMES as DEMO_NAMES
from penstock.client.demo import demo_answer
from penstock.client.engine import Engine
from penstock.client.failures import error_of
from penstock.client.options import timeouts_of
from penstock.client.transport import StreamBroken
from penstock.dialects import wire
from penstock.dialects.dialect import Context, Dialect, PathMatch
from penstock.exchange import AttemptFailed, ExchangeFailed, Success
from penstock.gateway.config import DEMO, Gateway
from penstock.providers.errors import ProviderError
from penstock.resolve import FetchRefused
from penstock.types.errors import DialectError, ErrorKind, ErrorResponse
from penstock.types.notes import Note
from penstock.types.request import Request
from penstock.types.response import Response
from penstock.types.stream import Failure, StreamEvent
from penstock.types.unfold import unfold


class Answer(Struct):
    """What goes back: a body, or a stream of pieces."""

    status: int
    headers: dict[str, str]
    body: bytes = b""
    stream: AsyncIterator[bytes] | None = None


class Refused(Exception):
    """The gateway itself says no."""

    def __init__(self, kind: ErrorKind, status: int, message: str) -> None:
        super().__init__(message)
        self.error = ErrorResponse(kind=kind, status=status, message=message)


async def handle_chat(
    gateway: Gateway, engine: Engine, dialect: Dialect, path: str, body: bytes, key: str | None
) -> Answer:
    """The answer to one chat request, whatever happens. `path` may say the model and whether to stream."""
    call_id = uuid4().hex
    headers = {"x-penstock-call-id": call_id}
    try:
        if not gateway.admits(key):
            raise Refused("authentication", 401, _KEY_HELP)
        request = dialect.parse_request(wire.decode(body), dialect.match_path(path) or PathMatch())
        return await _call(gateway, engine, dialect, request, call_id, headers)
    except Refused as refused:
        return refusal(dialect, refused.error, headers)
    except ExchangeFailed as failed:
        return refusal(dialect, failed.error, {**headers, "x-penstock-attempts": str(len(failed.tried))})
    except AttemptFailed as failed:
        return refusal(dialect, failed.error, headers)
    except (ProviderError, DialectError, FetchRefused) as error:
        return refusal(dialect, error_of(error), headers)


_KEY_HELP = "no valid key: send the gateway's master key as 'Authorization: Bearer KEY' or 'x-api-key: KEY'"


def refusal(dialect: Dialect, error: ErrorResponse, headers: dict[str, str]) -> Answer:
    """An error in the client's own dialect."""
    status, body = dialect.render_error(error)
    if error.retry_after is not None:
        headers = {**headers, "retry-after": f"{error.retry_after:g}"}
    return Answer(status, {**headers, "content-type": "application/json"}, wire.encode(body))


async def _call(
    gateway: Gateway, engine: Engine, dialect: Dialect, request: Request, call_id: str, headers: dict[str, str]
) -> Answer:
    model = request.model or ""
    context = Context(call_id, int(time.time()), request=request, stream_usage=_wants_usage(request))
    if model in DEMO_NAMES:
        return _local(dialect, request, context, headers)
    attempt = _attempt(gateway, engine, request, model)
    plan = engine.ladder([attempt.attempt(timeouts_of(None))], engine.defaults)
    success: Success[Any] = await engine.async_world().drive(engine.exchange(plan, engine.defaults))
    headers = {**headers, **_facts(model, attempt, success)}
    if isinstance(success.value, OpenStream):
        context = replace(context, source=success.value.dialect)
        stream = _stream(dialect, success.value, success.reply.stream, context)
        return Answer(200, {**headers, "content-type": dialect.stream_media_type}, stream=stream)
    return _whole(dialect, success.value, context, headers, attempt.notes)


def _wants_usage(request: Request) -> bool:
    """OpenAI's clients get usage in a stream only if they ask for it; every other dialect has it always."""
    return bool(request.stream_usage) or request.dialect != "openai_chat"


def _attempt(gateway: Gateway, engine: Engine, request: Request, model: str) -> ChatAttempt:
    if not model:
        raise Refused(
            "invalid_request", 400, f"`model` is missing; GET /v1/models lists the models, {DEMO!r} works offline"
        )
    request = replace(request, stream_usage=True) if request.stream else request
    attempt = engine.chat_attempt(request, model, replace(engine.defaults, drop_params=True))
    provider = attempt.resolved.provider
    if provider.name not in gateway.providers and not provider.local:
        variables = " or ".join(provider.key_environment) or "its key"
        raise Refused(
            "not_found", 404, f"{provider.title or provider.name} is not set up here: set {variables} and start again"
        )
    return attempt


def _facts(model: str, attempt: ChatAttempt, success: Success[Any]) -> dict[str, str]:
    found = {
        "x-penstock-model-group": model.encode("ascii", "backslashreplace").decode(),
        "x-penstock-deployment": attempt.name.encode("ascii", "backslashreplace").decode(),
        "x-penstock-attempts": str(len(success.tried) + 1),
    }
    return found | _notes(attempt.notes)


def _notes(notes: tuple[Note, ...]) -> dict[str, str]:
    if not notes:
        return {}
    text = "; ".join(str(note) for note in notes)
    return {"x-penstock-notes": text.encode("ascii", "backslashreplace").decode().replace("\n", " ")[:4000]}


def _whole(
    dialect: Dialect, response: Response, context: Context, headers: dict[str, str], notes: tuple[Note, ...] = ()
) -> Answer:
    rendered = dialect.render_response(response, context)
    headers = {**headers, **_notes(notes + rendered.notes), "content-type": "application/json"}
    return Answer(200, headers, wire.encode(rendered.value))


def _local(dialect: Dialect, request: Request, context: Context, headers: dict[str, str]) -> Answer:
    response = demo_answer(request, context.id, context.created)
    if not request.stream:
        return _whole(dialect, response, context, headers)
    opened = OpenStream(ENDED, list(unfold(response)), response.dialect)
    stream = _stream(dialect, opened, None, replace(context, source=opened.dialect))
    return Answer(200, {**headers, "content-type": dialect.stream_media_type}, stream=stream)


async def _stream(dialect: Dialect, opened: OpenStream, source: Any, context: Context) -> AsyncIterator[bytes]:
    """The client's stream. A failure after the first byte is said in the stream, in the client's dialect."""
    renderer = dialect.stream_renderer(context)
    try:
        yield _render(renderer, opened.first)
        if source is not None:
            async for data in source:
                yield _render(renderer, opened.parser.feed(data))
        yield _render(renderer, opened.parser.close())
        yield renderer.close()
    except (StreamBroken, DialectError) as error:
        broken = ErrorResponse(kind="unavailable", status=503, message=f"the provider's stream broke off: {error}")
        yield renderer.render(StreamEvent((Failure(broken),)))
    finally:
        if source is not None:
            await source.aclose()


def _render(renderer: Any, events: list[StreamEvent]) -> bytes:
    return b"".join([renderer.render(event) for event in events])
