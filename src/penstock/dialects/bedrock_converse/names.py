"""Names that Bedrock restricts: tools, calls and documents. Each is brought into its alphabet, and stays unique.

    tool        [a-zA-Z0-9_-], 1 to 64 characters        a Memo maps it back
    call id     [a-zA-Z0-9_.:-], 1 to 64 characters      only needs to agree between call and result
    document    letters, digits, single spaces, hyphens, round and square brackets; 1 to 200; no two alike in a request

Source: the patterns in https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_ToolSpecification.html,
API_runtime_ToolUseBlock.html and API_runtime_DocumentBlock.html.
"""

from __future__ import annotations

import re
from hashlib import sha256
from typing import Final

NAME: Final = "bedrock_converse"

_LONGEST = 64
_LONGEST_DOCUMENT = 200
_BAD_IN_TOOL = re.compile(r"[^a-zA-Z0-9_-]")
_BAD_IN_ID = re.compile(r"[^a-zA-Z0-9_.:-]")
_BAD_IN_DOCUMENT = re.compile(r"[^a-zA-Z0-9 \-()\[\]]+")
_SPACES = re.compile(r" {2,}")


class ToolNames:
    """The names of one request's tools. A name that already fits is never taken by one that was changed."""

    def __init__(self, names: set[str]) -> None:
        self._written = {name: name for name in names if _fits(name)}
        taken = set(self._written)
        for name in sorted(names - taken):
            written = _unique(_BAD_IN_TOOL.sub("_", name)[:_LONGEST] or "tool", taken, _LONGEST, "_")
            taken.add(written)
            self._written[name] = written

    def write(self, name: str) -> str:
        """The name for the wire."""
        return self._written[name]

    def free(self, wanted: str) -> str:
        """A name that no tool of the request has."""
        return _unique(wanted, set(self._written.values()), _LONGEST, "_")

    def changed(self) -> dict[str, str]:
        """Name on the wire -> the caller's, for those that differ."""
        return {written: name for name, written in self._written.items() if written != name}


def _fits(name: str) -> bool:
    return 0 < len(name) <= _LONGEST and _BAD_IN_TOOL.search(name) is None


def _unique(wanted: str, taken: set[str], longest: int, joint: str) -> str:
    if wanted not in taken:
        return wanted
    number = 2
    while True:
        tail = f"{joint}{number}"
        candidate = wanted[: longest - len(tail)] + tail
        if candidate not in taken:
            return candidate
        number += 1


def call_id(wanted: str) -> str:
    """The id for the wire: always the same for the same id, and different for different ones."""
    if 0 < len(wanted) <= _LONGEST and _BAD_IN_ID.search(wanted) is None:
        return wanted
    digest = sha256(wanted.encode("utf-8", "surrogatepass")).hexdigest()[:16]
    return f"{_BAD_IN_ID.sub('_', wanted)[: _LONGEST - 17]}-{digest}"


class DocumentNames:
    """The names of one request's documents."""

    def __init__(self) -> None:
        self._taken: set[str] = set()

    def write(self, name: str | None, word: str | None) -> tuple[str, bool]:
        """(the name for the wire, whether it is another one). A file extension that `word`, the document's format,
        says too is left out and counts as no change.
        """
        bare = name or ""
        if word is not None and bare.lower().endswith(f".{word}"):
            bare = bare[: -len(word) - 1]
        cleaned = _SPACES.sub(" ", _BAD_IN_DOCUMENT.sub(" ", bare)).strip()[:_LONGEST_DOCUMENT].strip()
        if not cleaned:
            cleaned = f"Document {len(self._taken) + 1}"
        found = _unique(cleaned, self._taken, _LONGEST_DOCUMENT, " ")
        self._taken.add(found)
        return found, found != bare
