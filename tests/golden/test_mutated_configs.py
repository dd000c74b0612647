"""Golden configurations with any one value replaced by something else: read, or refused at its place; nothing worse."""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator
from typing import Any

import pytest

from penstock.control.config.bundle import Bundle
from penstock.control.config.document import parse, plain
from penstock.control.config.load import load_bundle
from penstock.control.config.problems import ConfigErrors, Problem
from tests.golden.test_litellm_configs import FOLDER, NAMES
from tests.support.needs import REPOSITORY

OTHERS: tuple[Any, ...] = (None, [], "x", 5, True, [None], {"x": None}, -1.5, "os.environ/NOT_SET")
MANUAL = REPOSITORY / "docs" / "how-to" / "configure.md"


def native() -> Any:
    return plain(parse(MANUAL.read_text(encoding="utf-8").partition("```yaml\n")[2].partition("```")[0], "f"))


def ways(value: Any, way: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """The way to each value."""
    entries = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, inner in entries:
        yield (*way, key)
        yield from ways(inner, (*way, key))


def replaced(value: Any, way: tuple[Any, ...], other: Any) -> Any:
    changed = copy.deepcopy(value)
    inner = changed
    for step in way[:-1]:
        inner = inner[step]
    inner[way[-1]] = other
    return changed


def problems(document: Any, files: dict[str, str], environment: dict[str, str]) -> tuple[Problem, ...]:
    try:
        return load_bundle(Bundle("main.yaml", {"main.yaml": json.dumps(document), **files}), environment).warnings
    except ConfigErrors as errors:
        return errors.problems


@pytest.mark.parametrize("name", [*NAMES, "native"])
def test_one_value_is_something_else(name: str) -> None:
    files: dict[str, str] = {}
    environment = {
        "PENSTOCK_MASTER_KEY": "sk-fake",
        "AZURE_API_KEY": "k",
        "OPENAI_API_KEY": "k",
        "TEAM_A_KEY": "k-fake",
    }
    document = (
        native() if name == "native" else plain(parse((FOLDER / f"{name}.yaml").read_text(encoding="utf-8"), "f"))
    )
    if name != "native":
        lines = (FOLDER / f"{name}.env").read_text(encoding="utf-8").splitlines()
        environment = {key: value for key, _, value in (line.partition("=") for line in lines)}
        files = {path.name: path.read_text(encoding="utf-8") for path in FOLDER.glob(f"{name}_*.yaml")}
    for way in list(ways(document)):
        for other in OTHERS:
            for problem in problems(replaced(document, way, other), files, environment):
                assert problem.place is not None, f"{way} = {other!r}: {problem}"
