"""TensorZero's gateway, which its Python wheel holds as an extension module: a process that does nothing but run it."""

from __future__ import annotations

import time
from dataclasses import dataclass

from bench.gateway import messages, processes
from bench.gateway.install import TENSORZERO, installed_program, not_installed
from bench.gateway.peers.peer import Job, Running, Site, Target, request
from bench.gateway.processes import Program

_RUN = """
import sys, threading
from tensorzero.tensorzero import _start_http_gateway
gateway = _start_http_gateway(
    config_file=sys.argv[1], clickhouse_url=None, postgres_url=None, valkey_url=None, async_setup=False
)
print("listening at", gateway.base_url, flush=True)
threading.Event().wait()
"""

_MODEL = """
[models.{name}]
routing = ["mock"]
[models.{name}.providers.mock]
type = "openai"
model_name = "{model}"
api_base = "http://127.0.0.1:{port}/v1/"
api_key_location = "none"
"""

# Its usage reports are on unless refused, and it writes a line of log for each request unless told otherwise.
_QUIET = {"TENSORZERO_DISABLE_PSEUDONYMOUS_USAGE_ANALYTICS": "1", "RUST_LOG": "error"}


@dataclass(frozen=True, slots=True)
class _Running:
    program: Program
    port: int

    def target(self, job: Job, key: str | None = None) -> Target | None:
        if job.speaks_messages:
            return None  # it speaks Chat Completions only
        name = messages.STREAMED if job.streamed else messages.EVERYDAY
        return request(job, self.port, f"tensorzero::model_name::{name}", "/openai/v1/chat/completions")


class TensorZero:
    name = "tensorzero"
    what = f"{TENSORZERO.requirement}, the gateway in its wheel: no key, no log, no database"

    def missing(self) -> str | None:
        return not_installed(TENSORZERO)

    def start(self, site: Site) -> Running:
        config = site.folder / "tensorzero.toml"
        groups = ((messages.EVERYDAY, site.answers), (messages.STREAMED, site.streams))
        models = [_MODEL.format(name=name, model=messages.MODEL, port=port) for name, port in groups]
        config.write_text("[gateway]\nobservability.enabled = false\n" + "".join(models))
        command = [str(installed_program(TENSORZERO)), "-c", _RUN, str(config)]
        threads = {"TOKIO_WORKER_THREADS": str(site.workers)}
        program = processes.start(self.name, command, site.on, site.folder, {**_QUIET, **threads})
        return _Running(program, _port(program))


def _port(program: Program) -> int:
    """The port that it has chosen and says in its log."""
    until = time.monotonic() + 60
    while time.monotonic() < until and program.process.poll() is None:
        _, said, rest = program.log.read_text(errors="replace").partition("listening at http://127.0.0.1:")
        if said and "\n" in rest:
            return int(rest.partition("/")[0])
        time.sleep(0.01)
    raise program.failed("has not said where it listens")
