"""Every route with every kind of stranger: generated from the routes, so that a new one cannot be forgotten.

nobody                401
a token of no scope   403
another owner         404, and the same words as for what is nowhere
an agent's token      never what would change rules, secrets, agents, tokens; never another's session
"""

import asyncio
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from penstock.agents.api.application import ROUTERS
from penstock.agents.api.gate import OPEN
from penstock.agents.events import Move
from penstock.agents.ids import SESSION, mint
from penstock.agents.machine import Cause, Reason
from tests.support.agents import ALL_SCOPES, NOON
from tests.unit.agents.api.world import BINDING, World, error_of

BODIES: dict[str, Any] = {
    "POST /v1/agents": {"name": "n", "harness": "loop"},
    "PATCH /v1/agents/{id}": {"model": "m"},
    "POST /v1/environments": {"name": "n"},
    "PATCH /v1/environments/{id}": {"image": "i"},
    "POST /v1/sessions": {"agent": "{agents}", "environment": "{environments}"},
    "POST /v1/sessions/{id}/messages": {"text": "hello"},
    "POST /v1/sessions/{id}/fork": {"number": 1},
    "POST /v1/sessions/{id}/approvals": {"about": "tool", "summary": "may I?"},
    "POST /v1/plans": {"session": "{sessions}", "title": "t"},
    "PATCH /v1/plans/{id}": {"title": "t"},
    "POST /v1/plans/{id}/steps": {"steps": [{"id": "two", "title": "Two"}]},
    "PATCH /v1/plans/{id}/steps/{step}": {"state": "running"},
    "POST /v1/approvals/{id}/decide": {"decision": "approved"},
    "PUT /v1/secrets/{name}": {"value": "fake-value-0123456789", "bindings": [BINDING]},
    "POST /v1/secrets/{name}/rotate": {"value": "fake-value-of-another-kind"},
    "POST /v1/tokens": {"name": "n", "scopes": ["sessions:read"]},
    "POST /v1/tickets": {"path": "/v1/sessions"},
}
OF_SESSIONS_FOR_AGENTS = {
    *("GET /v1/sessions", "GET /v1/sessions/{id}", "GET /v1/sessions/{id}/events", "GET /v1/approvals"),
    *("GET /v1/sessions/{id}/events/stream", "GET /v1/sessions/{id}/approvals", "GET /v1/approvals/{id}"),
    *("POST /v1/sessions/{id}/approvals", "GET /v1/sessions/{id}/files", "GET /v1/sessions/{id}/diff"),
    *("GET /v1/sessions/{id}/artifacts", "GET /v1/sessions/{id}/artifacts/{artifact}", "POST /v1/tickets"),
    *("POST /v1/sessions", "GET /v1/sessions/{id}/team", "GET /v1/plans", "POST /v1/plans", "GET /v1/plans/{id}"),
    *("PATCH /v1/plans/{id}", "POST /v1/plans/{id}/steps", "PATCH /v1/plans/{id}/steps/{step}"),
    *("GET /v1/plans/{id}/events", "GET /v1/plans/{id}/events/stream"),
}
"""What an agent's token may call with its own session. (It may start workers: of its own agent's kind, in its
walls.)
"""


def routes() -> Iterator[str]:
    for router in ROUTERS:
        for route in router.routes:
            for method in sorted(getattr(route, "methods", None) or ()):
                yield f"{method} {route.path}"  # type: ignore[attr-defined]


ROUTES = sorted(routes())
WITH_ID = [route for route in ROUTES if "{id}" in route]


def filled(route: str, ids: dict[str, str]) -> tuple[str, str]:
    """Method and path, with the ids of one of everything."""
    method, path = route.split()
    family = path.split("/")[2]
    return method, path.format(
        id=ids.get(family, ""), version=ids["version"], artifact=ids["artifact"], step=ids["step"], name=ids["name"]
    )


def asked(route: str, ids: dict[str, str]) -> dict[str, Any]:
    """The rest of a good request."""
    if route.endswith("/files") and route.startswith("PUT"):
        return {"content": b"tar", "headers": {"content-type": "application/x-tar"}}
    body = BODIES.get(route)
    if body is None:
        return {}
    return {"json": {name: ids.get(str(value).strip("{}"), value) for name, value in body.items()}}


async def call(client: httpx.AsyncClient, route: str, ids: dict[str, str]) -> httpx.Response:
    method, path = filled(route, ids)
    async with client, client.stream(method, path, **asked(route, ids)) as response:
        await response.aread()
        return response


def run(folder: Path, scene: Any) -> None:
    async def play() -> None:
        world = await World(folder).fill()
        try:
            await scene(world)
        finally:
            await world.close()

    asyncio.run(play())


def test_every_body_belongs_to_a_route() -> None:
    assert set(BODIES) <= set(ROUTES) and set(ROUTES) >= OF_SESSIONS_FOR_AGENTS
    assert not {route.split()[1] for route in ROUTES} & OPEN
    needs = {route for route in ROUTES if route.startswith(("POST", "PATCH"))}
    without = {route for route in needs if re.search(r"/(interrupt|suspend|resume|terminate|revoke)$", route)}
    assert needs - without == {route for route in BODIES if not route.startswith("PUT")}


@pytest.mark.parametrize("route", ROUTES)
def test_nobody(route: str, tmp_path: Path) -> None:
    async def scene(world: World) -> None:
        for secret in (None, "", "pst_wrong", "Bearer", "pst_" + "x" * 5000):
            response = await call(world.with_secret(secret), route, world.ids)
            assert response.status_code == 401, secret
            assert error_of(response)["code"] == "unauthenticated"
            assert response.headers["www-authenticate"] == "Bearer"

    run(tmp_path, scene)


@pytest.mark.parametrize("route", [route for route in ROUTES if route != "POST /v1/tickets"])
def test_a_token_of_other_scopes(route: str, tmp_path: Path) -> None:
    """Scopes are looked at first: with none that it needs, even one's own is refused."""

    async def scene(world: World) -> None:
        other = frozenset({"agents:read" if "/secrets" in route else "secrets:read"})
        response = await call(await world.client(scopes=other), route, world.ids)
        assert response.status_code == 403, response.text
        assert error_of(response)["code"] == "missing_scope"

    run(tmp_path, scene)


@pytest.mark.parametrize("route", WITH_ID)
def test_another_owner(route: str, tmp_path: Path) -> None:
    """404, in the very words in which a thing that is nowhere is told; and nothing has happened."""

    async def scene(world: World) -> None:
        before = world.store.session(world.ids["sessions"])
        told = list(world.runner.told)
        response = await call(await world.client("bob"), route, world.ids)
        assert response.status_code == 404, response.text
        nowhere = {name: f"{id_[:4]}{'0' * 26}" for name, id_ in world.ids.items() if "_" in id_}
        missing = await call(await world.client("bob"), route, {**world.ids, **nowhere, "artifact": "art_1"})
        assert (missing.status_code, missing.text) == (404, response.text)
        assert (world.store.session(world.ids["sessions"]), world.runner.told) == (before, told)

    run(tmp_path, scene)


@pytest.mark.parametrize("route", [route for route in ROUTES if route.startswith("GET") and "{" not in route])
def test_another_owners_lists_are_empty(route: str, tmp_path: Path) -> None:
    async def scene(world: World) -> None:
        await world.secret()
        own = (await call(await world.client("alice"), route, world.ids)).json()["data"]
        theirs = (await call(await world.client("bob"), route, world.ids)).json()["data"]
        assert {each["owner"] for each in own} == {"alice"}
        assert {each["owner"] for each in theirs} <= {"bob"}

    run(tmp_path, scene)


def test_nobody_starts_a_session_with_what_is_anothers(tmp_path: Path) -> None:
    async def scene(world: World) -> None:
        response = await call(await world.client("bob"), "POST /v1/sessions", world.ids)
        assert response.status_code == 400
        assert error_of(response)["param"] == "agent"

    run(tmp_path, scene)


@pytest.mark.parametrize("route", ROUTES)
def test_an_agents_own_token(route: str, tmp_path: Path) -> None:
    """In its row stand all scopes, as if somebody had got at the database: it can do no more for that."""

    async def scene(world: World) -> None:
        if route.endswith("/stream"):  # the stream of what is over ends by itself
            world.store.append(world.ids["sessions"], [Move(Cause.TERMINATE, Reason.USER)], at=NOON)
        robot = await world.client(scopes=ALL_SCOPES, session=world.ids["sessions"])
        before = [world.store.definition("agent", world.ids["agents"]), len(world.store.tokens("alice").data)]
        response = await call(robot, route, world.ids)
        if route in OF_SESSIONS_FOR_AGENTS:
            assert response.status_code in (200, 201), response.text
        else:
            assert response.status_code == 403, response.text
        assert [world.store.definition("agent", world.ids["agents"]), len(world.store.tokens("alice").data)] == before

    run(tmp_path, scene)


@pytest.mark.parametrize("route", [route for route in WITH_ID if re.search("/(sessions|approvals|plans)/", route)])
def test_an_agents_token_and_another_session_of_its_owner(route: str, tmp_path: Path) -> None:
    async def scene(world: World) -> None:
        other = await world.session()
        robot = await world.client(scopes=ALL_SCOPES, session=other.id)
        assert (await call(robot, route, world.ids)).status_code in (403, 404)

    run(tmp_path, scene)


@pytest.mark.parametrize("route", WITH_ID)
def test_what_is_nowhere(route: str, tmp_path: Path) -> None:
    async def scene(world: World) -> None:
        for id_ in (mint(SESSION, NOON, lambda size: b"\0" * size), "x", "%2e%2e%2f", "a" * 500, "é"):
            nowhere = dict.fromkeys(("agents", "environments", "sessions", "approvals", "plans", "tokens"), id_)
            response = await call(await world.client(), route, {**world.ids, **nowhere})
            assert response.status_code in (404, 405), (id_, response.text)

    run(tmp_path, scene)
