"""Two owners with one of everything each, and clients that speak to the API in this process."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import httpx

from penstock.agents.api.application import create_app
from penstock.agents.events import Artifact
from penstock.agents.machine import State
from penstock.agents.plans import NewStep
from penstock.agents.requests import NewPlan, NewSecret, NewSession
from penstock.agents.service import Service
from penstock.agents.types import Ask, Principal, Session
from tests.support.agents import (
    AGENT,
    ALICE,
    ALL_SCOPES,
    ENVIRONMENT,
    NOON,
    TO_RUNNING,
    Clock,
    NotingRunner,
    OneFile,
    OneVault,
    service_on,
    store_in,
)

BINDING = "GET https://api.example.com:443/* header:authorization"
BASE = "http://localhost"


class World:
    """A service with a store, a runner that takes notes, and what Alice has."""

    def __init__(self, folder: Path) -> None:
        self.store = store_in(folder)
        self.runner = NotingRunner()
        self.clock = Clock()
        self.files = OneFile()
        self.vault = OneVault(folder / "vault")
        self.service: Service = service_on(
            self.store, runner=self.runner, files=self.files, clock=self.clock, secrets=self.vault
        )
        self.app = create_app(self.service)
        self.ids: dict[str, str] = {}

    async def close(self) -> None:
        await self.service.close()
        self.store.close()

    async def fill(self) -> World:
        """One of everything, Alice's."""
        agent = await self.service.define(ALICE, "agent", AGENT)
        environment = await self.service.define(ALICE, "environment", ENVIRONMENT)
        self.ids |= {"agents": agent.id, "environments": environment.id, "version": "1", "artifact": "art_1"}
        session = await self.session()
        approval = await self.service.ask(ALICE, session.id, Ask("egress", "may I?", "GET https://h:443/*"))
        token, _ = await self.service.mint_token("alice", "x", ["sessions:read"])
        self.store.append(session.id, [Artifact("art_1", "a.txt", 5, "0" * 64)], at=NOON)
        steps = (NewStep("one", "One"),)
        plan = await self.service.plans.make(ALICE, NewPlan(session.id, "A plan", steps))
        self.ids |= {"name": "TOKEN", "plans": plan.id, "step": "one"}
        self.ids |= {"sessions": session.id, "approvals": approval.id, "tokens": token.id}
        return self

    async def secret(self) -> None:
        """A secret of Alice's."""
        await self.service.secrets.set(ALICE, "TOKEN", NewSecret("fake-value-of-alice-77", (BINDING,)))

    async def session(self, state: State = State.RUNNING, by: Principal = ALICE) -> Session:
        """A new session, in this state."""
        made = await self.service.start(by, NewSession(self.ids["agents"], self.ids["environments"]))
        drafts = {State.CREATED: (), State.IDLE: TO_RUNNING[:2], State.RUNNING: TO_RUNNING}[state]
        return self.store.append(made.id, drafts, at=NOON).session if drafts else made

    async def client(
        self, owner: str = "alice", scopes: frozenset[str] = ALL_SCOPES, session: str | None = None, **headers: str
    ) -> httpx.AsyncClient:
        """A client with a new token."""
        _, secret = await self.service.mint_token(owner, "t", sorted(scopes), session=session)
        return self.with_secret(secret, **headers)

    def with_secret(self, secret: str | None, **headers: str) -> httpx.AsyncClient:
        """A client with this token, or none."""
        given: dict[str, str] = {} if secret is None else {"authorization": f"Bearer {secret}"}
        transport = httpx.ASGITransport(app=self.app, raise_app_exceptions=False)
        return httpx.AsyncClient(transport=transport, base_url=BASE, headers={**given, **headers})


def error_of(response: httpx.Response) -> dict[str, Any]:
    """The error of an answer: it has one shape."""
    body = response.json()
    assert set(body) == {"error"} and set(body["error"]) == {"code", "message", "fix", "param"}, body
    error: dict[str, Any] = body["error"]
    return error
