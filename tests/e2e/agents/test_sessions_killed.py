"""Sessions outlive everything: kill -9 of server, vault and sandboxes while they work. None is lost, none is doubled,
and nothing is left of them when they are over.

`PENSTOCK_KILLED_SESSIONS=50` runs as many as that (and more kills).
"""

from __future__ import annotations

import os
import random
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from penstock.vault.api import open_secrets
from tests.e2e.gateway import KEY, environment_for, serving
from tests.support.killed_sessions import PATIENCE, AgentsProcess
from tests.support.sandboxes import need_sandboxes, sandbox_folder

SESSIONS = int(os.environ.get("PENSTOCK_KILLED_SESSIONS", "8"))
MESSAGES = 3
KILLS = 5 + SESSIONS // 10
ASK = """
sleep 0.5
curl -s --retry 3 --retry-all-errors "$OPENAI_BASE_URL/chat/completions" -H "authorization: Bearer $OPENAI_API_KEY" \
  -H "content-type: application/json" -d '{"model": "demo", "messages": [{"role": "user", "content": "hello"}]}'
echo "$(cat)" >> said
"""
"""A program that takes a while, asks a model, and leaves a line in its workspace."""


@pytest.fixture(scope="module")
def server() -> Iterator[AgentsProcess]:
    need_sandboxes()
    environment = environment_for()
    with sandbox_folder() as state, serving({**environment, "PENSTOCK_MASTER_KEY": KEY}, "--workers", "1") as gateway:
        state.mkdir(mode=0o711)
        made = AgentsProcess(state, gateway.url, KEY, environment)
        made.start()
        try:
            yield made
        finally:
            made.stop()


def _started(server: AgentsProcess, number: int, agents: list[str], environment: str) -> str:
    body = {"agent": agents[number % 2], "environment": environment, "message": f"message 0 of {number}"}
    made: dict[str, Any] = server.call("POST", "/v1/sessions", body, once=f"start-{number}")
    for nth in range(1, MESSAGES):
        said = {"text": f"message {nth} of {number}"}
        server.call("POST", f"/v1/sessions/{made['id']}/messages", said, once=f"say-{number}-{nth}")
        time.sleep(0.2)
    return str(made["id"])


def _wait_until_idle(server: AgentsProcess, session: str) -> dict[str, Any]:
    until = time.monotonic() + PATIENCE
    while True:
        row: dict[str, Any] = server.call("GET", f"/v1/sessions/{session}")
        if row["state"] == "terminated":
            return row
        ended = [event["data"] for event in server.events(session) if event["data"]["kind"] == "turn_end"]
        if row["state"] == "idle" and ended and max(end["message"] for end in ended) >= row["last_message"]:
            return row
        assert time.monotonic() < until, (row, server.events(session)[-10:])
        time.sleep(0.1)


def _check_log(events: list[dict[str, Any]]) -> None:
    """No number is missing or twice, each message stands there once, and one end of a turn answers it."""
    assert [event["number"] for event in events] == list(range(1, len(events) + 1))
    said = [(event["number"], event["data"]["text"]) for event in events if event["data"]["kind"] == "user_message"]
    assert Counter(text for _, text in said) == Counter({text for _, text in said}) and len(said) == MESSAGES
    ends = [event["data"]["message"] for event in events if event["data"]["kind"] == "turn_end"]
    assert ends == sorted(set(ends)) and ends[-1] == said[-1][0], "a turn was answered twice, or not at all"
    outcomes = {event["data"]["outcome"] for event in events if event["data"]["kind"] == "turn_end"}
    assert outcomes == {"completed"}


def _kill(server: AgentsProcess, kind: str, chance: random.Random) -> None:
    if kind == "server":
        server.kill()
    elif kind == "vault":
        server.kill_vault()
    else:
        server.kill_sandbox(chance.randrange(1000))


def test_no_session_is_lost_or_doubled_whatever_is_killed(server: AgentsProcess) -> None:
    chance = random.Random(4)
    command = {"name": "asks", "harness": "command", "model": "demo", "options": {"command": ["sh", "-c", ASK]}}
    loop = {"name": "loops", "harness": "loop", "model": "demo"}
    agents = [server.call("POST", "/v1/agents", body)["id"] for body in (command, loop)]
    environment = server.call("POST", "/v1/environments", {"name": "no way out"})["id"]
    with ThreadPoolExecutor(8) as pool:
        starting = [pool.submit(_started, server, number, agents, environment) for number in range(SESSIONS)]
        time.sleep(1.0)
        for kind in (*chance.sample(["server", "vault", "sandbox"] * KILLS, KILLS), "server"):
            _kill(server, kind, chance)
            time.sleep(chance.uniform(0.5, 1.5))
        sessions = [each.result(timeout=PATIENCE) for each in starting]
    assert len(set(sessions)) == SESSIONS
    for session in sessions:
        row = _wait_until_idle(server, session)
        assert row["state"] == "idle", (row, server.events(session)[-20:])
        _check_log(server.events(session))
    for session in sessions:
        server.call("POST", f"/v1/sessions/{session}/terminate", once=f"end-{session}")
    _check_nothing_is_left(server)


def _check_nothing_is_left(server: AgentsProcess) -> None:
    until = time.monotonic() + PATIENCE
    while (remains := server.remains()) or _kept_keys(server):
        assert time.monotonic() < until, (remains, _kept_keys(server))
        time.sleep(0.2)


def _kept_keys(server: AgentsProcess) -> list[str]:
    with open_secrets(server.state / "vault") as secrets:
        return [record.owner for record in secrets.list()]
