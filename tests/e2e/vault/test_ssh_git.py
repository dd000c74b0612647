"""git over SSH through the vault, to a real sshd: clone, fetch and push; repositories and branches by rule."""

import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from penstock.vault.policy import Policy
from penstock.vault.rules import parse_binding
from penstock.vault.ssh.bound import PolicyDoor
from penstock.vault.values import Destination
from tests.support.ssh import HOST, Client, Loop, Sshd, VaultEnd, spellings


class Forge:
    """Two bare repositories behind sshd, the vault before it, and a working copy's home."""

    def __init__(self, folder: Path, *bindings: str) -> None:
        self.sshd = Sshd(folder / "sshd")
        self.loop = Loop()
        self.repositories = folder / "srv"
        for name in ("app.git", "other.git"):
            self._git("init", "-q", "--bare", "-b", "main", str(self.repositories / name))
        path = self.repositories.as_posix()
        texts = [one.format(user=self.sshd.user, host=HOST, path=path) for one in bindings]
        policy = Policy([parse_binding(one, "DEPLOY_KEY") for one in texts])
        login = self.sshd.login()
        door: Any = PolicyDoor(policy, Destination("ssh", HOST, 22), lambda binding: login, lambda binding: None)
        self.vault = VaultEnd(self.loop, door, self.sshd.port)
        self.home = folder / "home"
        self.home.mkdir()
        self.client = Client(self.home, self.vault)
        self.seen = b""
        (self.home / ".gitconfig").write_text("[user]\n name = Agent\n email = agent@example.com\n")
        self.work = self.home / "work"

    def _git(self, *arguments: str) -> None:
        subprocess.run(["git", *arguments], check=True, capture_output=True)

    def url(self, name: str) -> str:
        return f"ssh://{self.sshd.user}@{HOST}{self.repositories}/{name}"

    def git(self, *arguments: str, folder: Path | None = None, **environment: str) -> Any:
        env = {**self.client.environment, "GIT_SSH_COMMAND": f"ssh -F {self.client.config}", **environment}
        done = subprocess.run(["git", *arguments], cwd=folder or self.home, env=env, capture_output=True, timeout=60)
        self.seen += done.stdout + done.stderr
        return done

    def clone(self) -> None:
        done = self.git("clone", "-q", self.url("app.git"), str(self.work))
        assert done.returncode == 0, done.stderr
        self.commit("first")

    def commit(self, text: str, size: int = 0) -> None:
        (self.work / "file").write_text(text + "x" * size)
        self.git("add", "-A", folder=self.work)
        done = self.git("commit", "-q", "-m", text, folder=self.work)
        assert done.returncode == 0, done.stderr

    def push(self, *arguments: str) -> Any:
        return self.git("push", *arguments, folder=self.work)

    def branches(self, name: str = "app.git") -> list[str]:
        command = ["git", "-C", str(self.repositories / name), "for-each-ref", "--format=%(refname)"]
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()

    def close(self) -> None:
        self.vault.close()
        self.loop.close()
        self.sshd.close()


READ = "git-upload-pack ssh://{user}@{host}:22{path}/app.git ssh"
WRITE = "git-receive-pack ssh://{user}@{host}:22{path}/app.git ssh"


@pytest.fixture
def forge(tmp_path: Path) -> Iterator[Any]:
    made: list[Forge] = []

    def make(*bindings: str) -> Forge:
        made.append(Forge(tmp_path, *bindings))
        return made[-1]

    yield make
    for one in made:
        one.close()
        for text in (one.seen, one.client.files(), repr(one.vault.rows).encode()):
            for spelling in spellings(one.sshd.private):
                assert spelling not in text


@pytest.mark.parametrize("version", ["0", "1", "2"])
def test_clone_push_and_fetch(forge: Any, version: str) -> None:
    here = forge(READ, WRITE)
    config = here.home / ".gitconfig"
    config.write_text(f"{config.read_text()}[protocol]\n version = {version}\n")
    here.clone()
    assert here.push("-q", "origin", "HEAD:main").returncode == 0
    here.commit("second", 3_000_000)
    done = here.push("origin", "HEAD:main", "HEAD:refs/heads/feature")
    assert done.returncode == 0, done.stderr
    assert here.branches() == ["refs/heads/feature", "refs/heads/main"]
    again = here.git("clone", "-q", here.url("app.git"), str(here.home / "again"))
    assert again.returncode == 0, again.stderr
    assert (here.home / "again" / "file").read_text().startswith("second")
    assert here.git("fetch", "-q", folder=here.work).returncode == 0


def test_another_repository_and_another_direction_are_refused(forge: Any) -> None:
    here = forge(READ)
    here.clone()
    done = here.git("clone", "-q", here.url("other.git"), str(here.home / "other"))
    assert done.returncode == 128 and b"penstock vault:" in done.stderr
    done = here.push("origin", "HEAD:main")
    assert done.returncode == 128 and b"penstock vault:" in done.stderr
    assert here.branches() == []
    done = here.git("ls-remote", here.url("../srv/other.git"))
    assert done.returncode == 128 and b"no command that git sends" in done.stderr
    assert set(here.vault.codes()) == {"no_binding", "bad_git_command"}


def test_only_the_branches_of_the_rule_can_be_pushed(forge: Any) -> None:
    here = forge(READ, WRITE + " refs=refs/heads/agent/*")
    here.clone()
    done = here.push("origin", "HEAD:refs/heads/agent/one")
    assert done.returncode == 0, done.stderr
    for refs in (["HEAD:main"], ["HEAD:refs/heads/agent/two", "HEAD:main"], ["HEAD:refs/tags/v1"], [":agent/one"]):
        done = here.push("origin", *refs)
        assert done.returncode == 1, done.stderr
        assert b"[remote rejected]" in done.stderr
    assert here.branches() == ["refs/heads/agent/one"]
    here.commit("big", 5_000_000)
    done = here.push("origin", "HEAD:main")
    assert done.returncode != 0 and b"penstock vault:" in done.stderr
    assert here.branches() == ["refs/heads/agent/one"]
    here.commit("bigger", 5_000_000)
    assert here.push("-q", "origin", "HEAD:refs/heads/agent/one").returncode == 0
    assert "ref_not_allowed" in here.vault.codes()
    assert {"create refs/heads/agent/one", "update refs/heads/agent/one"} <= {
        row["line"] for row in here.vault.rows if "line" in row
    }


def test_an_odd_command_in_place_of_git_is_refused(forge: Any) -> None:
    here = forge(READ)
    for command in ("git-upload-pack 'a'; id", "git upload-pack app.git", "git-upload-pack app.git", "id"):
        done = here.client.ssh(f"{here.sshd.user}@{HOST}", command)
        assert (done.returncode, done.stdout) == (126, b""), command
    assert here.vault.dialled == 0
