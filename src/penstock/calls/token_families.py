"""Token families: how the makers of models count what stands around the texts of a request, by model name.

A provider counts its own rendering of a request: marks around each message, a prompt that explains tools. OpenAI
documents its marks (cookbook, "How to count tokens with tiktoken": 3 tokens a message, one for its role, 3 for the
answer's beginning), Anthropic that there is a prompt for tools, and another where one must be called
(platform.claude.com/docs/en/agents-and-tools/tool-use/overview, "Pricing"). All other figures are fitted to recorded
requests with their reported usage; tools/measure_tokens.py prints how far off they are, docs/reference/tokens.md shows
it. What pictures cost is in image_tokens.py.
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
    any_tool   tokens as soon as there is a tool, `forced` more where one must be called; `tool` of each tool,
               `tool_text` for one token of its JSON
    schema     for one token of a response schema's JSON
    thinking   tokens where the request gives a budget for thoughts
    signature  for one character of a signature that belongs to the turn under way
    drops_thoughts  whether thoughts in plain words (`<think>...</think>`) of earlier answers are left out
    formats    dialect -> what differs there: the host adds something to requests of this format
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
    forced: float = 0.0
    tool: float = 5.0
    tool_text: float = 1.0
    schema: float = 1.0
    thinking: float = 0.0
    signature: float = 0.0
    drops_thoughts: bool = False
    formats: dict[str, dict[str, float]] = {}
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
        error=0.08,
        rough_error=0.22,
    ),
    TokenFamily(
        name="claude until 4.1",
        pattern=r"claude-(?:v|instant|[123](?:\D|$)|(?:opus|sonnet)-4(?:-[01])?(?:[-@](?:20|default|v1)|$|:))",
        text=1.06,
        base=3,
        message=4,
        answer=4,
        call=28,
        any_tool=325,
        forced=20,
        tool=4,
        tool_text=0.95,
        schema=3,
        thinking=28,
        error=0.04,
        rough_error=0.1,
    ),
    TokenFamily(
        name="claude",
        pattern=r"claude",
        text=1.06,
        base=3,
        message=4,
        answer=4,
        call=28,
        any_tool=503,
        forced=122,
        tool=4,
        tool_text=0.95,
        schema=3,
        thinking=28,
        error=0.3,
        rough_error=0.31,
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
        formats={"openai_chat": {"any_tool": 85}},
        error=0.2,
        rough_error=0.23,
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
        error=0.24,
        rough_error=0.24,
    ),
    TokenFamily(
        name="gemini on vertex",
        pattern=r"vertex.*gemini-[2-9]",
        text=1.03,
        base=1,
        message=0,
        answer=2,
        call=2,
        any_tool=2,
        tool=0,
        tool_text=0.1,
        schema=0,
        error=0.16,
        rough_error=0.14,
    ),
    TokenFamily(
        name="gemini 2.5",
        pattern=r"gemini-2",
        text=1.03,
        base=1,
        message=0,
        answer=2,
        call=2,
        any_tool=2,
        tool=2,
        tool_text=0.9,
        schema=0,
        error=0.55,
        rough_error=0.59,
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
        signature=0.2,
        error=0.22,
        rough_error=0.28,
    ),
    TokenFamily(
        name="nova",  # version 2, measured with the others: two requests are too few to tell an error
        pattern=r"nova-2",
        text=1.0,
        base=0,
        message=0.5,
        answer=4,
        call=6,
        any_tool=830,
        tool=45,
        tool_text=0.3,
        schema=1,
        error=0.14,
        rough_error=0.15,
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
        error=0.14,
        rough_error=0.15,
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
        drops_thoughts=True,
        formats={"openai_responses": {"base": 82}},
        error=0.26,
        rough_error=0.26,
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
        drops_thoughts=True,
        error=0.33,
        rough_error=0.35,
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
        drops_thoughts=True,
        error=0.21,
        rough_error=0.21,
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
OTHER = TokenFamily(name="other", pattern="", error=1.06, rough_error=1)
"""Models that nothing is known of: counted like most open models."""


def family_of(model: str) -> TokenFamily:
    """The family of a model, by its name in any spelling."""
    lowered = model.lower()
    return next((family for family in FAMILIES if re.search(family.pattern, lowered)), OTHER)
