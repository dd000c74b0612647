"""The reference page of the providers says what the catalog says."""

from penstock.providers.catalog import built_in_providers
from tools.build_provider_page import PAGE, page


def test_the_page_is_up_to_date() -> None:
    assert PAGE.read_text(encoding="utf-8") == page(), "run: python -m tools.build_provider_page"


def test_every_provider_is_on_the_page() -> None:
    text = page()
    assert all(f"`{row.name}`" in text for row in built_in_providers())
