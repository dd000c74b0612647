"""Throughput: `wrk` sends one request over and over on each of its connections, as fast as the answers come."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from bench.gateway.peers.peer import Target
from bench.gateway.processes import Failed

_REPORT = """
done = function(summary, latency, requests)
  local e = summary.errors
  io.write(string.format('\\n{"requests":%d,"microseconds":%d,"failed":%d,"refused":%d,"p50":%d,"p99":%d}\\n',
    summary.requests, summary.duration, e.connect + e.read + e.write + e.timeout, e.status,
    latency:percentile(50), latency:percentile(99)))
end
"""

_TAKE_TURNS = """
local turn = 0
request = function()
  turn = turn % #prepared + 1
  return prepared[turn]
end
"""


@dataclass(frozen=True, slots=True)
class Load:
    """What a run of wrk came to. `failed`: connections that broke; `refused`: answers with a status above 399."""

    requests: int
    seconds: float
    failed: int
    refused: int
    p50: float
    p99: float

    @property
    def rate(self) -> float:
        """Requests per second."""
        return self.requests / self.seconds


def missing() -> str | None:
    """Why there is no wrk, and what to do."""
    return None if shutil.which("wrk") else "wrk is not installed: apt-get install wrk"


def run(target: Target, core: int, seconds: int, connections: int, folder: Path, keys: Sequence[str] = ()) -> Load:
    """Drive the target for so many seconds; with `keys`, each request bears the next of them as its bearer token."""
    script = folder / "load.lua"
    script.write_text(_script(target, keys))
    command = ["taskset", "--cpu-list", str(core), "wrk", "--threads", "1", "--connections", str(connections)]
    command += ["--duration", f"{seconds}s", "--timeout", "10s", "--script", str(script)]
    done = subprocess.run([*command, f"http://127.0.0.1:{target.port}{target.path}"], capture_output=True, text=True)
    if done.returncode:
        raise Failed(f"wrk ended with status {done.returncode}: {done.stderr or done.stdout}")
    return read_report(done.stdout)


def read_report(printed: str) -> Load:
    """The figures in what wrk printed with our script (latencies in seconds)."""
    values = json.loads(printed.strip().splitlines()[-1])
    seconds = values["microseconds"] / 1e6
    return Load(
        values["requests"], seconds, values["failed"], values["refused"], values["p50"] / 1e6, values["p99"] / 1e6
    )


def _script(target: Target, keys: Sequence[str]) -> str:
    lines = ['wrk.method = "POST"', f"wrk.body = {_lua(target.body.decode())}"]
    lines += [f"wrk.headers[{_lua(name)}] = {_lua(value)}" for name, value in target.headers.items()]
    if keys:
        lines += ["local prepared = {}", "init = function(args)", "  local headers = wrk.headers"]
        lines += [f"  for _, key in ipairs({{{', '.join(map(_lua, keys))}}}) do"]
        lines += ['    headers["Authorization"] = "Bearer " .. key']
        lines += ["    prepared[#prepared + 1] = wrk.format(nil, nil, headers)", "  end", "end", _TAKE_TURNS]
    return "\n".join([*lines, _REPORT])


def _lua(text: str) -> str:
    """A string of Lua."""
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n") + '"'
