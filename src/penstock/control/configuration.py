"""The configuration in force: where it came from, what is wrong with the next one, and the way from one to another.

A change is a transaction: a configuration that is wrong changes nothing, and one that is right is remembered in the
store, then its keys, then all workers know it. The last change wins, whether it came from the file or through the API:
after a restart a configuration that was applied through the API stays in force until the file changes.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterator, Mapping
from itertools import islice
from pathlib import Path
from typing import Any

import msgspec
from msgspec import Struct

from penstock.control.config.bundle import Bundle, read_bundle
from penstock.control.config.diff import Change, diff
from penstock.control.config.load import load_bundle
from penstock.control.config.loaded import Loaded
from penstock.control.config.problems import ConfigErrors
from penstock.control.config.watch import INTERVAL, Watcher
from penstock.control.store.base import ConfigVersion, Store
from penstock.gateway.snapshot import Snapshot

FROM_FILE, FROM_API, FROM_ENVIRONMENT = "file", "api", "environment"
_AT_ONCE = 5
"""Versions that are read at once: the texts of one may be megabytes."""
Serve = Callable[[Loaded], Awaitable[None]]
"""Something that is done with a configuration that comes into force."""


class InForce(Struct, frozen=True, kw_only=True):
    """What holds now.

    bundle    its texts; None: there is no file, and what the environment has is served
    source    "file", "api" or "environment"; `by` who applied it, `at` when (Unix seconds)
    """

    loaded: Loaded
    version: int
    source: str
    by: str
    at: float
    bundle: Bundle | None = None


class Configuration:
    """The one configuration of a gateway. `without_file` makes what holds where there is none."""

    def __init__(
        self,
        store: Store,
        path: Path | None,
        environment: Mapping[str, str],
        without_file: Callable[[], Loaded],
        say: Callable[[str], None],
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._store = store
        self._path = path
        self._environment = environment
        self._without_file = without_file
        self._say = say
        self._clock = clock
        self._adopt: Serve = _nothing
        self._publish: Serve = _nothing
        self._changing = asyncio.Lock()
        self._watcher: Watcher | None = None
        self._in_force: InForce | None = None
        self.refused: str | None = None
        """Why the last configuration that was offered is not in force; None: it is."""

    @property
    def in_force(self) -> InForce:
        """What holds now."""
        assert self._in_force is not None, "begin() was called"
        return self._in_force

    @property
    def snapshot(self) -> Snapshot:
        """What workers hold."""
        return self.in_force.loaded.snapshot

    # -- the beginning ------------------------------------------------------------------------------------------------

    def begin(self) -> InForce:
        """Find what holds, when a keeper begins. Raises ConfigErrors where nothing can."""
        last = self._store.config()
        self._in_force = self._from_file(last) if self._path is not None else self._without(last)
        if self._path is not None:
            self._watcher = Watcher(self._path, self._in_force.bundle)
        return self._in_force

    def _from_file(self, last: ConfigVersion | None) -> InForce:
        assert self._path is not None
        try:
            bundle = read_bundle(self._path)
            if last is not None and _source(last) == FROM_API and self._is_last_file(bundle):
                return self._remembered(last)
            return self._adopted(bundle, load_bundle(bundle, self._environment), FROM_FILE, str(self._path), last)
        except ConfigErrors as errors:
            if last is None:
                raise
            self.refused = str(errors)
            self._say(f"{self._path} is refused, the last configuration that was right stays in force:\n{errors}")
            return self._remembered(last)

    def _is_last_file(self, bundle: Bundle) -> bool:
        """Whether the file has not changed since it was last in force."""
        last = next((each for each in islice(self._versions(), 1000) if _source(each) == FROM_FILE), None)
        return last is not None and _bundle(last) == bundle

    def _without(self, last: ConfigVersion | None) -> InForce:
        if last is not None and _source(last) == FROM_API:
            return self._remembered(last)
        return self._numbered(
            self._without_file(), 0 if last is None else last.version, FROM_ENVIRONMENT, "", self._clock()
        )

    def _remembered(self, last: ConfigVersion) -> InForce:
        bundle = _bundle(last)
        source, _, by = last.by.partition(":")
        return self._numbered(load_bundle(bundle, self._environment), last.version, source, by, last.at, bundle)

    def _adopted(self, bundle: Bundle, loaded: Loaded, source: str, by: str, last: ConfigVersion | None) -> InForce:
        """A configuration that is right, remembered; once, if it is the last one already."""
        if last is None or _source(last) != source or _bundle(last) != bundle:
            last = self._store.add_config(_text(bundle), at=self._clock(), by=f"{source}:{by}")
        return self._numbered(loaded, last.version, source, by, last.at, bundle)

    def _numbered(
        self, loaded: Loaded, version: int, source: str, by: str, at: float, bundle: Bundle | None = None
    ) -> InForce:
        snapshot = msgspec.structs.replace(loaded.snapshot, version=version)
        loaded = msgspec.structs.replace(loaded, snapshot=snapshot)
        return InForce(loaded=loaded, version=version, source=source, by=by, at=at, bundle=bundle)

    # -- changes ------------------------------------------------------------------------------------------------------

    async def check(self, bundle: Bundle) -> tuple[Loaded, tuple[Change, ...]]:
        """What this configuration comes to, and what it would change. Raises ConfigErrors."""
        loaded = await asyncio.to_thread(load_bundle, bundle, self._environment)
        return loaded, diff(self.in_force.loaded, loaded)

    async def apply(self, bundle: Bundle, source: str, by: str) -> tuple[InForce, tuple[Change, ...]]:
        """Bring a configuration into force, all of it; returns when the workers know. Raises ConfigErrors."""
        async with self._changing:
            try:
                loaded, changes = await self.check(bundle)
                await self._adopt(loaded)
            except ConfigErrors as errors:
                self.refused = str(errors)
                raise
            last = await asyncio.to_thread(self._store.config)
            self._in_force = await asyncio.to_thread(self._adopted, bundle, loaded, source, by, last)
            self.refused = None
            await self._publish(self._in_force.loaded)
            return self._in_force, changes

    def serve(self, adopt: Serve, publish: Serve) -> None:
        """What is done with each configuration that comes into force: `adopt` brings its keys into the store, and may
        still refuse it (ConfigErrors); `publish` gives it to the workers.
        """
        self._adopt, self._publish = adopt, publish

    async def watch(self) -> None:
        """Follow the file, until cancelled."""
        while self._watcher is not None:
            await asyncio.sleep(INTERVAL)
            found = await asyncio.to_thread(self._watcher.look)
            if found is not None:
                await self._offered(found)

    async def read_again(self) -> None:
        """Read the file now, whether or not it seems to have changed."""
        if self._path is None:
            return
        try:
            found: Bundle | ConfigErrors = await asyncio.to_thread(read_bundle, self._path)
        except ConfigErrors as errors:
            found = errors
        await self._offered(found)

    async def _offered(self, found: Bundle | ConfigErrors) -> None:
        """The file holds something else now."""
        try:
            if isinstance(found, ConfigErrors):
                raise found
            in_force, changes = await self.apply(found, FROM_FILE, str(self._path))
        except ConfigErrors as errors:
            self.refused = str(errors)
            self._say(f"{self._path} is refused, the configuration stays as it was:\n{errors}")
        else:
            said = "\n".join(str(change) for change in changes) or "no changes"
            self._say(f"{self._path} is in force as version {in_force.version}:\n{said}")

    async def history(self, limit: int) -> list[dict[str, Any]]:
        """The last configurations, newest first, as they may be shown."""
        return await asyncio.to_thread(lambda: [_shown(version) for version in islice(self._versions(), limit)])

    def _versions(self) -> Iterator[ConfigVersion]:
        """All configurations, newest first; a few at a time, since each has the texts of all its files."""
        before = None
        while some := self._store.configs(_AT_ONCE, before):
            yield from some
            before = some[-1].version


async def _nothing(loaded: Loaded) -> None:
    pass


def _text(bundle: Bundle) -> str:
    return msgspec.json.encode(bundle).decode()


def _bundle(version: ConfigVersion) -> Bundle:
    return msgspec.json.decode(version.text, type=Bundle)


def _source(version: ConfigVersion) -> str:
    return version.by.partition(":")[0]


def _shown(version: ConfigVersion) -> dict[str, Any]:
    """A version of the history, without its texts: keys may stand in them."""
    source, _, by = version.by.partition(":")
    return {
        "version": version.version,
        "at": version.at,
        "source": source,
        "by": by,
        "files": list(_bundle(version).files),
    }
