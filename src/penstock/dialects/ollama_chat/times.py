"""`created_at`: the time as RFC 3339 text, with up to nine digits behind the second and any offset.

The representation has whole seconds since 1970; the text itself is kept for the same dialect. A zero time (Go's
"0001-01-01T00:00:00Z") and what is no time at all say nothing.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def seconds_of(text: object) -> int | None:
    """Whole seconds since 1970, or None."""
    if not isinstance(text, str):
        return None
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    seconds = (moment - _EPOCH) // timedelta(seconds=1)
    return seconds if seconds >= 0 else None


def text_of(seconds: float) -> str:
    """The time as text; that of 1970 where the number is out of range."""
    try:
        moment = _EPOCH + timedelta(seconds=seconds)
    except (OverflowError, ValueError):
        moment = _EPOCH
    return moment.strftime("%Y-%m-%dT%H:%M:%S.%fZ") if moment.microsecond else f"{moment:%Y-%m-%dT%H:%M:%S}Z"
