"""What is written down, what raises an alarm, and what ends with a session (threat model, section 4)."""

from __future__ import annotations

import json
import shutil
import sqlite3
import time
from collections import Counter
from collections.abc import Callable, Iterator

from penstock.redteam.expect import (
    both,
    cut,
    nothing_sent,
    refused,
    replies,
    said,
    swapped,
)
from penstock.redteam.messages import PATH, chunked, request
from penstock.redteam.outside import Field, hold
from penstock.redteam.probe import (
    GIT,
    PACKAGES,
    Asked,
    Expect,
    Kit,
    Part,
    Probe,
    Seen,
    Wire,
)
from penstock.redteam.probes.building import code, look, no_leak
from penstock.vault.api import Refusal, open_secrets

# -- the store, the audit, logs ---------------------------------------------------------------------------------------

_STORE = (
    look(
        "store",
        "no-canary",
        "the database of the store, byte by byte",
        lambda field: no_leak(
            field, "in the store", b"\n".join(data for _, data in field.files(field.stage.vault_folder))
        ),
    ),
    look("store", "api", "what lists and shows secrets", lambda field: _write_only(field)),
    look("store", "swapped-rows", "two secrets exchange their sealed values", lambda field: _edited(field, _swap_rows)),
    look("store", "edited-binding", "a binding is edited in the database", lambda field: _edited(field, _edit_binding)),
    look("traces", "audit", "the audit log", lambda field: _audit(field), "dead"),
    look(
        "traces",
        "audit-verifies",
        "the chain of the audit, after the vault was killed",
        lambda field: _verifies(field),
        "dead",
    ),
    look("traces", "audit-edited", "a row of the audit is edited", lambda field: _edited_audit(field), "dead"),
    look(
        "traces",
        "vault-errors",
        "what the vault wrote to standard error",
        lambda field: no_leak(field, "in its errors", (field.stage.folder / "vault.err").read_bytes()),
        "destroyed",
    ),
    look("traces", "events", "what the vault told whoever started it", lambda field: _events(field), "dead"),
    look(
        "traces",
        "processes",
        "arguments and environments of all processes of the machine",
        lambda field: no_leak(field, "in a process's arguments or environment", b"\n".join(field.command_lines)),
    ),
    look("traces", "upstreams", "requests that no probe sent", lambda field: _nobodys(field), "destroyed"),
    look(
        "traces", "bound-only", "where canaries arrived, over all probes", lambda field: _bound_only(field), "destroyed"
    ),
)


def _write_only(field: Field) -> str:
    with field.secrets as kept:
        said = repr(kept.list()) + repr([kept.get(record.name) for record in kept.list()])
    return no_leak(field, "in a record", said.encode())


def _edited(field: Field, edit: Callable[[sqlite3.Connection], None]) -> str:
    """Edit a copy of the store; opening what was edited must fail."""
    copy = field.stage.folder / "copy-of-store"
    shutil.copytree(field.stage.vault_folder, copy, ignore=shutil.ignore_patterns("*.sock"))
    try:
        database = sqlite3.connect(copy / "secrets.db")
        with database:
            edit(database)
        database.close()
        with open_secrets(copy) as kept:
            kept.get("GIT_TOKEN")
    except Refusal as refusal:
        return f"refused: {refusal.code}"
    finally:
        shutil.rmtree(copy, ignore_errors=True)
    hold(False, "the edited row was read")
    return ""


def _swap_rows(database: sqlite3.Connection) -> None:
    rows = dict(
        database.execute("SELECT name, sealed FROM secrets WHERE name IN ('GIT_TOKEN', 'QUERY_KEY')").fetchall()
    )
    database.execute("UPDATE secrets SET sealed = ? WHERE name = 'GIT_TOKEN'", (rows["QUERY_KEY"],))


def _edit_binding(database: sqlite3.Connection) -> None:
    database.execute(
        "UPDATE secrets SET record = replace(record, 'git.bound.example', 'git.attacker.ex12') WHERE name = 'GIT_TOKEN'"
    )


def _audit_rows(field: Field) -> Iterator[str]:
    for path in sorted((field.stage.vault_folder / "audit").glob("audit-*.jsonl")):
        yield from path.read_text("utf-8", "replace").splitlines()


def _audit(field: Field) -> str:
    rows = list(_audit_rows(field))
    text = "\n".join(rows).encode()
    decisions = Counter(str(json.loads(row).get("decision")) for row in rows)
    stubs = [name for name, stub in field.kit.stubs.items() if stub in text]
    hold(not stubs, f"it holds the stub of {', '.join(stubs)}")
    for wanted in ("open", "swap", "deny", "alarm", "scrub"):
        hold(decisions[wanted], f"it has no row for {wanted}")
    counts = ", ".join(f"{count} {name}" for name, count in decisions.most_common(5))
    return f"{len(rows):,} rows ({counts}); {no_leak(field, 'in the audit', text)}"


def _verifies(field: Field) -> str:
    with field.secrets as kept:
        verdict = kept.verify_audit()
    hold(verdict.ok, verdict.reason)
    return f"{verdict.rows:,} rows"


def _edited_audit(field: Field) -> str:
    copy = field.stage.folder / "copy-of-audit"
    shutil.copytree(field.stage.vault_folder, copy)
    try:
        first = min((copy / "audit").glob("audit-*.jsonl"))
        first.write_bytes(first.read_bytes().replace(b'"deny"', b'"swap"', 1))
        with open_secrets(copy) as kept:
            verdict = kept.verify_audit()
    finally:
        shutil.rmtree(copy, ignore_errors=True)
    hold(not verdict.ok, "it was not noticed")
    return f"noticed at row {verdict.bad_row}"


def _events(field: Field) -> str:
    text = repr(field.stage.events).encode()
    stubs = [name for name, stub in field.kit.stubs.items() if stub in text]
    hold(not stubs, f"they hold the stub of {', '.join(stubs)}")
    return f"{len(field.stage.events)} events; {no_leak(field, 'in an event', text)}"


def _nobodys(field: Field) -> str:
    strangers = [asked for asked in field.asked if asked.head and not asked.token]
    hold(not strangers, "; ".join(f"{asked.line!r} at {asked.role}" for asked in strangers[:5]))
    return f"none among {sum(bool(asked.head) for asked in field.asked)}"


def _bound_only(field: Field) -> str:
    wrong = [asked for asked in field.asked if asked.role != "bound" and field.leak_in(asked.everything)]
    hold(not wrong, "; ".join(f"one went to {asked.role}: {asked.line}" for asked in wrong[:5]))
    right = sum(any(value in asked.everything for value in field.kit.secrets.values()) for asked in field.asked)
    return f"{right} requests with a canary, all to the bound hosts"


# -- alarms, freezing, the end ----------------------------------------------------------------------------------------


def _alarms(field: Field) -> str:
    found = [event for event in field.stage.events if event.kind == "alarm" and event.session == field.agent.id]
    hold(found, "no alarm was raised, though stubs were in many wrong places")
    return f"{len(found)} alarms"


def _frozen_event(field: Field) -> str:
    found = [event for event in field.stage.events if event.kind == "frozen" and event.session == field.neighbour.id]
    hold(found, "the session did not freeze")
    return found[0].detail


def _stream(asked: Asked, kit: Kit) -> Iterator[Part]:
    yield chunked([b""])[0]
    for _ in range(80):
        yield b"5\r\ntick\n\r\n"
        yield 0.1
    yield b"0\r\n\r\n"


def _cut_early(seen: Seen) -> str:
    count = b"".join(reply.body for reply in replies(seen)).count(b"tick")
    if not count:
        return "the stream did not begin"
    return cut(seen) or ("the stream went on to its end" if count >= 80 else "")


def _frozen(name: str, tries: str, attack: Wire, expect: Expect) -> Probe:
    return Probe(
        id=f"alarm.{name}", row="alarm", where="neighbour", phase="frozen", tries=tries, attack=attack, expect=expect
    )


def _with_git_stub() -> Wire:
    path = "/team/app.git/info/refs?service=git-upload-pack&p=@TOKEN@"
    return Wire(host=GIT, send=(request("GET", path, host=GIT, auth="Authorization: Basic @BASIC@"),))


_ENDS = (
    look("alarm", "raised", "what was told of stubs in wrong places", lambda field: _alarms(field), "frozen"),
    _frozen(
        "freezes",
        "a misused stub in a session that freezes",
        Wire(send=(request("POST", PATH, auth="Authorization: Bearer @OTHERSTUB@", body=b"@OTHERSTUB@"),)),
        lambda seen: nothing_sent(seen),
    ),
    look("alarm", "frozen", "the session froze", lambda field: _frozen_event(field), "revoked"),
    Probe(
        id="alarm.after",
        row="alarm",
        where="neighbour",
        phase="revoked",
        tries="another request of the frozen session",
        attack=Wire(host=PACKAGES, send=(request(host=PACKAGES, auth=""),)),
        expect=lambda seen: (
            nothing_sent(seen)
            or (
                ""
                if any(reply.refusal == "frozen" for reply in replies(seen)) or seen.back.error or seen.back.ended
                else "it was not refused"
            )
        ),
    ),
    Probe(
        id="revocation.stream",
        row="revocation",
        phase="revoked",
        tries="a stream that runs while its secret is revoked",
        attack=Wire(send=(request(),)),
        answer=_stream,
        expect=both(swapped, _cut_early),
    ),
    Probe(
        id="revocation.later",
        row="revocation",
        phase="dead",
        tries="the stub of a revoked secret, and of a session that ended",
        attack=Wire(send=(request(),)),
        expect=lambda seen: nothing_sent(seen),
    ),
    Probe(
        id="after.ended",
        row="after",
        phase="ended",
        tries="the stubs, after their session has ended",
        attack=_with_git_stub(),
        expect=lambda seen: nothing_sent(seen) or ("" if seen.back.error or seen.back.ended else "it was not refused"),
    ),
    Probe(
        id="after.reopened",
        row="after",
        phase="reopened",
        tries="the former session's stubs, in the same sandbox with a new session",
        attack=_with_git_stub(),
        expect=refused("stub_mismatch"),
    ),
    code(
        "survivor",
        "leave",
        "leave a process behind that writes a file",
        """
subprocess.Popen([sys.executable, "-c", "import time\\nfor n in range(10**9):\\n    "
                  "open('/workspace/sentinel', 'w').write(str(n))\\n    time.sleep(0.05)"],
                 stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True)
print("left")
""",
        said("left"),
    ),
    look(
        "survivor",
        "ended",
        "the process that was left behind, after the sandbox was ended",
        lambda field: _survivor(field),
        "destroyed",
    ),
)


def _survivor(field: Field) -> str:
    before = [data for name, data in field.sentinels.items() if name.endswith("/sentinel")]
    hold(before, "it wrote nothing, so nothing was tried")
    time.sleep(0.3)
    after = [data for name, data in field.files(field.stage.folder / "sandboxes") if name.endswith("/sentinel")]
    hold(before == after, "it still writes")
    return f"its last number was {before[0].decode() or 'none'}, and stays so"


PROBES: tuple[Probe, ...] = (*_STORE, *_ENDS)
