"""Repairs: what Gemini demands of a conversation and a caller may have forgotten (`Profile.repair_turns`).

The user speaks first, and every function call is answered by a function response in the next turn: as many responses as
calls (https://ai.google.dev/gemini-api/docs/function-calling). What is put in is noted.
"""

from __future__ import annotations

from collections import Counter
from typing import Any

from penstock.types.notes import Note

Content = dict[str, Any]

NO_RESULT = "This call was not answered."


def filler(notes: list[Note]) -> Content:
    """A turn of the user's that says nothing."""
    notes.append(Note("messages", "added", "Gemini wants a turn of the user at the beginning"))
    return {"role": "user", "parts": [{"text": " "}]}


def repair(contents: list[Content], notes: list[Note]) -> None:
    """Put in what is missing."""
    if contents and contents[0]["role"] == "model":
        contents.insert(0, filler(notes))
    for number in range(len(contents) - 1, -1, -1):
        if contents[number]["role"] == "model":
            _answer_calls(contents, number, notes)


def _answer_calls(contents: list[Content], number: int, notes: list[Note]) -> None:
    following = contents[number + 1] if number + 1 < len(contents) else None
    answered = Counter(_name(part, "functionResponse") for part in (following or {}).get("parts", ()))
    missing = []
    for part in contents[number]["parts"]:
        name = _name(part, "functionCall")
        if name is not None and answered[name] == 0:
            missing.append(_response(part["functionCall"]))
        answered[name] -= 1
    if not missing:
        return
    notes.append(Note("messages", "added", f"responses to {len(missing)} calls that were not answered"))
    if following is None:
        contents.append({"role": "user", "parts": missing})
    else:
        following["parts"][:0] = missing


def _name(part: dict[str, Any], kind: str) -> Any:
    inner = part.get(kind)
    return inner.get("name") if isinstance(inner, dict) else None


def _response(call: dict[str, Any]) -> dict[str, Any]:
    found = {"name": call["name"], "response": {"error": NO_RESULT}}
    return {"functionResponse": {"id": call["id"], **found} if "id" in call else found}
