"""The dialect's name, in a file that all the others of the folder may import."""

from __future__ import annotations

from typing import Final

NAME: Final = "ollama_chat"
