"""The agent of the `loop` harness: a model, five tools, and a loop between them. It runs inside the sandbox, by itself.

One file, the standard library only, so that /usr/bin/python3 runs it wherever there is one. Its input is a line of JSON
(the turn), and then, a line each, the answers to its questions. It prints one JSON object a line:

    {"type": "session", "id": ID}                                     first; ID goes on with this conversation
    {"type": "thinking" | "text", "text": PIECE}                      as it comes from the model
    {"type": "call", "call": ID, "name": TOOL, "arguments": {...}}
    {"type": "ask", "call": ID, "name": TOOL, "arguments": {...}}     waits for {"call": ID, "allowed": true}
    {"type": "result", "call": ID, "output": TEXT, "is_error": false}
    {"type": "retry", "reason": TEXT, "seconds": 1.5}
    {"type": "error", "message": TEXT}                     the turn has failed; "end" follows
    {"type": "end"}

The conversation is a file in the home, a message a line, written before anything is done with it. What an interrupted
turn has left half done is mended when it is read again.
"""

from __future__ import annotations

import http.client
import json
import os
import sys
import time
from urllib.parse import urlsplit

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import Any

MOST_STEPS = 250
"""Calls of the model in one turn."""
ATTEMPTS = 6
RETRIED = (408, 409, 425, 429, 500, 502, 503, 504, 520, 522, 524, 529)
LONGEST_PAUSE = 60.0
MODEL_SECONDS = 900.0
"""Seconds without a byte of the model's answer."""
MOST_OUTPUT = 30_000
"""Characters of a tool's output; the middle of a longer one is left out."""
HALF = MOST_OUTPUT // 2 - 100
"""Bytes of a command's beginning, and of its end."""
SHELL_SECONDS = 120
MOST_SHELL_SECONDS = 3600
MOST_FILE = 4_000_000
MOST_FOUND = 200
NOT_SEARCHED = frozenset((".git", ".hg", ".svn", "node_modules", "__pycache__", ".venv", ".mypy_cache"))

INSTRUCTIONS = (
    "You are an agent that works alone in a sandbox, in the folder {folder}. Nobody answers questions while you work: "
    "decide yourself, and say at the end what you did and what is left. Look before you change: search and read first. "
    "Make a plan for work of several steps, and keep it up to date. Check your work by running it. "
    "When you are done, answer without using a tool."
)


class Failed(Exception):
    """The turn cannot go on. `too_long`: the conversation is longer than the model takes."""

    too_long = False


class Passing(Exception):
    """Something that may pass: try again after `seconds`, or when it seems right."""

    def __init__(self, reason: str, seconds: float | None = None) -> None:
        super().__init__(reason)
        self.seconds = seconds


class ToolError(Exception):
    """A tool did not do it; the text is for the model."""


def emit(**line: Any) -> None:
    """Print one line."""
    sys.stdout.buffer.write(json.dumps(line, ensure_ascii=False).encode("utf-8", "replace") + b"\n")
    sys.stdout.buffer.flush()


# -- the model --------------------------------------------------------------------------------------------------------


class Model:
    """A model behind Chat Completions. Calls share a connection while the server keeps it.

    Args:
        url: of the gateway, without a path.
        environ: variables; those of proxies count.
    """

    def __init__(self, url: str, key: str, name: str, environ: dict[str, str], sleep: Callable[[float], None]) -> None:
        self._parts = urlsplit(url)
        self._key = key
        self._name = name
        self._environ = environ
        self._sleep = sleep
        self._connection: http.client.HTTPConnection | None = None
        self._prefix = ""
        self.saying = _Gathered()
        """The answer that is being read."""

    def answer(self, messages: list[dict[str, Any]], tools: list[dict[str, Any]]) -> dict[str, Any]:
        """Return the model's message. Its text is printed as it comes; tries again what may pass. Raises Failed."""
        body: dict[str, Any] = {"model": self._name, "messages": messages, "stream": True}
        if tools:
            body["tools"] = tools
        data = json.dumps(body).encode()
        for attempt in range(ATTEMPTS):
            try:
                return self._once(data)
            except Passing as problem:
                self._close()
                if attempt == ATTEMPTS - 1:
                    raise Failed(str(problem)) from None
                pause = problem.seconds if problem.seconds is not None else 0.5 * 2**attempt
                pause = min(pause, LONGEST_PAUSE) + os.urandom(1)[0] / 512  # not all at the same moment
                emit(type="retry", reason=str(problem), seconds=round(pause, 2))
                self._sleep(pause)
        raise AssertionError("unreachable")

    def _once(self, data: bytes) -> dict[str, Any]:
        headers = {
            "authorization": f"Bearer {self._key}",
            "content-type": "application/json",
            "accept-encoding": "identity",
        }
        self.saying = _Gathered()
        try:
            connection = self._connected()
            connection.request("POST", f"{self._prefix}/v1/chat/completions", data, headers)
            response = connection.getresponse()
            if response.status != 200:
                raise _refusal(response.status, response.getheader("retry-after"), response.read(65536))
            if "event-stream" not in (response.getheader("content-type") or ""):
                return _spoken(self.saying.take({"choices": [_whole(json.loads(response.read()))]}))
            for chunk in _chunks(response):
                self.saying.take(chunk)
            response.read()
            return _spoken(self.saying)
        except (OSError, http.client.HTTPException) as error:
            raise Passing(f"the connection to the model broke off ({type(error).__name__}: {error})") from None
        except (ValueError, KeyError, TypeError, AttributeError, IndexError) as error:
            raise Passing(f"the model's answer could not be read ({type(error).__name__}: {error})") from None

    def _connected(self) -> http.client.HTTPConnection:
        if self._connection is None:
            self._connection = self._connect()
        return self._connection

    def _connect(self) -> http.client.HTTPConnection:
        secure, host = self._parts.scheme == "https", self._parts.hostname or ""
        port = self._parts.port or (443 if secure else 80)
        kind = http.client.HTTPSConnection if secure else http.client.HTTPConnection
        proxy = _proxy_for(self._parts.scheme, host, self._environ)
        if not proxy:
            return kind(host, port, timeout=MODEL_SECONDS)
        connection = kind(proxy[0], proxy[1], timeout=MODEL_SECONDS)
        if secure:
            connection.set_tunnel(host, port)
        else:
            self._prefix = f"http://{self._parts.netloc}"
        return connection

    def _close(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None


def _proxy_for(scheme: str, host: str, environ: dict[str, str]) -> tuple[str, int] | None:
    excepted = [name.strip().lstrip(".") for name in environ.get("no_proxy", environ.get("NO_PROXY", "")).split(",")]
    if any(name and (name == "*" or host == name or host.endswith(f".{name}")) for name in excepted):
        return None
    parts = urlsplit(environ.get(f"{scheme}_proxy") or environ.get(f"{scheme.upper()}_PROXY") or "")
    return (parts.hostname, parts.port or 80) if parts.hostname else None


def _refusal(status: int, after: str | None, body: bytes) -> Exception:
    """What a status other than 200 means."""
    text = body.decode("utf-8", "replace").strip()
    code = ""
    try:
        error = json.loads(text)["error"]
        text, code = str(error["message"]), str(error.get("code") or error.get("type") or "")
    except (ValueError, KeyError, TypeError):
        pass
    if status in RETRIED:
        seconds = float(after) if after and after.replace(".", "", 1).isdigit() else None
        return Passing(f"the model answered {status}: {text[:500]}", seconds)
    failed = Failed(f"the model refused the request ({status}): {text[:2000]}")
    failed.too_long = "context_length" in code or "context window" in text or "maximum context" in text
    return failed


def _chunks(response: http.client.HTTPResponse) -> Iterator[dict[str, Any]]:
    """The events of a stream (SSE)."""
    for line in iter(response.readline, b""):
        if not line.startswith(b"data:"):
            continue
        data = line[5:].strip()
        if data == b"[DONE]":
            return
        chunk = json.loads(data)
        if error := chunk.get("error"):
            text = f"the model's answer broke off: {error.get('message', error)}"
            raise Failed(text) if "invalid" in str(error.get("type")) else Passing(text)
        yield chunk


class _Gathered:
    """What has come of an answer."""

    def __init__(self) -> None:
        self.text = ""
        self.calls: list[dict[str, Any]] = []
        self.finish = ""

    def take(self, chunk: dict[str, Any]) -> _Gathered:
        """Add a chunk, and print what it says."""
        for choice in chunk.get("choices") or []:
            delta = choice.get("delta") or {}
            if thought := delta.get("reasoning_content") or delta.get("reasoning"):
                emit(type="thinking", text=thought)
            if text := delta.get("content") or delta.get("refusal"):
                self.text += text
                emit(type="text", text=text)
            for call in delta.get("tool_calls") or []:
                self._take_call(call)
            self.finish = choice.get("finish_reason") or self.finish
        return self

    def _take_call(self, call: dict[str, Any]) -> None:
        at = call.get("index", len(self.calls) if call.get("id") else len(self.calls) - 1)
        while len(self.calls) <= at:
            self.calls.append({"id": "", "type": "function", "function": {"name": "", "arguments": ""}})
        function = call.get("function") or {}
        self.calls[at]["id"] = call.get("id") or self.calls[at]["id"]
        self.calls[at]["function"]["name"] += function.get("name") or ""
        self.calls[at]["function"]["arguments"] += function.get("arguments") or ""


def _whole(answer: dict[str, Any]) -> dict[str, Any]:
    """A choice that did not come as a stream, as if it had."""
    choice = answer["choices"][0]
    return {"delta": choice["message"], "finish_reason": choice.get("finish_reason") or "stop"}


def _spoken(gathered: _Gathered) -> dict[str, Any]:
    """The message that it makes. Raises Passing where the end is missing."""
    if not gathered.finish:
        raise Passing("the model's answer broke off in the middle")
    message: dict[str, Any] = {"role": "assistant", "content": gathered.text or None}
    for number, call in enumerate(gathered.calls):
        call["id"] = call["id"] or f"call_{os.urandom(6).hex()}_{number}"
    if gathered.calls:
        message["tool_calls"] = gathered.calls
    elif not gathered.text:
        message["content"] = ""
    return message


# -- the conversation -------------------------------------------------------------------------------------------------


class Conversation:
    """Messages, kept in a file of the home."""

    def __init__(self, folder: str, id_: str) -> None:
        self.id = id_ if id_ and id_.replace("-", "").isalnum() else os.urandom(8).hex()
        os.makedirs(folder, mode=0o700, exist_ok=True)  # noqa: PTH103  # pathlib would cost each start 10 ms
        self._path = f"{folder}/{self.id}.jsonl"
        self.messages = mended(self._read())

    def _read(self) -> list[dict[str, Any]]:
        found = []
        try:
            with open(self._path, "rb") as file:  # noqa: PTH123
                for line in file:
                    try:
                        found.append(json.loads(line))
                    except ValueError:
                        break  # the program was killed while it wrote
        except FileNotFoundError:
            return []
        return found

    def begin(self, prompt: str) -> None:
        """Write what was mended, and the user's message."""
        self.messages.append({"role": "user", "content": prompt})
        beside = f"{self._path}.new"
        with open(beside, "wb") as file:  # noqa: PTH123
            file.writelines(json.dumps(message).encode() + b"\n" for message in self.messages)
        os.replace(beside, self._path)  # noqa: PTH105

    def add(self, message: dict[str, Any]) -> None:
        """Write a message."""
        self.messages.append(message)
        with open(self._path, "ab") as file:  # noqa: PTH123
            file.write(json.dumps(message).encode() + b"\n")

    def shorten(self) -> bool:
        """Leave out what old tools have said; True where that made it shorter."""
        said = [message for message in self.messages if message["role"] == "tool" and len(message["content"]) > 400]
        for message in said[:-2]:
            message["content"] = (
                f"{message['content'][:300]}\n(the rest is left out, for the conversation got too long)"
            )
        return len(said) > 2


def mended(messages: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The same, with a result for every tool call: models refuse a conversation without."""
    found: list[dict[str, Any]] = []
    missing: list[str] = []

    def fill() -> None:
        found.extend({"role": "tool", "tool_call_id": call, "content": "(interrupted)"} for call in missing)
        missing.clear()

    for message in messages:
        if message["role"] == "tool":
            if message["tool_call_id"] in missing:
                missing.remove(message["tool_call_id"])
                found.append(message)
            continue
        fill()
        found.append(message)
        missing += [call["id"] for call in message.get("tool_calls") or ()]
    fill()
    return found


# -- tools ------------------------------------------------------------------------------------------------------------


def shortened(text: str, most: int = MOST_OUTPUT) -> str:
    """Beginning and end of a text that is too long."""
    if len(text) <= most:
        return text
    return f"{text[: most // 2]}\n... {len(text) - most:,} characters left out ...\n{text[-(most // 2) :]}"


def plan(steps: list[dict[str, str]]) -> str:
    """Note the plan. It stands in the conversation, and whoever watches sees it."""
    states = [step["status"] for step in steps]
    if any(state not in ("pending", "in_progress", "done") for state in states):
        raise ToolError("a step's status is pending, in_progress or done")
    return f"The plan is noted: {states.count('done')} of {len(states)} steps are done."


def shell(command: str, seconds: float = SHELL_SECONDS) -> str:
    """Run a command. What it leaves in the background runs on; nobody waits for it."""
    import select
    import signal
    import subprocess

    interrupts: list[int] = []  # one that comes while the child is made waits, or nobody would end the child
    before = signal.signal(signal.SIGINT, lambda number, frame: interrupts.append(number))
    program = "/bin/bash" if os.path.exists("/bin/bash") else "/bin/sh"  # noqa: PTH110
    try:
        process = subprocess.Popen(  # noqa: S603
            [program, "-c", command], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
            start_new_session=True,
        )  # fmt: skip
    except OSError:
        signal.signal(signal.SIGINT, before)
        raise
    assert process.stdout is not None
    output, ended = process.stdout.fileno(), os.pidfd_open(process.pid)
    os.set_blocking(output, False)
    kept, until, is_open = _Kept(), time.monotonic() + min(float(seconds), MOST_SHELL_SECONDS), True
    try:
        signal.signal(signal.SIGINT, before)
        if interrupts:
            raise KeyboardInterrupt
        while True:
            ready = select.select([ended, output] if is_open else [ended], [], [], max(until - time.monotonic(), 0))[0]
            is_open = is_open and (output not in ready or kept.take(output) != b"")
            if not ready:
                raise ToolError(f"{kept.text()}\n(killed: it did not end within {seconds:g} seconds)".lstrip())
            if ended in ready:
                for _ in range(17):  # a pipe's whole content, and no more: what runs on may write for ever
                    if not is_open or not kept.take(output):
                        break
                if status := process.wait():
                    raise ToolError(f"{kept.text()}\n(it ended with status {status})".lstrip())
                return kept.text()
    finally:
        if process.poll() is None:
            os.killpg(process.pid, 9)
            process.wait()
        process.stdout.close()
        os.close(ended)


class _Kept:
    """Beginning and end of what a command prints, however much it is."""

    def __init__(self) -> None:
        self._head = b""
        self._tail = b""
        self._between = 0

    def take(self, descriptor: int) -> bytes | None:
        """Read what is there, and return it: b"" at the end, None where there is nothing yet."""
        try:
            data = os.read(descriptor, 65536)
        except BlockingIOError:
            return None
        room = HALF - len(self._head)
        self._head += data[:room]
        tail = self._tail + data[room:]
        self._between += max(len(tail) - HALF, 0)
        self._tail = tail[-HALF:]
        return data

    def text(self) -> str:
        """What was kept."""
        gap = b"\n... %d bytes left out ...\n" % self._between if self._between else b""
        return (self._head + gap + self._tail).decode("utf-8", "replace").rstrip("\n")


def read(path: str, first: int = 1, lines: int = 1000) -> str:
    """Show a file's lines with their numbers, or what a folder holds."""
    if os.path.isdir(path):  # noqa: PTH112
        entries = sorted(os.scandir(path), key=lambda entry: entry.name)
        return "\n".join(entry.name + ("/" if entry.is_dir() else "") for entry in entries) or "(an empty folder)"
    found = _text_of(path).split("\n")
    shown = [f"{number}\t{line}" for number, line in enumerate(found, 1) if first <= number < first + lines]
    if not shown:
        raise ToolError(f"{path} has {len(found)} lines")
    return "\n".join(shown)


def edit(path: str, old: str, new: str) -> str:
    """Replace a text that occurs exactly once; an empty one stands for a file that is not there yet."""
    if not old:
        if os.path.exists(path) and os.path.getsize(path):  # noqa: PTH110, PTH202
            raise ToolError(f"{path} is there already: give the text that shall be replaced")
        os.makedirs(os.path.dirname(path) or ".", exist_ok=True)  # noqa: PTH103, PTH120
        return _write(path, new, "made")
    text = _text_of(path)
    if (times := text.count(old)) != 1:
        hint = "read the file again" if times == 0 else "give more of what stands around it"
        raise ToolError(f"the text occurs {times} times in {path}: {hint}")
    return _write(path, text.replace(old, new), "changed")


def _write(path: str, text: str, what: str) -> str:
    with open(path, "w", encoding="utf-8", newline="") as file:  # noqa: PTH123
        file.write(text)
    return f"{path} is {what}."


def _text_of(path: str) -> str:
    with open(path, "rb") as file:  # noqa: PTH123
        data = file.read(MOST_FILE + 1)
    if len(data) > MOST_FILE or b"\0" in data:
        raise ToolError(f"{path} is no text, or has more than {MOST_FILE:,} bytes: use the shell")
    try:
        return data.decode()
    except UnicodeDecodeError:
        raise ToolError(f"{path} is not in UTF-8: use the shell") from None


def search(pattern: str, path: str = ".", files: str = "*") -> str:
    """Show the lines that match a regular expression."""
    import re
    from fnmatch import fnmatch

    try:
        wanted = re.compile(pattern)
    except re.error as error:
        raise ToolError(f"{pattern!r} is no regular expression: {error}") from None
    found: list[str] = []
    for name in _files_below(path):
        if not fnmatch(os.path.basename(name), files):  # noqa: PTH119
            continue
        try:
            lines = _text_of(name).split("\n")
        except (ToolError, OSError):
            continue
        found += [f"{name}:{number}:{line[:300]}" for number, line in enumerate(lines, 1) if wanted.search(line)]
        if len(found) > MOST_FOUND:
            return "\n".join([*found[:MOST_FOUND], "(there are more: narrow the search)"])
    return "\n".join(found) or "Nothing matches."


def _files_below(path: str) -> Iterator[str]:
    if os.path.isfile(path):  # noqa: PTH113
        yield path
    for folder, folders, names in os.walk(path):
        folders[:] = sorted(name for name in folders if name not in NOT_SEARCHED)
        for name in sorted(names):
            if os.path.isfile(full := os.path.join(folder, name)):  # noqa: PTH113, PTH118
                yield full


def _schema(does: str, *, needs: tuple[str, ...], **properties: dict[str, Any]) -> dict[str, Any]:
    return {"description": does, "parameters": {"type": "object", "properties": properties, "required": list(needs)}}


_TEXT, _WHOLE = {"type": "string"}, {"type": "integer", "minimum": 1}
_STEP = {
    "type": "object", "required": ["step", "status"],
    "properties": {"step": _TEXT, "status": {"type": "string", "enum": ["pending", "in_progress", "done"]}},
}  # fmt: skip
TOOLS: dict[str, tuple[Callable[..., str], dict[str, Any]]] = {
    "plan": (plan, _schema(
        "Note your plan, whole, whenever it changes.", needs=("steps",), steps={"type": "array", "items": _STEP})),
    "shell": (shell, _schema(
        "Run a command by bash in the working folder; shows its output and errors. Each call is a new shell.",
        needs=("command",), command=_TEXT, seconds={"type": "number", "description": "until it is killed"})),
    "read": (read, _schema(
        "Show a file's lines with their numbers, or what a folder holds.",
        needs=("path",), path=_TEXT, first=_WHOLE, lines=_WHOLE)),
    "edit": (edit, _schema(
        "Replace a text that occurs exactly once in a file. With an empty `old`: make a new file of `new`.",
        needs=("path", "old", "new"), path=_TEXT, old=_TEXT, new=_TEXT)),
    "search": (search, _schema(
        "Show the lines of files that match a regular expression (of Python).",
        needs=("pattern",), pattern=_TEXT, path=_TEXT, files={"type": "string", "description": "such as *.py"})),
}  # fmt: skip


# -- the loop ---------------------------------------------------------------------------------------------------------


class Agent:
    """One turn. `settings`: tool to auto, ask or deny; "*" for all others."""

    def __init__(self, model: Model, conversation: Conversation, system: str, settings: dict[str, str]) -> None:
        self._model = model
        self._conversation = conversation
        self._system = {"role": "system", "content": system}
        self._settings = settings

    def work(self) -> None:
        """Go on until the model has nothing more to do. Raises Failed."""
        offered = [
            {"type": "function", "function": {"name": name, **schema}}
            for name, (_, schema) in TOOLS.items()
            if self._setting(name) != "deny"
        ]
        for _ in range(MOST_STEPS):
            message = self._answer(offered)
            self._conversation.add(message)
            if not message.get("tool_calls"):
                return
            for call in message["tool_calls"]:
                self._use(call["id"], call["function"]["name"], call["function"]["arguments"])
        raise Failed(f"the agent was stopped after {MOST_STEPS} steps")

    def _answer(self, offered: list[dict[str, Any]]) -> dict[str, Any]:
        try:
            return self._model.answer([self._system, *self._conversation.messages], offered)
        except Failed as failed:
            if not failed.too_long or not self._conversation.shorten():
                raise
        return self._model.answer([self._system, *self._conversation.messages], offered)

    def _use(self, call: str, name: str, given: str) -> None:
        is_error = True
        try:
            arguments = json.loads(given or "{}")
        except ValueError:
            arguments = given
        emit(type="call", call=call, name=name, arguments=arguments)
        try:
            output, is_error = self._run(call, name, arguments), False
        except ToolError as error:
            output = str(error)
        except (OSError, ValueError, TypeError, KeyError, AttributeError) as error:
            output = f"{type(error).__name__}: {error}"
        output = shortened(output) or "(no output)"
        self._conversation.add({"role": "tool", "tool_call_id": call, "content": output})
        emit(type="result", call=call, output=output, is_error=is_error)

    def _run(self, call: str, name: str, arguments: Any) -> str:
        if name not in TOOLS or self._setting(name) == "deny":
            raise ToolError(f"there is no tool {name!r}; there are: {', '.join(TOOLS)}")
        if not isinstance(arguments, dict):
            raise ToolError("the arguments are no JSON object")
        if self._setting(name) == "ask":
            emit(type="ask", call=call, name=name, arguments=arguments)
            if refused := _refused(call):
                raise ToolError(f"You may not do this: {refused}")
        return TOOLS[name][0](**arguments)

    def _setting(self, name: str) -> str:
        return self._settings.get(name, self._settings.get("*", "auto"))


def _refused(call: str) -> str:
    """Wait for the answer to a question; empty: it is yes."""
    for line in iter(sys.stdin.buffer.readline, b""):
        answer = json.loads(line)
        if answer["call"] == call:
            return "" if answer["allowed"] is True else answer.get("note") or "somebody decided against it"
    return "nobody answers"


def main() -> int:
    """One turn. 0, also where it failed: that is said; 130 where it was interrupted."""
    turn = json.loads(sys.stdin.buffer.readline())
    conversation = Conversation(f"{os.environ.get('HOME', '.')}/.penstock/loop", turn.get("resume") or "")
    emit(type="session", id=conversation.id)
    conversation.begin(turn["prompt"])
    system = "\n\n".join(filter(None, (INSTRUCTIONS.format(folder=os.getcwd()), turn.get("system"))))  # noqa: PTH109
    environ = dict(os.environ)
    url, key = environ["PENSTOCK_GATEWAY_URL"], environ["PENSTOCK_GATEWAY_KEY"]
    model = Model(url, key, turn.get("model") or "", environ, time.sleep)
    try:
        Agent(model, conversation, system, turn.get("tools") or {}).work()
    except Failed as failed:
        emit(type="error", message=str(failed))
    except KeyboardInterrupt:
        if model.saying.text and not model.saying.finish:
            conversation.add({"role": "assistant", "content": f"{model.saying.text}\n(interrupted)"})
        return 130
    emit(type="end")
    return 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit(130)
