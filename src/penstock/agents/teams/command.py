#!/usr/bin/env python3
"""penstock-team: what a supervisor's agent can do with its workers and plans, as a command that prints JSON.

It runs inside of the sandbox, with the standard library alone, and any agent that has a shell can use it. It decides
nothing: every rule is the server's, and its token is a stub that only the vault can turn into the real one, on the way
to the server. A refusal is printed as the server words it ({"error": {"code", "message", "fix"}}), with status 1.

    penstock-team team                                        whom you may start, what you have left, who works for you
    penstock-team start AGENT "do this" --share 0.25          start a worker with a quarter of what you have left
    penstock-team message WORKER "and now that"
    penstock-team await WORKER... --timeout 600               wait until they have ended their turns; what they said
    penstock-team stop WORKER
    penstock-team list
    penstock-team plan make "Title" < steps.json              [{"id", "title", "instructions", "agent", "depends_on"}]
    penstock-team plan show [PLAN]                            of all your plans the newest, if you name none
    penstock-team plan add PLAN < steps.json
    penstock-team plan order PLAN STEP...
    penstock-team plan step PLAN STEP --state done --result "it answers"
"""

import argparse
import json
import os
import queue
import sys
import threading
import time
import urllib.error
import urllib.parse
import urllib.request
import uuid
from decimal import ROUND_DOWN, Decimal
from typing import Any, Dict, List, NoReturn, Optional  # noqa: UP035  # any Python 3 of the sandbox runs this

ATTEMPTS = 4
AMOUNTS = ("dollars", "tokens", "requests", "bytes_out")
DONE = ("suspended", "terminated")
ENDED = ("idle", *DONE)
LATE = 3
"""Exit status of `await`, where the time was over first."""


class Refused(Exception):
    """The server's answer, or that there is none."""

    def __init__(self, code: str, message: str, fix: str = "") -> None:
        super().__init__(message)
        self.error = {"code": code, "message": message, "fix": fix}


class Server:
    """The API, as far as it is for agents."""

    def __init__(self, url: str, token: str) -> None:
        self._url = url.rstrip("/")
        self._headers = {"authorization": "Bearer " + token, "accept": "application/json"}

    def call(self, method: str, path: str, body: Optional[Any] = None) -> Any:  # noqa: UP045
        """An answer. What was sent and not answered is sent again under the same key, and done once."""
        headers = {} if method == "GET" else {"idempotency-key": uuid.uuid4().hex}
        data = None
        if body is not None:
            data, headers["content-type"] = json.dumps(body).encode(), "application/json"
        for attempt in range(ATTEMPTS):
            try:
                with self._open(method, path, data, headers) as answer:
                    return json.loads(answer.read())
            except (urllib.error.URLError, OSError) as error:
                if isinstance(error, urllib.error.HTTPError) and error.code < 502:
                    raise _refused(error) from None
                if attempt == ATTEMPTS - 1:
                    raise Refused("unreachable", "the server does not answer: " + str(error)) from None
                time.sleep(0.5 * 2**attempt)
        raise AssertionError("the last attempt returns or raises")

    def _open(self, method: str, path: str, data: Optional[bytes], headers: Dict[str, str]) -> Any:  # noqa: UP006, UP045
        request = urllib.request.Request(  # noqa: S310  # the address is the sandbox's own setting
            self._url + path, data=data, headers={**self._headers, **headers}, method=method
        )
        return urllib.request.urlopen(request, timeout=60)  # noqa: S310

    def changed(self, session: str, after: int) -> None:
        """Return when a session's state has changed after this event, or the stream has ended."""
        path = f"/v1/sessions/{session}/events/stream?after={after}"
        with self._open("GET", path, None, {"accept": "text/event-stream"}) as stream:
            for line in stream:
                if line.startswith(b"data: ") and json.loads(line[6:])["data"]["kind"] == "status":
                    return


def _refused(error: urllib.error.HTTPError) -> Refused:
    try:
        said = json.loads(error.read())["error"]
        return Refused(said["code"], said["message"], said.get("fix", ""))
    except (ValueError, KeyError, TypeError):
        return Refused("refused", "status " + str(error.code))


# -- workers ----------------------------------------------------------------------------------------------------------


def team(server: Server, session: str) -> Any:
    """Whom one may start, what is left, who works."""
    found = server.call("GET", f"/v1/sessions/{session}/team")
    found["workers"] = [brief(each) for each in found["workers"]]
    return found


def brief(worker: Any) -> Any:
    """What a supervisor wants to know of a worker."""
    names = ("id", "title", "state", "reason", "stop_reason", "usage", "limits")
    return {name: worker[name] for name in names if worker.get(name) is not None}


def start(server: Server, session: str, asked: argparse.Namespace) -> Any:
    """A new worker."""
    found = server.call("GET", f"/v1/sessions/{session}/team")
    agents = [each for each in found["agents"] if asked.agent in (each["id"], each["name"])]
    if not agents:
        known = ", ".join(each["name"] for each in found["agents"]) or "nobody"
        raise Refused("no_such_agent", f"you may not start {asked.agent!r}", "you may start " + known)
    place = found["environment"]
    wanted = {
        "agent": agents[0]["id"], "environment": place["id"], "environment_version": place["version"],
        "limits": share_of(found["left"], asked), "title": asked.title, "message": text_of(asked.prompt),
    }  # fmt: skip
    worker = server.call("POST", "/v1/sessions", wanted)
    if asked.step:
        plan, _, step = asked.step.partition("/")
        try:
            server.call("PATCH", step_path(plan, step), {"state": "running", "session": worker["id"]})
        except Refused:  # nobody shall do what the plan does not know of
            server.call("POST", f"/v1/sessions/{worker['id']}/terminate")
            raise
    return brief(worker)


def share_of(left: Any, asked: argparse.Namespace) -> Any:
    """The limits of a worker: a part of what is left of each amount that is limited, or what was said."""
    limits = {}
    for name in AMOUNTS:
        said, rest = getattr(asked, name), left.get(name)
        if said is not None:
            limits[name] = said
        elif rest is not None:
            part = Decimal(str(rest)) * Decimal(str(asked.share))
            limits[name] = str(part.quantize(Decimal("1e-6"), ROUND_DOWN)) if name == "dollars" else int(part)
    return limits


def wait(server: Server, workers: List[str], timeout: float, any_of: bool) -> Any:  # noqa: UP006
    """What became of these workers; those that still work when the time is over are named."""
    results: queue.Queue[Any] = queue.Queue()
    for worker in workers:
        threading.Thread(target=_wait_for, args=(server, worker, results), daemon=True).start()
    done: Dict[str, Any] = {}  # noqa: UP006
    until = time.monotonic() + timeout
    while len(done) < len(set(workers)) and not (any_of and done):
        try:
            worker, result = results.get(timeout=max(until - time.monotonic(), 0))
        except queue.Empty:
            break
        if isinstance(result, Exception):
            raise result
        done[worker] = result
    working = [server.call("GET", "/v1/sessions/" + worker) for worker in workers if worker not in done]
    return {"done": list(done.values()), "working": [{**brief(row), "events": row["last_event"]} for row in working]}


def _wait_for(server: Server, worker: str, results: "queue.Queue[Any]") -> None:
    try:
        while True:
            row = server.call("GET", "/v1/sessions/" + worker)
            said = said_by(server, row) if row["state"] in ENDED else {}
            if row["state"] in DONE or (said and is_answered(row, said)):
                results.put((worker, {**brief(row), **said}))
                return
            try:
                server.changed(worker, row["last_event"])
            except (urllib.error.URLError, OSError):
                time.sleep(0.5)
    except Exception as error:
        results.put((worker, error))


def is_answered(row: Any, said: Any) -> bool:
    """Whether the turn that answers the last message has ended. (One that was lost with its sandbox is run again.)"""
    return row["last_message"] <= row["delivered"] and ("outcome" in said or not row["last_message"])


def said_by(server: Server, row: Any) -> Any:
    """What a worker has said and handed out in its last turn, and how that ended."""
    kinds = "&".join("kind=" + kind for kind in ("text", "error", "artifact", "turn_end"))
    said, part, after = "", None, row["delivered"]
    found: Dict[str, Any] = {"errors": [], "artifacts": []}  # noqa: UP006
    while after is not None:
        page = server.call("GET", f"/v1/sessions/{row['id']}/events?after={after}&limit=1000&{kinds}")
        for event in page["data"]:
            data = event["data"]
            if data["kind"] == "text":
                joined = data.get("part") and data.get("part") == part
                said, part = said + ("" if joined or not said else "\n") + data["text"], data.get("part")
            elif data["kind"] == "turn_end":
                found["outcome"] = data["outcome"]
            else:
                found[data["kind"] + "s"].append({name: data[name] for name in data if name != "kind"})
        after = page["next"]
    return {**found, "said": said}


# -- plans ------------------------------------------------------------------------------------------------------------


def step_path(plan: str, step: str = "") -> str:
    """Where a plan is, or one of its steps."""
    path = "/v1/plans/" + urllib.parse.quote(plan, safe="")
    return path + ("/steps/" + urllib.parse.quote(step, safe="") if step else "")


def plan(server: Server, session: str, asked: argparse.Namespace) -> Any:
    """Whatever is done with plans."""
    if asked.what == "make":
        return server.call("POST", "/v1/plans", {"session": session, "title": asked.title, "steps": _steps()})
    if asked.what == "show":
        return server.call("GET", step_path(asked.plan)) if asked.plan else _newest(server, session)
    if asked.what == "add":
        added = {"steps": _steps(), **({"before": asked.before} if asked.before else {})}
        return server.call("POST", step_path(asked.plan) + "/steps", added)
    if asked.what == "order":
        return server.call("PATCH", step_path(asked.plan), {"order": asked.steps})
    names = ("state", "result", "detail", "session", "artifact")
    said = {name: getattr(asked, name) for name in names if getattr(asked, name) is not None}
    return server.call("PATCH", step_path(asked.plan, asked.step), said)


def _newest(server: Server, session: str) -> Any:
    found = server.call("GET", f"/v1/plans?session={session}&limit=1")["data"]
    if not found:
        raise Refused("no_plan", "there is no plan yet", "make one: penstock-team plan make TITLE < steps.json")
    return found[0]


def _steps() -> Any:
    try:
        return json.loads(sys.stdin.read())
    except ValueError as error:
        raise Refused(
            "bad_steps", f"the steps are no JSON: {error}", "write a list of steps to standard input"
        ) from None


# -- the command ------------------------------------------------------------------------------------------------------


def text_of(words: str) -> str:
    """A text; `-` is standard input."""
    return sys.stdin.read() if words == "-" else words


def _part(word: str) -> Decimal:
    part = Decimal(word)
    if not 0 < part <= 1:
        raise ValueError(word)
    return part


def parser() -> argparse.ArgumentParser:
    """The arguments."""
    made = argparse.ArgumentParser(
        "penstock-team", epilog=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    all_of = made.add_subparsers(dest="command", required=True)
    all_of.add_parser("team")
    all_of.add_parser("list")
    begun = all_of.add_parser("start")
    begun.add_argument("agent")
    begun.add_argument("prompt", help="what it shall do; - reads standard input")
    begun.add_argument("--share", type=_part, default=Decimal("0.25"), help="of what you have left (default: 0.25)")
    begun.add_argument("--dollars")
    for name in AMOUNTS[1:]:
        begun.add_argument("--" + name.replace("_", "-"), type=int)
    begun.add_argument("--title", default="")
    begun.add_argument("--step", metavar="PLAN/STEP", help="the step that it does, which is running then")
    told = all_of.add_parser("message")
    told.add_argument("worker")
    told.add_argument("prompt")
    waited = all_of.add_parser("await")
    waited.add_argument("workers", nargs="+")
    waited.add_argument("--timeout", type=float, default=600.0, help="seconds (default: 600)")
    waited.add_argument("--any", action="store_true", help="until one of them has ended its turn")
    all_of.add_parser("stop").add_argument("worker")
    _add_plan(all_of.add_parser("plan").add_subparsers(dest="what", required=True))
    return made


def _add_plan(what: Any) -> None:
    what.add_parser("make").add_argument("title")
    what.add_parser("show").add_argument("plan", nargs="?")
    added = what.add_parser("add")
    added.add_argument("plan")
    added.add_argument("--before", metavar="STEP")
    order = what.add_parser("order")
    order.add_argument("plan")
    order.add_argument("steps", nargs="+")
    step = what.add_parser("step")
    step.add_argument("plan")
    step.add_argument("step")
    for name in ("state", "result", "detail", "session", "artifact"):
        step.add_argument("--" + name)


def done(server: Server, session: str, asked: argparse.Namespace) -> Any:
    """Do it."""
    if asked.command == "team":
        return team(server, session)
    if asked.command == "list":
        return team(server, session)["workers"]
    if asked.command == "start":
        return start(server, session, asked)
    if asked.command == "message":
        return server.call("POST", f"/v1/sessions/{asked.worker}/messages", {"text": text_of(asked.prompt)})
    if asked.command == "await":
        return wait(server, asked.workers, asked.timeout, asked.any)
    if asked.command == "stop":
        return brief(server.call("POST", f"/v1/sessions/{asked.worker}/terminate"))
    return plan(server, session, asked)


def main() -> int:
    """Run; returns the exit status."""
    asked = parser().parse_args()
    try:
        settings = [os.environ[f"PENSTOCK_{name}"] for name in ("AGENTS_URL", "AGENTS_TOKEN", "SESSION")]
    except KeyError as missing:
        fix = "this agent is no supervisor: its owner names `workers`"
        error = {"code": "no_team", "message": f"{missing.args[0]} is not set", "fix": fix}
        sys.stdout.write(json.dumps({"error": error}) + "\n")
        return 1
    try:
        found = done(Server(settings[0], settings[1]), settings[2], asked)
    except Refused as refused:
        sys.stdout.write(json.dumps({"error": refused.error}) + "\n")
        return 1
    sys.stdout.write(json.dumps(found, indent=1) + "\n")
    return LATE if asked.command == "await" and found["working"] and not (asked.any and found["done"]) else 0


def _run() -> NoReturn:
    sys.exit(main())


if __name__ == "__main__":
    _run()
