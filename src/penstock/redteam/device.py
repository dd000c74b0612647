"""A device that speaks SSH, for probes: it knows one password, says what it is asked to run, and shows the password to
whoever runs `show password`.
"""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Callable

import asyncssh

from penstock.redteam.probe import DEVICE

USER = "agent"


class _Device(asyncssh.SSHServer):
    def __init__(self, password: Callable[[], str]) -> None:
        self._password = password

    def begin_auth(self, username: str) -> bool:
        return True

    def password_auth_supported(self) -> bool:
        return True

    def validate_password(self, username: str, password: str) -> bool:
        return username == USER and password == self._password()


@contextlib.asynccontextmanager
async def ssh_device(password: Callable[[], str]) -> AsyncIterator[tuple[int, str]]:
    """Run one on loopback; its port, and its line of known_hosts. Whoever logs in may run anything."""
    key = asyncssh.generate_private_key("ssh-ed25519")

    def run(process: asyncssh.SSHServerProcess[str]) -> None:
        command = process.command or "shell"
        process.stdout.write(f"{password()}\n" if command == "show password" else f"ran: {command}\n")
        process.exit(0)

    server = await asyncssh.listen(
        "127.0.0.1", 0, server_factory=lambda: _Device(password), server_host_keys=[key], process_factory=run
    )
    try:
        public = " ".join(key.export_public_key().decode().split()[:2])
        yield server.get_port(), f"{DEVICE} {public}\n"
    finally:
        server.close()
        await server.wait_closed()
