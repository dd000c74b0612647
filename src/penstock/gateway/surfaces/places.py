"""The list of everything that a worker serves."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from penstock.gateway.chat import ChatCall
from penstock.gateway.control_plane import METHODS, OPEN_PATHS, PATHS, ControlPlane
from penstock.gateway.forward import pass_through
from penstock.gateway.http.inbound import Inbound
from penstock.gateway.operations import Operation, OperationCall
from penstock.gateway.principal import Principal
from penstock.gateway.relay import members_of
from penstock.gateway.surfaces import (
    anthropic_messages,
    count_tokens,
    gemini,
    openai_chat,
    openai_responses,
    operations,
)
from penstock.gateway.surfaces.chat import ChatSurface
from penstock.gateway.surfaces.health import liveliness, welcome
from penstock.gateway.surfaces.models import list_models
from penstock.gateway.surfaces.stored import BATCHES, FILES, RESPONSES, Collection, created, fetched
from penstock.gateway.surfaces.table import Place, Table
from penstock.gateway.text_completions import TextCall


def chat(surface: ChatSurface) -> Callable[[Any, Inbound, Principal | None], None]:
    """How chat requests of a surface begin."""

    def begin(plane: Any, inbound: Inbound, principal: Principal | None) -> None:
        assert principal is not None, "only who has a key is served"
        members = members_of(inbound.body)
        if plane.lanes is None or not plane.lanes.take(plane, inbound, principal, surface, members):
            ChatCall(plane, inbound, principal, surface, members).admit()

    return begin


def operation(kind: Operation) -> Callable[[Any, Inbound, Principal | None], None]:
    """How requests for an operation begin."""

    def begin(plane: Any, inbound: Inbound, principal: Principal | None) -> None:
        assert principal is not None, "only who has a key is served"
        OperationCall(plane, inbound, principal, kind).admit()

    return begin


def text_completion(plane: Any, inbound: Inbound, principal: Principal | None) -> None:
    """Begin a text completion."""
    assert principal is not None, "only who has a key is served"
    TextCall(plane, inbound, principal).admit()


_OPERATIONS = {
    "embeddings": operations.EMBEDDINGS,
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


def _collection(kind: Collection) -> tuple[Place, ...]:
    voice, name = openai_chat.SURFACE.dialect, kind.name
    return (
        Place((f"/v1/{name}", f"/{name}"), ("POST", "GET"), created(kind), voice=voice, summary=f"/v1/{name}"),
        Place(
            (f"/v1/{name}/{{id:path}}", f"/{name}/{{id:path}}"),
            ("GET", "DELETE", "POST"),
            fetched(kind),
            voice=voice,
        ),
    )


def _chats() -> tuple[Place, ...]:
    """What is asked of models that talk, in each dialect, and how many tokens it would have."""
    post = ("POST",)
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
            ("/v1/messages/count_tokens",),
            post,
            count_tokens.messages,
            voice=anthropic_messages.SURFACE.dialect,
        ),
        Place(
            tuple(f"{version}/models/{{model:path}}:countTokens" for version in ("/v1beta", "/v1alpha", "/v1", "")),
            post,
            count_tokens.contents,
            voice=gemini.SURFACE.dialect,
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
        Place(
            (
                "/v1/completions",
                "/completions",
                "/openai/deployments/{model:path}/completions",
                "/engines/{model:path}/completions",
            ),
            post,
            text_completion,
            voice=openai_chat.SURFACE.dialect,
            summary="POST /v1/completions",
        ),
    )


def places() -> tuple[Place, ...]:
    """What is served, in the order in which patterns are tried."""
    get = ("GET", "HEAD")
    return (
        *_chats(),
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
        Place(
            tuple(
                f"{version}/responses/{{id}}{rest}"
                for version in ("/v1", "", "/openai/v1")
                for rest in ("", "/cancel", "/input_items")
            ),
            ("GET", "DELETE", "POST"),
            fetched(RESPONSES),
            voice=openai_responses.SURFACE.dialect,
            summary="GET /v1/responses/ID",
        ),
        *_collection(FILES),
        *_collection(BATCHES),
        Place(("/health/liveliness", "/health/liveness"), get, liveliness, needs_key=False),
        Place(("/",), get, welcome, needs_key=False, general=True),  # a path of the operator's own comes first
    )


def table(control_plane: ControlPlane | None = None) -> Table:
    """The table of a worker: its own places, then the control plane's, then what is passed through."""
    passed = Place(
        ("/{provider}/{path:path}",),
        ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"),
        pass_through,
        general=True,
        summary="/{PROVIDER}/{PATH}",
    )
    if control_plane is None:
        return Table((*places(), passed))
    voice = openai_chat.SURFACE.dialect
    control = Place(PATHS, METHODS, control_plane.begin, voice=voice)
    to_anybody = Place(OPEN_PATHS, ("GET", "HEAD"), control_plane.begin, needs_key=False, voice=voice)
    return Table((*places(), control, to_anybody, passed))
