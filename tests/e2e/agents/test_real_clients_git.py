"""Real git and OpenSSH in a sandbox: over HTTPS with a password they never see, over SSH with a key or a password."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import asyncssh
import pytest

from penstock.agents.single_run import Job
from penstock.vault.api import Secrets
from tests.support import need
from tests.support.behind import Behind, Done, behind
from tests.support.canary import Canary
from tests.support.git_server import Forge, forge
from tests.support.sandboxes import need_sandboxes
from tests.support.ssh import Loop, Sshd

PASSWORD = "fake-forge-password-Zx81-Qm"
DEVICE_PASSWORD = "fake-device-password-4Tk9"
GIT, SSH, DEVICE = "git.example.test", "host.example.test", "device.example.test"


class Device:
    """An SSH server that takes one password, and says what it was told to run."""

    def __init__(self, loop: Loop) -> None:
        self.seen: list[tuple[str, str]] = []
        self._loop = loop
        self._key = asyncssh.generate_private_key("ssh-ed25519")
        self.host_line = self._key.export_public_key().decode().strip()
        self._listener: Any = loop.run(self._listen())
        self.port: int = self._listener.get_port()

    async def _listen(self) -> Any:
        device = self

        class Server(asyncssh.SSHServer):
            def begin_auth(self, username: str) -> bool:
                return True

            def password_auth_supported(self) -> bool:
                return True

            def validate_password(self, username: str, password: str) -> bool:
                device.seen.append((username, password))
                return password == DEVICE_PASSWORD

        async def run(process: asyncssh.SSHServerProcess[str]) -> None:
            process.stdout.write(f"ran {process.command}; the password is {DEVICE_PASSWORD}\n")
            process.exit(3)

        return await asyncssh.create_server(Server, "127.0.0.1", 0, server_host_keys=[self._key], process_factory=run)

    def close(self) -> None:
        self._listener.close()
        self._loop.run(self._listener.wait_closed())


class World(Behind):
    """The sandbox, a forge, a server that takes a key, a device that takes a password."""

    forge: Forge
    sshd: Sshd
    device: Device
    canary: Canary

    def git(self, script: str) -> Done:
        return self.shell(f"cd /tmp; export GIT_TERMINAL_PROMPT=0; {script}")

    def branches(self, name: str) -> str:
        """What the forge has."""
        words = [
            "git",
            "-C",
            str(self.forge.root / name),
            "for-each-ref",
            "--format=%(refname:short) %(contents:subject)",
        ]
        return subprocess.run(words, capture_output=True, text=True, check=True).stdout

    def check(self) -> None:
        self.run("sh", "-c", "env; cat /proc/[0-9]*/environ /proc/[0-9]*/cmdline; cat /etc/gitconfig /etc/ssh/ssh_*")
        self.run("sh", "-c", "find /tmp /home/agent -type f | xargs cat")
        self.canary.absent("what programs said", *self.seen)
        self.canary.absent_from_files(self.state)
        self.canary.absent("events", *(f"{event}" for event in self.events))


def repository(folder: Path, name: str) -> None:
    """A bare repository with one commit on `main`."""
    work = folder / f"work-{name}"
    for words in (
        ["init", "-q", "-b", "main", str(work)],
        [
            "-C",
            str(work),
            "-c",
            "user.name=A",
            "-c",
            "user.email=a@example.test",
            "commit",
            "-q",
            "--allow-empty",
            "-m",
            "one",
        ],
        ["clone", "-q", "--bare", str(work), str(folder / "repositories" / name)],
        ["-C", str(folder / "repositories" / name), "config", "http.receivepack", "true"],
    ):
        subprocess.run(["git", *words], check=True, capture_output=True)


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    need_sandboxes()
    need(command="git")
    need(command="ssh", hint="apt-get install openssh-client")
    folder = tmp_path_factory.mktemp("forge")
    loop = Loop()
    sshd, device = Sshd(folder / "sshd"), Device(loop)
    with forge(folder, PASSWORD, GIT, "127.0.0.1") as server:
        for name in ("app.git", "other.git", "local.git"):
            repository(folder, name)

        def prepare(secrets: Secrets) -> Job:
            secrets.set(
                "FORGE",
                PASSWORD.encode(),
                bindings=[
                    f"* https://{GIT}/app.git/* basic:password refs=refs/heads/agent/*",
                    f"* https://127.0.0.1:{server.port}/local.git/* basic:password",
                ],
                env="FORGE_TOKEN",
                upstream_ca=server.ca_pem,
            )
            secrets.set(
                "KEY",
                sshd.private,
                kind="ssh-key",
                bindings=[f"exec ssh://{sshd.user}@{SSH}:22 ssh command='echo *'"],
                options={"host_key": sshd.host_line},
            )
            secrets.set(
                "DEVICE",
                DEVICE_PASSWORD.encode(),
                kind="ssh-password",
                env="DEVICE_PASSWORD",
                bindings=[f"exec ssh://netops@{DEVICE}:22 ssh command='show *'"],
                options={"host_key": device.host_line},
            )
            pins = {
                GIT: f"127.0.0.1:{server.port}",
                SSH: f"127.0.0.1:{sshd.port}",
                DEVICE: f"127.0.0.1:{device.port}",
            }
            return Job(argv=(), secrets=("FORGE", "KEY", "DEVICE"), pins=pins)

        with behind(prepare, None, World) as made:
            made.forge, made.sshd, made.device = server, sshd, device
            made.canary = Canary(PASSWORD.encode(), DEVICE_PASSWORD.encode(), sshd.private.splitlines()[2])
            made.shell("git config --global user.name Agent; git config --global user.email agent@example.test")
            yield made
            made.check()
    device.close()
    sshd.close()
    loop.close()


# -- git over HTTPS ---------------------------------------------------------------------------------------------------


def test_clone_commit_push_and_fetch(world: World) -> None:
    done = world.git(
        f"""git clone -q https://{GIT}/app.git app; cd app
git log --format=%s
git checkout -q -b agent/work; echo two > file; git add file; git commit -q -m two; git push -q origin agent/work
git clone -q https://{GIT}/app.git ../again; cd ../again; git fetch -q origin agent/work; git log --format=%s FETCH_HEAD
cat .git/config; git remote -v"""
    )
    assert done.status == 0, done.said
    assert done.output.startswith("one\ntwo\none\n")
    assert world.branches("app.git") == "agent/work two\nmain one\n"
    assert {said for _, said in world.forge.logins if said} and not [p for p, _ in world.forge.logins if "other" in p]


def test_a_branch_that_no_rule_names(world: World) -> None:
    before = world.branches("app.git")
    done = world.git(
        f"git clone -q https://{GIT}/app.git push; cd push; git commit -q --allow-empty -m evil; git push origin main"
    )
    assert done.status != 0
    assert "refs/heads/main" in done.error, done.said
    assert world.branches("app.git") == before


def test_a_repository_that_no_rule_names(world: World) -> None:
    done = world.git(f"git clone -q https://{GIT}/other.git other")
    assert done.status != 0
    assert "penstock" in done.error, done.said
    assert not [path for path, _ in world.forge.logins if "other" in path]


def test_a_login_in_the_address_and_one_of_the_agents_own(world: World) -> None:
    assert world.git(f'git clone -q "https://anybody:$FORGE_TOKEN@{GIT}/app.git" url').status == 0
    seen = len(world.forge.logins)
    done = world.git(f"git -c credential.helper= clone -q https://mallory:own-password@{GIT}/app.git own")
    assert done.status != 0
    assert not [said for _, said in world.forge.logins[seen:] if said]


def test_a_forge_on_this_machine(world: World) -> None:
    done = world.git(
        f"git clone -q https://127.0.0.1:{world.forge.port}/local.git local; cd local; git log --format=%s"
    )
    assert (done.status, done.output) == (0, "one\n"), done.said


# -- OpenSSH ----------------------------------------------------------------------------------------------------------


def test_ssh_with_a_key_that_is_not_there(world: World) -> None:
    done = world.run("ssh", f"{world.sshd.user}@{SSH}", "echo from the other side")
    assert (done.status, done.output) == (0, "from the other side\n"), done.said
    refused = world.run("ssh", f"{world.sshd.user}@{SSH}", "cat /etc/passwd")
    assert refused.status == 126 and "root:" not in refused.output, refused.said


def test_ssh_with_the_stub_of_a_password(world: World) -> None:
    script = "printf '#!/bin/sh\\necho \"$DEVICE_PASSWORD\"\\n' > /tmp/ask; chmod +x /tmp/ask"
    asking = f"{script}; export SSH_ASKPASS=/tmp/ask SSH_ASKPASS_REQUIRE=force"
    done = world.shell(
        f"{asking}; set +e; ssh netops@{DEVICE} 'show version'; echo status $?; echo stub $DEVICE_PASSWORD"
    )
    stub = done.output.split("stub ")[1].strip()
    assert f"ran show version; the password is {stub}\nstatus 3\n" in done.output, done.said
    assert world.device.seen == [("netops", DEVICE_PASSWORD)]
    refused = world.shell(f"{asking}; ssh netops@{DEVICE} 'configure terminal'")
    assert refused.status == 126, refused.said
