"""Which drivers there are, what each can be told, and what a driver remembers of its host."""

from __future__ import annotations

import argparse
import asyncio
from pathlib import Path

import pytest

from penstock.agents.sandboxes.docker import DockerDriver
from penstock.agents.sandboxes.driver import HostLacks, InvalidSpec
from penstock.agents.sandboxes.registry import DRIVERS, Choice, made
from penstock.cli import drivers


def chosen(*words: str, **environment: str) -> Choice:
    parser = argparse.ArgumentParser()
    drivers.add_arguments(parser)
    return drivers.chosen(parser.parse_args(words), environment)


def test_rows_and_handles_call_a_driver_as_its_user_does(tmp_path: Path) -> None:
    assert {name: made(tmp_path / name, Choice(name)).kind for name in DRIVERS} == {name: name for name in DRIVERS}
    assert {name: made(tmp_path / name, Choice(name)).has_images for name in DRIVERS} == {
        "local": False,
        "docker": True,
    }


def test_a_driver_is_told_what_it_needs(tmp_path: Path) -> None:
    driver = made(tmp_path, Choice("docker", "debian", "unix:///run/engine.sock"))
    assert isinstance(driver, DockerDriver)
    assert (driver.image, driver.engine.socket) == ("debian", "/run/engine.sock")


@pytest.mark.parametrize(
    ("choice", "error", "fix"),
    [
        (Choice("podman"), InvalidSpec, "choose one of: local, docker"),
        (Choice("local", "debian"), InvalidSpec, "--driver docker"),
        (Choice("local", engine="/run/engine.sock"), InvalidSpec, "--driver docker"),
        (Choice("docker", engine="tcp://192.0.2.1:2375"), HostLacks, "beside the engine"),
    ],
)
def test_what_a_driver_cannot_have_is_refused(choice: Choice, error: type[Exception], fix: str, tmp_path: Path) -> None:
    with pytest.raises(error) as refused:
        made(tmp_path, choice)
    assert fix in refused.value.fix  # type: ignore[attr-defined]


def test_an_image_chooses_the_driver_that_has_images() -> None:
    host = "unix:///run/engine.sock"
    assert chosen() == chosen(DOCKER_HOST=host) == Choice("local")
    assert chosen("--image", "debian") == Choice("docker", "debian")
    assert chosen("--driver", "docker", DOCKER_HOST=host) == Choice("docker", engine=host)
    assert chosen("--driver", "docker", "--engine", "/e.sock", DOCKER_HOST=host) == Choice("docker", engine="/e.sock")
    assert chosen("--driver", "local", "--image", "debian", DOCKER_HOST=host) == Choice("local", "debian")


def test_a_host_that_could_not_be_asked_once_is_asked_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A helper that was killed while it tried the filter says nothing about the host."""
    said: list[str | None] = ["a helper of the sandbox was killed", None]

    async def offers(what: str, **more: str) -> str | None:
        return said.pop(0)

    monkeypatch.setattr("penstock.agents.sandboxes.docker.driver.os.geteuid", lambda: 0)

    async def test() -> None:
        driver = DockerDriver(tmp_path, engine=str(tmp_path / "nothing"))
        driver.offers = offers  # type: ignore[method-assign]
        with pytest.raises(HostLacks, match="cannot filter"):
            await driver.prepare()
        for _ in range(2):  # a yes is remembered
            with pytest.raises(HostLacks, match="no engine answers"):
                await driver.prepare()
        await driver.close()

    asyncio.run(test())
    assert not said
