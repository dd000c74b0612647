"""Any events, however little they fit together, make a stream that a client of the dialect can read to its end."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from penstock.dialects import registry
from penstock.types.errors import DialectError
from penstock.types.fold import Fold
from penstock.types.stream import Delta, End, Stop, StreamEvent
from tests.contract import dialects as contract
from tests.contract.any_events import DELTAS

REFUSE_NONSENSE = {"openai_responses"}
"""Dialects that cannot tell some of it: they say so by a DialectError."""


@pytest.mark.parametrize("name", registry.NAMES)
@given(st.lists(DELTAS, max_size=25))
def test_any_events_make_a_stream_that_can_be_read(name: str, deltas: list[Delta]) -> None:
    dialect = registry.get(name)
    if End() in deltas:  # nothing follows it
        deltas = deltas[: deltas.index(End()) + 1]
    try:
        data = contract.render_events(dialect, [StreamEvent((delta,)) for delta in deltas], contract.NOBODY)
    except DialectError:
        assert name in REFUSE_NONSENSE
        return
    total = Fold(name)
    for event in contract.parse_stream(dialect, data):
        total.add(event)
    assert total.complete
    told_to_fail = any(isinstance(delta, Stop) and delta.reason == "error" for delta in deltas)
    assert told_to_fail or total.error is None
    assert total.response().choices
