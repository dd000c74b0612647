"""Real git pushes where no binding lets it, over HTTPS and SSH: somebody is asked, and nothing leaves before."""

from __future__ import annotations

import base64
import contextlib
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from penstock.vault.api import Event
from penstock.vault.git import packet
from tests.support import connect
from tests.support.canary import Canary
from tests.support.git_server import Forge, forge
from tests.support.needs import need
from tests.support.ssh import Sshd
from tests.support.vaults import RunningVault, Session, running_vault, until

PASSWORD = "fake-forge-password-Wq7-Lx"
HOST = "git.example.test"


class Place:
    """A vault before a forge that speaks HTTPS and SSH, one repository there, and a working copy for each test."""

    def __init__(self, folder: Path, vault: RunningVault, server: Forge, sshd: Sshd) -> None:
        self.folder = folder
        self.vault = vault
        self.forge = server
        self.sshd = sshd
        self.bare = server.root / "app.git"
        run("init", "-q", "--bare", "-b", "main", str(self.bare))
        run("-C", str(self.bare), "config", "http.receivepack", "true")
        bound = f"ssh://{sshd.user}@{HOST}:22{self.bare} ssh"
        refs = "refs=refs/heads/agent/*"
        vault.set(
            "FORGE", PASSWORD.encode(), f"* https://{HOST}/app.git/* basic:password {refs}", upstream_ca=server.ca_pem
        )
        vault.set(
            "KEY", sshd.private, f"git-upload-pack {bound}", f"git-receive-pack {bound} {refs}",
            kind="ssh-key", options={"host_key": sshd.host_line},
        )  # fmt: skip

    def branches(self) -> list[str]:
        words = ["git", "-C", str(self.bare), "for-each-ref", "--format=%(refname:short) %(contents:subject)"]
        return subprocess.run(words, capture_output=True, text=True, check=True).stdout.splitlines()

    def posts(self) -> int:
        """Pushes that the forge has seen over HTTPS."""
        return sum(path.endswith("/git-receive-pack") for path, _ in self.forge.logins)


class Work:
    """A working copy, and a session that asks."""

    def __init__(self, place: Place, folder: Path, way: str, **spec: Any) -> None:
        self.place = place
        self.way = way
        port = place.forge.port if way == "https" else place.sshd.port
        secret = "FORGE" if way == "https" else "KEY"
        self.session: Session = place.vault.open(
            secrets=(secret,), pins={HOST: f"127.0.0.1:{port}"}, **{"ask": True, **spec}
        )
        self._begun: list[subprocess.Popen[str]] = []
        self.folder = folder / "work"
        self.environment = self._environment(folder)
        self.git("init", "-q", "-b", "main", str(self.folder))
        self.git("remote", "add", "origin", self._url(), inside=True)

    def _url(self) -> str:
        if self.way == "https":
            return f"https://agent:{self.session.env['FORGE']}@{HOST}/app.git"
        return f"ssh://{self.place.sshd.user}@{HOST}{self.place.bare}"

    def _environment(self, folder: Path) -> dict[str, str]:
        (folder / "ca.pem").write_text(self.session.opened.ca_pem)
        (folder / "known_hosts").write_text(self.session.opened.known_hosts)
        proxied = f"{sys.executable} {connect.__file__} {self.session.port} %h %p"
        ssh = f"ssh -F none -o UserKnownHostsFile={folder}/known_hosts -o GlobalKnownHostsFile=none -o BatchMode=yes"
        return {
            "PATH": os.environ["PATH"], "HOME": str(folder), "LC_ALL": "C", "GIT_TERMINAL_PROMPT": "0",
            "GIT_CONFIG_NOSYSTEM": "1", "GIT_SSL_CAINFO": str(folder / "ca.pem"),
            "https_proxy": f"http://127.0.0.1:{self.session.port}",
            "GIT_SSH_COMMAND": f"{ssh} -o 'ProxyCommand={proxied}'",
            "GIT_AUTHOR_NAME": "A", "GIT_AUTHOR_EMAIL": "a@example.test",
            "GIT_COMMITTER_NAME": "A", "GIT_COMMITTER_EMAIL": "a@example.test",
        }  # fmt: skip

    def git(self, *words: str, inside: bool = False) -> None:
        where = ["-C", str(self.folder)] if inside else []
        subprocess.run(["git", *where, *words], env=self.environment, capture_output=True, check=True)

    def commit(self, text: str, size: int = 0) -> None:
        (self.folder / "file").write_bytes(text.encode() + os.urandom(size))
        self.git("add", "file", inside=True)
        self.git("commit", "-q", "-m", text, inside=True)

    def begin(self, *refs: str) -> subprocess.Popen[str]:
        """Begin to push."""
        words = ["git", "-C", str(self.folder), "push", "origin", *refs]
        self._begun.append(subprocess.Popen(words, env=self.environment, stderr=subprocess.PIPE, text=True))
        return self._begun[-1]

    def push(self, *refs: str) -> tuple[int, str]:
        return ended(self.begin(*refs))

    def asked(self, count: int = 1) -> Event:
        """The last question, once there are so many."""
        until(lambda: len(self.place.vault.told("ask", self.session.id)) >= count)
        told = self.place.vault.told("ask", self.session.id)
        assert len(told) == count and told[-1].about == "push", told
        return told[-1]

    def answer(self, event: Event, allowed: bool, *, remember: bool = False) -> None:
        vault = self.place.vault
        vault.run(vault.client.decide(self.session.id, event.proposal, allowed, remember=remember))

    def close(self) -> None:
        """End the session, and with it what still waits."""
        self.session.close()
        for push in self._begun:
            push.communicate(timeout=60)

    def rule(self, refs: str) -> str:
        """The exact rule that is expected."""
        if self.way == "https":
            return f"POST https://{HOST}:443/app.git/git-receive-pack basic:password refs={refs}"
        path = str(self.place.bare).removesuffix(".git")
        return f"git-receive-pack ssh://{self.place.sshd.user}@{HOST}:22{path} ssh refs={refs}"


def run(*words: str) -> None:
    subprocess.run(["git", *words], check=True, capture_output=True)


def ended(push: subprocess.Popen[str]) -> tuple[int, str]:
    """How a push ended, and what git said."""
    _, said = push.communicate(timeout=60)
    return push.returncode, said


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    need(command="git")
    need(command="ssh", hint="apt-get install openssh-client")
    folder = tmp_path_factory.mktemp("forge")
    with (
        contextlib.closing(Sshd(folder / "sshd")) as sshd,
        running_vault(folder) as vault,
        forge(folder, PASSWORD, HOST) as server,
    ):
        yield Place(folder, vault, server, sshd)
        Canary(PASSWORD.encode(), sshd.private.splitlines()[2]).absent("events", *(repr(each) for each in vault.events))


@pytest.fixture(params=["https", "ssh"])
def way(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def work(place: Place, tmp_path: Path, way: str, request: pytest.FixtureRequest) -> Iterator[Work]:
    made = Work(place, tmp_path, way, **getattr(request, "param", {}))
    yield made
    made.close()


def test_nothing_leaves_before_a_yes_and_all_of_it_after(work: Work, way: str) -> None:
    place, before = work.place, work.place.branches()
    work.commit("big", 3_000_000)
    posts = place.posts()
    push = work.begin(f"HEAD:refs/heads/big-{way}")
    asked = work.asked()
    assert asked.proposal == work.rule(f"refs/heads/big-{way}:create+update")
    assert f"would create refs/heads/big-{way}; the secret" in asked.detail and f"to {HOST}/" in asked.detail
    probes = 1 if way == "https" else 0  # git asks with a push of nothing whether a large one will be let in
    assert push.poll() is None and place.branches() == before and place.posts() == posts + probes
    work.answer(asked, True)
    assert ended(push)[0] == 0
    assert f"big-{way} big" in place.branches()
    push = work.begin(f":refs/heads/big-{way}")
    asked = work.asked(2)  # a yes was for that push alone
    assert asked.proposal == work.rule(f"refs/heads/big-{way}:delete")
    work.answer(asked, False)
    assert ended(push)[0] == 1
    assert work.session.audit("allow_push")[0]["rule"] == work.rule(f"refs/heads/big-{way}:create+update")


def test_git_says_no_and_a_no_is_remembered(work: Work, way: str) -> None:
    work.commit("no")
    push = work.begin(f"HEAD:refs/heads/no-{way}", "HEAD:refs/heads/agent/fine")
    asked = work.asked()
    assert asked.proposal == work.rule(f"refs/heads/no-{way}:create+update"), "what is allowed is not asked"
    work.answer(asked, False, remember=True)
    status, said = ended(push)
    assert status == 1 and "Somebody was asked, and it was not allowed." in said, said
    assert f"no-{way} (refused by penstock (ref_not_allowed))" in said
    status, said = work.push(f"HEAD:refs/heads/no-{way}")
    assert status == 1 and "Somebody was asked before, and said no." in said, said
    work.asked()  # still one
    assert not [line for line in work.place.branches() if line.startswith(f"no-{way}")]


def test_a_yes_that_is_remembered_holds_for_this_branch_only(work: Work, way: str) -> None:
    work.commit("one")
    push = work.begin(f"HEAD:refs/heads/yes-{way}")
    work.answer(work.asked(), True, remember=True)
    assert ended(push)[0] == 0
    work.commit("two")
    assert work.push(f"HEAD:refs/heads/yes-{way}")[0] == 0
    work.asked()  # still one
    assert f"yes-{way} two" in work.place.branches()
    push = work.begin(f"HEAD:refs/heads/other-{way}")
    work.answer(work.asked(2), False)
    assert ended(push)[0] == 1


def test_two_pushes_at_once_ask_once(work: Work, way: str) -> None:
    work.commit("twice")
    pushes = [work.begin(f"HEAD:refs/heads/twice-{way}")]
    asked = work.asked()
    sent = traffic(work)
    pushes.append(work.begin(f"HEAD:refs/heads/twice-{way}"))
    until(lambda: traffic(work) > sent)
    work.answer(asked, True, remember=True)
    assert 0 in [ended(push)[0] for push in pushes]  # the other may find that the branch is there already
    work.asked()
    assert f"twice-{way} twice" in work.place.branches()


def traffic(work: Work) -> int:
    """Connections of the session."""
    vault = work.place.vault
    return int(vault.run(vault.client.sessions(work.session.id))[0]["connections"])


@pytest.mark.parametrize("work", [{"ask_seconds": 0.2}], indirect=True)
def test_silence_is_a_no_to_this_push_alone(work: Work, way: str) -> None:
    work.commit("silence")
    for count in (1, 2):
        status, said = work.push(f"HEAD:refs/heads/silence-{way}")
        assert status == 1 and "nobody answered in time" in said, said
        work.asked(count)
    assert not [line for line in work.place.branches() if line.startswith("silence")]


@pytest.mark.parametrize("work", [{"ask": False}], indirect=True)
def test_a_session_that_does_not_ask_is_refused_at_once(work: Work, way: str) -> None:
    work.commit("quiet")
    status, said = work.push(f"HEAD:refs/heads/quiet-{way}")
    assert status == 1 and "ref_not_allowed" in said, said
    assert not work.place.vault.told("ask", work.session.id)


def test_nobody_is_asked_for_who_has_no_stub(place: Place, tmp_path: Path) -> None:
    work = Work(place, tmp_path, "https")
    line = f"{'0' * 40} {'1' * 40} refs/heads/main\0report-status".encode()
    own = base64.b64encode(b"agent:their-own-password").decode()
    for login in ([f"Authorization: Basic {own}"], []):
        said = work.session.ask(
            HOST, "/app.git/git-receive-pack", *login, "Content-Type: application/x-git-receive-pack-request",
            method="POST", body=packet(line) + b"0000",
        )  # fmt: skip
        assert said.status in (401, 403), said
    assert not place.vault.told("ask", work.session.id)
    work.close()


def test_a_secret_that_is_revoked_meanwhile_goes_nowhere(place: Place, tmp_path: Path) -> None:
    binding = f"* https://{HOST}/app.git/* basic:password refs=refs/heads/agent/*"
    place.vault.set("FORGE", PASSWORD.encode(), binding, upstream_ca=place.forge.ca_pem)
    work = Work(place, tmp_path, "https")
    work.commit("late")
    posts = place.posts()
    push = work.begin("HEAD:refs/heads/late")
    asked = work.asked()
    place.vault.revoke("FORGE")
    until(lambda: place.vault.told("revoked", work.session.id))
    work.answer(asked, True, remember=True)
    assert ended(push)[0] != 0 and place.posts() == posts
    work.close()
