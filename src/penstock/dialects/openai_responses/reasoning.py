"""Reasoning items, both ways: a summary, the reasoning itself where it may be seen, and its encrypted form.

A reasoning item is one Thinking; where it has several content entries, each later one is a Thinking of its own with the
native MORE. A signature that OpenAI did not make goes to clients with its origin before it ("anthropic:..."), so that
it comes home in their history; hosts that serve several makers' models name the format beside it instead.

Source: https://platform.openai.com/docs/guides/reasoning, https://openrouter.ai/docs/api-reference/responses-api.
"""

from __future__ import annotations

from typing import Any

from penstock.dialects import wire
from penstock.dialects.openai_responses.fields import ITEM, Item, add_extras, rest_of_item
from penstock.types.content import Extras, Part, Signature, Thinking

MORE = "more"
"""The native of a Thinking that is a further content entry of the reasoning item before it."""


def read_reasoning(item: Item) -> tuple[Part, ...]:
    """The Thinking of a reasoning item, and one more for each further content entry."""
    summary, content = _read_entries(item, "summary"), _read_entries(item, "content")
    known, signature, words = _REASONING_KEYS, None, ""
    if summary is None or content is None:
        known -= {key for key, read in (("summary", summary), ("content", content)) if read is None}
    value = wire.optional_string(item, "encrypted_content")
    if value is not None:
        signature = read_signature(value, item.get("format"))
    elif isinstance(item.get("signature"), str):
        # OpenRouter, for models that sign what they show.
        signature, words, known = (
            read_signature(item["signature"], item.get("format")),
            "signature",
            known | {"signature"},
        )
    if content is not None:
        words = f"{words} {'content' if content else 'empty'}" if words else "content" if content else "empty"
    text = content[0] if content else ""
    item_id = wire.optional_string(item, "id")
    withheld = signature is not None and not text and not summary
    extras = _with_entry_fields(item, rest_of_item(item, known)) if summary or content else rest_of_item(item, known)
    head = Thinking(text, summary, signature, withheld, None, item_id, words or None, extras)
    if content is None or len(content) < 2:
        return (head,)
    return (head, *[Thinking(entry, id=item_id, native=MORE) for entry in content[1:]])


_REASONING_KEYS = frozenset({"type", "id", "status", "summary", "content", "encrypted_content"})
_ENTRY_TYPES = {"summary": "summary_text", "content": "reasoning_text"}


def _read_entries(item: Item, key: str) -> tuple[str, ...] | None:
    """The texts of a list like `[{"type": "summary_text", "text": ...}]`. None for a list of any other shape, which is
    left unmodelled.
    """
    entries = item.get(key)
    if type(entries) is not list:
        return None
    if not entries:
        return ()
    if not all(type(entry) is dict and type(entry.get("text")) is str and "type" in entry for entry in entries):
        return None
    return tuple([entry["text"] for entry in entries])


def _with_entry_fields(item: Item, extras: Extras) -> Extras:
    """`extras`, and under ITEM whatever else the entries of the two lists say than their usual type and a text."""
    found: Item = {}
    for key, usual in _ENTRY_TYPES.items():
        entries = item.get(key) or ()
        if key not in (extras or ()) and any(len(entry) > 2 or entry["type"] != usual for entry in entries):
            found[f"({key})"] = [
                {name: value for name, value in entry.items() if name != "text" and (name, value) != ("type", usual)}
                for entry in entries
            ]
    return {**(extras or {}), ITEM: {**(extras or {}).get(ITEM, {}), **found}} if found else extras


FORMATS = {
    "anthropic": "anthropic-claude-v1",
    "gemini": "google-gemini-v1",
    "openai": "openai-responses-v1",
    "xai": "xai-responses-v1",
}
"""Who can verify a signature -> OpenRouter's word for its format."""
_ORIGINS = {name.partition("-")[0]: origin for origin, name in FORMATS.items()}


def read_signature(value: str, name: Any = None) -> Signature:
    """A signature with who can verify it: by the host's word for its format ("anthropic-claude-v1"), or by the tag that
    `write_signature` put before it.
    """
    if isinstance(name, str):
        word = name.partition("-")[0]
        return Signature(value, _ORIGINS.get(word, word))
    origin, separator, inner = value.partition(":")
    tagged = separator and origin.isascii() and origin.isalpha() and origin.islower() and origin != "openai"
    return Signature(inner, origin) if tagged else Signature(value, "openai")


def is_foreign_reasoning(item: Item, origin: str | None) -> bool:
    """Whether a written item is reasoning whose signature is tagged for somebody else than `origin` (or OpenAI)."""
    value = item.get("encrypted_content")
    if item.get("type") != "reasoning" or not isinstance(value, str) or "format" in item:
        return False
    return read_signature(value).origin not in ("openai", origin)


def write_signature(signature: Signature, extras: Extras = None) -> str:
    """`encrypted_content`. A signature that OpenAI did not make is tagged with its origin, so that it survives in the
    caller's history.
    """
    if signature.origin == "openai" or (extras and isinstance(extras.get("format"), str)):
        return signature.value
    return f"{signature.origin}:{signature.value}"


def write_reasoning(part: Thinking) -> Item:
    """The item again, without further content entries: `add_reasoning_entry` adds those."""
    found: Item = {"type": "reasoning"}
    extras, words = part.extras, part.native or ""
    notes: Item = extras.get(ITEM) or {} if extras else {}
    if part.id is not None:
        found["id"] = part.id
    if part.summary is not None:
        found["summary"] = _write_entries(part.summary, "summary_text", notes.get("(summary)"))
    if part.text or "content" in words:
        found["content"] = _write_entries((part.text,), "reasoning_text", notes.get("(content)"))
    elif "empty" in words:
        found["content"] = []
    if part.signature is not None:
        key = "signature" if "signature" in words else "encrypted_content"
        found[key] = write_signature(part.signature, extras)
    return add_extras(found, extras)


def _write_entries(texts: tuple[str, ...], usual: str, notes: list[Item] | None) -> list[Item]:
    entries: list[Item] = [{"type": usual, "text": text} for text in texts]
    for entry, note in zip(entries, notes or (), strict=False):
        entry.update(note)
    return entries


def add_reasoning_entry(item: Item, part: Thinking, head: Thinking | None) -> None:
    """A further content entry on a reasoning item that was just written."""
    entry: Item = {"type": "reasoning_text", "text": part.text}
    notes = (head.extras or {}).get(ITEM, {}).get("(content)") if head is not None else None
    content = item.setdefault("content", [])
    if notes and len(content) < len(notes):
        entry.update(notes[len(content)])
    content.append(entry)
