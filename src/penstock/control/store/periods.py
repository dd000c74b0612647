"""When a budget begins again, and when a key expires: durations as LiteLLM's users write them, on UTC's calendar. Pure.

    30s 15m 24h 7d 2w 1mo      a whole number of seconds, minutes, hours, days, weeks or calendar months

A budget's periods are aligned to the calendar, as LiteLLM's are: a day begins at midnight, a week on Monday, a month on
its first (30d counts as a month), hours and less at multiples of themselves from midnight. Whoever makes a key in the
middle of a period gets a shorter first one. An expiry is not aligned: it is so long after now.
"""

from __future__ import annotations

import re
from calendar import monthrange
from datetime import UTC, datetime, timedelta

_DURATION = re.compile(r"\s*([1-9][0-9]{0,8})\s*(s|m|h|d|w|mo)\s*")
_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86400, "w": 604800}


class BadDuration(ValueError):
    """Not a duration; the message says what one looks like."""


def parse_duration(duration: str) -> tuple[int, str]:
    """The number and the unit of a duration. Raises BadDuration."""
    match = _DURATION.fullmatch(duration)
    if match is None:
        raise BadDuration(
            f"{duration!r} is no duration: write a whole number and a unit, such as 30s, 15m, 24h, 7d, 1mo"
        )
    return int(match[1]), match[2]


def after(duration: str, now: float) -> float:
    """Unix seconds at which this duration from `now` on is over. Months keep the day, or take their last.

    Raises BadDuration, also where that is after the year 9999.
    """
    number, unit = parse_duration(duration)
    if unit != "mo":
        end = now + number * _SECONDS[unit]
        if end >= _LAST:
            raise BadDuration(f"{duration!r} ends after the year 9999: leave it out for something that has no end")
        return end
    at = datetime.fromtimestamp(now, UTC)
    year, month = _months_on(at, number, duration)
    return at.replace(year=year, month=month, day=min(at.day, monthrange(year, month)[1])).timestamp()


def next_reset(duration: str, now: float) -> float:
    """Unix seconds of the first moment after `now` at which such a budget begins again. Raises BadDuration."""
    number, unit = parse_duration(duration)
    at = datetime.fromtimestamp(now, UTC)
    midnight = at.replace(hour=0, minute=0, second=0, microsecond=0)
    if unit == "mo" or (number, unit) == (30, "d"):
        year, month = _months_on(at, number if unit == "mo" else 1, duration)
        return midnight.replace(year=year, month=month, day=1).timestamp()
    seconds = number * _SECONDS[unit]
    if seconds == 7 * 86400:
        return (midnight + timedelta(days=7 - midnight.weekday())).timestamp()
    if seconds >= 86400:
        end = midnight.timestamp() + seconds
    else:
        begun = (now - midnight.timestamp()) // seconds
        end = midnight.timestamp() + (begun + 1) * seconds
    if end >= _LAST:
        raise BadDuration(
            f"{duration!r} ends after the year 9999: leave budget_duration out for a budget without periods"
        )
    return end


_LAST = datetime(9999, 12, 31, tzinfo=UTC).timestamp()


def _months_on(at: datetime, number: int, duration: str) -> tuple[int, int]:
    months = at.year * 12 + at.month - 1 + number
    if months // 12 > 9999:
        raise BadDuration(f"{duration!r} ends after the year 9999")
    return months // 12, months % 12 + 1
