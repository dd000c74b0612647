"""`penstock chat MODEL`: a conversation in the terminal, streamed. A message on the command line, or from a pipe, asks
once and ends.

Answers go to standard output, all else to standard error, so that an answer can be piped on. In a conversation Ctrl-C
stops an answer, and a question that failed is forgotten.
"""

from __future__ import annotations

import argparse
import sys
from contextlib import suppress
from typing import Any

from penstock.cli import CommandError
from penstock.client.api import completion
from penstock.client.streams import Stream
from penstock.exceptions import PenstockError


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The arguments of `penstock chat`."""
    parser.add_argument("model", metavar="MODEL", help="provider/model, such as openai/gpt-4o; demo works offline")
    parser.add_argument(
        "text", nargs="*", default=[], metavar="MESSAGE", help="ask this once, instead of a conversation"
    )
    parser.add_argument("-s", "--system", help="instructions for the model")
    parser.add_argument("--api-base", help="another address of the provider")


def run(arguments: argparse.Namespace) -> int:
    """Ask once, or talk until end of input (Ctrl-D) or an empty line."""
    messages: list[dict[str, Any]] = []
    if arguments.system:
        messages.append({"role": "system", "content": arguments.system})
    if arguments.text:
        return _ask_once(arguments, messages, " ".join(arguments.text))
    if not sys.stdin.isatty():
        return _ask_once(arguments, messages, sys.stdin.read().strip())
    return _talk(arguments, messages)


def _ask_once(arguments: argparse.Namespace, messages: list[dict[str, Any]], said: str) -> int:
    if not said:
        raise CommandError("there is nothing to ask: the message is empty")
    try:
        _turn(arguments, messages, said)
    except PenstockError as error:
        raise CommandError(str(error)) from None
    return 0


def _talk(arguments: argparse.Namespace, messages: list[dict[str, Any]]) -> int:
    with suppress(ImportError):
        import readline  # noqa: F401  # gives input() its line editing and history
    print(f"{arguments.model}. An empty line or Ctrl-D ends, Ctrl-C stops an answer.", file=sys.stderr)
    while line := _line():
        kept = len(messages)
        try:
            _turn(arguments, messages, line)
        except (PenstockError, KeyboardInterrupt) as error:
            del messages[kept:]
            print(f"\n{str(error) or 'stopped'}", file=sys.stderr)
    return 0


def _line() -> str:
    try:
        return input("> ").strip()
    except EOFError:
        print()
        return ""


_CONTROL = {code: None for code in (*range(32), *range(127, 160)) if chr(code) not in "\t\n"}
"""Characters that would command the terminal (colours, its title, the clipboard) instead of being shown."""


def _shown(text: str) -> str:
    """What a model said, for the screen; into a pipe it goes as it is."""
    return text.translate(_CONTROL) if sys.stdout.isatty() else text


def _turn(arguments: argparse.Namespace, messages: list[dict[str, Any]], said: str) -> None:
    """One question and its answer, which joins the conversation. Raises PenstockError."""
    messages.append({"role": "user", "content": said})
    stream = completion(arguments.model, messages, stream=True, api_base=arguments.api_base)
    assert isinstance(stream, Stream)
    with stream:
        for chunk in stream:
            for choice in chunk.choices:
                print(_shown(choice.delta.content or ""), end="", flush=True)
    print()
    if stream.response is not None:
        messages.append(stream.response.choices[0].message.model_dump(exclude_none=True))
