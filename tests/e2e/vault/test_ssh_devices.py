"""Network devices behind the vault: the agent's programs hold a stub, the device gets the password.

The clients are those that network automation uses: OpenSSH, Paramiko, ncclient. Each test ends with the canary.
"""

import asyncio
import logging
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import asyncssh
import paramiko
import pytest
from ncclient import manager

from penstock.testing.devices import SimulatedDevice
from penstock.vault.policy import Policy
from penstock.vault.rules import Binding, parse_binding
from penstock.vault.scrub import Scrubber
from penstock.vault.ssh import HostKeys, Login
from penstock.vault.ssh.bound import PolicyDoor
from penstock.vault.values import Destination, Refusal
from tests.support.ssh import HOST, Client, Fixed, Loop, VaultEnd, spellings

PASSWORD = b"fake-canary-password-7f3a91c2"
STUB = b"stub-password-of-the-session1"
USER = "netops"


class Network:
    """A device, the vault in front of it with bindings as people type them, and a client's home."""

    def __init__(self, folder: Path, *bindings: str, **more: Any) -> None:
        self.device = SimulatedDevice({USER: PASSWORD.decode()}, **more).start()
        self.loop = Loop()
        self.credential = Fixed("DEVICE_PASSWORD", PASSWORD)
        policy = Policy([parse_binding(one, "DEVICE_PASSWORD") for one in bindings])
        door = PolicyDoor(policy, Destination("ssh", HOST, 22), self._login, lambda binding: STUB)
        rules: Any = door
        self.vault = VaultEnd(self.loop, rules, self.device.ssh_port, scrubber=Scrubber([(PASSWORD, STUB)]))
        home = folder / "home"
        home.mkdir()
        self.client = Client(home, self.vault)
        self.seen = b""

    def _login(self, binding: Binding) -> Login:
        return Login("ssh-password", self.credential, HostKeys(self.device.host_key))

    def paramiko(self, password: bytes = STUB) -> Any:
        client = paramiko.SSHClient()
        client.load_host_keys(str(self._plain_lines()))
        client.set_missing_host_key_policy(paramiko.RejectPolicy())
        client.connect(
            HOST,
            sock=socket.create_connection(("127.0.0.1", self.vault.port), 20),
            username=USER,
            password=password.decode(),
            look_for_keys=False,
            allow_agent=False,
            timeout=20,
        )
        return client

    def _plain_lines(self) -> Path:
        path = self.client.home / "plain_known_hosts"
        lines = self.vault.identity.known_hosts().splitlines()
        path.write_text("".join(f"{line}\n" for line in lines if not line.startswith("@")))
        return path

    def ssh(self, *arguments: str, data: bytes = b"", password: bytes = STUB) -> Any:
        """OpenSSH, which asks for the password by a program."""
        askpass = self.client.home / "askpass"
        askpass.write_text(f"#!/bin/sh\necho {password.decode()}\n")
        askpass.chmod(0o700)
        environment = {"SSH_ASKPASS": str(askpass), "SSH_ASKPASS_REQUIRE": "force"}
        done = self.client.ssh(*arguments, data=data, environment=environment)
        self.seen += done.stdout + done.stderr
        return done

    def passwords(self) -> set[str]:
        """The passwords that the device was shown."""
        return {text for what, _, text in self.device.record if what in ("login", "refused")}

    def commands(self) -> list[str]:
        """The commands that the device was given."""
        return [text for what, _, text in self.device.record if what == "command"]

    def close(self) -> None:
        self.vault.close()
        self.loop.close()
        self.device.close()


@pytest.fixture
def network(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> Iterator[Any]:
    caplog.set_level(logging.DEBUG)
    made: list[Network] = []

    def make(*bindings: str, **more: Any) -> Network:
        made.append(Network(tmp_path, *bindings, **more))
        return made[-1]

    yield make
    for one in made:
        one.close()
        assert one.passwords() <= {PASSWORD.decode()}, "the device was shown something else"
        audit, log = repr(one.vault.rows).encode(), caplog.text.encode()
        seen = {"output": one.seen, "files": one.client.files(), "audit": audit, "log": log}
        for place, text in seen.items():
            for spelling in spellings(PASSWORD):
                assert spelling not in text, f"the password is in the {place}"


SHOW = f"exec ssh://{USER}@{HOST}:22 ssh command='show *'"


@pytest.mark.parametrize("keyboard_interactive", [False, True])
def test_openssh_gives_the_stub_and_the_device_gets_the_password(network: Any, keyboard_interactive: bool) -> None:
    here = network(SHOW, keyboard_interactive=keyboard_interactive)
    done = here.ssh(f"{USER}@{HOST}", "show version")
    assert b"Simulated Router" in done.stdout, done.stderr
    assert here.passwords() == {PASSWORD.decode()}
    assert here.ssh(f"{USER}@{HOST}", "reload").returncode == 126
    assert here.commands() == ["show version"]


def test_a_password_that_is_not_the_stub_does_not_come_in(network: Any) -> None:
    here = network(SHOW)
    done = here.ssh(f"{USER}@{HOST}", "show version", password=b"a-password-of-its-own")
    assert done.returncode == 255
    assert b"Permission denied" in done.stderr or b"must be the session's stub" in done.stderr
    assert here.vault.dialled == 0
    assert "stub_missing" in here.vault.codes()
    assert b"a-password-of-its-own" not in repr(here.vault.rows).encode()


def test_paramiko_runs_commands_and_a_checked_shell(network: Any) -> None:
    shell = f"shell ssh://{USER}@{HOST}:22 ssh"
    here = network(SHOW, f"{shell} command='show *'", f"{shell} command=exit")
    client = here.paramiko()
    _, output, _ = client.exec_command("show ip interface brief")
    assert b"192.0.2.1" in output.read()
    channel = client.invoke_shell(term="vt100", width=120, height=40)
    channel.settimeout(20)
    channel.sendall(b"show version\nconfigure terminal\nhostname owned\nshow interfaces Loopback0\nexit\n")
    text = b""
    while data := channel.recv(65536):
        text += data
    here.seen += text
    assert b"Simulated Router" in text and b"router id" in text
    assert here.commands() == ["show ip interface brief", "show version", "show interfaces Loopback0", "exit"]
    assert here.device.stores.running.hostname == "r1"
    client.close()
    refused = [row["line"] for row in here.vault.rows if row["event"] == "ssh.line_refused"]
    assert refused == ["configure terminal", "hostname owned"]


def test_a_prompt_comes_without_more_output_after_it(network: Any) -> None:
    """Programs that speak with a device wait for its prompt: the scrubber may not keep the end of a stream for long."""
    here = network(f"shell ssh://{USER}@{HOST}:22 ssh")
    client = here.paramiko()
    channel = client.invoke_shell(term="vt100")
    channel.settimeout(20)
    for line in (b"", b"terminal length 0\n", b"show version\n", b"configure terminal\n", b"end\n"):
        channel.sendall(line)
        text = b""
        while not text.endswith(b"#"):
            text += channel.recv(65536)
    client.close()


@pytest.mark.parametrize("chunked", [True, False])
def test_ncclient_edits_a_device(network: Any, chunked: bool) -> None:
    here = network(f"subsystem:netconf ssh://{USER}@{HOST}:22 ssh", netconf_1_1=chunked)
    sock = socket.create_connection(("127.0.0.1", here.vault.port), 20)
    known = here.vault.identity.known_hosts().splitlines()[-1].split()[2]
    edit = (
        '<nc:config xmlns:nc="urn:ietf:params:xml:ns:netconf:base:1.0">'
        '<interfaces xmlns="urn:ietf:params:xml:ns:yang:ietf-interfaces"><interface>'
        f"<name>GigabitEthernet0/1</name><description>{'x' * 200}</description></interface></interfaces></nc:config>"
    )
    with manager.connect_ssh(
        host=HOST,
        sock=sock,
        username=USER,
        password=STUB.decode(),
        hostkey_b64=known,
        allow_agent=False,
        look_for_keys=False,
        timeout=20,
    ) as session:
        session.edit_config(target="candidate", config=edit)
        session.commit()
        assert "x" * 200 in str(session.get_config("running"))
    assert here.device.stores.commits[-1][0] == USER
    assert here.ssh(f"{USER}@{HOST}", "show version").returncode == 126


def test_a_device_that_prints_its_password_prints_the_stub(network: Any) -> None:
    here = network(f"exec ssh://{USER}@{HOST}:22 ssh", f"shell ssh://{USER}@{HOST}:22 ssh")
    here.device.stores.running = here.device.stores.running.put(
        here.device.stores.running.interfaces[0].__class__("Loopback1", f"password {PASSWORD.decode()}")
    )
    done = here.ssh(f"{USER}@{HOST}", "show running-config")
    assert b"description password " + STUB in done.stdout
    done = here.ssh("-T", f"{USER}@{HOST}", data=b"show running-config\nexit\n")
    assert b"description password " + STUB in done.stdout


def test_a_wrong_password_in_the_store_is_named_and_tried_once(network: Any) -> None:
    here = network(SHOW)
    here.device.users[USER] = "another-fake-password"
    done = here.ssh(f"{USER}@{HOST}", "show version")
    assert done.returncode == 255
    assert b"penstock secrets set DEVICE_PASSWORD" in done.stderr
    assert [what for what, _, _ in here.device.record] == ["refused"]


def test_two_secrets_for_one_command_are_refused(tmp_path: Path) -> None:
    policy = Policy([parse_binding(SHOW, secret) for secret in ("ONE", "OTHER")])
    door = PolicyDoor(policy, Destination("ssh", HOST, 22), lambda binding: pytest.fail("no"), lambda binding: STUB)
    with pytest.raises(Refusal) as caught:
        asyncio.run(door.decide(USER, "exec", "show version"))
    assert caught.value.code == "ambiguous_binding"


def test_asyncssh_as_a_client_with_no_home(network: Any) -> None:
    here = network(SHOW)

    async def run() -> str:
        sock = socket.create_connection(("127.0.0.1", here.vault.port), 20)
        sock.setblocking(False)
        async with asyncssh.connect(
            HOST,
            22,
            sock=sock,
            username=USER,
            password=STUB.decode(),
            known_hosts=asyncssh.import_known_hosts(here.vault.identity.known_hosts()),
            config=None,
            agent_path=None,
            client_keys=None,
        ) as connection:
            return str((await connection.run("show version")).stdout)

    assert "Simulated Router" in asyncio.run(run())
