"""`python -m penstock.testing.providers`: the simulated providers by hand, for curl, for clients, for benchmarks."""

import argparse
import signal
import sys
import threading

from penstock.testing.providers import DIALECTS, MOUNTS, Reply, SimulatedProviders


def main(arguments: list[str] | None = None) -> int:
    """Serve until interrupted; prints the base URLs first, one a line."""
    parser = argparse.ArgumentParser(prog="python -m penstock.testing.providers", description=__doc__)
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=9999, help="0 picks a free one (default: %(default)s)")
    parser.add_argument("--chunks", type=int, help="every answer is a text that streams in so many events")
    parser.add_argument("--interval", type=float, default=0.0, help="seconds between two events")
    parser.add_argument("--first", type=float, default=0.0, help="seconds before the first event")
    parser.add_argument("--whole", action="store_true", help="send a stream in one write: the cheapest for this side")
    parser.add_argument("--lenient", action="store_true", help="do not refuse what the provider would refuse")
    options = parser.parse_args(arguments)
    provider = SimulatedProviders(host=options.host, port=options.port, strict=not options.lenient)
    if options.chunks:
        reply = Reply.text("word " * options.chunks, pieces=options.chunks).delivered(
            between=options.interval,
            before_first=options.first,
            writes="whole" if options.whole else "event",
        )
        provider.answer_with(lambda request: reply)
    provider.keep_requests(1000)
    try:
        provider.start()
    except OSError as error:
        sys.stderr.write(f"cannot listen on {options.host}:{options.port}: {error.strerror}; choose another --port\n")
        return 1
    names = [*DIALECTS, *(mount.name for mount in MOUNTS)]
    sys.stdout.write("".join(f"{name:<20} {provider.url(name)}\n" for name in names))
    sys.stdout.flush()
    _wait_for_interrupt()
    provider.close()
    return 0


def _wait_for_interrupt() -> None:
    done = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: done.set())
    done.wait()


if __name__ == "__main__":
    sys.exit(main())
