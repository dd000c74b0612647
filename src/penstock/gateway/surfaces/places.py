"""The list of everything that a worker serves."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from penstock.gateway.chat import ChatCall
from penstock.gateway.http.inbound import Inbound
from penstock.gateway.operations import Operation, OperationCall
from penstock.gateway.principal import Principal
from penstock.gateway.surfaces import anthropic_messages, gemini, openai_chat, openai_responses, operations
from penstock.gateway.surfaces.chat import ChatSurface
from penstock.gateway.surfaces.health import liveliness
from penstock.gateway.surfaces.models import list_models
from penstock.gateway.surfaces.table import Place, Table


def chat(surface: ChatSurface) -> Callable[[Any, Inbound, Principal | None], None]:
    """How chat requests of a surface begin."""

    def begin(plane: Any, inbound: Inbound, principal: Principal | None) -> None:
        assert principal is not None, "only who has a key is served"
        ChatCall(plane, inbound, principal, surface).admit()

    return begin


def operation(kind: Operation) -> Callable[[Any, Inbound, Principal | None], None]:
    """How requests for an operation begin."""

    def begin(plane: Any, inbound: Inbound, principal: Principal | None) -> None:
        assert principal is not None, "only who has a key is served"
        OperationCall(plane, inbound, principal, kind).admit()

    return begin


_OPERATIONS = {
    "embeddings": operations.EMBEDDINGS,
    "completions": operations.COMPLETIONS,
    "images/generations": operations.IMAGES,
    "images/edits": operations.IMAGE_EDITS,
    "audio/speech": operations.SPEECH,
    "audio/transcriptions": operations.TRANSCRIPTIONS,
    "moderations": operations.MODERATIONS,
    "rerank": operations.RERANK,
}


def _operations() -> tuple[Place, ...]:
    voice = openai_chat.SURFACE.dialect
    return tuple(
        Place(
            (
                f"/v1/{path}",
                f"/{path}",
                f"/openai/deployments/{{model:path}}/{path}",
                f"/engines/{{model:path}}/{path}",
                *(("/v2/rerank",) if path == "rerank" else ()),
            ),
            ("POST",),
            operation(kind),
            voice=voice,
            summary=f"POST /v1/{path}",
        )
        for path, kind in _OPERATIONS.items()
    )


def places() -> tuple[Place, ...]:
    """What is served, in the order in which patterns are tried."""
    post, get = ("POST",), ("GET", "HEAD")
    return (
        Place(
            (
                "/v1/chat/completions",
                "/chat/completions",
                "/openai/deployments/{model:path}/chat/completions",
                "/engines/{model:path}/chat/completions",
            ),
            post,
            chat(openai_chat.SURFACE),
            voice=openai_chat.SURFACE.dialect,
            summary="POST /v1/chat/completions",
        ),
        Place(
            ("/v1/responses", "/responses", "/openai/v1/responses"),
            post,
            chat(openai_responses.SURFACE),
            voice=openai_responses.SURFACE.dialect,
            summary="POST /v1/responses",
        ),
        Place(
            ("/v1/messages",),
            post,
            chat(anthropic_messages.SURFACE),
            voice=anthropic_messages.SURFACE.dialect,
            summary="POST /v1/messages",
        ),
        Place(
            tuple(
                f"{version}/models/{{model:path}}:{verb}"
                for version in ("/v1beta", "/v1alpha", "/v1", "")
                for verb in ("generateContent", "streamGenerateContent")
            ),
            post,
            chat(gemini.SURFACE),
            voice=gemini.SURFACE.dialect,
            summary="POST /v1beta/models/MODEL:generateContent",
        ),
        *_operations(),
        Place(
            tuple(
                f"{version}/models{rest}"
                for version in ("/v1", "", "/v1beta", "/v1alpha")
                for rest in ("", "/{model:path}")
            ),
            get,
            list_models,
            summary="GET /v1/models",
        ),
        Place(("/health/liveliness", "/health/liveness"), get, liveliness, needs_key=False),
    )


def table() -> Table:
    """The table of a worker."""
    return Table(places())
