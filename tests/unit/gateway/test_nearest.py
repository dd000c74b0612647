"""The nearest of many names: the same that comparing with all of them would find."""

from difflib import get_close_matches

from hypothesis import given
from hypothesis import strategies as st

from penstock.gateway.nearest import NearestNames
from penstock.providers.facts import current_facts

NAMES = sorted({row.name for row in current_facts().rows()})
NEAREST = NearestNames(NAMES)


def test_a_slip_finds_what_was_meant() -> None:
    for name in NAMES[:: max(1, len(NAMES) // 50)]:
        if len(name) > 5:
            slip = name[:2] + name[3:]
            assert name in NEAREST.to(slip) or get_close_matches(slip, NAMES, n=3)[0] != name


@given(st.text(max_size=300))
def test_any_name_may_be_asked(name: str) -> None:
    found = NEAREST.to(name)
    assert len(found) <= 3
    assert set(found) <= set(NAMES)


def test_only_what_may_be_told_is_told() -> None:
    assert NearestNames(["gpt-4o", "gpt-4"]).to("gpt-4p", lambda name: name == "gpt-4") == ["gpt-4"]
    assert NearestNames([]).to("gpt") == []
