"""Every test of connections runs on both event loops: uvloop, and asyncio's own where there is none."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any, TypeAlias

import pytest
import uvloop

Run: TypeAlias = Callable[[Callable[[], Coroutine[Any, Any, None]]], None]


@pytest.fixture(params=["uvloop", "asyncio"])
def run(request: pytest.FixtureRequest) -> Run:
    """`run(main)` runs the coroutine function in a new loop; what is reported to the loop as an error fails it,
    but for the RuntimeError or ValueError of a receiver: those are raised to see what comes of them.
    """

    def run_it(main: Callable[[], Coroutine[Any, Any, None]]) -> None:
        reported: list[dict[str, Any]] = []
        factory = uvloop.new_event_loop if request.param == "uvloop" else asyncio.new_event_loop
        with asyncio.Runner(loop_factory=factory) as runner:
            runner.get_loop().set_exception_handler(lambda loop, context: reported.append(context))
            runner.run(main())
        meant = [each for each in reported if isinstance(each.get("exception"), (RuntimeError, ValueError))]
        assert [each for each in reported if each not in meant or "receiver of" not in each["message"]] == []

    return run_it
