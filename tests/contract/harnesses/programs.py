"""What differs between programs, as far as the conformance suite must know: how a model asks each for a shell command,
which settings of tools it can be held to, and whether it prints what the model says in pieces.

`command` can be any program. Here it is AGENT: the smallest one that asks a model, runs what it says and remembers.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from penstock.testing.providers import Reply, ToolCall

AGENT = """
import json, os, subprocess, sys, time, urllib.error, urllib.request
memory = os.path.expanduser("~/memory.json")
said = json.load(open(memory)) if os.path.exists(memory) and "--again" in sys.argv else []
said.append({"role": "user", "content": sys.stdin.read()})

def ask():
    body = {"model": os.environ["PENSTOCK_MODEL"], "messages": said, "stream": True}
    headers = {"authorization": "Bearer " + os.environ["OPENAI_API_KEY"], "content-type": "application/json"}
    url = os.environ["OPENAI_BASE_URL"] + "/chat/completions"
    text = ""
    for line in urllib.request.urlopen(urllib.request.Request(url, json.dumps(body).encode(), headers)):
        if line.startswith(b"data: {"):
            for choice in json.loads(line[6:])["choices"]:
                piece = choice["delta"].get("content") or ""
                text += piece
                if piece:
                    print(piece, flush=True)
    said.append({"role": "assistant", "content": text})
    return text

json.dump(said, open(memory, "w"))
try:
    text = ask()
    if "RUN " in text:
        done = subprocess.run(text.split("RUN ")[1], shell=True, capture_output=True, text=True)
        said.append({"role": "user", "content": done.stdout})
        ask()
except urllib.error.HTTPError as error:
    sys.exit(error.read().decode())
finally:
    json.dump(said, open(memory, "w"))
"""


@dataclass(frozen=True)
class Program:
    """One program.

    Attributes:
        shell: a model's answer that makes it run a command (or, for aider, write the file that the command would).
        streams: whether it prints pieces, or a text when it is whole.
        tells_tools: whether it says which tools it uses.
        shows_output: whether the model gets to see what the command has printed.
        resumes_tools: whether it can go on with a conversation in which it used a tool. Gemini CLI repeats the results
            of tools then, which the Gemini API refuses (0.47 to 0.61).
        shell_tool: its own name of that tool; "" where no setting can name it.
        settings: what it can be held to, beside `auto`.
        fields: of the turn; `again`: of a turn that goes on.
    """

    shell: Callable[[str], Reply]
    streams: bool = True
    tells_tools: bool = True
    shows_output: bool = True
    resumes_tools: bool = True
    shell_tool: str = ""
    settings: frozenset[str] = frozenset()
    fields: Mapping[str, Any] = field(default_factory=dict)
    again: Mapping[str, Any] = field(default_factory=dict)


def _calls(name: str, **arguments: Any) -> Callable[[str], Reply]:
    def reply(command: str) -> Reply:
        given = {key: command if value is ... else value for key, value in arguments.items()}
        return Reply.tool_calls(ToolCall(name, given), saying="I run it.")

    return reply


EDIT = "I write it.\n\nmade.txt\n```\n<<<<<<< SEARCH\n=======\nmade-it\n>>>>>>> REPLACE\n```\n"
BOTH = frozenset(("ask", "deny"))
COMMAND = ("/usr/bin/python3", "-c", AGENT)
PROGRAMS: dict[str, Program] = {
    "claude-code": Program(_calls("Bash", command=..., description="Make it"), shell_tool="Bash", settings=BOTH),
    "codex": Program(_calls("exec_command", cmd=...), streams=False),
    "opencode": Program(
        _calls("bash", command=..., description="Make it"),
        streams=False, shell_tool="bash", settings=frozenset(("deny",)),
    ),
    "gemini": Program(
        _calls("run_shell_command", command=..., description="Make it"),
        resumes_tools=False, shell_tool="run_shell_command", settings=frozenset(("deny",)),
    ),
    "aider": Program(lambda command: Reply.text(EDIT), shows_output=False, streams=False),
    "command": Program(
        lambda command: Reply.text(f"RUN {command}"), tells_tools=False,
        fields={"arguments": COMMAND}, again={"arguments": (*COMMAND, "--again")},
    ),
    "loop": Program(_calls("shell", command=...), shell_tool="shell", settings=BOTH),
}  # fmt: skip
