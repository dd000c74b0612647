"""SSH through a whole vault: a kept password, the device's key as an option of it, and the end by revocation."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Iterator
from typing import Any

import asyncssh
import pytest

from penstock.testing.devices import SimulatedDevice
from penstock.vault.api import Refusal
from tests.e2e.vault.conftest import World
from tests.support.canary import Canary
from tests.support.ssh import Loop
from tests.support.vaults import Session, until

DEVICE = "router.example.com"
PASSWORD = b"fake-d3vice-passw0rd-Zt7"
BINDINGS = tuple(f"{word} ssh://netops@{DEVICE}:22 ssh command='show *'" for word in ("exec", "shell"))


@pytest.fixture
def device() -> Iterator[SimulatedDevice]:
    device = SimulatedDevice({"netops": PASSWORD.decode()}).start()
    yield device
    device.close()


@pytest.fixture
def session(world: World, device: SimulatedDevice) -> Iterator[Session]:
    options = {"known_hosts": device.host_key}
    world.vault.set("DEVICE", PASSWORD, *BINDINGS, kind="ssh-password", options=options)
    session = world.open(secrets=("DEVICE",), pins={DEVICE: f"127.0.0.1:{device.ssh_port}"})
    yield session
    session.close()


@pytest.fixture
def loop() -> Iterator[Loop]:
    loop = Loop()
    yield loop
    loop.run(asyncio.sleep(0.05))  # so that transports see their end
    loop.close()


async def _connect(session: Session, sock: socket.socket, password: str) -> asyncssh.SSHClientConnection:
    return await asyncssh.connect(
        DEVICE, sock=sock, username="netops", password=password, config=None, client_keys=None, agent_path=None,
        known_hosts=asyncssh.import_known_hosts(session.opened.known_hosts),
    )  # fmt: skip


def connect(loop: Loop, session: Session, password: str | None = None) -> Any:
    sock, answered = session.connect(f"{DEVICE}:22")
    assert answered.status == 200
    mine = socket.socket(fileno=sock.detach())  # the loop closes it
    return loop.run(_connect(session, mine, password or session.env["DEVICE"]))


async def _leave(connection: asyncssh.SSHClientConnection) -> None:
    connection.abort()
    await connection.wait_closed()
    await asyncio.sleep(0)


async def _shell(connection: asyncssh.SSHClientConnection) -> None:
    await connection.create_process(term_type="vt100")


def test_a_command_runs_with_the_password_that_the_client_never_had(session: Session, loop: Loop) -> None:
    connection = connect(loop, session)
    done = loop.run(connection.run("show version"))
    assert done.exit_status == 0 and done.stdout
    refused = loop.run(connection.run("reload"))
    assert refused.exit_status == 126
    Canary(PASSWORD).absent("what the client saw", done.stdout, done.stderr, refused.stderr, repr(session.opened))
    loop.run(_leave(connection))
    found = {row["decision"] for row in session.audit()}
    assert {"ssh.permitted", "ssh.refused", "ssh.connected"} <= found


def test_another_password_than_the_stub_lets_nobody_in(session: Session, loop: Loop) -> None:
    with pytest.raises(asyncssh.PermissionDenied):
        connect(loop, session, "their-own-password-123")


def test_revocation_ends_an_open_shell_at_both_ends(world: World, session: Session, loop: Loop) -> None:
    connection = connect(loop, session)
    loop.run(_shell(connection))
    until(lambda: session.audit("ssh.connected"))
    world.vault.revoke("DEVICE")
    loop.run(connection.wait_closed(), 10)
    rows = world.vault.client.sessions
    until(lambda: [row["connections"] for row in world.vault.run(rows()) if row["id"] == session.id] == [0])
    again = connect(loop, session)
    refused = loop.run(again.run("show version"))
    assert refused.exit_status != 0 and "revoked" in str(refused.stderr)
    loop.run(_leave(again))


def test_bindings_that_change_count_on_a_connection_that_is_open(
    world: World, session: Session, loop: Loop, device: SimulatedDevice
) -> None:
    """It has carried no secret yet, so it is not cut: what it asks from now on is decided by the rules of now."""
    waiting = connect(loop, session)
    options = {"known_hosts": device.host_key}
    world.vault.set("DEVICE", PASSWORD, BINDINGS[0].replace("show", "ping"), kind="ssh-password", options=options)
    until(lambda: _runs(loop, session, "ping 192.0.2.1") != 126)
    refused = loop.run(waiting.run("show version"))
    assert refused.exit_status == 126 and "penstock" in str(refused.stderr)
    world.vault.revoke("DEVICE")
    until(lambda: session.audit("revoke"))
    refused = loop.run(waiting.run("ping 192.0.2.1"))
    assert refused.exit_status != 0 and "revoked" in str(refused.stderr)
    loop.run(_leave(waiting))


def _runs(loop: Loop, session: Session, command: str) -> int | None:
    """The exit status of a command on a connection of its own."""
    connection = connect(loop, session)
    status: int | None = loop.run(connection.run(command)).exit_status
    loop.run(_leave(connection))
    return status


def test_a_device_with_another_key_never_sees_the_password(world: World, device: SimulatedDevice, loop: Loop) -> None:
    other = asyncssh.generate_private_key("ssh-ed25519").export_public_key().decode()
    world.vault.set("DEVICE", PASSWORD, *BINDINGS, kind="ssh-password", options={"host_key": other})
    session = world.open(secrets=("DEVICE",), pins={DEVICE: f"127.0.0.1:{device.ssh_port}"})
    connection = connect(loop, session)
    done = loop.run(connection.run("show version"))
    assert done.exit_status == 255 and "host key" in str(done.stderr)
    loop.run(_leave(connection))
    session.close()


@pytest.mark.parametrize(
    "options",
    [
        {"known_hosts": "no key here"},
        {"known_hosts": ""},
        {"host_key": "router ssh-ed25519 AAAA"},
        {"legacy": "perhaps"},
        {"x": "y"},
    ],
    ids=range(5),
)
def test_wrong_options_are_refused_when_they_are_set(world: World, options: dict[str, str]) -> None:
    with pytest.raises(Refusal):
        world.vault.set("WRONG", PASSWORD, *BINDINGS, kind="ssh-password", options=options)
