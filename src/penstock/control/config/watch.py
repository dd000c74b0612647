"""Watch: notices that a configuration changed on the disk, and hands the new text over once it is whole.

It looks at every file of the bundle (the main one, and what it includes) a few times a second: size, time and inode,
which is cheap, works on every file system (also where files are replaced by renaming, or are links into a volume, as in
Kubernetes), and needs no thread of its own: whoever owns it calls `look`.

A file may be half-written when it is seen. So a change counts when two looks in a row saw the same, and when it is not
what was handed over before. A file that is gone for a moment (editors write beside it and rename) is waited for.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from penstock.control.config.bundle import Bundle, read_bundle
from penstock.control.config.problems import ConfigErrors

INTERVAL = 0.25
"""Seconds between two looks that whoever owns a watcher should take."""
PATIENCE = 8
"""Looks that a missing file is waited for, before it is said that it is missing."""

_Seen = tuple[tuple[int, int, int] | None, ...]


class Watcher:
    """Watches one configuration. Not for several threads.

    `given` is what was read when the watcher was made; None: nothing could be read.
    """

    def __init__(self, path: Path, given: Bundle | None) -> None:
        self.path = path
        self._files: Sequence[str] = tuple(given.files) if given is not None else (path.name,)
        self._handed: Bundle | str | None = given
        self._seen = self._look()
        self._missing = 0
        self._fresh = False

    def look(self) -> Bundle | ConfigErrors | None:
        """The configuration, if it changed since it was last handed over; what is wrong, if it cannot be read any more
        (said once); None: nothing to do.
        """
        seen = self._look()
        if seen != self._seen:
            self._seen, self._missing, self._fresh = seen, 0, True
            return None
        if None in seen and self._fresh and self._missing < PATIENCE:
            self._missing += 1
            return None
        if not self._fresh:
            return None
        self._fresh = False
        return self._read()

    def applied(self, bundle: Bundle) -> None:
        """This is what holds now: it was written here by somebody else, and need not be handed over."""
        self._handed = bundle

    def _read(self) -> Bundle | ConfigErrors | None:
        try:
            bundle = read_bundle(self.path)
        except ConfigErrors as error:
            return self._once(str(error), error)
        if tuple(bundle.files) != tuple(self._files):  # it names others now: read it again when they stand still
            self._files = tuple(bundle.files)
            self._seen, self._fresh = self._look(), True
            return None
        if self._look() != self._seen:  # it changed while it was read
            self._fresh = True
            return None
        return self._once(bundle, bundle)

    def _once(self, what: Bundle | str, found: Bundle | ConfigErrors) -> Bundle | ConfigErrors | None:
        if what == self._handed:
            return None
        self._handed = what
        return found

    def _look(self) -> _Seen:
        return tuple(_state(self.path.parent / name) for name in self._files)


def _state(path: Path) -> tuple[int, int, int] | None:
    try:
        found = os.stat(path)  # noqa: PTH116  # four times a second: no objects
    except OSError:
        return None
    return found.st_mtime_ns, found.st_size, found.st_ino
