"""What a session consists of: its agent and environment, in the versions that it was started with, and its harness."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

from penstock.agents import turns
from penstock.agents.bring_up import Prepared
from penstock.agents.errors import NotFound
from penstock.agents.harnesses.contract import Harness, Turn
from penstock.agents.store.base import AgentStore
from penstock.agents.types import AgentSpec, Session


class Preparing:
    """Finds what sessions consist of, in the store and among the harnesses, which are given by name."""

    def __init__(self, store: AgentStore, harnesses: Mapping[str, Harness]) -> None:
        self._store = store
        self._harnesses = harnesses

    async def prepared(self, session: Session) -> Prepared:
        """All of it. Raises NotFound, and Conflict where there is no such harness any more."""
        return await asyncio.to_thread(self._prepared, session)

    def _prepared(self, session: Session) -> Prepared:
        agent = self._store.definition("agent", session.agent.id, session.agent.version)
        environment = self._store.definition("environment", session.environment.id, session.environment.version)
        if agent is None or environment is None:
            raise NotFound("its agent or environment is not there any more")
        harness = turns.harness_named(self._harnesses, agent.spec.harness)  # type: ignore[union-attr]
        return Prepared(
            session=session,
            agent=agent.spec,  # type: ignore[arg-type]
            environment=environment.spec,  # type: ignore[arg-type]
            harness=harness,
        )


def turn_of(agent: AgentSpec, prompt: str, resume: str) -> Turn:
    """What a harness is told of a turn; `resume`: the conversation to go on with. Pure."""
    command = agent.options.get("command", ())
    return Turn(
        prompt=prompt,
        model=agent.model,
        system=agent.system,
        resume=resume,
        tools=agent.tools,
        arguments=tuple(str(word) for word in command) if isinstance(command, list | tuple) else (str(command),),
    )
