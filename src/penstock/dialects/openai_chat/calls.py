"""Tool calls as they arrive in a stream, in every way that hosts number and name them.

OpenAI's way: the first piece of a call brings its index, id and name, later ones its index and more arguments. Others

- leave out the index, or give every call the index 0: then a new id begins a new call, and a known id goes on with its
call, wherever it stands;
- repeat id and name in every piece: then the arguments tell, a second complete object being a second call;
- send the id or the name late: then the call is held back, with the arguments that have come, until both are known or
more cannot be expected (a renderer of another dialect has to name a call when it begins).

Pieces of a call that is held back stay in their frames; `PartStart` brings them.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from penstock.dialects import wire
from penstock.types.content import Opaque, Signature, ToolCall
from penstock.types.stream import HOLE, ArgumentsDelta, Delta, PartStart


class _Call:
    """One call: its part's index once it has begun, what is known of it before, and its last piece of arguments."""

    __slots__ = ("custom", "extras", "held", "id", "index", "last", "name", "signature")

    def __init__(self, custom: bool) -> None:
        self.index: int | None = None
        self.id: str | None = None
        self.name = ""
        self.custom = custom
        self.signature: Signature | None = None
        self.extras: dict[str, Any] = {}
        self.held = ""
        self.last = ""

    def learn(self, call_id: str | None, name: str, piece: dict[str, Any]) -> None:
        """Take what a piece says besides arguments."""
        self.id = self.id or call_id
        self.name = self.name or name
        self.signature = self.signature or call_signature(piece)
        self.extras |= {key: value for key, value in piece.items() if key not in _KNOWN}


_KNOWN = frozenset({"id", "function", "custom", "index"})


class Calls:
    """The calls of one choice. `take_index` gives the number of the next part."""

    __slots__ = ("_begun", "_by_key", "_choice", "_held", "_take_index")

    def __init__(self, choice: int, take_index: Callable[[], int]) -> None:
        self._choice = choice
        self._take_index = take_index
        self._by_key: dict[Any, _Call] = {}
        self._held: list[_Call] = []
        self._begun = False

    @property
    def any(self) -> bool:
        """Whether a call has begun."""
        return self._begun

    def read(self, pieces: list[Any], deltas: list[Delta]) -> None:
        """The pieces of one chunk."""
        for position, piece in enumerate(pieces):
            if isinstance(piece, dict):
                self._read_piece(piece, position, deltas)

    def release(self) -> list[Delta]:
        """The beginnings of calls that are still held back: more of them cannot be expected."""
        found: list[Delta] = []
        for call in self._held:
            if call.name or call.held or call.id:
                self._begin(call, found)
        self._held.clear()
        return found

    def _read_piece(self, piece: dict[str, Any], position: int, deltas: list[Delta]) -> None:
        custom = isinstance(piece.get("custom"), dict)
        inner = piece.get("custom" if custom else "function")
        if not isinstance(inner, dict):
            if isinstance(piece.get("type"), str) and piece["type"] not in ("function", "custom"):
                deltas.append(PartStart(self._take_index(), Opaque(piece, native="tool_calls"), self._choice))
                return
            inner = {}
        input_key = "input" if custom else "arguments"
        arguments = inner.get(input_key)
        call = self._call(piece, inner, position, custom, arguments)
        if call.index is None:
            if not _known_enough(call, arguments):
                call.held += _as_text(arguments)
                return
            self._held.remove(call)
            self._begin(call, deltas)
        index: Any = call.index
        if isinstance(arguments, str):
            inner[input_key] = HOLE
            call.last = arguments or call.last
            deltas.append(ArgumentsDelta(index, arguments, self._choice))
        elif isinstance(arguments, dict):
            call.last = "}"
            deltas.append(ArgumentsDelta(index, _as_text(arguments), self._choice))

    def _call(self, piece: dict[str, Any], inner: dict[str, Any], position: int, custom: bool, arguments: Any) -> _Call:
        """The call that a piece belongs to, a new one where it belongs to none."""
        slot = piece.get("index")
        key = slot if type(slot) is int else f"at {position}" if slot is None else str(slot)
        call_id, name = piece.get("id"), inner.get("name")
        known = self._by_key.get(key)
        if not call_id and not name and known is not None:
            return known
        call_id = call_id if isinstance(call_id, str) and call_id else None
        name = name if isinstance(name, str) else ""
        call = self._by_key.get(("id", call_id)) if call_id else None
        call = call or known
        if call is None or (call is known and _is_another(call, call_id, name, arguments)):
            call = _Call(custom)
            self._held.append(call)
        self._by_key[key] = call
        if call_id:
            self._by_key["id", call_id] = call
        if call.index is None:
            call.learn(call_id, name, piece)
        return call

    def _begin(self, call: _Call, deltas: list[Delta]) -> None:
        self._begun = True
        call.index = self._take_index()
        part = ToolCall(call.id, call.name, call.held, call.custom, call.signature, extras=call.extras or None)
        deltas.append(PartStart(call.index, part, self._choice))


def _known_enough(call: _Call, arguments: Any) -> bool:
    """Whether a call can begin: named, and either with its id or with arguments that no id has preceded."""
    return bool(call.name and (call.id or arguments or call.held))


def _is_another(call: _Call, call_id: str | None, name: str, arguments: Any) -> bool:
    """Whether a piece under the index of `call` begins another call: it has another id, or (where there are no ids)
    the name again and new arguments after complete ones.
    """
    if call_id and call.id:
        return bool(call_id != call.id and name)
    if call_id or not name:
        return False
    return call.last.endswith("}") and _as_text(arguments).startswith("{")


def _as_text(arguments: Any) -> str:
    if isinstance(arguments, str):
        return arguments
    return wire.encode(arguments).decode() if isinstance(arguments, dict) else ""


def call_signature(call: dict[str, Any]) -> Signature | None:
    """Gemini's thought signature, where its own compatible endpoint puts it, or where LiteLLM's users find it."""
    own = call.get("extra_content")
    google = own.get("google") if isinstance(own, dict) else None
    for holder in (google, call.get("provider_specific_fields")):
        value = holder.get("thought_signature") if isinstance(holder, dict) else None
        if isinstance(value, str):
            return Signature(value, "gemini")
    return None
