"""Golden LiteLLM configurations: what each comes to, and all that is said of what is not honoured.

NAME.yaml is read with the variables of NAME.env (and no others); NAME.json is what must come out. Of the snapshot it
has what differs from an empty one. Prices and windows that the fact sheet fills in are not of it: they change by
themselves.

After a change that is meant, write them anew and read the difference:  python -m tests.golden.test_litellm_configs
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import msgspec
import pytest

from penstock.control.config.load import load
from penstock.control.config.loaded import ControlSettings, Loaded, Probe
from penstock.gateway.snapshot import Endpoint, Snapshot
from penstock.routing.deployment import Deployment

FOLDER = Path(__file__).parent / "config"
NAMES = sorted(path.stem for path in FOLDER.glob("*.env"))
FACTS = frozenset({"price", "input_price", "cached_price", "max_input"})


def read(name: str) -> Loaded:
    lines = (FOLDER / f"{name}.env").read_text(encoding="utf-8").splitlines()
    environment = {key: value for key, _, value in (line.partition("=") for line in lines)}
    return load(FOLDER / f"{name}.yaml", environment)


def shown(found: Loaded) -> dict[str, Any]:
    return {
        "snapshot": without_defaults(found.snapshot),
        "control": without_defaults(found.control),
        "probes": {name: without_defaults(probe) for name, probe in found.probes.items()},
        "access_groups": msgspec.to_builtins(found.access_groups),
        "master_key": [found.master_key, found.master_key_source],
        "secrets": list(found.secrets),
        "files": list(found.files),
        "warnings": [str(each) for each in found.warnings],
    }


def without_defaults(struct: Any) -> dict[str, Any]:
    """The fields that say something, of structs within too."""
    found: dict[str, Any] = {}
    defaults = struct.__struct_defaults__
    fields = struct.__struct_fields__
    for number, name in enumerate(fields):
        value = getattr(struct, name)
        place = number - (len(fields) - len(defaults))
        if isinstance(struct, Deployment) and name in FACTS:
            continue
        if place >= 0 and value in (defaults[place], {}, ()):
            continue
        if isinstance(value, tuple) and value and isinstance(value[0], Deployment | Endpoint):
            found[name] = [without_defaults(each) for each in value]
        elif isinstance(value, msgspec.Struct):
            found[name] = without_defaults(value)
        else:
            found[name] = msgspec.to_builtins(value)
    return {name: value for name, value in found.items() if value not in ({}, [])}


@pytest.mark.parametrize("name", NAMES)
def test_a_configuration_comes_to_what_is_written_down(name: str) -> None:
    golden = json.loads((FOLDER / f"{name}.json").read_text(encoding="utf-8"))
    assert json.loads(json.dumps(shown(read(name)))) == golden


@pytest.mark.parametrize("name", NAMES)
def test_every_warning_names_its_line(name: str) -> None:
    for warning in read(name).warnings:
        assert warning.place is not None
        line = (FOLDER / warning.place.file).read_text(encoding="utf-8").splitlines()[warning.place.line - 1]
        key = warning.path.rpartition(".")[2].partition("[")[0]
        assert key in line or "[" in warning.path, str(warning)


def test_defaults_are_known() -> None:
    """What is left out of the golden files is a default, and nothing else."""
    assert without_defaults(Snapshot(version=0)) == {"version": 0}
    assert without_defaults(ControlSettings()) == {}
    assert without_defaults(Probe(every=1, timeout=2)) == {"every": 1, "timeout": 2}


if __name__ == "__main__":
    for each in NAMES:
        text = json.dumps(shown(read(each)), indent=2, ensure_ascii=False)
        (FOLDER / f"{each}.json").write_text(f"{text}\n", encoding="utf-8")
