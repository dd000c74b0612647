"""What every agents' store must do: subclass `AgentStoreContract`, give it a `store` fixture, and all of this is
tested.
"""

import hashlib
import os
import threading
from collections.abc import Iterator
from datetime import timedelta
from decimal import Decimal
from typing import Any

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from penstock.agents import ids, plans
from penstock.agents.approvals import MOST_OPEN
from penstock.agents.errors import (
    AgentsError,
    Conflict,
    IllegalTransition,
    Invalid,
    KeyReused,
    NotFound,
    ProducerGap,
    ProducerMismatch,
    TooLarge,
    TooMany,
    VersionConflict,
)
from penstock.agents.events import (
    ApprovalRequested,
    Cost,
    Draft,
    Move,
    Text,
    ToolResult,
    UserMessage,
    WorkerChanged,
)
from penstock.agents.log import Source, replayed, unused
from penstock.agents.machine import Cause, Reason, State
from penstock.agents.plans import NewStep, Plan, PlanChanged, StepState, StepUpdate
from penstock.agents.store.base import AgentStore, Once, SessionFilter
from penstock.agents.types import (
    Agent,
    AgentSpec,
    Amounts,
    Approval,
    Ask,
    Environment,
    EnvironmentSpec,
    Fork,
    Limits,
    Principal,
    Resources,
    Sandbox,
    Session,
    Token,
)
from tests.support.agents import NOON, TO_IDLE, TO_RUNNING, new_session

FULL_AGENT = AgentSpec(
    name="fixer ü", harness="loop", description="fixes", model="demo", system="be\nkind", tools={"shell": "ask"},
    credentials=("GITHUB",), budget=Limits(60, 3600, 10, Decimal("1.000000000001"), 5, 2**40, 3, "terminate"),
    options={"command": ["a", {"b": None}]},
)  # fmt: skip
FULL_ENVIRONMENT = EnvironmentSpec(
    name="laptop", description="here", image="debian", packages={"npm": ("x",)}, egress=("GET https://h:443/*",),
    resources=Resources(2**30, 2**32, 64, 1.5), setup=("make",), variables={"A": "b"}, isolation="weak",
)  # fmt: skip


def agent(name: str = "a", owner: str = "alice", spec: AgentSpec | None = None) -> Agent:
    made = spec or AgentSpec(name=name, harness="loop")
    return Agent(ids.mint(ids.AGENT, NOON, os.urandom), owner, 1, made, NOON, NOON, "tok")


def new_plan(session: Session, id: str | None = None) -> Plan:
    return Plan(
        id=id or ids.mint(ids.PLAN, NOON, os.urandom), owner="alice", session=session.id, created_at=NOON,
        updated_at=NOON,
    )  # fmt: skip


def add_plan(store: AgentStore, session: Session, **needs: str) -> Plan:
    """A plan of these steps: name="those that it needs"."""
    plan = new_plan(session)
    steps = [NewStep(name, name, depends_on=tuple(words.split())) for name, words in needs.items()]
    return store.add_plan(plan, plans.begun(plan, "A plan", steps), at=NOON)


def states(store: AgentStore, plan: Plan) -> dict[str, str]:
    found = store.plan(plan.id)
    assert found is not None
    return {step.id: step.state for step in found.steps}


def approval(session: Session, rule: str = "GET https://h:443/*", **fields: Any) -> Approval:
    at = fields.pop("at", NOON)
    made = Approval(
        id=ids.mint(ids.APPROVAL, at, os.urandom), owner=session.owner, session=session.id,
        ask=Ask("egress", "may I?", rule, {"why": ["x"]}), asked_at=at, expires_at=at + timedelta(seconds=60),
    )  # fmt: skip
    return replace(made, **fields)


def once(key: str = "k", request: str = "r", owner: str = "alice") -> Once:
    return Once(owner, key, hashlib.sha256(request.encode()).hexdigest(), NOON)


def texts(store: AgentStore, session: Session) -> list[str]:
    return [each.event.data.text for each in store.events(session.id, kinds=["text"])]  # type: ignore[union-attr]


def check_log(store: AgentStore, id_: str) -> Session:
    """The numbers have no gap, and the row is the fold of the log."""
    session = store.session(id_)
    assert session is not None
    events, after = [], 0
    while page := store.events(id_, after, 100):
        events += [each.event for each in page]
        after = page[-1].number
    assert [event.number for event in events] == list(range(1, session.last_event + 1))
    assert replayed(unused(session), events) == session
    return session


class AgentStoreContract:
    """The contract. A subclass gives `store`: a new, empty one for each test."""

    @pytest.fixture
    def store(self) -> Iterator[AgentStore]:
        raise NotImplementedError

    @pytest.fixture
    def session(self, store: AgentStore) -> Session:
        return store.add_session(new_session())

    # -- agents and environments --------------------------------------------------------------------------------------

    def test_definitions_come_back_as_they_were(self, store: AgentStore) -> None:
        one = agent(spec=FULL_AGENT)
        other = Environment(ids.mint(ids.ENVIRONMENT, NOON, os.urandom), "alice", 1, FULL_ENVIRONMENT, NOON, NOON, "")
        assert store.add_definition("agent", one) == one
        store.add_definition("environment", other)
        assert store.definition("agent", one.id) == store.definition("agent", one.id, 1) == one
        assert store.definition("environment", other.id) == other
        assert store.definition("environment", one.id) is None
        assert store.definition("agent", one.id, 2) is None

    def test_each_change_is_a_version_and_none_ever_changes(self, store: AgentStore) -> None:
        first = store.add_definition("agent", agent())
        later = NOON + timedelta(seconds=1)

        def change(model: str, **more: Any) -> Any:
            return store.change_definition(
                "agent", first.id, lambda spec: replace(spec, model=model), expected=more.get("expected"), at=later,
                by="me",
            )  # fmt: skip

        second = change("m2")
        assert (second.version, second.spec.model, second.created_at, second.updated_at) == (2, "m2", NOON, later)
        assert change("m2") == second, "nothing changes"
        third = change("m3", expected=2)
        with pytest.raises(VersionConflict, match="its newest version is 3, not 2"):
            change("m4", expected=2)
        assert [store.definition("agent", first.id, number) for number in (1, 2, 3)] == [first, second, third]
        assert store.versions("agent", first.id) == [third, second, first]
        assert store.versions("agent", first.id, before=3, limit=1) == [second]

    def test_archived_ones_change_no_more(self, store: AgentStore) -> None:
        one = store.add_definition("agent", agent())
        archived = store.archive_definition("agent", one.id, at=NOON)
        assert archived.archived_at == NOON
        assert store.archive_definition("agent", one.id, at=NOON + timedelta(days=1)) == archived
        with pytest.raises(Conflict, match="archived"):
            store.change_definition("agent", one.id, lambda spec: spec, expected=None, at=NOON, by="")
        assert store.definitions("agent", "alice").data == []
        assert store.definitions("agent", "alice", archived=True).data == [archived]

    def test_what_is_not_there(self, store: AgentStore) -> None:
        with pytest.raises(NotFound):
            store.archive_definition("agent", "agt_x", at=NOON)
        with pytest.raises(NotFound):
            store.change_definition("agent", "agt_x", lambda spec: spec, expected=None, at=NOON, by="")
        with pytest.raises(NotFound):
            store.append("ses_x", [Text("a")], at=NOON)
        with pytest.raises(NotFound):
            store.decide("apr_x", "denied", at=NOON, by="")
        with pytest.raises(NotFound):
            store.revoke_token("tok_x", NOON)
        with pytest.raises(NotFound):
            store.set_sandbox("ses_x", None)
        assert (store.session("ses_x"), store.approval("apr_x"), store.token("tok_x")) == (None, None, None)

    def test_pages_are_newest_first_and_hold_every_row_once(self, store: AgentStore) -> None:
        made = [
            store.add_session(
                new_session(NOON + timedelta(milliseconds=number), owner="alice" if number % 3 else "bob")
            )
            for number in range(20)
        ]
        own = [each for each in made if each.owner == "alice"][::-1]
        found, cursor = [], None
        while True:
            page = store.sessions(SessionFilter(owner="alice"), cursor=cursor, limit=4)
            found += page.data
            cursor = page.next
            if cursor is None:
                break
            assert len(page.data) == 4
        assert found == own

    def test_filters_of_sessions(self, store: AgentStore) -> None:
        boss = store.add_session(new_session())
        worker = store.add_session(new_session(parent=boss.id))
        other = store.add_session(new_session(owner="bob"))
        store.append(other.id, [Move(Cause.TERMINATE, Reason.USER)], at=NOON)

        def found(**which: Any) -> set[str]:
            return {each.id for each in store.sessions(SessionFilter(**which)).data}

        assert found() == {boss.id, worker.id, other.id}
        assert found(parent=boss.id) == {worker.id}
        assert found(sees=boss.id) == {boss.id, worker.id}
        assert found(sees=worker.id) == {worker.id}
        assert found(state=State.TERMINATED) == found(owner="bob") == {other.id}
        assert found(agent="agt") == found() and found(agent="agt_other") == set()
        assert [each.id for each in store.living()] == sorted([boss.id, worker.id])

    # -- sessions and their logs
    # ------------------------------------------------------------------------------------------

    def test_a_session_begins_with_its_drafts(self, store: AgentStore) -> None:
        made = store.add_session(new_session(), [UserMessage("hello")])
        assert [each.kind for each in store.events(made.id)] == ["status", "user_message"]
        assert check_log(store, made.id) == made

    def test_a_check_sees_the_workers_and_may_refuse(self, store: AgentStore, session: Session) -> None:
        worker = store.add_session(new_session(parent=session.id))
        seen: list[Session] = []

        def refuse(parent: Session, workers: Any) -> None:
            assert parent == store.session(session.id)
            seen.extend(workers)
            raise Conflict("no")

        with pytest.raises(Conflict):
            store.add_session(new_session(parent=session.id), check=refuse)
        assert seen == [worker]
        assert len(store.living()) == 2

    def test_events_are_numbered_and_written_in_their_order(self, store: AgentStore, session: Session) -> None:
        done = store.append(session.id, [*TO_IDLE, Text("a"), Text("b")], at=NOON)
        assert [event.number for event in done.events] == [2, 3, 4, 5]
        assert done.session == check_log(store, session.id)
        assert [each.number for each in store.events(session.id, 2, 2)] == [3, 4]
        assert texts(store, session) == ["a", "b"]
        assert store.events("ses_x") == []

    def test_a_failed_append_leaves_nothing(self, store: AgentStore, session: Session) -> None:
        with pytest.raises(IllegalTransition):
            store.append(session.id, [Text("a"), Move(Cause.READY)], at=NOON)
        with pytest.raises(TooLarge):
            store.append(session.id, [Text("a"), Text("x" * 300_000)], at=NOON)
        assert check_log(store, session.id).last_event == 1

    def test_time_does_not_go_back_within_a_log(self, store: AgentStore, session: Session) -> None:
        store.append(session.id, [Text("a")], at=NOON + timedelta(seconds=5))
        done = store.append(session.id, [Text("b")], at=NOON)
        assert done.events[0].at == NOON + timedelta(seconds=5)

    def test_a_sandbox_is_remembered_beside_the_log(self, store: AgentStore, session: Session) -> None:
        box = Sandbox("local", "b1", "strict", "w1")
        assert store.set_sandbox(session.id, box).sandbox == box
        store.append(session.id, TO_RUNNING, at=NOON)
        assert check_log(store, session.id).sandbox == box
        gone = store.set_sandbox(session.id, None)
        assert (gone.sandbox, gone.driver, gone.isolation) == (None, "local", "strict"), "what it had is remembered"
        assert check_log(store, session.id) == gone

    # -- exactly once
    # -------------------------------------------------------------------------------------------------------

    def test_what_is_repeated_is_written_once(self, store: AgentStore, session: Session) -> None:
        drafts: list[Draft] = [*TO_RUNNING, Text("a"), ToolResult("c", "x")]
        first = store.append(session.id, drafts, at=NOON, source=Source("run-1", 1))
        again = store.append(session.id, drafts, at=NOON + timedelta(seconds=1), source=Source("run-1", 1))
        assert (again.events, again.session) == (first.events, first.session)
        more = store.append(session.id, [*drafts[3:], Text("b")], at=NOON, source=Source("run-1", 4))
        assert [event.number for event in more.events] == [5, 6, 7]
        assert texts(store, session) == ["a", "b"]
        assert store.produced(session.id, "run-1") == 6
        assert store.produced(session.id, "run-2") == 0
        check_log(store, session.id)

    def test_a_gap_is_refused(self, store: AgentStore, session: Session) -> None:
        store.append(session.id, [Text("a")], at=NOON, source=Source("p", 1))
        with pytest.raises(ProducerGap, match="hand in 2 to 4 first"):
            store.append(session.id, [Text("e")], at=NOON, source=Source("p", 5))
        with pytest.raises(ProducerGap):
            store.append(session.id, [Text("b")], at=NOON, source=Source("new", 2))

    def test_another_event_under_the_same_number_is_refused(self, store: AgentStore, session: Session) -> None:
        store.append(session.id, [Text("a"), Text("b")], at=NOON, source=Source("p", 1))
        with pytest.raises(ProducerMismatch):
            store.append(session.id, [Text("a"), Text("x"), Text("c")], at=NOON, source=Source("p", 1))
        assert texts(store, session) == ["a", "b"]

    def test_events_that_follow_by_themselves_have_no_number_of_the_producer(
        self, store: AgentStore, session: Session
    ) -> None:
        store.append(session.id, TO_RUNNING, at=NOON, source=Source("p", 1))
        store.ask(approval(session))
        stop: list[Draft] = [Move(Cause.SUSPEND, Reason.USER), Cost(Decimal(1))]
        first = store.append(session.id, stop, at=NOON, source=Source("p", 4))
        assert store.append(session.id, stop, at=NOON, source=Source("p", 4)).events == first.events
        assert check_log(store, session.id).usage.dollars == 1

    @settings(max_examples=30, deadline=None, suppress_health_check=list(HealthCheck))
    @given(st.lists(st.tuples(st.integers(0, 12), st.integers(1, 5)), max_size=25))
    def test_any_repetition_of_any_part(self, store: AgentStore, parts: list[tuple[int, int]]) -> None:
        session = store.add_session(new_session())
        said = 0
        for start, length in parts:
            first = max(min(start, said), 0) + 1
            drafts = [Text(str(number)) for number in range(first, first + length)]
            store.append(session.id, drafts, at=NOON, source=Source("p", first))
            said = max(said, first + length - 1)
        assert texts(store, session) == [str(number) for number in range(1, said + 1)]
        check_log(store, session.id)

    def test_many_writers_at_once(self, store: AgentStore) -> None:
        made = [store.add_session(new_session()) for _ in range(4)]
        errors: list[BaseException] = []

        def write(name: str, session: Session) -> None:
            try:
                for number in range(1, 26):
                    drafts = [Text(f"{name} {number}")]
                    futures = [
                        store.append_soon(session.id, drafts, at=NOON, source=Source(name, number)) for _ in range(2)
                    ]
                    assert len({future.result().events[0].number for future in futures}) == 1
            except BaseException as error:
                errors.append(error)

        threads = [threading.Thread(target=write, args=(f"w{n}", made[n % 4])) for n in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert errors == []
        for number, session in enumerate(made):
            check_log(store, session.id)
            found = texts(store, session)
            for name in (f"w{number}", f"w{number + 4}"):
                assert [text for text in found if text.startswith(f"{name} ")] == [f"{name} {n}" for n in range(1, 26)]

    def test_who_listens_hears_of_every_commit(self, store: AgentStore, session: Session) -> None:
        heard: dict[str, int] = {}
        store.listen(heard.update)
        before = store.generation()
        store.append(session.id, [Text("a"), Text("b")], at=NOON)
        store.close()
        assert heard == {session.id: 3}
        assert before >= 0

    def test_last_events(self, store: AgentStore, session: Session) -> None:
        assert store.last_events([session.id, "ses_x"]) == {session.id: 1}
        assert store.last_events([]) == {}

    # -- forks
    # ------------------------------------------------------------------------------------------------------------

    def test_a_fork_shares_the_first_events_and_goes_its_own_way(self, store: AgentStore, session: Session) -> None:
        store.append(session.id, [*TO_RUNNING, UserMessage("a"), Text("b"), Text("c")], at=NOON, source=Source("p", 1))
        store.append(session.id, [Cost(Decimal(3))], at=NOON)
        fork = store.fork_session(
            new_session(NOON + timedelta(hours=1), forked_from=Fork(session.id, 6)), [UserMessage("other")]
        )
        assert [each.json for each in store.events(fork.id)[:6]] == [each.json for each in store.events(session.id)[:6]]
        assert [each.kind for each in store.events(fork.id, 6)] == ["status", "user_message"]
        assert (fork.state, fork.last_event, fork.usage.dollars, fork.has_message) == (
            State.CREATED,
            8,
            Decimal(0),
            True,
        )
        check_log(store, fork.id)
        store.append(fork.id, [*TO_RUNNING, Text("mine")], at=NOON, source=Source("p", 1))
        assert texts(store, session) == ["b", "c"] and texts(store, fork) == ["b", "mine"]
        assert check_log(store, session.id).last_event == 8
        again = store.fork_session(new_session(forked_from=Fork(fork.id, 1)))
        assert check_log(store, again.id).last_event == 2

    @pytest.mark.parametrize("number", [0, 2, -1])
    def test_a_fork_at_no_event(self, store: AgentStore, session: Session, number: int) -> None:
        with pytest.raises(Invalid, match="choose one from 1 to 1"):
            store.fork_session(new_session(forked_from=Fork(session.id, number)))
        with pytest.raises(NotFound):
            store.fork_session(new_session(forked_from=Fork("ses_x", 1)))
        assert len(store.living()) == 1

    # -- approvals
    # --------------------------------------------------------------------------------------------------------

    def test_a_question_and_its_answer(self, store: AgentStore, session: Session) -> None:
        store.append(session.id, TO_RUNNING, at=NOON)
        asked = store.ask(approval(session))
        assert asked.new and store.approval(asked.approval.id) == asked.approval
        waiting = store.session(session.id)
        assert waiting is not None and (waiting.state, waiting.open_approvals) == (State.WAITING_FOR_APPROVAL, 1)
        later = NOON + timedelta(seconds=5)
        answer = store.decide(asked.approval.id, "denied", at=later, by="tok", remember=True, note="no")
        assert answer == replace(
            asked.approval, decision="denied", decided_at=later, decided_by="tok", remember=True, note="no"
        )
        with pytest.raises(Conflict, match="denied already"):
            store.decide(asked.approval.id, "approved", at=later, by="tok")
        assert check_log(store, session.id).state is State.RUNNING
        kinds = [each.kind for each in store.events(session.id, 4)]
        assert kinds == ["approval_requested", "status", "approval_decided", "status"]

    def test_a_denial_is_remembered(self, store: AgentStore, session: Session) -> None:
        first = store.ask(approval(session)).approval
        denied = store.decide(first.id, "denied", at=NOON, by="tok", remember=True)
        again = store.ask(approval(session, at=NOON + timedelta(minutes=2)))
        assert (again.new, again.approval) == (False, denied)
        assert store.ask(approval(session, "GET https://other:443/*")).new
        other = store.add_session(new_session())
        assert store.ask(approval(other)).new, "in another session it is another question"

    def test_nobody_is_asked_without_end(self, store: AgentStore, session: Session) -> None:
        for number in range(MOST_OPEN):
            store.ask(approval(session, f"GET https://h{number}:443/*"))
        assert not store.ask(approval(session, "GET https://h0:443/*")).new
        with pytest.raises(TooMany):
            store.ask(approval(session, "GET https://h:443/*"))
        assert len(store.approvals(session=session.id).data) == MOST_OPEN

    def test_time_out(self, store: AgentStore, session: Session) -> None:
        asked = store.ask(approval(session)).approval
        with pytest.raises(Conflict, match="not over"):
            store.decide(asked.id, "expired", at=NOON, by="")
        with pytest.raises(Conflict, match="which means no"):
            store.decide(asked.id, "approved", at=asked.expires_at, by="tok")
        assert store.decide(asked.id, "expired", at=asked.expires_at, by="").decision == "expired"
        assert check_log(store, session.id).open_approvals == 0

    def test_what_ends_a_turn_withdraws_its_questions(self, store: AgentStore, session: Session) -> None:
        store.append(session.id, TO_RUNNING, at=NOON)
        asked = store.ask(approval(session)).approval
        store.append(session.id, [Move(Cause.TERMINATE, Reason.USER)], at=NOON)
        found = store.approval(asked.id)
        assert found is not None and found.decision == "withdrawn"
        assert store.approvals(is_open=True).data == []
        with pytest.raises(AgentsError):
            store.ask(approval(session, "GET https://new:443/*"))
        check_log(store, session.id)

    def test_questions_are_not_appended(self, store: AgentStore, session: Session) -> None:
        with pytest.raises(Invalid, match=r"AgentStore\.ask"):
            store.append(session.id, [ApprovalRequested("a", "tool", "x")], at=NOON)

    def test_lists_of_approvals(self, store: AgentStore, session: Session) -> None:
        worker = store.add_session(new_session(parent=session.id))
        bobs = store.add_session(new_session(owner="bob"))
        made = [store.ask(approval(each)).approval for each in (session, worker, bobs)]
        store.decide(made[0].id, "approved", at=NOON, by="")

        def found(**which: Any) -> set[str]:
            return {each.session for each in store.approvals(**which).data}

        assert found(owner="alice") == {session.id, worker.id}
        assert found(session=worker.id) == found(sees=worker.id) == {worker.id}
        assert found(sees=session.id) == {session.id, worker.id}
        assert found(is_open=True) == {worker.id, bobs.id}

    # -- workers and plans
    # ---------------------------------------------------------------------------------------------------

    def test_a_supervisors_log_tells_of_its_workers(self, store: AgentStore, session: Session) -> None:
        worker = store.add_session(new_session(parent=session.id, limits=Limits(dollars=Decimal(4), tokens=20)))
        assert check_log(store, session.id).lent == Amounts(dollars=Decimal(4), tokens=20)
        store.append(worker.id, [Cost(Decimal(1), 3, 4, 2, 50)], at=NOON)
        store.append(worker.id, [Move(Cause.TERMINATE, Reason.MONEY_LIMIT)], at=NOON)
        boss = check_log(store, session.id)
        assert (boss.lent, boss.spent_by_workers) == (Amounts(), Amounts(Decimal(1), 7, 2, 50))
        store.append(worker.id, [Cost(Decimal("0.25"))], at=NOON)
        told = [each.event.data for each in store.events(session.id, kinds=("worker",))]
        assert [each.change for each in told] == ["started", "ended", "cost"]  # type: ignore[union-attr]
        assert told[1].reason is Reason.MONEY_LIMIT  # type: ignore[union-attr]
        store.append(session.id, [Move(Cause.TERMINATE, Reason.USER)], at=NOON)
        store.append(worker.id, [Cost(Decimal("0.25"))], at=NOON)
        assert check_log(store, session.id).spent_by_workers.dollars == Decimal("1.5"), "it counts after the end, too"

    def test_nobody_says_what_only_the_store_knows(self, store: AgentStore, session: Session) -> None:
        made_up: list[Draft] = [WorkerChanged("ses_1", "started"), PlanChanged("pln_1", 1)]
        for draft in made_up:
            with pytest.raises(Invalid, match="are not appended"):
                store.append(session.id, [draft], at=NOON)

    def test_a_plan_is_the_fold_of_its_events(self, store: AgentStore, session: Session) -> None:
        plan = add_plan(store, session, a="", b="a")
        store.append(session.id, [Text("between")], at=NOON)
        store.change_plan(plan.id, lambda now: plans.updated(now, "a", StepUpdate(state=StepState.RUNNING)), at=NOON)
        last = store.session(session.id).last_event  # type: ignore[union-attr]
        same = store.change_plan(plan.id, lambda now: None, at=NOON)
        assert store.session(session.id).last_event == last, "what changes nothing is no event"  # type: ignore[union-attr]
        folded = new_plan(session, plan.id)
        for each in store.events(session.id, kinds=("plan",)):
            folded = plans.applied(folded, each.event.data, each.event.at)  # type: ignore[arg-type]
        assert folded == same == store.plan(plan.id) == store.plans(session=session.id).data[0]
        assert folded.version == 2
        check_log(store, session.id)

    def test_a_refused_change_of_a_plan_leaves_nothing(self, store: AgentStore, session: Session) -> None:
        plan = add_plan(store, session, a="")
        before = store.session(session.id)
        with pytest.raises(Conflict):
            store.change_plan(plan.id, lambda now: plans.updated(now, "a", StepUpdate(session="ses_1")), at=NOON)
        assert (store.plan(plan.id), store.session(session.id)) == (plan, before)
        with pytest.raises(NotFound):
            store.change_plan("pln_0", lambda now: plans.retitled(now, "x"), at=NOON)
        with pytest.raises(NotFound):
            add_plan(store, new_session())

    def test_ends_of_sessions_end_steps(self, store: AgentStore, session: Session) -> None:
        worker = store.add_session(new_session(parent=session.id))
        plan = add_plan(store, session, a="", b="a", c="")
        running = StepUpdate(state=StepState.RUNNING, session=worker.id)
        store.change_plan(plan.id, lambda now: plans.updated(now, "a", running), at=NOON)
        store.append(worker.id, [Move(Cause.FAIL, Reason.ERROR)], at=NOON)
        assert states(store, plan) == {"a": "failed", "b": "skipped", "c": "ready"}
        source = Source("p", 1)
        over: list[Draft] = [Text("last words"), Move(Cause.TERMINATE, Reason.COMPLETED)]
        for _ in range(2):  # a producer that says it twice has the same answer
            done = store.append(session.id, over, at=NOON, source=source)
            assert [each.kind for each in done.events] == ["text", "status"]
        assert states(store, plan) == {"a": "failed", "b": "skipped", "c": "cancelled"}
        assert check_log(store, session.id).state is State.TERMINATED
        with pytest.raises(Conflict, match="over"):
            store.change_plan(plan.id, lambda now: plans.retitled(now, "x"), at=NOON)

    def test_a_session_has_so_many_plans(self, store: AgentStore, session: Session) -> None:
        for _ in range(plans.MOST_PLANS):
            add_plan(store, session)
        with pytest.raises(Conflict, match="20 plans"):
            add_plan(store, session)
        assert len(store.plans(owner="alice").data) == plans.MOST_PLANS and not store.plans(owner="bob").data

    def test_tokens_end_with_their_session(self, store: AgentStore, session: Session) -> None:
        for name, of in (("own", session.id), ("other", None)):
            store.add_token(Token(id=name, owner="alice", name=name, scopes=(), created_at=NOON, session=of), name)
        store.append(session.id, [Move(Cause.TERMINATE, Reason.WALL_LIMIT)], at=NOON)
        assert store.token("own").revoked_at == NOON and store.token("other").revoked_at is None  # type: ignore[union-attr]

    # -- idempotency keys
    # ---------------------------------------------------------------------------------------------------

    def test_a_key_stands_for_one_request(self, store: AgentStore) -> None:
        first = store.add_session(new_session(), once=once())
        assert store.add_session(new_session(), once=once()) == first
        assert store.add_session(new_session(), once=once("other")) != first
        assert store.add_session(new_session(), once=once(owner="bob")) != first
        with pytest.raises(KeyReused):
            store.add_session(new_session(), once=once(request="another"))
        with pytest.raises(KeyReused):
            store.answered(once(request="another"))
        assert msgspec.json.decode(store.answered(once()) or b"", type=Session) == first
        assert len(store.living()) == 3

    def test_what_failed_may_be_tried_again(self, store: AgentStore, session: Session) -> None:
        with pytest.raises(IllegalTransition):
            store.append(session.id, [Move(Cause.READY)], at=NOON, once=once())
        store.append(session.id, [Move(Cause.START, Reason.STARTED)], at=NOON)
        done = store.append(session.id, [Move(Cause.READY)], at=NOON, once=once())
        assert store.append(session.id, [Move(Cause.READY)], at=NOON, once=once()) == done

    def test_every_write_takes_a_key(self, store: AgentStore, session: Session) -> None:
        one = agent()
        assert store.add_definition("agent", one, once("1")) == store.add_definition("agent", agent(), once("1")) == one
        asked = [store.ask(approval(session, f"GET https://h{n}:443/*"), once("2")) for n in range(2)]
        assert asked[0] == asked[1]
        id_ = asked[0].approval.id
        decided = [store.decide(id_, "denied", at=NOON, by="", once=once("3")) for _ in range(2)]
        assert decided[0] == decided[1]
        forks = [store.fork_session(new_session(forked_from=Fork(session.id, 1)), once=once("4")) for _ in range(2)]
        assert forks[0] == forks[1]
        gone = [store.archive_definition("agent", one.id, at=NOON, once=once("5")) for _ in range(2)]
        assert gone[0] == gone[1]

    def test_one_key_at_once(self, store: AgentStore) -> None:
        made: list[str] = []
        threads = [
            threading.Thread(target=lambda: made.append(store.add_session(new_session(), once=once()).id))
            for _ in range(8)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert len(set(made)) == 1 and len(made) == 8
        assert len(store.living()) == 1

    def test_old_keys_are_forgotten(self, store: AgentStore) -> None:
        first = store.add_session(new_session(), once=once())
        assert store.prune(NOON, NOON) == 0
        assert store.prune(NOON + timedelta(seconds=1), NOON) == 1
        assert store.add_session(new_session(), once=once()) != first

    # -- tokens and tickets
    # -------------------------------------------------------------------------------------------------

    def test_tokens(self, store: AgentStore, session: Session) -> None:
        one, other = (
            Token(id=ids.mint(ids.TOKEN, NOON, os.urandom), owner="alice", name="n", scopes=("sessions:read",),
                  created_at=NOON, expires_at=NOON, session=of)
            for of in (None, session.id)
        )  # fmt: skip
        store.add_token(one, "a" * 64)
        store.add_token(other, "b" * 64)
        assert store.token(one.id) == store.token_by_digest("a" * 64) == one
        assert store.token_by_digest("c" * 64) is None
        assert {each.id for each in store.tokens("alice").data} == {one.id, other.id}
        assert store.tokens("bob").data == []
        revoked = store.revoke_token(one.id, NOON)
        assert revoked.revoked_at == NOON
        assert store.revoke_token(one.id, NOON + timedelta(days=1)) == revoked
        assert store.revoke_session_tokens(session.id, NOON) == 1
        found = store.token(other.id)
        assert found is not None and found.revoked_at == NOON

    def test_a_ticket_stands_once_for_one_path(self, store: AgentStore) -> None:
        who, until = Principal("alice", frozenset({"sessions:read"}), "tok", "ses"), NOON + timedelta(seconds=30)
        for digest in "abcd":
            store.add_ticket(digest * 64, who, "/v1/x", until)
        assert store.take_ticket("a" * 64, "/v1/x", NOON) == who
        assert store.take_ticket("a" * 64, "/v1/x", NOON) is None
        assert store.take_ticket("b" * 64, "/v1/y", NOON) is None
        assert store.take_ticket("b" * 64, "/v1/x", NOON) is None, "it was shown at a wrong door"
        assert store.take_ticket("c" * 64, "/v1/x", until) is None
        assert store.prune(NOON, until + timedelta(seconds=1)) == 1
