"""Modifying: what a caller lets us do to a request for the sake of its target, or insists on against our better
knowledge.

    modify_params            mend the form: a first user message, an answer to every call, a tool that the history calls
                             (the renderers do it: `Profile.repair_turns`)
    allowed_openai_params    send a parameter as OpenAI spells it though the target is thought not to take it; it stands
                             where the target has its own (`penstock.dialects.places`)
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from msgspec.structs import replace

from penstock.calls.options import Options
from penstock.dialects.openai_chat import DIALECT as CHAT
from penstock.types.notes import Note
from penstock.types.profile import DEFAULT_PROFILE, Profile
from penstock.types.request import Request

_FIELDS = {
    "reasoning_effort": "reasoning",
    "max_completion_tokens": "max_tokens",
    "prompt_cache_options": "prompt_cache_retention",
}
"""OpenAI's names of parameters that a Request calls otherwise."""


def field_of(parameter: str) -> str:
    """The Request's field for a parameter of OpenAI's."""
    return _FIELDS.get(parameter, parameter)


def profile_for(profile: Profile, options: Options) -> Profile:
    """The target's profile, with what the caller allows."""
    return replace(profile, repair_turns=True) if options.modify_params else profile


def is_allowed(field: str, options: Options) -> bool:
    """Whether the caller insists on the parameter behind this field of a Request."""
    return any(field in (name, field_of(name)) for name in options.allowed_openai_params)


def insisted(body: Mapping[str, Any], request: Request, notes: Sequence[Note], options: Options) -> dict[str, Any]:
    """The parameters on which the caller insists, and that the renderer left out of the body."""
    if not options.allowed_openai_params:
        return {}
    dropped = {note.path.partition(".")[0] for note in notes if note.kind == "dropped"}
    spoken = CHAT.render_request(request, DEFAULT_PROFILE).value
    found: dict[str, Any] = {}
    for name in options.allowed_openai_params:
        unknown = name not in Request.__struct_fields__ and name not in _FIELDS
        if name in spoken and name not in body and (unknown or field_of(name) in dropped):
            found[name] = spoken[name]
    return found
