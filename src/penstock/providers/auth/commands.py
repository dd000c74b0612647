"""Commands: what a credential flow asks the outside world for. Values only; whoever drives a flow does the work.

A flow is a generator that yields commands and is sent their outcomes, so that the sync client, the async client and the
gateway drive the same one, and a test plays it like a script:

    flow = aws_credentials(...)
    command = next(flow)                       # ReadFile("/home/me/.aws/credentials")
    command = flow.send(FileContent(b"..."))   # Fetch("PUT", "http://169.254.169.254/latest/api/token", ...)
    ...                                        # StopIteration.value is the credential

A driver never raises into a flow for what went wrong outside: a missing file is `FileContent(None)`, a host that did
not answer `Unreachable`. It follows no redirects. Outcomes hold secrets: their representations show none.
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from typing import Any, TypeAlias, TypeVar

from msgspec import Struct

from penstock.providers.auth.credentials import Flight, require_sendable
from penstock.providers.errors import ProviderError

T = TypeVar("T")


class ReadFile(Struct, frozen=True):
    """Read a whole file. `path` is absolute or relative to the working directory, with `~` already expanded. Outcome:
    FileContent.
    """

    path: str


class Fetch(Struct, frozen=True, kw_only=True):
    """Do one HTTP request. Outcome: Fetched or Unreachable.

    `timeout` is for the whole exchange, in seconds. `direct` forbids a proxy (metadata services are on the link
    itself).
    """

    method: str
    url: str
    headers: dict[str, str] = {}
    body: bytes = b""
    timeout: float = 30.0
    direct: bool = False

    def __repr__(self) -> str:
        return f"Fetch({self.method} {self.url.partition('?')[0]})"


class RunProgram(Struct, frozen=True):
    """Run a program without a shell, with nothing on its standard input. Outcome: ProgramOutput or Unreachable (it
    could not be started).
    """

    arguments: tuple[str, ...]
    timeout: float = 60.0

    def __repr__(self) -> str:
        return f"RunProgram({self.arguments[:1]})"


class Call(Struct, frozen=True):
    """Call the user's own function without arguments, and await what it returns if that can be awaited. Outcome:
    CallResult.

    What the function raises is the user's own and goes through.
    """

    function: Callable[[], Any]


class Join(Struct, frozen=True):
    """Wait until a flight of somebody else is over (`auth/single_flight.py`), at most `timeout` seconds. Outcome:
    Joined.
    """

    flight: Flight
    timeout: float = 60.0


class FileContent(Struct, frozen=True):
    """The file's bytes, or None where there is no such file or it may not be read."""

    content: bytes | None

    def __repr__(self) -> str:
        return f"FileContent({_size(self.content)})"


class Fetched(Struct, frozen=True):
    """An answer of any status. Header names are lower case."""

    status: int
    headers: dict[str, str]
    body: bytes

    def __repr__(self) -> str:
        return f"Fetched({self.status}, {_size(self.body)})"


class Unreachable(Struct, frozen=True):
    """No answer: refused, timed out, no such host, not started. `sent` says whether somebody was there to send to."""

    reason: str
    sent: bool = False


class ProgramOutput(Struct, frozen=True):
    """What a program wrote, and its exit status."""

    exit_status: int
    stdout: bytes
    stderr: bytes

    def __repr__(self) -> str:
        return f"ProgramOutput({self.exit_status}, {_size(self.stdout)})"


class CallResult(Struct, frozen=True):
    """What the user's function returned."""

    value: Any

    def __repr__(self) -> str:
        return f"CallResult({type(self.value).__name__})"


class Joined(Struct, frozen=True):
    """Whether the flight is over. False: it cannot be waited for, or took too long."""

    over: bool


Command: TypeAlias = ReadFile | Fetch | RunProgram | Call | Join
Outcome: TypeAlias = FileContent | Fetched | Unreachable | ProgramOutput | CallResult | Joined
Flow: TypeAlias = Generator[Command, Outcome, T]
"""A credential flow that ends in a T."""


def read_file(path: str) -> Flow[bytes | None]:
    """The content of a file, or None."""
    outcome = yield ReadFile(path)
    assert isinstance(outcome, FileContent), f"ReadFile is answered by FileContent, not {type(outcome).__name__}"
    return outcome.content


def read_text(path: str) -> Flow[str | None]:
    """The content of a file that holds a token, without the line break at its end; None where it cannot be read.
    Raises ProviderError (malformed_credentials) where it is no text.
    """
    content = yield from read_file(path)
    try:
        return None if content is None else content.decode("utf-8-sig").strip()
    except UnicodeDecodeError:
        raise ProviderError("malformed_credentials", f"The file {path} holds no text.", "Write it anew.") from None


def fetch(command: Fetch) -> Flow[Fetched | Unreachable]:
    """The answer to one HTTP request. Raises ProviderError (malformed_credentials) where a header cannot be sent."""
    for name, value in command.headers.items():
        require_sendable(value, f"the header {name} to {place(command.url)}")
    outcome = yield command
    assert isinstance(outcome, Fetched | Unreachable), f"Fetch is not answered by {type(outcome).__name__}"
    return outcome


def run_program(arguments: tuple[str, ...], timeout: float = 60.0) -> Flow[ProgramOutput | Unreachable]:
    """The output of a program."""
    outcome = yield RunProgram(arguments, timeout)
    assert isinstance(outcome, ProgramOutput | Unreachable), f"RunProgram is not answered by {type(outcome).__name__}"
    return outcome


def join(flight: Flight) -> Flow[bool]:
    """Whether a flight that was waited for is over."""
    outcome = yield Join(flight)
    assert isinstance(outcome, Joined), f"Join is answered by Joined, not {type(outcome).__name__}"
    return outcome.over


def place(url: str) -> str:
    """An address as errors show it: without user, password and query, which may be secret."""
    scheme, slashes, rest = url.partition("?")[0].rpartition("://")
    host, slash, path = rest.partition("/")
    return f"{scheme}{slashes}{host.rpartition('@')[2]}{slash}{path}"


def _size(content: bytes | None) -> str:
    """What is shown of something that may be secret: tracebacks and error trackers show representations."""
    return "nothing" if content is None else f"{len(content)} bytes"


def call(function: Callable[[], Any]) -> Flow[Any]:
    """What a function of the user's returns."""
    outcome = yield Call(function)
    assert isinstance(outcome, CallResult), f"Call is answered by CallResult, not {type(outcome).__name__}"
    return outcome.value
