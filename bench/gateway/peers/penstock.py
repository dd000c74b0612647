"""Penstock as a company would run it: a virtual key with models, request, token, parallel and money limits; journal,
ledger, metrics and the structured log on.
"""

from __future__ import annotations

import json
import sys
import urllib.request
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from bench.gateway import machine, messages, processes
from bench.gateway.peers.deployments import FAKE_KEY, deployments, group_of
from bench.gateway.peers.peer import Job, Site, Target, request
from bench.gateway.processes import Failed, Program

_MASTER, _KEY = "sk-fake-master-key", "sk-fake-key-of-the-benchmark"
_GROUPS = [messages.EVERYDAY, messages.STREAMED, messages.THOUGHTFUL]

LIMITS = {
    "models": _GROUPS,
    "rpm_limit": 100_000_000,
    "tpm_limit": 100_000_000_000,
    "max_parallel_requests": 100_000,
    "max_budget": 1_000_000,
    "budget_duration": "30d",
}
"""Limits that every request is held to and that none reaches, in the words of `/key/generate` and of the config."""


@dataclass(frozen=True, slots=True)
class RunningPenstock:
    """A started gateway."""

    program: Program
    port: int

    def target(self, job: Job, key: str | None = None) -> Target:
        return request(job, self.port, group_of(job), headers={"Authorization": f"Bearer {key or _KEY}"})

    def make_keys(self, count: int) -> list[str]:
        """So many more virtual keys, each with limits of its own."""
        return [_make_key(self.port) for _ in range(count)]


class Penstock:
    name = "penstock"
    what = "a virtual key with request, token, parallel and money limits; journal, ledger, metrics, structured log"

    def missing(self) -> str | None:
        return None

    def command(self, site: Site, port: int) -> Sequence[str]:
        """How it is started."""
        config = site.folder / "penstock.yaml"  # JSON is YAML
        config.write_text(json.dumps(configuration(site)))
        options = ["--config", str(config), "--port", str(port), "--workers", str(site.workers)]
        return [sys.executable, "-m", "penstock", "serve", *options, "--state-dir", str(site.folder / "state")]

    def start(self, site: Site) -> RunningPenstock:
        port = machine.free_port()
        program = processes.start(self.name, self.command(site, port), site.on, site.folder)
        program.wait_for_port(port)
        return RunningPenstock(program, port)


def configuration(site: Site) -> dict[str, Any]:
    """Its config file."""
    return {
        "models": [
            {"name": deployment.group, "model": deployment.model, "api_base": deployment.base, "api_key": FAKE_KEY}
            for deployment in deployments(site)
        ],
        "keys": [{"key": _KEY, "alias": "bench", **LIMITS}],
        "general": {"master_key": _MASTER, "log_file": str(site.folder / "requests.jsonl")},
    }


def _make_key(port: int) -> str:
    asked = urllib.request.Request(
        f"http://127.0.0.1:{port}/key/generate",
        json.dumps(LIMITS).encode(),
        {"Authorization": f"Bearer {_MASTER}", "Content-Type": "application/json"},
    )
    with urllib.request.urlopen(asked, timeout=30) as answer:
        made = json.load(answer)
    if not isinstance(made.get("key"), str):
        raise Failed(f"/key/generate answered without a key: {made}")
    return str(made["key"])
