"""Fallbacks: where a group that failed falls back to, by the kind of its error."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from msgspec import Struct

from penstock.types.errors import ErrorKind


class Fallbacks(Struct, frozen=True, kw_only=True):
    """group -> groups, in order. The key "*" and then `default` hold for groups that have no entry of their own.

    `context_window` and `content_policy` hold for these two errors, before the general ones; `most` is how many other
    groups one call may come to.
    """

    general: Mapping[str, Sequence[str]] = {}
    context_window: Mapping[str, Sequence[str]] = {}
    content_policy: Mapping[str, Sequence[str]] = {}
    default: Sequence[str] = ()
    most: int = 5

    def after(self, names: Sequence[str], kind: ErrorKind) -> Sequence[str]:
        """The groups to try after a group failed with this kind of error. `names` are the names that it goes by, the
        one it was called by first.
        """
        special = _special(self, kind)
        for table in (special, self.general):
            for name in (*names, "*"):
                if name in table:
                    return table[name]
        return self.default


def _special(fallbacks: Fallbacks, kind: ErrorKind) -> Mapping[str, Sequence[str]]:
    if kind == "context_window":
        return fallbacks.context_window
    return fallbacks.content_policy if kind == "content_policy" else {}


NO_FALLBACKS = Fallbacks()
