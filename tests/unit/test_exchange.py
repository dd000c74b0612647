"""Playbooks of the exchange: what it asks for, step by step, and what it makes of each answer. No network, no clock but
the playbook's own.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass, field
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from penstock.exchange import (
    Attempt,
    AttemptFailed,
    Broken,
    Clock,
    Close,
    ExchangeFailed,
    HTTPRequest,
    Ladder,
    Plan,
    ReadOn,
    Reply,
    Send,
    Sleep,
    Success,
    Timeouts,
    Unfinished,
    exchange,
)
from penstock.providers.auth.commands import RunProgram, Unreachable
from penstock.routing.candidates import Candidates
from penstock.routing.deployment import Deployment
from penstock.routing.plan import NothingToAsk, Retries, RouterPlan
from penstock.types.errors import ErrorKind, ErrorResponse
from penstock.types.retry import RETRYABLE, Backoff

_KINDS: dict[int, ErrorKind] = {
    400: "invalid_request",
    401: "authentication",
    413: "context_window",
    422: "content_policy",
    429: "rate_limit",
    500: "server",
    503: "unavailable",
    529: "overloaded",
}


@dataclass
class Time:
    """A clock that only the playbook moves."""

    now: float = 100.0

    @property
    def clock(self) -> Clock:
        return Clock(monotonic=lambda: self.now, unix=lambda: self.now + 1e9)


def read_error(reply: Reply) -> ErrorResponse:
    after = reply.headers.get("retry-after")
    return ErrorResponse(
        kind=_KINDS.get(reply.status, "unknown"),
        status=reply.status,
        message=f"status {reply.status}",
        retry_after=float(after) if after else None,
    )


def read(reply: Reply) -> bytes | ErrorResponse:
    return reply.body if reply.body != b"an error" else ErrorResponse(kind="overloaded", status=529, message="inside")


def prepared(name: str) -> Callable[[float], Generator[Any, Any, HTTPRequest]]:
    def prepare(now: float) -> Generator[Any, Any, HTTPRequest]:
        return HTTPRequest("POST", f"https://{name}.example/chat")
        yield  # a generator that asks for nothing

    return prepare


def attempt(name: str, **changes: Any) -> Attempt[bytes]:
    fields: dict[str, Any] = {"stream": False, "timeouts": Timeouts(), "prepare": prepared(name)}
    fields |= {"read": read, "read_error": read_error, **changes}
    return Attempt(name=f"p/{name}", provider="p", model=name, **fields)


@dataclass
class Playbook:
    """Drives an exchange: `answers` are given to Send in turn; `log` says what was asked for."""

    plan: Plan
    answers: list[Reply | Broken]
    total: float | None = None
    takes: float = 0.0
    time: Time = field(default_factory=Time)
    log: list[Any] = field(default_factory=list)

    def run(self) -> Success[Any]:
        steps = exchange(self.plan, self.time.clock, self.total)
        event: Any = None
        try:
            while True:
                event = self.do(steps.send(event))
        except StopIteration as done:
            success: Success[Any] = done.value
            return success

    def do(self, step: Any) -> Any:
        if isinstance(step, Sleep):
            self.log.append(step.seconds)
            self.time.now += step.seconds
            return None
        if isinstance(step, ReadOn):
            self.log.append(f"read on {step.stream}")
            return self.answers.pop(0)
        if isinstance(step, Close):
            self.log.append(f"close {step.stream}")
            return None
        assert isinstance(step, Send)
        self.log.append(step.request.url.removeprefix("https://").partition(".")[0])
        self.time.now += self.takes
        return self.answers.pop(0)

    def fail(self) -> ExchangeFailed:
        with pytest.raises(ExchangeFailed) as caught:
            self.run()
        return caught.value


def status(code: int, retry_after: float | None = None) -> Reply:
    return Reply(code, {} if retry_after is None else {"retry-after": str(retry_after)}, b"{}")


OK = Reply(200, {}, b"fine")
LOST = Broken("read", "the connection broke")
REFUSED = Broken("connect", "connection refused", sent=False)


def ladder(*names: str, **arguments: Any) -> Ladder:
    return Ladder([attempt(name) for name in names], backoff=Backoff(jitter=0.0), **arguments)


@pytest.mark.parametrize(
    ("rungs", "answers", "log"),
    [
        (["a"], [OK], ["a"]),
        (["a"], [status(500), OK], ["a", 0.5, "a"]),
        (["a"], [status(503), status(529), OK], ["a", 0.5, "a", 1.0, "a"]),
        (["a"], [status(429, 7), OK], ["a", 7.0, "a"]),
        (["a"], [LOST, OK], ["a", 0.5, "a"]),
        (["a"], [REFUSED, OK], ["a", 0.5, "a"]),
        (["a"], [Reply(200, {}, b"an error"), OK], ["a", 0.5, "a"]),
        (["a", "b"], [status(400), OK], ["a", "b"]),
        (["a", "b"], [status(401), OK], ["a", "b"]),
        (["a", "b"], [status(500), status(500), status(500), OK], ["a", 0.5, "a", 1.0, "a", "b"]),
        (["a", "b"], [status(429, 3600), OK], ["a", "b"]),
        (["a", "b"], [status(400), status(500), OK], ["a", "b", 0.5, "b"]),
    ],
)
def test_what_is_done_until_it_succeeds(rungs: list[str], answers: list[Reply | Broken], log: list[Any]) -> None:
    play = Playbook(ladder(*rungs), list(answers))
    success = play.run()
    assert play.log == log
    assert success.value == b"fine"
    assert success.attempt.model == log[-1]
    assert len(success.tried) == len(answers) - 1


@pytest.mark.parametrize(
    ("rungs", "answers", "log"),
    [
        (["a"], [status(400)], ["a"]),
        (["a"], [status(401)], ["a"]),
        (["a"], [status(429, 61)], ["a"]),
        (["a"], [status(500)] * 3, ["a", 0.5, "a", 1.0, "a"]),
        (["a", "b"], [status(401), status(400)], ["a", "b"]),
    ],
)
def test_what_is_done_until_it_gives_up(rungs: list[str], answers: list[Reply | Broken], log: list[Any]) -> None:
    play = Playbook(ladder(*rungs), list(answers))
    failed = play.fail()
    assert play.log == log
    assert [each.error.status for each in failed.tried] == [each.status for each in answers if isinstance(each, Reply)]
    assert failed.error is failed.tried[-1].error


def test_what_was_tried_says_who_how_long_and_whether_it_was_sent() -> None:
    play = Playbook(ladder("a", retries=1), [REFUSED, LOST], takes=2.0)
    failed = play.fail()
    assert [(each.name, each.provider, each.model, each.seconds, each.sent) for each in failed.tried] == [
        ("p/a", "p", "a", 2.0, False),
        ("p/a", "p", "a", 2.0, True),
    ]
    assert [(each.error.kind, each.error.status, each.error.native) for each in failed.tried] == [
        ("unavailable", 503, "connect"),
        ("unavailable", 503, "read"),
    ]


@pytest.mark.parametrize("status", [300, 301, 302, 303, 304, 307, 308])
def test_a_redirect_is_a_wrong_address_and_asked_once(status: int) -> None:
    moved = Reply(status, {"location": "https://user:secret@other.example/v2?key=secret"}, b"", "a stream")
    failed = Playbook(ladder("a", retries=3), [moved]).fail()
    assert (failed.error.kind, failed.error.status, failed.error.native) == ("not_found", 404, "redirect")
    assert len(failed.tried) == 1
    assert "https://other.example/v2;" in failed.error.message
    assert "secret" not in failed.error.message


@pytest.mark.parametrize("status", [200, 201, 299])
def test_any_2xx_is_an_answer(status: int) -> None:
    assert Playbook(ladder("a"), [Reply(status, {}, b"fine")]).run().value == b"fine"


@pytest.mark.parametrize(
    ("refusal", "renewed", "log", "tries"),
    [
        (401, True, ["a", "a"], 0),
        (403, True, ["a", "a"], 0),
        (402, True, ["a", "b"], 1),
        (404, True, ["a", "b"], 1),
        (401, False, ["a", "b"], 1),
    ],
)
def test_a_credential_that_is_refused_is_renewed_and_used_within_the_attempt(
    refusal: int, renewed: bool, log: list[str], tries: int
) -> None:
    play = Playbook(Ladder([attempt("a", renew=lambda: renewed), attempt("b")]), [status(refusal), OK])
    assert len(play.run().tried) == tries
    assert play.log == log


def test_a_credential_is_renewed_once() -> None:
    play = Playbook(Ladder([attempt("a", renew=lambda: True)]), [status(401), status(401)])
    assert play.fail().error.status == 401
    assert play.log == ["a", "a"]


_TOO_SHORT = ErrorResponse(kind="server", status=500, message="too short")


def piecemeal(reply: Reply) -> Any:
    """Reads until there are ten bytes."""

    def more(known: bytes) -> Any:
        if len(known) >= 10:
            return read(Reply(200, {}, known[:10].rstrip()))
        return Unfinished(lambda piece: more(known + piece) if piece else _TOO_SHORT)

    return more(reply.body)


@pytest.mark.parametrize(
    ("pieces", "log"),
    [
        ([b"fine      "], ["a"]),
        ([b"fi", b"ne", b"      "], ["a", "read on s", "read on s"]),
        ([b"an ", b"error  ", OK], ["a", "read on s", "close s", 0.5, "a"]),
        ([b"fi", b"", OK], ["a", "read on s", "close s", 0.5, "a"]),
        ([b"fi", LOST, OK], ["a", "read on s", "close s", 0.5, "a"]),
    ],
)
def test_a_stream_is_read_until_it_says_something(pieces: list[Any], log: list[Any]) -> None:
    whole = [attempt("a", stream=True, read=lambda reply: piecemeal(reply) if reply.stream else read(reply))]
    play = Playbook(Ladder(whole, backoff=Backoff(jitter=0.0)), [Reply(200, {}, pieces[0], "s"), *pieces[1:]])
    assert play.run().value == b"fine"
    assert play.log == log


def test_no_step_of_a_preparation_takes_longer_than_what_is_left() -> None:
    asked: list[float] = []

    def prepare(now: float) -> Generator[Any, Any, HTTPRequest]:
        for seconds in (60.0, 60.0, 1.0, 60.0):
            yield RunProgram(("token",), seconds)
        return HTTPRequest("POST", "https://a.example/chat")

    steps = exchange(Ladder([attempt("a", prepare=prepare)]), (time := Time()).clock, 10.0)
    event: Any = None
    for _ in range(3):
        asked.append(steps.send(event).timeout)
        time.now += 4.0
        event = Unreachable("no matter")
    assert asked == [10.0, 6.0, 1.0]
    with pytest.raises(ExchangeFailed, match=r"of 10 s .* Before that: RunProgram\(.*had taken that long") as failed:
        steps.send(event)  # and nothing is sent
    assert failed.value.error.message.count("the deadline") == 1


@pytest.mark.parametrize("total", [None, 10.0])
def test_a_preparation_is_closed_when_the_call_is_cancelled(total: float | None) -> None:
    log: list[str] = []

    def prepare(now: float) -> Generator[Any, Any, HTTPRequest]:
        try:
            yield RunProgram(("token",), 60.0)
        finally:
            log.append("closed")
        return HTTPRequest("POST", "https://a.example/chat")

    steps = exchange(Ladder([attempt("a", prepare=prepare)]), Time().clock, total)
    keeping = [next(steps)]
    steps.close()
    assert len(keeping) == 1 and log == ["closed"]


def test_a_timeout_of_the_transport_is_one_of_the_call() -> None:
    failed = Playbook(ladder("a", retries=0), [Broken("timeout", "no answer in time")]).fail()
    assert (failed.error.kind, failed.error.status) == ("timeout", 408)


def test_a_request_that_cannot_be_made_is_a_failed_attempt() -> None:
    def prepare(now: float) -> Generator[Any, Any, HTTPRequest]:
        raise AttemptFailed(ErrorResponse(kind="authentication", status=401, message="set KEY"))
        yield

    play = Playbook(Ladder([attempt("a", prepare=prepare), attempt("b")]), [OK])
    success = play.run()
    assert play.log == ["b"]
    assert [(each.error.message, each.sent) for each in success.tried] == [("set KEY", False)]


@pytest.mark.parametrize("total", [None, 30.0])
def test_a_request_that_needs_nothing_may_come_at_once(total: float | None) -> None:
    asked: list[float] = []

    def prepare(now: float) -> HTTPRequest:
        asked.append(now)
        if len(asked) == 1:
            raise AttemptFailed(ErrorResponse(kind="overloaded", status=529, message="not yet"))
        return HTTPRequest("POST", "https://a.example/chat")

    play = Playbook(ladder("a"), [status(401), OK], total)
    play.plan = Ladder([attempt("a", prepare=prepare, renew=lambda: True)], backoff=Backoff(jitter=0.0))
    success = play.run()
    assert play.log == [0.5, "a", "a"]
    assert success.value == b"fine"
    assert [(each.error.kind, each.sent) for each in success.tried] == [("overloaded", False)]
    assert len(asked) == 3


def test_a_stream_that_begins_with_an_error_is_closed_and_tried_again() -> None:
    play = Playbook(ladder("a"), [Reply(200, {}, b"an error", "the stream"), OK])
    play.run()
    assert play.log == ["a", "close the stream", 0.5, "a"]


def test_a_local_attempt_asks_nobody() -> None:
    failing = attempt("mock", local=lambda: ErrorResponse(kind="rate_limit", status=429, message="scripted"))
    play = Playbook(Ladder([failing, attempt("b", local=lambda: b"scripted")], retries=0), [])
    assert play.run().value == b"scripted"
    assert play.log == []


# -- the ladder -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("answers", "log"),
    [
        ([status(413), OK], ["a", "big"]),
        ([status(422), OK], ["a", "mild"]),
        ([status(400), OK], ["a", "b"]),
        ([status(413), status(413), OK], ["a", "big", "bigger"]),
        ([status(400), status(413), OK], ["a", "b", "big"]),
        ([status(413), status(422), OK], ["a", "big", "mild"]),
    ],
)
def test_kinds_of_errors_have_ladders_of_their_own(answers: list[Reply | Broken], log: list[str]) -> None:
    alternatives: dict[ErrorKind, Sequence[Attempt[Any]]] = {
        "context_window": [attempt("big"), attempt("bigger")],
        "content_policy": [attempt("mild")],
    }
    play = Playbook(ladder("a", "b", alternatives=alternatives), list(answers))
    play.run()
    assert play.log == log


_BACKOFF = Backoff()


@given(st.integers(0, 200), st.floats(0, 1, exclude_max=True), st.sampled_from(sorted(RETRYABLE)))
def test_a_wait_is_within_its_jitter(retry: int, random: float, kind: ErrorKind) -> None:
    wait = _BACKOFF.wait(retry, ErrorResponse(kind=kind, status=500, message=""), random)
    full = min(0.5 * 2 ** min(retry, 30), 8.0)
    assert wait is not None
    assert full * 0.75 <= wait <= full


@given(st.floats(0, 1e6), st.integers(0, 9))
def test_a_retry_after_is_kept_to_or_not_waited_for(asked: float, retry: int) -> None:
    wait = _BACKOFF.wait(retry, ErrorResponse(kind="rate_limit", status=429, message="", retry_after=asked), 0.5)
    assert wait == (asked if asked <= 60 else None)


_ANSWERS = st.lists(
    st.sampled_from([status(code) for code in _KINDS] + [status(429, 2), LOST, REFUSED]), min_size=64, max_size=64
)


@given(st.integers(1, 5), st.integers(0, 4), st.booleans(), _ANSWERS)
def test_any_ladder_ends(rungs: int, retries: int, alternative: bool, answers: list[Reply | Broken]) -> None:
    """Each rung at most (retries + 1) times, in order."""
    names = [f"r{number}" for number in range(rungs)]
    extra: dict[ErrorKind, Sequence[Attempt[Any]]] = {"context_window": [attempt("big")]} if alternative else {}
    play = Playbook(ladder(*names, retries=retries, alternatives=extra), answers)
    failed = play.fail()
    order = [each.model for each in failed.tried]
    met = list(dict.fromkeys(order))
    assert all(order.count(name) <= retries + 1 for name in met)
    assert order == sorted(order, key=met.index), "nobody is come back to"


# -- the deadline -----------------------------------------------------------------------------------------------------


def test_each_request_is_told_what_is_left() -> None:
    steps = exchange(ladder("a"), (time := Time()).clock, 10.0)
    first = next(steps)
    assert isinstance(first, Send) and first.seconds_left == 10.0
    time.now += 4.0
    sleep = steps.send(status(500))
    assert isinstance(sleep, Sleep)
    time.now += sleep.seconds
    second = steps.send(None)
    assert isinstance(second, Send) and second.seconds_left == 5.5


def test_a_wait_past_the_deadline_is_not_begun_and_the_real_error_is_shown() -> None:
    play = Playbook(ladder("a", "b"), [status(429, 20)], total=10.0)
    failed = play.fail()
    assert play.log == ["a"]
    assert (failed.error.kind, failed.error.status) == ("rate_limit", 429)


def test_when_the_time_is_up_that_is_the_error() -> None:
    play = Playbook(ladder("a", "b"), [status(400)], total=10.0, takes=10.0)
    failed = play.fail()
    assert play.log == ["a"]
    assert (failed.error.kind, failed.error.status, failed.error.native) == ("timeout", 408, "deadline")
    assert failed.tried[-1].model == "b"
    assert "10 s" in failed.error.message
    assert [each.sent for each in failed.tried] == [True, False]


def test_a_preparation_that_takes_all_the_time_sends_nothing() -> None:
    def prepare(now: float) -> Generator[Any, Any, HTTPRequest]:
        yield Sleep(11.0)
        return HTTPRequest("POST", "https://a.example/chat")

    play = Playbook(Ladder([attempt("a", prepare=prepare)], retries=0), [], total=10.0)
    assert play.fail().error.native == "deadline"
    assert play.log == [11.0]


@given(st.floats(0.1, 30), st.floats(0, 5), _ANSWERS)
def test_no_wait_leads_past_the_deadline(total: float, takes: float, answers: list[Reply | Broken]) -> None:
    play = Playbook(ladder("a", "b", "c", retries=4), answers, total=total, takes=takes)
    play.fail()
    assert play.time.now - 100.0 <= total + takes, "only a request that was under way may be"


# -- who is watching --------------------------------------------------------------------------------------------------


class Watching:
    """Writes down what it is told."""

    def __init__(self) -> None:
        self.log: list[tuple[Any, ...]] = []

    def began(self, attempt: Attempt[Any]) -> None:
        self.log.append(("began", attempt.model))

    def ended(self, attempt: Attempt[Any], seconds: float, error: ErrorResponse | None, streams: bool) -> None:
        self.log.append(("ended", attempt.model, seconds, error and error.kind, streams))

    def left(self, attempt: Attempt[Any]) -> None:
        self.log.append(("left", attempt.model))


def test_a_watch_sees_each_attempt_begin_and_end() -> None:
    watch, time = Watching(), Time()
    steps = exchange(ladder("a"), time.clock, None, watch)
    next(steps)
    time.now += 2.0
    steps.send(status(500))
    steps.send(None)
    time.now += 3.0
    with pytest.raises(StopIteration):
        steps.send(Reply(200, {}, b"fine", "a stream"))
    assert watch.log == [
        ("began", "a"),
        ("ended", "a", 2.0, "server", False),
        ("began", "a"),
        ("ended", "a", 3.0, None, True),
    ]


def test_a_call_that_is_cancelled_leaves() -> None:
    watch = Watching()
    steps = exchange(ladder("a"), Time().clock, None, watch)
    next(steps)
    steps.close()
    assert watch.log == [("began", "a"), ("left", "a")]


# -- with a router's plan ---------------------------------------------------------------------------------------------

_GROUPS = {"g": ("a", "b"), "f": ("c",)}


def routed(resting: set[str], fallbacks: dict[str, list[str]] | None = None) -> RouterPlan:
    def candidates(group: str) -> Candidates:
        everyone = [Deployment(group=group, arguments={"model": name}, id=name) for name in _GROUPS[group]]
        back = [each for each in everyone if each.id in resting]
        ready = tuple(each for each in everyone if each.id not in resting)
        return Candidates(ready, back[0], 2.5) if back else Candidates(ready)

    return RouterPlan(
        "g",
        candidates,
        lambda deployment, group, hops: attempt(deployment.id),
        fallbacks=lambda group, kind: (fallbacks or {}).get(group, []),
        retries=Retries(general=2),
        backoff=Backoff(jitter=0.0),
        random=lambda: 0.0,
    )


@pytest.mark.parametrize(
    ("answers", "log"),
    [
        ([status(429), OK], ["a", "b"]),
        ([status(500), status(500), OK], ["a", "b", 0.5, "a"]),
        ([status(400), OK], ["a", "c"]),
        ([status(401), status(401), OK], ["a", "b", "c"]),
        ([status(500)] * 3 + [OK], ["a", "b", 0.5, "a", "c"]),
    ],
)
def test_a_router_goes_to_another_deployment_then_to_another_group(answers: list[Reply], log: list[Any]) -> None:
    play = Playbook(routed(set(), {"g": ["f"]}), list(answers))
    play.run()
    assert play.log == log


def test_a_router_whose_deployments_all_rest_says_so_at_once() -> None:
    with pytest.raises(NothingToAsk, match=r"back in 2\.5 s"):
        Playbook(routed({"a", "b"}), []).run()


def resting_after_429(answers: list[Reply | Broken], back: set[str]) -> Playbook:
    """Whoever answers 429 rests, and those of `back` only until somebody has waited."""
    resting: set[str] = set()
    play = Playbook(routed(resting), answers)
    original = play.do

    def do(step: Any) -> Any:
        event = original(step)
        if isinstance(event, Reply) and event.status == 429:
            resting.add(step.request.url[8])
        if isinstance(step, Sleep):
            resting.difference_update(back)
        return event

    play.do = do  # type: ignore[method-assign]  # the double's own method, with more around it
    return play


def test_a_router_waits_for_one_that_is_back_soon() -> None:
    play = resting_after_429([status(429), status(429), OK], back={"a"})
    play.run()
    assert play.log == ["a", "b", 2.5, "a"]


def test_after_a_wait_a_router_looks_who_is_there() -> None:
    play = resting_after_429([status(429), status(429), OK], back={"b"})
    play.run()
    assert play.log == ["a", "b", 2.5, "b"], "it waited for a, which is not back, but b is"


def test_a_router_does_not_wait_for_ever() -> None:
    play = resting_after_429([status(429), status(429)], back=set())
    assert play.fail().error.status == 429
    assert play.log == ["a", "b", 2.5, 2.5, 2.5], "at most the longest wait, in all"


def test_a_wait_within_the_deadline_may_be_the_last() -> None:
    play = resting_after_429([status(429), status(429)], back=set())
    play.total = 4.0
    assert play.fail().error.status == 429
    assert play.log == ["a", "b", 2.5]
