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

from penstock.dialects.tool_memo import ToolNames, tool_names_of
from penstock.types.request import Request

NAME: Final = "bedrock_converse"

_LONGEST = 64
_LONGEST_DOCUMENT = 200
_BAD_IN_TOOL = re.compile(r"[^a-zA-Z0-9_-]")
_BAD_IN_ID = re.compile(r"[^a-zA-Z0-9_.:-]")
_BAD_IN_DOCUMENT = re.compile(r"[^a-zA-Z0-9 \-()\[\]]+")
_SPACES = re.compile(r" {2,}")


def tool_names(request: Request) -> ToolNames:
    """The names of the request's tools, as they are written here and back."""
    return ToolNames(tool_names_of(request), _BAD_IN_TOOL, _LONGEST)


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
        found = self._unique(cleaned)
        self._taken.add(found)
        return found, found != bare

    def _unique(self, wanted: str) -> str:
        found, number = wanted, 1
        while found in self._taken:
            number += 1
            found = f"{wanted[: _LONGEST_DOCUMENT - 1 - len(str(number))]} {number}"
        return found
