"""The peers: one class a file, and the list of them."""

from __future__ import annotations

from bench.gateway.peers.direct import Direct
from bench.gateway.peers.envoy import Envoy
from bench.gateway.peers.litellm import LiteLLM
from bench.gateway.peers.nginx import Nginx
from bench.gateway.peers.peer import Peer
from bench.gateway.peers.penstock import Penstock
from bench.gateway.peers.portkey import Portkey
from bench.gateway.peers.tensorzero import TensorZero

PEERS: dict[str, Peer] = {
    peer.name: peer for peer in (Direct(), Nginx(), Envoy(), Penstock(), TensorZero(), Portkey(), LiteLLM())
}
"""By name, in the order of the table: no gateway at all, plain proxies, ours, the other gateways."""
