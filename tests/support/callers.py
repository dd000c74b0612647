"""A client of the SDK in front of simulated providers, for each dialect: no real key, no environment, no retry."""

from typing import Any

from penstock import AsyncClient, Client
from penstock.testing.providers import SimulatedProviders

MODELS = {
    "openai_chat": "openai/gpt-4o",
    "openai_responses": "openai/responses/gpt-4o",
    "anthropic_messages": "anthropic/claude-sonnet-4-5",
    "gemini": "gemini/gemini-2.5-flash",
    "bedrock_converse": "bedrock/converse/anthropic.claude-sonnet-4-5-20250929-v1:0",
    "cohere_chat": "cohere_chat/command-a-03-2025",
    "ollama_chat": "ollama_chat/llama3.2",
}
"""A model that is spoken to in each dialect."""
DIALECTS = sorted(MODELS)
SAY = [{"role": "user", "content": "Hello"}]


def arguments_of(providers: SimulatedProviders, dialect: str) -> dict[str, Any]:
    """The arguments of a client that reaches the simulated provider of a dialect."""
    base = providers.url(dialect) + ("/v1beta" if dialect == "gemini" else "")
    found: dict[str, Any] = {"api_base": base, "environment": {}, "num_retries": 0}
    if dialect != "ollama_chat":
        found["api_key"] = "sk-fake-key"
    if dialect == "bedrock_converse":
        found["aws_region_name"] = "us-east-1"
    return found


def client_of(providers: SimulatedProviders, dialect: str, **more: Any) -> Any:
    """A Client. (Any: what a call returns depends on `stream`.)"""
    return Client(**{**arguments_of(providers, dialect), **more})


def async_client_of(providers: SimulatedProviders, dialect: str, **more: Any) -> Any:
    """An AsyncClient."""
    return AsyncClient(**{**arguments_of(providers, dialect), **more})


def content(chunks: Any) -> str:
    """The text of a streamed chat answer."""
    return "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices)
