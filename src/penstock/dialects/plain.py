"""Plain turns: messages that are one text and nothing else. Nearly every turn is, so every renderer may ask first, and
leave its longer way to the others.
"""

from __future__ import annotations

from penstock.types.content import Text
from penstock.types.request import Message


def plain_text(message: Message) -> Text | None:
    """The text of a message that says no more than this text in any dialect, without a trace of its own one. None of
    every other message, and of a blank text, which providers treat each in its own way.
    """
    parts = message.parts
    if len(parts) != 1 or message.extras or message.cache is not None or message.name is not None:
        return None
    part = parts[0]
    if type(part) is not Text or part.extras or part.cache is not None or part.signature is not None:
        return None
    if part.citations is not None or part.logprobs is not None or not part.text or part.text.isspace():
        return None
    return part if part.native is None and part.id is None else Text(part.text)
