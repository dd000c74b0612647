"""The table of surfaces: which path is served by what. One visible list, checked when a worker starts.

A path that is written out is found by a look-up; those with a name in them (`{model}`, `{id}`) by patterns, in order.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from typing import Any

from penstock.dialects.dialect import Dialect
from penstock.gateway.http.inbound import Inbound
from penstock.gateway.principal import Principal


class Place:
    """Something that is served.

    paths     as they are; `{name}` stands for a segment, `{name:path}` for the rest. Each also without the "/v1" that
              it
              begins with, where `versions` says so
    methods   HTTP methods
    begin     (plane, request, principal) -> None: begins to answer
    voice     the dialect of its errors; None: the client's
    needs_key whether only who has a key is served (then there is a principal)
    general   it takes what nothing else is served at
    """

    def __init__(
        self,
        paths: tuple[str, ...],
        methods: tuple[str, ...],
        begin: Callable[[Any, Inbound, Principal | None], None],
        *,
        voice: Dialect | None = None,
        needs_key: bool = True,
        general: bool = False,
        summary: str = "",
    ) -> None:
        self.paths = paths
        self.methods = methods
        self.begin = begin
        self.voice = voice
        self.needs_key = needs_key
        self.general = general
        self.summary = summary

    def reads_array(self, inbound: Inbound) -> bool:
        """Whether the client reads one JSON array (a Gemini stream without `alt=sse`): an error comes as its only
        element.
        """
        if self.voice is None:
            return False
        match = self.voice.match_path(inbound.path)
        asked = self.voice.stream_type_asked(inbound.query)
        return match is not None and bool(match.stream) and asked == "application/json"


class Table:
    """Finds what is served at a path. Raises ValueError for a path that stands twice."""

    def __init__(self, places: Iterable[Place]) -> None:
        self.places = tuple(places)
        self._exact: dict[str, Place] = {}
        self._patterns: list[tuple[re.Pattern[str], Place]] = []
        for place in self.places:
            for path in place.paths:
                if "{" in path:
                    self._patterns.append((_compiled(path), place))
                elif path in self._exact:
                    raise ValueError(f"two surfaces are served at {path}")
                else:
                    self._exact[path] = place

    def find(self, path: str) -> Place | None:
        """What is served at a path; None: nothing."""
        found = self._exact.get(path)
        if found is not None:
            return found
        bare = path.rstrip("/") or "/"
        if bare != path and bare in self._exact:
            return self._exact[bare]
        for pattern, place in self._patterns:
            if pattern.fullmatch(bare):
                return place
        return None

    @property
    def summary(self) -> str:
        """What is served, for an error."""
        return ", ".join(place.summary for place in self.places if place.summary)


def _compiled(path: str) -> re.Pattern[str]:
    parts = re.split(r"\{\w+(:path)?\}", path)
    text = re.escape(parts[0])
    for kind, rest in zip(parts[1::2], parts[2::2], strict=True):
        text += ("(.+)" if kind else "([^/]+)") + re.escape(rest)
    return re.compile(text)
