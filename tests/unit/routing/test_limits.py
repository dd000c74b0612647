"""What is left of a provider's limits, as its headers say in three ways."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from penstock.providers.provider import RateLimitHeaders
from penstock.routing.limits import Limit, limits_of

OPENAI = RateLimitHeaders()
ANTHROPIC = RateLimitHeaders(
    limit_requests="anthropic-ratelimit-requests-limit",
    remaining_requests="anthropic-ratelimit-requests-remaining",
    reset_requests="anthropic-ratelimit-requests-reset",
    resets="timestamp",
)
UNIX = 1_767_225_600.0  # 2026-01-01T00:00:00Z


def requests(reset: str | None, names: RateLimitHeaders = OPENAI, remaining: str = "59") -> Limit | None:
    headers = {names.limit_requests: "60", names.remaining_requests: remaining}
    if reset is not None:
        headers[names.reset_requests] = reset
    return limits_of(headers, names, 1000.0, UNIX).requests


@pytest.mark.parametrize(
    ("reset", "seconds"),
    [
        ("1s", 1.0),
        ("6m0s", 360.0),
        ("20ms", 0.02),
        ("1m30.5s", 90.5),
        ("2h", 7200.0),
        ("1d2h3m4s", 93784.0),
        ("12", 12.0),
        ("0.25", 0.25),
        ("soon", 60.0),
        ("", 60.0),
        (None, 60.0),
        ("9" * 60, 60.0),
    ],
)
def test_durations(reset: str | None, seconds: float) -> None:
    found = requests(reset)
    assert found is not None and (found.limit, found.remaining) == (60.0, 59.0)
    assert found.resets == pytest.approx(1000.0 + seconds)


@pytest.mark.parametrize(
    ("reset", "seconds"),
    [
        ("2026-01-01T00:00:30Z", 30.0),
        ("2026-01-01T01:00:30+01:00", 30.0),
        ("1767225645", 45.0),
        ("2025-12-31T23:59:00Z", 0.0),
        ("2026-01-01T00:00:30", 60.0),
        ("never", 60.0),
    ],
)
def test_timestamps(reset: str, seconds: float) -> None:
    found = requests(reset, ANTHROPIC)
    assert found is not None and found.resets == pytest.approx(1000.0 + seconds)


@pytest.mark.parametrize("remaining", ["", "many", "-1", "nan", "inf", "1e400"])
def test_what_cannot_be_read_says_nothing(remaining: str) -> None:
    assert requests("1s", remaining=remaining) is None


@given(st.text(max_size=60), st.text(max_size=60), st.text(max_size=60))
def test_no_header_makes_it_fail(limit: str, left: str, reset: str) -> None:
    for names in (OPENAI, ANTHROPIC):
        headers = {names.limit_requests: limit, names.remaining_requests: left, names.reset_requests: reset}
        found = limits_of(headers, names, 1000.0, UNIX).requests
        assert found is None or (0 <= found.remaining <= found.limit and found.resets >= 1000.0)
