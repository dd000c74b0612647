"""`penstock run ... --repo`: cloned inside of the sandbox through the vault, from a real git server over HTTPS; what
was changed is not lost; and where there is no clone, what to do.
"""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from penstock.testing.providers import Reply, SimulatedProviders, ToolCall
from tests.e2e.gateway import environment_for
from tests.support.canary import Canary
from tests.support.git_server import Forge, forge
from tests.support.needs import need
from tests.support.runs import Machine, machine
from tests.support.sandboxes import need_sandboxes
from tests.support.waiting import until

PASSWORD = "fake-Forge-pass-77Qx2mNv8Lw"
PUBLIC, PRIVATE = "public.example.test", "private.example.test"
WORK = """set -e; cat README; echo more >> README; echo new > new
git config user.name Agent; git config user.email agent@example.test
git add new; git commit -q -m 'what the agent did'; git log --format=%s"""


def repository(root: Path, name: str) -> None:
    """A bare repository with one commit."""
    work = root / f"{name}-work"
    work.mkdir(parents=True)
    (work / "README").write_text("read me\n")
    author = ("-c", "user.name=Author", "-c", "user.email=author@example.test")
    for words in (
        ["init", "-q", "-b", "main", str(work)],
        ["-C", str(work), "add", "README"],
        ["-C", str(work), *author, "commit", "-q", "-m", "one"],
        ["clone", "-q", "--bare", str(work), str(root / name)],
        ["-C", str(root / name), "config", "http.receivepack", "true"],
    ):
        subprocess.run(["git", *words], check=True, capture_output=True)


class World:
    """A machine, and two forges: one that everybody may read, one that asks who it is."""

    def __init__(self, here: Machine, folder: Path, public: Forge, private: Forge) -> None:
        self.here, self.public, self.private = here, public, private
        self.authority = folder / "authorities.pem"
        self.authority.write_text(public.ca_pem + private.ca_pem)
        pins = {PUBLIC: public, PRIVATE: private}
        self.ways = [word for host, at in pins.items() for word in ("--pin", f"{host}=127.0.0.1:{at.port}")]
        self.ways += ["--upstream-ca", str(self.authority)]

    def run(self, *words: str, harness: str = "command", **more: str) -> subprocess.CompletedProcess[bytes]:
        """`penstock run HARNESS`, with the ways to both forges."""
        return self.here.call("run", harness, *self.ways, *words, data=b"", **more)


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    need_sandboxes()
    need(command="git")
    folder = tmp_path_factory.mktemp("forges")
    for name in ("public", "private"):
        (folder / name).mkdir()
    with forge(folder / "public", "", PUBLIC) as public, forge(folder / "private", PASSWORD, PRIVATE) as private:
        for server in (public, private):
            repository(server.root, "app.git")
        with machine() as here:
            here.secret("FORGE", PASSWORD, f"* https://{PRIVATE}/app.git/* basic:password", env="FORGE_TOKEN")
            yield World(here, folder, public, private)


@pytest.fixture(autouse=True)
def nothing_left(world: World) -> Iterator[None]:
    yield
    until(lambda: not world.here.remains())


@pytest.mark.parametrize("url", [f"https://{PUBLIC}/app.git", f"https://{PUBLIC}/app.git/"])
def test_a_public_repository_and_what_was_changed_and_committed(world: World, tmp_path: Path, url: str) -> None:
    patch = tmp_path / "changes.patch"
    done = world.run("--repo", url, "--patch", str(patch), "--", "sh", "-c", WORK)
    assert (done.returncode, done.stdout) == (0, b"read me\nwhat the agent did\none\n"), done.stderr
    clone = tmp_path / "clone"
    subprocess.run(["git", "clone", "-q", str(world.public.root / "app.git"), str(clone)], check=True)
    subprocess.run(["git", "-C", str(clone), "apply", str(patch)], check=True)
    assert ((clone / "README").read_text(), (clone / "new").read_text()) == ("read me\nmore\n", "new\n")


def test_a_private_repository_with_its_secret_bound(world: World) -> None:
    script = f'{WORK}; echo "stub $FORGE_TOKEN"; git push -q origin HEAD:agent; cat .git/config; env'
    done = world.run("--secret", "FORGE", "--repo", f"https://{PRIVATE}/app.git", "--", "sh", "-c", script)
    assert done.returncode == 0, done.stderr
    assert done.stderr.count(b"\n") == 1 and b"git apply" in done.stderr, "a login that git is asked for is no news"
    heads = ["git", "-C", str(world.private.root / "app.git"), "log", "-1", "--format=%s", "agent"]
    assert subprocess.run(heads, capture_output=True, check=True).stdout == b"what the agent did\n"
    Canary(PASSWORD.encode()).absent("what the run said", done.stdout + done.stderr)
    assert {said for _, said in world.private.logins if said}


AGENTS: dict[str, tuple[str, Callable[[str], Reply]]] = {
    "loop": ("openai/gpt-4o", lambda command: Reply.tool_calls(ToolCall("shell", {"command": command}))),
    "claude-code": (
        "anthropic/claude-sonnet-4-5",
        lambda command: Reply.thinking("so", ToolCall("Bash", {"command": command, "description": "Work"})),
    ),
}


@pytest.mark.parametrize("harness", AGENTS)
def test_an_agent_mends_a_private_repository(world: World, harness: str) -> None:
    model, calls = AGENTS[harness]
    if harness != "loop":
        need(command="npm", hint="apt-get install npm")
    with SimulatedProviders() as provider:
        provider.script(calls("cat README; echo by the model > README"), Reply.text("It is done."))
        more = {**environment_for(provider), "PENSTOCK_STATE_DIR": str(world.here.state), "HOME": str(Path.home())}
        words = ("--model", model, "--secret", "FORGE", "--repo", f"https://{PRIVATE}/app.git", "mend it")
        done = world.run(*words, harness=harness, **more)
        assert (done.returncode, done.stdout) == (0, b"It is done.\n"), done.stderr
        assert "read me" in json.dumps(provider.last.json), "the model was told what the repository holds"
    kept = Path(done.stderr.decode().split("git apply ")[1].split("`")[0])
    assert "+by the model" in kept.read_text(), "who asked for no patch has lost nothing"
    assert b"error" not in done.stderr


def test_a_folder_is_copied_and_stays_as_it_is(world: World, tmp_path: Path) -> None:
    repository(tmp_path, "app.git")
    folder = tmp_path / "app.git-work"
    (folder / "mine").write_text("not committed\n")
    before = sorted(path.relative_to(folder) for path in folder.rglob("*"))
    patch = tmp_path / "changes.patch"
    done = world.run("--repo", str(folder), "--patch", str(patch), "--", "sh", "-c", f"cat mine; {WORK}")
    assert (done.returncode, done.stdout) == (0, b"not committed\nread me\nwhat the agent did\none\n"), done.stderr
    assert sorted(path.relative_to(folder) for path in folder.rglob("*")) == before
    assert (folder / "README").read_text() == "read me\n"
    assert "mine" not in patch.read_text(), "what was not committed before is not the program's doing"
    subprocess.run(["git", "-C", str(folder), "apply", str(patch)], check=True)
    assert (folder / "new").read_text() == "new\n"


NOT_CLONED = {
    "a private one without a secret": (
        [],
        f"https://{PRIVATE}/app.git",
        "penstock secrets set NAME --binding '* https",
    ),
    "one that is not there": ([], f"https://{PUBLIC}/none.git", "Look at its address"),
    "a host that is not there": ([], "https://none.example.invalid/a.git", "has no address"),
    "a host that does not answer": ([], "https://127.0.0.1:1/a.git", "cannot be reached"),
    "one that its secret is not bound to": (["--secret", "FORGE"], f"https://{PRIVATE}/b.git", "penstock secrets set"),
    "by ssh without a key": ([], f"git@{PRIVATE}:app.git", "--secret NAME"),
    "a folder that is not there": ([], "/none", "folder that is there"),
    "a password in the address": ([], f"https://me:word@{PUBLIC}/app.git", "without a user or password"),
}


@pytest.mark.parametrize(("words", "url", "says"), NOT_CLONED.values(), ids=NOT_CLONED.keys())
def test_where_nothing_can_be_cloned_nothing_runs_and_it_says_what_to_do(
    world: World, words: list[str], url: str, says: str
) -> None:
    done = world.run(*words, "--repo", url, "--", "echo", "ran")
    assert (done.returncode, done.stdout) == (1, b"")
    assert says in done.stderr.decode() and b"Traceback" not in done.stderr, done.stderr


def test_an_authority_that_nobody_knows(world: World) -> None:
    pin = f"{PUBLIC}=127.0.0.1:{world.public.port}"
    done = world.here.run("--pin", pin, "--repo", f"https://{PUBLIC}/app.git", "--", "echo", "ran")
    assert (done.returncode, done.stdout) == (1, b"") and b"--upstream-ca FILE" in done.stderr, done.stderr


def test_an_agent_without_a_clone_says_once_why(world: World) -> None:
    more = {**environment_for(), "PENSTOCK_STATE_DIR": str(world.here.state)}
    done = world.run("--model", "demo", "--repo", f"https://{PRIVATE}/app.git", "hello", harness="loop", **more)
    assert (done.returncode, done.stdout) == (1, b"")
    assert done.stderr.count(b"it cannot be cloned") == 1 and b"secrets set NAME" in done.stderr, done.stderr


def test_what_is_of_agents_is_not_of_a_program(world: World) -> None:
    for words in (("--model", "demo"), ("--max-dollars", "1"), ("--ask",)):
        done = world.here.run(*words, "--", "echo", "ran")
        assert (done.returncode, done.stdout) == (1, b"") and words[0].encode() in done.stderr
    done = world.here.run("--workspace", "/tmp", "--repo", "/tmp", "--", "echo", "ran")
    assert done.returncode == 1 and b"not both" in done.stderr
