"""Counts that are none: a host in JavaScript writes 5.0, and some say what no table holds."""

from __future__ import annotations

import math
from typing import Any

import pytest

from penstock.types.usage import MOST_TOKENS, Usage


@pytest.mark.parametrize(
    ("said", "counted"),
    [(5, 5), (5.0, 5), (5.5, 6), (0.0, 0), (10**30, MOST_TOKENS), (1e300, MOST_TOKENS), (math.inf, MOST_TOKENS)],
)
def test_tokens_are_counted_whole(said: Any, counted: int) -> None:
    found = Usage(input_tokens=said, output_tokens=7, reasoning_tokens=said, seconds=1.5, cost="0.1").whole()
    assert found == Usage(input_tokens=counted, output_tokens=7, reasoning_tokens=counted, seconds=1.5, cost="0.1")
    assert type(found.input_tokens) is int


def test_whole_counts_stay_the_same_value() -> None:
    usage = Usage(input_tokens=5, output_tokens=None, seconds=0.5)
    assert usage.whole() is usage
