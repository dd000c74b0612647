"""The configuration in force over restarts: the last change wins, what is wrong never does, none is kept twice."""

from __future__ import annotations

import asyncio
import tracemalloc
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from penstock.control.config.bundle import Bundle
from penstock.control.config.no_file import no_file
from penstock.control.config.problems import ConfigErrors
from penstock.control.configuration import Configuration
from penstock.control.store.sqlite import SqliteStore, open_sqlite
from penstock.providers.registry import default_registry


@pytest.fixture
def store(tmp_path: Path) -> Iterator[SqliteStore]:
    found = open_sqlite(tmp_path / "penstock.db")
    yield found
    found.close()


def text(group: str) -> str:
    return f"models: [{{name: {group}, model: demo}}]\n"


def begun(store: SqliteStore, file: Path | None) -> Configuration:
    """The configuration of a keeper that begins."""
    found = Configuration(store, file, {}, lambda: no_file(default_registry(), {}), lambda said: None)
    found.begin()
    return found


def groups(configuration: Configuration) -> list[str]:
    return [deployment.group for deployment in configuration.snapshot.deployments]


def applied(configuration: Configuration, group: str) -> None:
    asyncio.run(configuration.apply(Bundle("sent.yaml", {"sent.yaml": text(group)}), "api", "a test"))


def test_what_the_api_applied_stays_until_the_file_changes(store: SqliteStore, tmp_path: Path) -> None:
    file = tmp_path / "penstock.yaml"
    file.write_text(text("file"))
    first = begun(store, file)
    assert groups(first) == ["file"]
    applied(first, "sent")
    assert groups(begun(store, file)) == ["sent"]
    file.write_text(text("again"))
    assert groups(begun(store, file)) == ["again"]
    assert groups(begun(store, file)) == ["again"]
    assert [version.by.partition(":")[0] for version in store.configs()] == ["file", "api", "file"], "none twice"


def test_a_gateway_without_a_file_keeps_what_the_api_applied(store: SqliteStore) -> None:
    first = begun(store, None)
    assert groups(first) == ["demo"]
    applied(first, "sent")
    again = begun(store, None)
    assert groups(again) == ["sent"] and again.in_force.source == "api"


def test_a_gateway_without_a_file_does_not_go_back_to_one_of_old(store: SqliteStore, tmp_path: Path) -> None:
    file = tmp_path / "penstock.yaml"
    file.write_text(text("file"))
    begun(store, file)
    assert groups(begun(store, None)) == ["demo"]


def test_a_file_that_is_wrong_leaves_the_last_that_was_right(store: SqliteStore, tmp_path: Path) -> None:
    file = tmp_path / "penstock.yaml"
    file.write_text("modls: []\n")
    with pytest.raises(ConfigErrors):
        begun(store, file)
    file.write_text(text("right"))
    begun(store, file)
    file.write_text("modls: []\n")
    again = begun(store, file)
    assert groups(again) == ["right"]
    assert again.refused is not None and "did you mean models?" in again.refused


def test_versions_grow(store: SqliteStore) -> None:
    configuration = begun(store, None)
    for number in (1, 2, 3):
        applied(configuration, f"group-{number}")
        assert configuration.snapshot.version == number
    assert begun(store, None).snapshot.version == 3


def test_a_configuration_whose_keys_are_refused_is_not_remembered(store: SqliteStore) -> None:
    configuration = begun(store, None)

    async def refuse(loaded: object) -> None:
        raise ConfigErrors([])

    async def publish(loaded: object) -> None:
        raise AssertionError("nothing is published")

    configuration.serve(refuse, publish)
    with pytest.raises(ConfigErrors):
        applied(configuration, "sent")
    assert groups(configuration) == ["demo"] and store.configs() == []


def test_the_history_holds_the_texts_of_a_few_versions_at_a_time(store: SqliteStore) -> None:
    """A version has the texts of all its files; its line in the history has none."""
    size, versions = 200_000, 60
    for number in range(versions):
        store.add_config(msgspec.json.encode(Bundle("a.yaml", {"a.yaml": "x" * size})).decode(), at=number, by="api:me")
    configuration = Configuration(store, None, {}, lambda: no_file(default_registry(), {}), lambda said: None)
    tracemalloc.start()
    try:
        history = asyncio.run(configuration.history(50))
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert [line["version"] for line in history] == list(range(versions, versions - 50, -1))
    assert history[0] == {"version": 60, "at": 59.0, "source": "api", "by": "me", "files": ["a.yaml"]}
    assert peak < 50 * size / 2
