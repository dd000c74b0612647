"""Which names and links of an archive are taken."""

import posixpath
import tarfile

import pytest
from hypothesis import given
from hypothesis import strategies as st

from penstock.agents.sandboxes.archive import check_member, parts_of, stays_below
from penstock.agents.sandboxes.driver import UnsafeArchive


@pytest.mark.parametrize(
    ("name", "parts"), [("a", ("a",)), ("./a//b/.", ("a", "b")), (".", ()), ("./", ()), ("..a", ("..a",))]
)
def test_plain_names(name: str, parts: tuple[str, ...]) -> None:
    assert parts_of(name) == parts


@pytest.mark.parametrize(
    "name", ["", "/", "/a", "//a", "..", "../a", "a/..", "a/../../b", "a/../b", "a\0b", "x" * 5000]
)
def test_names_that_are_refused(name: str) -> None:
    with pytest.raises(UnsafeArchive):
        parts_of(name)


@given(st.text(alphabet="./a\0", max_size=12))
def test_a_name_is_taken_only_if_it_stays(name: str) -> None:
    try:
        parts = parts_of(name)
    except UnsafeArchive:
        return
    assert not posixpath.normpath(posixpath.join("/top", name)).removeprefix("/top").startswith("..")
    assert all(part not in ("", ".", "..") and "/" not in part for part in parts)


@given(st.lists(st.sampled_from(["a", "b", ".."]), min_size=1, max_size=8), st.integers(1, 4))
def test_a_link_that_is_taken_stays_below_by_its_letters(steps: list[str], depth: int) -> None:
    parts = ("d",) * depth
    if stays_below(parts, "/".join(steps)):
        reached = posixpath.normpath(posixpath.join(*parts[:-1], *steps))
        assert reached != ".." and not reached.startswith("../")


@pytest.mark.parametrize("target", ["", "/", "/etc", "..", "a/../b", "up/../x", "a\0", "../../x"])
def test_links_that_are_refused(target: str) -> None:
    assert not stays_below(("link",), target)


@pytest.mark.parametrize(
    ("parts", "target"), [(("l",), "a/b"), (("a", "l"), ".."), (("a", "b", "l"), "../../c"), (("l",), ".")]
)
def test_links_that_stay(parts: tuple[str, ...], target: str) -> None:
    assert stays_below(parts, target)


def test_a_sparse_file_is_refused() -> None:
    member = tarfile.TarInfo("file")
    member.type = tarfile.GNUTYPE_SPARSE
    member.sparse = [(0, 1)]  # type: ignore[assignment] # that is what it becomes
    with pytest.raises(UnsafeArchive, match="sparse"):
        check_member(member, links=True)
