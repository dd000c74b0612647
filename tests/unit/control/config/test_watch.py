"""A change of the files is handed over once it is whole: not half-written, not twice, not while an editor renames."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from penstock.control.config.bundle import Bundle, read_bundle
from penstock.control.config.problems import ConfigErrors
from penstock.control.config.watch import PATIENCE, Watcher

ONE, TWO = "aliases: {}\n", "aliases: {}\nmodels: []\n"


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "penstock.yaml"
    path.write_text(ONE)
    return path


def watcher(file: Path) -> Watcher:
    return Watcher(file, read_bundle(file))


def looks(watching: Watcher, times: int = 3) -> list[Bundle | ConfigErrors]:
    """What so many looks found."""
    return [found for found in (watching.look() for _ in range(times)) if found is not None]


def texts(found: list[Bundle | ConfigErrors]) -> list[str]:
    return [each.files[each.main] if isinstance(each, Bundle) else str(each) for each in found]


def test_nothing_changed(file: Path) -> None:
    assert looks(watcher(file), 20) == []


def test_a_change_is_handed_over_once(file: Path) -> None:
    watching = watcher(file)
    file.write_text(TWO)
    assert watching.look() is None  # it may be half of it
    assert texts(looks(watching, 10)) == [TWO]


def test_a_file_that_grows_is_waited_for(file: Path) -> None:
    watching = watcher(file)
    for length in range(len(ONE), len(TWO) + 1, 3):
        file.write_text(TWO[:length])
        assert watching.look() is None
    file.write_text(TWO)
    assert texts(looks(watching, 5)) == [TWO]


def test_a_file_that_is_renamed_over_it(file: Path, tmp_path: Path) -> None:
    watching = watcher(file)
    other = tmp_path / "penstock.yaml.swp"
    other.write_text(TWO)
    os.utime(other, ns=(file.stat().st_atime_ns, file.stat().st_mtime_ns))
    other.rename(file)
    assert texts(looks(watching)) == [TWO]


def test_a_file_that_is_gone_while_an_editor_saves(file: Path) -> None:
    watching = watcher(file)
    file.unlink()
    assert looks(watching, PATIENCE) == []
    file.write_text(TWO)
    assert texts(looks(watching)) == [TWO]


def test_a_file_that_stays_away_is_said_once(file: Path) -> None:
    watching = watcher(file)
    file.unlink()
    (found,) = looks(watching, 3 * PATIENCE)
    assert isinstance(found, ConfigErrors)
    assert "cannot be read" in str(found)
    file.write_text(ONE)
    assert texts(looks(watching, 4)) == [ONE]


def test_the_same_text_is_no_change(file: Path) -> None:
    watching = watcher(file)
    file.write_text(ONE)
    os.utime(file)
    assert looks(watching, 5) == []


def test_what_is_no_yaml_is_said_once_and_then_mended(file: Path) -> None:
    watching = watcher(file)
    file.write_text("a: [")
    (found,) = looks(watching, 6)
    assert isinstance(found, ConfigErrors)
    file.write_text(TWO)
    assert texts(looks(watching, 6)) == [TWO]


def test_included_files_are_watched(file: Path, tmp_path: Path) -> None:
    inner = tmp_path / "a.yaml"
    inner.write_text(ONE)
    file.write_text("include: [a.yaml]\n")
    watching = watcher(file)
    inner.write_text(TWO)
    (found,) = looks(watching, 5)
    assert isinstance(found, Bundle)
    assert found.files["a.yaml"] == TWO


def test_a_file_that_is_newly_included_is_watched_from_then_on(file: Path, tmp_path: Path) -> None:
    inner = tmp_path / "a.yaml"
    inner.write_text(ONE)
    watching = watcher(file)
    file.write_text("include: [a.yaml]\n")
    (found,) = looks(watching, 6)
    assert isinstance(found, Bundle)
    assert found.files["a.yaml"] == ONE
    inner.write_text(TWO)
    (again,) = looks(watching, 6)
    assert isinstance(again, Bundle)
    assert again.files["a.yaml"] == TWO


def test_links_into_a_volume_are_followed(tmp_path: Path) -> None:
    """As Kubernetes mounts a ConfigMap: the folder behind the link is swapped."""
    for name, text in (("one", ONE), ("two", TWO)):
        (tmp_path / name).mkdir()
        (tmp_path / name / "penstock.yaml").write_text(text)
    data = tmp_path / "..data"
    data.symlink_to("one")
    file = tmp_path / "penstock.yaml"
    file.symlink_to("..data/penstock.yaml")
    watching = watcher(file)
    data.unlink()
    data.symlink_to("two")
    assert texts(looks(watching)) == [TWO]


def test_what_was_applied_by_somebody_else_is_not_handed_over(file: Path) -> None:
    watching = watcher(file)
    file.write_text(TWO)
    watching.applied(read_bundle(file))
    assert looks(watching, 5) == []


def test_a_configuration_that_could_not_be_read_at_first(tmp_path: Path) -> None:
    file = tmp_path / "later.yaml"
    watching = Watcher(file, None)
    assert looks(watching, 3) == []
    file.write_text(ONE)
    assert texts(looks(watching, 4)) == [ONE]
