"""An agent pushes where no binding lets it: `penstock approvals` shows the exact rule, and a yes lets the push go."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from penstock.vault.api import open_secrets
from tests.e2e.gateway import KEY, environment_for, serving
from tests.support.canary import Canary
from tests.support.git_server import Forge, forge
from tests.support.killed_sessions import PATIENCE, AgentsProcess
from tests.support.needs import need
from tests.support.sandboxes import need_sandboxes, sandbox_folder
from tests.support.waiting import until

PASSWORD = "fake-forge-password-Gh3-Rt"
PUSH = """
git init -q -b main . ; git config user.name A; git config user.email a@example.test
echo work > file; git add file; git commit -q -m work
git push -q {url} HEAD:refs/heads/fix 2>&1 && echo pushed
git push -q {url} HEAD:refs/heads/other 2>&1 || echo refused
git commit -q --allow-empty -m more; git push -q {url} HEAD:refs/heads/fix 2>&1 && echo again
"""


class Here:
    """A server, and a forge with one repository whose branches below `agent/` its user's secret may push."""

    def __init__(self, server: AgentsProcess, forge: Forge, environment: dict[str, str]) -> None:
        self.server = server
        self.forge = forge
        self.environment = {**environment, "PENSTOCK_STATE_DIR": str(server.state)}
        self.bare = forge.root / "app.git"
        self.place = f"https://127.0.0.1:{forge.port}/app.git"
        subprocess.run(["git", "init", "-q", "--bare", "-b", "main", str(self.bare)], check=True)
        subprocess.run(["git", "-C", str(self.bare), "config", "http.receivepack", "true"], check=True)
        with open_secrets(server.state / "vault") as secrets:
            binding = f"* {self.place}/* basic:password refs=refs/heads/agent/*"
            secrets.set("FORGE", PASSWORD.encode(), bindings=[binding], env="FORGE", upstream_ca=forge.ca_pem)

    def penstock(self, *words: str) -> str:
        """What a command says."""
        command = [sys.executable, "-m", "penstock", *words]
        done = subprocess.run(command, env=self.environment, capture_output=True, text=True, timeout=PATIENCE)
        assert done.returncode == 0, done.stderr
        return done.stdout

    def session(self, script: str) -> str:
        """A session that asks, of a program that runs this."""
        agent = {
            "name": "pushes", "harness": "command", "credentials": ["FORGE"],
            "options": {"command": ["sh", "-c", script]},
        }  # fmt: skip
        made = self.server.call("POST", "/v1/agents", agent)["id"]
        where = self.server.call("POST", "/v1/environments", {"name": "asks", "ask": True})["id"]
        body = {"agent": made, "environment": where, "message": "go"}
        return str(self.server.call("POST", "/v1/sessions", body)["id"])

    def asked(self, session: str) -> dict[str, Any]:
        """The question that is open, once there is one."""
        path = f"/v1/sessions/{session}/approvals?open=true"
        found: list[list[dict[str, Any]]] = []

        def look() -> bool:
            found.append(self.server.call("GET", path)["data"])
            return bool(found[-1]) or self.ended(session)

        until(look, PATIENCE)
        assert len(found[-1]) == 1, self.words(session)
        return found[-1][0]

    def ended(self, session: str) -> bool:
        return any(event["data"]["kind"] == "turn_end" for event in self.server.events(session))

    def words(self, session: str) -> str:
        """What the program has said."""
        events = [event["data"] for event in self.server.events(session)]
        return "".join(event["text"] for event in events if event["kind"] == "text")

    def log(self, ref: str) -> str:
        words = ["git", "-C", str(self.bare), "log", "--format=%s", ref]
        return subprocess.run(words, capture_output=True, text=True).stdout


@pytest.fixture
def here(tmp_path: Path) -> Iterator[Here]:
    need_sandboxes()
    need(command="git")
    environment = {**environment_for(), "HOME": os.environ.get("HOME", "/")}
    with (
        sandbox_folder() as state,
        serving({**environment, "PENSTOCK_MASTER_KEY": KEY}, "--workers", "1") as gateway,
        forge(tmp_path, PASSWORD, "127.0.0.1") as upstream,
    ):
        state.mkdir(mode=0o711)
        server = AgentsProcess(state, gateway.url, KEY, environment)
        server.start()
        try:
            yield Here(server, upstream, environment)
        finally:
            server.stop()


def test_the_exact_rule_is_shown_and_a_yes_lets_the_push_go(here: Here) -> None:
    session = here.session(PUSH.format(url=here.place))
    first = here.asked(session)
    rule = f"POST {here.place}/git-receive-pack basic:password refs="
    assert (first["ask"]["about"], first["ask"]["rule"]) == ("push", f"{rule}refs/heads/fix:create+update")
    listed = here.penstock("approvals", "list")
    assert f"{rule}refs/heads/fix:create+update" in listed and first["id"] in listed
    assert here.log("fix") == ""
    here.penstock("approvals", "approve", first["id"], "--remember")

    second = here.asked(session)
    assert second["ask"]["rule"] == f"{rule}refs/heads/other:create+update"
    assert here.log("fix") == "work\n"
    here.penstock("approvals", "deny", second["id"])
    until(lambda: here.ended(session), PATIENCE)
    words = here.words(session)
    assert words.split("\n")[0] == "pushed" and "Somebody was asked, and it was not allowed." in words
    assert words.endswith("refused\nagain\n"), words
    assert (here.log("fix"), here.log("other")) == ("more\nwork\n", "")
    Canary(PASSWORD.encode()).absent("the log and the list", repr(here.server.events(session)), listed)
