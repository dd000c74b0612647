"""An answer that is read whole has an end: a provider that floods is left before a worker's memory is gone."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from penstock.exchange import Broken
from penstock.gateway import driver
from penstock.gateway.driver import Driver


class Told(Driver):
    """A call that notes what it is told of its request."""

    def __init__(self) -> None:
        self.cancelled = 0
        self.ongoing = SimpleNamespace(cancel=self._cancel)  # type: ignore[assignment]  # all that is asked of it
        self._body, self._streams = [], False
        self.events: list[Any] = []
        self.head(200, [])

    def _cancel(self) -> None:
        self.cancelled += 1

    def _tell(self, event: Any) -> None:
        self.events.append(event)


def test_a_provider_that_floods_is_left(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(driver, "MOST_BYTES", 10_000)
    call = Told()
    for _ in range(1000):
        if not call.cancelled:
            call.data(b"x" * 100)
    (event,) = call.events
    assert call.cancelled == 1
    assert isinstance(event, Broken) and event.sent, "the provider read it: nobody else is asked as if it had not"


def test_what_is_within_the_bound_comes_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(driver, "MOST_BYTES", 100_000)
    call = Told()
    for _ in range(1000):
        call.data(b"x" * 100)
    call.end()
    (event,) = call.events
    assert not call.cancelled and event.body == b"x" * 100_000
