"""aider: `aider --message-file`. It speaks Chat Completions, prints text, and has one tool: it edits files.

It says neither when a turn is over nor, by its exit status, that one failed; the words in which it reports an error of
the model's tell. Its conversation is a file in the home. Without a repository it would make one.
Source: aider.chat/docs/config/options.html.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from penstock.agents.environments.packages import Packages
from penstock.agents.events import Draft, ToolCall, ToolResult
from penstock.agents.harnesses.contract import Gateway, Launch, Turn, Wire, check_tools, literally
from penstock.agents.harnesses.lines import LineReading
from penstock.agents.sandboxes.driver import HOME, File

FOLDER = f"{HOME}/.aider"
HISTORY, SYSTEM = f"{FOLDER}/chat.md", f"{FOLDER}/system.md"
START = ("/bin/sh", "-c", 'test -e .git || set -- --no-git "$@"; exec aider "$@"', "aider")
ALONE = ("--yes-always", "--no-pretty", "--no-fancy-input", "--no-suggest-shell-commands", "--no-detect-urls")
NO_COMMITS = ("--no-auto-commits", "--no-dirty-commits", "--no-gitignore", "--no-auto-lint")
QUIET = ("--no-check-update", "--no-show-release-notes", "--no-show-model-warnings", "--analytics-disable")
_ITS_OWN = re.compile(
    r"Aider v|(Main |Weak |Editor )?[Mm]odel: |Git repo: |Repo-map: |Analytics have been|Tokens: |Added .* to the chat"
    r"|Restored previous conversation|Initial repo scan|Warning: |HTTPSConnectionPool|Retrying in |Can't initialize"
)
_EDITED = re.compile(r"(?:Applied edit to|Creating empty file|Did not apply edit to) (.+?)(?: \(--dry-run\))?$")
_FAILED = re.compile(r"litellm\.\w+: .*|The API provider .*|Model .* has hit a token limit.*")


class Aider:
    """Pair programming in a terminal, without the pair."""

    name = "aider"
    wire: Wire | None = "openai_chat"
    packages = Packages(pypi=("aider-chat",))

    def launch(self, turn: Turn, gateway: Gateway) -> Launch:
        launch = self.terminal(turn, gateway)
        return Launch(
            argv=(*launch.argv, *ALONE, "--message-file", "/dev/stdin"),
            env=launch.env,
            files=launch.files,
            stdin=literally(turn.prompt).encode(),
        )

    def terminal(self, turn: Turn, gateway: Gateway) -> Launch:
        check_tools(turn, self.name)
        model = f"openai/{turn.model}"
        return Launch(
            argv=(*START, "--model", model, "--weak-model", model, "--edit-format", "diff", *NO_COMMITS, *QUIET,
                  "--read", SYSTEM, "--chat-history-file", HISTORY, "--input-history-file", f"{FOLDER}/input",
                  *(("--restore-chat-history",) if turn.resume else ())),
            env={"OPENAI_API_BASE": f"{gateway.url}/v1", "OPENAI_API_KEY": gateway.key,
                 "LITELLM_LOCAL_MODEL_COST_MAP": "True"},
            files={SYSTEM: File(turn.system.encode())},
        )  # fmt: skip

    def reading(self, turn: Turn) -> AiderReading:
        return AiderReading(turn)


class AiderReading(LineReading):
    """Lines for people: what it says of itself is left out, an edit is a tool, the rest is the model's."""

    says_when_finished = False

    def __init__(self, turn: Turn) -> None:
        super().__init__(turn)
        self._edits = 0
        self._spoke = False

    def feed(self, line: bytes) -> Sequence[Draft]:
        text = line.decode("utf-8", "replace")
        if _ITS_OWN.match(text):
            return ()
        self.resume = "chat"
        if failed := _FAILED.match(text):
            self.failure = failed[0]
            return list(self.close())
        if edited := _EDITED.match(text):
            self._edits += 1
            call, is_error = f"edit-{self._edits}", text.startswith("Did not")
            return [*self.close(), ToolCall(call, "edit", {"path": edited[1]}), ToolResult(call, text, is_error)]
        self._spoke = self._spoke or bool(text.strip())
        return list(self.piece(text + "\n")) if self._spoke else ()
