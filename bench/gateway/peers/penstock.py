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
from bench.gateway.peers.litellm import model_list
from bench.gateway.peers.peer import Job, Site, Target, request
from bench.gateway.processes import Failed, Program

_MASTER = "sk-fake-master-key"
_GROUPS = [messages.EVERYDAY, messages.STREAMED, messages.THOUGHTFUL]

# Limits that every request is held to and that none reaches.
LIMITS = {
    "models": _GROUPS,
    "rpm_limit": 100_000_000,
    "tpm_limit": 100_000_000_000,
    "max_parallel_requests": 100_000,
    "max_budget": 1_000_000.0,
    "budget_duration": "30d",
}


@dataclass(frozen=True, slots=True)
class RunningPenstock:
    """A started gateway and the virtual key of its client."""

    program: Program
    port: int
    key: str

    def target(self, job: Job, key: str | None = None) -> Target | None:
        group = {Job.MESSAGES: messages.THOUGHTFUL}.get(job, messages.STREAMED if job.streamed else messages.EVERYDAY)
        return request(job, self.port, group, headers={"Authorization": f"Bearer {key or self.key}"})

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
        try:
            return RunningPenstock(program, port, _make_key(port))
        except OSError as error:
            failure = program.failed(f"makes no key: {error}")
            program.stop()
            raise failure from error


def configuration(site: Site) -> dict[str, Any]:
    """Its config file."""
    log = str(site.folder / "requests.jsonl")
    return {
        "model_list": model_list(site),
        "general_settings": {"master_key": _MASTER, "log_file": log},
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
