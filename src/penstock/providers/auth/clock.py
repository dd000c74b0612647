"""The clock: signatures and assertions hold for some minutes around the moment they were made at, so a machine whose
clock is off is refused everywhere, and the refusals seldom say so. The `Date` header does.
"""

from __future__ import annotations

from collections.abc import Mapping
from email.utils import parsedate_to_datetime

TOLERANCE = 240.0
"""Seconds by which two clocks may differ before it is told; AWS and Google refuse from 300 on."""

_BELIEVABLE = 30 * 86_400.0
"""Seconds from which on a `Date` alone proves nothing: a clock that is off by more fails at the certificates before."""

_COMPLAINTS = (
    "signature expired",
    "signature not yet current",
    "requesttimetooskewed",
    "request has expired",
    "not within its valid time range",  # Microsoft, AADSTS700024
    "reasonable timeframe",  # Google, of an assertion
)
"""What services say about a moment that is not theirs, in lower case."""


def clock_advice(said: str, headers: Mapping[str, str], now: float) -> str:
    """What to tell of the clock where a service refused with these words and headers (lower-case names) what was made
    at `now`; "" where it is right.
    """
    behind = _behind(headers.get("date"), now)
    complains = any(complaint in said.lower() for complaint in _COMPLAINTS)
    if abs(behind) > TOLERANCE and (complains or abs(behind) < _BELIEVABLE):
        which = "behind" if behind > 0 else "ahead of"
        amount = f"{abs(behind) / 60:.0f} minutes"
        return f"This machine's clock is {amount} {which} that of the service: set it right."
    return "The service finds the time of the request wrong: check this machine's clock." if complains else ""


def _behind(date: str | None, now: float) -> float:
    """Seconds by which our clock is behind the one of a `Date` header (RFC 9110, section 6.6.1); 0 without one."""
    try:
        return parsedate_to_datetime(date).timestamp() - now if date else 0.0
    except (ValueError, OverflowError):
        return 0.0
