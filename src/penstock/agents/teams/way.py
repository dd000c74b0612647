"""The way of a supervisor's programs to the agents' API: a name inside, a stub of a token, and the command. Pure.

The API is one more bound host, as the gateway is (../model_way.py): a program knows a URL and a stub, and the vault
puts the token in the stub's place, on its way to this server's sessions and plans and nowhere else. The token is the
session's own (access.AGENT_SCOPES) and ends with it. Who is no supervisor has no token, no way, and no command.
"""

from __future__ import annotations

from pathlib import Path
from urllib.parse import urlsplit

from msgspec import Struct, field

from penstock.agents.sandboxes.driver import HOME, File
from penstock.agents.types import AgentSpec, Session

HOST = "agents.penstock.internal"
"""The API's name inside, where it listens on this machine: loopback addresses mean the sandbox's own."""
SECRET = "session-agents-token"  # noqa: S105  # no password: the name under which one is kept
ADDRESS, TOKEN, SESSION = "PENSTOCK_AGENTS_URL", "PENSTOCK_AGENTS_TOKEN", "PENSTOCK_SESSION"
"""Variables inside: where the API is, the stub, and the session's id."""
SCOPES = ("approvals:read", "sessions:read", "workers:write")
"""What the token may do."""
COMMAND = f"{HOME}/.local/bin/penstock-team"
_PATHS = ("/v1/sessions", "/v1/sessions/*", "/v1/plans", "/v1/plans/*")


class TeamWay(Struct, frozen=True):
    """How supervisors reach one server.

    Attributes:
        url: its address inside.
        bindings: of the secret that is a session's token (`Secrets.set`).
        pins: host to `address:port`, for the vault (`SessionSpec.pins`).
    """

    url: str
    bindings: tuple[str, ...]
    pins: dict[str, str] = field(default_factory=dict)


def way_to(api: str) -> TeamWay:
    """The way to the API at this URL, as this machine reaches it: by a pin if it is on this machine.

    Raises:
        ValueError: the URL is none of http or https, or has a path.
    """
    parts = urlsplit(api)
    if parts.scheme not in ("http", "https") or not parts.hostname or parts.path.strip("/") or parts.query:
        raise ValueError(f"{api!r} is no server's address: write http://HOST:PORT, with no path")
    host, port = parts.hostname, parts.port or (443 if parts.scheme == "https" else 80)
    if host not in ("localhost", "::1") and not host.startswith("127."):
        return TeamWay(api.rstrip("/"), _bindings(f"{parts.scheme}://{parts.netloc}", parts.scheme))
    address = {"localhost": "127.0.0.1", "::1": "[::1]"}.get(host, host)
    url = f"{parts.scheme}://{HOST}"
    return TeamWay(url, _bindings(url, parts.scheme), {HOST: f"{address}:{port}"})


def _bindings(origin: str, scheme: str) -> tuple[str, ...]:
    plain = " plaintext=yes" if scheme == "http" else ""
    return tuple(f"* {origin}{path} header:authorization{plain}" for path in _PATHS)


def is_supervisor(agent: AgentSpec, session: Session) -> bool:
    """Whether a session may start workers."""
    return bool(agent.workers) and session.parent is None


def variables(way: TeamWay, session: str) -> dict[str, str]:
    """What programs inside read, beside the stub."""
    return {ADDRESS: way.url, SESSION: session}


def files() -> dict[str, File]:
    """The command, to be placed in the home. (Whoever changes it there changes nothing of what the server allows.)"""
    return {COMMAND: File((Path(__file__).parent / "command.py").read_bytes(), 0o755)}
