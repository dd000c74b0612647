"""Old paths: those that name a model, as Azure's and the first of OpenAI's did. There the path's word holds."""

from __future__ import annotations

import re

OLD_PATHS = ("/openai/deployments/", "/engines/")
"""What paths that name a model begin with."""
_NAMED = re.compile(
    r"/(?:openai/deployments|engines)/(.+?)/(?:chat/completions|images/[^/]+|audio/[^/]+|[^/]+)/*", re.DOTALL
)


def model_in(path: str) -> str:
    """The model that an old path names: /openai/deployments/{model}/..., /engines/{model}/... ("": it names none)."""
    found = _NAMED.fullmatch(path) if path.startswith(OLD_PATHS) else None
    return "" if found is None else found[1]
