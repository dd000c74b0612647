"""Token families: how the makers of models count what stands around the texts of a request, by model name.

A provider counts its own rendering of a request: marks around each message, a prompt that explains tools. OpenAI
documents its marks (cookbook, "How to count tokens with tiktoken": 3 tokens a message, one for its role, 3 for the
answer's beginning), Anthropic the prompt for tools (platform.claude.com/docs/en/agents-and-tools/tool-use/overview,
"Pricing": 346 tokens). All other figures are fitted to recorded requests with their reported usage;
tools/measure_tokens.py prints how far off they are, docs/reference/tokens.md shows it.
"""

from __future__ import annotations

import re

from msgspec import Struct


class TokenFamily(Struct, frozen=True, kw_only=True):
    """How one family of models counts.

    encoding   the encoding of the texts; `exact` says that it is the models' own
    text       tokens of the family for one token of that encoding
    base       tokens of every request; `message` of each message, `answer` more for one of the model's, `call` of each
               tool call and each result
    any_tool   tokens as soon as there is a tool; `tool` of each tool, `tool_text` for one token of its JSON
    schema     for one token of a response schema's JSON
    tiles      images: "openai" (tiles of 512), "pixels" (width x height / 750) or "gemini" (tiles of 768)
    error      nine of ten recorded requests were counted with less than this relative error; without the extra
               `rough_error`
    """

    name: str
    pattern: str
    encoding: str = "o200k_base"
    exact: bool = False
    text: float = 1.05
    base: float = 3.0
    message: float = 4.0
    answer: float = 0.0
    call: float = 10.0
    any_tool: float = 20.0
    tool: float = 5.0
    tool_text: float = 1.0
    schema: float = 1.0
    tiles: str = "openai"
    error: float = 0.5
    rough_error: float = 0.5


FAMILIES: tuple[TokenFamily, ...] = (
    TokenFamily(
        name="claude-new",
        pattern=r"claude-(?:opus-4-[78]|(?:opus|sonnet|haiku)-5|fable|mythos)",
        text=1.3,
        base=2,
        message=3,
        answer=2,
        call=25,
        any_tool=400,
        tool=2,
        tool_text=1.1,
        schema=3,
        tiles="pixels",
        error=0.08,
        rough_error=0.22,
    ),
    TokenFamily(
        name="claude",
        pattern=r"claude",
        text=1.06,
        base=6,
        message=4,
        answer=4,
        call=28,
        any_tool=480,
        tool=4,
        tool_text=0.95,
        schema=3,
        tiles="pixels",
        error=0.41,
        rough_error=0.42,
    ),
    TokenFamily(
        name="gpt-oss",
        pattern=r"gpt-oss",
        encoding="o200k_harmony",
        text=0.95,
        base=64,
        message=5,
        call=6,
        any_tool=10,
        tool=5,
        tool_text=0.8,
        schema=3,
        error=0.27,
        rough_error=0.33,
    ),
    TokenFamily(
        name="gpt-5 and o-series",
        pattern=r"(?:^|[/.])(?:gpt-[5-9]|o[134](?!-mini-2024-09|-preview)(?:-|$))",
        exact=True,
        text=1.0,
        base=2,
        message=4,
        answer=2,
        call=5,
        any_tool=6,
        tool=0,
        tool_text=0.8,
        schema=0.9,
        error=0.61,
        rough_error=0.59,
    ),
    TokenFamily(
        name="gpt-4 and gpt-3.5",
        pattern=r"gpt-(?:4(?![o.0-9])|3)",
        encoding="cl100k_base",
        exact=True,
        text=1.0,
        base=3,
        message=4,
        call=5,
        any_tool=14,
        tool=1,
        tool_text=0.45,
        schema=0.7,
    ),
    TokenFamily(
        name="gpt-4o and gpt-4.1",
        pattern=r"gpt-4|chatgpt",
        exact=True,
        text=1.0,
        base=3,
        message=4,
        call=5,
        any_tool=14,
        tool=1,
        tool_text=0.45,
        schema=0.7,
        error=0.12,
        rough_error=0.13,
    ),
    TokenFamily(
        name="embeddings",
        pattern=r"text-embedding-3|ada-002",
        encoding="cl100k_base",
        exact=True,
        text=1.0,
        base=0,
        message=0,
    ),
    TokenFamily(
        name="gemini 2.0 and older",
        pattern=r"gemini-(?:1|2\.0)|gemma",
        text=1.03,
        base=1,
        message=0,
        call=0,
        any_tool=0,
        tool=2,
        tool_text=0.3,
        schema=0,
        tiles="gemini",
        error=0.24,
        rough_error=0.24,
    ),
    TokenFamily(
        name="gemini",
        pattern=r"gemini",
        text=1.03,
        base=1,
        message=0,
        answer=2,
        call=2,
        any_tool=2,
        tool=2,
        tool_text=0.9,
        schema=0,
        tiles="gemini",
        error=0.88,
        rough_error=0.87,
    ),
    TokenFamily(
        name="nova",
        pattern=r"nova",
        text=1.0,
        base=0,
        message=0.5,
        answer=4,
        call=6,
        any_tool=430,
        tool=45,
        tool_text=0.3,
        schema=1,
        error=0.44,
        rough_error=0.44,
    ),
    TokenFamily(
        name="mistral",
        pattern=r"mistral|mixtral|ministral|magistral|devstral|codestral|pixtral|voxtral",
        text=1.0,
        base=2,
        message=2,
        answer=1,
        call=2,
        any_tool=5,
        tool=6,
        tool_text=1.35,
        schema=1,
        error=0.1,
        rough_error=0.2,
    ),
    TokenFamily(
        name="deepseek",
        pattern=r"deepseek",
        text=0.97,
        base=2,
        message=2,
        answer=4,
        call=30,
        any_tool=290,
        tool=5,
        tool_text=0.85,
        error=0.91,
        rough_error=0.91,
    ),
    TokenFamily(
        name="glm",
        pattern=r"glm",
        text=0.95,
        base=4,
        message=3,
        answer=4,
        call=5,
        any_tool=110,
        tool=12,
        tool_text=1.0,
        schema=0.2,
        error=11.34,
        rough_error=10.17,
    ),
    TokenFamily(
        name="llama",
        pattern=r"llama",
        text=1.0,
        base=30,
        message=5,
        answer=5,
        call=20,
        any_tool=530,
        tool=20,
        tool_text=0.9,
        error=0.12,
        rough_error=0.12,
    ),
    TokenFamily(
        name="qwen",
        pattern=r"qwen|qwq",
        text=1.1,
        base=2,
        message=5,
        call=15,
        any_tool=110,
        tool=20,
        tool_text=1.0,
        error=1.56,
        rough_error=1.79,
    ),
    TokenFamily(
        name="command",
        pattern=r"command",
        text=1.2,
        base=20,
        message=8,
        answer=5,
        call=40,
        any_tool=800,
        tool=30,
        tool_text=1.3,
        error=0.94,
        rough_error=0.94,
    ),
)
OTHER = TokenFamily(name="other", pattern="", error=1.06, rough_error=1.0)
"""Models that nothing is known of: counted like most open models."""


def family_of(model: str) -> TokenFamily:
    """The family of a model, by its name in any spelling."""
    lowered = model.lower()
    return next((family for family in FAMILIES if re.search(family.pattern, lowered)), OTHER)
