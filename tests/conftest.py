"""Rules that hold for every test: how deep hypothesis digs, what may be skipped, where shared references lie.

Hypothesis profiles: `quick` (the default) for the edit-and-run loop, `ci` (deeper, reproducible) when `PENSTOCK_CI=1`.
`HYPOTHESIS_PROFILE=ci` picks one by hand. Neither has a deadline: no test here asserts a time.

Skips: in CI a skip is a failure, unless its reason begins with one of `ACCEPTED_SKIPS`. So a test cannot go missing
because a tool was not installed and nobody looked.

Names: a parameter whose name holds an address in memory is refused, for the processes of a parallel run must agree on
the names of all tests.
"""

import os
import re
from collections.abc import Callable, Generator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from tests.support import SHARED_ABSENT, in_ci, shared_folder

ACCEPTED_SKIPS = (
    SHARED_ABSENT,
    "only on ",  # another operating system or Python version: `skipif(..., reason="only on Linux")`
)

_UNTIMED = (HealthCheck.too_slow,)
settings.register_profile("quick", max_examples=50, deadline=None, suppress_health_check=_UNTIMED)
settings.register_profile(
    "ci", max_examples=100, deadline=None, derandomize=True, print_blob=True, suppress_health_check=_UNTIMED
)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE") or ("ci" if in_ci() else "quick"))


@pytest.fixture(scope="session")
def shared() -> Callable[..., Path]:
    """`shared("provider-exchanges")`: the path of a shared reference; skips the test when it is not there."""
    return shared_folder


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Refuse test names that differ from process to process."""
    passing = [item.nodeid for item in items if re.search(r" at 0x[0-9a-f]+", item.nodeid)]
    if passing:
        raise pytest.UsageError(f"give these parameters ids that are the same in every process: {passing}")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """In CI, turn a skip of a test that is not accepted into a failure."""
    report = yield
    if not hasattr(report, "wasxfail"):
        _refuse_skip(report)
    return report


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report(
    collector: pytest.Collector,
) -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
    """In CI, turn a skip of a whole module that is not accepted into a collection error."""
    report = yield
    _refuse_skip(report)
    return report


def _refuse_skip(report: pytest.TestReport | pytest.CollectReport) -> None:
    if not (in_ci() and report.skipped and isinstance(report.longrepr, tuple)):
        return
    path, line, message = report.longrepr
    reason = message.removeprefix("Skipped: ")
    if reason.startswith(ACCEPTED_SKIPS):
        return
    report.outcome = "failed"
    report.longrepr = f"{path}:{line}: skipped in CI: {reason}\n(install what it needs, or see tests/conftest.py)"
