"""Probes as values: named once, each in a row that is there, with marks that are known; and what makes of results a
report.
"""

from __future__ import annotations

import ast
import re
from collections import Counter

import pytest

from penstock.redteam import messages, report
from penstock.redteam.inside import complete
from penstock.redteam.probe import Asked, Back, Code, Kit, Outside, Probe, Seen, Wire, token
from penstock.redteam.probes import PROBES
from penstock.redteam.stage import MOST_PROBES, job, program
from penstock.redteam.suite import Result, chosen, judge
from penstock.redteam.threats import SECTIONS, THREATS

KIT = Kit(
    secrets={"API_TOKEN": b"canary-of-the-api-0123456789"},
    stubs={"API_TOKEN": b"stub-of-the-api-012345678901"},
    other_stub=b"other",
    host_port=1234,
    host_address="192.0.2.1",
    host_name="here",
    token=b"k007q",
)


def test_ids_are_unique_and_rows_are_known() -> None:
    assert [name for name, count in Counter(probe.id for probe in PROBES).items() if count > 1] == []
    assert {probe.row for probe in PROBES} <= set(THREATS)
    assert all(probe.id.startswith(f"{probe.row}.") for probe in PROBES)
    assert 150 <= len(PROBES) <= MOST_PROBES


@pytest.mark.parametrize("name", list(THREATS))
def test_each_row_is_tried_or_says_who_tries_it(name: str) -> None:
    tried = any(probe.row == name for probe in PROBES)
    assert tried != bool(THREATS[name].instead)
    assert THREATS[name].section in SECTIONS


def test_no_mark_is_left_in_what_is_sent() -> None:
    for mark, probe in chosen().items():
        if not isinstance(probe.attack, Outside):
            assert not re.search(r"@[A-Z]{3,}@", str(job(probe, KIT))), (mark, probe.id)


def test_programs_are_python() -> None:
    for probe in PROBES:
        if isinstance(probe.attack, Code):
            ast.parse(KIT.fill_text(probe.attack.source))


def test_the_program_inside_is_the_standard_librarys() -> None:
    """It is carried into sandboxes as text, and may be run by an older Python than ours."""
    tree = ast.parse(program(), feature_version=(3, 8))
    names = {
        (node.module or "") if isinstance(node, ast.ImportFrom) else node.names[0].name
        for node in ast.walk(tree)
        if isinstance(node, (ast.Import, ast.ImportFrom))
    }
    assert not any("penstock" in name for name in names)


def test_the_length_of_a_body_counts_its_marks_filled() -> None:
    data = KIT.fill(messages.request("POST", body=b'{"a": "@STUB@"}'))
    assert b"Content-Length: 37\r\n" in data


def seen(back: Back, *asked: Asked) -> Seen:
    return Seen(back=back, asked=asked, kit=KIT)


PROBE = Probe(id="echo.x", row="echo", tries="x", attack=Wire())


def test_a_secret_that_came_in_fails_whatever_was_expected() -> None:
    assert judge(PROBE, seen(Back(data=b"HTTP/1.1 200 OK\r\n\r\ncanary-of-the-api-0123456789"))).outcome == "failed"
    assert judge(PROBE, seen(Back(data=KIT.secret.hex().encode()))).outcome == "failed"
    assert judge(PROBE, seen(Back(connect=KIT.secret))).outcome == "failed"
    assert judge(PROBE, seen(Back(data=KIT.stub))).outcome == "passed"


def test_a_secret_that_went_elsewhere_fails() -> None:
    assert (
        judge(PROBE, seen(Back(), Asked(role="evil", head=b"GET / HTTP/1.1\r\nx: " + KIT.secret))).outcome == "failed"
    )
    assert judge(PROBE, seen(Back(), Asked(role="bound", head=KIT.secret))).outcome == "passed"


def test_what_cannot_run_is_neither_passed_nor_failed() -> None:
    result = judge(PROBE, seen(Back(cannot="no ssh here")))
    assert (result.outcome, result.evidence) == ("not run", "x: cannot run: no ssh here")
    assert report.status([result], strict=False) == 0
    assert report.status([result], strict=True) == 1
    assert report.status([], strict=False) == 1


def test_a_session_that_was_frozen_before_tried_nothing() -> None:
    refused = b"HTTP/1.1 403 Forbidden\r\nx-penstock-refusal: frozen\r\ncontent-length: 0\r\n\r\n"
    assert "nothing was tried" in judge(PROBE, seen(Back(data=refused))).evidence


def test_the_report_counts_by_row() -> None:
    results = [
        Result("echo.a", "echo", "passed", "a: b"),
        Result("echo.b", "echo", "failed", "c: d"),
        Result("git.a", "git", "not run", "e: cannot run: no git"),
    ]
    assert report.total(results) == "3 probes: 1 passed, 1 failed, 1 not run"
    assert [lines[0][1:] for _, lines in report.rows(results)] == [("1", "1", ""), ("", "", "1")]
    assert report.troubles(results) == ["failed: echo.b: c: d", "not run: git.a: e: cannot run: no git"]
    assert report.document(results, 1.25)["counts"]["echo"]["failed"] == 1


@pytest.mark.parametrize(
    ("data", "answers", "whole"),
    [
        (b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok", 1, True),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\no", 1, False),
        (b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", 1, True),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n", 1, True),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nx: y\r\n\r\n", 1, True),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nx: y\r\n", 1, False),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", 2, False),
        (b"HTTP/1.1 200 OK\r\n\r\nuntil closed", 1, False),
        (messages.frame(1, 5, 1, b""), 1, True),
        (messages.frame(4, 0, 0, b""), 1, False),
    ],
)
def test_it_knows_when_an_answer_is_whole(data: bytes, answers: int, whole: bool) -> None:
    assert complete(data, answers) is whole


def test_responses_are_read_one_after_the_other() -> None:
    first, second = messages.responses(
        b"".join(messages.chunked([b"ab", b"c"], trailers=("x: y",))) + messages.response(b"no", "404 Not Found")
    )
    assert (first.body, first.complete, first.trailers) == (b"abc", True, b"x: y")
    assert (second.status, second.reason, second.body) == (404, "Not Found", b"no")
    assert not messages.responses(messages.response(b"short", length=9))[0].complete


def test_a_request_of_http2_can_be_read_back() -> None:
    made = messages.h2_request(*messages.h2_fields(("authorization", "Bearer @STUB@")))(KIT)
    heads = messages.h2_answers(made[len(messages.PREFACE) :]).heads[1]
    assert ("authorization", f"Bearer {KIT.stub.decode()}") in heads


def test_a_token_is_a_word_of_five() -> None:
    assert token(7) == b"k007q"
    assert Asked(role="bound", head=b"GET /k007q/x HTTP/1.1\r\n\r\n").token == b"k007q"
