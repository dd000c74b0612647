"""The log: one JSON line a request, and the messages of the process, on standard error or in a file.

A request's line is its sample (samples.py), encoded into a buffer that is written when it holds 64 KiB or its first
line is 200 ms old, in one piece. `kill -9` loses that buffer and no more: what a request cost is in the ledger.

Lines hold no secret: keys are told by their name and digest, and what callers and providers wrote passes the redaction.
They hold no prompt, and no words of a provider, which may quote one, unless `store_prompts` is on.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import msgspec

from penstock.gateway.log_messages import MessageHandler, capture, release, rfc3339
from penstock.gateway.log_writer import LINE_BYTES, BackgroundWriter, LogTarget, Writer
from penstock.gateway.redact import Redactor
from penstock.gateway.samples import RequestSample
from penstock.gateway.snapshot import Settings

BUFFER_BYTES = 64 * 1024
BUFFER_SECONDS = 0.2

_LEVELS = {"debug": 0, "info": 1, "warning": 2, "error": 3, "critical": 3}
"""Level of the log -> the least level of a line that it takes."""
_TEXT_CHARACTERS = 256
"""Of what a caller named."""
_REMEMBERED = 1024
_EXPENDABLE = (
    *("notes", "tags", "provider_message", "route", "message", "session", "end_user", "requested", "path"),
    *("response_id", "finish_reason", "model", "model_group", "deployment", "key_alias", "client", "method"),
)
"""What a line that is too long goes without, first to last."""


class Log:
    """The log of one process.

    request   append a request's line (below a microsecond)
    flush     write what is in the buffer
    apply     go by other settings and other secrets
    reopen    open the file anew (SIGHUP)
    close     write everything and let go of `logging`
    """

    def __init__(self, writer: Writer, later: Callable[[float, Callable[[], None]], Any], **fields: Any) -> None:
        self._writer = writer
        self._later = later
        self._buffer = bytearray()
        self._due = False
        self._encode = msgspec.json.Encoder().encode_into
        self._millisecond = 0
        self._time = ""
        self._least = 1
        self._store_prompts = False
        self._clean = Clean(Redactor())
        self.messages = MessageHandler(writer, Redactor(), fields)

    @property
    def lost(self) -> int:
        """Lines that could not be written."""
        return self._writer.lost

    def request(self, sample: RequestSample, at: float) -> None:
        """Append the line of a request that ended `at` (Unix seconds). Writes `time` and `level` into the sample, and
        takes out of it what must not be logged.
        """
        status = sample.status
        level = 1 if status < 400 or sample.outcome == "cancelled" else 2 if status < 500 else 3
        if level < self._least:
            return
        sample.level = _NAMES[level]
        millisecond = int(at * 1000)
        if millisecond != self._millisecond:
            self._millisecond = millisecond
            self._time = rfc3339(at)
        sample.time = self._time
        clean = self._clean
        sample.requested = clean[sample.requested]
        sample.path = clean[sample.path]
        if sample.provider_message is not None and not self._store_prompts:
            sample.provider_message = None
        if level > 1 or sample.notes or sample.tags or sample.end_user or sample.session or sample.message:
            self._clean_rest(sample)
        buffer = self._buffer
        start = len(buffer)
        try:
            self._encode(sample, buffer, -1)
        except UnicodeEncodeError:
            del buffer[start:]
            self._encode(_whole_characters(sample), buffer, -1)
        buffer += b"\n"
        if len(buffer) > start + LINE_BYTES:
            self._shorten(sample, start)
        if not self._due:
            self._due = True
            self._later(BUFFER_SECONDS, self._flush_due)
        if start >= BUFFER_BYTES - LINE_BYTES:
            self.flush()

    def flush(self) -> None:
        """Hand the buffer to the writer."""
        if self._buffer:
            self._writer.write(bytes(self._buffer))
            self._buffer.clear()

    def apply(self, settings: Settings, secrets: Iterable[str]) -> None:
        """Go by these settings from now on, and keep these secrets out."""
        redactor = Redactor(secrets)
        self._least = _LEVELS.get(settings.log_level.lower(), 1)
        self._store_prompts = self.messages.store_prompts = settings.store_prompts
        self._clean = Clean(redactor)
        self.messages.redactor = redactor
        capture(self.messages, settings.log_level)

    def reopen(self) -> None:
        """Write what there is, then open the file anew."""
        self.flush()
        self._writer.reopen()

    def close(self, patience: float = 1.0) -> None:
        """Write everything, for at most `patience` seconds, and let go of `logging`."""
        self.flush()
        release(self.messages)
        self._writer.close(patience)

    def _flush_due(self) -> None:
        self._due = False
        self.flush()

    def _clean_rest(self, sample: RequestSample) -> None:
        """What few requests have, or only those that failed."""
        clean = self._clean
        for name in ("message", "provider_message", "end_user", "session", "response_id", "finish_reason"):
            text = getattr(sample, name)
            if text is not None:
                setattr(sample, name, clean[text])
        sample.tags = tuple([clean[tag] for tag in sample.tags])
        sample.notes = tuple([clean[note] for note in sample.notes])

    def _shorten(self, sample: RequestSample, start: int) -> None:
        """Write the line again without what it can go without, until it fits."""
        sample.cut = True
        fields = dict(zip(sample.__struct_fields__, RequestSample().__struct_defaults__, strict=True))
        for name in _EXPENDABLE:
            setattr(sample, name, fields[name])
            del self._buffer[start:]
            self._encode(sample, self._buffer, -1)
            self._buffer += b"\n"
            if len(self._buffer) - start <= LINE_BYTES:
                return


_NAMES = ("debug", "info", "warning", "error")


class Clean(dict[str, str]):
    """Text without secrets, and no longer than a line can bear. It remembers, for callers name the same few models
    again and again, and forgets all when it has seen too much.
    """

    def __init__(self, redactor: Redactor) -> None:
        super().__init__()
        self._redactor = redactor

    def __missing__(self, text: str) -> str:
        short = self._redactor.text(text[: 4 * _TEXT_CHARACTERS])
        if len(short) > _TEXT_CHARACTERS:
            short = short[: _TEXT_CHARACTERS - 3] + "..."
        if len(self) >= _REMEMBERED:
            self.clear()
        self[text] = short
        return short


def _whole_characters(sample: RequestSample) -> RequestSample:
    """The same with `?` for halves of characters, which no JSON can hold."""
    for name in sample.__struct_fields__:
        value = getattr(sample, name)
        if isinstance(value, str):
            setattr(sample, name, value.encode("utf-8", "replace").decode())
        elif isinstance(value, tuple):
            setattr(sample, name, tuple(str(item).encode("utf-8", "replace").decode() for item in value))
    return sample


def open_log(
    settings: Settings,
    secrets: Iterable[str] = (),
    later: Callable[[float, Callable[[], None]], Any] | None = None,
    **fields: Any,
) -> Log:
    """The log of this process, as the settings say. `fields` stand in every message (`process="worker", worker=1`).

    With `later` (the event loop's `call_later`) lines for a pipe or a terminal are written by a thread, so that the
    loop never waits; without it, and into a file, at once. Raises OSError when `log_file` cannot be opened.
    """
    target = LogTarget(settings.log_file)
    at_once = later is None or target.is_file()
    log = Log(target if at_once else BackgroundWriter(target), later or _at_once, **fields)
    log.apply(settings, secrets)
    return log


def _at_once(delay: float, call: Callable[[], None]) -> None:
    """For a process without an event loop, which logs no requests."""
