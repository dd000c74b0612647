"""Real processes race for units, and are killed with -9 meanwhile: the journals say how much was admitted."""

from __future__ import annotations

import json
import os
import random
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.e2e import lease_processes
from tests.support.needs import REPOSITORY

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="only on systems with Unix sockets")


class Gateway:
    """The processes of a test. `folder` holds the journals."""

    def __init__(self) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="penstock-leases-"))
        self.path = str(self.folder / "channel")
        self.listener = socket.socket(socket.AF_UNIX)
        self.listener.bind(self.path)
        self.listener.listen()
        self.keeper = self.start_keeper()
        self.workers: list[subprocess.Popen[str]] = []

    def _run(self, *arguments: str, **more: Any) -> subprocess.Popen[str]:
        command = [sys.executable, lease_processes.__file__, *arguments]
        environment = {**os.environ, "PYTHONPATH": str(REPOSITORY)}
        return subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment, **more)

    def start_keeper(self) -> subprocess.Popen[str]:
        number = str(self.listener.fileno())
        self.keeper = self._run("keeper", str(self.folder), number, pass_fds=[self.listener.fileno()])
        return self.keeper

    def start_worker(self, quotas: list[dict[str, Any]], clients: int) -> None:
        worker = self._run("worker", str(self.folder), self.path, json.dumps(quotas), str(clients))
        self.workers.append(worker)

    def kill(self, process: subprocess.Popen[str]) -> None:
        process.kill()
        process.communicate()

    def results(self) -> list[dict[str, dict[str, int]]]:
        outputs = [worker.communicate(timeout=40)[0] for worker in self.workers]
        return [json.loads(output) for output in outputs]

    def used(self, name: str) -> int:
        """Units that are used, as all journals say."""
        return sum(lease_processes.used(self.folder, one, name) for one in lease_processes.journals(self.folder))

    def close(self) -> None:
        for process in (*self.workers, self.keeper):
            if process.poll() is None:
                self.kill(process)
            if process.stdout is not None:
                process.stdout.close()
        self.listener.close()
        shutil.rmtree(self.folder)


@pytest.fixture
def gateway() -> Iterator[Gateway]:
    made = Gateway()
    yield made
    made.close()


REQUESTS: dict[str, Any] = {"name": "k:requests", "kind": "requests", "limit": 3000, "window": 1e9}
TOKENS: dict[str, Any] = {"name": "k:tokens", "kind": "tokens", "limit": 1000, "window": 1e9}
MONEY: dict[str, Any] = {"name": "k:money:1", "kind": "money", "limit": 9_999}
PARALLEL: dict[str, Any] = {"name": "k:parallel", "kind": "parallel", "limit": 6}


def test_racing_workers_are_admitted_exactly_the_limit(gateway: Gateway) -> None:
    quotas = [REQUESTS, TOKENS, MONEY, PARALLEL]
    for _ in range(4):
        gateway.start_worker(quotas, 8)
    results = gateway.results()
    for quota in (REQUESTS, TOKENS, MONEY):
        assert gateway.used(quota["name"]) == quota["limit"]
        assert all(one["refused"][quota["name"]] for one in results)
    assert sum(one["admitted"]["k:requests"] for one in results) == REQUESTS["limit"]
    assert all(one["admitted"]["k:parallel"] > 400 for one in results)


def test_the_keeper_is_killed_again_and_again(gateway: Gateway) -> None:
    many = {**REQUESTS, "limit": 15_000}
    for _ in range(4):
        gateway.start_worker([many, MONEY], 4)
    chance = random.Random(1)
    while gateway.used("k:requests") < 0.9 * 15_000 and any(one.poll() is None for one in gateway.workers):
        time.sleep(chance.uniform(0.05, 0.3))
        gateway.kill(gateway.keeper)
        time.sleep(chance.uniform(0, 0.1))
        gateway.start_keeper()
        time.sleep(0.4)
    gateway.results()
    assert gateway.used("k:requests") == 15_000
    assert gateway.used("k:money:1") == MONEY["limit"]


def test_workers_and_the_keeper_are_killed(gateway: Gateway) -> None:
    """Money: all of it is spent, and not a picodollar more. A window loses what dead workers held, and no more."""
    for _ in range(4):
        gateway.start_worker([REQUESTS, MONEY, PARALLEL], 4)
    chance = random.Random(2)
    for round_ in range(4):
        time.sleep(chance.uniform(0.2, 0.5))
        victim = gateway.workers.pop(0)
        gateway.kill(victim)
        if round_ % 2:
            gateway.kill(gateway.keeper)
            gateway.start_keeper()
        gateway.start_worker([REQUESTS, MONEY, PARALLEL], 4)
    results = gateway.results()
    assert gateway.used("k:requests") <= REQUESTS["limit"]
    assert gateway.used("k:money:1") == MONEY["limit"]
    assert all(one["admitted"]["k:parallel"] > 400 for one in results), "slots of the dead came back"
