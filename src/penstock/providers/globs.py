"""Globs over model names and hosts: `*`, `?` and `[...]`, against the whole name (fnmatch of the standard library)."""

from __future__ import annotations

from collections.abc import Iterable
from fnmatch import fnmatchcase


def fits(name: str, globs: Iterable[str], unless: Iterable[str] = ()) -> bool:
    """Whether `name` fits one of `globs` and none of `unless`."""
    return any(fnmatchcase(name, glob) for glob in globs) and not any(fnmatchcase(name, glob) for glob in unless)
