"""LiteLLM's proxy: a master key and one worker, no database, nothing logged."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from bench.gateway import machine, processes
from bench.gateway.install import LITELLM, installed_program, not_installed
from bench.gateway.peers.deployments import FAKE_KEY, deployments, group_of
from bench.gateway.peers.peer import Job, Running, Site, Target, request
from bench.gateway.processes import Program

_KEY = "sk-fake-master-key"
_QUIET = {
    "LITELLM_MASTER_KEY": _KEY,
    "LITELLM_LOCAL_MODEL_COST_MAP": "True",
    "LITELLM_LOG": "ERROR",
    "DO_NOT_TRACK": "1",
}


@dataclass(frozen=True, slots=True)
class _Running:
    program: Program
    port: int

    def target(self, job: Job, key: str | None = None) -> Target | None:
        return request(job, self.port, group_of(job), headers={"Authorization": f"Bearer {_KEY}"})


class LiteLLM:
    name = "litellm"
    what = f"{LITELLM.requirement}: a master key only, one worker, no database"

    def missing(self) -> str | None:
        return not_installed(LITELLM)

    def start(self, site: Site) -> Running:
        port = machine.free_port()
        config = site.folder / "litellm.yaml"  # JSON is YAML
        config.write_text(json.dumps(_configuration(site)))
        command = [str(installed_program(LITELLM)), "--config", str(config), "--host", "127.0.0.1"]
        command += ["--port", str(port), "--num_workers", str(site.workers), "--telemetry", "False"]
        program = processes.start(self.name, command, site.on, site.folder, _QUIET)
        program.wait_for_port(port, 120)
        return _Running(program, port)


def _configuration(site: Site) -> dict[str, Any]:
    return {
        "model_list": [
            {
                "model_name": deployment.group,
                "litellm_params": {"model": deployment.model, "api_base": deployment.base, "api_key": FAKE_KEY},
            }
            for deployment in deployments(site)
        ],
        # Or it would translate Messages into Responses, for which the mock has no answer.
        "litellm_settings": {"use_chat_completions_url_for_anthropic_messages": True},
    }
