"""One model for each chat dialect, at the simulated provider of that dialect: what tests loop over that must hold for
every wire format.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

import pytest

from penstock.testing.providers import SimulatedProviders

KEY = "sk-fake-for-tests-only"


class Target(NamedTuple):
    """`model` is spoken to in `dialect` at `base` of the simulated provider `mount`."""

    dialect: str
    model: str
    mount: str
    base: str = ""
    more: dict[str, Any] = {}

    def arguments(self, simulated: SimulatedProviders) -> dict[str, Any]:
        """The arguments of a call to it."""
        key = {} if self.more else {"api_key": KEY}
        return (
            {"model": self.model, "api_base": simulated.url(self.mount) + self.base, "num_retries": 0} | key | self.more
        )


AWS = {"aws_access_key_id": "AKIAFAKE", "aws_secret_access_key": "fake-secret", "aws_region_name": "us-east-1"}

TARGETS = (
    Target("openai_chat", "openai/gpt-4o", "openai"),
    Target("openai_responses", "openai/responses/gpt-4o", "openai"),
    Target("anthropic_messages", "anthropic/claude-sonnet-4-5", "anthropic"),
    Target("gemini", "gemini/gemini-2.5-flash", "gemini", "/v1beta"),
    Target("bedrock_converse", "bedrock/us.anthropic.claude-sonnet-4-5-20250929-v1:0", "bedrock", "", AWS),
    Target("cohere_chat", "cohere/command-a-03-2025", "cohere"),
    Target("ollama_chat", "ollama/llama3.2", "ollama"),
)
GROQ = Target("openai_chat", "groq/llama-3.3-70b-versatile", "groq")
"""A host of Chat Completions that has tools and no schema mode."""

every_dialect = pytest.mark.parametrize("target", TARGETS, ids=lambda target: target.dialect)


@contextmanager
def simulating(**settings: Any) -> Iterator[SimulatedProviders]:
    """A simulated provider whose script was used up in the end."""
    with SimulatedProviders(**settings) as simulated:
        yield simulated
        assert simulated.pending == 0, "the script was not used up"
