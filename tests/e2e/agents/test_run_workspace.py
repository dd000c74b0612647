"""`penstock run ... --workspace DIR`: what was changed comes back, nothing outside of DIR is read or touched, and where
both sides have changed a file its user's stays here, the other's in a copy that is named.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from penstock.testing.providers import ReceivedRequest, Reply, SimulatedProviders, ToolCall
from tests.e2e.gateway import environment_for
from tests.support.runs import Machine, machine
from tests.support.sandboxes import need_sandboxes
from tests.support.waiting import until

OUTSIDE = "outside, and nobody's business"


@pytest.fixture(scope="module")
def here() -> Iterator[Machine]:
    need_sandboxes()
    with machine() as made:
        yield made


@pytest.fixture(autouse=True)
def nothing_left(here: Machine) -> Iterator[None]:
    yield
    until(lambda: not here.remains())


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A project, and a neighbour that it has links to."""
    project, outside = tmp_path / "project", tmp_path / "outside"
    for made in (project / "sub" / "gone", outside):
        made.mkdir(parents=True)
    for name in ("changed", "gone", "kept", "both", "removed-there", "sub/gone/file"):
        (project / name).write_text(f"{name}, as it was\n")
    (outside / "secret").write_text(OUTSIDE)
    (project / "to-outside").symlink_to("../outside")
    (project / "to-secret").symlink_to(outside / "secret")
    (project / "inside").symlink_to("kept")
    os.mkfifo(project / "pipe")
    return project


def content(folder: Path) -> Mapping[str, str]:
    """Every file and link of a folder, with what it says."""
    found = {}
    for path in sorted(folder.rglob("*")):
        name = path.relative_to(folder).as_posix()
        if path.is_symlink():
            found[name] = f"-> {path.readlink()}"
        elif path.is_file():
            found[name] = path.read_text()
    return found


WORK = """cat to-outside/secret to-secret
echo changed > changed; rm -r gone sub/gone; mkdir -p new/deep; echo new > new/deep/file; ln -s deep/file new/link
chmod +x kept; ln -s /etc evil; ln -s ../outside/secret evil-too; mkdir way; ln -s /tmp way/out
mkdir to-outside; echo owned > to-outside/secret; echo owned > to-secret; echo owned > /tmp/beside"""


def test_what_was_changed_comes_back_and_no_link_leads_out(here: Machine, folder: Path, tmp_path: Path) -> None:
    before = dict(content(folder))
    done = here.run("--workspace", str(folder), "--", "sh", "-c", WORK)
    said = done.stderr.decode()
    assert (done.returncode, done.stdout) == (0, b""), said
    expected = before | {"changed": "changed\n", "new/deep/file": "new\n", "new/link": "-> deep/file"}
    for name in ("gone", "sub/gone/file"):
        del expected[name]
    assert content(folder) == expected
    assert content(tmp_path / "outside") == {"secret": OUTSIDE}
    assert (folder / "kept").stat().st_mode & 0o100 and not (folder / "changed").stat().st_mode & 0o100
    for name in ("to-outside", "to-secret", "pipe"):
        assert f"not copied in: {name}: a link that leads out, or no file at all" in said
    for name in ("evil", "evil-too", "way/out"):
        assert f"left in the sandbox: {name}: a symbolic link that leads out" in said
    copy = copy_in(said)
    assert (copy / "to-outside" / "secret").read_text() == "owned\n", "what could not be brought is kept"
    forget(copy)


def copy_in(said: str) -> Path:
    """The copy that a run says it has kept."""
    return Path(said.split(" is in ")[1].split(": take")[0].splitlines()[0])


def forget(copy: Path) -> None:
    """Remove a copy, as its user is told to."""
    shutil.rmtree(copy.parents[2])


def test_an_agent_and_its_user_at_the_same_time(here: Machine, folder: Path) -> None:
    work = "echo the model > both; rm removed-there gone; echo the model > new; echo the model > changed"

    def answer(request: ReceivedRequest) -> Reply:
        """The model asks for its work; while it is being done the user goes on."""
        if "tool_call_id" not in request.body.decode():
            return Reply.tool_calls(ToolCall("shell", {"command": work}))
        (folder / "both").write_text("the user\n")
        (folder / "removed-there").write_text("the user\n")
        (folder / "mine").write_text("the user\n")
        return Reply.text("It is done.")

    with SimulatedProviders() as provider:
        provider.answer_with(answer)
        more = {**environment_for(provider), "PENSTOCK_STATE_DIR": str(here.state)}
        words = ("--model", "openai/gpt-4o", "--workspace", str(folder), "mend it")
        done = here.call("run", "loop", *words, data=b"", **more)
    said = done.stderr.decode()
    assert (done.returncode, done.stdout) == (0, b"It is done.\n"), said
    after = content(folder)
    assert [after[name] for name in ("both", "removed-there", "mine")] == ["the user\n"] * 3
    assert (after["changed"], after["new"], "gone" in after) == ("the model\n", "the model\n", False)
    assert "not copied in: to-outside" in said
    assert "changed changed" in said and "changed new" in said and "removed gone" in said
    assert "left in the sandbox: both: yours was changed meanwhile, and stays" in said
    assert "left in the sandbox: removed-there: yours was changed meanwhile, and stays; the program removed it" in said
    copy = copy_in(said)
    assert (copy / "both").read_text() == "the model\n"
    forget(copy)


def test_an_agent_that_a_limit_stops_has_lost_nothing(here: Machine, folder: Path) -> None:
    with SimulatedProviders() as provider:
        provider.script(Reply.tool_calls(ToolCall("shell", {"command": "echo the model > changed; sleep 1000"})))
        more = {**environment_for(provider), "PENSTOCK_STATE_DIR": str(here.state)}
        words = ("--model", "openai/gpt-4o", "--workspace", str(folder), "--max-seconds", "4", "mend it")
        done = here.call("run", "loop", *words, data=b"", **more)
    said = done.stderr.decode()
    assert done.returncode == 3 and "wall_limit" in said, said
    copies = [copy_in(said)] if " is in " in said else []  # where its sandbox has gone before all was brought back
    assert "the model\n" in [(place / "changed").read_text() for place in (folder, *copies)]
    for copy in copies:
        forget(copy)
