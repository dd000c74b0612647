"""Around: what stands between the user's call and the call itself. Callbacks outermost, so that they see one call and
its whole cost; then structured output, which may call several times.

A call without callbacks that does not say what its answer must be passes through at the price of some look-ups; what
the others need is loaded when the first of them is made.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from functools import partial
from typing import Any

from penstock.calls.engine import Engine
from penstock.calls.failures import raising
from penstock.client.answer_forms import AnswerForm

Inner = Callable[[dict[str, Any]], Any]
AsyncInner = Callable[[dict[str, Any]], Awaitable[Any]]


def around(
    engine: Engine,
    call_type: str,
    arguments: dict[str, Any],
    inner: Inner,
    *,
    id_prefix: str = "",
    structured: AnswerForm | None = None,
) -> Any:
    """`inner(arguments)`, a blocking call, with what stands around it.

    `structured`: where it may say what its answer must be, and where in the answer that stands.
    """
    run = inner
    if structured is not None and structured.asked(arguments) is not None:
        from penstock.client.structured_calls import drive

        run = partial(drive, engine, structured, inner)
    if not _has_callbacks(engine, arguments):
        return run(arguments)
    from penstock.client.observing import observe

    with raising(*_who(arguments)):
        return observe(engine, call_type, id_prefix, arguments, run)


async def aaround(
    engine: Engine,
    call_type: str,
    arguments: dict[str, Any],
    inner: AsyncInner,
    *,
    id_prefix: str = "",
    structured: AnswerForm | None = None,
) -> Any:
    """The same for a coroutine."""
    run = inner
    if structured is not None and structured.asked(arguments) is not None:
        from penstock.client.structured_calls import adrive

        run = partial(adrive, engine, structured, inner)
    if not _has_callbacks(engine, arguments):
        return await run(arguments)
    from penstock.client.observing import aobserve

    with raising(*_who(arguments)):
        return await aobserve(engine, call_type, id_prefix, arguments, run)


def _has_callbacks(engine: Engine, arguments: Mapping[str, Any]) -> bool:
    return bool(arguments.get("callbacks") or engine.defaults.callbacks)


def _who(arguments: Mapping[str, Any]) -> tuple[str, str]:
    return arguments.get("custom_llm_provider") or "", str(arguments.get("model") or "")
