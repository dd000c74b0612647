"""Parts of other dialects as parts of Gemini.

One method for each kind of part, each returning the wire parts it became (none, where a note says why). Signatures go
out only to a model that can verify them; thinking whose signature cannot goes out unsigned.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from penstock.dialects import wire
from penstock.dialects.documents import words_about
from penstock.dialects.gemini.foreign_media import write_media
from penstock.dialects.gemini.parts import write_answer
from penstock.dialects.gemini.signatures import ORIGIN
from penstock.dialects.leftovers import leftovers
from penstock.dialects.server_outcomes import code_outcome
from penstock.dialects.tool_ids import tool_names
from penstock.dialects.tool_memo import ToolNames, as_object
from penstock.types.content import (
    Blocks,
    Json,
    Media,
    Opaque,
    Part,
    PlainText,
    Refusal,
    ServerToolCall,
    ServerToolResult,
    Signature,
    Text,
    Thinking,
    ToolCall,
    ToolResult,
)
from penstock.types.notes import Note
from penstock.types.profile import Profile
from penstock.types.request import Request

WirePart = dict[str, Any]

_UNKNOWN_TOOL = "unknown_tool"


class PartWriter:
    """Writes the parts of one request and collects the notes about them."""

    def __init__(self, request: Request, profile: Profile, names: ToolNames, notes: list[Note]) -> None:
        self.profile = profile
        self.notes = notes
        self._names = names
        self._calls = tool_names(request.messages)
        self._code: set[str | None] = set()
        self._origin = profile.signature_origin or ORIGIN

    def write(self, part: Part, path: str) -> list[WirePart]:
        """The wire parts of a part of a message."""
        if part.extras is not None:
            self.notes += leftovers(path, part.extras)
        if part.cache is not None:
            self.drop(f"{path}.cache", "Gemini caches prefixes by itself, or by a cachedContent that was made before")
        return _WRITERS[type(part)](self, part, path)

    def texts(self, parts: tuple[Part, ...], path: str) -> list[WirePart]:
        """The texts among `parts`: a system instruction holds nothing else."""
        found: list[WirePart] = []
        for index, part in enumerate(parts):
            for piece in self.write(part, f"{path}[{index}]"):
                if "text" in piece:
                    found.append(piece)
                else:
                    self.drop(f"{path}[{index}]", "a system instruction holds text only")
        return found

    def drop(self, path: str, detail: str) -> None:
        """Note that what stood at `path` does not go out."""
        self.notes.append(Note(path, "dropped", detail))

    def change(self, path: str, detail: str) -> None:
        """Note that what stood at `path` goes out as something else."""
        self.notes.append(Note(path, "changed", detail))

    def signed(self, found: WirePart, signature: Signature | None, path: str) -> WirePart:
        """`found` with its signature, where the model can verify it."""
        if signature is not None and signature.origin == self._origin:
            found["thoughtSignature"] = signature.value
        elif signature is not None:
            self.drop(f"{path}.signature", f"this model cannot verify a signature of {signature.origin}")
        return found

    def _text(self, part: Text, path: str) -> list[WirePart]:
        if part.citations:
            self.drop(f"{path}.citations", "a request carries no citations")
        if part.logprobs:
            self.drop(f"{path}.logprobs", "a request carries no probabilities")
        found = self.signed({"text": part.text}, part.signature, path)
        return [found] if part.text or "thoughtSignature" in found else []

    def _thinking(self, part: Thinking, path: str) -> list[WirePart]:
        text = part.text or "\n\n".join(part.summary or ())
        verified = part.signature is not None and part.signature.origin == self._origin
        if not verified and not text:
            if part.signature is not None or part.redacted:
                self.drop(path, "thinking that is withheld can go back to its own provider only")
            return []
        return [self.signed({"text": text, "thought": True}, part.signature, path)]

    def _refusal(self, part: Refusal, path: str) -> list[WirePart]:
        return [{"text": part.text}] if part.text else []

    def _json(self, part: Json, path: str) -> list[WirePart]:
        return [{"text": wire.encode(part.value).decode()}]

    def _media(self, part: Media, path: str) -> list[WirePart]:
        if isinstance(part.source, PlainText):
            return self._document([Text(part.source.text)], part, path)
        if isinstance(part.source, Blocks):
            return self._document(list(part.source.parts), part, path)
        if part.source is None and part.transcript:
            self.change(path, "of audio that only its provider holds, the transcript is sent")
            return [{"text": part.transcript}]
        found = write_media(part, path, self.profile, self.notes)
        if found is None:
            return []
        about = words_about(part, path, self.notes)
        told: list[WirePart] = [] if about is None else [{"text": about}]
        return [*told, self.signed(found, part.signature, path)]

    def _document(self, inner: list[Part], part: Media, path: str) -> list[WirePart]:
        """A document that is given as text: its title becomes a line of its own."""
        about = words_about(part, path, self.notes, title=True)
        title: list[WirePart] = [{"text": f"{about}\n"}] if about else []
        pieces = [self.write(piece, f"{path}.source.parts[{index}]") for index, piece in enumerate(inner)]
        self.change(path, "a document of text became text")
        return title + [piece for group in pieces for piece in group]

    def _tool_call(self, part: ToolCall, path: str) -> list[WirePart]:
        call: dict[str, Any] = {"name": self._names.write(part.name), "args": self._arguments(part, path)}
        if part.call_id is not None:
            call["id"] = part.call_id
        return [self.signed({"functionCall": call}, part.signature, path)]

    def _arguments(self, part: ToolCall, path: str) -> dict[str, Any]:
        """The arguments as an object: Gemini carries nothing else."""
        if part.custom and isinstance(part.arguments, str):
            return {"input": part.arguments}
        found, exact = as_object(part.arguments)
        if not exact:
            self.change(f"{path}.arguments", "arguments that are no JSON object became the one string `input`")
        return found

    def _tool_result(self, part: ToolResult, path: str) -> list[WirePart]:
        name = part.name or self._calls.get(part.call_id or "")
        if name is None:
            self.change(f"{path}.name", "the call that this answers is not there, and so its tool's name is not known")
        found: dict[str, Any] = {"name": self._names.write(name) if name else _UNKNOWN_TOOL}
        if part.call_id is not None:
            found["id"] = part.call_id
        answers, media = self._split_result(part, path)
        found["response"] = write_answer(answers, bool(part.is_error))
        if media and self.profile.tool_result_media:
            found["parts"] = media
            return [{"functionResponse": found}]
        if media:
            self.change(path, "this model takes media beside a tool's result only")
        return [{"functionResponse": found}, *media]

    def _split_result(self, part: ToolResult, path: str) -> tuple[list[Any], list[WirePart]]:
        """(texts and JSON values of a tool's result, its media as wire parts)."""
        answers: list[Any] = []
        media: list[WirePart] = []
        for index, piece in enumerate(part.parts):
            if type(piece) is Json:
                answers.append(Json(piece.value))
                continue
            for found in self.write(piece, f"{path}.parts[{index}]"):
                if "text" in found:
                    answers.append(Text(found["text"]))
                elif "inlineData" in found or "fileData" in found:
                    media.append(found)
        return answers or [Text("")], media

    def _server_call(self, part: ServerToolCall, path: str) -> list[WirePart]:
        code = part.arguments.get("code") if isinstance(part.arguments, dict) else None
        if part.name != "code_execution" or not isinstance(code, str):
            self.drop(path, f"Gemini cannot read another provider's call of {part.name}")
            return []
        self._code.add(part.call_id)
        return [self.signed({"executableCode": {"language": "PYTHON", "code": code}}, part.signature, path)]

    def _server_result(self, part: ServerToolResult, path: str) -> list[WirePart]:
        if part.name != "code_execution" or part.call_id not in self._code:
            self.drop(path, f"Gemini cannot read another provider's result of {part.name}")
            return []
        return [{"codeExecutionResult": code_result(part.content)}]

    def _opaque(self, part: Opaque, path: str) -> list[WirePart]:
        self.drop(path, "only its own dialect knows what this is")
        return []


def code_result(content: Any) -> dict[str, Any]:
    """What a code tool answered, whatever its provider's form."""
    outcome = code_outcome(content)
    if outcome is None:
        return {"outcome": "OUTCOME_OK", "output": wire.encode(content).decode()}
    return {"outcome": "OUTCOME_FAILED" if outcome.failed else "OUTCOME_OK", "output": outcome.text}


_WRITERS: dict[type, Callable[[PartWriter, Any, str], list[WirePart]]] = {
    Text: PartWriter._text,
    Thinking: PartWriter._thinking,
    Refusal: PartWriter._refusal,
    Json: PartWriter._json,
    Media: PartWriter._media,
    ToolCall: PartWriter._tool_call,
    ToolResult: PartWriter._tool_result,
    ServerToolCall: PartWriter._server_call,
    ServerToolResult: PartWriter._server_result,
    Opaque: PartWriter._opaque,
}
