"""Callbacks: what a user may hang around calls. A class with hooks, each with an async twin; all do nothing until
overridden.

    class Log(penstock.Callback):
        def log_success_event(self, kwargs, response_obj, start_time, end_time):
            print(kwargs["standard_logging_object"]["response_cost"])

    completion(..., callbacks=[Log()])          # or Client(callbacks=[...]), or configure(callbacks=[...])

The rule: hooks that *report* never break a call (what they raise is logged as a warning on the logger "penstock"); the
hook that *guards*, `pre_call`, does: whatever it raises refuses the call, since a guard that fails must not let
through what it was to hold back. A blocking call runs the plain hook, or the async one where only that is overridden;
a coroutine the other way round. A plain function is taken as a `log_success_event`.

`kwargs` and the payload in it (`standard_logging_object`) are described in logging_payload.py. No key is in them.
"""

from __future__ import annotations

import asyncio
import inspect
import logging
from collections.abc import Callable, Coroutine, Mapping, Sequence
from datetime import datetime
from typing import Any

from penstock.types.errors import MalformedError

LOGGER = logging.getLogger("penstock")


class Callback:
    """The hooks. Times are aware datetimes in UTC.

    turn_off_message_logging    this callback is not shown what was said: no messages, no answers, only figures
    """

    turn_off_message_logging: bool = False

    def pre_call(self, arguments: dict[str, Any], call_type: str) -> Mapping[str, Any] | None:
        """Before anything happens. `arguments` are those of the call without keys and addresses; what is returned takes
        their place (None: as changed in place). Raise `penstock.RejectedRequestError` to refuse the call; any other
        exception refuses it too.
        """
        return None

    def log_pre_api_call(self, model: str, messages: Any, kwargs: dict[str, Any]) -> None:
        """Right before the provider is asked."""

    def log_stream_event(
        self, kwargs: dict[str, Any], response_obj: Any, start_time: datetime, end_time: datetime
    ) -> None:
        """A chunk of a stream (`response_obj`) is given to the caller."""

    def log_success_event(
        self, kwargs: dict[str, Any], response_obj: Any, start_time: datetime, end_time: datetime
    ) -> None:
        """The call ended well; of a stream: it ended, or its reader closed it early (`ended` in the payload says
        which). `response_obj` is the whole answer.
        """

    def log_failure_event(
        self, kwargs: dict[str, Any], response_obj: Any, start_time: datetime, end_time: datetime
    ) -> None:
        """The call failed, or its stream did. `kwargs["exception"]` is what the caller gets; `response_obj` what had
        arrived, or None.
        """

    async def async_pre_call(self, arguments: dict[str, Any], call_type: str) -> Mapping[str, Any] | None:
        """As `pre_call`."""
        return self.pre_call(arguments, call_type)

    async def async_log_pre_api_call(self, model: str, messages: Any, kwargs: dict[str, Any]) -> None:
        """As `log_pre_api_call`."""
        self.log_pre_api_call(model, messages, kwargs)

    async def async_log_stream_event(
        self, kwargs: dict[str, Any], response_obj: Any, start_time: datetime, end_time: datetime
    ) -> None:
        """As `log_stream_event`."""
        self.log_stream_event(kwargs, response_obj, start_time, end_time)

    async def async_log_success_event(
        self, kwargs: dict[str, Any], response_obj: Any, start_time: datetime, end_time: datetime
    ) -> None:
        """As `log_success_event`."""
        self.log_success_event(kwargs, response_obj, start_time, end_time)

    async def async_log_failure_event(
        self, kwargs: dict[str, Any], response_obj: Any, start_time: datetime, end_time: datetime
    ) -> None:
        """As `log_failure_event`."""
        self.log_failure_event(kwargs, response_obj, start_time, end_time)


CustomLogger = Callback
"""LiteLLM's name for it."""

HOOKS = ("pre_call", "log_pre_api_call", "log_stream_event", "log_success_event", "log_failure_event")


class FunctionCallback(Callback):
    """A plain function (or coroutine function) of (kwargs, response, start, end), called when a call has ended well."""

    def __init__(self, function: Callable[..., Any]) -> None:
        self._function = function

    async def async_log_success_event(self, *arguments: Any) -> None:
        """Call it, and wait where it wants to be waited for."""
        value = self._function(*arguments)
        if inspect.isawaitable(value):
            await value

    def log_success_event(self, *arguments: Any) -> None:
        """Call it, and wait where it wants to be waited for."""
        value = self._function(*arguments)
        if inspect.iscoroutine(value):
            wait_for(value)


def callback_of(value: Any) -> Any:
    """One element of `callbacks` as an object with hooks. Raises MalformedError."""
    if isinstance(value, Callback):
        return value
    if not isinstance(value, type | str) and any(_own(value, f"{kind}{hook}") for hook in HOOKS for kind in _KINDS):
        return value
    if callable(value) and not isinstance(value, type):
        return FunctionCallback(value)
    given = repr(value) if isinstance(value, str) else getattr(value, "__name__", type(value).__name__)
    hint = " (an instance, not the class)" if isinstance(value, type) else ""
    raise MalformedError(f"expected instances of penstock.Callback{hint} or functions, got {given}", "callbacks")


def callbacks_of(*given: Sequence[Any]) -> tuple[Any, ...]:
    """All callbacks, each once, in order. Raises MalformedError."""
    found: list[Any] = []
    for value in (each for several in given for each in several):
        if not any(value is seen for seen in found):
            found.append(value)
    return tuple(callback_of(value) for value in found)


_KINDS = ("", "async_")


def _own(callback: Any, name: str) -> Callable[..., Any] | None:
    """The hook, where the callback has one that is not the idle one of the base class."""
    hook = getattr(callback, name, None)
    idle = getattr(type(callback), name, None) is getattr(Callback, name, None)
    return hook if callable(hook) and not idle else None


def has_hook(callback: Any, name: str) -> bool:
    """Whether there is anything to run, plain or async."""
    return any(_own(callback, f"{kind}{name}") is not None for kind in _KINDS)


def call_hook(callback: Any, name: str, *arguments: Any) -> Any:
    """Run a hook from a blocking call. None where the callback has none; raises what it raises."""
    plain = _own(callback, name)
    if plain is not None:
        return plain(*arguments)
    hook = _own(callback, f"async_{name}")
    return None if hook is None else wait_for(hook(*arguments))


async def acall_hook(callback: Any, name: str, *arguments: Any) -> Any:
    """Run a hook from a coroutine."""
    hook = _own(callback, f"async_{name}")
    if hook is not None:
        return await hook(*arguments)
    plain = _own(callback, name)
    return None if plain is None else plain(*arguments)


def wait_for(coroutine: Coroutine[Any, Any, Any]) -> Any:
    """Run a coroutine to its end from blocking code; where a loop runs in this thread, in another one."""
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return asyncio.run(coroutine)
    from concurrent.futures import ThreadPoolExecutor

    with ThreadPoolExecutor(1) as pool:
        return pool.submit(asyncio.run, coroutine).result()


def complain(callback: Any, name: str, error: Exception) -> None:
    """Say that a reporting hook failed. The call goes on."""
    LOGGER.warning("the hook %s of %s failed: %r", name, type(callback).__name__, error, exc_info=error)
