"""Any program: what it prints is text, and its exit status says how the turn went.

The prompt is its standard input, and stands for an argument that is `{prompt}`. It finds the gateway in the variables
that clients of OpenAI, Anthropic and Google read by themselves. Nothing is resumed: what it wants to keep it keeps in
its home or workspace, which are there in the next turn.
"""

from __future__ import annotations

from collections.abc import Sequence

from penstock.agents.environments.packages import Packages
from penstock.agents.errors import Invalid
from penstock.agents.events import Draft
from penstock.agents.harnesses.contract import Gateway, Launch, Turn, Wire, check_tools
from penstock.agents.harnesses.lines import LineReading

PROMPT = "{prompt}"


class Command:
    """A program of the user's own."""

    name = "command"
    wire: Wire | None = None
    packages = Packages()

    def launch(self, turn: Turn, gateway: Gateway) -> Launch:
        check_tools(turn, self.name)
        if not turn.arguments or not turn.arguments[0]:
            raise Invalid(
                "the harness `command` does not know what to run",
                fix='name the program in the agent\'s options: {"command": ["program", "argument"]}', param="options",
            )  # fmt: skip
        argv = tuple(turn.prompt if word == PROMPT else word for word in turn.arguments)
        return Launch(argv=argv, env=variables(turn, gateway), stdin=turn.prompt.encode())

    def terminal(self, turn: Turn, gateway: Gateway) -> Launch:
        launch = self.launch(turn, gateway)
        return Launch(argv=launch.argv, env=launch.env)

    def reading(self, turn: Turn) -> CommandReading:
        return CommandReading(turn)


def variables(turn: Turn, gateway: Gateway) -> dict[str, str]:
    """The gateway and its stub, under the names by which clients look for them."""
    urls = {
        "PENSTOCK_GATEWAY_URL": gateway.url, "ANTHROPIC_BASE_URL": gateway.url, "GOOGLE_GEMINI_BASE_URL": gateway.url,
        "OPENAI_BASE_URL": f"{gateway.url}/v1", "OPENAI_API_BASE": f"{gateway.url}/v1",
    }  # fmt: skip
    keys = ("PENSTOCK_GATEWAY_KEY", "OPENAI_API_KEY", "ANTHROPIC_API_KEY", "GEMINI_API_KEY")
    return {**urls, **dict.fromkeys(keys, gateway.key), "PENSTOCK_MODEL": turn.model}


class CommandReading(LineReading):
    """Every line is text, and all of them are one."""

    says_when_finished = False

    def feed(self, line: bytes) -> Sequence[Draft]:
        return list(self.piece(line.decode("utf-8", "replace") + "\n"))
