"""Portkey's gateway, open source: one Node process; what to do is said by the headers of each request."""

from __future__ import annotations

import shutil
from dataclasses import dataclass

from bench.gateway import machine, processes
from bench.gateway.install import PORTKEY, installed_program, not_installed
from bench.gateway.peers.peer import Job, Running, Site, Target, native_model, request
from bench.gateway.processes import Program


@dataclass(frozen=True, slots=True)
class _Running:
    program: Program
    port: int
    site: Site

    def target(self, job: Job, key: str | None = None) -> Target | None:
        headers = {
            "x-portkey-provider": "anthropic" if job is Job.MESSAGES else "openai",
            "x-portkey-custom-host": f"http://127.0.0.1:{self.site.upstream(job)}/v1",
            "Authorization": "Bearer sk-fake-provider-key",
        }
        return request(job, self.port, native_model(job), headers=headers)


class Portkey:
    name = "portkey"
    what = f"{PORTKEY.requirement}: one Node process, no key, no log"

    def missing(self) -> str | None:
        return not_installed(PORTKEY) or (None if shutil.which("node") else "node is not installed")

    def start(self, site: Site) -> Running:
        port = machine.free_port()
        command = ["node", str(installed_program(PORTKEY)), "--headless", f"--port={port}"]
        program = processes.start(self.name, command, site.on, site.folder, {"NODE_ENV": "production"})
        program.wait_for_port(port)
        return _Running(program, port, site)
