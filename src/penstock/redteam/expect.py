"""What must come of an attack: functions from what was seen to what is wrong with it. Pure.

Each asks for something that was seen. That the canary came in nowhere is held for every probe, by suite.py; here stands
what shows that the attack arrived, and what the defence did.
"""

from __future__ import annotations

from collections.abc import Callable

from penstock.redteam.messages import Response, h2_answers, responses
from penstock.redteam.probe import Asked, Expect, Kit, Seen


def replies(seen: Seen) -> list[Response]:
    """The responses that came back, the one to CONNECT included where it is a refusal."""
    found = responses(seen.back.connect) if not seen.back.connect.startswith(b"HTTP/1.1 200") else []
    return found + responses(seen.back.data, seen.back.ended)


def requests(seen: Seen, *roles: str) -> list[Asked]:
    """The requests that arrived, at these roles or at any."""
    return [asked for asked in seen.asked if asked.head and (not roles or asked.role in roles)]


def both(*expectations: Expect) -> Expect:
    """All of them."""
    return lambda seen: next((wrong for each in expectations if (wrong := each(seen))), "")


def either(*expectations: Expect) -> Expect:
    """One of them."""

    def found(seen: Seen) -> str:
        wrong = [each(seen) for each in expectations]
        return "" if "" in wrong else "; ".join(wrong)

    return found


# -- what came back ---------------------------------------------------------------------------------------------------


def refused(*codes: str) -> Expect:
    """The vault refused, with one of these codes (any, where none is named), and nothing reached an upstream."""

    def found(seen: Seen) -> str:
        got = [reply.refusal for reply in replies(seen) if reply.refusal]
        if not got:
            return "it was not refused by the vault"
        if codes and not set(got) & set(codes):
            return f"it was refused as {', '.join(got)}, not as {' or '.join(codes)}"
        return nothing_sent(seen)

    return found


def alerted(seen: Seen) -> str:
    """TLS was refused before a certificate was shown, and nothing reached an upstream."""
    data = seen.back.data
    by_alert = data[:1] == b"\x15" or "ALERT" in seen.back.error.upper()
    if seen.back.tls:
        return f"TLS was established ({seen.back.tls})"
    if data[:1] == b"\x16":
        return "the handshake was answered"
    if not by_alert and not seen.back.ended:
        return f"there was no alert: {seen.back.error or seen.back.data[:20]!r}"
    return nothing_sent(seen)


def cut(seen: Seen) -> str:
    """The connection ended before a whole response was there."""
    got = replies(seen)
    if any(reply.complete and not reply.refusal for reply in got):
        return "a whole response came back"
    return "" if seen.back.ended or seen.back.error or any(reply.refusal for reply in got) else "it was not cut"


def closed(seen: Seen) -> str:
    """Nothing came back but the end of the connection or a refusal, and nothing reached an upstream."""
    if seen.back.data and not all(reply.refusal for reply in replies(seen)):
        return f"{len(seen.back.data)} bytes came back"
    if not (seen.back.ended or seen.back.error or seen.back.data):
        return "the connection was neither closed nor refused"
    return nothing_sent(seen)


def status(*numbers: int) -> Expect:
    """The last response has one of these."""

    def found(seen: Seen) -> str:
        got = [reply.status for reply in replies(seen)]
        return "" if got and got[-1] in numbers else f"the status is {got or 'missing'}"

    return found


def stub_back(encode: Callable[[bytes], bytes] = bytes) -> Expect:
    """Where the secret stood, in this encoding, stands the stub."""

    def found(seen: Seen) -> str:
        wanted = encode(seen.kit.stub)
        whole = b"".join(reply.body for reply in replies(seen)) + seen.back.data
        same = wanted in whole or wanted.lower() in whole.lower()  # hexadecimal digits have no case of their own
        return "" if same else "the stub did not come back in the secret's place"

    return both(swapped, found)


def said(text: str) -> Expect:
    """The program inside printed this."""

    def found(seen: Seen) -> str:
        return "" if text in seen.back.text else f"it said {shortened(seen.back)}"

    return found


def failed_with(*names: str) -> Expect:
    """Every attempt of the program inside ended with one of these errors."""

    def found(seen: Seen) -> str:
        words = seen.back.text.split("\n")
        wrong = [word for word in words if word.split(" ")[0] not in names]
        return f"it said {shortened(seen.back)}" if wrong or not seen.back.text else ""

    return found


def silent(seen: Seen) -> str:
    """The program ran to its end and found nothing: it prints what it finds."""
    if seen.back.text:
        return f"it found {shortened(seen.back)}"
    return "" if seen.back.code == 0 else f"it ended with {seen.back.code}: {seen.back.error[-200:]}"


# -- what the upstreams saw -------------------------------------------------------------------------------------------


def swapped(seen: Seen) -> str:
    """The bound upstream got the canary: the attack went all the way."""
    arrived = any(
        secret in asked.everything for asked in requests(seen, "bound") for secret in seen.kit.secrets.values()
    )
    arrived = arrived or any(_signed(asked) for asked in requests(seen, "bound"))
    return "" if arrived else f"no request with the canary reached the bound host ({_counted(seen)})"


def _signed(asked: Asked) -> bool:
    import base64
    import binascii

    try:
        return b"canary" in base64.b64decode(asked.credential)
    except (binascii.Error, ValueError):
        return False


def nothing_sent(seen: Seen) -> str:
    """No upstream was asked anything."""
    got = requests(seen)
    return f"{len(got)} requests reached {', '.join(sorted({each.role for each in got}))}" if got else ""


def untouched(seen: Seen) -> str:
    """Neither the attacker's host nor this machine's service was so much as connected to."""
    got = [asked.role for asked in seen.asked if asked.role in ("evil", "host")]
    return f"{len(got)} connections reached {', '.join(sorted(set(got)))}" if got else ""


def exactly(count: int, role: str = "bound") -> Expect:
    """So many requests arrived."""

    def found(seen: Seen) -> str:
        got = len(requests(seen, role))
        return "" if got == count else f"{got} requests arrived, not {count}"

    return found


def arrived(test: Callable[[Asked, Kit], bool], what: str, role: str = "bound") -> Expect:
    """A request arrived, and each is so; `what` says what is wrong where it is not."""

    def found(seen: Seen) -> str:
        got = requests(seen, role)
        if not got:
            return f"no request arrived ({_counted(seen)})"
        return "" if all(test(asked, seen.kit) for asked in got) else what

    return found


def without(*names: str) -> Expect:
    """A request arrived, without these headers."""
    return arrived(
        lambda asked, kit: not any(asked.values(name.lower()) for name in names),
        f"{' or '.join(names)} arrived upstream",
    )


def unread(*texts: str, role: str = "bound") -> Expect:
    """A request arrived, and none of these texts stands in it."""
    return arrived(
        lambda asked, kit: not any(kit.fill(text.encode("latin-1")) in asked.everything for text in texts),
        f"{' or '.join(texts)} arrived upstream",
        role,
    )


def carrying(*texts: str, role: str = "bound") -> Expect:
    """A request arrived, and holds these texts."""
    return arrived(
        lambda asked, kit: all(kit.fill(text.encode("latin-1")) in asked.everything for text in texts),
        "it did not arrive as it was sent",
        role,
    )


# -- HTTP/2 -----------------------------------------------------------------------------------------------------------


def h2_refused(stream: int = 1, *statuses: str) -> Expect:
    """A stream was refused: by a status, by a reset, or with its connection; and nothing reached an upstream."""

    def found(seen: Seen) -> str:
        if seen.back.connect and not seen.back.connect.startswith(b"HTTP/1.1 200"):
            return nothing_sent(seen)
        got = h2_answers(seen.back.data)
        heads = dict(got.heads.get(stream, []))
        if stream in got.resets or got.goaway or (seen.back.ended and not heads):
            return nothing_sent(seen)
        if "x-penstock-refusal" in heads or heads.get(":status") in statuses:
            return nothing_sent(seen)
        return f"the stream was answered: {heads.get(':status', 'no status')}"

    return found


def h2_stub_back(seen: Seen) -> str:
    """Over HTTP/2 the stub stands where the secret stood, and no head holds the secret."""
    got = h2_answers(seen.back.data)
    whole = b"".join(got.data.values()) + repr(got.heads).encode()
    if seen.kit.secret in whole:
        return "the secret came back over HTTP/2"
    return swapped(seen) or ("" if seen.kit.stub in whole else "the stub did not come back over HTTP/2")


# -- words ------------------------------------------------------------------------------------------------------------


def shortened(back: object, most: int = 160) -> str:
    """What a program said, in one line."""
    text = " | ".join(getattr(back, "text", "").split("\n")) or "nothing"
    error = getattr(back, "error", "").strip().split("\n")[-1]
    text = f"{text} ({error})" if error else text
    return text if len(text) <= most else text[: most - 3] + "..."


def _counted(seen: Seen) -> str:
    got = [f"{reply.status} {reply.refusal}".strip() for reply in replies(seen)]
    return f"back came {', '.join(got) or seen.back.error or 'nothing'}"
