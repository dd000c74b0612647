"""Observing: how callbacks hang around a call of any kind, streamed or not. Without callbacks nothing here runs.

An `ObservedCall` is made for one call of the user's. It shows the arguments to the guards, is told how the call ended,
and reports that once: right away for an answer, at the end of a stream for a stream, also where that was cut or closed
early. `observe` and `aobserve` differ in how they run a hook.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Awaitable, Callable, Generator, Mapping
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

from penstock.calls.engine import Engine
from penstock.calls.options import ADDRESS, Options, split
from penstock.client.callbacks import acall_hook, call_hook, callbacks_of, complain, has_hook
from penstock.client.logging_payload import (
    breakdown_of,
    error_fields,
    figures_of,
    model_parameters,
    said_in,
    usage_fields,
)
from penstock.client.streams import AsyncStream, Stream
from penstock.providers.endpoint import variables_of
from penstock.types.errors import MalformedError

_NEVER_SHOWN = frozenset({"extra_headers", "headers", "extra_query", "extra_body", "client", "http_client"})
_SHORTEST_SECRET = 6


class ObservedCall:
    """One call, and what its callbacks are told of it."""

    def __init__(self, engine: Engine, call_type: str, arguments: dict[str, Any], id_prefix: str) -> None:
        self.engine, self.call_type, self.arguments = engine, call_type, arguments
        self.started = datetime.now(UTC)
        self.first_token: datetime | None = None
        self.reported = False
        self.call_id = arguments.get("litellm_call_id") or arguments.get("call_id") or f"{id_prefix}{uuid4().hex}"
        self.callbacks = callbacks_of(engine.defaults.callbacks, arguments.get("callbacks") or ())
        self.options, self.body = Options(), dict[str, Any]()

    # -- the guards ---------------------------------------------------------------------------------------------------

    def shown(self) -> dict[str, Any]:
        """The arguments without keys, addresses and headers: what a guard may read and change."""
        hidden = self.engine.addresses | ADDRESS | _NEVER_SHOWN
        return {name: value for name, value in self.arguments.items() if name not in hidden}

    def accept(self, shown: dict[str, Any], changed: Any) -> dict[str, Any]:
        """The arguments for the next guard: what this one returned, or changed in place. Raises MalformedError."""
        if changed is not None and not isinstance(changed, Mapping):
            raise MalformedError(f"pre_call must return a dict or None, got {type(changed).__name__}", "callbacks")
        return shown if changed is None else dict(changed)

    def begin(self, shown: dict[str, Any]) -> dict[str, Any]:
        """The arguments to call with, after the guards. Raises MalformedError for arguments of a wrong type."""
        known = self.shown()
        hidden = {name: value for name, value in self.arguments.items() if name not in known}
        self.arguments = {**shown, **hidden, "litellm_call_id": self.call_id}
        self.options, self.body = split(self.arguments, self.engine.addresses, self.engine.defaults)
        return {name: value for name, value in self.arguments.items() if name != "callbacks"}

    # -- what is told -------------------------------------------------------------------------------------------------

    def _silent(self, callback: Any) -> bool:
        return bool(self.options.turn_off_message_logging or getattr(callback, "turn_off_message_logging", False))

    def _shown_answer(self, callback: Any, answer: Any) -> Any:
        return figures_of(answer) if self._silent(callback) else answer

    def before(self, callback: Any) -> tuple[Any, ...]:
        """The arguments of `log_pre_api_call`."""
        kwargs = self._kwargs(callback)
        return str(self.body.get("model") or ""), kwargs["messages"], kwargs

    def at_chunk(self, callback: Any, chunk: Any) -> tuple[Any, ...]:
        """The arguments of `log_stream_event`."""
        return self._kwargs(callback), self._shown_answer(callback, chunk), self.started, datetime.now(UTC)

    def at_end(self, callback: Any, answer: Any, error: BaseException | None, ended: str) -> tuple[Any, ...]:
        """The arguments of `log_success_event` and `log_failure_event`."""
        now = datetime.now(UTC)
        kwargs = self._kwargs(callback)
        payload = self._payload(kwargs, answer, error, ended, now)
        kwargs |= {"standard_logging_object": payload, "response_cost": payload["response_cost"]}
        kwargs["custom_llm_provider"] = payload["custom_llm_provider"]
        kwargs["litellm_params"]["api_base"] = payload["api_base"]
        if error is not None:
            kwargs["exception"] = error
        shown = self._shown_answer(callback, answer)
        if self.body.get("stream") and answer is not None:
            kwargs["complete_streaming_response"] = shown
        return kwargs, shown, self.started, now

    def _kwargs(self, callback: Any) -> dict[str, Any]:
        return {
            "model": self.body.get("model"),
            "messages": None if self._silent(callback) else said_in(self.body),
            "optional_params": model_parameters(self.body),
            "litellm_params": {"metadata": dict(self.options.metadata or {})},
            "call_type": self.call_type,
            "litellm_call_id": self.call_id,
            "stream": bool(self.body.get("stream")),
            "start_time": self.started,
            "user": self.body.get("user"),
        }

    def _payload(
        self, kwargs: dict[str, Any], answer: Any, error: BaseException | None, ended: str, now: datetime
    ) -> dict[str, Any]:
        hidden = dict(getattr(answer, "_hidden_params", None) or {})
        metadata = kwargs["litellm_params"]["metadata"]
        provider = hidden.get("custom_llm_provider") or getattr(error, "llm_provider", "") or ""
        silent = kwargs["messages"] is None
        return {
            "id": _field(answer, "id") or self.call_id,
            "trace_id": str(metadata.get("trace_id") or self.call_id),
            "call_type": self.call_type,
            "stream": kwargs["stream"],
            "status": "success" if error is None else "failure",
            "ended": ended,
            "model": _field(answer, "model") or self.body.get("model"),
            "custom_llm_provider": provider,
            "api_base": str(hidden.get("api_base") or "").partition("?")[0] or None,
            "model_id": hidden.get("model_id"),
            "model_group": hidden.get("model_group"),
            "model_parameters": kwargs["optional_params"],
            "response_cost": hidden.get("response_cost", getattr(error, "response_cost", None)),
            "cost_breakdown": breakdown_of(hidden.get("cost")),
            **usage_fields(answer),
            "startTime": self.started.timestamp(),
            "endTime": now.timestamp(),
            "completionStartTime": (self.first_token or now).timestamp(),
            "response_time": (now - self.started).total_seconds(),
            "metadata": metadata,
            "request_tags": list(self.options.tags or metadata.get("tags") or ()),
            "end_user": str(self.body.get("user") or ""),
            "messages": kwargs["messages"],
            "response": None if silent or not hasattr(answer, "model_dump") else answer.model_dump(),
            "hidden_params": {
                "litellm_call_id": self.call_id,
                "attempts": hidden.get("attempts"),
                "repairs": hidden.get("repairs"),
            },
            **error_fields(error, () if error is None else self._secrets(provider)),
        }

    def _secrets(self, provider: str) -> set[str]:
        """Every value that could be a key of this call."""
        known = next((row for row in self.engine.registry if row.name == provider), None)
        names = () if known is None else variables_of(known)
        values = [
            *self.options.address.values(),
            *(self.options.extra_headers or {}).values(),
            *(self.engine.environment.get(name) for name in names),
        ]
        bases = {self.options.address.get("api_base"), self.options.address.get("base_url")}
        return {
            value
            for value in values
            if isinstance(value, str) and len(value) >= _SHORTEST_SECRET and value not in bases
        }

    def told(self, hook: str) -> tuple[Any, ...]:
        """The callbacks that have this hook: for the others, nothing is put together."""
        return tuple(callback for callback in self.callbacks if has_hook(callback, hook))

    def takes_first(self) -> None:
        """The first chunk has come."""
        if self.first_token is None:
            self.first_token = datetime.now(UTC)

    def once(self) -> bool:
        """Whether the end is still to be reported; from now on it is not."""
        due, self.reported = not self.reported, True
        return due


def _field(answer: Any, name: str) -> Any:
    return answer.get(name) if isinstance(answer, Mapping) else None


# -- blocking ---------------------------------------------------------------------------------------------------------


def observe(
    engine: Engine, call_type: str, id_prefix: str, arguments: dict[str, Any], inner: Callable[[dict[str, Any]], Any]
) -> Any:
    """`inner(arguments)`, with callbacks around it."""
    call = ObservedCall(engine, call_type, arguments, id_prefix)
    try:
        shown = call.shown()
        for callback in call.callbacks:
            shown = call.accept(shown, _guard(call_hook, callback, shown, call_type))
        ready = call.begin(shown)
        _tell(call, "log_pre_api_call", lambda callback: call.before(callback))
        value = inner(ready)
    except Exception as error:
        _report(call, "log_failure_event", _partial_of(error), error, "failed")
        raise
    if isinstance(value, Stream):
        value.watch(lambda chunks: _watched(call, chunks, value), lambda: _closed(call, value))
    else:
        _report(call, "log_success_event", value, None, "complete")
    return value


def _guard(run: Callable[..., Any], callback: Any, shown: dict[str, Any], call_type: str) -> Any:
    try:
        return run(callback, "pre_call", shown, call_type)
    except Exception as error:
        raise refusal_of(callback, error) from error


def refusal_of(callback: Any, error: Exception) -> Exception:
    """What a guard raised, as an exception of the tree."""
    from penstock.exceptions import PenstockError, RejectedRequestError

    if isinstance(error, PenstockError):
        return error
    return RejectedRequestError(f"refused by {type(callback).__name__}.pre_call: {str(error) or type(error).__name__}")


def _tell(call: ObservedCall, hook: str, arguments: Callable[[Any], tuple[Any, ...]]) -> None:
    for callback in call.told(hook):
        try:
            call_hook(callback, hook, *arguments(callback))
        except Exception as error:
            complain(callback, hook, error)


def _report(call: ObservedCall, hook: str, answer: Any, error: BaseException | None, ended: str) -> None:
    if call.once():
        _tell(call, hook, lambda callback: call.at_end(callback, answer, error, ended))


def _watched(
    call: ObservedCall, chunks: Generator[Any, None, None], stream: Stream[Any, Any]
) -> Generator[Any, None, None]:
    listens = call.told("log_stream_event")
    try:
        for chunk in chunks:
            call.takes_first()
            if listens:
                _tell(call, "log_stream_event", lambda callback, chunk=chunk: call.at_chunk(callback, chunk))  # type: ignore[misc]  # mypy infers no lambda with a default
            yield chunk
    except GeneratorExit:
        _closed(call, stream)
        raise
    except BaseException as error:
        _report(call, "log_failure_event", _partial_of(error) or stream.partial, error, "failed")
        raise
    else:
        _report(call, "log_success_event", stream.response, None, "complete")


def _closed(call: ObservedCall, stream: Stream[Any, Any]) -> None:
    _report(call, "log_success_event", stream.response or stream.partial, None, "closed")


def _partial_of(error: BaseException) -> Any:
    return getattr(error, "partial", None)


# -- for coroutines ---------------------------------------------------------------------------------------------------


async def aobserve(
    engine: Engine,
    call_type: str,
    id_prefix: str,
    arguments: dict[str, Any],
    inner: Callable[[dict[str, Any]], Awaitable[Any]],
) -> Any:
    """`await inner(arguments)`, with callbacks around it."""
    call = ObservedCall(engine, call_type, arguments, id_prefix)
    try:
        shown = call.shown()
        for callback in call.callbacks:
            shown = call.accept(shown, await _aguard(callback, shown, call_type))
        ready = call.begin(shown)
        await _atell(call, "log_pre_api_call", lambda callback: call.before(callback))
        value = await inner(ready)
    except BaseException as error:
        await _areport(call, "log_failure_event", _partial_of(error), error, "failed")
        raise
    if isinstance(value, AsyncStream):

        async def closed() -> None:
            await _aclosed(call, value)

        value.watch(lambda chunks: _awatched(call, chunks, value), closed)
    else:
        await _areport(call, "log_success_event", value, None, "complete")
    return value


async def _aguard(callback: Any, shown: dict[str, Any], call_type: str) -> Any:
    try:
        return await acall_hook(callback, "pre_call", shown, call_type)
    except Exception as error:
        raise refusal_of(callback, error) from error


async def _atell(call: ObservedCall, hook: str, arguments: Callable[[Any], tuple[Any, ...]]) -> None:
    for callback in call.told(hook):
        try:
            await acall_hook(callback, hook, *arguments(callback))
        except Exception as error:
            complain(callback, hook, error)


async def _areport(call: ObservedCall, hook: str, answer: Any, error: BaseException | None, ended: str) -> None:
    if call.once():
        await _atell(call, hook, lambda callback: call.at_end(callback, answer, error, ended))


async def _awatched(
    call: ObservedCall, chunks: AsyncGenerator[Any, None], stream: AsyncStream[Any, Any]
) -> AsyncGenerator[Any, None]:
    listens = call.told("log_stream_event")
    try:
        async for chunk in chunks:
            call.takes_first()
            if listens:
                await _atell(call, "log_stream_event", lambda callback, chunk=chunk: call.at_chunk(callback, chunk))  # type: ignore[misc]  # mypy infers no lambda with a default
            yield chunk
    except GeneratorExit:
        await chunks.aclose()
        await _aclosed(call, stream)
        raise
    except BaseException as error:
        await _areport(call, "log_failure_event", _partial_of(error) or stream.partial, error, "failed")
        raise
    else:
        await _areport(call, "log_success_event", stream.response, None, "complete")


async def _aclosed(call: ObservedCall, stream: AsyncStream[Any, Any]) -> None:
    await _areport(call, "log_success_event", stream.response or stream.partial, None, "closed")
