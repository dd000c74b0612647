"""What a provider says itself that a call cost, in a `usage` of OpenAI's making, in the forms that hosts give it.

    cost                {"cost": 0.00093}                               OpenRouter and other routers, US dollars
    cost.total_cost     {"cost": {"input_tokens_cost": ..., "total_cost": 0.006}}    Perplexity, US dollars
    cost_in_usd_ticks   {"cost_in_usd_ticks": 37756000}                 xAI, 10,000,000,000 to the dollar

Sources: openrouter.ai/docs/use-cases/usage-accounting, docs.perplexity.ai/api-reference/chat-completions-post,
docs.x.ai/developers/cost-tracking.
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Any


def reported_cost(usage: Mapping[str, Any]) -> str | None:
    """US dollars as decimal text, where the host says what it charged."""
    ticks = usage.get("cost_in_usd_ticks")
    if type(ticks) is int:
        return format(Decimal(ticks).scaleb(-10), "f")
    cost = usage.get("cost")
    if isinstance(cost, dict):
        cost = cost.get("total_cost")
    return repr(cost) if type(cost) in (int, float) else None
