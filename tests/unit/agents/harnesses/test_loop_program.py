"""The built-in agent's program, as it runs: a process of its own, a simulated provider, no sandbox around it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from penstock.agents.harnesses import loop_program
from penstock.agents.harnesses.loop import program
from penstock.testing.providers import Cut, Delivery, ErrorEvent, NotJSON, Reply, SimulatedProviders, Stall, ToolCall
from penstock.testing.providers.script import ProviderError

KEY = "sk-fake-stub-of-a-session"
Line = dict[str, Any]


@pytest.fixture(scope="module")
def simulated() -> Iterator[SimulatedProviders]:
    with SimulatedProviders() as made:
        yield made


@pytest.fixture
def provider(simulated: SimulatedProviders) -> SimulatedProviders:
    simulated.clear()
    return simulated


class Place:
    """A home and a workspace."""

    def __init__(self, folder: Path, provider: SimulatedProviders) -> None:
        self.home, self.work = folder / "home", folder / "work"
        self.home.mkdir()
        self.work.mkdir()
        self._program = folder / "loop.py"
        self._program.write_bytes(program())
        self.environment = {
            "HOME": str(self.home), "PATH": os.environ["PATH"], "PENSTOCK_GATEWAY_KEY": KEY,
            "PENSTOCK_GATEWAY_URL": provider.url("openai_chat").removesuffix("/v1"),
        }  # fmt: skip

    def start(self, prompt: str, **said: Any) -> subprocess.Popen[bytes]:
        command = [sys.executable, "-S", "-E", "-s", str(self._program)]
        process = subprocess.Popen(
            command, cwd=self.work, env=self.environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )  # fmt: skip
        assert process.stdin is not None
        process.stdin.write(json.dumps({"prompt": prompt, "model": "gpt-4o", **said}).encode() + b"\n")
        process.stdin.flush()
        return process

    def run(self, prompt: str, *answers: Line, **said: Any) -> list[Line]:
        """One turn, with all answers given at its beginning; its lines."""
        process = self.start(prompt, **said)
        output, errors = process.communicate(b"".join(json.dumps(each).encode() + b"\n" for each in answers), 60)
        assert (process.returncode, errors) == (0, b"")
        return [json.loads(line) for line in output.splitlines()]


@pytest.fixture
def place(tmp_path: Path, provider: SimulatedProviders) -> Place:
    return Place(tmp_path, provider)


def of(lines: list[Line], kind: str) -> list[Line]:
    return [line for line in lines if line["type"] == kind]


def results(lines: list[Line]) -> list[tuple[str, bool]]:
    return [(line["output"], line["is_error"]) for line in of(lines, "result")]


def text(lines: list[Line]) -> str:
    return "".join(line["text"] for line in of(lines, "text"))


def test_it_needs_the_standard_library_and_nothing_of_ours() -> None:
    imported = [
        line.split()[1] for line in program().decode().splitlines() if line.strip().startswith(("import ", "from "))
    ]
    assert {name.split(".")[0] for name in imported} <= {*sys.stdlib_module_names}


def test_its_tools(place: Place, provider: SimulatedProviders) -> None:
    (place.work / "old.txt").write_text("one\ntwo\ntwo\n")
    (place.work / "binary").write_bytes(b"\0two")
    (place.work / ".git").mkdir()
    (place.work / ".git" / "hidden").write_text("two")
    calls: list[tuple[ToolCall, str | None, bool]] = [
        (ToolCall("shell", {"command": "echo out; echo err >&2"}), "out\nerr", False),
        (ToolCall("shell", {"command": "exit 3"}), "(it ended with status 3)", True),
        (ToolCall("shell", {"command": "sleep 3 & echo $!"}), None, False),
        (ToolCall("shell", {"command": "sleep 100", "seconds": 0.2}),
         "(killed: it did not end within 0.2 seconds)", True),
        (ToolCall("shell", {"command": "cat"}), "(no output)", False),
        (ToolCall("read", {"path": "old.txt", "first": 2, "lines": 1}), "2\ttwo", False),
        (ToolCall("read", {"path": "."}), ".git/\nbinary\nold.txt", False),
        (ToolCall("read", {"path": "absent"}), None, True),
        (ToolCall("read", {"path": "binary"}), None, True),
        (ToolCall("edit", {"path": "a/new.txt", "old": "", "new": "é\n"}), "a/new.txt is made.", False),
        (ToolCall("edit", {"path": "old.txt", "old": "", "new": "x"}), None, True),
        (ToolCall("edit", {"path": "old.txt", "old": "two", "new": "x"}), None, True),
        (ToolCall("edit", {"path": "old.txt", "old": "one", "new": "ONE"}), "old.txt is changed.", False),
        (ToolCall("search", {"pattern": "^two|ONE", "files": "*.txt"}),
         "./old.txt:1:ONE\n./old.txt:2:two\n./old.txt:3:two", False),
        (ToolCall("search", {"pattern": "("}), None, True),
        (ToolCall("plan", {"steps": [{"step": "a", "status": "done"}, {"step": "b", "status": "pending"}]}),
         "The plan is noted: 1 of 2 steps are done.", False),
        (ToolCall("plan", {"steps": [{"step": "a", "status": "odd"}]}), None, True),
        (ToolCall("teleport", {}), "there is no tool 'teleport'; there are: plan, shell, read, edit, search", True),
        (ToolCall("shell", {"wrong": 1}), None, True),
        (ToolCall("shell", "{broken"), "the arguments are no JSON object", True),
    ]  # fmt: skip
    provider.script(Reply.tool_calls(*[call for call, _, _ in calls]), Reply.text("Done."))
    lines = place.run("Use them all.")
    for (call, output, is_error), found in zip(calls, results(lines), strict=True):
        assert found[1] == is_error, (call, found)
        assert output is None or found[0] == output, call
    assert (place.work / "a" / "new.txt").read_text() == "é\n"
    assert text(lines) == "Done."
    said = provider.last.json["messages"]
    assert [message["content"] for message in said if message["role"] == "tool"] == [
        found[0] for found in results(lines)
    ]


def test_much_output_keeps_its_beginning_and_its_end(place: Place, provider: SimulatedProviders) -> None:
    provider.script(
        Reply.tool_calls(ToolCall("shell", {"command": "echo first; yes | head -c 3000000; echo last"})),
        Reply.text("Done."),
    )
    ((output, _),) = results(place.run("Much."))
    assert output.startswith("first\n") and output.endswith("last") and "bytes left out" in output
    assert len(output) < 31_000


@pytest.mark.parametrize(
    "faulty",
    [
        Reply.error(429, retry_after=0), Reply.error(500), Reply.error(529),
        Reply.text("lost", pieces=2).with_faults(Cut(after=1)),
        Reply.text("lost", pieces=2).with_faults(NotJSON(after=1)),
        Reply.text("lost", pieces=2).with_faults(ErrorEvent(ProviderError(500), after=1)),
        Reply(delivery=Delivery(status=200, content_type="text/html"), body=b"<html>"),
    ],
)  # fmt: skip
def test_what_may_pass_is_tried_again(place: Place, provider: SimulatedProviders, faulty: Reply) -> None:
    provider.script(faulty, Reply.text("Now."))
    lines = place.run("Try.")
    assert len(of(lines, "retry")) == 1
    assert text(lines).endswith("Now.")
    assert lines[-1] == {"type": "end"} and not of(lines, "error")
    assert [message["role"] for message in provider.last.json["messages"]] == ["system", "user"]


def test_a_conversation_that_is_too_long_gets_shorter_once(place: Place, provider: SimulatedProviders) -> None:
    call = ToolCall("shell", {"command": "yes | head -c 2000"})
    provider.script(
        Reply.tool_calls(call, call, call, call), Reply.error(400, kind="context_window"), Reply.text("Better.")
    )
    lines = place.run("Much.")
    assert text(lines) == "Better."
    said = [message["content"] for message in provider.last.json["messages"] if message["role"] == "tool"]
    assert ["left out" in content for content in said] == [True, True, False, False]


def test_a_refusal_ends_the_turn_and_is_said(place: Place, provider: SimulatedProviders) -> None:
    provider.script(Reply.error(400, "Not this prompt."))
    lines = place.run("Fail.")
    assert of(lines, "error")[0]["message"] == "the model refused the request (400): Not this prompt."
    assert lines[-1] == {"type": "end"}


def test_questions(place: Place, provider: SimulatedProviders) -> None:
    calls = [ToolCall("shell", {"command": f"touch {name}"}, id=f"call_{name}") for name in ("one", "two", "three")]
    provider.script(Reply.tool_calls(*calls), Reply.text("Done."))
    answers = [{"call": "call_one", "allowed": True}, {"call": "call_two", "allowed": False, "note": "not now"}]
    lines = place.run("Ask.", *answers, tools={"shell": "ask"})
    assert [line["call"] for line in of(lines, "ask")] == ["call_one", "call_two", "call_three"]
    assert results(lines)[1:] == [("You may not do this: not now", True), ("You may not do this: nobody answers", True)]
    assert [path.name for path in place.work.iterdir()] == ["one"]


def test_denied_tools_are_not_offered_and_not_run(place: Place, provider: SimulatedProviders) -> None:
    provider.script(Reply.tool_calls(ToolCall("shell", {"command": "touch made"})), Reply.text("Done."))
    lines = place.run("Do it.", tools={"read": "auto", "*": "deny"})
    assert [tool["function"]["name"] for tool in provider.last.json["tools"]] == ["read"]
    assert results(lines)[0][1] and not list(place.work.iterdir())


@pytest.mark.parametrize("signal_number", [signal.SIGINT, signal.SIGKILL])
def test_a_conversation_goes_on_after_any_end(place: Place, provider: SimulatedProviders, signal_number: int) -> None:
    """Also in the middle of a tool: its child ends with it, and what is missing is filled in."""
    provider.script(Reply.tool_calls(ToolCall("shell", {"command": "echo $$ > pid; exec sleep 1000"})))
    process = place.start("Begin.")
    assert process.stdout is not None
    session = json.loads(process.stdout.readline())["id"]
    child = _until(lambda: (place.work / "pid").exists() and (place.work / "pid").read_text().strip())
    process.send_signal(signal_number)
    process.communicate()
    if signal_number == signal.SIGINT:
        assert process.returncode == 130
        assert not Path(f"/proc/{child}").exists()
    else:
        os.kill(int(child), signal.SIGKILL)
    provider.script(Reply.text("Going on."))
    assert text(place.run("Go on.", resume=session)) == "Going on."
    assert [(said["role"], said.get("content")) for said in provider.last.json["messages"][1:]] == [
        ("user", "Begin."), ("assistant", None), ("tool", "(interrupted)"), ("user", "Go on."),
    ]  # fmt: skip


def test_what_was_said_before_an_interruption_is_remembered(place: Place, provider: SimulatedProviders) -> None:
    provider.script(Reply.text("Half of it", pieces=["Half ", "of it"]).with_faults(Stall(after=2)))
    process = place.start("Begin.")
    assert process.stdout is not None
    session = json.loads(process.stdout.readline())["id"]
    assert b"Half" in process.stdout.readline()
    process.send_signal(signal.SIGINT)
    process.communicate()
    provider.script(Reply.text("More."))
    place.run("Go on.", resume=session)
    assert provider.last.json["messages"][2]["content"] == "Half \n(interrupted)"


def test_a_line_that_was_half_written_is_passed_over(place: Place, provider: SimulatedProviders) -> None:
    session = of(place.run("First."), "session")[0]["id"]
    kept = place.home / ".penstock" / "loop" / f"{session}.jsonl"
    kept.write_bytes(kept.read_bytes() + b'{"role": "assist')
    place.run("Second.", resume=session)
    place.run("Third.", resume=session)
    assert [said["content"] for said in provider.last.json["messages"] if said["role"] == "user"] == [
        "First.",
        "Second.",
        "Third.",
    ]


@pytest.mark.parametrize("name", ["../../etc/passwd", "/etc/passwd", "a b"])
def test_no_conversation_lies_elsewhere(place: Place, name: str) -> None:
    assert of(place.run("Hello.", resume=name), "session")[0]["id"] != name


def test_it_goes_through_the_proxy_that_variables_name(place: Place, provider: SimulatedProviders) -> None:
    place.environment |= {"http_proxy": provider.origin, "PENSTOCK_GATEWAY_URL": "http://gateway.example"}
    provider.script(Reply.text("By way of it."))
    place.run("Hello.")
    assert provider.last.target == "http://gateway.example/v1/chat/completions"


@pytest.mark.parametrize(
    ("host", "proxy"),
    [("a.example", None), ("deep.a.example", None), ("aa.example", ("proxy", 3128)), ("127.0.0.1", None)],
)
def test_which_hosts_need_no_proxy(host: str, proxy: tuple[str, int] | None) -> None:
    variables = {"HTTP_PROXY": "http://proxy:3128", "NO_PROXY": "localhost, 127.0.0.1,.a.example"}
    assert loop_program._proxy_for("http", host, variables) == proxy


def test_mended_conversations_are_whole() -> None:
    call = {"id": "a", "type": "function", "function": {"name": "shell", "arguments": "{}"}}
    broken: list[Line] = [
        {"role": "tool", "tool_call_id": "stray", "content": ""},
        {"role": "assistant", "tool_calls": [call]},
    ]
    assert loop_program.mended([*broken, {"role": "user", "content": "x"}]) == [
        broken[1], {"role": "tool", "tool_call_id": "a", "content": "(interrupted)"}, {"role": "user", "content": "x"},
    ]  # fmt: skip


def _until(found: Callable[[], Any]) -> Any:
    until = time.monotonic() + 20
    while not (value := found()):
        assert time.monotonic() < until
        time.sleep(0.01)
    return value
