"""One chat request through the gateway: what does it ask, who answers, and how that is said.

The inbound dialect parses and renders, also every refusal, so that each client sees errors in the shape that it
knows. The call itself is the SDK's.
"""

from __future__ import annotations

import logging
import time
from collections.abc import AsyncGenerator, Callable, Mapping
from typing import Any

from msgspec.structs import replace

from penstock.calls.attempt import ChatAttempt, whole_stream
from penstock.calls.demo import NAMES as DEMO_NAMES
from penstock.calls.demo import demo_answer
from penstock.calls.engine import Engine
from penstock.calls.failures import error_of
from penstock.calls.opening import OpenStream
from penstock.calls.options import timeouts_of
from penstock.calls.transport import StreamBroken
from penstock.dialects import wire
from penstock.dialects.dialect import Context, Dialect, PathMatch, StreamRenderer
from penstock.exchange import AttemptFailed, ExchangeFailed, Success
from penstock.gateway.answers import JSON, Answer, Redactor, Refused, header_text, refusal
from penstock.gateway.config import DEMO, Gateway
from penstock.gateway.first_surfaces import BETAS, ID_PREFIXES, PREFERRED, Asked
from penstock.providers.errors import ProviderError
from penstock.resolve import FetchRefused
from penstock.types.errors import DialectError, ErrorResponse
from penstock.types.notes import Note
from penstock.types.request import Request
from penstock.types.response import Response
from penstock.types.stream import End, Failure, Stop, StreamEvent

_log = logging.getLogger(__name__)


async def handle_chat(gateway: Gateway, engine: Engine, dialect: Dialect, asked: Asked, body: bytes) -> Answer:
    """The answer to one chat request, whatever the provider does. The path may say the model and whether to stream.
    Raises Refused.
    """
    try:
        if not body:
            raise Refused("invalid_request", 400, "the body is empty; send a JSON object")
        request = dialect.parse_request(wire.decode(body), dialect.match_path(asked.path) or PathMatch())
        return await _call(gateway, engine, dialect, request, asked)
    except ExchangeFailed as failed:
        headers = {"x-penstock-attempts": str(len(failed.tried))}
        return refusal(dialect, failed.error, headers, gateway.redact)
    except AttemptFailed as failed:
        return refusal(dialect, failed.error, {}, gateway.redact)
    except (ProviderError, DialectError, FetchRefused) as error:
        return refusal(dialect, error_of(error), {}, gateway.redact)


async def _call(gateway: Gateway, engine: Engine, dialect: Dialect, request: Request, asked: Asked) -> Answer:
    model = request.model or ""
    answer_id = ID_PREFIXES.get(dialect.name, "") + asked.call_id
    context = Context(
        answer_id,
        int(time.time()),
        request=request,
        stream_usage=_wants_usage(request),
        stream_type=dialect.stream_type_asked(asked.query),
    )
    if model in DEMO_NAMES:
        return _local(dialect, request, context)
    attempt = _attempt(gateway, engine, dialect, request, model)
    if attempt.resolved.model != model:  # who asked by a name of ours is answered by it: Claude Code compares them
        context = replace(context, model=model)
    attempt.passed_betas = asked.headers.get(BETAS)
    plan = engine.ladder([attempt.attempt(timeouts_of(None))], engine.defaults)
    success: Success[Any] = await engine.async_world().drive(engine.exchange(plan, engine.defaults))
    headers = _facts(model, attempt, success)
    if isinstance(success.value, OpenStream):
        context = replace(context, source=success.value.dialect)
        stream = _stream(dialect, success.value, success.reply.stream, context, gateway.redact)
        return Answer(200, {**headers, **_stream_type(dialect, context)}, stream=stream)
    return _whole(dialect, success.value, context, headers, attempt.notes)


def _wants_usage(request: Request) -> bool:
    """OpenAI's clients get usage in a stream only if they ask for it; every other dialect has it always."""
    return bool(request.stream_usage) or request.dialect != "openai_chat"


def _attempt(gateway: Gateway, engine: Engine, dialect: Dialect, request: Request, model: str) -> ChatAttempt:
    """The attempt, in the client's own dialect where the host speaks it. Raises Refused, ProviderError."""
    if not model:
        message = f"`model` is missing; GET /v1/models lists the models, {DEMO!r} works offline"
        raise Refused("invalid_request", 400, message, param="model")
    request = replace(request, stream_usage=True) if request.stream else request
    try:
        attempt = engine.chat_attempt(request, model, replace(engine.defaults, drop_params=True))
    except ProviderError as error:
        if error.kind in ("unknown_model", "unknown_provider"):
            raise Refused("not_found", 404, gateway.no_such_model(model, str(error)), param="model") from error
        raise
    provider = attempt.resolved.provider
    if provider.name not in gateway.providers and not provider.local:
        variables = " or ".join(provider.key_environment) or "its key"
        message = f"{provider.title or provider.name} is not set up here: set {variables} and start again. "
        raise Refused("not_found", 404, message + gateway.set_up, param="model")
    attempt.prefer = (dialect.name,) if dialect.name in PREFERRED else ()
    attempt.facts = _cautious(engine)
    return attempt


def _cautious(engine: Engine) -> Callable[[str, str, str], Mapping[str, Any]]:
    """What is known of models, for clients that were written for another one: Claude Code asks every model to think,
    and OpenAI refuses who asks one that cannot. So a model that is known, and not as one that reasons, is not asked to.
    """

    def facts(provider: str, model: str, wire_format: str) -> Mapping[str, Any]:
        known = engine.model_facts(provider, model, wire_format)
        row = engine.facts.find(model, provider)
        return known if row is None or row.supports("reasoning") else {"reasoning": "none", **known}

    return facts


def _facts(model: str, attempt: ChatAttempt, success: Success[Any]) -> dict[str, str]:
    found = {
        "x-penstock-model-group": header_text(model),
        "x-penstock-deployment": header_text(attempt.name),
        "x-penstock-attempts": str(len(success.tried) + 1),
    }
    return found | _notes(attempt.notes)


def _notes(notes: tuple[Note, ...]) -> dict[str, str]:
    return {"x-penstock-notes": header_text("; ".join(str(note) for note in notes))} if notes else {}


def _whole(
    dialect: Dialect, response: Response, context: Context, headers: dict[str, str], notes: tuple[Note, ...] = ()
) -> Answer:
    rendered = dialect.render_response(response, context)
    return Answer(200, {**headers, **_notes(notes + rendered.notes), **JSON}, wire.encode(rendered.value))


def _local(dialect: Dialect, request: Request, context: Context) -> Answer:
    response = demo_answer(request, context.id, context.created)
    if not request.stream:
        return _whole(dialect, response, context, {})
    opened = whole_stream(response)
    stream = _stream(dialect, opened, None, replace(context, source=opened.dialect), Redactor())
    return Answer(200, _stream_type(dialect, context), stream=stream)


def _stream_type(dialect: Dialect, context: Context) -> dict[str, str]:
    return {"content-type": context.stream_type or dialect.stream_media_type}


class _Writer:
    """Writes events in the client's dialect, and keeps an eye on how they end. What is written of a failure, and after
    it, has no key in it.
    """

    def __init__(self, renderer: StreamRenderer, redact: Redactor) -> None:
        self._renderer, self._redact = renderer, redact
        self._ended = self.failed = False

    def write(self, events: list[StreamEvent]) -> bytes:
        for event in events:
            for delta in event.deltas:
                if isinstance(delta, Failure):
                    self.failed = True
                elif isinstance(delta, End | Stop):
                    self._ended = True
        data = b"".join([self._renderer.render(event) for event in events])
        return self._redact(data) if self.failed else data

    def fail(self, error: ErrorResponse) -> bytes:
        return self.write([StreamEvent((Failure(error),))])

    def end(self) -> bytes:
        """The end of the stream. One that just stopped is not made to look whole."""
        if self.failed:
            return b""
        return self._renderer.close() if self._ended else self.fail(_broken("the stream ended before its end"))


def _broken(reason: str) -> ErrorResponse:
    return ErrorResponse(kind="unavailable", status=503, message=f"the provider's stream broke off: {reason}")


async def _stream(
    dialect: Dialect, opened: OpenStream, source: Any, context: Context, redact: Redactor
) -> AsyncGenerator[bytes, None]:
    """The client's stream. A failure after the first byte is said in the stream, in the client's dialect, and ends
    it.
    """
    writer = _Writer(dialect.stream_renderer(context), redact)
    try:
        yield writer.write(opened.first)
        if source is not None and not writer.failed:
            async for data in source:
                yield writer.write(opened.parser.feed(data))
                if writer.failed:
                    return
        if not writer.failed:
            yield writer.write(opened.parser.close())
        yield writer.end()
    except (StreamBroken, DialectError) as error:
        yield writer.fail(_broken(str(error)))
    except Exception as error:
        _log.error("the stream of %s failed in the gateway itself: %s", context.id, type(error).__name__)
        said = f"the gateway failed in call {context.id}"
        yield writer.fail(ErrorResponse(kind="server", status=500, message=said))
    finally:
        if source is not None:
            await source.aclose()
