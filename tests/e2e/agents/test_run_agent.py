"""`penstock run HARNESS "prompt"` as somebody types it who has started nothing before."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from penstock.testing.providers import Reply, SimulatedProviders, ToolCall
from tests.e2e.gateway import environment_for
from tests.support.sandboxes import need_sandboxes, sandbox_folder

ANSWER = "This is Penstock's offline demo model. You said: hello\n"


@pytest.fixture
def state() -> Iterator[Path]:
    need_sandboxes()
    with sandbox_folder() as folder:
        yield folder


def _run(state: Path, *words: str, **more: str) -> subprocess.CompletedProcess[str]:
    environment = {**environment_for(), **more, "PENSTOCK_STATE_DIR": str(state)}
    command = [sys.executable, "-m", "penstock", "run", *words]
    return subprocess.run(
        command, env=environment, capture_output=True, text=True, timeout=110, stdin=subprocess.DEVNULL, check=False
    )


def test_the_first_thing_that_a_newcomer_tries(state: Path, tmp_path: Path) -> None:
    (tmp_path / "report.txt").write_text("figures\n")
    patch = tmp_path / "changes.patch"
    done = _run(state, "loop", "--model", "demo", "--repo", str(tmp_path), "--patch", str(patch), "hello")
    assert (done.returncode, done.stdout) == (0, ANSWER), done.stderr
    assert "1 model call" in done.stderr and "tokens in" in done.stderr
    assert "+figures" in patch.read_text()
    assert sorted(path.name for path in (state / "runs").iterdir()) == ["lock"]
    assert _marked(state) == [] and (tmp_path / "report.txt").read_text() == "figures\n"


def test_events_as_json_and_a_failure_that_says_why(state: Path) -> None:
    done = _run(state, "loop", "--model", "not-a-model", "--json", "hello")
    events = [json.loads(line) for line in done.stdout.splitlines()]
    assert done.returncode == 1 and [event["number"] for event in events] == list(range(1, len(events) + 1))
    assert "not-a-model" in json.dumps(events)
    assert _marked(state) == []


def test_what_an_agent_hands_out_is_kept(state: Path, tmp_path: Path) -> None:
    work = "cd $PENSTOCK_ARTIFACTS; echo figures > report.txt; mkdir deep; echo more > deep/more.txt"
    with SimulatedProviders() as provider:
        provider.script(Reply.tool_calls(ToolCall("shell", {"command": work})), Reply.text("It is done."))
        options = ("--model", "openai/gpt-4o", "--artifacts", str(tmp_path / "out"))
        done = _run(state, "loop", *options, "report", **environment_for(provider))
    assert done.returncode == 0, done.stderr
    found = {path.relative_to(tmp_path).as_posix(): path.read_text() for path in tmp_path.rglob("*.txt")}
    assert found == {"out/report.txt": "figures\n", "out/deep/more.txt": "more\n"}
    assert f"handed out {tmp_path}/out/report.txt" in done.stderr


def test_without_a_key_and_a_model_it_says_what_to_do_before_anything_is_installed(state: Path) -> None:
    done = _run(state, "codex", "hello")
    assert (done.returncode, done.stdout) == (1, "")
    assert "ANTHROPIC_API_KEY" in done.stderr and "--model demo" in done.stderr
    assert _marked(state) == []


def _marked(state: Path) -> list[str]:
    """Processes that still speak of this state."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit() and int(entry.name) != os.getpid():
            try:
                words = (entry / "cmdline").read_bytes()
            except OSError:
                continue
            if str(state).encode() in words:
                found.append(words.decode("utf-8", "replace"))
    return found
