"""Playbooks: a credential flow against a script, command by command, with no socket and no clock.

    play(flow, [(ReadFile("/a"), FileContent(b"..")), (Fetch(...), Fetched(...))])   -> the credential

A script's command may be a command (compared whole), a type, or a function that makes its own assertions.
"""

from collections.abc import Callable, Generator, Sequence
from typing import Any, TypeAlias

import msgspec

from penstock.providers.auth.commands import Command, Fetch, Fetched, FileContent, Outcome, ReadFile, Unreachable

Expected: TypeAlias = Command | type[Any] | Callable[[Any], None]
Script: TypeAlias = list[tuple[Expected, Outcome]]

MISSING = FileContent(None)
REFUSED = Unreachable("connection refused")


def play(flow: Generator[Command, Outcome, Any], script: Sequence[tuple[Expected, Outcome]]) -> Any:
    """Drive `flow` through `script`; the flow must ask for exactly that, in that order."""
    remaining = list(script)
    try:
        command = next(flow)
        while True:
            assert remaining, f"the script is over, but the flow asks for {command!r}"
            expected, outcome = remaining.pop(0)
            check(expected, command)
            command = flow.send(outcome)
    except StopIteration as end:
        assert not remaining, f"the flow ended before {remaining[0][0]!r}"
        return end.value


def check(expected: Expected, command: Command) -> None:
    if isinstance(expected, type):
        assert isinstance(command, expected), f"{command!r} is not {expected.__name__}"
    elif callable(expected):
        expected(command)
    else:
        assert command == expected


def file(path: str, content: str | bytes | None) -> tuple[Expected, Outcome]:
    """The flow reads `path` and finds `content`."""
    return ReadFile(path), FileContent(content.encode() if isinstance(content, str) else content)


def answer(body: Any = b"", status: int = 200, headers: dict[str, str] | None = None) -> Fetched:
    """An HTTP answer; anything but bytes becomes JSON."""
    return Fetched(status, headers or {}, body if isinstance(body, bytes) else msgspec.json.encode(body))


def request(method: str, url: str, *contains: str, **headers: str) -> Expected:
    """A Fetch of this method and address whose body contains these texts, with these headers (`_` for `-`)."""

    def expected(command: Any) -> None:
        assert isinstance(command, Fetch)
        assert (command.method, command.url) == (method, url)
        for text in contains:
            assert text in command.body.decode(), f"{text!r} is not in {command.body!r}"
        sent = {name.lower(): value for name, value in command.headers.items()}
        for name, value in headers.items():
            assert sent.get(name.replace("_", "-").lower()) == value

    return expected
