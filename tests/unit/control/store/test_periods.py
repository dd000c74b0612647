"""Durations, and the calendar that budgets begin again on."""

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from penstock.control.store.periods import BadDuration, after, next_reset, parse_duration


def at(text: str) -> float:
    return datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp()


WEDNESDAY = "2027-01-13T15:20:30.5"


@pytest.mark.parametrize(
    ("duration", "now", "reset"),
    [
        ("24h", WEDNESDAY, "2027-01-14T00:00:00"),
        ("1d", WEDNESDAY, "2027-01-14T00:00:00"),
        ("7d", WEDNESDAY, "2027-01-18T00:00:00"),  # Monday
        ("1w", WEDNESDAY, "2027-01-18T00:00:00"),
        ("7d", "2027-01-18T00:00:00", "2027-01-25T00:00:00"),  # on the very moment: the next one
        ("7d", "2027-01-17T23:59:59", "2027-01-18T00:00:00"),
        ("30d", WEDNESDAY, "2027-02-01T00:00:00"),
        ("1mo", WEDNESDAY, "2027-02-01T00:00:00"),
        ("1mo", "2027-12-31T23:59:59", "2028-01-01T00:00:00"),
        ("3mo", "2027-11-30T12:00:00", "2028-02-01T00:00:00"),
        ("3d", WEDNESDAY, "2027-01-16T00:00:00"),
        ("48h", WEDNESDAY, "2027-01-15T00:00:00"),
        ("1h", WEDNESDAY, "2027-01-13T16:00:00"),
        ("6h", WEDNESDAY, "2027-01-13T18:00:00"),
        ("12h", "2027-01-13T12:00:00", "2027-01-14T00:00:00"),
        ("15m", WEDNESDAY, "2027-01-13T15:30:00"),
        ("30s", WEDNESDAY, "2027-01-13T15:21:00"),
    ],
)
def test_a_budget_begins_again_with_the_calendar(duration: str, now: str, reset: str) -> None:
    assert next_reset(duration, at(now)) == at(reset)


@pytest.mark.parametrize(
    ("duration", "end"),
    [
        ("90s", "2027-01-13T15:22:00.5"),
        ("2h", "2027-01-13T17:20:30.5"),
        ("1w", "2027-01-20T15:20:30.5"),
        ("1mo", "2027-02-13T15:20:30.5"),
    ],
)
def test_an_expiry_is_so_long_after_now(duration: str, end: str) -> None:
    assert after(duration, at(WEDNESDAY)) == at(end)


def test_a_month_later_is_the_last_day_of_a_shorter_month() -> None:
    assert after("1mo", at("2027-01-31T10:00:00")) == at("2027-02-28T10:00:00")
    assert after("13mo", at("2027-01-31T10:00:00")) == at("2028-02-29T10:00:00")


@pytest.mark.parametrize(
    "duration", ["", "d", "0d", "-1d", "1.5h", "1y", "1 month", "1D", "1d1h", "٣d", "9" * 12 + "s"]
)
def test_what_is_no_duration_says_what_one_looks_like(duration: str) -> None:
    with pytest.raises(BadDuration, match="15m"):
        parse_duration(duration)


@pytest.mark.parametrize("duration", ["999999999d", "999999999mo", "999999999w"])
def test_the_year_10000_is_refused(duration: str) -> None:
    with pytest.raises(BadDuration, match="9999"):
        after(duration, at(WEDNESDAY))
    with pytest.raises(BadDuration, match="9999"):
        next_reset(duration, at(WEDNESDAY))


DURATIONS = st.builds(
    lambda number, unit: f"{number}{unit}", st.integers(1, 400), st.sampled_from(["s", "m", "h", "d", "w", "mo"])
)


@given(DURATIONS, st.floats(0, at("2100-01-01T00:00:00"), allow_nan=False))
def test_a_reset_is_after_now_and_within_a_period(duration: str, now: float) -> None:
    reset = next_reset(duration, now)
    assert now < reset
    number, unit = parse_duration(duration)
    longest = {"s": 1, "m": 60, "h": 3600, "d": 86400, "w": 604800, "mo": 31 * 86400}[unit] * number
    rounded = 1e-6  # half a microsecond before midnight is midnight: the calendar knows no less than a microsecond
    assert reset - now <= max(longest, 31 * 86400 if duration == "30d" else 0) + rounded
    assert next_reset(duration, reset) > reset
