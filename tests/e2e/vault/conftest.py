"""One vault process for the tests of this folder, an upstream that says back what it was asked, and the canary."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from tests.support.canary import Canary
from tests.support.recording_upstream import RecordingUpstream, echo, recording_upstream
from tests.support.vaults import Answer, RunningVault, Session, running_vault

SECRET = b"sk-fake-c4n4ry/7Qx+tR5w_Zk2Lm9Ns&amp3Vb"
"""Fake, and with every character that some encoding writes otherwise."""
PASSWORD = b"fake-p4ssw0rd-Yw8uJ3nD6s"
HOST = "api.example.com"
OTHER = "open.example.net"


class World:
    """A vault, an upstream behind two names, and a session that may do the usual things.

    `HOST` is bound: `/v1/*` takes TOKEN in `authorization`, `/git/*` takes PASSWORD in Basic. `OTHER` has a rule only.
    """

    def __init__(self, vault: RunningVault, upstream: RecordingUpstream) -> None:
        self.vault = vault
        self.upstream = upstream
        self.seen: list[bytes] = []
        self.session = self.open()

    def open(self, **spec: Any) -> Session:
        """A session over both secrets; `spec` says what is otherwise."""
        there = f"127.0.0.1:{self.upstream.port}"
        usual = {
            "secrets": ("TOKEN", "PASSWORD"),
            "rules": (f"GET,POST,PUT https://{OTHER}:443/*", f"GET http://{OTHER}:80/*"),
            "pins": {HOST: there, OTHER: there},
            "upstream_cas": {HOST: self.upstream.ca_pem, OTHER: self.upstream.ca_pem},
        }
        return self.vault.open(**{**usual, **spec})

    @property
    def stub(self) -> str:
        return self.session.env["TOKEN"]

    def ask(self, target: str = "/v1/x", *lines: str, host: str = HOST, stub: bool = True, **more: Any) -> Answer:
        """A request with the stub in its slot, unless told otherwise; what the client saw is remembered."""
        slot = (f"Authorization: Bearer {self.stub}",) if stub else ()
        answer = self.session.ask(host, target, *slot, *lines, **more)
        self.seen.append(answer.all)
        return answer

    def alarms(self) -> int:
        """How many alarms the session's audit has."""
        return len(self.session.audit("alarm"))


@pytest.fixture(scope="session")
def vault(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningVault]:
    """A running vault."""
    with running_vault(tmp_path_factory.mktemp("vault")) as vault:
        vault.set("TOKEN", SECRET, f"* https://{HOST}/v1/* header:authorization")
        vault.set("PASSWORD", PASSWORD, f"* https://{HOST}/git/* basic:password")
        yield vault


@pytest.fixture(scope="session")
def upstream(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RecordingUpstream]:
    """An upstream with certificates for both hosts."""
    with recording_upstream(tmp_path_factory.mktemp("upstream"), HOST, OTHER) as upstream:
        yield upstream


@pytest.fixture
def world(vault: RunningVault, upstream: RecordingUpstream) -> Iterator[World]:
    """Everything, new for each test; after it the canary is nowhere but at the upstream."""
    upstream.answering = echo
    upstream.asked.clear()
    made = World(vault, upstream)
    yield made
    made.session.close()
    canary = Canary(SECRET, PASSWORD)
    canary.absent("what the client saw", *made.seen)
    canary.absent("what was told", *(repr(event) for event in vault.events))
    canary.absent_from_files(vault.folder)
    assert vault.client.pid is not None
    canary.absent_from_process(vault.client.pid)
