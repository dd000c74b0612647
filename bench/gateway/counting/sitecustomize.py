"""Lets a Python process under valgrind be told by a signal when callgrind shall count: SIGUSR2 begins, the next ends.

Python imports a module of this name at its start when the module's folder is on PYTHONPATH. `callgrind_control` cannot
do this: it does not reach processes that were forked. So the process itself makes the "client request" that valgrind
knows by an odd sequence of instructions which does nothing elsewhere (valgrind.h; here that of x86-64).
"""

from __future__ import annotations

import ctypes
import mmap
import signal

_START, _STOP, _DUMP, _ZERO = 0x43540004, 0x43540005, 0x43540000, 0x43540001  # callgrind.h, from ('C', 'T')
_SEQUENCE = bytes.fromhex(
    "4889f8 31d2"  # rax = the address of the request; rdx = what is answered where there is no valgrind
    "48c1c703 48c1c70d 48c1c73d 48c1c733 4887db"  # rdi is rotated by 128 bits in all, and rbx exchanged with itself
    "4889d0 c3"  # return rdx
)


class _Counting:
    def __init__(self) -> None:
        self._page = mmap.mmap(-1, mmap.PAGESIZE, prot=mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC)
        self._page.write(_SEQUENCE)
        place = ctypes.addressof(ctypes.c_char.from_buffer(self._page))
        self._call = ctypes.CFUNCTYPE(ctypes.c_uint64, ctypes.c_void_p)(place)
        self._on = False

    def toggle(self, *_: object) -> None:
        """Begin with zero; or end, and write the file."""
        for request in (_DUMP, _STOP) if self._on else (_START, _ZERO):
            self._call(ctypes.byref((ctypes.c_uint64 * 6)(request)))
        self._on = not self._on


signal.signal(signal.SIGUSR2, _Counting().toggle)
