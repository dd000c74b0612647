"""Names of rows: a prefix that says of what, and 26 characters that sort by the time when they were made. Pure.

    ses_01kaxyz...      48 bits of milliseconds, 80 bits of chance, in Crockford's base 32, lower case

So lists in the order of ids are lists in the order of time, and the last id of a page is where the next one begins. Ids
are no secrets: nothing is allowed because somebody knows one.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import datetime

Random = Callable[[int], bytes]
"""So many bytes of chance (`os.urandom`, `secrets.token_bytes`)."""

AGENT, ENVIRONMENT, SESSION, APPROVAL, TOKEN, ARTIFACT, PLAN = "agt", "env", "ses", "apr", "tok", "art", "pln"
PATTERN = r"^[a-z]{3}_[0-9a-hjkmnp-tv-z]{26}$"
_DIGITS = "0123456789abcdefghjkmnpqrstvwxyz"
_is_id = re.compile(PATTERN).fullmatch


def mint(prefix: str, now: datetime, random: Random) -> str:
    """A new id."""
    number = (int(now.timestamp() * 1000) << 80) | int.from_bytes(random(10), "big")
    return f"{prefix}_{''.join(_DIGITS[number >> shift & 31] for shift in range(125, -1, -5))}"


def is_id(text: str) -> bool:
    """Whether a text could be an id."""
    return _is_id(text) is not None
