"""Door: lets the agents of supervisors in to the API. Their way there, and a token for each time that one comes up."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from msgspec import Struct

from penstock.agents.teams.way import TeamWay
from penstock.agents.types import Session


class Door(Struct, frozen=True):
    """The API's door.

    Attributes:
        way: how it is reached from inside.
        token: makes a session's own token, whose secret it returns. (`Service.agent_token`)
    """

    way: TeamWay
    token: Callable[[Session], Awaitable[str]]
