"""When a deployment rests, and for how long; what its latency is."""

from __future__ import annotations

import pytest

from penstock.routing.health import (
    HEALTHY,
    LATENCY_MEMORY,
    WINDOW,
    CooldownRules,
    Health,
    aged,
    failed,
    left,
    rests,
    started,
    succeeded,
)
from penstock.types.errors import ErrorKind, ErrorResponse

RULES = CooldownRules()


def error(kind: ErrorKind = "server", retry_after: float | None = None) -> ErrorResponse:
    return ErrorResponse(kind=kind, status=500, message="", retry_after=retry_after)


def times(kind: ErrorKind, count: int) -> list[ErrorKind]:
    """So many errors of a kind."""
    return [kind] * count


def after(*kinds: ErrorKind, rules: CooldownRules = RULES, alone: bool = False, successes: int = 0) -> Health:
    health = HEALTHY
    for _ in range(successes):
        health = succeeded(health, 0.0, 1.0)
    for kind in kinds:
        health = failed(health, 0.0, error(kind), rules, alone)
    return health


@pytest.mark.parametrize(
    "kind", ["rate_limit", "quota", "billing", "authentication", "permission", "not_found", "timeout"]
)
def test_what_does_not_pass_at_once_rests_at_once(kind: ErrorKind) -> None:
    health = after(kind)
    assert rests(health, 4.9)
    assert not rests(health, 5.0), "and when the rest is over it is asked again"


@pytest.mark.parametrize(
    "kind", ["invalid_request", "context_window", "content_policy", "unsupported", "too_large", "unprocessable"]
)
def test_errors_of_the_caller_say_nothing_about_the_deployment(kind: ErrorKind) -> None:
    assert after(*times(kind, 20)) == HEALTHY


@pytest.mark.parametrize(
    ("successes", "failures", "resting"), [(0, 4, False), (0, 5, True), (3, 3, False), (3, 4, True), (6, 6, False)]
)
def test_server_errors_rest_when_more_than_half_of_five_failed(successes: int, failures: int, resting: bool) -> None:
    assert rests(after(*times("server", failures), successes=successes), 1.0) is resting


def test_failures_are_forgotten_after_a_minute() -> None:
    health = after(*times("server", 4))
    assert not rests(failed(health, WINDOW, error(), RULES, False), WINDOW)


def test_the_only_deployment_never_rests() -> None:
    assert not rests(after(*times("rate_limit", 9), alone=True), 0.0)


def test_nobody_rests_where_that_is_switched_off() -> None:
    assert not rests(after("rate_limit", rules=CooldownRules(enabled=False)), 0.0)


def test_allowed_fails_take_the_place_of_the_other_rules() -> None:
    rules = CooldownRules(allowed_fails=2, seconds=7)
    assert not rests(after("rate_limit", "rate_limit", rules=rules), 0.0)
    assert rests(after("rate_limit", "server", "server", rules=rules), 6.9)


@pytest.mark.parametrize(("asked", "rest"), [(None, 5), (1, 5), (30, 30), (86_400, 600)])
def test_a_longer_retry_after_counts_within_reason(asked: float | None, rest: float) -> None:
    health = failed(HEALTHY, 100.0, error("rate_limit", asked), RULES, False)
    assert health.rests_until == 100 + rest


def test_a_shorter_rest_does_not_end_a_longer_one() -> None:
    long = failed(HEALTHY, 0.0, error("rate_limit", 60), RULES, False)
    assert failed(long, 1.0, error("rate_limit"), RULES, False).rests_until == 60


def test_latency_follows_the_latest_and_is_forgotten() -> None:
    health = succeeded(HEALTHY, 0.0, 1.0)
    assert health.latency == 1.0
    assert succeeded(health, 1.0, 2.0).latency == pytest.approx(1.3)
    assert aged(health, LATENCY_MEMORY - 1).latency == 1.0
    assert aged(health, LATENCY_MEMORY).latency is None


def test_what_is_in_flight_never_falls_below_none() -> None:
    assert left(started(started(HEALTHY))).in_flight == 1
    assert left(HEALTHY).in_flight == 0
