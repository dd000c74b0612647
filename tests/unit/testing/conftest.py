"""A running simulated provider for each test, and the official clients pointed at it."""

from collections.abc import Iterator

import pytest

from penstock.testing.providers import SimulatedProviders


@pytest.fixture
def provider() -> Iterator[SimulatedProviders]:
    """A server that lets any key in, and refuses what the real provider would refuse."""
    with SimulatedProviders() as running:
        yield running
