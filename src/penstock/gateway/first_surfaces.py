"""Surfaces: the table of inbound paths, which dialect is spoken at each, and what a request says besides its body.

POST /v1/chat/completions   (and without /v1)    OpenAI Chat Completions
POST /v1/responses          (and without /v1)    OpenAI Responses
POST /v1/messages                                Anthropic Messages
POST /v1beta/models/MODEL:generateContent        Gemini (and :streamGenerateContent)
GET  /v1/models, /v1/models/MODEL, /v1beta/models    what is served
GET  /health/liveliness     (and /liveness)      alive, without a key
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, TypeAlias
from urllib.parse import parse_qs
from uuid import uuid4

from msgspec import Struct

from penstock.dialects import registry
from penstock.dialects.dialect import Dialect

Scope: TypeAlias = dict[str, Any]

SURFACES: tuple[tuple[re.Pattern[str], str], ...] = (
    (re.compile(r"(/v1)?/chat/completions"), "openai_chat"),
    (re.compile(r"(/v1)?/responses"), "openai_responses"),
    (re.compile(r"/v1/messages"), "anthropic_messages"),
    (re.compile(r"/v1(beta|alpha)?/.*models/.+:(generateContent|streamGenerateContent)"), "gemini"),
)
"""Inbound path -> the dialect that is spoken there. What the path says besides (a model, a stream) the dialect
reads.
"""
LISTS = re.compile(r"(?:/v1(?:beta|alpha)?)?/models(?:/(?P<model>.+))?")
"""Paths of model lists; with a name, of one model."""
HEALTH = frozenset({"/health/liveliness", "/health/liveness"})
PLACES = (
    "POST /v1/chat/completions, POST /v1/responses, POST /v1/messages, POST /v1beta/models/MODEL:generateContent, "
    "GET /v1/models"
)

KEY_HEADERS = ("x-api-key", "api-key", "x-goog-api-key", "x-litellm-api-key")
"""Where clients put a key, besides `Authorization: Bearer` and Gemini's `?key=`."""

ID_PREFIXES: Mapping[str, str] = {
    "openai_chat": "chatcmpl-",
    "openai_responses": "resp_",
    "anthropic_messages": "msg_",
}
"""How the ids of answers begin in a dialect, for answers that bring none of their own."""

BETAS = "anthropic-beta"
"""The header in which clients name betas. It goes on to hosts that take them, whatever format either side speaks."""


class Asked(Struct, frozen=True):
    """One HTTP request, without its body. `call_id` is made here and names the call in headers and logs; `query` is
    what follows the question mark. It does not print: it holds the client's key.
    """

    method: str
    path: str
    headers: dict[str, str]
    dialect: Dialect | None
    key: str | None
    call_id: str
    query: str = ""

    def __repr__(self) -> str:
        return f"Asked({self.method}, call_id={self.call_id})"

    @property
    def reads_array(self) -> bool:
        """Whether the client reads its stream as one JSON array (Gemini's without `alt=sse`): then its elements are all
        that it reads, and an error comes as the only one.
        """
        match = None if self.dialect is None else self.dialect.match_path(self.path)
        asked_for = None if self.dialect is None else self.dialect.stream_type_asked(self.query)
        return match is not None and bool(match.stream) and asked_for == "application/json"

    @property
    def voice(self) -> Dialect:
        """The dialect to answer in, also where none is spoken: Anthropic's and Google's clients show who they are."""
        if self.dialect is not None:
            return self.dialect
        return registry.get(client_of(self))


def asked(scope: Scope) -> Asked:
    """What an ASGI scope asks for."""
    headers = {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in scope["headers"]}
    path = scope["path"].rstrip("/") or "/"
    query = scope.get("query_string", b"").decode("latin-1")
    return Asked(scope["method"], path, headers, surface_of(path), key_of(headers, query), uuid4().hex, query)


PREFERRED = frozenset({"anthropic_messages", "gemini", "openai_responses"})
"""The dialects in which a host is spoken to where it can, if the client speaks them.

Chat Completions is not among them: a host that offers it beside a format of its own says less in it (Gemini, Ollama),
so there the catalog's order holds.
"""


def surface_of(path: str) -> Dialect | None:
    """The dialect of an inbound path; None where no chat is served."""
    name = next((name for pattern, name in SURFACES if pattern.fullmatch(path)), None)
    return None if name is None else registry.get(name)


def client_of(request: Asked) -> str:
    """The dialect of a client on a path that several share, by the headers that its protocol demands."""
    if "anthropic-version" in request.headers:
        return "anthropic_messages"
    if "x-goog-api-key" in request.headers or request.path.startswith(("/v1beta/", "/v1alpha/")):
        return "gemini"
    return "openai_chat"


def key_of(headers: Mapping[str, str], query: str = "") -> str | None:
    """The key that a client presents, in any of the places where the official clients put it. `headers` are decoded as
    HTTP's are (Latin-1), a key as its owner wrote it (UTF-8).
    """
    bearer = headers.get("authorization", "")
    if bearer[:7].lower() == "bearer ":
        return _as_written(bearer[7:])
    for name in KEY_HEADERS:
        if name in headers:
            return _as_written(headers[name].removeprefix("Bearer "))
    given = parse_qs(query).get("key")
    return given[0] if given else None


def _as_written(value: str) -> str:
    return value.strip().encode("latin-1").decode("utf-8", "replace")
