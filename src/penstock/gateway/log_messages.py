"""What is not a request, as JSON lines too: what the processes say of themselves through `logging`.

    _log = logging.getLogger(__name__)
    _log.warning("worker died", extra={"worker": 1, "signal": 9})
    {"event":"worker died","time":"...","level":"warning","logger":"penstock.control","worker":1,"signal":9}

The message is a constant that one can search for; what changes stands in `extra`. Secrets are taken out of all of it.
Of an exception the classes and places are told; its words only where they cannot come from a caller or a provider, for
those may hold a prompt (`store_prompts` tells them all).
"""

from __future__ import annotations

import logging
import traceback
from datetime import UTC, datetime
from typing import Any

import msgspec

from penstock.gateway.log_writer import LINE_BYTES, Writer
from penstock.gateway.redact import Redactor

LOGGERS = ("penstock", "asyncio", "opentelemetry")
"""Whose messages go into the log."""

_OURS = frozenset(logging.makeLogRecord({}).__dict__) | {"message", "asctime", "taskName"}
"""What every record has; all else is `extra`."""
_HARMLESS = (OSError, ImportError, MemoryError, RecursionError)
"""Exceptions whose words come from the machine."""
_VALUE_CHARACTERS = 500
_EXCEPTION_CHARACTERS = 2_000


class MessageHandler(logging.Handler):
    """Writes each record as a line. `fields` stand in every line (the process and its number)."""

    def __init__(self, writer: Writer, redactor: Redactor, fields: dict[str, Any] | None = None) -> None:
        super().__init__()
        self._writer = writer
        self._fields = fields or {}
        self.redactor = redactor
        self.store_prompts = False

    def emit(self, record: logging.LogRecord) -> None:
        """Write a record; one that cannot be written is told to `logging`, and breaks nothing."""
        try:
            self._writer.write(self.line(record))
        except Exception:
            self.handleError(record)

    def line(self, record: logging.LogRecord) -> bytes:
        """The line of a record, with its newline, at most `LINE_BYTES` long."""
        extra = {name: value for name, value in record.__dict__.items() if name not in _OURS}
        message: dict[str, Any] = {
            "event": self.redactor.text(record.getMessage()[:_EXCEPTION_CHARACTERS]),
            "time": rfc3339(record.created),
            "level": record.levelname.lower(),
            "logger": record.name,
            **self._fields,
            **self.redactor.value(extra),
        }
        if record.exc_info and record.exc_info[1] is not None:
            words = told(record.exc_info[1], self.store_prompts)
            message["exception"] = self.redactor.text(words[-4 * _EXCEPTION_CHARACTERS :])
        return encoded(message)


def rfc3339(at: float) -> str:
    """Unix seconds as `2026-11-23T07:00:00.123Z`."""
    return datetime.fromtimestamp(at, UTC).isoformat(timespec="milliseconds").removesuffix("+00:00") + "Z"


def told(error: BaseException, in_full: bool) -> str:
    """An exception with where it came from. Without `in_full` its words are left out, unless they are harmless, and so
    are the lines of source.
    """
    if in_full:
        return "".join(traceback.format_exception(error)).strip()
    chain: list[str] = []
    seen: BaseException | None = error
    while seen is not None and len(chain) < 5:
        words = f": {seen}" if isinstance(seen, _HARMLESS) else ""
        places = [f"{frame.filename}:{frame.lineno} {frame.name}" for frame in traceback.extract_tb(seen.__traceback__)]
        chain.append("\n  ".join([f"{type(seen).__name__}{words}", *places[-12:]]))
        seen = seen.__cause__ or (None if seen.__suppress_context__ else seen.__context__)
    return "\nafter ".join(chain)


def encoded(message: dict[str, Any]) -> bytes:
    """A line of at most `LINE_BYTES`: long values are cut, then what is not among the first fields is left out."""
    line = _encode(message)
    if len(line) <= LINE_BYTES:
        return line
    cut = {name: _short(name, value) for name, value in message.items()}
    while len(line := _encode({**cut, "cut": True})) > LINE_BYTES and len(cut) > 1:
        cut.popitem()
    return line


def _short(name: str, value: Any) -> Any:
    if not isinstance(value, str):
        return value
    most = _EXCEPTION_CHARACTERS if name == "exception" else _VALUE_CHARACTERS
    return value if len(value) <= most else value[: most // 2] + " ... " + value[-most // 2 :]


def _encode(message: dict[str, Any]) -> bytes:
    try:
        return msgspec.json.encode(message) + b"\n"
    except UnicodeEncodeError:  # half a character, from a file name or a header
        safe = {name: str(value).encode("utf-8", "replace").decode() for name, value in message.items()}
        return msgspec.json.encode(safe) + b"\n"


def capture(handler: MessageHandler, level: str) -> None:
    """Send the messages of our loggers to `handler`, and to nobody else. The composition root of a process calls it."""
    for name in LOGGERS:
        logger = logging.getLogger(name)
        logger.handlers[:] = [old for old in logger.handlers if not isinstance(old, MessageHandler)]
        logger.addHandler(handler)
        logger.setLevel(level.upper() if name == "penstock" else max(logging.WARNING, _number(level)))
        logger.propagate = False


def release(handler: MessageHandler) -> None:
    """The loggers as they were."""
    for name in LOGGERS:
        logger = logging.getLogger(name)
        if handler in logger.handlers:
            logger.removeHandler(handler)
            logger.setLevel(logging.NOTSET)
            logger.propagate = True


def _number(level: str) -> int:
    return logging.getLevelNamesMapping().get(level.upper(), logging.INFO)
