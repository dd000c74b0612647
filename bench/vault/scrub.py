"""`python -m bench.vault.scrub`: the speed of the scrubber on ordinary and on escape-heavy text, in MB of CPU time.

The column `find` is one `bytes.find` of a needle over the same text: what a machine does, to compare machines by.
"""

from __future__ import annotations

import base64
import json
import random
import string
import time
from collections.abc import Callable

from penstock.vault.scrub import Scrubber

SIZE, PIECE, ROUNDS = 4 << 20, 64 << 10, 3
SECRETS = (1, 5, 20)
_CHOSEN = random.Random(11)
_WORDS = ["".join(_CHOSEN.choices(string.ascii_lowercase, k=_CHOSEN.randint(2, 9))) for _ in range(2000)]


def _words(count: int) -> str:
    return " ".join(_CHOSEN.choices(_WORDS, k=count))


def _json_item() -> str:
    return (
        json.dumps({"id": _CHOSEN.getrandbits(30), "name": _words(6), "url": f"https://h.example/v1/{_words(1)}"})
        + "\n"
    )


def _script() -> str:
    a, b, c = _CHOSEN.sample(_WORDS, 3)
    return f'function {a}(t,e){{var n=t&&e||"{b}";return n?{c}[n]:{{"{a}":1,{b}:!0}}}}'


def _filled(item: Callable[[], str]) -> bytes:
    items = [item() for _ in range(2000)]
    text = "".join(items).encode()
    return (text * (SIZE // len(text) + 1))[:SIZE]


def texts() -> dict[str, bytes]:
    """The texts, all of `SIZE` bytes."""
    return {
        "random bytes": _CHOSEN.randbytes(SIZE),
        "JSON": _filled(_json_item),
        "base64": base64.b64encode(_CHOSEN.randbytes(SIZE))[:SIZE],
        "HTML": _filled(lambda: f'<div class="{_words(1)}"><a href="/{_words(1)}">{_words(9)}</a></div>\n'),
        "minified JavaScript": _filled(_script),
        r"JSON full of \" and \n": _filled(lambda: json.dumps(f'<a href="{_words(1)}">\n{_words(4)}</a>\n')),
        "HTML full of &nbsp;": _filled(lambda: f"<td>&nbsp;{_words(1)}&amp;{_words(1)}&nbsp;</td>\n"),
        r"JSON full of \/": _filled(
            lambda: '{"url":"https:\\/\\/h.example\\/' + _words(1) + '","name":"' + _words(3) + '"},\n'
        ),
        r"JSON full of \u4e2d": _filled(lambda: json.dumps({"t": "中文 " + _words(2)}) + "\n"),
        "log full of %2F": _filled(lambda: f"GET /search?q={_words(1)}%20{_words(1)}%2Fa%3Db&x=%E4%BD%A0 200\n"),
        "nothing but %41": b"%41" * (SIZE // 48),
    }


def _pairs(count: int) -> list[tuple[bytes, bytes]]:
    letters = string.ascii_letters + string.digits
    secrets = ["fake-key-" + "".join(_CHOSEN.choices(letters, k=40)) for _ in range(2 * count)]
    return [(secrets[at].encode(), secrets[at + count].encode()) for at in range(count)]


def _speed(work: Callable[[], object], size: int) -> float:
    """MB a second of CPU time, the best of `ROUNDS`."""
    spent = []
    for _ in range(ROUNDS):
        began = time.process_time()
        work()
        spent.append(time.process_time() - began)
    return size / min(spent) / 1e6


def _pass(scrubber: Scrubber, text: bytes) -> None:
    stream = scrubber.stream()
    for at in range(0, len(text), PIECE):
        stream.feed(text[at : at + PIECE])
    stream.end()


def main() -> None:
    """Print the table."""
    scrubbers = {count: Scrubber(_pairs(count)) for count in SECRETS}
    needle = _pairs(1)[0][0]
    print("| text | " + " | ".join(f"{count} secret{'s' * (count > 1)}" for count in SECRETS) + " | find |")
    print("|---" * (len(SECRETS) + 2) + "|")
    for name, text in texts().items():
        speeds = [_speed(lambda s=s, t=text: _pass(s, t), len(text)) for s in scrubbers.values()]  # type: ignore[misc]
        speeds.append(_speed(lambda t=text: t.find(needle), len(text)))  # type: ignore[misc]
        print(f"| {name} | " + " | ".join(f"{speed:,.0f}" for speed in speeds) + " |", flush=True)


if __name__ == "__main__":
    main()
