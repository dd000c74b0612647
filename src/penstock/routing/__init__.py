"""Routing: which deployment answers a call. Pure: no I/O, no clock, no random source; times and random numbers are
arguments.

    deployment.py   what the router picks from
    groups.py       what the name means that a caller gives
    health.py       what is known of each deployment: how busy, how fast, how often it failed, until when it rests
    strategies.py   the table of strategies: deployments and their health in, an order out
    candidates.py   who of a group may be asked now, in which order
    fallbacks.py    where a group that failed falls back to
    plan.py         the plan of one call: which deployment next, when a group is exhausted, where to go then
"""
