"""The master key: who has it may do everything. Named by the configuration, else by the environment."""

from __future__ import annotations

from collections.abc import Mapping

MASTER_KEY_VARIABLES = ("PENSTOCK_MASTER_KEY", "LITELLM_MASTER_KEY")
"""Ours, and LiteLLM's, so that the environment of a LiteLLM deployment works."""


def master_key(given: str | None, file: str, environment: Mapping[str, str]) -> tuple[str | None, str | None]:
    """The master key and where it is from; (None, None) where nobody names one. Spaces around it, which the last line
    of a file leaves and a client cannot send, are not of it.
    """
    if given is not None:
        return given.strip(), file
    for name in MASTER_KEY_VARIABLES:
        if key := environment.get(name, "").strip():
            return key, name
    return None, None
