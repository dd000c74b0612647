"""The command line of the device: a line in, text out, and the mode that the next line is read in. No I/O.

As on routers: words may be shortened as long as they are unambiguous, configuration is entered in modes and counts from
`commit`, an error is told with a `%`, `| include WORD` filters. A table of commands per mode is the whole parser.
"""

import ipaddress
from collections.abc import Callable
from dataclasses import replace

from penstock.testing.devices.model import Datastores, Interface, Invalid

INVALID = "% Invalid input detected at '^' marker."
AMBIGUOUS = "% Ambiguous command"

Handler = Callable[["CommandLine", list[str]], str]


class CommandLine:
    """One person at the command line.

    Args:
        stores: the device's configurations.
        user: who it is.
    """

    def __init__(self, stores: Datastores, user: str) -> None:
        self._stores = stores
        self._user = user
        self._mode = "exec"
        self._interface = ""
        self.over = False
        self.reloaded = False

    @property
    def prompt(self) -> str:
        """What is printed before a line."""
        marks = {"exec": "#", "configure": "(config)#", "interface": "(config-if)#"}
        return self._stores.running.hostname + marks[self._mode]

    def run(self, line: str) -> str:
        """Carry out one line; return what is printed, lines ended by newlines."""
        command, bar, tail = line.partition("|")
        words = command.split()
        if not words or words[0].startswith("!"):
            return ""
        try:
            text = self._dispatch(words)
        except Invalid as error:
            return f"% {error}\n"
        if bar:
            name, _, word = tail.strip().partition(" ")
            if not word or not "include".startswith(name):
                return INVALID + "\n"
            text = "".join(f"{one}\n" for one in text.splitlines() if word in one)
        return text

    def _dispatch(self, words: list[str]) -> str:
        modes = {"exec": (EXEC,), "configure": (CONFIGURE,), "interface": (INTERFACE, CONFIGURE)}[self._mode]
        for table in modes:
            found = [pattern for pattern in table if _matches(pattern.split(), words)]
            exact = [pattern for pattern in found if pattern.split()[0] == words[0]]
            if len(exact or found) > 1:
                return AMBIGUOUS + f": {' '.join(words)!r}\n"
            if found:
                pattern = (exact or found)[0]
                return table[pattern](self, _arguments(pattern.split(), words))
        return INVALID + "\n"

    # exec

    def _show_version(self, words: list[str]) -> str:
        return f"Penstock Simulated Router, Version 1.0\n{self._stores.running.hostname} uptime is 1 day\n"

    def _show_interfaces(self, words: list[str]) -> str:
        chosen = [one for one in self._stores.running.interfaces if not words or one.name.lower() == words[0].lower()]
        if not chosen:
            raise Invalid(f"{words[0]}: no such interface")
        return "".join(_interface(one) for one in chosen)

    def _show_brief(self, words: list[str]) -> str:
        rows = [f"{'Interface':<24}{'IP-Address':<20}Status\n"]
        for one in self._stores.running.interfaces:
            address = one.prefix[0] if one.prefix else "unassigned"
            rows.append(f"{one.name:<24}{address:<20}{'up' if one.enabled else 'administratively down'}\n")
        return "".join(rows)

    def _show_running(self, words: list[str]) -> str:
        return "".join(f"{line}\n" for line in self._stores.running.lines())

    def _show_startup(self, words: list[str]) -> str:
        return "".join(f"{line}\n" for line in self._stores.startup.lines())

    def _show_changes(self, words: list[str]) -> str:
        return "".join(f"{line}\n" for line in self._stores.changes())

    def _configure(self, words: list[str]) -> str:
        self._mode = "configure"
        return ""

    def _save(self, words: list[str]) -> str:
        self._stores.save()
        return "[OK]\n"

    def _reload(self, words: list[str]) -> str:
        self._stores.reload()
        self.reloaded = self.over = True
        return "reloading\n"

    def _nothing(self, words: list[str]) -> str:
        return ""

    def _exit(self, words: list[str]) -> str:
        if self._mode == "exec":
            self.over = True
        self._mode = {"interface": "configure"}.get(self._mode, "exec")
        return ""

    # configure

    def _hostname(self, words: list[str]) -> str:
        self._stores.candidate = replace(self._stores.candidate, hostname=words[0])
        return ""

    def _enter_interface(self, words: list[str]) -> str:
        known = next(
            (one.name for one in self._stores.candidate.interfaces if one.name.lower() == words[0].lower()), ""
        )
        self._interface = known or words[0]
        if not known:
            self._stores.candidate = self._stores.candidate.put(Interface(words[0], enabled=False))
        self._mode = "interface"
        return ""

    def _drop_interface(self, words: list[str]) -> str:
        if self._stores.candidate.get(words[0]) is None:
            raise Invalid(f"{words[0]}: no such interface")
        self._stores.candidate = self._stores.candidate.drop(words[0])
        return ""

    def _commit(self, words: list[str]) -> str:
        self._stores.commit(self._user)
        return ""

    def _abort(self, words: list[str]) -> str:
        self._stores.discard()
        self._mode = "exec"
        return ""

    def _end(self, words: list[str]) -> str:
        self._mode = "exec"
        return ""

    def _do(self, words: list[str]) -> str:
        kept, self._mode = self._mode, "exec"
        try:
            return self._dispatch(words)
        finally:
            self._mode = kept

    # interface

    def _set(self, **changes: object) -> str:
        found = self._stores.candidate.get(self._interface)
        if found is None:
            raise Invalid(f"{self._interface}: no such interface")
        self._stores.candidate = self._stores.candidate.put(replace(found, **changes))  # type: ignore[arg-type]
        return ""

    def _describe(self, words: list[str]) -> str:
        return self._set(description=" ".join(words))

    def _address(self, words: list[str]) -> str:
        try:
            found = ipaddress.IPv4Interface("/".join(words))
        except ValueError:
            raise Invalid(f"{' '.join(words)} is no IPv4 address") from None
        return self._set(address=found.with_prefixlen)

    def _mtu(self, words: list[str]) -> str:
        return self._set(mtu=int(words[0])) if words[0].isdecimal() else INVALID + "\n"


def _interface(one: Interface) -> str:
    state = "up" if one.enabled else "administratively down"
    lines = [f"{one.name} is {state}, line protocol is {'up' if one.enabled else 'down'}"]
    lines += [f"  Description: {one.description}"] if one.description else []
    lines += [f"  Internet address is {one.address}"] if one.address else []
    return "\n".join([*lines, f"  MTU {one.mtu} bytes\n"])


def _matches(pattern: list[str], words: list[str]) -> bool:
    """Whether the words are this command: fixed words may be shortened, `X` is one word, `*` the rest."""
    for number, part in enumerate(pattern):
        if part == "*":
            return len(words) > number
        if number >= len(words) or (part != "X" and not part.startswith(words[number].lower())):
            return False
    return len(words) == len(pattern)


def _arguments(pattern: list[str], words: list[str]) -> list[str]:
    first = next((number for number, part in enumerate(pattern) if part in ("X", "*")), len(words))
    return words[first:]


EXEC: dict[str, Handler] = {
    "show version": CommandLine._show_version,
    "show interfaces": CommandLine._show_interfaces,
    "show interfaces X": CommandLine._show_interfaces,
    "show ip interface brief": CommandLine._show_brief,
    "show running-config": CommandLine._show_running,
    "show startup-config": CommandLine._show_startup,
    "show configuration": CommandLine._show_changes,
    "configure terminal": CommandLine._configure,
    "write memory": CommandLine._save,
    "copy running-config startup-config": CommandLine._save,
    "terminal length X": CommandLine._nothing,
    "terminal width X": CommandLine._nothing,
    "reload": CommandLine._reload,
    "exit": CommandLine._exit,
    "quit": CommandLine._exit,
}
CONFIGURE: dict[str, Handler] = {
    "hostname X": CommandLine._hostname,
    "interface X": CommandLine._enter_interface,
    "no interface X": CommandLine._drop_interface,
    "show configuration": CommandLine._show_changes,
    "commit": CommandLine._commit,
    "abort": CommandLine._abort,
    "do *": CommandLine._do,
    "exit": CommandLine._exit,
    "end": CommandLine._end,
}
INTERFACE: dict[str, Handler] = {
    "description *": CommandLine._describe,
    "no description": lambda line, words: line._set(description=""),
    "ip address X": CommandLine._address,
    "ip address X X": CommandLine._address,
    "no ip address": lambda line, words: line._set(address=""),
    "mtu X": CommandLine._mtu,
    "shutdown": lambda line, words: line._set(enabled=False),
    "no shutdown": lambda line, words: line._set(enabled=True),
}
