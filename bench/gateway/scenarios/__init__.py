"""The scenarios: one a file, and the list of them, in the order of the table."""

from __future__ import annotations

from bench.gateway.scenarios import (
    latency,
    many_streams,
    relay,
    rest,
    soak,
    stream_relay,
    stream_translate,
    translate,
    workers,
)
from bench.gateway.scenarios.scenario import Scenario

_MODULES = (relay, translate, latency, stream_relay, stream_translate, many_streams, rest, soak, workers)
SCENARIOS: dict[str, Scenario] = {module.SCENARIO.name: module.SCENARIO for module in _MODULES}
"""By the name that the command line takes."""
