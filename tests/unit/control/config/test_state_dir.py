"""The state directory that a configuration names, read before anything else of it."""

from __future__ import annotations

from pathlib import Path

import pytest

from penstock.control.config.state_dir import configured_state_dir


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("general: {state_dir: /var/lib/penstock}", "/var/lib/penstock"),
        ("general: {state_dir: state}", "{folder}/state"),
        ("general: {state_dir: env:WHERE}", "/from/environment"),
        ("include: [more.yaml]", "/from/included"),
        ("general: {state_dir: env:NOWHERE}", None),
        ("general: {state_dir: [a]}", None),
        ("general: [state_dir]", None),
        ("models: []", None),
        ("general: {state_dir: ", None),
        ("model_list: []\ngeneral_settings: {master_key: os.environ/NOWHERE}", None),
    ],
)
def test_it_is_read_alone(tmp_path: Path, text: str, expected: str | None) -> None:
    file = tmp_path / "penstock.yaml"
    file.write_text(text)
    (tmp_path / "more.yaml").write_text("general: {state_dir: /from/included}")
    found = configured_state_dir(file, {"WHERE": "/from/environment"})
    assert found == (None if expected is None else Path(expected.format(folder=tmp_path)))


def test_a_file_that_is_not_there_names_none(tmp_path: Path) -> None:
    assert configured_state_dir(tmp_path / "none.yaml", {}) is None
