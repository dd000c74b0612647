"""`penstock chat MODEL`: a conversation in the terminal, streamed. A message on the command line asks once and ends."""

from __future__ import annotations

import argparse
import sys
from typing import Any

from penstock.cli import CommandError
from penstock.client.api import completion
from penstock.client.streams import Stream
from penstock.exceptions import PenstockError


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The arguments of `penstock chat`."""
    parser.add_argument("model", metavar="MODEL", help="provider/model, such as openai/gpt-4o; demo works offline")
    parser.add_argument("message", nargs="*", help="ask this once, instead of a conversation")
    parser.add_argument("-s", "--system", help="instructions for the model")
    parser.add_argument("--api-base", help="another address of the provider")


def run(arguments: argparse.Namespace) -> int:
    """Talk until end of input (Ctrl-D) or an empty line."""
    messages: list[dict[str, Any]] = []
    if arguments.system:
        messages.append({"role": "system", "content": arguments.system})
    if arguments.message:
        return _turn(arguments, messages, " ".join(arguments.message))
    if not sys.stdin.isatty():
        return _turn(arguments, messages, sys.stdin.read().strip())
    print(f"{arguments.model}. An empty line or Ctrl-D ends.")
    while line := _line():
        _turn(arguments, messages, line)
    return 0


def _line() -> str:
    try:
        return input("> ").strip()
    except EOFError:
        print()
        return ""


def _turn(arguments: argparse.Namespace, messages: list[dict[str, Any]], said: str) -> int:
    """One question and its answer, which joins the conversation."""
    if not said:
        raise CommandError("there is nothing to ask")
    messages.append({"role": "user", "content": said})
    try:
        stream = completion(arguments.model, messages, stream=True, api_base=arguments.api_base)
        assert isinstance(stream, Stream)
        for chunk in stream:
            for choice in chunk.choices:
                print(choice.delta.content or "", end="", flush=True)
        print()
    except PenstockError as error:
        messages.pop()
        if sys.stdin.isatty() and not arguments.message:
            print(f"\n{error}", file=sys.stderr)
            return 1
        raise CommandError(str(error)) from None
    if stream.response is not None:
        messages.append(stream.response.choices[0].message.model_dump(exclude_none=True))
    return 0
