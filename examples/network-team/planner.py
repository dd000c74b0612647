"""The planner of a network team: a plan of three steps, two executors side by side, then a verifier.

It runs in a sandbox of Penstock's (harness `command`, `python3 -`) and stands in for a model: an agent with a model
uses the same command, `penstock-team`, from its shell, and would write the steps itself. What it sees of passwords are
stubs.
"""

import json
import subprocess
from typing import Any

ASKED = "uplink to core"
BY_SSH = f"""
set -e
printf '#!/bin/sh\\necho "$EDGE1_PASSWORD"\\n' > ~/ask; chmod +x ~/ask
export SSH_ASKPASS=~/ask SSH_ASKPASS_REQUIRE=force
printf 'configure terminal\\ninterface GigabitEthernet0/1\\ndescription {ASKED}\\ncommit\\nend\\nexit\\n' |
    ssh -T netops@edge1.example.net
"""
RESTCONF = "https://edge2.example.net/restconf/data/ietf-interfaces:interfaces"
CHANGE = {"ietf-interfaces:interfaces": {"interface": [{"name": "GigabitEthernet0/1", "description": ASKED}]}}
BY_RESTCONF = f"""
curl -sS --fail -u "netops:$EDGE2_PASSWORD" -X PATCH {RESTCONF} -H 'content-type: application/yang-data+json' \\
    -d '{json.dumps(CHANGE)}' && echo changed
"""
VERIFY = f"""
printf '#!/bin/sh\\necho "$EDGE1_PASSWORD"\\n' > ~/ask; chmod +x ~/ask
export SSH_ASKPASS=~/ask SSH_ASKPASS_REQUIRE=force
ssh -n netops@edge1.example.net 'show interfaces GigabitEthernet0/1' | grep -o '{ASKED}' &&
    curl -sS --fail -u "netops:$EDGE2_PASSWORD" {RESTCONF} | grep -o '{ASKED}'
"""
STEPS = [
    {"id": "edge1", "title": "Describe edge1's uplink", "instructions": BY_SSH, "agent": "executor"},
    {"id": "edge2", "title": "Describe edge2's uplink", "instructions": BY_RESTCONF, "agent": "executor"},
    {
        "id": "verify",
        "title": "Read both back and compare",
        "instructions": VERIFY,
        "agent": "verifier",
        "depends_on": ["edge1", "edge2"],
    },
]


def team(*words: str, text: str = "") -> Any:
    """What `penstock-team` answers."""
    done = subprocess.run(["penstock-team", *words], input=text, capture_output=True, text=True)  # noqa: S603, S607
    answer = json.loads(done.stdout or '{"error": {"message": "it did not run"}}')
    if "error" in answer:
        raise SystemExit(f"penstock-team {words[0]}: {answer['error']} {done.stderr}")
    return answer


def run_ready(plan: Any) -> Any:
    """Give every step that is ready to a worker, wait for all of them, and say what came of each."""
    workers = {}
    for step in (step for step in plan["steps"] if step["state"] == "ready"):
        where = f"{plan['id']}/{step['id']}"
        worker = team("start", step["agent"], step["instructions"], "--title", step["title"], "--step", where)
        workers[worker["id"]] = step["id"]
    found = team("await", *workers, "--timeout", "120")
    for each in found["done"]:
        state = "done" if each.get("outcome") == "completed" else "failed"
        why = "; ".join(error["message"] for error in each["errors"])
        said = ("--result", each["said"][-2000:], "--detail", why[-2000:])
        team("plan", "step", plan["id"], workers[each["id"]], "--state", state, *said)
    for worker in workers:  # a step whose worker still worked fails with it
        team("stop", worker)
    return team("plan", "show", plan["id"])


plan = team("plan", "make", "Describe the uplinks", text=json.dumps(STEPS))
while not plan["progress"]["over"]:
    plan = run_ready(plan)
print(json.dumps({step["id"]: step["state"] for step in plan["steps"]}))  # noqa: T201
