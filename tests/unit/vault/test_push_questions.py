"""Questions about pushes: the exact rule, one answer for all who wait, a yes used up at once, a no that stays."""

import asyncio
from collections.abc import Callable

import msgspec
import pytest

from penstock.vault.git import RefUpdate
from penstock.vault.push_questions import PushQuestions, described, granted, wanted
from penstock.vault.rules import Binding, Rule, parse_binding
from penstock.vault.values import Refusal

HTTPS = parse_binding("* https://git.example.com:443/team/* basic:password refs=refs/heads/agent/*", "FORGE")
SSH = parse_binding("git-receive-pack ssh://git@git.example.com:22/team/* ssh refs=refs/heads/agent/*", "KEY")
PLACE = Rule(("POST",), "https", "git.example.com", 443, "/team/app.git/git-receive-pack")
NO = Refusal("ref_not_allowed", "This session may not create refs/heads/fix; it may push refs/heads/agent/*.")
ZERO, OLD, NEW = "0" * 40, "1" * 40, "2" * 40


def create(ref: str = "refs/heads/fix") -> RefUpdate:
    return RefUpdate(ref, ZERO, NEW)


def update(ref: str = "refs/heads/fix") -> RefUpdate:
    return RefUpdate(ref, OLD, NEW)


def delete(ref: str = "refs/heads/fix") -> RefUpdate:
    return RefUpdate(ref, OLD, ZERO)


def rule(*updates: RefUpdate, place: Rule = PLACE) -> Binding:
    found = wanted(HTTPS, place, updates or [create()])
    assert found is not None
    return found


# -- what is asked ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("updates", "refs"),
    [
        ([create()], "refs/heads/fix:create+update"),
        ([update()], "refs/heads/fix:update"),
        ([delete()], "refs/heads/fix:delete"),
        ([create(), delete("refs/tags/v1")], "refs/heads/fix:create+update,refs/tags/v1:delete"),
    ],
    ids=["create", "update", "delete", "both"],
)
def test_the_rule_is_the_bindings_for_this_repository_and_these_refs(updates: list[RefUpdate], refs: str) -> None:
    found = rule(*updates)
    assert str(found) == f"POST https://git.example.com:443/team/app.git/git-receive-pack basic:password refs={refs}"
    assert parse_binding(str(found), "FORGE") == found


def test_over_ssh_it_is_said_as_there() -> None:
    found = wanted(SSH, Rule(("git-receive-pack",), "ssh", "git.example.com", 22, "/team/app", "git"), [create()])
    assert str(found) == "git-receive-pack ssh://git@git.example.com:22/team/app ssh refs=refs/heads/fix:create+update"


@pytest.mark.parametrize(
    "ref",
    ["refs/heads/a,refs/heads/main", "refs/heads/a\u202eb", "refs/heads/a\u00a0b", "refs/heads/" + "x" * 3000],
    ids=["two in one", "turned around", "a space that is none", "too long"],
)
def test_what_cannot_be_shown_exactly_is_not_asked(ref: str) -> None:
    assert wanted(HTTPS, PLACE, [create(ref)]) is None


def test_a_star_in_a_repositorys_name_does_not_stand_for_others() -> None:
    place = msgspec.structs.replace(PLACE, path="/team/*/git-receive-pack")
    assert wanted(HTTPS, place, [create()]) is None


def test_people_read_what_would_happen() -> None:
    found = rule(create(), update("refs/heads/main"))
    said = described(found, [create(), update("refs/heads/main")], HTTPS.refs)
    assert "git.example.com/team/app would create refs/heads/fix, update refs/heads/main (by force, perhaps" in said
    assert "the secret FORGE may push refs/heads/agent/* there" in said


# -- what is answered -------------------------------------------------------------------------------------------------


class Asking:
    """Questions, and which were put."""

    def __init__(self, seconds: float = 60.0) -> None:
        self.questions = PushQuestions(seconds)
        self.told: list[str] = []

    def push(self, *updates: RefUpdate, place: Rule = PLACE) -> "asyncio.Task[None]":
        asked = rule(*updates, place=place)
        wait = self.questions.ask(asked, updates or (create(),), NO, lambda: self.told.append(str(asked)))
        return asyncio.ensure_future(wait)

    async def answered(self, allowed: bool, remember: bool, *pushes: "asyncio.Task[None]") -> None:
        await asyncio.sleep(0)
        self.questions.answer(self.told[-1], allowed=allowed, remember=remember)
        await asyncio.gather(*pushes)

    def missing(self, *updates: RefUpdate) -> list[RefUpdate]:
        return self.questions.missing(HTTPS, PLACE, updates)


def run(test: Callable[[], object]) -> None:
    asyncio.run(test())  # type: ignore[arg-type]


def test_two_who_push_the_same_ask_once_and_a_yes_is_used_up() -> None:
    async def test() -> None:
        there = Asking()
        await there.answered(True, False, there.push(), there.push())
        assert len(there.told) == 1
        assert there.missing(create()) == [create()]
        await there.answered(True, False, there.push())
        assert len(there.told) == 2

    run(test)


def test_a_yes_that_is_remembered_holds_for_what_the_rule_says_and_nothing_else() -> None:
    async def test() -> None:
        there = Asking()
        await there.answered(True, True, there.push())
        assert there.missing(create(), update()) == []
        others = [delete(), create("refs/heads/fix2"), create("refs/heads/fix/2")]
        assert there.missing(*others) == others
        elsewhere = msgspec.structs.replace(PLACE, path="/team/other.git/git-receive-pack")
        assert there.questions.missing(HTTPS, elsewhere, [create()]) == [create()]
        assert there.questions.missing(msgspec.structs.replace(HTTPS, secret="OTHER"), PLACE, [create()]) == [create()]
        there.questions.forget("FORGE")
        assert there.missing(create()) == [create()]

    run(test)


def test_what_was_allowed_before_a_session_was_opened_again_holds() -> None:
    texts = [str(rule()), "no rule", "GET https://git.example.com:443/x", str(rule()).partition(" refs=")[0]]
    questions = PushQuestions(60.0, granted(texts, ["FORGE", "OTHER"]))
    assert questions.missing(HTTPS, PLACE, [create(), update()]) == []
    assert questions.missing(HTTPS, PLACE, [delete()]) == [delete()]
    assert questions.missing(SSH, PLACE, [create()]) == [create()]


def test_a_no_that_is_remembered_is_one_to_whatever_does_the_same() -> None:
    async def test() -> None:
        there = Asking()
        with pytest.raises(Refusal, match="it was not allowed"):
            await there.answered(False, True, there.push())
        for updates in ([create()], [update()], [create(), create("refs/heads/more")]):
            with pytest.raises(Refusal, match="asked before, and said no"):
                await there.push(*updates)
        spelled = msgspec.structs.replace(PLACE, path="/team/app/git-receive-pack")
        with pytest.raises(Refusal, match="asked before"):
            await there.push(place=spelled)
        assert len(there.told) == 1
        await there.answered(True, False, there.push(delete()))
        await there.answered(True, False, there.push(create("refs/heads/more")))

    run(test)


def test_a_no_to_two_at_once_is_none_to_one_of_them() -> None:
    async def test() -> None:
        there = Asking()
        with pytest.raises(Refusal):
            await there.answered(False, True, there.push(create(), create("refs/heads/more")))
        await there.answered(True, False, there.push(create()))

    run(test)


def test_silence_is_a_no_that_is_not_remembered() -> None:
    async def test() -> None:
        there = Asking(0.0)
        for _ in range(2):
            with pytest.raises(Refusal, match="nobody answered in time") as refused:
                await there.push()
            assert refused.value.code == "ref_not_allowed" and refused.value.reason.startswith(NO.reason)
        assert len(there.told) == 2
        there.questions.answer(there.told[0], allowed=True, remember=False)  # too late
        assert there.missing(create()) == [create()]

    run(test)


def test_who_leaves_takes_nobody_along() -> None:
    async def test() -> None:
        there = Asking()
        first, second = there.push(), there.push()
        await asyncio.sleep(0)
        first.cancel()
        await there.answered(True, False, second)
        assert first.cancelled() and len(there.told) == 1

    run(test)


def test_who_asks_for_everything_is_not_asked_about_any_more() -> None:
    async def test() -> None:
        there = Asking(0.0)
        for number in range(60):
            with pytest.raises(Refusal) as refused:
                await there.push(create(f"refs/heads/b{number}"))
        assert "asked too often" in refused.value.reason
        assert len(there.told) == 50

    run(test)
