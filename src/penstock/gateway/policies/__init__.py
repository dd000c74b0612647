"""Policies: what stands around a call and may refuse it. One class a file, in the order of `gateway/worker.py`.

A policy answers `admit(call)` at once: None lets the call pass, a `Wait` names a lease to draw before it is asked
again, and `Refused` is raised where the call must not be made. It does no I/O.
"""

from __future__ import annotations

from typing import Any, Protocol


class Policy(Protocol):
    """Something around a call.

    straight   whether calls on the straight way (gateway/lanes.py) may go without it: what it decides is decided there,
               when a lane is made or when a call draws on its quotas
    """

    straight: bool

    def admit(self, call: Any) -> Any:
        """None, or a `call.Wait`. Raises Refused."""
        ...
