"""Run the probes, judge them, and look afterwards whether a canary lies anywhere it should not.

What holds for every probe, whatever it expects: no canary came in, in any encoding that `leaks` knows; and no canary
reached an upstream that it is not bound to.
"""

from __future__ import annotations

import asyncio
import fnmatch
from collections.abc import Iterable, Mapping, Sequence
from typing import Literal

import msgspec
from msgspec import Struct

from penstock.agents.sandboxes.driver import Isolation
from penstock.redteam import leaks
from penstock.redteam.expect import replies, requests, shortened
from penstock.redteam.outside import Field, WrongError
from penstock.redteam.probe import Asked, Back, Kit, Outside, Phase, Probe, Seen, Wire, token
from penstock.redteam.probes import PROBES
from penstock.redteam.stage import Stage, staged
from penstock.redteam.upstreams import Upstreams

Outcome = Literal["passed", "failed", "not run"]
PHASES: tuple[Phase, ...] = ("live", "frozen", "revoked", "ended", "reopened", "dead", "destroyed")


class Result(Struct, frozen=True):
    """How a probe ended. `evidence` is one line: what was tried, what came back; and what is wrong, where it failed."""

    id: str
    row: str
    outcome: Outcome
    evidence: str


def chosen(pattern: str = "*") -> Mapping[str, Probe]:
    """Return the probes whose id or row matches a pattern of the shell's kind, by their tokens."""
    return {
        token(number).decode(): probe
        for number, probe in enumerate(PROBES)
        if fnmatch.fnmatchcase(probe.id, pattern) or fnmatch.fnmatchcase(probe.row, pattern)
    }


async def run(probes: Mapping[str, Probe], isolation: Isolation = "full") -> list[Result]:
    """Run them in sandboxes of their own, and report on each, in their order.

    Raises:
        SandboxError, Refusal, VaultGone: nothing could be put up.
    """
    upstreams = Upstreams({mark.encode(): each.answer for mark, each in probes.items() if each.answer is not None})
    backs: dict[str, Back] = {}
    looks: dict[str, Result] = {}
    async with staged(upstreams, isolation) as stage:
        field = Field(stage)
        kit = stage.kit()
        upstreams.kit = kit
        for phase in _phases(probes):
            mine = {mark: probe for mark, probe in probes.items() if probe.phase == phase}
            await field.enter(phase)
            backs |= await _attack(stage, field, mine, kit)
            looks |= {mark: _look(probe, field, upstreams.asked()) for mark, probe in mine.items() if _is_look(probe)}
        asked = upstreams.asked()
    found = {mark: _judged(mark, probe, backs, asked, kit) for mark, probe in probes.items() if not _is_look(probe)}
    return [{**found, **looks}[mark] for mark in probes]


def _phases(probes: Mapping[str, Probe]) -> tuple[Phase, ...]:
    """All phases up to the last that any probe needs."""
    last = max((PHASES.index(probe.phase) for probe in probes.values()), default=0)
    return PHASES[: last + 1]


def _is_look(probe: Probe) -> bool:
    return isinstance(probe.attack, Outside)


async def _attack(stage: Stage, field: Field, probes: Mapping[str, Probe], kit: Kit) -> dict[str, Back]:
    """Run the probes of one phase that run inside, in both sandboxes at once."""
    batches = []
    for where in ("agent", "neighbour"):
        batch = {
            mark: (probe, msgspec.structs.replace(kit, token=mark.encode()))
            for mark, probe in probes.items()
            if probe.where == where and not _is_look(probe)
        }
        if batch:
            batches.append(stage.attack(where, batch))
    meanwhile = asyncio.ensure_future(field.meanwhile())
    try:
        found = await asyncio.gather(*batches)
    finally:
        meanwhile.cancel()
    return {mark: back for batch in found for mark, back in batch.items()}


def _look(probe: Probe, field: Field, asked: Sequence[Asked]) -> Result:
    assert isinstance(probe.attack, Outside)
    field.asked = list(asked)
    try:
        return Result(probe.id, probe.row, "passed", f"{probe.tries}: {probe.attack.look(field)}")
    except WrongError as wrong:
        return Result(probe.id, probe.row, "failed", f"{probe.tries}: {wrong}")
    except OSError as error:
        return Result(probe.id, probe.row, "not run", f"{probe.tries}: cannot run: {error}")


def _judged(mark: str, probe: Probe, backs: Mapping[str, Back], asked: Sequence[Asked], kit: Kit) -> Result:
    back = backs.get(mark)
    if back is None:
        return Result(
            probe.id, probe.row, "not run", f"{probe.tries}: cannot run: the program inside said nothing of it"
        )
    mine = tuple(each for each in asked if each.token == mark.encode())
    return judge(probe, Seen(back=back, asked=mine, kit=msgspec.structs.replace(kit, token=mark.encode())))


def judge(probe: Probe, seen: Seen) -> Result:
    """Say how a probe ended, from what was seen. Pure."""
    if seen.back.cannot:
        return Result(probe.id, probe.row, "not run", f"{probe.tries}: cannot run: {seen.back.cannot}")
    wrong = leaked(seen) or _too_late(probe, seen) or probe.expect(seen)
    evidence = f"{probe.tries}: {described(probe, seen)}"
    return Result(probe.id, probe.row, "failed" if wrong else "passed", f"{evidence}; {wrong}" if wrong else evidence)


def _too_late(probe: Probe, seen: Seen) -> str:
    """A session that is frozen refuses everything: then nothing was tried."""
    frozen = probe.phase == "live" and any(reply.refusal == "frozen" for reply in replies(seen))
    return "the session was frozen already, so nothing was tried" if frozen else ""


def leaked(seen: Seen) -> str:
    """Say how a canary came in, or where it went that it should not; "" where it did neither."""
    bodies = b"\n".join(reply.body for reply in replies(seen))
    for data in (seen.back.everything, bodies):
        way = leaks.find(data, seen.kit.all_secrets)
        if way:
            return f"A SECRET CAME IN ({way})"
    for asked in seen.asked:
        if asked.role != "bound" and leaks.find(asked.everything, seen.kit.all_secrets):
            return f"A SECRET WENT TO {asked.role.upper()}"
    return ""


def described(probe: Probe, seen: Seen) -> str:
    """What came back, in a few words. Pure."""
    back = seen.back
    parts = [f"{reply.status} {reply.refusal}".strip() for reply in replies(seen)]
    if not isinstance(probe.attack, Wire):
        parts = [shortened(back)]
    elif not parts:
        parts = [_without_response(back)]
    arrived = requests(seen)
    if arrived:
        roles = sorted({asked.role for asked in arrived})
        swapped = any(secret in asked.everything for asked in arrived for secret in seen.kit.secrets.values())
        parts.append(f"{len(arrived)} to {' and '.join(roles)}{' with the secret' if swapped else ''}")
    return ", ".join(parts)


def _without_response(back: Back) -> str:
    if back.data[:1] == b"\x15":
        return f"alert {back.data[6]}" if len(back.data) > 6 else "an alert"
    if back.data:
        return f"{len(back.data)} bytes"
    return back.error or ("closed" if back.ended else "nothing")


def counted(results: Iterable[Result]) -> dict[str, dict[Outcome, int]]:
    """Count outcomes by row."""
    found: dict[str, dict[Outcome, int]] = {}
    for result in results:
        row = found.setdefault(result.row, {"passed": 0, "failed": 0, "not run": 0})
        row[result.outcome] += 1
    return found
