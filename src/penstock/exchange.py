"""The exchange: retries, fallbacks, credentials and the deadline of one call, as one generator.

It does no I/O. It yields what shall be done (`Send` a request, `Sleep`, or a command of a credential flow) and is
sent what came of it; the sync SDK, the async SDK and the gateway are three short loops that drive the same generator,
so they cannot disagree.

    run = exchange(plan, clock)              # Generator[Command, Event, Success]
    command = next(run)                      # Send(HTTPRequest(...), ...)
    command = run.send(Reply(...))           # Sleep(0.5)
    ...                                      # StopIteration.value is a Success; ExchangeFailed says what was tried

What to try next is the plan's decision (`Plan.after`), a pure function of what was tried: the SDK's own is `Ladder`,
a list of attempts each tried a few times; a router brings another. An attempt knows how to make its request
(`prepare`) and how to read the answer (`read`); an error that the provider reports inside a 200, or in the first
frame of a stream, is an error like any other.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass
from typing import Any, Generic, Literal, Protocol, TypeAlias, TypeVar

from msgspec import Struct

from penstock.types.errors import ErrorKind, ErrorResponse
from penstock.types.retry import RETRYABLE, Again, Backoff, Tried

T = TypeVar("T")


class HTTPRequest(Struct, frozen=True):
    """One HTTP request, ready to be sent. Header names as the provider documents them; no `host` and no
    `content-length`.
    """

    method: str
    url: str
    headers: tuple[tuple[str, str], ...] = ()
    body: bytes = b""

    def __repr__(self) -> str:
        return f"HTTPRequest({self.method} {self.url.partition('?')[0]}, {len(self.body)} bytes)"


class Timeouts(Struct, frozen=True, kw_only=True):
    """Seconds; None waits forever. `first_token` runs until the first byte of the body, `between_tokens` between two
    pieces of it, `total` over the whole call with all its attempts."""

    connect: float | None = 10.0
    first_token: float | None = 600.0
    between_tokens: float | None = 600.0
    total: float | None = None


class Send(Struct, frozen=True):
    """Send a request. With `stream`, an answer below 400 comes back as soon as its first piece has arrived, the rest
    being read by whoever gets the Success.
    """

    request: HTTPRequest
    stream: bool
    timeouts: Timeouts
    seconds_left: float | None = None


class Sleep(Struct, frozen=True):
    """Wait."""

    seconds: float


class Reply(Struct, frozen=True):
    """An answer of any status; header names in lower case. Of a stream, `body` is its first piece and `stream` the
    driver's handle for the rest; an error's body is always whole."""

    status: int
    headers: dict[str, str]
    body: bytes
    stream: Any = None


class Broken(Struct, frozen=True):
    """No answer, or none that could be read to the end. `sent` says whether the provider may have seen the request."""

    kind: Literal["connect", "timeout", "read", "protocol"]
    message: str
    sent: bool = True


Event: TypeAlias = Any
"""What is sent into the exchange: Reply or Broken for Send, None for Sleep, a flow's outcome for its command."""
Step: TypeAlias = Any
"""What the exchange yields: Send, Sleep, or a command of a flow that prepares a request (providers/auth/commands.py,
resolve.py).
"""
Preparation: TypeAlias = Generator[Any, Any, HTTPRequest]
"""A flow that ends in the request."""


@dataclass(frozen=True, slots=True)
class Attempt(Generic[T]):
    """One way to make the call.

    name        "provider/model", for messages
    provider    the provider's name
    model       the model as the caller names it
    prepare     (now in Unix seconds) -> a flow that may ask for credentials and ends in the request
    read        reply -> the value, or the error that the reply holds (even in a 200). Not called for statuses of 400
                and more
    read_error  reply -> the error
    """

    name: str
    provider: str
    model: str
    stream: bool
    timeouts: Timeouts
    prepare: Callable[[float], Preparation]
    read: Callable[[Reply], T | ErrorResponse]
    read_error: Callable[[Reply], ErrorResponse]


class Plan(Protocol):
    """Decides what to try. Pure: the same history gives the same answer (randomness for jitter is a number that the
    caller brings).
    """

    def after(self, tried: Sequence[Tried]) -> Again | None:
        """What to try now that all of `tried` have failed (none yet: the first attempt); None: give up."""
        ...


@dataclass(frozen=True, slots=True)
class Success(Generic[T]):
    """The value, who gave it, and what had failed before."""

    value: T
    reply: Reply
    attempt: Attempt[T]
    tried: tuple[Tried, ...]


class ExchangeFailed(Exception):
    """Nothing helped. `tried` holds every attempt with its error, the last one being the one to show (`error`)."""

    def __init__(self, tried: Sequence[Tried]) -> None:
        self.tried = tuple(tried)
        self.error = self.tried[-1].error
        super().__init__(self.error.message)


class AttemptFailed(Exception):
    """Raised by `Attempt.prepare`: the request could not even be made (no key, a parameter that the target does not
    take). Another attempt may do.
    """

    def __init__(self, error: ErrorResponse) -> None:
        super().__init__(error.message)
        self.error = error


@dataclass(frozen=True, slots=True)
class Clock:
    """The two clocks that an exchange reads: `monotonic` for durations and the deadline, `unix` for signatures."""

    monotonic: Callable[[], float]
    unix: Callable[[], float]


def exchange(plan: Plan, clock: Clock, total: float | None = None) -> Generator[Step, Event, Success[Any]]:
    """Make the call: attempt after attempt as `plan` says, within `total` seconds. Raises ExchangeFailed."""
    began = clock.monotonic()
    deadline = None if total is None else began + total
    tried: list[Tried] = []
    while (chosen := plan.after(tried)) is not None:
        left = None if deadline is None else deadline - clock.monotonic()
        if left is not None and left <= chosen.wait:
            tried.append(_out_of_time(chosen.attempt, total or 0.0, clock.monotonic() - began))
            break
        if chosen.wait > 0:
            yield Sleep(chosen.wait)
            left = None if deadline is None else deadline - clock.monotonic()
        started = clock.monotonic()
        result = yield from _try(chosen.attempt, clock, left)
        if isinstance(result, Success):
            return Success(result.value, result.reply, result.attempt, tuple(tried))
        error, sent = result
        attempt = chosen.attempt
        tried.append(Tried(attempt.name, attempt.provider, attempt.model, error, clock.monotonic() - started, sent))
    raise ExchangeFailed(tried)


def _try(
    attempt: Attempt[T], clock: Clock, left: float | None
) -> Generator[Step, Event, Success[T] | tuple[ErrorResponse, bool]]:
    """One attempt: prepare, send, read."""
    try:
        request = yield from attempt.prepare(clock.unix())
    except AttemptFailed as failed:
        return failed.error, False
    event = yield Send(request, attempt.stream, attempt.timeouts, left)
    if isinstance(event, Broken):
        return _broken(event), event.sent
    assert isinstance(event, Reply), f"Send is answered by Reply or Broken, not {type(event).__name__}"
    if event.status >= 400:
        return attempt.read_error(event), True
    value = attempt.read(event)
    return (value, True) if isinstance(value, ErrorResponse) else Success(value, event, attempt, ())


def _broken(event: Broken) -> ErrorResponse:
    kind: ErrorKind = "timeout" if event.kind == "timeout" else "unavailable"
    return ErrorResponse(kind=kind, status=408 if kind == "timeout" else 503, message=event.message, native=event.kind)


def _out_of_time(attempt: Attempt[Any], total: float, seconds: float) -> Tried:
    message = f"the deadline of {total:g} s for the whole call is over; give `timeout` more seconds or retry less"
    error = ErrorResponse(kind="timeout", status=408, message=message, native="deadline")
    return Tried(attempt.name, attempt.provider, attempt.model, error, seconds, sent=False)


class Ladder:
    """The SDK's plan: each attempt in turn, each tried again up to `retries` times while its errors are retryable.

    `alternatives` gives, for the kinds that have fallbacks of their own ("context_window", "content_policy"), the
    attempts that take the place of the rest of the ladder once such an error was met. Fallback goes on after every
    kind of error: another model may take what this one refused.
    """

    def __init__(
        self,
        attempts: Sequence[Attempt[Any]],
        *,
        retries: int = 2,
        backoff: Backoff | None = None,
        random: Callable[[], float] = lambda: 0.0,
        alternatives: dict[ErrorKind, Sequence[Attempt[Any]]] | None = None,
    ) -> None:
        self._attempts = list(attempts)
        self._retries = retries
        self._backoff = backoff or Backoff()
        self._random = random
        self._alternatives = alternatives or {}

    def after(self, tried: Sequence[Tried]) -> Again | None:
        """The next rung: the same again while that may help, else the next one."""
        rungs, rung, retry = list(self._attempts), 0, 0
        wait: float | None = 0.0
        for failure in tried:
            kind = failure.error.kind
            if kind in self._alternatives and rungs[rung + 1 :] != list(self._alternatives[kind]):
                rungs = [
                    *rungs[: rung + 1],
                    *(step for step in self._alternatives[kind] if step not in rungs[: rung + 1]),
                ]
                rung, retry, wait = rung + 1, 0, 0.0
                continue
            wait = self._backoff.wait(retry, failure.error, self._random()) if kind in RETRYABLE else None
            if wait is None or retry >= self._retries:
                rung, retry, wait = rung + 1, 0, 0.0
            else:
                retry += 1
        return Again(rungs[rung], wait or 0.0) if rung < len(rungs) else None
