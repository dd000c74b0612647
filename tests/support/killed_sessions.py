"""A server of the agent platform that may be killed, and what it may not leave: for tests of sessions that last."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import httpx

from penstock.agents.sandboxes.local.state import State
from penstock.agents.server import Whereabouts, whereabouts

PATIENCE = 90.0


class AgentsProcess:
    """`penstock agents serve` in a process of its own, on a port that stays the same over restarts. `arguments` may be
    changed between two of them.
    """

    def __init__(self, state: Path, gateway: str, key: str, environment: dict[str, str], *arguments: str) -> None:
        self.arguments = arguments
        self.state = state
        self.folder = state / "agents"
        self._environment = {
            **environment, "PENSTOCK_STATE_DIR": str(state), "PENSTOCK_GATEWAY_KEY": key, "PYTHONUNBUFFERED": "1"
        }  # fmt: skip
        self._gateway = gateway
        self._port = 0
        self.log = state / "server.log"
        self._http = httpx.Client(verify=False, timeout=20, trust_env=False)
        self.process: subprocess.Popen[bytes] | None = None
        self.found = Whereabouts("", "")

    def start(self) -> None:
        """Start it, and wait until it listens."""
        (self.folder / "server.json").unlink(missing_ok=True)
        command = [sys.executable, "-m", "penstock", "agents", "serve", "--port", str(self._port)]
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                [*command, "--gateway", self._gateway, *self.arguments], env=self._environment, stdout=log, stderr=log
            )
        until = time.monotonic() + PATIENCE
        while (found := whereabouts(self.folder)) is None:
            assert self.process.poll() is None and time.monotonic() < until, self.log.read_text()[-5000:]
            time.sleep(0.02)
        self.found, self._port = found, int(found.url.rpartition(":")[2])

    def call(self, method: str, path: str, body: Any = None, once: str = "") -> Any:
        """Call it, for as long as it takes: it may be down. `once` makes a repeated call the same call."""
        headers = {"authorization": f"Bearer {self.found.token}", **({"idempotency-key": once} if once else {})}
        until = time.monotonic() + PATIENCE
        while True:
            try:
                answer = self._http.request(method, self.found.url + path, json=body, headers=headers)
            except httpx.HTTPError:
                assert time.monotonic() < until, self.log.read_text()[-5000:]
                time.sleep(0.05)
                continue
            assert answer.status_code < 400, answer.text
            return answer.json()

    def events(self, session: str) -> list[dict[str, Any]]:
        """The whole log of a session."""
        found: list[dict[str, Any]] = []
        after: int | None = 0
        while after is not None:
            page = self.call("GET", f"/v1/sessions/{session}/events?after={after}&limit=1000")
            found += page["data"]
            after = page["next"]
        return found

    # -- what is killed -----------------------------------------------------------------------------------------------

    def kill(self) -> None:
        """kill -9, and start it again."""
        assert self.process is not None
        self.process.kill()
        self.process.wait()
        self.start()

    def reopen(self, *arguments: str) -> None:
        """Start it with other arguments; it has been stopped."""
        self.arguments = arguments
        self._http = httpx.Client(verify=False, timeout=20, trust_env=False)
        self.start()

    def kill_vault(self) -> bool:
        """kill -9 of its vault; False where it has none at the moment."""
        assert self.process is not None
        for pid in children_of(self.process.pid):
            if b"penstock.vault" in command_of(pid):
                os.kill(pid, signal.SIGKILL)
                return True
        return False

    def kill_sandbox(self, choice: int) -> bool:
        """kill -9 of one sandbox's first process; False where there is none."""
        state = State(self.sandboxes, as_root=os.geteuid() == 0)
        pids = sorted(record.pid for _, record in state.records() if record is not None and record.pid > 1)
        living = [pid for pid in pids if Path(f"/proc/{pid}").exists()]
        if living:
            os.kill(living[choice % len(living)], signal.SIGKILL)
        return bool(living)

    @property
    def sandboxes(self) -> Path:
        """Where its driver keeps what it has."""
        return self.state / "sessions"

    def stop(self) -> None:
        """End it as its user would."""
        self._http.close()
        if self.process is not None and self.process.poll() is None:
            self.process.terminate()
            self.process.wait(timeout=30)

    # -- what is left -------------------------------------------------------------------------------------------------

    def remains(self) -> list[str]:
        """What there still is of sandboxes: processes, mounts, control groups."""
        state = State(self.sandboxes, as_root=os.geteuid() == 0)
        found = [f"process {pid} of sandbox {token}" for pid, token in state.marked().items()]
        mounts = Path("/proc/self/mountinfo").read_text()
        found += [f"mount {line}" for line in mounts.splitlines() if str(self.sandboxes) in line]
        found += [
            f"group {path}" for path in Path("/sys/fs/cgroup").rglob(f"penstock-{state.instance}*/*") if path.is_dir()
        ]
        return found


def children_of(parent: int) -> list[int]:
    """The children of a process."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                status = (entry / "stat").read_text()
            except OSError:
                continue
            if int(re.sub(r"^.*\) ", "", status, flags=re.DOTALL).split()[1]) == parent:
                found.append(int(entry.name))
    return found


def command_of(pid: int) -> bytes:
    """A process's command line; empty where it has ended."""
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return b""
