"""Enums as numbers: what JSON of protocol buffers allows in the place of every word, and what Google's servers answer
to a client that asks so (`$alt=json;enum-encoding=int`, as the generated REST clients do).

Only numbers that mean the same on all of Google's hosts are read; the others are left where they were.

Source: https://protobuf.dev/programming-guides/json/,
https://github.com/googleapis/googleapis/blob/master/google/ai/generativelanguage/v1beta/generative_service.proto
"""

from __future__ import annotations

from typing import Any

FINISH_REASONS = ("FINISH_REASON_UNSPECIFIED", "STOP", "MAX_TOKENS", "SAFETY", "RECITATION", "OTHER")
BLOCK_REASONS = ("BLOCK_REASON_UNSPECIFIED", "SAFETY", "OTHER", "BLOCKLIST", "PROHIBITED_CONTENT")
CALLING_MODES = ("MODE_UNSPECIFIED", "AUTO", "ANY", "NONE", "VALIDATED")
RESPONSE_MODALITIES = ("MODALITY_UNSPECIFIED", "TEXT", "IMAGE", "AUDIO")
MODALITIES = ("MODALITY_UNSPECIFIED", "TEXT", "IMAGE", "VIDEO", "AUDIO", "DOCUMENT")
SCHEMA_TYPES = ("TYPE_UNSPECIFIED", "STRING", "NUMBER", "INTEGER", "BOOLEAN", "ARRAY", "OBJECT", "NULL")
"""The words of each enum, by number."""


def word_of(value: Any, words: tuple[str, ...]) -> str | None:
    """The word for a number; None for what is no number, or none of these."""
    return words[value] if type(value) is int and 0 <= value < len(words) else None


def number_of(word: str, words: tuple[str, ...]) -> int | str:
    """The number of a word; the word itself where it has none here."""
    return words.index(word) if word in words else word
