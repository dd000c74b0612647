"""When a deployment rests, and for how long; what its latency is."""

from __future__ import annotations

import pytest

from penstock.routing.health import (
    CLAIM,
    HEALTHY,
    LATENCY_MEMORY,
    WINDOW,
    CooldownRules,
    Health,
    aged,
    circuit,
    claimed,
    failed,
    latency_of,
    left,
    may_be_asked,
    recovered,
    rested,
    rests,
    started,
    succeeded,
    used,
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


def claim(health: Health, now: float) -> Health:
    found = claimed(health, now)
    assert found is not None
    return found


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
    ("successes", "failures", "resting"), [(0, 4, False), (0, 5, True), (3, 3, False), (3, 4, True), (4, 4, False)]
)
def test_server_errors_rest_when_more_than_half_of_five_failed(successes: int, failures: int, resting: bool) -> None:
    assert rests(after(*times("server", failures), successes=successes), 1.0) is resting


def test_failures_are_forgotten_after_a_minute() -> None:
    health = after(*times("server", 4))
    often = CooldownRules(consecutive=100)
    assert not rests(failed(health, WINDOW, error(), often, False), WINDOW)
    assert rests(failed(health, WINDOW - 1, error(), often, False), WINDOW)


def test_failures_in_a_row_count_however_slowly_they_come() -> None:
    health = HEALTHY
    for hour in range(5):
        assert not rests(health, hour * 3600.0)
        health = failed(health, hour * 3600.0, error(), RULES, False)
    assert rests(health, 4 * 3600.0)


def test_a_success_ends_a_row() -> None:
    health = after(*times("server", 4))
    health = succeeded(health, 3600.0, 1.0)
    assert not rests(failed(health, 7200.0, error(), RULES, False), 7200.0)


# -- the circuit breaker ----------------------------------------------------------------------------------------------


def opened(now: float = 0.0) -> Health:
    return failed(HEALTHY, now, error("rate_limit"), RULES, False)


def test_after_the_rest_exactly_one_request_is_let_through() -> None:
    health = opened()
    assert (circuit(HEALTHY, 0.0), circuit(health, 4.9), circuit(health, 5.0)) == ("closed", "open", "half-open")
    assert claimed(health, 4.9) is None
    probing = claimed(health, 5.0)
    assert probing is not None and not may_be_asked(probing, 5.0)
    assert claimed(probing, 5.0) is None, "there is one probe"
    begun = started(probing, 5.1)
    assert not may_be_asked(begun, 500.0), "until it is over, however long that takes"


def test_a_probe_that_succeeds_closes_the_circuit() -> None:
    health = succeeded(started(claim(opened(), 5.0), 5.0), 6.0, 1.0, left=True)
    assert (circuit(health, 6.0), health.trips, health.in_flight) == ("closed", 0, 0)
    assert may_be_asked(health, 6.0)


def test_a_probe_that_fails_opens_it_again_for_longer_each_time_within_bounds() -> None:
    health, rest = opened(), []
    for _ in range(12):
        begins = health.rests_until
        health = left(failed(started(claim(health, begins), begins), begins, error("server"), RULES, False))
        assert health.probed_until == 0.0
        rest.append(health.rests_until - begins)
    assert rest == [10, 20, 40, 80, 160, 320, 600, 600, 600, 600, 600, 600]


def test_a_probe_that_nobody_waits_for_is_another_requests_to_make() -> None:
    health = left(started(claim(opened(), 5.0), 5.0))
    assert (circuit(health, 6.0), may_be_asked(health, 6.0)) == ("half-open", True)


def test_a_claim_that_never_begins_lapses() -> None:
    health = claim(opened(), 5.0)
    assert not may_be_asked(health, 5.0 + CLAIM - 0.1)
    assert may_be_asked(health, 5.0 + CLAIM)


def test_a_refusal_by_the_provider_shows_that_it_is_back_and_one_of_our_own_shows_nothing() -> None:
    health = started(claim(opened(), 5.0), 5.0)
    refused = ErrorResponse(kind="invalid_request", status=400, message="no", body={"error": {}})
    assert circuit(left(failed(health, 5.5, refused, RULES, False)), 6.0) == "closed"
    ours = ErrorResponse(kind="unsupported", status=400, message="not sent")
    still = left(failed(health, 5.5, ours, RULES, False))
    assert (circuit(still, 6.0), may_be_asked(still, 6.0)) == ("half-open", True)


def test_what_began_before_the_rest_neither_ends_it_nor_makes_it_grow() -> None:
    health = started(opened())
    assert rests(succeeded(health, 1.0, 1.0), 4.9)
    late = failed(health, 1.0, error("rate_limit"), RULES, False)
    assert (late.rests_until, late.trips) == (6.0, 1)


def test_the_only_deployment_rests_where_the_rules_say_so() -> None:
    assert rests(after("rate_limit", alone=True, rules=CooldownRules(single=True)), 0.0)


def test_what_another_process_saw() -> None:
    health = rested(HEALTHY, 9.0, 3)
    assert (health.rests_until, health.trips) == (9.0, 3)
    assert rested(health, 5.0, 1) == health, "a shorter rest takes nothing away"
    assert recovered(health) == HEALTHY


def test_requests_and_tokens_of_the_minute() -> None:
    health = used(started(started(HEALTHY, 1.0), 2.0), 3.0, 500)
    assert (health.requests, health.tokens, health.begun) == (2, 500, 2)
    later = started(health, WINDOW)
    assert (later.requests, later.tokens, later.begun) == (1, 0, 3)


def test_the_first_token_is_kept_apart_from_whole_answers() -> None:
    health = succeeded(succeeded(HEALTHY, 0.0, 9.0), 0.0, 0.5, streams=True)
    assert (latency_of(health, 1.0, False), latency_of(health, 1.0, True)) == (9.0, 0.5)
    only = succeeded(HEALTHY, 0.0, 9.0)
    assert latency_of(only, 1.0, True) == 9.0, "the other one stands in"
    assert latency_of(health, LATENCY_MEMORY + 1, True) is None


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
