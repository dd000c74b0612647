"""The exchange: retries, fallbacks, credentials and the deadline of one call, as one generator.

It does no I/O. It yields what shall be done (`Send` a request, `Sleep`, `Close` a stream, or a command of a credential
flow) and is sent what came of it; the sync SDK, the async SDK and the gateway are three short loops that drive the same
generator, so they cannot disagree.

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

from collections.abc import Callable, Generator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Generic, Literal, Protocol, TypeAlias, TypeVar

from msgspec import Struct
from msgspec.structs import replace

from penstock.providers.urls import without_secrets
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


class ReadOn(Struct, frozen=True):
    """Read the next piece of a stream. Outcome: bytes (none: it is over), or Broken."""

    stream: Any


class Close(Struct, frozen=True):
    """Close a stream of which nobody wants the rest: it began with an error."""

    stream: Any


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


class Unfinished(Struct, Generic[T], frozen=True):
    """What has come of a stream says nothing yet: half an event, a comment that keeps the connection alive. `read`
    makes of its next piece (no bytes: the stream is over) what `Attempt.read` makes of a reply.
    """

    read: Callable[[bytes], T | ErrorResponse | Unfinished[T]]


Event: TypeAlias = Any
"""What is sent into the exchange: Reply or Broken for Send, bytes or Broken for ReadOn, None for Sleep and Close, a
flow's outcome for its command.
"""
Step: TypeAlias = Any
"""What the exchange yields: Send, ReadOn, Sleep, Close, or a command of a flow that prepares a request
(providers/auth/commands.py, resolve.py).
"""
Preparation: TypeAlias = Generator[Any, Any, HTTPRequest]
"""A flow that ends in the request."""


class Attempt(Struct, Generic[T], frozen=True):
    """One way to make the call.

    name        "provider/model", for messages
    provider    the provider's name
    model       the model as the caller names it
    prepare     (now in Unix seconds) -> the request; or, where something must be asked for first (credentials, media),
                a flow that ends in it
    read        reply -> the value, or the error that the reply holds (even in a 200), or Unfinished. Called for
                statuses of 200 to 299 only
    read_error  reply -> the error
    renew       the host refused (401, 403) -> whether what it refused was a remembered credential, now forgotten, so
                that preparing and sending once more, with a fresh one, may do
    local       answers in the place of a provider: a mock. Nothing is prepared or sent then
    facts       what the answer shall tell of this attempt (a router: which deployment it was)
    """

    name: str
    provider: str
    model: str
    stream: bool
    timeouts: Timeouts
    prepare: Callable[[float], HTTPRequest | Preparation]
    read: Callable[[Reply], T | ErrorResponse | Unfinished[T]]
    read_error: Callable[[Reply], ErrorResponse]
    renew: Callable[[], bool] = lambda: False
    local: Callable[[], T | ErrorResponse] | None = None
    facts: Mapping[str, Any] = {}


class Plan(Protocol):
    """Decides what to try. Pure: the same history gives the same answer (randomness for jitter is a number that the
    caller brings).
    """

    def after(self, tried: Sequence[Tried]) -> Again | None:
        """What to try now that all of `tried` have failed (none yet: the first attempt); None: give up."""
        ...


class Watch(Protocol):
    """Is told of every attempt, by whoever drives: once that it began, and once how it ended."""

    def began(self, attempt: Attempt[Any]) -> None:
        """The attempt is about to be made."""
        ...

    def ended(self, attempt: Attempt[Any], seconds: float, error: ErrorResponse | None, streams: bool) -> None:
        """It took `seconds` to its answer (of a stream, to its first piece: `streams` says that there is more), or to
        `error`.
        """
        ...

    def left(self, attempt: Attempt[Any]) -> None:
        """Nobody waits for it any more: the call was cancelled."""
        ...


class Success(Struct, Generic[T], frozen=True):
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


def exchange(
    plan: Plan, clock: Clock, total: float | None = None, watch: Watch | None = None, since: float | None = None
) -> Generator[Step, Event, Success[Any]]:
    """Make the call: attempt after attempt as `plan` says, within `total` seconds. Raises ExchangeFailed. `since`: when
    it began (monotonic seconds), where the first attempt is under way already; None: now.
    """
    limit = None if total is None else _Limit(clock.monotonic, total, since)
    tried: list[Tried] = []
    chosen = plan.after(tried)
    while chosen is not None:
        attempt, wait = chosen.attempt, chosen.wait
        if limit is not None and since is None and limit.left() <= max(0.0, wait):
            if not tried or (limit.left() <= 0 and tried[-1].error.native != "deadline"):
                passed = limit.passed(tried[-1].error.message if tried else "")
                tried.append(Tried(attempt.name, attempt.provider, attempt.model, passed, 0.0, sent=False))
            break  # waiting would not help: the last error is the one to show
        if wait > 0:
            yield Sleep(wait)
            if chosen.then is not None:
                chosen = chosen.then()
                continue
        began, within = clock.monotonic(), limit
        if since is not None:  # it was sent in time, whatever the time is now
            began, within, since = since, None, None
        if watch is not None:
            watch.began(attempt)
        try:
            result = yield from _try(attempt, clock, within, tried)
        except BaseException:  # cancelled, or a driver's own failure: either way there is no more of this attempt
            if watch is not None:
                watch.left(attempt)
            raise
        seconds = clock.monotonic() - began
        if isinstance(result, Success):
            if watch is not None:
                watch.ended(attempt, seconds, None, result.reply.stream is not None)
            return result
        error, sent = result
        if watch is not None:
            watch.ended(attempt, seconds, error, False)
        tried.append(Tried(attempt.name, attempt.provider, attempt.model, error, seconds, sent))
        chosen = plan.after(tried)
    raise ExchangeFailed(tried)


class _Limit:
    """The deadline of the whole call."""

    __slots__ = ("_at", "_now", "_total")

    def __init__(self, now: Callable[[], float], total: float, since: float | None = None) -> None:
        self._now = now
        self._total = total
        self._at = (now() if since is None else since) + total

    def left(self) -> float:
        """Seconds until it."""
        return self._at - self._now()

    def passed(self, before: str = "") -> ErrorResponse:
        """What to say when it is over. `before`: what had happened until then."""
        message = (
            f"the deadline of {self._total:g} s for the whole call is over; give `timeout` more seconds or retry less"
        )
        message += f". Before that: {before}" if before else ""
        return ErrorResponse(kind="timeout", status=408, message=message, native="deadline")


def _try(
    attempt: Attempt[Any], clock: Clock, limit: _Limit | None, tried: Sequence[Tried]
) -> Generator[Step, Event, Success[Any] | tuple[ErrorResponse, bool]]:
    """One attempt: prepare, send, read. A success, or an error and whether the provider may have seen the request.

    Every call of the gateway comes through here: what a call that goes well does not need is elsewhere.
    """
    if attempt.local is not None:
        answer = attempt.local()
        return (answer, False) if isinstance(answer, ErrorResponse) else Success(answer, _NO_REPLY, attempt, ())
    renewed = False
    while True:
        try:
            request = attempt.prepare(clock.unix())
            if not isinstance(request, HTTPRequest):
                request = yield from request if limit is None else _in_time(request, limit)
        except AttemptFailed as failed:
            return failed.error, False
        left = None
        if limit is not None:
            left = limit.left()
            if left <= 0:  # preparing has taken its time: tokens, media
                return limit.passed(), False
        reply = yield Send(request, attempt.stream, attempt.timeouts, left)
        if not isinstance(reply, Reply):
            assert isinstance(reply, Broken), f"Send is answered by Reply or Broken, not {type(reply).__name__}"
            return _broken(reply), reply.sent
        if reply.status not in _REFUSED or renewed or not attempt.renew():
            break
        renewed = True
    if reply.status >= 300:
        return (_leads_away(reply) if reply.status < 400 else attempt.read_error(reply)), True
    value: Any = attempt.read(reply)
    kind = type(value)
    if kind is Unfinished:
        value = yield from _read_on(value, reply)
        kind = type(value)
    if kind is not ErrorResponse:
        return Success(value, reply, attempt, tuple(tried))
    if reply.stream is not None:
        yield Close(reply.stream)
    return value, True


def _read_on(value: Any, reply: Reply) -> Generator[Step, Event, Any]:
    """As much of a stream is read as it takes to see that it begins, and not with an error."""
    while isinstance(value, Unfinished):
        piece = yield ReadOn(reply.stream)
        value = _broken(piece) if isinstance(piece, Broken) else value.read(piece)
    return value


def _leads_away(reply: Reply) -> ErrorResponse:
    """A redirect. It is not followed: the key is for the address that the caller knows."""
    where = without_secrets(reply.headers.get("location", "")) or "nowhere"
    message = (
        f"the address answered {reply.status}, which leads to {where}; a key is "
        "not sent on to another address: if that one is right, give it as `api_base`"
    )
    return ErrorResponse(kind="not_found", status=404, message=message, native="redirect")


def _in_time(preparation: Preparation, limit: _Limit) -> Preparation:
    """The preparation; none of its steps (tokens, media, programs) may take longer than what is left of the call."""
    event: Event = None
    doing: Any = None
    try:
        while True:
            step, left = preparation.send(event), limit.left()
            if left <= 0:
                raise AttemptFailed(limit.passed(f"{doing!r} had taken that long" if doing is not None else ""))
            doing = step
            allowed = getattr(step, "timeout", None)
            event = yield step if allowed is None else replace(step, timeout=min(allowed, left))
    except StopIteration as done:
        request: HTTPRequest = done.value
        return request
    finally:
        preparation.close()


_REFUSED = (401, 403)
"""Statuses of a credential that does not hold (AWS says 403 to one that has expired)."""
_NO_REPLY = Reply(200, {}, b"")
"""Stands for the reply where nobody was asked."""


def _broken(event: Broken) -> ErrorResponse:
    kind: ErrorKind = "timeout" if event.kind == "timeout" else "unavailable"
    return ErrorResponse(kind=kind, status=408 if kind == "timeout" else 503, message=event.message, native=event.kind)


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
