"""Secrets over the API go in, and nothing leads out: not an answer, not an error, not the log of the server."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from penstock.vault.api import open_secrets
from tests.support.agents import ALL_SCOPES
from tests.unit.agents.api.world import BINDING, World, error_of

VALUE = "fake-value-Qx77mNv8LwZr"
GOOD: dict[str, Any] = {
    "value": VALUE, "env": "API_TOKEN", "bindings": [BINDING]
}  # fmt: skip


def run(folder: Path, scene: Callable[[World], Awaitable[None]]) -> None:
    async def play() -> None:
        world = await World(folder).fill()
        try:
            await scene(world)
        finally:
            await world.close()

    asyncio.run(play())


def test_a_value_goes_in_and_never_comes_out(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)

    async def scene(world: World) -> None:
        async with await world.client() as client:
            answers = [
                await client.put("/v1/secrets/API", json=GOOD),
                await client.get("/v1/secrets/API"),
                await client.get("/v1/secrets"),
                await client.post("/v1/secrets/API/rotate", json={"value": VALUE + "-2"}),
                await client.post("/v1/secrets/API/revoke"),
            ]
            assert [answer.status_code for answer in answers] == [200] * 5, [answer.text for answer in answers]
            made, _, listed, rotated, revoked = (answer.json() for answer in answers)
            assert (made["version"], made["env"], made["bindings"]) == (1, "API_TOKEN", GOOD["bindings"])
            assert [each["name"] for each in listed["data"]] == ["API"]
            assert rotated["version"] == 2 and rotated["fingerprint"] != made["fingerprint"]
            assert revoked["revoked_at"] is not None
            assert (await client.delete("/v1/secrets/API")).status_code == 204
            assert error_of(await client.get("/v1/secrets/API"))["code"] == "no_such_secret"
            assert VALUE not in "".join(answer.text for answer in answers) + caplog.text

    run(tmp_path, scene)


WRONG: dict[str, dict[str, Any]] = {
    "no value": {"bindings": GOOD["bindings"]},
    "an empty value": {**GOOD, "value": ""},
    "no binding": {**GOOD, "bindings": []},
    "a binding that is none": {**GOOD, "bindings": ["anywhere"]},
    "a variable that is none": {**GOOD, "env": "no variable"},
    "a kind that is none": {**GOOD, "kind": "no-such-kind"},
    "a source, which the server would read": {**GOOD, "source": "file:/etc/shadow"},
    "a number for a value": {**GOOD, "value": 5},
}


@pytest.mark.parametrize("body", WRONG.values(), ids=WRONG.keys())
def test_what_is_wrong_is_named_and_nothing_is_kept(body: dict[str, Any], tmp_path: Path) -> None:
    async def scene(world: World) -> None:
        async with await world.client() as client:
            answer = await client.put("/v1/secrets/API", json=body)
            assert answer.status_code == 400 and error_of(answer)["message"]
            assert VALUE not in answer.text
            assert (await client.get("/v1/secrets/API")).status_code == 404

    run(tmp_path, scene)


def test_one_owners_are_not_anothers(tmp_path: Path) -> None:
    async def scene(world: World) -> None:
        await world.secret()
        async with await world.client("bob") as bob:
            assert (await bob.get("/v1/secrets")).json()["data"] == []
            for method, path in (("GET", ""), ("DELETE", ""), ("POST", "/revoke")):
                assert (await bob.request(method, f"/v1/secrets/TOKEN{path}")).status_code == 404
            await bob.put("/v1/secrets/TOKEN", json=GOOD)
        async with await world.client() as alice:
            assert (await alice.get("/v1/secrets/TOKEN")).json()["version"] == 1, "it is hers still"

    run(tmp_path, scene)


def test_no_agent_touches_them(tmp_path: Path) -> None:
    async def scene(world: World) -> None:
        async with await world.client(scopes=ALL_SCOPES, session=world.ids["sessions"]) as agent:
            for method, path in (("GET", ""), ("GET", "/TOKEN"), ("PUT", "/TOKEN"), ("DELETE", "/TOKEN")):
                body = GOOD if method == "PUT" else None
                assert (await agent.request(method, f"/v1/secrets{path}", json=body)).status_code == 403

    run(tmp_path, scene)


def test_the_first_owner_of_a_machine_has_those_of_its_commands(tmp_path: Path) -> None:
    async def scene(world: World) -> None:
        with open_secrets(world.vault.directory) as secrets:
            secrets.set("SAID", VALUE.encode(), bindings=GOOD["bindings"])
        async with await world.client("local") as client:
            assert [each["name"] for each in (await client.get("/v1/secrets")).json()["data"]] == ["SAID"]

    run(tmp_path, scene)


def test_a_server_without_a_vault_says_so(tmp_path: Path) -> None:
    async def scene(world: World) -> None:
        world.service.secrets._store = None
        async with await world.client() as client:
            assert (await client.get("/v1/secrets")).status_code == 503

    run(tmp_path, scene)
