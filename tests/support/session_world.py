"""A platform in this process, for tests of sessions: a harness whose turns are shell scripts."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any

import msgspec

from penstock.agents.bring_up import Surroundings
from penstock.agents.environments.packages import Packages
from penstock.agents.events import Draft, Error, Payload, SessionEvent, Text, TurnEnd
from penstock.agents.harnesses.command import variables
from penstock.agents.harnesses.contract import Gateway, Harness, Launch, Question, Turn
from penstock.agents.harnesses.loop import Loop
from penstock.agents.keys import GatewayKeys
from penstock.agents.owners import LOCAL
from penstock.agents.platform import Places, Platform, opened
from penstock.agents.requests import NewMessage, NewSession
from penstock.agents.types import AgentSpec, EnvironmentSpec, Principal, Session
from penstock.cli.run_agent import SCOPES

ME = Principal(LOCAL, SCOPES | {"sessions:read", "approvals:decide"})
PATIENCE = 30.0


class ScriptReading:
    """Lines that are events' JSON are those events, `?NAME` is a question, all else is text."""

    finished = False

    def __init__(self, turn: Turn) -> None:
        self.resume = f"{turn.resume}+" if turn.resume else "first"
        self._asked: list[Question] = []

    def feed(self, line: bytes) -> Sequence[Draft]:
        if line.startswith(b"?"):
            self._asked.append(Question("call-1", line[1:].decode(), {"what": "it"}))
            return ()
        try:
            return [msgspec.json.decode(line, type=Payload)]
        except msgspec.DecodeError:
            return [Text(line.decode())]

    def asked(self) -> Sequence[Question]:
        asked, self._asked = self._asked, []
        return asked

    def answer(self, call: str, allowed: bool, note: str = "") -> bytes:
        return b"yes\n" if allowed else f"no {note}\n".encode()

    def end(self, status: int, errors: bytes, *, interrupted: bool = False) -> Sequence[Draft]:
        said = [Error("script", errors.decode())] if errors else []
        return [*said, TurnEnd("completed" if status == 0 else "failed")]


class Script:
    """The prompt is a script of the shell. `$RESUME` is the conversation that it goes on with."""

    name = "script"
    wire = None
    packages = Packages()

    def launch(self, turn: Turn, gateway: Gateway) -> Launch:
        env = {**variables(turn, gateway), "RESUME": turn.resume}
        return Launch(argv=("sh", "-c", turn.prompt), env=env, answers="ask" in turn.tools.values())

    def terminal(self, turn: Turn, gateway: Gateway) -> Launch | None:
        return Launch(argv=("sh",), env=variables(turn, gateway))

    def reading(self, turn: Turn) -> ScriptReading:
        return ScriptReading(turn)


HARNESSES: Mapping[str, Harness] = {"script": Script(), "loop": Loop()}
ASK_MODEL = (
    'curl -s "$OPENAI_BASE_URL/chat/completions" -H "authorization: Bearer $OPENAI_API_KEY" '
    """-H "content-type: application/json" -d '{"model":"demo","messages":[{"role":"user","content":"hello"}]}'"""
)


class RememberingKeys(GatewayKeys):
    """Keys at the gateway; tests may see those that were made."""

    def __init__(self, url: str, key: str) -> None:
        super().__init__(url, key)
        self.made: list[str] = []

    async def mint(self, session: str, *, models: Sequence[str], dollars: Decimal | None, owner: str = "") -> str:
        self.made.append(await super().mint(session, models=models, dollars=dollars, owner=owner))
        return self.made[-1]


class World:
    """A platform, and short words for what tests do with it."""

    def __init__(self, platform: Platform, keys: RememberingKeys) -> None:
        self.platform = platform
        self.service = platform.service
        self.keys = keys

    async def session(self, message: str | None = None, *, agent: Any = None, environment: Any = None) -> Session:
        """A new session of the harness `script`."""
        said = {"name": "agent", "harness": "script", "model": "demo", **(agent or {})}
        made = await self.service.define(ME, "agent", AgentSpec(**said))
        where = await self.service.define(ME, "environment", EnvironmentSpec(name="place", **(environment or {})))
        return await self.service.start(ME, NewSession(made.id, where.id, message=message))

    async def say(self, session: Session, text: str) -> list[SessionEvent]:
        """Say something, and wait for the end of the turn that answers; returns its events."""
        said = await self.service.message(ME, session.id, NewMessage(text))
        return await self.until(session, lambda event: _answers(event, said.number), after=said.number)

    async def until(
        self, session: Session, seen: Callable[[SessionEvent], bool], *, after: int = 0
    ) -> list[SessionEvent]:
        """The events after this number, up to one that is looked for."""
        found: list[SessionEvent] = []
        async with asyncio.timeout(PATIENCE):
            async for page in await self.service.follow(ME, session.id, after):
                for stored in page:
                    found.append(stored.event)
                    if seen(stored.event):
                        return found
        raise AssertionError(f"the session ended before that: {found}")

    async def turn(self, session: Session) -> list[SessionEvent]:
        """The events until the first end of a turn."""
        return await self.until(session, lambda event: isinstance(event.data, TurnEnd))

    async def row(self, session: Session, **wanted: Any) -> Session:
        """Its row, once these fields are so."""
        until = time.monotonic() + PATIENCE
        while True:
            row = await self.service.session(ME, session.id)
            if all(getattr(row, name) == value for name, value in wanted.items()):
                return row
            assert time.monotonic() < until, (row, wanted)
            await asyncio.sleep(0.02)


def _answers(event: SessionEvent, number: int) -> bool:
    return isinstance(event.data, TurnEnd) and event.data.message >= number


def words(events: Sequence[SessionEvent]) -> str:
    """What the agent has said."""
    return "\n".join(event.data.text for event in events if isinstance(event.data, Text))


@contextlib.asynccontextmanager
async def world(state: Path, gateway: str, key: str, **more: Any) -> AsyncIterator[World]:
    """A platform on this state."""
    await asyncio.to_thread(state.mkdir, 0o711, parents=True, exist_ok=True)
    places = Places(state / "sessions.db", state / "vault", state / "sandboxes")
    keys = RememberingKeys(gateway, key)
    around = more.pop("surroundings", Surroundings())
    async with opened(places, HARNESSES, keys, surroundings=around, **more) as platform:
        yield World(platform, keys)
