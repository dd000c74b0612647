"""Sticky sessions: a conversation stays at the deployment whose provider has its beginning in the prompt cache.

It stays for some seconds after its last answer, as long as that deployment may be asked, where staying is worth it:
where cached input there costs less than fresh input anywhere else in the group. A conversation that is new goes where
its key says (rendezvous hashing, by weight): every worker and every node sends it to the same place without asking the
others, and when a deployment comes or goes only its own conversations move.
"""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from collections.abc import Sequence
from math import log

from penstock.routing.deployment import Deployment
from penstock.routing.strategies import weights_of

MOST = 20_000
"""Conversations that are remembered at most; the ones that were silent for the longest are forgotten first."""
CACHEABLE = 1024
"""Tokens below which the providers keep nothing (https://platform.openai.com/docs/guides/prompt-caching)."""


class Sticky:
    """Where conversations are. For `seconds` after the last answer; at most `most` of them."""

    __slots__ = ("_most", "_places", "seconds")

    def __init__(self, seconds: float, most: int = MOST) -> None:
        self.seconds = seconds
        self._most = most
        self._places: OrderedDict[str, tuple[str, float]] = OrderedDict()

    def __len__(self) -> int:
        return len(self._places)

    def find(self, session: str, now: float) -> str | None:
        """The id of its deployment; None: it has none, or had it too long ago."""
        place = self._places.get(session)
        if place is None:
            return None
        if now >= place[1]:
            del self._places[session]
            return None
        return place[0]

    def keep(self, session: str, deployment: str, now: float) -> None:
        """It was answered there."""
        self._places[session] = (deployment, now + self.seconds)
        self._places.move_to_end(session)
        while len(self._places) > self._most:
            self._places.popitem(last=False)


def worth_staying(deployment: Deployment, others: Sequence[Deployment], tokens: int | None = None) -> bool:
    """Whether its prompt cache is a reason to stay. Where prices are not known it is: a cache of one's own server saves
    time. `tokens`: length of the request, where known.
    """
    if tokens is not None and tokens < CACHEABLE and deployment.cached_price is not None:
        return False
    if deployment.input_price is None:
        return True
    if deployment.cached_price is None:
        return False
    fresh = [each.input_price for each in others if each.input_price is not None]
    return deployment.cached_price < min(fresh, default=deployment.input_price)


def rendezvous(deployments: Sequence[Deployment], session: str) -> list[Deployment]:
    """The deployments in the order that is this session's own; each comes first for a share of all sessions that is as
    its weight.
    """
    weights = weights_of(deployments)
    ranks = [_rank(session, each.id, weight) for each, weight in zip(deployments, weights, strict=True)]
    places = sorted(range(len(deployments)), key=ranks.__getitem__, reverse=True)
    return [deployments[place] for place in places]


def _rank(session: str, name: str, weight: float) -> float:
    """Weighted rendezvous hashing (Schindelhauer and Schomaker, 2005): -weight / ln(hash)."""
    digest = hashlib.blake2b(f"{session}\0{name}".encode("utf-8", "surrogatepass"), digest_size=8).digest()
    number = ((int.from_bytes(digest) >> 12) + 0.5) / 2.0**52
    return -weight / log(number) if weight > 0 else number - 2.0


def session_of(*parts: str | bytes | None) -> str | None:
    """A key of a conversation: the first part that says something, told apart from others by its place; a digest, for
    the parts may be long, and are nobody's business."""
    for place, part in enumerate(parts):
        if part:
            data = part.encode("utf-8", "surrogatepass") if isinstance(part, str) else part
            return hashlib.blake2b(b"%d\0" % place + data, digest_size=16).hexdigest()
    return None
