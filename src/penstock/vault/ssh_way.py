"""SSH of a session: from its secrets and rules to the terminator's door."""

from __future__ import annotations

import socket
from collections.abc import Callable, Mapping
from typing import Any

from penstock.vault.connections import Cuttable
from penstock.vault.rules import Binding
from penstock.vault.scrub import ScrubStream
from penstock.vault.session import Session, destination_text
from penstock.vault.ssh.bound import PolicyDoor
from penstock.vault.ssh.door import Entry, HostKeys, Login, SSHPermit
from penstock.vault.ssh.terminator import Terminator
from penstock.vault.upstreams import Dialling
from penstock.vault.values import Destination

PASSWORD_KIND = "ssh-password"  # noqa: S105  # the name of a kind


class ScrubberOfNow:
    """The scrubber of a session, whatever its secrets have become since the connection began."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def stream(self) -> ScrubStream:
        """Begin a stream."""
        return self._session.scrubber.stream()

    def text(self, text: str) -> str:
        """Scrub a whole text."""
        return self._session.scrubber.text(text)


class DoorOfNow:
    """The rules of a session, whatever they have become since the connection began: each channel is decided by them.

    (A connection that has carried a secret is cut when that is revoked or bound elsewhere; one that has not, goes on.)
    """

    def __init__(self, rules: Callable[[], PolicyDoor]) -> None:
        self._rules = rules

    def enter(self, user: str) -> Entry:
        """Say how this user comes in. Raises Refusal: not at all."""
        return self._rules().enter(user)

    async def decide(self, user: str, kind: str, command: str) -> SSHPermit:
        """Say whether this may be asked now. Raises Refusal: no."""
        return await self._rules().decide(user, kind, command)


class SSHWay:
    """One SSH connection of a session. It ends with its tunnel, which is what is cut.

    Args:
        session: whose rules and secrets count.
        tunnel: the connection as the session counts it.
        dialling: how its upstreams are reached.
        host, port: where it goes.
    """

    def __init__(self, session: Session, tunnel: Cuttable, dialling: Dialling, host: str, port: int) -> None:
        self._session = session
        self._tunnel = tunnel
        self._destination = Destination("ssh", host, port)
        assert session.ssh is not None
        self._terminator = Terminator(
            self._destination,
            self._door,
            session.ssh,
            dialling.open_socket,
            ScrubberOfNow(session),
            self._audit,
        )

    async def serve(self, sock: socket.socket) -> None:
        """Serve the connection to its end; cancelled, it closes both ends at once."""
        await self._terminator.accept(sock)

    def _door(self, host: str, port: int) -> tuple[Destination, DoorOfNow]:
        return self._destination, DoorOfNow(self._rules)

    def _rules(self) -> PolicyDoor:
        session = self._session
        return PolicyDoor(session.policy, self._destination, self._login, self._stub, session.ask_push)

    def _stub(self, binding: Binding) -> bytes | None:
        """A password's stub must be presented; a key's cannot be, and the socket says who asks."""
        held = self._session.held[binding.secret]
        return held.stub if held.record.kind == PASSWORD_KIND else None

    def _login(self, binding: Binding) -> Login:
        held = self._session.held[binding.secret]
        held.check_usable()
        self._session.used(self._tunnel, binding.secret)
        options = held.record.options
        return Login(
            "ssh-password" if held.record.kind == PASSWORD_KIND else "ssh-key",
            held.credential,
            HostKeys(known_hosts="\n".join(options[name] for name in ("known_hosts", "host_key") if name in options)),
            legacy=options.get("legacy", "no") == "yes",
        )

    def _audit(self, row: Mapping[str, Any]) -> None:
        fields = {key: value for key, value in row.items() if key not in ("event", "host", "port")}
        self._session.audit(str(row["event"]), destination=destination_text(self._destination), **fields)
