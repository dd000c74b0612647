"""The gate: hosts, origins, tokens in addresses, tickets, sizes."""

import asyncio
from pathlib import Path
from typing import Any

import pytest

from penstock.agents.api.application import create_app
from penstock.agents.api.gate import MOST_BYTES, MOST_FILE_BYTES, most_bytes
from tests.unit.agents.api.test_every_route import run
from tests.unit.agents.api.world import World, error_of


async def status(world: World, **headers: str) -> int:
    async with await world.client() as client:
        return (await client.get("/v1/agents", headers=headers)).status_code


GOOD_HOSTS = ["localhost", "localhost:8000", "127.0.0.1", "127.0.0.1:1", "[::1]", "[::1]:8000", "LOCALHOST:80"]
BAD_HOSTS = [
    *("evil.example", "localhost.evil.example", "127.0.0.1.nip.example", "evil.example:8000", "localhost:x", ""),
    *("localhost:80@evil.example", "[::1", "::1", "localhost,evil.example", "localhost.", "0.0.0.0", "localhost:"),
]


@pytest.mark.parametrize("host", GOOD_HOSTS)
def test_hosts_of_this_server(host: str, tmp_path: Path) -> None:
    async def scene(world: World) -> None:
        assert await status(world, host=host) == 200

    run(tmp_path, scene)


@pytest.mark.parametrize("host", BAD_HOSTS)
def test_other_hosts(host: str, tmp_path: Path) -> None:
    async def scene(world: World) -> None:
        assert await status(world, host=host) == 403

    run(tmp_path, scene)


@pytest.mark.parametrize("path", ["/v1/agents", "/openapi.json", "/v1/health", "/nothing"])
def test_open_paths_have_no_other_hosts_either(path: str, tmp_path: Path) -> None:
    async def scene(world: World) -> None:
        async with await world.client() as client:
            response = await client.get(path, headers={"host": "evil.example"})
            assert (response.status_code, error_of(response)["code"]) == (403, "bad_host")

    run(tmp_path, scene)


@pytest.mark.parametrize(
    ("origin", "expected"),
    [
        *[("http://localhost:8000", 200), ("https://localhost:8000", 200), ("https://console.example", 200)],
        *[("https://evil.example", 403), ("null", 403), ("http://localhost", 403), ("http://localhost:8001", 403)],
        *[("https://console.example.evil.example", 403), ("", 403), ("file://", 403)],
    ],
)
def test_origins(origin: str, expected: int, tmp_path: Path) -> None:
    async def scene(world: World) -> None:
        world.app = create_app(world.service, origins=["https://console.example"])
        assert await status(world, host="localhost:8000", origin=origin) == expected

    run(tmp_path, scene)


def test_a_page_of_another_site_without_an_origin(tmp_path: Path) -> None:
    """Browsers leave out Origin on some requests, and say the site instead."""

    async def scene(world: World) -> None:
        assert await status(world, **{"sec-fetch-site": "cross-site"}) == 403
        assert await status(world, **{"sec-fetch-site": "same-origin"}) == 200

    run(tmp_path, scene)


def test_a_browser_is_told_which_pages_may_read(tmp_path: Path) -> None:
    async def scene(world: World) -> None:
        page, ask = "https://console.example", {"access-control-request-method": "PATCH"}
        async with world.with_secret(None) as browser:
            assert (await browser.options("/v1/agents", headers={"origin": page, **ask})).status_code == 403
        world.app = create_app(world.service, origins=[page])
        async with world.with_secret(None) as browser, await world.client() as client:
            told = await browser.options("/v1/agents", headers={"origin": page, **ask})
            assert (told.status_code, told.headers["access-control-allow-origin"]) == (200, page)
            read = await client.get("/v1/agents", headers={"origin": page})
            assert read.headers["access-control-allow-origin"] == page
            refused = await browser.get("/v1/agents", headers={"origin": page})
            assert (refused.status_code, refused.headers["access-control-allow-origin"]) == (401, page)
            evil = await browser.options("/v1/agents", headers={"origin": "https://evil.example", **ask})
            assert evil.status_code == 400 and "access-control-allow-origin" not in evil.headers

    run(tmp_path, scene)


def test_a_host_with_a_port_means_that_port(tmp_path: Path) -> None:
    async def scene(world: World) -> None:
        world.app = create_app(world.service, hosts=["api.example:8443"])
        assert await status(world, host="api.example:8443") == 200
        assert await status(world, host="api.example:8444") == 403
        assert await status(world, host="localhost") == 403

    run(tmp_path, scene)


@pytest.mark.parametrize("name", ["token", "access_token", "api_key", "key", "Authorization", "TOKEN"])
def test_no_token_in_an_address(name: str, tmp_path: Path) -> None:
    """Not even beside a good one: it would be in the logs all the same."""

    async def scene(world: World) -> None:
        _, secret = await world.service.mint_token("alice", "t", ["agents:read"])
        for client in (world.with_secret(secret), world.with_secret(None)):
            async with client:
                response = await client.get("/v1/agents", params={name: secret})
                assert (response.status_code, error_of(response)["code"]) == (400, "token_in_query")
                assert secret not in response.text

    run(tmp_path, scene)


def test_tokens_that_do_not_stand_any_more(tmp_path: Path) -> None:
    async def scene(world: World) -> None:
        token, secret = await world.service.mint_token("alice", "t", ["agents:read"], seconds=10)
        async with world.with_secret(secret) as client:
            assert (await client.get("/v1/agents")).status_code == 200
            world.clock.forward(10)
            assert (await client.get("/v1/agents")).status_code == 401
        token, secret = await world.service.mint_token("alice", "t", ["agents:read"])
        async with world.with_secret(secret) as client:
            world.store.revoke_token(token.id, world.clock())
            assert (await client.get("/v1/agents")).status_code == 401
        async with world.with_secret(None, authorization=f"Basic {secret}") as client:
            assert (await client.get("/v1/agents")).status_code == 401

    run(tmp_path, scene)


# -- tickets ----------------------------------------------------------------------------------------------------------


def test_a_ticket_stands_once_for_its_path(tmp_path: Path) -> None:
    async def scene(world: World) -> None:
        path = f"/v1/sessions/{world.ids['sessions']}/events"
        async with await world.client() as client, world.with_secret(None) as stranger:
            tickets = [(await client.post("/v1/tickets", json={"path": path})).json()["ticket"] for _ in range(3)]
            assert (await stranger.get(path, params={"ticket": tickets[0]})).status_code == 200
            assert (await stranger.get(path, params={"ticket": tickets[0]})).status_code == 401
            assert (await stranger.get("/v1/agents", params={"ticket": tickets[1]})).status_code == 401
            assert (await stranger.get(path, params={"ticket": tickets[1]})).status_code == 401, "it is used up"
            world.clock.forward(30)
            assert (await stranger.get(path, params={"ticket": tickets[2]})).status_code == 401
            assert (await client.get(path, params={"ticket": "tkt_x"})).status_code == 400, "one of them is enough"

    run(tmp_path, scene)


def test_a_ticket_of_a_token_that_was_revoked(tmp_path: Path) -> None:
    async def scene(world: World) -> None:
        token, secret = await world.service.mint_token("alice", "t", ["agents:read"])
        async with world.with_secret(secret) as client, world.with_secret(None) as stranger:
            ticket = (await client.post("/v1/tickets", json={"path": "/v1/agents"})).json()["ticket"]
            world.store.revoke_token(token.id, world.clock())
            assert (await stranger.get("/v1/agents", params={"ticket": ticket})).status_code == 401

    run(tmp_path, scene)


def test_of_two_who_come_with_one_ticket_one_is_let_in(tmp_path: Path) -> None:
    async def scene(world: World) -> None:
        path = f"/v1/sessions/{world.ids['sessions']}/events"
        async with await world.client() as client, world.with_secret(None) as stranger:
            ticket = (await client.post("/v1/tickets", json={"path": path})).json()["ticket"]
            both = await asyncio.gather(*(stranger.get(path, params={"ticket": ticket}) for _ in range(8)))
            assert sorted(each.status_code for each in both) == [200, *[401] * 7]

    run(tmp_path, scene)


# -- sizes and shapes -------------------------------------------------------------------------------------------------


def test_bodies_have_a_cap(tmp_path: Path) -> None:
    async def chunks(size: int) -> Any:
        for _ in range(0, size, 65536):
            yield b"x" * 65536

    async def scene(world: World) -> None:
        json = {"content-type": "application/json"}
        async with await world.client() as client:
            said = await client.post("/v1/agents", content=b"x" * (MOST_BYTES + 1), headers=json)
            streamed = await client.post("/v1/agents", content=chunks(MOST_BYTES + 65536), headers=json)
            for response in (said, streamed):
                assert (response.status_code, error_of(response)["code"]) == (413, "too_large")

    run(tmp_path, scene)


def test_files_may_be_larger() -> None:
    assert most_bytes("/v1/sessions/ses_x/files") == MOST_FILE_BYTES > most_bytes("/v1/sessions") == MOST_BYTES


@pytest.mark.parametrize(
    ("body", "headers", "message", "param"),
    [
        (b"{", {}, "no JSON", None),
        (b"", {}, "no JSON", None),
        (b"\xff", {}, "no JSON", None),
        (b"[]", {}, "expected `object`", None),
        (b'{"options":{"a":' + b"[" * 100_000 + b"]" * 100_000 + b"}}", {}, "nested too deeply", None),
        (b'{"name":"\\ud800","harness":"loop"}', {}, "no JSON", None),
        (b'{"name":"x","harness":"loop","options":{"a":1e999}}', {}, "out of range", "options[...]"),
        (b'{"name":"x","harness":"loop","options":{"a":NaN}}', {}, "no JSON", None),
        (b'{"name":"x"}', {}, "missing required field `harness`", None),
        (b'{"name":"x","harness":"loop","colour":1}', {}, "unknown field `colour`", None),
        (b'{"name":5,"harness":"loop"}', {}, "expected `str`, got `int`", "name"),
        (b'{"name":"x","harness":"loop","budget":{"tokens":0}}', {}, ">= 1", "budget.tokens"),
        (b'{"name":"x","harness":"loop","budget":{"dollars":"-1"}}', {}, "from 0 to 9,000,000", "budget"),
        (b'{"name":"x","harness":"loop"}', {"content-type": "text/plain"}, "must be JSON", "content-type"),
    ],
)
def test_what_is_wrong_with_a_body_is_named(
    body: bytes, headers: dict[str, str], message: str, param: str | None, tmp_path: Path
) -> None:
    async def scene(world: World) -> None:
        async with await world.client() as client:
            given = {"content-type": "application/json", **headers}
            response = await client.post("/v1/agents", content=body, headers=given)
            error = error_of(response)
            assert response.status_code == 400 and message in error["message"] and error["param"] == param, error

    run(tmp_path, scene)


def test_answers_may_not_be_kept(tmp_path: Path) -> None:
    async def scene(world: World) -> None:
        async with await world.client() as client:
            for path in ("/v1/agents", "/v1/tokens", f"/v1/sessions/{world.ids['sessions']}/events", "/v1/x"):
                assert (await client.get(path)).headers["cache-control"] == "no-store"

    run(tmp_path, scene)
