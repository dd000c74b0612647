"""Simulated model providers: one real HTTP server that speaks every wire format, and says what a test scripts.

    from penstock.testing.providers import Cut, Reply, SimulatedProviders, ToolCall

    with SimulatedProviders() as provider:
        provider.script(
            Reply.error(429, retry_after=1),
            Reply.tool_calls(ToolCall("get_weather", {"city": "Paris"})),
            Reply.text("Sunny.").with_faults(Cut(after=2)),
        )
        client = openai.OpenAI(base_url=provider.url("openai_chat"), api_key="fake-key")
        ...
        assert provider.last.json["messages"][-1]["role"] == "tool"

It is written from the providers' documentation, not from this package's dialects, and imports nothing but the standard
library: a peer, not a mirror. By hand, `python -m penstock.testing.providers --port 9999` prints the base URLs.
"""

from penstock.testing.providers.registry import DIALECTS, MOUNTS, OPERATIONS, ROUTES
from penstock.testing.providers.script import (
    Cut,
    Delivery,
    EmptyEvent,
    ErrorEvent,
    Fault,
    Malformed,
    NotJSON,
    Part,
    ProviderError,
    RedactedThinking,
    Refusal,
    Reply,
    ScriptError,
    Stall,
    Stop,
    Structured,
    Text,
    Thinking,
    ToolCall,
    Truncated,
    Usage,
    UsagePlace,
)
from penstock.testing.providers.simulator import SimulatedProviders
from penstock.testing.providers.wire import Headers, ReceivedRequest

__all__ = [
    "DIALECTS",
    "MOUNTS",
    "OPERATIONS",
    "ROUTES",
    "Cut",
    "Delivery",
    "EmptyEvent",
    "ErrorEvent",
    "Fault",
    "Headers",
    "Malformed",
    "NotJSON",
    "Part",
    "ProviderError",
    "ReceivedRequest",
    "RedactedThinking",
    "Refusal",
    "Reply",
    "ScriptError",
    "SimulatedProviders",
    "Stall",
    "Stop",
    "Structured",
    "Text",
    "Thinking",
    "ToolCall",
    "Truncated",
    "Usage",
    "UsagePlace",
]
