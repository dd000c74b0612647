"""How a failure is told in a session's log: a stable word, a sentence, and what to do. Pure."""

from __future__ import annotations

from penstock.agents.errors import AgentsError
from penstock.agents.events import Error, TurnEnd
from penstock.agents.sandboxes.driver import NotRunning
from penstock.agents.turns import Finished
from penstock.vault.api import Refusal


def told(error: Exception, *, final: bool = False) -> Error:
    """The event. `final`: nothing more is tried."""
    if isinstance(error, AgentsError):
        return Error(error.code, error.message, error.fix, final=final)
    if isinstance(error, Refusal):
        return Error(error.code, error.reason, error.fix, final=final)
    return Error("failed", f"{type(error).__name__}: {error}", final=final)


def not_run(error: Exception) -> Finished:
    """The end of a turn whose program could not be run."""
    said = told(error)
    reason = "sandbox_died" if isinstance(error, NotRunning) else ""
    return Finished([said], TurnEnd("failed", summary=said.message[:500]), reason)
