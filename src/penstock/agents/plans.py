"""A plan: steps that wait for each other, and who does them. Pure.

Theory. Of a step's seven states four are *said* by whoever does the plan (running, done, failed, cancelled) and three
*follow* from the steps that it depends on:

    pending   some of them are not done yet
    ready     all of them are done: it may begin
    skipped   one of them will never be done; `because` names the one where it began (skipped by hand: `because` is "")

So nobody has to pass a failure on, and nobody can forget to: after every change all that follows is worked out anew
(`settled`), and a step that is taken up again (`ready` is asked for a failed, cancelled or skipped one) brings back
those that it had taken with it.

A plan is the fold of its changes, as a session is of its events: every function here returns a `PlanChanged`, which
stands in the log of the plan's session as an event of kind `plan`, and `applied` is the one step of the fold. Whoever
follows that log sees the plan move, and has lost nothing after a break.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime
from enum import StrEnum
from graphlib import CycleError, TopologicalSorter
from itertools import pairwise
from typing import Annotated, Any

from msgspec import UNSET, Meta, Struct, UnsetType
from msgspec.structs import asdict, replace

from penstock.agents.errors import Conflict, Invalid, NotFound, VersionConflict

MOST_STEPS = 200
"""Of one plan."""
MOST_PLANS = 20
"""Of one session."""

StepId = Annotated[str, Meta(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]{0,63}$")]
Title = Annotated[str, Meta(min_length=1, max_length=200)]
Words = Annotated[str, Meta(max_length=8000)]
Reference = Annotated[str, Meta(max_length=100)]
Dependencies = Annotated[tuple[StepId, ...], Meta(max_length=50)]


class StepState(StrEnum):
    """How far a step is."""

    PENDING = "pending"  # it waits for others
    READY = "ready"  # it may begin
    RUNNING = "running"  # somebody does it
    DONE = "done"
    FAILED = "failed"
    CANCELLED = "cancelled"  # somebody has stopped it
    SKIPPED = "skipped"  # it is not to be done: said so, or one that it needs will not be


FOLLOWS = frozenset({StepState.PENDING, StepState.READY})
"""States that are worked out (and `skipped`, where it has a `because`)."""
IN_VAIN = frozenset({StepState.FAILED, StepState.CANCELLED, StepState.SKIPPED})
"""States of a step for which others wait in vain."""
OPEN = frozenset({StepState.PENDING, StepState.READY, StepState.RUNNING})
"""States of a step that something may still come of."""
TABLE: Mapping[StepState, frozenset[StepState]] = {
    StepState.PENDING: frozenset({StepState.CANCELLED, StepState.SKIPPED}),
    StepState.READY: frozenset(
        {StepState.RUNNING, StepState.DONE, StepState.FAILED, StepState.CANCELLED, StepState.SKIPPED}
    ),
    StepState.RUNNING: frozenset({StepState.READY, StepState.DONE, StepState.FAILED, StepState.CANCELLED}),
    StepState.FAILED: frozenset({StepState.READY, StepState.CANCELLED, StepState.SKIPPED}),
    StepState.CANCELLED: frozenset({StepState.READY}),
    StepState.SKIPPED: frozenset({StepState.READY}),
    StepState.DONE: frozenset(),
}
"""What may be said of a step in each state. What others rest upon (`done`) is not taken back: add another step."""


class NewStep(Struct, frozen=True, forbid_unknown_fields=True):
    """A step as somebody writes it.

    id            a word of the writer's own, by which other steps name it
    title         a line for people
    instructions  what to do
    agent         who is meant to do it: an agent's name or id, or a harness
    depends_on    steps that must be done before
    """

    id: StepId
    title: Title
    instructions: Words = ""
    agent: Reference = ""
    depends_on: Dependencies = ()


class Step(Struct, frozen=True):
    """A step in its plan.

    session   the worker that does it, or did; None: whoever does the plan
    result    what came of it, in words; `artifact` the id of one that says more
    detail    why it is in its state, where somebody or something said so
    because   the step in whose place it is skipped
    """

    id: str
    title: str
    instructions: str = ""
    agent: str = ""
    depends_on: tuple[str, ...] = ()
    state: StepState = StepState.PENDING
    session: str | None = None
    result: str = ""
    artifact: str = ""
    detail: str = ""
    because: str = ""


class Progress(Struct, frozen=True):
    """How many steps are in each state. `over`: none is left of which something may still come."""

    total: int = 0
    pending: int = 0
    ready: int = 0
    running: int = 0
    done: int = 0
    failed: int = 0
    cancelled: int = 0
    skipped: int = 0
    over: bool = True


class Plan(Struct, frozen=True, kw_only=True):
    """A plan's row: what its changes come to. `version` counts them; `steps` are in the order in which they are listed
    (and begun, where several are ready).
    """

    id: str
    owner: str
    session: str
    created_at: datetime
    updated_at: datetime
    title: str = ""
    version: int = 0
    steps: tuple[Step, ...] = ()
    progress: Progress = Progress()
    created_by: str = ""

    def step(self, id: str) -> Step:
        """One of its steps. Raises NotFound."""
        for step in self.steps:
            if step.id == id:
                return step
        raise NotFound(f"the plan has no step {id[:64]!r}")


class StepChange(Struct, frozen=True):
    """What is different of one step; what is not said is as it was."""

    id: str
    title: str | UnsetType = UNSET
    instructions: str | UnsetType = UNSET
    agent: str | UnsetType = UNSET
    depends_on: tuple[str, ...] | UnsetType = UNSET
    state: StepState | UnsetType = UNSET
    session: str | UnsetType | None = UNSET
    result: str | UnsetType = UNSET
    artifact: str | UnsetType = UNSET
    detail: str | UnsetType = UNSET
    because: str | UnsetType = UNSET


class PlanChanged(Struct, frozen=True, tag_field="kind", tag="plan", omit_defaults=True):
    """A plan was made, or has changed; `version` is the one that it has now.

    title    where it is new
    added    steps that are new, as they are after the change
    order    the ids of all steps, where their order is new (added ones are at the end else)
    changed  what is different of the others
    """

    plan: str
    version: int
    title: str | UnsetType = UNSET
    added: tuple[Step, ...] = ()
    order: tuple[str, ...] = ()
    changed: tuple[StepChange, ...] = ()


class StepUpdate(Struct, frozen=True, forbid_unknown_fields=True):
    """What somebody wants to be different of a step. `version`: the plan's that was read; another one is a conflict."""

    version: Annotated[int, Meta(ge=1, le=2**31 - 1)] | UnsetType = UNSET
    title: Title | UnsetType = UNSET
    instructions: Words | UnsetType = UNSET
    agent: Reference | UnsetType = UNSET
    depends_on: Dependencies | UnsetType = UNSET
    state: StepState | UnsetType = UNSET
    session: Annotated[str, Meta(max_length=30)] | UnsetType = UNSET
    result: Words | UnsetType = UNSET
    artifact: Reference | UnsetType = UNSET
    detail: Words | UnsetType = UNSET


Change = Callable[[Plan], PlanChanged | None]
"""What a plan would become; None: it is so already."""


# -- the fold ---------------------------------------------------------------------------------------------------------


def applied(plan: Plan, change: PlanChanged, at: datetime) -> Plan:
    """The plan after this change, which must be the next."""
    if change.version != plan.version + 1:
        raise ValueError(f"change {change.version} does not follow upon {plan.version}")
    changes = {each.id: each for each in change.changed}
    steps = [_stepped(step, changes.get(step.id)) for step in plan.steps] + list(change.added)
    if change.order:
        place = {id_: at for at, id_ in enumerate(change.order)}
        steps.sort(key=lambda step: place[step.id])
    title = plan.title if change.title is UNSET else change.title
    return replace(
        plan, title=title, version=change.version, steps=tuple(steps), progress=progress(steps), updated_at=at
    )


def _stepped(step: Step, change: StepChange | None) -> Step:
    return step if change is None else replace(step, **_said(change, "id"))


def _said(of: Struct, *but: str) -> dict[str, Any]:
    return {name: value for name, value in asdict(of).items() if value is not UNSET and name not in but}


def progress(steps: Iterable[Step]) -> Progress:
    """How far they are."""
    counts = dict.fromkeys(StepState, 0)
    for step in steps:
        counts[step.state] += 1
    over = not any(counts[state] for state in OPEN)
    return Progress(sum(counts.values()), **{state.value: count for state, count in counts.items()}, over=over)


def ready(plan: Plan) -> list[Step]:
    """The steps that may begin, in their order."""
    return [step for step in plan.steps if step.state is StepState.READY]


# -- what follows -----------------------------------------------------------------------------------------------------


def settled(steps: Sequence[Step]) -> list[Step]:
    """The same steps, with every state that follows from others worked out. Raises Invalid (`check`)."""
    by_id = {step.id: step for step in steps}
    for id_ in _in_order(steps):
        by_id[id_] = _following(by_id[id_], by_id)
    return [by_id[step.id] for step in steps]


def _following(step: Step, by_id: Mapping[str, Step]) -> Step:
    if step.state not in FOLLOWS and not step.because:
        return step
    needed = [by_id[id_] for id_ in step.depends_on]
    lost = next((each for each in needed if each.state in IN_VAIN), None)
    if lost is not None:
        return replace(step, state=StepState.SKIPPED, because=lost.because or lost.id)
    done = all(each.state is StepState.DONE for each in needed)
    return replace(step, state=StepState.READY if done else StepState.PENDING, because="")


def _in_order(steps: Sequence[Step]) -> list[str]:
    """Their ids, each after those that it depends on. Raises Invalid: one is not there, or they wait in a circle."""
    names = {step.id for step in steps}
    for step in steps:
        for id_ in step.depends_on:
            if id_ not in names:
                fix = "add that one with it, or before it"
                raise Invalid(f"{step.id!r} depends on {id_!r}, which is no step", fix=fix, param="depends_on")
    try:
        return list(TopologicalSorter({step.id: step.depends_on for step in steps}).static_order())
    except CycleError as error:
        circle = list(reversed(error.args[1]))
        shown = ", ".join(f"{one!r} needs {other!r}" for one, other in pairwise(circle))
        fix = "leave one of these out"
        raise Invalid(f"the steps wait for each other: {shown}", fix=fix, param="depends_on") from None


# -- changes ----------------------------------------------------------------------------------------------------------


def begun(plan: Plan, title: str, steps: Sequence[NewStep]) -> PlanChanged:
    """The first change of a plan (`version` 0, no steps). Raises Invalid."""
    return PlanChanged(plan.id, plan.version + 1, title, tuple(_with_new((), steps)))


def added(plan: Plan, steps: Sequence[NewStep], before: str | None = None) -> PlanChanged:
    """More steps: at the end of the list, or before this one. Raises Invalid, NotFound."""
    after = _with_new(plan.steps, steps)
    new = {step.id for step in steps}
    order: tuple[str, ...] = ()
    if before is not None:
        ids = [step.id for step in plan.steps]
        at = ids.index(plan.step(before).id)
        order = (*ids[:at], *(step.id for step in steps), *ids[at:])
    fresh = tuple(step for step in after if step.id in new)
    return PlanChanged(plan.id, plan.version + 1, UNSET, fresh, order, _differences(plan.steps, after))


def _with_new(old: Sequence[Step], new: Sequence[NewStep]) -> list[Step]:
    """Old and new steps, settled. Raises Invalid."""
    names = {step.id for step in old}
    for step in new:
        if step.id in names:
            raise Invalid(f"there is a step {step.id!r} already", fix="choose another id", param="id")
        names.add(step.id)
    if len(names) > MOST_STEPS:
        raise Invalid(f"a plan has {MOST_STEPS} steps at most", fix="put some of them together", param="steps")
    return settled([*old, *(Step(**_said(step)) for step in new)])


def reordered(plan: Plan, order: Sequence[str]) -> PlanChanged | None:
    """The steps in another order. Raises Invalid where `order` has not each of them once."""
    ids = [step.id for step in plan.steps]
    if sorted(order) != sorted(ids):
        odd = next(iter({*order} ^ {*ids}), "one of them twice")
        raise Invalid(f"the order must have each step once: see {odd!r}", fix="name them all", param="order")
    return None if list(order) == ids else PlanChanged(plan.id, plan.version + 1, order=tuple(order))


def retitled(plan: Plan, title: str) -> PlanChanged | None:
    """The plan under another title."""
    return None if title == plan.title else PlanChanged(plan.id, plan.version + 1, title)


def updated(plan: Plan, id: str, wanted: StepUpdate) -> PlanChanged | None:
    """One step as somebody wants it, and what follows from that for others.

    Raises NotFound, VersionConflict, Invalid, and Conflict for what cannot be said of it in its state.
    """
    step = plan.step(id)
    check_version(plan, None if wanted.version is UNSET else wanted.version)
    after = settled([_wanted(each, wanted, plan) if each.id == step.id else each for each in plan.steps])
    return _changed(plan, after)


def check_version(plan: Plan, expected: int | None) -> None:
    """Raises VersionConflict."""
    if expected not in (None, plan.version):
        raise VersionConflict(f"the plan is in version {plan.version}, not {expected}", fix="read it again")


def _wanted(step: Step, wanted: StepUpdate, plan: Plan) -> Step:
    said = _said(wanted, "version")
    state = said.pop("state", step.state)
    step = _turned(step, state, plan)
    _check_fields(step, said)
    return replace(step, **said)


def _turned(step: Step, state: StepState, plan: Plan) -> Step:
    """The step after this was said of it. Raises Conflict."""
    if state is step.state:
        return step
    if step.because:
        fix = f"take {step.because!r} up again, or change what this depends on"
        raise Conflict(f"{step.id!r} is skipped since {step.because!r} is not done", fix=fix, code="step_state")
    if state not in TABLE[step.state]:
        raise Conflict(f"{step.id!r} is {step.state}: it cannot be {state}", fix=_ways(step, plan), code="step_state")
    if state is StepState.READY:  # taken up again: of what was, nothing holds any more
        return Step(step.id, step.title, step.instructions, step.agent, step.depends_on)
    return replace(step, state=state)


def _ways(step: Step, plan: Plan) -> str:
    waits = [id_ for id_ in step.depends_on if plan.step(id_).state is not StepState.DONE]
    takes = ", ".join(sorted(TABLE[step.state]))
    if waits:
        return f"it waits for {', '.join(waits)}"
    return f"it can be {takes}" if takes else "add another step"


_WRITING = ("instructions", "agent", "depends_on")


def _check_fields(step: Step, said: Mapping[str, Any]) -> None:
    """Raises Conflict for a field that has no sense in this state."""
    written = next((name for name in _WRITING if name in said and said[name] != getattr(step, name)), None)
    if written is not None and step.state in (StepState.RUNNING, StepState.DONE):
        fix = "put it back first (state: ready)" if step.state is StepState.RUNNING else "add another step"
        raise Conflict(f"{step.id!r} is {step.state}: its {written} stay", fix=fix, code="step_state")
    if "session" in said and said["session"] != step.session and step.state is not StepState.RUNNING:
        raise Conflict("only a step that is running has a worker", fix="say `state: running` too", code="step_state")
    if step.state in FOLLOWS and (said.get("result") or said.get("artifact")):
        raise Conflict(f"{step.id!r} is {step.state}: it has no result", fix="say what it is now", code="step_state")


def worker_ended(plan: Plan, session: str, detail: str) -> PlanChanged | None:
    """The steps that this worker was doing have failed: it is over, and has not said that they are done."""
    return _all(
        plan, lambda step: step.state is StepState.RUNNING and step.session == session, StepState.FAILED, detail
    )


def ended(plan: Plan, detail: str) -> PlanChanged | None:
    """Whoever does the plan is over: nothing more will come of what is open."""
    return _all(plan, lambda step: step.state in OPEN, StepState.CANCELLED, detail)


def _all(plan: Plan, which: Callable[[Step], bool], state: StepState, detail: str) -> PlanChanged | None:
    turned = [replace(step, state=state, detail=detail) if which(step) else step for step in plan.steps]
    return _changed(plan, settled(turned))


def _changed(plan: Plan, after: Sequence[Step]) -> PlanChanged | None:
    changes = _differences(plan.steps, after)
    return PlanChanged(plan.id, plan.version + 1, changed=changes) if changes else None


def _differences(before: Sequence[Step], after: Sequence[Step]) -> tuple[StepChange, ...]:
    now = {step.id: step for step in after}
    changes: list[StepChange] = []
    for old in before:
        new = asdict(now[old.id])
        different = {name: new[name] for name, value in asdict(old).items() if new[name] != value}
        if different:
            changes.append(StepChange(old.id, **different))
    return tuple(changes)
