"""Tool lines: the fees of provider-run tools. By call, by prompt or by session, as the provider counts them; free where
it says so; else unknown."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Final

from penstock.providers.billing import rules
from penstock.providers.billing.bill import Bill, Terms, exact_count
from penstock.providers.globs import fits
from penstock.providers.prices import Prices
from penstock.types.usage import Usage

SESSIONS: Final = "code_interpreter_sessions"


def searches_always(prices: Prices) -> bool:
    """Whether each request is a search, whatever its usage counts."""
    if not prices.search:
        return False
    return prices.host in rules.SEARCH_IN_EVERY_REQUEST or fits(prices.model, rules.ALWAYS_SEARCHING)


class ToolLines:
    """Writes the fees for `usage.server_tool_calls`, and for the sessions among `quantities`, onto `bill`."""

    def __init__(self, bill: Bill, usage: Usage, prices: Prices, terms: Terms) -> None:
        self._bill = bill
        self._usage = usage
        self._prices = prices
        self._terms = terms

    def write(self, quantities: Mapping[str, object]) -> None:
        """Write them all."""
        calls = dict(self._usage.server_tool_calls or {})
        if self._prices.search and self._prices.host in rules.SEARCH_IN_EVERY_REQUEST:
            calls["web_search"] = self._searches_in_request(calls.get("web_search") or 0)
        elif searches_always(self._prices):
            calls.setdefault("web_search", self._terms.requests)
        sessions = quantities.get(SESSIONS)
        if sessions is not None:
            self._write_sessions(sessions)
            calls.pop("code_execution", None)
        for tool, count in calls.items():
            if count:
                self._write_calls(tool, count)

    def _searches_in_request(self, calls: int) -> int:
        """Searches of a host that searches in every request: one fee a request, or, for research, one a search."""
        if rules.RESEARCH_FIELD not in self._prices.rates:
            return self._terms.requests
        told = (self._usage.extras or {}).get("num_search_queries")
        if type(told) is int and told >= 0:
            return told
        if not calls:
            self._bill.reasons.append("searches are billed, and the usage does not report how many there were")
        return calls

    def _write_calls(self, tool: str, count: int) -> None:
        host = self._prices.host
        if exact_count(count) is None:
            self._bill.reasons.append(f"the number of calls of {tool} is not a count: {count!r}")
        elif tool == "web_search" and self._prices.search:
            self._write_searches(count)
        elif tool == "maps" and "google_maps_grounding_cost_per_query" in self._prices.rates:
            field = "google_maps_grounding_cost_per_query"
            self._fee(tool, self._billed_searches(count), self._prices.rates[field], field)
        elif (host, tool) in rules.TOOL_FEES:
            self._fee(tool, count, rules.TOOL_FEES[host, tool], f"fee of {host}")
        elif self._prices.tokens_are_free and not self._prices.search:
            self._fee(tool, count, Decimal(0), "free model")
        elif tool not in rules.FREE_TOOLS.get(host, ()):
            self._bill.reasons.append(_NO_FEE.get(tool, f"no fee is known for the provider's tool {tool}"))

    def _write_searches(self, count: int) -> None:
        size = self._size()
        if size is None:
            self._bill.reasons.append("the fee of a web search depends on search_context_size, which is not known")
            return
        field = f"search_context_cost_per_query.search_context_size_{size}"
        self._fee("web_search", self._billed_searches(count), self._prices.search[size], field)

    def _size(self) -> str | None:
        """The search context size that the fee goes by: any, if they all cost the same."""
        search, told = self._prices.search, self._terms.search_context_size or self._told_by_usage()
        if told is not None:
            return told if told in search else None
        if len(set(search.values())) == 1:
            return next(iter(search))
        usual = rules.DEFAULT_SEARCH_SIZE.get(self._prices.host)
        if usual in search:
            self._bill.assumptions.append(f"search_context_size {usual}, the provider's default")
            return usual
        return None

    def _told_by_usage(self) -> str | None:
        """Perplexity says in its usage which size it billed."""
        size = (self._usage.extras or {}).get("search_context_size")
        return size if isinstance(size, str) else None

    def _billed_searches(self, count: int) -> int:
        if self._prices.quotas:
            self._bill.assumptions.append("the free searches of the account are used up")
        return min(count, self._terms.requests) if self._prices.search_per_prompt else count

    def _write_sessions(self, sessions: object) -> None:
        field = "code_interpreter_cost_per_session"
        price = self._prices.rates.get(field, rules.TOOL_FEES.get((self._prices.host, "code_interpreter_session")))
        exact = exact_count(sessions)
        if price is None or exact is None:
            self._bill.reasons.append(
                "no fee is known for code interpreter sessions"
                if price is None
                else f"the number of sessions is not a count: {sessions!r}"
            )
        else:
            self._bill.add("code_interpreter_session", exact, price, "fee", field)

    def _fee(self, tool: str, count: int, price: Decimal, field: str) -> None:
        self._bill.add(tool, count, price, "fee", field)


_NO_FEE = {
    "code_execution": "code execution is billed by session or by the hour, and the usage counts calls; "
    f"say how many sessions were new (quantities={{'{SESSIONS}': n}})",
    "image_generation": "the image generation tool is billed at the prices of the image model that it called",
}
