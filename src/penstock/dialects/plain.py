"""Plain turns: messages that are one text and nothing else. Nearly every turn is, so every renderer may ask first, and
leave its longer way to the others.
"""

from __future__ import annotations

from penstock.types.content import Text
from penstock.types.request import Message


def plain(message: Message) -> Message | None:
    """The message as any dialect can take it over, if it is one text and nothing else: itself, unless its own dialect
    has left a spelling on it.
    """
    words = words_of(message)
    if words is None:
        return None
    part = message.parts[0]
    if message.native is None and part.native is None and part.id is None:
        return message
    return Message(message.role, (Text(words),))


def words_of(message: Message) -> str | None:
    """The text of a message that says no more than a text in any dialect; None of every other one."""
    parts = message.parts
    if len(parts) != 1 or message.extras or message.cache is not None or message.name is not None:
        return None
    part = parts[0]
    if type(part) is not Text or part.extras or part.cache is not None or part.signature is not None:
        return None
    return part.text if part.citations is None and part.logprobs is None else None
