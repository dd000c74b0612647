"""The audit log: an edit, a cut or a deletion is found and named; a kill leaves a chain that goes on."""

import fcntl
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from penstock.vault import audit
from penstock.vault.audit import HEAD, AuditLog, verify
from penstock.vault.audit_rows import file_name, without_values
from penstock.vault.values import Refusal

KEY = b"fake-audit-key-of-32-bytes-long!"
EVENT = {"session": "s1", "decision": "swap", "rule": "GET https://h:443/*", "secret": "a", "version": 1, "bytes": 7}
CANARY = "fake-canary-9f2c81d4e07b"


@pytest.fixture
def log(tmp_path: Path) -> Iterator[AuditLog]:
    opened = AuditLog.open(tmp_path / "log", KEY)
    yield opened
    opened.close()


def refusal(code: str) -> Any:
    return pytest.raises(Refusal, check=lambda error: error.code == code)


def filled(directory: Path, rows: int = 6, **settings: Any) -> Path:
    log = AuditLog.open(directory, KEY, **settings)
    for number in range(rows):
        log.append({**EVENT, "bytes": number})
    log.close()
    return directory / file_name(1)


def rows_of(directory: Path) -> list[dict[str, Any]]:
    return [
        json.loads(line) for path in sorted(directory.glob("audit-*.jsonl")) for line in path.read_bytes().splitlines()
    ]


def test_a_row_is_in_the_file_when_the_call_returns(log: AuditLog, tmp_path: Path) -> None:
    assert log.append(EVENT) == 1
    assert log.append({"decision": "deny", "reason": "no_rule"}) == 2
    first, second = rows_of(tmp_path / "log")
    assert EVENT.items() <= first.items()
    assert (first["seq"], second["prev"]) == (1, first["hash"])
    assert verify(tmp_path / "log", KEY).rows == 2


def test_a_log_that_nobody_touched_is_good(tmp_path: Path) -> None:
    filled(tmp_path / "log")
    verdict = verify(tmp_path / "log", KEY)
    assert (verdict.ok, verdict.rows, verdict.notes) == (True, 6, ())
    assert verdict.witness is not None
    assert verdict.witness[0] == 6
    assert not verify(tmp_path / "log", b"x" * 32).ok


def test_a_log_goes_on_after_a_restart(tmp_path: Path) -> None:
    filled(tmp_path / "log")
    filled(tmp_path / "log")
    assert [row["seq"] for row in rows_of(tmp_path / "log")] == [*range(1, 13)]
    assert verify(tmp_path / "log", KEY).ok


# -- attacks ----------------------------------------------------------------------------------------------------------

Attack = Callable[[list[bytes]], list[bytes]]
EDITS: dict[str, tuple[Attack, int]] = {
    "edit a field": (lambda rows: [*rows[:2], rows[2].replace(b"swap", b"deny"), *rows[3:]], 3),
    "remove a row": (lambda rows: rows[:2] + rows[3:], 3),
    "exchange two rows": (lambda rows: [rows[0], rows[2], rows[1], *rows[3:]], 2),
    "repeat a row": (lambda rows: [*rows[:3], rows[2], *rows[3:]], 4),
    "remove the first": (lambda rows: rows[1:], 1),
    "remove the last": (lambda rows: rows[:-1], 6),
    "remove the last three": (lambda rows: rows[:-3], 4),
    "remove all": (lambda rows: [], 1),
    "add one": (lambda rows: [*rows, rows[-1].replace(b'"seq":6', b'"seq":7')], 7),
    "another white space": (lambda rows: [rows[0].replace(b'":', b'": ', 1), *rows[1:]], 1),
    "a blank line": (lambda rows: [*rows[:2], b"\n", *rows[2:]], 3),
    "a hash of another's": (lambda rows: [*rows[:3], rows[3][:-68] + rows[2][-68:], *rows[4:]], 4),
}


@pytest.mark.parametrize("name", EDITS)
def test_an_attack_on_the_rows_is_found_and_its_first_row_named(tmp_path: Path, name: str) -> None:
    attack, bad = EDITS[name]
    path = filled(tmp_path / "log")
    path.write_bytes(b"".join(attack(path.read_bytes().splitlines(keepends=True))))
    verdict = verify(tmp_path / "log", KEY)
    assert (verdict.ok, verdict.bad_row) == (False, bad), verdict
    assert verdict.reason


@given(data=st.data())
def test_a_single_changed_byte_is_found(tmp_path_factory: pytest.TempPathFactory, data: st.DataObject) -> None:
    directory = tmp_path_factory.mktemp("flip") / "log"
    path = filled(directory, rows=3)
    whole = bytearray(path.read_bytes())
    place = data.draw(st.integers(0, len(whole) - 1))
    whole[place] ^= data.draw(st.integers(1, 255))
    path.write_bytes(whole)
    verdict = verify(directory, KEY)
    assert not verdict.ok


def test_a_deleted_head_is_found(tmp_path: Path) -> None:
    filled(tmp_path / "log")
    (tmp_path / "log" / HEAD).unlink()
    assert not verify(tmp_path / "log", KEY).ok
    with refusal("audit_tampered"):
        AuditLog.open(tmp_path / "log", KEY)


def test_a_deleted_file_is_found(tmp_path: Path) -> None:
    filled(tmp_path / "log", rows=40, rotate=2000)
    for number in (1, 2, len([*(tmp_path / "log").glob("audit-*")]) - 1):
        copy = tmp_path / f"copy{number}"
        shutil.copytree(tmp_path / "log", copy)
        (copy / file_name(number)).unlink()
        verdict = verify(copy, KEY)
        assert not verdict.ok
        assert verdict.file == file_name(number)


def test_a_cut_tail_stops_the_log(tmp_path: Path) -> None:
    path = filled(tmp_path / "log")
    path.write_bytes(b"".join(path.read_bytes().splitlines(keepends=True)[:-1]))
    with refusal("audit_tampered"):
        AuditLog.open(tmp_path / "log", KEY)


@pytest.mark.parametrize("attack", ["cut", "delete log", "delete head", "empty head", "put back"])
def test_a_living_log_notices_and_records_nothing_more(log: AuditLog, tmp_path: Path, attack: str) -> None:
    directory = tmp_path / "log"
    path, head = directory / file_name(1), directory / HEAD
    log.append(EVENT)
    before = path.read_bytes(), head.read_bytes()
    log.append(EVENT)
    log.append(EVENT)
    if attack == "cut":
        os.truncate(path, len(before[0]))
    elif attack.startswith("delete"):
        (path if attack.endswith("log") else head).unlink()
    elif attack == "empty head":
        os.truncate(head, 0)
    else:
        os.truncate(path, len(before[0]))
        head.write_bytes(before[1])
    with refusal("audit_tampered"):
        log.append(EVENT)


def test_an_older_state_put_back_whole_is_found_by_the_witness_only(tmp_path: Path) -> None:
    filled(tmp_path / "log")
    shutil.copytree(tmp_path / "log", tmp_path / "older")
    filled(tmp_path / "log")
    witness = verify(tmp_path / "log", KEY).witness
    assert verify(tmp_path / "older", KEY).ok
    assert not verify(tmp_path / "older", KEY, witness=witness).ok
    assert verify(tmp_path / "log", KEY, witness=witness).ok
    assert not verify(tmp_path / "log", KEY, witness=(3, "0" * 64)).ok


def test_the_newer_head_destroyed_with_the_last_row_is_found(tmp_path: Path) -> None:
    path = filled(tmp_path / "log")
    head = tmp_path / "log" / HEAD
    slots = head.read_bytes()
    head.write_bytes(bytes(128) + slots[128:])  # row 6 is even: slot 0
    path.write_bytes(b"".join(path.read_bytes().splitlines(keepends=True)[:-1]))
    assert not verify(tmp_path / "log", KEY).ok
    log = AuditLog.open(tmp_path / "log", KEY)
    log.close()
    assert rows_of(tmp_path / "log")[-1]["reason"] == "head_damaged"


# -- kills ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("torn", [b'{"seq":7', b"\0\0\0", b"x" * 20_000])
def test_a_torn_line_is_set_apart_and_the_chain_goes_on(tmp_path: Path, torn: bytes) -> None:
    path = filled(tmp_path / "log")
    with path.open("ab") as file:
        file.write(torn)
    assert (verify(tmp_path / "log", KEY).ok, len(verify(tmp_path / "log", KEY).notes)) == (True, 1)
    filled(tmp_path / "log", rows=1)
    rows = rows_of(tmp_path / "log")
    assert (rows[6]["reason"], rows[6]["bytes"], rows[7]["seq"]) == ("torn_line", len(torn), 8)
    assert (tmp_path / "log" / "torn-00000007.bin").read_bytes() == torn
    assert verify(tmp_path / "log", KEY).notes == ()


def test_a_kill_between_row_and_head_loses_no_row(tmp_path: Path) -> None:
    for rows in (1, 2, 3):
        directory = tmp_path / str(rows)
        filled(directory, rows=rows - 1)
        head = (directory / HEAD).read_bytes()
        filled(directory, rows=1)
        (directory / HEAD).write_bytes(head)
        assert verify(directory, KEY).rows == rows
        filled(directory, rows=1)
        assert verify(directory, KEY).rows == rows + 1
        assert [row["seq"] for row in rows_of(directory)] == [*range(1, rows + 2)]


def test_a_kill_between_two_files_loses_no_row(tmp_path: Path) -> None:
    size = len(rows_of_size(tmp_path / "measure"))
    filled(tmp_path / "log", rows=2, rotate=2 * size + 10)
    head = (tmp_path / "log" / HEAD).read_bytes()
    filled(tmp_path / "log", rows=1, rotate=2 * size + 10)
    assert (tmp_path / "log" / file_name(2)).stat().st_size == size
    (tmp_path / "log" / HEAD).write_bytes(head)
    filled(tmp_path / "log", rows=1, rotate=2 * size + 10)
    assert [row["seq"] for row in rows_of(tmp_path / "log")] == [1, 2, 3, 4]
    assert verify(tmp_path / "log", KEY).ok


def rows_of_size(directory: Path) -> bytes:
    return filled(directory, rows=1).read_bytes()


WRITER = """
import sys
from pathlib import Path
from penstock.vault.audit import AuditLog
log = AuditLog.open(Path(sys.argv[1]), sys.argv[2].encode(), rotate=int(sys.argv[4]))
for number in range(int(sys.argv[3])):
    sys.stdout.write("%d\\n" % log.append({"decision": "allow", "session": "x" * (number % 900), "bytes": number}))
    sys.stdout.flush()
"""


def writer(directory: Path, count: int, rotate: int = 100_000) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-c", WRITER, str(directory), KEY.decode(), str(count), str(rotate)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE)


def test_processes_write_one_chain(tmp_path: Path) -> None:
    processes = [writer(tmp_path / "log", 300, 30_000) for _ in range(4)]
    numbers = []
    for process in processes:
        said, failed = process.communicate()
        assert failed == b""
        numbers += [int(line) for line in said.split()]
    assert sorted(numbers) == [*range(1, 1201)]
    verdict = verify(tmp_path / "log", KEY)
    assert (verdict.ok, verdict.rows) == (True, 1200), verdict


def test_kills_at_any_moment_lose_no_row_that_was_acknowledged(tmp_path: Path) -> None:
    acknowledged: set[int] = set()
    for attempt in range(8):
        processes = [writer(tmp_path / "log", 1_000_000, 20_000) for _ in range(2)]
        for process in processes:
            assert process.stdout is not None
            acknowledged.add(int(process.stdout.readline()))
        time.sleep(0.01 + 0.0037 * attempt)
        for process in processes:
            os.kill(process.pid, signal.SIGKILL)
        for process in processes:
            acknowledged |= {int(line) for line in process.communicate()[0].split(b"\n")[:-1] if line}
        assert verify(tmp_path / "log", KEY).ok
    filled(tmp_path / "log", rows=1)
    rows = rows_of(tmp_path / "log")
    assert [row["seq"] for row in rows] == [*range(1, len(rows) + 1)]
    assert acknowledged <= {row["seq"] for row in rows}
    assert verify(tmp_path / "log", KEY).ok


def test_a_full_disk_is_an_error_and_leaves_no_half_row(
    log: AuditLog, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    log.append(EVENT)
    whole = os.pwrite
    with monkeypatch.context() as patch:
        patch.setattr(os, "pwrite", lambda handle, data, place: whole(handle, data[:10], place))
        with refusal("audit_failed"):
            log.append(EVENT)
    assert log.append(EVENT) == 2
    assert verify(tmp_path / "log", KEY).ok
    assert len(rows_of(tmp_path / "log")) == 2


def test_a_process_that_stopped_with_the_lock_stops_nobody_for_good(
    log: AuditLog, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(audit, "LOCK_SECONDS", 0.01)
    with (tmp_path / "log" / HEAD).open("rb") as other:
        fcntl.flock(other, fcntl.LOCK_EX)
        with refusal("audit_blocked"):
            log.append(EVENT)
    assert log.append(EVENT) == 1


# -- what is in a row -------------------------------------------------------------------------------------------------


def test_a_live_secret_does_not_get_into_a_row(tmp_path: Path) -> None:
    log = AuditLog.open(tmp_path / "log", KEY, redact=lambda text: text.replace(CANARY, "[a]"))
    log.append({"decision": "deny", "reason": f"odd header {CANARY}", "path": f"/x/{CANARY}", "items": [CANARY, "b"]})
    log.append({"decision": "deny", CANARY.replace("-", "_"): "x"})
    log.close()
    text = (tmp_path / "log" / file_name(1)).read_text()
    assert CANARY not in text
    assert rows_of(tmp_path / "log")[0]["items"] == ["[a]", "b"]


def test_what_cannot_be_redacted_is_left_out(tmp_path: Path) -> None:
    log = AuditLog.open(tmp_path / "log", KEY, redact=lambda text: text + "!")
    log.append({"decision": "deny", "reason": CANARY})
    log.close()
    assert rows_of(tmp_path / "log")[0]["reason"] == "unredactable_event"
    assert verify(tmp_path / "log", KEY).ok


@pytest.mark.parametrize(
    ("target", "kept"),
    [
        ("/a", "/a"),
        ("/a?key=v&x", "/a?key=&*"),
        ("/a?" + CANARY, "/a?*"),
        ("/a?x=1?y=2=3", "/a?x="),
        ("/a?", "/a?*"),
    ],
)
def test_a_path_keeps_the_names_of_its_query_only(target: str, kept: str) -> None:
    assert without_values(target) == kept


@pytest.mark.parametrize(
    "event", [{"seq": 1}, {"hash": "x"}, {"time": "x"}, {"A": 1}, {"a": b"x"}, {"a": {"b": 1}}, {"a": object()}]
)
def test_an_event_that_cannot_be_a_row_is_the_callers_fault(log: AuditLog, event: dict[str, object]) -> None:
    with pytest.raises(ValueError):
        log.append(event)
    assert log.append(EVENT) == 1


@given(st.dictionaries(st.from_regex(r"[b-z][a-z_]{0,8}", fullmatch=True), st.text() | st.integers(-(2**62), 2**62)))
def test_any_text_makes_a_row_that_holds(tmp_path_factory: pytest.TempPathFactory, event: dict[str, object]) -> None:
    directory = tmp_path_factory.mktemp("any") / "log"
    log = AuditLog.open(directory, KEY)
    event = {key: value for key, value in event.items() if key not in ("seq", "time", "prev", "hash", "path")}
    log.append({**event, "odd": "\udc80\n\u2028"})
    log.close()
    assert verify(directory, KEY).ok
    assert len((directory / file_name(1)).read_bytes().splitlines()) == 1


def test_long_texts_are_cut(log: AuditLog, tmp_path: Path) -> None:
    log.append({"reason": "x" * 100_000})
    assert rows_of(tmp_path / "log")[0]["reason"].endswith("x[cut]")
    log.append({"decision": "deny", "path": "\x01" * 1999, "reason": "\x02" * 1999, "items": ["\x03" * 1999]})
    assert rows_of(tmp_path / "log")[1]["decision"] == "deny"
    with pytest.raises(ValueError):
        log.append({"items": ["x" * 90] * 300})
    assert verify(tmp_path / "log", KEY).rows == 2
