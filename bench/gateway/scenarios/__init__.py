"""The scenarios: one a file, and the list of them, in the order of the table."""

from __future__ import annotations

from bench.gateway.scenarios import relay
from bench.gateway.scenarios.scenario import Scenario

SCENARIOS: dict[str, Scenario] = {each.name: each for each in (relay.SCENARIO,)}
