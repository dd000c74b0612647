"""When a refusal is about the time: what the service says, what its `Date` says, and what neither proves."""

from email.utils import formatdate

import pytest

from penstock.providers.auth.clock import clock_advice

NOW = 1_800_000_000.0


@pytest.mark.parametrize(
    ("behind", "said", "advice"),
    [
        (0, "no access", ""),
        (200, "no access", ""),
        (600, "no access", "10 minutes behind"),
        (-3600, "no access", "60 minutes ahead of"),
        (90 * 86_400, "no access", ""),
        (90 * 86_400, "Signature expired: 2026", "129600 minutes behind"),
        (0, "Signature not yet current: 2026", "check this machine's clock"),
        (0, "Invalid JWT: Token must be in a reasonable timeframe.", "check this machine's clock"),
        (0, "AADSTS700024: Client assertion is not within its valid time range.", "check this machine's clock"),
    ],
)
def test_advice(behind: float, said: str, advice: str) -> None:
    found = clock_advice(said, {"date": formatdate(NOW + behind, usegmt=True)}, NOW)
    assert advice in found
    assert bool(advice) == bool(found)


@pytest.mark.parametrize("date", ["", "yesterday", "Mon, 99 Jan 2026 00:00:00 GMT", "0"])
def test_a_date_that_is_none_says_nothing(date: str) -> None:
    assert clock_advice("no access", {"date": date}, NOW) == ""
