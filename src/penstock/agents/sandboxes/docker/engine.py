"""A container engine's API, as far as sandboxes need it: a few questions, over its Unix socket.

Docker's own client library would be a dependency for what is one HTTP request each, and its command line a process of
50 ms with messages for people. The version is negotiated: requests name the newest that both sides know. An engine on
another machine is refused, for its containers cannot be entered from here.

Source: Docker's Engine API reference (docs.docker.com/reference/api/engine), versions 1.41 to 1.51.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

import httpx
import msgspec
from msgspec import Struct

from penstock.agents.sandboxes.driver import CannotCreate, HostLacks

SOCKET = "/var/run/docker.sock"
OLDEST, NEWEST = (1, 41), (1, 51)
"""1.41 (Docker 20.10) is the first that knows all that we ask for; 1.51 the newest whose changes we know."""
WAITING = 60.0
"""Seconds until an answer is given up. An engine under load takes some for a start."""


class Refused(CannotCreate):
    """The operator: the engine refused; the message is its own. `answered` is the status of its answer."""

    answered = 0


class Version(Struct, frozen=True, rename="pascal"):
    """What the engine says of itself."""

    version: str = ""
    api_version: str = ""
    min_a_p_i_version: str = msgspec.field(default="", name="MinAPIVersion")


def socket_of(address: str) -> str:
    """Return the path of an engine's socket, given as a path or as `DOCKER_HOST` has it ("unix:///run/docker.sock").

    Raises:
        HostLacks: it is an engine on another machine.
    """
    path = address.removeprefix("unix://")
    if not path.startswith("/"):
        raise HostLacks(
            f"the engine at {address[:200]!r} is on another machine: its containers cannot be entered from here",
            fix="run Penstock beside the engine, as root, and name its Unix socket",
        )
    return path


def chosen(said: Version) -> str:
    """Return the version in which to speak: the newest that both know.

    Raises:
        HostLacks: there is none.
    """
    least, most = _numbers(said.min_a_p_i_version or "1.0"), _numbers(said.api_version)
    if most < OLDEST:
        raise HostLacks(
            f"the engine speaks version {said.api_version} of its API, {'.'.join(map(str, OLDEST))} is needed",
            fix="install Docker 20.10 or newer",
        )
    major, minor = min(most, max(NEWEST, least))
    return f"{major}.{minor}"


def _numbers(text: str) -> tuple[int, int]:
    major, _, minor = text.partition(".")
    if not (major.isdigit() and minor.isdigit()):
        raise HostLacks(f"the engine names no version of its API: {text[:40]!r}", fix="is this Docker's socket?")
    return int(major), int(minor)


class Engine:
    """One engine. Connections are opened when they are needed."""

    def __init__(self, socket: str) -> None:
        self.socket = socket
        self._client: httpx.AsyncClient | None = None
        self._prefix = ""

    async def version(self) -> Version:
        """Ask what it is, and agree on a version.

        Raises:
            HostLacks: nobody answers there, or nobody whom we understand.
        """
        try:
            said = msgspec.convert(await self._ask("GET", "/version"), Version)
        except msgspec.ValidationError:
            raise HostLacks(f"what answers at {self.socket} is no container engine", fix=_fix()) from None
        self._prefix = f"/v{chosen(said)}"
        return said

    async def ask(self, method: str, path: str, body: object = None, **query: str) -> Any:
        """Ask one thing; returns the answer's JSON, or None where it has none.

        Raises:
            Refused: with the engine's message, and the status of its answer.
            HostLacks: nobody answers.
        """
        if not self._prefix:
            await self.version()
        return await self._ask(method, self._prefix + path, body, query)

    async def _ask(self, method: str, path: str, body: object = None, query: Mapping[str, str] | None = None) -> Any:
        client = self._client = self._client or _client(self.socket)
        content = None if body is None else msgspec.json.encode(body)
        headers = {"content-type": "application/json"} if content is not None else {}
        try:
            answer = await client.request(method, path, params=query, content=content, headers=headers)
        except httpx.TransportError as error:
            raise HostLacks(f"no engine answers at {self.socket}: {error!s:.200}", fix=_fix()) from None
        if answer.status_code >= 400:
            raise _refused(answer)
        try:
            return msgspec.json.decode(answer.content) if answer.content.strip() else None
        except msgspec.DecodeError:
            raise HostLacks(f"what answers at {self.socket} is no container engine", fix=_fix()) from None

    async def close(self) -> None:
        """Close the connections."""
        if self._client is not None:
            await self._client.aclose()
            self._client = None


def named(container: str, what: str = "") -> str:
    """Return the path of a container, or of something of it."""
    return f"/containers/{quote(container, safe='')}{what}"


def _client(socket: str) -> httpx.AsyncClient:
    transport = httpx.AsyncHTTPTransport(
        uds=socket, verify=False
    )  # a socket here has no TLS; to read authorities takes 40 ms
    return httpx.AsyncClient(transport=transport, base_url="http://engine", timeout=WAITING, trust_env=False)


def _refused(answer: httpx.Response) -> Refused:
    try:
        message = str(msgspec.json.decode(answer.content, type=dict[str, Any]).get("message") or "")
    except msgspec.DecodeError:
        message = ""
    made = Refused(f"the container engine: {message[:2000] or f'status {answer.status_code}'}")
    made.answered = answer.status_code
    return made


def _fix() -> str:
    return "install and start Docker (Debian: docker.io), or name its socket"
