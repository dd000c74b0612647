"""The module-level calls: what `from penstock import completion` gives. Each is a thin, typed door to the call of the
default engine.

The default engine is made when the first call needs it and can be replaced with `configure`. Whoever wants several
(other keys, other providers, other hooks) makes a `Client`.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from typing import Any, Literal, overload

from penstock.calls.engine import Engine, engine_with
from penstock.client import chat
from penstock.client.objects import ModelResponse
from penstock.client.streams import AsyncChatStream, ChatStream


class _Default:
    """The one engine of the module-level calls."""

    engine: Engine | None = None
    lock = threading.Lock()


def default_engine() -> Engine:
    """The engine of the module-level calls."""
    engine = _Default.engine
    if engine is None:
        with _Default.lock:  # of two threads that come first, one makes it
            engine = _Default.engine = _Default.engine or Engine()
    return engine


def configure(**arguments: Any) -> Engine:
    """Set what holds for all module-level calls from now on: any argument of `penstock.calls.engine.Engine`, or any
    option of a call.

        penstock.configure(num_retries=0, drop_params=True, callbacks=[MyCallback()])

    What is not given is as it was at the beginning, not as an earlier `configure` said: `configure()` undoes all of
    it. A new engine takes the place of the old one, which calls under way keep. Raises TypeError for anything else.
    """
    engine = engine_with(arguments, "configure() knows no {}")
    _Default.engine = engine
    return engine


@overload
def completion(
    model: str, messages: Sequence[Any], *, stream: Literal[False] | None = None, **arguments: Any
) -> ModelResponse: ...
@overload
def completion(model: str, messages: Sequence[Any], *, stream: Literal[True], **arguments: Any) -> ChatStream: ...
@overload
def completion(
    model: str, messages: Sequence[Any], *, stream: bool | None, **arguments: Any
) -> ModelResponse | ChatStream: ...
def completion(model: str, messages: Sequence[Any], **arguments: Any) -> ModelResponse | ChatStream:
    """One chat call to any model of any provider: `completion("anthropic/claude-sonnet-4-5", [{"role": "user",
    "content": "Hello"}])`.

    model          "provider/model"; a bare name where the catalog knows whose it is; "openai/NAME" with `api_base` for
                   any compatible server
    messages       in OpenAI's shape, or answers of earlier calls as they are
    **arguments    every parameter of OpenAI's Chat Completions, and the options of `penstock.calls.options.Options`;
                   `cache_control_injection_points` marks messages to be cached (penstock/client/cache_points.py);
                   what is neither is the provider's own, and goes into its body as it is, to where its API has such
                   parameters (penstock/dialects/places.py)

    Returns a ModelResponse; with `stream=True` an iterator of ModelResponseStream. Raises the exceptions of
    `penstock.exceptions`.
    """
    return chat.completion(default_engine(), model=model, messages=messages, **arguments)


@overload
async def acompletion(
    model: str, messages: Sequence[Any], *, stream: Literal[False] | None = None, **arguments: Any
) -> ModelResponse: ...
@overload
async def acompletion(
    model: str, messages: Sequence[Any], *, stream: Literal[True], **arguments: Any
) -> AsyncChatStream: ...
@overload
async def acompletion(
    model: str, messages: Sequence[Any], *, stream: bool | None, **arguments: Any
) -> ModelResponse | AsyncChatStream: ...
async def acompletion(model: str, messages: Sequence[Any], **arguments: Any) -> ModelResponse | AsyncChatStream:
    """`completion` from a coroutine; with `stream=True` an async iterator."""
    return await chat.acompletion(default_engine(), model=model, messages=messages, **arguments)
