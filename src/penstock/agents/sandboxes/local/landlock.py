"""The third wall: files may be changed only below a few folders, whatever a mount says (Landlock, where the kernel
has it).

Reading is left to the mounts. What is handled is only what changes files; making device nodes is allowed nowhere, and
so is writing to /proc. Scopes of signals are left alone: every program that is started has a domain of its own, so that
a shell could not end a server that an earlier call had started; the pid namespace holds signals.
"""

from __future__ import annotations

import os
from collections.abc import Sequence

from penstock.agents.sandboxes.local import kernel

WRITE_FILE, REMOVE_DIR, REMOVE_FILE = 1 << 1, 1 << 4, 1 << 5
MAKE_CHAR, MAKE_DIR, MAKE_REG, MAKE_SOCK, MAKE_FIFO, MAKE_BLOCK, MAKE_SYM = (1 << bit for bit in range(6, 13))
REFER, TRUNCATE = 1 << 13, 1 << 14
MAKING = MAKE_CHAR | MAKE_DIR | MAKE_REG | MAKE_SOCK | MAKE_FIFO | MAKE_BLOCK | MAKE_SYM
CHANGING = WRITE_FILE | REMOVE_DIR | REMOVE_FILE | MAKING | REFER | TRUNCATE
DEVICES = WRITE_FILE | TRUNCATE
LEAST = 2
"""Version 1 refuses every move between two folders, which git does all the time."""


def accesses(abi: int) -> int:
    """Return what the ruleset handles for this version: 3 is the first that knows truncation."""
    return CHANGING if abi >= 3 else CHANGING & ~TRUNCATE


def restrict(writable: Sequence[str]) -> bool:
    """Let this process and its children change files below `writable` and use devices, and nothing else. False: no
    Landlock.
    """
    abi = kernel.landlock_abi()
    if abi < LEAST:
        return False
    handled = accesses(abi)
    ruleset = kernel.landlock_ruleset(handled)
    for path in writable:
        _allow(ruleset, path, handled & ~(MAKE_CHAR | MAKE_BLOCK))
    _allow(ruleset, "/dev", handled & DEVICES)
    kernel.landlock_restrict(ruleset)
    os.close(ruleset)
    return True


def _allow(ruleset: int, path: str, access: int) -> None:
    try:
        folder = os.open(path, os.O_PATH | os.O_CLOEXEC)
    except FileNotFoundError:
        return
    kernel.landlock_allow(ruleset, folder, access)
    os.close(folder)
