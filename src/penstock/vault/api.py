"""The one door to the vault for the rest of Penstock: start it, open sessions in it, keep its secrets, read its audit.

The vault is a process of its own. Whoever starts it holds one end of its control socket; when that end closes, sessions
end and the process with them.
"""

from __future__ import annotations

import asyncio
import os
import socket
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from penstock.vault import wire
from penstock.vault.values import Refusal
from penstock.vault.wire import Answer, Call, Event, ListenerKind, Opened, Packet, SessionSpec

if TYPE_CHECKING:
    from penstock.vault.keeping import Secrets
    from penstock.vault.records import SecretRecord

__all__ = [
    "Event",
    "ListenerKind",
    "Opened",
    "Refusal",
    "SecretRecord",
    "Secrets",
    "SessionSpec",
    "VaultClient",
    "VaultGone",
    "open_secrets",
]

Listener = tuple[ListenerKind, socket.socket]


def open_secrets(directory: Path) -> Secrets:
    """Open the secrets of a state directory, to set, list, rotate, revoke and delete them; values never come out.

    Raises:
        Refusal: the store cannot be opened; says what to do.
    """
    from penstock.vault import keeping  # its cryptography takes time that those who only start a vault need not spend

    return keeping.Secrets(directory)


def __getattr__(name: str) -> Any:
    if name == "Secrets":  # for the same reason
        from penstock.vault.keeping import Secrets

        return Secrets
    if name == "SecretRecord":
        from penstock.vault.records import SecretRecord

        return SecretRecord
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


class VaultGone(ConnectionError):
    """The vault's process has ended. Sandboxes have no way out until another one opens their sessions."""


class VaultClient:
    """One vault process, seen from who started it."""

    def __init__(
        self, control: socket.socket, process: asyncio.subprocess.Process | None, on_event: Callable[[Event], None]
    ) -> None:
        self._control = control
        self._process = process
        self._on_event = on_event
        self._calls: dict[int, asyncio.Future[Any]] = {}
        self._numbers = iter(range(1, sys.maxsize))
        self._reading = asyncio.ensure_future(self._read())

    @classmethod
    async def start(cls, directory: Path, *, on_event: Callable[[Event], None] = lambda event: None) -> VaultClient:
        """Start a vault over the store in `directory`, and wait until it answers.

        Raises:
            VaultGone: it ended at once; its message is on standard error.
        """
        ours, theirs = wire.pair()
        with theirs:
            process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-m", "penstock.vault", "--state-dir", directory, "--control", str(theirs.fileno())),
                stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.DEVNULL, pass_fds=[theirs.fileno()],
                start_new_session=True,  # ^C in a terminal is for the program in the sandbox
            )  # fmt: skip
        client = cls(ours, process, on_event)
        await client._call("ping")
        return client

    @property
    def pid(self) -> int | None:
        """The process, where this client started it."""
        return self._process.pid if self._process is not None else None

    async def hosts(self, names: Sequence[str], rules: Sequence[str], owner: str = "") -> tuple[str, ...]:
        """Return `host:port` of every place that a session with these secrets and rules may name.

        Raises:
            Refusal: a secret or a rule is wrong. VaultGone: no vault is there.
        """
        return tuple(await self._call("hosts", names=list(names), rules=list(rules), owner=owner))

    async def open(self, spec: SessionSpec, listeners: Sequence[Listener]) -> Opened:
        """Open a session that answers on `listeners` (copied; the caller closes its own).

        Raises:
            Refusal: a secret or a rule is wrong, and what to do about it.
            VaultGone: no vault is there.
        """
        result = await self._call("open", listeners, spec=msgspec.to_builtins(spec))
        return msgspec.convert(result, Opened)

    async def listen(self, session: str, listeners: Sequence[Listener]) -> None:
        """Let a session answer on further listeners."""
        await self._call("listen", listeners, session=session)

    async def close(self, session: str) -> None:
        """End a session: its connections are cut, its stubs are worth nothing from now on."""
        await self._call("close", session=session)

    async def freeze(self, session: str, reason: str) -> None:
        """Cut a session's connections and refuse new ones until `thaw`."""
        await self._call("freeze", session=session, reason=reason)

    async def thaw(self, session: str) -> None:
        """Let a frozen session out again."""
        await self._call("thaw", session=session)

    async def allow(self, session: str, rule: str) -> Opened:
        """Add an egress rule to a live session; the answer's `ca_pem` may have grown.

        Raises:
            Refusal: the rule is wrong.
        """
        return msgspec.convert(await self._call("allow", session=session, rule=rule), Opened)

    async def decide(self, session: str, proposal: str, allowed: bool, *, remember: bool = True) -> None:
        """Answer an event of kind `ask` by its proposal.

        Args:
            allowed: of a request: for as long as the session is open here.
            remember: of a no, and of any answer to a push: whether it holds as long, or is one to what waits now.
        """
        await self._call("decide", session=session, proposal=proposal, allowed=allowed, remember=remember)

    async def sessions(self, only: str | None = None) -> list[dict[str, Any]]:
        """Return what is open: id, owner, frozen, connections, bytes each way, requests.

        Args:
            only: this session; None: all of them, which is a long answer where there are many.
        """
        arguments: dict[str, Any] = {} if only is None else {"session": only}
        result: list[dict[str, Any]] = await self._call("sessions", **arguments)
        return result

    async def ended(self) -> None:
        """Wait until the vault is gone, for whatever reason."""
        await asyncio.wait([self._reading])

    async def stop(self) -> None:
        """End the vault and wait for it."""
        self._reading.cancel()
        await asyncio.wait([self._reading])  # a socket that is closed before would leave its number to be waited at
        self._control.close()
        self._fail()
        if self._process is not None:
            await self._process.wait()

    async def _call(self, name: str, listeners: Sequence[Listener] = (), **arguments: Any) -> Any:
        number = next(self._numbers)
        answer: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        self._calls[number] = answer
        call = Call(number=number, name=name, arguments=arguments, kinds=tuple(kind for kind, _ in listeners))
        try:
            wire.send(self._control, call, [sock for _, sock in listeners])
            return await answer
        except VaultGone:
            raise
        except OSError as error:
            raise VaultGone(f"the vault does not answer: {os.strerror(error.errno or 0)}") from None
        finally:
            self._calls.pop(number, None)

    async def _read(self) -> None:
        decoder = msgspec.json.Decoder(Packet)
        while True:
            data, _ = await wire.receive(self._control)
            if not data:
                return self._fail()
            packet = decoder.decode(data)
            if packet.event is not None:
                self._on_event(packet.event)
            if packet.answer is not None:
                self._settle(packet.answer)

    def _settle(self, answer: Answer) -> None:
        call = self._calls.get(answer.number)
        if call is None or call.done():
            return
        if answer.code:
            call.set_exception(Refusal(answer.code, answer.reason, fix=answer.fix))
        else:
            call.set_result(answer.result)

    def _fail(self) -> None:
        for call in self._calls.values():
            if not call.done():
                call.set_exception(VaultGone("the vault has ended"))
