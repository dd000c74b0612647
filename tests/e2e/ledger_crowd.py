"""The processes of test_crash_safe_ledger.py: writers and keepers, forked by a nursery that has imported all they need,
so that a kill finds them at work and not at their imports. `python -m tests.e2e.ledger_crowd FOLDER`, then on stdin:

    writer SEED LARGEST    fork a writer whose model names have up to LARGEST letters; answers its pid
    keeper BATCH           fork a keeper; answers its pid
    kill PID               SIGKILL it; answers how it ended
"""

import os
import random
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path

from penstock.control import ledger as ledger_module
from penstock.control.ledger import Ledger
from penstock.control.store.sqlite import open_sqlite
from penstock.gateway.journal import Journal, new_worker_id
from penstock.gateway.records import Closed, Ended, Opened
from penstock.types.usage import Usage

TOKEN = "a" * 64
QUOTA = f"key:{TOKEN}:money:1"
RESERVED = 1_000_000


class Writer:
    """A worker that does nothing but write calls into its journal, and says of each that it is done when it is."""

    def __init__(self, folder: Path, seed: int, largest: int) -> None:
        self.chance = random.Random(seed)
        self.largest = largest
        self.worker = new_worker_id(seed % 4)
        size = self.chance.choice([4096, 16384, 65536])
        self.journal = Journal(folder / "journals", self.worker, segment_size=size, mapped=self.chance.random() < 0.7)
        self.said = os.open(folder / "said" / self.worker, os.O_CREAT | os.O_WRONLY | os.O_APPEND)

    def run(self) -> None:
        number = 0
        while True:
            number += 1
            self.call(f"{self.worker}-{number}")
            if self.chance.random() < 0.5:
                time.sleep(self.chance.random() / 500)

    def call(self, call: str) -> None:
        attempts = self.chance.choice([0, 1, 1, 1, 1, 2, 3])
        os.write(self.said, f"begun {call}\n".encode())
        costs = [self.chance.randrange(1, 1000) for _ in range(attempts)]
        ends_well = self.chance.random() < 0.8
        for attempt, cost in enumerate(costs, 1):
            self.attempt(call, attempt, cost, ends_well and attempt == attempts)
        if not attempts or not ends_well:
            now = time.time()
            ended = Ended(call, now, now, TOKEN, "chat", "/v1/x", "m", "g", attempts, 500, "failure", "server")
            self.journal.ended(ended)
        os.write(self.said, f"done {call} {attempts} {sum(costs)}\n".encode())

    def attempt(self, call: str, attempt: int, cost: int, last: bool) -> None:
        now, model = time.time(), "m" * self.chance.randrange(1, self.largest)
        self.journal.opened(
            Opened(
                call, attempt, now, now, TOKEN, "chat", "/v1/x", model, "g", "d", "p", "m", False, ((QUOTA, RESERVED),)
            )
        )
        outcome, usage = "success" if last else "failure", Usage(total_tokens=1)
        settled = ((QUOTA, cost),)
        closed = Closed(
            call, attempt, time.time(), None, 200, outcome, usage=usage, cost=cost, settled=settled, last=last
        )
        self.journal.closed(closed)


def keep(folder: Path, batch: int) -> None:
    """A keeper that does nothing but drain."""
    ledger_module.INTERVAL = 0.0
    ledger = Ledger(open_sqlite(folder / "penstock.db"), folder / "journals", batch=batch)
    ledger.start()
    while ledger._thread is not None and ledger._thread.is_alive():
        time.sleep(0.01)
    sys.exit("the keeper's thread ended")


def forked(run: Callable[[], None]) -> int:
    """Run it in a child; returns its pid."""
    child = os.fork()
    if child:
        return child
    try:
        run()
    finally:
        sys.stderr.flush()
        os._exit(1)


def answer(folder: Path, word: str, *numbers: int) -> int:
    """Do what a line asks for."""
    if word == "writer":
        return forked(lambda: Writer(folder, *numbers).run())
    if word == "keeper":
        return forked(lambda: keep(folder, *numbers))
    os.kill(numbers[0], signal.SIGKILL)
    return os.waitstatus_to_exitcode(os.waitpid(numbers[0], 0)[1])


def main(folder: Path) -> None:
    for line in sys.stdin:
        word, *numbers = line.split()
        sys.stdout.write(f"{answer(folder, word, *map(int, numbers))}\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main(Path(sys.argv[1]))
