"""What an SSH client asks for, as words that rules speak of; and whether a pattern covers a command. Pure.

A command goes to a shell, or to the parser of a device, that the vault does not know. So a pattern never guesses what a
text would do there: what a `*` stands for is written in an alphabet in which no shell ends a command, begins another,
substitutes, redirects or quotes. A character outside of it is covered only by the same character of the pattern, and
whoever wants everything says `*` and nothing else. Sources: RFC 4254 section 6.5, POSIX shell language section 2.2,
git's `Documentation/gitprotocol-pack` (how git quotes a path for SSH).
"""

import re
from collections.abc import Callable
from typing import Literal

import msgspec

from penstock.vault.values import Refusal

MAX_COMMAND = 32 * 1024
"""The longest command, in characters."""
MAX_LINE = 4096
"""The longest line of a shell whose lines are checked, in bytes."""

Service = Literal["shell", "exec", "subsystem"]

_LETTERS = r"A-Za-z0-9_\-.,/:=@%+~"
_WORD, _REST = f"[{_LETTERS}]+", f"[{_LETTERS} ]+"

_GIT_VERBS = ("git-upload-pack", "git-receive-pack", "git-upload-archive")
_LOOKS_LIKE_GIT = re.compile(r"\s*git[\s-]\s*(upload-pack|receive-pack|upload-archive)")
_GIT = re.compile(r"(git-(?:upload-pack|receive-pack|upload-archive)) '(/?~?[A-Za-z0-9_.+/@-]+)'")
_SUBSYSTEM = re.compile(r"[A-Za-z0-9_.@-]{1,64}")


class Asked(msgspec.Struct, frozen=True):
    """What a client asks for on one channel.

    Args:
        kind: the word in the METHOD position of a rule: `shell`, `exec`, `subsystem:NAME`, `git-upload-pack`,
            `git-receive-pack` or `git-upload-archive`.
        command: what the rule's pattern must cover: the command; of git, the repository's path as the client sent it
            (`owner/repo.git` or `/owner/repo.git`); "" for a shell and a subsystem.
        service: what is asked of the upstream.
        text: the command or the subsystem's name as it goes to the upstream.
    """

    kind: str
    command: str
    service: Service
    text: str = ""


def asked(service: Service, text: str = "") -> Asked:
    """Say what a request of a client means.

    Raises:
        Refusal: `bad_command` (too long, or no text), `bad_git_command` (git, but not the one form that git sends),
            `bad_subsystem`.
    """
    if service == "shell":
        return Asked("shell", "", service)
    if service == "subsystem":
        if not _SUBSYSTEM.fullmatch(text):
            raise Refusal("bad_subsystem", "The name of the subsystem is none.", fix="Ask for netconf or sftp.")
        return Asked(f"subsystem:{text}", "", service, text)
    if not text.strip() or len(text) > MAX_COMMAND or "\0" in text:
        raise Refusal("bad_command", f"A command has from 1 to {MAX_COMMAND} characters, none of them NUL.")
    return _git(text) if _LOOKS_LIKE_GIT.match(text) else Asked("exec", text, service, text)


def _git(text: str) -> Asked:
    """Read a command of git's: exactly `git-upload-pack '<path>'`, no other spelling and no path that climbs."""
    found = _GIT.fullmatch(text)
    segments = found[2].split("/") if found else [".."]
    if (
        found is None
        or ".." in segments
        or "." in segments
        or "" in segments[1:]
        or any(s[:1] == "-" for s in segments)
    ):
        raise Refusal(
            "bad_git_command",
            "This is no command that git sends.",
            fix=f"The vault knows {', '.join(_GIT_VERBS)}, with one plain path in single quotes.",
        )
    return Asked(found[1], found[2], "exec", text)


def check_pattern(pattern: str) -> None:
    """Refuse a pattern that could not be meant.

    Raises:
        Refusal: `bad_rule`: it is empty, has a control character, or begins with `*` and goes on: the program that
            runs must be named.
    """
    if not pattern or not pattern.isprintable():
        raise Refusal("bad_rule", "A pattern of commands is one line of printable text.", fix="Write `show *`, or `*`.")
    if pattern[0] == "*" and pattern != "*":
        raise Refusal(
            "bad_rule", "A pattern of commands names the program: it may not begin with `*`.", fix="Write `show *`."
        )


def covers(pattern: str, command: str) -> bool:
    """Return whether a pattern covers a command, as a whole.

    `*` alone covers every command. Elsewhere, a `*` at the end stands for one or more of the safe characters or spaces,
    and a `*` before the end for one or more of the safe characters (within one word). Safe are letters and digits of
    ASCII and `_ - . , / : = @ % + ~`. Every other character stands for itself.

    Raises:
        Refusal: the pattern is none (`check_pattern`).
    """
    check_pattern(pattern)
    return pattern == "*" or _expression(pattern).fullmatch(command) is not None


def _expression(pattern: str) -> re.Pattern[str]:
    *heads, last = pattern.split("*")
    if not heads:
        return re.compile(re.escape(pattern))
    ends = [_REST if not last and number == len(heads) else _WORD for number in range(1, len(heads) + 1)]
    return re.compile("".join(re.escape(head) + end for head, end in zip(heads, ends, strict=True)) + re.escape(last))


class LineDecision(msgspec.Struct, frozen=True):
    """What became of one line that was typed: whether it went on, and why not."""

    line: str
    permitted: bool
    reason: str = ""


class LineGate:
    """Checks the lines that are typed into the shell of a device, and sends a line only when it is whole and permitted.

    A line is held until Enter, so the device never has a part of a line: no completion (Tab), no help key (`?`), no
    editing keys, for each could make the device run another text than the one that was checked. Only printable ASCII
    passes; Ctrl-C passes alone and drops what was typed. An empty line passes, for it pages on. A line that is refused
    is replaced by an empty one, so that the prompt comes back.

    What it cannot know: in which mode the device is (`do *` and `interface *` are commands of their own to a rule), and
    that a pager eats the first key of a line. Devices should be told not to page (`terminal length 0`), and a pattern
    should be harmless in every mode.

    Args:
        permitted: tells whether a line, without blanks around it, may be sent.
    """

    def __init__(self, permitted: Callable[[str], bool]) -> None:
        self._permitted = permitted
        self._line = bytearray()
        self._after_return = False
        self._decisions: list[LineDecision] = []

    def feed(self, data: bytes) -> bytes:
        """Take what was typed; return what may be sent."""
        return b"".join(self._key(byte) for byte in data)

    def end(self) -> bytes:
        """The input ended: what was not finished by Enter is not sent."""
        if self._line:
            self._refuse("the input ended before Enter")
        return b""

    def question(self) -> None:
        """Nobody is asked about a line."""

    def answer(self, refusal: Refusal) -> bytes:
        """A shell has no words of its own for a refusal."""
        return b""

    def decisions(self) -> list[LineDecision]:
        """Take the decisions since the last call, in their order."""
        taken, self._decisions = self._decisions, []
        return taken

    def _key(self, byte: int) -> bytes:
        after_return, self._after_return = self._after_return, byte == 0x0D
        if byte == 0x0A and after_return:
            return b"\n"  # the second half of CR LF: the line went with the first
        if byte in (0x0D, 0x0A):
            return self._enter(bytes([byte]))
        if byte == 0x03:
            self._line.clear()
            return b"\x03"
        self._line.append(byte)
        if len(self._line) > MAX_LINE:
            raise Refusal("line_too_long", f"A line of a checked shell has at most {MAX_LINE} characters.")
        return b""

    def _enter(self, key: bytes) -> bytes:
        line = bytes(self._line)
        if not line.strip(b" "):
            self._line.clear()
            return line + key
        if not all(0x20 <= byte <= 0x7E for byte in line) or b"?" in line:
            return self._refuse("it has a key that is no plain character (completion, help, editing)") + key
        text = line.decode("ascii").strip(" ")
        if not self._permitted(text):
            return self._refuse("no rule permits it") + key
        self._line.clear()
        self._decisions.append(LineDecision(text, True))
        return line + key

    def _refuse(self, reason: str) -> bytes:
        shown = self._line.decode("ascii", "backslashreplace").strip(" ")
        shown = "".join(sign if sign.isprintable() else f"\\x{ord(sign):02x}" for sign in shown)
        self._decisions.append(LineDecision(shown, False, reason))
        self._line.clear()
        return b""
