"""What the embedding models on Bedrock share: the path `/model/{model}/invoke`. Which body it is, the body says."""

from __future__ import annotations

import re
from urllib.parse import unquote

from penstock.dialects.dialect import PathMatch

_PATH = re.compile(r"(?:^|/)model/(?P<model>[^/]+)/invoke/?$")


def match_invoke(path: str) -> PathMatch | None:
    """`/model/{model}/invoke`."""
    found = _PATH.search(path)
    return None if found is None else PathMatch(unquote(found["model"]))
