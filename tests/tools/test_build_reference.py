"""The generated reference pages say what the code says."""

import pytest

import penstock
from penstock.client.options import Options
from tools.build_reference import FOLDER, PAGES, exceptions_page, options_page, python_api_page


@pytest.mark.parametrize("name", PAGES)
def test_a_page_is_up_to_date(name: str) -> None:
    assert (FOLDER / name).read_text(encoding="utf-8") == PAGES[name](), "run: make docs"


def test_every_option_is_described() -> None:
    """An option without a line in the docstring of `Options` is one that nobody can find."""
    page = options_page()
    fields = set(Options.__struct_fields__) - {"address", "prices"}
    assert {name for name in fields if f"`{name}`" not in page} == set()


def test_every_public_name_is_on_a_page() -> None:
    pages = python_api_page() + exceptions_page()
    assert [name for name in penstock.__all__ if not name.startswith("__") and f"`{name}`" not in pages] == []


def test_every_public_name_says_what_it_is() -> None:
    rows = [line for line in python_api_page().splitlines() if line.startswith("| `")]
    assert [row for row in rows if row.rstrip().endswith("|  |")] == []
