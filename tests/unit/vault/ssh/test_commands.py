"""What a client asks for, and what a pattern covers: a table, and the property that no shell sees a second command."""

import re
import shlex

import pytest
from hypothesis import given
from hypothesis import strategies as st

from penstock.vault.ssh.commands import MAX_LINE, LineGate, asked, check_pattern, covers
from penstock.vault.ssh.terminator import explicit
from penstock.vault.values import Refusal


@pytest.mark.parametrize(
    ("pattern", "command", "expected"),
    [
        ("*", "anything; at $(all)", True),
        ("show *", "show version", True),
        ("show *", "show interfaces GigabitEthernet0/0", True),
        ("show *", "show ", False),
        ("show *", "show", False),
        ("show *", "SHOW version", False),
        ("show *", "show version;reload", False),
        ("show *", "show version\nreload", False),
        ("show *", "show version\r", False),
        ("show *", "show version ", True),
        ("show *", "show\tversion", False),
        ("show *", "show run | redirect tftp://evil", False),
        ("show * | include *", "show run | include ip", True),
        ("show * | include *", "show run | include ip | tee x", False),
        ("show interface * status", "show interface Gi0/1 status", True),
        ("show interface * status", "show interface Gi0/1 x status", False),
        ("show version", "show version", True),
        ("show version", "show version ", False),
        ("echo $HOME", "echo $HOME", True),
        ("echo *", "echo $HOME", False),
        ("echo *", "echo ${IFS}", False),
        ("ls *", "ls 'a b'", False),
        ("ls *", 'ls "a"', False),
        ("ls *", "ls a\\ b", False),
        ("ls *", "ls *", False),
        ("ls *", "ls ~/x", True),
        ("ls *", "ls a#b", False),
        ("ls *", "ls !!", False),
        ("ls *", "ls \u2028", False),
        ("ls *", "ls é", False),
        ("ls a.c", "ls abc", False),
    ],
)
def test_a_pattern_covers(pattern: str, command: str, expected: bool) -> None:
    assert covers(pattern, command) is expected


@pytest.mark.parametrize("pattern", ["", "* status", "*x", "**", "a\nb", "a\0b", "show \u2028"])
def test_a_pattern_that_cannot_be_meant_is_refused(pattern: str) -> None:
    with pytest.raises(Refusal) as caught:
        check_pattern(pattern)
    assert caught.value.code == "bad_rule"


@given(st.text(max_size=40))
def test_what_a_star_covers_is_one_command_of_plain_words(rest: str) -> None:
    if covers("run *", "run " + rest):
        words = shlex.split("run " + rest, comments=False)
        assert words == ("run " + rest).split(" ") or words == ("run " + rest).split()
        assert not re.search(r"""[;&|<>()$`\\"'*?\[\]#!{}\n\r\t^]""", rest)


@pytest.mark.parametrize(
    ("command", "kind", "path"),
    [
        ("git-upload-pack 'team/app.git'", "git-upload-pack", "team/app.git"),
        ("git-receive-pack '/team/app.git'", "git-receive-pack", "/team/app.git"),
        ("git-upload-pack '~me/app'", "git-upload-pack", "~me/app"),
        ("git-upload-archive 'a'", "git-upload-archive", "a"),
        ("echo git-upload-pack", "exec", "echo git-upload-pack"),
        ("git status", "exec", "git status"),
    ],
)
def test_git_is_recognised(command: str, kind: str, path: str) -> None:
    found = asked("exec", command)
    assert (found.kind, found.command, found.text) == (kind, path, command)


@pytest.mark.parametrize(
    "command",
    [
        "git-upload-pack team/app.git",
        'git-upload-pack "team/app.git"',
        "git-upload-pack 'a'; id",
        "git-upload-pack 'a' 'b'",
        "git-upload-pack 'a'\n",
        "git-upload-pack  'a'",
        "git-upload-pack 'a'\\''b'",
        "git-upload-pack '../a'",
        "git-upload-pack 'a/../b'",
        "git-upload-pack 'a//b'",
        "git-upload-pack '//b'",
        "git-upload-pack './a'",
        "git-upload-pack '--upload-pack=id'",
        "git-upload-pack 'a/-b'",
        "git-upload-pack ''",
        "git-upload-pack --strict 'a'",
        "git upload-pack 'a'",
        "git-receive-pack 'a b'",
        " git-receive-pack 'a'",
        "git-receive-pack 'a%2f..'",
        "git-receive-packx 'a'",
    ],
)
def test_git_in_any_other_spelling_is_refused(command: str) -> None:
    with pytest.raises(Refusal) as caught:
        asked("exec", command)
    assert caught.value.code == "bad_git_command"


@pytest.mark.parametrize("text", ["", "   ", "a\0b", "x" * 40_000])
def test_what_is_no_command_is_refused(text: str) -> None:
    with pytest.raises(Refusal):
        asked("exec", text)


def test_a_subsystem_is_a_word() -> None:
    assert asked("subsystem", "netconf").kind == "subsystem:netconf"
    for bad in ("", "a b", "a;b", "a\n", "x" * 65):
        with pytest.raises(Refusal):
            asked("subsystem", bad)


def gate() -> LineGate:
    return LineGate(lambda line: covers("show *", line))


@pytest.mark.parametrize(
    ("typed", "sent"),
    [
        (b"show version\r", b"show version\r"),
        (b"show version\r\n", b"show version\r\n"),
        (b"show version\n", b"show version\n"),
        (b"show version", b""),
        (b"reload\r", b"\r"),
        (b"reload\rshow x\r", b"\rshow x\r"),
        (b"\r", b"\r"),
        (b"   \n", b"   \n"),
        (b"rel\x03show x\n", b"\x03show x\n"),
        (b"sho\tx\n", b"\n"),
        (b"show ?\n", b"\n"),
        (b"reload\x7f\x7f\x7f\x7f\x7f\x7fshow x\n", b"\n"),
        (b"show x\x15reload\n", b"\n"),
        (b"show x\x1a\n", b"\n"),
        (b"show x\x1b[A\n", b"\n"),
        (b"show x\x16\n", b"\n"),
        (b"show x\xc2\xa0\n", b"\n"),
        (b"show x\0\n", b"\n"),
        (b"show x | tee y\n", b"\n"),
        (b"show x; reload\n", b"\n"),
        (b"show x\x0creload\n", b"\n"),
        (b"show x\x85reload\n", b"\n"),
    ],
)
def test_only_whole_permitted_lines_are_sent(typed: bytes, sent: bytes) -> None:
    assert gate().feed(typed) == sent


@given(st.lists(st.binary(max_size=30)))
def test_lines_are_judged_alike_however_they_arrive(parts: list[bytes]) -> None:
    whole, cut = gate(), gate()
    assert whole.feed(b"".join(parts)) == b"".join(cut.feed(part) for part in parts)
    assert whole.decisions() == cut.decisions()


@given(st.binary(max_size=300))
def test_whatever_is_sent_is_a_permitted_line_or_blank(typed: bytes) -> None:
    for line in re.split(rb"[\r\n\x03]", gate().feed(typed)):
        assert not line.strip() or covers("show *", line.decode("ascii").strip())


def test_a_refused_line_is_told_without_its_control_characters() -> None:
    check = gate()
    check.feed(b"rel\x1b[2Joad\xff\n")
    (decision,) = check.decisions()
    assert not decision.permitted and decision.line.isprintable() and decision.line.isascii()
    assert check.decisions() == []


def test_what_is_typed_and_never_sent_is_told() -> None:
    check = gate()
    check.feed(b"show version")
    assert check.end() == b""
    assert [decision.permitted for decision in check.decisions()] == [False]


def test_a_line_without_end_ends_the_channel() -> None:
    with pytest.raises(Refusal):
        gate().feed(b"x" * (MAX_LINE + 1))


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("git@host.example", ("git", "host.example", 22)),
        ("git@host.example:2222", ("git", "host.example", 2222)),
        ("a@b@host.example", ("a@b", "host.example", 22)),
        ("git@[2001:db8::1]:22", ("git", "2001:db8::1", 22)),
        ("git@[2001:db8::1]", ("git", "2001:db8::1", 22)),
    ],
)
def test_the_explicit_mode_reads_the_user_name(name: str, expected: tuple[str, str, int]) -> None:
    assert explicit(name) == expected


@pytest.mark.parametrize(
    "name", ["git", "@host", "git@", "git@host:0", "git@host:99999", "git@host:x", "git@host:", "git@host:٢٢"]
)
def test_a_user_name_without_a_host_is_refused(name: str) -> None:
    with pytest.raises(Refusal):
        explicit(name)
