"""Circuits: what workers tell each other of deployments that rest, and of those that answer again."""

from __future__ import annotations

from msgspec import Struct

CIRCUITS = "circuits"
"""The kind of the messages between workers and keeper that bear changes, both ways."""


class Change(Struct, frozen=True, array_like=True):
    """A circuit that opened or closed, as it is told to other workers. It rests for `seconds` from now on, for the
    `trips`-th time in a row; 0 seconds: it answers again.
    """

    deployment: str
    seconds: float = 0.0
    trips: int = 0
