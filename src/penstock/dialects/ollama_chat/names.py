"""The dialect's name."""

from __future__ import annotations

from typing import Final

NAME: Final = "ollama_chat"
