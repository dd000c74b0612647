"""Connections to providers: the worker's own HTTP/1.1 client. Bare protocols and callbacks, no task for a request.

    upstream = Upstream(loop)
    ongoing = upstream.send(request, timeouts, seconds_left, network, receiver)    # the receiver hears of the answer
    ongoing.pause(); ongoing.resume(); ongoing.cancel()

client.py       what is above: a request finds its head and its pool
pool.py         the connections of one route, and who waits for one
connection.py   one connection: write a request, hear how it ends; when a request is sent again
reading.py      what its answer says, strictly
ongoing.py      one request, and who hears of it
heads.py        requests as bytes; origins.py    URLs in parts
dialling.py     new connections: names.py, proxies.py, tls.py
timers.py       timeouts that cost a request nothing
decoding.py     bodies that are compressed although nobody asked
transport.py    the same for coroutines
"""

from penstock.gateway.upstream.client import Upstream
from penstock.gateway.upstream.ongoing import Ongoing, Receiver
from penstock.gateway.upstream.pool import PoolStats
from penstock.gateway.upstream.settings import Limits, NetworkSettings
from penstock.gateway.upstream.transport import UpstreamTransport

__all__ = ["Limits", "NetworkSettings", "Ongoing", "PoolStats", "Receiver", "Upstream", "UpstreamTransport"]
