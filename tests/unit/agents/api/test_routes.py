"""What the routes do, one after another: definitions, sessions, approvals, tokens, files, teams."""

import asyncio
import io
import json
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from penstock.agents.events import Cost, Move
from penstock.agents.machine import Cause, Reason, State
from penstock.agents.ports import Runner
from tests.support.agents import NOON, TO_IDLE, NotingRunner
from tests.unit.agents.api.test_every_route import run
from tests.unit.agents.api.world import World, error_of


def test_an_agents_versions(tmp_path: Path) -> None:
    async def scene(world: World) -> None:
        async with await world.client() as client:
            made = (await client.post("/v1/agents", json={"name": "a", "harness": "loop"})).json()
            path = f"/v1/agents/{made['id']}"
            changed = (await client.patch(path, json={"model": "m", "version": 1})).json()
            assert (changed["version"], changed["spec"]["model"], changed["spec"]["harness"]) == (2, "m", "loop")
            late = await client.patch(path, json={"model": "n", "version": 1})
            assert (late.status_code, error_of(late)["code"]) == (409, "version_conflict")
            assert (await client.get(f"{path}/versions/1")).json() == made
            assert (await client.get(f"{path}/versions/3")).status_code == 404
            first = (await client.get(f"{path}/versions", params={"limit": 1})).json()
            assert [each["version"] for each in first["data"]] == [2]
            rest = (await client.get(f"{path}/versions", params={"cursor": first["next"]})).json()
            assert (rest["data"], rest["next"]) == ([made], None)
            assert (await client.get("/v1/agents", params={"name": "a"})).json()["data"] == [changed]
            assert (await client.delete(path)).json()["archived_at"]
            assert (await client.get("/v1/agents", params={"name": "a"})).json()["data"] == []
            assert (await client.patch(path, json={"model": "x"})).status_code == 409

    run(tmp_path, scene)


def test_a_session_pins_the_versions_that_it_began_with(tmp_path: Path) -> None:
    async def scene(world: World) -> None:
        agent, environment = world.ids["agents"], world.ids["environments"]
        async with await world.client() as client:
            await client.patch(f"/v1/agents/{agent}", json={"model": "new"})
            body = {"agent": agent, "environment": environment}
            newest = (await client.post("/v1/sessions", json=body)).json()
            old = (await client.post("/v1/sessions", json={**body, "agent_version": 1})).json()
            assert (newest["agent"]["version"], old["agent"]["version"]) == (2, 1)
            wrong = await client.post("/v1/sessions", json={**body, "agent_version": 3})
            assert (wrong.status_code, error_of(wrong)["param"]) == (400, "agent_version")

    run(tmp_path, scene)


def test_limits_are_the_tightest_of_agent_and_session(tmp_path: Path) -> None:
    async def scene(world: World) -> None:
        async with await world.client() as client:
            agent = {"name": "a", "harness": "loop", "budget": {"dollars": "2", "tokens": 100}}
            made = (await client.post("/v1/agents", json=agent)).json()
            body = {"agent": made["id"], "environment": world.ids["environments"]}
            session = (await client.post("/v1/sessions", json={**body, "limits": {"dollars": 5, "requests": 7}})).json()
            assert session["limits"] == {"dollars": "2", "tokens": 100, "requests": 7}

    run(tmp_path, scene)


def test_a_session_is_told_what_to_do(tmp_path: Path) -> None:
    """Each command is in the log before the runner hears of it."""

    async def scene(world: World) -> None:
        id_ = (await world.session(State.IDLE)).id
        path = f"/v1/sessions/{id_}"
        world.runner.told.clear()
        async with await world.client() as client:
            event = (await client.post(f"{path}/messages", json={"text": "hi", "files": ["a.py"]})).json()
            assert (event["number"], event["data"]["text"]) == (4, "hi")
            refused = await client.post(f"{path}/interrupt")
            assert refused.status_code == 409 and "it takes message, suspend, terminate" in error_of(refused)["fix"]
            world.store.append(id_, [Move(Cause.TURN_STARTED)], at=NOON)
            assert (await client.post(f"{path}/interrupt")).json()["state"] == "running"
            suspended = (await client.post(f"{path}/suspend")).json()
            assert (suspended["state"], suspended["reason"]) == ("suspended", "user")
            assert (await client.post(f"{path}/messages", json={"text": "x"})).status_code == 409
            assert (await client.post(f"{path}/resume")).json()["state"] == "starting"
            over = (await client.post(f"{path}/terminate")).json()
            assert (over["state"], over["stop_reason"]) == ("terminated", "user")
            assert (await client.post(f"{path}/terminate")).status_code == 409
            assert (await client.get(path)).json() == over
        assert [word for word, told in world.runner.told if told == id_] == [
            *("message", "interrupt", "suspend", "resume", "terminate"),
        ]

    run(tmp_path, scene)


def test_what_is_sent_again_with_its_key_changes_nothing(tmp_path: Path) -> None:
    async def scene(world: World) -> None:
        path = f"/v1/sessions/{world.ids['sessions']}"
        key = {"idempotency-key": "once"}
        async with await world.client() as client:
            first, again = [await client.post(f"{path}/messages", json={"text": "a"}, headers=key) for _ in range(2)]
            assert (first.status_code, first.json()) == (again.status_code, again.json())
            other = await client.post(f"{path}/messages", json={"text": "b"}, headers=key)
            assert (other.status_code, error_of(other)["code"]) == (422, "idempotency_key_reused")
            elsewhere = await client.post(f"{path}/suspend", headers=key)
            assert elsewhere.status_code == 422, "another route is another request"
            ended = [await client.post(f"{path}/terminate", headers={"idempotency-key": "end"}) for _ in range(2)]
            assert [each.status_code for each in ended] == [200, 200]
            for wrong in ("", "a b", "x" * 201, "ü"):
                headers = {"idempotency-key": wrong.encode()}
                assert (await client.post(f"{path}/suspend", headers=headers)).status_code == 400  # type: ignore[arg-type]
        async with await world.client("bob") as bob:
            body = {"name": "x", "harness": "loop"}
            assert (await bob.post("/v1/agents", json=body, headers=key)).status_code == 201, "keys are their owner's"
        robot = await world.client(session=world.ids["sessions"])
        async with robot:
            body = {"about": "tool", "summary": "may I?"}
            answer = await robot.post(f"{path}/approvals", json=body, headers=key)
            assert answer.status_code != 422, "an agent cannot use up its owner's keys"

    run(tmp_path, scene)


def test_a_runner_that_fails_changes_nothing_for_the_caller(tmp_path: Path) -> None:
    class Broken(NotingRunner):
        async def start(self, session: Any) -> None:
            raise RuntimeError("no sandbox")

    async def scene(world: World) -> None:
        runner: Runner = Broken()
        world.service._runner = runner
        async with await world.client() as client:
            body = {"agent": world.ids["agents"], "environment": world.ids["environments"], "message": "go"}
            made = await client.post("/v1/sessions", json=body)
            assert made.status_code == 201 and made.json()["last_message"] == 2
            found = world.store.session(made.json()["id"])
            assert found is not None and found.state is State.CREATED

    run(tmp_path, scene)


def test_forks(tmp_path: Path) -> None:
    async def scene(world: World) -> None:
        path = f"/v1/sessions/{world.ids['sessions']}"
        async with await world.client() as client:
            fork = (await client.post(f"{path}/fork", json={"number": 3, "message": "other"})).json()
            assert fork["forked_from"] == {"session": world.ids["sessions"], "number": 3}
            shared = (await client.get(f"{path}/events", params={"limit": 3})).json()["data"]
            own = (await client.get(f"/v1/sessions/{fork['id']}/events")).json()["data"]
            assert own[:3] == shared
            assert [each["data"]["kind"] for each in own[3:]] == ["status", "user_message"]
            beyond = await client.post(f"{path}/fork", json={"number": 999})
            assert (beyond.status_code, error_of(beyond)["param"]) == (400, "number")
        assert ("start", fork["id"]) in world.runner.told

    run(tmp_path, scene)


def test_the_log_in_pages(tmp_path: Path) -> None:
    async def scene(world: World) -> None:
        path = f"/v1/sessions/{world.ids['sessions']}/events"
        async with await world.client() as client:
            every = (await client.get(path)).json()["data"]
            found: list[Any] = []
            after: int | None = 0
            while after is not None:
                page = (await client.get(path, params={"after": after, "limit": 2})).json()
                found, after = [*found, *page["data"]], page["next"]
            assert found == every
            assert [each["number"] for each in every] == list(range(1, len(every) + 1))
            only = (await client.get(path, params={"kind": ["artifact", "cost"]})).json()["data"]
            assert [each["data"]["kind"] for each in only] == ["artifact"]
            for wrong in ({"kind": "x"}, {"after": "-1"}, {"limit": 0}, {"afer": 1}, {"after": 2**60}):
                assert (await client.get(path, params=wrong)).status_code == 400, wrong

    run(tmp_path, scene)


def test_an_approval_from_question_to_answer(tmp_path: Path) -> None:
    async def scene(world: World) -> None:
        path = f"/v1/sessions/{world.ids['sessions']}/approvals"
        rule = "POST https://api.example:443/x"
        world.clock.forward(1)
        async with await world.client(session=world.ids["sessions"]) as robot, await world.client() as client:
            ask = {"about": "proposal", "summary": "let me post", "rule": rule, "timeout_seconds": 60}
            asked = (await robot.post(path, json=ask)).json()
            assert (await robot.post(path, json=ask)).json() == asked, "it is open already"
            decide = f"/v1/approvals/{asked['id']}/decide"
            assert (await robot.post(decide, json={"decision": "approved"})).status_code == 403
            open_ones = (await client.get("/v1/approvals", params={"open": True})).json()["data"]
            assert [each["ask"]["rule"] for each in open_ones] == [rule, "GET https://h:443/*"]
            denied = (await client.post(decide, json={"decision": "denied", "note": "no"})).json()
            assert (denied["decision"], denied["remember"]) == ("denied", True)
            assert (await client.post(decide, json={"decision": "approved"})).status_code == 409
            assert (await robot.post(path, json=ask)).json() == denied, "no means no"
            late = (await robot.post(path, json={**ask, "rule": rule + "/y"})).json()
            world.clock.forward(60)
            expired = await client.post(f"/v1/approvals/{late['id']}/decide", json={"decision": "approved"})
            assert (expired.status_code, error_of(expired)["code"]) == (409, "expired")
            assert (await world.service.expire(late["id"])).decision == "expired"
        told = [word for word, _ in world.runner.told if word.startswith("decided")]
        assert told == ["decided denied", "decided expired"]

    run(tmp_path, scene)


def test_tokens_show_their_secret_once(tmp_path: Path) -> None:
    async def scene(world: World) -> None:
        async with await world.client() as client:
            made = await client.post("/v1/tokens", json={"name": "ci", "scopes": ["agents:read"]})
            secret, token = made.json()["secret"], made.json()["token"]
            assert secret not in (await client.get("/v1/tokens")).text
            async with world.with_secret(secret) as other:
                assert (await other.get("/v1/agents")).status_code == 200
                assert (await other.get("/v1/tokens")).status_code == 403
                assert (await client.delete(f"/v1/tokens/{token['id']}")).json()["revoked_at"]
                assert (await other.get("/v1/agents")).status_code == 401
        secrets.append((secret, token["id"]))

    secrets: list[tuple[str, str]] = []
    run(tmp_path, scene)
    written = b"".join(path.read_bytes() for path in tmp_path.iterdir() if path.is_file())
    ((secret, id_),) = secrets
    assert secret.encode() not in written and id_.encode() in written


@pytest.mark.parametrize(("scopes", "status"), [(["secrets:write"], 403), (["root"], 400), ([], 400)])
def test_nobody_gives_more_than_they_have(scopes: list[str], status: int, tmp_path: Path) -> None:
    async def scene(world: World) -> None:
        async with await world.client(scopes=frozenset({"tokens:write", "agents:read"})) as client:
            assert (await client.post("/v1/tokens", json={"name": "x", "scopes": scopes})).status_code == status

    run(tmp_path, scene)


def test_files_artifacts_and_the_diff(tmp_path: Path) -> None:
    async def scene(world: World) -> None:
        path = f"/v1/sessions/{world.ids['sessions']}"
        async with await world.client() as client:
            tar = await client.get(f"{path}/files")
            assert tar.content == b"tar of " + world.ids["sessions"].encode()
            assert tar.headers["content-disposition"] == "attachment"
            assert tar.headers["x-content-type-options"] == "nosniff"
            assert (await client.get(f"{path}/files", params={"path": "../x"})).status_code == 404
            body = io.BytesIO(b"x" * 100_000).getvalue()
            headers = {"content-type": "application/x-tar"}
            assert (await client.put(f"{path}/files", content=body, headers=headers)).json() == {"files": 1}
            assert world.files.unpacked == body
            assert (await client.put(f"{path}/files", content=b"{}")).status_code == 400
            assert (await client.get(f"{path}/diff")).text.startswith("--- a")
            listed = (await client.get(f"{path}/artifacts")).json()["data"]
            assert [each["data"]["name"] for each in listed] == ["a.txt"]
            assert (await client.get(f"{path}/artifacts/art_1")).content == b"a.txt"
            assert (await client.get(f"{path}/artifacts/art_2")).status_code == 404

    run(tmp_path, scene)


def test_a_server_without_files_says_so(tmp_path: Path) -> None:
    async def scene(world: World) -> None:
        world.service._files = None
        async with await world.client() as client:
            answer = await client.get(f"/v1/sessions/{world.ids['sessions']}/diff")
            assert (answer.status_code, error_of(answer)["code"]) == (503, "unavailable")

    run(tmp_path, scene)


# -- teams ------------------------------------------------------------------------------------------------------------


def test_a_supervisor_starts_workers_within_its_budget(tmp_path: Path) -> None:
    async def scene(world: World) -> None:
        async with await world.client() as client:
            body = {"agent": world.ids["agents"], "environment": world.ids["environments"]}
            boss = (await client.post("/v1/sessions", json={**body, "limits": {"dollars": "10"}})).json()
            async with await world.client(session=boss["id"]) as robot:
                unbound = await robot.post("/v1/sessions", json=body)
                assert (unbound.status_code, error_of(unbound)["code"]) == (403, "over_budget")
                made = await robot.post("/v1/sessions", json={**body, "limits": {"dollars": "6"}})
                worker = made.json()
                assert (made.status_code, worker["parent"]) == (201, boss["id"])
                more = await robot.post("/v1/sessions", json={**body, "limits": {"dollars": "4.01"}})
                assert (more.status_code, error_of(more)["code"]) == (403, "over_budget")
                world.store.append(worker["id"], [Cost(Decimal(1))], at=NOON)
                assert (await robot.post(f"/v1/sessions/{worker['id']}/terminate")).json()[
                    "stop_reason"
                ] == "supervisor"
                freed = await robot.post("/v1/sessions", json={**body, "limits": {"dollars": "9"}})
                assert freed.status_code == 201, "what a worker that is over has not used comes back"
                assert (await robot.post(f"/v1/sessions/{boss['id']}/terminate")).status_code == 403
                async with await world.client(session=freed.json()["id"]) as below:
                    nested = await below.post("/v1/sessions", json={**body, "limits": {"dollars": "1"}})
                    assert nested.status_code == 403, "a worker has no workers"
                ended = await client.post(f"/v1/sessions/{boss['id']}/terminate")
                assert ended.status_code == 200
                left = world.store.session(freed.json()["id"])
                assert left is not None and left.stop_reason == "supervisor", "it ends with its supervisor"
                assert (await robot.get(f"/v1/sessions/{boss['id']}")).status_code == 401, "its token ended, too"

    run(tmp_path, scene)


def test_a_worker_has_no_other_walls_or_secrets(tmp_path: Path) -> None:
    async def scene(world: World) -> None:
        async with await world.client() as client, await world.client(session=world.ids["sessions"]) as robot:
            rich = {"name": "rich", "harness": "loop", "credentials": ["GITHUB"]}
            agent = (await client.post("/v1/agents", json=rich)).json()["id"]
            open_walls = (await client.post("/v1/environments", json={"name": "open"})).json()["id"]
            body = {"agent": world.ids["agents"], "environment": world.ids["environments"]}
            assert (await robot.post("/v1/sessions", json=body)).status_code == 201
            for wrong in ({"agent": agent}, {"environment": open_walls}):
                assert (await robot.post("/v1/sessions", json={**body, **wrong})).status_code == 403, wrong

    run(tmp_path, scene)


def test_unknown_harnesses(tmp_path: Path) -> None:
    async def scene(world: World) -> None:
        world.service.definitions._harnesses = {"loop", "codex"}
        async with await world.client() as client:
            answer = await client.post("/v1/agents", json={"name": "x", "harness": "lop"})
            assert answer.status_code == 400 and "codex, loop" in error_of(answer)["fix"]
            agent = world.ids["agents"]
            assert (await client.patch(f"/v1/agents/{agent}", json={"harness": "x"})).status_code == 400

    run(tmp_path, scene)


def test_a_supervisor_starts_whom_its_agent_names(tmp_path: Path) -> None:
    async def scene(world: World) -> None:
        async with await world.client() as client:
            place = world.ids["environments"]
            helper = (await client.post("/v1/agents", json={"name": "helper", "harness": "loop"})).json()["id"]
            other = (await client.post("/v1/agents", json={"name": "other", "harness": "loop"})).json()["id"]
            boss = {"name": "boss", "harness": "loop", "workers": ["helper"], "budget": {"wall_seconds": 100}}
            agents = {
                "boss": (await client.post("/v1/agents", json=boss)).json()["id"],
                "nobody": (await client.post("/v1/agents", json={"name": "n", "harness": "loop"})).json()["id"],
            }
            sessions = {
                name: (await client.post("/v1/sessions", json={"agent": id_, "environment": place})).json()["id"]
                for name, id_ in agents.items()
            }
            async with await world.client(session=sessions["nobody"]) as robot:
                refused = await robot.post("/v1/sessions", json={"agent": helper, "environment": place})
                assert refused.status_code == 403 and "no supervisor" in error_of(refused)["message"]
                assert (await robot.get(f"/v1/sessions/{sessions['boss']}/team")).status_code == 404
            async with await world.client(session=sessions["boss"]) as robot:
                refused = await robot.post("/v1/sessions", json={"agent": other, "environment": place})
                assert refused.status_code == 403 and error_of(refused)["fix"] == "it may start helper"
                limits = {"wall_seconds": 5000}
                made = await robot.post("/v1/sessions", json={"agent": helper, "environment": place, "limits": limits})
                assert made.json()["limits"]["wall_seconds"] == 100, "no longer than its supervisor"
                team = (await robot.get(f"/v1/sessions/{sessions['boss']}/team")).json()
                assert [each["name"] for each in team["agents"]] == ["helper"] and team["left"]["dollars"] is None
                assert [each["id"] for each in team["workers"]] == [made.json()["id"]]
                world.store.append(sessions["boss"], [*TO_IDLE, Move(Cause.SUSPEND, Reason.USER)], at=NOON)
                asleep = await robot.post("/v1/sessions", json={"agent": helper, "environment": place})
                assert (asleep.status_code, error_of(asleep)["code"]) == (409, "conflict")

    run(tmp_path, scene)


def test_no_agent_wakes_what_an_alarm_has_frozen(tmp_path: Path) -> None:
    async def scene(world: World) -> None:
        async with await world.client() as client, await world.client(session=world.ids["sessions"]) as robot:
            body = {"agent": world.ids["agents"], "environment": world.ids["environments"]}
            worker = (await robot.post("/v1/sessions", json=body)).json()["id"]
            world.store.append(worker, [*TO_IDLE, Move(Cause.SUSPEND, Reason.FROZEN, "a stub was seen")], at=NOON)
            refused = await robot.post(f"/v1/sessions/{worker}/resume")
            assert refused.status_code == 403 and "frozen" in error_of(refused)["message"]
            assert (await client.post(f"/v1/sessions/{worker}/resume")).status_code == 200

    run(tmp_path, scene)


def test_two_workers_at_once_do_not_get_the_same_money(tmp_path: Path) -> None:
    async def scene(world: World) -> None:
        async with await world.client() as client:
            body = {"agent": world.ids["agents"], "environment": world.ids["environments"]}
            boss = (await client.post("/v1/sessions", json={**body, "limits": {"dollars": "10"}})).json()["id"]
            async with await world.client(session=boss) as robot:
                asked = [robot.post("/v1/sessions", json={**body, "limits": {"dollars": "4"}}) for _ in range(6)]
                answers = [answer.status_code for answer in await asyncio.gather(*asked)]
            assert sorted(answers) == [201, 201, 403, 403, 403, 403]
            assert (await client.get(f"/v1/sessions/{boss}/team")).json()["left"]["dollars"] == "2"

    run(tmp_path, scene)


# -- plans ------------------------------------------------------------------------------------------------------------


def test_a_plan_from_its_making_to_its_end(tmp_path: Path) -> None:
    async def scene(world: World) -> None:
        async with await world.client() as client, await world.client(session=world.ids["sessions"]) as robot:
            steps = [{"id": "a", "title": "A"}, {"id": "b", "title": "B", "depends_on": ["a"]}]
            body = {"session": world.ids["sessions"], "title": "Mine", "steps": steps}
            key = {"idempotency-key": "once"}
            plan = (await robot.post("/v1/plans", json=body, headers=key)).json()
            assert (await robot.post("/v1/plans", json=body, headers=key)).json()["id"] == plan["id"]
            path = f"/v1/plans/{plan['id']}"
            worker = {"agent": world.ids["agents"], "environment": world.ids["environments"]}
            own = (await robot.post("/v1/sessions", json=worker)).json()["id"]
            strange = (await client.post("/v1/sessions", json=worker)).json()["id"]
            wrong = await robot.patch(f"{path}/steps/a", json={"state": "running", "session": strange})
            assert (wrong.status_code, error_of(wrong)["param"]) == (400, "session")
            wrong = await robot.patch(f"{path}/steps/b", json={"state": "running"})
            assert (wrong.status_code, error_of(wrong)["code"]) == (409, "step_state")
            wrong = await robot.patch(f"{path}/steps/a", json={"state": "done", "artifact": "art_nothing"})
            assert (wrong.status_code, error_of(wrong)["param"]) == (400, "artifact")
            begun = (await robot.patch(f"{path}/steps/a", json={"state": "running", "session": own})).json()
            assert begun["version"] == 2 and begun["steps"][0]["session"] == own
            stale = await client.patch(f"{path}/steps/a", json={"version": 1, "state": "done"})
            assert (stale.status_code, error_of(stale)["code"]) == (409, "version_conflict")
            more = {"steps": [{"id": "c", "title": "C"}], "before": "b"}
            assert [step["id"] for step in (await client.post(f"{path}/steps", json=more)).json()["steps"]] == [*"acb"]
            assert (await client.patch(path, json={"order": ["c", "b", "a"]})).json()["steps"][0]["id"] == "c"
            async with await world.client(session=own) as below:
                assert (await below.get(path)).status_code == 404, "a worker does not see its supervisor's plan"
            both = f"{path}/events"
            first = (await client.get(both, params={"limit": 2})).json()
            rest = (await client.get(both, params={"after": first["next"]})).json()["data"]
            assert [each["data"]["version"] for each in [*first["data"], *rest]] == [1, 2, 3, 4]

    run(tmp_path, scene)


def test_whoever_follows_a_plan_sees_it_move_and_nothing_else(tmp_path: Path) -> None:
    async def scene(world: World) -> None:
        plan, session = world.ids["plans"], world.ids["sessions"]
        async with await world.client() as client:
            other = await client.post("/v1/plans", json={"session": session, "title": "Another"})
            await client.patch(f"/v1/plans/{plan}/steps/one", json={"state": "running"})
            await client.post(f"/v1/sessions/{session}/terminate")
            stream = (await client.get(f"/v1/plans/{plan}/events/stream")).text
            events = [json.loads(line[6:]) for line in stream.splitlines() if line.startswith("data: ")]
            assert [(each["data"]["plan"], each["data"]["version"]) for each in events] == [
                (plan, 1), (plan, 2), (plan, 3),
            ]  # fmt: skip
            assert events[-1]["data"]["changed"][0]["state"] == "cancelled", "its session is over"
            number = events[1]["number"]
            again = await client.get(f"/v1/plans/{plan}/events/stream", headers={"last-event-id": str(number)})
            assert again.text.count("data: ") == 1
            last = (await client.get(f"/v1/sessions/{session}")).json()["last_event"]
            done = await client.get(f"/v1/plans/{plan}/events/stream", params={"after": last})
            assert done.status_code == 204 and other.status_code == 201
            late = await client.patch(f"/v1/plans/{plan}/steps/one", json={"state": "ready"})
            assert (late.status_code, error_of(late)["code"]) == (409, "session_over")

    run(tmp_path, scene)
