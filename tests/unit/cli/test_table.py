"""Tables in the terminal: aligned, and no wider than it while there is something to give up."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from penstock.cli.models import price, tokens
from penstock.cli.table import cut, fitted, table

HEAD = ("MODEL", "PROVIDER", "PRICE", "CAN")
ROWS = [("openai/gpt-4o", "openai", "2.5", "tools vision reasoning"), ("demo", "penstock", "0", "tools")]
RIGHT = frozenset({2})


def test_columns_are_as_wide_as_their_longest_cell() -> None:
    assert table(HEAD, ROWS, RIGHT).splitlines() == [
        "MODEL          PROVIDER  PRICE  CAN",
        "openai/gpt-4o  openai      2.5  tools vision reasoning",
        "demo           penstock      0  tools",
    ]


@pytest.mark.parametrize(
    ("width", "head", "first"),
    [
        (80, "MODEL          PROVIDER  PRICE  CAN", "openai/gpt-4o  openai      2.5  tools vision reasoning"),
        (45, "MODEL          PROVIDER  PRICE  CAN", "openai/gpt-4o  openai      2.5  tools vision…"),
        (35, "MODEL          PRICE  CAN", "openai/gpt-4o    2.5  tools vision…"),
        (20, "MODEL          PRICE", "openai/gpt-4o    2.5"),
        (5, "MODEL          PRICE", "openai/gpt-4o    2.5"),
    ],
)
def test_a_narrow_terminal_loses_the_last_words_first(width: int, head: str, first: str) -> None:
    assert fitted(HEAD, ROWS, width, RIGHT, (1, 3)).splitlines()[:2] == [head, first]


@given(st.integers(20, 200))
def test_what_fits_is_within_the_width(width: int) -> None:
    assert max(map(len, fitted(HEAD, ROWS, width, RIGHT, (1, 3)).splitlines())) <= width


@given(st.text(), st.integers(1, 20))
def test_a_cut_text_is_short_enough(text: str, width: int) -> None:
    assert len(cut(text, width)) <= max(width, 1)


@pytest.mark.parametrize(
    ("count", "text"),
    [
        (None, "?"),
        (0, "0"),
        (512, "512"),
        (8192, "8k"),
        (128_000, "128k"),
        (1_000_000, "1M"),
        (1_048_576, "1.05M"),
        (999_600, "1M"),
    ],
)
def test_numbers_of_tokens(count: int | None, text: str) -> None:
    assert tokens(count) == text


@pytest.mark.parametrize(
    ("exact", "text"),
    [
        (None, "?"),
        ("0", "0"),
        ("15", "15"),
        ("0.15", "0.15"),
        ("0.050000000000000004", "0.05"),
        ("1234.5", "1234"),
        ("0.00012345", "0.0001234"),
    ],
)
def test_prices(exact: str | None, text: str) -> None:
    assert price(exact) == text
