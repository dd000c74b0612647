"""One channel between the two connections: bytes both ways, each side no faster than the other takes them.

What goes up (to the upstream) passes the permit's check; what comes down (output and error output, apart) passes the
scrubber. A stream is paused at its source while its sink is full; nothing is stored in between but one window. The
exit status is told last, after all output, and only when the output is whole: a cut answer never looks like a success.
Whatever fails on the way down ends the channel (fail closed). Source: RFC 4254 sections 5 and 6.
"""

import asyncio
import re
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Protocol

import asyncssh

from penstock.vault.ssh.commands import Asked, asked
from penstock.vault.ssh.door import InputCheck, Limits, Scrubber, ScrubStream, SSHPermit
from penstock.vault.ssh.valve import Valve
from penstock.vault.values import Refusal

REFUSED = 126
"""Exit status of what a rule refuses: the shell's word for "found, but not permitted"."""
FAILED = 255
"""Exit status where the upstream failed: the same as ssh's own."""

QUIET_SECONDS = 0.05
"""After which an upstream has paused."""

_ENVIRONMENT = re.compile(rb"LANG|LC_[A-Z]{1,32}")
_LANGUAGE = re.compile(rb"[A-Za-z0-9_.@:-]{0,64}")
_GIT_PROTOCOL = re.compile(rb"version=[012]")
_TERMINAL = re.compile(r"[A-Za-z0-9_.+-]{1,64}")
_UNSAFE = re.compile(r"[^\n\t\x20-\x7e\xa0-\uffff]")

Size = tuple[int, int, int, int]


class Host(Protocol):
    """What a channel needs of its connection (`terminator.Terminator`)."""

    @property
    def scrubber(self) -> Scrubber: ...

    @property
    def limits(self) -> Limits: ...

    async def permit(self, request: Asked) -> SSHPermit: ...

    async def upstream(self, permit: SSHPermit) -> tuple[asyncssh.SSHClientConnection, str]: ...

    def note(self, event: str, fields: Mapping[str, Any]) -> None: ...

    def moved(self) -> None: ...

    def add(self, channel: "Inside") -> None: ...

    def remove(self, channel: "Inside") -> None: ...


class Inside(asyncssh.SSHServerSession[bytes]):
    """The client's side of a channel, and the owner of both."""

    def __init__(self, host: Host) -> None:
        self._host = host
        self.valve = Valve()
        self._channel: asyncssh.SSHServerChannel[bytes] | None = None
        self._request: Asked | Refusal | None = None
        self._task: asyncio.Task[None] | None = None
        self._decided = False
        self._lost = False
        self._terminal: tuple[str, Size, Mapping[int, int]] | None = None
        self._up: asyncssh.SSHClientChannel[bytes] | None = None
        self._check: InputCheck | None = None
        self._asking: asyncio.Task[None] | None = None
        self._waiting: list[bytes] = []
        self._ended = False
        self._outside: Outside | None = None

    # What the client asks for

    def connection_made(self, chan: asyncssh.SSHServerChannel[bytes]) -> None:
        """The channel is open; what it asks comes next."""
        self._channel = chan
        self.valve.govern(chan)
        self._host.add(self)

    def pty_requested(self, term_type: str, term_size: Size, term_modes: Mapping[int, int]) -> bool:
        """Keep the terminal for the upstream."""
        if not _TERMINAL.fullmatch(term_type):
            return False
        self._terminal = (term_type, term_size, dict(term_modes))
        return True

    def shell_requested(self) -> bool:
        """A shell: whether it may be is decided when the channel has begun, so that the client can be told why not."""
        return self._ask("shell")

    def exec_requested(self, command: str) -> bool:
        """A command."""
        return self._ask("exec", command)

    def subsystem_requested(self, subsystem: str) -> bool:
        """A subsystem."""
        return self._ask("subsystem", subsystem)

    def _ask(self, service: Any, text: str = "") -> bool:
        try:
            self._request = asked(service, text)
        except Refusal as refusal:
            self._request = refusal
            self._host.note("refused", {"kind": service, "command": text[:200], "code": refusal.code})
        return True

    def session_started(self) -> None:
        """The client was told yes; now it is decided, and the upstream is opened."""
        self.valve.hold("opening")
        self._task = asyncio.get_running_loop().create_task(self._open())

    async def _open(self) -> None:
        try:
            if not isinstance(self._request, Asked):
                raise self._request or Refusal("bad_command", "Nothing was asked for.")
            permit = await self._host.permit(self._request)
        except Refusal as refusal:
            self.refuse(refusal, REFUSED)
            return
        except Exception:
            self.fail("The vault could not decide.")
            return
        self._decided = True
        await self._connect(self._request, permit)

    async def _connect(self, request: Asked, permit: SSHPermit) -> None:
        try:
            connection, banner = await self._host.upstream(permit)
            self._say(banner)
            self._check = permit.check
            outside = self._outside = Outside(self, self._host)
            await connection.create_session(lambda: outside, **self._wanted(request))
        except Refusal as refusal:
            self.refuse(refusal, FAILED)
        except (asyncssh.Error, OSError) as error:
            self.fail(f"The upstream did not open the channel ({type(error).__name__}).")
        except Exception:
            self.fail("The connection onwards failed.")

    def _wanted(self, request: Asked) -> dict[str, Any]:
        """The arguments of the same request, to the upstream."""
        term_type, size, modes = self._terminal or (None, (0, 0, 0, 0), {})
        return {
            "command": request.text if request.service == "exec" else None,
            "subsystem": request.text if request.service == "subsystem" else None,
            "env": self._environment(request),
            "request_pty": bool(self._terminal),
            "term_type": term_type,
            "term_size": size,
            "term_modes": modes,
            "x11_forwarding": False,
            "encoding": None,
            "window": self._host.limits.window,
            "max_pktsize": self._host.limits.packet,
        }

    def _environment(self, request: Asked) -> dict[bytes, bytes]:
        """Languages, and git's version when it fetches; nothing else, for a variable can be as good as a command."""
        given = self._channel.get_environment_bytes() if self._channel is not None else {}
        passed = {
            name: value for name, value in given.items() if _ENVIRONMENT.fullmatch(name) and _LANGUAGE.fullmatch(value)
        }
        version = given.get(b"GIT_PROTOCOL", b"")
        if request.kind == "git-upload-pack" and _GIT_PROTOCOL.fullmatch(version):
            passed[b"GIT_PROTOCOL"] = version
        return passed

    # What the client sends

    def opened(self, channel: asyncssh.SSHClientChannel[bytes]) -> None:
        """The upstream is there: what waited goes on. If the client left meanwhile, this channel ends, too."""
        if self._lost:
            channel.abort()
            return
        self._up = channel
        self._catch_up()
        self.valve.release("opening")

    def data_received(self, data: bytes, datatype: int | None) -> None:
        """Check and pass on, or keep while the upstream is being opened, or somebody is asked (at most one window, the
        valve sees to it).
        """
        self._host.moved()
        self._waiting.append(data)
        if self._up is None:
            self.valve.hold("opening")
        else:
            self._catch_up()

    def eof_received(self) -> bool:
        """The client sends no more; the other direction stays open."""
        self._ended = True
        if self._up is not None:
            self._catch_up()
        return True

    def _catch_up(self) -> None:
        """Pass on what has come, unless somebody must be asked first."""
        while self._waiting and self._asking is None:
            self._forward(self._waiting.pop(0))
        if self._ended and self._asking is None:
            self._forward_end()

    def _forward(self, data: bytes) -> None:
        self._pass_on(lambda check: check.feed(data), data)

    def _forward_end(self) -> None:
        self._pass_on(lambda check: check.end(), b"")
        if self._up is not None and not self._up.is_closing():
            self._up.write_eof()

    def _pass_on(self, look: Any, data: bytes) -> None:
        if self._up is None or self._up.is_closing():
            return
        try:
            passed = look(self._check) if self._check is not None else data
            self._report()
        except Refusal as refusal:
            self._refuse_input(refusal)
            return
        except Exception:
            self.fail("The vault could not check what was sent.")
            return
        if passed:
            self._up.write(passed)
        question = self._check.question() if self._check is not None else None
        if question is not None:
            self.valve.hold("asking")
            self._asking = asyncio.get_running_loop().create_task(self._ask_about(question))

    async def _ask_about(self, question: Callable[[], Awaitable[bytes]]) -> None:
        """Wait for somebody's answer, with the client's input stopped; then go on, or end."""
        try:
            passed = await question()
            self._report()
        except Refusal as refusal:
            self._asking = None
            self._refuse_input(refusal)
            return
        except Exception:
            self._asking = None
            self.fail("The vault could not ask about what was sent.")
            return
        self._asking = None
        if self._up is not None and not self._up.is_closing():
            self._up.write(passed)
        self._catch_up()
        self.valve.release("asking")

    def _refuse_input(self, refusal: Refusal) -> None:
        self._host.note("refused", {"code": refusal.code, "reason": refusal.reason})
        self.write(self._check.answer(refusal) if self._check is not None else b"", None)
        self.refuse(refusal, REFUSED)

    def _report(self) -> None:
        """Audit what the check decided, and tell the client what it refused."""
        for decision in self._check.decisions() if self._check is not None else ():
            self._host.note("line" if decision.permitted else "line_refused", {"line": decision.line})
            if not decision.permitted:
                self._say(f"penstock vault: not sent: {decision.line!r}: {decision.reason}.\n")

    def signal_received(self, signal: str) -> None:
        """Pass a signal on."""
        if self._up is not None and signal.isalnum() and len(signal) <= 16:
            self._up.send_signal(signal)

    def break_received(self, msec: int) -> bool:
        """Pass a break on, unless what is typed is checked."""
        if self._up is None or self._check is not None:
            return False
        self._up.send_break(min(msec, 3000))
        return True

    def terminal_size_changed(self, width: int, height: int, pixwidth: int, pixheight: int) -> None:
        """Pass a resize on."""
        size = (width, height, pixwidth, pixheight)
        if self._terminal is not None:
            self._terminal = (self._terminal[0], size, self._terminal[2])
        if self._up is not None:
            self._up.change_terminal_size(*size)

    # What the client is sent

    def write(self, data: bytes, datatype: int | None) -> None:
        """Send output that the scrubber has let through."""
        self._host.moved()
        if data and self._channel is not None and not self._channel.is_closing():
            self._channel.write(data, datatype)

    def write_end(self) -> None:
        """The upstream sends no more."""
        if self._channel is not None and not self._channel.is_closing():
            self._channel.write_eof()

    def _say(self, text: str) -> None:
        """Tell the person at the terminal something, on the error output and without control characters."""
        if text:
            safe = _UNSAFE.sub("", self._host.scrubber.text(text))
            line = (safe if safe.endswith("\n") else safe + "\n").replace("\n", "\r\n" if self._terminal else "\n")
            self.write(line.encode(), asyncssh.EXTENDED_DATA_STDERR)

    def refuse(self, refusal: Refusal, status: int) -> None:
        """Say why not, and end."""
        self._say(f"penstock vault: {refusal}")
        self.exit(status)

    def fail(self, reason: str) -> None:
        """Say what failed, and end."""
        self._host.note("failed", {"reason": reason})
        self._say(f"penstock vault: {reason}")
        self.exit(FAILED)

    def exit(self, status: int) -> None:
        """End the channel with an exit status."""
        if (channel := self._finish()) is not None:
            channel.exit(status)

    def exit_with_signal(self, signal: str, core_dumped: bool, message: str) -> None:
        """End the channel as a signal ended the program."""
        if (channel := self._finish()) is not None:
            channel.exit_with_signal(signal, core_dumped, _UNSAFE.sub("", self._host.scrubber.text(message)))

    def close(self) -> None:
        """End the channel with no status."""
        if (channel := self._finish()) is not None:
            channel.close()

    def pause_writing(self) -> None:
        """The client takes no more: the upstream waits."""
        if self._outside is not None:
            self._outside.valve.hold("client")

    def resume_writing(self) -> None:
        """The client takes more."""
        if self._outside is not None:
            self._outside.valve.release("client")

    def stall(self, stalled: bool) -> None:
        """The client's whole connection is full, or no longer."""
        if self._outside is not None:
            valve = self._outside.valve
            (valve.hold if stalled else valve.release)("connection")

    def connection_lost(self, exc: Exception | None) -> None:
        """The client's channel is gone; so is the upstream's."""
        self._channel = None
        self._lost = True
        if self._task is not None and not self._decided:
            self._task.cancel()  # later, it must find the upstream's channel to end it
        self._leave()
        self._host.remove(self)

    def _finish(self) -> "asyncssh.SSHServerChannel[bytes] | None":
        """Leave the upstream; return the channel, once, so that it is told how it ended."""
        self._leave()
        channel, self._channel = self._channel, None
        return channel

    def _leave(self) -> None:
        if self._asking is not None:
            self._asking.cancel()
            self._asking = None
        if self._up is not None:
            up, self._up = self._up, None
            up.abort()


class Outside(asyncssh.SSHClientSession[bytes]):
    """The upstream's side of a channel: everything from it goes through the scrubber."""

    def __init__(self, inside: Inside, host: Host) -> None:
        self._inside = inside
        self._scrubbers: dict[int | None, ScrubStream] = {
            None: host.scrubber.stream(),
            asyncssh.EXTENDED_DATA_STDERR: host.scrubber.stream(),
        }
        self.valve = Valve()
        self._quiet: asyncio.TimerHandle | None = None
        self._channel: asyncssh.SSHClientChannel[bytes] | None = None
        self._status: int | None = None
        self._signal: tuple[str, bool, str] | None = None
        self._flushed = False

    def connection_made(self, chan: asyncssh.SSHClientChannel[bytes]) -> None:
        """The channel is open; the request was not answered yet."""
        self._channel = chan
        self.valve.govern(chan)

    def session_started(self) -> None:
        """The upstream said yes."""
        if self._channel is not None:
            self._inside.opened(self._channel)

    def data_received(self, data: bytes, datatype: int | None) -> None:
        """Scrub and pass on; what cannot be scrubbed ends the channel."""
        try:
            clean = self._scrubbers[datatype].feed(data)
        except Exception:
            self._flushed = True
            self._inside.fail("The output could not be scrubbed.")
            return
        if not self._flushed:
            self._inside.write(clean, datatype)
            self._wait_for_quiet()

    def _wait_for_quiet(self) -> None:
        if self._quiet is not None:
            self._quiet.cancel()
        self._quiet = asyncio.get_running_loop().call_later(QUIET_SECONDS, self._let_go)

    def _let_go(self) -> None:
        """The upstream has paused: it may wait for an answer to the very bytes that the scrubber holds back."""
        for datatype, stream in () if self._flushed else self._scrubbers.items():
            if said := stream.release():
                self._inside.write(said, datatype)

    def eof_received(self) -> bool:
        """No more output; the input stays open until the client ends it."""
        self._flush()
        self._inside.write_end()
        return True

    def _flush(self) -> None:
        if self._flushed:
            return
        self._flushed = True
        if self._quiet is not None:
            self._quiet.cancel()
        try:
            rest = [(datatype, stream.end()) for datatype, stream in self._scrubbers.items()]
        except Exception:
            self._inside.fail("The output could not be scrubbed.")
            return
        for datatype, data in rest:
            self._inside.write(data, datatype)

    def exit_status_received(self, status: int) -> None:
        """Keep the status until all output is out."""
        self._status = status

    def exit_signal_received(self, signal: str, core_dumped: bool, msg: str, lang: str) -> None:
        """Keep the signal until all output is out."""
        self._signal = (signal, core_dumped, msg)

    def pause_writing(self) -> None:
        """The upstream takes no more: the client waits."""
        self._inside.valve.hold("upstream")

    def resume_writing(self) -> None:
        """The upstream takes more."""
        self._inside.valve.release("upstream")

    def connection_lost(self, exc: Exception | None) -> None:
        """The upstream closed the channel: now the status is told, if the output was whole."""
        cut = exc is not None or self.valve.held
        self._flush()
        if cut:
            self._inside.fail("The connection to the upstream was lost.")
        elif self._signal is not None:
            self._inside.exit_with_signal(*self._signal)
        elif self._status is not None:
            self._inside.exit(self._status)
        else:
            self._inside.close()
