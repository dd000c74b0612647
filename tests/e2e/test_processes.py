"""`penstock serve` as processes: what dies is back, what drains loses nothing, what is revoked is refused everywhere.

(The supervisor alone, with each of its signals: tests/unit/control/test_supervisor.py.)
"""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest

from penstock.control.journals import live_workers
from penstock.testing.providers import Reply, SimulatedProviders
from tests.e2e.gateway import KEY, environment_for

PATIENCE = 60.0
HELLO = {"model": "demo", "messages": [{"role": "user", "content": "Hello"}]}

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="only on Linux")


@dataclass
class Gateway:
    process: subprocess.Popen[str]
    folder: Path
    url: str

    def client(self, key: str = KEY) -> httpx.Client:
        """A client on a connection of its own."""
        return httpx.Client(base_url=self.url, headers={"authorization": f"Bearer {key}"}, timeout=PATIENCE)

    def ask(self, method: str, path: str, key: str = KEY, **named: Any) -> httpx.Response:
        with self.client(key) as client:
            return client.request(method, path, **named)

    def chat(self, key: str = KEY, **more: Any) -> httpx.Response:
        return self.ask("POST", "/v1/chat/completions", key, json={**HELLO, **more})

    def made(self, **settings: Any) -> str:
        """A new virtual key."""
        answer = self.ask("POST", "/key/generate", json=settings)
        assert answer.status_code == 200, answer.text
        return str(answer.json()["key"])

    def processes(self) -> dict[str, int]:
        """The living children, by their names."""
        listed = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text().split()
        found = {}
        for pid in listed:
            name = Path(f"/proc/{pid}/cmdline").read_bytes().rstrip(b"\0").decode()
            found[name.removeprefix("penstock: ")] = int(pid)
        return found

    @property
    def log(self) -> str:
        return (self.folder / "log").read_text()

    def stop(self, number: int = signal.SIGTERM) -> int:
        self.process.send_signal(number)
        return self.process.wait(PATIENCE)


@contextmanager
def serving(
    folder: Path, *arguments: str, workers: int = 2, environment: Mapping[str, str] | None = None
) -> Iterator[Gateway]:
    command = [sys.executable, "-m", "penstock", "serve", "--port", "0", "--state-dir", str(folder / "state")]
    command += ["--workers", str(workers), *arguments]
    settings = environment or environment_for(None, PENSTOCK_MASTER_KEY=KEY)
    with (folder / "log").open("a") as log:
        process = subprocess.Popen(command, env=settings, stdout=subprocess.PIPE, stderr=log, text=True, cwd=folder)
    assert process.stdout is not None
    try:
        match = re.match(r"Penstock listens on (\S+)", process.stdout.readline())
        assert match is not None, (folder / "log").read_text()
        yield Gateway(process, folder, match[1])
    finally:
        process.terminate()
        try:
            process.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            process.kill()
        process.stdout.close()


def until(found: Callable[[], Any]) -> Any:
    end = time.monotonic() + PATIENCE
    while time.monotonic() < end:
        if result := found():
            return result
        time.sleep(0.01)
    raise AssertionError("it never was so")


# -- what dies is back ------------------------------------------------------------------------------------------------


def test_a_worker_that_is_killed_is_back_and_no_client_of_the_other_notices(tmp_path: Path) -> None:
    with serving(tmp_path) as gateway:
        before = gateway.processes()
        with gateway.client() as client:
            assert client.post("/v1/chat/completions", json=HELLO).status_code == 200
        for name in ("worker 1", "worker 2"):
            os.kill(gateway.processes()[name], signal.SIGKILL)
            until(lambda: gateway.processes().get(name, before[name]) != before[name])  # noqa: B023  # at once
            answers = [gateway.chat().status_code for _ in range(20)]
            assert answers == [200] * 20, "connections that wait for the dead one are answered by its successor"
        assert gateway.processes()["keeper"] == before["keeper"]


def test_workers_answer_while_the_keeper_is_dead_and_it_is_back(tmp_path: Path) -> None:
    with serving(tmp_path) as gateway:
        limited, known = gateway.made(rpm_limit=1000, max_budget=1), gateway.made()
        for _ in range(20):
            assert gateway.chat(known).status_code == 200, "all workers have met it"
        os.kill(gateway.processes()["keeper"], signal.SIGKILL)
        assert [gateway.chat(known).status_code for _ in range(20)] == [200] * 20
        assert gateway.chat(limited).status_code == 200, "who is unknown waits for the next keeper"
        assert until(lambda: gateway.ask("GET", "/key/list").status_code == 200)
        assert gateway.ask("GET", "/key/list").json()["total_count"] == 2, "and it knows what the last one knew"


def test_a_probe_of_a_keeper_that_is_stopped_is_answered(tmp_path: Path) -> None:
    with serving(tmp_path) as gateway:
        keeper = gateway.processes()["keeper"]
        os.kill(keeper, signal.SIGSTOP)
        try:
            with httpx.Client(base_url=gateway.url, timeout=20.0) as probe:  # a third of what others wait for it
                assert probe.get("/health/readiness").status_code == 503
                assert probe.get("/health/liveliness").status_code == 200
        finally:
            os.kill(keeper, signal.SIGCONT)
        until(lambda: gateway.ask("GET", "/health/readiness").status_code == 200)


def test_the_master_key_that_was_made_outlives_the_keeper(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "penstock", "serve", "--port", "0", "--workers", "1"]
    process = subprocess.Popen(command, env=environment_for(), stdout=subprocess.PIPE, text=True, cwd=tmp_path)
    assert process.stdout is not None
    try:
        said = "".join(iter(process.stdout.readline, "Try it:\n"))
        url, key = re.findall(r"listens on (\S+)|shown only now: (\S+)", said)
        gateway = Gateway(process, tmp_path, url[0])
        os.kill(gateway.processes()["keeper"], signal.SIGKILL)
        until(lambda: gateway.ask("GET", "/key/list", key[1]).status_code == 200)
        assert gateway.chat(key[1]).status_code == 200
        assert gateway.stop() == 0
    finally:
        process.kill()
        process.stdout.close()


# -- drains -----------------------------------------------------------------------------------------------------------


def test_a_drain_ends_calls_and_leaves_every_row_in_the_ledger(tmp_path: Path) -> None:
    with (
        SimulatedProviders() as providers,
        serving(tmp_path, environment=environment_for(providers, PENSTOCK_MASTER_KEY=KEY)) as gateway,
    ):
        providers.script(Reply.text("Just in time").delivered(before_headers=1.0))
        key = gateway.made()
        with gateway.client(key) as client:
            request = client.build_request("POST", "/v1/chat/completions", json={**HELLO, "model": "openai/gpt-4o"})
            answers: list[httpx.Response] = []
            asking = threading.Thread(target=lambda: answers.append(client.send(request)))
            asking.start()
            assert providers.wait_until(lambda those: bool(those.requests))
            assert gateway.stop() == 0
            asking.join()
        assert answers[0].json()["choices"][0]["message"]["content"] == "Just in time"
        assert live_workers(tmp_path / "state" / "journals") == []
    with serving(tmp_path) as gateway:
        rows = gateway.ask("GET", "/spend/logs", key).json()
        assert [row["status"] for row in rows] == ["success"]


def test_rows_of_a_gateway_that_was_killed_are_read_by_the_next(tmp_path: Path) -> None:
    with serving(tmp_path) as gateway:
        key = gateway.made()
        for _ in range(10):
            assert gateway.chat(key).status_code == 200
        for pid in (gateway.process.pid, *gateway.processes().values()):
            os.kill(pid, signal.SIGKILL)
        gateway.process.wait(PATIENCE)
    with serving(tmp_path) as gateway:
        rows = until(lambda: (found := gateway.ask("GET", "/spend/logs", key).json())[9:] and found)
        assert len(rows) == len({row["request_id"] for row in rows}) == 10


# -- what is changed holds everywhere ---------------------------------------------------------------------------------


def test_a_key_that_is_revoked_is_refused_by_every_worker_when_the_call_returns(tmp_path: Path) -> None:
    with serving(tmp_path, workers=3) as gateway:
        for path, body in (("/key/block", "key"), ("/key/delete", "keys")):
            key = gateway.made()
            clients = [gateway.client(key) for _ in range(12)]
            assert {client.post("/v1/chat/completions", json=HELLO).status_code for client in clients} == {200}
            answer = gateway.ask("POST", path, json={body: [key] if body == "keys" else key})
            assert answer.status_code == 200
            refused = {client.post("/v1/chat/completions", json=HELLO).status_code for client in clients}
            assert refused <= {401, 403}, path
            for client in clients:
                client.close()


def test_a_change_of_the_file_reaches_every_worker_and_one_that_is_wrong_changes_nothing(tmp_path: Path) -> None:
    file = tmp_path / "penstock.yaml"
    file.write_text("models: [{name: one, model: demo}]\n")
    with serving(tmp_path, "--config", str(file)) as gateway:
        with gateway.client() as client:
            assert client.post("/v1/chat/completions", json={**HELLO, "model": "one"}).status_code == 200
        file.write_text("models: [{name: two, model: demo}]\n")
        until(lambda: gateway.ask("GET", "/config/status").json()["version"] == 2)
        assert {gateway.chat(model="two").status_code for _ in range(20)} == {200}
        assert 200 not in {gateway.chat(model="one").status_code for _ in range(20)}
        file.write_text("modls: []\n")
        status = until(lambda: (told := gateway.ask("GET", "/config/status").json())["refused"] and told)
        assert status["version"] == 2 and "did you mean models?" in status["refused"]
        assert gateway.chat(model="two").status_code == 200
        assert "is refused, the configuration stays as it was" in gateway.log
        os.kill(gateway.processes()["keeper"], signal.SIGKILL)
        until(lambda: gateway.ask("GET", "/config/status").status_code == 200)
        assert gateway.ask("GET", "/config/status").json()["version"] == 2, "the last that was right stays in force"
        assert gateway.chat(model="two").status_code == 200
        file.write_text("models: [{name: three, model: demo}]\n")
        gateway.process.send_signal(signal.SIGHUP)
        until(lambda: gateway.chat(model="three").status_code == 200)


# -- how it starts ----------------------------------------------------------------------------------------------------


def run(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "penstock", "serve", *arguments]
    return subprocess.run(command, env=environment_for() | environment, capture_output=True, text=True)


def test_a_configuration_that_is_wrong_is_told_and_nothing_starts(tmp_path: Path) -> None:
    file = tmp_path / "penstock.yaml"
    file.write_text("modls: []\n")
    done = run("--port", "0", "--config", str(file))
    assert done.returncode == 1 and done.stdout == ""
    assert "the configuration is wrong" in done.stderr and "line 1" in done.stderr and "models" in done.stderr
    assert "Traceback" not in done.stderr
    missing = run("--port", "0", "--config", str(tmp_path / "nowhere.yaml"))
    assert missing.returncode == 1 and "there is no file" in missing.stderr


def test_two_gateways_share_neither_state_nor_port(tmp_path: Path) -> None:
    with serving(tmp_path) as gateway:
        same_state = run("--port", "0", "--state-dir", str(tmp_path / "state"))
        assert same_state.returncode == 1
        assert f"another gateway (process {gateway.process.pid}) runs on" in same_state.stderr
        port = gateway.url.rpartition(":")[2]
        same_port = run("--port", port, "--state-dir", str(tmp_path / "other"))
        assert same_port.returncode == 1 and f"port {port} of 127.0.0.1 cannot be had" in same_port.stderr
        assert gateway.chat().status_code == 200


def test_litellms_spelling_of_workers_is_taken(tmp_path: Path) -> None:
    with serving(tmp_path, "--num_workers", "1") as gateway:
        assert set(gateway.processes()) == {"keeper", "worker 1"}


@pytest.mark.parametrize(
    "wrong", [("--workers", "0"), ("--workers", "many"), ("--drain-seconds", "-1"), ("--drain-seconds", "nan")]
)
def test_numbers_that_are_none_are_refused(wrong: tuple[str, str]) -> None:
    assert run(*wrong).returncode == 2
