"""Row facts: what the ledger's row of a request says besides who, what and how much: as its caller said it.

    tags       of the key and of the request (`x-penstock-tags`, `tags`, `metadata.tags`)
    end_user   `x-penstock-end-user-id` or `-customer-id`, else the user that the body names
    session    `x-penstock-session-id`, `litellm_session_id`, else what the dialect has for it
    trace      `x-penstock-trace-id`, `litellm_trace_id`
    metadata   `metadata` and `litellm_metadata` of the body, and `x-penstock-spend-logs-metadata` (JSON)

The names are LiteLLM's (https://docs.litellm.ai/docs/proxy/request_headers), and its prefix does as well. Nothing is
made up: a request that says nothing has no facts. With `store_prompts`, the row has the request and its answer, too,
each up to `MOST_KEPT` bytes.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from penstock.dialects import wire
from penstock.gateway.relay import Members, Peeked, obj, value
from penstock.routing.overrides import PREFIXES, Overrides
from penstock.types.errors import MalformedError

MOST_KEPT = 32_768
"""Bytes that are kept of what was said, and of what was answered."""
MOST_METADATA = 16_384
_MOST_CHARACTERS = 512
_PROMPTS = ("messages", "input", "prompt", "contents", "system", "instructions", "systemInstruction", "query")
"""Members in which the dialects have what was said."""


def header_of(headers: Mapping[bytes, Any], *names: str) -> tuple[str, str]:
    """The name and the text of the first of our headers that is there: `names` follow the prefixes."""
    for prefix in PREFIXES:
        for name in names:
            found = headers.get((prefix + name).encode())
            if found is not None and found.strip():
                return prefix + name, found.decode("latin-1").strip()
    return "", ""


def metadata_of(headers: Mapping[bytes, Any], body: Members) -> dict[str, Any]:
    """What a request says for the ledger alone. Raises MalformedError."""
    found = {**obj(body, "metadata"), **obj(body, "litellm_metadata")}
    name, text = header_of(headers, "spend-logs-metadata")
    if name:
        try:
            said = msgspec.json.decode(text)
        except (msgspec.DecodeError, RecursionError):
            said = None
        if not isinstance(said, dict):
            raise MalformedError("expected a JSON object", name)
        found |= said
    if found and len(wire.encode(found)) > MOST_METADATA:
        raise MalformedError(f"the ledger takes {MOST_METADATA:,} bytes of metadata at most", name or "metadata")
    return found


def facts_of(
    headers: Mapping[bytes, Any],
    peeked: Peeked,
    overrides: Overrides,
    own_tags: tuple[str, ...],
    metadata: Mapping[str, Any],
) -> dict[str, Any]:
    """The facts of a request that said something, or whose key bears tags (`own_tags`)."""
    tags = list(dict.fromkeys((*own_tags, *overrides.tags)))
    end_user = header_of(headers, "end-user-id", "customer-id")[1] or peeked.user
    session = overrides.session or peeked.session
    found = {
        "tags": tags,
        "end_user": end_user and end_user[:_MOST_CHARACTERS],
        "session": session and session[:_MOST_CHARACTERS],
        "trace": overrides.trace,
        "metadata": metadata,
    }
    return {name: said for name, said in found.items() if said}


class Kept:
    """What was said and answered, for the ledger: only with `store_prompts`."""

    def __init__(self, members: Members) -> None:
        said = {name: value(members, name) for name in _PROMPTS if name in members}
        whole = said["messages"] if set(said) == {"messages"} else said
        self.said: Any = whole if len(wire.encode(whole)) <= MOST_KEPT else {"cut": _cut(wire.encode(whole))}
        self._answer = bytearray()

    def take(self, piece: bytes) -> None:
        """A piece of the answer."""
        if len(self._answer) <= MOST_KEPT:
            self._answer += piece[: MOST_KEPT + 1]

    def answer(self) -> Any:
        """The answer: as JSON where it is JSON and whole, else as text; nothing where none was taken."""
        if not self._answer:
            return {}
        if len(self._answer) > MOST_KEPT:
            return {"cut": _cut(bytes(self._answer))}
        try:
            return msgspec.json.decode(self._answer)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            return {"text": bytes(self._answer).decode("utf-8", "replace")}


def _cut(data: bytes) -> str:
    return data[:MOST_KEPT].decode("utf-8", "ignore")
