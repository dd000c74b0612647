"""How a client hears of a refusal: as a response that its user can read, whatever program it is.

JSON with a stable `code`, the reason and the fix; plain text for git, which shows it to its user (JSON it does not).
"""

from __future__ import annotations

import msgspec

from penstock.vault.bodies import Reply
from penstock.vault.values import Headers, Refusal, RequestHead, ResponseHead

REASONS = {
    400: "Bad Request", 401: "Unauthorized", 403: "Forbidden", 404: "Not Found", 405: "Method Not Allowed",
    408: "Request Timeout", 409: "Conflict", 413: "Content Too Large", 414: "URI Too Long",
    415: "Unsupported Media Type", 417: "Expectation Failed", 421: "Misdirected Request", 426: "Upgrade Required",
    429: "Too Many Requests", 431: "Request Header Fields Too Large", 500: "Internal Server Error",
    501: "Not Implemented", 502: "Bad Gateway", 503: "Service Unavailable", 504: "Gateway Timeout",
    505: "HTTP Version Not Supported",
}  # fmt: skip
"""The words for every status that a refusal of the vault may have."""
PLAIN_TEXT_CLIENTS = ("git/",)
"""User agents that show plain text to their user."""


def refusal_response(refusal: Refusal, request: RequestHead | None = None) -> tuple[ResponseHead, bytes]:
    """Return the head and the body that tell `refusal`."""
    plain = request is not None and any(agent.startswith(PLAIN_TEXT_CLIENTS) for agent in request.values("user-agent"))
    body = _text(refusal) if plain else _json(refusal)
    headers: Headers = (
        ("content-type", "text/plain; charset=utf-8" if plain else "application/json"),
        ("x-penstock-refusal", refusal.code),
        ("cache-control", "no-store"),
    )
    if refusal.challenge:
        headers += (("www-authenticate", refusal.challenge),)
    return ResponseHead(refusal.status, REASONS.get(refusal.status, "Refused"), headers), body


def _text(refusal: Refusal) -> bytes:
    return f"penstock: {refusal.reason}\n{refusal.fix}\n".encode()


def _json(refusal: Refusal) -> bytes:
    error = {"type": "penstock_vault", "code": refusal.code, "message": refusal.reason, "fix": refusal.fix}
    return msgspec.json.encode({"error": error})


async def refuse(reply: Reply, refusal: Refusal, request: RequestHead | None = None) -> None:
    """Answer with `refusal`; where an answer has begun already, cut it."""
    if reply.begun:
        reply.abort()
        return
    head, body = refusal_response(refusal, request)
    await reply.head(head, len(body))
    await reply.data(body)
    await reply.end()
