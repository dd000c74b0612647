"""A client that means harm: what it may repeat is counted, what it does not read is not produced, errors tell nothing.

The client is asyncssh's, bent: the packets that OpenSSH would not send are sent by hand.
"""

import asyncio
import socket
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import asyncssh
import pytest
from asyncssh.packet import Boolean, String

from penstock.vault.ssh import HostKeys, Limits, Login
from tests.support.ssh import HOST, Fixed, Loop, Rules, Sshd, VaultEnd

GLOBAL_REQUEST = 80

World = Callable[..., VaultEnd]


@pytest.fixture
def vault(tmp_path: Path) -> Iterator[World]:
    loop, sshd = Loop(), Sshd(tmp_path / "sshd")
    made: list[VaultEnd] = []

    def make(**more: Any) -> VaultEnd:
        rules = Rules(sshd.login(), (sshd.user, "exec", "*"), stub=more.pop("stub", None))
        made.append(VaultEnd(loop, rules, sshd.port, **more))
        return made[-1]

    yield make
    for one in made:
        one.close()
    loop.close()
    sshd.close()


def with_client(
    vault: VaultEnd, work: Callable[[asyncssh.SSHClientConnection], Awaitable[Any]], password: str = ""
) -> Any:
    async def run() -> Any:
        sock = socket.create_connection(("127.0.0.1", vault.port), 20)
        sock.setblocking(False)
        async with asyncssh.connect(
            HOST,
            22,
            sock=sock,
            username=vault.rules.permitted[0][0],
            password=password,
            known_hosts=asyncssh.import_known_hosts(vault.identity.known_hosts()),
            config=None,
            agent_path=None,
            client_keys=None,
        ) as connection:
            return await asyncio.wait_for(work(connection), 30)

    return asyncio.run(run())


async def ended(connection: asyncssh.SSHClientConnection) -> None:
    await connection.wait_closed()


def test_endless_requests_beside_channels_end_the_connection(vault: World) -> None:
    async def work(connection: asyncssh.SSHClientConnection) -> None:
        for _ in range(30):
            connection.send_packet(GLOBAL_REQUEST, String("keepalive@openssh.com"), Boolean(True))
        await ended(connection)

    with_client(vault(limits=Limits(globals=20)), work)


def test_endless_key_exchanges_end_the_connection(vault: World) -> None:
    async def work(connection: asyncssh.SSHClientConnection) -> None:
        for _ in range(10):
            if connection.is_closed():
                return
            connection._send_kexinit()
            await asyncio.sleep(0.1)
        await ended(connection)

    with_client(vault(limits=Limits(key_exchanges=4)), work)


def test_endless_variables_end_the_connection(vault: World) -> None:
    async def work(connection: asyncssh.SSHClientConnection) -> None:
        process = await connection.create_process("cat")
        for number in range(200):
            process.channel._send_request(b"env", String(f"LC_{number}"), String("x" * 1000))
        await ended(connection)

    with_client(vault(limits=Limits(requests=50_000)), work)


def test_wrong_passwords_are_counted(vault: World) -> None:
    here = vault(limits=Limits(logins=3), stub=b"the-stub-of-this-session")
    for _ in range(2):
        with pytest.raises((asyncssh.DisconnectError, OSError)):
            with_client(here, ended, password="guessed-password")
    assert here.codes() and set(here.codes()) == {"stub_missing"}
    assert "guessed-password" not in repr(here.rows)


def test_one_of_the_stubs_comes_in(vault: World) -> None:
    here = vault(stub=b"the-stub-of-this-session")

    async def work(connection: asyncssh.SSHClientConnection) -> Any:
        return await connection.run("echo fine")

    assert with_client(here, work, password="the-stub-of-this-session").stdout == "fine\n"


def test_output_that_nobody_reads_is_not_produced(vault: World, tmp_path: Path) -> None:
    here = vault()
    counter = tmp_path / "count"
    command = f"for i in $(seq 2000); do head -c 1000000 /dev/zero; echo $i > {counter}; done"

    async def work(connection: asyncssh.SSHClientConnection) -> None:
        process = await connection.create_process(command, encoding=None)
        await asyncio.sleep(3)
        first = int(counter.read_text() or 0)
        await asyncio.sleep(1)
        assert int(counter.read_text()) == first, "it goes on although nobody reads"
        assert first < 200
        connection.abort()

        del process

    with_client(here, work)


def test_a_client_with_an_endless_window_that_does_not_read_is_not_written_for(vault: World, tmp_path: Path) -> None:
    """The channel's window says "send more", TCP says no more: it is TCP that counts, or the vault would store it."""
    here = vault()
    counter = tmp_path / "count"
    command = f"for i in $(seq 2000); do head -c 1000000 /dev/zero; echo $i > {counter}; done"

    async def work(connection: asyncssh.SSHClientConnection) -> None:
        await connection.create_process(command, encoding=None, window=2_000_000_000)
        assert connection._transport is not None
        connection._transport.pause_reading()
        await asyncio.sleep(3)
        first = int(counter.read_text() or 0)
        await asyncio.sleep(1)
        assert int(counter.read_text()) == first, "it goes on although nobody reads"
        assert first < 200
        connection.abort()

    with_client(here, work)


def test_an_upstream_that_does_not_answer_and_one_that_is_no_ssh(vault: World) -> None:
    here = vault()

    async def work(connection: asyncssh.SSHClientConnection) -> Any:
        return await connection.run("true")

    with socket.create_server(("127.0.0.1", 0)) as listener:
        here._upstream_port = listener.getsockname()[1]
        here.limits = Limits(login_seconds=1)
        done = with_client(here, work)
    assert done.exit_status == 255 and "penstock vault: The SSH connection to" in done.stderr
    done = with_client(here, work)
    assert done.exit_status == 255 and "does not answer" in done.stderr
    assert "127.0.0.1" not in done.stderr


def test_a_bad_known_hosts_and_a_password_that_is_no_text(vault: World) -> None:
    here = vault()

    async def work(connection: asyncssh.SSHClientConnection) -> Any:
        return await connection.run("true")

    line = here.rules.login.host_keys.known_hosts
    here.rules.login = Login("ssh-password", Fixed("PASSWORD", b"\xff\xfe-fake"), HostKeys(line))
    done = with_client(here, work)
    assert done.exit_status == 255 and "The password PASSWORD is no text" in done.stderr
    here.rules.login = Login("ssh-password", Fixed("PASSWORD", b"fake"), HostKeys("nonsense"))
    done = with_client(here, work)
    assert done.exit_status == 255 and "cannot be read" in done.stderr
    assert here.dialled == 0


def test_closing_while_the_upstream_is_being_opened_leaves_nothing(vault: World) -> None:
    here = vault()
    with socket.create_server(("127.0.0.1", 0)) as listener:
        here._upstream_port = listener.getsockname()[1]

        async def work(connection: asyncssh.SSHClientConnection) -> None:
            await connection.create_process("true")
            accepted, _ = await asyncio.to_thread(listener.accept)
            here.loop.call(here.terminators[0].close)
            await ended(connection)
            with accepted:
                accepted.settimeout(10)
                while await asyncio.to_thread(accepted.recv, 4096):
                    pass

        with_client(here, work)


def test_a_channel_whose_client_left_while_it_opened_is_closed_at_the_upstream(vault: World) -> None:
    here = vault()

    async def work(connection: asyncssh.SSHClientConnection) -> None:
        await connection.run("true")  # now the upstream is there, and each channel is opened at once
        for _ in range(20):  # more than sshd lets be open at the same time
            process = await connection.create_process("cat")
            process.channel.abort()
        for _ in range(50):
            done = await connection.run("echo fine")
            if done.stdout == "fine\n":
                return
            await asyncio.sleep(0.1)
        pytest.fail("channels are left open at the upstream")

    with_client(here, work)
    assert here.dialled == 1
