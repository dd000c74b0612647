"""The dialect's name, and the marks in `native` by which parts of a message find back to their place on the wire."""

from __future__ import annotations

from typing import Final

NAME: Final = "cohere_chat"

PLAN: Final = "tool_plan"
"""A Text that stood in `tool_plan`: what the model said before it called tools."""

DOCUMENTS: Final = "documents"
"""A document of the request's own `documents`, which the representation has in the last user message."""

DOCUMENT_TEXTS: Final = "documents:string"
"""The same, given as a bare string."""

DOCUMENT: Final = "document"
"""A document block in the content of a message."""
