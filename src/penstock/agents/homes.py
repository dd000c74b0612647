"""A session's workspace belongs to the sandbox driver that made it: a server with another one cannot go on with it, and
may not begin it anew beside its own work. It leaves the session alone, and says so to whoever wants something of it.
"""

from __future__ import annotations

from penstock.agents.errors import Conflict
from penstock.agents.types import Session


class OtherDriver(Conflict):
    """Whoever runs the server: the session's sandbox and workspace are those of another driver."""

    code = "other_driver"


def check_home(session: Session, driver: str) -> None:
    """Let a session pass whose workspace is this driver's, or nobody's yet. Pure.

    Raises:
        OtherDriver: it is another one's.
    """
    if session.driver not in ("", driver):
        raise OtherDriver(
            f"this session's workspace is with the driver {session.driver}, and this server's driver is {driver}",
            fix=f"penstock agents serve --driver {session.driver}",
        )
