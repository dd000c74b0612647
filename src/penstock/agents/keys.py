"""Keys of sessions at the gateway, and what they have spent. HTTP only: the platform is a customer like any other.

A session has one key, which may call its agent's models and spend what its limits leave. At the gateway it is found by
its alias, `session/ID`, so it can be taken away after a crash although nobody remembers the key itself; and rows of the
ledger are found by the label `user_id`, the session's id, whichever of its keys they belong to. So what a session has
spent is always the sum of those rows: reading it twice counts nothing twice.

Rules of these calls: docs/reference/management-api.md.
"""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from msgspec import Struct

from penstock.agents.errors import Invalid, Unavailable

if TYPE_CHECKING:
    import httpx

ALIAS = "session/"
TIMEOUT = 20.0
MOST_PAGES = 10_000
OVER_BUDGET = "quota"
"""The class of error of a call that was refused for want of money."""


class Spent(Struct, frozen=True):
    """What the ledger has of a session. `model` is empty where there were several; `refused` calls were not sent, for
    they could have cost more than the key may still spend.
    """

    dollars: Decimal = Decimal(0)
    input_tokens: int = 0
    output_tokens: int = 0
    requests: int = 0
    model: str = ""
    refused: int = 0


class GatewayKeys:
    """Makes keys for sessions, and takes them away.

    Args:
        url: the gateway's, as this machine reaches it.
        management_key: may make and delete keys. It goes nowhere but to the gateway.
    """

    def __init__(self, url: str, management_key: str) -> None:
        self.url = url.rstrip("/")
        self._key = management_key
        self._client: httpx.AsyncClient | None = None

    def __repr__(self) -> str:
        return f"GatewayKeys({self.url!r})"

    async def mint(self, session: str, *, models: Sequence[str], dollars: Decimal | None, owner: str = "") -> str:
        """Make the session's key, in the place of one that it may have had; `models` empty: every model.

        Raises:
            Unavailable: the gateway does not answer. Invalid: it refuses, and why.
        """
        await self.revoke(session)
        wanted: dict[str, Any] = {
            "key_alias": f"{ALIAS}{session}",
            "user_id": session,
            "models": list(models),
            "metadata": {"session": session, "owner": owner},
        }
        if dollars is not None:
            wanted["max_budget"] = str(dollars)
        made = await self._call("POST", "/key/generate", json=wanted)
        return str(made["key"])

    async def revoke(self, session: str) -> None:
        """Delete the session's key; nothing happens where it has none. Raises Unavailable."""
        await self._call("POST", "/key/delete", json={"key_aliases": [f"{ALIAS}{session}"]}, absent_is_well=True)

    async def held(self) -> frozenset[str]:
        """The sessions that have a key. Raises Unavailable."""
        found: set[str] = set()
        for page in range(1, MOST_PAGES):
            asked = {"page": page, "size": 100, "return_full_object": "true"}
            answer = await self._call("GET", "/key/list", params=asked)
            aliases = [str(row.get("key_alias") or "") for row in answer["keys"]]
            found |= {alias.removeprefix(ALIAS) for alias in aliases if alias.startswith(ALIAS)}
            if page >= answer["total_pages"]:
                break
        return frozenset(found)

    async def spent(self, session: str) -> Spent:
        """What its calls that have ended have cost until now. Raises Unavailable."""
        rows: list[dict[str, Any]] = []
        for page in range(1, MOST_PAGES):
            asked = {"user_id": session, "page": page, "page_size": 1000}
            answer = await self._call("GET", "/spend/logs/v2", params=asked)
            rows += answer["data"]
            if page >= answer["total_pages"]:
                break
        return total(rows)

    async def close(self) -> None:
        """Let go of connections."""
        if self._client is not None:
            await self._client.aclose()

    async def _call(self, method: str, path: str, *, absent_is_well: bool = False, **more: Any) -> Any:
        import httpx

        if self._client is None:
            headers = {"authorization": f"Bearer {self._key}"}
            self._client = httpx.AsyncClient(base_url=self.url, headers=headers, timeout=TIMEOUT, trust_env=False)
        try:
            answer = await self._client.request(method, path, **more)
        except httpx.HTTPError as error:
            raise Unavailable(
                f"the gateway at {self.url} does not answer ({type(error).__name__})", fix="see that it runs"
            ) from None
        if answer.status_code == 404 and absent_is_well:
            return {}
        if answer.status_code >= 400:
            raise _refused(self.url, answer.status_code, answer.text)
        return answer.json()


def _refused(url: str, status: int, text: str) -> Unavailable | Invalid:
    if status in (401, 403):
        return Unavailable(f"the gateway at {url} does not take the management key", fix="give its master key")
    if status == 429 or status >= 500:
        return Unavailable(f"the gateway at {url} answers {status}", fix="see its log")
    return Invalid(f"the gateway refuses a session's key: {text[:500]}", fix="see the agent's model and limits")


def total(rows: Sequence[dict[str, Any]]) -> Spent:
    """The sum of rows of `/spend/logs`. Pure."""
    models = {str(row.get("model") or "") for row in rows}
    return Spent(
        dollars=sum((_dollars(row) for row in rows), Decimal(0)),
        input_tokens=sum(int(row.get("prompt_tokens") or 0) for row in rows),
        output_tokens=sum(int(row.get("completion_tokens") or 0) for row in rows),
        requests=len(rows),
        model=next(iter(models)) if len(models) == 1 else "",
        refused=sum(_is_over_budget(row) for row in rows),
    )


def _is_over_budget(row: dict[str, Any]) -> bool:
    """Whether the gateway refused it by itself: a provider whose quota is used up was an attempt."""
    facts = row.get("metadata") or {}
    return (facts.get("error_information") or {}).get("error_class") == OVER_BUDGET and not facts.get("attempts")


def _dollars(row: dict[str, Any]) -> Decimal:
    """The exact amount where the ledger has it, else what it says as a number."""
    exact = (row.get("metadata") or {}).get("cost")
    return Decimal(str(exact)) if exact is not None else Decimal(str(row.get("spend") or 0))
