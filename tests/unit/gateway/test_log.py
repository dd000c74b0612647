"""The log: what a line says and never says, how lines are written, and what is lost when."""

import json
import logging
import os
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from penstock.gateway.log import BUFFER_BYTES, Log, open_log
from penstock.gateway.log_messages import MessageHandler
from penstock.gateway.log_writer import LINE_BYTES, BackgroundWriter, LogTarget, pieces
from penstock.gateway.redact import REDACTED, Redactor
from penstock.gateway.samples import RequestSample
from penstock.gateway.snapshot import Settings

KEY = "sk-fake-0123456789abcdef"
AT = 1_763_880_000.25


on_linux = pytest.mark.skipif(sys.platform != "linux", reason="only on Linux: /dev/full, /proc/self/fd")


class Kept:
    """A writer that keeps what it is given."""

    def __init__(self) -> None:
        self.lost = 0
        self.written: list[bytes] = []

    def write(self, lines: bytes) -> None:
        self.written.append(lines)

    def reopen(self) -> None:
        self.written.append(b"reopened\n")

    def close(self, patience: float = 1.0) -> None:
        self.written.append(b"closed\n")

    @property
    def lines(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in b"".join(self.written).splitlines()]


class Timers:
    """`call_later` by hand."""

    def __init__(self) -> None:
        self.due: list[tuple[float, Callable[[], None]]] = []

    def later(self, delay: float, call: Callable[[], None]) -> None:
        self.due.append((delay, call))

    def pass_by(self) -> None:
        due, self.due = self.due, []
        for _, call in due:
            call()


@pytest.fixture
def made() -> Iterator[tuple[Log, Kept, Timers]]:
    kept, timers = Kept(), Timers()
    log = Log(kept, timers.later, process="worker", worker=1)
    yield log, kept, timers
    log.close()


def sample(**fields: Any) -> RequestSample:
    known: dict[str, Any] = {"call_id": "c" * 32, "status": 200, "outcome": "success", "path": "/v1/messages"}
    return RequestSample(**{**known, **fields})


def line_of(log: Log, kept: Kept, one: RequestSample) -> dict[str, Any]:
    log.request(one, AT)
    log.flush()
    return kept.lines[-1]


# -- lines of requests ------------------------------------------------------------------------------------------------


def test_a_line_says_what_is_known_and_nothing_else(made: tuple[Log, Kept, Timers]) -> None:
    log, kept, _ = made
    one = sample(key_alias="team-a", input_tokens=0, cost="0.000001", seconds=0.5, notes=("dropped seed",))
    assert line_of(log, kept, one) == {
        "event": "request",
        "time": "2025-11-23T06:40:00.250Z",
        "level": "info",
        "call_id": "c" * 32,
        "path": "/v1/messages",
        "status": 200,
        "outcome": "success",
        "key_alias": "team-a",
        "input_tokens": 0,
        "cost": "0.000001",
        "seconds": 0.5,
        "notes": ["dropped seed"],
    }


@pytest.mark.parametrize(
    ("status", "outcome", "level"),
    [
        (200, "success", "info"),
        (499, "cancelled", "info"),
        (0, "cancelled", "info"),
        (429, "refused", "warning"),
        (502, "failure", "error"),
    ],
)
def test_the_level_is_that_of_the_answer(made: tuple[Log, Kept, Timers], status: int, outcome: str, level: str) -> None:
    log, kept, _ = made
    assert line_of(log, kept, sample(status=status, outcome=outcome))["level"] == level


def test_lines_below_the_level_are_not_written(made: tuple[Log, Kept, Timers]) -> None:
    log, kept, _ = made
    log.apply(Settings(log_level="error"), [])
    log.request(sample(), AT)
    log.request(sample(status=400), AT)
    assert line_of(log, kept, sample(status=500))["status"] == 500
    assert len(kept.lines) == 1


def test_a_line_holds_no_secret_wherever_a_caller_puts_it(made: tuple[Log, Kept, Timers]) -> None:
    log, kept, _ = made
    log.apply(Settings(store_prompts=True), ["the master secret"])
    fields = ("requested", "path", "message", "provider_message", "end_user", "session")
    for status in (200, 400):
        one = sample(status=status, tags=(KEY,), notes=(KEY,), **dict.fromkeys(fields, f"{KEY} the master secret"))
        line = json.dumps(line_of(log, kept, one))
        assert line.count(REDACTED) == 2 * len(fields) + 2
        assert "fake" not in line and "master secret" not in line


def test_the_words_of_a_provider_are_written_only_with_prompts(made: tuple[Log, Kept, Timers]) -> None:
    log, kept, _ = made
    for status in (200, 400):
        assert "provider_message" not in line_of(log, kept, sample(status=status, provider_message="you said: hello"))
    log.apply(Settings(store_prompts=True), [])
    assert line_of(log, kept, sample(status=400, provider_message="you said: hello"))["provider_message"]


@pytest.mark.parametrize(
    "fields",
    [
        {"notes": tuple(f"dropped parameter {number}" for number in range(500))},
        {"response_id": "r" * 10_000},
        {"model": "m" * 100_000, "tags": ("t" * 300,) * 40},
        {"requested": "\x00" * 100_000},
        {"requested": '"' * 100_000, "end_user": "\u1234" * 10_000, "session": "\x01" * 9999, "path": "/\x02" * 9999},
    ],
    ids=lambda fields: ",".join(fields),
)
def test_a_line_is_never_longer_than_a_pipe_takes_at_once(
    made: tuple[Log, Kept, Timers], fields: dict[str, Any]
) -> None:
    log, kept, _ = made
    line = line_of(log, kept, sample(**fields))
    assert line["call_id"] == "c" * 32 and line["status"] == 200
    assert all(len(written) <= LINE_BYTES for written in kept.written)


def test_half_a_character_does_not_stop_a_line(made: tuple[Log, Kept, Timers]) -> None:
    log, kept, _ = made
    assert line_of(log, kept, sample(requested="a\ud800b", tags=("\udfff",)))["requested"] == "a?b"
    assert line_of(log, kept, sample())["status"] == 200


def test_what_is_remembered_of_texts_is_bounded(made: tuple[Log, Kept, Timers]) -> None:
    log, _, _ = made
    for number in range(3000):
        log.request(sample(requested=f"model-{number}"), AT)
    assert len(log._clean) <= 1024


# -- the buffer -------------------------------------------------------------------------------------------------------


def test_lines_wait_for_the_timer(made: tuple[Log, Kept, Timers]) -> None:
    log, kept, timers = made
    log.request(sample(), AT)
    log.request(sample(), AT)
    assert kept.written == [] and len(timers.due) == 1 and timers.due[0][0] <= 0.2
    timers.pass_by()
    assert len(kept.written) == 1 and len(kept.lines) == 2
    timers.pass_by()
    assert len(kept.written) == 1
    log.request(sample(), AT)
    assert len(timers.due) == 1


def test_a_full_buffer_does_not_wait(made: tuple[Log, Kept, Timers]) -> None:
    log, kept, timers = made
    while not kept.written:
        log.request(sample(), AT)
    assert BUFFER_BYTES - LINE_BYTES <= len(kept.written[0]) <= BUFFER_BYTES
    assert len(timers.due) == 1


def test_reopening_and_closing_write_what_waits() -> None:
    kept = Kept()
    log = Log(kept, Timers().later)
    log.request(sample(), AT)
    log.reopen()
    log.request(sample(), AT)
    log.close()
    assert [written[:4] for written in kept.written] == [b'{"ev', b"reop", b'{"ev', b"clos"]


# -- files and pipes --------------------------------------------------------------------------------------------------


def test_a_file_that_was_moved_away_is_made_anew(tmp_path: Path) -> None:
    path = tmp_path / "log"
    target = LogTarget(str(path))
    target.write(b"one\n")
    path.rename(tmp_path / "log.1")
    target.write(b"two\n")
    target.close()
    assert (tmp_path / "log.1").read_bytes() == b"one\n"
    assert path.read_bytes() == b"two\n"


def test_a_file_is_appended_to_and_is_not_for_everybody(tmp_path: Path) -> None:
    path = tmp_path / "log"
    for text in (b"one\n", b"two\n"):
        target = LogTarget(str(path))
        target.write(text)
        target.close()
    assert path.read_bytes() == b"one\ntwo\n"
    assert path.stat().st_mode & 0o007 == 0


def test_a_file_that_cannot_be_opened_is_an_error_at_the_start(tmp_path: Path) -> None:
    with pytest.raises(OSError, match="nowhere"):
        open_log(Settings(log_file=str(tmp_path / "nowhere" / "log")))


def test_a_folder_that_went_away_costs_lines_and_nothing_else(tmp_path: Path) -> None:
    folder = tmp_path / "logs"
    folder.mkdir()
    target = LogTarget(str(folder / "log"))
    (folder / "log").unlink()
    folder.rmdir()
    target.write(b"into the file that has no name any more\n")
    folder.mkdir()
    target.write(b"two\n")
    assert (folder / "log").read_bytes() == b"two\n"
    target.close()


@on_linux
def test_lines_that_nobody_can_take_are_counted() -> None:
    target = LogTarget("/dev/full")
    target.write(b"one\ntwo\n")
    assert target.lost == 2
    target.close()


def test_a_torn_line_does_not_spoil_the_next(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The disk is full in the middle of a line, and then it is not."""
    path = tmp_path / "log"
    target = LogTarget(str(path))
    real, left = os.write, [5]

    def scarce(fd: int, data: Any) -> int:
        if not left[0]:
            raise OSError(28, "No space left on device")
        written = real(fd, bytes(data)[: left[0]])
        left[0] -= written
        return written

    monkeypatch.setattr(os, "write", scarce)
    target.write(b"first line\n")
    left[0] = 1000
    target.write(b"second line\n")
    target.close()
    assert path.read_bytes() == b"first\nsecond line\n"
    assert target.lost == 1


def test_pieces_are_whole_lines_that_a_pipe_takes_at_once() -> None:
    lines = b"".join(b"x" * (number * 37 % 3000) + b"\n" for number in range(200))
    found = [bytes(piece) for piece in pieces(lines)]
    assert b"".join(found) == lines
    assert all(piece.endswith(b"\n") and len(piece) <= LINE_BYTES for piece in found)
    assert [bytes(piece) for piece in pieces(b"y" * 9000 + b"\nz\n")] == [b"y" * 9000 + b"\n", b"z\n"]


WRITE_MANY = """
import sys
from penstock.gateway.log_writer import LogTarget
target = LogTarget(sys.argv[2] if len(sys.argv) > 2 else "stdout")
for _ in range(40):
    target.write(b"".join((sys.argv[1].encode() * (number * 97 % 4000) + b"\\n") for number in range(60)))
assert not target.lost
"""


@pytest.mark.parametrize("kind", ["pipe", "file"])
def test_lines_of_several_processes_never_mix(kind: str, tmp_path: Path) -> None:
    path = tmp_path / "log"
    end, start = os.pipe()
    where = [str(path)] if kind == "file" else []
    writers = [subprocess.Popen([sys.executable, "-c", WRITE_MANY, letter, *where], stdout=start) for letter in "abc"]
    os.close(start)
    with os.fdopen(end, "rb") as pipe:
        read = pipe.read()
    assert [writer.wait() for writer in writers] == [0, 0, 0]
    lines = (path.read_bytes() if kind == "file" else read).split(b"\n")
    assert len(lines) == 3 * 40 * 60 + 1
    assert [line for line in lines if len(set(line)) > 1] == []


# -- the thread -------------------------------------------------------------------------------------------------------


@on_linux
def test_a_pipe_that_nobody_reads_holds_up_nobody(tmp_path: Path) -> None:
    end, start = os.pipe()
    writer = BackgroundWriter(LogTarget(f"/proc/self/fd/{start}"))
    lines = (b"x" * 1000 + b"\n") * 64
    for _ in range(200):  # 12 MB: more than the pipe and the queue hold
        writer.write(lines)
    assert writer.lost > 0
    threading.Thread(target=drain, args=(end,), daemon=True).start()
    os.close(start)
    writer.close(patience=30)
    assert not writer._thread.is_alive()


def drain(fd: int) -> None:
    while os.read(fd, 1 << 20):
        pass
    os.close(fd)


@on_linux
def test_closing_waits_for_the_lines_but_not_for_ever() -> None:
    end, start = os.pipe()
    writer = BackgroundWriter(LogTarget(f"/proc/self/fd/{start}"))
    writer.write((b"x" * 1000 + b"\n") * 200)
    writer.close(patience=0.05)
    assert writer._thread.is_alive()
    threading.Thread(target=drain, args=(end,), daemon=True).start()
    os.close(start)
    writer._thread.join(30)


# -- messages ---------------------------------------------------------------------------------------------------------


@pytest.fixture
def messages(made: tuple[Log, Kept, Timers]) -> Kept:
    log, kept, _ = made
    log.apply(Settings(log_level="info"), ["the master secret"])
    return kept


def test_a_message_is_a_line_with_its_extra_fields(messages: Kept) -> None:
    logging.getLogger("penstock.control.supervisor").warning("worker died", extra={"signal": 9, "slot": 1})
    line = messages.lines[-1]
    assert line.pop("time").endswith("Z")
    assert line == {
        "event": "worker died",
        "level": "warning",
        "logger": "penstock.control.supervisor",
        "process": "worker",
        "worker": 1,
        "signal": 9,
        "slot": 1,
    }


def test_messages_below_the_level_are_not_written(messages: Kept) -> None:
    logging.getLogger("penstock.x").debug("nothing")
    logging.getLogger("asyncio").info("nothing")
    assert messages.written == []
    logging.getLogger("asyncio").error("something")
    assert messages.lines[-1]["event"] == "something"


def test_a_message_holds_no_secret(messages: Kept) -> None:
    logging.getLogger("penstock").error(
        "could not reach %s", f"https://u:{KEY}@host.test", extra={"api_key": "zzzz", "headers": {"Authorization": KEY}}
    )
    try:
        raise OSError(f"refused with {KEY} and the master secret")
    except OSError:
        logging.getLogger("penstock").exception("oh")
    text = b"".join(messages.written).decode()
    assert "fake" not in text and "zzzz" not in text and "master secret" not in text
    assert "OSError" in messages.lines[-1]["exception"]


def test_an_exception_keeps_its_words_to_itself_unless_prompts_are_stored(messages: Kept) -> None:
    def fail() -> None:
        raise ValueError("the prompt was: hello")

    for store in (False, True):
        handler = MessageHandler(messages, Redactor())
        handler.store_prompts = store
        try:
            try:
                fail()
            except ValueError as error:
                raise RuntimeError("it said hello") from error
        except RuntimeError:
            record = logging.getLogger("x").makeRecord("x", 40, "f", 1, "m", (), sys.exc_info())
        told = json.loads(handler.line(record))["exception"]
        assert "ValueError" in told and "RuntimeError" in told and "fail" in told
        assert ("hello" in told) == store


def test_a_long_message_is_cut(messages: Kept) -> None:
    logging.getLogger("penstock").error(
        "x" * 100_000, extra={f"field_{number}": "\x01" * 5000 for number in range(100)}
    )
    assert len(messages.written[-1]) <= LINE_BYTES
    assert messages.lines[-1]["cut"] is True and messages.lines[-1]["level"] == "error"


def test_a_message_that_no_json_can_hold_is_written_all_the_same() -> None:
    kept = Kept()
    handler = MessageHandler(kept, Redactor(), {})
    said = {"name": "penstock", "levelno": logging.ERROR, "msg": "a\ud800b"}
    handler.handle(logging.makeLogRecord({**said, "thing": object(), "many": {1, 2}, "bytes": b"\xff"}))
    assert kept.lines[-1]["event"] == "a?b"


def test_closing_gives_the_loggers_back() -> None:
    log = Log(Kept(), Timers().later)
    log.apply(Settings(), [])
    assert log.messages in logging.getLogger("penstock").handlers
    log.close()
    assert log.messages not in logging.getLogger("penstock").handlers
    assert logging.getLogger("penstock").propagate


def test_a_log_without_an_event_loop_writes_at_once(tmp_path: Path) -> None:
    log = open_log(Settings(log_file=str(tmp_path / "log")), process="supervisor")
    logging.getLogger("penstock").info("started")
    assert json.loads((tmp_path / "log").read_text())["process"] == "supervisor"
    log.close()
