"""Passing on: the arguments of a call that are neither ours nor OpenAI's are the provider's own (`num_ctx`,
`safety_settings`, `guardrailConfig`), and go into its body, whatever its API. Where in it, the dialect says (`places`).

What is not passed on: the other parameters of the caller's own API, which the renderer says in the provider's words or
notes as lost; nulls; and whatever is an option of ours, LiteLLM's bookkeeping or called like a credential (a call of
the SDK has none of these left, but the body of a gateway's client may).
"""

from __future__ import annotations

from typing import Any, TypeVar

from msgspec.structs import replace

from penstock.calls.litellm_words import LITELLMS, is_credential, is_internal
from penstock.calls.options import ADDRESS, SYNONYMS, Options, is_price
from penstock.types.embedding import EmbeddingRequest
from penstock.types.request import Request

R = TypeVar("R", Request, EmbeddingRequest)

_OURS = frozenset(Options.__struct_fields__) | SYNONYMS.keys() | ADDRESS | LITELLMS | {"model_info"}


def set_apart(request: R, own: frozenset[str] | None) -> tuple[R, dict[str, Any]]:
    """(the request without the parameters that are meant for any provider, these). `own` are the parameters of the API
    that the request came from; None: all that it holds is its own.
    """
    extras = request.extras
    if own is None or not extras:
        return request, {}
    passed = {name: value for name, value in extras.items() if name not in own and value is not None and _may(name)}
    if not passed:
        return request, passed
    left = {name: value for name, value in extras.items() if name not in passed}
    return replace(request, extras=left or None), passed


def _may(name: str) -> bool:
    """Whether this may be a provider's parameter. Keys in parentheses are a dialect's own remarks."""
    ours = name in _OURS or name.startswith("(") or is_price(name)
    return not (ours or is_internal(name) or is_credential(name))
