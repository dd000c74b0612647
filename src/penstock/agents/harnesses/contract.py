"""The contract of a harness: how one agent program is started for one turn, and how what it prints becomes events.

A turn is one run of the program without anybody at the terminal: it gets a prompt, works, prints a line of JSON (or
text) after another, and ends. What it needs to go on in the next turn it keeps in its home, under an id that its
harness finds in its output (`Reading.resume`). Harnesses do no I/O: they make values, and read lines.

The program reaches models through the gateway like any customer. Its key is a stub: the vault puts the session's key in
its place, so no file or variable that a harness writes holds a secret.

A prompt never stands among the arguments: it may be longer than the kernel takes (128 KiB), may begin with a dash, and
is nobody's business who lists processes. Programs read it from standard input.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal, Protocol

from msgspec import Struct, field

from penstock.agents.environments.packages import Packages
from penstock.agents.errors import Invalid
from penstock.agents.events import Draft
from penstock.agents.sandboxes.driver import File

Wire = Literal["anthropic_messages", "openai_chat", "openai_responses", "gemini"]
"""The dialect in which a program speaks to its model: each is a surface of the gateway."""
Setting = Literal["auto", "ask", "deny"]
"""Whether the agent may use a tool: as it likes, after an approval, never."""


class Gateway(Struct, frozen=True):
    """Where models are. `url` has no path; `key` is a stub; `models` are the names that the session may use."""

    url: str
    key: str
    models: tuple[str, ...] = ()


class Turn(Struct, frozen=True, kw_only=True):
    """One turn.

    Attributes:
        prompt: what the user says.
        model: the model's name at the gateway.
        system: instructions, given to the program beside its own.
        resume: what `Reading.resume` said after the turn before; empty: there is nothing to go on with.
        tools: tool to its setting, by the program's own names of tools; "*" stands for all others (default: auto).
        arguments: of the `command` harness: the program and its arguments.
    """

    prompt: str
    model: str = ""
    system: str = ""
    resume: str = ""
    tools: Mapping[str, str] = field(default_factory=dict)
    arguments: tuple[str, ...] = ()


class Launch(Struct, frozen=True, kw_only=True):
    """How to start the program for a turn, in the workspace.

    Attributes:
        argv, env: the program; variables on top of the sandbox's own.
        files: absolute paths below the home or the workspace, written before it starts.
        stdin: the first bytes of its input.
        answers: its input stays open for `Reading.answer`, until `Reading.finished`. Otherwise it ends after `stdin`.
    """

    argv: tuple[str, ...]
    env: Mapping[str, str] = field(default_factory=dict)
    files: Mapping[str, File] = field(default_factory=dict)
    stdin: bytes = b""
    answers: bool = False


class Question(Struct, frozen=True):
    """The program waits: may this tool be used? Whoever runs it looks at the tool's setting, and answers (`answer`)."""

    call: str
    name: str
    arguments: Any = None


class Reading(Protocol):
    """What one turn prints, read line by line."""

    @property
    def resume(self) -> str:
        """What the next turn must be given to go on from here; empty where there is nothing. Known early in a turn."""

    @property
    def finished(self) -> bool:
        """The program has said that the turn is over, and wants no more answers."""

    def feed(self, line: bytes) -> Sequence[Draft]:
        """Read one line of standard output, without its line break. A line that cannot be understood becomes a text."""

    def asked(self) -> Sequence[Question]:
        """Return the questions since the last call. There are none unless the launch has `answers`."""

    def answer(self, call: str, allowed: bool, note: str = "") -> bytes:
        """Return what to write to the program's input, as the answer to a question. KeyError: nobody asked."""

    def end(self, status: int, errors: bytes, *, interrupted: bool = False) -> Sequence[Draft]:
        """Read the end: the exit status, the end of standard error, whether we ended it. The last event is a `TurnEnd`.

        It bears no `message`: the number is known to whoever runs the turn.
        """


class Harness(Protocol):
    """One agent program."""

    @property
    def name(self) -> str:
        """The word that users say (`claude-code`)."""

    @property
    def wire(self) -> Wire | None:
        """How it speaks to its model; None where it has none, or any."""

    @property
    def packages(self) -> Packages:
        """What installs it into an environment; none where nothing has to be."""

    def launch(self, turn: Turn, gateway: Gateway) -> Launch:
        """Say how to start it for a turn.

        Raises:
            Invalid: the turn asks for what this program cannot do, such as asking before it uses a tool.
        """

    def terminal(self, turn: Turn, gateway: Gateway) -> Launch | None:
        """Say how to start it for a person at a terminal (`penstock attach`); None where it has no such face."""

    def reading(self, turn: Turn) -> Reading:
        """Make what reads the output of a turn."""


def setting_of(tools: Mapping[str, str], name: str) -> Setting:
    """A tool's setting. Anything that is no setting counts as `deny`."""
    found = tools.get(name, tools.get("*", "auto"))
    return found if found in ("auto", "ask") else "deny"  # type: ignore[return-value]


def literally(prompt: str) -> str:
    """The prompt for a program that would take what begins with `/` or `!` for a command of its own."""
    return f" {prompt}" if prompt.startswith(("/", "!")) else prompt


def check_tools(turn: Turn, harness: str, *known: Setting) -> None:
    """Refuse settings of tools that a program cannot be held to.

    Raises:
        Invalid: names the setting.
    """
    for tool, setting in turn.tools.items():
        if setting not in ("auto", *known):
            able = f"it knows {' and '.join(('auto', *known))}" if known else "it uses all of its tools"
            raise Invalid(
                f"{harness} cannot be held to `{setting}` for the tool {tool!r}: {able}",
                fix="choose another harness, or leave this tool to the walls of its sandbox", param="tools",
            )  # fmt: skip
