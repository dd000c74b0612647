"""What an agent leaves in its folder of artifacts is kept as it was, stands in the log once, and can be fetched."""

from __future__ import annotations

import hashlib
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from penstock.agents import artifacts
from penstock.agents.events import Artifact, Error
from tests.e2e.gateway import KEY, Running, environment_for, serving
from tests.support.fresh import clean_environment
from tests.support.killed_sessions import AgentsProcess
from tests.support.sandboxes import need_sandboxes, sandbox_folder
from tests.support.session_world import ME, World, world

PATIENCE = 30.0


@pytest.fixture(scope="module")
def gateway() -> Iterator[Running]:
    need_sandboxes()
    with serving({**environment_for(), "PENSTOCK_MASTER_KEY": KEY}, "--workers", "1") as running:
        yield running


@pytest.fixture
def server(gateway: Running) -> Iterator[AgentsProcess]:
    with sandbox_folder() as folder:
        folder.mkdir(mode=0o711)
        made = AgentsProcess(folder, gateway.url, KEY, environment_for())
        made.start()
        try:
            yield made
        finally:
            made.stop()


def said(server: AgentsProcess, session: str, script: str) -> list[dict[str, Any]]:
    """Have the agent run a script; returns what it has handed out in all."""
    number = server.call("POST", f"/v1/sessions/{session}/messages", {"text": script})["number"]
    until = time.monotonic() + PATIENCE
    while True:
        events = [event["data"] for event in server.events(session)]
        if any(event["kind"] == "turn_end" and event["message"] >= number for event in events):
            return [event for event in events if event["kind"] == "artifact"]
        assert time.monotonic() < until, events[-5:]
        time.sleep(0.05)


def test_a_file_is_handed_out_once_and_stays_as_it_was(server: AgentsProcess, tmp_path: Path) -> None:
    spec = {"name": "shell", "harness": "command", "options": {"command": ["sh", "-s"]}}
    agent = server.call("POST", "/v1/agents", spec)["id"]
    place = server.call("POST", "/v1/environments", {"name": "no way out"})["id"]
    session = server.call("POST", "/v1/sessions", {"agent": agent, "environment": place})["id"]
    first = said(server, session, 'cd "$PENSTOCK_ARTIFACTS"; echo one > report.txt; mkdir deep; echo two > deep/a.png')
    assert {(each["name"], each["size"], each["media_type"]) for each in first} == {
        ("report.txt", 4, "text/plain"), ("deep/a.png", 4, "image/png")
    }  # fmt: skip
    assert said(server, session, "echo nothing new") == first
    second = said(server, session, "echo three > ~/artifacts/report.txt; rm -r ~/artifacts/deep")
    assert [each["name"] for each in second[2:]] == ["report.txt"]
    assert second[-1]["sha256"] == hashlib.sha256(b"three\n").hexdigest()
    server.kill()
    server.call("POST", f"/v1/sessions/{session}/terminate")
    shown = {each["name"]: fetched(server, session, each["artifact"]) for each in first}
    assert shown == {"report.txt": b"one\n", "deep/a.png": b"two\n"}, "also when the agent has changed or lost it"
    command = [sys.executable, "-m", "penstock", "sessions", "--state-dir", str(server.state), "artifacts", session]
    listed = subprocess.run(command, env=clean_environment(), capture_output=True, text=True, check=True).stdout
    assert listed.count("report.txt") == 2 and "deep/a.png" in listed
    subprocess.run([*command, "--to", str(tmp_path / "out")], env=clean_environment(), check=True)
    assert (tmp_path / "out/report.txt").read_text() == "three\n"
    assert (tmp_path / "out/deep/a.png").read_text() == "two\n"


def fetched(server: AgentsProcess, session: str, artifact: str) -> bytes:
    headers = {"authorization": f"Bearer {server.found.token}"}
    answer = server._http.get(f"{server.found.url}/v1/sessions/{session}/artifacts/{artifact}", headers=headers)
    assert answer.status_code == 200, answer.text
    return answer.content


def test_what_is_no_plain_file_or_too_much_is_left_out_and_said(
    gateway: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(artifacts, "MOST_BYTES", 100_000)
    monkeypatch.setattr(artifacts, "MOST_FILES", 3)

    async def test(there: World) -> None:
        session = await there.session()
        events = await there.say(session, "cd ~/artifacts; ln -s /etc/passwd leads-out; mkfifo pipe; echo x > good")
        assert [event.data.name for event in events if isinstance(event.data, Artifact)] == ["good"]
        (error,) = [event.data for event in events if isinstance(event.data, Error)]
        assert error.code == "artifacts_left_out" and "leads-out" in error.message and "pipe" in error.message
        for script in ("head -c 200000 /dev/zero > ~/artifacts/large", "cd ~/artifacts; rm *; touch a b c d"):
            events = await there.say(session, script)
            assert not [event for event in events if isinstance(event.data, Artifact)]
            assert [event.data.code for event in events if isinstance(event.data, Error)] == ["artifacts_left_out"]
        events = await there.say(session, "rm -rf ~/artifacts; ln -s /etc ~/artifacts; echo done")
        assert not [event for event in events if isinstance(event.data, Artifact)], "the folder itself may be a link"
        row = await there.service.session(ME, session.id)
        assert row.usage.turns == 4

    async def all_of_it() -> None:
        async with world(state, gateway.url, KEY) as there:
            await test(there)

    import asyncio

    with sandbox_folder() as state:
        asyncio.run(all_of_it())
