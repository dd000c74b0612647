"""Stubs of other sessions: known while their session lives, and never one's own."""

from penstock.vault.neighbours import Neighbours


def test_a_stub_is_foreign_to_all_sessions_but_its_own() -> None:
    neighbours = Neighbours()
    assert not neighbours.are_in("a", b"anything") and neighbours.longest == 0
    neighbours.add("a", [b"stub-of-a-0001"])
    neighbours.add("b", [b"stub-of-b-0002-longer"])
    assert neighbours.are_in("b", b"xx stub-of-a-0001 yy") and not neighbours.are_in("a", b"xx stub-of-a-0001 yy")
    assert neighbours.are_in("c", b"stub-of-b-0002-longer") and neighbours.longest == 21
    neighbours.remove("a")
    assert not neighbours.are_in("b", b"stub-of-a-0001") and "stub" not in repr(neighbours).replace("stubs", "")
