"""The vault's end of its control socket: calls come in, answers and events go out; the table below is all there is.

When the other end closes, whoever started the vault is gone, and the vault ends: nobody is left who could say what a
session may do.
"""

from __future__ import annotations

import asyncio
import re
import socket
from collections import deque
from typing import Any

import msgspec

from penstock.vault import wire
from penstock.vault.rules import parse_rule
from penstock.vault.sessions import Sessions
from penstock.vault.values import Refusal
from penstock.vault.wire import Answer, Call, Event, Packet, SessionSpec

WAITING = 64
"""Answers that may wait for the other end to read them; then no further call is taken."""


class Control:
    """Answers one control socket out of `sessions`."""

    def __init__(self, sock: socket.socket, sessions: Sessions) -> None:
        self._sock = sock
        self._sessions = sessions
        self._decoder = msgspec.json.Decoder(Call)
        self._waiting: deque[Packet] = deque()
        self._room = asyncio.Event()
        self._calls = {
            "ping": self._ping,
            "hosts": self._hosts,
            "open": self._open,
            "listen": self._listen,
            "close": self._close,
            "freeze": self._freeze,
            "thaw": self._thaw,
            "allow": self._allow,
            "decide": self._decide,
            "sessions": self._list,
        }
        sessions.on_event = self.tell

    async def run(self) -> None:
        """Answer until the other end closes. A call that takes its time (a secret's source) holds up no other."""
        calls: set[asyncio.Task[None]] = set()
        try:
            while True:
                try:
                    data, sockets = await wire.receive(self._sock)
                except ValueError as error:
                    self._say(Answer(number=0, code="bad_call", reason=f"This is no call: {error}."))
                    continue
                if not data:
                    return
                task = asyncio.ensure_future(self._answer(data, sockets))
                calls.add(task)
                task.add_done_callback(calls.discard)
                while len(self._waiting) >= WAITING:
                    await self._drained()
        finally:
            for task in calls:
                task.cancel()
            asyncio.get_running_loop().remove_writer(self._sock.fileno())

    def tell(self, event: Event) -> None:
        """Send an event; one that nobody takes is dropped (the audit log has it)."""
        if not self._waiting:
            self._send(Packet(event=event))

    async def _answer(self, data: bytes, sockets: list[socket.socket]) -> None:
        answer = await self._result(data, sockets)
        if answer.code:
            for sock in sockets:
                sock.close()
        self._say(answer)

    async def _result(self, data: bytes, sockets: list[socket.socket]) -> Answer:
        try:
            call = self._decoder.decode(data)
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            return Answer(number=_number_of(data), code="bad_call", reason=f"This is no call: {error}.")
        try:
            if call.name not in self._calls:
                raise Refusal("bad_call", f"The vault has no function {call.name!r}.", fix=f"{', '.join(self._calls)}.")
            if len(call.kinds) != len(sockets):
                raise Refusal("bad_listener", "There must be one socket for each kind of listener.")
            return Answer(number=call.number, result=msgspec.to_builtins(await self._calls[call.name](sockets, call)))
        except Refusal as refusal:
            return Answer(number=call.number, code=refusal.code, reason=refusal.reason, fix=refusal.fix)
        except (KeyError, TypeError, msgspec.ValidationError) as error:
            reason = f"The call {call.name!r} has a wrong argument: {error}."
            return Answer(number=call.number, code="bad_call", reason=reason)
        except Exception as error:  # whatever is wrong with one call must not end all sessions
            reason = f"The call {call.name!r} failed: {type(error).__name__}."
            return Answer(number=call.number, code="failed", reason=reason)

    # -- what goes out -------------------------------------------------------------------------------------------

    def _say(self, answer: Answer) -> None:
        """Send an answer, or let it wait until the other end reads."""
        packet = Packet(answer=answer)
        if self._waiting or not self._send(packet):
            self._waiting.append(packet)
            asyncio.get_running_loop().add_writer(self._sock.fileno(), self._go_on)

    def _send(self, packet: Packet) -> bool:
        """Send a packet; False where the other end does not read. One that is gone is noticed where it is read."""
        try:
            wire.send(self._sock, packet)
        except BlockingIOError:
            return False
        except OSError:
            return True
        except ValueError as error:
            number = packet.answer.number if packet.answer is not None else 0
            return self._send(Packet(answer=Answer(number=number, code="too_long", reason=f"{error}.")))
        return True

    def _go_on(self) -> None:
        while self._waiting and self._send(self._waiting[0]):
            self._waiting.popleft()
        if not self._waiting:
            asyncio.get_running_loop().remove_writer(self._sock.fileno())
        self._room.set()

    async def _drained(self) -> None:
        self._room.clear()
        await self._room.wait()

    # -- the calls -----------------------------------------------------------------------------------------------

    async def _ping(self, sockets: list[socket.socket], call: Call) -> str:
        await asyncio.sleep(0)
        return "pong"

    async def _hosts(self, sockets: list[socket.socket], call: Call) -> tuple[str, ...]:
        return self._sessions.hosts(**call.arguments)

    async def _open(self, sockets: list[socket.socket], call: Call) -> Any:
        spec = msgspec.convert(call.arguments["spec"], SessionSpec)
        return await self._sessions.open(spec, list(zip(call.kinds, sockets, strict=True)))

    async def _listen(self, sockets: list[socket.socket], call: Call) -> None:
        self._sessions.listening(call.arguments["session"]).add(list(zip(call.kinds, sockets, strict=True)))

    async def _close(self, sockets: list[socket.socket], call: Call) -> None:
        self._sessions.close(call.arguments["session"])

    async def _freeze(self, sockets: list[socket.socket], call: Call) -> None:
        self._sessions.get(call.arguments["session"]).freeze(call.arguments["reason"])

    async def _thaw(self, sockets: list[socket.socket], call: Call) -> None:
        self._sessions.get(call.arguments["session"]).thaw()

    async def _allow(self, sockets: list[socket.socket], call: Call) -> Any:
        session = self._sessions.get(call.arguments["session"])
        session.allow(parse_rule(call.arguments["rule"]))
        return session.opened()

    async def _decide(self, sockets: list[socket.socket], call: Call) -> None:
        arguments = call.arguments
        session = self._sessions.get(arguments["session"])
        session.answer(arguments["proposal"], arguments["allowed"], remember=arguments["remember"])

    async def _list(self, sockets: list[socket.socket], call: Call) -> Any:
        return self._sessions.summaries(call.arguments.get("session"))


def _number_of(data: bytes) -> int:
    """The number of a call that cannot be read, so that whoever made it hears of it; 0 where not even that is there."""
    found = re.search(rb'"number":(\d{1,18})\b', data)
    return int(found[1]) if found else 0
