"""The module-level calls: what `from penstock import completion` gives. Each is a thin, typed door to the call of the
default engine.

The default engine is made when the first call needs it and can be replaced with `configure`. Whoever wants several
(other keys, other providers, other hooks) makes a `Client`.
"""

from __future__ import annotations

import atexit
from collections.abc import Sequence
from typing import Any

from penstock.client import chat
from penstock.client.engine import Engine
from penstock.client.objects import ModelResponse
from penstock.client.options import Options, split
from penstock.client.streams import AsyncChatStream, ChatStream


class _Default:
    """The one engine of the module-level calls."""

    engine: Engine | None = None


def default_engine() -> Engine:
    """The engine of the module-level calls."""
    if _Default.engine is None:
        _Default.engine = Engine()
        atexit.register(_close_default)
    return _Default.engine


def _close_default() -> None:
    """Give the connections back when the program ends, so that it ends without warnings of open sockets."""
    if _Default.engine is not None:
        _Default.engine.close()


def configure(**arguments: Any) -> Engine:
    """Set what holds for all module-level calls from now on: any argument of `penstock.client.engine.Engine`, or any
    option of a call.

        penstock.configure(num_retries=0, drop_params=True, callbacks=[MyCallback()])

    A new engine takes the place of the old one, which calls under way keep.
    """
    known = ("registry", "environment", "network", "transport", "async_transport", "clock", "backoff")
    made = {name: arguments.pop(name) for name in known if name in arguments}
    defaults, unknown = split(arguments, Engine(**made).addresses, Options())
    if unknown:
        raise TypeError(f"configure() knows no {', '.join(sorted(unknown))}")
    _Default.engine = Engine(**made, defaults=defaults)
    return _Default.engine


def completion(model: str, messages: Sequence[Any], **arguments: Any) -> ModelResponse | ChatStream:
    """One chat call to any model of any provider: `completion("anthropic/claude-sonnet-4-5", [{"role": "user",
    "content": "Hello"}])`.

    model       "provider/model"; a bare name where the catalog knows whose it is; "openai/<any>" with `api_base` for
                any compatible server
    messages    in OpenAI's shape, or answers of earlier calls as they are
    **arguments every parameter of OpenAI's Chat Completions, and the options of `penstock.client.options.Options`;
    what neither knows goes into the body

    Returns a ModelResponse; with `stream=True` an iterator of ModelResponseStream. Raises the exceptions of
    `penstock.exceptions`.
    """
    return chat.completion(default_engine(), model=model, messages=messages, **arguments)


async def acompletion(model: str, messages: Sequence[Any], **arguments: Any) -> ModelResponse | AsyncChatStream:
    """`completion` from a coroutine; with `stream=True` an async iterator."""
    return await chat.acompletion(default_engine(), model=model, messages=messages, **arguments)
